"""Lookup: time and recall of exact search within a radius, ours beside others, on one thread.

Run ``python -m benchmarks.lookup`` from the project's root. Codes are random; half of the queries are a stored code
with 0 to radius bits flipped, the other half unrelated. The truth is a plain scan of the same codes. Each contender is
a fresh process; a query is timed alone, and all together where the contender has a batch call. A contender's time is
the median over the repeats of the mean over the queries. A contender that needs more than ``patience_s`` seconds for
the queries stops there and is measured on those it answered; above half of that it is measured once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import runner

SEED = 20_261_123
CONTENDERS = (
    "hashmatch_multi",
    "hashmatch_linear",
    "hashmatch_bktree",
    "faiss_multihash",
    "faiss_flat",
    "numpy_scan",
    "pybktree_tree",
)
SIZES = ((10_000, 256, 31), (100_000, 256, 31), (1_000_000, 256, 31), *((100_000, 64, r) for r in (2, 4, 8)))
TOO_SLOW = {"pybktree_tree": 100_000}
SWEEP = tuple((1_000_000, 256, r) for r in (0, 8, 16, 24, 40, 48, 56, 64))
SWEEP_CONTENDERS = ("hashmatch_multi", "hashmatch_linear", "faiss_flat")


def make_codes(workload: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Codes and queries of a workload, ``(n, n_bits / 8)`` and ``(queries, n_bits / 8)`` uint8."""
    rng = np.random.default_rng(workload["seed"])
    n_bits, count = workload["n_bits"], workload["queries"]
    codes = rng.integers(0, 256, (workload["n"], n_bits // 8), dtype=np.uint8)
    queries = rng.integers(0, 256, (count, n_bits // 8), dtype=np.uint8)
    for i in range(0, count, 2):
        queries[i] = codes[rng.integers(len(codes))]
        bits = np.zeros(n_bits, dtype=np.uint8)
        bits[rng.permutation(n_bits)[: rng.integers(0, workload["radius"] + 1)]] = 1
        queries[i] ^= np.packbits(bits)
    return codes, queries


def true_positions(codes: np.ndarray, query: np.ndarray, radius: int) -> set[int]:
    """Everything within the radius, by a plain scan."""
    distances = np.bitwise_count(codes.view(np.uint64) ^ query.view(np.uint64)).sum(axis=1, dtype=np.int64)
    return set(np.flatnonzero(distances <= radius).tolist())


def measure(contender: ModuleType, workload: dict[str, int]) -> dict[str, Any]:
    """Time one contender; runs in its own process."""
    codes, queries = make_codes(workload)
    began = time.perf_counter()
    lookup = contender.Lookup(codes, workload["radius"])
    build = time.perf_counter() - began
    began, found = time.perf_counter(), []
    for query in queries:
        found.append({int(position) for position in lookup.search(query)})
        if time.perf_counter() - began > workload["patience_s"]:
            break
    repeats = workload["repeats"] if time.perf_counter() - began < workload["patience_s"] / 2 else 1
    queries = queries[: len(found)]
    truth = [true_positions(codes, query, workload["radius"]) for query in queries]
    result = {
        "build_s": build,
        "queries": len(found),
        "repeats": repeats,
        "recall": sum(len(f & t) for f, t in zip(found, truth, strict=True)) / sum(map(len, truth)),
        "wrong": sum(len(f - t) for f, t in zip(found, truth, strict=True)),
        "one_ms": _median_ms(lambda: [lookup.search(query) for query in queries], len(found), repeats),
        "batch_ms": None,
    }
    if hasattr(lookup, "search_batch"):
        rows, positions = lookup.search_batch(queries)
        pairs = set(zip(np.asarray(rows).tolist(), np.asarray(positions).tolist(), strict=True))
        if pairs != {(i, position) for i, f in enumerate(found) for position in f}:
            raise ValueError("the batch gave other hits than the single searches")
        result["batch_ms"] = _median_ms(lambda: lookup.search_batch(queries), len(found), repeats)
    return result


def _median_ms(work: Any, count: int, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times) / count


def tables(results: list[dict[str, Any]]) -> str:
    """All results as Markdown, a table a workload; the ratio is to the faster faiss index."""
    parts = []
    for n, n_bits, radius in dict.fromkeys(_key(result) for result in results):
        mine = [result for result in results if _key(result) == (n, n_bits, radius) and "error" not in result]
        faiss = [result["one_ms"] for result in mine if result["contender"].startswith("faiss")]
        rows = [
            [
                result["contender"],
                f"{result['one_ms']:.3f}",
                "" if result["batch_ms"] is None else f"{result['batch_ms']:.3f}",
                f"{100 * result['recall']:.0f} %",
                str(result["wrong"]),
                f"{min(faiss) / result['one_ms']:.2f}" if faiss else "",
                f"{result['build_s']:.2f}",
            ]
            for result in sorted(mine, key=lambda result: result["one_ms"])
        ]
        header = ["contender", "ms a query", "ms in a batch", "recall", "wrong", "times as fast as faiss", "build s"]
        parts.append(f"### {n:,} codes of {n_bits} bits, radius {radius}\n\n" + runner.markdown_table(header, rows))
        parts += [f"{r['contender']}: {r['error']}" for r in results if _key(r) == (n, n_bits, radius) and "error" in r]
    return "\n\n".join(parts)


def summary(results: list[dict[str, Any]], facts: dict[str, str]) -> str:
    """Write what was measured, on what, and the tables, as Markdown."""
    versions = {result["contender"]: result["version"] for result in results if "error" not in result}
    return (
        "## Lookup\n\nOne thread. "
        + ", ".join(f"{name}: {value}" for name, value in facts.items())
        + f"; seed {SEED}.\nVersions: "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".\nCommand: `python -m benchmarks.lookup`. "
        "pybktree is left out at a million codes, where one query takes seconds.\n\n" + tables(results) + "\n"
    )


def _key(result: dict[str, Any]) -> tuple[int, int, int]:
    workload = result["workload"]
    return workload["n"], workload["n_bits"], workload["radius"]


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Draw milliseconds a query against the number of codes (256 bits) and against the radius (64 bits)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), constrained_layout=True)
    for axis, n_bits, x, label in ((axes[0], 256, 0, "codes"), (axes[1], 64, 2, "radius, bits")):
        for name in dict.fromkeys(result["contender"] for result in results):
            points = sorted(
                (_key(result)[x], result["one_ms"])
                for result in results
                if result["contender"] == name and "error" not in result and _key(result) in SIZES
                if _key(result)[1] == n_bits
            )
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set(yscale="log", xscale="log" if x == 0 else "linear", xlabel=label, ylabel="ms a query")
        axis.set_title("256 bits, radius 31" if x == 0 else "100,000 codes of 64 bits")
        axis.grid(visible=True, which="both", alpha=0.3)
    axes[0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--plot", type=Path, help="write a plot here (needs matplotlib)")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="contenders to run")
    parser.add_argument("--quick", action="store_true", help="10,000 codes only, few queries: does it run?")
    args = parser.parse_args()
    sizes = SIZES[:1] if args.quick else SIZES + SWEEP
    results = []
    for n, n_bits, radius in sizes:
        for contender in args.only:
            swept = (n, n_bits, radius) in SWEEP
            if n > TOO_SLOW.get(contender, n) or (swept and contender not in SWEEP_CONTENDERS):
                continue
            workload = {
                "n": n,
                "n_bits": n_bits,
                "radius": radius,
                "seed": SEED,
                "queries": 20 if args.quick else 100,
                "repeats": 3 if args.quick else 5,
                "patience_s": 5,
            }
            results.append(runner.run("benchmarks.lookup", f"benchmarks.contenders.{contender}", workload))
            print(json.dumps(results[-1]), flush=True)
    facts = runner.machine()
    text = summary(results, facts)
    print("\n" + text)
    if args.json:
        runner.save(args.json, json.dumps({"machine": facts, "results": results}, indent=1) + "\n")
    if args.markdown:
        runner.save(args.markdown, text)
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()
