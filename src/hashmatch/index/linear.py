"""`LinearIndex`: compare the query with every code; the reference for all other indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from numpy.typing import ArrayLike, NDArray

from hashmatch.algorithms import Metric
from hashmatch.index.base import check_codes
from hashmatch.index.editable import DEFAULT_PENDING, SegmentedIndex
from hashmatch.index.frozen import Core, ScanCore, check_sections
from hashmatch.index.space import Packed, Space, space_of

__all__ = ["LinearIndex"]


class LinearIndex(SegmentedIndex):
    """Index without structure, for any metric and any radius.

    Build with `build`, edit with `add` and `remove`, search with `search`, `search_batch` and `explain`, keep with
    `save` and `load`.

    Notes
    -----
    Cost: every search reads at least two words (16 bytes) of every 256-bit code. The time hardly depends on the radius
    and the data. For up to about ten thousand entries no other index is needed.
    Memory: the codes and 8 bytes a position.

    Examples
    --------
    >>> import numpy as np
    >>> index = LinearIndex.build(np.array([[0b0000], [0b0001], [0b1111]], dtype=np.uint8))
    >>> positions, distances = index.search(np.array([0b0011], dtype=np.uint8), radius=1)
    >>> positions.tolist(), distances.tolist()
    ([1], [1])
    """

    kind: ClassVar[str] = "linear"

    @classmethod
    def build(
        cls, codes: ArrayLike, *, metric: Metric = Metric.HAMMING, pending_limit: int = DEFAULT_PENDING
    ) -> LinearIndex:
        """Build an index of ``codes``, whose positions are 0 to n - 1.

        Parameters
        ----------
        codes : (n, n_bytes) uint8 array
            Codes of 1 to 4096 bytes; copied.
        metric : Metric
            How they are compared.
        pending_limit : int
            Most codes in the segment that collects added codes, 1 or more.

        Raises
        ------
        TypeError, ValueError
            If the codes are not uint8 rows of usable length.
        """
        checked = check_codes(codes, None)
        index = cls(space_of(metric, checked.shape[1]), pending_limit=pending_limit)
        index.add(checked)
        return index

    def _make_core(self, packed: Packed) -> Core:
        return ScanCore(self._space, packed)

    def _restore_core(self, sections: Mapping[str, NDArray[Any]]) -> Core:
        return ScanCore(self._space, check_sections(self._space, sections))

    def _options(self) -> tuple[int, ...]:
        return (self._pending_limit,)

    @classmethod
    def _empty(cls, space: Space, options: tuple[int, ...]) -> Self:
        (limit,) = options
        return cls(space, pending_limit=limit)
