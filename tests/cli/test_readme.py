"""The first kernel of README.md works as it is printed there."""

import re

from support import CpuTest, SOURCE


class Readme(CpuTest):
    def test_first_kernel(self):
        text = (SOURCE / "README.md").read_text()
        files = re.findall(r"`(twice[a-z_]*\.[a-z]+)`[^`\n]*:\n\n```[a-z]+\n(.*?)```", text, re.DOTALL)
        self.assertEqual([name for name, _ in files], ["twice.kernel", "twice_naive.kernel", "twice.toml"])
        for name, content in files:
            (self.home / name).write_text(content)
        checked = self.run_json("check", "twice.toml", *self.on_cpu)
        self.assertTrue(checked["verified"])
        tuned = self.run_json("tune", "twice.toml", *self.on_cpu, "--max-evaluations", 5)
        self.assertLessEqual({trial["status"] for trial in tuned["trials"]}, {"ok", "censored"})
        self.assertTrue(tuned["reverified"])
