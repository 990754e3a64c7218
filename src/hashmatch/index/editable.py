"""`SegmentedIndex`, the base of all indexes: frozen cores, stable positions, additions, removals, files.

An index is a value of `hashmatch.index.segmented`, of segments alone: each is a frozen *core* (a tree, a set of
substring tables, a plain array), the positions of its rows and which of them are deleted. Added codes go to a last
segment that is scanned; when that segment is full, it gets a core. A segment with more deleted than live rows is
rebuilt without them. A change replaces the value.

Longer than other files because the public methods of all indexes are documented here, once.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index.base import (
    Codes,
    Distances,
    Explanation,
    Path,
    Positions,
    SearchStats,
    check_codes,
    check_radius,
)
from hashmatch.index.costs import MEASURED, Costs
from hashmatch.index.frozen import Core, CoreSegment, Counted, Found, ScanCore, join_found
from hashmatch.index.segmented import Segments
from hashmatch.index.space import Packed, Space, space_of
from hashmatch.index.storage import (
    IndexFile,
    Section,
    Verify,
    impossible_numbers,
    read_index_file,
    write_index_file,
)

__all__ = ["DEFAULT_PENDING", "SegmentedIndex"]

DEFAULT_PENDING: Final = 2048
_MAX_ROWS: Final = 2**32 - 1


class SegmentedIndex(ABC):
    """Base of the indexes; it implements `hashmatch.index.base.Index`."""

    kind: ClassVar[str]

    def __init__(self, space: Space, *, pending_limit: int = DEFAULT_PENDING) -> None:
        if operator.index(pending_limit) < 1:
            raise ValueError(f"pending_limit must be 1 or more, not {pending_limit}")
        self._space = space
        self._pending_limit = pending_limit
        self._costs = MEASURED
        self._segments: tuple[CoreSegment, ...] = ()
        self._next_position = 0
        self._tag: Mapping[str, str] = MappingProxyType({})
        self._is_from_file = False

    # What a kind of index is made of

    @abstractmethod
    def _make_core(self, packed: Packed) -> Core:
        """Build the structure over packed codes."""

    @abstractmethod
    def _restore_core(self, sections: Mapping[str, NDArray[Any]]) -> Core:
        """Wrap the sections of a file; ValueError or KeyError where they cannot be right."""

    @abstractmethod
    def _options(self) -> tuple[int, ...]:
        """Give the options that a file keeps."""

    @classmethod
    @abstractmethod
    def _empty(cls, space: Space, options: tuple[int, ...]) -> Self:
        """Make an empty index with such options; ValueError where they cannot be right."""

    # Facts

    @property
    def n_bits(self) -> int:
        """Length of a code, bits."""
        return 8 * self._space.n_bytes

    @property
    def metric(self) -> Metric:
        """How codes are compared."""
        return self._space.metric

    @property
    def max_distance(self) -> int:
        """Largest distance of two codes, which is the largest radius."""
        return self._space.max_distance

    @property
    def tag(self) -> Mapping[str, str]:
        """The metadata given to `save`, read only; empty for an index that was not loaded."""
        return self._tag

    def __len__(self) -> int:
        """Count the live entries."""
        return len(Segments(None, self._segments))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} codes, {self.n_bits} bits, {self.metric.value}>"

    # Search

    def search(self, query: ArrayLike, radius: int) -> tuple[Positions, Distances]:
        """Find every entry within ``radius`` of ``query``.

        The search is exact: it finds every entry within the radius, at every radius.

        Parameters
        ----------
        query : (n_bytes,) uint8 array
            Code to look for.
        radius : int
            Largest distance accepted, inclusive; 0 to `max_distance`.

        Returns
        -------
        positions : (h,) int64 array
            Sorted by distance, then position.
        distances : (h,) int32 array
            Their distances.

        Raises
        ------
        TypeError
            If the query is not uint8 or the radius not an integer.
        ValueError
            If the radius is outside 0 to `max_distance`.
        AlgorithmMismatchError
            If the query has another length than the codes.
        IndexFormatError
            If the index was loaded from a file that proves to be corrupt.
        """
        found, positions = self._find(_one(query), radius)
        return positions, found.distances

    def search_batch(self, queries: ArrayLike, radius: int) -> tuple[NDArray[np.int64], Positions, Distances]:
        """Search many queries at once.

        Parameters
        ----------
        queries : (k, n_bytes) uint8 array
            Codes to look for.
        radius : int
            As for `search`.

        Returns
        -------
        rows : (h,) int64 array
            Row of the query in ``queries``; hits are sorted by row, distance, position.
        positions : (h,) int64 array
            Positions of the hits.
        distances : (h,) int32 array
            Their distances.

        Raises
        ------
        TypeError, ValueError, AlgorithmMismatchError, IndexFormatError
            As for `search`.
        """
        found, positions = self._find(queries, radius)
        return found.owners, positions, found.distances

    def explain(self, query: ArrayLike, radius: int) -> Explanation:
        """Search as `search` does and count the cost; raises as `search` does."""
        found, positions = self._find(_one(query), radius)
        stats = SearchStats(probes=found.probes, compared=found.compared, scanned=found.scanned)
        return Explanation(positions=positions, distances=found.distances, stats=stats)

    def _find(self, queries: ArrayLike, radius: int) -> tuple[Found, Positions]:
        """Search all segments; the hits by query, distance, position, and their positions."""
        codes = check_codes(queries, self._space.n_bytes, what="queries")
        bound = check_radius(radius, self.max_distance)
        packed, k = self._space.pack(codes), len(codes)
        parts = []
        try:
            for segment in self._segments if k else ():
                found = segment.core.find(packed, k, bound)
                if segment.deleted is not None:
                    live = ~segment.deleted.take(found.rows)
                    found = found._replace(
                        owners=found.owners[live], rows=found.rows[live], distances=found.distances[live]
                    )
                parts.append((found, segment.positions.take(found.rows)))
        except (IndexError, ValueError) as error:
            if not self._is_from_file:
                raise
            raise impossible_numbers() from error
        if len(parts) == 1:
            found, positions = parts[0]
        else:
            found = join_found([part for part, _ in parts])
            positions = np.concatenate([np.empty(0, dtype=np.int64), *(part for _, part in parts)])
        if len(positions) > 1:
            keys = (positions, found.distances, found.owners) if k > 1 else (positions, found.distances)
            order = np.lexsort(keys)
            positions = positions[order]
            found = found._replace(owners=found.owners[order], distances=found.distances[order])
        return found, positions

    def codes_at(self, positions: ArrayLike) -> Codes:
        """Return stored codes.

        Parameters
        ----------
        positions : (k,) integer array
            Live positions, ascending.

        Returns
        -------
        (k, n_bytes) uint8 array
            The code at each.

        Raises
        ------
        ValueError
            If a position is not a live entry, or they do not ascend.

        Notes
        -----
        Cost: the codes asked for; for a `BKTree` one pass over the order of its slots.
        """
        wanted = np.asarray(positions, dtype=np.int64)
        codes = np.empty((len(wanted), self._space.n_bytes), dtype=np.uint8)
        found = 0
        for segment in self._segments if len(wanted) else ():
            here, rows = segment.places(wanted)
            if segment.deleted is not None:
                live = ~segment.deleted[rows]
                here, rows = here[live], rows[live]
            if len(rows):
                codes[here] = self._space.unpack(segment.core.take(rows))
            found += len(rows)
        if found != len(wanted) or bool((np.diff(wanted) <= 0).any()):
            raise ValueError("the positions must be live entries of this index, ascending")
        return codes

    def all_codes(self) -> Codes:
        """Return all live codes by position, (n, n_bytes) uint8; not copied if they are stored in that order."""
        if len(self._segments) == 1 and self._segments[0].deleted is None:
            return self._segments[0].core.codes()
        parts = [self._space.unpack(self._live_part(segment)[0]) for segment in self._segments]
        return np.concatenate([np.empty((0, self._space.n_bytes), dtype=np.uint8), *parts])

    # Edits

    def add(self, codes: ArrayLike) -> Positions:
        """Store more codes; the next search finds them.

        Parameters
        ----------
        codes : (n, n_bytes) uint8 array
            Codes; equal ones are kept as separate entries.

        Returns
        -------
        (n,) int64 array
            Their positions: the next unused numbers.

        Raises
        ------
        TypeError, ValueError, AlgorithmMismatchError
            If the codes are not uint8 rows of the index's length.

        Notes
        -----
        Cost: amortised O(log n) rebuilds an entry; some calls include a merge.
        """
        new = check_codes(codes, self._space.n_bytes)
        positions = np.arange(self._next_position, self._next_position + len(new), dtype=np.int64)
        if not len(new):
            return positions
        block = (self._space.pack(new), positions)
        value = Segments(None, self._segments).added(
            len(new),
            self._pending_limit,
            lambda merged: self._new_segment([*(self._live_part(segment) for segment in merged), block]),
        )
        self._segments = value.parts
        self._next_position += len(new)
        return positions.copy()

    def remove(self, positions: ArrayLike) -> None:
        """Remove entries; their positions are never used again.

        Parameters
        ----------
        positions : (n,) integer array
            Live positions, each once.

        Raises
        ------
        TypeError
            If they are not integers.
        ValueError
            If a position is not a live entry or is named twice; then nothing is removed.
        """
        wanted: NDArray[Any] = np.asarray(positions)
        if wanted.size == 0:
            return
        if not np.issubdtype(wanted.dtype, np.integer):
            raise TypeError(f"positions must be integers, not {wanted.dtype}")
        ordered = np.unique(wanted)
        if ordered[0] < 0 or ordered[-1] >= self._next_position:
            raise ValueError("a position to remove was never given out by this index; nothing was removed")
        ordered = ordered.astype(np.int64)
        if wanted.ndim != 1 or len(ordered) != len(wanted):
            raise ValueError("positions must be a one-dimensional array without repeats")
        value = Segments(None, self._segments)
        found = value.find(ordered)
        if found is None:
            raise ValueError("a position to remove is not a live entry of this index; nothing was removed")
        self._segments = tuple(part for old in value.without(found).parts for part in self._compacted(old))

    def _live_part(self, segment: CoreSegment) -> tuple[Packed, Positions]:
        packed = segment.core.packed()
        if segment.deleted is None:
            return packed, np.asarray(segment.positions)
        rows = segment.live()
        return self._space.take(packed, rows), segment.positions.take(rows)

    def _new_segment(self, blocks: list[tuple[Packed, Positions]]) -> CoreSegment:
        packed = blocks[0][0] if len(blocks) == 1 else self._space.join([part for part, _ in blocks])
        positions = np.concatenate([part for _, part in blocks])
        if len(positions) > _MAX_ROWS:
            raise ValueError(f"an index holds at most {_MAX_ROWS} codes; split the list")
        small = len(positions) <= self._pending_limit
        core = ScanCore(self._space, packed) if small else self._make_core(packed)
        return CoreSegment(core=core, positions=positions)

    def _compacted(self, segment: CoreSegment) -> list[CoreSegment]:
        if 2 * segment.n_deleted <= len(segment):
            return [segment]
        part = self._live_part(segment)
        return [self._new_segment([part])] if len(part[1]) else []

    # Files

    def save(self, path: Path, *, tag: Mapping[str, str] | None = None) -> None:
        """Write the live entries to a file that `load` maps into memory.

        Parameters
        ----------
        path : str or path-like
            File to write. A new file is written beside it, flushed to disk and renamed, so that a reader sees the old
            file or the new file and never a part.
        tag : mapping of str to str, optional
            Small metadata that `tag` returns after loading, for example the name and version of the list.

        Raises
        ------
        TypeError
            If the tag holds anything but strings.
        OSError
            If the file cannot be written.

        Notes
        -----
        The file omits removed entries and keeps positions. `hashmatch.index.storage` gives the layout.
        """
        self._write(path, tag or {})

    def _write(self, path: Path, tag: Mapping[str, str], more: Sequence[Section] = ()) -> None:
        """Write the file, with further sections of the caller's after the index's own."""
        segment = self._as_one()
        sections = segment.core.sections()
        if len(segment.positions) != self._next_position:  # else they are 0 to n - 1, and a file need not say so
            sections["positions"] = np.asarray(segment.positions)
        sections["options"] = np.array(self._options(), dtype=np.int64)
        write_index_file(
            path,
            IndexFile(
                kind=self.kind,
                metric=self.metric,
                n_bytes=self._space.n_bytes,
                n=segment.core.n,
                next_position=self._next_position,
                tag=tag,
                sections=sections,
            ),
            more,
        )

    def _as_one(self) -> CoreSegment:
        if len(self._segments) == 1 and self._segments[0].deleted is None:
            only = self._segments[0]
            if not isinstance(only.core, ScanCore):
                return only
        parts = [self._live_part(segment) for segment in self._segments]
        if not parts:
            parts = [(self._space.pack(np.empty((0, self._space.n_bytes), dtype=np.uint8)), np.empty(0, np.int64))]
        packed = self._space.join([part for part, _ in parts])
        return CoreSegment(core=self._make_core(packed), positions=np.concatenate([part for _, part in parts]))

    @classmethod
    def load(cls, path: Path, *, verify: Verify = "full") -> Self:
        """Open a file written by `save`, memory-mapped and read only.

        Parameters
        ----------
        path : str or path-like
            File of this kind of index.
        verify : {"full", "header"}
            ``"full"`` reads the file once and compares every checksum: any changed byte is found. ``"header"`` checks
            the header, the lengths and the layout only; it opens in milliseconds, for files that are known to be
            good. Content that is corrupt all the same can then give wrong answers or an `IndexFormatError` from a
            search, but never a read outside the file.

        Returns
        -------
        the index
            Additions and removals change the index in memory; the file is never changed.

        Raises
        ------
        IndexFormatError
            If the file is not an undamaged index of this kind and format version; the message says what to do.
        OSError
            If the file cannot be read.
        """
        return cls._from_file(read_index_file(path, verify=verify))

    @classmethod
    def _from_file(cls, file: IndexFile, costs: Costs | None = None) -> Self:
        if file.kind != cls.kind:
            raise IndexFormatError(
                f"the file holds an index of kind {file.kind!r}, not {cls.kind!r}; open it with "
                "hashmatch.index.load_index"
            )
        try:
            options = file.sections["options"]
            index = cls._empty(space_of(file.metric, file.n_bytes), tuple(options.tolist()))
            index._costs = costs or index._costs
            core = index._restore_core(file.sections)
            positions = file.sections.get("positions")
            if positions is None:
                if file.next_position != file.n or core.n != file.n:
                    raise ValueError("the counts do not agree")
            elif positions.dtype != np.int64 or positions.shape != (file.n,) or core.n != file.n:
                raise ValueError("the counts do not agree")
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise IndexFormatError(
                "the index file has sections that do not fit together; rebuild it from the list"
            ) from error
        if file.n:
            index._segments = (CoreSegment(core=core, positions=Counted(file.n) if positions is None else positions),)
        index._next_position = file.next_position
        index._tag = MappingProxyType(dict(file.tag))
        index._is_from_file = True
        return index

    # Invariants

    def _check(self) -> None:
        """Check every invariant, slowly.

        Raises
        ------
        ValueError
            If one does not hold.
        """
        last = -1
        for segment in self._segments:
            segment.core.check()
            positions = np.asarray(segment.positions)
            if len(positions) != segment.core.n or not len(positions):
                raise ValueError("a segment is empty or has another number of positions than rows")
            if positions[0] <= last or bool((np.diff(positions) <= 0).any()):
                raise ValueError("positions are not ascending")
            last = int(positions[-1])
            deleted = np.zeros(len(segment), np.bool_) if segment.deleted is None else segment.deleted
            if np.count_nonzero(deleted) != segment.n_deleted or len(deleted) != len(segment):
                raise ValueError("the mask of deleted rows is wrong")
            if 2 * segment.n_deleted > len(segment):
                raise ValueError("a segment holds more deleted rows than live ones")
        if last >= self._next_position:
            raise ValueError("a position would be used twice")


def _one(query: ArrayLike) -> Codes:
    """Turn one query into a batch of one."""
    array: NDArray[Any] = np.asarray(query)
    if array.ndim != 1:
        raise ValueError(f"a query must be an array of one dimension (bytes), not of {array.ndim}")
    return array[None, :]
