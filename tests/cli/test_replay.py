"""A recorded space in the place of a device: --device replay:FILE of `tune`, `compare` and `devices`."""

import gzip
import json
import unittest

from specifications import buffer, specification
from support import CommandLineTest, EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_SUCCESS, SIMULATED, SOURCE, identity, journal_trials
from test_simulate import cache_file

DATA = SOURCE.parent / "shared" / "data"


class Replay(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.file = self.home / "GPU.json.gz"
        self.file.write_bytes(gzip.compress(json.dumps(cache_file()).encode()))
        self.device = f"replay:{self.file}"

    def specification(self, tile="tile", largest=256):
        (self.home / "valley.cu").write_text("")
        path = self.home / "valley.toml"
        path.write_text(specification(
            "valley", {"cuda": "valley.cu"}, {"n": 4096},
            {"layout": ["row", "column"], tile: {"values": [1, 2, 4, 8], "default": 1},
             "block": {"values": [16, 32, 64, 128, largest], "default": 16}},
            [buffer("y", "out")], {"entry": "valley", "block": ["block"], "grid": ["ceil_div(n, block)"], "args": ["y"]},
            constraints=[f"block * {tile} <= 512"], metrics={"elements/ns": "n / time_ns"}))
        return path

    def tune(self, *arguments, **options):
        return self.run_json("tune", "--device", self.device, "--quiet", *arguments, **options)

    def test_finds_the_recorded_optimum(self):
        report = self.tune()
        best = min((entry for entry in cache_file()["cache"].values() if not isinstance(entry["time"], str)),
                   key=lambda entry: entry["time"])
        self.assertEqual(report["best"]["configuration"], {name: best[name] for name in ("block", "tile", "layout")})
        self.assertAlmostEqual(report["best"]["median_ns"], best["time"] * 1e6, places=3)
        self.assertEqual(report["kernel"], "valley")
        self.assertEqual(report["evaluations"], 38)
        self.assertEqual(report["failures"], {"launch_failed": 2})
        self.assertEqual((report["device"]["id"], report["device"]["kind"], report["device"]["name"]),
                         ("replay:0", "simulated", "GPU (recorded)"))
        self.assertIn("not verified", report["verification"])
        self.assertFalse(report["reverified"])
        # Time is what the record charges: (500 + block + 20) ms for each.
        self.assertGreater(report["time"]["total_s"], 38 * 0.52)
        self.assertLess(report["time"]["total_s"], 38 * 0.8)

    def test_the_same_on_every_run(self):
        arguments = ("--strategy", "bayesian", "--max-evaluations", 15, "--seed", 3, "--no-session", "--no-profile")

        def told(report):
            for dated in report["trials"] + [report["baseline"], report]:
                del dated["finished_at"]
            del report["began_at"]
            return report

        first, second = told(self.tune(*arguments)), told(self.tune(*arguments))
        self.assertEqual(first, second)
        self.assertEqual(first["evaluations"], 15)
        self.assertNotEqual([identity(trial) for trial in first["trials"]],
                            [identity(trial) for trial in self.tune(*arguments[:5], 4, *arguments[6:])["trials"]])

    def test_a_time_limit_is_of_recorded_time(self):
        report = self.tune("--strategy", "random", "--time-limit", "5s")
        self.assertEqual(report["stop_reason"], "time limit")
        charged = sum(trial["times"]["compile_wall_ns"] + trial["times"]["measure_ns"] for trial in report["trials"]) / 1e9
        self.assertGreater(charged, 4)
        self.assertLess(charged, 6.5)

    def test_journal_resume_and_show(self):
        arguments = ("--strategy", "random", "--session", "session", "--no-profile")
        self.tune(*arguments, "--max-evaluations", 10)
        self.assertEqual(len(journal_trials(self.home / "session")), 10)
        report = self.tune(*arguments, "--max-evaluations", 20, "--resume")
        self.assertEqual((report["resumed_from"], report["evaluations"]), (10, 20))
        shown = self.run_json("show", "session")
        self.assertEqual((shown["device_id"], shown["device"]), ("replay:0", "GPU (recorded)"))
        self.assertEqual(len(shown["trials"]), 20)
        self.assertEqual(shown["details"]["device"], self.device)
        # Another recording is another session.
        self.file.write_bytes(gzip.compress(json.dumps(cache_file(slow=2)).encode()))
        result = self.run_program("tune", "--device", self.device, *arguments, "--resume", "--quiet")
        self.assertEqual(result.returncode, EXIT_BAD_INPUT)
        self.assertIn("of a recorded device, the recording", result.stderr)

    def test_the_profile_is_marked(self):
        report = self.tune("--profiles", "profiles.sqlite")
        self.assertIsNotNone(report["profile_id"])
        profile = self.run_json("profiles", "export", "--profiles", "profiles.sqlite")["profiles"][0]
        self.assertEqual((profile["key"]["backend"], profile["key"]["device_kind"]), ("replay", "simulated"))
        self.assertIn("replay of", profile["provenance"])

    def test_specification(self):
        report = self.tune(self.specification())
        # The recording's 38 without those of more than 512 threads in all, and what was not recorded is not asked.
        self.assertEqual(report["space"]["size"], sum(entry["block"] * entry["tile"] <= 512
                                                      for entry in cache_file()["cache"].values()))
        self.assertEqual(report["baseline"]["configuration"], {"layout": "row", "tile": 1, "block": 16})
        self.assertGreater(report["speedup"], 1)
        self.assertEqual(report["problem"], {"n": 4096})
        self.assertIn("elements/ns", report["best"]["metrics"])
        larger = self.tune(self.specification(), "--problem", "n=8192")
        self.assertEqual(larger["problem"], {"n": 8192})
        result = self.run_program("tune", self.specification(), "--device", self.device)
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn("break the constraints", result.stderr)
        self.assertIn("of recorded time", result.stderr)
        self.assertIn("faster than the baseline", result.stdout)

    def test_compare(self):
        report = self.run_json("compare", "--device", self.device, "--config", "block=64,tile=2,layout=column", "--config",
                               "block=32,tile=2,layout=column")
        self.assertEqual(report["fastest"], 0)
        self.assertAlmostEqual(report["configurations"][1]["ratio"], 2.0)
        report = self.run_json("compare", self.specification(), "--device", self.device, "--config", "baseline", "--config",
                               "block=256,tile=4", expect=EXIT_FAILURE)
        self.assertEqual(report["configurations"][1]["status"], "pruned")
        self.assertIn("not in the recording", report["configurations"][1]["message"])

    def test_devices(self):
        report = self.run_json("devices", "--device", self.device)
        self.assertEqual(report["device"]["id"], "replay:0")
        self.assertEqual((report["recording"]["configurations"], report["recording"]["valid"]), (38, 36))
        self.assertEqual(report["recording"]["kernel"], "valley")
        self.assertAlmostEqual(report["recording"]["best_ms"], 1.0)
        result = self.run_program("devices", "--device", self.device)
        self.assertEqual(result.returncode, EXIT_SUCCESS)
        self.assertIn("38, 36 of them valid", result.stdout)
        self.assertEqual(self.run_json("devices", "--device", "sim:0")["device"]["id"], "sim:0")
        self.assert_bad_input(["devices", "--device", "sim"], "sim")

    def test_errors(self):
        self.assert_bad_input(["tune", "--device", "replay:none.json"], "none.json")
        self.assert_bad_input(["tune", "--device", "replay:"], "replay:FILE")
        self.assert_bad_input(["tune"], "SPEC is missing")
        self.assert_bad_input(["compare", "--config", "a=1"], "SPEC is missing")
        wrong = self.home / "wrong.json"
        wrong.write_text("[1, 2]")
        self.assert_bad_input(["tune", "--device", f"replay:{wrong}"], "wrong.json", "Kernel Tuner")
        self.assert_bad_input(["devices", "--device", f"replay:{wrong}"], "wrong.json")
        self.assert_bad_input(["tune", self.specification(tile="tyle"), "--device", self.device], "GPU.json.gz", "valley.toml",
                              "'tile'", "did you mean 'tyle'")
        self.assert_bad_input(["tune", self.specification(largest=512), "--device", self.device], "block = 256")
        self.assert_bad_input(["tune", SIMULATED, "--device", self.device], "no recording of")
        self.assert_bad_input(["tune", "--device", self.device, "--problem", "n=1"], "--problem")
        self.assert_bad_input(["tune", "--device", self.device, "--strategy", "randm"], "did you mean 'random'")
        self.assert_bad_input(["check", SIMULATED, "--device", self.device], "replay", "tune")
        rate = cache_file()
        rate["objective"] = "GFLOP/s"
        for entry in rate["cache"].values():
            entry["GFLOP/s"] = 1.0
        (self.home / "rate.json").write_text(json.dumps(rate))
        self.assert_bad_input(["tune", "--device", "replay:rate.json"], "GFLOP/s", "simulate")

    def test_published_recording(self):
        file = DATA / "recorded-spaces" / "convolution" / "A4000.json.gz"
        if not file.exists():
            raise unittest.SkipTest(f"no recorded spaces in {DATA}")
        report = self.run_json("tune", DATA / "t1" / "convolution_milo.json", "--device", f"replay:{file}", "--strategy",
                               "exhaustive", "--time-limit", "10h", "--quiet", "--no-session", "--no-profile")
        self.assertEqual(report["evaluations"], 4362)
        cache = json.loads(gzip.decompress(file.read_bytes()))["cache"].values()
        times = [entry["time"] for entry in cache if not isinstance(entry["time"], str)]
        self.assertAlmostEqual(report["best"]["median_ns"] / 1e6, min(times), places=9)
        self.assertEqual(sum(report["failures"].values()), 4362 - len(times))
        self.assertGreater(report["speedup"], 1)
