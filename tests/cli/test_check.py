"""`warpwright check`: reads, compiles and verifies the baseline, and says what is wrong with it."""

from support import CpuTest, EXIT_FAILURE, EXIT_SUCCESS, KERNELS, VECTOR_ADD


class Check(CpuTest):
    def specification(self, name, *replacements):
        """A copy of an example with some text replaced, beside copies of its kernels."""
        folder = self.home / name
        folder.mkdir()
        for file in (KERNELS / name).iterdir():
            text = file.read_text()
            if file.name == f"{name}.toml":
                for old, new in replacements:
                    self.assertIn(old, text)
                    text = text.replace(old, new)
            (folder / file.name).write_text(text)
        return folder / f"{name}.toml"

    def test_json(self):
        report = self.run_json("check", VECTOR_ADD, *self.on_cpu, "--problem", "n=100000")
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(report["kernel"], "vector_add")
        self.assertEqual(report["device"]["id"], self.device)
        self.assertEqual(report["problem"]["n"], 100000)
        self.assertGreater(report["space"]["size"], 1)
        self.assertGreater(report["space"]["cartesian"], report["space"]["size"])
        self.assertTrue(report["verified"])
        self.assertEqual(report["baseline"]["status"], "ok")
        self.assertGreater(report["baseline"]["median_ns"], 0)

    def test_text(self):
        result = self.run_program("check", VECTOR_ADD, *self.on_cpu, "--problem", "n=100000")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr + result.stdout)
        self.assertRegex(result.stdout, r"(?m)^result: +correct, median ")
        self.assertIn("n=100000", result.stdout.replace(" ", ""))

    def test_cpu_is_announced_when_no_device_is_named(self):
        result = self.run_program("check", VECTOR_ADD, *self.on_cpu[2:], "--problem", "n=100000")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr + result.stdout)
        if self.device in result.stdout:
            self.assertIn("no GPU found: tuning for this CPU", result.stderr)

    def test_wrong_result_says_which_element(self):
        path = self.specification("faulty", ('baseline]\nconfiguration = { bug = "none", block_x = 128, items = 1, work = 16 }',
                                             'baseline]\nconfiguration = { bug = "wrong_result", block_x = 128, items = 1, '
                                             'work = 1 }'))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("wrong_result", result.stdout)
        self.assertIn("y[7]", result.stdout)
        report = self.run_json("check", path, *self.on_cpu, expect=EXIT_FAILURE)
        self.assertFalse(report["verified"])
        mismatch = report["baseline"]["mismatch"]
        self.assertEqual((mismatch["argument"], mismatch["index"]), ("y", 7))
        # One element in 1000, from the seventh on.
        self.assertEqual((mismatch["wrong"], mismatch["total"]), (66, 65536))

    def test_compile_error_shows_the_compiler_log(self):
        path = self.specification("faulty", ('baseline]\nconfiguration = { bug = "none", block_x = 128, items = 1, work = 16 }',
                                             'baseline]\nconfiguration = { bug = "compile_error", block_x = 128, items = 1, '
                                             'work = 1 }'))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("compile_failed", result.stdout)
        self.assertIn("faulty.kernel", result.stdout)
        self.assertIn("error", result.stdout)
