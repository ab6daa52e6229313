"""Kernel Tuner itself reads what `warpwright export` writes, and both agree on best and failures.

    check_kernel_tuner.py WARPWRIGHT [FOLDER OF RECORDED SPACES]

Exit status 77 means skipped: Kernel Tuner is not installed for this Python. Each recorded space is exported in both
formats. Kernel Tuner then searches the exported cache in its simulation mode; its best configuration must be the one
with the least time in the original file, its reader must find the same number of each failure as in the original, and
the T4 file must be valid by Kernel Tuner's schema.
"""

import collections
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
    import kernel_tuner
    from kernel_tuner import util
    from kernel_tuner.file_utils import output_file_schema
except ImportError as error:
    print(f"skipped: {error}; pip install kernel_tuner to run this")
    sys.exit(77)


most_configurations = 5000


def made_up_space():
    """Three parameters, all kinds of failures, in the older encoding (failures in the place of the time)."""
    lists = {"block_size_x": [16, 32, 64, 128], "tile": [1, 2, 4], "layout": ["row", "column"]}
    failures = {(16, 1): "CompilationFailedConfig", (128, 4): "RuntimeFailedConfig", (64, 4): "InvalidConfig"}
    cache = {}
    for block in lists["block_size_x"]:
        for tile in lists["tile"]:
            for layout in lists["layout"]:
                time = failures.get((block, tile), 1 + abs(block - 64) / 16 + (tile - 2) ** 2 + (layout == "row") / 3)
                entry = {"block_size_x": block, "tile": tile, "layout": layout, "time": time, "compile_time": 500.0,
                         "verification_time": 0, "benchmark_time": 20.0, "strategy_time": 0, "framework_time": 1.0,
                         "timestamp": "2024-01-01 00:00:00+00:00"}
                if not isinstance(time, str):
                    entry["times"] = [time] * 3
                cache[f"{block},{tile},{layout}"] = entry
    return {"device_name": "GPU", "kernel_name": "valley", "problem_size": 64, "tune_params_keys": list(lists),
            "tune_params": lists, "objective": "time", "cache": cache}


def read(file):
    """The entries as Kernel Tuner reads them."""
    return util.read_cache(str(file), open_cache=False)


def failure_of(entry):
    return type(entry["__error__"]).__name__ if "__error__" in entry else None


def counts(cache):
    return collections.Counter(failure_of(entry) for entry in cache["cache"].values())


def best_of(cache):
    keys = cache["tune_params_keys"]
    entries = [entry for entry in cache["cache"].values() if failure_of(entry) is None]
    best = min(entries, key=lambda entry: entry["time"])
    return {key: best[key] for key in keys}, best["time"]


def check(program, original, folder):
    exported, t4 = folder / "exported.json", folder / "exported_T4.json"
    for extra in (["--output", exported], ["--format", "t4", "--output", t4]):
        subprocess.run([program, "export", original, *extra], check=True, stdout=subprocess.DEVNULL)
    before, after = read(original), read(exported)
    assert counts(before) == counts(after), f"failures: {counts(before)} in the original, {counts(after)} exported"
    configuration, time = best_of(before)
    assert best_of(after) == (configuration, time), f"best: {best_of(before)}, exported {best_of(after)}"

    results, environment = kernel_tuner.tune_cache(str(exported), strategy="brute_force", quiet=True, verbose=False)
    best = environment["best_config"]
    assert {key: best[key] for key in configuration} == configuration, f"simulation: {best}, expected {configuration}"
    assert best["time"] == time
    # What failed is left out of the results of a simulation.
    assert len(results) == counts(before)[None], f"{len(results)} simulated, {counts(before)[None]} valid"

    document = json.loads(t4.read_text())
    _, schema = output_file_schema("results")
    jsonschema.validate(document, schema)
    valid = sum(entry["invalidity"] == "correct" for entry in document["results"])
    assert valid == counts(before)[None], f"T4: {valid} correct, expected {counts(before)[None]}"

    report = subprocess.run([program, "simulate", original, "--strategy", "random", "--repeats", "1", "--json", "--quiet"],
                            check=True, capture_output=True, text=True).stdout
    (space,) = json.loads(report)["spaces"].values()
    assert space["optimum"] == time and space["valid"] == valid and space["configurations"] == len(before["cache"])
    return len(before["cache"]), dict(counts(before)), time


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        originals = [folder / "made_up" / "GPU.json"]
        originals[0].parent.mkdir()
        originals[0].write_text(json.dumps(made_up_space()))
        recorded = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
        if recorded and recorded.is_dir():
            for file in sorted(recorded.glob("*/*.json.gz")):
                if "_T4" in file.name:
                    continue
                plain = folder / file.parent.name / file.name.removesuffix(".gz")
                plain.parent.mkdir(exist_ok=True)
                # Kernel Tuner takes only names of devices that are there; the file's own is the default.
                document = json.loads(gzip.decompress(file.read_bytes()))
                if len(document["cache"]) > most_configurations:
                    print(f"{file.parent.name}/{file.name}: left out, Kernel Tuner's brute force takes minutes on it")
                    continue
                document["device_name"] = document.get("device_name") or file.name.split(".")[0]
                plain.write_text(json.dumps(document))
                originals.append(plain)
        else:
            print(f"no recorded spaces in {recorded}: checking the made-up space alone")
        for original in originals:
            size, found, time = check(program, original, folder)
            print(f"{original.parent.name}/{original.stem}: {size} configurations, {found}, best {time}")


if __name__ == "__main__":
    main()
