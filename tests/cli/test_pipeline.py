"""`warpwright pipeline`: streaming through the simulated device, tuning the shape, and what goes wrong."""

import json

from support import CommandLineTest, EXIT_BAD_INPUT, EXIT_SUCCESS

MIB = 1 << 20
BENCH = ("pipeline", "bench", "--device", "sim:0", "--bytes", "64MiB", "--chunk", "1MiB")


class Pipeline(CommandLineTest):
    def test_bench(self):
        trace = self.home / "trace.json"
        report = self.run_json(*BENCH, "--kernel", "balanced", "--pinned-budget", "16MiB", "--device-budget", "16MiB",
                               "--trace", trace)
        self.assertIs(report["verified"], True)
        self.assertEqual(report["chunks"], 64)
        self.assertEqual(report["peak_pinned_bytes"], 6 * MIB)
        self.assertEqual(report["peak_device_bytes"], 6 * MIB)
        for rate in ("h2d_gb_s", "d2h_gb_s"):
            self.assertGreater(report[rate], 20)
        self.assertGreater(report["overlap_efficiency"], 0.8)
        self.assertLess(report["overlap_efficiency"], 1.02)
        self.assertEqual(set(report["stalls"]), {"producer", "upload", "kernel", "download", "consumer"})
        stages = report["stages_alone"]
        self.assertLess(abs(stages["kernel_us"] / stages["upload_us"] - 1), 0.05)
        events = json.loads(trace.read_text())["traceEvents"]
        self.assertEqual(sum(event["ph"] == "X" for event in events), 3 * 64)

    def test_variants_and_weights(self):
        for variant in ("role_streams", "stream_per_slot", "graph"):
            for kernel in ("light", "heavy"):
                report = self.run_json(*BENCH, "--variant", variant, "--kernel", kernel, "--quiet")
                self.assertIs(report["verified"], True)
        text = self.run_program(*BENCH, "--in-place", "--helper-threads", "--poll")
        self.assertEqual(text.returncode, EXIT_SUCCESS, text.stderr)
        self.assertIn("every chunk was right", text.stdout)

    def test_tune_stores_a_profile_that_bench_takes(self):
        report = self.run_json("pipeline", "tune", "--device", "sim:0", "--bytes", "32MiB", "--chunk", "1MiB", "--depth", 2,
                               "--pinned-budget", "32MiB", "--device-budget", "32MiB", "--strategy", "random",
                               "--max-evaluations", 12, "--seed", 1, "--quiet")
        self.assertIs(report["verified"], True)
        self.assertEqual(report["evaluations"], 12)
        self.assertGreaterEqual(report["speedup"], 1)
        self.assertLessEqual(2 * report["best"]["chunk_bytes"] * report["best"]["depth"], 32 * MIB)
        used = self.run_json(*BENCH, "--tuned")
        self.assertEqual(used["shape"], report["best"])
        self.assertEqual(used["profile"], report["profile"])

    def test_mistakes(self):
        for arguments, words in (
                (("--kernel", "balancd"), "did you mean 'balanced'"),
                (("--variant", "graphs"), "did you mean 'graph'"),
                (("--bytes", "many"), "--bytes 'many': write a positive number of bytes"),
                (("--chunk", "1000"), "--chunk '1000': must be a multiple of 4096"),
                (("--pinned-budget", "1MiB"), "of pinned memory, the budget is 1 MiB"),
                (("--tuned",), "run 'warpwright pipeline tune'"),
                (("--depth", "0"), "must be a whole number, at least 1")):
            given = [word for flag, value in (("--bytes", "64MiB"), ("--chunk", "1MiB")) if flag not in arguments
                     for word in (flag, value)]
            done = self.run_program("pipeline", "bench", "--device", "sim:0", *given, *arguments)
            self.assertEqual(done.returncode, EXIT_BAD_INPUT, done.stderr)
            self.assertIn(words, done.stderr)
