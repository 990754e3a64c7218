"""Measured costs of the steps of a search, by which the planner chooses and an index decides to scan."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from hashmatch.algorithms import Metric
from hashmatch.kernels.codes import native

__all__ = ["MEASURED", "Costs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Time of each step of a search, in nanoseconds, on one thread.

    Parameters
    ----------
    scan_start : float
        A linear scan of no codes.
    scan_code : float
        The first 16 bytes of each code in a Hamming scan; codes of up to 8 bytes take half of it.
    scan_byte : float
        Each byte of a code in a Euclidean scan.
    multi_start : float
        A search of substring tables that probes no bucket.
    probe : float
        Each bucket looked up.
    candidate : float
        Each stored code in a bucket that is looked up, whether its tag excludes it or the code is compared.
    level : float
        Each level of a BK-tree.
    node : float
        Each node of a BK-tree visited, its edges included.
    leaf_code : float
        Each code of a leaf that is reached, found and compared as bits, for codes of up to 8 bytes; longer codes take
        as many times more.
    """

    scan_start: float
    scan_code: float
    scan_byte: float
    multi_start: float
    probe: float
    candidate: float
    level: float
    node: float
    leaf_code: float

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) >= 0:
                raise ValueError(f"{field.name} must be 0 or more nanoseconds")

    def scan(self, metric: Metric, n_bytes: int) -> float:
        """Time of each code of ``n_bytes`` bytes in a scan, nanoseconds."""
        if metric is Metric.EUCLIDEAN:
            return self.scan_byte * n_bytes
        return self.scan_code if n_bytes > 8 else self.scan_code / 2

    def leaf(self, metric: Metric, n_bytes: int) -> float:
        """Time of each code of ``n_bytes`` bytes in a leaf, nanoseconds."""
        if metric is Metric.EUCLIDEAN:
            return self.leaf_code + self.scan_byte * n_bytes
        return self.leaf_code * max(1.0, n_bytes / 8)


# Measured with python -m benchmarks planner_costs, AMD EPYC, NumPy 2.4, one thread, 2026-11-28: medians of runs.
_COMPILED: Final = Costs(
    scan_start=6_900.0,
    scan_code=0.22,
    scan_byte=0.5,
    multi_start=5_200.0,
    probe=5.9,
    candidate=2.9,
    level=720.0,
    node=114.0,
    leaf_code=0.28,
)
_NUMPY: Final = Costs(
    scan_start=25_000.0,
    scan_code=1.5,
    scan_byte=0.5,
    multi_start=80_000.0,
    probe=30.0,
    candidate=17.0,
    level=32_000.0,
    node=520.0,
    leaf_code=3.4,
)
MEASURED: Final = _NUMPY if native is None else _COMPILED
"""Costs of the kernels that serve here; `Costs` of the machine at hand can be given to each index instead."""
