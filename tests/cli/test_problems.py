"""Whole kernels that need more of the problem model than one source and one list of launches, checked and tuned."""

import pathlib

from support import CpuTest, EXIT_FAILURE, EXIT_SUCCESS, identity, journal_trials

PROBLEMS = pathlib.Path(__file__).parent / "data" / "problems"


class WholeProblem(CpuTest):
    def copied(self, name, *replacements):
        """The specification, beside copies of its kernels, with some text of it replaced."""
        folder = self.home / name
        folder.mkdir()
        for file in PROBLEMS.iterdir():
            (folder / file.name).write_text(file.read_text())
        path = folder / f"{name}.toml"
        text = path.read_text()
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new)
        path.write_text(text)
        return path

    def tune_all(self, specification, expected):
        """Tunes the whole space; every configuration must have been right."""
        session = self.home / "session"
        report = self.run_json("tune", specification, *self.on_cpu, "--strategy", "exhaustive", "--max-evaluations", "1000",
                               "--session", session, "--max-samples", "5", timeout=600)
        trials = journal_trials(session)
        self.assertEqual(len({identity(trial) for trial in trials}), expected)
        wrong = [trial for trial in trials if trial["status"] not in ("ok", "censored")]
        self.assertEqual(wrong, [], [trial["message"] for trial in wrong])
        self.assertIsNotNone(report["best"])
        return report, trials

    def test_a_reduction_with_rounds_that_depend_on_parameters(self):
        specification = PROBLEMS / "rounds.toml"
        report = self.run_json("check", specification, *self.on_cpu)
        self.assertTrue(report["verified"])
        self.tune_all(specification, 24)

    def test_a_wrong_round_is_found_by_the_sum(self):
        path = self.copied("rounds", ('value = "blocks // pow(2, repeat + 1)"', 'value = "blocks // pow(2, repeat + 2)"'))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("wrong_result", result.stdout)
        self.assertIn("output 'sums': the sum of its 1 elements should be", result.stdout)

    def test_two_algorithms_in_sources_of_their_own(self):
        specification = PROBLEMS / "matvec.toml"
        report = self.run_json("check", specification, *self.on_cpu, "--launch-times")
        self.assertTrue(report["verified"])
        launches = report["baseline"]["launch_times"]
        self.assertEqual([launch["entry"] for launch in launches], ["atomic/multiply", "atomic/count_turn"])
        self.assertTrue(all(launch["time_ns"] > 0 and launch["launches"] == 1 for launch in launches), launches)
        _, trials = self.tune_all(specification, 24)
        entries = {tuple(resources["entry"] for resources in trial["resources"]) for trial in trials}
        self.assertEqual(entries, {("atomic/multiply", "atomic/count_turn"), ("two_pass/multiply", "two_pass/add")})

    def test_local_memory_anywhere_and_a_type_that_a_parameter_chooses(self):
        specification = PROBLEMS / "reverse.toml"
        report = self.run_json("check", specification, *self.on_cpu)
        self.assertTrue(report["verified"])
        self.assertEqual(report["reference_outputs"][0]["elements"], 1024)
        self.tune_all(specification, 4)

    def test_scratch_that_is_not_put_back_shows(self):
        path = self.copied("matvec", ('access = "scratch"\ninit = { constant = 0 }', 'access = "scratch"'))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("wrong_result", result.stdout)
        self.assertIn("output 'y'", result.stdout)

    def test_text_of_launch_times(self):
        result = self.run_program("check", PROBLEMS / "matvec.toml", *self.on_cpu, "--launch-times")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr + result.stdout)
        self.assertRegex(result.stdout, r"(?m)^launch: +atomic/multiply: \d")
