"""Steps of tools/gpu-run that tune kernels or compare configurations of one."""

from gpu_run.paths import CARRY, KERNELS
from gpu_run.results import by_configuration
from gpu_run.runner import DEVICE

EVALUATIONS = 300
WHOLE_SPACE = 520
RECORDED_SPACE = 4000


def cold(runner):
    """Cold and warm apart, and alike through both backends: a kernel whose data (36 MiB) fits into the cache."""
    # Between the backends. Warm runs are single ones through OpenCL; CUDA's are kernels of a graph, one right behind the
    # other, which hides the beginning of each.
    tolerances = {"cold": 0.1, "warm": 0.2}
    devices = {"cuda": DEVICE, "opencl": runner.opencl_device("cold")}
    specification = KERNELS / "vector_add" / "vector_add.toml"
    medians = {}
    for name, device in devices.items():
        for cache in ("cold", "warm"):
            if not device:
                continue
            code, seconds = runner.execute(
                [runner.program, "compare", specification, "--device", device, "--problem", "n=3145728", "--cache", cache,
                 "--rounds", 50, "--json", "--config", "block_x=256,items=1"], "cold.log", 60,
                stdout=f"cold-{name}-{cache}.json")
            found = ((runner.load(f"cold-{name}-{cache}.json") or {}).get("configurations") or [{}])[0]
            median = found.get("median_ns") if code == 0 else None
            if not median:
                runner.row("cold", f"{name} {cache}", False, seconds, f"exit code {code}; see cold.log")
                continue
            medians[name, cache] = median
            marks = found.get("marks", [])
            # CUDA came first. A time that the host's launches bound is no time of the kernel.
            ratio = median / medians["cuda", cache] if ("cuda", cache) in medians else 1.0
            runner.row("cold", f"{name} {cache}", abs(ratio - 1) <= tolerances[cache] and "launch_bound" not in marks, seconds,
                       ", ".join([f"{median / 1e3:.2f} us, {ratio:.3f} of CUDA's (within {tolerances[cache]:.0%})", *marks]))
        if (name, "cold") in medians and (name, "warm") in medians:
            cold, warm = medians[name, "cold"], medians[name, "warm"]
            runner.row("cold", f"{name} apart", cold > 1.05 * warm, 0, f"cold {cold / 1e3:.2f} us, warm {warm / 1e3:.2f} us")


def public(runner):
    files = sorted((CARRY / "public").glob("*.json"))
    if not files:
        runner.row("public", "T1 files", False, 0, "none were packed: tools/gpu-run pack --public DIR")
    for path in files:
        runner.tune_one("public", path.stem, path, 120, "--time-limit", "60s", "--no-profile")


def record_space(runner, step, name, path, limit):
    # A recording wants a time of every configuration and not a bound.
    report = runner.tune_one(step, name, path, limit, "--strategy", "exhaustive", "--no-racing")
    if report:
        (runner.output / "recorded").mkdir(exist_ok=True)
        runner.execute([runner.program, "export", runner.output / "sessions" / f"{step}-{name}", "--spec", path,
                        "--output", runner.output / "recorded" / f"{name}.json.gz"], f"{step}-{name}.log", 60)


def tune(runner):
    for name, path in runner.specifications().items():
        if 0 < runner.space_size("tune", name, path) <= WHOLE_SPACE:
            record_space(runner, "tune", name, path, 180)
        else:
            runner.tune_one("tune", name, path, 180, "--max-evaluations", EVALUATIONS)


def record(runner):
    for name, path in runner.specifications().items():
        if WHOLE_SPACE < runner.space_size("record", name, path) <= RECORDED_SPACE:
            record_space(runner, "record", name, path, 300)


def gemm(runner):
    """The product of square matrices at three sizes; cuBLAS beside it is in the step workload_libraries."""
    libraries = {row["name"]: row["median_us"] for row in (runner.load("workload-libraries.json") or {"rows": []})["rows"]}
    for size in (1024, 2048, 4096):
        report = runner.tune_one("gemm", str(size), KERNELS / "gemm" / "gemm.toml", 90, "--time-limit", "25s", "--no-profile",
                                 *(word for name in "mnk" for word in ("--problem", f"{name}={size}")))
        library = libraries.get(f"gemm {size} cold")
        if report and library:
            share = library / (report["best"]["median_ns"] / 1e3)
            runner.row("gemm", f"{size} beside cuBLAS", share >= 0.95, 0, f"{share:.1%} of cuBLAS, {library:.1f} us (goal 95 %)")


def racing(runner):
    """Device time of the search with racing and with fixed numbers of samples; the same questions in all three."""
    specification = runner.specifications()["convolution"]
    times = {}
    for name, options in (("race", ()), ("fixed-32", ("--no-racing", "--min-samples", 32, "--max-samples", 32)),
                          ("fixed-7", ("--no-racing", "--min-samples", 7, "--max-samples", 7))):
        report = runner.tune_one("racing", name, specification, 120, "--strategy", "random", "--max-evaluations", 150,
                                 "--no-profile", *options)
        if report:
            times[name] = report["time"]["measure_s"]
    if len(times) < 3:
        return
    for name, goal in (("fixed-32", 0.7), ("fixed-7", 0.3)):
        saved = 1 - times["race"] / times[name]
        runner.row("racing", f"against {name}", saved >= goal, times["race"],
                   f"{saved:.1%} of {times[name]:.2f} s device time saved (goal {goal:.0%})")
    found = runner.compare("racing", specification, [f"racing-{name}.json" for name in times])
    if found:
        ratios, ties, seconds = found
        runner.row("racing", "winners", ties[0], seconds, "ratios to the fastest: " + ", ".join(
            f"{name} {ratio:.4f}" for name, ratio in zip(times, ratios)))


def parallel(runner):
    specification = runner.specifications()["convolution"]
    walls = {}
    for name, jobs, cache in (("one", 1, "one"), ("all", 0, "all"), ("warm", 0, "all")):
        # NVRTC keeps a cache of its own, so each cold run gets an empty folder for it.
        options = ["--jobs", jobs] if jobs else []
        report = runner.tune_one("parallel", name, specification, 180, "--strategy", "random", "--max-evaluations", 300,
                                 "--no-profile", "--cache-dir", runner.work / f"parallel-{cache}", *options,
                                 environment={"CUDA_CACHE_PATH": str(runner.work / f"nvrtc-{cache}")})
        if report:
            walls[name] = report["time"]
    if len(walls) < 3:
        return
    ratio = walls["one"]["total_s"] / walls["all"]["total_s"]
    runner.row("parallel", "cold", ratio >= 5, walls["all"]["total_s"],
               f"{ratio:.1f}x shorter than --jobs 1 ({walls['one']['total_s']:.1f} s); goal 8x, at least 5x")
    runner.row("parallel", "warm", walls["warm"]["compile_cpu_s"] < 1, walls["warm"]["total_s"],
               f"{walls['warm']['compile_cpu_s']:.2f} s of CPU time in compilers")


def repeat(runner):
    """Whether sessions with different seeds agree: every winner within 1 % of the best in one fresh paired run."""
    specification = runner.specifications()["transpose"]
    size = ("--problem", "width=4096", "--problem", "height=4096")
    names = []
    for seed in range(1, 21):
        if runner.tune_one("repeat", f"seed-{seed}", specification, 60, "--max-evaluations", 2 * EVALUATIONS, "--no-profile", *size,
                           "--seed", seed):
            names.append(f"repeat-seed-{seed}.json")
    found = runner.compare("repeat", specification, names, *size) if names else None
    if found:
        pooled = by_configuration(runner.load("repeat-winners.json")["configurations"])
        winners = sum(entry["given"] for entry in pooled)
        within = sum(entry["given"] for entry in pooled if entry["ratio"] <= 1.01)
        runner.row("repeat", "winners", winners == 20 and within == winners, found[2],
                   f"{within} of {winners} within 1 % of the best; {len(pooled)} different configurations, the slowest at "
                   f"{max(entry['ratio'] for entry in pooled):.4f}")


def overhead(runner):
    """The tuner's own time over 300 evaluations, with caches of its own: what other steps compiled is not in them."""
    specification = KERNELS / "histogram" / "histogram.toml"
    for name in ("cold", "warm"):
        report = runner.tune_one("overhead", name, specification, 180, "--max-evaluations", 300,
                                 "--cache-dir", runner.work / "overhead",
                                 environment={"CUDA_CACHE_PATH": str(runner.work / "nvrtc-overhead")})
        if report:
            own = report["tuner_ms_per_evaluation"]
            runner.row("overhead", f"{name}, own time", own <= 0.5, report["time"]["total_s"],
                       f"{own:.3f} ms a configuration")
