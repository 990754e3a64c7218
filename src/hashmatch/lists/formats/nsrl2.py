"""NIST's reference set of known software, version 2 and before: ``NSRLFile.txt``, a quoted CSV in ISO-8859-1.

Floor: lists. The set is of harmless files: its entries are listed as benign unless another role is told. File names,
which may have quotes and commas in them, are not read: the digests stand at a known place of the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.errors import HashFormatError
from hashmatch.lists.formats.decoding import MAX_LINE, decoded_lines
from hashmatch.lists.formats.digests import DigestSet
from hashmatch.lists.formats.operations import Refused, Upsert

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["read", "recognises"]

_LINES: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        '"SHA-1","MD5","CRC32","FileName"': re.compile('"([^",]*)","([^",]*)",'),
        '"SHA-1","FileName","FileSize","ProductCode","OpSystemCode","MD4","MD5"': re.compile(
            '"([^",]*)",.*,"[^",]*","([^",]*)","[^",]*","[^",]*"'
        ),
    }
)
"""Beginning of the header, of version 2 and of version 1, and where the SHA-1 and the MD5 stand in a line."""


def recognises(head: bytes) -> bool:
    """Whether it begins with the names of the columns."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(tuple(header.encode() for header in _LINES))


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read a set, one file of one product a line; the same file comes again for each product it is part of."""
    lines = decoded_lines(stream, delivery.encoding or "latin-1")
    first = (next(lines, (1, ""))[1] or "").removeprefix("\xef\xbb\xbf")
    pattern = next((pattern for header, pattern in _LINES.items() if first.startswith(header)), None)
    if pattern is None:
        raise HashFormatError("this is no NSRLFile.txt: its first line does not name the columns of one")
    entries = DigestSet(delivery, "benign")
    number, whole = 1, True
    for number, text in lines:
        if text is None:
            yield Refused(number, f"the line has more than {MAX_LINE} characters")
        elif text and not text.isspace():
            whole = text.rstrip().endswith('"')
            found = pattern.match(text)
            if found is None:
                yield Refused(number, "the line does not have its digests where the header says")
            else:
                yield entries.upsert(number, (("SHA-1", "sha1", found[1]), ("MD5", "md5", found[2])))
    if not whole:
        raise HashFormatError("the last line is cut short: nothing was imported")
