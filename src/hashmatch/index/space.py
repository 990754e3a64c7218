"""Spaces: how the codes of one metric are laid out in memory and compared, over the kernels.

A space is small and immutable. *Packed* codes are opaque to its users: word columns for `Metric.HAMMING` and
`Metric.EXACT`, plain rows for `Metric.EUCLIDEAN`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.algorithms import Metric
from hashmatch.index.base import Codes, Distances
from hashmatch.kernels.codes import hamming_scan

__all__ = ["EuclideanSpace", "ExactSpace", "HammingSpace", "Packed", "Space", "space_of"]

Packed: TypeAlias = NDArray[Any]
Rows: TypeAlias = NDArray[np.int64]
Owners: TypeAlias = NDArray[Any] | None


class Space(Protocol):
    """Codes of one length under one metric."""

    @property
    def n_bytes(self) -> int:
        """Length of a code, bytes."""

    @property
    def metric(self) -> Metric:
        """The metric."""

    @property
    def max_distance(self) -> int:
        """Largest distance two codes can have."""

    def pack(self, codes: Codes) -> Packed:
        """Lay codes out for the kernels."""

    def unpack(self, packed: Packed) -> Codes:
        """Undo `pack`."""

    def layout(self, n: int) -> tuple[np.dtype[Any], tuple[int, int]]:
        """Type and shape of ``n`` packed codes."""

    def count(self, packed: Packed) -> int:
        """Count the codes."""

    def take(self, packed: Packed, rows: NDArray[Any]) -> Packed:
        """Pick codes."""

    def join(self, parts: Sequence[Packed]) -> Packed:
        """Put packed codes one after the other."""

    def scan(self, packed: Packed, queries: Packed, owner: int, radius: int) -> tuple[Rows, Distances]:
        """Compare query ``owner`` with every code; rows within the radius, ascending, and their distances."""

    def at(self, packed: Packed, rows: NDArray[Any], queries: Packed, owners: Owners) -> Distances:
        """Distance of each row to its query; ``owners`` None means query 0."""

    def within(
        self, packed: Packed, rows: NDArray[Any], queries: Packed, owners: Owners, radius: int
    ) -> tuple[Rows, Distances]:
        """Places in ``rows`` that are within the radius of their query, ascending, and their distances."""


@dataclass(frozen=True, slots=True)
class HammingSpace:
    """Bit strings; distance is the number of differing bits."""

    n_bytes: int

    @property
    def metric(self) -> Metric:
        """The metric."""
        return Metric.HAMMING

    @property
    def max_distance(self) -> int:
        """Length in bits."""
        return 8 * self.n_bytes

    def pack(self, codes: Codes) -> Packed:
        """Word columns."""
        return kernels.pack_words(codes)

    def unpack(self, packed: Packed) -> Codes:
        """Undo `pack`."""
        return kernels.unpack_words(packed, self.n_bytes)

    def layout(self, n: int) -> tuple[np.dtype[Any], tuple[int, int]]:
        """Type and shape of ``n`` packed codes."""
        return np.dtype("<u8"), (-(-self.n_bytes // 8), n)

    def count(self, packed: Packed) -> int:
        """Count the codes."""
        return int(packed.shape[1])

    def take(self, packed: Packed, rows: NDArray[Any]) -> Packed:
        """Pick codes."""
        return packed.take(rows, axis=1)

    def join(self, parts: Sequence[Packed]) -> Packed:
        """Put packed codes one after the other."""
        return np.concatenate(parts, axis=1)

    def scan(self, packed: Packed, queries: Packed, owner: int, radius: int) -> tuple[Rows, Distances]:
        """Compare one query with every code."""
        rows, distances = hamming_scan(packed, queries[:, owner], radius)
        return rows, distances

    def at(self, packed: Packed, rows: NDArray[Any], queries: Packed, owners: Owners) -> Distances:
        """Distance of each row to its query."""
        return kernels.hamming_at(packed, rows, queries, owners)

    def within(
        self, packed: Packed, rows: NDArray[Any], queries: Packed, owners: Owners, radius: int
    ) -> tuple[Rows, Distances]:
        """Filter rows by distance."""
        return kernels.hamming_within(packed, rows, queries, owners, radius)


class ExactSpace(HammingSpace):
    """Digests; distance is 0 when equal, else 1."""

    __slots__ = ()

    @property
    def metric(self) -> Metric:
        """The metric."""
        return Metric.EXACT

    @property
    def max_distance(self) -> int:
        """Always 1."""
        return 1

    def scan(self, packed: Packed, queries: Packed, owner: int, radius: int) -> tuple[Rows, Distances]:
        """Compare one query with every code."""
        bits = 8 * self.n_bytes if radius else 0
        rows, distances = hamming_scan(packed, queries[:, owner], bits)
        return rows, np.minimum(distances, 1)

    def at(self, packed: Packed, rows: NDArray[Any], queries: Packed, owners: Owners) -> Distances:
        """Distance of each row to its query."""
        return np.minimum(kernels.hamming_at(packed, rows, queries, owners), 1)

    def within(
        self, packed: Packed, rows: NDArray[Any], queries: Packed, owners: Owners, radius: int
    ) -> tuple[Rows, Distances]:
        """Filter rows by distance."""
        bits = 8 * self.n_bytes if radius else 0
        kept, distances = kernels.hamming_within(packed, rows, queries, owners, bits)
        return kept, np.minimum(distances, 1)


@dataclass(frozen=True, slots=True)
class EuclideanSpace:
    """Byte vectors; distance is Euclidean, rounded up, which keeps the triangle inequality."""

    n_bytes: int

    @property
    def metric(self) -> Metric:
        """The metric."""
        return Metric.EUCLIDEAN

    @property
    def max_distance(self) -> int:
        """Distance of all zeros to all 255."""
        largest = 255 * 255 * self.n_bytes
        root = math.isqrt(largest)
        return root + (root * root < largest)

    def pack(self, codes: Codes) -> Packed:
        """Plain rows."""
        return np.array(codes, dtype=np.uint8, order="C")

    def unpack(self, packed: Packed) -> Codes:
        """Undo `pack`."""
        return np.array(packed)

    def layout(self, n: int) -> tuple[np.dtype[Any], tuple[int, int]]:
        """Type and shape of ``n`` packed codes."""
        return np.dtype("u1"), (n, self.n_bytes)

    def count(self, packed: Packed) -> int:
        """Count the codes."""
        return int(packed.shape[0])

    def take(self, packed: Packed, rows: NDArray[Any]) -> Packed:
        """Pick codes."""
        return packed.take(rows, axis=0)

    def join(self, parts: Sequence[Packed]) -> Packed:
        """Put packed codes one after the other."""
        return np.concatenate(parts, axis=0)

    def scan(self, packed: Packed, queries: Packed, owner: int, radius: int) -> tuple[Rows, Distances]:
        """Compare one query with every code."""
        return kernels.euclidean_scan(packed, queries[owner], radius)

    def at(self, packed: Packed, rows: NDArray[Any], queries: Packed, owners: Owners) -> Distances:
        """Distance of each row to its query."""
        return kernels.euclidean_at(packed, rows, queries, owners)

    def within(
        self, packed: Packed, rows: NDArray[Any], queries: Packed, owners: Owners, radius: int
    ) -> tuple[Rows, Distances]:
        """Filter rows by distance."""
        distances = kernels.euclidean_at(packed, rows, queries, owners)
        kept = (distances <= radius).nonzero()[0]
        return kept, distances.take(kept)


def space_of(metric: Metric, n_bytes: int) -> Space:
    """Make the space of ``metric`` for codes of ``n_bytes`` bytes."""
    if metric is Metric.HAMMING:
        return HammingSpace(n_bytes)
    return ExactSpace(n_bytes) if metric is Metric.EXACT else EuclideanSpace(n_bytes)
