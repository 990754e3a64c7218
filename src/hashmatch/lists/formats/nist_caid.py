"""NIST's set of known software media in VICS: known to be good, never an alarm.

Floor: lists. NIST calls it CAID; it is not the list of that name of the United Kingdom's police.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from hashmatch.errors import ReferenceListError
from hashmatch.lists.formats import vics
from hashmatch.lists.formats.category_profiles import PROFILES
from hashmatch.lists.formats.operations import Refused, Upsert

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["read", "recognises"]


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read a delivery of NIST's set.

    Parameters
    ----------
    stream : binary file
        One JSON object in VICS.
    delivery : Delivery
        Its role can only be ``"benign"``, which is the default. Records of another category than 8 are listed for
        comparison under ``SOURCE/comparison``.

    Yields
    ------
    Upsert or Refused
        As `hashmatch.lists.formats.vics.read` does.

    Raises
    ------
    HashFormatError
        If the file is not VICS, is damaged or is cut short.
    ReferenceListError
        If the role is another one.
    """
    if delivery.role not in (None, "benign"):
        raise ReferenceListError("this set is of files that are known to be good: its role can only be benign")
    return vics.read_as(stream, replace(delivery, role="benign"), PROFILES["nist"])


def recognises(head: bytes) -> bool:  # noqa: ARG001
    """Tell nothing: what tells it from other VICS is who made it."""
    return False
