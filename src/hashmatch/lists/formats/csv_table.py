"""Tables of hashes: CSV, TSV and the like, with a mapping from columns to what they mean.

Floor: lists. Only the columns that are mapped are read. Records may span lines within quotes; `quotes` tells
them from stray quotes.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import (
    LOCAL,
    MAX_LABEL_NAME,
    MAX_SOURCE,
    Entry,
    ListedHash,
    Listing,
    Role,
    checked_role,
    checked_text,
)
from hashmatch.lists.formats.cells import (
    default_entry_id,
    id_from,
    is_nothing,
    label_from,
    parse_cell,
    quality_from,
    visible,
)
from hashmatch.lists.formats.decoding import MAX_LINE, checked_encoding, decoded_lines
from hashmatch.lists.formats.operations import Flaw, Refused, Row
from hashmatch.lists.formats.quotes import Cut, Lines, cut

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["ColumnMapping", "read", "read_table", "recognises"]

_DELIMITERS: Final = ",;\t|"
_DELIMITER_LINE: Final = re.compile(r'"?sep=([^"])"?[\s,;|]*', re.IGNORECASE)
_COMMENTS: Final = ("#", "%")
_MAX_ABOVE: Final = 100
_MAX_NAME_LINES: Final = 8
_TOO_LONG: Final = f"the line has more than {MAX_LINE} characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """What the columns of a table mean. Columns that are not named here are not read.

    Columns are named as in the header, of any case and with any white space between words; in a table without a header
    by their number from 1: ``"1"``.

    Parameters
    ----------
    hashes : mapping of str to str
        Algorithm by column, at least one. A cell may be empty, but not all of a row.
    entry_id : str, optional
        Column of the entry's id; no cell of it may be empty. By default an entry is named after its first hash, see
        `default_entry_id`.
    labels : mapping of str to str
        Name of the label by column. An empty cell gives no label.
    quality : str, optional
        Column of the quality of the row's hashes, 0 to 100. An empty cell means that the quality is unknown.
    source : str
        Name of who lists these rows, 1 to 64 characters.
    role : {"alarm", "benign", "comparison"}
        What the rows are listed for.
    header : bool
        Whether the first line names the columns.

    Raises
    ------
    HashFormatError
        If an algorithm is unknown.
    ReferenceListError
        If no hash column is given, the entry id is a hash column (reports show entry ids), or a text is not
        acceptable.
    """

    hashes: Mapping[str, str]
    entry_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    quality: str | None = None
    source: str = LOCAL
    role: Role = "alarm"
    header: bool = True

    def __post_init__(self) -> None:
        if not self.hashes:
            raise ReferenceListError("the mapping names no column of hashes")
        hashes = {_folded(column): algorithm_named(name).name for column, name in self.hashes.items()}
        labels = {
            _folded(column): checked_text(name, "the name of a label", MAX_LABEL_NAME)
            for column, name in self.labels.items()
        }
        if len(hashes) != len(self.hashes) or len(labels) != len(self.labels):
            raise ReferenceListError("the mapping names a column twice")
        if len(set(labels.values())) != len(labels):
            raise ReferenceListError("the mapping gives two columns the same label name")
        if self.entry_id is not None and _folded(self.entry_id) in hashes:
            raise ReferenceListError("a column of hashes cannot be the entry id, because reports show entry ids")
        checked_text(self.source, "the source", MAX_SOURCE)
        checked_role(self.role)
        if not self.header and not all(_is_number(column) for column in self.columns()):
            raise ReferenceListError('without a header, columns are named by their number: "1", "2", ...')
        object.__setattr__(self, "hashes", MappingProxyType(hashes))
        object.__setattr__(self, "labels", MappingProxyType(labels))

    def columns(self) -> list[str]:
        """Every column that is read, in lower case, each once."""
        others = [column for column in (self.entry_id, self.quality) if column is not None]
        return list(dict.fromkeys(map(_folded, [*self.hashes, *self.labels, *others])))


def _folded(column: str) -> str:
    if not isinstance(column, str):
        raise TypeError(f"a column is named by str, not {type(column).__name__}")
    return " ".join(visible(column).strip("'").split()).casefold()


def _is_number(column: str) -> bool:
    return column.isascii() and column.isdigit() and 1 <= int(column[:6]) <= 10_000


def read_table(
    file: str | os.PathLike[str] | BinaryIO,
    mapping: ColumnMapping,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Iterator[Row | Refused]:
    r"""Read hashes from a table, one entry a row.

    Parameters
    ----------
    file : path or binary file
        Read as a stream.
    mapping : ColumnMapping
        What the columns mean.
    delimiter : str, optional
        One character. By default that of comma, semicolon, tab and bar which finds all mapped columns in the first
        line; if several do, the one that makes most columns.
    encoding : str, optional
        UTF-8 by default, or UTF-16 where the file begins with its byte order mark.

    Yields
    ------
    Row or Refused
        One for each record that is not blank. A record is refused as a whole: if it has another number of fields
        than the first line, a mapped cell is unacceptable, or no cell has a hash.

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
    Row(line=2, entry=<Entry 'a-1', hashes: 1, sources: 1>)
    Refused(line=3, reason='column dhash: a dhash hash has 16 hexadecimal digits, not 3')
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\n\r'):
        raise ValueError("delimiter must be one character and no quote or line end")
    return _rows(Lines(decoded_lines(file, checked_encoding(encoding))), mapping, delimiter)


def _rows(lines: Lines, mapping: ColumnMapping, delimiter: str | None) -> Iterator[Row | Refused]:
    plan, above = _beginning(lines, mapping, delimiter)
    if plan is None:
        return
    for number, text in above:
        if not text.startswith(_COMMENTS):  # what is no comment does not vanish
            yield Refused(number, "the line stands above the line that names the columns")
        elif not mapping.header:
            found = plan.row(cut(Lines(iter(())), number, text, plan.delimiter, plan.reads), number)
            if isinstance(found, Row):
                yield found
    while (line := lines.take()) is not None:
        number, line_text = line
        if line_text is None:
            yield Refused(number, _TOO_LONG)
        elif line_text and not line_text.isspace():
            yield plan.row(cut(lines, number, line_text, plan.delimiter, plan.reads), number)


def _beginning(
    lines: Lines, mapping: ColumnMapping, delimiter: str | None
) -> tuple[_Plan | None, list[tuple[int, str]]]:
    """Find the columns, in the line that names them or else in the first that is no comment; and the lines above it.

    No columns are found in a file of blank lines and comments.
    """
    above: list[tuple[int, str]] = []
    while (line := lines.take()) is not None:
        number, text = line
        if text is None:
            raise ReferenceListError(f"the first line has more than {MAX_LINE} characters: this is not a table")
        said = _DELIMITER_LINE.fullmatch(text)
        if said is not None:
            delimiter = delimiter or said[1]
        elif mapping.header or not text.startswith(_COMMENTS):
            plan = _Plan.of(mapping, text, delimiter) if text.strip() else None
            if plan is None and mapping.header and text.count('"') % 2:
                plan = _Plan.of_lines(mapping, text, lines, delimiter)
            if plan is not None:
                if not mapping.header:
                    lines.put_back([line])
                return plan, above
        if text.strip() and said is None:
            above.append((number, text))
            if len(above) > _MAX_ABOVE or not (mapping.header or text.startswith(_COMMENTS)):
                break
    if line is None and all(text.startswith(_COMMENTS) for _, text in above):
        return (None if mapping.header or not above else _Plan.of(mapping, above[0][1], delimiter)), above
    wanted = ", ".join(repr(column) for column in mapping.columns())
    raise ReferenceListError(
        f"no line at the beginning of the table has each of the columns {wanted} once: check the mapping, the "
        "delimiter and the encoding"
    )


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Row | Refused]:
    """Read a delivered table, as `read_table` does."""
    mapping = delivery.mapping
    if not isinstance(mapping, ColumnMapping):
        raise ReferenceListError("a table needs a mapping that says what its columns mean")
    mapping = replace(mapping, source=delivery.source, role=delivery.role or "alarm")
    return read_table(stream, mapping, delimiter=delivery.delimiter, encoding=delivery.encoding)


def recognises(head: bytes) -> bool:  # noqa: ARG001
    """Tell nothing: what the columns of a table mean has to be told."""
    return False


class _Plan:
    """Where the mapped columns of one table are."""

    def __init__(self, mapping: ColumnMapping, delimiter: str, names: list[str]) -> None:
        self.delimiter = delimiter
        self._n_fields = len(names)
        at = {name: position for position, name in enumerate(names)}
        self._hashes = [(at[column], column, algorithm) for column, algorithm in mapping.hashes.items()]
        self._labels = [(at[column], column, name) for column, name in mapping.labels.items()]
        self._entry_id = None if mapping.entry_id is None else at[_folded(mapping.entry_id)]
        self._quality = None if mapping.quality is None else (at[_folded(mapping.quality)], _folded(mapping.quality))
        self._source = mapping.source
        self._role = mapping.role

    @classmethod
    def of(cls, mapping: ColumnMapping, first: str, delimiter: str | None) -> _Plan | None:
        """Find the columns, and the delimiter if none is given, in a line; None if they are not there."""
        best: tuple[int, str, list[str]] | None = None
        for candidate in delimiter or _DELIMITERS:
            try:
                cells = next(csv.reader([first], delimiter=candidate, skipinitialspace=True, strict=True))
            except csv.Error:
                continue
            names = [_folded(cell) for cell in cells] if mapping.header else [str(i + 1) for i in range(len(cells))]
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
        return len(record.fields) == self._n_fields and isinstance(self.row(record, record.last), Row)

    def row(self, record: Cut, number: int) -> Row | Refused:
        """Read one record; a cell that cannot be taken costs itself, the entry id and the last hash the row."""
        found = self._row(record, number)
        if isinstance(found, Refused) and record.last > number:
            return Refused(number, f"lines {number} to {record.last} are one record within quotes: {found.reason}")
        return found

    def _row(self, record: Cut, number: int) -> Row | Refused:
        fields, misquoted = record.fields, record.misquoted
        if len(fields) != self._n_fields:
            if any(cell.strip() for cell in fields[self._n_fields :]) or (misquoted and len(fields) < self._n_fields):
                said = f"the record has {len(fields)} fields, and the first line has {self._n_fields}"
                return Refused(number, f"{misquoted}; {said}" if misquoted else said)
            fields = fields + [""] * (self._n_fields - len(fields))
        flaws = [Flaw(number, "", "misquoted", misquoted)] if misquoted else []
        quality = None
        if self._quality is not None:
            try:
                quality = quality_from(fields[self._quality[0]])
            except ReferenceListError as error:
                flaws.append(Flaw(number, self._quality[1], "left out", str(error)))
        hashes = []
        bad = []
        for at, column, algorithm in self._hashes:
            cell = fields[at]
            if cell:
                try:
                    hashes.append(ListedHash(parse_cell(cell, algorithm), quality))
                except HashFormatError as error:
                    if not is_nothing(cell):
                        bad.append(Flaw(number, column, "left out", str(error)))
        if not hashes:
            reasons = [f"column {flaw.column}: {flaw.reason}" for flaw in bad]
            return Refused(number, "; ".join(reasons or [misquoted or "the record has no hash"]))
        flaws += bad
        labels = {}
        for at, column, name in self._labels:
            if fields[at]:
                value, kind, reason = label_from(fields[at])
                if misquoted and '"' in fields[at]:
                    value, kind, reason = None, "left out", "it has a misplaced quote"
                if value is not None:
                    labels[name] = value
                if kind is not None:
                    flaws.append(Flaw(number, column, kind, reason))
        try:
            if self._entry_id is None:
                entry_id = default_entry_id(hashes[0].value)
            else:
                entry_id = id_from(fields[self._entry_id])
                if misquoted and '"' in entry_id:
                    return Refused(number, misquoted)
            return Row(
                number, Entry(entry_id, (Listing(self._source, tuple(hashes), labels, self._role),)), tuple(flaws)
            )
        except ReferenceListError as error:
            return Refused(number, str(error))
