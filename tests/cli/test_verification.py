"""The second verification: what is wrong at a size of [verify] neither wins nor ends the session, and is known afterwards."""

import json

from specifications import buffer, specification
from support import CpuTest, EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_SUCCESS, journal_trials

# Twice the items take much longer for each of them. WRONG is what is added to the result.
KERNEL = """\
#include <warpwright/dialect.h>
WW_KERNEL twice(const WW_GLOBAL float* x, WW_GLOBAL float* y, int n) {
  for (int k = 0; k < items; ++k) {
    const int i = WW_GLOBAL_X * items + k;
    if (i >= n) return;
    unsigned waste = (unsigned)i;
    for (int j = 0; j < (items == 1 ? 1 : 1000); ++j) waste = waste * 1664525u + 1013904223u;
    y[i] = 2.0f * x[i] + (waste == 1u ? 1.0f : 0.0f) + (WRONG ? 1.0f : 0.0f);
  }
}
"""

REFERENCE = """\
#include <warpwright/dialect.h>
WW_KERNEL twice_naive(const WW_GLOBAL float* x, WW_GLOBAL float* y, int n) {
  const int i = WW_GLOBAL_X;
  GUARD y[i] = i < n ? 2.0f * x[i] : 0.0f;
}
"""


class SecondVerification(CpuTest):
    def specification(self, wrong="0", guard="if (i < n)", grid="ceil_div(n, 64)"):
        (self.home / "double.toml").write_text(specification(
            "double", "double.kernel", {"n": 65536}, {"items": {"values": [1, 2], "default": 1}},
            [buffer("x", init={"uniform": [-1.0, 1.0], "seed": 1}), buffer("y", "out")],
            {"entry": "twice", "block": ["64"], "grid": ["ceil_div(n, 64 * items)"], "args": ["x", "y", "n"]},
            outputs=[{"argument": "y"}],
            reference={"kernel": "reference.kernel", "entry": "twice_naive", "block": ["64"], "grid": [grid]},
            verify={"sizes": [{"n": 100}]}))
        (self.home / "double.kernel").write_text(KERNEL.replace("WRONG", wrong))
        (self.home / "reference.kernel").write_text(REFERENCE.replace("GUARD", guard))
        return self.home / "double.toml"

    def tune(self, spec, *options, expect=EXIT_SUCCESS):
        return self.run_json("tune", spec, *self.on_cpu, "--strategy", "exhaustive", "--max-evaluations", 10, "--session",
                             "session", "--quiet", *options, expect=expect)

    def test_a_baseline_that_is_wrong_at_another_size_does_not_win(self):
        spec = self.specification(wrong="items == 1 && n == 100")
        report = self.tune(spec)
        self.assertEqual(report["best"]["configuration"], {"items": 2})
        self.assertTrue(report["reverified"])
        self.assertIn("1 other size", report["verification"])
        self.assertIsNone(report["speedup"])
        self.assertEqual(report["failures"], {"wrong_result": 1})
        self.assertEqual(report["baseline"]["status"], "wrong_result")
        wrong = next(trial for trial in report["trials"] if trial["configuration"] == {"items": 1})
        self.assertEqual(wrong["status"], "wrong_result")
        self.assertIn("n=100", wrong["message"])
        self.assertIsNone(wrong["median_ns"])
        # Whoever reads the journal knows it.
        records = [trial["status"] for trial in journal_trials(self.home / "session")
                   if trial["configuration"] == {"items": 1}]
        self.assertEqual(records, ["ok", "wrong_result"])
        shown = self.run_json("show", "session", "--config", "items=1")
        self.assertEqual([trial["status"] for trial in shown["trials"]], ["wrong_result"])
        exported = self.run_program("export", "session", "--spec", spec, "--output", "cache.json")
        self.assertEqual(exported.returncode, EXIT_SUCCESS, exported.stderr)
        cache = json.loads((self.home / "cache.json").read_text())["cache"]
        self.assertEqual(len(cache), 2)
        self.assertEqual(cache["1"]["warpwright_status"], "wrong_result")
        self.assertNotIn("time", cache["1"])
        self.assertGreater(cache["2"]["time"], 0)
        resumed = self.tune(spec, "--resume")
        self.assertEqual(resumed["best"]["configuration"], {"items": 2})
        self.assertEqual(resumed["resumed_from"], 2)
        self.assertEqual(resumed["failures"], {"wrong_result": 1})

    def test_nothing_right_ends_with_no_valid_result(self):
        report = self.tune(self.specification(wrong="n == 100"), expect=EXIT_FAILURE)
        self.assertIsNone(report["best"])
        self.assertEqual(report["failures"], {"wrong_result": 2})

    def test_compare_knows_it_too(self):
        spec = self.specification(wrong="items == 1 && n == 100")
        report = self.run_json("compare", spec, *self.on_cpu, "--config", "items=1", "--config", "items=2", "--rounds", 6,
                               expect=EXIT_FAILURE)
        self.assertEqual([entry["status"] for entry in report["configurations"]], ["wrong_result", "ok"])
        self.assertIn("n=100", report["configurations"][0]["message"])
        self.assertEqual(report["fastest"], 1)

    def test_a_size_at_which_the_reference_fails_is_one_error_about_it(self):
        for change, words in (({"guard": ""}, ("behind the end", "'y'")),
                              ({"grid": "ceil_div(n, 64) if n > 200 else 0"}, ("grid",))):
            with self.subTest(change=change):
                spec = self.specification(**change)
                line = spec.read_text().splitlines().index("sizes = [{ n = 100 }]") + 1
                for command in (("tune", "--max-evaluations", "3", "--no-session", "--no-profile"),
                                ("compare", "--config", "baseline")):
                    result = self.run_program(command[0], spec, *self.on_cpu, *command[1:])
                    self.assertEqual(result.returncode, EXIT_BAD_INPUT, result.stderr + result.stdout)
                    for word in (f"double.toml:{line}:10: key 'verify.sizes[0]'", "n=100", "reference", *words):
                        self.assertIn(word, result.stderr)

    def test_what_was_compiled_is_not_compiled_again(self):
        report = self.tune(self.specification(), "--no-cache", "--no-profile", "--no-racing")
        self.assertTrue(report["reverified"])
        self.assertIsNotNone(report["speedup_interval"])
        low, high = report["speedup_interval"]
        self.assertLessEqual(low, report["speedup"])
        self.assertLessEqual(report["speedup"], high)
        self.assertEqual(report["speedup_confidence"], 0.95)
        comparison = report["final_comparison"]
        self.assertEqual(comparison["choosing_rounds"] + comparison["reported_rounds"],
                         len(report["finalists"][0]["samples"]))
        self.assertIn("Holm", comparison["tie_method"])
