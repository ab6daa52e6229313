"""Sessions that are killed, interrupted and resumed lose nothing that was measured and measure nothing twice."""

import json
import os
import pathlib
import signal

from support import CommandLineTest, CpuTest, EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_SUCCESS, SIMULATED, VECTOR_ADD, identity, \
    journal_trials


def processes_of_session(process_group):
    """Living processes of a process group."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        state, group = fields[0], int(fields[2])
        if group == process_group and state not in "ZX":
            found.append(int(entry.name))
    return found


class Killing:
    """A session that is killed, for any device."""

    def common(self, evaluations):
        # Without the cache of binaries, compiling takes its time and the kill hits a session at work.
        return ["tune", *self.problem(), "--max-evaluations", evaluations, "--seed", "5", "--strategy", "random",
                "--session", "session", "--no-cache"]

    def test_killed_and_resumed(self):
        arguments = self.common(24)
        process = self.start_program(*arguments)
        self.wait_until(lambda: len(journal_trials(self.home / "session")) >= 6 or process.poll() is not None,
                        "six trials in the journal")
        self.assertIsNone(process.poll(), "it ended before it could be killed")
        process.kill()
        process.wait()
        # Workers die with the process that started them.
        self.wait_until(lambda: not processes_of_session(process.pid), "the end of the workers", timeout=20)
        before = journal_trials(self.home / "session")
        self.assertGreaterEqual(len(before), 6)
        self.assertLess(len(before), 24)

        # The budget counts what is kept: the same command does the rest.
        report = self.run_json(*arguments, "--resume")
        self.assertEqual(report["resumed_from"], len(before))
        self.assertEqual(report["evaluations"], 24)
        trials = report["trials"]
        self.assertEqual(len({identity(trial) for trial in trials}), 24, "a configuration was measured twice")
        self.assertEqual([trial["ordinal"] for trial in trials], list(range(24)))
        # What was measured before is in the report as it was measured, and the journal was only added to.
        measured = {identity(trial): (trial["status"], trial["samples"]) for trial in trials}
        for trial in before:
            self.assertEqual(measured[identity(trial)], (trial["status"], trial["samples"]))
        after = [identity(trial) for trial in journal_trials(self.home / "session")]
        self.assertEqual(after[:len(before)], [identity(trial) for trial in before])
        self.assertEqual(sorted(after), sorted(measured))
        # Killed or not, the same seed gives the same configurations in the same order.
        whole = self.run_json(*self.common(24)[:-3], "--no-session", "--no-profile")
        self.assertEqual([identity(trial) for trial in trials], [identity(trial) for trial in whole["trials"]])


class SessionsOnTheCpu(Killing, CpuTest):
    def problem(self):
        return [VECTOR_ADD, *self.on_cpu, "--problem", "n=100003"]


class Sessions(Killing, CommandLineTest):
    def problem(self):
        return [SIMULATED, "--device", "sim:0", "--problem", "n=4096"]

    def test_torn_last_line_is_dropped(self):
        self.run_json(*self.common(4))
        journal = self.home / "session" / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        last_trial = max(i for i, line in enumerate(lines) if json.loads(line)["type"] == "trial")
        journal.write_bytes(b"".join(lines[:last_trial]) + lines[last_trial][:40])
        report = self.run_json(*self.common(5), "--resume")
        self.assertEqual((report["resumed_from"], report["evaluations"]), (3, 5))

    def test_interrupted(self):
        arguments = self.common(150)
        process = self.start_program(*arguments)
        self.wait_until(lambda: len(journal_trials(self.home / "session")) >= 4 or process.poll() is not None,
                        "four trials in the journal")
        # Ctrl-C reaches the whole group, workers too.
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, EXIT_INTERRUPTED, stderr)
        self.assertIn("--resume", stdout)
        self.assertFalse(processes_of_session(process.pid))
        kept = journal_trials(self.home / "session")
        self.assertGreaterEqual(len(kept), 4)
        self.assertLessEqual({trial["status"] for trial in kept if trial["configuration"]["fault"] == 0}, {"ok", "censored"},
                         "the interruption was booked as a failure of a configuration")

        report = self.run_json(*self.common(len(kept) + 3), "--resume")
        self.assertEqual((report["resumed_from"], report["evaluations"]), (len(kept), len(kept) + 3))

    def test_terminated_in_json_mode_still_gives_a_report(self):
        process = self.start_program(*self.common(150), "--json")
        self.wait_until(lambda: len(journal_trials(self.home / "session")) >= 3 or process.poll() is not None,
                        "three trials in the journal")
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, EXIT_INTERRUPTED, stderr)
        report = json.loads(stdout)
        self.assertTrue(report["interrupted"])
        self.assertGreaterEqual(report["evaluations"], 3)

    def test_another_problem_seed_or_strategy_does_not_resume(self):
        self.run_json(*self.common(3))
        before = (self.home / "session" / "journal.jsonl").read_bytes()
        arguments = self.common(6) + ["--resume"]
        for flag, value, word in (("--seed", "6", "seed"), ("--problem", "n=1000", "problem"),
                                  ("--strategy", "exhaustive", "strategy")):
            changed = list(arguments)
            changed[changed.index(flag) + 1] = value
            with self.subTest(flag=flag):
                self.assert_bad_input(changed, word)
        self.assertEqual((self.home / "session" / "journal.jsonl").read_bytes(), before)

    def test_two_at_once_do_not_share_a_session(self):
        process = self.start_program(*self.common(150))
        self.wait_until(lambda: journal_trials(self.home / "session") or process.poll() is not None, "a first trial")
        self.assert_bad_input(self.common(150) + ["--resume"], "session")
        self.assertIsNone(process.poll(), "the second one stopped the first")

    def test_finished_session_resumes_to_more(self):
        first = self.run_json(*self.common(5))
        again = self.run_json(*self.common(5), "--resume")
        self.assertEqual((again["resumed_from"], again["evaluations"]), (5, 5))
        self.assertEqual([identity(trial) for trial in again["trials"]], [identity(trial) for trial in first["trials"]])
        more = self.run_json(*self.common(8), "--resume")
        self.assertEqual((more["resumed_from"], more["evaluations"]), (5, 8))

    def test_show(self):
        report = self.run_json(*self.common(5))
        result = self.run_program("show", "session")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn("5 trials", result.stdout)
        # What the session came to is shown as it was at its end.
        winner = ", ".join(part for part in result.stdout.splitlines() if part.startswith("Winner: "))
        self.assertTrue(winner, result.stdout)
        record = self.run_json("show", "session")["record"]
        for key in ("best", "finalists", "ties", "speedup", "time", "warnings", "host", "parameters"):
            self.assertEqual(record[key], report[key], key)
        trial = report["trials"][2]
        one = self.run_json("show", "session", "--trial", 2)
        self.assertEqual(identity(one["trials"][0]), identity(trial))
        setting = ",".join(f"{name}={str(value).lower() if isinstance(value, bool) else value}"
                           for name, value in trial["configuration"].items())
        same = self.run_json("show", "session", "--config", setting)
        self.assertEqual([found["ordinal"] for found in same["trials"]], [2])
        self.assertEqual(self.run_program("show", "session", "--trial", 99).returncode, EXIT_BAD_INPUT)
        self.assert_bad_input(["show", "session", "--config", "blok_x=32"], "blok_x", "block_x")

    def test_export_needs_no_specification_after_the_end(self):
        report = self.run_json(*self.common(5))
        result = self.run_program("export", "session", "--output", "cache.json")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        exported = json.loads((self.home / "cache.json").read_text())
        # The lists of values as they were declared, not those that five trials happen to have.
        declared = {parameter["name"]: parameter["values"] for parameter in report["parameters"]}
        self.assertEqual(exported["tune_params"], declared)

    def test_a_session_without_a_record_is_still_shown(self):
        self.run_json(*self.common(4))
        (self.home / "session" / "session.json").unlink()
        result = self.run_program("show", "session")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn("4 trials", result.stdout)
        self.assertIsNone(self.run_json("show", "session")["record"])
