"""Rows of an index that changes: a large base segment, segments of recent additions, and deleted rows.

Every index that changes is one such value. A value is immutable: a change makes a new value, which shares all segments
that did not change. A search in the old value is therefore not affected.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Segment", "Segments", "most_scanned"]

_REBUILD_SHARE: Final = 0.1
_REBUILD_FLOOR: Final = 4096
_MERGE_RATIO: Final = 2
_SCANNED_BYTES: Final = 1 << 20  # up to here a recent segment is cheap to make anew, and cheap to search

Ints = NDArray[np.int64]


def most_scanned(n_bytes: int) -> int:
    """Largest number of rows of so many bytes up to which each addition makes a recent segment anew."""
    return max(1, _SCANNED_BYTES // n_bytes)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Segment(ABC):
    """Rows that are searched together, and which of them are deleted.

    Parameters
    ----------
    deleted : (n,) bool array or None
        Mask of deleted rows; None if no row is deleted.
    n_deleted : int
        Number of deleted rows, 0 or more.
    """

    deleted: NDArray[np.bool_] | None = None
    n_deleted: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """Count the rows, deleted ones included."""

    @abstractmethod
    def places(self, ids: Ints) -> tuple[Ints, Ints]:
        """Find ascending ids: which of them this segment has, and the row of each, deleted rows included."""

    def live(self) -> Ints:
        """Rows that are not deleted, ascending."""
        return np.arange(len(self)) if self.deleted is None else (~self.deleted).nonzero()[0]

    def without(self, rows: Ints) -> Self:
        """Delete rows that are not deleted already."""
        if not len(rows):
            return self
        deleted = np.zeros(len(self), np.bool_) if self.deleted is None else self.deleted.copy()
        deleted[rows] = True
        return replace(self, deleted=deleted, n_deleted=self.n_deleted + len(rows))


S = TypeVar("S", bound=Segment)


@dataclass(frozen=True, slots=True, eq=False)
class Segments(Generic[S]):
    """All rows of an index; immutable.

    Parameters
    ----------
    base : Segment or None
        The large segment, which no addition changes; None if there is none.
    recent : tuple of Segment
        Segments of rows that were added later, ascending, the larger segments first.
    """

    base: S | None
    recent: tuple[S, ...] = ()

    def __len__(self) -> int:
        """Count the rows that are not deleted."""
        return sum(len(part) - part.n_deleted for part in self.parts)

    @property
    def parts(self) -> tuple[S, ...]:
        """All segments, ascending."""
        return self.recent if self.base is None else (self.base, *self.recent)

    @property
    def is_overgrown(self) -> bool:
        """Whether so many rows were added or deleted since the base was made that it should be rebuilt."""
        later = sum(map(len, self.recent)) + sum(part.n_deleted for part in self.parts)
        return later > max(_REBUILD_FLOOR, _REBUILD_SHARE * (0 if self.base is None else len(self.base)))

    def find(self, ids: Ints) -> tuple[Ints, ...] | None:
        """Find ids, ascending and each once: the rows of each segment; None unless each is a row that is not deleted.

        Cost: a look-up an id and segment.
        """
        found, n_found = [], 0
        for part in self.parts:
            _, rows = part.places(ids)
            if part.deleted is not None and bool(part.deleted[rows].any()):
                return None
            found.append(rows)
            n_found += len(rows)
        return tuple(found) if n_found == len(ids) else None

    def without(self, found: Sequence[Ints]) -> Self:
        """Delete the rows that `find` returned; cost: a copy of a byte a row for each segment that loses a row."""
        parts = [part.without(rows) for part, rows in zip(self.parts, found, strict=True)]
        base, recent = (None, parts) if self.base is None else (parts[0], parts[1:])
        return replace(self, base=base, recent=tuple(recent))

    def added(self, n: int, most_scanned: int, make: Callable[[Sequence[S]], S]) -> Self:
        """Add rows, in one segment with the last recent segments that are not much larger.

        Parameters
        ----------
        n : int
            Number of the new rows.
        most_scanned : int
            Largest number of rows up to which every addition makes a segment anew.
        make : callable
            Makes one segment of the rows of some segments that are not deleted, followed by the new rows.

        Notes
        -----
        Beyond the first ``most_scanned`` rows, a row is rebuilt O(log n) times, and there are O(log n) recent segments.
        """
        kept, merged, total = [part for part in self.recent if part.n_deleted < len(part)], [], n
        while kept and (
            len(kept[-1]) <= most_scanned or (total > most_scanned and len(kept[-1]) <= _MERGE_RATIO * total)
        ):
            merged.append(kept.pop())
            total += len(merged[-1]) - merged[-1].n_deleted
        return replace(self, recent=tuple(chain(kept, [make(merged[::-1])])))
