"""`warpwright compare`: given configurations, verified and timed against each other."""

import json
import pathlib

from support import CpuTest, EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_SUCCESS, KERNELS, VECTOR_ADD


class Compare(CpuTest):
    size = ("--problem", "n=100000")

    def test_json(self):
        report = self.run_json("compare", VECTOR_ADD, *self.on_cpu, *self.size, "--config", "baseline",
                               "--config", "block_x=64", "--rounds", 6)
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(len(report["configurations"]), 2)
        for entry in report["configurations"]:
            self.assertEqual(entry["status"], "ok")
            self.assertEqual(len(entry["samples"]), 6)
            low, high = entry["ratio_interval"]
            self.assertLessEqual(low, entry["ratio"])
            self.assertLessEqual(entry["ratio"], high)
        self.assertEqual(report["configurations"][1]["configuration"]["block_x"], 64)
        fastest = report["configurations"][report["fastest"]]
        self.assertEqual(fastest["ratio"], 1)
        self.assertTrue(fastest["tie"])

    def test_text_and_the_winner_of_a_report(self):
        tuned = self.run_json("tune", VECTOR_ADD, *self.on_cpu, *self.size, "--max-evaluations", 3, "--no-profile",
                              "--no-session", "--quiet")
        file = self.home / "tuned.json"
        file.write_text(json.dumps(tuned))
        result = self.run_program("compare", VECTOR_ADD, *self.on_cpu, *self.size, "--config", "baseline", "--result", file,
                                  "--rounds", 5)
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr + result.stdout)
        self.assertRegex(result.stdout, r"(?m)^ +1 .* (fastest|tie|slower) ")
        self.assertIn("5 samples of each", result.stdout)

    def test_the_reference_kernel_takes_its_turns(self):
        spec = KERNELS.parent.parent / "workloads" / "control" / "control.toml"
        arguments = ("compare", spec, *self.on_cpu, "--problem", "n=64", "--config", "baseline", "--rounds", 6, "--reference")
        report = self.run_json(*arguments)
        reference = report["reference"]
        self.assertEqual(len(reference["samples"]), 6)
        low, high = reference["ratio_interval"]
        self.assertLessEqual(low, reference["ratio"])
        self.assertLessEqual(reference["ratio"], high)
        # Of the half that did not choose, pair by pair.
        ratios = sorted(a / b for a, b in zip(reference["samples"][3:], report["configurations"][0]["samples"][3:]))
        self.assertAlmostEqual(reference["ratio"], ratios[1], places=9)
        self.assertIsNone(self.run_json(*arguments[:-1])["reference"])
        text = self.run_program(*arguments)
        self.assertRegex(text.stdout, r"(?m)^ .* reference +the reference kernel$")

    def test_a_reference_that_is_no_kernel_has_no_time(self):
        vector_add = pathlib.Path(VECTOR_ADD)
        text = vector_add.read_text()
        begin = text.index("[reference]")
        text = text[:begin] + "[reference]\nconfiguration = { block_x = 64 }\n" + text[text.index("\n[", begin + 1):]
        for name in ("vector_add.kernel", "vector_add_naive.kernel"):
            (self.home / name).write_text((vector_add.parent / name).read_text())
        spec = self.home / "vector_add.toml"
        spec.write_text(text)
        result = self.run_program("compare", spec, *self.on_cpu, *self.size, "--config", "baseline", "--reference")
        self.assertEqual(result.returncode, EXIT_BAD_INPUT)
        self.assertIn("cannot be timed: it is no kernel", result.stderr)

    def test_wrong_configuration_takes_no_part(self):
        spec = KERNELS / "faulty" / "faulty.toml"
        report = self.run_json("compare", spec, *self.on_cpu, "--config", "baseline", "--config", "bug=wrong_result",
                               "--rounds", 5, expect=EXIT_FAILURE)
        right, wrong = report["configurations"]
        self.assertEqual((right["status"], wrong["status"]), ("ok", "wrong_result"))
        self.assertIsNone(wrong["median_ns"])
        self.assertEqual(report["fastest"], 0)

    def test_bad_input(self):
        not_json = self.home / "x.json"
        not_json.write_text("{")
        other = self.home / "other.json"
        other.write_text('{"kernel": "gemm", "best": null}')
        for arguments, words in ((("--config", "block_y=3"), ("--config", "block_y", "block_x")),
                                 (("--config", "block_x=33"), ("block_x", "33", "its values are")),
                                 (("--config", "block_x"), ("--config", "NAME=VALUE")),
                                 ((), ("nothing to compare", "--config")),
                                 (("--result", not_json), ("--result", "not JSON")),
                                 (("--result", other), ("--result", "gemm")),
                                 (("--result", self.home / "absent.json"), ("absent.json",)),
                                 (("--config", "baseline", "--rounds", "2"), ("--rounds",))):
            with self.subTest(arguments=arguments):
                result = self.run_program("compare", VECTOR_ADD, *self.on_cpu, *arguments)
                self.assertNotEqual(result.returncode, EXIT_SUCCESS)
                for word in words:
                    self.assertIn(word, result.stderr + result.stdout)
