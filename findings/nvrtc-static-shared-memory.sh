#!/usr/bin/env bash
# How much static shared memory NVRTC lets one kernel have depends on the release and on the suffix of the target, and
# not in one direction.
#
# Guess: 48 KiB (49,152 bytes) everywhere. That is what the programming guide gives for arrays whose size the source
# fixes; more must be dynamic and opted into at the launch.
# What happens (2026-12-01, no GPU needed), largest size accepted of 49152, 49156, 65536, 101376, 166912, 232448 bytes:
#   12.6.85   sm_75  65536   sm_86 101376   sm_89 166912   sm_90  166912   sm_90a 166912
#   12.9.86   sm_75  49152   sm_86  49152   sm_89  49152   sm_90   49152   sm_90a  49152   sm_120a  49152
#   13.0.88   sm_75  49152   sm_86  49152   sm_89  49152   sm_90   49152   sm_90a 232448   sm_120a 101376
#   13.5.37   as 13.0.88
# Release 12.6 gives sm_89 more than such a device has (101,376 bytes), and an `f` target (sm_100f) counts as plain in all.
# For a tuner: which configurations are valid is a matter of the compiler's release and of "sm_90" or "sm_90a". A
# fixed rule of 48 KiB drops valid ones; spaces recorded under two releases do not have the same members; a binary of
# 12.6 may compile and then be refused by the device. Ask the compiler, for the target that will run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for release in cu12==12.6.85 cu12==12.9.86 cu13==13.0.88 cu13==13.5.37; do
  package=nvidia-cuda-nvrtc
  [[ $release == cu12* ]] && package+=-cu12
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile --no-deps --target "$folder/${release#*==}" \
    "$package==${release#*==}"
done

python3 - "$folder" <<'PYTHON'
import ctypes, glob, sys

SIZES = (49152, 49156, 65536, 101376, 166912, 232448)
EXPECTED = {
    "12.6.85": {"sm_75": 65536, "sm_86": 101376, "sm_89": 166912, "sm_90": 166912, "sm_90a": 166912},
    "12.9.86": {"sm_75": 49152, "sm_86": 49152, "sm_89": 49152, "sm_90": 49152, "sm_90a": 49152, "sm_100f": 49152,
                "sm_120a": 49152},
    "13.0.88": {"sm_75": 49152, "sm_86": 49152, "sm_89": 49152, "sm_90": 49152, "sm_90a": 232448, "sm_100f": 49152,
                "sm_120a": 101376},
    "13.5.37": {"sm_75": 49152, "sm_86": 49152, "sm_89": 49152, "sm_90": 49152, "sm_90a": 232448, "sm_100f": 49152,
                "sm_120a": 101376},
}


def compiles(library, size, target):
    source = f"""extern "C" __global__ void swap(float* x) {{
      __shared__ float tile[{size // 4}];
      tile[threadIdx.x] = x[threadIdx.x];
      __syncthreads();
      x[threadIdx.x] = tile[threadIdx.x ^ 1];
    }}"""
    program = ctypes.c_void_p()
    if library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"swap.cu", 0, None, None) != 0:
        sys.exit("nvrtcCreateProgram failed")
    options = (ctypes.c_char_p * 1)(f"-arch={target}".encode())
    result = library.nvrtcCompileProgram(program, 1, options)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return result == 0


seen = {}
for release, targets in EXPECTED.items():
    names = [name for name in glob.glob(f"{sys.argv[1]}/{release}/nvidia/*/lib/libnvrtc.so.*") if ".alt." not in name]
    library = ctypes.CDLL(names[0])
    seen[release] = {target: max(size for size in SIZES if compiles(library, size, target)) for target in targets}
    print(f"NVRTC {release:<8}", "  ".join(f"{target} {size}" for target, size in seen[release].items()))
if seen != EXPECTED:
    sys.exit(f"changed; expected {EXPECTED}")
PYTHON
