"""Help is there for every command, and the user guide names every flag that the help names."""

import re

from support import CommandLineTest, EXIT_SUCCESS, SOURCE

# The user guide: between them these pages name every flag.
GUIDE = ("tuning.md", "occupancy.md", "search.md", "spaces.md", "memory.md", "validation.md", "workloads.md")
FLAG = r"--[a-z][a-z0-9-]+"


class Help(CommandLineTest):
    def setUp(self):
        super().setUp()
        # Every command as its words: ("tune",), ("profiles", "list"), ...
        self.commands = []
        for command in self.subcommands():
            inner = self.subcommands(command)
            self.commands += [(command, word) for word in inner] or [(command,)]

    def help_of(self, *command):
        result = self.run_program(*command, "--help")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def subcommands(self, *command):
        text = self.help_of(*command)
        if "Subcommands:" not in text:
            return []
        return re.findall(r"^  ([a-z]+)  ", text.split("Subcommands:")[1], re.MULTILINE)

    def flags_of(self, *command):
        return set(re.findall(FLAG, self.help_of(*command)))

    def guide(self):
        text = "".join((SOURCE / "docs" / name).read_text() for name in GUIDE)
        # Benchmark programs have flags of their own.
        return re.sub(r"^## Programs that measure$.*?(?=^## )", "", text, flags=re.MULTILINE | re.DOTALL)

    def test_program(self):
        words = {command[0] for command in self.commands}
        # What this test finds in the help is what was promised at least.
        self.assertLessEqual({"devices", "check", "tune", "compare", "show", "pipeline", "space", "simulate", "strategies", "export",
                              "profiles", "occupancy", "recommend", "validate"}, words)
        self.assertIn("130", self.help_of())

    def test_version(self):
        result = self.run_program("--version")
        self.assertEqual(result.returncode, EXIT_SUCCESS)
        self.assertRegex(result.stdout, r"^warpwright \d+\.\d+\.\d+\n$")

    def test_every_command_has_help_with_its_flags(self):
        for command in self.commands:
            with self.subTest(command=command):
                text = self.help_of(*command)
                self.assertIn("warpwright " + " ".join(command), text)
                self.assertIn("--json", text)

    def test_lines_fit_a_wide_terminal(self):
        for command in self.commands:
            for line in self.help_of(*command).splitlines():
                self.assertLessEqual(len(line), 140, f"{command}: {line}")

    def test_the_user_guide_names_every_command_and_flag(self):
        guide = self.guide()
        missing = []
        for command in self.commands:
            if f"warpwright {command[0]}" not in guide:
                missing.append(command[0])
            missing += [f"{' '.join(command)} {flag}" for flag in sorted(self.flags_of(*command)) if f"`{flag}" not in guide]
        self.assertEqual(missing, [])

    def test_the_readme_names_every_command(self):
        readme = (SOURCE / "README.md").read_text()
        self.assertEqual([command for command in self.commands if f"`warpwright {command[0]}" not in readme], [])

    def test_the_user_guide_names_no_flag_that_is_not_there(self):
        known = self.flags_of()
        for command in self.commands:
            known |= self.flags_of(*command) | self.flags_of(command[0])
        self.assertEqual(sorted(set(re.findall(f"`({FLAG})", self.guide())) - known), [])
