#!/usr/bin/env python3
"""Construction of the published spaces: Kernel Tuner and Warpwright, interleaved in one run.

usage: PYTHON_WITH_KERNEL_TUNER compare_kernel_tuner.py SPACE_BENCH T1_FOLDER [--repeats N]

Each turn builds every space once with Kernel Tuner (processor time of this process, Searchspace alone) and runs
space_bench for it (processor time as well). Prints JSON. The thread-block limit that Kernel Tuner adds by itself is set
high enough to change nothing.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import time

import importlib.metadata

from kernel_tuner.searchspace import Searchspace

SPACES = ("convolution", "dedispersion", "gemm", "hotspot")


def definition(folder, name):
    space = json.loads((folder / f"{name}_milo.json").read_text())["ConfigurationSpace"]
    # The value lists are Python list expressions; these four files are the only ones evaluated.
    parameters = {p["Name"]: list(eval(p["Values"], {"__builtins__": {"range": range, "list": list}}))
                  for p in space["TuningParameters"]}
    return parameters, [c["Expression"] for c in space["Conditions"]]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("space_bench")
    arguments.add_argument("t1_folder", type=pathlib.Path)
    arguments.add_argument("--repeats", type=int, default=7)
    options = arguments.parse_args()
    samples = {name: {"kernel_tuner_ms": [], "warpwright_ms": []} for name in SPACES}
    sizes = {}
    for _ in range(options.repeats):
        for name in SPACES:
            parameters, conditions = definition(options.t1_folder, name)
            begin = time.process_time()
            built = Searchspace(parameters, conditions, max_threads=1 << 30)
            samples[name]["kernel_tuner_ms"].append((time.process_time() - begin) * 1e3)
            run = subprocess.run([options.space_bench, options.t1_folder, "--json", "--only", name, "--repeats", "1"],
                                 check=True, capture_output=True, text=True)
            row = json.loads(run.stdout)["spaces"][0]
            # The first builds of a fresh process, as Kernel Tuner's is with cold caches.
            samples[name]["warpwright_ms"].append(row["declared"]["median_ms"])
            sizes[name] = (built.size, int(row["size"]))
            if built.size != int(row["size"]):
                raise SystemExit(f"{name}: {built.size} configurations with Kernel Tuner, {row['size']} with Warpwright")
    report = {"schema_version": 1, "benchmark": "space construction, interleaved", "clock": "processor time",
              "kernel_tuner": importlib.metadata.version("kernel_tuner"), "python": platform.python_version(),
              "spaces": {}}
    for name in SPACES:
        row = {"size": sizes[name][0]}
        for who, values in samples[name].items():
            row[who] = {"samples": len(values), "median": statistics.median(values), "min": min(values), "max": max(values)}
        row["ratio_of_medians"] = row["kernel_tuner_ms"]["median"] / row["warpwright_ms"]["median"]
        report["spaces"][name] = row
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
