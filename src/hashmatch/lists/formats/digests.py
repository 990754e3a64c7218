"""An entry of the digests of one file, as forensic sets hold them.

Floor: lists. The names that such sets give files are never read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import Entry, ListedHash, Listing, Role
from hashmatch.lists.formats.cells import default_entry_id, parse_cell
from hashmatch.lists.formats.operations import Flaw, Refused, Upsert

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["DigestSet"]

_NOTHING: Final = (None, "", b"")


class DigestSet:
    """Makes the entries of one delivery.

    Parameters
    ----------
    delivery : Delivery
        What the importing person says of it.
    role : {"alarm", "benign", "comparison"}
        What its entries are listed for unless that is told. Then, if it is not ``"alarm"``, they are listed by a source
        named after that of the delivery, because a source has one role in a list.
    """

    def __init__(self, delivery: Delivery, role: Role = "alarm") -> None:
        self._role: Role = delivery.role or role
        self._source, self._labels = delivery.source_for(self._role), delivery.labels

    def upsert(self, number: int, digests: Iterable[tuple[str, str, object]]) -> Upsert | Refused:
        """Make the entry of a record, named after its first digest.

        Parameters
        ----------
        number : int
            Number of the line or record, from 1.
        digests : iterable of (column, algorithm, value)
            Value as text in hexadecimal digits, or as the bytes of the digest; None or empty where there is none.
        """
        values: list[HashValue] = []
        bad: list[Flaw] = []
        for column, algorithm, value in digests:
            if value in _NOTHING:
                continue
            try:
                values.append(_digest(value, algorithm))
            except HashFormatError as error:
                bad.append(Flaw(number, column, "left out", str(error)))
        if not values:
            return Refused(number, "; ".join(f"{flaw.column}: {flaw.reason}" for flaw in bad) or "it has no digest")
        listing = Listing(self._source, tuple(map(ListedHash, values)), self._labels, self._role)
        return Upsert(number, Entry(default_entry_id(values[0]), (listing,)), tuple(bad))


def _digest(value: object, algorithm: str) -> HashValue:
    if isinstance(value, bytes):
        value = value.hex()
    if not isinstance(value, str):
        raise HashFormatError("it is a number, not a digest")
    return parse_cell(value, algorithm)
