#!/usr/bin/env python3
"""Tests that measure wall time, or that share the one GPU, run alone: tools/test and CI run the others side by side.

Usage: check_serial.py CTEST BUILD_FOLDER
"""

import json
import subprocess
import sys

# What asserts how long something took on a wall clock or on a CPU as a device. A test of label gpu measures always.
MEASURING = {"cli_tune", "fuzz_growth_test", "measure_test", "opencl_test"}


def main():
    ctest, folder = sys.argv[1:]
    listed = json.loads(subprocess.run([ctest, "--test-dir", folder, "--show-only=json-v1"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, check=True).stdout)["tests"]
    properties = {test["name"]: {item["name"]: item["value"] for item in test.get("properties", [])} for test in listed}
    measuring = MEASURING | {name for name, values in properties.items() if "gpu" in values.get("LABELS", [])}
    unknown = sorted(measuring - set(properties))
    beside = sorted(name for name in measuring & set(properties) if not properties[name].get("RUN_SERIAL"))
    needless = sorted(name for name, values in properties.items() if values.get("RUN_SERIAL") and name not in measuring)
    for name in unknown:
        print(f"there is no test '{name}' any more; take it out of check_serial.py")
    for name in beside:
        print(f"test '{name}' measures and may run beside others: register it with SERIAL")
    for name in needless:
        print(f"test '{name}' runs alone and is not listed as one that measures")
    print(f"{len(measuring)} of {len(properties)} tests measure")
    return 1 if unknown or beside or needless else 0


if __name__ == "__main__":
    sys.exit(main())
