"""One JSON object a line: the form in which hashmatch writes a list, and any other fields by a mapping.

Floor: lists. ``docs/reference/ndjson.md`` has the form. A record that cannot be read costs itself; a last line that
ends before its object does is a file that was cut short.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, cast

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import JOIN, LOCAL, Entry, ListedHash, Listing, Role, checked_role
from hashmatch.lists.formats.cells import parse_cell
from hashmatch.lists.formats.decoding import decoded_lines
from hashmatch.lists.formats.mapping import ColumnMapping, RowMaker, folded, mapping_of
from hashmatch.lists.formats.operations import Flaw, LeftOut, Refused, Row, Upsert
from hashmatch.lists.formats.own_csv import kept_labels

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["MAX_RECORD", "NDJSON_HASHES", "NDJSON_VERSION", "read", "recognises"]

NDJSON_VERSION: Final = 1
"""Value of ``hashmatch`` in each line of our form."""

NDJSON_HASHES: Final = 500
"""Most hashes that a line of our form is written with, so that no line is longer than `MAX_RECORD`."""

MAX_RECORD: Final = 2**23
"""Most characters of a line."""

_OWN: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"hashmatch"\s*:\s*[0-9]')
_TWICE: Final = object()
"""Value of a key that an object has twice."""
_NO_OBJECT: Final = "the line is no JSON object"
_SCALARS: Final = (str, int, float)
_folded = lru_cache(maxsize=4_096)(folded)


def recognises(head: bytes) -> bool:
    """Whether the first record is one of our form."""
    return _OWN.match(head) is not None


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused | LeftOut]:
    """Read records by the mapping of a delivery, or of our own form where it has none.

    Records of our form keep the source and role that they name, unless the delivery names others: then an entry is
    listed by that source, or by one named after it if its role differs.

    Raises
    ------
    HashFormatError
        If the first line is no record, the last one is cut short, or a record is of a later version of our form.
    ReferenceListError
        If there is no mapping and the records are not of our form.
    """
    if delivery.mapping is not None:
        mapping = mapping_of(delivery)
        return _mapped(_records(stream, mapping.encoding), mapping)
    if delivery.where or delivery.source_column:
        raise ReferenceListError("--where and --source-column need --mapping, which says what the fields mean")
    return _own(_records(stream, delivery.encoding), delivery)


def _records(stream: BinaryIO, encoding: str | None) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Read the number and the object of each line, or why there is none."""
    begun = False
    for number, text in decoded_lines(stream, encoding, most=MAX_RECORD, json=True, end="\n"):
        if text is None:
            yield number, f"the line has more than {MAX_RECORD:,} characters"
            continue
        line = text.strip()
        if not line:
            continue
        if not begun and (line[0] == "[" or line == "{"):
            raise HashFormatError("this is JSON of several lines or one array, not one object a line")
        begun = True
        try:
            record = json.loads(line, object_pairs_hook=_object, parse_constant=_no_number)
        except (ValueError, RecursionError):
            if text[-1] != "\n":
                raise HashFormatError("the NDJSON delivery is cut short: nothing was imported") from None
            record = None
        yield number, record if isinstance(record, dict) else _NO_OBJECT


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                made[key] = _TWICE
            seen.add(key)
    return made


def _no_number(text: str) -> float:
    raise ValueError(f"{len(text)} letters are no number of JSON")


class _Branch(NamedTuple):
    """Where the value of a field goes, and the fields of it that are mapped."""

    at: list[int]
    below: dict[str, _Branch]


def _mapped(
    records: Iterable[tuple[int, dict[str, Any] | str]], mapping: ColumnMapping
) -> Iterator[Row | Refused | LeftOut]:
    names = mapping.columns()
    maker = RowMaker(mapping, names)
    lists = {*mapping.labels, *mapping.classes}
    tree: dict[str, _Branch] = {}
    for at, name in enumerate(names):
        tree.setdefault(name, _Branch([], {})).at.append(at)
        first, *others = name.split(".")
        branch = tree.setdefault(first, _Branch([], {}))
        for part in others:
            branch = branch.below.setdefault(part, _Branch([], {}))
        if others:
            branch.at.append(at)
    for number, record in records:
        if isinstance(record, str):
            yield Refused(number, record)
            continue
        cells: list[Any] = [None] * len(names)
        _fill(record, tree, cells)
        flaws = []
        for at, value in enumerate(cells):
            text = _text(value, is_list=names[at] in lists)
            if isinstance(text, Flaw):
                flaws.append(replace(text, line=number, column=names[at]))
                text = ""
            cells[at] = text
        row = maker.row(number, cells)
        if flaws and isinstance(row, Row):
            row = replace(row, flaws=(*flaws, *row.flaws))
        elif flaws and isinstance(row, Refused):
            row = Refused(number, "; ".join([f"field {flaw.column}: {flaw.reason}" for flaw in flaws] + [row.reason]))
        yield row


def _fill(node: dict[str, Any] | list[Any], tree: dict[str, _Branch], cells: list[Any]) -> None:
    """Find the mapped values of a record."""
    if isinstance(node, list):
        at_most = len(node)
        items = [
            (key, node[int(key)])
            for key in tree
            if key.isascii() and key.isdigit() and len(key) < 6 and int(key) < at_most
        ]
    else:
        items = [(_folded(key), value) for key, value in node.items()]
    for key, value in items:
        branch = tree.get(key)
        if branch is None:
            continue
        for at in branch.at:
            cells[at] = value if cells[at] is None else _TWICE
        if branch.below and isinstance(value, dict | list):
            _fill(value, branch.below, cells)


def _text(value: Any, *, is_list: bool) -> str | Flaw:
    """Give a value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _SCALARS):
        return str(value)
    if value is _TWICE:
        return Flaw(0, "", "left out", "the record has it twice")
    if is_list and isinstance(value, list) and all(isinstance(item, _SCALARS) for item in value):
        return JOIN.join(cast("str", _text(item, is_list=False)) for item in value)
    return Flaw(0, "", "left out", "it is an object or a list")


def _own(records: Iterable[tuple[int, dict[str, Any] | str]], delivery: Delivery) -> Iterator[Upsert | Refused]:
    begun = False
    for number, record in records:
        if isinstance(record, str):
            yield Refused(number, record)
            continue
        version = record.get("hashmatch")
        if version is None and not begun:
            raise ReferenceListError(
                "these are no records that hashmatch wrote: say what their fields mean, with --mapping"
            )
        begun = True
        if type(version) is not int or version < 1:
            yield Refused(number, "the record is not of the form of hashmatch")
            continue
        if version > NDJSON_VERSION:
            raise HashFormatError(
                f"line {number} is of a later version of the form than {NDJSON_VERSION}: read it with a later hashmatch"
            )
        yield from _entry(number, record, delivery)


def _entry(number: int, record: dict[str, Any], delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Make what a record of our form holds: one upsert, or one a listing where the delivery names the source."""
    flaws: list[Flaw] = []
    if record.keys() - {"hashmatch", "id", "listings"}:
        flaws.append(Flaw(number, "", "left out", "the record has a field that is not known"))
    found = record.get("listings")
    if not isinstance(found, list) or not found:
        yield Refused(number, "the record has no listings")
        return
    listings: list[Listing] = []
    for item in found:
        try:
            listings.append(_listing(number, item, delivery, flaws))
        except (HashFormatError, ReferenceListError, TypeError) as error:
            flaws.append(Flaw(number, "listings", "left out", str(error)))
    if not listings:
        reasons = dict.fromkeys(f"{flaw.column}: {flaw.reason}" for flaw in flaws[:10])
        yield Refused(number, "; ".join(reasons))
        return
    entry_id = record.get("id")
    if isinstance(entry_id, str) and "\ufffd" in entry_id:
        yield Refused(number, "the entry id has bytes that are not of the file's encoding")
        return
    try:
        if delivery.source == LOCAL:
            entries = [Entry(cast("str", entry_id), tuple(listings))]
        else:
            entries = [Entry(cast("str", entry_id), (listing,)) for listing in listings]
    except (ReferenceListError, TypeError) as error:
        yield Refused(number, str(error))
        return
    for at, entry in enumerate(entries):
        yield Upsert(number, entry, () if at else tuple(flaws))


def _listing(number: int, item: Any, delivery: Delivery, flaws: list[Flaw]) -> Listing:
    """Read one listing; what it has that cannot be held is a flaw."""
    if not isinstance(item, dict):
        raise ReferenceListError("it is no JSON object")
    if item.keys() - {"source", "role", "labels", "hashes"}:
        flaws.append(Flaw(number, "listings", "left out", "it has a field that is not known"))
    role = delivery.role or checked_role(cast("Role", item.get("role")))
    source = item.get("source") if delivery.source == LOCAL else delivery.source_for(role)
    hashes = []
    said = item.get("hashes")
    for part in said if isinstance(said, list) else ():
        try:
            hashes.append(_hash(number, part, flaws))
        except HashFormatError as error:
            flaws.append(Flaw(number, "hashes", "left out", str(error)))
    if not hashes:
        raise ReferenceListError("it has no hash")
    labels = item.get("labels") or {}
    if not isinstance(labels, dict):
        flaws.append(Flaw(number, "labels", "left out", "it is no JSON object"))
        labels = {}
    return Listing(cast("str", source), tuple(hashes), kept_labels(number, labels, flaws) | dict(delivery.labels), role)


def _hash(number: int, part: Any, flaws: list[Flaw]) -> ListedHash:
    if not isinstance(part, dict) or not isinstance(part.get("hash"), str):
        raise HashFormatError("it is no JSON object with a hash")
    if part.keys() - {"algorithm", "hash", "quality"}:
        flaws.append(Flaw(number, "hashes", "left out", "it has a field that is not known"))
    value = parse_cell(part["hash"], algorithm_named(part.get("algorithm", "")).name)
    quality = part.get("quality")
    if quality is not None and (type(quality) is not int or not 0 <= quality <= 100):
        flaws.append(Flaw(number, "quality", "left out", "it is no whole number from 0 to 100"))
        quality = None
    return ListedHash(value, quality)
