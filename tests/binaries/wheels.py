"""The compilers that the corpus is made with: pinned packages of PyPI, each unpacked into a folder of its own and kept there
for the next run."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

CACHE = pathlib.Path(os.environ["WARPWRIGHT_BINARIES"])

# name: (packages, whether their dependencies come along)
PACKAGES = {
    "ptxas-12.6": (["nvidia-cuda-nvcc-cu12==12.6.85"], False),
    "nvcc-13.5": (["nvidia-cuda-nvcc==13.5.37", "nvidia-cuda-runtime==13.5.37", "nvidia-nvvm==13.5.37",
                   "nvidia-cuda-crt==13.5.37"], False),
    "header-13.5": (["nvidia-cuda-runtime==13.5.37"], False),
    "ptxas-13.5": (["nvidia-cuda-nvcc==13.5.37"], False),
    "cuobjdump-13.5": (["nvidia-cuda-cuobjdump==13.5.37"], False),
    "nvcc-13.0": (["nvidia-cuda-nvcc==13.0.88", "nvidia-cuda-runtime==13.0.96", "nvidia-nvvm==13.0.88",
                   "nvidia-cuda-crt==13.0.88"], False),
    "nvrtc-12.6": (["nvidia-cuda-nvrtc-cu12==12.6.85"], False),
    "nvrtc-12.9": (["nvidia-cuda-nvrtc-cu12==12.9.86"], False),
    "nvrtc-13.0": (["nvidia-cuda-nvrtc==13.0.88"], False),
    "nvrtc-13.5": (["nvidia-cuda-nvrtc==13.5.37"], False),
    "triton-3.9": (["triton==3.9.0"], False),
    "cuda-tile-1.7": (["cuda-tile[tileiras]==1.7.0"], True),
    "warp-1.19": (["warp-lang==1.19.0", "numpy"], True),
    "numba-0.30": (["numba-cuda==0.30.4", "numba", "numpy"], True),
    "cutlass-4.8": (["nvidia-cutlass-dsl==4.8.1"], True),
    "bitsandbytes-0.50": (["bitsandbytes==0.50.2"], False),
    "ctranslate2-4.8": (["ctranslate2==4.8.5"], False),
    "curand-10.4": (["nvidia-curand==10.4.4.72"], False),
    "nvjpeg-13.2": (["nvidia-nvjpeg==13.2.3.58"], False),
    "cublas-13.10": (["nvidia-cublas==13.10.0.20"], False),
}


def pip_command():
    """Debian's Python comes without pip; another one of PATH unpacks these packages as well."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run(own + ["--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return own
    for program in ("pip3", "pip"):
        if shutil.which(program):
            return [program]
    raise unittest.SkipTest("no pip: install python3-pip")


def folder_of(name):
    """The folder of an unpacked package; skips the test with pip's words where it cannot be had."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder, done = CACHE / name, CACHE / (name + ".done")
    with open(CACHE / (name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return folder
        packages, with_dependencies = PACKAGES[name]
        command = pip_command() + ["install", "--quiet", "--disable-pip-version-check", "--no-input",
                                   "--timeout", "20", "--retries", "1", "--upgrade", "--target", str(folder)]
        result = subprocess.run(command + ([] if with_dependencies else ["--no-deps"]) + packages, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode != 0:
            words = result.stdout.strip().splitlines() or ["pip says nothing"]
            raise unittest.SkipTest(f"{packages[0]} cannot be had from PyPI: {words[-1]}")
        done.touch()
        return folder


def find(name, pattern):
    """The first file of a package that fits the pattern."""
    for path in sorted(folder_of(name).rglob(pattern)):
        return path
    raise AssertionError(f"{name} has no {pattern}")
