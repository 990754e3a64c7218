"""Hash sets of HashKeeper: ``.hsh``, a quoted CSV with the MD5 in the column ``hash``.

Floor: lists. File names, folders and comments are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.lists.formats import csv_table
from hashmatch.lists.formats.mapping import ColumnMapping
from hashmatch.lists.formats.operations import Operation

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["read", "recognises"]

_HEADER: Final = b'"file_id","hashset_id","file_name","directory","hash"'


def recognises(head: bytes) -> bool:
    """Whether it begins with the names of its first columns."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(_HEADER)


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Operation]:
    """Read a hash set, one file a row."""
    mapping = ColumnMapping(hashes={"hash": "md5"})
    return csv_table.read(
        stream, replace(delivery, mapping=mapping, delimiter=",", encoding=delivery.encoding or "latin-1")
    )
