#!/usr/bin/env python3
"""Follows the includes of every public header: none may reach what is slow to compile or what its users did not ask for.

Usage: check_includes.py SOURCE_FOLDER

A header of a kind in KINDS brings along what is named there, and is included by headers of its own kind only. All others
reach headers of Warpwright, of the system and of the standard library, but for those in SLOW. Prints each chain of
includes that breaks this; exits with 1 if there is one.
"""
import pathlib
import re
import sys

# Kind -> which names are of it, and what they may include: whoever includes them asks for that.
KINDS = {
    "JSON": (re.compile(r"(/|_)json\.hpp$"), {"nlohmann/json.hpp"}),
    "contract": (re.compile(r"^warpwright/testing/(contract/|device_contract\.hpp)"),
                 {"gtest/gtest.h", "gmock/gmock.h", "thread"}),
}
# Of the standard library: what costs more time than all our own headers together, or is for sources only.
SLOW = {"regex", "iostream", "iomanip", "sstream", "fstream", "locale", "future", "thread", "random", "ranges", "format"}
INCLUDE = re.compile(r"^\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", re.MULTILINE)


def public_headers(source):
    """Name as users include it -> file."""
    found = {}
    for pattern in ("libs/*/include", "backends/*/include"):
        for root in sorted(source.glob(pattern)):
            for file in sorted(root.rglob("*.hpp")):
                found[file.relative_to(root).as_posix()] = file
    return found


def kind_of(name):
    return next((kind for kind, (names, _) in KINDS.items() if names.search(name)), None)


def is_foreign(name):
    """Of another library: those of the standard library have no dot, those of the system no folder but sys/."""
    return "/" in name and not name.startswith("sys/") or name in ("sqlite3.h", "zlib.h", "xxhash.h")


def faults(headers):
    """Chains of includes that must not be, as "a.hpp -> b.hpp -> nlohmann/json.hpp"."""
    texts = {name: file.read_text(encoding="utf-8") for name, file in headers.items()}
    includes = {name: INCLUDE.findall(text) for name, text in texts.items()}
    found = [f"{name} names nlohmann" for name, text in texts.items()
             if kind_of(name) != "JSON" and re.search(r"\bnlohmann::", text)]
    for start in headers:
        chains, seen = [[start]], {start}
        while chains:
            chain = chains.pop()
            last = chain[-1]
            for name in includes[last]:
                way = " -> ".join(chain + [name])
                if name.startswith("warpwright/"):
                    if name not in headers:
                        found.append(f"{way}, which is no public header")
                    elif kind_of(name) not in (None, kind_of(last)):
                        found.append(f"{way}, which only headers of its kind include")
                    elif name not in seen:
                        seen.add(name)
                        chains.append(chain + [name])
                elif name in SLOW or is_foreign(name):
                    kind = kind_of(last)
                    if kind is None or name not in KINDS[kind][1]:
                        found.append(way)
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    headers = public_headers(pathlib.Path(sys.argv[1]))
    found = faults(headers)
    for fault in found:
        print(fault)
    if found:
        print("Public headers use forward declarations, or text for JSON (store/json_text.hpp); what brings a library along "
              "has a header of its own, of a kind named in tests/headers/check_includes.py")
    print(f"{len(headers)} public headers, {len(found)} faults")
    sys.exit(1 if found or not headers else 0)


if __name__ == "__main__":
    main()
