"""tools/lib/line_coverage.py: which files count, and that too few reached lines are a failure."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["WARPWRIGHT_SOURCE"])


class LineCoverage(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="warpwright-coverage-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.tools = self.folder / "bin"
        objects = self.folder / "libs" / "base" / "CMakeFiles" / "warpwright_base.dir" / "src"
        for folder in (self.tools, self.folder / "profiles", objects):
            folder.mkdir(parents=True)
        (self.folder / "profiles" / "one.profraw").write_bytes(b"")
        (objects / "a.cpp.o").write_bytes(b"")

    def tool(self, name, text):
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def report(self, files):
        """Stands in for the tools of LLVM: the report says what was asked of it in `files`, {file: (reached, lines)}."""
        report = self.folder / "report.json"
        report.write_text(json.dumps({"data": [{"files": [
            {"filename": str(SOURCE / file), "summary": {"lines": {"covered": reached, "count": count}}}
            for file, (reached, count) in files.items()]}]}))
        self.tool("llvm-profdata", "exit 0")
        self.tool("llvm-cov", f"cat '{report}'")

    def run_tool(self, *arguments):
        return subprocess.run([sys.executable, "-B", SOURCE / "tools" / "lib" / "line_coverage.py", "--build", self.folder,
                               *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              env={**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}"})

    def test_less_than_the_least_is_a_failure(self):
        self.report({"libs/base/src/a.cpp": (89, 100), "libs/model/src/b.cpp": (0, 0)})
        self.assertEqual(self.run_tool("--least", 89).returncode, 0)
        done = self.run_tool("--least", 90)
        self.assertEqual(done.returncode, 1)
        self.assertIn("89.0 % of 100 lines (at least 90 %)", done.stdout)

    def test_tests_and_what_needs_a_gpu_do_not_count(self):
        self.report({"libs/base/src/a.cpp": (50, 100), "libs/base/tests/a_test.cpp": (900, 900), "tests/faults/b.cpp": (9, 9),
                     "backends/cuda/src/c.cpp": (0, 900), "backends/sim/src/d.cpp": (100, 100), "bench/e.cpp": (0, 900),
                     "../elsewhere/f.cpp": (0, 900), "libs/testing/include/g.hpp": (0, 900)})
        done = self.run_tool()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("75.0 % of 200 lines", done.stdout)
        self.assertIn("backends/sim", done.stdout)
        self.assertNotIn("backends/cuda", done.stdout)

    def test_nothing_to_read_is_a_failure(self):
        self.report({"bench/e.cpp": (1, 1)})
        self.assertNotEqual(self.run_tool().returncode, 0, "no file that counts")
        self.report({"libs/base/src/a.cpp": (1, 1)})
        self.tool("llvm-cov", "exit 1")
        self.assertNotEqual(self.run_tool().returncode, 0, "llvm-cov fails")
        (self.folder / "profiles" / "one.profraw").unlink()
        done = self.run_tool()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no profiles in", done.stderr)
