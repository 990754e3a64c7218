"""Plain text: one hash a line.

Floor: lists. Accepts ``<algorithm>:<hex>``, and bare hex where the algorithm is given; what follows the hash after
white space, such as the file name that md5sum writes, is not read. Blank lines and those that begin with ``#`` are no
rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError
from hashmatch.lists.entry import LOCAL, MAX_SOURCE, Entry, checked_labels, checked_text
from hashmatch.lists.formats.base import (
    MAX_LINE,
    Refused,
    Row,
    checked_encoding,
    decoded_lines,
    default_entry_id,
    parse_cell,
)

__all__ = ["read_text"]


def read_text(
    file: str | os.PathLike[str] | BinaryIO,
    algorithm: str | None = None,
    *,
    source: str = LOCAL,
    labels: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> Iterator[Row | Refused]:
    r"""Read hashes from plain text, one a line.

    Parameters
    ----------
    file : path or binary file
        Read as a stream.
    algorithm : str, optional
        What bare hexadecimal digits are. Without it every line must name its algorithm, for it is never guessed.
    source : str
        Who lists these hashes.
    labels : mapping of str to str, optional
        Given to every entry.
    encoding : str, optional
        UTF-8 by default, or UTF-16 where the file begins with its byte order mark.

    Yields
    ------
    Row or Refused
        One for each line that is not blank and no comment. An entry is named by `default_entry_id`.

    Raises
    ------
    HashFormatError
        If the algorithm is unknown, or the file is something else than text, such as JSON, XML, a database, an archive
        or a workbook: the message names it.
    ReferenceListError
        If the file cannot be read, or the source or a label is not acceptable.
    LookupError
        If the encoding is unknown.

    Examples
    --------
    >>> import io
    >>> rows = read_text(io.BytesIO(b"# made up\ndhash:00ff00ff00ff00ff\n123\n"))
    >>> [type(row).__name__ for row in rows]
    ['Row', 'Refused']
    """
    name = None if algorithm is None else algorithm_named(algorithm).name
    checked_text(source, "the source", MAX_SOURCE)
    return _rows(file, name, source, checked_labels(labels or {}), checked_encoding(encoding))


def _rows(
    file: str | os.PathLike[str] | BinaryIO,
    algorithm: str | None,
    source: str,
    labels: Mapping[str, str],
    encoding: str | None,
) -> Iterator[Row | Refused]:
    for number, text in decoded_lines(file, encoding):
        if text is None:
            yield Refused(number, f"the line has more than {MAX_LINE} characters")
            continue
        words = text.split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        try:
            value = parse_cell(words[0].removeprefix("\\"), algorithm)
        except HashFormatError as error:
            yield Refused(number, str(error))
            continue
        yield Row(number, Entry.of(default_entry_id(value), hashes=[value], source=source, labels=labels))
