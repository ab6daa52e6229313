"""What surrounds a session goes wrong: kernels of every bad kind, disks that are full, files that are damaged, memory that
runs out, devices that are lost, signals at any moment, others at work on the same files."""

import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

from fakes import HANG, LOST, NONE, EXPECTED, FAULTS, FakeTest, processes_with
from support import CommandLineTest, CpuTest, EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_SUCCESS, PROGRAM, \
    SIMULATED, identity, journal_records, journal_trials

ALL_KINDS = FAULTS / "all_kinds.toml"
WALK = FAULTS / "walk.toml"
THOROUGH = "WARPWRIGHT_WHOLE_WALK" in os.environ


def statuses_of(report):
    found = {}
    for trial in report["trials"]:
        found.setdefault(trial["configuration"]["kind"], set()).add(trial["status"])
    return found


class AllKinds:
    """The space that holds every way of going wrong finishes, counts each, and the winner is right."""

    def all_kinds(self, compile_deadline="5s"):
        return ["tune", ALL_KINDS, *self.on(), "--strategy", "exhaustive", "--max-evaluations", "1000", "--session",
                "session", "--compile-deadline", compile_deadline, "--run-deadline", "3s"]

    def check_all_kinds(self, report, expected):
        found = statuses_of(report)
        self.assertEqual(set(found), set(expected))
        for kind, statuses in found.items():
            self.assertLessEqual(statuses, expected[kind], kind)
        self.assertEqual(len(report["trials"]), 19)
        self.assertEqual(sum(report["failures"].values()), 10)
        self.assertEqual(report["best"]["configuration"]["kind"], "none")
        self.assertTrue(report["reverified"])
        for trial in report["trials"]:
            if trial["configuration"]["kind"] != "none":
                self.assertNotEqual(trial["message"], "", trial["configuration"])
                self.assertIsNone(trial["median_ns"])


class AllKindsOnFakeCuda(AllKinds, FakeTest):
    backend = "cuda"

    def on(self):
        return ["--device", self.device()]

    def test_all_kinds(self):
        state = self.state(NONE)
        report = self.run_json(*self.all_kinds())
        self.assert_nothing_is_left()
        kinds = ("none", "compile_error", "compile_bomb", "resource_excess", "illegal_address", "endless_loop", "abort",
                 "wrong_result", "not_finite", "out_of_bounds", "nondeterministic")
        self.check_all_kinds(report, {kind: EXPECTED[kind] for kind in kinds})
        # Wrong kinds are ten times as fast on this device: none of them was believed.
        self.assertEqual(report["best"]["configuration"], {"kind": "none", "block_x": 128, "items": 2})
        self.assertEqual(state.misuses, 0, state.first_misuse)


class AllKindsOnFakeOpencl(AllKindsOnFakeCuda):
    backend = "opencl"


class AllKindsOnTheCpu(AllKinds, CpuTest):
    def on(self):
        return ["--device", self.device]

    def test_all_kinds(self):
        # Compiling takes its time on a busy CPU.
        report = self.run_json(*self.all_kinds("20s"))
        # Here a fault of a kernel is a signal of its process, and an endless kernel is met at the first launch, which is
        # part of compiling.
        self.check_all_kinds(report, {**{kind: set(statuses) for kind, statuses in EXPECTED.items()
                                         if kind in statuses_of(report)},
                                      "illegal_address": {"crashed"}, "endless_loop": {"compile_timed_out", "timed_out"}})


class Specifications(FakeTest):
    def specification(self, kinds, constraint="kind == 'none' or (block_x == 128 and items == 1)"):
        text = WALK.read_text()
        text = text.replace('values = ["none", "compile_error", "launch_refused", "wrong_result"]',
                            "values = " + json.dumps(["none", *kinds]))
        text = text.replace("kind == 'none' or (block_x == 128 and items == 1)", constraint)
        for name in ("all_kinds.kernel", "all_kinds_naive.kernel"):
            (self.home / name).write_text((FAULTS / name).read_text())
        (self.home / "kinds.toml").write_text(text)
        return self.home / "kinds.toml"


class Memory(Specifications):
    def test_a_compiler_that_runs_out_of_memory_costs_one_configuration(self):
        self.state(NONE)
        kinds = ["compile_memory", "compile_memory_abort", "compile_memory_crash"]
        report = self.run_json(*self.arguments(self.specification(kinds), "--compile-memory", "512MiB"))
        self.assertEqual({kind: EXPECTED[kind] for kind in kinds},
                         {kind: statuses for kind, statuses in statuses_of(report).items() if kind != "none"})
        for trial in report["trials"]:
            if trial["configuration"]["kind"] in kinds:
                self.assertRegex(trial["message"].lower(), "out of memory|out_of_memory")
                self.assertIn("512 MiB (--compile-memory)", trial["message"])
        self.assertEqual(report["best"]["configuration"]["kind"], "none")
        self.assert_nothing_is_left()

    def test_a_crash_that_has_other_reasons_is_not_blamed_on_memory(self):
        self.state(NONE)
        report = self.run_json(*self.arguments(self.specification(["compile_crash"])))
        crashed = [trial for trial in report["trials"] if trial["configuration"]["kind"] == "compile_crash"]
        self.assertEqual([trial["status"] for trial in crashed], ["compile_failed"])
        self.assertIn("killed by SIGSEGV", crashed[0]["message"])
        self.assertNotIn("memory", crashed[0]["message"])

    def test_sizes(self):
        self.state(NONE)
        for wrong in ("4 apples", "GiB", "0", "1e30GiB"):
            self.assert_bad_input(["tune", WALK, "--device", "cuda:0", "--compile-memory", wrong], "--compile-memory",
                                  "4GiB")


class Devices(Specifications):
    def test_a_region_of_bad_configurations_is_no_bad_device(self):
        self.state(NONE)
        # Nine in a row that lose the context, more than a device may fail without being doubted.
        path = self.specification(["illegal_address"], constraint="block_x > 0")
        report = self.run_json(*self.arguments(path))
        self.assertEqual(statuses_of(report), {"none": {"ok"}, "illegal_address": {"device_fault"}})
        self.assertEqual(report["failures"]["device_fault"], 9)
        self.assertEqual(report["best"]["configuration"]["kind"], "none")

    def test_a_lost_device_ends_the_session_and_everything_is_kept(self):
        state = self.state(NONE)
        self.assertEqual(self.finish(self.arguments(WALK, session="first")).returncode, EXIT_SUCCESS)
        # In the search: most launches come after it, of the fastest back to back.
        during_search = 100
        self.assertGreater(state.calls()["cuLaunchKernel"], 2 * during_search)
        self.state(LOST, 46, "cuLaunchKernel", during_search)
        result = self.finish(self.arguments(WALK, "--no-cache"))
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr)
        self.assertIn("could not be started again", result.stderr)
        self.assertIn("kept in", result.stderr)
        kept = journal_trials(self.home / "session")
        self.assertGreater(len(kept), 0)
        self.state(NONE)
        report = self.run_json(*self.arguments(WALK, "--resume"))
        self.assertEqual(report["resumed_from"], len(kept))
        self.assertEqual(len(report["trials"]), 12)

    def test_a_device_that_hangs_while_it_opens(self):
        self.state(HANG, 0, "cuDevicePrimaryCtxRetain", 1)
        begin = time.monotonic()
        result = self.finish(self.arguments(WALK, "--startup-deadline", "1s"))
        self.assertLess(time.monotonic() - begin, 60)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr)
        self.assertIn("took longer than 1.00 s", result.stderr)
        self.assertIn("--startup-deadline", result.stderr)

    def test_interrupted_while_the_device_opens(self):
        state = self.state(HANG, 0, "cuDevicePrimaryCtxRetain", 1)
        process = self.start_program(*self.arguments(WALK))
        self.wait_until(lambda: state.fired or process.poll() is not None, "the device to hang")
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, EXIT_INTERRUPTED, stderr)
        self.assert_nothing_is_left()

    def test_workers_do_not_outlive_a_killed_coordinator(self):
        state = self.state(HANG, 0, "cuStreamSynchronize", 9)
        process = self.start_program(*self.arguments(WALK))
        self.wait_until(lambda: state.fired or process.poll() is not None, "a run to hang")
        process.kill()
        process.wait()
        # The device worker sits in a driver call that never returns.
        self.assert_nothing_is_left()

    def test_a_stopped_session_is_not_a_slow_one(self):
        # Everything stands still for longer than the run deadline, as when a machine is suspended.
        self.state(NONE)
        process = self.start_program(*self.arguments(self.specification([]), "--no-cache", "--run-deadline", "4s",
                                                     "--compile-deadline", "4s", "--json"))
        self.wait_until(lambda: journal_trials(self.home / "session") or process.poll() is not None, "a first trial")
        everything = processes_with("FAKE_DRIVER_STATE=" + str(self.home / "fake-state"))
        for each in everything:
            os.kill(each, signal.SIGSTOP)
        time.sleep(9)
        for each in reversed(everything):
            os.kill(each, signal.SIGCONT)
        stdout, stderr = process.communicate(timeout=120)
        self.assertEqual(process.returncode, EXIT_SUCCESS, stderr)
        self.assertEqual(statuses_of(json.loads(stdout)), {"none": {"ok"}})


# Stands between the program and a worker, and garbles one result.
PROXY = """#!/usr/bin/env python3
import json, os, socket, struct, subprocess, sys, threading
above = socket.socket(fileno=os.dup(3))
below, theirs = socket.socketpair()
os.dup2(theirs.fileno(), 3)
theirs.close()
worker = subprocess.Popen([os.environ["REAL_WORKER"], "3"], pass_fds=(3, 4))
os.close(3)

def downwards():
    while data := above.recv(65536):
        below.sendall(data)
    worker.kill()

threading.Thread(target=downwards, daemon=True).start()
stream = below.makefile("rb")
while prefix := stream.read(12):
    head_size, payload_size = struct.unpack("<IQ", prefix)
    head, payload = stream.read(head_size), stream.read(payload_size)
    # The first that has times: the reference at other sizes is computed before.
    if b'"type":"ran"' in head and os.environ["GARBLE"] and json.loads(head)["trial"]["samples"]:
        ran = json.loads(head)
        try:
            os.close(os.open("garbled", os.O_CREAT | os.O_EXCL))
            garbled = {"text": b"\\xff" * head_size, "list": b"[1,2]", "id": json.dumps({**ran, "id": 12345}).encode(),
                       "fields": b'{"type":"ran"}', "type": b'{"type":"rain"}'}
            head = garbled.get(os.environ["GARBLE"], head)
            size = 2**63 if os.environ["GARBLE"] == "size" else payload_size
            prefix = struct.pack("<IQ", len(head), size)
        except FileExistsError:
            pass
    above.sendall(prefix + head + payload)
    os.write(4, (1).to_bytes(8, "little"))  # the doorbell
"""


class Garbage(FakeTest):
    def test_a_worker_that_talks_nonsense_costs_one_configuration(self):
        (self.home / "bin").mkdir()
        shutil.copy(PROGRAM, self.home / "bin" / "warpwright")
        (self.home / "bin" / "warpwright-worker").write_text(PROXY)
        (self.home / "bin" / "warpwright-worker").chmod(0o755)
        for how in ("text", "list", "id", "fields", "type", "size"):
            with self.subTest(how=how):
                state = self.state(NONE)
                (self.home / "garbled").unlink(missing_ok=True)
                environment = self.environment({"GARBLE": how,
                                                "REAL_WORKER": str(pathlib.Path(PROGRAM).parent / "warpwright-worker")})
                command = [self.home / "bin" / "warpwright", *self.arguments(WALK, "--json", session=how)]
                result = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, timeout=120, cwd=self.home, env=environment,
                                        check=False)
                self.assert_nothing_is_left()
                report = self.check_outcome(result, how, differing=1)
                self.assertIsNotNone(report, result.stderr)
                self.assertTrue((self.home / "garbled").exists())
                # The first run is the baseline's, which is a configuration of the space too.
                self.assertEqual([trial["status"] for trial in report["trials"]].count("crashed"), 1)
                self.assertEqual(state.misuses, 0)


class Disks(FakeTest):
    """Full disks and places that cannot be written."""

    def limited(self, size, *arguments):
        """With files of `size` bytes at most: writing beyond fails as on a full disk, and no mount is needed."""
        return subprocess.run([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120, cwd=self.home, env=self.environment(),
                              check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))

    def test_journal_that_cannot_grow(self):
        self.state(NONE)
        whole = self.finish(self.arguments(WALK, "--no-profile", session="whole"))
        self.assertEqual(whole.returncode, EXIT_SUCCESS, whole.stderr)
        size = (self.home / "whole" / "journal.jsonl").stat().st_size
        for part in (0.15, 0.4, 0.7):
            with self.subTest(part=part):
                name = f"part{part}"
                result = self.limited(int(size * part), *self.arguments(WALK, "--no-profile", "--no-cache", session=name))
                self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr)
                self.assertIn("cannot append to", result.stderr)
                self.assertIn("journal.jsonl", result.stderr)
                self.assert_nothing_is_left()
                kept = journal_trials(self.home / name)
                again = self.run_json(*self.arguments(WALK, "--no-profile", "--resume", session=name))
                self.assertEqual(again["resumed_from"], len(kept))
                self.assertEqual(len(journal_trials(self.home / name)), 12)

    def test_cache_that_cannot_be_written(self):
        self.state(NONE)
        (self.home / "file").write_text("not a folder")
        for folder in (self.home / "file" / "cache", "/proc/self/fdinfo/cache"):
            result = self.finish(self.arguments(WALK, "--cache-dir", folder, session=f"s{len(str(folder))}"))
            self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
            self.assertIn(str(folder), result.stderr)
            self.assertEqual(result.stderr.count("cannot be used"), 1, "once is enough")

    def test_session_and_database_in_impossible_places(self):
        self.state(NONE)
        (self.home / "file").write_text("not a folder")
        database = self.finish(self.arguments(WALK, "--profiles", self.home / "file" / "p.sqlite"))
        self.assertEqual(database.returncode, EXIT_BAD_INPUT)
        self.assertIn("profile database", database.stderr)
        self.assertFalse((self.home / "session").exists(), "it tuned before it looked at the database")
        session = self.finish(self.arguments(WALK, session=self.home / "file" / "session"))
        self.assertEqual(session.returncode, EXIT_BAD_INPUT)
        self.assertIn("session folder", session.stderr)

    def full_disk(self):
        folder = self.home / "small"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            self.skipTest(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=False)
        return folder

    @staticmethod
    def fill(folder):
        with open(folder / "filler", "wb", buffering=0) as file:
            try:
                for size in (4096, 1):
                    while file.write(b"x" * size):
                        pass
            except OSError:
                pass

    def test_full_disk_under_journal_and_cache(self):
        folder = self.full_disk()
        self.state(NONE)
        self.fill(folder)
        os.truncate(folder / "filler", (folder / "filler").stat().st_size - 4096)
        result = self.finish(self.arguments(WALK, "--no-profile", session=folder / "session"))
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr)
        self.assertIn("No space left", result.stderr)
        self.assertIn("free some space, then resume", result.stderr)
        kept = journal_trials(folder / "session")
        (folder / "filler").unlink()
        report = self.run_json(*self.arguments(WALK, "--no-profile", "--resume", session=folder / "session"))
        self.assertEqual(report["resumed_from"], len(kept))
        # A cache on a full disk is a cache that keeps nothing.
        self.fill(folder)
        result = self.finish(self.arguments(WALK, "--cache-dir", folder / "cache", session="cached"))
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)

    def test_full_disk_under_the_database_does_not_cost_the_report(self):
        folder = self.full_disk()
        self.state(NONE)
        tune = ["tune", SIMULATED, "--device", "sim:0", "--max-evaluations", "20", "--no-cache", "--session", "session",
                "--profiles", folder / "p.sqlite", "--json"]
        process = self.start_program(*tune)
        self.wait_until(lambda: journal_trials(self.home / "session") or process.poll() is not None, "a first trial")
        self.fill(folder)
        stdout, stderr = process.communicate(timeout=120)
        self.assertEqual(process.returncode, EXIT_FAILURE, stderr)
        self.assertIn("the winner was not stored", stderr)
        report = json.loads(stdout)
        self.assertIsNone(report["profile_id"])
        self.assertEqual(len(report["trials"]), 20)
        (folder / "filler").unlink()
        again = self.run_json(*tune[:-1], "--resume")
        self.assertEqual(again["resumed_from"], 20)
        self.assertGreater(again["profile_id"], 0)
        # Full from the start: said before anything is tuned.
        self.fill(folder)
        result = self.run_program(*tune[:-1], "--resume")
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stdout)
        self.assertIn("profile database", result.stderr)


class Database(CommandLineTest):
    def tune(self, *options):
        return ["tune", SIMULATED, "--device", "sim:0", "--max-evaluations", 3, "--quiet", "--no-session", *options]

    def test_damaged_database(self):
        path = self.home / "p.sqlite"
        for size in (1000, 2000, 4000):
            self.run_json(*self.tune("--problem", f"n={size}", "--profiles", path))
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        whole = path.read_bytes()
        chance = random.Random(44)
        outcomes = set()
        for _ in range(60 if THOROUGH else 15):
            damaged = bytearray(whole)
            for _ in range(chance.choice((1, 8, 200))):
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            if chance.random() < 0.3:
                del damaged[chance.randrange(len(damaged)):]
            for companion in ("-wal", "-shm"):
                pathlib.Path(str(path) + companion).unlink(missing_ok=True)
            path.write_bytes(bytes(damaged))
            result = self.run_program("profiles", "list", "--profiles", path, "--json")
            self.assertIn(result.returncode, (EXIT_SUCCESS, EXIT_FAILURE, EXIT_BAD_INPUT), result.stderr)
            outcomes.add(result.returncode)
            if result.returncode == EXIT_SUCCESS:
                json.loads(result.stdout)
            else:
                self.assertIn("error: ", result.stderr)
                self.assertIn("p.sqlite", result.stderr)
        self.assertIn(EXIT_BAD_INPUT, outcomes)
        # Found before anything is tuned.
        path.write_bytes(b"SQLite format 3\0" + bytes(5000))
        result = self.run_program(*self.tune("--profiles", path))
        self.assertEqual(result.returncode, EXIT_BAD_INPUT, result.stderr)
        self.assertIn("p.sqlite", result.stderr)

    def test_many_sessions_share_a_database_and_a_cache(self):
        count = 16 if THOROUGH else 6
        environment = self.environment()
        running = []
        for number in range(count):
            command = [PROGRAM, *map(str, self.tune("--problem", f"n={1000 + number}", "--seed", number, "--profiles",
                                                    self.home / "p.sqlite", "--cache-dir", self.home / "shared"))]
            running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, text=True, cwd=self.home, env=environment))
        for process in running:
            _, stderr = process.communicate(timeout=280)
            self.assertEqual(process.returncode, EXIT_SUCCESS, stderr)
        listed = self.run_json("profiles", "list", "--profiles", self.home / "p.sqlite")["profiles"]
        self.assertEqual(sorted(profile["key"]["dimensions"]["n"] for profile in listed),
                         [1000 + number for number in range(count)])
        self.assertEqual([path for path in (self.home / "shared").rglob("*.writing-*")], [])


class Kills(CommandLineTest):
    """SIGKILL at random moments, then --resume."""

    def specification(self):
        """The simulated kernel without the faults that hang: which status they get depends on time."""
        for name in ("simulated.toml", "simulated_kernels.toml"):
            text = (pathlib.Path(SIMULATED).parent / name).read_text()
            for fault in (2, 6):
                self.assertTrue(name == "simulated.toml" or f'"fault == {fault}"' in text)
                text = text.replace(f'"fault == {fault}"', '"fault == 99"')
            (self.home / name).write_text(text)
        return str(self.home / "simulated.toml")

    def test_killed_again_and_again(self):
        kills, evaluations = (200, 60) if THOROUGH else (8, 40)
        # Several sessions, or the last kills would find nothing left to do.
        chance = random.Random(4)
        done = lost = resumed = 0
        session = 0
        while done < kills:
            session += 1
            name = f"session{session}"
            arguments = ["tune", self.specification(), "--device", "sim:0", "--max-evaluations", str(evaluations),
                         "--seed", str(session), "--strategy", "random", "--no-cache", "--no-profile", "--quiet", "--json"]
            resume = []
            before = []
            while True:
                process = self.start_program(*arguments, "--session", name, *resume)
                if done < kills:
                    time.sleep(chance.uniform(0.0, 2.5))
                    if process.poll() is None:
                        process.kill()
                        done += 1
                stdout, stderr = process.communicate(timeout=280)
                now = journal_trials(self.home / name)
                self.assertEqual([identity(trial) for trial in now[:len(before)]], [identity(trial) for trial in before],
                                 "a record was lost or changed")
                self.assertEqual(len({identity(trial) for trial in now}), len(now), "measured twice")
                resumed += len(now) - len(before)
                before = now
                if process.returncode == EXIT_SUCCESS:
                    break
                self.assertEqual(process.returncode, -signal.SIGKILL, stderr)
                if (self.home / name / "journal.jsonl").exists() and journal_records(self.home / name):
                    resume = ["--resume"]
            report = json.loads(stdout)
            whole = self.run_json(*arguments[:-1], "--no-session")
            # Which right configurations are stopped early depends on time, and so on what was measured before a kill.
            self.assertEqual([(identity(trial), trial["status"].replace("censored", "ok")) for trial in report["trials"]],
                             [(identity(trial), trial["status"].replace("censored", "ok")) for trial in whole["trials"]])
        print(f"{done} SIGKILLs in {session} sessions of {evaluations} configurations: {resumed} records, {lost} lost, "
              "0 measured twice")


del AllKinds, Specifications

if __name__ == "__main__":
    unittest.main()
