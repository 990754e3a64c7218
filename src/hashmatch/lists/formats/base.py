"""What every reader of hash lists yields, and how rows get into a list.

Floor: lists. A reader is any iterable of `Row` and `Refused`: every line of data becomes one or the other, so a bad
line neither stops the file nor vanishes. No reason shows what the line said.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final, Literal

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import Entry
from hashmatch.lists.file.editor import AddCounts, blocks_of
from hashmatch.lists.formats.misdelivered import HEAD, refuse_foreign
from hashmatch.lists.reference import ReferenceList

__all__ = [
    "Flaw",
    "ImportReport",
    "Refused",
    "Row",
    "checked_encoding",
    "decoded_lines",
    "import_into",
]

MAX_LINE: Final = 65_536
_CHUNK: Final = 65_536
_BATCH: Final = 1_000
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something in an otherwise good line that was left out or changed.

    Parameters
    ----------
    line : int
        Number of the line, from 1.
    column : str
        Name of the column, as the mapping gives it; empty if the flaw concerns the whole line.
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
class Row:
    """One good line.

    Parameters
    ----------
    line : int
        Number of the line, from 1.
    entry : Entry
        Entry that the line describes.
    flaws : tuple of Flaw
        What was left out or changed.
    """

    line: int
    entry: Entry
    flaws: tuple[Flaw, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """One line without anything that a list can hold.

    Parameters
    ----------
    line : int
        Number of the line, from 1.
    reason : str
        Cause, without the content of the line.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of every row of an import: ``rows == accepted + duplicates + refused_count``.

    Parameters
    ----------
    rows : int
        Number of rows read; comments, blank lines and the header are not rows.
    accepted : int
        Number of rows that changed the list.
    new_entries : int
        Number of accepted rows that made a new entry; the others added to an entry.
    duplicates : int
        Number of rows that repeat what the list, or an earlier row, had from that source.
    refused_count : int
        Number of refused rows.
    refused : tuple of Refused
        The first refused rows, as many as were asked for.
    version : int
        The list's version afterwards.
    flawed : int
        Number of rows, among the accepted and the duplicates, with a flaw.
    flaws : tuple of Flaw
        The first flaws, as many as were asked for.
    columns : mapping of str to mapping of str to int
        How many cells of a column were ``"left out"``, ``"cut"`` or ``"cleaned"``; under ``""`` how many lines were
        ``"misquoted"``.

    Notes
    -----
    An empty delivery and one of which every row was refused leave the list as it was: `took_nothing`.
    """

    rows: int
    accepted: int
    new_entries: int
    duplicates: int
    refused_count: int
    refused: tuple[Refused, ...]
    version: int
    flawed: int = 0
    flaws: tuple[Flaw, ...] = ()
    columns: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def refused_share(self) -> float:
        """Share of the rows that was refused, 0 to 1; 0 where there was no row."""
        return self.refused_count / self.rows if self.rows else 0.0

    @property
    def took_nothing(self) -> bool:
        """Whether no row was accepted or known: the delivery was empty, or every row was refused."""
        return not self.accepted and not self.duplicates


def import_into(
    ref: ReferenceList,
    rows: Iterable[Row | Refused],
    *,
    on_refused: Callable[[Refused], None] | None = None,
    on_flaw: Callable[[Flaw], None] | None = None,
    progress: Callable[[int], None] | None = None,
    max_refused: int = 1_000,
    max_refused_share: float | None = None,
) -> ImportReport:
    """Import the rows of a reader in one transaction.

    Parameters
    ----------
    ref : ReferenceList
        List that is open for writing.
    rows : iterable of Row or Refused
        Rows as `read_table` and `read_text` yield them.
    on_refused : callable, optional
        Called with every refused row, in order, for example to keep them all.
    on_flaw : callable, optional
        Called with every flaw, in order.
    progress : callable, optional
        Called with the number of rows so far, every 1,000 rows and at the end.
    max_refused : int
        Most refused rows, and most flaws, that the report keeps, 0 or more. The report counts them all; this number
        refuses nothing.
    max_refused_share : float, optional
        Largest share of the rows that may be refused, or have a cell of one column left out, 0 to 1. Beyond it nothing
        is imported, because such a delivery was probably misread. Without it any share passes, and the report has
        the share.

    Raises
    ------
    HashFormatError
        If a larger share of the rows, or of a column, was refused than ``max_refused_share``, or if the reader's file
        is not text. The list stays as it was.
    ReferenceListError
        If the list cannot be written, or the reader cannot read. An import is kept as a whole or not at all: after an
        error or an interruption the list is as it was.

    Notes
    -----
    Cost: 20 to 42 microseconds a row of one or two hashes; memory does not grow with the number of rows.
    """
    if max_refused < 0:
        raise ValueError("max_refused must be 0 or more")
    if max_refused_share is not None and not 0 <= max_refused_share <= 1:
        raise ValueError("max_refused_share must be from 0 to 1")
    refused: list[Refused] = []
    flaws: list[Flaw] = []
    columns: dict[str, dict[str, int]] = {}
    n_rows = n_refused = n_flawed = 0
    counts = AddCounts()
    with ref.transaction():
        for batch in blocks_of(rows, _BATCH):
            entries = []
            for row in batch:
                if isinstance(row, Row):
                    entries.append(row.entry)
                    n_flawed += bool(row.flaws)
                    for flaw in row.flaws:
                        kinds = columns.setdefault(flaw.column, {})
                        kinds[flaw.kind] = kinds.get(flaw.kind, 0) + 1
                        if len(flaws) < max_refused:
                            flaws.append(flaw)
                        if on_flaw is not None:
                            on_flaw(flaw)
                    continue
                n_refused += 1
                if len(refused) < max_refused:
                    refused.append(row)
                if on_refused is not None:
                    on_refused(row)
            counts += ref.add_many(entries)
            n_rows += len(batch)
            if progress is not None and len(batch) == _BATCH:
                progress(n_rows)
        if max_refused_share is not None:
            _check_share(n_rows, n_refused, columns, max_refused_share)
    if progress is not None:
        progress(n_rows)
    return ImportReport(
        rows=n_rows,
        accepted=counts.added + counts.merged,
        new_entries=counts.added,
        duplicates=counts.unchanged,
        refused_count=n_refused,
        refused=tuple(refused),
        version=ref.version,
        flawed=n_flawed,
        flaws=tuple(flaws),
        columns=MappingProxyType({name: MappingProxyType(kinds) for name, kinds in columns.items()}),
    )


def _check_share(n_rows: int, n_refused: int, columns: dict[str, dict[str, int]], share: float) -> None:
    """Refuse a delivery of which so much was refused that it was probably misread."""
    if n_refused > share * n_rows:
        raise HashFormatError(
            f"{n_refused:,} of {n_rows:,} rows were refused, more than the allowed share of {share:.4g}"
        )
    for column, kinds in columns.items():
        if kinds.get("left out", 0) > share * n_rows:
            raise HashFormatError(
                f"column {column} has {kinds['left out']:,} cells in {n_rows:,} rows that cannot be taken, more than "
                f"the allowed share of {share:.4g}: check the mapping"
            )


def checked_encoding(encoding: str | None) -> str | None:
    """Return the encoding if it is one of text that Python knows; LookupError if not."""
    if encoding is None:
        return None
    try:
        "".encode(encoding)  # codecs.lookup alone would take zlib and other codecs of bytes
    except UnicodeError as error:
        raise LookupError("this encoding encodes nothing") from error
    return codecs.lookup(encoding).name


def decoded_lines(source: str | os.PathLike[str] | BinaryIO, encoding: str | None) -> Iterator[tuple[int, str | None]]:
    """Read lines in bounded memory.

    Parameters
    ----------
    source : path or binary file
        A file that is passed in is read from where it stands and not closed.
    encoding : str, optional
        As `checked_encoding` gives it. By default UTF-16 if the file begins with its byte order mark, else UTF-8. A
        mark at the beginning is dropped. Bytes that do not decode become U+FFFD, which readers refuse.

    Yields
    ------
    tuple of int and (str or None)
        Number of the line, from 1, and its text without the line end; None for a line of more than 65,536
        characters, of which nothing is kept.

    Raises
    ------
    HashFormatError
        If it is known to be something else than text, by its first 4,096 bytes.
    ReferenceListError
        If the source cannot be opened or read, or the encoding can decode nothing of it, as UTF-16 without a byte order
        mark.
    """
    with _opened(source) as stream:
        head = _read(stream, HEAD)
        while len(head) < HEAD and (more := _read(stream, HEAD - len(head))):
            head += more
        refuse_foreign(head, encoding)
        for mark, name in _BOMS:
            if head.startswith(mark) and (encoding is None or encoding.startswith(name[:6])):
                head, encoding = head[len(mark) :], name
                break
        make = codecs.getincrementaldecoder(encoding or "utf-8")
        decoder = io.IncrementalNewlineDecoder(make("replace"), translate=True)
        number, pending, too_long = 0, "", False
        chunk, final = head, False
        while not final:
            if not chunk:
                chunk = _read(stream, _CHUNK)
                final = not chunk
            *whole, pending = (pending + _decoded(decoder, chunk, final)).split("\n")
            chunk = b""
            for text in whole:
                number += 1
                yield number, None if too_long or len(text) > MAX_LINE else text
                too_long = False
            if len(pending) > MAX_LINE:
                pending, too_long = "", True
        if pending or too_long:
            yield number + 1, None if too_long else pending


def _decoded(decoder: io.IncrementalNewlineDecoder, chunk: bytes, final: bool) -> str:
    try:
        return decoder.decode(chunk, final=final)
    except UnicodeError:
        # some codecs cannot replace what they do not understand
        raise ReferenceListError(
            "the file to import is not of this encoding; name another one, such as utf-16-le for UTF-16 without a mark"
        ) from None


@contextlib.contextmanager
def _opened(source: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, (str, os.PathLike)):
        yield source
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 - only opening may fail here, not what is done with it
    except (OSError, ValueError):
        raise ReferenceListError("the file to import cannot be opened: check its path and permissions") from None
    with stream:
        yield stream


def _read(stream: BinaryIO, size: int) -> bytes:
    try:
        data = stream.read(size)
    except OSError:
        raise ReferenceListError("reading the file to import failed; nothing of it was imported") from None
    if not isinstance(data, bytes):
        raise TypeError("a file to import must be opened in binary mode")
    return data
