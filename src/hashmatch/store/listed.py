"""The rows of one algorithm in one version of a list, searchable, whatever kind of index finds them.

A list changes by a few entries at a time, so a new version does not rebuild the index: later rows are held in small
segments beside it, and withdrawn ones are masked (`hashmatch.index.segmented`). The cost depends on what changed.

The rows know their content (see `hashmatch.lists.read.content`), and so whether they are what the list says it holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence, Sized
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, Literal, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashmatch.index.segmented import Segment, Segments, most_scanned
from hashmatch.lists import Changes, Content
from hashmatch.store.columns import Columns
from hashmatch.store.held import HeldFile
from hashmatch.store.index_file import MappedFile

__all__ = ["AnyRows", "ListedRows", "ListedSegment", "Second"]

Second: TypeAlias = Literal["leave", "open", "make"]
"""What becomes of the second file of an index file, where it has one."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ListedSegment(Segment, ABC):
    """A segment and the columns of its rows.

    Parameters
    ----------
    columns : Columns
        What the list says of each row.
    n_left_out : int
        Listed rows that are not searched; set when it is made.
    """

    columns: Columns
    n_left_out: int = field(init=False, default=0)

    def __len__(self) -> int:
        return len(self.columns)

    def places(self, ids: Ints) -> tuple[Ints, Ints]:
        """Find numbers of rows, as `Columns.places`."""
        return self.columns.places(ids)

    @abstractmethod
    def content(self, list_id: str, rows: Ints) -> Content:
        """Work out the content of some rows, ascending."""


class Named(Protocol):
    """What `hashmatch.store.folder.Files` has in common for all rows."""

    @property
    def name(self) -> str:
        """Name of the algorithm."""

    @property
    def row_bytes(self) -> int:
        """Bytes of the hash of a row, about."""


S = TypeVar("S", bound=ListedSegment)
B = TypeVar("B", bound=Sized)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ListedRows(ABC, Generic[S, B]):
    """All rows of one algorithm in one version of a list; immutable.

    Parameters
    ----------
    list_id : str
        The list that they are of.
    files : Files
        What the indexes are made for, and how their files are made and read.
    segments : Segments
        The rows.
    content : Content
        Of all rows that are listed.
    kept : MappedFile or None
        The file that the large segment is.
    held : tuple of HeldFile
        The mapped files, to see whether they are still what was checked.
    """

    list_id: str
    files: Named
    segments: Segments[S]
    content: Content
    kept: MappedFile | None = None
    held: tuple[HeldFile, ...] = ()

    def __len__(self) -> int:
        """Count the rows that are listed."""
        return self.content.n_rows

    @property
    def n_left_out(self) -> int:
        """Listed rows that are not searched."""
        return sum(part.n_left_out for part in self.segments.parts)

    @property
    def is_overgrown(self) -> bool:
        """As `Segments.is_overgrown`."""
        return self.segments.is_overgrown

    @property
    def is_spoilt(self) -> bool:
        """Whether a mapped file is no longer what was checked."""
        return any(held.is_spoilt for held in self.held)

    def check_files(self) -> None:
        """Raise IndexFormatError where a mapped file is no longer what was checked."""
        for held in self.held:
            held.check()

    def entry_keys(self) -> Ints:
        """Keys of the entries of all listed rows, int64; an entry stands once for each of its rows."""
        self.check_files()
        keys = []
        for part in self.segments.parts:
            own = part.columns.entry_keys
            keys.append(own if part.deleted is None else own[~part.deleted])
        return np.concatenate(keys)

    def updated(self, changes: Changes, content: Content) -> Self | None:
        """Make the rows of a later version.

        Parameters
        ----------
        changes : Changes
            What came and went since this version.
        content : Content
            What the list says of its rows at that version.

        Returns
        -------
        ListedRows or None
            None when these changes do not make of this what the list holds: it went on differently.

        Raises
        ------
        ReferenceListError
            If the list holds as a hash what is none.

        Notes
        -----
        Cost: what changed; a byte a row of each segment that loses a row (3 ms for ten million rows); for added rows,
        those of the recent segments that are made anew with them (`Segments.added`).
        """
        withdrawn = changes.withdrawn.get(self.files.name, np.empty(0, np.int64))
        found, now = self.segments.find(withdrawn), self.content
        if found is None:
            return None
        for part, rows in zip(self.segments.parts, found, strict=True):
            if len(rows):
                now -= part.content(self.list_id, rows)
        segments = self.segments.without(found)
        added = self._added(changes)
        if added is not None:
            block, more = added
            segments = segments.added(len(block), most_scanned(self.files.row_bytes), partial(self._segment, block))
            now += more
        if now != content:
            return None
        return replace(self, segments=segments, content=now)

    @abstractmethod
    def _added(self, changes: Changes) -> tuple[B, Content] | None:
        """Read the rows that came, and their content; None where none did."""

    @abstractmethod
    def _segment(self, added: B, merged: Sequence[S]) -> S:
        """Make the segment of the rows of some segments that are not deleted, and then of those that came."""


AnyRows: TypeAlias = ListedRows[Any, Any]
