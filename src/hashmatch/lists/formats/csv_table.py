"""Tables of hashes: CSV, TSV and the like, with a mapping from columns to what they mean.

Floor: lists. Only the columns that are mapped are read. Records may span lines within quotes; `quotes` tells
them from stray quotes.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.formats.decoding import MAX_LINE, checked_encoding, decoded_lines
from hashmatch.lists.formats.mapping import ColumnMapping, RowMaker, checked_delimiter, folded, mapping_of
from hashmatch.lists.formats.operations import LeftOut, Refused, Row
from hashmatch.lists.formats.quotes import Cut, Lines, cut

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["read", "read_table", "recognises"]

_DELIMITERS: Final = ",;\t|"
_DELIMITER_LINE: Final = re.compile(r'"?sep=([^"])"?[\s,;|]*', re.IGNORECASE)
_COMMENTS: Final = ("#", "%")
_MAX_ABOVE: Final = 100
_MAX_NAME_LINES: Final = 8
_TOO_LONG: Final = f"the line has more than {MAX_LINE} characters"


def read_table(
    file: str | os.PathLike[str] | BinaryIO,
    mapping: ColumnMapping,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Iterator[Row | Refused | LeftOut]:
    r"""Read hashes from a table, one entry a row.

    Parameters
    ----------
    file : path or binary file
        Read as a stream.
    mapping : ColumnMapping
        What the columns mean.
    delimiter : str, optional
        One character. By default that of the mapping, else that of comma, semicolon, tab and bar which finds all mapped
        columns in the first line; if several do, the one that makes most columns.
    encoding : str, optional
        By default that of the mapping, else UTF-8, or UTF-16 where the file begins with its byte order mark.

    Yields
    ------
    Row, Refused or LeftOut
        One for each record that is not blank and no comment. A record is refused as a whole: if it has another number
        of fields than the first line, a mapped cell is unacceptable, or no cell has a hash.

    Raises
    ------
    HashFormatError
        If it is something else than text, such as JSON, XML, a database, an archive or a workbook: the message names
        it.
    ReferenceListError
        If the file cannot be read, is too odd to have a header, or lacks a mapped column or has it twice.
    ValueError
        If the delimiter is not one character.
    LookupError
        If the encoding is unknown.

    Examples
    --------
    >>> import io
    >>> table = io.BytesIO(b"id;dhash;class\na-1;00FF00FF00FF00FF;A1\na-2;xyz;A1\n")
    >>> mapping = ColumnMapping(hashes={"dhash": "dhash"}, entry_id="id", labels={"class": "class"})
    >>> for row in read_table(table, mapping):
    ...     print(row)
    Upsert(line=2, entry=<Entry 'a-1', hashes: 1, sources: 1>)
    Refused(line=3, reason='column dhash: a dhash hash has 16 hexadecimal digits, not 3')
    """
    lines = Lines(decoded_lines(file, checked_encoding(encoding) or mapping.encoding))
    return _rows(lines, mapping, checked_delimiter(delimiter) or mapping.delimiter)


def _rows(lines: Lines, mapping: ColumnMapping, delimiter: str | None) -> Iterator[Row | Refused | LeftOut]:
    plan, above = _beginning(lines, mapping, delimiter)
    if plan is None:
        return
    for number, text in above:
        if not text.startswith(_comments_of(mapping)):  # what is no comment does not vanish
            yield Refused(number, "the line stands above the line that names the columns")
        elif not mapping.header and mapping.comments is None:
            found = plan.row(cut(Lines(iter(())), number, text, plan.delimiter, plan.reads), number)
            if isinstance(found, Row):
                yield found
    comments = mapping.comments or ()
    while (line := lines.take()) is not None:
        number, line_text = line
        if line_text is None:
            yield Refused(number, _TOO_LONG)
        elif line_text and not line_text.isspace() and not (comments and line_text.startswith(comments)):
            yield plan.row(cut(lines, number, line_text, plan.delimiter, plan.reads), number)


def _comments_of(mapping: ColumnMapping) -> tuple[str, ...]:
    return _COMMENTS if mapping.comments is None else mapping.comments


def _beginning(
    lines: Lines, mapping: ColumnMapping, delimiter: str | None
) -> tuple[_Plan | None, list[tuple[int, str]]]:
    """Find the columns, in the line that names them or else in the first that is no comment; and the lines above it.

    No columns are found in a file of blank lines and comments.
    """
    above: list[tuple[int, str]] = []
    comments = _comments_of(mapping)
    while (line := lines.take()) is not None:
        number, text = line
        if text is None:
            raise ReferenceListError(f"the first line has more than {MAX_LINE} characters: this is not a table")
        said = _DELIMITER_LINE.fullmatch(text)
        if said is not None:
            delimiter = delimiter or said[1]
        elif not text.startswith(comments) or (mapping.header and mapping.comments is None):
            plan = _Plan.of(mapping, text, delimiter) if text.strip() else None
            if plan is None and mapping.header and text.count('"') % 2:
                plan = _Plan.of_lines(mapping, text, lines, delimiter)
            if plan is not None:
                if not mapping.header:
                    lines.put_back([line])
                return plan, above
        if text.strip() and said is None:
            above.append((number, text))
            if len(above) > _MAX_ABOVE or not (mapping.header or text.startswith(comments)):
                break
    if line is None and all(text.startswith(comments) for _, text in above):
        bare = mapping.header or mapping.comments is not None or not above
        return (None if bare else _Plan.of(mapping, above[0][1], delimiter)), above
    wanted = ", ".join(repr(column) for column in mapping.columns())
    raise ReferenceListError(
        f"no line at the beginning of the table has each of the columns {wanted} once: check the mapping, the "
        "delimiter and the encoding"
    )


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Row | Refused | LeftOut]:
    """Read a delivered table, as `read_table` does."""
    return read_table(stream, mapping_of(delivery))


def recognises(head: bytes) -> bool:  # noqa: ARG001
    """Tell nothing: what the columns of a table mean has to be told."""
    return False


class _Plan:
    """Where the mapped columns of one table are."""

    def __init__(self, mapping: ColumnMapping, delimiter: str, names: list[str]) -> None:
        self.delimiter = delimiter
        self._n_fields = len(names)
        self._maker = RowMaker(mapping, names)

    @classmethod
    def of(cls, mapping: ColumnMapping, first: str, delimiter: str | None) -> _Plan | None:
        """Find the columns, and the delimiter if none is given, in a line; None if they are not there."""
        best: tuple[int, str, list[str]] | None = None
        for candidate in delimiter or _DELIMITERS:
            try:
                cells = next(csv.reader([first], delimiter=candidate, skipinitialspace=True, strict=True))
            except csv.Error:
                continue
            names = [folded(cell) for cell in cells] if mapping.header else [str(i + 1) for i in range(len(cells))]
            if all(names.count(column) == 1 for column in mapping.columns()) and (best is None or len(names) > best[0]):
                best = (len(names), candidate, names)
        return None if best is None else cls(mapping, best[1], best[2])

    @classmethod
    def of_lines(cls, mapping: ColumnMapping, first: str, lines: Lines, delimiter: str | None) -> _Plan | None:
        """Find the columns in a header of which a name has line ends in it, and take its lines."""
        taken: list[tuple[int, str | None]] = []
        while len(taken) < _MAX_NAME_LINES and (line := lines.take()) is not None:
            taken.append(line)
            first = f"{first}\n{line[1]}"
            plan = None if line[1] is None or len(first) > MAX_LINE else cls.of(mapping, first, delimiter)
            if plan is not None:
                return plan
        lines.put_back(taken)
        return None

    def reads(self, record: Cut) -> bool:
        """Whether a record has all its fields and is a good row."""
        return len(record.fields) == self._n_fields and not isinstance(self.row(record, record.last), Refused)

    def row(self, record: Cut, number: int) -> Row | Refused | LeftOut:
        """Read one record, which has as many fields as the first line but for empty ones at its end."""
        found = self._row(record, number)
        if isinstance(found, Refused) and record.last > number:
            return Refused(number, f"lines {number} to {record.last} are one record within quotes: {found.reason}")
        return found

    def _row(self, record: Cut, number: int) -> Row | Refused | LeftOut:
        fields, misquoted = record.fields, record.misquoted
        if len(fields) != self._n_fields:
            if any(cell.strip() for cell in fields[self._n_fields :]) or (misquoted and len(fields) < self._n_fields):
                said = f"the record has {len(fields)} fields, and the first line has {self._n_fields}"
                return Refused(number, f"{misquoted}; {said}" if misquoted else said)
            fields = fields + [""] * (self._n_fields - len(fields))
        return self._maker.row(number, fields, misquoted)
