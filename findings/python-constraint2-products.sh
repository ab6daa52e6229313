#!/usr/bin/env bash
# python-constraint2, which builds the search spaces of Kernel Tuner, loses valid configurations under a condition on a
# product of three parameters, where two of them have values below 1.
#
# Guess: a condition written as text, which the package turns into a constraint class of its own for speed, keeps the
# same configurations as the same condition written as a function.
# What happens (python-constraint2 2.9.0, 2026-12-01): with block in (32, 64, 128), stages in (0, 1, 2) and padded in (0, 1)
# the text "block * stages * padded <= 8" keeps 9 configurations, the function 12: all with stages = 0, padded = 1 are
# missing. With block in (10, 20, 30), a in (0.5, 1.5, 2.0) and b in (0, 1, 2) "8 < block * a * b < 28" keeps 4 of 6. A
# product of two was the same both ways in all that was tried.
# For a tuner: a "whole" space recorded by others may lack valid configurations, perhaps the best, without a word; a
# configuration that is not in a recording need not be one that a condition refuses. A solver that prunes by partial
# products may do so only where no factor that is still open is below 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps python-constraint2==2.9.0

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from constraint import Problem


def count(parameters, *constraint):
    problem = Problem()
    for name, values in parameters.items():
        problem.addVariable(name, values)
    problem.addConstraint(*constraint)
    return len(problem.getSolutions())


CASES = [
    ({"block": [32, 64, 128], "stages": [0, 1, 2], "padded": [0, 1]}, "block * stages * padded <= 8",
     lambda block, stages, padded: block * stages * padded <= 8, (9, 12)),
    ({"block": [10, 20, 30], "a": [0.5, 1.5, 2.0], "b": [0, 1, 2]}, "8 < block * a * b < 28",
     lambda block, a, b: 8 < block * a * b < 28, (4, 6)),
    ({"block": [32, 64, 128], "stages": [0, 1, 2]}, "block * stages <= 64",
     lambda block, stages: block * stages <= 64, (6, 6)),
]
changed = False
for parameters, text, function, expected in CASES:
    seen = count(parameters, text), count(parameters, function, list(parameters))
    print(f"{text}: {seen[0]} configurations as text, {seen[1]} as a function")
    changed |= seen != expected
sys.exit("changed; expected " + ", ".join(str(case[3]) for case in CASES) if changed else 0)
PYTHON
