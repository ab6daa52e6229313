#!/usr/bin/env bash
# What Kernel Tuner reads of a T1 file, the exchange format that it shares with the Kernel Tuning Toolkit, is less than its
# own schema of it has, and one field means the opposite of the same word in its Python interface.
#
# Guess: a file that passes its schema runs, with the compiler options, block and dynamic shared memory it names; an
# empty GridDivX means what grid_div_x=[] means to tune_kernel: the grid is the problem size, undivided.
# What happens (kernel-tuner 1.5.0, 2026-12-01, no GPU needed):
# - a file without "Device", which the schema does not require, ends in KeyError: 'Device', one without "Search" likewise;
#   the files that its makers publish have neither, so the caller has to pass both;
# - "CompilerOptions", "LocalSize" and "SharedMemory" are read by nobody: no such argument reaches tune_kernel;
# - "GridDivX": [] reaches it as None, which divides the problem size by block_size_x.
# For a tuner: times of one T1 file from two tools are those of different binaries (-use_fast_math given, and not), of
# different blocks and perhaps of different grids. Whoever compares with Kernel Tuner has to drop the options too, and an
# empty list of divisors must be read as none given.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps \
  kernel-tuner==1.5.0 numpy==2.4.6 python-constraint2==2.9.0 jsonschema==4.26.0 jsonschema-specifications==2025.9.1 \
  referencing==0.37.0 rpds-py==2026.9.1 attrs==26.1.0 typing_extensions==4.16.0 packaging==26.4 xmltodict==1.0.4

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json, pathlib, sys
import kernel_tuner.interface as interface

pathlib.Path("copy.cu").write_text("__global__ void copy(float* x) {}\n")
T1 = {
    "General": {"BenchmarkName": "copy"},
    "ConfigurationSpace": {
        "TuningParameters": [{"Name": "block_size_x", "Type": "int", "Values": "[32, 64]"}], "Conditions": []},
    "KernelSpecification": {
        "Language": "CUDA", "KernelName": "copy", "KernelFile": "copy.cu", "CompilerOptions": ["-use_fast_math"],
        "SharedMemory": 4096, "ProblemSize": [1024, 1], "GridDivX": [], "GlobalSize": {"X": "1024"},
        "LocalSize": {"X": "block_size_x // 2"},
        "Arguments": [{"Name": "x", "Type": "float", "MemoryType": "Vector", "AccessType": "ReadWrite",
                       "FillType": "Random", "Size": 1024}]},
}
path = pathlib.Path("copy.json")
path.write_text(json.dumps(T1))

errors = []
for given in ({}, {"device": "a GPU"}):
    try:
        interface.tune_kernel_T1(path, **given)
    except KeyError as error:
        errors.append(error.args[0])
print("without Device and Search:", ", ".join(f"KeyError: {error!r}" for error in errors))

passed = {}
interface.tune_kernel = lambda *arguments, **named: (passed.update(named), ([], {}))[1]  # what would be tuned
interface.tune_kernel_T1(path, device="a GPU", strategy="random_sample", output_T4=False)
read = {name: name in passed for name in ("compiler_options", "smem_args", "block_size_names")}
print("passed to tune_kernel:", read, "grid_div_x =", passed["grid_div_x"])
if errors != ["Device", "Search"] or any(read.values()) or passed["grid_div_x"] is not None:
    sys.exit("changed")
PYTHON
