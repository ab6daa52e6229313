#!/usr/bin/env bash
# The two comparison programs of NVBench's Python package cannot gate anything by their exit code: one counts improvements
# as failures and starts again at 0 after 255, the other always says success.
#
# Guess: comparing two result files, exit code 0 means "nothing slower", anything else "something is slower"; both programs
# agree about results that differ by a factor of two with a noise of 1 %.
# What happens (cuda-bench 0.3.0, 2026-12-01, no GPU needed):
# - nvbench-compare-legacy exits with the number of states that differ, faster ones included: 1 for one state that became
#   twice as fast, 3 for three; with 256 states, all twice as slow, the exit code is 0;
# - nvbench-compare-robust exits with 0 whether states became faster or slower;
# - without the summary of the SM clock the robust one calls the factor of two "Ambiguous", and with it too where the slower
#   run had half the clock: it wants a gap in cycles beside the one in time.
# For a tuner: a check of a tuned kernel against its baseline has to read the table. A configuration that is slower because it
# draws so much power that the clock falls is not a regression to the robust one, so times need their clock beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps cuda-bench==0.3.0 \
  colorama==0.4.6 jsondiff==2.2.1 numpy==2.4.6 PyYAML==6.0.4 tabulate==0.10.0

cd "$folder"
cat > compare.py <<'PYTHON'
import json, re, subprocess, sys


def write(path, count, seconds, clock):
    """A result file of one benchmark with `count` states of equal times; clock in Hz or None."""
    def summary(tag, value):
        return {"tag": tag, "name": tag, "description": "", "hint": "duration",
                "data": [{"name": "value", "type": "float64", "value": repr(value)}]}

    gpu = "nv/cold/time/gpu/"
    summaries = [summary(gpu + name, seconds * factor) for name, factor in (
        ("mean", 1), ("stdev/absolute", 0.01), ("min", 0.98), ("max", 1.02), ("median", 1), ("q1", 0.995), ("q3", 1.005))]
    summaries += [summary(gpu + "stdev/relative", 0.01), summary("nv/cold/sample_size", 1000.0)]
    if clock is not None:
        summaries.append(summary("nv/cold/sm_clock_rate/mean", clock))
    states = [{"name": f"Device=0 n={n}", "description": "", "min_samples": 10, "skip_time": -1.0, "timeout": 15.0,
               "device": 0, "type_config_index": 0, "is_skipped": False, "summaries": summaries,
               "axis_values": [{"name": "n", "type": "int64", "value": str(n)}]} for n in range(count)]
    axis = {"name": "n", "type": "int64", "flags": "",
            "values": [{"input_string": str(n), "description": "", "value": n} for n in range(count)]}
    with open(path, "w") as file:
        json.dump({"meta": {"argv": ["bench"], "version": {"json": {"major": 1, "minor": 0, "patch": 0,
                                                                    "string": "1.0.0"}}},
                   "devices": [{"id": 0, "name": "a GPU"}],
                   "benchmarks": [{"name": "copy", "index": 0, "min_samples": 10, "skip_time": -1.0, "timeout": 15.0,
                                   "devices": [0], "axes": [axis], "states": states}]}, file)


def compare(program, count, reference, other):
    write("reference.json", count, *reference)
    write("other.json", count, *other)
    run = subprocess.run([f"venv/bin/nvbench-compare-{program}", "--no-color", "reference.json", "other.json"],
                         capture_output=True, text=True, timeout=300)
    counts = dict(re.findall(r"- (Improvement|Regression|Ambiguous|Pass|Failure) .*:\s+(\d+)", run.stdout))
    return run.returncode, {name: int(number) for name, number in counts.items() if number != "0"}


FAST, SLOW, HALF_CLOCK = (1e-3, 1.755e9), (2e-3, 1.755e9), (2e-3, 0.8775e9)
CASES = [
    ("legacy", 1, SLOW, FAST, (1, {"Failure": 1})),
    ("legacy", 3, SLOW, FAST, (3, {"Failure": 3})),
    ("legacy", 256, FAST, SLOW, (0, {"Failure": 256})),
    ("robust", 1, SLOW, FAST, (0, {"Improvement": 1})),
    ("robust", 1, FAST, SLOW, (0, {"Regression": 1})),
    ("robust", 1, (1e-3, None), (2e-3, None), (0, {"Ambiguous": 1})),
    ("robust", 1, FAST, HALF_CLOCK, (0, {"Ambiguous": 1})),
]
changed = False
for program, count, reference, other, expected in CASES:
    seen = compare(program, count, reference, other)
    print(f"{program}, {count} states, {reference[0]} s to {other[0]} s: exit code {seen[0]}, {seen[1]}")
    changed |= seen != expected
sys.exit("changed" if changed else 0)
PYTHON
"$folder/venv/bin/python" compare.py
