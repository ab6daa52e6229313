#!/usr/bin/env python3
"""No file of code is longer than its readers bear: 900 lines (CONTRIBUTING.md).

Usage: check_lengths.py SOURCE_FOLDER
"""

import pathlib
import sys

MOST = 900
FOLDERS = (".ci", "apps", "backends", "bench", "cmake", "docs", "examples", "findings", "fuzz", "libs", "tests", "tools",
           "workloads")
SUFFIXES = {".cpp", ".hpp", ".h", ".py", ".sh", ".cmake", ".md", ".txt", ".toml", ".kernel", ".cl", ".cu"}


def is_code(path):
    return path.suffix in SUFFIXES or (path.suffix == "" and path.read_bytes()[:2] == b"#!")


def main():
    root = pathlib.Path(sys.argv[1])
    files = [path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file() and is_code(path)]
    lengths = {path: len(path.read_bytes().splitlines()) for path in files}
    long = sorted((length, path) for path, length in lengths.items() if length > MOST)
    for length, path in long:
        print(f"{path.relative_to(root)} has {length} lines; split what it does into files of at most {MOST}")
    print(f"{len(files)} files, the longest has {max(lengths.values(), default=0)} lines")
    return 1 if long or not files else 0


if __name__ == "__main__":
    sys.exit(main())
