"""Steps of tools/gpu-run that check: devices, tests, the example, faults, compute-sanitizer."""

import json
import re
import shutil
import sys

from gpu_run.paths import CARRY, KERNELS, ROOT
from gpu_run.runner import DEVICE, PYTHON_TESTS


def devices(runner):
    code, seconds = runner.execute([runner.program, "devices", "--json"], "devices.log", 120, stdout="devices.json")
    report = runner.load("devices.json") or {"backends": []}
    names = [device["name"] for backend in report["backends"] if backend["name"] == "cuda"
             for device in backend["devices"]]
    runner.row("devices", "devices", code == 0 and names, seconds, ", ".join(names) or "no CUDA device")
    runner.execute([runner.program, "devices"], "devices.log", 120)
    runner.execute(["nvidia-smi"], "nvidia-smi.log", 60)


def test_programs(runner, step, device):
    for name, test in runner.manifest["tests"].items():
        if test["step"] != step or name in runner.skip:
            continue
        report = f"{step}-{name}.json"
        settings = dict(entry.split("=", 1) for entry in test["environment"])
        settings["WARPWRIGHT_REQUIRE_DEVICE"] = device
        if name == "occupancy_gpu_test":
            settings["WARPWRIGHT_OCCUPANCY_REPORT"] = str(runner.output / "occupancy.json")
        code, seconds = runner.execute([CARRY / "tests" / test["program"], *test["arguments"],
                                        f"--gtest_output=json:{runner.output / report}"], f"{step}-{name}.log", 240,
                                       environment=settings)
        counts, failed = {"passed": 0, "failed": 0, "skipped": 0}, []
        for suite in (runner.load(report) or {"testsuites": []})["testsuites"]:
            for case in suite["testsuite"]:
                if case.get("result") == "SKIPPED":
                    counts["skipped"] += 1
                elif case.get("failures"):
                    counts["failed"] += 1
                    failed.append(f"{suite['name']}.{case['name']}")
                else:
                    counts["passed"] += 1
        text = ", ".join(f"{count} {word}" for word, count in counts.items())
        runner.row(step, name, code == 0 and counts["passed"], seconds,
                   text + (f" (exit code {code})" if code else "") + (": " + ", ".join(failed[:5]) if failed else ""))


def tests(runner):
    test_programs(runner, "tests", "cuda")


def opencl(runner):
    if runner.nvidia_opencl("opencl"):
        test_programs(runner, "opencl", "opencl")


def nsight(runner):
    """Theoretical occupancy beside Nsight Compute's calculator."""
    code, seconds = runner.execute([sys.executable, ROOT / "tools" / "lib" / "gpu_run" / "nsight_occupancy.py", runner.program],
                                   "nsight.log", 120, stdout="nsight-occupancy.json")
    report = runner.load("nsight-occupancy.json")
    asked, agreed = (sum(report[key].values()) for key in ("asked", "agreed")) if report else (0, 0)
    # About sm_103 they differ: see docs/occupancy.md.
    different = [name for name, count in (report or {"asked": {}})["asked"].items()
                 if name != "sm_103" and report["agreed"].get(name, 0) != count]
    runner.row("nsight", "occupancy", code == 0 and asked and not different, seconds, f"{agreed} of {asked} answers agree" if asked else f"exit code {code}")


def example(runner):
    """The C++ example on the profile that the step tune stored."""
    specification = KERNELS / "vector_add" / "vector_add.toml"
    for start in ("first", "second"):
        code, seconds = runner.execute([CARRY / "bin" / "use_profile", specification, runner.output / "profiles.sqlite",
                                        runner.work / "binaries", DEVICE], f"example-{start}.log", 60)
        text = (runner.output / f"example-{start}.log").read_text()
        good = code == 0 and "tuned, match" in text and (start == "first" or "from the cache" in text)
        runner.row("example", f"{start} start", good, seconds, f"{text.count('correct')} sizes correct")


def faults(runner):
    for name in ("faulty", "fatal"):
        report = runner.tune_one("faults", name, KERNELS / "faulty" / f"{name}.toml", 180, "--strategy", "exhaustive",
                                 "--max-evaluations", 1000, "--compile-deadline", "5s", "--run-deadline", "3s")
        if report:
            found = {trial["configuration"]["bug"]: trial["status"] for trial in report["trials"]
                     if trial["configuration"]["bug"] != "none"}
            (runner.output / f"faults-{name}-statuses.json").write_text(json.dumps(found, indent=2))
            print("          " + ", ".join(f"{bug}: {status}" for bug, status in found.items()))
    for name, (folder, module) in PYTHON_TESTS.items():
        code, seconds = runner.execute(
            [sys.executable, "tests/cli/run.py", module], f"faults-{name}.log", 240,
            environment={"WARPWRIGHT_PROGRAM": str(runner.program), "WARPWRIGHT_SOURCE": str(ROOT),
                         "WARPWRIGHT_FAKES": str(CARRY), "WARPWRIGHT_REQUIRE_DEVICE": "cuda",
                         "WARPWRIGHT_FAULTS_REPORT": str(runner.output / f"faults-{name}.json"),
                         "PYTHONPATH": f"{ROOT / folder}:{ROOT / 'tests/cli'}"})
        statuses = runner.load(f"faults-{name}.json") or {}
        runner.row("faults", name, code == 0, seconds,
                   ", ".join(f"{kind}: {'/'.join(found)}" for kind, found in statuses.items()) or f"exit code {code}")


def pipeline_sanitize(runner):
    tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    for kind in ("memcheck", "racecheck"):
        log = f"sanitize-pipeline-{kind}.log"
        # The tests provoke refused calls, which the program checks; this looks for bad accesses.
        options = ["--report-api-errors", "no"] if kind == "memcheck" else []
        code, seconds = runner.execute([tool, "--tool", kind, *options, "--error-exitcode", 9,
                                        CARRY / "tests" / "memory_cuda_test"], log, 120,
                                       environment={"WARPWRIGHT_REQUIRE_DEVICE": "cuda"})
        text = (runner.output / log).read_text() if (runner.output / log).exists() else ""
        found = re.findall(r"ERROR SUMMARY: (\d+) error|RACECHECK SUMMARY: (\d+) hazard", text)
        runner.row("pipeline_sanitize", kind, code == 0 and found, seconds,
                   f"{sum(int(a or b) for a, b in found)} found" if found else f"no report (exit code {code})")


def check_under(runner, step, name, path, kind, configuration):
    """A verified run of one configuration under compute-sanitizer, at the first size of [verify]."""
    import tomllib  # Python 3.11; only these steps need it
    tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    specification = tomllib.loads(path.read_text())
    sizes = specification.get("verify", {}).get("sizes", [{}])[0]
    # A small size: every access is checked, which costs a factor of ten to a hundred.
    problem = [word for dimension, value in sizes.items() for word in ("--problem", f"{dimension}={value}")]
    # Beside what its sources include.
    copy = path.with_name(f".{path.stem}-{kind}.toml")
    copy.write_text(with_baseline(path.read_text(), configuration))
    log = f"{step}-{kind}-{name}.log"
    # Refused driver calls are checked by the program; this looks for bad accesses.
    options = ["--report-api-errors", "no"] if kind == "memcheck" else []
    try:
        code, seconds = runner.execute([tool, "--tool", kind, "--target-processes", "all", *options, "--error-exitcode", 9,
                                        runner.program, "check", copy, "--device", DEVICE, "--run-deadline", "120s",
                                        "--no-cache", *problem], log, 240)
    finally:
        copy.unlink()
    text = (runner.output / log).read_text() if (runner.output / log).exists() else ""  # no time was left
    found = [int(count) for count in re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (\d+) (?:error|hazard)", text)]
    runner.row(step, f"{name} {kind}", code == 0 and found and not any(found), seconds,
               f"{sum(found)} found in {len(found)} processes" if found else f"no report (exit code {code})")


def sanitize(runner):
    for name, path in runner.specifications().items():
        report = runner.load(f"tune-{name}.json")
        if not report or not report.get("best"):
            runner.row("sanitize", name, False, 0, "needs the winner of the step tune")
            continue
        check_under(runner, "sanitize", name, path, "memcheck", report["best"]["configuration"])


def with_baseline(text, configuration):
    """A specification whose baseline is `configuration`."""
    def literal(value):
        return str(value).lower() if isinstance(value, bool) else json.dumps(value)

    line = "configuration = { " + ", ".join(f"{name} = {literal(value)}" for name, value in configuration.items()) + " }"
    changed, count = re.subn(r"(?m)(^\[baseline\]\n(?:#.*\n)*)configuration = .*$", lambda match: match[1] + line, text)
    return changed if count else text + f"\n[baseline]\n{line}\n"
