#!/usr/bin/env python3
"""Summarises a CTest run: which tests failed, which were skipped and why, and one closing line with the counts.

Reads the JUnit file of `ctest --output-junit`. A CTest test here is mostly a whole GoogleTest program, which hides the
cases it skips; they are found in its output, together with the reason given to GTEST_SKIP.

Usage: test_summary.py JUNIT_FILE [NAME=REASON ...]     NAME: a test that was left out of the run
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

RUN = re.compile(r"^\[ RUN      \] (?P<name>\S+)")
SKIPPED = re.compile(r"^\[  SKIPPED \] (?P<name>\S+) \(\d+ ms\)")
FAILED = re.compile(r"^\[  FAILED  \] (?P<name>\S+?),? .*\(\d+ ms\)$")
# What the tests of tests/faults count.
INJECTED = re.compile(r"^(injection points: .*|\d+ SIGKILLs in .*)$", re.MULTILINE)
# "file.cpp:12: Skipped", printed by GoogleTest above the reason.
LOCATION = re.compile(r"^\S+:\d+: Skipped$")


def skipped_cases(output):
    """The skipped cases of a program, as (name, reason)."""
    cases = []
    lines = []
    for line in output.splitlines():
        if RUN.match(line):
            lines = []
            continue
        match = SKIPPED.match(line)
        if not match:
            lines.append(line.strip())
            continue
        positions = [i for i, text in enumerate(lines) if LOCATION.match(text)]
        reason = " ".join(text for text in lines[positions[-1] + 1 if positions else 0:] if text)
        cases.append((match["name"], reason or "no reason given"))
        lines = []
    return cases


def failed_cases(output):
    """The names of the failed cases of a program, each once."""
    return list(dict.fromkeys(match["name"] for line in output.splitlines() if (match := FAILED.match(line))))


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("--help", "-h"):
        print(__doc__.strip())
        return 2
    root = ElementTree.parse(sys.argv[1]).getroot()
    left_out = [argument.split("=", 1) for argument in sys.argv[2:]]

    passed, failed, skipped, injected = [], [], [], []
    for case in root.iter("testcase"):
        name = case.get("name")
        output = case.findtext("system-out") or ""
        cases = skipped_cases(output)
        injected += INJECTED.findall(output)
        message = case.find("skipped")
        reason = (message.get("message") if message is not None else None) or "CTest did not run it"
        if case.find("failure") is not None or case.get("status") == "fail":
            failed.append(": ".join([name, *filter(None, [", ".join(failed_cases(output))])]))
        elif case.get("status") == "disabled" or "SKIP_" in reason:  # by SKIP_RETURN_CODE or SKIP_REGULAR_EXPRESSION
            skipped.append((name, cases or [("all", reason)]))
        elif case.get("status") == "notrun" or message is not None:
            failed.append(f"{name}: {reason}")
        elif cases:
            skipped.append((name, cases))
        else:
            passed.append(name)
    skipped += [(name, [("all", reason)]) for name, reason in left_out]

    longest = sorted(((float(case.get("time") or 0), case.get("name")) for case in root.iter("testcase")), reverse=True)[:12]
    print("\nThe longest: " + ", ".join(f"{name} {seconds:.0f} s" for seconds, name in longest if seconds >= 1))
    if injected:
        print("\nFaults on purpose:")
        for line in injected:
            print(f"  {line}")
    if skipped:
        print("\nTests that were skipped, whole or in part:")
        for name, cases in skipped:
            for case, reason in cases:
                print(f"  {name}: {case}: {reason}")
    if failed:
        print("\nTests that failed:")
        for name in failed:
            print(f"  {name}")
    print()
    if skipped:
        print("(a test program counts as skipped when any case in it was skipped)")
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    if not passed and not failed:
        print("tools/test: no test was run", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
