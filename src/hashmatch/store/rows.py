"""The hashes of one algorithm in one list, searchable: an index that never changes, what came later, what has gone.

A list changes by a few entries at a time, so a new version does not rebuild the index: later hashes are held in small
indexes beside it and withdrawn ones are masked. A `Layer` is immutable; `updated` makes the next one, sharing the large
index, so threads that search the old layer are not disturbed. Its cost depends on what changed, not on the list.

A layer knows the content of its rows (see `hashmatch.lists.read.content`), and so whether it is what the list says it
holds.

Over 400 lines because one class holds what a search needs of one algorithm's hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import Algorithm
from hashmatch.index import Costs, LinearIndex, build_index
from hashmatch.index.verification import AnyIndex
from hashmatch.lists import Content, HashRows, content_of
from hashmatch.store.held import HeldFile
from hashmatch.store.index_file import Columns, KeptIndex

if TYPE_CHECKING:
    from hashmatch.index.probing import GuidedIndex

__all__ = ["Layer"]

_REBUILD_SHARE: Final = 0.1
_REBUILD_FLOOR: Final = 4096
_SCANNED: Final = 32_768  # later hashes up to here are one part without structure: cheap to make anew, cheap to scan
_SCANNED_BYTES: Final = 1 << 20
_MERGE_RATIO: Final = 2

Ints = NDArray[np.int64]

Telling: TypeAlias = "Callable[[NDArray[np.uint8]], NDArray[np.bool_]]"


class _HasPosition(Protocol):
    @property
    def position(self) -> int: ...


Placed = TypeVar("Placed", bound=_HasPosition)
GuidedSearch: TypeAlias = "Callable[[GuidedIndex, NDArray[np.bool_] | None], Iterable[Placed]]"


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One index, what is known of its rows, the same hashes filed for crop searches, and which rows are not searched.

    ``gone`` were withdrawn, ``plain`` state too little quality; ``hidden`` are either, and ``n_plain`` the plain ones
    that are still listed.
    """

    index: AnyIndex
    columns: Columns
    guided: GuidedIndex | None = None
    gone: NDArray[np.bool_] | None = None
    n_gone: int = 0
    plain: NDArray[np.bool_] | None = None
    hidden: NDArray[np.bool_] | None = field(init=False)
    n_plain: int = field(init=False)

    def __post_init__(self) -> None:
        hidden = _either(self.gone, self.plain)
        n_plain = 0 if hidden is None else int(np.count_nonzero(hidden)) - self.n_gone
        object.__setattr__(self, "hidden", hidden)
        object.__setattr__(self, "n_plain", n_plain)

    def without(self, places: Ints) -> _Part:
        """Mask rows; they must not be masked already."""
        gone = np.zeros(len(self.columns), np.bool_) if self.gone is None else self.gone.copy()
        gone[places] = True
        return replace(self, gone=gone, n_gone=self.n_gone + len(places))

    def rows(self, algorithm: str) -> HashRows:
        """Give the rows that are left."""
        columns = self.columns
        kept = np.arange(len(columns)) if self.gone is None else (~self.gone).nonzero()[0]
        return HashRows(
            algorithm=algorithm,
            codes=self.index.all_codes()[kept],
            hash_ids=columns.hash_ids[kept],
            entry_keys=columns.entry_keys[kept],
            quality=columns.quality[kept],
            source_numbers=columns.source_numbers[kept],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """All hashes of one algorithm in one version of a list.

    Parameters
    ----------
    algorithm : Algorithm
        What the hashes are.
    list_id : str
        The list that they are of.
    radius : int
        Radius the indexes are chosen for; any other radius is searched exactly too.
    costs : Costs
        Measured costs, by which indexes are chosen.
    base : _Part
        The large index.
    recent : tuple of _Part
        Hashes added since ``base`` was built, the larger parts first.
    content : Content
        Of all rows that are listed.
    kept : KeptIndex or None
        The file that ``base`` is.
    min_quality : int
        Least quality that a hash may state to be searched, 0 to 100; those that state none are.
    held : tuple of HeldFile
        The mapped files, to see whether they are still what was checked.
    """

    algorithm: Algorithm
    list_id: str
    radius: int
    costs: Costs
    base: _Part
    recent: tuple[_Part, ...]
    content: Content
    kept: KeptIndex | None = None
    min_quality: int = 0
    held: tuple[HeldFile, ...] = ()

    @classmethod
    def build(
        cls,
        algorithm: Algorithm,
        rows: HashRows,
        radius: int,
        costs: Costs,
        list_id: str,
        content: Content,
        *,
        crops: bool = False,
        min_quality: int = 0,
    ) -> Layer:
        """Index all hashes of one algorithm in a list, in memory.

        Parameters
        ----------
        algorithm : Algorithm
            What the codes are.
        rows : HashRows
            What the list holds.
        radius : int
            Radius that searches will mostly use.
        costs : Costs
            Measured costs.
        list_id : str
            The list's uuid.
        content : Content
            Of the rows.
        crops : bool
            Whether crops or rotated pictures are searched too; for PDQ.
        min_quality : int
            As for the layer.
        """
        index = build_index(rows.codes, metric=algorithm.metric, radius=radius, costs=costs)
        base = _part(index, rows, crops, min_quality)
        return cls(algorithm, list_id, radius, costs, base, (), content, min_quality=min_quality)

    @classmethod
    def mapped(
        cls,
        algorithm: Algorithm,
        kept: KeptIndex,
        radius: int,
        costs: Costs,
        list_id: str,
        guided: GuidedIndex | None = None,
        min_quality: int = 0,
    ) -> Layer:
        """Take all hashes of one algorithm from an index file, and how they are filed for crops from another.

        The other arguments are those of `build`. Cost: where hashes state their quality, a byte a row is read once.
        """
        base = _Part(kept.index, kept.columns, guided, plain=_plain_rows(kept.columns, min_quality))
        return cls(algorithm, list_id, radius, costs, base, (), kept.content, kept, min_quality)

    def __len__(self) -> int:
        return self.content.n_rows

    @property
    def n_plain(self) -> int:
        """Listed hashes that are not searched, as they state less than the least quality."""
        return sum(part.n_plain for part in self.parts)

    @property
    def parts(self) -> tuple[_Part, ...]:
        """The indexes that together hold all hashes."""
        return (self.base, *self.recent)

    def entry_keys(self) -> Ints:
        """Keys of the entries of all live hashes, int64; an entry stands once for each of its hashes."""
        self._check_files()
        keys = [
            part.columns.entry_keys if part.gone is None else part.columns.entry_keys[~part.gone] for part in self.parts
        ]
        return np.concatenate(keys)

    @property
    def is_overgrown(self) -> bool:
        """Whether so much came and went since the large index was built that building it anew pays."""
        later = sum(len(part.columns) for part in self.recent) + sum(part.n_gone for part in self.parts)
        return later > max(_REBUILD_FLOOR, _REBUILD_SHARE * len(self.base.columns))

    def search(
        self,
        codes: NDArray[np.uint8],
        radius: int,
        tell: Callable[[NDArray[np.uint8]], NDArray[np.bool_]] | None = None,
    ) -> list[tuple[int, int, int, bool]]:
        """Find every live hash within the radius of each query, but those that state too little quality.

        Parameters
        ----------
        codes : (k, n_bytes) uint8 array
            Queries.
        radius : int
            Largest distance, inclusive.
        tell : callable, optional
            Takes the codes that were found and says something of each.

        Returns
        -------
        list of (row, key, distance, told)
            Number of the query, key of the entry, distance, and what was told of the hash, else False; an entry stands
            once for each of its hashes.
        """
        found: list[tuple[int, int, int, bool]] = []
        self._check_files()
        for part in self.parts:
            if not len(part.columns):
                continue
            rows, positions, distances = part.index.search_batch(codes, radius)
            if not rows.size:
                continue
            if part.hidden is not None:
                live = ~part.hidden[positions]
                rows, positions, distances = rows[live], positions[live], distances[live]
            told = np.zeros(len(rows), np.bool_)
            if tell is not None:
                distinct, which = np.unique(positions, return_inverse=True)
                told = tell(part.index.codes_at(distinct))[which]
            keys = part.columns.entry_keys[positions]
            found += zip(rows.tolist(), keys.tolist(), distances.tolist(), told.tolist(), strict=True)
        self._check_files()
        return found

    def _check_files(self) -> None:
        """Raise IndexFormatError where a mapped file is no longer what was checked."""
        for held in self.held:
            held.check()

    @property
    def is_spoilt(self) -> bool:
        """Whether a mapped file is no longer what was checked."""
        return any(held.is_spoilt for held in self.held)

    def search_guided(self, search: GuidedSearch[Placed], min_quality: int = 0) -> list[tuple[Placed, int, bytes]]:
        """Find live hashes by evidence.

        Parameters
        ----------
        search : callable
            Searches one index for the query: takes the index and which of its rows are withdrawn or state too little
            quality, or None.
        min_quality : int
            Least quality that a hash may state, where that is more than the layer's; costs a byte a row.

        Returns
        -------
        list of (found, key, code)
            What was found, key of the entry, and the entry's hash. Empty where the layer was built without crops.
        """
        found: list[tuple[Placed, int, bytes]] = []
        self._check_files()
        for part in self.parts:
            if part.guided is None:
                continue
            hidden = part.hidden
            if min_quality > self.min_quality:
                hidden = _either(hidden, _plain_rows(part.columns, min_quality))
            for item in search(part.guided, hidden):
                (code,) = part.index.codes_at([item.position])
                found.append((item, int(part.columns.entry_keys[item.position]), code.tobytes()))
        self._check_files()
        return found

    def updated(self, added: HashRows | None, withdrawn: Ints, content: Content) -> Layer | None:
        """Make the layer of a later version.

        Parameters
        ----------
        added : HashRows or None
            Hashes that came since.
        withdrawn : (w,) int64 array
            Ids of hashes that went since, ascending.
        content : Content
            What the list says of its rows at that version.

        Returns
        -------
        Layer or None
            None when these changes do not make of this layer what the list holds: it went on differently.

        Notes
        -----
        Cost: what changed; a byte a row of each part that loses a row (3 ms for ten million rows); for added rows, a
        copy of up to 32,768 earlier ones, and how these are filed for crops.
        """
        now = self.content
        parts: list[_Part] = []
        left = len(withdrawn)
        for part in self.parts:
            _, places = part.columns.places(withdrawn)
            if len(places) and part.gone is not None and bool(part.gone[places].any()):
                return None
            if len(places):
                now -= part.columns.content(self.list_id, self.algorithm.name, part.index, places)
                part = part.without(places)
            left -= len(places)
            parts.append(part)
        base, *recent = parts
        if added is not None and len(added):
            recent = [part for part in recent if part.n_gone < len(part.columns)]
            recent = self._with(recent, added)
            now += content_of(
                self.list_id,
                self.algorithm.name,
                hash_ids=added.hash_ids,
                entry_keys=added.entry_keys,
                source_numbers=added.source_numbers,
                quality=added.quality,
                codes=added.codes,
            )
        if left or now != content:
            return None
        return replace(self, base=base, recent=tuple(recent), content=now)

    def _with(self, recent: list[_Part], added: HashRows) -> list[_Part]:
        """Merge new rows with the parts that are not much larger; these are made anew, never changed."""
        blocks, total = [added], len(added)
        scanned = min(_SCANNED, _SCANNED_BYTES // self.algorithm.n_bytes)
        while recent and (
            len(recent[-1].columns) + total <= scanned
            or (total > scanned and len(recent[-1].columns) <= _MERGE_RATIO * total)
        ):
            blocks.insert(0, recent.pop().rows(self.algorithm.name))
            total += len(blocks[0])
        rows = _joined(blocks)
        if len(rows) <= scanned:
            index: AnyIndex = LinearIndex.build(rows.codes, metric=self.algorithm.metric)
        else:
            index = build_index(rows.codes, metric=self.algorithm.metric, radius=self.radius, costs=self.costs)
        return [*recent, _part(index, rows, self.base.guided is not None, self.min_quality)]


def _joined(blocks: list[HashRows]) -> HashRows:
    names = ("codes", "hash_ids", "entry_keys", "quality", "source_numbers")
    return HashRows(
        algorithm=blocks[0].algorithm,
        **{name: np.concatenate([getattr(block, name) for block in blocks]) for name in names},
    )


def _part(index: AnyIndex, rows: HashRows, crops: bool, min_quality: int) -> _Part:
    columns = Columns.of(rows)
    return _Part(index, columns, _guided(rows.codes) if crops else None, plain=_plain_rows(columns, min_quality))


def _either(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _plain_rows(columns: Columns, min_quality: int) -> NDArray[np.bool_] | None:
    """Mark the rows that state less than a quality; None where none does. Unknown is -1."""
    quality = columns.quality
    if not min_quality or not len(quality):
        return None
    if quality.strides == (0,):  # one number for all rows
        return np.ones(len(quality), np.bool_) if 0 <= quality[0] < min_quality else None
    plain: NDArray[np.bool_] = (quality >= 0) & (quality < min_quality)
    return plain if plain.any() else None


def _guided(codes: NDArray[np.uint8]) -> GuidedIndex:
    # only a policy that looks for crops loads the code for them
    from hashmatch.views.crops import guided_index

    return guided_index(codes)
