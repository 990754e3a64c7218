"""The contract, run for every kind of index and metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashmatch.algorithms import Metric
from hashmatch.index import BKTree, LinearIndex, MultiIndex
from support.contracts import IndexContract
from support.index_makers import exact, linear, multi, tree


class TestLinear(IndexContract):
    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return linear(codes)


class TestLinear256(IndexContract):
    n_bytes = 32
    radii = (0, 31, 127, 128)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return LinearIndex.build(codes)


class TestLinearOddLength(IndexContract):
    n_bytes = 19

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return linear(codes)


class TestLinearEuclidean(IndexContract):
    n_bytes = 144
    metric = Metric.EUCLIDEAN
    radii = (0, 1, 5, 200)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return linear(codes, Metric.EUCLIDEAN)


class TestLinearExact(IndexContract):
    n_bytes = 20
    metric = Metric.EXACT
    radii = (0, 1)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return linear(codes, Metric.EXACT)


class TestTree(IndexContract):
    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return tree(codes)


class TestTreeThatMayScan(IndexContract):
    radii = (0, 2, 30)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return BKTree.build(codes, leaf_size=1, pending_limit=1)


class TestTree256(IndexContract):
    n_bytes = 32
    radii = (0, 31, 100)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return tree(codes, leaf_size=5)


class TestTreeEuclidean(IndexContract):
    n_bytes = 144
    metric = Metric.EUCLIDEAN
    radii = (0, 1, 5, 200)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return tree(codes, Metric.EUCLIDEAN)


class TestTreeExact(IndexContract):
    n_bytes = 16
    metric = Metric.EXACT
    radii = (0, 1)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return tree(codes, Metric.EXACT)


class TestMulti(IndexContract):
    n_bytes = 32
    radii = (0, 3, 31, 40)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return multi(codes, widths=(9,) * 28)


class TestMultiChosen(IndexContract):
    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return multi(codes)


class TestMultiPartlyCovered(IndexContract):
    n_bytes = 11

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return multi(codes, widths=(7, 5, 3, 1))


class TestMultiOneByte(IndexContract):
    n_bytes = 1
    radii = (0, 1, 2, 7)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return multi(codes, widths=(3, 2, 2))


class TestMultiThatMayScan(IndexContract):
    n_bytes = 32
    radii = (0, 31, 60)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return MultiIndex.build(codes, pending_limit=1)


class TestExact(IndexContract):
    n_bytes = 16
    metric = Metric.EXACT
    radii = (0, 1)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return exact(codes)


class TestExactOddLength(IndexContract):
    n_bytes = 5
    metric = Metric.EXACT
    radii = (0, 1)

    def build(self, codes: np.ndarray) -> Any:
        """Make it."""
        return exact(codes)
