"""A kernel that goes wrong in every way: each configuration gets its own status, the session goes on, the winner is right."""

from support import CpuTest, EXIT_SUCCESS, KERNELS


class Failures(CpuTest):
    def tune(self, name, *options):
        report = self.run_json("tune", KERNELS / "faulty" / f"{name}.toml", "--device", self.device, "--strategy",
                               "exhaustive", "--max-evaluations", 1000, "--session", "session", *options, timeout=280)
        statuses = {}
        for trial in report["trials"]:
            statuses.setdefault(trial["configuration"]["bug"], set()).add(trial["status"])
        self.assertEqual(report["best"]["configuration"]["bug"], "none")
        self.assertTrue(report["reverified"])
        self.assertEqual(statuses.pop("none") - {"ok", "censored"}, set())
        for trial in report["trials"]:
            if trial["configuration"]["bug"] != "none":
                self.assertNotEqual(trial["message"], "", trial["configuration"])
        return report, statuses

    def test_bugs_that_leave_the_process_alive(self):
        report, statuses = self.tune("faulty", "--compile-deadline", "5s")
        self.assertEqual(statuses.pop("partial_write") - {"wrong_result", "not_finite"}, set())
        self.assertEqual(statuses.pop("resource_excess") - {"pruned", "resource_exceeded"}, set())
        self.assertEqual(statuses, {
            "wrong_result": {"wrong_result"},
            "nan_output": {"not_finite"},
            "out_of_bounds": {"out_of_bounds"},
            "compile_error": {"compile_failed"},
            "endless_compile": {"compile_timed_out"},
        })
        self.assertEqual(sum(report["failures"].values()), 7)
        # The details are in the journal: the compiler's log, the first wrong element.
        shown = self.run_program("show", "session", "--config", "bug=compile_error")
        self.assertEqual(shown.returncode, EXIT_SUCCESS, shown.stderr)
        self.assertIn("compiler log", shown.stdout)
        self.assertIn("faulty.kernel", shown.stdout)
        wrong = self.run_program("show", "session", "--config", "bug=wrong_result")
        self.assertIn("y[7]", wrong.stdout)

    def test_bugs_that_end_or_hang_the_process(self):
        _, statuses = self.tune("fatal", "--compile-deadline", "5s", "--run-deadline", "3s")
        self.assertEqual(statuses, {
            "endless_run": {"timed_out"},
            "illegal_address": {"crashed"},
            "endless_compile": {"compile_timed_out"},
        })
