"""tools/fuzz-corpus: what is added is unpacked again, the same cases give the same archive, and other archives are refused."""

import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["WARPWRIGHT_SOURCE"])


class FuzzCorpus(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="warpwright-fuzz-corpus-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "tools").mkdir()
        shutil.copy2(SOURCE / "tools" / "fuzz-corpus", self.folder / "tools")
        (self.folder / "fuzz").mkdir()
        (self.folder / "fuzz" / "toml_fuzz.cpp").write_text("")
        self.archive = self.folder / "fuzz" / "corpus" / "toml.tar.xz"

    def run_tool(self, *arguments, expect=0, tool=None):
        done = subprocess.run([sys.executable, "-B", tool or self.folder / "tools" / "fuzz-corpus", *map(str, arguments)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def write(self, name, data):
        path = self.folder / "new" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def test_the_archives_of_this_tree_are_whole(self):
        self.assertIn(" corpora, 0 faults", self.run_tool("check", tool=SOURCE / "tools" / "fuzz-corpus"))

    def test_what_is_added_is_unpacked_again(self):
        self.assertIn("toml.tar.xz is missing", self.run_tool("check", expect=1))
        cases = {"empty": b"", "every_byte": bytes(range(256)), "0a1b": b"schema = 1\n"}
        for name, data in cases.items():
            self.write(name, data)
        self.run_tool("add", "toml", self.folder / "new")
        self.run_tool("unpack", "toml", self.folder / "out" / "toml")
        self.assertEqual({path.name: path.read_bytes() for path in (self.folder / "out" / "toml").iterdir()}, cases)
        self.assertIn("1 corpora, 0 faults", self.run_tool("check"))
        self.assertRegex(self.run_tool("list"), r"toml +3 cases, +267 bytes")
        self.run_tool("remove", "toml", "empty")
        self.assertNotIn("empty", self.run_tool("list", "toml"))

    def test_order_and_times_do_not_show(self):
        one, two = self.write("one", b"1"), self.write("two", b"2")
        self.run_tool("add", "toml", one, two)
        first = self.archive.read_bytes()
        self.archive.unlink()
        os.utime(one, (1, 1))
        one.chmod(0o600)
        self.run_tool("add", "toml", two)
        self.run_tool("add", "toml", one)
        self.assertEqual(self.archive.read_bytes(), first)

    def test_a_case_that_is_there_is_left_out_and_a_name_that_is_taken_refused(self):
        self.run_tool("add", "toml", self.write("seed", b"a"))
        before = self.archive.read_bytes()
        self.assertIn("is there already, as 'seed'", self.run_tool("add", "toml", self.write("copy", b"a")))
        self.assertIn("is there already and is something else", self.run_tool("add", "toml", self.write("seed", b"b"), expect=1))
        self.assertIn("rename it", self.run_tool("add", "toml", self.write("a name", b"c"), expect=1))
        self.assertIn("there is no fuzzer 'tomml'; there are toml", self.run_tool("add", "tomml", self.write("d", b"d"), expect=1))
        self.assertIn("has no case 'x'", self.run_tool("remove", "toml", "x", expect=1))
        self.assertEqual(self.archive.read_bytes(), before)

    def test_archives_of_other_tools_are_refused(self):
        self.archive.parent.mkdir()
        for name in ("../escape", "/tmp/absolute", "folder/case"):
            with tarfile.open(self.archive, "w:xz") as archive:
                entry = tarfile.TarInfo(name)
                entry.size = 1
                archive.addfile(entry, io.BytesIO(b"x"))
            self.assertIn("is no plain file", self.run_tool("check", expect=1))
        with tarfile.open(self.archive, "w:xz") as archive:
            archive.add(self.write("case", b"x"), "case")
        self.assertIn("was not written by this tool", self.run_tool("check", expect=1))
        self.archive.write_bytes(b"no archive")
        self.assertIn("cannot be read", self.run_tool("check", expect=1))
        self.run_tool("unpack", "toml", self.folder / "out", expect=1)
