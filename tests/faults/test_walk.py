"""Every function that a session calls in a driver fails, hangs, crashes or loses the device once, in whole sessions with
worker processes. walk_test.cpp does the same inside one process, for every single call.

WARPWRIGHT_WHOLE_WALK: several calls of each function instead of one.
"""

import os
import unittest

from fakes import CRASH, ERROR, HANG, LOST, NONE, STICKY, ACTIONS, FAULTS, FakeTest
from support import EXIT_SUCCESS, identity, journal_trials

WHOLE = "WARPWRIGHT_WHOLE_WALK" in os.environ
WALK = str(FAULTS / "walk.toml")
# A hang costs a whole deadline; the session itself needs a fraction of that. Without one, a busy machine must not make it
# look like one.
SHORT = ("--compile-deadline", "4s", "--run-deadline", "4s", "--startup-deadline", "8s")
LONG = ("--compile-deadline", "1m", "--run-deadline", "1m", "--startup-deadline", "1m")
CONFIGURATIONS = 12


class WalkOn(FakeTest):
    codes = ()
    # Where the faults that cost time or processes are tried in the short walk; the whole one tries all.
    chosen = ()

    def session(self, name, *options, deadlines=LONG):
        return self.arguments(WALK, *deadlines, "--profiles", f"{name}.sqlite", "--cache-dir", self.home / f"cache-{name}",
                              "--json", *options, session=name)

    def recorded_calls(self):
        state = self.state(NONE)
        result = self.finish(self.session("recorded"))
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        report = self.check_outcome(result, "recorded", differing=0)
        self.assertEqual(report["best"]["configuration"], {"kind": "none", "block_x": 128, "items": 2})
        self.assertEqual(state.misuses, 0, state.first_misuse)
        calls = state.calls()
        self.assertGreater(sum(calls.values()), 200)
        return calls

    def inject(self, name, action, code, function, ordinal):
        """One session with one fault; then, without it, the same session goes on to its end."""
        with self.subTest(fault=f"call {ordinal} of {function} {ACTIONS[action]} ({code})"):
            first = name
            while True:
                state = self.state(action, code, function, ordinal)
                result = self.finish(self.session(name, deadlines=SHORT if action == HANG else LONG))
                if state.fired >= 1:
                    break
                # A session takes as many samples, and makes as many graphs, as its clock tells it to: another one may
                # have fewer calls of a function, and no graph at all.
                if ordinal == 1 and function.startswith(("cuGraph", "cuStreamBeginCapture", "cuStreamEndCapture")):
                    return None
                self.assertGreater(ordinal, 1, "the session took another course: the fault was not met")
                ordinal = max(1, ordinal * 3 // 4)
                name = f"{first}-{ordinal}"
            self.assertEqual(state.misuses, 0, state.first_misuse)
            # Lost for good: every configuration after it fails, or the session ends. A compiler that fails for good in
            # its process fails every configuration that this process gets.
            for_good = action == LOST or (action == STICKY and function.startswith("nvrtc"))
            report = self.check_outcome(result, name, differing=CONFIGURATIONS if for_good else 2)
            before = {identity(trial): trial["status"] for trial in journal_trials(self.home / name)}
            self.state(NONE)
            resume = ("--resume",) if (self.home / name / "journal.jsonl").exists() else ()
            again = self.finish(self.session(name, *resume))
            self.assertEqual(again.returncode, EXIT_SUCCESS, again.stderr)
            whole = self.check_outcome(again, name, differing=CONFIGURATIONS)
            self.assertEqual(len(whole["trials"]), CONFIGURATIONS)
            self.assertEqual(whole["resumed_from"], len(before))
            after = {identity(trial): trial["status"] for trial in journal_trials(self.home / name)}
            # What was stopped early may be measured to its end by the final comparison of the resumed session.
            final = {key: status for key, status in before.items() if status != "censored"}
            self.assertEqual({key: after[key] for key in final}, final, "a record was changed")
            self.assertEqual(before.keys() - after.keys(), set(), "a record was lost")
            return report is not None
        return None

    def walk(self, points):
        went_on = ended = 0
        for number, (action, code, function, ordinal) in enumerate(points):
            outcome = self.inject(f"s{number}", action, code, function, ordinal)
            went_on += outcome is True
            ended += outcome is False
        print(f"injection points: {went_on + ended} of {len(points)} in sessions with worker processes on {self.backend}: "
              f"{went_on} went on, {ended} ended with a message; 0 hangs, 0 lost records, 0 processes left")

    def test_each_function_fails(self):
        calls = self.recorded_calls()
        points = []
        for number, (function, count) in enumerate(calls.items()):
            ordinals = {1, (count + 1) // 2, count} if WHOLE else {(count + 1) // 2}
            points += [(ERROR, self.codes[number % len(self.codes)], function, ordinal) for ordinal in sorted(ordinals)]
        self.walk(points)

    def test_hangs_crashes_and_lost_devices(self):
        calls = self.recorded_calls()
        points = []
        for function, count in calls.items():
            if not WHOLE and function not in self.chosen:
                continue
            for action in (HANG, CRASH, LOST, STICKY):
                # The first calls are those of the program that looks for devices: nobody can wait for it.
                if action in (HANG, CRASH) and function in self.asked_by_the_program(calls):
                    ordinal = count
                else:
                    ordinal = (count + 1) // 2
                points.append((action, self.codes[0], function, ordinal))
        self.walk(points)

    def asked_by_the_program(self, calls):
        return [function for function in calls if function.startswith(("cuInit", "cuDriver", "cuDevice", "nvml",
                                                                       "nvrtcVersion", "nvrtcGetNum", "nvrtcGetSup",
                                                                       "clGetPlatform", "clGetDevice"))]


class Cuda(WalkOn):
    backend = "cuda"
    # illegal address, out of memory, invalid value, launch failed, unknown
    codes = (700, 2, 1, 719, 999)
    chosen = ("nvrtcCompileProgram", "cuModuleLoadDataEx", "cuLaunchKernel", "cuStreamSynchronize",
              "cuDevicePrimaryCtxRetain", "cuMemcpyDtoHAsync_v2")


class Opencl(WalkOn):
    backend = "opencl"
    # illegal access, device not available, out of resources, allocation failure, invalid value
    codes = (-9999, -2, -5, -4, -30)
    chosen = ("clBuildProgram", "clEnqueueNDRangeKernel", "clFinish", "clCreateContext")


del WalkOn  # only its subclasses are tests

if __name__ == "__main__":
    unittest.main()
