"""`warpwright occupancy` and `warpwright recommend`: no GPU is needed for any of this."""

import os
import pathlib
import stat
import xml.etree.ElementTree

from support import CommandLineTest, EXIT_FAILURE, EXIT_SUCCESS, SOURCE

CUBINS = SOURCE / "fuzz" / "corpus" / "cubin"
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
        path.write_bytes((CUBINS / name).read_bytes())
        return path

    def test_cubin_of_another_architecture_is_noted(self):
        answer = self.run_json("occupancy", "--kernel", self.cubin("sm_80"), "--arch", "sm_90", "--block", "128")
        self.assertTrue(any("sm_80" in note and "sm_90" in note for note in answer["notes"]))

    def test_files_that_are_none(self):
        text = self.home / "text.cubin"
        text.write_text("no cubin")
        self.assert_bad_input(["occupancy", "--kernel", text, "--block", "64"], "text.cubin", "not a cubin")
        cut = self.home / "cut.cubin"
        cut.write_bytes((CUBINS / "sm_90").read_bytes()[:1500])
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
                          f"cat '{CUBINS / 'sm_80'}' > two.1.sm_80.cubin\ncat '{CUBINS / 'sm_90'}' > two.2.sm_90.cubin\n")
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
