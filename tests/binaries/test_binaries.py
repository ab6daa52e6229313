"""Binaries of NVIDIA's and other compilers, made here, and what `warpwright occupancy --all` says of them, against
cuobjdump, the compilers' own logs and the occupancy calculator's header of CUDA 13.5.

A small part runs wherever PyPI can be reached. The whole corpus takes some gigabytes of packages and a quarter of an hour:
WARPWRIGHT_BINARY_CORPUS=full.
"""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import makers
import oracle
import sources
import wheels
from support import CommandLineTest, EXIT_SUCCESS

BLOCK = 128
NOT_OF_THE_HEADER = ("launch_bounds", "required_block", "cluster", "required_cluster", "grid_shape", "block_shape")


class BinariesTest(CommandLineTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if shutil.which("c++") is None:
            raise unittest.SkipTest("no c++ to compile NVIDIA's header with")
        wheels.CACHE.mkdir(parents=True, exist_ok=True)
        wheels.folder_of("cuobjdump-13.5")
        cls.calculator = oracle.Calculator(wheels.CACHE)

    def kernels_of(self, file, *flags):
        return self.run_json("occupancy", "--all", "--kernel", file, "--block", str(BLOCK), *flags)["kernels"]

    def compare(self, cubin, log=None):
        """One cubin: every field that NVIDIA's tools tell too. Returns the number of kernels."""
        ours = {kernel["entry"]: kernel for kernel in self.kernels_of(cubin)}
        usage, told = oracle.resource_usage(cubin), oracle.attributes(cubin)
        reports = oracle.log_reports(log or "")
        self.assertTrue(ours, cubin)
        self.assertEqual(set(ours), {symbol for symbol, entry in told.items() if entry.get("kernel")}, cubin)
        for symbol, kernel in ours.items():
            with self.subTest(cubin=pathlib.Path(cubin).name, kernel=symbol):
                compute = int(kernel["architecture"][3:])
                reserve = 1024 if compute >= 90 else 0
                registers, stack, shared = usage[symbol]
                self.assertEqual(kernel["registers_per_thread"], registers)
                self.assertEqual(kernel["static_shared_bytes"], max(0, shared - reserve))
                if stack.isdigit() and int(stack) < 2**31:
                    self.assertEqual(kernel.get("local_per_thread_bytes", 0), int(stack))
                attributes = told.get(symbol, {})
                self.assertEqual(kernel["barriers"], attributes.get("barriers", 0))
                self.assertEqual(kernel.get("required_block"), attributes.get("required_block"))
                self.assertEqual(kernel.get("required_cluster"), attributes.get("required_cluster"))
                if "max_threads" in attributes:
                    x, y, z = attributes["max_threads"]
                    self.assertEqual(kernel["max_threads_per_block"], x * y * z)
                if symbol in reports:
                    self.assertEqual((kernel["registers_per_thread"], kernel["barriers"]), reports[symbol][:2])
                    self.assertEqual(kernel["static_shared_bytes"], reports[symbol][2])
                if kernel.get("refusal") in NOT_OF_THE_HEADER or compute not in oracle.DEVICES:
                    continue
                x, y, z = kernel["configuration"]["block"]
                if kernel.get("max_threads_per_block", 1024) < x * y * z:
                    self.assertEqual(kernel["blocks_per_sm"], 0)
                    continue
                self.assertEqual(kernel["blocks_per_sm"],
                                 self.calculator.blocks(compute, x * y * z, registers, max(0, shared - reserve),
                                                        kernel["configuration"]["dynamic_shared_bytes"],
                                                        attributes.get("barriers", 0)))
        return len(ours)


class Small(BinariesTest):
    """ptxas of CUDA 12.6 (the older layout) and 13.5 (the newer one)."""

    def assemble(self, package, version, target):
        program = wheels.find(package, "bin/ptxas")
        program.chmod(0o755)
        ptx, cubin = self.home / f"{package}.{target}.ptx", self.home / f"{package}.{target}.cubin"
        ptx.write_text(sources.ptx_module(version, target))
        result = subprocess.run([str(program), "-v", f"-arch={target}", str(ptx), "-o", str(cubin)], check=False,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(result.returncode, 0, result.stdout)
        return cubin, result.stdout

    def test_both_layouts(self):
        kernels = 0
        for package, version, targets in (("ptxas-12.6", "8.5", ("sm_75", "sm_80", "sm_86", "sm_90", "sm_90a")),
                                          ("ptxas-13.5", "9.0", ("sm_75", "sm_80", "sm_90a", "sm_100a", "sm_103", "sm_120"))):
            for target in targets:
                cubin, log = self.assemble(package, version, target)
                self.assertTrue(all(kernel["target"] == target for kernel in self.kernels_of(cubin)), target)
                kernels += self.compare(cubin, log)
        self.assertGreater(kernels, 250)

    def test_sixteen_barriers_of_cuda_12(self):
        cubin, _ = self.assemble("ptxas-12.6", "8.5", "sm_90a")
        answer = self.run_json("occupancy", "--kernel", cubin, "--entry", "barriers_16", "--block", "128")
        self.assertEqual(answer["blocks_per_sm"], 4)
        self.assertEqual(answer["occupancy"], 0.25)
        self.assertEqual(answer["limiting_factors"], ["barriers"])

    def test_required_blocks_and_clusters(self):
        cubin, _ = self.assemble("ptxas-13.5", "9.0", "sm_90a")
        answer = self.run_json("occupancy", "--kernel", cubin, "--entry", "required_in_two")
        self.assertEqual(answer["configuration"]["block"], [16, 12, 1])
        self.assertEqual(answer["configuration"]["required_block"], [16, 12, 1])
        other = self.run_json("occupancy", "--kernel", cubin, "--entry", "required_in_two", "--block", "192")
        self.assertEqual((other["blocks_per_sm"], other["refusal"]), (0, "required_block"))
        found = self.run_json("recommend", "--kernel", cubin, "--entry", "required_in_two", "--workload", "100000",
                              "--min-occupancy", "0")["recommendations"]
        self.assertEqual([one["configuration"]["block"] for one in found], [[16, 12, 1]])
        cluster = self.run_json("occupancy", "--kernel", cubin, "--entry", "cluster")
        self.assertEqual(cluster["active_clusters"], "unknown")
        self.assertEqual(cluster["configuration"]["cluster"], [2, 1, 1])
        refused = self.run_json("occupancy", "--kernel", cubin, "--entry", "cluster", "--cluster", "4")
        self.assertEqual(refused["refusal"], "required_cluster")
        beyond = self.run_json("occupancy", "--kernel", cubin, "--entry", "cluster_bound", "--cluster", "8", "--block", "64")
        self.assertEqual(beyond["refusal"], "required_cluster")

    def test_dynamic_memory_is_asked_for(self):
        for package, version, target in (("ptxas-12.6", "8.5", "sm_90a"), ("ptxas-13.5", "9.0", "sm_80")):
            cubin, _ = self.assemble(package, version, target)
            answer = self.run_json("occupancy", "--kernel", cubin, "--entry", "dynamic", "--block", "128")
            self.assertTrue(any("--dynamic-shared" in note for note in answer["notes"]), answer["notes"])
            fixed = self.run_json("occupancy", "--kernel", cubin, "--entry", "shared_400", "--block", "128")
            self.assertFalse(any("--dynamic-shared" in note for note in fixed["notes"]))

    def test_containers_without_cuobjdump(self):
        fatbinary = wheels.find("ptxas-13.5", "bin/fatbinary")
        fatbinary.chmod(0o755)
        plain, _ = self.assemble("ptxas-13.5", "9.0", "sm_90")
        special, _ = self.assemble("ptxas-13.5", "9.0", "sm_90a")
        empty = self.home / "empty"
        empty.mkdir()
        environment = {"PATH": str(empty), "CUDA_HOME": str(empty), "CUDA_PATH": str(empty)}
        direct = {name: self.kernels_of(cubin) for name, cubin in (("sm_90", plain), ("sm_90a", special))}
        for mode in ("default", "size", "speed", "balance", "none"):
            fatbin = self.home / f"{mode}.fatbin"
            subprocess.run([str(fatbinary), f"--create={fatbin}", f"--compress-mode={mode}", "-64",
                            f"--image3=kind=elf,sm=90,file={plain}", f"--image3=kind=elf,sm=90a,file={special}",
                            f"--image3=kind=ptx,sm=90a,file={self.home / 'ptxas-13.5.sm_90a.ptx'}"], check=True)
            with self.subTest(mode=mode):
                self.assert_bad_input(["occupancy", "--kernel", fatbin, "--entry", "live_40", "--block", "128"],
                                      "sm_90, sm_90a", "--arch", environment=environment)
                for target, expected in direct.items():
                    result = self.run_program("occupancy", "--all", "--kernel", fatbin, "--arch", target, "--block", "128",
                                              "--json", environment=environment)
                    self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
                    self.assertEqual(json.loads(result.stdout)["kernels"], expected)


@unittest.skipUnless(os.environ.get("WARPWRIGHT_BINARY_CORPUS") == "full",
                     "the whole corpus needs some gigabytes of packages: WARPWRIGHT_BINARY_CORPUS=full")
class Corpus(BinariesTest):
    def test_every_compiler(self):
        made, counts, failures = self.home / "corpus", collections.Counter(), []
        made.mkdir()
        kernels = collections.Counter()
        for name, make in makers.MAKERS.items():
            folder = made / name
            folder.mkdir()
            try:
                for cubin, log in make(folder):
                    counts[name] += 1
                    kernels[name] += self.compare(cubin, log)
            except unittest.SkipTest as reason:
                failures.append(f"{name}: {reason}")
            print(f"{name}: {counts[name]} cubins, {kernels[name]} kernels", flush=True)
        print(f"all: {sum(counts.values())} cubins, {sum(kernels.values())} kernels")
        for failure in failures:
            print("left out:", failure)
        self.assertGreaterEqual(sum(counts.values()), 150, failures)

    def test_published_libraries(self):
        """Kernels of many files of PyPI at once: containers of 4 to 120 MB, with up to 24,000 kernels each."""
        kernels = 0
        # Not bitsandbytes' library of CUDA 12.1, which cuobjdump 13.5 calls an invalid ELF.
        for package, pattern in (("bitsandbytes-0.50", "libbitsandbytes_cuda1[13]*.so"),
                                 ("bitsandbytes-0.50", "libbitsandbytes_cuda12[4-8].so"),
                                 ("ctranslate2-4.8", "libctranslate2*.so*"), ("curand-10.4", "libcurand.so.*"),
                                 ("nvjpeg-13.2", "libnvjpeg.so.*"),
                                 ("cublas-13.10", "libcublas.so.*")):
            libraries = sorted(wheels.folder_of(package).rglob(pattern))
            self.assertTrue(libraries, pattern)
            for library in libraries:
                ours = self.kernels_of(library)
                self.assertTrue(ours, library)
                expected = oracle.library_usage(library)
                for kernel in ours:
                    compute = int(kernel["target"][3:].rstrip("af"))
                    # The sections of 9.0 and later have the driver's reserve in them, where they exist.
                    reserve = 1024 if compute >= 90 else 0
                    usage = (kernel["target"], kernel["entry"], kernel["registers_per_thread"],
                             str(kernel.get("local_per_thread_bytes", 0)))
                    shared = [size for size in (kernel["static_shared_bytes"] + reserve, kernel["static_shared_bytes"])
                              if expected[(*usage, size)] > 0]
                    self.assertTrue(shared, f"{library.name}: {usage}, {kernel['static_shared_bytes']} bytes")
                    expected[(*usage, shared[0])] -= 1
                    if kernel.get("refusal") in NOT_OF_THE_HEADER or compute not in oracle.DEVICES:
                        continue
                    x, y, z = kernel["configuration"]["block"]
                    self.assertEqual(kernel["blocks_per_sm"],
                                     self.calculator.blocks(compute, x * y * z, kernel["registers_per_thread"],
                                                            kernel["static_shared_bytes"], 0, kernel["barriers"]), usage)
                # What is left are functions that are no kernels: helpers of the compiler.
                left = sorted({symbol for (_, symbol, *_), count in expected.items() if count > 0})
                self.assertTrue(all(symbol.startswith("__cuda_sm") for symbol in left), f"{library.name}: {left[:5]}")
                kernels += len(ours)
                print(f"{library.name}: {len(ours)} kernels", flush=True)
        print(f"libraries: {kernels} kernels")


if __name__ == "__main__":
    unittest.main()
