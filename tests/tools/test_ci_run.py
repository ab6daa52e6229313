""".ci/run: each stage that fails fails all of it and is named, later ones do not run, and what was skipped has its reason."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["WARPWRIGHT_SOURCE"])
STAGES = ["packages", "style", "fresh", "clang", "sanitized", "coverage", "threads"]


class CiRun(unittest.TestCase):
    """With tools that only say that they were called, and fail on request."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="warpwright-ci-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / ".ci").mkdir()
        shutil.copy2(SOURCE / ".ci" / "run", self.folder / ".ci" / "run")
        for name in ("tools/install-dependencies", "tools/fuzz-corpus", "tools/test-fresh", "tools/test", "bin/cmake", "bin/ctest",
                     "bin/python3", "bin/clang-format", "bin/git"):
            self.tool(name, "")
        self.tool("bin/clang-format", 'echo "Debian clang-format version 14.0.6"')
        self.tool("bin/git", r"""printf 'tools/test\0tools/test-fresh\0'""")

    def tool(self, name, body):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.folder}/calls"\n{body}\n')
        path.chmod(0o755)

    def run_ci(self, stages=STAGES):
        (self.folder / "calls").write_text("")
        done = subprocess.run([self.folder / ".ci" / "run", *stages], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=100, check=False, cwd="/",
                              env={**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"})
        return done.returncode, done.stdout, (self.folder / "calls").read_text()

    def test_all_stages(self):
        code, out, calls = self.run_ci()
        self.assertEqual(code, 0, out)
        for stage in STAGES:
            self.assertRegex(out, rf"(?m)^stage {stage} took \d+ s$")
        self.assertRegex(out, r"(?m)^all stages passed in \d+ s$")
        self.assertIn("skipped: in the stage sanitized: binaries, cli_failures", out)
        self.assertIn("tools/fuzz-corpus check", calls)
        self.assertIn("cmake --build --preset ci", calls)
        self.assertIn("line_coverage.py --build build/ci --least 90", calls)
        self.assertRegex(calls, "ctest --test-dir build/tsan .*--tests-regex .*memory_pool_test")

    def test_without_names_it_runs_what_fits_into_the_hour(self):
        self.tool("bin/gcovr", "echo 'lines: 93.0% (93 out of 100)'")
        code, out, calls = self.run_ci(())
        self.assertEqual(code, 0, out)
        self.assertIn("tools/test --preset coverage --no-install --one-by-one", calls)
        self.assertIn("93.0% (93 out of 100)", out)
        self.assertNotIn("build/tsan", calls)
        self.tool("tools/test", "exit 1")
        self.assertNotEqual(self.run_ci(())[0], 0)
        self.assertEqual(self.run_ci(("nothing",))[0], 2)

    def test_less_coverage_than_agreed_fails_the_stage_covered(self):
        # The real one ends with 2 then.
        self.tool("bin/gcovr", "echo 'lines: 89.9% (899 out of 1000)'\ncase \"$*\" in *--fail-under-line\\ 90*) exit 2 ;; esac")
        code, out, _ = self.run_ci(("covered",))
        self.assertNotEqual(code, 0, out)
        self.assertRegex(out, "without tests and the CUDA backend: +89.9% ")
        self.assertIn("less than 90 % of the code", out)
        self.assertRegex(out, r"stage covered failed after \d+ s")
        self.tool("bin/gcovr", "")
        self.assertNotEqual(self.run_ci(("covered",))[0], 0)

    def assert_fails(self, stage):
        code, out, _ = self.run_ci()
        self.assertNotEqual(code, 0, out)
        self.assertRegex(out, rf"stage {stage} failed after \d+ s \(exit code \d+\)")
        later = STAGES[STAGES.index(stage) + 1:]
        if later:
            self.assertIn(f"; not run: {' '.join(later)}", out)
        for each in later:
            self.assertNotIn(f"==> stage {each}", out)
        self.assertNotIn("all stages passed", out)

    def test_each_stage_that_fails_fails_all(self):
        fails = "exit 1"
        cases = (("packages", "tools/install-dependencies", fails), ("style", "tools/fuzz-corpus", fails),
                 ("style", "bin/clang-format", 'case "$*" in --version) echo "version 14.0.6" ;; *) exit 1 ;; esac'),
                 ("style", "tools/test", ")"), ("fresh", "tools/test-fresh", fails),
                 ("clang", "bin/cmake", 'case "$*" in "--build --preset ci") exit 1 ;; esac'),
                 ("clang", "bin/cmake", 'case "$*" in "--preset ci "*) exit 1 ;; esac'),
                 ("sanitized", "bin/ctest", 'case "$*" in *build/ci*) exit 1 ;; esac'),
                 ("coverage", "bin/python3", 'case "$*" in *line_coverage*) exit 1 ;; esac'),
                 ("threads", "bin/cmake", 'case "$*" in *tsan*) exit 1 ;; esac'),
                 ("threads", "bin/ctest", 'case "$*" in *build/tsan*) exit 1 ;; esac'))
        for stage, name, body in cases:
            with self.subTest(stage=stage, tool=name):
                whole = (self.folder / name).read_text()
                self.tool(name, body)
                try:
                    self.assert_fails(stage)
                finally:
                    (self.folder / name).write_text(whole)

    def test_what_cannot_be_done_here_is_said(self):
        self.tool("tools/test-fresh", "echo 'skipped: a fresh bookworm root: needs root'")
        self.tool("bin/clang-format", "echo 'clang-format version 18.1.3'")
        code, out, calls = self.run_ci()
        self.assertEqual(code, 0, out)
        self.assertIn("skipped: a fresh bookworm root: needs root; the README's commands ran on this machine", out)
        self.assertIn("skipped: clang-format: this is version 18, the code is laid out by version 14", out)
        self.assertIn("cmake --preset release -DCMAKE_UNITY_BUILD=ON", calls)
        self.assertIn("tools/test --no-install", calls)
        self.tool("tools/test", "exit 1")
        self.assert_fails("fresh")
