"""What a list takes of a hash beyond its length: a record whose hash varies in length must be one.

Floor: lists. A column of bytes of any length up to 4,096 could hold a small picture. So every record is read as what
it says it is before it gets in, and what cannot be read so is refused without being shown.
"""

from __future__ import annotations

from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.keypoints.record import Record
from hashmatch.lists.entry import is_record

__all__ = ["check_record"]


def check_record(value: HashValue) -> None:
    """Check a hash that varies in length; others pass, since their length is all there is to check.

    Raises
    ------
    HashFormatError
        If it is no record of its algorithm. The message shows nothing of it.
    """
    if not is_record(value):
        return
    try:
        Record.from_bytes(value.data)
    except ValueError as error:
        raise HashFormatError(f"this is no {value.algorithm} record: {error}") from None
