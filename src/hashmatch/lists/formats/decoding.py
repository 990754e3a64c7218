"""Bytes of a delivery as lines of text, in bounded memory.

Floor: lists.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.formats.misdelivered import refuse_foreign
from hashmatch.lists.formats.unpacking import beginning, read_fully, read_some, unpacked

__all__ = ["MAX_LINE", "checked_encoding", "decoded_lines", "opened"]

MAX_LINE: Final = 65_536
_CHUNK: Final = 65_536
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def checked_encoding(encoding: str | None) -> str | None:
    """Return the encoding if it is one of text that Python knows; LookupError if not."""
    if encoding is None:
        return None
    try:
        "".encode(encoding)  # codecs.lookup alone would take zlib and other codecs of bytes
    except UnicodeError as error:
        raise LookupError("this encoding encodes nothing") from error
    return codecs.lookup(encoding).name


def decoded_lines(
    source: str | os.PathLike[str] | BinaryIO,
    encoding: str | None,
    *,
    most: int = MAX_LINE,
    json: bool = False,
    end: str = "",
) -> Iterator[tuple[int, str | None]]:
    """Read lines in bounded memory.

    Parameters
    ----------
    source : path or binary file
        A file that is passed in is read from where it stands and not closed.
    encoding : str, optional
        As `checked_encoding` gives it. By default UTF-16 if the file begins with its byte order mark, else UTF-8. A
        mark at the beginning is dropped. Bytes that do not decode become U+FFFD, which readers refuse.
    most : int
        Most characters of a line.
    json : bool
        Whether lines of JSON are expected.
    end : str
        What stands in the text of a line for its end, so that a last line without one can be told.

    Yields
    ------
    tuple of int and (str or None)
        Number of the line, from 1, and its text; None for a line of more than ``most`` characters, of which nothing is
        kept.

    Raises
    ------
    HashFormatError
        If it is known to be something else than text, by its first 4,096 bytes, or what packs it is damaged.
    ReferenceListError
        If the source cannot be opened or read, or the encoding can decode nothing of it, as UTF-16 without a byte order
        mark.
    """
    with opened(source) as stream:
        head = beginning(stream)
        refuse_foreign(head, encoding, json=json)
        for mark, name in _BOMS:
            if head.startswith(mark) and (encoding is None or encoding.startswith(name[:6])):
                read_fully(stream, len(mark))
                encoding = name
                break
        make = codecs.getincrementaldecoder(encoding or "utf-8")
        decoder = io.IncrementalNewlineDecoder(make("replace"), translate=True)
        number, pending, too_long = 0, "", False
        chunk = b"-"
        while chunk:
            chunk = read_some(stream, _CHUNK)
            *whole, pending = (pending + _decoded(decoder, chunk, not chunk)).split("\n")
            for text in whole:
                number += 1
                yield number, None if too_long or len(text) > most else text + end
                too_long = False
            if len(pending) > most:
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
def opened(source: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """Open a path for the block, or take a binary file, which stays open; and give what is packed in it, `unpacked`."""
    if not isinstance(source, (str, os.PathLike)):
        yield unpacked(source)
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 - only opening may fail here, not what is done with it
    except (OSError, ValueError):
        raise ReferenceListError("the file to import cannot be opened: check its path and permissions") from None
    with stream:
        yield unpacked(stream)
