"""What NVIDIA's own tools say of a cubin: cuobjdump, the compiler's log, and the occupancy calculator's header."""

import collections
import ctypes
import re
import subprocess

import wheels

# compute capability: warps, KiB of shared memory of an SM, KiB with opt-in; all with 64 Ki registers.
DEVICES = {
    75: (32, 64, 64), 80: (64, 164, 163), 86: (48, 100, 99), 87: (48, 164, 163), 88: (48, 100, 99), 89: (48, 100, 99),
    90: (64, 228, 227), 100: (64, 228, 227), 103: (64, 228, 227), 107: (32, 328, 327), 110: (48, 228, 227),
    120: (48, 100, 99), 121: (48, 100, 99),
}

SHIM = r"""
#include <cuda_occupancy.h>
extern "C" int blocks(int major, int minor, int warps, unsigned long shared_sm, unsigned long optin, int threads,
                      int registers, unsigned long fixed, unsigned long dynamic, int barriers) {
  cudaOccDeviceProp device;
  device.computeMajor = major;
  device.computeMinor = minor;
  device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = warps * 32;
  device.regsPerBlock = 65536;
  device.regsPerMultiprocessor = 65536;
  device.warpSize = 32;
  device.sharedMemPerBlock = 49152;
  device.sharedMemPerMultiprocessor = shared_sm;
  device.numSms = 1;
  device.sharedMemPerBlockOptin = optin;
  device.reservedSharedMemPerBlock = major >= 8 ? 1024 : 0;
  cudaOccFuncAttributes function;
  function.maxThreadsPerBlock = 1024;
  function.numRegs = registers;
  function.sharedSizeBytes = fixed;
  function.partitionedGCConfig = PARTITIONED_GC_OFF;
  function.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
  function.maxDynamicSharedSizeBytes = fixed > optin ? 0 : optin - fixed;
  function.numBlockBarriers = barriers;
  function.virtualResourceCount = 0;
  cudaOccDeviceState state;
  cudaOccResult result;
  if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &function, &state, threads, dynamic) != CUDA_OCC_SUCCESS)
    return -1;
  return result.activeBlocksPerMultiprocessor;
}
"""


class Calculator:
    """cuda_occupancy.h of CUDA 13.5, compiled here."""

    def __init__(self, folder):
        header = wheels.find("header-13.5", "cuda_occupancy.h")
        source, library = folder / "shim.cpp", folder / "shim.so"
        source.write_text(SHIM)
        subprocess.run(["c++", "-O1", "-w", "-shared", "-fPIC", f"-I{header.parent}", str(source), "-o", str(library)],
                       check=True)
        self.call = ctypes.CDLL(str(library)).blocks
        self.call.argtypes = ([ctypes.c_int] * 3 + [ctypes.c_ulong] * 2 + [ctypes.c_int] * 2 + [ctypes.c_ulong] * 2 +
                              [ctypes.c_int])

    def blocks(self, compute, threads, registers, fixed, dynamic, barriers):
        warps, shared, optin = DEVICES[compute]
        return self.call(compute // 10, compute % 10, warps, shared * 1024, optin * 1024, threads, registers, fixed, dynamic,
                         barriers)


def run_cuobjdump(*arguments):
    program = wheels.find("cuobjdump-13.5", "bin/cuobjdump")
    program.chmod(0o755)
    return subprocess.run([str(program), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=True, errors="replace").stdout


def resource_usage(cubin):
    """By symbol: registers, stack, shared memory (with the driver's reserve from 9.0 on)."""
    found, symbol = {}, None
    for line in run_cuobjdump("--dump-resource-usage", cubin).splitlines():
        if match := re.match(r"\s*Function (\S+):", line):
            symbol = match.group(1)
        elif match := re.match(r"\s*REG:(\d+) STACK:(\d+|UNKNOWN) SHARED:(\d+)", line):
            found[symbol] = (int(match.group(1)), match.group(2), int(match.group(3)))
    return found


def library_usage(library):
    """Of a container: how often each (target, symbol, registers, stack, shared memory) occurs in its images."""
    found, target, symbol = collections.Counter(), None, None
    for line in run_cuobjdump("--dump-resource-usage", library).splitlines():
        if match := re.match(r"\s*arch = (\w+)", line):
            target = match.group(1)
        elif match := re.match(r"\s*Function (\S+):", line):
            symbol = match.group(1)
        elif match := re.match(r"\s*REG:(\d+) STACK:(\d+|UNKNOWN) SHARED:(\d+)", line):
            found[target, symbol, int(match.group(1)), match.group(2), int(match.group(3))] += 1
    return found


def attributes(cubin):
    """By symbol: a dictionary with "barriers", "required_block", "required_cluster", "max_threads" as cuobjdump prints them."""
    found, section, attribute, older = {}, None, None, False
    for line in run_cuobjdump("-elf", cubin).splitlines():
        if match := re.search(r"(?:ABI|abi)=(\d+), sm=(\w+)", line):
            older = int(match.group(1)) < 8
        # Index Offset Size ES Align Type Flags Link Info Name
        if match := re.match(r"\s*\w+\s+\w+\s+\w+\s+\w+\s+\w+\s+PROGBITS\s+(\w+)\s+\w+\s+\w+ \.text\.(\S+)", line):
            entry = found.setdefault(match.group(2), {})
            if older:
                entry["barriers"] = (int(match.group(1), 16) >> 20) & 0x7F
        if match := re.search(r" FUNC .* ENTRY\s+\w+\s+(\S+)\s*$", line):
            found.setdefault(match.group(1), {})["kernel"] = True
        if match := re.match(r"\.nv\.info\.(\S+)\s*$", line):
            section = match.group(1)
        elif line.startswith("."):
            section = None
        if section is None:
            continue
        if match := re.search(r"Attribute:\s+(\w+)", line):
            attribute = match.group(1)
        elif match := re.search(r"Value:\s*(.*)", line):
            numbers = [int(text, 16) for text in re.findall(r"0x([0-9a-f]+)", match.group(1))]
            name = {"EIATTR_NUM_BARRIERS": "barriers", "EIATTR_REQNTID": "required_block",
                    "EIATTR_CTA_PER_CLUSTER": "required_cluster", "EIATTR_MAX_THREADS": "max_threads"}.get(attribute)
            if name and numbers:
                found.setdefault(section, {})[name] = numbers[0] if name == "barriers" else numbers[:3]
    return found


def log_reports(log):
    """By symbol: registers, barriers and shared memory of ptxas's own log."""
    found, symbol = {}, None
    for line in log.splitlines():
        if match := re.search(r"Compiling entry function '([^']+)'", line):
            symbol = match.group(1)
        elif (match := re.search(r": Used (\d+) registers(.*)", line)) and symbol:
            rest = match.group(2)
            barriers = re.search(r"used (\d+) barriers", rest)
            shared = re.search(r"(\d+) bytes smem", rest)
            found[symbol] = (int(match.group(1)), int(barriers.group(1)) if barriers else 0,
                             int(shared.group(1)) if shared else 0)
    return found
