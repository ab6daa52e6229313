"""`tune --resume`: whatever the strategy, kept trials count, stay candidates and are never measured again."""

import json
import os
import pathlib
import re
import signal
import socket

from specifications import buffer, specification
from support import CommandLineTest, CpuTest, EXIT_SUCCESS, SIMULATED, identity, journal_trials


def small(source, reference, items=(1, 2), **kernel):
    random = {"uniform": [-1.0, 1.0]}
    return specification(
        "small", source, {"n": 4096}, {"bs": [16, 32, 64], "items": items},
        [buffer("c", "out"), buffer("a", init=random), buffer("b", init=random)],
        {"entry": "vector_add", "block": ["bs"], "grid": ["ceil_div(n, bs * items)"], "args": ["c", "a", "b", "n"]},
        kernel=kernel, outputs=[{"argument": "c", "rtol": 1e-6, "atol": 0.0}],
        **({"reference": reference} if reference else {}))


class EveryStrategy:
    """Each strategy, killed and resumed, for any device."""

    kept, budget, larger = 6, 14, 18

    def strategies(self):
        return [strategy["name"] for strategy in self.run_json("strategies")["strategies"]]

    def arguments(self, strategy, budget):
        return ["tune", *self.problem(), "--max-evaluations", budget, "--seed", "5", "--strategy", strategy, "--session",
                strategy, "--no-profile", "--quiet"]

    def assert_kept(self, before, report, strategy):
        trials = report["trials"]
        self.assertEqual(len({identity(trial) for trial in trials}), len(trials), "a configuration counts twice")
        self.assertEqual(len({trial["ordinal"] for trial in trials}), len(trials), "an ordinal was given twice")
        now = {identity(trial): trial for trial in trials}
        for trial in {identity(trial): trial for trial in before}.values():
            self.assertIn(identity(trial), now, "a kept trial was dropped")
            # The final verification may find a winner wrong; the session of this test has none of that kind.
            self.assertEqual(now[identity(trial)]["ordinal"], trial["ordinal"])
            # What was stopped early is measured to its end by the final comparison if it is a finalist.
            if trial["status"] != "censored":
                for key in ("status", "samples"):
                    self.assertEqual(now[identity(trial)][key], trial[key])
        records = journal_trials(self.home / strategy)
        self.assertEqual([identity(trial) for trial in records[:len(before)]], [identity(trial) for trial in before])
        statuses = {}
        for trial in records:
            statuses.setdefault(identity(trial), []).append(trial["status"])
        for recorded in statuses.values():
            self.assertTrue(len(recorded) == 1 or recorded == ["censored", "ok"],
                            f"a configuration was measured twice: {recorded}")
        best = [trial["median_ns"] for trial in before if trial["status"] == "ok"]
        if best:
            searched = min(trial["median_ns"] for trial in trials if trial["status"] == "ok")
            self.assertLessEqual(searched, min(best))

    def test_killed_and_resumed(self):
        for strategy in self.strategies():
            with self.subTest(strategy=strategy):
                process = self.start_program(*self.arguments(strategy, self.budget))
                folder = self.home / strategy
                self.wait_until(lambda: len(journal_trials(folder)) >= self.kept or process.poll() is not None,
                                f"{self.kept} trials in the journal")
                process.kill()
                process.wait()
                before = journal_trials(folder)
                kept = len({identity(trial) for trial in before})
                report = self.run_json(*self.arguments(strategy, self.budget), "--resume")
                self.assertEqual((report["resumed_from"], report["evaluations"]), (kept, self.budget))
                self.assertEqual(report["strategy"], strategy)
                self.assert_kept(before, report, strategy)
                if not self.larger:
                    continue
                # A whole session goes on to a larger budget, and a smaller one takes nothing away.
                before = journal_trials(folder)
                report = self.run_json(*self.arguments(strategy, self.larger), "--resume")
                self.assertEqual((report["resumed_from"], report["evaluations"]), (self.budget, self.larger))
                self.assert_kept(before, report, strategy)
                before = journal_trials(folder)
                report = self.run_json(*self.arguments(strategy, 3), "--resume")
                self.assertEqual((report["resumed_from"], report["evaluations"]), (self.larger, self.larger))
                self.assert_kept(before, report, strategy)


ADDITION = """
__kernel void vector_add(__global float *c, __global const float *a, __global const float *b, int n) {
  for (int i = get_global_id(0); i < n; i += get_global_size(0)) c[i] = a[i] + SIGN b[i];
}
"""
PLAIN_ADDITION = """
__kernel void naive(__global float *c, __global const float *a, __global const float *b, int n) {
  for (int i = get_global_id(0); i < n; i += get_global_size(0)) c[i] = a[i] + b[i];
}
"""
OPENCL_REFERENCE = {"kernel": {"opencl": "reference.cl"}, "entry": "naive"}


class OnTheCpu(EveryStrategy, CpuTest):
    kept, budget, larger = 3, 6, None

    def strategies(self):
        """Of each way to go on one: what a device answers is the same to all, and resume_whole kills all of them here."""
        chosen = ["auto", "bayesian", "random"]
        self.assertEqual(set(chosen) - set(super().strategies()), set())
        return chosen

    def problem(self):
        (self.home / "small.toml").write_text(small({"opencl": "kernel.cl"}, OPENCL_REFERENCE, range(1, 7)))
        (self.home / "kernel.cl").write_text("#define SIGN +\n" + ADDITION)
        (self.home / "reference.cl").write_text(PLAIN_ADDITION)
        return ["small.toml", *self.on_cpu]


REFERENCE = {"kernel": {"sim": "small_kernels.toml"}, "entry": "naive"}


class Simulated(EveryStrategy, CommandLineTest):
    def problem(self):
        return [SIMULATED, "--device", "sim:0", "--problem", "n=4096"]

    def small(self, reference=REFERENCE, cost="2000 + bs"):
        (self.home / "small.toml").write_text(small({"sim": "small_kernels.toml"}, reference))
        (self.home / "small_kernels.toml").write_text(
            f'[kernels.vector_add]\ncost_ns = "{cost}"\ncompile_ms = 20\n[kernels.naive]\nbehaviour = "vector_add"\n')
        return ["tune", "small.toml", "--device", "sim:0", "--session", "session", "--no-profile"]

    def test_larger_budget_that_covers_the_space(self):
        first = self.run_json(*self.small(), "--max-evaluations", 3)
        self.assertEqual(first["strategy"], "auto")
        for budget in (5, 100):
            report = self.run_json(*self.small(), "--max-evaluations", budget, "--resume")
            self.assertEqual((report["strategy"], report["evaluations"]), ("auto", min(budget, 6)))
        self.assertEqual(report["stop_reason"], "space exhausted")
        self.assertEqual([trial["ordinal"] for trial in report["trials"]], list(range(6)))

    def test_what_belongs_to_the_session(self):
        self.run_json(*self.small(), "--max-evaluations", 3)
        before = (self.home / "session" / "journal.jsonl").read_bytes()
        resume = [*self.small(), "--max-evaluations", 5, "--resume"]
        self.assert_bad_input([*resume, "--cache", "warm"], "cache mode (session: 'cold'; now: 'warm')")
        refused = self.assert_bad_input([*resume, "--problem", "n=1000"],
                                        "problem dimension 'n' (session: 4096; now: 1000)")
        self.assertNotIn("source", refused.stderr)
        self.small(cost="3000 + bs")
        refused = self.assert_bad_input(resume, "the source changed")
        self.assertNotIn("dimension", refused.stderr)
        self.small()
        specification = self.home / "small.toml"
        specification.write_text(specification.read_text().replace("rtol = 1e-06", "rtol = 1e-05"))
        self.assert_bad_input(resume, "problem (its parameters")
        self.assertEqual((self.home / "session" / "journal.jsonl").read_bytes(), before)
        # The compiler is not ours to change here, but the record of the session is.
        self.small()
        header = json.loads(before.splitlines()[0])
        self.assertTrue(header["toolkit"] and header["driver"], header)

    def test_sampling_may_differ_and_is_told(self):
        self.run_json(*self.small(), "--max-evaluations", 3)
        result = self.run_program(*self.small(), "--max-evaluations", 5, "--resume", "--min-samples", 7)
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn("begun with another min_samples (session: 5; now: 7)", result.stdout + result.stderr)

    def test_header_that_was_cut_off_begins_anew(self):
        self.run_json(*self.small(), "--max-evaluations", 3)
        journal = self.home / "session" / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:100])
        report = self.run_json(*self.small(), "--max-evaluations", 3, "--resume")
        self.assertEqual((report["resumed_from"], report["evaluations"]), (0, 3))

    # What earlier versions left behind: configurations measured again with ordinals that others had.
    def test_journal_with_trials_twice(self):
        self.run_json(*self.small(), "--max-evaluations", 4)
        journal = self.home / "session" / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        trials = [line for line in lines if json.loads(line)["type"] == "trial"]
        journal.write_bytes(b"".join(lines + [trials[1]]))
        report = self.run_json(*self.small(), "--max-evaluations", 6, "--resume")
        self.assertEqual((report["resumed_from"], report["evaluations"]), (4, 6))
        self.assertEqual([trial["ordinal"] for trial in report["trials"]], list(range(6)))

    def test_names_of_sessions_have_the_host(self):
        report = self.run_json("tune", self.small()[1], "--device", "sim:0", "--max-evaluations", 2, "--no-profile")
        host = re.sub(r"[^A-Za-z0-9_-]", "_", socket.gethostname())
        self.assertRegex(pathlib.Path(report["session"]).name, rf"^small-\d{{8}}-\d{{6}}-{host}-\d+$")

    def test_compilers_are_those_of_the_processors_it_may_use(self):
        allowed = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, allowed)
        os.sched_setaffinity(0, {min(allowed)})  # which the program inherits
        process = self.start_program(*self.small(), "--max-evaluations", 6)
        counts = set()

        def looked():
            workers = [pid for pid in children_of(process.pid) if command_of(pid).startswith("warpwright-work")]
            counts.add(len(workers))
            return process.poll() is not None

        self.wait_until(looked, "the end of the session")
        self.assertEqual(max(counts), 2, "one for the device and one that compiles")

    def test_command_of_a_reference_dies_with_a_killed_session(self):
        script = self.home / "reference.sh"
        script.write_text("#!/bin/sh\nsleep 300 &\necho $$ $! > pids.new\nmv pids.new pids\nwait\n")
        script.chmod(0o755)
        process = self.start_program(*self.small({"command": ["./reference.sh"]}), "--allow-commands")
        pids = self.wait_until(lambda: (self.home / "pids").exists() and (self.home / "pids").read_text().split(),
                               "the command")
        self.assertTrue(all(alive(pid) for pid in pids), pids)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.wait_until(lambda: not any(alive(pid) for pid in pids), "the end of what the command started", timeout=60)


def stat_of(pid):
    try:
        return (pathlib.Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return None


def alive(pid):
    stat = stat_of(pid)
    return stat is not None and stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def command_of(pid):
    stat = stat_of(pid)
    return stat.split("(", 1)[1].rsplit(")", 1)[0] if stat else ""


def children_of(parent):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        stat = stat_of(entry.name) if entry.name.isdigit() else None
        if stat and int(stat.rsplit(")", 1)[1].split()[1]) == parent:
            found.append(int(entry.name))
    return found




class Includes(CpuTest):
    """Headers that the compiler finds by itself belong to the kernel; blanks in paths work."""

    def specification(self, include, sign):
        folder = self.home / "a specification"
        (folder / "in c" / "sub").mkdir(parents=True, exist_ok=True)
        (folder / "in c" / "h.h").write_text(f"#define SIGN {sign}\n")
        (folder / "in c" / "sub" / "up.h").write_text("#include <h.h>\n")
        (folder / "small.toml").write_text(small({"opencl": "small kernel.cl"}, OPENCL_REFERENCE, include=["in c"]))
        (folder / "small kernel.cl").write_text(f"#define HEADER <h.h>\n#include {include}\n" + ADDITION)
        (folder / "reference.cl").write_text(PLAIN_ADDITION)
        return folder / "small.toml"

    def test_edited_header_is_another_kernel(self):
        for number, include in enumerate(("<h.h>", '"h.h"', "HEADER", "<sub/up.h>")):
            with self.subTest(include=include):
                session = self.home / f"session{number}"
                tune = ["tune", self.specification(include, "+"), *self.on_cpu, "--max-evaluations", 2, "--session", session]
                report = self.run_json(*tune)
                self.assertIsNotNone(report["best"], report["trials"])
                right = len(self.run_json("profiles", "list")["profiles"])
                self.specification(include, "-")
                self.assert_bad_input([*tune, "--resume"], "the source changed")
                wrong = self.run_json(*tune[:-1], session.with_suffix(".edited"), expect=1)
                self.assertEqual({trial["status"] for trial in wrong["trials"]}, {"wrong_result"}, "an old binary ran")
                self.specification(include, "+ 1.0f *")
                self.run_json(*tune[:-1], session.with_suffix(".again"))
                self.assertEqual(len(self.run_json("profiles", "list")["profiles"]), right + 1,
                                 "the edited kernel replaced the profile of the other")
