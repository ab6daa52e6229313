"""What the tests of the command line share: running the program in a home of its own, reading what it wrote."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

PROGRAM = os.environ["WARPWRIGHT_PROGRAM"]
SOURCE = pathlib.Path(os.environ["WARPWRIGHT_SOURCE"])
KERNELS = SOURCE / "examples" / "kernels"
VECTOR_ADD = str(KERNELS / "vector_add" / "vector_add.toml")
# A kernel of the simulated device: no hardware, its best configuration is known, and it goes wrong on request.
SIMULATED = str(pathlib.Path(__file__).parent / "data" / "simulated.toml")

EXIT_SUCCESS, EXIT_FAILURE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130

STATUSES = {
    "ok", "censored", "pruned", "compile_failed", "compile_timed_out", "resource_exceeded", "launch_failed", "timed_out",
    "crashed", "device_fault", "wrong_result", "not_finite", "out_of_bounds", "nondeterministic",
}

ESCAPE = re.compile(r"\x1b|\r")


class CommandLineTest(unittest.TestCase):
    """A test with an empty home folder, so that nothing of the user's is read or written."""

    maxDiff = None

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="warpwright-cli-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def environment(self, extra=None):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith("XDG_") and name not in ("NO_COLOR", "CLICOLOR_FORCE")}
        kept.update(HOME=str(self.home), XDG_CACHE_HOME=str(self.home / "cache"), XDG_DATA_HOME=str(self.home / "data"),
                    XDG_STATE_HOME=str(self.home / "state"), LC_ALL="C.UTF-8")
        kept.update(extra or {})
        return kept

    def run_program(self, *arguments, timeout=280, environment=None):
        """Runs to the end; standard output and error are `stdout` and `stderr` of the result."""
        return subprocess.run([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, cwd=self.home,
                              env=self.environment(environment), check=False)

    def start_program(self, *arguments):
        """Starts in a process group of its own, as a shell does, so that a signal can go to all of it."""
        process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, cwd=self.home, env=self.environment(),
                                   start_new_session=True)
        self.addCleanup(self.end_process, process)
        return process

    @staticmethod
    def end_process(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        process.stdout.close()
        process.stderr.close()

    def run_json(self, *arguments, expect=EXIT_SUCCESS, timeout=280):
        """Runs with --json; standard output must be one JSON document and nothing else."""
        result = self.run_program(*arguments, "--json", timeout=timeout)
        self.assertEqual(result.returncode, expect, f"{arguments}\n{result.stderr}\n{result.stdout[-2000:]}")
        return json.loads(result.stdout)

    def assert_bad_input(self, arguments, *words, environment=None):
        """One clear error on standard error that has all `words`, exit code 2, nothing on standard output."""
        result = self.run_program(*arguments, environment=environment)
        shown = f"{' '.join(map(str, arguments))}\n--- stderr\n{result.stderr}--- stdout\n{result.stdout}"
        self.assertEqual(result.returncode, EXIT_BAD_INPUT, shown)
        self.assertEqual(result.stdout, "", shown)
        for word in words:
            self.assertIn(word, result.stderr, shown)
        self.assertNotIn("terminate called", result.stderr, shown)
        self.assertNotIn("exception", result.stderr, shown)
        self.assertLessEqual(len(result.stderr.splitlines()), 12, shown)
        self.assertIsNone(ESCAPE.search(result.stderr), shown)
        return result

    def wait_until(self, condition, what, timeout=90):
        """Polls until `condition` gives something true, and returns that."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.02)
        self.fail(f"waited {timeout} s in vain for {what}")


def device_list():
    result = subprocess.run([PROGRAM, "devices", "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            timeout=120, check=True)
    return json.loads(result.stdout)


def cpu_device():
    """The id of an OpenCL device that is this CPU, or None."""
    for backend in device_list()["backends"]:
        if backend["name"] == "opencl":
            for device in backend["devices"]:
                if device["kind"] == "cpu":
                    return device["id"]
    return None


class CpuTest(CommandLineTest):
    """A test that compiles and runs kernels, on the CPU through OpenCL."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.device = cpu_device()
        if cls.device is None:
            if "opencl" in os.environ.get("WARPWRIGHT_REQUIRE_DEVICE", "").split(","):
                raise AssertionError("WARPWRIGHT_REQUIRE_DEVICE asks for opencl, and there is no OpenCL device of kind cpu")
            raise unittest.SkipTest("no OpenCL device of kind cpu; install pocl-opencl-icd")
        # Where the machine is busy, nothing but a test of deadlines should run into one.
        cls.on_cpu = ("--device", cls.device, "--compile-deadline", "5m", "--run-deadline", "2m")


def journal_records(folder):
    """The whole lines of a journal, torn last line left out."""
    try:
        text = (pathlib.Path(folder) / "journal.jsonl").read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def journal_trials(folder):
    return [record for record in journal_records(folder) if record["type"] == "trial"]


def identity(trial):
    """A configuration as something hashable."""
    return json.dumps(trial["configuration"], sort_keys=True)
