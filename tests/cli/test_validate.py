"""`warpwright validate`: verdicts and their exit codes; the service that does nothing needs no device."""

import json
import signal

from support import CommandLineTest, EXIT_INTERRUPTED, EXIT_SUCCESS, SOURCE

EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INVALID = 1, 3, 4
# What else runs on this machine is no matter of these tests, so the generator may be as late as it likes.
CONTRACT = """version = 1
name = "test"
load = {{ kind = "{kind}", rate_hz = 500 }}
run = {{ min_requests = {requests}, max_duration_s = 60, repeats = {repeats} }}
stage = [{{ id = "copy", p50_us = 1 }}, {{ id = "e2e", p90_us = {limit} }}]
stats = {{ confidence = 0.99 }}
validity = {{ late_issue_p99_us = {lateness} }}
"""


class Validate(CommandLineTest):
    def contract(self, kind="constant", requests=200, repeats=2, limit=30e6, lateness=1e9):
        path = self.home / "contract.toml"
        path.write_text(CONTRACT.format(kind=kind, requests=requests, repeats=repeats, limit=limit, lateness=lateness))
        return path

    def test_pass(self):
        report = self.run_json("validate", self.contract(), "--target", "null")
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(report["verdict"], "PASS")
        self.assertEqual(len(report["runs"]), 2)
        run = report["runs"][0]
        self.assertEqual([limit["n"] for limit in run["limits"]], [200, 200])
        self.assertEqual([limit["t"] for limit in run["limits"]], [0, 0])
        self.assertEqual(sum(bucket[2] for bucket in run["histograms"]["e2e"]["buckets_ns"]), 200)
        self.assertIsNotNone(run["generator_lateness_us"]["p99"])
        self.assertNotEqual(report["runs"][0]["seed"], report["runs"][1]["seed"])

    def test_text(self):
        result = self.run_program("validate", self.contract(), "--target", "null")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertTrue(result.stdout.startswith("PASS: contract 'test'\n"), result.stdout)
        self.assertIn("0 of 200 later", result.stdout)
        self.assertIn("run 2: PASS", result.stderr)

    def test_fail(self):
        # Nothing at all takes longer than a picosecond.
        report = self.run_json("validate", self.contract(limit=1e-6), "--target", "null", expect=EXIT_FAIL)
        self.assertEqual(report["verdict"], "FAIL")

    def test_invalid(self):
        report = self.run_json("validate", self.contract(lateness=1e-6), "--target", "null", expect=EXIT_INVALID)
        self.assertEqual(report["verdict"], "INVALID")
        self.assertIn("generator itself was late", report["runs"][0]["invalid"][0])

    def test_quick_never_passes(self):
        report = self.run_json("validate", self.contract(), "--target", "null", "--quick", expect=EXIT_INCONCLUSIVE)
        self.assertEqual(report["verdict"], "INCONCLUSIVE")
        self.assertEqual(len(report["runs"]), 1)
        self.assertTrue(any("quick" in note for note in report["notes"]))

    def test_interrupted(self):
        process = self.start_program("validate", self.contract(requests=20000), "--target", "null", "--json")
        self.assertIn("contract 'test'", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, EXIT_INTERRUPTED, err)
        report = json.loads(out)
        self.assertEqual(report["verdict"], "INCONCLUSIVE")
        self.assertFalse(any(run["complete"] for run in report["runs"]))

    def test_bad_input(self):
        self.assert_bad_input(["validate", self.contract()], "--target", "null")
        self.assert_bad_input(["validate", self.contract(), "--target", "gpu"], "'gpu'", "null")
        self.assert_bad_input(["validate", "absent.toml", "--target", "null"], "absent.toml")
        self.assert_bad_input(["validate", self.contract(requests=10), "--target", "null"], "contract.toml:4", "run.min_requests")

    def test_the_example_of_the_guide_is_a_contract(self):
        guide = (SOURCE / "docs" / "validation.md").read_text()
        path = self.home / "thumbnails.toml"
        path.write_text(guide.split("```toml\n")[1].split("```")[0])
        # Read as a whole before the target is looked at.
        self.assert_bad_input(["validate", path], "--target")
