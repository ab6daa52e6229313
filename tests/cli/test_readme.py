"""The first kernel of README.md works as it is printed there, and so does the first program.

The rest of its code, and that of docs/, is built by install_test.
"""

import os
import pathlib
import subprocess
import sys

from support import CommandLineTest, CpuTest, SOURCE

sys.path.insert(0, str(SOURCE / "tests" / "snippets"))
import extract  # noqa: E402


class Readme(CpuTest):
    def test_first_kernel_and_first_program(self):
        files = extract.extract(self.home, SOURCE / "README.md", [])
        self.assertLessEqual({"twice.kernel", "twice_naive.kernel", "twice.toml", "first_program.cpp", "CMakeLists.txt"},
                             set(files))
        self.assertEqual(files["first_program.cpp"], (SOURCE / "examples" / "first_program.cpp").read_text())
        checked = self.run_json("check", "twice.toml", *self.on_cpu)
        self.assertTrue(checked["verified"])

        program = pathlib.Path(os.environ["WARPWRIGHT_EXAMPLES"]) / "first_program"

        def run_program():
            return subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, timeout=120, cwd=self.home, env=self.environment(), check=False)
        untuned = run_program()
        self.assertEqual((untuned.returncode, untuned.stdout), (0, "3, with block_x=128, items=1\n"), untuned.stderr)
        tuned = self.run_json("tune", "twice.toml", *self.on_cpu, "--max-evaluations", 5, "--profiles", "profiles.sqlite")
        self.assertLessEqual({trial["status"] for trial in tuned["trials"]}, {"ok", "censored"})
        self.assertTrue(tuned["reverified"])
        best = tuned["best"]["configuration"]
        with_profile = run_program()
        self.assertEqual((with_profile.returncode, with_profile.stdout),
                         (0, f"3, with block_x={best['block_x']}, items={best['items']}\n"), with_profile.stderr)
        self.assertEqual(with_profile.stderr, "")


class Extraction(CommandLineTest):
    """Code that nobody would build is an error."""

    def refused(self, text, *words):
        page = self.home / "PAGE.md"
        page.write_text(text)
        with self.assertRaises(extract.Mistake) as raised:
            extract.readme_files(page)
        for word in words:
            self.assertIn(word, str(raised.exception))

    def test_code_without_a_name_or_kind_is_refused(self):
        self.refused("Look:\n\n```cpp\nint x;\n```\n", "PAGE.md:3", "names its file")
        self.refused("`x.toml`:\n\n```cpp\nint x;\n```\n", "names its file")
        self.refused("`x.rs`:\n\n```rust\n```\n", "'rust'")
        self.refused("`x.cpp`:\n\n```cpp\nint x;\n", "has no end")
        self.refused("`x.cpp`:\n\n```cpp\n```\n`x.cpp`:\n```cpp\n```\n", "twice")
