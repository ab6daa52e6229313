#!/usr/bin/env python3
"""The figures of recorded_scores_test.cpp, by an implementation of the method that shares nothing with the library.

    expected_scores.py                     the two recordings that the test makes
    expected_scores.py FILE.json.gz...     recordings in Kernel Tuner's layout

The method is that of autotuning_methodology (see scoring.hpp). Python's standard library only.
"""

import bisect
import gzip
import json
import math
import statistics
import sys


def made_valley():
    """(objective or None, cost in seconds) of 24 x 16 x 8 configurations: a valley with failures and unequal costs."""
    for x in range(24):
        for y in range(16):
            for z in range(8):
                fails = (x * 7 + y * 3 + z) % 11 == 0
                objective = 100 + (x - 17) ** 2 * 8 + abs(y - 5) * 12 + (z ^ 3) * 20 + (x * 31 + y * 17 + z * 7) % 13
                yield (None if fails else objective / 64, (512 + (x * y + z) % 64 * 16) / 1024)


def made_cliff():
    """1000 configurations of equal cost: a few good ones far below a plateau with many equal values."""
    for i in range(1000):
        yield (1 + i % 7 / 4 if i % 97 == 5 else 50 + i * 37 % 101 // 4, 1.0)


def recorded(file):
    content = json.loads(gzip.open(file, "rt").read())
    for entry in content["cache"].values():
        cost = sum(entry.get(part) or 0 for part in ("compile_time", "verification_time", "benchmark_time", "framework_time",
                                                        "strategy_time")) / 1000
        yield (entry["time"] if isinstance(entry["time"], (int, float)) else None, cost)


def linspace(first, last, count):
    return [first + (last - first) * i / (count - 1) for i in range(count)]


def pchip(x, y):
    n = len(x)
    h = [x[i + 1] - x[i] for i in range(n - 1)]
    d = [(y[i + 1] - y[i]) / h[i] for i in range(n - 1)]
    slope = [0.0] * n
    for i in range(1, n - 1):
        if d[i - 1] * d[i] > 0:
            w1, w2 = 2 * h[i] + h[i - 1], h[i] + 2 * h[i - 1]
            slope[i] = (w1 + w2) / (w1 / d[i - 1] + w2 / d[i])

    def end(h0, h1, d0, d1):
        s = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
        if s * d0 <= 0:
            return 0.0
        return 3 * d0 if d0 * d1 < 0 and abs(s) > 3 * abs(d0) else s

    slope[0], slope[-1] = end(h[0], h[1], d[0], d[1]), end(h[-1], h[-2], d[-1], d[-2])

    def curve(at):
        i = min(max(bisect.bisect_right(x, at), 1), n - 1) - 1
        t = (at - x[i]) / h[i]
        return (y[i] * (1 + 2 * t) * (1 - t) ** 2 + h[i] * slope[i] * t * (1 - t) ** 2 + y[i + 1] * t * t * (3 - 2 * t)
                + h[i] * slope[i + 1] * t * t * (t - 1))

    return curve


def figures(rows):
    rows = list(rows)
    values = sorted(value for value, _ in rows if value is not None)
    n, optimum, median = len(values), values[0], statistics.median(values)
    costs = [cost for _, cost in rows]
    lost = [cost for value, cost in rows if value is None]
    tau = statistics.fmean(cost for value, cost in rows if value is not None)
    if lost:
        tau += len(lost) / len(rows) * statistics.fmean(lost)

    def cut_off(fraction):
        target = optimum + (median - optimum) * (1 - fraction)
        within = bisect.bisect_right(values, target)
        evaluations = math.ceil((n - within) / (n + 1 - (n - within)))
        return target, within, evaluations, evaluations * statistics.median(costs)

    start, stop = cut_off(0.01), cut_off(0.95)
    draws, expected = [], []
    for t in linspace(start[3], stop[3], 1000):
        k = round(max(t / tau, 1))
        if not draws or k > draws[-1]:
            draws.append(k)
            expected.append(values[n - 1 - min(n - 1, round(k * (n + 1) / (k + 1)))])
    smooth = pchip(draws, expected)
    baseline = [smooth(k) for k in linspace(draws[0], draws[-1], 1000)]
    constant = values[n // 100]
    score = statistics.fmean((constant - value) / (optimum - value) for value in baseline)
    return {"valid": n, "optimum": optimum, "median": median, "median cost": statistics.median(costs),
            "cost of valid": tau, "target": stop[0], "evaluations": stop[2], "seconds": stop[3], "within": stop[1],
            "first": draws[0], "last": draws[-1], "baseline": [baseline[i] for i in (0, 250, 500, 750, 999)],
            "score": score}


def main():
    sources = {file: recorded(file) for file in sys.argv[1:]} or {"valley": made_valley(), "cliff": made_cliff()}
    for name, rows in sources.items():
        print(name)
        for what, value in figures(rows).items():
            print(f"  {what:14} {value if isinstance(value, (int, list)) else format(value, '.6f')}")


if __name__ == "__main__":
    main()
