#!/usr/bin/env python3
"""Runs one module of tests of the command line and reports as GoogleTest does, so that tools/test finds what was skipped.

Usage: run.py MODULE     e.g. run.py test_errors
Environment: WARPWRIGHT_PROGRAM (the built program), WARPWRIGHT_SOURCE (the source tree)
"""

import pathlib
import sys
import time
import unittest


class Result(unittest.TextTestResult):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.begin = 0.0

    @staticmethod
    def name(test):
        # A skip in setUpClass comes with the class in parentheses.
        text = test.id()
        if "(" in text:
            text = text[text.index("(") + 1:].rstrip(")")
        return ".".join(text.split(".")[-2:])

    def line(self, mark, test):
        print(f"[{mark}] {self.name(test)} ({1000 * (time.monotonic() - self.begin):.0f} ms)", flush=True)

    def startTest(self, test):
        super().startTest(test)
        self.begin = time.monotonic()
        print(f"[ RUN      ] {self.name(test)}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line("       OK ", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(reason)
        self.begin = self.begin or time.monotonic()
        self.line("  SKIPPED ", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        print(self.failures[-1][1])
        self.line("  FAILED  ", test)

    def addError(self, test, err):
        super().addError(test, err)
        print(self.errors[-1][1])
        self.line("  FAILED  ", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = self.failures if issubclass(err[0], test.failureException) else self.errors
            print(subtest, failed[-1][1], sep="\n")
            self.line("  FAILED  ", test)

    def printErrors(self):
        """Each failure was printed where it happened."""


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    sys.dont_write_bytecode = True
    suite = unittest.defaultTestLoader.loadTestsFromName(sys.argv[1])
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=0, resultclass=Result)
    result = runner.run(suite)
    if result.testsRun == 0 and not result.skipped:
        print("no test was run")
        return 1
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
