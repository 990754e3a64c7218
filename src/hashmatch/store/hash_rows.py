"""The hashes of a fixed length of one algorithm in one list, searchable by distance and, where filed, by evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS, Algorithm
from hashmatch.errors import IndexFormatError
from hashmatch.index import Costs, LinearIndex, build_index
from hashmatch.index.probing import guided_index
from hashmatch.index.segmented import Segments, most_scanned
from hashmatch.index.verification import AnyIndex
from hashmatch.lists import Changes, Content, HashRows, content_of
from hashmatch.policy import Rule
from hashmatch.store.columns import HashColumns
from hashmatch.store.held import HeldFile
from hashmatch.store.index_file import MappedIndex, build_index_file, crops_of, open_crops, open_index_file, write_crops
from hashmatch.store.listed import ListedRows, ListedSegment, Second

if TYPE_CHECKING:
    from hashmatch.index.probing import GuidedIndex
    from hashmatch.lists import PinnedVersion

__all__ = ["HashFiles", "SearchableHashes"]

Ints = NDArray[np.int64]


class _HasPosition(Protocol):
    @property
    def position(self) -> int: ...


Placed = TypeVar("Placed", bound=_HasPosition)
GuidedSearch: TypeAlias = "Callable[[GuidedIndex, NDArray[np.bool_] | None], Iterable[Placed]]"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HashSegment(ListedSegment):
    """One index, what is known of its rows, and the same hashes filed for crop searches.

    ``plain`` rows state too little quality; ``hidden`` ones are plain or deleted.
    """

    algorithm: str
    index: AnyIndex
    columns: HashColumns
    guided: GuidedIndex | None = None
    plain: NDArray[np.bool_] | None = None
    hidden: NDArray[np.bool_] | None = field(init=False)

    def __post_init__(self) -> None:
        hidden = _either(self.deleted, self.plain)
        object.__setattr__(self, "hidden", hidden)
        n_hidden = 0 if hidden is None else int(np.count_nonzero(hidden))
        object.__setattr__(self, "n_left_out", n_hidden - self.n_deleted)

    def content(self, list_id: str, rows: Ints) -> Content:
        """Work out the content of some rows, ascending."""
        return self.columns.content(list_id, self.algorithm, self.index, rows)

    def listed(self) -> HashRows:
        """Give the rows that are not deleted."""
        columns, rows = self.columns, self.live()
        return HashRows(
            algorithm=self.algorithm,
            codes=self.index.all_codes()[rows],
            hash_ids=columns.hash_ids[rows],
            entry_keys=columns.entry_keys[rows],
            quality=columns.quality[rows],
            source_numbers=columns.source_numbers[rows],
        )


@dataclass(frozen=True, slots=True)
class HashFiles:
    """How the index files of hashes of a fixed length are made and read; a `hashmatch.store.folder.Files`.

    Parameters
    ----------
    rule : Rule
        The policy's rule: the radius that indexes are made for, and the least quality that a hash may state to be
        searched; those that state none are.
    costs : Costs
        Measured costs, by which indexes are chosen.
    crops : bool
        Whether they are searched for crops or rotated pictures too, by a second file; for PDQ.
    """

    rule: Rule
    costs: Costs
    crops: bool = False

    @property
    def name(self) -> str:
        """Name of the algorithm."""
        return self.rule.algorithm

    @property
    def made_for(self) -> str:
        """The radius."""
        return f"r{self.rule.threshold}"

    @property
    def row_bytes(self) -> int:
        """Bytes of a hash."""
        return self.algorithm.n_bytes

    @property
    def algorithm(self) -> Algorithm:
        """What the hashes are."""
        return ALGORITHMS[self.rule.algorithm]

    def in_memory(self, pinned: PinnedVersion) -> SearchableHashes:
        """Index all hashes of a list without a file."""
        content = pinned.contents[self.name]
        return SearchableHashes(
            list_id=pinned.list_id, segments=Segments(self.segment(pinned.rows(self.name))), content=content, files=self
        )

    def segment(self, rows: HashRows, most: int = 0) -> HashSegment:
        """Index rows; up to so many by a scan."""
        metric = self.algorithm.metric
        if len(rows) <= most:
            index: AnyIndex = LinearIndex.build(rows.codes, metric=metric)
        else:
            index = build_index(rows.codes, metric=metric, radius=self.rule.threshold, costs=self.costs)
        columns, plain = HashColumns.of(rows), _plain_rows(rows.quality, self.rule.min_quality)
        guided = _guided(rows.codes) if self.crops else None
        return HashSegment(algorithm=self.name, index=index, columns=columns, guided=guided, plain=plain)

    def read(self, path: Path, list_id: str, *, second: Second, maps: bool) -> SearchableHashes:
        """Take all hashes of the version that a file was made at from it, and from the file for crops."""
        kept = self._opened(path, list_id, maps=maps)
        guided, more = (None, None) if second == "leave" or not self.crops else self._crops(path, kept, second, maps)
        plain = _plain_rows(kept.columns.quality, self.rule.min_quality)
        base = HashSegment(algorithm=self.name, index=kept.index, columns=kept.columns, guided=guided, plain=plain)
        held = tuple(held for held in (kept.file.held, more) if held is not None)
        content = kept.file.content
        return SearchableHashes(
            list_id=list_id, segments=Segments(base), content=content, kept=kept.file, held=held, files=self
        )

    def _opened(self, path: Path, list_id: str, *, maps: bool = True) -> MappedIndex:
        return open_index_file(path, list_id, self.algorithm, self.rule.threshold, self.costs, maps=maps)

    @staticmethod
    def _crops(path: Path, kept: MappedIndex, second: Second, maps: bool) -> tuple[GuidedIndex, HeldFile | None]:
        wanted = crops_of(path, kept.file.content)
        try:
            return open_crops(wanted, kept, maps=maps)
        except (FileNotFoundError, IndexFormatError):
            if second != "make":
                raise
        _make_crops(path, kept)
        return open_crops(wanted, kept, maps=maps)

    def make(self, path: Path, pinned: PinnedVersion, *, memory: int, stopped: Callable[[], bool]) -> None:
        """Make the file of a version of a list, and that for crops."""
        build_index_file(path, pinned, self.algorithm, self.rule.threshold, self.costs, memory=memory, stopped=stopped)
        if self.crops:
            _make_crops(path, self._opened(path, pinned.list_id))


def _make_crops(path: Path, kept: MappedIndex) -> None:
    """Make the file for crops that belongs to an index file, whose lock the caller holds; older ones go."""
    wanted = crops_of(path, kept.file.content)
    write_crops(wanted, kept)
    for other in [*path.parent.glob(f"{path.stem}.*.crops"), *path.parent.glob(f".{path.stem}.*.crops.*")]:
        if not other.name.lstrip(".").startswith(wanted.name):
            with suppress(OSError):
                other.unlink()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SearchableHashes(ListedRows[HashSegment, HashRows]):
    """All hashes of one algorithm in one version of a list; any radius is searched exactly.

    Parameters
    ----------
    files : HashFiles
        What the indexes are made for.
    """

    files: HashFiles

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
        self.check_files()
        for part in self.segments.parts:
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
        self.check_files()
        return found

    def search_guided(self, search: GuidedSearch[Placed], min_quality: int = 0) -> list[tuple[Placed, int, bytes]]:
        """Find live hashes by evidence.

        Parameters
        ----------
        search : callable
            Searches one index for the query: takes the index and which of its rows are withdrawn or state too little
            quality, or None.
        min_quality : int
            Least quality that a hash may state, where that is more than the least of all searches; costs a byte a row.

        Returns
        -------
        list of (found, key, code)
            What was found, key of the entry, and the entry's hash. Empty where no crop file was built.
        """
        found: list[tuple[Placed, int, bytes]] = []
        self.check_files()
        for part in self.segments.parts:
            if part.guided is None:
                continue
            hidden = part.hidden
            if min_quality > self.files.rule.min_quality:
                hidden = _either(hidden, _plain_rows(part.columns.quality, min_quality))
            for item in search(part.guided, hidden):
                (code,) = part.index.codes_at([item.position])
                found.append((item, int(part.columns.entry_keys[item.position]), code.tobytes()))
        self.check_files()
        return found

    def _added(self, changes: Changes) -> tuple[HashRows, Content] | None:
        added = changes.added.get(self.files.name)
        if added is None or not len(added):
            return None
        content = content_of(
            self.list_id,
            self.files.name,
            hash_ids=added.hash_ids,
            entry_keys=added.entry_keys,
            source_numbers=added.source_numbers,
            quality=added.quality,
            codes=added.codes,
        )
        return added, content

    def _segment(self, added: HashRows, merged: Sequence[HashSegment]) -> HashSegment:
        rows = _joined([*(part.listed() for part in merged), added])
        return self.files.segment(rows, most_scanned(self.files.row_bytes))


def _joined(blocks: list[HashRows]) -> HashRows:
    names = ("codes", "hash_ids", "entry_keys", "quality", "source_numbers")
    return HashRows(
        algorithm=blocks[0].algorithm,
        **{name: np.concatenate([getattr(block, name) for block in blocks]) for name in names},
    )


def _either(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _plain_rows(quality: NDArray[Any], min_quality: int) -> NDArray[np.bool_] | None:
    """Mark the rows that state less than a quality; None where none does. Unknown is -1."""
    if not min_quality or not len(quality):
        return None
    if quality.strides == (0,):  # one number for all rows
        return np.ones(len(quality), np.bool_) if 0 <= quality[0] < min_quality else None
    plain: NDArray[np.bool_] = (quality >= 0) & (quality < min_quality)
    return plain if plain.any() else None


def _guided(codes: NDArray[np.uint8]) -> GuidedIndex:
    # only a policy that looks for crops loads the code for them
    return guided_index(codes)
