"""Lookup: time, recall and memory of exact search within a radius, ours beside others, on one thread.

Run ``python -m benchmarks lookup`` from the project's root. Codes are random. Near queries are a stored code with 0 to
radius bits flipped, far ones unrelated; each is timed alone, several rounds over, and a contender's figure is the
median over the queries of the fastest round, with the 99th percentile beside it. The truth is a plain scan. Each
contender is a fresh process, in an environment of its own where it does not fit beside ours
(``python -m benchmarks environments``). A contender that needs more than ``patience_s`` seconds stops there and is
measured on what it answered.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.frame import runner
from benchmarks.frame.options import keep, keep_json, options_of
from benchmarks.speed import lookup_plot, lookup_report

SEED = 20_261_124
CONTENDERS = (
    "hashmatch_planned",
    "hashmatch_multi",
    "hashmatch_linear",
    "hashmatch_bktree",
    "faiss_multihash",
    "faiss_flat",
    "faiss_ivf",
    "usearch_exact",
    "usearch_hnsw",
    "threatexchange_index",
    "numpy_scan",
    "pybktree_tree",
    "imagededup_bktree",
)
INTEGERS_ONLY = ("pybktree_tree", "imagededup_bktree")  # trees over integers, measured on the 64 bits they are made for
LARGEST = {  # beyond it a build or a query takes minutes
    "usearch_hnsw": 100_000,
    "threatexchange_index": 1_000_000,
    "usearch_exact": 1_000_000,
    "faiss_ivf": 1_000_000,
    "pybktree_tree": 1_000_000,
    "imagededup_bktree": 10_000,
    "hashmatch_bktree": 1_000_000,
}
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
PHOTO = [(n, 256, (31,)) for n in SIZES]
SMALL = [(n, 64, tuple(range(1, 9))) for n in SIZES[:3]] + [(SIZES[3], 64, (1, 2, 4, 8))]
MIDDLE = [(n, 128, (16,)) for n in SIZES]
SWEEP = [(n, 256, (0, 8, 16, 24, 40, 48, 56, 64)) for n in SIZES[1:3]]
SWEPT = ("hashmatch_planned", "hashmatch_multi", "hashmatch_linear", "faiss_flat", "faiss_multihash", "numpy_scan")
ONE_RADIUS = ("hashmatch_planned", "hashmatch_multi", "faiss_multihash")  # built for a radius
CHECKED = 40  # queries compared with the truth


def make_codes(workload: dict[str, Any]) -> np.ndarray:
    """Make ``(n, n_bits / 8)`` uint8 codes."""
    rng = np.random.default_rng(workload["seed"])
    return rng.integers(0, 256, (workload["n"], workload["n_bits"] // 8), dtype=np.uint8)


def make_queries(codes: np.ndarray, workload: dict[str, Any], radius: int) -> np.ndarray:
    """Make ``(queries, n_bits / 8)`` uint8 queries; even rows lie within the radius of a stored code."""
    n_bits, count = workload["n_bits"], workload["queries"]
    rng = np.random.default_rng((workload["seed"], radius))
    queries = rng.integers(0, 256, (count, n_bits // 8), dtype=np.uint8)
    for i in range(0, count, 2):
        queries[i] = codes[rng.integers(len(codes))]
        bits = np.zeros(n_bits, dtype=np.uint8)
        bits[rng.permutation(n_bits)[: rng.integers(0, radius + 1)]] = 1
        queries[i] ^= np.packbits(bits)
    return queries


def true_positions(codes: np.ndarray, query: np.ndarray, radius: int) -> set[int]:
    """Everything within the radius, by a plain scan."""
    words, own = codes.view(np.uint64), query.view(np.uint64)
    found: list[int] = []
    for start in range(0, len(words), 1 << 18):
        block = words[start : start + (1 << 18)]
        distances = np.bitwise_count(block ^ own).sum(axis=1, dtype=np.int32)
        found += (np.flatnonzero(distances <= radius) + start).tolist()
    return set(found)


def measure(contender: ModuleType, workload: dict[str, Any]) -> dict[str, Any]:
    """Time one contender at every radius of the workload; runs in its own process."""
    radii = workload["radii"]
    codes = make_codes(workload)
    before = _resident()
    began = time.perf_counter()
    lookup = contender.Lookup(codes, radii[0])
    result: dict[str, Any] = {"build_s": time.perf_counter() - began, "resident_bytes": _resident() - before}
    result["radii"] = []
    for radius in radii:
        if radius != radii[0] and "radius" in vars(lookup):
            lookup.radius = radius
        queries = make_queries(codes, workload, radius)
        result["radii"].append({"radius": radius, **_searched(lookup, codes, queries, radius, workload)})
    result |= _kept(lookup, queries[0], workload)
    result |= _updated(lookup, codes, workload)
    return result


def _searched(
    lookup: Any, codes: np.ndarray, queries: np.ndarray, radius: int, workload: dict[str, Any]
) -> dict[str, Any]:
    """Time the queries one by one, check some against the truth, and time them all at once where there is a way."""
    began, found, times = time.perf_counter(), [], []
    for query in queries:
        start = time.perf_counter()
        answer = lookup.search(query)
        times.append([time.perf_counter() - start])
        found.append({int(position) for position in answer})
        if time.perf_counter() - began > workload["patience_s"]:
            break
    queries = queries[: len(found)]
    rounds = workload["rounds"] if time.perf_counter() - began < workload["patience_s"] / 4 else 1
    for _ in range(rounds - 1):
        for query, spent in zip(queries, times, strict=True):
            start = time.perf_counter()
            lookup.search(query)
            spent.append(time.perf_counter() - start)
    best = [1000 * min(spent) for spent in times]
    checked = min(CHECKED, len(queries))
    truth = [true_positions(codes, query, radius) for query in queries[:checked]]
    total = sum(map(len, truth))
    result: dict[str, Any] = {
        "queries": len(queries),
        "rounds": rounds,
        "checked": checked,
        "recall": sum(len(f & t) for f, t in zip(found, truth, strict=False)) / total if total else None,
        "wrong": sum(len(f - t) for f, t in zip(found, truth, strict=False)),
        "near_ms": statistics.median(best[::2]),
        "far_ms": statistics.median(best[1::2]) if len(best) > 1 else None,
        "p99_ms": float(np.quantile(best, 0.99)),
        "batch_ms": None,
    }
    if hasattr(lookup, "search_batch"):
        rows, positions = lookup.search_batch(queries)
        pairs = set(zip(np.asarray(rows).tolist(), np.asarray(positions).tolist(), strict=True))
        if pairs != {(i, position) for i, f in enumerate(found) for position in f}:
            raise ValueError("the batch gave other hits than the single searches")
        spent = [_seconds(lambda: lookup.search_batch(queries)) for _ in range(min(3, rounds))]
        result["batch_ms"] = 1000 * min(spent) / len(queries)
    return result


def _kept(lookup: Any, query: np.ndarray, workload: dict[str, Any]) -> dict[str, Any]:
    """Time writing the index to a file and taking it from there to the first answer."""
    if not hasattr(lookup, "save"):
        return {"save_s": None, "file_bytes": None, "load_ms": None}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        before = sorted(int(position) for position in lookup.search(query))
        save = _seconds(lambda: lookup.save(path))
        size = path.stat().st_size
        load = _seconds(lambda: lookup.load(path))
        if sorted(int(position) for position in lookup.search(query)) != before:
            raise ValueError(f"another answer after loading {workload['n']} codes")
    return {"save_s": save, "file_bytes": size, "load_ms": 1000 * load}


def _updated(lookup: Any, codes: np.ndarray, workload: dict[str, Any]) -> dict[str, Any]:
    """Time one more code until it is found."""
    if not hasattr(lookup, "add"):
        return {"add_ms": None}
    rng = np.random.default_rng((workload["seed"], 1))
    times = []
    for i in range(3):
        fresh = rng.integers(0, 256, (1, codes.shape[1]), dtype=np.uint8)
        start = time.perf_counter()
        lookup.add(fresh)
        answer = lookup.search(fresh[0])
        times.append(1000 * (time.perf_counter() - start))
        if len(codes) + i not in {int(position) for position in answer}:
            return {"add_ms": None}
    return {"add_ms": statistics.median(times)}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _resident() -> int:
    """Resident memory of this process, bytes; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else 0


def jobs(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every contender with every workload that it can take."""
    workloads = [(10_000, 256, (31,)), (10_000, 64, (2, 4))] if args.quick else [*PHOTO, *SMALL, *MIDDLE, *SWEEP]
    for n, n_bits, radii in workloads:
        for contender in args.only if n <= args.largest else ():
            if n > LARGEST.get(contender, n) or (n_bits > 64 and contender in INTEGERS_ONLY):
                continue
            if n_bits == 256 and len(radii) > 1 and contender not in SWEPT:
                continue
            if contender == "threatexchange_index" and (n_bits, radii) != (256, (31,)):
                continue
            for some in [(r,) for r in radii] if contender in ONE_RADIUS else [radii]:
                yield (
                    contender,
                    {
                        "n": n,
                        "n_bits": n_bits,
                        "radii": some,
                        "seed": SEED,
                        "queries": 20 if args.quick else 200,
                        "rounds": 2 if args.quick else 5,
                        "patience_s": 2 if args.quick else 10,
                    },
                )


def plans() -> list[dict[str, Any]]:
    """Ask the planner what it picks for each list and radius that the indexes are measured at."""
    from hashmatch.index import plan_index  # other environments measure contenders with this file, without hashmatch

    picked = []
    for n, n_bits, radii in (*PHOTO, *SMALL, *MIDDLE, *SWEEP):
        for radius in radii:
            plan = plan_index(n, n_bits, radius=radius)
            expected = dict(plan.expected_us)
            picked.append({"n": n, "n_bits": n_bits, "radius": radius, "kind": plan.kind, "expected_us": expected})
    return picked


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = options_of(__doc__, "10,000 codes only, few queries: does it run?", plots=True)
    parser.add_argument("--resume", type=Path, help="take what this file of results has already, measure the rest")
    parser.add_argument("--report", type=Path, help="measure nothing: tables and plot from this file of results")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="contenders to run")
    parser.add_argument("--largest", type=int, default=10_000_000, help="leave larger lists out")
    args = parser.parse_args()
    if args.report:
        kept = json.loads(args.report.read_text(encoding="utf-8"))
        report(args, kept["results"], kept["machine"], kept["plans"])
        return
    facts, planned = runner.machine(), plans()
    kept = json.loads(args.resume.read_text(encoding="utf-8"))["results"] if args.resume else []
    done = {json.dumps(result["job"]): result for result in kept if "radii" in result}
    results = []
    for contender, workload in jobs(args):
        job = [contender, {**workload, "radii": list(workload["radii"])}]
        found = done.get(json.dumps(job))
        if found is None:
            found = {
                **runner.run("benchmarks.speed.lookup", f"benchmarks.contenders.{contender}", workload),
                "job": job,
            }
        results.append(found)
        print(json.dumps(found), flush=True)
        if args.json:  # after each, so that a run that is stopped can be taken up
            keep_json(args.json, {"machine": facts, "plans": planned, "results": results})
    report(args, results, facts, planned)


def report(
    args: argparse.Namespace, results: list[dict[str, Any]], facts: dict[str, str], planned: list[dict[str, Any]]
) -> None:
    """Print the tables and write those and the plot where asked."""
    text = lookup_report.summary(results, facts, SEED, planned)
    result = {"machine": facts, "plans": planned, "results": results}
    keep(args, result, text, lambda path: lookup_plot.plot(lookup_report.flat(results), path))
