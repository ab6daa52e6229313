#!/usr/bin/env python3
"""Writes the code of README.md and of pages of docs/ into files, as it stands there, so that it can be built and run.

Usage: extract.py OUTPUT README PAGE...

README: every block of C++, CMake, TOML or kernel code is whole and named by the line before it (`twice.toml`:); OUTPUT
gets it under that name. PAGE: blocks of C++ that begin with #include are whole; OUTPUT/pages gets them, numbered.
Anything else is an error, so that no code escapes.
"""

import pathlib
import re
import sys

KINDS = {"cpp": ".cpp", "cmake": "CMakeLists.txt", "toml": ".toml", "c": ".kernel"}
PLAIN = {"", "console"}  # commands and what they print


class Mistake(Exception):
    pass


def blocks(page):
    """(line number, language, code, the last line of text before) of each fenced block."""
    found, language, begin, code, before = [], None, 0, [], ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.fullmatch(r"```(\w*)", line)
        if language is None and fence:
            language, begin, code = fence.group(1), number, []
        elif language is not None and line == "```":
            found.append((begin, language, "\n".join(code) + "\n", before))
            language = None
        elif language is not None:
            code.append(line)
        elif line:
            before = line
    if language is not None:
        raise Mistake(f"{page.name}:{begin}: the block has no end")
    return found


def readme_files(page):
    files = {}
    for line, language, code, before in blocks(page):
        if language in PLAIN:
            continue
        if language not in KINDS:
            raise Mistake(f"{page.name}:{line}: nobody builds code of the kind '{language}'")
        names = re.findall(r"`([\w.]+)`", before)
        named = [name for name in names if name.endswith(KINDS[language])]
        if not before.endswith(":") or not named:
            raise Mistake(f"{page.name}:{line}: the line before code names its file, as in `first.cpp`:")
        if named[-1] in files:
            raise Mistake(f"{page.name}:{line}: '{named[-1]}' is there twice")
        files[named[-1]] = code
    return files


def page_files(page):
    files = {}
    for line, language, code, _ in blocks(page):
        if language == "cpp" and code.startswith("#include"):
            files[f"{page.stem}_{len(files) + 1}.cpp"] = code
        elif language == "cmake":
            raise Mistake(f"{page.name}:{line}: nobody builds CMake code of this page")
    if not files:
        raise Mistake(f"{page.name}: there is no whole C++ code any more; leave the page out of the test")
    return files


def extract(output, readme, pages):
    files = readme_files(readme)
    for page in pages:
        files.update({f"pages/{name}": code for name, code in page_files(page).items()})
    for name, code in files.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(code)
    return files


if __name__ == "__main__":
    try:
        written = extract(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), list(map(pathlib.Path, sys.argv[3:])))
    except Mistake as mistake:
        sys.exit(f"error: {mistake}")
    print("\n".join(written))
