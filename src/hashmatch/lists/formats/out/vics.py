"""VICS 2.0 JSON, a hash set (``#Media``): what Project VIC's and other forensic programs read.

Floor: lists. The layout is put together from open programs that read it; the owner's specification is not public.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from hashmatch.hashes import HashValue
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats.out.lines import Order
from hashmatch.lists.formats.vics import FLAGS

__all__ = ["vics_lines"]

_CONTEXT: Final = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{}/$metadata#Media"
_REGIONS: Final = {"vics-us": "US", "vics-uk": "UK"}
"""Region in the context by the scheme of the categories; ``CUSTOM`` for all others."""
_NUMBER: Final = re.compile("[0-9]{1,3}")
_FLAG_LABELS: Final = frozenset(FLAGS.values())
_FIELDS: Final = {"sha1": "SHA1", "sha256": "SHA256"}


def vics_lines(entries: Iterable[Entry], order: Order) -> Iterator[str]:
    """Write one record a line, for each MD5 of an entry; the context comes first, without a byte order mark.

    Notes
    -----
    A record needs an MD5. A category is written only if the label of the asked scheme is a number, and one number: a
    number means other things in other regions. An entry that is listed for another reason than an alarm goes out with
    its category or not at all, because readers look at records without one.
    """
    context = json.dumps(_CONTEXT.format(_REGIONS.get(order.scheme or "", "CUSTOM")))
    yield f'{{"@odata.context":{context},"value":['
    number = 0
    for entry in entries:
        for record in _records(entry, order):
            number += 1
            yield ("\n" if number == 1 else ",\n") + json.dumps({"MediaID": number, **record}, separators=(",", ":"))
    yield "\n]}\n"


def _records(entry: Entry, order: Order) -> Iterator[dict[str, Any]]:
    by_algorithm: dict[str, list[HashValue]] = {}
    for value in entry.hashes:
        by_algorithm.setdefault(value.algorithm, []).append(value)
    digests = by_algorithm.pop("md5", [])
    if not digests:
        order.left_out["entries without an MD5"] += 1
        return
    category = _category(entry, order)
    if category is None and entry.role != "alarm":
        order.left_out[f"entries of the role {entry.role} without a category"] += 1
        return
    order.left_out["entry ids"] += 1
    for listing in entry.listings:
        order.count_lost(listing, labels=False)
        order.left_out["labels"] += sum(
            name != order.scheme and not (name in _FLAG_LABELS and value == "yes")
            for name, value in listing.labels.items()
        )
    said = {name for listing in entry.listings for name, value in listing.labels.items() if value == "yes"}
    flags = {field: "true" for field, name in FLAGS.items() if name in said}
    for value in digests:
        record: dict[str, Any] = {"Category": category, "MD5": value.hex().upper()}
        if len(digests) == 1:  # else nobody knows of which file the others are
            record |= _others(record["MD5"], by_algorithm)
            for name, values in by_algorithm.items():
                written = len(values) if name == "pdq" else 1
                order.left_out[f"further {name} hashes of an entry"] += len(values) - written
        record["IsPrecategorized"] = "false" if category is None else "true"
        yield record | flags
    if len(digests) > 1:
        for name, values in by_algorithm.items():
            order.left_out[f"{name} hashes of entries with several MD5s"] += len(values)


def _others(md5: str, by_algorithm: dict[str, list[HashValue]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, values in by_algorithm.items():
        if name in _FIELDS:
            record[_FIELDS[name]] = values[0].hex().upper()
        elif name == "photodna":
            record["PhotoDNA"] = base64.b64encode(values[0].data).decode("ascii")
        else:
            record["AlternativeHashes"] = [
                {"MD5": md5, "HashName": "PDQ", "HashValue": value.hex()} for value in values
            ]
    return record


def _category(entry: Entry, order: Order) -> int | None:
    """Read the category number of an entry; None if there is none, or not one."""
    if order.scheme is None:
        return None
    said = {listing.labels[order.scheme] for listing in entry.listings if order.scheme in listing.labels}
    if not said:
        return None
    if len(said) == 1 and _NUMBER.fullmatch(number := said.pop()):
        return int(number)
    order.left_out["categories that are not one number"] += 1
    return None
