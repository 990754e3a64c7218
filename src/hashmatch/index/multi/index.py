"""`MultiIndex`: exact multi-index hashing for long bit strings at a moderate radius."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch.algorithms import Metric
from hashmatch.index.base import Codes, Path, check_codes, check_radius
from hashmatch.index.costs import MEASURED, Costs
from hashmatch.index.editable import DEFAULT_PENDING, SegmentedIndex
from hashmatch.index.frozen import Core, Found, check_layout, join_found
from hashmatch.index.multi.out_of_core import DEFAULT_MEMORY, write_multi_file
from hashmatch.index.multi.substring_tables import PADDING, Tables, build_tables, item_layout
from hashmatch.index.multi.substrings import MAX_WIDTH, choose_widths, plan_probes
from hashmatch.index.space import HammingSpace, Packed, Space
from hashmatch.index.storage import Section
from hashmatch.kernels.codes import rows_scan
from hashmatch.kernels.tables import TableSearch

__all__ = ["MultiIndex"]

_BLOCK_PROBES: Final = 1 << 15
_BLOCK_QUERIES: Final = 64
_MOST_PLANS: Final = 64


class MultiCore:
    """Substring tables over frozen codes. The codes are stored contiguously, so that a check reads one place."""

    def __init__(self, space: HammingSpace, codes: NDArray[np.uint64], tables: Tables, costs: Costs) -> None:
        self._space = space
        self._codes = codes
        self._tables = tables
        self._costs = costs
        layout = item_layout(len(codes), tables.widths)
        searched = codes, tables.ranks, tables.slots, tables.runs, tables.widths, layout.tag_bits, layout.item_bytes
        self._search: Any = TableSearch(*searched) if len(codes) else None
        self._plans: dict[int, tuple[Any, int]] = {}

    @classmethod
    def build(cls, space: HammingSpace, columns: Packed, widths: tuple[int, ...], costs: Costs) -> MultiCore:
        """Build the tables from word columns."""
        return cls(space, np.ascontiguousarray(columns.T), build_tables(columns, widths), costs)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self._codes)

    def find(self, queries: Packed, k: int, radius: int) -> Found:
        """Search ``k`` packed queries; scan for the queries whose candidates would cost more than a scan."""
        plan, most = self._plan(radius)
        if plan is None:
            return self._scan(queries, np.arange(k), radius)
        if k == 1:
            return self._find_block(queries, 0, radius, plan, most)
        step = max(1, min(_BLOCK_QUERIES, _BLOCK_PROBES // len(plan)))
        return join_found(
            [self._find_block(queries[:, i : i + step], i, radius, plan, most) for i in range(0, k, step)]
        )

    def _plan(self, radius: int) -> tuple[Any, int]:
        """Give the probes for a radius, None where a scan is cheaper, and the candidates that are worth checking."""
        known = self._plans.get(radius)
        if known is None:
            costs = self._costs
            affordable = costs.scan_start + costs.scan(Metric.HAMMING, self._space.n_bytes) * self.n
            plan = plan_probes(self._tables.widths, self.n, radius, affordable, costs)
            if plan is None or self._search is None:
                known = None, 0
            else:
                left = affordable - costs.probe * len(plan.masks)
                probes = self._search.probes(plan.masks, plan.groups)
                known = probes, max(0, int(left / max(costs.candidate, 1e-3)))
            if len(self._plans) < _MOST_PLANS:
                self._plans[radius] = known
        return known

    def _find_block(self, queries: Packed, first: int, radius: int, plan: Any, most: int) -> Found:
        """Search a few queries; ``first`` is the number of the first, ``most`` the candidates worth checking."""
        owners, rows, distances, compared, crowded = self._search.find(queries, plan, radius, most)
        found = Found(owners, rows, distances, queries.shape[1] * len(plan), compared, 0)
        if len(crowded):
            found = join_found([found, self._scan(queries, crowded, radius)])
        return found._replace(owners=found.owners + first) if first else found

    def _scan(self, queries: Packed, asked: NDArray[np.int64], radius: int) -> Found:
        """Compare some of the queries with every code."""
        parts = []
        for owner in asked.tolist():
            rows, distances = rows_scan(self._codes, queries[:, owner], radius)
            parts.append(Found(np.full(len(rows), owner), rows, distances, 0, self.n, self.n))
        return join_found(parts)

    def packed(self) -> Packed:
        """Give all codes in row order."""
        return np.ascontiguousarray(self._codes.T)

    def take(self, rows: NDArray[np.int64]) -> Packed:
        """Give the codes of some rows, ascending."""
        return np.ascontiguousarray(self._codes[rows].T)

    def codes(self) -> Codes:
        """Give all codes in row order, unpacked."""
        if self._space.n_bytes % 8 or self._codes.dtype.str != "<u8":
            return self._space.unpack(self.packed())
        return self._codes.view(np.uint8)

    def sections(self) -> dict[str, NDArray[Any]]:
        """Name the arrays that a file needs."""
        tables = self._tables
        widths = np.array(tables.widths, dtype=np.uint8)
        return {
            "codes": self._codes,
            "widths": widths,
            "ranks": tables.ranks,
            "slots": tables.slots,
            "runs": tables.runs,
        }

    def check(self) -> None:
        """Raise ValueError if a table does not hold every row once, in the right bucket."""
        columns = self.packed()
        check_layout(self._space, columns)
        other = build_tables(columns, self._tables.widths)
        for name in ("ranks", "slots", "runs"):
            if not np.array_equal(getattr(other, name), getattr(self._tables, name)):
                raise ValueError("a substring table is not what the codes give")


class MultiIndex(SegmentedIndex):
    """Multi-index hashing: exact Hamming search by looking up substrings.

    Build with `build`, edit with `add` and `remove`, search with `search`, `search_batch` and `explain`, keep with
    `save` and `load`. It is the fastest index for 256-bit hashes from about ten thousand entries on.

    Notes
    -----
    Cost: at one million random 256-bit codes and radius 31 about 1,000 buckets and 100 candidates a search; see
    ``docs/explanation/indexes.md`` for times. The cost grows steeply with the radius. Beyond the radius that the index
    was built for, a search scans as soon as a scan is expected to be cheaper; it also scans for a query whose buckets
    hold too many codes. The index is therefore never much slower than `LinearIndex`, and exact at every radius.
    Memory: the codes, 4 to 8 bytes a code and substring, 3/8 of a byte a bucket (at most 32 buckets a code), and 8
    bytes a position, except for an index from a file that was never edited. `build_file` makes the file of an index
    that is larger than memory.
    Source: M. Norouzi, A. Punjani, D. Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012;
    the substrings here have unequal widths and radii, see `hashmatch.index.multi.substrings`.

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
            Radius that the index is built for, bits. Searches at any other radius are exact too.
        widths : sequence of int, optional
            Widths of the substrings, bits; each 1 to 26, together at most the bits of a code. If not given, they are
            chosen from the number of codes and the radius.
        costs : Costs
            Measured costs of this machine.
        pending_limit : int
            Most codes in the segment that collects added codes, 1 or more.

        Raises
        ------
        TypeError, ValueError
            If the codes are not uint8 rows of usable length, or an option is out of range.

        Notes
        -----
        Cost: O(n) for every substring; ``python -m benchmarks life`` measures the time of a million 256-bit codes.
        """
        checked = check_codes(codes, None)
        index = cls(
            HammingSpace(checked.shape[1]), radius=radius, widths=widths, costs=costs, pending_limit=pending_limit
        )
        index.add(checked)
        return index

    @classmethod
    def build_file(
        cls,
        path: Path,
        blocks: Iterable[ArrayLike],
        *,
        n_bytes: int,
        radius: int = 31,
        widths: Sequence[int] | None = None,
        costs: Costs = MEASURED,
        memory: int = DEFAULT_MEMORY,
        tag: Mapping[str, str] | None = None,
        more: Sequence[Section] = (),
    ) -> int:
        """Write the file of an index that is larger than memory.

        The file is the same, byte for byte, as that of ``MultiIndex.build(all codes).save(path)``.

        Parameters
        ----------
        path : str or path-like
            File to write, as `save` does: beside it, flushed, renamed. Two further files hold the tables while they are
            made, 4 to 8 bytes a code and substring; they have no name and are removed with the process.
        blocks : iterable of (k, n_bytes) uint8 arrays
            The codes, block by block; read once.
        n_bytes : int
            Bytes a code, 1 to 4096.
        radius, widths, costs
            As for `build`.
        memory : int
            Bytes for working arrays, 4096 or more. The bound does not include 0.8 bytes a bucket of all tables (at most
            32 buckets a code and 2**26 a table), 2 MB, one block of the caller, and the rows of a single bucket if
            these alone need more.
        tag : mapping of str to str, optional
            As for `save`.
        more : sequence of Section
            Further sections of the file, written after the codes were read.

        Returns
        -------
        int
            Number of codes.

        Raises
        ------
        TypeError, ValueError
            If a block is not uint8 rows of that length, or memory is too small.
        OSError
            If the file cannot be written; the old file, if any, is untouched.

        Notes
        -----
        Cost: for every substring one pass over the codes. If its rows do not fit into ``memory`` (32 bytes each), one
        more pass counts them and each part that fits needs one pass. Parts of the file that are read again come from
        the cache of the system, if it has room.
        """
        index = cls(HammingSpace(check_codes(np.empty((0, n_bytes), np.uint8), None).shape[1]), radius=radius,
                    widths=widths, costs=costs)  # fmt: skip
        return write_multi_file(
            path,
            blocks,
            n_bytes=n_bytes,
            choose=lambda n: index._chosen or choose_widths(n, index.n_bits, index._radius, costs),
            options=index._options(),
            memory=memory,
            tag=tag or {},
            more=more,
        )

    def _make_core(self, packed: Packed) -> Core:
        n = self._space.count(packed)
        widths = self._chosen or choose_widths(n, self.n_bits, self._radius, self._costs)
        return MultiCore.build(self._hamming, packed, widths, self._costs)

    def _restore_core(self, sections: Mapping[str, NDArray[Any]]) -> Core:
        widths = _checked_widths(sections["widths"].tolist(), self.n_bits)
        codes = sections["codes"]
        n_words = -(-self._space.n_bytes // 8)
        if codes.dtype.str != "<u8" or codes.ndim != 2 or codes.shape[1] != n_words:
            raise ValueError("the codes have the wrong type or shape")
        ranks, slots, runs = (sections[name] for name in ("ranks", "slots", "runs"))
        if ranks.dtype.str != "<u8" or ranks.shape != (-(-sum(1 << width for width in widths) // 64), 3):
            raise ValueError("the ranks have the wrong type or shape")
        if any(array.dtype != np.uint8 or array.ndim != 1 or len(array) < len(PADDING) for array in (slots, runs)):
            raise ValueError("the slots or runs have the wrong type or shape")
        return MultiCore(self._hamming, codes, Tables(widths, ranks, slots, runs), self._costs)

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
    if sum(1 << width for width in ordered) > 1 << 32:
        raise ValueError("the widths give more than 2**32 buckets")
    return ordered
