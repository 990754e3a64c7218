"""Measure the costs in `hashmatch.index.costs.MEASURED`: ``python -m benchmarks.planner_costs``.

Indexes of random codes are searched at several sizes, radii and settings that force probing or walking; the times of
the steps are the non-negative least squares fit of the measured times to the counters of `explain`, each measurement
weighed by its own time so that short searches count as much as long ones. Prints a `Costs` to paste. One thread.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import nnls

from hashmatch.algorithms import Metric
from hashmatch.index import BKTree, LinearIndex, MultiIndex
from hashmatch.index.costs import MEASURED

NEVER_SCAN = replace(MEASURED, scan_start=1e15)
SEED = 7
QUERIES = 60


def seconds(index: Any, queries: np.ndarray, radius: int) -> float:
    """Median time of a search, after one round to warm up."""
    times = []
    for query in [*queries[:5], *queries]:
        began = time.perf_counter()
        index.search(query, radius)
        times.append(time.perf_counter() - began)
    return float(np.median(times[5:]))


def fit(rows: list[list[float]], times: list[float]) -> np.ndarray:
    """Nanoseconds of each step, from the counts of the steps and the times in seconds."""
    weights = 1 / np.array(times)
    solution, _ = nnls(np.array(rows) * weights[:, None], np.ones(len(times)))
    return solution * 1e9


def random_codes(rng: np.random.Generator, n: int, n_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Random codes, and queries of which half are stored."""
    codes = rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)
    queries = rng.integers(0, 256, (QUERIES, n_bytes), dtype=np.uint8)
    queries[::2] = codes[rng.integers(0, n, len(queries[::2]))]
    return codes, queries


def scan_costs(rng: np.random.Generator, scale: float) -> tuple[float, float, float]:
    """Start of a scan, each Hamming code, each byte of a Euclidean code."""
    rows, times = [], []
    for n in (1_000, 30_000, 300_000, 1_000_000):
        codes, queries = random_codes(rng, int(scale * n), 32)
        rows.append([1.0, len(codes)])
        times.append(seconds(LinearIndex.build(codes), queries, 31))
    start, code = fit(rows, times)
    codes, queries = random_codes(rng, int(scale * 100_000), 144)
    euclidean = seconds(LinearIndex.build(codes, metric=Metric.EUCLIDEAN), queries[:20], 200)
    return start, code, euclidean * 1e9 / codes.size


def multi_costs(rng: np.random.Generator, scale: float) -> tuple[float, float, float]:
    """Start of a probing search, each bucket, each candidate."""
    rows, times = [], []
    for n in (100_000, 1_000_000):
        codes, queries = random_codes(rng, int(scale * n), 32)
        for widths in ((16,) * 16, (20,) * 9 + (19,) * 4, (21,) * 8 + (20,) * 4, (12,) * 21):
            index = MultiIndex.build(codes, widths=widths, costs=NEVER_SCAN)
            for radius in (7, 15, 31):
                stats = [index.explain(query, radius).stats for query in queries]
                rows.append([1.0, stats[0].probes, float(np.mean([s.compared for s in stats]))])
                times.append(seconds(index, queries, radius))
    return tuple(fit(rows, times))


def tree_costs(rng: np.random.Generator, scale: float) -> tuple[float, float, float]:
    """Each level of a tree, each node, each code of a leaf."""
    rows, times = [], []
    for n in (100_000, 1_000_000):
        codes, queries = random_codes(rng, int(scale * n), 8)
        for leaf_size in (64, 128, 256):
            index = BKTree.build(codes, leaf_size=leaf_size, costs=NEVER_SCAN)
            depth = index._segments[0].core._depth
            for radius in (1, 3, 5, 6, 7):
                stats = [index.explain(query, radius).stats for query in queries]
                nodes = float(np.mean([s.probes / 2 for s in stats]))
                rows.append([depth + 1, nodes, float(np.mean([s.compared for s in stats])) - nodes])
                times.append(seconds(index, queries, radius))
    return tuple(fit(rows, times))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the codes: does it run?")
    scale = 0.05 if parser.parse_args().quick else 1.0
    rng = np.random.default_rng(SEED)
    names = ("scan_start", "scan_code", "scan_byte", "multi_start", "probe", "candidate", "level", "node", "leaf_code")
    values = (*scan_costs(rng, scale), *multi_costs(rng, scale), *tree_costs(rng, scale))
    print("Costs(")
    for name, value in zip(names, values, strict=True):
        print(f"    {name}={value:.3g},")
    print(")")


if __name__ == "__main__":
    main()
