"""bench_pool with peers: pools of others in libraries that it opens (bench/pool/peer.h)."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["WARPWRIGHT_BENCH_POOL"]
PEERS = pathlib.Path(os.environ["WARPWRIGHT_PEERS"])


def run(*peers):
    """Exit code, output, error output and JSON of a run that is as short as it can be."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        words = [word for peer in peers for word in ("--peer", str(peer))]
        done = subprocess.run([PROGRAM, "--threads", "2", "--milliseconds", "1", "--rounds", "1", "--json", str(report), *words],
                              capture_output=True, text=True, timeout=250, check=False)
        return done.returncode, done.stdout, done.stderr, json.loads(report.read_text()) if report.exists() else None


class Peers(unittest.TestCase):
    def test_take_part_in_everything_and_what_cannot_be_opened_is_named(self):
        code, out, errors, report = run(*(PEERS / f"peer_{kind}.so" for kind in ("refuses", "good", "short", "twice", "lacking")))
        self.assertEqual(code, 0, errors)
        self.assertEqual(report["peers"], [{"file": "peer_good.so", "name": "trivial 1.0", "misses": 0}])
        self.assertGreater(report["latency"]["trivial 1.0"]["median_of_bursts_ns"], 0)
        self.assertEqual({row["pattern"] for row in report["throughput"]}, {"pair", "hand-off"})
        for row in report["throughput"]:
            self.assertGreater(row["ns"]["trivial 1.0"], 0, row)
        self.assertEqual({entry["file"]: entry["reason"] for entry in report["peers_not_opened"]}, {
            "peer_lacking.so": "peer_lacking.so: undefined symbol: nobody_has_this",
            "peer_refuses.so": "refused on purpose",
            "peer_short.so": "it gave only 1023 of 1024 blocks",
            "peer_twice.so": "it gave one block to two owners"})
        self.assertIn("without peer_refuses.so: refused on purpose", out)

    def test_files_that_are_no_peers_are_errors(self):
        for file, text in ((PEERS / "missing.so", "missing.so: there is no such file"),
                           (PEERS, "there is no such file"),
                           (pathlib.Path(__file__), "test_peers.py is no shared library"),
                           (PEERS / "peer_none.so", "peer_none.so has no function warpwright_pool_peer"),
                           (PEERS / "peer_strange.so", "peer_strange.so was built for interface 2 of bench/pool/peer.h, this is 1")):
            with self.subTest(file=file.name):
                code, _, errors, report = run(file)
                self.assertEqual(code, 2)
                self.assertIn(text, errors)
                self.assertIsNone(report)

    def test_one_name_twice_is_an_error(self):
        code, _, errors, _ = run(PEERS / "peer_good.so", PEERS / "peer_good.so")
        self.assertEqual(code, 2)
        self.assertIn("there is a trivial 1.0 already", errors)


if __name__ == "__main__":
    unittest.main()
