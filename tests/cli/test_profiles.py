"""`warpwright profiles`: what tuning stored is listed, shown, carried to another database and removed."""

import json

from support import CpuTest, EXIT_BAD_INPUT, EXIT_SUCCESS, VECTOR_ADD


class Profiles(CpuTest):
    def tune(self, n):
        return self.run_json("tune", VECTOR_ADD, *self.on_cpu, "--problem", f"n={n}", "--max-evaluations", 2,
                             "--no-session", "--quiet")

    def test_life_of_a_profile(self):
        empty = self.run_json("profiles", "list")
        self.assertEqual(empty["profiles"], [])
        self.assertFalse((self.home / "data").exists(), "looking created a database")

        first, second = self.tune(65536), self.tune(100003)
        listed = self.run_json("profiles", "list", "vector_add")["profiles"]
        self.assertEqual(sorted(profile["id"] for profile in listed), sorted([first["profile_id"], second["profile_id"]]))
        text = self.run_program("profiles", "list")
        self.assertEqual(text.returncode, EXIT_SUCCESS, text.stderr)
        self.assertEqual(len(text.stdout.splitlines()), 3)

        shown = self.run_json("profiles", "show", second["profile_id"])["profile"]
        self.assertEqual(shown["configuration"], second["best"]["configuration"])
        self.assertEqual(shown["key"]["dimensions"], {"n": 100003})
        self.assertEqual(shown["key"]["device_kind"], "cpu")

        exported = self.run_json("profiles", "export", "--output", "profiles.json")
        self.assertEqual(exported["exported"], 2)
        imported = self.run_json("profiles", "import", "profiles.json", "--profiles", "other.sqlite")
        self.assertEqual((imported["imported"], imported["already_present"]), (2, 0))
        again = self.run_json("profiles", "import", "profiles.json", "--profiles", "other.sqlite")
        self.assertEqual((again["imported"], again["already_present"]), (0, 2))

        def content(*arguments):
            return sorted(json.dumps({key: value for key, value in profile.items() if key != "id"}, sort_keys=True)
                          for profile in self.run_json("profiles", "list", *arguments)["profiles"])

        self.assertEqual(content("--profiles", "other.sqlite"), content())

        self.run_json("profiles", "remove", first["profile_id"])
        self.assertEqual([profile["id"] for profile in self.run_json("profiles", "list")["profiles"]],
                         [second["profile_id"]])

    def test_tuning_again_replaces(self):
        first = self.tune(65536)
        self.assertEqual(self.tune(65536)["profile_id"], first["profile_id"])
        self.assertEqual(len(self.run_json("profiles", "list")["profiles"]), 1)

    def test_mistakes(self):
        self.assert_bad_input(["profiles"], "subcommand")
        self.assert_bad_input(["profiles", "show", "7"], "7")
        self.assert_bad_input(["profiles", "remove", "7"], "7")
        self.assert_bad_input(["profiles", "import", "nothing.json"], "nothing.json")
        (self.home / "text.json").write_text("not JSON")
        self.assert_bad_input(["profiles", "import", "text.json"], "text.json")
        (self.home / "deep.json").write_text("[" * 1000000 + "]" * 1000000)  # would overflow the stack
        for command in (["profiles", "import", "deep.json"], ["simulate", "deep.json"], ["check", "deep.json"]):
            self.assert_bad_input(command, "deep.json")
        self.assertEqual(self.run_program("profiles", "list", "--profiles", "x.sqlite", "unknown").returncode, EXIT_SUCCESS)
        self.tune(65536)
        misspelt = self.run_program("profiles", "export", "vector_ad")
        self.assertEqual(misspelt.returncode, EXIT_BAD_INPUT)
        self.assertIn("vector_add", misspelt.stderr)
