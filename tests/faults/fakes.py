"""Sessions of the built program on the fake drivers, and what must hold after each of them whatever went wrong.

The state file is the SharedState of fake/fault_state.hpp: a test writes the fault into it, the fakes count into it.
"""

import json
import mmap
import os
import pathlib
import signal
import struct
import time

from support import CommandLineTest, EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_SUCCESS, STATUSES, identity, journal_records, \
    journal_trials

FAULTS = pathlib.Path(__file__).parent
FAKES = pathlib.Path(os.environ["WARPWRIGHT_FAKES"])

MAGIC = 0x31544C4146454B41
SIZE, CALLS_AT, CALL_SIZE, CALL_SLOTS = 640 + 160 * 48, 640, 48, 160
NONE, ERROR, HANG, CRASH, LOST, STICKY = range(6)
ACTIONS = {ERROR: "fails", HANG: "hangs", CRASH: "crashes", LOST: "loses the device", STICKY: "loses the context"}


class State:
    """The file that the fakes of a session share."""

    def __init__(self, path, action=NONE, code=0, function="", ordinal=0):
        self.path = path
        header = struct.pack("<QIiQ40s", MAGIC, action, code, ordinal, function.encode())
        path.write_bytes(header.ljust(SIZE, b"\0"))

    def read(self):
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), SIZE, prot=mmap.PROT_READ) as view:
            return bytes(view)

    def number(self, offset):
        return struct.unpack_from("<Q", self.read(), offset)[0]

    @property
    def fired(self):
        return self.number(64)

    @property
    def misuses(self):
        return self.number(96)

    @property
    def first_misuse(self):
        return self.read()[112:256].rstrip(b"\0").decode()

    def calls(self):
        """How often each function was called, in the order of the first calls."""
        data = self.read()
        found = {}
        for slot in range(CALL_SLOTS):
            name, count = struct.unpack_from("<40sQ", data, CALLS_AT + slot * CALL_SIZE)
            if name[:1] == b"\0":
                break
            found[name.rstrip(b"\0").decode()] = count
        return found


def processes_with(text):
    """Living processes whose environment holds `text`: a session's and all that it started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if text.encode() in (entry / "environ").read_bytes() and \
                    (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


# What each kind comes to where nothing else goes wrong.
EXPECTED = {
    "none": {"ok", "censored"},
    "compile_error": {"compile_failed"},
    "compile_bomb": {"compile_timed_out"},
    "compile_crash": {"compile_failed"},
    "compile_memory": {"compile_failed"},
    "compile_memory_abort": {"compile_failed"},
    "compile_memory_crash": {"compile_failed"},
    "resource_excess": {"pruned", "resource_exceeded"},
    "launch_refused": {"resource_exceeded"},
    "illegal_address": {"device_fault"},
    "endless_loop": {"timed_out"},
    "abort": {"crashed"},
    "wrong_result": {"wrong_result"},
    "not_finite": {"not_finite"},
    "out_of_bounds": {"out_of_bounds"},
    "nondeterministic": {"nondeterministic"},
}


class FakeTest(CommandLineTest):
    """A session on a fake device. `backend` is "cuda" or "opencl"."""

    backend = "cuda"

    def device(self):
        return {"cuda": "cuda:0", "opencl": "opencl:0:0"}[self.backend]

    def state(self, *arguments, **options):
        return State(self.home / "fake-state", *arguments, **options)

    def fake_environment(self):
        path = os.environ.get("LD_LIBRARY_PATH")
        return {"LD_LIBRARY_PATH": str(FAKES / self.backend) + (":" + path if path else ""),
                "FAKE_DRIVER_STATE": str(self.home / "fake-state"), "CUDA_HOME": "", "CUDA_PATH": ""}

    def environment(self, extra=None):
        return super().environment({**self.fake_environment(), **(extra or {})})

    def arguments(self, specification, *options, session="session"):
        return ["tune", specification, "--device", self.device(), "--strategy", "exhaustive", "--max-evaluations", "1000",
                "--jobs", "1", "--min-samples", "2", "--max-samples", "2", "--session", session, *options]

    def finish(self, arguments, timeout=120):
        """Runs to the end; a session that does not end is a failure of the test, not of the machine."""
        result = self.run_program(*arguments, timeout=timeout)
        self.assert_nothing_is_left()
        return result

    def assert_nothing_is_left(self):
        mark = "FAKE_DRIVER_STATE=" + str(self.home / "fake-state")
        deadline = time.monotonic() + 10
        while processes_with(mark) and time.monotonic() < deadline:
            time.sleep(0.01)
        left = processes_with(mark)
        for process in left:
            os.kill(process, signal.SIGKILL)
        self.assertEqual(left, [], "processes outlived the session")

    def check_outcome(self, result, session="session", differing=1):
        """A session on a fake device that met a fault: its report, or None if it ended with an error.

        `differing`: so many configurations may have met the fault and have another status than without it.
        """
        shown = f"exit code {result.returncode}\n{result.stderr}\n{result.stdout[-1500:]}"
        self.assertIn(result.returncode, (EXIT_SUCCESS, EXIT_FAILURE, EXIT_BAD_INPUT), shown)
        self.assertNotIn("terminate called", result.stderr, shown)
        self.assertNotIn("json.exception", result.stderr, shown)
        records = journal_records(self.home / session)
        trials = [record for record in records if record["type"] == "trial"]
        latest = {}
        for trial in trials:
            before = latest.get(identity(trial))
            # What the final comparison measures to its end, or finds wrong, has a second record.
            self.assertTrue(before is None or before["status"] in ("censored", "ok"), "a configuration is there twice")
            latest[identity(trial)] = trial
        trials = list(latest.values())
        for trial in trials:
            self.assertIn(trial["status"], STATUSES)
            if trial["status"] == "ok":
                self.assertEqual(trial["configuration"]["kind"], "none", "something wrong counts as right")
        if result.returncode != EXIT_SUCCESS:
            self.assertIn("error: ", result.stderr, shown)
            return None
        report = json.loads(result.stdout)
        self.assertEqual(report["best"]["configuration"]["kind"], "none", shown)
        # What was measured is in the journal, and the report has it as it was measured.
        measured = {identity(trial): trial["status"] for trial in trials}
        self.assertEqual({identity(trial) for trial in report["trials"]}, set(measured))
        unexpected = [trial for trial in trials if trial["status"] not in EXPECTED[trial["configuration"]["kind"]]]
        self.assertLessEqual(len(unexpected), differing, json.dumps(unexpected, indent=1)[:3000])
        for trial in trials:
            if trial["status"] not in ("ok", "censored"):
                self.assertNotEqual(trial["message"], "", trial["configuration"])
        return report
