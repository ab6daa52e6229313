"""tools/gpu-run on a machine without a GPU: every step runs to its end, and says what it lacks."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["WARPWRIGHT_SOURCE"])
PROGRAMS = ("warpwright", "use_profile", "bench_pool", "bench_pipeline", "occupancy_bench", "bench_profile_handle",
            "search_bench", "bench_flush")
# What a step runs where nothing is found on the machine: a program that says so and fails.
FAILS = "#!/bin/sh\necho 'nothing to be found here' >&2\nexit 3\n"


class GpuRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="warpwright-gpu-run-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        shutil.copytree(SOURCE / "tools", cls.folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        (cls.folder / "examples").symlink_to(SOURCE / "examples")
        (cls.folder / "tests").symlink_to(SOURCE / "tests")
        # A copy: steps write changed specifications beside the kernels.
        shutil.copytree(SOURCE / "workloads", cls.folder / "workloads")
        for name in ("bin", "tests", "lib", "recorded/one"):
            (cls.folder / ".carry" / name).mkdir(parents=True)
        (cls.folder / ".carry" / "recorded" / "one" / "space.json.gz").write_bytes(b"")
        for place in [*(f"bin/{name}" for name in PROGRAMS), "tests/one_test", "tests/memory_cuda_test"]:
            (cls.folder / ".carry" / place).write_text(FAILS)
        test = {"arguments": [], "program": "one_test", "environment": []}
        (cls.folder / ".carry" / "manifest.json").write_text(json.dumps({
            "source": str(cls.folder), "commit": "0123456789ab", "uncommitted_changes": False,
            "tests": {"one_test": {**test, "step": "tests"}, "other_test": {**test, "step": "opencl"}}}))

    def run_tool(self, *arguments):
        # Nothing of the machine is used or changed: no packages of its Python (-S), no list of its OpenCL drivers.
        return subprocess.run([sys.executable, "-S", "-B", self.folder / "tools" / "gpu-run", *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=250, check=False,
                              env={**os.environ, "OCL_ICD_VENDORS": str(self.folder / "vendors")})

    def test_each_step_of_the_help_runs_and_reports(self):
        text = self.run_tool("--help").stdout
        described = re.findall(r"(?m)^  (\w+)  +\S", text[text.index("Steps of run"):text.index("Each step and each")])
        steps = re.findall(r"\w+", self.run_tool("run", "--help").stdout.split("STEP", 2)[2].split("options:")[0])
        self.assertEqual([step for step in steps if step in described], described)
        done = self.run_tool("run", self.folder / "out", *described)
        self.assertEqual(done.returncode, 1, done.stderr)
        summary = json.loads((self.folder / "out" / "summary.json").read_text())
        reported = {row["step"] for row in summary["rows"]}
        # Without results of other steps these have nothing to say.
        self.assertEqual(set(described) - reported, {"record"}, done.stdout)
        for row in summary["rows"]:
            self.assertFalse(row["ok"], row)
            self.assertNotRegex(row["text"], "NameError|AttributeError|TypeError|ImportError|UnboundLocalError")
        self.assertTrue((self.folder / "out" / "results.tar.gz").exists())
        collected = self.run_tool("collect", self.folder / "out")
        self.assertEqual(collected.returncode, 1)
        self.assertIn("names no CUDA device; run the step devices too", collected.stderr)

    def test_an_unknown_step_is_named(self):
        done = self.run_tool("run", self.folder / "unused", "tune", "warm")
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown step 'warm'", done.stderr)
