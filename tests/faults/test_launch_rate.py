"""Kernels that are shorter than their launch on a device without graphs. Time on the fake device is virtual, calls of the host
take what they take: 1 us of device time is always less."""

import json
import unittest

from fakes import FAULTS, FakeTest


class ShortKernels(FakeTest):
    backend = "opencl"

    def setUp(self):
        super().setUp()
        text = (FAULTS / "all_kinds.toml").read_text()
        begin = text.index('values = ["none", "compile_error"')
        text = text[:begin] + 'values = ["none", "short"]' + text[text.index("\n", begin):]
        for name in ("all_kinds.kernel", "all_kinds_naive.kernel"):
            (self.home / name).write_text((FAULTS / name).read_text())
        self.specification = self.home / "short.toml"
        self.specification.write_text(text)
        self.state()

    def compare(self, *options, environment=None):
        result = self.run_program("compare", self.specification, "--device", self.device(), "--cache", "warm", "--rounds", 6,
                                  "--config", "kind=short", *options, environment=environment)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assert_nothing_is_left()
        return result

    def marks(self):
        [entry] = json.loads(self.compare("--json").stdout)["configurations"]
        return entry["marks"]

    def test_covered(self):
        # Somebody else may take the processor for longer than any cover lasts, though not each time.
        self.assertTrue(any(self.marks() == ["covered"] for _ in range(5)))
        self.assertRegex(self.compare().stdout, r"(?m)^ +1 .* fastest, (covered|launch_bound).* kind='short'")

    def test_without_covers_table_and_json_say_so(self):
        refused = {"FAKE_REFUSES_COVERS": "1"}
        [entry] = json.loads(self.compare("--json", environment=refused).stdout)["configurations"]
        self.assertEqual(entry["marks"], ["launch_bound"])
        result = self.compare(environment=refused)
        self.assertRegex(result.stdout, r"(?m)^ +1 .* fastest, launch_bound .* kind='short'")
        self.assertIn("bounded by the host's launches", result.stdout)
        self.assertIn("asked to refuse covers", result.stderr)

    def test_tune_says_so(self):
        report = json.loads(self.finish(self.arguments(self.specification, "--cache", "warm", "--json")).stdout)
        for trial in report["trials"]:
            if trial["configuration"]["kind"] == "short" and trial["status"] == "ok":
                self.assertTrue({"covered", "launch_bound"} & set(trial["conditions"]["marks"]))


if __name__ == "__main__":
    unittest.main()
