#!/usr/bin/env python3
"""Line coverage of a build with WARPWRIGHT_COVERAGE by clang, from the profiles that its tests left.

Usage: line_coverage.py --build FOLDER [--least PERCENT]

Reads FOLDER/profiles/*.profraw and the object files of libraries and programs in FOLDER, whose every function counts, whether
a test links it or not (llvm-cov 14 reads object files and no archives). Prints the share of lines that were reached, by part of the project, without tests and without the CUDA backend,
which needs a GPU; less than --least is a failure.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tool(name):
    found = shutil.which(name) or shutil.which(f"{name}-14")
    if not found:
        sys.exit(f"line_coverage.py: {name} is not installed (tools/install-dependencies --ci)")
    return found


def part_of(file):
    """The part of the project that a source file belongs to, or None where it does not count."""
    try:
        parts = pathlib.Path(file).resolve().relative_to(ROOT).parts
    except ValueError:
        return None
    if "tests" in parts or parts[0] not in ("apps", "backends", "libs") or parts[:2] in (("backends", "cuda"), ("libs", "testing")):
        return None
    return "/".join(parts[:2])


def lines_by_part(files):
    """(reached, all) of each part, from the summaries of files as llvm-cov exports them."""
    parts = {}
    for file in files:
        part = part_of(file["filename"])
        lines = file["summary"]["lines"]
        if part and lines["count"]:
            reached, count = parts.get(part, (0, 0))
            parts[part] = (reached + lines["covered"], count + lines["count"])
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--least", type=float, default=0)
    arguments = parser.parse_args()
    profiles = sorted((arguments.build / "profiles").glob("*.profraw"))
    if not profiles:
        sys.exit(f"line_coverage.py: no profiles in {arguments.build / 'profiles'}: run the tests with LLVM_PROFILE_FILE")
    merged = arguments.build / "coverage.profdata"
    # Of a process that was killed while it wrote, nothing is read; whoever is killed earlier leaves no file.
    subprocess.run([tool("llvm-profdata"), "merge", "--sparse", "--failure-mode=all", "-o", merged, *profiles], check=True)
    objects = [path for folder in ("apps", "backends", "libs")
               for path in sorted((arguments.build / folder).rglob("CMakeFiles/warpwright*.dir/**/*.o"))]
    if not objects:
        sys.exit(f"line_coverage.py: no object files in {arguments.build}")
    words = [word for path in objects[1:] for word in ("--object", path)]
    exported = subprocess.run([tool("llvm-cov"), "export", "--summary-only", f"--instr-profile={merged}", objects[0], *words],
                              check=True, stdout=subprocess.PIPE).stdout
    parts = lines_by_part(json.loads(exported)["data"][0]["files"])
    if not parts:
        sys.exit("line_coverage.py: no file of the project was found in the report")
    for part, (reached, count) in sorted(parts.items()):
        print(f"  {part:<20} {100 * reached / count:5.1f} % of {count:6} lines")
    reached, count = (sum(column) for column in zip(*parts.values()))
    share = 100 * reached / count
    print(f"line coverage without tests and the CUDA backend: {share:.1f} % of {count} lines (at least {arguments.least:.0f} %)")
    if share < arguments.least:
        print("line_coverage.py: less than that; tests are missing for what was added", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
