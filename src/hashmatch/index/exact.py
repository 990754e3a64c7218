"""`ExactIndex`: digests, found by equality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch import kernels
from hashmatch.algorithms import Metric
from hashmatch.index.base import Codes, check_codes
from hashmatch.index.editable import DEFAULT_PENDING, SegmentedIndex
from hashmatch.index.frozen import Core, Found, check_layout, check_sections, scan_all
from hashmatch.index.space import ExactSpace, Packed, Space

__all__ = ["ExactIndex"]


class ExactCore:
    """Rows sorted by their first 8 bytes: ``keys`` ascending, ``order`` the row of each."""

    def __init__(self, space: Space, codes: Packed, keys: NDArray[np.uint64], order: NDArray[np.uint32]) -> None:
        self._space = space
        self._codes = codes
        self._keys = keys
        self._order = order

    @classmethod
    def build(cls, space: Space, codes: Packed) -> ExactCore:
        """Sort the rows."""
        order = np.argsort(codes[0], kind="stable").astype("<u4")
        return cls(space, codes, codes[0].take(order), order)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self._space.count(self._codes)

    def find(self, queries: Packed, k: int, radius: int) -> Found:
        """Search ``k`` packed queries; at radius 1 every code is a hit, so all codes are scanned."""
        if radius:
            return scan_all(self._space, self._codes, queries, np.arange(k), radius)
        starts = np.searchsorted(self._keys, queries[0], side="left")
        lengths = np.searchsorted(self._keys, queries[0], side="right") - starts
        owners = np.repeat(np.arange(k), lengths)
        rows = self._order.take(kernels.expand_ranges(starts, lengths)).astype(np.int64)
        equal, distances = self._space.within(self._codes, rows, queries, owners, 0)
        return Found(owners.take(equal), rows.take(equal), distances, k, len(rows), 0)

    def packed(self) -> Packed:
        """Give all codes in row order."""
        return self._codes

    def take(self, rows: NDArray[np.int64]) -> Packed:
        """Give the codes of some rows, ascending."""
        return self._space.take(self._codes, rows)

    def codes(self) -> Codes:
        """Give all codes in row order, unpacked."""
        return self._space.unpack(self._codes)

    def sections(self) -> dict[str, NDArray[Any]]:
        """Name the arrays that a file needs."""
        return {"codes": self._codes, "keys": self._keys, "order": self._order}

    def check(self) -> None:
        """Raise ValueError if the rows are not sorted."""
        check_layout(self._space, self._codes)
        other = ExactCore.build(self._space, self._codes)
        if not (np.array_equal(other._keys, self._keys) and np.array_equal(other._order, self._order)):
            raise ValueError("the rows are not sorted by their first bytes")


class ExactIndex(SegmentedIndex):
    """Sorted array of digests: distance 0 when equal, else 1.

    Build with `build`, edit with `add` and `remove`, search with `search`, `search_batch` and `explain`, keep with
    `save` and `load`.

    Notes
    -----
    Cost: a binary search of the first 8 bytes, then a comparison of the digests that share them. Radius 1 returns
    every entry.
    Memory: the digests, and 20 bytes a digest.

    Examples
    --------
    >>> import numpy as np
    >>> index = ExactIndex.build(np.eye(16, dtype=np.uint8))
    >>> positions, distances = index.search(np.eye(16, dtype=np.uint8)[3], radius=0)
    >>> positions.tolist(), distances.tolist()
    ([3], [0])
    """

    kind: ClassVar[str] = "exact"

    @classmethod
    def build(cls, codes: ArrayLike, *, pending_limit: int = DEFAULT_PENDING) -> ExactIndex:
        """Build an index of ``codes``, whose positions are 0 to n - 1.

        Parameters
        ----------
        codes : (n, n_bytes) uint8 array
            Digests of 1 to 4096 bytes; copied.
        pending_limit : int
            Most codes in the segment that collects added codes, 1 or more.

        Raises
        ------
        TypeError, ValueError
            If the codes are not uint8 rows of usable length.
        """
        checked = check_codes(codes, None)
        index = cls(ExactSpace(checked.shape[1]), pending_limit=pending_limit)
        index.add(checked)
        return index

    def _make_core(self, packed: Packed) -> Core:
        return ExactCore.build(self._space, packed)

    def _restore_core(self, sections: Mapping[str, NDArray[Any]]) -> Core:
        if self._space.metric is not Metric.EXACT:
            raise ValueError("the metric is not that of digests")
        codes = check_sections(self._space, sections)
        keys, order = sections["keys"], sections["order"]
        n = self._space.count(codes)
        if keys.dtype.str != "<u8" or order.dtype.str != "<u4" or keys.shape != (n,) or order.shape != (n,):
            raise ValueError("the sorted rows have the wrong type or shape")
        return ExactCore(self._space, codes, keys, order)

    def _options(self) -> tuple[int, ...]:
        return (self._pending_limit,)

    @classmethod
    def _empty(cls, space: Space, options: tuple[int, ...]) -> Self:
        (limit,) = options
        return cls(space, pending_limit=limit)
