"""Hash sets of Autopsy: ``.kdb``, an SQLite database with the digests as binary values in the table ``hashes``.

Floor: lists. File names and comments, which stand in other tables, are not read. Whether a set is of known or of
notable files is kept in Autopsy, not in the set: tell the role.
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

_ALGORITHMS: Final = {"md5": "md5", "sha1": "sha1", "sha2_256": "sha256"}


def recognises(head: bytes) -> bool:
    """Whether it is a database in whose beginning the tables of such a set are described."""
    return is_database(head) and all(name in head for name in (b"db_properties", b"hashes", b"sha2_256"))


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read a hash set, one file a row."""
    entries = DigestSet(delivery)
    for number, (names, row) in enumerate(rows_of(stream, ("hashes",), tuple(_ALGORITHMS)), start=1):
        yield entries.upsert(number, [(name, _ALGORITHMS[name], value) for name, value in zip(names, row, strict=True)])
