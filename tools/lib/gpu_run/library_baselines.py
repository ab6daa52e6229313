#!/usr/bin/env python3
"""Times of NVIDIA's libraries, through PyTorch, for the parts of the reference workloads that these can do: the second
baseline of the table. Each row but the cold ones is one CUDA graph, so launches cost what they cost in a graph; the data stay in the cache.
Prints JSON. Needs PyTorch with CUDA."""

import json
import statistics

import torch

WARM_UP, SAMPLES, INNER = 10, 50, 20


def timed(work):
    """Median and 99th percentile of a run in us, from events around INNER runs in one graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(INNER):
            work()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    times = []
    for sample in range(WARM_UP + SAMPLES):
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        if sample >= WARM_UP:
            times.append(begin.elapsed_time(end) * 1e3 / INNER)
    times.sort()
    return {"median_us": statistics.median(times), "p99_us": times[-(-99 * len(times) // 100) - 1]}


def timed_cold(work, flush):
    """The same of single runs, each after `flush`."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    times = []
    for sample in range(WARM_UP + SAMPLES):
        flush()
        begin.record()
        work()
        end.record()
        end.synchronize()
        if sample >= WARM_UP:
            times.append(begin.elapsed_time(end) * 1e3)
    times.sort()
    return {"median_us": statistics.median(times), "p99_us": times[-(-99 * len(times) // 100) - 1]}


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    n, ld, units = 900, 928, 1000
    device = "cuda"
    padded = torch.rand(n, ld, device=device)
    coupling = padded[:, :n]
    two, four = torch.rand(n, 2, device=device), torch.rand(n, 4, device=device)
    weights, inner = torch.rand(units, n, device=device), torch.rand(units, units, device=device)
    x, state = torch.rand(n, device=device), torch.rand(units, device=device)
    rows = []

    def row(name, what, work):
        rows.append({"name": name, "what": what, **timed(work)})

    def repeated(count, matrix):
        def work():
            for _ in range(count):
                torch.mm(coupling, matrix)
        return work

    row("reservoir", "cuBLAS: two matrix-vector products (1000 x 900, 1000 x 1000), without tanh and noise",
        lambda: (torch.mv(weights, x), torch.mv(inner, state)))
    row("coupling", "CUB: the maximum of 900 x 928 floats, without the scale", lambda: torch.max(padded))
    row("oscillators", "cuBLAS: ten products 900 x 900 x 2, without sines and steps", repeated(10, two))
    row("quantum", "cuBLAS: ten products 900 x 900 x 2, without the recurrence", repeated(10, two))
    row("policy", "cuBLAS: three matrix-vector products 900 x 900, without all else",
        lambda: [torch.mv(coupling, x) for _ in range(3)])
    row("synchronisation", "cuBLAS: three products 900 x 900 x 4, without sines, steps and the channel", repeated(3, four))
    bits = (torch.rand(100, n, device=device) > 0.5).half()
    row("transfer_entropy", "cuBLAS: four products 900 x 99 x 900 in fp16 that count, without logarithms",
        lambda: [torch.mm(bits[1:].t(), bits[:-1]) for _ in range(4)])
    for size in (1024, 2048, 4096):
        a, b = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
        row(f"gemm {size}", "cuBLAS fp32, warm", lambda a=a, b=b: torch.mm(a, b))
        # As our own cold runs: everything out of the cache, and nothing dirty left in it.
        dirty, clean = torch.zeros(2**26, device=device), torch.zeros(2**26, device=device)
        rows.append({"name": f"gemm {size} cold", "what": "cuBLAS fp32, after a flush",
                     **timed_cold(lambda a=a, b=b: torch.mm(a, b), lambda: (dirty.fill_(1.0), torch.sum(clean)))})
    print(json.dumps({"device": torch.cuda.get_device_name(0), "torch": torch.__version__, "cuda": torch.version.cuda,
                      "runs_a_graph": INNER, "samples": SAMPLES, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
