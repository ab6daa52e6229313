"""200 sessions killed at random moments and resumed, over all strategies, on the CPU: nothing measured twice, nothing lost."""

import os
import random
import subprocess

from support import CpuTest, VECTOR_ADD, identity, journal_records, journal_trials
from test_sessions import processes_of_session

KILLS = int(os.environ.get("WARPWRIGHT_KILLS", "200"))


class Kills(CpuTest):
    budget = 24

    def arguments(self, strategy, session):
        return ["tune", VECTOR_ADD, *self.on_cpu, "--problem", "n=10007", "--max-evaluations", self.budget, "--strategy",
                strategy, "--session", session, "--no-profile", "--quiet"]

    def check(self, session, before):
        """What is recorded now; everything of before is there, as it was, and nothing is there twice."""
        now = journal_trials(self.home / session)
        self.assertEqual(now[:len(before)], before, f"{session}: a record was lost or changed")
        self.assertEqual(len({identity(trial) for trial in now}), len(now), f"{session}: measured twice")
        self.assertEqual(len({trial["ordinal"] for trial in now}), len(now), f"{session}: an ordinal was given twice")
        return now

    def killed(self, strategy, session, before, chance):
        """Starts or resumes the session and kills it; None if it had come to its end."""
        resume = ["--resume"] if journal_records(self.home / session) else []
        process = self.start_program(*self.arguments(strategy, session), *resume)
        wanted = len(before) + chance.randrange(4)
        self.wait_until(lambda: process.poll() is not None or
                        (journal_records(self.home / session) and len(journal_trials(self.home / session)) >= wanted),
                        f"{wanted} trials of {session}", timeout=240)
        try:
            process.wait(timeout=chance.random() * 0.1)
        except subprocess.TimeoutExpired:  # at work, as it should be
            pass
        ended = process.poll() is not None
        if ended:
            self.assertEqual(process.returncode, 0, process.stderr.read())
        process.kill()
        process.wait()
        self.wait_until(lambda: not processes_of_session(process.pid), "the end of the workers", timeout=60)
        self.end_process(process)
        now = self.check(session, before)
        return None if ended else now

    def test_kills_over_all_strategies(self):
        names = [strategy["name"] for strategy in self.run_json("strategies")["strategies"]]
        chance = random.Random(13)
        kills = dict.fromkeys(names, 0)
        sessions = 0
        while sum(kills.values()) < KILLS:
            for strategy in names:
                share = -(-KILLS // len(names))
                begun = kills[strategy]
                session, trials = f"{strategy}-{sessions}", []
                sessions += 1
                while trials is not None and kills[strategy] < share and sum(kills.values()) < KILLS:
                    kept = trials
                    trials = self.killed(strategy, session, kept, chance)
                    kills[strategy] += trials is not None
                if kills[strategy] == begun:
                    continue
                kept = journal_trials(self.home / session)
                report = self.run_json(*self.arguments(strategy, session), "--resume")
                self.assertEqual((report["resumed_from"], report["evaluations"]), (len(kept), self.budget))
                self.assertEqual(len(self.check(session, kept)), self.budget)
                # Every kept trial is in the report as it was measured.
                reported = {identity(trial): trial for trial in report["trials"]}
                for trial in kept:
                    for key in ("ordinal", "status", "samples"):
                        self.assertEqual(reported[identity(trial)][key], trial[key])
        print(f"{sum(kills.values())} kills in {sessions} sessions: {kills}")
        self.assertEqual(sum(kills.values()), KILLS)
