"""The keypoint records of one list, searchable: candidates from an index, each judged by laying it over the query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.index import KeypointIndex, pack_geometry
from hashmatch.index.segmented import Segments
from hashmatch.index.storage import Section
from hashmatch.keypoints.points import CODE_BYTES, Keypoints
from hashmatch.keypoints.record import Record, key_check
from hashmatch.lists import Changes, Content
from hashmatch.policy import KeypointRule
from hashmatch.store.columns import RecordColumns
from hashmatch.store.index_file import identity_of, note, open_tagged, tag_from
from hashmatch.store.listed import ListedRows, ListedSegment, Second

if TYPE_CHECKING:
    from hashmatch.features.extract import KeypointLook
    from hashmatch.index import Candidate
    from hashmatch.lists import PinnedVersion, RecordStream

__all__ = ["KeypointFiles", "SearchableRecords"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Points:
    """Points of many records, one after the other, how many each record has, and the rows the records come from."""

    codes: NDArray[np.uint8]
    geometry: NDArray[np.uint8]
    counts: Ints
    columns: RecordColumns

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KeypointSegment(ListedSegment):
    """One index of records; ``searched`` are its rows that are not deleted, None where all are not."""

    index: KeypointIndex
    columns: RecordColumns
    searched: NDArray[np.bool_] | None = field(init=False)

    def __post_init__(self) -> None:
        is_empty = self.index.points_of_entries == 0
        n_empty = int(np.count_nonzero(is_empty if self.deleted is None else is_empty & ~self.deleted))
        object.__setattr__(self, "n_left_out", n_empty)
        object.__setattr__(self, "searched", None if self.deleted is None else ~self.deleted)

    def content(self, list_id: str, rows: Ints) -> Content:  # noqa: ARG002 - the check values know the list
        """Work out the content of some rows, ascending."""
        return self.columns.content(rows)

    def listed(self) -> _Points:
        """Give the points of the rows that are not deleted."""
        codes, geometry = self.index.points()
        counts, rows = self.index.points_of_entries, self.live()
        is_kept = np.repeat(np.ones(len(self), np.bool_) if self.deleted is None else ~self.deleted, counts)
        columns = RecordColumns(*(getattr(self.columns, name)[rows] for name in ("hash_ids", "entry_keys", "marks")))
        return _Points(codes[is_kept], geometry[is_kept], counts[rows], columns)


@dataclass(frozen=True, slots=True)
class KeypointFiles:
    """How the index files of keypoint records are made and read; a `hashmatch.store.folder.Files`.

    Parameters
    ----------
    rule : KeypointRule
        The policy's rule; records made with another key, or with one where it has none, are left out, and so are those
        that state less quality than it asks for.
    """

    rule: KeypointRule
    name: ClassVar[str] = "keypoint"
    row_bytes: ClassVar[int] = 4096

    @property
    def made_for(self) -> str:
        """The key and the least quality."""
        return f"{self._key or 'open'}-q{self.rule.min_quality}"

    @property
    def _key(self) -> str:
        return "" if self.rule.key is None else key_check(self.rule.key).hex()

    def _tag(self, list_id: str) -> dict[str, str]:
        quality = str(self.rule.min_quality)
        return {"list": list_id, "algorithm": self.name, "key": self._key, "min_quality": quality}

    def in_memory(self, pinned: PinnedVersion) -> SearchableRecords:
        """Index all records of a list; ``docs/explanation/indexes.md`` has time and memory by the size of the list."""
        segments = Segments(_indexed(_read(self.rule, pinned.records(self.name))))
        return SearchableRecords(
            list_id=pinned.list_id, segments=segments, content=pinned.contents[self.name], files=self
        )

    def read(self, path: Path, list_id: str, *, second: Second, maps: bool) -> SearchableRecords:  # noqa: ARG002 - has none
        """Take all records of the version that a file was made at from it."""
        kept, file = open_tagged(path, self._tag(list_id), maps=maps)
        base = KeypointSegment(index=KeypointIndex._from_file(file), columns=RecordColumns.read(file))
        held = () if kept.held is None else (kept.held,)
        segments = Segments(base)
        return SearchableRecords(
            list_id=list_id, segments=segments, content=kept.content, kept=kept, held=held, files=self
        )

    def make(
        self,
        path: Path,
        pinned: PinnedVersion,
        *,
        memory: int,  # noqa: ARG002 - the tables are made in memory
        stopped: Callable[[], bool],
    ) -> None:
        """Make the index file of a list, in memory: 41 bytes a point, about 185 points a record."""
        segment = _indexed(_read(self.rule, pinned.records(self.name), stopped))
        if stopped():
            raise InterruptedError("the making of an index file was stopped")
        sections = [
            Section(name, next(kind for kind in kinds if _fits(array, kind)), [array])
            for name, kinds, array in segment.columns.named()
        ]
        segment.index._write(path, self._tag(pinned.list_id) | tag_from(pinned, self.name), sections)
        identity = identity_of(path)
        if identity is not None:
            note(path, identity)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SearchableRecords(ListedRows[KeypointSegment, _Points]):
    """All keypoint records in one version of a list.

    Parameters
    ----------
    files : KeypointFiles
        Which records are searched.
    """

    files: KeypointFiles

    def candidates(self, look: KeypointLook) -> Iterator[tuple[int, int, Candidate]]:
        """Propose live entries of which the query may show a part.

        Parameters
        ----------
        look : KeypointLook
            The query.

        Yields
        ------
        (hash_id, key, candidate)
            Number of the record's row, key of its entry, and which points agree.
        """
        points, mirrored = look.points, look.mirrored
        if points.margins is None:
            raise ValueError("keypoints of a query carry margins")
        places = pack_geometry(points.x, points.y, points.sigma, points.angle)
        for part in self.segments.parts:
            if not part.index.n_points:
                continue
            self.check_files()
            found = part.index.search(
                points.codes,
                points.margins,
                places,
                mirrored_codes=mirrored.codes,
                live=part.searched,
            )
            self.check_files()
            for item in found:
                yield int(part.columns.hash_ids[item.entry]), int(part.columns.entry_keys[item.entry]), item

    def _added(self, changes: Changes) -> tuple[_Points, Content] | None:
        added = changes.records.get(self.files.name)
        if added is None or not len(added):
            return None
        points = _read(self.files.rule, added)
        return points, points.columns.content(np.arange(len(points)))

    def _segment(self, added: _Points, merged: Sequence[KeypointSegment]) -> KeypointSegment:
        return _indexed(_joined([*(part.listed() for part in merged), added]))


def _fits(array: Ints, kind: str) -> bool:
    bounds = np.iinfo(kind)
    return not len(array) or (bounds.min <= int(array.min()) and int(array.max()) <= bounds.max)


def _indexed(points: _Points) -> KeypointSegment:
    index = KeypointIndex.build(
        points.codes, np.repeat(np.arange(len(points)), points.counts), points.geometry, n_entries=len(points)
    )
    return KeypointSegment(index=index, columns=points.columns)


def _read(rule: KeypointRule, records: RecordStream, stopped: Callable[[], bool] = lambda: False) -> _Points:
    """Read the points of records; none of those that are not searched."""
    key_id = None if rule.key is None else key_check(rule.key)
    blocks = [_NOTHING]
    for block in records:
        if stopped():
            raise InterruptedError("the making of an index file was stopped")
        is_plain = (block.quality >= 0) & (block.quality < rule.min_quality)
        read = [_listed(data) for data in block]
        points = [
            record.points if record.key_id == key_id and not plain else _none()
            for record, plain in zip(read, is_plain.tolist(), strict=True)
        ]
        blocks.append(
            _Points(
                codes=np.concatenate([item.codes for item in points]),
                geometry=_geometry(points),
                counts=np.array([len(item) for item in points], np.int64),
                columns=RecordColumns.of(block),
            )
        )
    return _joined(blocks)


def _joined(blocks: Sequence[_Points]) -> _Points:
    names = ("hash_ids", "entry_keys", "marks")
    return _Points(
        codes=np.concatenate([block.codes for block in blocks]),
        geometry=np.concatenate([block.geometry for block in blocks]),
        counts=np.concatenate([block.counts for block in blocks]),
        columns=RecordColumns(*(np.concatenate([getattr(block.columns, name) for block in blocks]) for name in names)),
    )


def _listed(data: bytes) -> Record:
    try:
        return Record.from_bytes(data)
    except HashFormatError as error:  # no list of this software takes such a record; the file was written by another
        raise ReferenceListError(f"the list holds bytes that are no keypoint record: {error}") from None


def _geometry(points: list[Keypoints]) -> NDArray[np.uint8]:
    return pack_geometry(*(np.concatenate([getattr(p, name) for p in points]) for name in ("x", "y", "sigma", "angle")))


def _none() -> Keypoints:
    none = np.empty(0, np.float32)
    return Keypoints(1.0, 1.0, none, none, none, none, np.empty((0, CODE_BYTES), np.uint8))


_NO_IDS: Final = np.empty(0, np.int64)
_NOTHING: Final = _Points(
    codes=np.empty((0, CODE_BYTES), np.uint8),
    geometry=np.empty((0, 4), np.uint8),
    counts=_NO_IDS,
    columns=RecordColumns(_NO_IDS, _NO_IDS, _NO_IDS),
)
