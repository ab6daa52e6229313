"""`warpwright check`: reads, compiles and verifies the baseline, and says what is wrong with it."""

import struct

from support import CpuTest, EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_SUCCESS, KERNELS, VECTOR_ADD


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

    def custom(self, kernel, problem, rest, name="custom"):
        folder = self.home / name
        folder.mkdir()
        (folder / "k.kernel").write_text('#include <warpwright/dialect.h>\n' + kernel)
        path = folder / "spec.toml"
        path.write_text('schema = 1\n[kernel]\nname = "k"\nsource = "k.kernel"\n[problem]\n' + problem +
                        '\n[parameters.block]\nvalues = [64, 128]\nrole = "block"\n' + rest)
        return path

    SCALE = ("WW_KERNEL scale(WW_GLOBAL const float* WW_RESTRICT x, WW_GLOBAL float* WW_RESTRICT y, float alpha, int n) {\n"
             "  int i = WW_GLOBAL_X;\n  if (i < n) y[i] = alpha * x[i];\n}\n")
    BUFFERS = ('[[argument]]\nname = "x"\ntype = "float32"\nsize = "n"\ninit = { constant = 1 }\n'
               '[[argument]]\nname = "y"\ntype = "float32"\nsize = "n"\naccess = "out"\n'
               '[[launch]]\nentry = "scale"\nblock = "block"\ngrid = "ceil_div(n, block)"\n')

    def test_a_dimension_keeps_its_declared_type(self):
        path = self.custom(self.SCALE, "n = 1000\nalpha = 2.0",
                           self.BUFFERS + 'args = ["x", "y", "alpha", "n"]\n[reference]\nnpy = { y = "y.npy" }\n')
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000,), }".ljust(117) + "\n"
        (path.parent / "y.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") +
                                            header.encode() + struct.pack("<1000f", *[3.0] * 1000))
        report = self.run_json("check", path, *self.on_cpu, "--problem", "alpha=3")
        self.assertTrue(report["verified"])
        self.assertIsInstance(report["problem"]["alpha"], float)
        self.assertEqual(report["reference_outputs"],
                         [{"argument": "y", "elements": 1000, "nan": 0, "passing_zero": 0, "largest": 3.0}])

    def test_a_launch_that_does_not_fit_the_kernel_is_told_with_its_place(self):
        path = self.custom(self.SCALE, "n = 1000\nalpha = 2.0", self.BUFFERS + 'args = ["x", "y", "n", "alpha"]\n')
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_BAD_INPUT, result.stderr + result.stdout)
        line = path.read_text().splitlines().index('args = ["x", "y", "n", "alpha"]') + 1
        self.assertIn(f"spec.toml:{line}:", result.stderr)
        self.assertIn("launch[0].args", result.stderr)
        self.assertIn("argument 'n' (int32) is passed as parameter 3 of kernel 'scale', which is 'float alpha'", result.stderr)
        result = self.run_program("tune", path, *self.on_cpu, "--max-evaluations", "2")
        self.assertEqual(result.returncode, EXIT_BAD_INPUT, result.stderr + result.stdout)
        self.assertIn("which is 'float alpha'", result.stderr)

    def test_more_memory_than_there_is_is_told_before_it_is_taken(self):
        path = self.custom(self.SCALE, "n = 1000\nalpha = 2.0", self.BUFFERS + 'args = ["x", "y", "alpha", "n"]\n')
        text = path.read_text().replace('size = "n"', 'size = "n * 1000000"')
        path.write_text(text)
        result = self.run_program("check", path, *self.on_cpu, "--problem", "n=2000000000")
        self.assertNotEqual(result.returncode, EXIT_SUCCESS)
        self.assertNotIn("SIGKILL", result.stderr + result.stdout)
        self.assertRegex(result.stderr, r"need \d[\d.e+]* [A-Z]iB of this machine's memory")

    def test_compile_error_shows_the_compiler_log(self):
        path = self.specification("faulty", ('baseline]\nconfiguration = { bug = "none", block_x = 128, items = 1, work = 16 }',
                                             'baseline]\nconfiguration = { bug = "compile_error", block_x = 128, items = 1, '
                                             'work = 1 }'))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("compile_failed", result.stdout)
        self.assertIn("faulty.kernel", result.stdout)
        self.assertIn("error", result.stdout)
