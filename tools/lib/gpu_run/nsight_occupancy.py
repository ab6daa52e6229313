#!/usr/bin/env python3
"""The same questions to `warpwright occupancy` and to Nsight Compute's Python occupancy calculator (ncu_occupancy).

Usage: nsight_occupancy.py WARPWRIGHT [FOLDER]     FOLDER: extras/python of Nsight Compute (default: the newest installed)

Prints JSON: the architectures asked about, how many questions agreed, and each difference. Nsight Compute wants to be told
the carve-out of shared memory, so it is told the one that Warpwright says the driver chooses.
"""

import concurrent.futures
import glob
import json
import os
import random
import subprocess
import sys

ARCHITECTURES = ((7, 0), (7, 5), (8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (10, 3), (11, 0), (12, 0), (12, 1))
QUESTIONS = 150  # of each architecture
SHOWN = 40       # differences of each architecture


def questions(seed):
    draw = random.Random(seed)
    for _ in range(QUESTIONS):
        yield {"block": draw.choice([32, 64, 96, 128, 160, 256, 257, 384, 500, 512, 640, 768, 1000, 1024]),
               "registers": draw.choice([0, 16, 24, 32, 33, 40, 48, 64, 72, 96, 128, 168, 200, 255]),
               "shared": draw.choice([0, 0, 1, 1024, 4000, 8192, 16384, 20000, 32768, 49152, 65536, 99000]),
               "barriers": draw.choice([0, 1, 1, 2, 7, 16])}


def ours(program, architecture, question):
    command = [program, "occupancy", "--arch", architecture, "--block", str(question["block"]), "--registers",
               str(question["registers"]), "--dynamic-shared", str(question["shared"]), "--barriers",
               str(question["barriers"]), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(result.stdout)
    except ValueError:
        return {"error": result.stderr.strip()}


def main():
    program = sys.argv[1]
    folders = sys.argv[2:3] or sorted(
        glob.glob("/opt/nvidia/nsight-compute/*/extras/python") + glob.glob("/usr/local/cuda*/nsight-compute*/extras/python"))
    if not folders:
        print("Nsight Compute's extras/python is not installed", file=sys.stderr)
        return 1
    sys.path.insert(0, folders[-1])
    import ncu_occupancy as nsight

    rows, agreed, asked, unknown = [], {}, {}, {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for major, minor in ARCHITECTURES:
            name = f"sm_{major}{minor}"
            try:
                calculator = nsight.OccupancyCalculator(major, minor)
            except Exception as error:  # whatever it throws for an architecture that it does not know
                unknown[name] = f"{type(error).__name__}: {error}"
                continue
            given = list(questions(major * 100 + minor))
            answers = list(pool.map(lambda question: ours(program, name, question), given))
            shown = 0
            for question, answer in zip(given, answers):
                asked[name] = asked.get(name, 0) + 1
                parameters = nsight.OccupancyParameters(
                    threads_per_block=question["block"], registers_per_thread=question["registers"],
                    shared_mem_per_block=question["shared"],
                    shared_mem_size=answer.get("shared_capacity_per_sm_bytes") or 0)
                for attribute in ("num_block_barriers", "block_barriers", "barriers_per_block"):
                    if hasattr(parameters, attribute):
                        setattr(parameters, attribute, question["barriers"])
                try:
                    found = float(calculator.get_sm_occupancy(parameters))
                    limiters = [str(each) for each in calculator.get_occupancy_limiters(parameters)]
                except Exception as error:
                    found, limiters = None, [f"{type(error).__name__}: {error}"]
                expected = answer.get("occupancy")
                # A share or per cent, whichever release.
                if found is not None and expected is not None and min(abs(found - expected), abs(found / 100 - expected)) < 1e-3:
                    agreed[name] = agreed.get(name, 0) + 1
                elif shown < SHOWN:
                    shown += 1
                    rows.append({"architecture": name, **question, "warpwright": expected,
                                 "limits": answer.get("limiting_factors"), "refusal": answer.get("refusal") or answer.get("error"),
                                 "capacity": answer.get("shared_capacity_per_sm_bytes"), "nsight": found, "nsight_limits": limiters})
    attributes = [each for each in dir(nsight.OccupancyParameters()) if not each.startswith("_")]
    print(json.dumps({"nsight": folders[-1].split("/")[-3], "attributes": attributes,
                      "gpu_data": {str(each): nsight.get_gpu_data(*each) for each in ((9, 0), (8, 6))
                                   if hasattr(nsight, "get_gpu_data")},
                      "asked": asked, "agreed": agreed, "unknown_to_nsight": unknown, "differences": rows}, indent=1, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
