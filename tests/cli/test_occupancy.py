"""`warpwright occupancy` and `warpwright recommend`: no GPU is needed for any of this."""

import os
import pathlib
import stat
import subprocess
import tarfile
import xml.etree.ElementTree

import cubins
from support import CommandLineTest, EXIT_FAILURE, EXIT_SUCCESS, PROGRAM, SOURCE

GOLDEN = pathlib.Path(__file__).parent / "data" / "occupancy"

# number, flags, blocks per SM, limits of warps, registers, shared memory, blocks, barriers
KNOWN_ANSWERS = (
    (1, "--arch sm_80 --block 256 --registers 33", 6, (8, 6, 164, 32, None)),
    (2, "--arch sm_80 --block 96 --registers 169", 2, (21, 2, 164, 32, None)),
    (3, "--arch sm_80 --block 32 --registers 88", 20, (64, 20, 164, 32, None)),
    (4, "--arch sm_80 --block 288 --registers 224", 0, (7, 0, 164, 32, None)),
    (5, "--arch sm_86 --block 128 --registers 32 --static-shared 16384", 5, (12, 16, 5, 16, None)),
    (6, "--arch sm_90 --block 256 --registers 32 --dynamic-shared 116736 --max-dynamic-shared 116736", 1, (8, 8, 1, 32, None)),
    (7, "--arch sm_80 --block 128 --registers 32 --static-shared 20480 --carveout 50", 4, (16, 16, 4, 32, None)),
    (8, "--arch sm_120 --block 64 --registers 32 --barriers 4", 6, (24, 32, 100, 24, 6)),
    (9, "--arch sm_61 --block 32 --registers 16 --static-shared 3100", 29, (64, 128, 29, 32, None)),
    (10, "--arch sm_90 --block 64 --registers 32 --carveout 0", 8, (32, 32, 8, 32, None)),
    (11, "--arch sm_90 --block 128 --registers 32 --dynamic-shared 61440 --max-dynamic-shared none", 0,
     (16, 16, 0, 32, None)),
    (12, "--arch sm_52 --block 640 --registers 32 --caching on", 2, (2, 2, None, 32, None)),
    (13, "--arch sm_60 --block 576 --registers 104", 0, (3, 0, None, 32, None)),
    (14, "--arch sm_90 --block 128 --registers 32 --barriers 16", 4, (16, 16, 228, 32, 4)),
)


def cubin(name):
    """The bytes of a seed of the fuzzer of cubins."""
    with tarfile.open(SOURCE / "fuzz" / "corpus" / "cubin.tar.xz") as corpus:
        return corpus.extractfile(name).read()


class Answers(CommandLineTest):
    def test_known_answers(self):
        for number, flags, blocks, limits in KNOWN_ANSWERS:
            with self.subTest(case=number):
                answer = self.run_json("occupancy", *flags.split())
                self.assertEqual(answer["blocks_per_sm"], blocks)
                found = tuple(answer["limits"][name] for name in ("warps", "registers", "shared_memory", "blocks", "barriers"))
                self.assertEqual(found, limits)
                self.assertEqual(answer["launchable"], blocks > 0)
                self.assertEqual(answer["reason"] is None, blocks > 0)
                self.assertEqual(answer["active_warps_per_sm"], blocks * answer["warps_per_block"])
                self.assertAlmostEqual(answer["occupancy"], answer["active_warps_per_sm"] / answer["max_warps_per_sm"])
                for name in answer["limiting_factors"]:
                    self.assertEqual(answer["limits"][name], blocks)

    def test_suggestions_are_true(self):
        answer = self.run_json("occupancy", *"--arch sm_80 --block 256 --registers 33".split())
        self.assertEqual(answer["suggestions"][0]["text"], "1 register fewer per thread: 75 % -> 100 %")
        again = self.run_json("occupancy", *"--arch sm_80 --block 256 --registers 32".split())
        self.assertEqual(again["occupancy"], answer["suggestions"][0]["occupancy"])
        self.assertEqual(again["suggestions"], [])

    def test_text(self):
        for name, flags in (("plain", "--arch sm_80 --block 256 --registers 43"),
                            ("refused", "--arch sm_80 --block 288 --registers 224"),
                            ("sweep_block", "--arch sm_90 --block 96 --registers 40 --sweep block"),
                            ("sweep_registers", "--arch sm_90 --block 16x16 --registers 43 --sweep registers"),
                            ("sweep_shared", "--arch sm_86 --block 128 --registers 32 --dynamic-shared 20000 --sweep shared"),
                            ("cluster", "--arch sm_90 --block 128 --registers 32 --cluster 4")):
            with self.subTest(name=name):
                result = self.run_program("occupancy", *flags.split())
                self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
                golden = GOLDEN / f"{name}.txt"
                if os.environ.get("WARPWRIGHT_UPDATE_GOLDEN"):
                    golden.parent.mkdir(parents=True, exist_ok=True)
                    golden.write_text(result.stdout)
                self.assertEqual(result.stdout, golden.read_text())

    def test_waves_need_a_number_of_sms(self):
        answer = self.run_json("occupancy", *"--arch sm_90 --block 256 --registers 32 --grid 1000".split())
        self.assertIsNone(answer["waves"])
        self.assertIsNone(answer["sm_count"])

    def test_clusters_are_not_guessed(self):
        answer = self.run_json("occupancy", *"--arch sm_90 --block 256 --registers 32 --cluster 4".split())
        self.assertEqual(answer["active_clusters"], "unknown")
        answer = self.run_json("occupancy", *"--arch sm_80 --block 256 --registers 32 --cluster 4".split())
        self.assertFalse(answer["launchable"])
        self.assertIn("9.0", answer["reason"])

    def test_without_a_block_the_best_is_taken(self):
        answer = self.run_json("occupancy", "--arch", "sm_80", "--registers", "33")
        self.assertEqual(answer["configuration"]["block"], [768, 1, 1])
        self.assertIn("no --block", answer["notes"][0])

    def test_sweep_as_json_and_svg(self):
        svg = self.home / "curve.svg"
        answer = self.run_json("occupancy", *"--arch sm_90 --block 256 --registers 33 --sweep registers --svg".split(), svg)
        points = answer["sweep"]["points"]
        self.assertEqual([point["value"] for point in points], list(range(1, 256)))
        self.assertEqual([point["value"] for point in points if point["current"]], [33])
        occupancies = [point["occupancy"] for point in points]
        self.assertEqual(occupancies, sorted(occupancies, reverse=True))
        root = xml.etree.ElementTree.fromstring(svg.read_text())
        self.assertTrue(root.tag.endswith("svg"))
        self.assertEqual(len([node for node in root.iter() if node.tag.endswith("circle")]), 1)

    def test_a_device_that_tells_no_occupancy(self):
        device = self.other_device()
        answer = self.run_json("occupancy", "--device", device, "--block", "128")
        self.assertIsNone(answer["occupancy"])
        self.assertIsNone(answer["limits"])
        self.assertIn("unknown", answer)
        self.assertTrue(answer["launchable"])
        answer = self.run_json("occupancy", "--device", device, "--block", "32", "--dynamic-shared", "1000000000")
        self.assertFalse(answer["launchable"])
        self.assertIn("shared memory", answer["reason"])
        text = self.run_program("occupancy", "--device", device, "--block", "128").stdout
        self.assertIn("occupancy     unknown", text)
        self.assert_bad_input(["occupancy", "--device", device], "--block")
        self.assert_bad_input(["occupancy", "--device", device, "--block", "64", "--sweep", "block"], "--sweep")
        self.assert_bad_input(["recommend", "--device", device, "--workload", "9"], "recommend")

    def other_device(self):
        for backend in self.run_json("devices")["backends"]:
            for device in backend["devices"]:
                if not device["architecture"].startswith("sm_"):
                    return device["id"]
        self.skipTest("every device here is NVIDIA's: install pocl-opencl-icd for another one")


class Recommendations(CommandLineTest):
    def test_ranked_and_above_the_threshold(self):
        answer = self.run_json("recommend", *"--arch sm_90 --workload 1000000 --registers 40 --rows 50".split())
        found = answer["recommendations"]
        self.assertGreater(len(found), 5)
        self.assertTrue(all(one["occupancy"] >= 0.5 for one in found))
        scores = [round(one["score"], 3) for one in found]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertTrue(all(one["configuration"]["grid"][0] * one["configuration"]["block"][0] >= 1000000 for one in found))

    def test_none_reaches_the_threshold(self):
        flags = "--arch sm_90 --workload 1000 --registers 200 --min-occupancy 90%".split()
        self.assertEqual(self.run_json("recommend", *flags, expect=EXIT_FAILURE)["recommendations"], [])
        result = self.run_program("recommend", *flags)
        self.assertEqual(result.returncode, EXIT_FAILURE)
        self.assertIn("--min-occupancy", result.stderr)

    def test_text(self):
        result = self.run_program("recommend", *"--arch sm_80 --workload 1000000 --registers 32 --rows 3".split())
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn(" 256 ", result.stdout.splitlines()[2])


class KernelFiles(CommandLineTest):
    SOURCE_TEXT = """
extern "C" __global__ void __launch_bounds__(256) scale(float* a) {
  __shared__ float tile[100];
  tile[threadIdx.x % 100] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = tile[(threadIdx.x + STEP) % 100];
}
extern "C" __global__ void other(float* a) { a[threadIdx.x] = 1; }
"""

    def has_nvrtc(self):
        for backend in self.run_json("devices")["backends"]:
            for component in backend["components"]:
                if backend["name"] == "cuda" and "NVRTC" in component["name"]:
                    return component["present"]
        return False

    def source(self):
        if not self.has_nvrtc():
            self.skipTest("NVRTC is not installed: install a CUDA toolkit, or set CUDA_HOME")
        path = self.home / "scale.cu"
        path.write_text(self.SOURCE_TEXT)
        return path

    def test_source_is_compiled_without_a_gpu(self):
        path = self.source()
        answer = self.run_json("occupancy", "--kernel", path, "--entry", "scale", "--arch", "sm_90", "-D", "STEP=3",
                               "--block", "256")
        kernel = answer["kernel"]
        self.assertEqual(kernel["static_shared_bytes"], 400)
        self.assertEqual(kernel["max_threads_per_block"], 256)
        self.assertEqual(kernel["barriers"], 1)
        self.assertEqual(kernel["spill_stores_bytes"], 0)
        self.assertGreater(kernel["registers_per_thread"], 5)
        self.assertIn("NVRTC", kernel["origin"])
        self.assertEqual(answer["configuration"]["registers_per_thread"], kernel["registers_per_thread"])
        refused = self.run_json("occupancy", "--kernel", path, "--entry", "scale", "--arch", "sm_90", "-D", "STEP=3",
                                "--block", "512")
        self.assertEqual(refused["refusal"], "launch_bounds")
        self.assertEqual(refused["blocks_per_sm"], 0)

    def test_mistakes_with_source(self):
        path = self.source()
        self.assert_bad_input(["occupancy", "--kernel", path, "--entry", "scael", "--arch", "sm_90", "-D", "STEP=1",
                               "--block", "64"], "scael", "did you mean 'scale'")
        self.assert_bad_input(["occupancy", "--kernel", path, "--arch", "sm_90", "-D", "STEP=1", "--block", "64"],
                              "--entry", "other", "scale")
        self.assert_bad_input(["occupancy", "--kernel", path, "--entry", "scale", "--block", "64"], "--arch")
        self.assert_bad_input(["occupancy", "--kernel", path, "--entry", "scale", "--arch", "sm_61", "-D", "STEP=1",
                               "--block", "64"], "cannot compile for sm_61", "sm_90")

    def test_cubin(self):
        answer = self.run_json("occupancy", "--kernel", self.cubin("sm_90"), "--block", "128")
        self.assertEqual(answer["architecture"], "sm_90")
        self.assertEqual(answer["kernel"]["entry"], "k")
        self.assertEqual(answer["kernel"]["static_shared_bytes"], 400)
        self.assertEqual(answer["kernel"]["max_threads_per_block"], 128)
        self.assertNotIn("spill_stores_bytes", answer["kernel"])
        self.assertTrue(any("spilled" in note for note in answer["notes"]))

    def cubin(self, name):
        path = self.home / f"{name}.cubin"
        path.write_bytes(cubin(name))
        return path

    def test_cubin_of_another_architecture_is_noted(self):
        answer = self.run_json("occupancy", "--kernel", self.cubin("sm_80"), "--arch", "sm_90", "--block", "128")
        self.assertTrue(any("sm_80" in note and "sm_90" in note for note in answer["notes"]))

    def test_files_that_are_none(self):
        text = self.home / "text.cubin"
        text.write_text("no cubin")
        self.assert_bad_input(["occupancy", "--kernel", text, "--block", "64"], "text.cubin", "not a cubin")
        cut = self.home / "cut.cubin"
        cut.write_bytes(cubin("sm_90")[:1500])
        self.assert_bad_input(["occupancy", "--kernel", cut, "--block", "64"], "cut.cubin", "not a cubin")
        ptx = self.home / "kernel.ptx"
        ptx.write_text(".version 8.0\n.target sm_90\n")
        self.assert_bad_input(["occupancy", "--kernel", ptx, "--arch", "sm_90", "--block", "64"], "PTX", "ptxas")
        self.assert_bad_input(["occupancy", "--kernel", self.home / "missing.cubin", "--block", "64"], "missing.cubin")
        self.assert_bad_input(["occupancy", "--kernel", self.cubin("sm_90"), "--entry", "kk", "--block", "64"], "'kk'", "'k'")
        self.assert_bad_input(["occupancy", "--arch", "sm_90", "--entry", "k", "--block", "64"], "--entry", "--kernel")

    def test_fatbin_goes_through_cuobjdump(self):
        fatbin = self.home / "two.fatbin"
        fatbin.write_bytes(b"\x50\xed\x55\xba" + bytes(60))
        empty = self.home / "empty"
        empty.mkdir()
        environment = {"PATH": str(empty), "CUDA_HOME": str(empty), "CUDA_PATH": str(empty)}
        if not os.access("/usr/local/cuda/bin/cuobjdump", os.X_OK):
            self.assert_bad_input(["occupancy", "--kernel", fatbin, "--block", "64"], "cuobjdump", environment=environment)
        tools = self.home / "toolkit" / "bin"
        tools.mkdir(parents=True)
        script = tools / "cuobjdump"
        script.write_text(f"#!/bin/sh\n[ \"$1 $2\" = '-xelf all' ] || exit 3\n"
                          f"cat '{self.cubin('sm_80')}' > two.1.sm_80.cubin\ncat '{self.cubin('sm_90')}' > two.2.sm_90.cubin\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        environment = {"CUDA_HOME": str(self.home / "toolkit")}
        self.assert_bad_input(["occupancy", "--kernel", fatbin, "--block", "64"], "sm_80, sm_90", "--arch",
                              environment=environment)
        self.assert_bad_input(["occupancy", "--kernel", fatbin, "--arch", "sm_86", "--block", "64"], "no binary for sm_86",
                              environment=environment)
        result = self.run_program("occupancy", "--kernel", fatbin, "--arch", "sm_80", "--block", "64",
                                  environment=environment)
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn("cuobjdump", result.stdout)


class Binaries(CommandLineTest):
    """What other compilers' binaries say, on files made here."""

    def write(self, name, data):
        path = self.home / name
        path.write_bytes(data)
        return path

    def ask(self, path, *flags):
        return self.run_json("occupancy", "--kernel", path, *flags)

    def test_barriers_of_cuda_12(self):
        path = self.write("k.cubin", cubins.cubin([cubins.Kernel("k", code_flags=0x1000006)], cubins.OLDER_SM_90A))
        answer = self.ask(path, "--block", "128")
        self.assertEqual((answer["blocks_per_sm"], answer["occupancy"]), (4, 0.25))
        self.assertEqual(answer["kernel"]["target"], "sm_90a")

    def test_a_required_block_is_the_block(self):
        path = self.write("k.cubin", cubins.cubin([cubins.Kernel("k", info=cubins.required_block(128, 2))]))
        answer = self.ask(path)
        self.assertEqual(answer["configuration"]["block"], [128, 2, 1])
        self.assertEqual(answer["configuration"]["required_block"], [128, 2, 1])
        self.assertEqual(answer["kernel"]["required_block"], [128, 2, 1])
        self.assertEqual(answer["blocks_per_sm"], 8)
        other = self.ask(path, "--block", "256")
        self.assertEqual((other["blocks_per_sm"], other["refusal"]), (0, "required_block"))
        self.assertIn("128 x 2 x 1", other["reason"])
        found = self.run_json("recommend", "--kernel", path, "--workload", "1000000")["recommendations"]
        self.assertEqual([one["configuration"]["block"] for one in found], [[128, 2, 1]])
        text = self.run_program("recommend", "--kernel", path, "--workload", "1000000").stdout
        self.assertIn("128x2", text)
        path = self.write("large.cubin", cubins.cubin([cubins.Kernel("k", registers=255, info=cubins.required_block(64))]))
        result = self.run_program("recommend", "--kernel", path, "--workload", "1000000")
        self.assertEqual(result.returncode, EXIT_FAILURE)
        self.assertIn("compiled for blocks of 64 x 1 x 1 threads and no other", result.stderr)
        self.assertIn("12.5 %", result.stderr)

    def test_clusters_are_said_unasked(self):
        path = self.write("k.cubin", cubins.cubin([cubins.Kernel("k", info=cubins.required_cluster(2))]))
        answer = self.ask(path, "--block", "128")
        self.assertEqual(answer["active_clusters"], "unknown")
        self.assertEqual(answer["configuration"]["required_cluster"], [2, 1, 1])
        refused = self.ask(path, "--block", "128", "--cluster", "4")
        self.assertEqual((refused["blocks_per_sm"], refused["refusal"]), (0, "required_cluster"))
        self.assertIn("clusters of 2 x 1 x 1", refused["reason"])

    def test_launch_bounds_beyond_a_block(self):
        path = self.write("k.cubin", cubins.cubin([cubins.Kernel("k", info=cubins.max_threads(2048))]))
        answer = self.ask(path, "--block", "1024")
        self.assertEqual(answer["kernel"]["max_threads_per_block"], 2048)
        self.assertEqual(answer["blocks_per_sm"], 2)

    def test_dynamic_memory_is_asked_for_or_read(self):
        image = cubins.cubin([cubins.Kernel("k", refers=True)])
        path = self.write("k.sm90.cubin", image)
        answer = self.ask(path, "--block", "128")
        self.assertTrue(answer["kernel"]["untold_shared"])
        self.assertTrue(any("--dynamic-shared" in note for note in answer["notes"]))
        for name, text in (("k.sm90.json", '{"name": "k", "shared": 50000}'), ("k.meta", '{"k_smem_bytes": 50000}')):
            metadata = self.write(name, text.encode())
            answer = self.ask(path, "--block", "128")
            self.assertEqual(answer["configuration"]["dynamic_shared_bytes"], 50000, name)
            self.assertTrue(any(name in note for note in answer["notes"]), answer["notes"])
            self.assertFalse(answer["kernel"]["untold_shared"])
            self.assertEqual(self.ask(path, "--block", "128", "--dynamic-shared", "9")["configuration"]["dynamic_shared_bytes"], 9)
            listed = self.ask(path, "--block", "128", "--all")["kernels"][0]
            self.assertEqual(listed["configuration"]["dynamic_shared_bytes"], 50000)
            metadata.unlink()
        for text in ("no JSON", "[1]", '{"name": "k", "shared": 99999999999999}', '{"name": "k", "shared": -1}'):
            self.write("k.json", text.encode())
            answer = self.ask(path, "--block", "128")
            self.assertEqual(answer["configuration"]["dynamic_shared_bytes"], 0)
        self.write("k.json", b"no JSON")
        self.assertTrue(any("'k.json' beside the binary is not used" in note for note in self.ask(path, "--block", "128")["notes"]))

    def test_containers_gather_all_images(self):
        first, second = (cubins.cubin([cubins.Kernel(name)]) for name in ("first", "second"))
        special = cubins.cubin([cubins.Kernel("first", registers=99)], note=b"-arch sm_90a ")
        path = self.write("both.fatbin", cubins.fatbin([(90, "", first), (90, "", second), (90, "a", special)]))
        self.assert_bad_input(["occupancy", "--kernel", path, "--block", "64"], "sm_90, sm_90a", "--arch")
        answer = self.ask(path, "--arch", "sm_90", "--entry", "second", "--block", "64")
        self.assertEqual(answer["kernel"]["origin"], "read from the fatbin")
        self.assertEqual(self.ask(path, "--arch", "90a", "--block", "64")["kernel"]["registers_per_thread"], 99)
        self.assert_bad_input(["occupancy", "--kernel", path, "--arch", "sm_90", "--block", "64"], "2 kernels", "'first', 'second'")
        self.assert_bad_input(["occupancy", "--kernel", path, "--arch", "sm_80", "--block", "64"], "no binary for sm_80")
        library = self.write("lib.a", cubins.archive([("one.o", first), ("two.o", second), ("text", b"nothing")]))
        answer = self.ask(library, "--entry", "second", "--block", "64")
        self.assertEqual(answer["kernel"]["origin"], "read from the archive, two.o")
        self.assertEqual([one["member"] for one in self.ask(library, "--all")["kernels"]], ["one.o", "two.o"])

    def test_a_large_library_is_in_memory_once(self):
        program = pathlib.Path(PROGRAM).read_bytes()
        if b"__tsan_init" in program or b"__asan_init" in program:
            self.skipTest("sanitizers keep memory of their own for each byte")
        size = 200 << 20
        path = self.home / "large.a"
        with open(path, "wb") as file:
            file.write(cubins.archive([("one.o", cubins.cubin([cubins.Kernel("k")])), ("filler", b"")])[:-60])
            file.write(f"{'filler/':16}{0:<12}{0:<6}{0:<6}{644:<8}{size:<10}`\n".encode())
            file.truncate(file.tell() + size)
        for flags in (["--all"], ["--entry", "k", "--block", "64"]):
            process = subprocess.Popen([PROGRAM, "occupancy", "--kernel", str(path), *flags], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment(None))
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, EXIT_SUCCESS)
            self.assertGreater(usage.ru_maxrss * 1024, size, "or it was not read at all, and this test says nothing")
            self.assertLess(usage.ru_maxrss * 1024, 1.5 * size)

    def test_what_is_not_linked_is_refused(self):
        image = cubins.cubin([cubins.Kernel("k")], kind=1)
        for path in (self.write("k.cubin", image), self.write("k.fatbin", cubins.fatbin([(90, "", image)]))):
            self.assert_bad_input(["occupancy", "--kernel", path, "--block", "64"], "link it first", path.name)
        mixed = self.write("mixed.fatbin", cubins.fatbin([(90, "", image), (90, "", cubins.cubin([cubins.Kernel("linked")]))]))
        answer = self.ask(mixed, "--block", "64")
        self.assertEqual(answer["kernel"]["entry"], "linked")
        self.assertTrue(any("relocatable" in note for note in answer["notes"]))

    def test_what_is_not_compiled_to_the_end_is_named(self):
        both = self.write("lto.fatbin", cubins.fatbin([(90, "", b"text", 1), (90, "", b"intermediate code", 8)]))
        self.assert_bad_input(["occupancy", "--kernel", both, "--all"], "lto.fatbin", "link-time optimisation (for sm_90)",
                              "link it first, with nvcc -dlto")
        text = self.write("ptx.fatbin", cubins.fatbin([(90, "", b"text", 1), (80, "", b"text", 1)]))
        self.assert_bad_input(["occupancy", "--kernel", text, "--all"], "PTX only (for sm_80, sm_90)", "-arch=sm_90")
        empty = self.write("other.fatbin", cubins.fatbin([(90, "", b"something else", 77)]))
        self.assert_bad_input(["occupancy", "--kernel", empty, "--all"], "holds no GPU binary")

    def test_names_without_return_type_and_parameters(self):
        symbols = ("_ZN2ns4tmplILi8EfEEvPT0_", "_ZN2ns4tmplILi4EfEEvPT0_", "_ZN2ns33_GLOBAL__N__21f63f3b_4_k_cu_plain6hiddenEPf")
        path = self.write("k.cubin", cubins.cubin([cubins.Kernel(symbol) for symbol in symbols]))
        for entry, symbol in (("ns::tmpl<8,float>", symbols[0]), ("tmpl<4, float>", symbols[1]), ("ns::hidden", symbols[2])):
            answer = self.ask(path, "--entry", entry, "--block", "64")
            self.assertEqual(answer["kernel"]["entry"], symbol)
        self.assertEqual(answer["kernel"]["name"], "ns::(anonymous namespace)::hidden")
        self.assert_bad_input(["occupancy", "--kernel", path, "--entry", "tmpl", "--block", "64"], "'ns::tmpl<8, float>'")
        self.assert_bad_input(["occupancy", "--kernel", path, "--entry", "hiden", "--block", "64"], "did you mean 'hidden'")
        many = self.write("many.cubin", cubins.cubin([cubins.Kernel(f"k{i}") for i in range(60)]))
        result = self.assert_bad_input(["occupancy", "--kernel", many, "--block", "64"], "60 kernels", "and 40 others")
        self.assertNotIn("'k20'", result.stderr)

    def test_what_can_be_changed_is_explained(self):
        bounds = cubins.max_threads(512) + cubins.register_limit(128)
        kernels = [cubins.Kernel("stopped", registers=32, stack=856, info=bounds),
                   cubins.Kernel("spills", registers=32, shared=1024 + 40960, info=cubins.shared_spills(40960)),
                   cubins.Kernel("padded", shared=3072, alignment=1024),
                   cubins.Kernel("moves", registers=168, info=cubins.SETMAXNREG),
                   cubins.Kernel("plain")]
        path = self.write("k.cubin", cubins.cubin(kernels))

        def hints(entry):
            return [one for one in self.ask(path, "--entry", entry, "--block", "512")["suggestions"]]

        stopped = next(one for one in hints("stopped") if "__launch_bounds__(512, 1)" in one["text"])
        self.assertIn("856 bytes", stopped["text"])
        self.assertEqual(stopped["configuration"]["registers_per_thread"], 128)
        self.assertEqual(stopped["occupancy"], 0.25)
        spills = next(one for one in hints("spills") if "enable_smem_spilling" in one["text"])
        self.assertEqual(spills["occupancy"], 1)
        padded = next(one for one in hints("padded") if "alignment of 1024" in one["text"])
        self.assertEqual(padded["configuration"]["static_shared_bytes"], 2048 - 1023)
        moves = next(one for one in hints("moves") if "setmaxnreg" in one["text"])
        self.assertIsNone(moves["occupancy"])
        for word in ("launch_bounds", "spilling", "alignment", "setmaxnreg"):
            self.assertFalse(any(word in one["text"] for one in hints("plain")))
        self.assertIn("would help", self.run_program("occupancy", "--kernel", path, "--entry", "moves", "--block", "64").stdout)

    def test_all_kernels_of_a_file(self):
        kernels = [cubins.Kernel("wide", registers=64, info=cubins.required_block(256) + cubins.barriers(4)),
                   cubins.Kernel("bound", info=cubins.max_threads(64)), cubins.Kernel("asks", refers=True)]
        path = self.write("k.cubin", cubins.cubin(kernels))
        rows = {one["entry"]: one for one in self.ask(path, "--all", "--block", "128")["kernels"]}
        self.assertEqual(rows["wide"]["configuration"]["block"], [256, 1, 1])
        self.assertEqual((rows["wide"]["blocks_per_sm"], rows["wide"]["limiting_factors"]), (4, ["registers"]))
        self.assertEqual((rows["bound"]["blocks_per_sm"], rows["bound"]["refusal"]), (0, "launch_bounds"))
        self.assertTrue(rows["asks"]["untold_shared"])
        self.assertEqual(self.ask(path, "--all", "--entry", "asks")["kernels"][0]["configuration"]["block"], [1024, 1, 1])
        table = self.run_program("occupancy", "--kernel", path, "--all")
        self.assertEqual(table.returncode, EXIT_SUCCESS, table.stderr)
        self.assertEqual(len(table.stdout.splitlines()), 5)
        self.assertIn("0+?", table.stdout)
        self.assertIn("--dynamic-shared", table.stderr)
        self.assert_bad_input(["occupancy", "--all", "--arch", "sm_90"], "--kernel")
        self.assert_bad_input(["occupancy", "--all", "--kernel", path, "--sweep", "block"], "--sweep")

    def test_five_thousand_kernels(self):
        path = self.write("large.cubin", cubins.cubin([cubins.Kernel(f"_ZN2ns4tmplILi{i}EfEEvPT0_", refers=i % 2 == 0,
                                                                     info=cubins.max_threads(256)) for i in range(5000)]))
        kernels = self.ask(path, "--all")["kernels"]
        self.assertEqual(len(kernels), 5000)
        self.assertEqual(kernels[4999]["name"], "ns::tmpl<4999, float>")
        self.assertEqual(self.ask(path, "--entry", "tmpl<77, float>")["kernel"]["name"], "ns::tmpl<77, float>")


class Mistakes(CommandLineTest):
    def test_numbers(self):
        base = ["occupancy", "--arch", "sm_90"]
        for flags, words in ((["--block", "0"], ["--block", "1"]),
                             (["--block", "2000"], ["--block 2000", "1024"]),
                             (["--block", "64x64"], ["4096 threads"]),
                             (["--block", "wide"], ["--block 'wide'"]),
                             (["--block", "2x2x2x2"], ["three dimensions"]),
                             (["--block", "64", "--registers", "-1"], ["--registers"]),
                             (["--block", "64", "--static-shared", "-5"], ["--static-shared"]),
                             (["--block", "64", "--dynamic-shared", "99999999999999"], ["--dynamic-shared"]),
                             (["--block", "64", "--dynamic-shared", "99999999999999999999999"], ["--dynamic-shared"]),
                             (["--block", "64", "--max-dynamic-shared", "lots"], ["--max-dynamic-shared"]),
                             (["--block", "64", "--carveout", "101"], ["--carveout", "100"]),
                             (["--block", "64", "--caching", "onn"], ["--caching", "strict"]),
                             (["--block", "64", "--barriers", "-2"], ["--barriers"]),
                             (["--block", "64", "--grid", "0"], ["--grid"]),
                             (["--block", "64", "--sweep", "blocks"], ["did you mean 'block'"]),
                             (["--block", "64", "--svg", "x.svg"], ["--sweep"])):
            with self.subTest(flags=flags):
                self.assert_bad_input(base + flags, *words)

    def test_architectures_and_devices(self):
        self.assert_bad_input(["occupancy", "--arch", "sm_13", "--block", "64"], "sm_13", "sm_90")
        self.assert_bad_input(["occupancy", "--arch", "sn_90", "--block", "64"], "did you mean 'sm_90'")
        self.assert_bad_input(["occupancy", "--arch", "sm_90", "--device", "cuda:0", "--block", "64"], "--device")
        self.assert_bad_input(["occupancy", "--device", "sim:7", "--block", "64"], "sim:7")

    def test_recommend(self):
        self.assert_bad_input(["recommend", "--arch", "sm_90"], "--workload")
        self.assert_bad_input(["recommend", "--arch", "sm_90", "--workload", "0"], "--workload")
        self.assert_bad_input(["recommend", "--arch", "sm_90", "--workload", "9", "--min-occupancy", "2"], "--min-occupancy")
        self.assert_bad_input(["recommend", "--arch", "sm_90", "--workload", "9", "--min-block", "512", "--max-block", "64"],
                              "--max-block")
        self.assert_bad_input(["recommend", "--arch", "sm_90", "--workload", "9", "--grid-stride"], "device")
