"""Pages of ThreatExchange's ``threat_updates``, through which GIFCT's shared hashes come too.

Floor: lists. An entry is named ``threatexchange:ID`` by the id of its indicator. Owners of descriptors are never kept.
Taken back is what ``should_delete`` names, and what has no descriptor any more. ThreatExchange tells of that for 90
days only: see `hashmatch.lists.feeds`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.entry import JOIN, MAX_LABEL_VALUE, Entry, ListedHash, Listing, Role
from hashmatch.lists.formats.cells import label_from, parse_cell
from hashmatch.lists.formats.operations import Delete, Flaw, Operation, Upsert
from hashmatch.lists.formats.pages import items_of, operations_of_page, read_pages, text_of, truth_of

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["DESCRIPTORS", "TYPES", "WHAT", "operations_of", "read", "recognises"]

DESCRIPTORS: Final = "threatexchange-descriptors"
"""Label with the ids of an entry's descriptors, which reactions are addressed to, as far as they fit."""

WHAT: Final = "page of ThreatExchange's threat_updates"
"""What a page is, for messages."""

TYPES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "HASH_PDQ": ("pdq", ""),
        "HASH_MD5": ("md5", ""),
        "HASH_SHA1": ("sha1", ""),
        "HASH_SHA256": ("sha256", ""),
        "HASH_PHOTODNA": ("photodna", ""),
        "HASH_VIDEO_MD5": ("md5", "video"),
        "HASH_VIDEO_SHA256": ("sha256", "video"),
    }
)
"""Algorithm and kind of media by type of indicator. ``HASH_URL_MD5`` is the digest of an address, not of a file."""

_HEAD: Final = re.compile(
    rb'(?:\xef\xbb\xbf)?\s*\{\s*"(?:data|paging)".{0,4000}"(?:should_delete|indicator)"', re.DOTALL
)
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_STATUSES: Final = ("MALICIOUS", "SUSPICIOUS", "UNKNOWN", "NON_MALICIOUS")
_VIDEO: Final = "media_type_video"


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Operation]:
    """Read saved pages; each indicator is a record.

    Yields
    ------
    Upsert, Delete or Refused
        An indicator that no descriptor calls malicious is listed for comparison, under ``SOURCE/comparison``, unless
        the delivery says for what all is listed. Tags become the label ``tags``, statuses ``threatexchange``.

    Raises
    ------
    HashFormatError
        If it is no such page, is damaged, cut short or over a limit.
    ReferenceListError
        If it cannot be read.
    """
    return read_pages(stream, delivery, "data", WHAT, _operation)


def recognises(head: bytes) -> bool:
    """Whether it is an object with indicators under ``data``."""
    return _HEAD.match(head) is not None


def operations_of(page: Mapping[str, Any], delivery: Delivery, before: int = 0) -> Iterator[Operation]:
    """Read the records of a page; ``before`` is how many came before it."""
    return operations_of_page(page, delivery, before, "data", WHAT, _operation)


def _operation(record: Mapping[str, Any], delivery: Delivery, number: int) -> Operation:
    name = text_of(record, "id")
    if not _ID.fullmatch(name):
        raise ReferenceListError("the record has no id")
    entry_id = f"threatexchange:{name}"
    descriptors = items_of(record.get("descriptors"))
    if truth_of(record, "should_delete") or descriptors == []:
        return Delete(number, entry_id, delivery.source)
    if descriptors is None or not all(isinstance(item, dict) for item in descriptors):
        raise ReferenceListError("descriptors is no list of objects")
    algorithm, media = TYPES.get(text_of(record, "type").upper(), ("", ""))
    if not algorithm:
        raise ReferenceListError("a list holds no indicator of this type")
    value = parse_cell(text_of(record, "indicator"), algorithm)
    flaws: list[Flaw] = []
    tags = _tags([record, *descriptors], number, flaws)
    statuses = {text_of(item, "status").upper() for item in descriptors} - {""}
    labels = {
        **delivery.labels,
        "tags": _joined(sorted(tags), JOIN, "tags", number, flaws),
        "threatexchange": JOIN.join(word for word in _STATUSES if word in statuses),
        DESCRIPTORS: _joined(
            sorted(word for word in (text_of(item, "id") for item in descriptors) if _ID.fullmatch(word)),
            " ",
            "descriptors",
            number,
            flaws,
        ),
        "media": media or ("video" if _VIDEO in tags else ""),
    }
    role: Role = delivery.role or ("alarm" if not statuses or "MALICIOUS" in statuses else "comparison")
    source = delivery.source if delivery.role else delivery.source_for(role)
    listing = Listing(source, (ListedHash(value),), {key: text for key, text in labels.items() if text}, role)
    return Upsert(number, Entry(entry_id, (listing,)), tuple(flaws), whole=True, replaces=delivery.source)


def _tags(holders: list[Mapping[str, Any]], number: int, flaws: list[Flaw]) -> set[str]:
    """Read the texts of tags, which stand in an object, a list or nowhere, each as an object or as its text."""
    found: set[str] = set()
    for holder in holders:
        tags = items_of(holder.get("tags"))
        if tags is None:
            flaws.append(Flaw(number, "tags", "left out", "it is no list of tags"))
        for tag in tags or ():
            text = tag.get("text") if isinstance(tag, dict) else tag
            said, kind, reason = label_from(text) if isinstance(text, str) else (None, "left out", "it is no text")
            if said is not None:
                found.add(said)
            if kind is not None:
                flaws.append(Flaw(number, "tags", "left out" if said is None else "cleaned", reason))
    return found


def _joined(words: list[str], mark: str, column: str, number: int, flaws: list[Flaw]) -> str:
    """Join words as far as a label holds them."""
    text = ""
    for word in words:
        longer = f"{text}{mark}{word}" if text else word
        if len(longer) > MAX_LABEL_VALUE:
            flaws.append(Flaw(number, column, "cut", f"they have more than {MAX_LABEL_VALUE} characters"))
            break
        text = longer
    return text
