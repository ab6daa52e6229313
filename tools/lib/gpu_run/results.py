"""Turns what a run left into files of bench/results/."""

import json
import pathlib
import re
import shutil
import statistics
import tarfile
import tempfile

from gpu_run.paths import RESULTS, ROOT, fail


def by_configuration(entries):
    """Compared configurations with the samples of equal ones pooled (median of each round), and their ratios, paired by
    round, to the one with the least median: copies of one configuration differ by up to 1 % from each other."""
    groups = {}
    for entry in entries:
        groups.setdefault(json.dumps(entry["configuration"]), []).append(entry)
    rounds = {key: [statistics.median(samples) for samples in zip(*(entry["samples"] for entry in group))]
              for key, group in groups.items()}
    best = min(rounds, key=lambda key: statistics.median(rounds[key]))
    return sorted(({"configuration": json.loads(key), "given": len(groups[key]),
                    "median_ns": statistics.median(samples),
                    "ratio": statistics.median(mine / other for mine, other in zip(samples, rounds[best]))}
                   for key, samples in rounds.items()), key=lambda entry: entry["ratio"])


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def sessions_of(source, step):
    """The sessions of a step in short, and the comparison of their winners."""
    found = {}
    for path in sorted(source.glob(f"{step}-*.json")):
        report = json.loads(path.read_text()) if path.stat().st_size > 0 else {}
        name = path.stem.removeprefix(f"{step}-")
        if name == "winners":
            found[name] = [{key: entry.get(key) for key in ("configuration", "median_ns", "ratio", "ratio_interval", "tie")}
                           for entry in report.get("configurations", [])]
            found["winners_by_configuration"] = by_configuration(report.get("configurations", []))
        elif report.get("best"):
            found[name] = {key: report[key] for key in ("kernel", "problem", "strategy", "seed", "evaluations", "censored",
                                                        "best", "speedup", "time")}
    return found


def comparison_in_short(report):
    """Configurations beside the reference kernel, without their samples."""
    keys = ("configuration", "status", "median_ns", "spread_ns", "ratio", "ratio_interval", "tie", "marks")
    return {"reference": {key: value for key, value in report["reference"].items() if key != "samples"},
            "fastest": report["fastest"],
            "configurations": [{key: entry[key] for key in keys if key in entry} for entry in report["configurations"]]}


def write_result(name, contents):
    RESULTS.mkdir(parents=True, exist_ok=True)
    target = RESULTS / name
    target.write_text(json.dumps(contents, indent=2) + "\n")
    print(f"{target.relative_to(ROOT)}")


def write_sections(name, head, sections, rows):
    """A file whose parts may come from several runs: what this one did not make stays; `runs` says where each part is from."""
    target = RESULTS / name
    old = json.loads(target.read_text()) if target.exists() else {}
    old_run = {key: old[key] for key in ("commit", "date", "command") if key in old}
    run = {key: head[key] for key in ("commit", "date", "command")}
    contents, runs = dict(head), {}
    for key in [key for key in old if key not in ("rows", "runs", *head)] + [key for key in sections if key not in old]:
        fresh = sections.get(key)
        contents[key] = fresh or old.get(key)
        runs[key] = run if fresh else old.get("runs", {}).get(key, old_run)
    made = {row["step"] for row in rows}
    contents["rows"] = [row for row in old.get("rows", []) if row["step"] not in made] + rows
    contents["runs"] = runs
    write_result(name, contents)


def collect(folder):
    folder = pathlib.Path(folder)
    archive = folder / "results.tar.gz"
    if not archive.exists():
        fail(f"{archive} is missing: name the folder that 'tools/gpu-run run' filled")
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(archive) as file:
            file.extractall(unpacked, filter="data") if hasattr(tarfile, "data_filter") else file.extractall(unpacked)
        source = pathlib.Path(unpacked)

        def load(name):
            path = source / name
            return json.loads(path.read_text()) if path.exists() and path.stat().st_size > 0 else None

        summary = load("summary.json")
        devices = [device for backend in (load("devices.json") or {"backends": []})["backends"]
                   if backend["name"] == "cuda" for device in backend["devices"]]
        if not devices:
            fail(f"{archive} names no CUDA device; run the step devices too")
        device = devices[0]
        machine = slug(device["name"])
        head = {
            "schema_version": 1,
            "device": device["name"],
            "architecture": device["architecture"],
            "driver": device["driver"],
            "toolkit": device["toolkit"],
            "commit": summary["commit"],
            "uncommitted_changes": summary["uncommitted_changes"],
            "date": summary["date"],
            "command": summary["command"],
        }

        def rows(*steps):
            return [row for row in summary["rows"] if row["step"] in steps]

        reports = {path.stem.removeprefix("tune-"): json.loads(path.read_text())
                   for path in sorted(source.glob("tune-*.json")) if path.stat().st_size > 0}
        reports = {name: report for name, report in reports.items() if report.get("best")}
        if reports or rows("tests", "opencl", "record", "overhead", "example", "sanitize"):
            write_sections(f"examples-{machine}.json", head, {
                "compiler": next(iter(reports.values()), {"compiler": None})["compiler"],
                "results": [
                    {**{key: report[key] for key in ("kernel", "problem", "cache_mode", "strategy", "seed", "space", "best",
                                                     "speedup", "evaluations", "failures", "finalists", "verification",
                                                     "reverified", "time", "tuner_ms_per_evaluation")},
                     "baseline": {key: report["baseline"][key] for key in ("configuration", "median_ns")}
                     if report.get("baseline") else None}
                    for report in reports.values()
                ],
                "whole_spaces": sessions_of(source, "record"),
                "overhead": {path.stem.removeprefix("overhead-"): {key: report[key] for key in (
                    "kernel", "evaluations", "tuner_ms_per_evaluation", "time")}
                    for path in sorted(source.glob("overhead-*.json")) if path.stat().st_size > 0
                    for report in [json.loads(path.read_text())]},
            }, rows("devices", "tests", "opencl", "tune", "record", "overhead", "example", "sanitize"))
        if rows("flush", "cold"):
            write_sections(f"flush-{machine}.json", head, {
                **{name: load(f"flush-{name}.json") for name in ("cuda", "opencl")},
                "cold_and_warm": [
                    {"backend": name, "cache": cache, **{key: report[key] for key in ("kernel", "problem") if key in report},
                     **{key: report["configurations"][0][key] for key in ("configuration", "median_ns", "samples", "marks")
                        if key in report["configurations"][0]}}
                    for name in ("cuda", "opencl") for cache in ("cold", "warm")
                    for report in [load(f"cold-{name}-{cache}.json")] if report and report.get("configurations")],
            }, rows("flush", "cold"))
        steps = ("workloads", "workload_libraries", "gemm", "workload_sanitize", "frame")
        if rows(*steps):
            compared = {}
            for path in sorted(source.glob("workload-compare-*.json")):
                name, _, cache = path.stem.removeprefix("workload-compare-").rpartition("-")
                if path.stat().st_size > 0 and (report := json.loads(path.read_text())).get("reference"):
                    compared.setdefault(name, {})[cache] = {"problem": report["problem"], **comparison_in_short(report)}
            write_sections(f"workloads-{machine}.json", head, {
                "stages": compared, "libraries": load("workload-libraries.json"),
                "sessions": sessions_of(source, "workloads"), "gemm": sessions_of(source, "gemm"),
                "frame": {path.stem.removeprefix("frame-"): json.loads(path.read_text())
                          for path in sorted(source.glob("frame-*.json")) if path.stat().st_size > 0},
            }, rows(*steps))
        if rows("public"):
            write_sections(f"public-{machine}.json", head, {"results": sessions_of(source, "public")}, rows("public"))
        if rows("racing", "parallel", "repeat", "faults"):
            write_sections(f"sessions-{machine}.json", head, {
                **{step: sessions_of(source, step) for step in ("racing", "parallel", "repeat")},
                "faults": {path.stem.removeprefix("faults-"): json.loads(path.read_text())
                           for path in [*source.glob("faults-*-statuses.json"), *source.glob("faults-faults_gpu.json")]},
            }, rows("racing", "parallel", "repeat", "faults"))
        if occupancy := load("occupancy.json"):
            write_result(f"occupancy-{machine}.json", {**head, **occupancy, "rows": [
                row for row in rows("tests") if row["name"] == "occupancy_gpu_test"]})
        if nsight := load("nsight-occupancy.json"):
            write_result("occupancy-nsight-compute.json", {**{key: head[key] for key in ("schema_version", "commit", "date", "command")},
                                                           **nsight})
        if pool := load("pool.json"):
            write_result(f"pool-{slug(pool.get('cpu', machine))}.json", {**pool, "date": summary["date"], "commit": summary["commit"]})
        if occupancy := load("processor-occupancy.json"):
            write_result(f"occupancy-{slug(occupancy['cpu'])}.json", {**occupancy, "date": summary["date"],
                                                                      "commit": summary["commit"]})
        made = {"date": summary["date"], "commit": summary["commit"]}
        if handle := load("processor-profile-handle.json"):
            write_result(f"profile-handle-{slug(handle['machine']['cpu'])}.json", {**handle, **made})
        if scores := load("search-scores.json"):
            write_result("strategies.json", {**made, "scores": scores, "options": load("search-options.json"),
                                             "speed": load("search-speed.json")})
        if rows("memory", "cold_start", "pipeline_sanitize"):
            write_sections(f"memory-{machine}.json", head, {
                "pipeline": load("pipeline.json"),
                "cold_start": (load("pool-cold-start.json") or {}).get("cold_start"),
                "pipeline_tune": load("pipeline-tune.json"),
                "pipeline_bench": load("pipeline-bench.json"),
            }, rows("memory", "cold_start", "pipeline_sanitize"))
        if rows("peers"):
            write_sections(f"pool-peers-{machine}.json", head, {"pool": load("pool-peers.json")}, rows("peers"))
        for path in sorted((source / "recorded").glob("*.json.gz")):
            target = ROOT / "examples" / "recorded" / path.name.removesuffix(".json.gz") / f"{machine}.json.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
            print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")
