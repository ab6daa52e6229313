#!/usr/bin/env python3
"""A program that launches tuned kernels carries nothing that tunes: no symbol of search, execution or tuning.

Usage: runtime_alone.py NM PROGRAM...
"""

import re
import subprocess
import sys

ABSENT = re.compile(r"\bwarpwright::(search|execution|tuning)::|\bwarpwright::(SearchAlgorithm|StrategyRegistry)\b")
PRESENT = re.compile(r"\bwarpwright::runtime::TunedKernel::")


def main():
    nm, *programs = sys.argv[1:]
    failed = False
    for program in programs:
        symbols = subprocess.run([nm, "--demangle", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                                 text=True).stdout.splitlines()
        if not any(PRESENT.search(line) for line in symbols):
            print(f"{program}: no symbol of TunedKernel; is it stripped, or the wrong program?")
            failed = True
        found = [line for line in symbols if ABSENT.search(line)]
        for line in found[:10]:
            print(f"{program}: {line}")
        print(f"{program}: {len(symbols)} symbols, {len(found)} of what only tuning needs")
        failed |= bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
