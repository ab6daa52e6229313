"""Tests of the reader of mutants and of the replacement."""

import pathlib
import stat
import tempfile
import unittest

import check_mutants

LIST = """# what is rejected
mutant: two lines
tests: A.B
- one
- two
+ three

mutant: nothing instead
tests: A.C:A.D
file: other.cpp
-  + noise
"""


class ReadTest(unittest.TestCase):
    def test_reads_names_tests_files_and_texts(self):
        first, second = check_mutants.read(LIST)
        self.assertEqual((first.name, first.tests, first.file), ("two lines", "A.B", "oracle.cpp"))
        self.assertEqual((first.removed, first.added), (["one", "two"], ["three"]))
        self.assertEqual((second.file, second.removed, second.added), ("other.cpp", [" + noise"], []))

    def test_says_the_line_of_what_is_wrong(self):
        for text, message in (("- x\n", "line 1"), ("mutant: a\ntests: A.B\n", "line 1"), ("mutant: a\nwhat\n", "line 2"),
                              ("", "no mutant")):
            with self.assertRaisesRegex(ValueError, message):
                check_mutants.read(text)


class MutateTest(unittest.TestCase):
    def test_replaces_what_occurs_once(self):
        first, second = check_mutants.read(LIST)
        self.assertEqual(check_mutants.mutate("zero\none\ntwo\n", first), "zero\nthree\n")
        self.assertEqual(check_mutants.mutate("x + noise;", second), "x;")

    def test_refuses_what_does_not_occur_once(self):
        first, second = check_mutants.read(LIST)
        with self.assertRaisesRegex(ValueError, "0 times"):
            check_mutants.mutate("one\nthree\n", first)
        with self.assertRaisesRegex(ValueError, "2 times"):
            check_mutants.mutate("a + noise + noise", second)


class RunTest(unittest.TestCase):
    def outcome(self, script):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program"
            program.write_text("#!/bin/sh\n" + script)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            return check_mutants.run_tests(str(program), "A.B")

    def test_only_a_failed_assertion_rejects(self):
        self.assertEqual(self.outcome("exit 0"), "passed")
        self.assertEqual(self.outcome("exit 1"), "failed")
        self.assertEqual(self.outcome("exit 3"), "ended with 3")
        self.assertIn("ran no test", self.outcome("echo 'Running 0 tests from 0 test suites.'"))


if __name__ == "__main__":
    unittest.main()
