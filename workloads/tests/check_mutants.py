#!/usr/bin/env python3
"""Whether the tests of a stage reject what they must: wrong oracles, made from the right one by replacing text.

Each mutant of STAGE/tests/mutants.txt is compiled and linked before the library, so that the stage's own test program
runs with it. It must then fail. That keeps the oracle free of switches for its tests.

A mutant in the list:
  mutant: what is wrong
  tests: Suite.Test:Suite.Other      a filter of GoogleTest, each of which passes for the right oracle
  file: other.cpp                    if it is not oracle.cpp
  - text that occurs once            several lines of it are several lines in the file
  + what stands there instead        or nothing
Empty lines separate mutants; lines that begin with # say something.

Usage: check_mutants.py LIST --program TEST --compiler CXX [--include FOLDER ...] [--link FILE[;FILE...] ...] [--only WORD]
"""

import argparse
import dataclasses
import pathlib
import subprocess
import sys
import tempfile

DEADLINE_S = 120


@dataclasses.dataclass
class Mutant:
    name: str
    line: int
    tests: str = ""
    file: str = "oracle.cpp"
    removed: list = dataclasses.field(default_factory=list)
    added: list = dataclasses.field(default_factory=list)


def read(text):
    """Mutants of a list. Raises ValueError with the line of what is wrong."""
    mutants = []
    for number, line in enumerate(text.splitlines(), 1):
        key, _, value = line.partition(": ")
        if not line.strip() or line.startswith("#"):
            continue
        if key == "mutant":
            mutants.append(Mutant(value.strip(), number))
            continue
        if not mutants:
            raise ValueError(f"line {number}: a list begins with 'mutant: ', not with '{line}'")
        if key == "tests":
            mutants[-1].tests = value.strip()
        elif key == "file":
            mutants[-1].file = value.strip()
        elif line.startswith("- "):
            mutants[-1].removed.append(line[2:])
        elif line.startswith("+ "):
            mutants[-1].added.append(line[2:])
        else:
            raise ValueError(f"line {number}: expected 'tests: ', 'file: ', '- ' or '+ ', not '{line}'")
    for mutant in mutants:
        if not mutant.tests or not mutant.removed:
            raise ValueError(f"line {mutant.line}: mutant '{mutant.name}' needs 'tests: ' and at least one line '- '")
    if not mutants:
        raise ValueError("the list holds no mutant")
    return mutants


def mutate(source, mutant):
    """The source with the mutant's text replaced. Raises ValueError if the text does not occur exactly once."""
    removed = "\n".join(mutant.removed)
    count = source.count(removed)
    if count != 1:
        raise ValueError(f"line {mutant.line}: mutant '{mutant.name}': the text to replace occurs {count} times in "
                         f"{mutant.file}, not once")
    return source.replace(removed, "\n".join(mutant.added))


def run_tests(program, tests):
    """'passed', 'failed', or what else happened."""
    command = [program, f"--gtest_filter={tests}", "--gtest_fail_fast", "--gtest_brief=1"]
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        return f"did not end within {DEADLINE_S} s"
    if "Running 0 tests" in result.stdout or "did not match any test" in result.stdout:
        return "ran no test: the filter names none"
    return {0: "passed", 1: "failed"}.get(result.returncode, f"ended with {result.returncode}")


def try_mutant(mutant, stage, folder, options):
    """'failed' if the tests reject it."""
    source = folder / "mutant.cpp"
    program = folder / "mutant"
    source.write_text(mutate((stage / mutant.file).read_text(), mutant))
    links = [file for group in options.link for file in group.split(";") if file]
    # Shared libraries of the build are found where they lie.
    rpaths = sorted({f"-Wl,-rpath,{pathlib.Path(file).resolve().parent}" for file in links if ".so" in pathlib.Path(file).name})
    command = [options.compiler, "-std=c++20", "-O1", "-w", *(f"-I{path}" for path in options.include), "-o", str(program),
               str(source), *links, *rpaths, "-pthread"]
    compiled = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if compiled.returncode:
        return f"does not compile:\n{compiled.stdout}"
    return run_tests(str(program), mutant.tests)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("--program", required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--link", action="append", default=[])
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    try:
        mutants = [mutant for mutant in read(options.list.read_text()) if options.only in mutant.name]
        wrong = 0
        for filter_text in sorted({mutant.tests for mutant in mutants}):
            outcome = run_tests(options.program, filter_text)
            if outcome != "passed":
                wrong += 1
                print(f"the right oracle: {filter_text}: {outcome}")
        with tempfile.TemporaryDirectory() as folder:
            for mutant in mutants:
                outcome = try_mutant(mutant, options.list.parent.parent, pathlib.Path(folder), options)
                wrong += outcome != "failed"
                print(f"{'rejected' if outcome == 'failed' else 'NOT REJECTED'}: {mutant.name}"
                      f"{'' if outcome == 'failed' else ': ' + mutant.tests + ' ' + outcome}", flush=True)
    except ValueError as error:
        print(f"{options.list}: {error}")
        return 1
    print(f"{len(mutants)} mutants, {wrong} problems")
    return 1 if wrong or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())
