"""`warpwright frame`: the reference workloads of all stages, checked against their oracle and timed, on this CPU."""

import json
import struct

from support import CommandLineTest, EXIT_BAD_INPUT, EXIT_SUCCESS

STAGES = ["upload", "S1", "S2", "S3", "S4", "S5", "S6A", "S6B", "S7", "S8", "summary", "download"]


def write_npy(path, values, columns):
    """float32, rows of `columns` values."""
    shape = f"({len(values) // columns}, {columns})"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(118 - 1) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                     + struct.pack(f"<{len(values)}f", *values))


class Frame(CommandLineTest):
    def test_a_newcomer_sees_verified_output_and_times(self):
        result = self.run_program("frame", "run", "--n", 64, "--frames", 100)
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stdout + result.stderr)
        for words in ("frame of n = 64 on", "100 frames, host to host: p50", "p99.9", "frames/s", "output verified: frames 0, 99, 100",
                      "S6A", "summary", "rho "):
            self.assertIn(words, result.stdout)
        # That defaults run is said once, not by each stage.
        self.assertEqual(result.stderr.count("default configurations run"), 1)
        report = self.run_json("frame", "run", "--n", 64, "--frames", 100)
        self.assertIs(report["verified"], True)
        times = report["times"]
        self.assertEqual(times["frames"], 100)
        self.assertLessEqual(times["p50_us"], times["p99_us"])
        self.assertLessEqual(times["p99_9_us"], times["max_us"])
        self.assertEqual([stage["stage"] for stage in times["by_stage"]], STAGES)
        self.assertAlmostEqual(sum(stage["mean_us"] for stage in times["by_stage"]), times["by_stage_sum_us"], places=3)
        self.assertEqual(report["bytes_up"], 4096 + 4 * 64)
        self.assertEqual(report["flow_frames"], 100)
        self.assertEqual(report["coupling_age"], 0)
        self.assertEqual([stage["stage"] for stage in report["stages"]], STAGES[1:-2])
        self.assertTrue(all(stage["tuned"] is False for stage in report["stages"]))
        self.assertTrue(0 <= report["summary"]["rho"] <= 1)
        self.assertLess(abs(report["summary"]["norm"] - 1), 1e-4)

    def test_check_and_dump(self):
        result = self.run_program("frame", "check", "--n", 64, "--seed", 5)
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stdout + result.stderr)
        self.assertIn("every stage is right", result.stdout)
        folder = self.home / "dump"
        report = self.run_json("frame", "run", "--n", 64, "--frames", 20, "--period", 5, "--dump", folder, "--quiet")
        # 106 frames for the check and 100 to warm up; S2 and S3 run every fifth.
        self.assertEqual(report["flow_frames"], 4)
        manifest = json.loads((folder / "manifest.json").read_text())
        self.assertEqual(manifest["n"], 64)
        self.assertIs(manifest["verified"], True)
        for array in manifest["arrays"]:
            self.assertTrue((folder / array["file"]).stat().st_size > 0, array)
        self.assertLessEqual({"input", "state", "S1", "S4", "S5", "S6A", "S6B", "S7", "S8", "summary"},
                             {array["stage"] for array in manifest["arrays"]})

    def test_recorded_input(self):
        file = self.home / "x.npy"
        write_npy(file, [0.5, 0.25, 1.0] * 18, 27)
        report = self.run_json("frame", "check", "--n", 27, "--input", file, "--quiet")
        self.assertIs(report["check"]["passed"], True)
        self.assert_bad_input(("frame", "check", "--n", 28, "--input", file), "--input", "54 values", "n = 28")
        write_npy(file, [0.5] * 30 + [float("nan")] + [0.5] * 23, 27)
        self.assert_bad_input(("frame", "check", "--n", 27, "--input", file), "--input", "value 3 of frame 1 is nan", "finite")

    def test_mistakes(self):
        for arguments, words in (
                (("--n", 0), ("--n", "at least 9")),
                (("--n", 8), ("--n", "at least 9")),
                (("--n", "many"), ("--n",)),
                (("--n", 2000000), ("--n 2000000", "does not fit", "at most")),
                (("--batch", 2), ("--batch 2", "only --batch 1")),
                (("--frames", 0), ("--frames", "at least 1")),
                (("--period", 0), ("--period", "at least 1")),
                (("--device", "sim:0"), ("--device sim:0", "cuda or opencl")),
                (("--profiles", "absent.sqlite"), ("absent.sqlite",))):
            result = self.run_program("frame", "run", *arguments)
            self.assertEqual(result.returncode, EXIT_BAD_INPUT, f"{arguments}: {result.stdout}{result.stderr}")
            for word in words:
                self.assertIn(word, result.stderr, arguments)
