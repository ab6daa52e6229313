"""Where tools/gpu-run reads and writes, and how it says that it cannot go on."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
CARRY = ROOT / ".carry"
BUILD = ROOT / "build" / "gpu"
RESULTS = ROOT / "bench" / "results"
KERNELS = ROOT / "examples" / "kernels"


def fail(message):
    print(f"tools/gpu-run: {message}", file=sys.stderr)
    sys.exit(1)
