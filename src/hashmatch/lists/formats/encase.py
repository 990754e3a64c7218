"""Hash sets of EnCase up to version 6: ``.hash``, binary, MD5 alone.

Floor: lists. A header of 1,152 bytes, then records of 18 bytes: the digest and two zero bytes. The layout is that which
open programs read (The Sleuth Kit) and which is described of files of EnCase 6. The set's name and category, which
stand in the header, are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.errors import HashFormatError
from hashmatch.lists.formats.digests import DigestSet
from hashmatch.lists.formats.operations import Refused, Upsert
from hashmatch.lists.formats.unpacking import read_fully

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["read", "recognises"]

_MAGIC: Final = b"HASH\r\n\xff\0"
_COUNTED: Final = _MAGIC + b"\2\0\0\0\1\0\0\0"
"""What headers begin with in which the number of records is known to follow."""
_HEADER: Final = 0x480
_RECORD: Final = 18
_DIGEST: Final = 16
_STEP: Final = 3_640 * _RECORD
_CUT: Final = "the EnCase hash set is cut short: nothing was imported"


def recognises(head: bytes) -> bool:
    """Whether it begins as such a set."""
    return head.startswith(_MAGIC)


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read a hash set; a record that does not end in zero bytes, as it would at another spacing, is refused."""
    header = read_fully(stream, _HEADER)
    if not recognises(header):
        raise HashFormatError("this is no EnCase hash set: it does not begin as one")
    if len(header) < _HEADER:
        raise HashFormatError(_CUT)
    entries = DigestSet(delivery)
    number = 0
    while block := read_fully(stream, _STEP):
        if len(block) % _RECORD:
            raise HashFormatError(_CUT)
        for place in range(0, len(block), _RECORD):
            number += 1
            record = block[place : place + _RECORD]
            if any(record[_DIGEST:]):
                yield Refused(number, "the record does not end in two zero bytes")
            else:
                yield entries.upsert(number, (("digest", "md5", record[:_DIGEST]),))
    if header.startswith(_COUNTED) and int.from_bytes(header[16:20], "little") > number:
        raise HashFormatError(_CUT)
