"""A kernel that goes wrong in every way: each configuration gets its own status, the session goes on, the winner is right."""

from support import CommandLineTest, CpuTest, EXIT_SUCCESS, KERNELS, SIMULATED, SOURCE


class SimulatedFailures(CommandLineTest):
    def test_every_fault_has_its_status(self):
        report = self.run_json("tune", SIMULATED, "--device", "sim:0", "--strategy", "exhaustive", "--max-evaluations", 1000,
                               "--compile-deadline", "2s", "--run-deadline", "2s", "--session", "session")
        # A right configuration may have been stopped early for being slow.
        statuses = {trial["configuration"]["fault"]: trial["status"].replace("censored", "ok")
                    for trial in report["trials"]}
        self.assertEqual(statuses, {
            0: "ok",
            1: "compile_failed",      # refused by the compiler
            2: "compile_timed_out",   # the compiler does not end
            3: "compile_failed",      # the compiler crashes
            4: "launch_failed",
            5: "crashed",
            6: "timed_out",
            7: "device_fault",
            8: "wrong_result",
            9: "nondeterministic",
            10: "not_finite",
            11: "out_of_bounds",
            12: "pruned",             # more shared memory than the device has
        })
        self.assertEqual(report["best"]["configuration"], {"block_x": 256, "items": 4, "pad": 3, "fault": 0})
        self.assertEqual(sum(report["failures"].values()), 12)
        self.assertEqual(report["failures"]["compile_failed"], 2)
        self.assertTrue(report["reverified"])
        for trial in report["trials"]:
            if trial["status"] not in ("ok", "censored"):
                self.assertNotEqual(trial["message"], "", trial["configuration"])
                self.assertIsNone(trial["median_ns"])
        # The details are in the journal.
        shown = self.run_program("show", "session", "--config", "fault=8")
        self.assertEqual(shown.returncode, EXIT_SUCCESS, shown.stderr)
        self.assertIn("c[2048]", shown.stdout)

    def test_only_failures_is_a_result_too(self):
        result = self.run_program("tune", self.always_wrong(), "--device", "sim:0", "--max-evaluations", 3, "--session",
                                  "session")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("No configuration gave a correct result", result.stdout)
        self.assertIn("wrong_result", result.stdout)
        self.assertFalse((self.home / "data").exists() and
                         self.run_json("profiles", "list")["profiles"], "a failure was stored as a profile")

    def always_wrong(self):
        for name in ("simulated.toml", "simulated_kernels.toml"):
            text = (SOURCE / "tests" / "cli" / "data" / name).read_text()
            (self.home / name).write_text(text.replace('"fault == 8"', '"fault >= 0"'))
        return self.home / "simulated.toml"


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
        report, statuses = self.tune("fatal", "--compile-deadline", "5s", "--run-deadline", "3s")
        # On a CPU the code is generated at the first launch, which the compile worker makes: an endless kernel ends there.
        self.assertIn(statuses.pop("endless_run"), ({"timed_out"}, {"compile_timed_out"}))
        self.assertEqual(statuses, {
            "illegal_address": {"crashed"},
            "endless_compile": {"compile_timed_out"},
        })
        # What took too long is named.
        for trial in report["trials"]:
            if trial["status"] == "compile_timed_out":
                launching = trial["configuration"]["bug"] == "endless_run"
                self.assertEqual("in the first launch" in trial["message"], launching, trial["message"])
