"""The table for people that `hashmatch list export --format csv` writes: a row for each hash.

Floor: lists. A cell is escaped so that no spreadsheet takes it for a formula, nor a part of it that a spreadsheet cuts
off at another separator. Where the cell, or what follows a semicolon, tab or bar in it, begins with an apostrophe, or
after any blanks with one of ``= + - @``, their full-width forms, a tab or a line end, an apostrophe is put before it.
The reader takes away one apostrophe at each such place, which gives back the cell in every case.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import (
    LOCAL,
    MAX_LABEL_NAME,
    MAX_LABELS,
    Entry,
    ListedHash,
    Listing,
    Role,
    checked_role,
    checked_text,
    checked_value,
)
from hashmatch.lists.formats.cells import parse_cell, quality_from
from hashmatch.lists.formats.decoding import MAX_LINE, decoded_lines
from hashmatch.lists.formats.operations import Flaw, Refused, Upsert

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["COLUMNS", "escaped", "kept_labels", "read", "recognises", "unescaped"]

COLUMNS: Final = ("entry_id", "source", "role", "hash", "quality", "labels")
_HEADER: Final = ",".join(COLUMNS)
_FORMULA: Final = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_ESCAPE: Final = re.compile(rf"(^|[;\t|])(?=\s*[{_FORMULA}]|')")
_UNESCAPE: Final = re.compile(r"(^|[;\t|])'")


def escaped(cell: str) -> str:
    """Keep spreadsheets from taking a cell for a formula."""
    return _ESCAPE.sub(r"\1'", cell)


def unescaped(cell: str) -> str:
    """Undo `escaped`."""
    return _UNESCAPE.sub(r"\1", cell) if "'" in cell else cell


def recognises(head: bytes) -> bool:
    """Whether the first line names just our columns."""
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].rstrip(b"\r")
    return first == _HEADER.encode()


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read a table that was exported.

    Rows keep the source and role that they name, unless the delivery names others: then an entry is listed by
    that source, or by one named after it if its role differs.
    """
    lines = decoded_lines(stream, delivery.encoding)
    first = next(lines, None)
    if first is None or first[1] != _HEADER:
        raise HashFormatError(f"this is no table that hashmatch wrote: its first line is not {_HEADER}")
    for number, text in lines:
        if text is None:
            yield Refused(number, f"the line has more than {MAX_LINE} characters")
        elif text and not text.isspace():
            yield _row(number, text, delivery)


def _row(number: int, text: str, delivery: Delivery) -> Upsert | Refused:
    try:
        cells = [unescaped(cell) for cell in next(csv.reader([text], strict=True))]
    except csv.Error:
        return Refused(number, "its quotes are misplaced")
    if len(cells) != len(COLUMNS):
        return Refused(number, f"the record has {len(cells)} fields, not {len(COLUMNS)}")
    entry_id, source, role, value, quality, labels = cells
    if "\ufffd" in entry_id or "\ufffd" in source:
        return Refused(number, "the entry id or source has bytes that are not of the file's encoding")
    flaws: list[Flaw] = []
    try:
        listed_for = delivery.role or checked_role(cast("Role", role))
        if delivery.source != LOCAL:
            source = delivery.source_for(listed_for)
        item = ListedHash(parse_cell(value, None), quality_from(quality))
        said = _labels(number, labels, flaws) | dict(delivery.labels)
        return Upsert(number, Entry(entry_id, (Listing(source, (item,), said, listed_for),)), tuple(flaws))
    except (HashFormatError, ReferenceListError) as error:
        return Refused(number, str(error))


def _labels(number: int, cell: str, flaws: list[Flaw]) -> dict[str, str]:
    """Read the labels of a row; each that cannot be held costs itself."""
    if not cell:
        return {}
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        flaws.append(Flaw(number, "labels", "left out", "it is no JSON object"))
        return {}
    return kept_labels(number, found, flaws)


def kept_labels(number: int, found: dict[str, Any], flaws: list[Flaw]) -> dict[str, str]:
    """Keep of labels what a list can hold; each other costs itself and is a flaw."""
    labels: dict[str, str] = {}
    for name, value in found.items():
        try:
            if len(labels) == MAX_LABELS:
                raise ReferenceListError(f"a source gives an entry at most {MAX_LABELS} labels")
            labels[checked_text(name, "the name of a label", MAX_LABEL_NAME)] = checked_value(value)
        except (ReferenceListError, TypeError) as error:
            flaws.append(Flaw(number, "labels", "left out", str(error)))
    return labels
