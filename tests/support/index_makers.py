"""Makers of small indexes with every knob turned down, so that edge cases are common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hashmatch.algorithms import Metric
from hashmatch.index import BKTree, ExactIndex, LinearIndex, MultiIndex
from hashmatch.index.costs import MEASURED

NEVER_SCAN = replace(MEASURED, scan_start=1e15)
"""Costs under which probing or walking always looks cheaper than a scan."""


def linear(codes: np.ndarray, metric: Metric = Metric.HAMMING) -> LinearIndex:
    """Make a linear index with a pending part of 3."""
    return LinearIndex.build(codes, metric=metric, pending_limit=3)


def tree(codes: np.ndarray, metric: Metric = Metric.HAMMING, leaf_size: int = 2) -> BKTree:
    """Make a tree that splits everything and never scans."""
    return BKTree.build(codes, metric=metric, leaf_size=leaf_size, costs=NEVER_SCAN, pending_limit=2)


def multi(codes: np.ndarray, widths: tuple[int, ...] | None = None) -> MultiIndex:
    """Make substring tables that are always probed."""
    return MultiIndex.build(codes, radius=3, widths=widths, costs=NEVER_SCAN, pending_limit=2)


def exact(codes: np.ndarray) -> ExactIndex:
    """Sort digests, with a pending part of 2."""
    return ExactIndex.build(codes, pending_limit=2)


def never_scan(index: Any) -> Any:
    """Make a loaded index probe or walk always; costs are the machine's and so not in the file."""
    if hasattr(index, "_costs"):
        index._costs = NEVER_SCAN
        for segment in index._segments:
            segment.core._costs = NEVER_SCAN
            segment.core._scan_cost = 1e15
    return index
