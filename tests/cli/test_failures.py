"""A kernel that goes wrong in every way: each configuration gets its own status, the session goes on, the winner is right."""

from specifications import buffer, scalar, specification
from support import CommandLineTest, CpuTest, EXIT_FAILURE, EXIT_SUCCESS, KERNELS, SIMULATED, SOURCE


# One of the four configurations, bs = 64 and items = 2, is hostile.
USUAL = {"size": "n", "count": "n", "block": "bs", "grid": "ceil_div(n, bs * items)", "shared": "0", "repeat": "1",
         "rate": "n / time_ns"}


def hostile_specification(source, **changes):
    text = {**USUAL, **changes}
    return specification(
        "hostile", source, {"n": 64}, {"bs": [32, 64], "items": [1, 2]},
        [buffer("c", "out"), buffer("a"), buffer("b", size=text["size"]), scalar("count", text["count"])],
        {"entry": "vector_add", "block": [text["block"]], "grid": [text["grid"]], "shared": text["shared"],
         "repeat": text["repeat"], "args": ["c", "a", "b", "count"]},
        metrics={"rate": text["rate"]}, objective={"maximise": "rate"})


class OneConfigurationCostsOne:
    """Whatever the expressions of a specification give for one configuration, for any device."""

    cases = (("grid", "n // (bs * items)", "pruned", "grid[0] of launch 'vector_add' must be a positive integer, found 0"),
             ("grid", "96 / bs if items == 2 else 2", "pruned", "must be an integer, found 1.5"),
             ("grid", "2 if bs * items < 128 else 1 // (items - 2)", "pruned", "division by zero"),
             ("block", "bs if bs * items < 128 else 0", "pruned", "block[0] of launch 'vector_add' must be a positive integer"),
             ("shared", "0 if bs * items < 128 else -1", "pruned", "shared of launch 'vector_add' must be at least 0, found -1"),
             ("repeat", "1 if bs * items < 128 else 0.5", "pruned", "repeat of launch 'vector_add' must be an integer"),
             ("size", "n if bs * items < 128 else -n", "pruned", "size of argument 'b' must be a positive integer, found -64"),
             ("count", "n if bs * items < 128 else n // 0", "pruned", "division by zero"),
             ("count", "n if bs * items < 128 else 2 ** 40", "pruned", "int32 cannot hold"),
             ("rate", "n / time_ns if bs * items < 128 else 1e308 * 10 - 1e308 * 10", "not_finite", "metric 'rate' is nan"),
             ("rate", "n / time_ns if bs * items < 128 else 1 / 0", "not_finite", "division by zero"))

    def test_one_configuration_costs_one_configuration(self):
        for number, (key, value, status, words) in enumerate(self.cases):
            with self.subTest(key=key, value=value):
                file = self.home / "hostile.toml"
                file.write_text(hostile_specification(self.source(), **{key: value}))
                common = [file, *self.options()]
                session = ["--session", f"session{number}", "--no-profile"]
                report = self.run_json("tune", *common, *session, "--max-evaluations", 10)
                self.assertEqual(report["stop_reason"], "space exhausted")
                for again in (report, self.run_json("tune", *common, *session, "--resume")):
                    self.assertEqual(len(again["trials"]), 4)
                    for trial in again["trials"]:
                        hostile = trial["configuration"] == {"bs": 64, "items": 2}
                        self.assertEqual(trial["status"], status if hostile else "ok", trial)
                        if hostile:
                            self.assertIn(words, trial["message"])
                compared = self.run_json("compare", *common, "--config", "baseline", "--config", "bs=64,items=2",
                                         "--config", "bs=64", "--rounds", 5, expect=EXIT_FAILURE)
                self.assertEqual([entry["status"] for entry in compared["configurations"]], ["ok", status, "ok"])
                self.assertIn(words, compared["configurations"][1]["message"])
                self.assertIn(compared["fastest"], (0, 2))

    def test_where_all_are_hostile_there_is_no_result(self):
        file = self.home / "hostile.toml"
        file.write_text(hostile_specification(self.source(), grid="n // 64"))
        size = ("--problem", "n=32")
        report = self.run_json("tune", file, *self.options(), *size, "--no-profile", "--no-session", "--max-evaluations", 10,
                               expect=EXIT_FAILURE)
        self.assertEqual({trial["status"] for trial in report["trials"]}, {"pruned"})
        self.assertIsNone(report["best"])
        checked = self.run_program("check", file, *self.options(), *size)
        self.assertEqual(checked.returncode, EXIT_FAILURE, checked.stderr)
        self.assertIn("must be a positive integer", checked.stdout + checked.stderr)


class HostileOnTheSimulatedDevice(OneConfigurationCostsOne, CommandLineTest):
    def source(self):
        (self.home / "hostile_kernels.toml").write_text(
            '[kernels.vector_add]\ncost_ns = 2000\narguments = ["float32* c", "float32* a", "float32* b", "int32 n"]\n'
            'elements = 64\n')
        return {"sim": "hostile_kernels.toml"}

    def options(self):
        return ["--device", "sim:0"]

    def test_launches_without_end_cost_their_configuration(self):
        file = self.home / "hostile.toml"
        file.write_text(hostile_specification(self.source(), repeat="2 ** 62 if bs * items == 128 else 1"))
        report = self.run_json("tune", file, *self.options(), "--no-profile", "--no-session", "--max-evaluations", 10,
                               "--run-deadline", "2s")
        statuses = {(trial["configuration"]["bs"], trial["configuration"]["items"]): trial["status"]
                    for trial in report["trials"]}
        self.assertEqual(statuses, {(32, 1): "ok", (32, 2): "ok", (64, 1): "ok", (64, 2): "timed_out"})


class HostileOnTheCpu(OneConfigurationCostsOne, CpuTest):
    cases = tuple(OneConfigurationCostsOne.cases[i] for i in (0, 6, 8, 10))

    def source(self):
        (self.home / "hostile.cl").write_text(
            "__kernel void vector_add(__global float *c, __global const float *a, __global const float *b, int n) {\n"
            "  for (int i = get_global_id(0); i < n; i += get_global_size(0)) c[i] = a[i] + b[i];\n}\n")
        return {"opencl": "hostile.cl"}

    def options(self):
        return self.on_cpu


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
        report, statuses = self.tune("faulty", "--compile-deadline", "10s")
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
