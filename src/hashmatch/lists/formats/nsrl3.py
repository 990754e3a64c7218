"""NIST's reference set of known software, version 3: an SQLite database with the table ``FILE``, or ``METADATA``.

Floor: lists. The set is of harmless files: its entries are listed as benign unless another role is told. In the minimal
sets ``FILE`` is a table; in the full ones it is a view of ``METADATA``, and then that table is read, because no view of
a foreign file is run. The scripts of changes that come each quarter are not run either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.lists.formats.digests import DigestSet
from hashmatch.lists.formats.foreign_sqlite import is_database, rows_of
from hashmatch.lists.formats.operations import Refused, Upsert

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["read", "recognises"]

_ALGORITHMS: Final = ("sha1", "md5", "sha256")


def recognises(head: bytes) -> bool:
    """Whether it is a database in whose beginning the tables of such a set are described."""
    return is_database(head) and all(name in head for name in (b"package_id", b"sha256", b"FILE"))


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read a set, one file a row."""
    entries = DigestSet(delivery, "benign")
    rows = rows_of(stream, ("FILE", "METADATA"), _ALGORITHMS, distinct=True)
    for number, (names, row) in enumerate(rows, start=1):
        yield entries.upsert(number, [(name, name, value) for name, value in zip(names, row, strict=True)])
