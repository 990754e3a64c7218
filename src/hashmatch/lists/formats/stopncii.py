"""Pages of StopNCII.org: hashes that people made of intimate pictures of themselves.

Floor: lists. The pictures show adults, and the hashes come from the people they show: entries have the label ``ncii``
and no class of child abuse. A record is the latest state of a hash: what is withdrawn is told by ``hashStatus``, or by
all its cases. Numbers of cases and names of services are never kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.entry import Entry, ListedHash, Listing
from hashmatch.lists.formats.cells import default_entry_id, parse_cell
from hashmatch.lists.formats.operations import Delete, Flaw, Operation, Upsert
from hashmatch.lists.formats.pages import operations_of_page, read_pages, text_of

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["LABEL", "WHAT", "is_withdrawn", "operations_of", "read", "recognises"]

LABEL: Final = "ncii"
"""Name of the label that every entry has."""

WHAT: Final = "page of StopNCII"
"""What a page is, for messages."""

_HEAD: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{.{0,4000}"hashRecords"\s*:\s*\[', re.DOTALL)
_SIGNALS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"imagepdq": ("pdq", ""), "videomd5": ("md5", "video")}
)
_GONE: Final = frozenset({"withdrawn", "deleted"})
_FEEDBACK: Final = frozenset({"qualityunknown", "pendingreview", "blocked", "notblocked"})


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Operation]:
    """Read saved pages; each hash is a record.

    Yields
    ------
    Upsert, Delete or Refused
        Entries are named after their hash, see `default_entry_id`.

    Raises
    ------
    HashFormatError
        If it is no such page, is damaged, cut short or over a limit.
    ReferenceListError
        If it cannot be read.
    """
    return read_pages(stream, delivery, "hashRecords", WHAT, _operation)


def recognises(head: bytes) -> bool:
    """Whether it is an object with the records of such a page."""
    return _HEAD.match(head) is not None


def operations_of(page: Mapping[str, Any], delivery: Delivery, before: int = 0) -> Iterator[Operation]:
    """Read the records of a page; ``before`` is how many came before it."""
    return operations_of_page(page, delivery, before, "hashRecords", WHAT, _operation)


def _operation(record: Mapping[str, Any], delivery: Delivery, number: int) -> Operation:
    algorithm, media = _SIGNALS.get(text_of(record, "signalType").casefold(), ("", ""))
    if not algorithm:
        raise ReferenceListError("a list holds no signal of this type")
    value = parse_cell(text_of(record, "hashValue"), algorithm)
    entry_id = default_entry_id(value)
    flaws: list[Flaw] = []
    if is_withdrawn(record, number, flaws):
        return Delete(number, entry_id, delivery.source)
    labels = {**delivery.labels, LABEL: "yes"} | ({"media": media} if media else {})
    labels |= _feedback(record, number, flaws)
    listing = Listing(delivery.source, (ListedHash(value),), labels, delivery.role or "alarm")
    return Upsert(number, Entry(entry_id, (listing,)), tuple(flaws), whole=True, replaces=delivery.source)


def is_withdrawn(record: Mapping[str, Any], number: int, flaws: list[Flaw]) -> bool:
    """Tell whether a record takes its signal back; what is odd about that goes to ``flaws``."""
    if text_of(record, "hashStatus").casefold() in _GONE:
        return True
    cases = record.get("caseNumbers")
    if cases is None:
        return False
    if not isinstance(cases, dict) or not all(isinstance(status, str) for status in cases.values()):
        flaws.append(Flaw(number, "caseNumbers", "left out", "it is no table of cases and their status"))
        return False
    return bool(cases) and all(status.strip().casefold() in _GONE for status in cases.values())


def _feedback(record: Mapping[str, Any], number: int, flaws: list[Flaw]) -> dict[str, str]:
    """Count what services said, by what they said."""
    given = record.get("CSPFeedbacks")
    if given is None:
        return {}
    if not isinstance(given, list):
        flaws.append(Flaw(number, "CSPFeedbacks", "left out", "it is no list"))
        return {}
    said = [item.get("feedbackValue") for item in given if isinstance(item, dict)]
    counts = Counter(word.casefold() for word in said if isinstance(word, str))
    return {f"stopncii-{word}": str(count) for word, count in sorted(counts.items()) if word in _FEEDBACK}
