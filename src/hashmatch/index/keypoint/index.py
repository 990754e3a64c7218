"""`KeypointIndex`: from the local descriptors of a whole list to the entries that a query may be a part of.

Longer than other files because search, files and checks of one structure belong together.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch.algorithms import Metric
from hashmatch.errors import IndexFormatError
from hashmatch.index.base import Codes, Path, SearchStats, check_codes
from hashmatch.index.keypoint.candidate import CODE_BITS, CODE_BYTES, Candidate, KeypointSearch, aligned, checked_query
from hashmatch.index.keypoint.key_tables import (
    MAX_KEY,
    MIN_KEY,
    KeyTables,
    choose_groups,
    even_limit,
    high_words,
    low_bits,
    low_words,
    plan_probes,
)
from hashmatch.index.keypoint.votes import AgreeingPairs, mirrored_geometry, one_to_one, rank
from hashmatch.index.storage import IndexFile, Section, Verify, impossible_numbers, read_index_file, write_index_file
from hashmatch.kernels.keys import BLOCK, Starts, near_rows

__all__ = ["KeypointIndex"]

Ints = NDArray[np.int64]

_MAX_POINTS: Final = 2**31 - 1
_ROWS: Final = 1 << 10
_RARE: Final = 1000.0


class KeypointIndex:
    """Find the entries of a list that share local descriptors with a query.

    Build with `build`, search with `search`, keep with `save` and `load`. The index is immutable: added entries go to a
    small index of their own, and the search masks withdrawn entries (``live``).

    Notes
    -----
    The search is not exact: it proposes candidates, and the caller judges them. ``docs/research/keypoints.md`` gives
    recall against a comparison with every code, times and sizes.
    Memory: 20 bytes a code, 4 bytes a code and table, 2 to 5 bits a key and table, 4 bytes an entry; with three tables
    32.4 to 33 bytes a code.
    """

    kind: ClassVar[str] = "keypoint"

    def __init__(self, codes: Codes, geometry: Codes, starts: NDArray[Any], tables: KeyTables) -> None:
        self._codes = codes
        self._words = codes.view("<u8")
        self._geometry = geometry
        self._starts = starts
        self._tables = tables
        self._tag: Mapping[str, str] = MappingProxyType({})
        self._is_from_file = False

    @classmethod
    def build(
        cls,
        codes: ArrayLike,
        entries: ArrayLike,
        geometry: ArrayLike,
        *,
        n_entries: int | None = None,
        n_tables: int = 3,
        key_bits: int | None = None,
    ) -> Self:
        """Build an index of the points of many entries.

        Parameters
        ----------
        codes : (n, 16) uint8 array
            Descriptors, entry by entry. A contiguous array is kept without a copy, so do not change it.
        entries : (n,) integer array
            Entry of each code, not descending, 0 or more.
        geometry : (n, 4) uint8 array
            Place, scale and angle of each point, from `pack_geometry`.
        n_entries : int, optional
            Number of entries, if entries at the end have no points; ``max(entries) + 1`` if not given.
        n_tables : int
            Tables of keys, 1 to 16. More tables find more entries; each takes 4 bytes a code.
        key_bits : int, optional
            Bits a key, 8 to 25, together with ``n_tables`` at most 128; the logarithm of the number of codes where
            not given.

        Raises
        ------
        TypeError, ValueError
            If an array has another type or shape, entries descend, or a number is out of range.

        Notes
        -----
        Cost: one sort of the codes for each table. The build needs 8 bytes a code beside the index itself.
        """
        checked = aligned(check_codes(codes, CODE_BYTES))
        places: NDArray[Any] = np.asarray(geometry)
        owners: NDArray[Any] = np.asarray(entries)
        n = len(checked)
        if places.dtype != np.uint8:
            raise TypeError(f"geometry must be uint8, not {places.dtype}")
        if places.shape != (n, 4):
            raise ValueError("geometry must have 4 numbers for each code")
        if not np.issubdtype(owners.dtype, np.integer):
            raise TypeError(f"entries must be integers, not {owners.dtype}")
        if owners.shape != (n,) or n > _MAX_POINTS:
            raise ValueError(f"entries must be one number for each code, of at most {_MAX_POINTS} codes")
        if n and (owners[0] < 0 or (owners[1:] < owners[:-1]).any()):
            raise ValueError("entries must be 0 or more and not descend")
        least = int(owners[-1]) + 1 if n else 0
        count = least if n_entries is None else operator.index(n_entries)
        if count < least or count > _MAX_POINTS:
            raise ValueError(f"n_entries must be {least} to {_MAX_POINTS}, not {count}")
        width = min(MAX_KEY, max(MIN_KEY, n.bit_length() - 1)) if key_bits is None else operator.index(key_bits)
        tables = operator.index(n_tables)
        if not 1 <= tables <= 16 or not MIN_KEY <= width <= MAX_KEY:
            raise ValueError(f"n_tables must be 1 to 16 and key_bits {MIN_KEY} to {MAX_KEY}")
        width = min(width, CODE_BITS // tables) if key_bits is None else width
        if tables * width > CODE_BITS:
            raise ValueError(f"{tables} keys of {width} bits are more than the {CODE_BITS} bits of a code")
        # searched in its own type: casting the entries of a whole list would take 8 bytes a code
        kind = owners.dtype if np.iinfo(owners.dtype).max >= count else np.dtype(np.int64)
        starts = np.searchsorted(owners, np.arange(count + 1, dtype=kind)).astype("<u4")
        groups = choose_groups(checked, tables, width)
        return cls(checked, np.ascontiguousarray(places), starts, KeyTables.build(checked, groups))

    # Facts

    @property
    def n_points(self) -> int:
        """Number of codes."""
        return len(self._codes)

    @property
    def points_of_entries(self) -> Ints:
        """Number of codes of each entry, (n_entries,) int64."""
        starts = self._starts.astype(np.int64)
        return np.asarray(starts[1:] - starts[:-1], np.int64)

    @property
    def tag(self) -> Mapping[str, str]:
        """The metadata given to `save`, read only; empty for an index that was not loaded."""
        return self._tag

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays, as in a file."""
        return sum(array.nbytes for array in self._sections().values())

    def points(self) -> tuple[Codes, Codes]:
        """Give the codes and the geometry of all points, entry by entry; not copied."""
        return self._codes, self._geometry

    def __len__(self) -> int:
        """Count the entries, also those without points."""
        return len(self._starts) - 1

    def __repr__(self) -> str:
        return f"<KeypointIndex of {len(self)} entries, {self.n_points} points>"

    # Search

    def search(
        self,
        codes: ArrayLike,
        margins: ArrayLike,
        geometry: ArrayLike,
        *,
        mirrored_codes: ArrayLike | None = None,
        live: NDArray[np.bool_] | None = None,
        options: KeypointSearch | None = None,
    ) -> list[Candidate]:
        """Find candidates for a query.

        Parameters
        ----------
        codes : (k, 16) uint8 array
            Descriptors of the query, the best first.
        margins : (k, 128) float array
            Distance of the coefficient of each bit from 0, in units of the spread of the descriptor, 0 or more.
        geometry : (k, 4) uint8 array
            From `pack_geometry`.
        mirrored_codes : (k, 16) uint8 array, optional
            Descriptors of the same points in the picture mirrored left to right; the same call searches them.
        live : (n_entries,) bool array, optional
            Entries that may be returned; all entries if not given.
        options : KeypointSearch, optional
            Bounds.

        Returns
        -------
        list of Candidate
            By weight, the largest first; equal weights by entry, the unmirrored candidate first.

        Raises
        ------
        TypeError, ValueError, AlgorithmMismatchError
            If an array has another type, shape or range.
        IndexFormatError
            If the index was loaded from a file that proves to be corrupt.

        Notes
        -----
        Cost: the options bound time and memory for every list. If thousands of entries share a descriptor, the search
        compares the first of them in the list.
        """
        return self.explain(codes, margins, geometry, mirrored_codes=mirrored_codes, live=live, options=options)[0]

    def explain(
        self,
        codes: ArrayLike,
        margins: ArrayLike,
        geometry: ArrayLike,
        *,
        mirrored_codes: ArrayLike | None = None,
        live: NDArray[np.bool_] | None = None,
        options: KeypointSearch | None = None,
    ) -> tuple[list[Candidate], SearchStats]:
        """Search as `search` does and count the cost; raises as `search` does."""
        chosen = KeypointSearch() if options is None else options
        queries, sure, places = checked_query(codes, margins, geometry, mirrored_codes)
        if live is not None and (live.dtype != np.bool_ or live.shape != (len(self),)):
            raise ValueError("live must be one bool for each entry")
        try:
            pairs, stats = self._agreeing(queries, sure, live, chosen)
            found = self._candidates(pairs, places, chosen)
        except (IndexError, ValueError) as error:
            if not self._is_from_file:
                raise
            raise impossible_numbers() from error
        return found, stats

    def pairs(self, entry: int, codes: ArrayLike, *, max_distance: int = 26) -> tuple[Ints, Ints, NDArray[np.int32]]:
        """Compare every query point with every point of one entry: the pairs of a search without bounds.

        Parameters
        ----------
        entry : int
            Number of the entry.
        codes : (k, 16) uint8 array
            Descriptors of the query, or their mirrored ones for a mirrored candidate.
        max_distance : int
            Bits.

        Returns
        -------
        query_points, reference_points : (p,) int64 arrays
            Pairs, each point once, by query point.
        distances : (p,) int32 array
            Differing bits.

        Raises
        ------
        TypeError, ValueError, AlgorithmMismatchError
            If an array has another type or shape.
        IndexError
            If there is no such entry.

        Notes
        -----
        Cost: about 1 ms for 1,000 points against 180.
        """
        number = operator.index(entry)
        if not 0 <= number < len(self):
            raise IndexError(f"there is no entry {number}")
        queries = aligned(check_codes(codes, CODE_BYTES)).view("<u8")
        first, last = int(self._starts[number]), min(int(self._starts[number + 1]), self.n_points)
        parts = []
        for start in range(first, last, _ROWS):
            stored = self._codes[start : min(start + _ROWS, last)].view("<u8")
            apart = np.bitwise_count(queries[:, None, 0] ^ stored[:, 0])
            apart += np.bitwise_count(queries[:, None, 1] ^ stored[:, 1])
            near, places = np.nonzero(apart <= max_distance)
            parts.append((near, places + (start - first), apart[near, places].astype(np.int32)))
        points, rows, distances = _joined(parts)
        found = one_to_one(AgreeingPairs(np.zeros(len(rows), np.int64), points, rows, distances))
        order = np.argsort(found.points)
        return found.points[order], found.rows[order], found.distances[order]

    def _agreeing(
        self, queries: list[Codes], margins: NDArray[np.float32], live: NDArray[np.bool_] | None, chosen: KeypointSearch
    ) -> tuple[AgreeingPairs, SearchStats]:
        """Find pairs of query points (those of the mirror image follow the others) and rows that agree."""
        k = len(margins)
        probes = plan_probes(margins, self._tables.groups, chosen.max_probes)
        found = [self._tables.buckets(codes, probes) for codes in queries]
        starts = np.concatenate([part for part, _ in found])
        lengths = np.concatenate([part for _, part in found])
        owners = np.concatenate([probes.points + side * k for side in range(len(queries))])
        # a damaged file may give any numbers; none may ask for more memory than the codes
        lengths = np.clip(lengths, 0, self.n_points)
        lengths = np.minimum(lengths, even_limit(lengths, chosen.max_compared))
        filled = np.flatnonzero(lengths)
        starts, lengths, owners = starts[filled], lengths[filled], owners[filled]
        asked = np.ascontiguousarray(np.concatenate(queries)).view("<u8")
        points, rows, distances = near_rows(
            self._words, self._tables.rows, starts, lengths, owners, asked, chosen.max_distance
        )
        # a row may be reached through several tables
        key = points * np.int64(max(1, self.n_points)) + rows
        _, once = np.unique(key, return_index=True)
        points, rows, distances = points[once], rows[once], distances[once]
        entries = np.searchsorted(self._starts, rows, side="right") - 1
        if len(entries) and not 0 <= entries.min() <= entries.max() < len(self):
            raise IndexError("a row belongs to no entry")
        if live is not None:
            alive = live[entries]
            points, rows, distances, entries = points[alive], rows[alive], distances[alive], entries[alive]
        if len(points) > chosen.max_hits:
            crowd = np.bincount(points)[points]
            kept = np.sort(np.lexsort((rows, distances, crowd))[: chosen.max_hits])
            points, rows, distances, entries = points[kept], rows[kept], distances[kept], entries[kept]
        mirrored = points >= k
        pairs = AgreeingPairs(2 * entries + mirrored, points - k * mirrored, rows, distances)
        return pairs, SearchStats(probes=len(probes.points) * len(queries), compared=int(lengths.sum()), scanned=0)

    def _candidates(self, pairs: AgreeingPairs, places: Codes, chosen: KeypointSearch) -> list[Candidate]:
        pairs = one_to_one(pairs)
        sides = 2 * pairs.points + (pairs.subjects & 1)
        shared = np.bincount(sides, minlength=1)[sides]
        # a point that agrees with one entry counts 1, one that agrees with all of them next to nothing
        weights = 1 - np.log(shared) / math.log(max(_RARE, len(self)) + 1)
        ranked = rank(
            pairs,
            (places, mirrored_geometry(places)),
            self._geometry[pairs.rows],
            weights.astype(np.float32),
            min_votes=chosen.min_votes,
            most=chosen.max_candidates,
        )
        return [
            Candidate(
                entry=votes.subject >> 1,
                mirrored=bool(votes.subject & 1),
                weight=votes.weight,
                query_points=votes.pairs.points,
                reference_points=votes.pairs.rows - int(self._starts[votes.subject >> 1]),
                distances=votes.pairs.distances,
            )
            for votes in ranked
        ]

    # Files

    def _sections(self) -> dict[str, NDArray[Any]]:
        return {
            "codes": self._codes,
            "geometry": self._geometry,
            "starts": self._starts,
            "groups": self._tables.groups,
            "heads": self._tables.starts.heads,
            "low": self._tables.starts.low,
            "high": self._tables.starts.high,
            "rows": self._tables.rows,
        }

    def save(self, path: Path, *, tag: Mapping[str, str] | None = None) -> None:
        """Write a file that `load` maps into memory.

        Parameters
        ----------
        path : str or path-like
            File to make, or to replace in one step.
        tag : mapping of str to str, optional
            Metadata kept in the file, such as which version of which list it was made from.

        Raises
        ------
        TypeError, ValueError
            If the tag is not text or too long.
        OSError
            If the file cannot be written; the old one is untouched.
        """
        self._write(path, tag or {})

    def _write(self, path: Path, tag: Mapping[str, str], more: Sequence[Section] = ()) -> None:
        """Write the file, with further sections of the caller's after the index's own."""
        write_index_file(
            path,
            IndexFile(
                kind=self.kind,
                metric=Metric.HAMMING,
                n_bytes=CODE_BYTES,
                n=len(self),
                next_position=len(self),
                tag=tag,
                sections=self._sections(),
            ),
            more,
        )

    @classmethod
    def load(cls, path: Path, *, verify: Verify = "full") -> Self:
        """Map a file into memory, read only.

        Parameters
        ----------
        path : str or path-like
            File written by `save`.
        verify : {"full", "header"}
            ``"full"`` reads the whole file and compares its checksums. ``"header"`` opens the file at once; damage then
            causes a wrong answer or an `IndexFormatError` later, never a read outside the file.

        Raises
        ------
        IndexFormatError
            If the file is not an undamaged keypoint index of a format version this hashmatch knows.
        ValueError
            If ``verify`` is another word.
        OSError
            If the file cannot be read.
        """
        return cls._from_file(read_index_file(path, verify=verify))

    @classmethod
    def _from_file(cls, file: IndexFile) -> Self:
        if file.kind != cls.kind:
            raise IndexFormatError("the file holds an index of another kind; open it with load_index")
        try:
            index = cls._restored(file)
        except (KeyError, ValueError) as error:
            raise IndexFormatError("the index file has impossible sections; rebuild it from the list") from error
        index._tag = MappingProxyType(dict(file.tag))
        index._is_from_file = True
        return index

    @classmethod
    def _restored(cls, file: IndexFile) -> Self:
        """Wrap the sections of a file; KeyError or ValueError where they cannot be right."""
        sections = file.sections
        codes, groups = sections["codes"], sections["groups"]
        n = len(codes)
        tables, width = groups.shape if groups.ndim == 2 else (0, 0)
        n_keys = tables << min(width, MAX_KEY)
        wanted: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
            "codes": (("|u1",), (n, CODE_BYTES)),
            "geometry": (("|u1",), (n, 4)),
            "starts": (("<u4",), (file.n + 1,)),
            "groups": (("|u1",), (tables, width)),
            "rows": (("<u4",), (tables * n,)),
            "heads": (("<u4", "<u8"), (n_keys // BLOCK,)),
            "low": (("<u8",), (low_words(n_keys, tables * n),)),
            "high": (("<u8",), (high_words(n_keys, tables * n),)),
        }
        if not sections.keys() >= wanted.keys() or file.metric is not Metric.HAMMING or file.n_bytes != CODE_BYTES:
            raise ValueError("not the sections of a keypoint index")
        for name, (types, shape) in wanted.items():
            if sections[name].dtype.str not in types or sections[name].shape != shape:
                raise ValueError(f"the section {name} has the wrong type or shape")
        bits = groups.ravel().tolist()
        if not 1 <= tables <= 16 or not MIN_KEY <= width <= MAX_KEY or len(set(bits)) < len(bits):
            raise ValueError("the groups cannot be right")
        if max(bits) >= CODE_BITS or file.next_position != file.n:
            raise ValueError("the groups cannot be right")
        starts = Starts(sections["heads"], sections["low"], sections["high"], low_bits(n_keys, tables * n))
        return cls(codes, sections["geometry"], sections["starts"], KeyTables(groups, starts, sections["rows"]))

    def _check(self) -> None:
        """Raise ValueError if an invariant does not hold."""
        starts = self._starts.astype(np.int64)
        if starts[0] != 0 or starts[-1] != self.n_points or (np.diff(starts) < 0).any():
            raise ValueError("the starts of the entries do not divide the codes")
        if len(self._geometry) != self.n_points:
            raise ValueError("a code has no place")
        other = KeyTables.build(self._codes, self._tables.groups)
        mine, own = other.starts, self._tables.starts
        same = all(np.array_equal(getattr(mine, name), getattr(own, name)) for name in ("heads", "low", "high"))
        if not same or not np.array_equal(other.rows, self._tables.rows):
            raise ValueError("a table is not what the codes give")


def _joined(parts: list[tuple[Ints, Ints, NDArray[np.int32]]]) -> tuple[Ints, Ints, NDArray[np.int32]]:
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32)
    points, rows, distances = zip(*parts, strict=True)
    return np.concatenate(points), np.concatenate(rows), np.concatenate(distances)
