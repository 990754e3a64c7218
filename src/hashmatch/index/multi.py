"""`MultiIndex`: exact multi-index hashing for long bit strings at a moderate radius."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch import kernels
from hashmatch.algorithms import Metric
from hashmatch.index.base import check_codes, check_radius
from hashmatch.index.cores import Core, Found, check_layout, check_sections, join_found, scan_all
from hashmatch.index.costs import MEASURED, Costs
from hashmatch.index.segments import DEFAULT_PENDING, SegmentedIndex
from hashmatch.index.space import HammingSpace, Packed, Space
from hashmatch.index.substrings import MAX_WIDTH, ProbePlan, choose_widths, plan_probes

__all__ = ["MultiIndex"]

_BLOCK_PROBES: Final = 1 << 15
_BLOCK_QUERIES: Final = 64


class MultiCore:
    """Substring tables over frozen codes.

    ``offsets`` holds, for all buckets of all tables one after the other, where the bucket's rows start in ``rows``;
    the tables stand widest first, so that each starts at a multiple of its size and an XOR finds a bucket.
    """

    def __init__(
        self,
        space: HammingSpace,
        codes: Packed,
        widths: tuple[int, ...],
        offsets: NDArray[Any],
        rows: NDArray[np.uint32],
        costs: Costs,
    ) -> None:
        self._space = space
        self._codes = codes
        self._widths = widths
        self._offsets = offsets
        self._rows = rows
        self._costs = costs
        starts = np.cumsum([0, *widths[:-1]])
        self._word = starts // 64
        self._shift = (starts % 64).astype(np.uint64)[:, None]
        self._next_word = np.minimum(self._word + 1, codes.shape[0] - 1)
        self._carry = np.where(starts % 64 + widths > 64, 64 - starts % 64, 0).astype(np.uint64)[:, None]
        self._carries = self._carry > 0
        self._key_mask = ((1 << np.array(widths, dtype=np.int64)) - 1).astype(np.uint64)[:, None]

    @classmethod
    def build(cls, space: HammingSpace, codes: Packed, widths: tuple[int, ...], costs: Costs) -> MultiCore:
        """Sort the rows into the buckets of every table."""
        n = codes.shape[1]
        offset_type = np.dtype("<u4" if n * len(widths) < 2**32 else "<u8")
        offsets = np.empty(sum(1 << width for width in widths) + 1, dtype=offset_type)
        rows = np.empty(n * len(widths), dtype="<u4")
        bucket = bit = 0
        for i, width in enumerate(widths):
            keys = kernels.substring_keys(codes, bit, width)
            rows[i * n : (i + 1) * n] = np.argsort(keys, kind="stable")
            counts = np.bincount(keys, minlength=1 << width)
            offsets[bucket : bucket + (1 << width)] = i * n + np.cumsum(counts) - counts
            bucket += 1 << width
            bit += width
        offsets[-1] = n * len(widths)
        return cls(space, codes, widths, offsets, rows, costs)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self._codes.shape[1])

    def find(self, queries: Packed, k: int, radius: int) -> Found:
        """Search ``k`` packed queries; scan for those whose candidates would cost more than the scan."""
        affordable = self._costs.scan_start + self._costs.scan(Metric.HAMMING, self._space.n_bytes) * self.n
        plan = plan_probes(self._widths, self.n, radius, affordable, self._costs)
        if plan is None:
            return scan_all(self._space, self._codes, queries, np.arange(k), radius)
        most = max(0, int((affordable - self._costs.probe * len(plan.masks)) / max(self._costs.candidate, 1e-3)))
        step = max(1, min(_BLOCK_QUERIES, _BLOCK_PROBES // len(plan.masks)))
        return join_found(
            [self._find_block(queries[:, i : i + step], i, radius, plan, most) for i in range(0, k, step)]
        )

    def _find_block(self, queries: Packed, first: int, radius: int, plan: ProbePlan, most: int) -> Found:
        """Search a few queries; ``first`` is the number of the first, ``most`` the candidates worth checking."""
        k, p = queries.shape[1], len(plan.masks)
        buckets = (self._keys(queries).take(plan.tables, axis=1) ^ plan.masks).ravel()
        starts = self._offsets.take(buckets)
        lengths = self._offsets.take(buckets + 1) - starts
        filled = lengths.nonzero()[0]
        starts, lengths = starts.take(filled), lengths.take(filled).astype(np.int64)
        if k == 1:
            totals = np.array([lengths.sum()])
            owners_of_buckets = None
        else:
            owners_of_buckets = filled // p
            totals = np.bincount(owners_of_buckets, weights=lengths, minlength=k).astype(np.int64)
        scanned: list[Found] = []
        crowded = (totals > most).nonzero()[0]
        if len(crowded):
            scanned = [scan_all(self._space, self._codes, queries, crowded, radius)]
            kept = np.ones(k, dtype=np.bool_)
            kept[crowded] = False
            chosen = kept[0 if owners_of_buckets is None else owners_of_buckets]
            chosen = np.broadcast_to(chosen, lengths.shape)
            starts, lengths = starts[chosen], lengths[chosen]
            owners_of_buckets = None if owners_of_buckets is None else owners_of_buckets[chosen]
        candidates = self._rows.take(kernels.expand_ranges(starts, lengths))
        owners = None if owners_of_buckets is None else np.repeat(owners_of_buckets, lengths)
        near, distances = kernels.hamming_within(self._codes, candidates, queries, owners, radius)
        rows = candidates.take(near).astype(np.int64)
        owners = np.zeros(len(rows), dtype=np.int64) if owners is None else owners.take(near)
        if len(rows) > 1:
            _, once = np.unique(owners * self.n + rows, return_index=True)
            owners, rows, distances = owners[once], rows[once], distances[once]
        found = join_found([Found(owners, rows, distances, k * p, len(candidates), 0), *scanned])
        return Found(found.owners + first, found.rows, found.distances, found.probes, found.compared, found.scanned)

    def _keys(self, queries: Packed) -> NDArray[np.int64]:
        """Substrings of the queries, ``(k, tables)``."""
        low = queries.take(self._word, axis=0) >> self._shift
        high = queries.take(self._next_word, axis=0) << self._carry
        keys = np.where(self._carries, low | high, low) & self._key_mask
        return keys.T.astype(np.int64)

    def packed(self) -> Packed:
        """Give all codes in row order."""
        return self._codes

    def sections(self) -> dict[str, NDArray[Any]]:
        """Name the arrays that a file needs."""
        widths = np.array(self._widths, dtype=np.uint8)
        return {"codes": self._codes, "widths": widths, "offsets": self._offsets, "rows": self._rows}

    def check(self) -> None:
        """Raise ValueError if a table does not hold every row once, in the right bucket."""
        check_layout(self._space, self._codes)
        other = MultiCore.build(self._space, self._codes, self._widths, self._costs)
        if not (np.array_equal(other._offsets, self._offsets) and np.array_equal(other._rows, self._rows)):
            raise ValueError("a substring table is not what the codes give")


class MultiIndex(SegmentedIndex):
    """Multi-index hashing: exact Hamming search by looking up substrings.

    Build with `build`, edit with `add` and `remove`, search with `search`, `search_batch` and `explain`, keep with
    `save` and `load`. The index to take for 256-bit hashes from some ten thousand entries on.

    Notes
    -----
    Cost: at one million random 256-bit codes and radius 31 about 1,500 buckets and 1,000 candidates a search; see
    ``docs/indexes.md`` for times. The cost grows steeply with the radius: beyond the radius it was built for, search
    falls back to a scan as soon as that is expected to be cheaper, and also for a query whose buckets turn out to be
    crowded. So it is never much slower than `LinearIndex`, and exact at every radius.
    Memory: the codes, 4 bytes a code and substring, 4 bytes a bucket (at most 16 buckets a code) and 8 bytes a
    position; about 155 bytes a code at one million.
    Source: M. Norouzi, A. Punjani, D. Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012;
    here with substrings of unequal width and radius, see `hashmatch.index.substrings`.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.arange(8 * 32, dtype=np.uint8).reshape(8, 32)
    >>> index = MultiIndex.build(codes, radius=31)
    >>> query = codes[5].copy()
    >>> query[0] ^= 0b111
    >>> positions, distances = index.search(query, radius=31)
    >>> positions.tolist(), distances.tolist()
    ([5], [3])
    """

    kind: ClassVar[str] = "multi"

    def __init__(
        self,
        space: Space,
        *,
        radius: int = 31,
        widths: Sequence[int] | None = None,
        costs: Costs = MEASURED,
        pending_limit: int = DEFAULT_PENDING,
    ) -> None:
        if not isinstance(space, HammingSpace) or space.metric is not Metric.HAMMING:
            raise ValueError("MultiIndex compares bits; use ExactIndex for digests and BKTree for other metrics")
        super().__init__(space, pending_limit=pending_limit)
        self._hamming = space
        self._radius = min(check_radius(radius, 8 * 4096), space.max_distance)
        self._chosen = None if widths is None else _checked_widths(widths, space.max_distance)
        self._costs = costs

    @classmethod
    def build(
        cls,
        codes: ArrayLike,
        *,
        radius: int = 31,
        widths: Sequence[int] | None = None,
        costs: Costs = MEASURED,
        pending_limit: int = DEFAULT_PENDING,
    ) -> MultiIndex:
        """Build an index of ``codes``, whose positions are 0 to n - 1.

        Parameters
        ----------
        codes : (n, n_bytes) uint8 array
            Codes of 1 to 4096 bytes; copied.
        radius : int
            Radius to be fast at, bits. Searches at any other radius are exact too.
        widths : sequence of int, optional
            Widths of the substrings in bits, instead of choosing them from the number of codes and the radius; each
            1 to 26, together at most the bits of a code.
        costs : Costs
            Measured costs of this machine.
        pending_limit : int
            Size of the part that collects added codes, 1 or more.

        Raises
        ------
        TypeError, ValueError
            If the codes are not uint8 rows of usable length, or an option is out of range.

        Notes
        -----
        O(n) for every substring; about two seconds for a million 256-bit codes.
        """
        checked = check_codes(codes, None)
        index = cls(
            HammingSpace(checked.shape[1]), radius=radius, widths=widths, costs=costs, pending_limit=pending_limit
        )
        index.add(checked)
        return index

    def _make_core(self, packed: Packed) -> Core:
        n = self._space.count(packed)
        widths = self._chosen or choose_widths(n, self.n_bits, self._radius, self._costs)
        return MultiCore.build(self._hamming, packed, widths, self._costs)

    def _restore_core(self, sections: Mapping[str, NDArray[Any]]) -> Core:
        codes = check_sections(self._space, sections)
        widths = _checked_widths(sections["widths"].tolist(), self.n_bits)
        offsets, rows = sections["offsets"], sections["rows"]
        if offsets.dtype.str not in ("<u4", "<u8") or offsets.shape != (sum(1 << width for width in widths) + 1,):
            raise ValueError("the offsets have the wrong type or shape")
        if rows.dtype.str != "<u4" or rows.shape != (len(widths) * codes.shape[1],):
            raise ValueError("the rows have the wrong type or shape")
        return MultiCore(self._hamming, codes, widths, offsets, rows, self._costs)

    def _options(self) -> tuple[int, ...]:
        return (self._pending_limit, self._radius, *(self._chosen or ()))

    @classmethod
    def _empty(cls, space: Space, options: tuple[int, ...]) -> Self:
        limit, radius, *widths = options
        return cls(space, radius=radius, widths=widths or None, pending_limit=limit)


def _checked_widths(widths: Sequence[int], n_bits: int) -> tuple[int, ...]:
    ordered = tuple(sorted((int(width) for width in widths), reverse=True))
    if not ordered or ordered[-1] < 1 or ordered[0] > MAX_WIDTH or sum(ordered) > n_bits:
        raise ValueError(f"widths must be 1 to {MAX_WIDTH} bits each and together at most {n_bits}")
    return ordered
