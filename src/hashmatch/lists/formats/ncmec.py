"""Pages of NCMEC's hash sharing service, version 2 (XML).

Floor: lists. A page says the latest state of entries in no order: an image or video that replaces all that was said of
it, or a tombstone that names the entry alone. An entry is named ``SOURCE:MEMBER:ENTRY:image``: the same hash of two
members is two entries. Names of members are read to tell Take It Down apart and never kept.

The parser is expat. Document types, and with them every entity that a page could define, are refused.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from xml.parsers import expat

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import MAX_ENTRY_ID, MAX_SOURCE, Entry, ListedHash, Listing, checked_text
from hashmatch.lists.formats.cells import label_from, parse_cell
from hashmatch.lists.formats.operations import Delete, Flaw, Operation, Refused, Upsert
from hashmatch.lists.formats.unpacking import read_some

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["MAX_PAGE", "TAKE_IT_DOWN", "Page", "entry_name", "read", "recognises"]

MAX_PAGE: Final = 64 * 2**20
"""Largest page, bytes."""

TAKE_IT_DOWN: Final = "take-it-down"
"""Suffix of the source of what comes by Take It Down, and the name of its class."""

_CHUNK: Final = 65_536
_MAX_TAG: Final = 2**20  # bytes of one tag or comment, which expat holds as a whole
_MAX_DEPTH: Final = 32
_MAX_TEXT: Final = 4_096  # characters of one element or attribute
_MAX_NODES: Final = 20_000  # elements of one entry
_RECORD_DEPTH: Final = 3
_SHORT: Final = "this XML page is damaged or cut short: nothing was imported"
_KINDS: Final = ("image", "video")
_STRANGE: Final = "\N{REPLACEMENT CHARACTER}"
_MEMBER: Final = re.compile(r"[0-9A-Za-z_.-]{1,32}")
_CLASS: Final = re.compile(r"[ABab][12]")
_ALGORITHMS: Final[Mapping[str, str]] = MappingProxyType(
    {"md5": "md5", "sha1": "sha1", "sha256": "sha256", "pdq": "pdq", "pdna": "photodna"}
)
_UNHELD: Final = frozenset({"netclean", "videntifier", "tmk_pdqf", "ssvh_pdna", "ssvh_safer_hash", "tmk_safer_hash"})
"""Fingerprints that no list holds; any other name counts as one of these, and is not shown."""

_ATTRIBUTES: Final = ("id", "href", "type")
_VERDICTS: Final[Mapping[str, str]] = MappingProxyType(
    {"affirmativefeedback": "affirmative", "negativefeedback": "negative"}
)


def entry_name(source: str, member: str, entry: str, kind: str) -> str:
    """Name an entry by its member and its id there; ``kind`` is ``"image"`` or ``"video"``."""
    return f"{source}:{member}:{entry}:{kind}"


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Operation]:
    """Read one saved page; each image, video or tombstone is a record.

    Yields
    ------
    Upsert, Delete or Refused
        An upsert replaces what the source said of the entry. Fingerprints that a list cannot hold, and those that are
        given by address only, are told as flaws. An entry that has no others left is taken back and refused.

    Raises
    ------
    HashFormatError
        If it is no such page, has a document type, is damaged, cut short or over a limit.
    ReferenceListError
        If it cannot be read.
    """
    return iter(Page(stream, delivery))


def recognises(head: bytes) -> bool:
    """Whether it begins with the root element of such a page."""
    text = head.replace(b"\0", b"")
    return b"queryResult" in text and b"/hashsharing/v2" in text


@dataclass(slots=True)
class _Node:
    """One element of an entry: its name in lower case, what its attributes say, and what is in it."""

    name: str
    said: Mapping[str, str]
    parts: list[str] = field(default_factory=list)
    size: int = 0
    children: list[_Node] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts).strip()

    @property
    def is_cut(self) -> bool:
        return self.size > _MAX_TEXT

    def child(self, name: str) -> _Node | None:
        """Find the child of a name; of several none, because either could be meant."""
        found = [node for node in self.children if node.name == name]
        return found[0] if len(found) == 1 else None


class Page:
    """One page: iterated once, it yields its operations; then `next` says where the range goes on.

    Parameters
    ----------
    stream : binary file
        The page.
    delivery : Delivery
        Its source, labels and role, and which members are listed apart.

    Attributes
    ----------
    next : str
        Address of the next page as the page gives it; empty on the last page of a range, and before the end.
    """

    def __init__(self, stream: BinaryIO, delivery: Delivery) -> None:
        self.next = ""
        self._stream, self._delivery = stream, delivery
        self._apart = checked_text(f"{delivery.source}/{TAKE_IT_DOWN}", "the source", MAX_SOURCE)
        self._stack: list[_Node] = []
        self._depth = self._nodes = self._number = 0
        self._block = ""
        self._ready: deque[_Node | None] = deque()
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._take

    def __iter__(self) -> Iterator[Operation]:
        size = 0
        while True:
            chunk = read_some(self._stream, _CHUNK)
            size += len(chunk)
            if size > MAX_PAGE:
                raise HashFormatError(f"a page has at most {MAX_PAGE:,} bytes")
            try:
                self._parser.Parse(chunk, not chunk)
            except HashFormatError:
                raise
            except (expat.ExpatError, LookupError, ValueError):  # an encoding that expat lacks is a ValueError
                raise HashFormatError(_SHORT) from None
            if chunk and size - max(self._parser.CurrentByteIndex, 0) > _MAX_TAG:
                raise HashFormatError(f"a tag of this XML page has more than {_MAX_TAG:,} bytes")
            while self._ready:
                self._number += 1
                yield from self._operations(self._ready.popleft())
            if not chunk:
                return

    @staticmethod
    def _refuse_doctype(*_: Any) -> None:
        raise HashFormatError("this XML page has a document type, which no page of a feed has: nothing was imported")

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        tag = qualified.rpartition(" ")[2]
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise HashFormatError(f"this XML page is nested more than {_MAX_DEPTH} deep: nothing was imported")
        if self._depth == 1 and tag != "queryResult":
            raise HashFormatError("this XML is no page of NCMEC's hash sharing service")
        tag = tag.lower()
        if self._depth == _RECORD_DEPTH - 1:
            self._block = tag
        is_entry = self._depth == _RECORD_DEPTH and self._block in ("images", "videos")
        is_next = self._depth == _RECORD_DEPTH and (self._block, tag) == ("paging", "next")
        if not (self._stack or is_entry or is_next):
            return
        self._nodes = 1 if not self._stack else self._nodes + 1
        said = {name: text for name, text in attributes.items() if name in _ATTRIBUTES and len(text) <= _MAX_TEXT}
        node = _Node(tag, said)
        if self._stack and self._nodes <= _MAX_NODES:
            self._stack[-1].children.append(node)
        self._stack.append(node)

    def _take(self, text: str) -> None:
        if not self._stack:
            return
        node = self._stack[-1]
        node.size += len(text)
        if not node.is_cut:
            node.parts.append(text)

    def _end(self, _: str) -> None:
        self._depth -= 1
        if not self._stack:
            return
        node = self._stack.pop()
        if self._stack:
            return
        if self._block == "paging":
            self.next = "" if node.is_cut else node.text
        else:
            self._ready.append(node if self._nodes <= _MAX_NODES else None)

    def _operations(self, node: _Node | None) -> Iterator[Operation]:
        number = self._number
        if node is None:
            yield Refused(number, f"the entry has more than {_MAX_NODES:,} elements")
            return
        is_gone = node.name.startswith("deleted")
        kind = node.name.removeprefix("deleted")
        if kind not in _KINDS:
            yield Refused(number, "the element is no image or video")
            return
        member, entry = node.child("member"), node.child("id")
        member_id = member.said.get("id", "") if member is not None else ""
        if member is None or not _MEMBER.fullmatch(member_id):
            yield Refused(number, "the entry names no member by its id, or more than one")
            return
        if entry is None or entry.is_cut or not entry.text or _STRANGE in entry.text:
            yield Refused(number, "the entry has no id that can be read, or more than one")
            return
        source = self._delivery.source
        entry_id = entry_name(source, member_id, entry.text, kind)
        try:
            if is_gone:
                yield Delete(number, checked_text(entry_id, "the entry id", MAX_ENTRY_ID), source)
                return
            hashes, flaws = _fingerprints(node, number)
            labels = {**self._delivery.labels, **_labels(node, kind, number, flaws)}
            listed = self._source_of(member_id, member.text)
            if listed == self._apart:
                labels[TAKE_IT_DOWN] = "yes"
            if not hashes:
                reasons = dict.fromkeys(f"{flaw.column}: {flaw.reason}" for flaw in flaws)
                yield Delete(number, checked_text(entry_id, "the entry id", MAX_ENTRY_ID), source)
                yield Refused(number, "; ".join(reasons) or "the entry has no fingerprint")
                return
            listing = Listing(listed, tuple(hashes), labels, self._delivery.role or "alarm")
            yield Upsert(number, Entry(entry_id, (listing,)), tuple(flaws), whole=True, replaces=source)
        except ReferenceListError as error:
            yield Refused(number, str(error))

    def _source_of(self, member_id: str, name: str) -> str:
        """Name the source that a member's entries are listed under."""
        suffix = self._delivery.members.get(member_id)
        if suffix is not None:
            return f"{self._delivery.source}/{suffix}"
        return self._apart if "take it down" in " ".join(name.casefold().split()) else self._delivery.source


def _fingerprints(node: _Node, number: int) -> tuple[list[ListedHash], list[Flaw]]:
    """Read the fingerprints that a list can hold; blank ones are none, all others are told."""
    hashes: dict[ListedHash, None] = {}
    flaws = []
    for item in _below(node, "fingerprints"):
        key = item.name.replace("-", "_")
        algorithm = _ALGORITHMS.get(key)
        column = key if algorithm or key in _UNHELD else "fingerprint"
        text = "".join(item.text.split())
        if item.children:
            reason = "it is no text"
        elif item.is_cut:
            reason = f"it has more than {_MAX_TEXT:,} characters"
        elif not text and "href" in item.said:
            reason = "it is given by an address only, which is not kept"
        elif not text:
            continue
        elif algorithm is None:
            reason = "a list holds no fingerprint of this kind"
        else:
            try:
                hashes[ListedHash(parse_cell(text, algorithm))] = None
                continue
            except HashFormatError as error:
                reason = str(error)
        flaws.append(Flaw(number, column, "left out", reason))
    return list(hashes), flaws


def _labels(node: _Node, kind: str, number: int, flaws: list[Flaw]) -> dict[str, str]:
    """Read the class of an entry and how many members said what of its fingerprints."""
    labels = {"media": "video"} if kind == "video" else {}
    for said in (part.text for part in node.children if part.name == "classification" and part.text):
        scheme = "tech-coalition" if _CLASS.fullmatch(said) else "ncmec-classification"
        value, flaw, reason = label_from(said.upper() if scheme == "tech-coalition" else said)
        if value is not None and labels.setdefault(scheme, value) != value:
            flaw, reason = "left out", "it is said more than once"
        if flaw is not None:
            flaws.append(Flaw(number, "classification", flaw, reason))
    counts: dict[str, set[str]] = {}
    for item in _below(node, "feedback"):
        verdict = _VERDICTS.get(item.name)
        if verdict is None:
            continue
        key = item.said.get("type", "").lower().replace("-", "_")
        key = key if key in _ALGORITHMS or key in _UNHELD else "other"
        members = counts.setdefault(f"ncmec-{verdict}-{key}", set())
        members.update(_members(item))
    return labels | {name: str(len(members)) for name, members in counts.items() if members}


def _below(node: _Node, name: str) -> Iterator[_Node]:
    """Children of all the children of a name."""
    return (item for part in node.children if part.name == name for item in part.children)


def _members(node: _Node) -> Iterator[str]:
    """Ids of the members below an element, to count each once."""
    stack = [node]
    while stack:
        found = stack.pop()
        if found.name == "member":
            yield found.said.get("id", "")
        stack += found.children
