"""Help is there for every command, and the user guide names every flag that the help names."""

import re

from support import CommandLineTest, EXIT_SUCCESS, SOURCE

COMMANDS = ("devices", "check", "tune", "compare", "show", "space", "profiles", "occupancy", "recommend")


class Help(CommandLineTest):
    def help_of(self, *command):
        result = self.run_program(*command, "--help")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def test_program(self):
        text = self.help_of()
        for command in COMMANDS:
            self.assertIn(command, text)
        self.assertIn("130", text)

    def test_version(self):
        result = self.run_program("--version")
        self.assertEqual(result.returncode, EXIT_SUCCESS)
        self.assertRegex(result.stdout, r"^warpwright \d+\.\d+\.\d+\n$")

    def test_every_command_has_help_with_its_flags(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                text = self.help_of(command)
                self.assertIn(f"warpwright {command}", text)
        for command in ("devices", "check", "tune", "compare", "show", "space"):
            with self.subTest(command=command):
                self.assertIn("--json", self.help_of(command))

    def test_lines_fit_a_wide_terminal(self):
        for command in COMMANDS:
            for line in self.help_of(command).splitlines():
                self.assertLessEqual(len(line), 140, f"{command}: {line}")

    def test_the_user_guide_names_every_flag(self):
        guide = "".join((SOURCE / "docs" / name).read_text() for name in ("tuning.md", "occupancy.md"))
        missing = []
        for command in COMMANDS:
            missing += [f"{command} {flag}" for flag in sorted(set(re.findall(r"--[a-z][a-z-]+", self.help_of(command))))
                        if f"`{flag}" not in guide]
        self.assertEqual(missing, [])

    def test_the_user_guide_names_no_flag_that_is_not_there(self):
        guide = "".join((SOURCE / "docs" / name).read_text() for name in ("tuning.md", "occupancy.md"))
        known = set()
        for command in ("", *COMMANDS):
            known |= set(re.findall(r"--[a-z][a-z-]+", self.help_of(*command.split())))
        for command in self.subcommands("profiles"):
            known |= set(re.findall(r"--[a-z][a-z-]+", self.help_of("profiles", command)))
        self.assertEqual(sorted(set(re.findall(r"`(--[a-z][a-z-]+)", guide)) - known), [])

    def subcommands(self, command):
        text = self.help_of(command)
        if "Subcommands:" not in text:
            return []
        return re.findall(r"^  ([a-z]+)  ", text.split("Subcommands:")[1], re.MULTILINE)
