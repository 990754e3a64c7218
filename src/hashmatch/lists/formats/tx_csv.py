"""The table that ``threatexchange dataset --csv`` writes: signal_type, signal_str, collab, category, tags.

Floor: lists. A collaboration is a source, and the category says what a signal is listed for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import JOIN, LOCAL, MAX_LABEL_NAME, Entry, ListedHash, Listing, Role, is_name
from hashmatch.lists.formats.cells import default_entry_id, id_from, label_from, visible
from hashmatch.lists.formats.decoding import MAX_LINE, decoded_lines
from hashmatch.lists.formats.operations import Flaw, Refused, Upsert
from hashmatch.lists.formats.quotes import Cut, Lines, cut
from hashmatch.lists.formats.tx_local import OTHER_TYPES, TYPES, signal_from

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["ROLES_OF_CATEGORIES", "read", "recognises"]

ROLES_OF_CATEGORIES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        "POSITIVE_CLASS": "alarm",
        "NEGATIVE_CLASS": "benign",
        "INVESTIGATION_SEED": "comparison",
        "DISPUTED": "comparison",
    }
)
"""What signals of a category are listed for."""

_HEADER: Final = "signal_type,signal_str,collab,category,tags"
_N_FIELDS: Final = 5
_TAGS: Final = "tags"
"""Label of the tags that have no name of their own, as ``name:value``."""


def recognises(head: bytes) -> bool:
    """Whether the first line is that of the table."""
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    return first.rstrip(b"\r") == _HEADER.encode()


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read the table; entries are named by `default_entry_id`.

    A signal of another category than the positive one is listed under ``COLLAB/ROLE``, because a source has one role in
    a list; where the delivery names a source or a role, that counts more.
    """
    lines = Lines(decoded_lines(stream, delivery.encoding))
    first = lines.take()
    if first is None or (first[1] or "").rstrip() != _HEADER:
        raise HashFormatError(f"this is no table of threatexchange: its first line is not {_HEADER}")
    while (line := lines.take()) is not None:
        number, text = line
        if text is None:
            yield Refused(number, f"the line has more than {MAX_LINE} characters")
        elif text and not text.isspace():
            yield _row(number, cut(lines, number, text, ",", _reads), delivery)


def _reads(record: Cut) -> bool:
    """Whether a record is one of the table's own."""
    fields = record.fields
    return len(fields) == _N_FIELDS and fields[0] in TYPES.keys() | OTHER_TYPES and fields[3] in ROLES_OF_CATEGORIES


def _row(number: int, record: Cut, delivery: Delivery) -> Upsert | Refused:
    if len(record.fields) != _N_FIELDS:
        said = f"the record has {len(record.fields)} fields, not {_N_FIELDS}"
        return Refused(number, f"{record.misquoted}; {said}" if record.misquoted else said)
    name, signal, collab, category, tags = record.fields
    flaws = [Flaw(number, "", "misquoted", record.misquoted)] if record.misquoted else []
    if record.misquoted and '"' in collab + tags:
        return Refused(number, record.misquoted)
    try:
        value = signal_from(name, signal)
        role = delivery.role or ROLES_OF_CATEGORIES.get(visible(category))
        if role is None:
            raise ReferenceListError("column category: it is none that threatexchange has")
        if delivery.source != LOCAL or not visible(collab):
            source = delivery.source_for(role)
        else:
            source = id_from(collab, "the source")
            main = delivery.role or "alarm"
            if role != main and not source.endswith(f"/{role}"):
                source = f"{source}/{role}"
        labels = _labels(number, tags, flaws) | dict(delivery.labels)
        listing = Listing(source, (ListedHash(value),), labels, role)
        return Upsert(number, Entry(default_entry_id(value), (listing,)), tuple(flaws))
    except (HashFormatError, ReferenceListError) as error:
        return Refused(number, str(error))


def _labels(number: int, tags: str, flaws: list[Flaw]) -> dict[str, str]:
    """Make labels of tags: ``name:value`` has a name, the others are together."""
    said: dict[str, list[str]] = {}
    for tag in tags.split(" "):
        name, colon, value = tag.partition(":")
        if colon and value and is_name(name, MAX_LABEL_NAME):
            said.setdefault(name, []).append(value)
        elif tag:
            said.setdefault(_TAGS, []).append(tag)
    labels = {}
    for name, values in said.items():
        text, kind, reason = label_from((" " if name == _TAGS else JOIN).join(dict.fromkeys(values)))
        if text is not None:
            labels[name] = text
        if kind is not None:
            flaws.append(Flaw(number, _TAGS, kind, reason))
    return labels
