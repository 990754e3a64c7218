"""Measured costs of the steps of a search on this machine, stored beside the index files.

Indexes of random codes are searched at several sizes, radii and settings that force probing or walking; the times of
the steps are the non-negative least squares fit of the measured times to the counters of `explain`, each measurement
weighted by its own time, so that short searches count as much as long ones. All runs use one thread.

The file is small JSON. It is read as untrusted input: a wrong file is refused with the reason, and the built-in costs
are used.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index.atomic import AtomicFile
from hashmatch.index.bktree import BKTree
from hashmatch.index.costs import MEASURED, Costs
from hashmatch.index.linear import LinearIndex
from hashmatch.index.multi.index import MultiIndex
from hashmatch.index.multi.substrings import plan_probes
from hashmatch.kernels.codes import native

__all__ = ["COSTS_FILE", "calibrate", "load_costs", "save_costs", "saved_costs"]

COSTS_FILE: Final = "costs.json"
"""Name of the file in an index folder."""

_FORMAT: Final = 1
_MOST_BYTES: Final = 16_384
_MOST_NS: Final = 1e9
_NEVER_SCAN: Final = replace(MEASURED, scan_start=1e15)
_SEED: Final = 7
_QUERIES: Final = 40
_FLOOR_NS: Final = 0.01


def calibrate(*, scale: float = 0.25, seed: int = _SEED) -> Costs:
    """Measure the costs of this machine.

    Parameters
    ----------
    scale : float
        Size of the measured lists, 0.01 to 1; at 1 the largest list has a million codes.
    seed : int
        Seed of the codes.

    Raises
    ------
    ValueError
        If the scale is out of range.

    Notes
    -----
    Cost: several seconds and about 100 MB at the default, four times that at 1. Other load on the machine makes the
    measured costs too high.
    """
    if not 0.01 <= scale <= 1:
        raise ValueError("scale must be 0.01 to 1")
    rng = np.random.default_rng(seed)
    scan_start, scan_code, scan_byte = _scan_costs(rng, scale)
    multi_start, probe, candidate = _multi_costs(rng, scale)
    level, node, leaf_code = _tree_costs(rng, scale)
    return Costs(
        scan_start=scan_start,
        scan_code=scan_code,
        scan_byte=scan_byte,
        multi_start=multi_start,
        probe=probe,
        candidate=candidate,
        level=level,
        node=node,
        leaf_code=leaf_code,
    )


def save_costs(folder: str | os.PathLike[str], costs: Costs) -> Path:
    """Write costs into an index folder, where `load_costs` and matchers read them; returns the path of the file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = Path(folder) / COSTS_FILE
    text = json.dumps({"format": _FORMAT, "kernels": _kernels(), "costs": asdict(costs)}, indent=1) + "\n"
    file = AtomicFile(path)
    with file as stream:
        stream.write(text.encode())
        file.finish()
    return path


def load_costs(folder: str | os.PathLike[str]) -> Costs:
    """Read the costs that were measured on this machine.

    Raises
    ------
    FileNotFoundError
        If there are none.
    IndexFormatError
        If the file holds no costs, has another format, or was measured with other kernels; the message says what to do.
    OSError
        If it cannot be read.
    """
    with open(Path(folder) / COSTS_FILE, "rb") as stream:
        data = stream.read(_MOST_BYTES + 1)
    again = "; measure them again with hashmatch index calibrate"
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError("too long")
        found = json.loads(data.decode())
        if not isinstance(found, dict) or found.get("format") != _FORMAT or isinstance(found["format"], bool):
            raise ValueError("of another format")
        values = found["costs"]
        names = [field.name for field in fields(Costs)]
        if not isinstance(values, dict) or sorted(values) != sorted(names):
            raise ValueError("not the costs that there are")
        for value in values.values():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_NS:
                raise ValueError("a cost is not a number of nanoseconds")
    except (ValueError, KeyError, RecursionError) as error:
        raise IndexFormatError(f"the measured costs cannot be read{again}") from error
    if found.get("kernels") != _kernels():
        raise IndexFormatError(f"the costs were measured with other kernels than serve here{again}")
    return Costs(**{name: float(value) for name, value in values.items()})


def saved_costs(folder: str | os.PathLike[str]) -> Costs:
    """Return the measured costs, or the built-in costs if no usable file exists."""
    try:
        return load_costs(folder)
    except (OSError, IndexFormatError):
        return MEASURED


def _kernels() -> str:
    return "numpy" if native is None else "compiled"


def _seconds(index: Any, queries: NDArray[np.uint8], radius: int) -> float:
    """Median time of a search, after some to warm up."""
    times = []
    for query in [*queries[:5], *queries]:
        began = time.perf_counter()
        index.search(query, radius)
        times.append(time.perf_counter() - began)
    return float(np.median(times[5:]))


def _fit(rows: list[list[float]], times: list[float]) -> list[float]:
    """Nanoseconds of each step, from the counts of the steps and the times in seconds."""
    from scipy.optimize import nnls

    weights = 1 / np.array(times)
    solution, _ = nnls(np.array(rows) * weights[:, None], np.ones(len(times)))
    # a step that cost nothing measurable still is not free, or a plan could take any number of it
    return [max(float(value) * 1e9, _FLOOR_NS) for value in solution]


def _random_codes(rng: np.random.Generator, n: float, n_bytes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Random codes, and queries of which half are stored."""
    codes = rng.integers(0, 256, (int(n), n_bytes), dtype=np.uint8)
    queries = rng.integers(0, 256, (_QUERIES, n_bytes), dtype=np.uint8)
    queries[::2] = codes[rng.integers(0, len(codes), len(queries[::2]))]
    return codes, queries


def _scan_costs(rng: np.random.Generator, scale: float) -> tuple[float, float, float]:
    """Start of a scan, each Hamming code, each byte of a Euclidean code."""
    rows, times = [], []
    for n in (1_000, 30_000, 300_000, 1_000_000):
        codes, queries = _random_codes(rng, scale * n, 32)
        rows.append([1.0, float(len(codes))])
        times.append(_seconds(LinearIndex.build(codes), queries, 31))
    start, code = _fit(rows, times)
    codes, queries = _random_codes(rng, scale * 100_000, 144)
    euclidean = _seconds(LinearIndex.build(codes, metric=Metric.EUCLIDEAN), queries[:20], 200)
    return start, code, euclidean * 1e9 / codes.size


def _multi_costs(rng: np.random.Generator, scale: float) -> tuple[float, float, float]:
    """Start of a probing search, each bucket, each code that stands in one."""
    rows, times = [], []
    for n in (100_000, 1_000_000):
        codes, queries = _random_codes(rng, scale * n, 32)
        for widths in ((16,) * 16, (20,) * 9 + (19,) * 4, (21,) * 8 + (20,) * 4, (12,) * 21):
            index = MultiIndex.build(codes, widths=widths, costs=_NEVER_SCAN)
            for radius in (7, 15, 31):
                plan = plan_probes(widths, len(codes), radius, _MOST_NS, _NEVER_SCAN)
                if plan is None:
                    continue
                # what stands in the buckets: most of it is dismissed by its tag, and no search counts it
                probes = np.diff(plan.groups[:, 1], prepend=0)
                standing = probes * (len(codes) / 2.0 ** np.array(widths)[plan.groups[:, 0]])
                rows.append([1.0, float(probes.sum()), float(standing.sum())])
                times.append(_seconds(index, queries, radius))
    start, probe, candidate = _fit(rows, times)
    return start, probe, candidate


def _tree_costs(rng: np.random.Generator, scale: float) -> tuple[float, float, float]:
    """Each level of a tree, each node, each code of a leaf."""
    rows, times = [], []
    for n in (100_000, 1_000_000):
        codes, queries = _random_codes(rng, scale * n, 8)
        for leaf_size in (64, 128, 256):
            index = BKTree.build(codes, leaf_size=leaf_size, costs=_NEVER_SCAN)
            for radius in (1, 3, 5, 6, 7):
                stats = [index.explain(query, radius).stats for query in queries]
                nodes = float(np.mean([s.probes / 2 for s in stats]))
                rows.append([index.depth + 1, nodes, float(np.mean([s.compared for s in stats])) - nodes])
                times.append(_seconds(index, queries, radius))
    level, node, leaf_code = _fit(rows, times)
    return level, node, leaf_code
