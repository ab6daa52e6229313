"""Files, folders and streams as services, full disks and shared machines leave them: what is lost is said, by exit code
and name; what can be worked around is; and nothing is created or changed by a mistake."""

import json
import os
import pathlib
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import unittest

from specifications import buffer, specification
from support import (CommandLineTest, CpuTest, EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_SUCCESS, KERNELS, PROGRAM,
                     SIMULATED, VECTOR_ADD, journal_trials)

NOBODY = 65534
SIM = ("--device", "sim:0", "--strategy", "random")
RECORDED = {"device_name": "d", "kernel_name": "k", "problem_size": 1, "objective": ["time"], "tune_params_keys": ["b"]}


def recorded(rows):
    cache = {str(index): dict(row, b=index) for index, row in enumerate(rows)}
    return json.dumps(dict(RECORDED, tune_params={"b": list(range(len(rows)))}, cache=cache))


class StreamsTest(CommandLineTest):
    def run_shell(self, command, **kwargs):
        """`command` for a shell, with $PROGRAM in place of the program; for closed and redirected streams."""
        return subprocess.run(["sh", "-c", command], cwd=self.home, timeout=200, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              env=self.environment({"PROGRAM": PROGRAM, "SPEC": SIMULATED}), **kwargs)


class FullDisk(StreamsTest):
    def test_every_command_says_that_its_output_is_lost(self):
        (self.home / "four.json").write_text(recorded([{"time": 1.0, "compile_time": 1.0}] * 4))
        self.run_program("tune", SIMULATED, *SIM, "--max-evaluations", 2, "--session", "s")
        commands = ["--help", "--version", "tune --help", "devices", "devices --json", "devices --device sim:0",
                    "check $SPEC --device sim:0", "check $SPEC --device sim:0 --json",
                    "compare $SPEC --device sim:0 --config baseline", "show s", "show s --json", "space $SPEC",
                    "space $SPEC --list", "space $SPEC --json", "strategies", "strategies --json", "export four.json",
                    "simulate four.json", "profiles list", "profiles list --json", "profiles export",
                    "occupancy --arch sm_90 --block 256", "recommend --arch sm_90 --workload 100000",
                    "tune $SPEC --device sim:0 --max-evaluations 2 --no-session",
                    "tune $SPEC --device sim:0 --max-evaluations 2 --no-session --json"]
        for command in commands:
            with self.subTest(command=command):
                right = self.run_shell(f'"$PROGRAM" {command} > out.txt')
                self.assertNotEqual((self.home / "out.txt").read_text(), "", right.stderr)
                full = self.run_shell(f'"$PROGRAM" {command} > /dev/full')
                self.assertEqual(full.returncode, right.returncode or EXIT_FAILURE, full.stderr)
                self.assertIn("'/dev/full'", full.stderr)
                self.assertIn("No space left on device", full.stderr)

    def test_the_winner_is_stored_all_the_same(self):
        full = self.run_shell('"$PROGRAM" tune $SPEC --device sim:0 --max-evaluations 3 --no-session --quiet > /dev/full')
        self.assertEqual(full.returncode, EXIT_FAILURE)
        self.assertEqual(len(self.run_json("profiles", "list")["profiles"]), 1)

    def test_messages_that_cannot_be_written_end_nothing(self):
        full = self.run_shell('"$PROGRAM" tune $SPEC --device sim:0 --max-evaluations 3 --no-session --json 2> /dev/full')
        self.assertEqual(full.returncode, EXIT_SUCCESS)
        self.assertIsNotNone(json.loads(full.stdout)["best"])

    def test_a_reader_of_messages_that_left_ends_nothing(self):
        read, write = os.pipe()
        os.close(read)
        try:
            result = subprocess.run([PROGRAM, "tune", SIMULATED, *SIM, "--max-evaluations", "3", "--no-session", "--json"],
                                    cwd=self.home, env=self.environment(), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=write, timeout=200, check=False, restore_signals=True)
        finally:
            os.close(write)
        self.assertEqual(result.returncode, EXIT_SUCCESS)
        self.assertIsNotNone(json.loads(result.stdout)["best"])


class ClosedStreams(StreamsTest):
    TUNE = '"$PROGRAM" tune $SPEC --device sim:0 --strategy random --max-evaluations 4 --session s --json'

    def journal_is_whole(self):
        text = (self.home / "s" / "journal.jsonl").read_text()
        for line in text.splitlines():
            json.loads(line)
        self.assertEqual(len(journal_trials(self.home / "s")), 4)
        database = sqlite3.connect(self.home / "data" / "warpwright" / "profiles.sqlite")
        self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        self.assertEqual(database.execute("SELECT count(*) FROM profiles").fetchone(), (1,))
        database.close()

    def test_standard_error(self):
        result = self.run_shell(self.TUNE + " 2>&-")
        self.assertEqual(result.returncode, EXIT_SUCCESS)
        self.assertIsNotNone(json.loads(result.stdout)["best"])
        self.journal_is_whole()

    def test_standard_output(self):
        result = self.run_shell(self.TUNE + " >&-")
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr)
        self.assertIn("standard output", result.stderr)
        self.assertIn("closed", result.stderr)
        self.journal_is_whole()

    def test_all_of_them(self):
        result = self.run_shell(self.TUNE + " <&- >&- 2>&-")
        self.assertEqual(result.returncode, EXIT_FAILURE)
        self.journal_is_whole()

    def test_nothing_is_lost_where_nothing_was_to_be_printed(self):
        self.run_shell(self.TUNE)
        result = self.run_shell('"$PROGRAM" export s --output out.json >&-')
        self.assertEqual(result.returncode, EXIT_FAILURE, "a line about the file was lost")
        self.assertTrue((self.home / "out.json").exists())
        result = self.run_shell('"$PROGRAM" check nowhere.toml >&-')
        self.assertEqual(result.returncode, EXIT_BAD_INPUT)
        self.assertIn("nowhere.toml", result.stderr)
        self.assertNotIn("closed", result.stderr)


class Paths(CommandLineTest):
    def names(self):
        return sorted(path.name for path in self.home.iterdir())

    def test_bad_paths_are_bad_input_and_create_nothing(self):
        (self.home / "four.json").write_text(recorded([{"time": 1.0, "compile_time": 1.0}] * 4))
        (self.home / "plain").write_text("x")
        before = self.names()
        nowhere = "a/b/c.json"
        for arguments, word in (
                (["export", "four.json", "--output", nowhere], "a/b"),
                (["export", "four.json", "--output", "plain/c.json"], "plain"),
                (["export", "four.json", "--output", "."], "."),
                (["simulate", "four.json", "--traces", nowhere], nowhere),
                (["profiles", "export", "--output", nowhere], "a/b"),
                (["profiles", "import", nowhere], nowhere),
                (["profiles", "import", "four.json", "--profiles", "a/b/p.sqlite"], "a/b"),
                (["show", "a/b"], "a/b"),
                (["show", "plain"], "plain"),
                (["check", "."], "."),
                (["check", "plain/spec.toml"], "plain/spec.toml"),
                (["tune", SIMULATED, *SIM, "--max-evaluations", "1", "--profiles", "a/b/p.sqlite"], "a/b"),
                (["tune", SIMULATED, *SIM, "--max-evaluations", "1", "--start-from", "a/b.sqlite"], "a/b.sqlite"),
                (["tune", SIMULATED, *SIM, "--max-evaluations", "1", "--session", "a/b", "--resume"], "a/b"),
                (["occupancy", "--arch", "sm_90", "--block", "256", "--sweep", "block", "--svg", "a/b/c.svg"], "a/b")):
            with self.subTest(arguments=arguments):
                self.assert_bad_input(arguments, word)
                self.assertFalse((self.home / "a").exists())
        self.assertEqual([name for name in self.names() if name not in ("data", "state", "cache")], before)

    def test_output_keeps_links_and_modes(self):
        (self.home / "four.json").write_text(recorded([{"time": 1.0, "compile_time": 1.0}] * 4))
        (self.home / "target.json").write_text("old")
        (self.home / "target.json").chmod(0o640)
        (self.home / "link.json").symlink_to("target.json")
        self.assertEqual(self.run_program("export", "four.json", "--output", "link.json").returncode, EXIT_SUCCESS)
        self.assertTrue((self.home / "link.json").is_symlink())
        self.assertIn("cache", json.loads((self.home / "target.json").read_text()))
        self.assertEqual((self.home / "target.json").stat().st_mode & 0o777, 0o640)
        self.assertEqual(self.run_program("export", "four.json", "--output", "/dev/null").returncode, EXIT_SUCCESS)
        self.assertTrue(pathlib.Path("/dev/null").is_char_device())


class Databases(CommandLineTest):
    def store(self, name="profiles.sqlite"):
        self.run_json("tune", SIMULATED, *SIM, "--max-evaluations", 2, "--no-session", "--profiles", name)
        return self.home / name

    def test_empty_and_foreign_files_are_left_as_they_are(self):
        (self.home / "empty.sqlite").write_bytes(b"")
        foreign = sqlite3.connect(self.home / "foreign.sqlite")
        foreign.execute("CREATE TABLE cookies (name TEXT)")
        foreign.close()
        (self.home / "text.sqlite").write_text("some text" * 100)
        four = self.home / "four.json"
        four.write_text(json.dumps({"schema_version": 1, "profiles": []}))
        for name in ("empty.sqlite", "foreign.sqlite", "text.sqlite"):
            before = (self.home / name).read_bytes()
            for arguments in (["profiles", "list", "--profiles", name], ["profiles", "show", "1", "--profiles", name],
                              ["profiles", "remove", "1", "--profiles", name],
                              ["profiles", "import", "four.json", "--profiles", name],
                              ["tune", SIMULATED, *SIM, "--max-evaluations", "1", "--profiles", name]):
                with self.subTest(name=name, arguments=arguments):
                    self.assert_bad_input(arguments, name, "no profile database")
                    self.assertEqual((self.home / name).read_bytes(), before)
        self.assertEqual(sorted(path.name for path in self.home.glob("*.sqlite*")),
                         ["empty.sqlite", "foreign.sqlite", "text.sqlite"])

    def test_reading_writes_nothing(self):
        file = self.store()
        before, stamp = file.read_bytes(), file.stat().st_mtime_ns
        for arguments in (["profiles", "list"], ["profiles", "show", "1"], ["profiles", "export"]):
            self.assertEqual(self.run_program(*arguments, "--profiles", file).returncode, EXIT_SUCCESS)
        self.run_json("tune", SIMULATED, *SIM, "--max-evaluations", 1, "--no-session", "--no-profile", "--start-from", file)
        self.assertEqual(file.read_bytes(), before)
        self.assertEqual(file.stat().st_mtime_ns, stamp)
        self.assertEqual(sorted(path.name for path in self.home.glob("profiles*")), ["profiles.sqlite"])

    def test_a_database_and_a_folder_that_cannot_be_written(self):
        file = self.store()
        shelf = self.home / "shelf"
        shelf.mkdir()
        shutil.move(file, shelf / "p.sqlite")
        (shelf / "p.sqlite").chmod(0o444)
        shelf.chmod(0o555)
        self.addCleanup(shelf.chmod, 0o755)
        self.home.chmod(0o755)

        def as_nobody(*arguments):
            own = self.home / "own"
            own.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                os.chown(own, NOBODY, NOBODY)
            kwargs = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
            return subprocess.run([PROGRAM, *map(str, arguments)], cwd=own, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=200, check=False,
                                  env=self.environment({"HOME": str(own), "XDG_CACHE_HOME": str(own / "c"),
                                                        "XDG_DATA_HOME": str(own / "d"),
                                                        "XDG_STATE_HOME": str(own / "s")}), **kwargs)

        listed = as_nobody("profiles", "list", "--json", "--profiles", shelf / "p.sqlite")
        self.assertEqual(listed.returncode, EXIT_SUCCESS, listed.stderr)
        self.assertEqual(len(json.loads(listed.stdout)["profiles"]), 1)
        started = as_nobody("tune", SIMULATED, *SIM, "--max-evaluations", "1", "--no-session", "--start-from",
                            shelf / "p.sqlite", "--json")
        self.assertEqual(started.returncode, EXIT_SUCCESS, started.stderr)
        stored = as_nobody("tune", SIMULATED, *SIM, "--max-evaluations", "1", "--no-session", "--profiles", shelf / "p.sqlite")
        self.assertEqual(stored.returncode, EXIT_BAD_INPUT, stored.stderr)
        self.assertIn("cannot be written to", stored.stderr)
        removed = as_nobody("profiles", "remove", "1", "--profiles", shelf / "p.sqlite")
        self.assertEqual(removed.returncode, EXIT_BAD_INPUT, removed.stderr)
        self.assertEqual(sorted(path.name for path in shelf.iterdir()), ["p.sqlite"])


class Folders(CommandLineTest):
    """Home and cache folders that cannot be used: a warning and a temporary folder."""

    def tune(self, environment, *options, user=None):
        kwargs = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
        return subprocess.run([PROGRAM, "tune", SIMULATED, *SIM, "--max-evaluations", "2", "--json", *map(str, options)],
                              cwd="/", text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=200, check=False, env=self.environment(environment), **kwargs)

    def setUp(self):
        super().setUp()
        self.home.chmod(0o755)
        self.temporary = self.home / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o777)
        self.locked = {"HOME": "/proc/self/fdinfo", "XDG_CACHE_HOME": "", "XDG_DATA_HOME": "", "XDG_STATE_HOME": "",
                       "TMPDIR": str(self.temporary)}

    def check_fallback(self, result):
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIsNotNone(json.loads(result.stdout)["best"])
        kept = list(self.temporary.iterdir())
        self.assertEqual(len(kept), 1, kept)
        self.assertEqual(sorted(path.name for path in kept[0].iterdir()), ["profiles.sqlite", "session"],
                         "the cache was not removed, or something was not kept")
        self.assertEqual(kept[0].stat().st_mode & 0o777, 0o700)
        for flag in ("--session", "--profiles"):
            self.assertIn(flag, result.stderr)
        self.assertIn("cannot be used", result.stderr)
        self.assertIn(str(kept[0] / "session"), result.stderr)
        self.assertIn(str(kept[0] / "profiles.sqlite"), result.stderr)
        self.assertEqual(len(journal_trials(kept[0] / "session")), 2)

    def test_home_in_a_place_where_nothing_can_be_made(self):
        self.check_fallback(self.tune(self.locked))

    def test_home_that_is_not_set(self):
        environment = {**self.locked, "HOME": ""}
        self.check_fallback(self.tune(environment))

    def test_home_of_somebody_else(self):
        if os.geteuid() != 0:
            self.skipTest("only the superuser can become somebody else")
        home = self.home / "theirs"
        home.mkdir(mode=0o755)
        self.check_fallback(self.tune({**self.locked, "HOME": str(home)}, user=NOBODY))
        self.assertEqual(list(home.iterdir()), [])

    def test_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest("only the superuser can mount a small disk")
        disk = self.home / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", str(disk)], check=False)
        result = self.tune({**self.locked, "HOME": str(disk)})
        self.check_fallback(result)
        self.assertIn("are free", result.stderr)

    def test_quiet_is_quiet(self):
        result = self.tune(self.locked, "--quiet")
        self.assertEqual(result.returncode, EXIT_SUCCESS)
        self.assertEqual(result.stderr, "")

    def test_a_named_cache_folder_that_cannot_be_used(self):
        result = self.tune({"TMPDIR": str(self.temporary)}, "--cache-dir", "/proc/self/fdinfo/c")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn("'/proc/self/fdinfo/c' cannot be used", result.stderr)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_cache_folders_are_their_owners_alone(self):
        self.assertEqual(self.tune({}).returncode, EXIT_SUCCESS)
        cache = self.home / "cache" / "warpwright"
        for folder in (cache, cache / "binaries", cache / "pocl", cache / "cuda"):
            self.assertEqual(folder.stat().st_mode & 0o777, 0o700, folder)
        cache.chmod(0o777)
        result = self.tune({"TMPDIR": str(self.temporary)})
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn("may be written to by others", result.stderr)
        self.assertEqual(list(self.temporary.iterdir()), [], "the temporary cache was not removed")
        named = self.tune({}, "--cache-dir", cache)
        self.assertEqual(named.returncode, EXIT_BAD_INPUT, named.stderr)
        self.assertIn("chmod 700", named.stderr)
        cache.chmod(0o700)
        (cache / "binaries").chmod(0o770)
        planted = self.tune({}, "--cache-dir", cache)
        self.assertEqual(planted.returncode, EXIT_BAD_INPUT, planted.stderr)
        self.assertIn("binaries", planted.stderr)

    def test_a_cache_folder_of_another_owner_is_refused(self):
        if os.geteuid() != 0:
            self.skipTest("only the superuser can give a folder to somebody else")
        theirs = self.home / "theirs"
        theirs.mkdir(mode=0o700)
        os.chown(theirs, NOBODY, NOBODY)
        self.assert_bad_input(["tune", SIMULATED, *SIM, "--max-evaluations", "1", "--cache-dir", theirs], "theirs",
                              f"belongs to user {NOBODY}")


class PoclFolders(CpuTest):
    def test_opencl_works_where_home_cannot_be_written(self):
        temporary = self.home / "tmp"
        temporary.mkdir()
        environment = {"HOME": "/proc/self/fdinfo", "XDG_CACHE_HOME": "", "XDG_DATA_HOME": "", "XDG_STATE_HOME": "",
                       "TMPDIR": str(temporary)}
        devices = self.run_program("devices", environment=environment)
        self.assertEqual(devices.returncode, EXIT_SUCCESS, devices.stderr)
        self.assertIn(self.device, devices.stdout)
        self.assertIn("cannot be used", devices.stderr)
        self.assertNotIn("pocl-opencl-icd", devices.stdout)
        checked = self.run_program("check", VECTOR_ADD, *self.on_cpu, "--problem", "n=4096", environment=environment)
        self.assertEqual(checked.returncode, EXIT_SUCCESS, checked.stderr + checked.stdout)
        self.assertIn("correct", checked.stdout)
        self.assertEqual(list(temporary.iterdir()), [])


class Contradictions(CommandLineTest):
    def test_flags_that_exclude_each_other(self):
        tune = ["tune", SIMULATED, *SIM, "--max-evaluations", "1"]
        self.assert_bad_input([*tune, "--no-profile", "--profiles", "f"], "--no-profile", "--profiles")
        self.assert_bad_input([*tune, "--no-cache", "--cache-dir", "d"], "--no-cache", "--cache-dir")
        self.assertFalse((self.home / "f").exists())
        self.assertFalse((self.home / "d").exists())

    def test_numbers_without_a_unit(self):
        for flag in ("--time-limit", "--compile-deadline", "--run-deadline", "--startup-deadline"):
            self.assert_bad_input(["tune", SIMULATED, *SIM, flag, "10"], flag, "10s")
        self.assert_bad_input(["tune", SIMULATED, *SIM, "--time-limit", "1s", "--compile-memory", "10"], "--compile-memory",
                              "GiB")

    def test_numbers_out_of_range(self):
        self.assert_bad_input(["tune", SIMULATED, *SIM, "--max-evaluations", "1", "--rows", "-1"], "--rows")
        self.assert_bad_input(["show", "s", "--rows", "-1"], "--rows")
        self.assert_bad_input(["tune", SIMULATED, "--device", "sim:0", "--max-evaluations", "1", "--strategy", "genetic",
                               "--strategy-option", "population=0"], "population", "at least 2")

    def test_a_dimension_of_another_kind(self):
        self.assert_bad_input(["space", VECTOR_ADD, "--problem", "n=foo"], "--problem", "'n'", "foo")
        self.assert_bad_input(["space", VECTOR_ADD, "--problem", "m=1"], "--problem", "'m'")

    def test_values_of_two_kinds(self):
        text = (KERNELS / "vector_add" / "vector_add.toml").read_text()
        self.assertIn("values = [", text)
        at = text.index("values = [")
        end = text.index("]", at)
        for name in ("vector_add.kernel", "vector_add_naive.kernel"):
            if (KERNELS / "vector_add" / name).exists():
                shutil.copy(KERNELS / "vector_add" / name, self.home / name)
        (self.home / "mixed.toml").write_text(text[:at] + 'values = [32, "64"' + text[end:])
        self.assert_bad_input(["space", "mixed.toml"], "mixed.toml", "'64'", "kind")


class HangingTest(CommandLineTest):
    def hanging(self, condition):
        """A specification whose compiler does not end where `condition` holds, so that a session stays at work."""
        data = pathlib.Path(SIMULATED).parent
        text = (data / "simulated_kernels.toml").read_text()
        self.assertIn('hang_compile_if = "fault == 2"', text)
        (self.home / "simulated_kernels.toml").write_text(
            text.replace('hang_compile_if = "fault == 2"', f'hang_compile_if = "{condition}"'))
        return shutil.copy(SIMULATED, self.home / "hanging.toml")

    def start(self, condition, *options):
        return self.start_program("tune", self.hanging(condition), *SIM, "--time-limit", "10m", "--compile-deadline", "10m",
                                  *options)


class Interruptions(HangingTest):
    def test_before_the_first_result(self):
        process = self.start("fault >= 0", "--session", "s")
        self.wait_until((self.home / "s" / "journal.jsonl").exists, "a journal")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=100)
        self.assertEqual(process.returncode, EXIT_INTERRUPTED, err)
        self.assertEqual(journal_trials(self.home / "s"), [])
        self.assertRegex(err, "nothing was measured|before anything was measured")
        self.assertNotIn("--resume", err)

    def test_with_a_winner(self):
        process = self.start("pad > 5", "--session", "s", "--profiles", "p.sqlite")
        self.wait_until(lambda: any(trial["status"] == "ok" for trial in journal_trials(self.home / "s")), "a result")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=100)
        self.assertEqual(process.returncode, EXIT_INTERRUPTED, err)
        for word in ("not stored", "p.sqlite", "--resume", "--session"):
            self.assertIn(word, err)
        self.assertEqual(self.run_json("profiles", "list", "--profiles", "p.sqlite")["profiles"], [])

    def test_with_a_winner_that_was_not_to_be_stored(self):
        process = self.start("pad > 5", "--session", "s", "--no-profile")
        self.wait_until(lambda: any(trial["status"] == "ok" for trial in journal_trials(self.home / "s")), "a result")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=100)
        self.assertEqual(process.returncode, EXIT_INTERRUPTED, err)
        self.assertNotIn("not stored", err)


class Recordings(CommandLineTest):
    def test_simulate_prints_results_of_spaces_too_small_for_a_score(self):
        same = [{"time": 1.0, "compile_time": 1.0}] * 4
        without_costs = [{"time": float(t)} for t in (4, 3, 2, 1)]
        two = [{"time": 2.0, "compile_time": 1.0}, {"time": 1.0, "compile_time": 1.0},
               {"time": "RuntimeFailedConfig"}, {"time": "RuntimeFailedConfig"}]
        for name, rows in (("same", same), ("without_costs", without_costs), ("two", two)):
            with self.subTest(name=name):
                (self.home / f"{name}.json").write_text(recorded(rows))
                result = self.run_program("simulate", f"{name}.json")
                self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
                for word in ("auto", "random", "its best", "cannot be scored"):
                    self.assertIn(word, result.stdout)
                report = self.run_json("simulate", f"{name}.json", "--strategy", "exhaustive", "--budget", "4")
                space = next(iter(report["spaces"].values()))
                self.assertIn("cannot be scored", space["no_score"])
                detail = next(iter(report["details"]["exhaustive"].values()))
                self.assertEqual((detail["evaluations"], detail["reached_target"]), (4, 1))
                self.assertIsNone(report["scores"]["exhaustive"]["score"])
                self.assert_bad_input(["simulate", f"{name}.json", "--score"], "cannot be scored")

    def test_a_scored_space_beside_one_that_is_not(self):
        (self.home / "big.json").write_text(recorded([{"time": 1.0 + i, "compile_time": 1.0} for i in range(30)]))
        (self.home / "small.json").write_text(recorded([{"time": 1.0}] * 4))
        report = self.run_json("simulate", "big.json", "small.json")
        names = list(report["spaces"])
        self.assertEqual(len(names), 2)
        details = report["details"]["random"]
        self.assertEqual(sorted(value["score"] is None for value in details.values()), [False, True])

    def test_units_of_t4(self):
        def t4(name, value, unit, objective="time"):
            (self.home / name).write_text(json.dumps({
                "schema_version": "1.0.0", "metadata": {"timeunit": "Microseconds"}, "results": [{
                    "configuration": {"b": b}, "objectives": [objective], "invalidity": "correct", "correctness": 1,
                    "times": {"compilation": 1000, "runtimes": [value * b] * 3},
                    "measurements": [{"name": objective, "value": value * b, "unit": unit}]} for b in range(1, 6)]}))
            return self.run_program("devices", "--device", f"replay:{name}")

        for objective in ("time", "kernel_duration"):
            result = t4(f"{objective}.json", 1500, "us", objective)
            self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
            self.assertIn("1.50 ms", result.stdout)
        self.assertIn("1.50 s", t4("seconds.json", 1.5, "s").stdout)


class Confinement(HangingTest):
    def test_devices_tell(self):
        told = self.run_json("devices")["confinement"]
        self.assertIs(told["no_new_privileges"], True)
        self.assertTrue(told["landlock"] is None or told["landlock"] >= 2, told)
        self.assertIn("confinement of workers: no new privileges", self.run_program("devices").stdout)

    @staticmethod
    def workers_of(process):
        """What /proc says of each worker of a running session."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if not entry.name.isdigit() or (entry / "comm").read_text().strip() != "warpwright-work":
                    continue
                status = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines() if ":" in line)
                if int(status["PPid"]) == process.pid:
                    found.append(status)
            except (OSError, KeyError, ValueError):
                continue
        return found

    def privileges(self, *options):
        process = self.start("pad > 5", "--session", "s", *options)
        # A worker that has measured something has read what it may do.
        self.wait_until(lambda: any(trial["status"] == "ok" for trial in journal_trials(self.home / "s")), "a result")
        return {status["NoNewPrivs"].strip() for status in self.workers_of(process)}

    def test_workers_get_no_new_privileges(self):
        self.assertEqual(self.privileges(), {"1"})

    def test_the_flag_switches_it_off(self):
        self.assertEqual(self.privileges("--no-confinement"), {"0"})


class NativeKernels(CpuTest):
    """A kernel for a CPU device is native code: it can call the system."""

    # creat(PLACE, 0644), without a C library, which PoCL's linker does not give to kernels.
    KERNEL = """
__constant char place[] = "PLACE";
__kernel void copy(__global const float* x, __global float* y, int n) {
  const int i = get_global_id(0);
  if (i == 0) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(85L), "D"((long)place), "S"(420L) : "rcx", "r11", "memory");
  }
  if (i < n) y[i] = x[i];
}
"""

    def run_kernel(self, place, *options):
        (self.home / "copy.cl").write_text(self.KERNEL.replace("PLACE", str(place)))
        (self.home / "copy.toml").write_text(specification(
            "copy", {"opencl": "copy.cl"}, {"n": 1024}, {"block_x": [32]}, [buffer("x"), buffer("y", "out")],
            {"entry": "copy", "block": ["block_x"], "grid": ["ceil_div(n, block_x)"], "args": ["x", "y", "n"]}))
        return self.run_program("check", "copy.toml", *self.on_cpu, *options)

    def test_a_kernel_cannot_write_into_the_home_folder(self):
        if platform.machine() != "x86_64":
            self.skipTest("the system call of the kernel is written for x86-64")
        home = pathlib.Path("/var/lib") if os.geteuid() == 0 else pathlib.Path(os.path.expanduser("~"))
        if not os.access(home, os.W_OK):
            self.skipTest(f"{home} cannot be written to in any case")
        place = home / f"warpwright-test-{os.getpid()}"
        self.addCleanup(lambda: place.unlink(missing_ok=True))
        free = self.run_kernel(place, "--no-confinement")
        if not place.exists():
            self.skipTest(f"this OpenCL lets no kernel call the system: {free.stdout[-300:]}{free.stderr[-300:]}")
        place.unlink()
        if self.run_json("devices")["confinement"]["landlock"] is None:
            self.skipTest("this kernel has no Landlock")
        confined = self.run_kernel(place)
        self.assertEqual(confined.returncode, EXIT_SUCCESS, confined.stderr + confined.stdout)
        self.assertFalse(place.exists(), "a kernel wrote outside of the caches and temporary folders")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
