#!/usr/bin/env bash
# Kernel Tuner takes "#pragma unroll NAME" out of a CUDA kernel where NAME is 0, and with it the beginning of every other
# such pragma whose name only starts with NAME.
#
# Guess: an unroll factor of 0 removes the pragmas that name this parameter, and no others.
# What happens (kernel-tuner 1.5.0, 2026-12-01, no GPU needed): with loop_unroll_factor = 0 and loop_unroll_factor_y = 2
# the line "#pragma unroll loop_unroll_factor_y" becomes the line "_y", which no compiler takes. Empty lines above a
# removed pragma go too, so that line numbers in messages move up.
# For a tuner: half of such a space fails to compile and is counted as invalid, with a message about a line that the
# source does not have. Recorded spaces of kernels with such names lack the configurations with a 0. The names must be
# compared whole, and lines kept.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps \
  kernel-tuner==1.5.0 numpy==2.4.6 python-constraint2==2.9.0 jsonschema==4.26.0 jsonschema-specifications==2025.9.1 \
  referencing==0.37.0 rpds-py==2026.9.1 attrs==26.1.0 typing_extensions==4.16.0 packaging==26.4 xmltodict==1.0.4

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from kernel_tuner.util import prepare_kernel_string

SOURCE = """__global__ void sum(float* x) {
  float s = 0;

  #pragma unroll loop_unroll_factor
  for (int i = 0; i < 8; ++i) s += x[i];
  #pragma unroll loop_unroll_factor_y
  for (int i = 0; i < 8; ++i) s += x[8 + i];
  x[0] = s;
}
"""
names = ["block_size_x", "block_size_y", "block_size_z"]
_, text = prepare_kernel_string("sum", SOURCE, {"loop_unroll_factor": 0, "loop_unroll_factor_y": 2}, (1, 1, 1),
                                (32, 1, 1), names, "CUDA", None)
kernel = text[text.index("__global__"):]
print(kernel)
lines = kernel.splitlines()
expected = "_y" in lines and not any("#pragma" in line for line in lines) and len(lines) == len(SOURCE.splitlines()) - 1
if not expected:
    sys.exit("changed: the pragma of loop_unroll_factor_y survives, or lines are counted differently")
PYTHON
