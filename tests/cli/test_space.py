"""`warpwright space`: counts, lists and samples; needs no device."""

from support import CommandLineTest, EXIT_BAD_INPUT, EXIT_SUCCESS, VECTOR_ADD


class Space(CommandLineTest):
    def test_json(self):
        report = self.run_json("space", VECTOR_ADD)
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(report["kernel"], "vector_add")
        self.assertEqual(str(report["size"]), report["exact_size"])
        self.assertGreaterEqual(report["cartesian"], report["size"])
        self.assertGreater(report["build_ms"], 0)
        self.assertGreater(report["memory_bytes"], 0)
        for parameter in report["parameters"]:
            self.assertGreaterEqual(parameter["values"], parameter["occurring"])

    def test_list_has_every_configuration_once_and_sample_is_of_it(self):
        count = self.run_program("space", VECTOR_ADD, "--count")
        self.assertEqual(count.returncode, EXIT_SUCCESS, count.stderr)
        listed = self.run_program("space", VECTOR_ADD, "--list").stdout.splitlines()
        self.assertEqual(len(listed), int(count.stdout))
        self.assertEqual(len(set(listed)), len(listed))
        drawn = self.run_program("space", VECTOR_ADD, "--sample", "5", "--seed", "3").stdout.splitlines()
        self.assertEqual(len(set(drawn)), 5)
        self.assertLessEqual(set(drawn), set(listed))
        again = self.run_program("space", VECTOR_ADD, "--sample", "5", "--seed", "3").stdout.splitlines()
        self.assertEqual(drawn, again)
        other = self.run_json("space", VECTOR_ADD, "--sample", "5", "--seed", "4")
        self.assertEqual(len(other["sample"]), 5)
        self.assertEqual(other["seed"], 4)

    def test_flags_that_exclude_each_other(self):
        result = self.run_program("space", VECTOR_ADD, "--count", "--list")
        self.assertEqual(result.returncode, EXIT_BAD_INPUT)
        result = self.run_program("space", VECTOR_ADD, "--problem", "m=3")
        self.assertEqual(result.returncode, EXIT_BAD_INPUT)
        self.assertIn("problem dimension 'm'", result.stderr)
