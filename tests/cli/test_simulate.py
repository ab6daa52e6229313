"""`warpwright simulate`, `strategies` and `export`: searches on recorded spaces, scores, and other tuners' formats."""

import gzip
import json
import math
import unittest

from support import CommandLineTest, EXIT_SUCCESS, SIMULATED, SOURCE

HUB = SOURCE.parent / "shared" / "data" / "recorded-spaces"


def cache_file(slow=1.0):
    """A made-up space in Kernel Tuner's layout: a valley over three parameters, some failures."""
    lists = {"block": [16, 32, 64, 128, 256], "tile": [1, 2, 4, 8], "layout": ["row", "column"]}
    cache = {}
    for block in lists["block"]:
        for tile in lists["tile"]:
            for layout in lists["layout"]:
                if block * tile > 1024:
                    continue
                entry = {"block": block, "tile": tile, "layout": layout}
                if block == 256 and tile == 4:
                    entry["time"] = "RuntimeFailedConfig"
                else:
                    entry["time"] = slow * (1 + abs(math.log2(block) - 6) + 0.5 * abs(math.log2(tile) - 1)
                                            + (layout == "row") * 0.3)
                    entry["times"] = [entry["time"]] * 3
                entry.update(compile_time=500 + block, verification_time=0, benchmark_time=20, timestamp="2024-01-01")
                cache[f"{block},{tile},{layout}"] = entry
    return {"device_name": "GPU", "kernel_name": "valley", "problem_size": [64, 64], "tune_params_keys": list(lists),
            "tune_params": lists, "objective": "time", "cache": cache}


class Simulate(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.file = self.home / "valley" / "GPU.json"
        self.file.parent.mkdir()
        self.file.write_text(json.dumps(cache_file()))

    def test_scores_with_a_control(self):
        report = self.run_json("simulate", self.file, "--strategy", "auto,genetic", "--repeats", 10, "--score", "--quiet")
        self.assertEqual(set(report["scores"]), {"auto", "genetic", "random"})
        for entry in report["scores"].values():
            self.assertIs(type(entry["score"]), float)
            self.assertEqual(list(entry["spaces"]), ["valley/GPU"])
            self.assertAlmostEqual(entry["score"], entry["spaces"]["valley/GPU"])
            self.assertLessEqual(entry["against_control"]["low"], entry["against_control"]["high"])
        self.assertEqual(report["scores"]["random"]["against_control"]["mean"], 0)
        self.assertEqual(report["spaces"]["valley/GPU"]["valid"], 36)

    def test_the_recordings_of_the_examples(self):
        files = sorted((SOURCE / "examples" / "recorded").glob("*/*.json.gz"))
        self.assertGreaterEqual(len(files), 3)
        report = self.run_json("simulate", *files, "--strategy", "variable-neighbourhood", "--repeats", 3, "--score", "--quiet")
        self.assertEqual(len(report["scores"]["random"]["spaces"]), len(files))
        # Their specifications' spaces, whole.
        sizes = {name.split("/")[0]: space["valid"] for name, space in report["spaces"].items()}
        self.assertEqual(sizes, {"convolution": 3684, "histogram": 2700, "nbody": 510, "point_in_polygon": 400,
                                 "reduction": 2310, "stencil": 1054, "transpose": 1510, "vector_add": 324})

    def test_traces_can_be_scored_again(self):
        traces = self.home / "traces.jsonl"
        self.run_json("simulate", self.file, "--strategy", "random", "--repeats", 3, "--traces", traces, "--quiet")
        lines = [json.loads(line) for line in traces.read_text().splitlines()]
        recorded = cache_file()["cache"]
        self.assertEqual({line["repeat"] for line in lines}, {0, 1, 2})
        for line in lines:
            entry = recorded[",".join(map(str, line["configuration"].values()))]
            self.assertAlmostEqual(line["charged_seconds"], (entry["compile_time"] + entry["benchmark_time"]) / 1000)
            self.assertEqual(line["strategy"], "random")
            self.assertEqual(line["space"], "valley/GPU")
            if line["status"] == "ok":
                self.assertEqual(line["objective"], entry["time"])

    def test_equal_seeds_ask_equal_questions(self):
        def asked(strategy, seed, batch=1):
            traces = self.home / "traces.jsonl"
            self.run_json("simulate", self.file, "--strategy", strategy, "--repeats", 2, "--seed", seed, "--batch", batch,
                          "--budget", 20, "--traces", traces, "--quiet")
            lines = [json.loads(line) for line in traces.read_text().splitlines()]
            return [(line["repeat"], line["configuration"]) for line in lines if line["strategy"] == strategy]

        for strategy in ("auto", "local-search", "differential-evolution"):
            self.assertEqual(asked(strategy, 1), asked(strategy, 1), strategy)
            self.assertNotEqual(asked(strategy, 1), asked(strategy, 2), strategy)
            for batch in (8, 64):
                self.assertEqual(len(asked(strategy, 1, batch)), 40, "a budget of evaluations is unique evaluations")

    def test_budgets(self):
        report = self.run_json("simulate", self.file, "--strategy", "random", "--budget", 7, "--quiet")
        self.assertEqual(report["details"]["random"]["valley/GPU"]["evaluations"], 7)
        report = self.run_json("simulate", self.file, "--strategy", "exhaustive", "--budget", "2s", "--quiet")
        # In order: 3 of 0.536 s and the one that crosses the limit.
        self.assertEqual(report["details"]["exhaustive"]["valley/GPU"]["evaluations"], 4)

    def test_text(self):
        result = self.run_program("simulate", self.file, "--strategy", "tabu", "--score", "--repeats", 3, "--quiet")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        for word in ("tabu", "random", "valley/GPU", "mean", "95 % interval"):
            self.assertIn(word, result.stdout)

    def test_errors(self):
        self.assert_bad_input(["simulate", self.file, "--strategy", "genetics"], "did you mean 'genetic'?")
        self.assert_bad_input(["simulate", self.file, "--strategy", "genetic", "--strategy-option", "popsize=3"],
                              "popsize", "population")
        self.assert_bad_input(["simulate", self.file, "--budget", "soon"], "--budget", "30s")
        self.assert_bad_input(["simulate", self.file, self.file], "valley/GPU")
        self.assert_bad_input(["simulate", self.home / "none.json"], "none.json")
        broken = self.home / "broken.json"
        broken.write_text("[1, 2]")
        self.assert_bad_input(["simulate", broken], "broken.json", "Kernel Tuner")

    def test_published_recordings(self):
        file = HUB / "convolution" / "A4000.json.gz"
        if not file.exists():
            raise unittest.SkipTest(f"no recorded spaces in {HUB}")
        report = self.run_json("simulate", file, "--strategy", "random", "--repeats", 50, "--score", "--quiet")
        # Expected are 0 in the mean and a deviation of about 0.1 with 50 repeats.
        self.assertLess(abs(report["scores"]["random"]["score"]), 0.5)
        space = report["spaces"]["convolution/A4000"]
        self.assertEqual((space["configurations"], space["valid"]), (4362, 4201))
        self.assertEqual(space["target_evaluations"], 323)
        self.assertAlmostEqual(space["target_seconds"], 782.5, places=1)
        self.assertAlmostEqual(space["target"], 1.13537, places=5)
        self.assertEqual(space["configurations_within_target"], 12)
        report = self.run_json("simulate", file, "--repeats", 5, "--score", "--quiet")
        self.assertGreater(report["scores"]["auto"]["score"], report["scores"]["random"]["score"])


class Strategies(CommandLineTest):
    def test_json(self):
        report = self.run_json("strategies")
        names = [strategy["name"] for strategy in report["strategies"]]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual({"auto", "exhaustive", "random", "bayesian", "genetic"}, set(names))
        for strategy in report["strategies"]:
            self.assertNotEqual(strategy["description"], "")
            for option in strategy["options"]:
                self.assertEqual(set(option), {"name", "description", "default"})

    def test_text(self):
        result = self.run_program("strategies")
        self.assertEqual(result.returncode, EXIT_SUCCESS)
        self.assertIn("cost_weight", result.stdout)


class Export(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.file = self.home / "GPU.json"
        self.file.write_text(json.dumps(cache_file()))

    def test_round_trip_through_either_format(self):
        self.run_json("export", self.file, "--format", "t4", "--output", self.home / "t4.json.gz")
        self.assertTrue((self.home / "t4_metadata.json").exists())
        results = json.loads(gzip.decompress((self.home / "t4.json.gz").read_bytes()))
        self.assertEqual(results["schema_version"], "1.0.0")
        self.assertEqual(sum(result["invalidity"] == "correct" for result in results["results"]), 36)
        report = self.run_json("export", self.home / "t4.json.gz", "--old-failures", "--output", self.home / "kt.json")
        self.assertEqual((report["valid"], report["left_out"]), (36, 0))
        again, first = json.loads((self.home / "kt.json").read_text()), cache_file()
        for key in ("device_name", "kernel_name", "problem_size", "tune_params", "tune_params_keys", "cache"):
            self.assertEqual(again[key], first[key], key)

    def test_session(self):
        session = self.home / "session"
        self.run_json("tune", SIMULATED, "--device", "sim:0", "--problem", "n=4096", "--strategy", "exhaustive", "--session", session,
                      "--no-profile", "--quiet")
        report = self.run_json("export", session, "--spec", SIMULATED, "--output", self.home / "session.json")
        cache = json.loads((self.home / "session.json").read_text())
        self.assertEqual(len(cache["cache"]), report["configurations"])
        self.assertGreater(report["valid"], 0)
        # What was recorded can be searched again.
        again = self.run_json("simulate", self.home / "session.json", "--strategy", "random", "--repeats", 2, "--quiet")
        self.assertEqual(next(iter(again["spaces"].values()))["configurations"], report["configurations"])

    def test_errors(self):
        self.assert_bad_input(["export", self.file, "--format", "xml"], "kernel-tuner", "t4")
        self.assert_bad_input(["export", self.file, "--spec", SIMULATED], "--spec")
        self.assert_bad_input(["export", self.home / "none"], "none")
