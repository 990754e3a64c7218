"""What every reader of a delivery yields: operations on a list, and what it refused.

Floor: lists. A reader is any iterable of operations. Every row, record or element of the delivery becomes one of them,
so a bad one neither stops the rest nor vanishes. No reason shows what the delivery said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from hashmatch.errors import ReferenceListError
from hashmatch.lists.entry import Entry

__all__ = ["Checkpoint", "Delete", "Flaw", "LeftOut", "Operation", "Refused", "Row", "SnapshotEnd", "Upsert"]

MAX_CHECKPOINT: Final = 4_096


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something in an otherwise good line that was left out or changed.

    Parameters
    ----------
    line : int
        Number of the line or record, from 1.
    column : str
        Name of the column or field; empty if the flaw concerns the whole line.
    kind : {"left out", "cut", "cleaned", "misquoted"}
        ``"left out"``: the cell was not read. ``"cut"``: a label was too long. ``"cleaned"``: characters that are no
        text were taken out of a label. ``"misquoted"``: the line was read without regard to its quotes.
    reason : str
        Cause, without the content of the cell.
    """

    line: int
    column: str
    kind: Literal["left out", "cut", "cleaned", "misquoted"]
    reason: str

    def __str__(self) -> str:
        return f"{f'column {self.column}' if self.column else 'the line'} was {self.kind}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Upsert:
    """What a source says of an entry.

    Parameters
    ----------
    line : int
        Number of the line or record, from 1.
    entry : Entry
        The entry with the listing of each source that the record speaks for.
    flaws : tuple of Flaw
        What was left out or changed.
    whole : bool
        Whether these listings are all that their sources say of the entry: what they said before is taken back. False
        adds to it. Several upserts of one entry in one import add up in either case.
    replaces : str
        Source of a feed, whose latest word this is: all that the source, and those named after it, said of the entry,
        also earlier in this import, is taken back. Empty for none.
    """

    line: int
    entry: Entry
    flaws: tuple[Flaw, ...] = field(default=(), repr=False)
    whole: bool = field(default=False, repr=False)
    replaces: str = field(default="", repr=False)


Row = Upsert


@dataclass(frozen=True, slots=True)
class Delete:
    """A source takes an entry back.

    Parameters
    ----------
    line : int
        Number of the line or record, from 1.
    entry_id : str
        Name of the entry. One that the source does not list counts as unchanged.
    source : str
        Who lists it. Sources named after it, ``SOURCE/SUFFIX``, take it back too.
    """

    line: int
    entry_id: str
    source: str


def checked_checkpoint(text: str) -> str:
    """Return the text of a checkpoint if a list may hold it; ReferenceListError if not."""
    if len(text) > MAX_CHECKPOINT or not (text.isascii() and (not text or text.isprintable())):
        raise ReferenceListError(f"a checkpoint is at most {MAX_CHECKPOINT} printable ASCII characters")
    return text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a feed goes on after everything before this operation; the list keeps it with the source.

    Parameters
    ----------
    source : str
        Whose feed it is.
    value : str
        Opaque text of the feed, at most 4,096 characters, never a secret; empty to begin anew.
    """

    source: str
    value: str


@dataclass(frozen=True, slots=True)
class SnapshotEnd:
    """A source has said all that it lists: its entries that did not come since the import began are taken back.

    Parameters
    ----------
    source : str
        The source. Sources named after it, ``SOURCE/SUFFIX``, end with it.
    """

    source: str


@dataclass(frozen=True, slots=True)
class Refused:
    """One line or record without anything that a list can hold.

    Parameters
    ----------
    line : int
        Number of the line or record, from 1.
    reason : str
        Cause, without the content of the line.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One line or record that was not asked for.

    Parameters
    ----------
    line : int
        Number of the line or record, from 1.
    """

    line: int


Operation = Upsert | Delete | Checkpoint | SnapshotEnd | Refused | LeftOut
"""What a reader yields."""
