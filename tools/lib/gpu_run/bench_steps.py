"""Steps of tools/gpu-run that run the programs of bench/."""

import importlib.util
import os
import pathlib
import sys

from gpu_run.paths import CARRY, ROOT
from gpu_run.runner import DEVICE


def flush(runner):
    devices = {"cuda": DEVICE, "opencl": runner.opencl_device("flush")}
    for name, device in devices.items():
        if not device:
            continue
        code, seconds = runner.execute([CARRY / "bin" / "bench_flush", "--device", device, "--json",
                                        runner.output / f"flush-{name}.json"], "flush.log", 120)
        report = runner.load(f"flush-{name}.json") or {"rows": []}
        for row in report["rows"]:
            times = {way: row[way] for way in ("write", "write_read", "write_read_twice", "read_twice")}
            ours = times["write_read_twice"]["ratio_to_clean"]
            runner.row("flush", f"{name} {row['kernel']} {row['mebibytes']}", ours <= 1.03, seconds, ", ".join(
                f"{way} {value['median_us']:.2f} us ({value['ratio_to_clean']:.3f})" for way, value in times.items()))
        if code != 0 or not report["rows"]:
            runner.row("flush", name, False, seconds, f"exit code {code}; see flush.log")


def processor(runner):
    code, seconds = runner.execute([CARRY / "bin" / "bench_pool", "--threads", "1,2,4,8,16", "--milliseconds", 40,
                                    "--rounds", 3, "--json", runner.output / "pool.json"], "processor-pool.log", 120)
    latency = (runner.load("pool.json") or {"latency": {}})["latency"]
    ours = latency.get("warpwright", {}).get("median_of_bursts_ns", float("inf"))
    # 50 ns is the goal and 100 ns the least that is acceptable.
    runner.row("processor", "pool", code == 0 and ours <= 100, seconds, "acquire and release: " + ", ".join(
        f"{name} {value['median_of_bursts_ns']:.1f} ns" for name, value in latency.items()))
    code, seconds = runner.execute([CARRY / "bin" / "occupancy_bench", "--samples", 45, "--json",
                                    runner.output / "processor-occupancy.json"], "processor.log", 120)
    report = runner.load("processor-occupancy.json") or {"rows": []}
    rates = [row["per_second_median"] for row in report["rows"] if row["name"] == "calculate_occupancy, sweep"]
    runner.row("processor", "occupancy", code == 0 and rates and min(rates) >= 50e6, seconds,
               f"{min(rates) / 1e6:.1f} to {max(rates) / 1e6:.1f} million calculations a second (goal 50)" if rates
               else f"exit code {code}")
    code, seconds = runner.execute([CARRY / "bin" / "bench_profile_handle", "--rounds", 2, "--milliseconds", 50, "--json",
                                    runner.output / "processor-profile-handle.json"], "processor.log", 120)
    report = runner.load("processor-profile-handle.json") or {"results": []}
    most = [row for row in report["results"] if row["way"] == "handle" and row["threads"] == 16]
    runner.row("processor", "profile handle", code == 0 and most and most[0]["median_ns"] < 100, seconds,
               f"{most[0]['median_ns']:.1f} ns a read at the median, {most[0]['p99_ns']:.1f} at p99, 16 threads (goal 100)"
               if most else f"exit code {code}")


def search(runner):
    files = sorted((CARRY / "recorded").glob("*/*.json.gz"))
    if not files:
        runner.row("search", "scores", False, 0, "no recorded spaces were packed")
        return
    bench = CARRY / "bin" / "search_bench"
    code, seconds = runner.execute([runner.program, "strategies", "--json"], "search.log", 30, stdout="strategies.json")
    names = [entry["name"] for entry in (runner.load("strategies.json") or {"strategies": []})["strategies"]]
    names = ["auto", *(name for name in names if name not in ("auto", "exhaustive"))]
    settings = [word for name in names for word in ("--setting", name)]
    code, seconds = runner.execute([bench, "choose", *files, "--repeats", 100, "--threads", os.cpu_count(), *settings,
                                    "--json", runner.output / "search-scores.json"], "search.log", 400)
    report = runner.load("search-scores.json") or {"settings": []}
    scores = {row["setting"]: row for row in report["settings"]}
    ours = scores.get("auto", {"score": 0, "spaces": {}})
    better = [name for name, row in scores.items() if row["to_first"]["low"] > 0]
    runner.row("search", "scores", code == 0 and ours["score"] >= 0.7 and not better, seconds,
               f"auto {ours['score']:.3f} (goal 0.70); significantly better: {', '.join(better) or 'none'}")
    # Options of the model behind auto, chosen without one kernel and without one device; the best peer scores 0.544
    # on these spaces.
    options = ["bayesian", *(f"bayesian:{option}" for option in ("length=1.0", "length=4.0", "initial=10",
                                                                 "cost_weight=0.0"))]
    code, seconds = runner.execute([bench, "choose", *files, "--repeats", 100, "--threads", os.cpu_count(),
                                    *(word for name in options for word in ("--setting", name)),
                                    "--json", runner.output / "search-options.json"], "search.log", 240)
    report = runner.load("search-options.json") or {}
    held_out = {kind: report.get(f"without_one_{kind}", {}).get("mean_left_out", 0) for kind in ("kernel", "device")}
    runner.row("search", "options", code == 0 and min(held_out.values()) > 0.544, seconds, ", ".join(
        f"{score:.3f} on what was left out, one {kind} at a time" for kind, score in held_out.items()))
    code, seconds = runner.execute([bench, "speed", *files, "--seconds", 2, "--json", runner.output / "search-speed.json"],
                                   "search.log", 120)
    rates = (runner.load("search-speed.json") or {"strategies": {}})["strategies"]
    for name, goal in (("random", 1e6), ("auto", 20e3)):
        rate = rates.get(name, {"evaluations_per_second": 0})["evaluations_per_second"]
        runner.row("search", f"speed of {name}", rate >= goal, seconds, f"{rate:,.0f} questions a second (goal {goal:,.0f})")


def memory(runner):
    bench = CARRY / "bin"
    code, seconds = runner.execute([bench / "bench_pipeline", "--device", DEVICE, "--bytes", 1 << 30, "--chunk", 8 << 20,
                                    "--rounds", 60, "--long", 100 << 30, "--json", runner.output / "pipeline.json"],
                                   "memory-pipeline.log", 150)
    report = runner.load("pipeline.json") or {"scenarios": []}
    for scenario in report["scenarios"]:
        for row in scenario["contenders"]:
            ours = row["name"].startswith("warpwright")
            good = not ours or (row["efficiency_achievable"] >= 0.95 and row["against_by_hand"] >= 0.99)
            runner.row("memory", scenario["kernel"], good, row["median_ms"] / 1e3,
                       f"{row['name']}: {row['efficiency_achievable']:.1%} of the ideal, "
                       f"{row['gb_s_each_way']:.1f} GB/s each way, {row['against_by_hand']:.3f} of by hand, "
                       f"{row['speedup_over_host_synchronised']:.2f}x and {row['speedup_over_one_stream']:.2f}x the serial")
    long = report.get("long_stream")
    runner.row("memory", "pipeline", code == 0 and long and long["wrong"] == 0 and long["device_memory_growth_bytes"] == 0,
               seconds, f"{long['bytes'] >> 30} GiB at {long['gb_s_each_way']:.1f} GB/s each way, {long['wrong']} chunks "
               f"wrong, {long['peak_pinned_bytes'] >> 20} MiB pinned" if long else f"exit code {code}")

    for name, options in (("tune", ("tune", "--bytes", "1GiB")), ("bench", ("bench", "--tuned", "--bytes", "8GiB",
                                                                    "--trace", runner.output / "pipeline-trace.json"))):
        code, seconds = runner.execute([runner.program, "pipeline", *options, "--device", DEVICE, "--kernel", "balanced",
                                        "--json"], f"memory-{name}.log", 90, stdout=f"pipeline-{name}.json")
        report = runner.load(f"pipeline-{name}.json")
        runner.row("memory", f"pipeline {name}", code == 0 and report and report.get("verified", True), seconds,
                   f"{report['h2d_gb_s']:.1f} and {report['d2h_gb_s']:.1f} GB/s, overlap efficiency "
                   f"{report['overlap_efficiency']:.3f}" if code == 0 and name == "bench" else f"exit code {code}")


def cold_start(runner):
    code, seconds = runner.execute([CARRY / "bin" / "bench_pool", "--threads", "1", "--milliseconds", 5, "--rounds", 3,
                                    "--cold-start", 4 << 30, "--json", runner.output / "pool-cold-start.json"],
                                   "cold-start.log", 120)
    report = (runner.load("pool-cold-start.json") or {}).get("cold_start", {})
    ways = {way["way"]: way["times_as_fast"] for way in report.get("ways", [])}
    runner.row("cold_start", "4 GiB", code == 0 and ways, seconds,
               ", ".join(f"{way}: {times:.2f}" for way, times in ways.items()) + " times as fast as the driver's allocator"
               if ways else f"exit code {code}")
    for entry in report.get("touching", []):
        runner.row("cold_start", f"{entry['threads']} threads", True, entry["new_ms"] / 1e3,
                   f"a write to each page: {entry['new_ms']:.0f} ms on new pages, {entry['new_again_ms']:.0f} ms on new ones "
                   f"again, {entry['present_ms']:.0f} ms where they are")


def torch_peer(runner):
    """The peer that is PyTorch's allocator, compiled against the PyTorch of this Python: the file, or None; and the folder
    of PyTorch."""
    found = importlib.util.find_spec("torch")  # without importing it, which takes long
    if not found or not found.submodule_search_locations:
        runner.row("peers", "torch_peer.so", False, 0, f"{sys.executable} has no torch")
        return None, None
    torch = pathlib.Path(found.submodule_search_locations[0])
    target = runner.work / "torch_peer.so"
    # Nothing names libtorch_cuda, which registers the allocator when it is loaded.
    code, seconds = runner.execute(
        ["g++", "-std=c++20", "-O2", "-DNDEBUG", "-shared", "-fPIC", "-isystem", torch / "include",
         ROOT / "bench" / "pool" / "peers" / "torch_peer.cpp", "-o", target, "-L", torch / "lib", "-Wl,--no-as-needed",
         "-ltorch_cuda", "-ltorch_cpu", "-lc10_cuda", "-lc10", f"-Wl,-rpath,{torch / 'lib'}"], "peers-torch.log", 240)
    if code != 0:
        runner.row("peers", "torch_peer.so", False, seconds, f"not compiled (exit code {code}); see peers-torch.log")
        return None, None
    return target, torch


def peers(runner):
    target, torch = torch_peer(runner)
    files = [target] if target else []
    rmm = CARRY / "peers" / "rmm_peer.so"
    if rmm.exists():
        files.insert(0, rmm)
    else:
        runner.row("peers", "rmm_peer.so", False, 0, "was not packed: tools/gpu-run pack --rmm DIR")
    if not files:
        return
    # PyTorch's own libraries say where they look for CUDA's; this is for a PyTorch that was not installed by pip.
    folders = [*(sorted(torch.parent.glob("nvidia/*/lib")) if torch else []),
               *sorted(pathlib.Path("/usr/local").glob("cuda*/lib64"))]
    libraries = ":".join([runner.environment()["LD_LIBRARY_PATH"], *map(str, folders)])
    # A peer that ends the program, which is not ours to prevent, must not cost the other's figures.
    for chosen in [files, *([file] for file in files if len(files) > 1)]:
        code, seconds = runner.execute([CARRY / "bin" / "bench_pool", "--threads", "1,2,4,8,16", "--milliseconds", 40,
                                        "--rounds", 3, *(word for file in chosen for word in ("--peer", file)),
                                        "--json", runner.output / "pool-peers.json"], "peers-pool.log", 240,
                                       environment={"LD_LIBRARY_PATH": libraries})
        if code == 0:
            break
        runner.row("peers", " ".join(file.name for file in chosen), False, seconds, f"exit code {code}; see peers-pool.log")
    report = runner.load("pool-peers.json") or {}
    for peer in report.get("peers", []):
        times = {name: report["latency"][name]["median_of_bursts_ns"] for name in (peer["name"], "warpwright")}
        runner.row("peers", peer["file"], code == 0 and peer["misses"] == 0, seconds, "acquire and release: " + ", ".join(
            f"{name} {time:.1f} ns" for name, time in times.items()))
    for peer in report.get("peers_not_opened", []):
        runner.row("peers", peer["file"], False, seconds, f"not opened: {peer['reason']}")
