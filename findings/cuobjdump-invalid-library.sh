#!/usr/bin/env bash
# cuobjdump refuses one published library as a whole, though the same project's libraries for other releases are read.
#
# Guess: cuobjdump reads every shared library that the loader takes; where one device image in it is new or odd, it skips
# that image.
# What happens (2026-12-01, no GPU needed): with cuobjdump 13.5.37, of the seven CUDA libraries in bitsandbytes 0.50.2 six
# are listed, and libbitsandbytes_cuda121.so ends every option with "cuobjdump fatal   : Invalid ELF". The file's section
# table is whole, and its fatbin holds device images that begin as those of the others do. We do not know the cause: the
# version of the ABI in the ELF header, in which it differs from some of the others, is not it.
# For a tuner or a profiler: a list of kernels that comes from cuobjdump may miss a library that runs. Read the fatbin
# yourself or say that the tool failed; do not report "no GPU code".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile --no-deps --target "$folder" \
  nvidia-cuda-cuobjdump==13.5.37 bitsandbytes==0.50.2

python3 - "$folder" <<'PYTHON'
import glob, os, struct, subprocess, sys

FATBIN = struct.pack("<IH", 0xBA55ED50, 1)  # how a fatbin begins
tool = sys.argv[1] + "/nvidia/cu13/bin/cuobjdump"
os.chmod(tool, 0o755)
seen = {}
for file in sorted(glob.glob(sys.argv[1] + "/bitsandbytes/libbitsandbytes_cuda*.so")):
    with open(file, "rb") as stream:
        data = stream.read()
    table, = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    whole = table + size * count <= len(data)
    done = subprocess.run([tool, "--list-elf", file], capture_output=True, text=True)
    refused = "Invalid ELF" in done.stdout + done.stderr
    name = os.path.basename(file)
    seen[name] = refused
    print(f"{name}: section table {'whole' if whole else 'cut off'}, {data.count(FATBIN)} fatbins, cuobjdump "
          f"{'says Invalid ELF' if refused else str(done.stdout.count('ELF file')) + ' images'}, exit code {done.returncode}")
    if not whole or FATBIN not in data:
        sys.exit("changed: the libraries are others")
if [name for name, refused in seen.items() if refused] != ["libbitsandbytes_cuda121.so"] or len(seen) != 7:
    sys.exit("changed: another set of libraries is refused")
PYTHON
echo "as described"
