"""INTERPOL's ICSE export: a table with semicolons, of which rows may have too few or too many fields.

Floor: lists. Read are MD5, SHA1, PhotoDNA, the image's id, three flags and Baseline. ZZ40, which looks like an MD5,
and Lace are not read; the names of series, investigations and agencies are never kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import Entry, ListedHash, Listing
from hashmatch.lists.formats.cells import default_entry_id, flag_from, is_nothing, parse_cell, visible
from hashmatch.lists.formats.decoding import MAX_LINE, decoded_lines
from hashmatch.lists.formats.operations import Flaw, Refused, Upsert
from hashmatch.lists.formats.quotes import Cut, Lines, cut

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["read", "recognises"]

_HASHES: Final = {"md5": "md5", "sha1": "sha1", "photodna": "photodna"}
_FLAGS: Final = {
    "is distributed": "distributed",
    "victim identified": "victim-identified",
    "offender identified": "offender-identified",
    "baseline": "interpol-baseline",
}
_ID: Final = "image id"
_FREE: Final = frozenset({"series name", "investigation name", "agency"})
"""Columns of free text, which may have semicolons in it."""
_CERTAIN: Final = frozenset({"md5", "zz40", "lace", "baseline"})
_ID_FORM: Final = re.compile("[0-9]{1,20}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LOWER: Final = re.compile("[0-9a-f]{32}")


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read an ICSE export.

    Parameters
    ----------
    stream : binary file
        The table, with its header, whose columns may have any order.
    delivery : Delivery
        Who lists it, for what, and the encoding.

    Yields
    ------
    Upsert or Refused
        One for each row that is not blank. An entry is named ``icse-ID`` after its image id, or by `default_entry_id`
        of its first hash where it has none.

    Raises
    ------
    HashFormatError
        If the first line names no column of hashes, or the file ends within a row.
    ReferenceListError
        If it cannot be read.
    """
    return _operations(_Ending(stream), delivery)


def recognises(head: bytes) -> bool:
    """Whether the first line names columns that no other table has."""
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    first, *more = head.decode("utf-16" if wide else "utf-8-sig", "replace").lstrip().split("\n", 1)
    return bool(more) and _names(first) >= _CERTAIN


def _folded(name: str) -> str:
    return " ".join(visible(name).strip('"').split()).casefold()


def _names(line: str) -> set[str]:
    return {_folded(name) for name in line.split(";")}


class _Ending:
    """A stream that remembers how it ended."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int) -> bytes:
        """Read, and keep the last bytes."""
        data = self._stream.read(size)
        self._last = (self._last + data[-4:])[-4:]
        return data

    @property
    def ends_a_line(self) -> bool:
        """Whether the last character ends a line."""
        return self._last.rstrip(b"\0").endswith((b"\n", b"\r"))


def _operations(stream: _Ending, delivery: Delivery) -> Iterator[Upsert | Refused]:
    lines = Lines(decoded_lines(cast("BinaryIO", stream), delivery.encoding))
    plan: _Columns | None = None
    record: Cut | None = None
    while (line := lines.take()) is not None:
        number, text = line
        record = None
        if text is None:
            if plan is None:
                break
            yield Refused(number, f"the line has more than {MAX_LINE} characters")
        elif not text or text.isspace():
            continue
        elif plan is None:
            plan = _Columns(text, delivery)
        else:
            record = cut(lines, number, text, ";", plan.reads)
            yield plan.row(record, number)
    if plan is None:
        raise HashFormatError("this is no ICSE export: it has no line that names its columns")
    if not stream.ends_a_line and not (record is not None and plan.is_whole(record)):
        raise HashFormatError("the file is cut short: nothing was imported")


class _Columns:
    """Where the columns of one table are."""

    def __init__(self, header: str, delivery: Delivery) -> None:
        names = [_folded(name) for name in header.split(";")]
        while names and not names[-1]:
            names.pop()
        self._n_fields = len(names)
        self._source, self._role, self._labels = delivery.source, delivery.role or "alarm", delivery.labels
        wanted = [*_HASHES, *_FLAGS, _ID]
        if not any(name in names for name in _HASHES) or any(names.count(name) > 1 for name in wanted):
            raise HashFormatError("this is no ICSE export: its first line does not name MD5, SHA1 or PhotoDNA once")
        self._at = {name: names.index(name) for name in wanted if name in names}
        free = [place for place, name in enumerate(names) if name in _FREE]
        self._free = (free[0], free[-1]) if free else (len(names), len(names))

    def reads(self, record: Cut) -> bool:
        """Whether a record has all its fields and is a good row."""
        return len(record.fields) == self._n_fields and isinstance(self.row(record, record.last), Upsert)

    def is_whole(self, record: Cut) -> bool:
        """Whether a record that no line end follows does not look cut."""
        if len(record.fields) < self._n_fields or not record.fields[-1].strip():
            return False
        has_end = self._at.get("baseline") == self._n_fields - 1
        return not has_end or record.fields[-1].strip().casefold() in ("yes", "no")

    def row(self, record: Cut, number: int) -> Upsert | Refused:
        """Read one record."""
        fields = record.fields
        flaws = [Flaw(number, "", "misquoted", record.misquoted)] if record.misquoted else []
        values: list[HashValue] = []
        for name, algorithm in _HASHES.items():
            cell = self._cell(fields, name)
            if not cell or is_nothing(cell):
                continue
            try:
                if name == "md5" and len(fields) < self._n_fields and not _LOWER.fullmatch(cell.strip()):
                    raise HashFormatError("the row lacks fields, and this may be the ZZ40: it is not in lower case")
                values.append(parse_cell(cell, algorithm))
            except HashFormatError as error:
                flaws.append(Flaw(number, name, "left out", str(error)))
        if not values:
            reason = "; ".join(f"column {flaw.column}: {flaw.reason}" for flaw in flaws if flaw.column)
            return Refused(number, reason or record.misquoted or "the record has no hash")
        labels = self._labelled(fields, number, flaws)
        said = self._cell(fields, _ID)
        entry_id = default_entry_id(values[0])
        if said is not None and _ID_FORM.fullmatch(said.strip()):
            entry_id = f"icse-{said.strip()}"
        elif said and not is_nothing(said):
            flaws.append(Flaw(number, _ID, "left out", "it is no number: the entry is named after its hash"))
        try:
            hashes = tuple([ListedHash(value) for value in values])
            entry = Entry(entry_id, (Listing(self._source, hashes, labels, self._role),))
        except ReferenceListError as error:
            return Refused(number, str(error))
        return Upsert(number, entry, tuple(flaws))

    def _labelled(self, fields: list[str], number: int, flaws: list[Flaw]) -> Mapping[str, str]:
        """Read the flags; of a row that lacks fields nobody knows where they are."""
        labels = dict(self._labels)
        if len(fields) < self._n_fields:
            flaws.append(Flaw(number, "baseline", "left out", "the row lacks fields: its flags have no certain place"))
            return labels
        for name, label in _FLAGS.items():
            cell = self._cell(fields, name)
            try:
                told = flag_from(cell)
            except ReferenceListError as error:
                flaws.append(Flaw(number, name, "left out", str(error)))
                continue
            if told is not None:
                labels[label] = "yes" if told else "no"
        return labels

    def _cell(self, fields: list[str], name: str) -> str | None:
        """Find a cell: from the left before the free texts, and from the right behind them if there are too many."""
        at = self._at.get(name)
        if at is None:
            return None
        n_more = len(fields) - self._n_fields
        if at > self._free[1] and n_more > 0 and any(cell.strip() for cell in fields[self._n_fields :]):
            at += n_more
        return fields[at] if at < len(fields) else None
