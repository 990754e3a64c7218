"""The keypoint records of one list, searchable: candidates from an index, each judged by laying it over the query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import HashFormatError, IndexFormatError, ReferenceListError
from hashmatch.index import KeypointIndex, pack_geometry
from hashmatch.keypoints.points import CODE_BYTES, Keypoints
from hashmatch.keypoints.record import Record, key_check
from hashmatch.store.held import HeldFile
from hashmatch.store.index_file import lock_of, note, read_noted

if TYPE_CHECKING:
    from hashmatch.features.extract import KeypointLook
    from hashmatch.index import Candidate
    from hashmatch.lists import RecordStream
    from hashmatch.policy import KeypointRule

__all__ = ["KeypointLayer"]

_REBUILD_SHARE: Final = 0.1
_REBUILD_FLOOR: Final = 1024
_ALGORITHM: Final = "keypoint"
_COPY: Final = "copy"

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class _Gathered:
    """Points of many records, one after the other, and the rows they come from."""

    codes: NDArray[np.uint8]
    places: NDArray[np.uint8]
    counts: Ints
    hash_ids: Ints
    entry_keys: Ints


_NOTHING: Final = _Gathered(
    codes=np.empty((0, CODE_BYTES), np.uint8),
    places=np.empty((0, 4), np.uint8),
    counts=np.empty(0, np.int64),
    hash_ids=np.empty(0, np.int64),
    entry_keys=np.empty(0, np.int64),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One index, the rows that its entries stand for, which are listed, and for recent records what it was built from.

    ``live`` is None where all are listed; ``n_searched`` and ``n_left_out`` count the listed records with and without
    points in the index.
    """

    index: KeypointIndex
    hash_ids: Ints
    entry_keys: Ints
    gathered: _Gathered | None = None
    live: NDArray[np.bool_] | None = None
    held: HeldFile | None = None
    n_searched: int = field(init=False)
    n_left_out: int = field(init=False)

    def __post_init__(self) -> None:
        filled = self.index.points_of_entries > 0
        listed = len(filled) if self.live is None else int(np.count_nonzero(self.live))
        found = int(np.count_nonzero(filled if self.live is None else filled & self.live))
        object.__setattr__(self, "n_searched", found)
        object.__setattr__(self, "n_left_out", listed - found)

    def without(self, withdrawn: Ints) -> _Part:
        """Leave out rows that were withdrawn."""
        places = np.searchsorted(self.hash_ids, withdrawn)
        here = places[places < len(self.hash_ids)]
        here = here[np.isin(self.hash_ids[here], withdrawn)]
        if not here.size:
            return self
        live = np.ones(len(self.hash_ids), np.bool_) if self.live is None else self.live.copy()
        live[here] = False
        return replace(self, live=live)


@dataclass(frozen=True, slots=True, eq=False)
class KeypointLayer:
    """All keypoint records of one version of a list that were made with the policy's key; immutable.

    Parameters
    ----------
    rule : KeypointRule
        The policy's rule; records made with another key, or with one where it has none, are left out, and so are those
        that state less quality than it asks for.
    base, recent : _Part, _Part or None
        The large index, and the records added since it was built.
    withdrawn : (w,) int64 array
        Numbers of rows that are still in one of the indexes and must not be reported, sorted.
    """

    rule: KeypointRule
    base: _Part
    recent: _Part | None
    withdrawn: Ints

    @classmethod
    def build(
        cls,
        rule: KeypointRule,
        records: RecordStream,
        file: Path | None = None,
        own: Path | None = None,
        *,
        maps: bool = True,
    ) -> KeypointLayer:
        """Index all keypoint records of a list.

        Parameters
        ----------
        rule : KeypointRule
            The policy's rule.
        records : RecordStream
            All records of the list.
        file : Path, optional
            Where the index is kept between runs: taken from there, memory-mapped, when it was made from just these
            records; else built, written there and mapped.
        own : Path, optional
            Where it is kept instead while another copy of the list has the file.
        maps : bool
            False to copy the file into memory instead.

        Raises
        ------
        ReferenceListError
            If the list cannot be read, or holds as a record what is none.
        OSError
            If the file cannot be written.

        Notes
        -----
        Cost: ``docs/explanation/indexes.md`` has time and memory by the size of the list.
        """
        base = _part(rule, records) if file is None else _kept(file, own or file, rule, records, maps)
        # the index keeps the arrays it needs
        return cls(rule, replace(base, gathered=None), None, np.empty(0, np.int64))

    def __len__(self) -> int:
        """Count the records that are searched."""
        return self.base.n_searched + (0 if self.recent is None else self.recent.n_searched)

    @property
    def n_left_out(self) -> int:
        """Records that cannot be searched: of another key, of too little quality, or without a point."""
        return self.base.n_left_out + (0 if self.recent is None else self.recent.n_left_out)

    @property
    def held(self) -> tuple[HeldFile, ...]:
        """The mapped file, if any."""
        return () if self.base.held is None else (self.base.held,)

    def entry_keys(self) -> Ints:
        """Keys of the entries of all live records, int64; an entry stands once for each of its records."""
        parts = [part for part in (self.base, self.recent) if part is not None]
        return np.concatenate([part.entry_keys if part.live is None else part.entry_keys[part.live] for part in parts])

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
        for part in (self.base, self.recent):
            if part is None or not part.index.n_points:
                continue
            if part.held is not None:
                part.held.check()
            found = part.index.search(
                points.codes,
                points.margins,
                places,
                mirrored_codes=mirrored.codes,
                live=part.live,
            )
            if part.held is not None:
                part.held.check()
            for item in found:
                yield int(part.hash_ids[item.entry]), int(part.entry_keys[item.entry]), item

    def updated(self, added: RecordStream | None, withdrawn: Ints) -> KeypointLayer | None:
        """Make the layer of a later version.

        Parameters
        ----------
        added : RecordStream or None
            Records that came since.
        withdrawn : (w,) int64 array
            Numbers of rows that went since.

        Returns
        -------
        KeypointLayer or None
            None when so much has changed that building anew is the better way.
        """
        gone = np.union1d(self.withdrawn, withdrawn)
        later = (0 if added is None else len(added)) + (0 if self.recent is None else len(self.recent.hash_ids))
        if later + gone.size > max(_REBUILD_FLOOR, _REBUILD_SHARE * len(self.base.hash_ids)):
            return None
        recent = self.recent
        if added is not None and len(added):
            # the small index is made anew, never changed: another thread may be searching it
            recent = _part(self.rule, added, None if recent is None else recent.gathered)
        recent = None if recent is None else recent.without(gone)
        return replace(self, base=self.base.without(gone), recent=recent, withdrawn=gone)


def _part(rule: KeypointRule, records: RecordStream, before: _Gathered | None = None) -> _Part:
    """Index records, after those that were gathered before."""
    gathered = _gather(rule, records, before)
    index = KeypointIndex.build(
        gathered.codes,
        np.repeat(np.arange(len(gathered.counts)), gathered.counts),
        gathered.places,
        n_entries=len(gathered.counts),
    )
    return _Part(index, gathered.hash_ids, gathered.entry_keys, gathered)


def _gather(rule: KeypointRule, records: RecordStream, before: _Gathered | None) -> _Gathered:
    key_id = None if rule.key is None else key_check(rule.key)
    parts = [_NOTHING if before is None else before]
    for block in records:
        read = [_listed(data) for data in block]
        is_plain = (block.quality >= 0) & (block.quality < rule.min_quality)
        points = [
            record.points if record.key_id == key_id and not plain else _none()
            for record, plain in zip(read, is_plain.tolist(), strict=True)
        ]
        parts.append(
            _Gathered(
                codes=np.concatenate([item.codes for item in points]),
                places=_places(points),
                counts=np.array([len(item) for item in points], np.int64),
                hash_ids=block.hash_ids,
                entry_keys=block.entry_keys,
            )
        )
    names = ("codes", "places", "counts", "hash_ids", "entry_keys")
    return _Gathered(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _listed(data: bytes) -> Record:
    try:
        return Record.from_bytes(data)
    except HashFormatError as error:  # no list of this software takes such a record; the file was written by another
        raise ReferenceListError(f"the list holds bytes that are no keypoint record: {error}") from None


def _places(points: list[Keypoints]) -> NDArray[np.uint8]:
    return pack_geometry(*(np.concatenate([getattr(p, name) for p in points]) for name in ("x", "y", "sigma", "angle")))


def _none() -> Keypoints:
    none = np.empty(0, np.float32)
    return Keypoints(1.0, 1.0, none, none, none, none, np.empty((0, CODE_BYTES), np.uint8))


def _kept(file: Path, own: Path, rule: KeypointRule, records: RecordStream, maps: bool) -> _Part:
    """Take the index from its file, or make the file where it is missing, damaged or of other records."""
    key_id = "" if rule.key is None else key_check(rule.key).hex()
    tag = {
        "algorithm": _ALGORITHM,
        "content": f"{records.list_id} {records.content}",
        "key": key_id,
        "min_quality": str(rule.min_quality),
    }
    found = _fitting(file, tag, records, maps) or _fitting(own, tag, records, maps)
    if found is not None:
        return found
    place = own if _is_anothers(file, own.name) else file
    # of many workers that start at once one makes the file, the others wait and take it
    with lock_of(place, wait=True):
        found = _fitting(place, tag, records, maps)
        if found is not None:
            return found
        built = _part(rule, records)
        built.index.save(place, tag=tag | {_COPY: own.name})
        return _fitting(place, tag, records, maps) or built


def _is_anothers(file: Path, own: str) -> bool:
    """Whether the index of another copy of the list is there."""
    with suppress(FileNotFoundError, IndexFormatError):
        return read_noted(file)[2].tag.get(_COPY, own) != own
    return False


def _fitting(file: Path, tag: dict[str, str], records: RecordStream, maps: bool) -> _Part | None:
    """Load the index from its file; None where it is missing, damaged or of other records."""
    with suppress(FileNotFoundError, IndexFormatError):
        identity, known, data, held = read_noted(file, maps=maps)
        index = KeypointIndex._from_file(data)
        if not known:
            note(file, identity)
        if {**index.tag, _COPY: ""} == {**tag, _COPY: ""}:
            hash_ids, entry_keys = records.rows()
            # rows withdrawn while this was read: what remains no longer says which entry is which
            if len(hash_ids) == len(index):
                return _Part(index, hash_ids, entry_keys, held=held)
    return None
