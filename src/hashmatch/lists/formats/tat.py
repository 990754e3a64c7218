"""Pages of the hash list of Tech Against Terrorism.

Floor: lists. An entry is named ``tat:ID`` by the id of its record, and taken back where ``deleted`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.entry import MAX_ENTRY_ID, Entry, ListedHash, Listing, checked_text
from hashmatch.lists.formats.cells import id_from, label_from, parse_cell
from hashmatch.lists.formats.operations import Delete, Flaw, Operation, Upsert
from hashmatch.lists.formats.pages import operations_of_page, read_pages, text_of, truth_of

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["operations_of", "read", "recognises"]

WHAT: Final = "page of the hash list of Tech Against Terrorism"

_HEAD: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{.*"results"\s*:\s*\[\s*\{[^}]*"hash_digest"\s*:', re.DOTALL)
_ALGORITHMS: Final[Mapping[str, str]] = MappingProxyType(
    {"md5": "md5", "sha1": "sha1", "sha256": "sha256", "pdq": "pdq"}
)
_VIDEO: Final = re.compile(r"video(/.*)?|\.?(mp4|m4v|mov|avi|mkv|webm|wmv|flv|3gp|mpe?g)", re.IGNORECASE)


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Operation]:
    """Read saved pages; each hash is a record.

    Yields
    ------
    Upsert, Delete or Refused
        The ideology becomes the label ``tat``.

    Raises
    ------
    HashFormatError
        If it is no such page, is damaged, cut short or over a limit.
    ReferenceListError
        If it cannot be read.
    """
    return read_pages(stream, delivery, "results", WHAT, _operation)


def recognises(head: bytes) -> bool:
    """Whether it is an object with results that have the fields of such a page."""
    return _HEAD.match(head) is not None


def operations_of(page: Mapping[str, Any], delivery: Delivery, before: int = 0) -> Iterator[Operation]:
    """Read the records of a page; ``before`` is how many came before it."""
    return operations_of_page(page, delivery, before, "results", WHAT, _operation)


def _operation(record: Mapping[str, Any], delivery: Delivery, number: int) -> Operation:
    name = text_of(record, "id")
    if not name:
        raise ReferenceListError("the record has no id")
    entry_id = checked_text(f"tat:{id_from(name)}", "the entry id", MAX_ENTRY_ID)
    if truth_of(record, "deleted"):
        return Delete(number, entry_id, delivery.source)
    algorithm = _ALGORITHMS.get(text_of(record, "algorithm").casefold().replace("-", ""))
    if algorithm is None:
        raise ReferenceListError("a list holds no hash of this algorithm")
    value = parse_cell(text_of(record, "hash_digest"), algorithm)
    labels, flaws = dict(delivery.labels), []
    said, kind, reason = label_from(text_of(record, "ideology"))
    if said is not None:
        labels["tat"] = said
    if kind is not None:
        flaws.append(Flaw(number, "ideology", kind, reason))
    if _VIDEO.fullmatch(text_of(record, "file_type")):
        labels["media"] = "video"
    listing = Listing(delivery.source, (ListedHash(value),), labels, delivery.role or "alarm")
    return Upsert(number, Entry(entry_id, (listing,)), tuple(flaws), whole=True, replaces=delivery.source)
