"""The space with every kind of failure on a real GPU: the illegal address and the endless loop happen for real, and what is
measured after them is as good as without them."""

import json
import os
import pathlib
import subprocess
import unittest

from support import CommandLineTest, PROGRAM
from fakes import EXPECTED, FAULTS

ALL_KINDS = FAULTS / "all_kinds.toml"


def has_gpu():
    result = subprocess.run([PROGRAM, "devices", "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            timeout=120, check=True)
    return any(backend["name"] == "cuda" and backend["devices"] for backend in json.loads(result.stdout)["backends"])


class AllKindsOnGpu(CommandLineTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not has_gpu():
            if "cuda" in os.environ.get("WARPWRIGHT_REQUIRE_DEVICE", "").split(","):
                raise AssertionError("WARPWRIGHT_REQUIRE_DEVICE asks for cuda, and there is no CUDA device")
            raise unittest.SkipTest("no CUDA device")

    def tune(self, specification, session):
        return self.run_json("tune", specification, "--device", "cuda:0", "--problem", "n=16777216", "--strategy",
                             "exhaustive", "--max-evaluations", "1000", "--session", session, "--compile-deadline", "8s",
                             "--run-deadline", "5s", "--no-racing")

    def test_all_kinds(self):
        report = self.tune(ALL_KINDS, "session")
        found = {}
        for trial in report["trials"]:
            found.setdefault(trial["configuration"]["kind"], set()).add(trial["status"])
        if report_file := os.environ.get("WARPWRIGHT_FAULTS_REPORT"):
            pathlib.Path(report_file).write_text(json.dumps({kind: sorted(statuses) for kind, statuses in found.items()}))
        expected = {kind: EXPECTED[kind] for kind in found}
        expected["abort"] = {"device_fault"}  # a trap on the GPU
        self.assertEqual(len(found), 11)
        for kind, statuses in found.items():
            self.assertLessEqual(statuses, expected[kind], kind)
        self.assertEqual(report["best"]["configuration"]["kind"], "none")

        # The same configurations in a session in which nothing goes wrong.
        text = ALL_KINDS.read_text()
        begin = text.index('values = ["none", "compile_error"')
        clean = text[:begin] + 'values = ["none"]' + text[text.index("\n", begin):]
        for name in ("all_kinds.kernel", "all_kinds_naive.kernel"):
            (self.home / name).write_text((FAULTS / name).read_text())
        (self.home / "clean.toml").write_text(clean)
        sound = {json.dumps(trial["configuration"], sort_keys=True): trial["median_ns"]
                 for trial in self.tune(self.home / "clean.toml", "clean")["trials"]}
        for trial in report["trials"]:
            if trial["configuration"]["kind"] == "none":
                twin = sound[json.dumps(trial["configuration"], sort_keys=True)]
                self.assertLess(abs(trial["median_ns"] / twin - 1), 0.1, trial["configuration"])


if __name__ == "__main__":
    unittest.main()
