"""Steps of tools/gpu-run about the reference workloads: their kernels against B0, libraries beside them, the frame."""

import re
import sys

from gpu_run.check_steps import check_under
from gpu_run.paths import ROOT
from gpu_run.runner import DEVICE

# The size of the frame; stages without such a dimension keep their own.
SIZE = ("n", 900)
SECONDS_TO_TUNE = 12
# Where the frame asks less of a stage than its specification: S6B steps exactly, S6A makes 10 iterations.
OF_THE_FRAME = {"policy": {"sub_steps": 0}, "inference": {"iterations": 10}}
# The frame's kernels find their data in the cache, so both are told.
CACHES = ("cold", "warm")


def stages():
    """The specifications of the stages by name: STAGE, or STAGE-NAME where a folder has several."""
    found = {}
    for path in sorted((ROOT / "workloads").glob("*/*.toml")):
        if not path.name.startswith(".") and path.parent.name != "contracts":
            name = path.parent.name if path.stem == path.parent.name else f"{path.parent.name}-{path.stem}"
            found[name] = path
    return found


def size_options(text):
    return ["--problem", f"{SIZE[0]}={SIZE[1]}"] if re.search(rf"(?m)^{SIZE[0]} = ", text) else []


def of_one_algorithm(text):
    """The specification with only the baseline's algorithm to choose, or None where it has no such parameter. By a
    constraint: kernels name the other values too."""
    baseline = re.search(r"(?m)^configuration = .*?\balgorithm = [\"'](\w+)[\"']", text)
    if not baseline:
        return None
    wish = f"\"algorithm == '{baseline[1]}'\""
    changed, count = re.subn(r"(?m)^constraints = \[", f"constraints = [{wish}, ", text, count=1)
    return changed if count else text.replace("schema = 1\n", f"schema = 1\nconstraints = [{wish}]\n", 1)


def workloads(runner):
    """Each stage tuned with its baseline's algorithm and with all, then both winners and B0 in turns, cold and warm."""
    for name, path in stages().items():
        text = path.read_text()
        options = ["--time-limit", f"{SECONDS_TO_TUNE}s", "--cache", "warm", *size_options(text)]
        results = []
        restricted = of_one_algorithm(text)
        if restricted:
            copy = path.with_name(f".{path.stem}-one-algorithm.toml")
            copy.write_text(restricted)
            try:
                if runner.tune_one("workloads", f"{name}-configuration", copy, 90, *options, "--no-profile"):
                    results.append(f"workloads-{name}-configuration.json")
            finally:
                copy.unlink()
        if runner.tune_one("workloads", name, path, 90, *options):
            results.append(f"workloads-{name}.json")
        if name in OF_THE_FRAME:
            problem = [word for each, value in OF_THE_FRAME[name].items() for word in ("--problem", f"{each}={value}")]
            runner.tune_one("workloads", f"{name}-frame", path, 90, *options, *problem)
        for cache in CACHES:
            given = [word for result in results for word in ("--result", runner.output / result)]
            code, seconds = runner.execute(
                [runner.program, "compare", path, "--device", DEVICE, "--json", "--reference", "--cache", cache,
                 "--rounds", 40, "--config", "baseline", *given, *size_options(text)], f"workloads-{name}.log", 60,
                stdout=f"workload-compare-{name}-{cache}.json")
            report = runner.load(f"workload-compare-{name}-{cache}.json")
            if code != 0 or not report or not report.get("reference"):
                runner.row("workloads", f"{name} {cache}", False, seconds, f"exit code {code}; see workloads-{name}.log")
                continue
            low, high = report["reference"]["ratio_interval"]
            runner.row("workloads", f"{name} {cache}", low > 2, seconds,
                       f"B0 {report['reference']['median_ns'] / 1e3:.1f} us, {report['reference']['ratio']:.2f}x "
                       f"[{low:.2f}, {high:.2f}] over it; " + ", ".join(
                           f"{entry['median_ns'] / 1e3:.1f}" if entry["median_ns"] else entry["status"]
                           for entry in report["configurations"]) + " us")


def workload_sanitize(runner):
    for name, path in stages().items():
        report = runner.load(f"workloads-{name}.json")
        if not report or not report.get("best"):
            runner.row("workload_sanitize", name, False, 0, "needs the winner of the step workloads")
            continue
        for kind in ("memcheck", "racecheck", "initcheck"):
            check_under(runner, "workload_sanitize", name, path, kind, report["best"]["configuration"])


def workload_libraries(runner):
    """What PyTorch's cuBLAS and CUB need for the parts of stages that they can do, as graphs, in one process."""
    code, seconds = runner.execute([sys.executable, ROOT / "tools" / "lib" / "gpu_run" / "library_baselines.py"],
                                   "workload-libraries.log", 120, stdout="workload-libraries.json")
    report = runner.load("workload-libraries.json")
    runner.row("workload_libraries", "torch", code == 0 and report, seconds,
               ", ".join(f"{row['name']} {row['median_us']:.1f} us" for row in (report or {"rows": []})["rows"])
               or f"exit code {code}")


def frame_in_short(report):
    times = report["times"]
    return (f"p50 {times['p50_us']:.1f} us, p99 {times['p99_us']:.1f} us, p99.9 {times['p99_9_us']:.1f} us, "
            f"max {times['max_us']:.0f} us, {times['frames_per_second']:.0f} frames/s")


def frame(runner):
    """The frame on the profiles that the step workloads stored, checked, then timed."""
    profiles = runner.output / "profiles.sqlite"
    given = ["--profiles", profiles] if profiles.exists() else []
    code, seconds = runner.execute([runner.program, "frame", "check", "--device", DEVICE, "--n", 900, *given],
                                   "frame.log", 120)
    runner.row("frame", "check", code == 0, seconds, f"exit code {code}; see frame.log")
    # Without profiles a frame takes milliseconds.
    for name, frames, options in (("default", 1000, []), ("tuned", 100000, given)):
        if name == "tuned" and not given:
            continue
        code, seconds = runner.execute([runner.program, "frame", "run", "--device", DEVICE, "--n", 900, "--frames", frames,
                                        "--json", *options], "frame.log", 120, stdout=f"frame-{name}.json")
        report = runner.load(f"frame-{name}.json") if code == 0 else None
        runner.row("frame", f"run {name}", report, seconds, frame_in_short(report) if report else f"exit code {code}; see frame.log")
    # Twice the same: what the last frame leaves, byte by byte.
    dumps = []
    for name in ("once", "twice"):
        runner.execute([runner.program, "frame", "run", "--device", DEVICE, "--frames", 1000, "--dump",
                        runner.work / f"dump-{name}", *given], "frame.log", 60)
        dumps.append({path.name: path.read_bytes() for path in sorted((runner.work / f"dump-{name}").glob("*.npy"))})
    differing = [name for name in dumps[0] if dumps[0][name] != dumps[1].get(name)]
    runner.row("frame", "same bits", dumps[0] and not differing, 0,
               f"{len(dumps[0])} arrays of two runs, differing: {', '.join(differing) or 'none'}")
