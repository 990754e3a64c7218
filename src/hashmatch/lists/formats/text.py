"""Plain text: one hash a line.

Floor: lists. Accepts ``<algorithm>:<hex>``, and bare hex where the algorithm is given; what follows the hash after
white space, a comma, semicolon or bar, such as the file name that md5sum writes, is not read. ``MD5 (name) = <hex>``,
as md5 and openssl write it, names its algorithm. Blank lines and those that begin with ``#``, ``%`` or ``;`` are no
rows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.algorithms import ALGORITHMS, algorithm_named
from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import LOCAL, MAX_SOURCE, Entry, ListedHash, Listing, Role, checked_labels, checked_text
from hashmatch.lists.formats.cells import default_entry_id, parse_cell, visible
from hashmatch.lists.formats.decoding import MAX_LINE, checked_encoding, decoded_lines
from hashmatch.lists.formats.operations import Refused, Row

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["read", "read_text", "recognises"]

_COMMENTS: Final = ("#", "%", ";")
_FIRST: Final = re.compile(r'\s*\\?"?([^\s",;|]+)(?:\s+([^\s",;|]+))?')
_NAME: Final = re.compile("(?:[A-Za-z][A-Za-z0-9/-]{1,15}(?:@[A-Za-z0-9.-]{1,32})?)?")
_HEAD_LINES: Final = 20
_NAMED: Final = {"sha2-256": "sha256", "sha-256": "sha256", "sha-1": "sha1"}
"""Names of digests in the output of ``openssl`` and others, beside our own."""


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
        The text, read as a stream.
    algorithm : str, optional
        Algorithm of bare hexadecimal digits. Without it every line must name its algorithm, which is never guessed.
    source : str
        Name of who lists these hashes, 1 to 64 characters.
    labels : mapping of str to str, optional
        Labels that every entry gets.
    encoding : str, optional
        Encoding of the text; UTF-8 by default, or UTF-16 if the file begins with its byte order mark.

    Yields
    ------
    Row or Refused
        One for each line that is not blank and no comment. An entry is named by `default_entry_id`.

    Raises
    ------
    HashFormatError
        If the algorithm is unknown, or the file is not text but JSON, XML, a database, an archive, a workbook or the
        like: the message names the kind.
    ReferenceListError
        If the file cannot be read, or the source or a label is not acceptable.
    LookupError
        If the encoding is unknown.

    Examples
    --------
    >>> import io
    >>> rows = read_text(io.BytesIO(b"# made up\ndhash:00ff00ff00ff00ff\n123\n"))
    >>> [type(row).__name__ for row in rows]
    ['Upsert', 'Refused']
    """
    name = None if algorithm is None else algorithm_named(algorithm).name
    checked_text(source, "the source", MAX_SOURCE)
    return _rows(file, name, source, checked_labels(labels or {}), checked_encoding(encoding))


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Row | Refused]:
    """Read a delivery of plain text, as `read_text` does."""
    name = None if delivery.algorithm is None else algorithm_named(delivery.algorithm).name
    return _rows(stream, name, delivery.source, delivery.labels, delivery.encoding, delivery.role or "alarm")


def recognises(head: bytes) -> bool:
    """Whether each whole line names its algorithm, as ``MD5 (name) = ...`` and ``pdq:...`` do."""
    whole = head.split(b"\n")
    lines = [line for line in (whole[:-1] if len(whole) > 1 else whole) if line.strip()]
    lines = [line for line in lines if not line.lstrip().startswith(tuple(mark.encode() for mark in _COMMENTS))]
    try:
        return bool(lines) and all(_hash_of(line.decode("utf-8-sig"), None) for line in lines[:_HEAD_LINES])
    except (HashFormatError, UnicodeDecodeError):
        return False


def _rows(
    file: str | os.PathLike[str] | BinaryIO,
    algorithm: str | None,
    source: str,
    labels: Mapping[str, str],
    encoding: str | None,
    role: Role = "alarm",
) -> Iterator[Row | Refused]:
    for number, text in decoded_lines(file, encoding):
        if text is None:
            yield Refused(number, f"the line has more than {MAX_LINE} characters")
            continue
        if not text.isascii():
            text = visible(text)
        if not text or text.isspace() or text.lstrip().startswith(_COMMENTS):
            continue
        try:
            value = _hash_of(text, algorithm)
        except HashFormatError as error:
            yield Refused(number, str(error))
            continue
        yield Row(number, Entry(default_entry_id(value), (Listing(source, (ListedHash(value),), labels, role),)))


def _hash_of(text: str, algorithm: str | None) -> HashValue:
    """Read the hash of a line, whatever stands beside it."""
    if "(" in text:
        head, _, digits = text.rpartition("=")
        name = head.partition("(")[0].strip().removeprefix("\\")  # md5sum escapes names so
        if head.rstrip().endswith(")") and _NAME.fullmatch(name):
            return parse_cell(digits, _algorithm_said(name, algorithm))
    found = _FIRST.match(text)
    first, second = ("", None) if found is None else found.groups()
    if second is not None and _known(first) is not None:
        return parse_cell(second, _algorithm_said(first, algorithm))
    return parse_cell(first, algorithm)


def _known(name: str) -> str | None:
    name = name.casefold()
    name = _NAMED.get(name, name)
    if "@" in name:
        return algorithm_named(name).name
    return name if name in ALGORITHMS else None


def _algorithm_said(name: str, algorithm: str | None) -> str | None:
    said = _known(name) if name else algorithm
    if name and said is None:
        raise HashFormatError("what stands before the bracket is not a known algorithm")
    if algorithm is not None and said != algorithm:
        raise HashFormatError(f"the line has a {said} hash, not a {algorithm} hash")
    return said
