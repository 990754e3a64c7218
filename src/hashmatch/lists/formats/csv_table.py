"""Tables of hashes: CSV, TSV and the like, with a mapping from columns to what they mean.

Floor: lists. Only the columns that are mapped are read. Records may span lines within quotes, up to 32 lines; a quote
that is not closed by then spoils its own line only.
"""

from __future__ import annotations

import csv
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import BinaryIO, Final

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import LOCAL, MAX_LABEL_NAME, MAX_SOURCE, Entry, ListedHash, Listing, checked_text
from hashmatch.lists.formats.base import (
    MAX_LINE,
    Refused,
    Row,
    checked_encoding,
    decoded_lines,
    default_entry_id,
    parse_cell,
)

__all__ = ["ColumnMapping", "read_table"]

_DELIMITERS: Final = ",;\t|"
_MAX_LINES: Final = 32
_TOO_LONG: Final = f"the line has more than {MAX_LINE} characters"
_BAD_QUOTES: Final = "a quote is misplaced or not closed, or a field is too long"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """What the columns of a table mean. Columns that are not named here are not read.

    Columns are named as in the header, of any case; in a table without a header by their number from 1: ``"1"``.

    Parameters
    ----------
    hashes : mapping of str to str
        Column to algorithm, at least one. A cell may be empty, but not all of a row.
    entry_id : str, optional
        Column of the entry's id; none may be empty. By default an entry is named after its first hash, see
        `default_entry_id`.
    labels : mapping of str to str
        Column to name of the label. An empty cell gives no label.
    quality : str, optional
        Column of the quality of the row's hashes, 0 to 100. An empty cell means that it is not known.
    source : str
        Who lists these rows.
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
    return column.strip().casefold()


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
    return _rows(_Lines(decoded_lines(file, checked_encoding(encoding))), mapping, delimiter)


class _Lines:
    """Numbered lines that can be put back."""

    def __init__(self, lines: Iterator[tuple[int, str | None]]) -> None:
        self._lines = lines
        self._back: deque[tuple[int, str | None]] = deque()

    def take(self) -> tuple[int, str | None] | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def put_back(self, lines: list[tuple[int, str | None]]) -> None:
        self._back.extendleft(reversed(lines))


def _rows(lines: _Lines, mapping: ColumnMapping, delimiter: str | None) -> Iterator[Row | Refused]:
    plan: _Plan | None = None
    while (line := lines.take()) is not None:
        number, text = line
        if text is None:
            if plan is None:
                raise ReferenceListError(f"the first line has more than {MAX_LINE} characters: this is not a table")
            yield Refused(number, _TOO_LONG)
            continue
        if not text.strip():
            continue
        if plan is None:
            plan = _Plan.of(mapping, text, delimiter)
            if mapping.header:
                continue
        fields = _fields(lines, text, plan.delimiter)
        if fields is None:
            yield Refused(number, _BAD_QUOTES)
        else:
            yield plan.row(number, fields)


def _fields(lines: _Lines, text: str, delimiter: str) -> list[str] | None:
    """Cut a record into fields, taking more lines where a quote is open; None if it cannot be cut."""
    if '"' not in text:
        return text.split(delimiter)
    taken: list[tuple[int, str | None]] = []

    def feed() -> Iterator[str]:
        yield text
        size = len(text)
        while len(taken) < _MAX_LINES and (line := lines.take()) is not None:
            taken.append(line)
            size += len(line[1] or "")
            if line[1] is None or size > MAX_LINE:
                return
            yield "\n" + line[1]

    try:
        return next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error:
        lines.put_back(taken)
        return None


class _Plan:
    """Where the mapped columns of one table are."""

    def __init__(self, mapping: ColumnMapping, delimiter: str, names: list[str]) -> None:
        self.delimiter = delimiter
        self._n_fields = len(names)
        at = {name: position for position, name in enumerate(names)}
        self._hashes = [(at[column], column, algorithm) for column, algorithm in mapping.hashes.items()]
        self._labels = [(at[column], name) for column, name in mapping.labels.items()]
        self._entry_id = None if mapping.entry_id is None else at[_folded(mapping.entry_id)]
        self._quality = None if mapping.quality is None else at[_folded(mapping.quality)]
        self._source = mapping.source

    @classmethod
    def of(cls, mapping: ColumnMapping, first: str, delimiter: str | None) -> _Plan:
        """Find the columns, and the delimiter if none is given, from the first line of a table."""
        best: tuple[int, str, list[str]] | None = None
        for candidate in delimiter or _DELIMITERS:
            try:
                cells = next(csv.reader([first], delimiter=candidate, strict=True))
            except csv.Error:
                continue
            names = [_folded(cell) for cell in cells] if mapping.header else [str(i + 1) for i in range(len(cells))]
            if all(names.count(column) == 1 for column in mapping.columns()) and (best is None or len(names) > best[0]):
                best = (len(names), candidate, names)
        if best is None:
            wanted = ", ".join(repr(column) for column in mapping.columns())
            raise ReferenceListError(
                f"the first line of the table does not have each of the columns {wanted} once: check the mapping, the "
                "delimiter and the encoding"
            )
        return cls(mapping, best[1], best[2])

    def row(self, number: int, fields: list[str]) -> Row | Refused:
        """Read the fields of one record."""
        if len(fields) != self._n_fields:
            return Refused(number, f"the record has {len(fields)} fields, and the first line has {self._n_fields}")
        try:
            quality = None if self._quality is None else _quality(fields[self._quality])
            hashes = [
                ListedHash(_hash(fields[at], column, algorithm), quality)
                for at, column, algorithm in self._hashes
                if fields[at].strip()
            ]
            if not hashes:
                return Refused(number, "the record has no hash")
            labels = {name: _text(fields[at], "a label") for at, name in self._labels if fields[at].strip()}
            if self._entry_id is None:
                entry_id = default_entry_id(hashes[0].value)
            else:
                entry_id = _text(fields[self._entry_id], "the entry id")
            return Row(number, Entry(entry_id, (Listing(self._source, tuple(hashes), labels),)))
        except (HashFormatError, ReferenceListError) as error:
            return Refused(number, str(error))


def _hash(text: str, column: str, algorithm: str) -> HashValue:
    try:
        return parse_cell(text, algorithm)
    except HashFormatError as error:
        raise HashFormatError(f"column {column}: {error}") from None


def _quality(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise ReferenceListError("quality must be a whole number from 0 to 100")
    return int(text)


def _text(text: str, what: str) -> str:
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ReferenceListError(f"{what} has bytes that are not of the file's encoding")
    return text.strip()
