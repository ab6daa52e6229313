"""`warpwright tune` from start to end on the CPU: its JSON, its account of time, its repeatability."""

import json
import time

from support import CommandLineTest, CpuTest, ESCAPE, EXIT_BAD_INPUT, EXIT_SUCCESS, KERNELS, SIMULATED, STATUSES, VECTOR_ADD, \
    identity, journal_records

TIME_PARTS = ("startup_s", "compile_wait_s", "copy_s", "verify_s", "measure_s", "tuner_s", "finish_s")
TRANSPOSE = str(KERNELS / "transpose" / "transpose.toml")


class SimulatedTune(CommandLineTest):
    def tune(self, *options):
        return self.run_json("tune", SIMULATED, "--device", "sim:0", "--no-session", *options)

    def test_the_same_seed_gives_the_same_configurations_in_the_same_order(self):
        def order(seed):
            report = self.tune("--max-evaluations", 20, "--seed", seed, "--strategy", "random", "--no-profile", "--quiet")
            return [identity(trial) for trial in report["trials"]]

        first = order(3)
        self.assertEqual(len(set(first)), 20)
        self.assertEqual(order(3), first)
        self.assertNotEqual(order(4), first)

    def test_auto_is_exhaustive_where_the_budget_covers_the_space(self):
        self.assertEqual(self.tune("--max-evaluations", 10, "--no-profile")["strategy"], "auto")
        self.assertEqual(self.tune("--max-evaluations", 1000, "--compile-deadline", "1s", "--run-deadline", "1s",
                                   "--no-profile")["strategy"], "exhaustive")

    def test_cache_modes_and_samples(self):
        report = self.tune("--max-evaluations", 4, "--cache", "warm", "--min-samples", 7, "--max-samples", 7)
        self.assertEqual(report["cache_mode"], "warm")
        self.assertEqual({len(trial["samples"]) for trial in report["trials"] if trial["status"] == "ok"}, {7})
        profile = self.run_json("profiles", "show", report["profile_id"])["profile"]
        self.assertEqual(profile["key"]["cache_mode"], "warm")

    def test_starts_from_what_was_best_before(self):
        before = self.run_json("tune", SIMULATED, "--device", "sim:0", "--session", "before", "--max-evaluations", 30,
                               "--strategy", "random", "--seed", 5)
        best = before["best"]["configuration"]

        def first(source, *more):
            report = self.tune("--max-evaluations", 12, "--strategy", "random", "--no-profile", "--start-from", source, *more)
            return [trial["configuration"] for trial in report["trials"]]

        session = first("before")
        self.assertIn(best, session[:6])  # the baseline of the specification may come before
        self.assertIn(best, first(self.home / "data" / "warpwright" / "profiles.sqlite")[:2])
        self.run_program("export", "before", "--output", "before.json.gz")
        self.assertEqual(first("before.json.gz"), session)
        result = self.run_program("tune", SIMULATED, "--device", "sim:0", "--start-from", "nowhere", "--no-session")
        self.assertEqual(result.returncode, EXIT_BAD_INPUT)
        self.assertIn("there is no file or folder 'nowhere'", result.stderr)

    def test_time_limit(self):
        report = self.tune("--strategy", "random", "--time-limit", "2s", "--no-cache", "--run-deadline", "1s",
                           "--compile-deadline", "1s", "--no-profile")
        self.assertIn("time limit", report["stop_reason"])
        self.assertGreater(report["evaluations"], 0)
        self.assertLess(report["evaluations"], report["space"]["size"])
        self.assertGreaterEqual(report["time"]["total_s"], 2)
        # What is on the device at the limit may end, then the finalists are compared.
        self.assertLess(report["time"]["total_s"] - report["time"]["finish_s"], 4)

    def test_several_compilers(self):
        report = self.tune("--max-evaluations", 40, "--jobs", 4, "--no-cache", "--no-profile")
        self.assertEqual(len({identity(trial) for trial in report["trials"]}), 40)

    def test_second_run_takes_binaries_from_the_cache(self):
        options = ("--max-evaluations", 5, "--no-profile", "--seed", 2)
        self.assertFalse(any(trial["binary_from_cache"] for trial in self.tune(*options, "--no-cache")["trials"]))
        self.tune(*options)
        again = [trial for trial in self.tune(*options)["trials"] if trial["status"] == "ok"]
        self.assertTrue(again and all(trial["binary_from_cache"] for trial in again))


class Tune(CpuTest):
    def test_json(self):
        begin = time.monotonic()
        report = self.run_json("tune", TRANSPOSE, *self.on_cpu, "--max-evaluations", 12, "--seed", 7,
                               "--session", "session")
        wall = time.monotonic() - begin

        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(report["kernel"], "transpose")
        self.assertEqual(report["device"]["id"], self.device)
        self.assertEqual(report["seed"], 7)
        self.assertGreater(report["space"]["size"], 12)
        self.assertEqual(report["evaluations"], 12)
        self.assertEqual(report["resumed_from"], 0)
        self.assertFalse(report["interrupted"])

        trials = report["trials"]
        self.assertEqual(len(trials), 12)
        self.assertEqual(len({identity(trial) for trial in trials}), 12)
        self.assertEqual([trial["ordinal"] for trial in trials], list(range(12)))
        for trial in trials:
            self.assertIn(trial["status"], STATUSES)
            if trial["status"] == "ok":
                self.assertGreater(trial["median_ns"], 0)
                self.assertGreaterEqual(len(trial["samples"]), 1)
                self.assertLessEqual(min(trial["samples"]), trial["median_ns"])
                self.assertGreaterEqual(max(trial["samples"]), trial["median_ns"])
        failed = {}
        for trial in trials:
            if trial["status"] not in ("ok", "censored"):
                failed[trial["status"]] = failed.get(trial["status"], 0) + 1
        self.assertEqual(report["failures"], failed)

        best, baseline = report["best"], report["baseline"]
        # The baseline is no trial of a random search, but may be what wins.
        self.assertIn(identity(best), {identity(trial) for trial in [*trials, baseline] if trial["status"] == "ok"})
        self.assertGreater(best["median_ns"], 0)
        self.assertGreater(baseline["median_ns"], 0)
        low, high = report["speedup_interval"]
        self.assertLessEqual(low, report["speedup"])
        self.assertGreaterEqual(high, report["speedup"])
        self.assertTrue(report["reverified"])
        self.assertEqual(report["finalists"][0]["configuration"], best["configuration"])
        self.assertEqual([finalist["configuration"] for finalist in report["finalists"] if finalist["tie"]],
                         report["ties"])

        spent = report["time"]
        self.assertAlmostEqual(sum(spent[part] for part in TIME_PARTS), spent["total_s"], delta=0.02 * spent["total_s"])
        self.assertLessEqual(spent["total_s"], wall)
        self.assertGreater(spent["total_s"], 0.5 * wall)
        self.assertGreater(spent["compile_cpu_s"], 0)
        for part in TIME_PARTS:
            self.assertGreaterEqual(spent[part], 0, part)

        # The journal holds the same trials, and the profile the same winner.
        records = journal_records(self.home / "session")
        self.assertEqual(records[0]["type"], "header")
        kept = [record for record in records if record["type"] == "trial"]
        # In the journal by the time they ended, in the report by the time they were asked for.
        kept.sort(key=lambda trial: trial["ordinal"])
        self.assertEqual([identity(trial) for trial in kept], [identity(trial) for trial in trials])
        shown = {identity(trial): trial["samples"] for trial in self.run_json("show", "session")["trials"]}
        self.assertEqual(shown, {identity(trial): trial["samples"] for trial in trials})

    def test_streams_without_a_terminal(self):
        common = ["tune", VECTOR_ADD, *self.on_cpu, "--problem", "n=65536", "--max-evaluations", 6]
        for environment in ({}, {"NO_COLOR": "1"}, {"TERM": "xterm-256color"}):
            result = self.run_program(*common, environment=environment)
            self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
            self.assertIsNone(ESCAPE.search(result.stdout + result.stderr), "escape codes without a terminal")
            self.assertIn("Winner: ", result.stdout)
            self.assertIn("baseline", result.stdout)
            self.assertIn("tuning vector_add on", result.stderr)

        quiet = self.run_program(*common, "--quiet", "--json")
        self.assertEqual(quiet.returncode, EXIT_SUCCESS, quiet.stderr)
        self.assertEqual(quiet.stderr, "")
        json.loads(quiet.stdout)

    def test_files_are_kept_where_the_user_says(self):
        common = ["tune", VECTOR_ADD, *self.on_cpu, "--problem", "n=65536", "--max-evaluations", 3, "--quiet"]
        nothing = self.run_json(*common, "--no-session", "--no-profile", "--cache-dir", self.home / "elsewhere")
        self.assertIsNone(nothing["session"])
        self.assertIsNone(nothing["profile_id"])
        # The OpenCL implementation may keep a cache of its own; ours is elsewhere, and the rest is not there.
        self.assertLessEqual({path.name for path in self.home.iterdir()}, {"elsewhere", "cache"})
        self.assertFalse((self.home / "cache" / "warpwright").exists())
        self.assertTrue(any((self.home / "elsewhere").iterdir()))

        default = self.run_json(*common)
        self.assertTrue(default["session"].startswith(str(self.home / "state")))
        self.assertTrue(default["profiles_file"].startswith(str(self.home / "data")))
        self.assertGreater(default["profile_id"], 0)

    def test_a_session_folder_is_not_used_twice(self):
        common = ["tune", VECTOR_ADD, *self.on_cpu, "--problem", "n=65536", "--max-evaluations", 2,
                  "--session", "session"]
        self.run_json(*common)
        self.assert_bad_input(common, "session", "resume")

    def test_winner_is_stored_and_found(self):
        report = self.run_json("tune", VECTOR_ADD, *self.on_cpu, "--problem", "n=65536", "--max-evaluations", 4,
                               "--profiles", "profiles.sqlite")
        listed = self.run_json("profiles", "list", "--profiles", "profiles.sqlite")
        self.assertEqual(len(listed["profiles"]), 1)
        profile = listed["profiles"][0]
        self.assertEqual(profile["id"], report["profile_id"])
        self.assertEqual(profile["configuration"], report["best"]["configuration"])
        self.assertEqual(profile["median_ns"], report["best"]["median_ns"])
