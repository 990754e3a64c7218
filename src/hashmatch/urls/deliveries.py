"""Deliveries of addresses: text, also defanged, and what ThreatExchange and StopNCII deliver.

Floor: urls. Every record becomes an `Item`; nothing of its text stands in a reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO, Final

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.formats import stopncii, threatexchange, tx_csv
from hashmatch.lists.formats.decoding import decoded_lines, opened
from hashmatch.lists.formats.pages import Pages, checked_record, items_of, records_of, text_of, truth_of
from hashmatch.lists.formats.quotes import Lines, cut
from hashmatch.lists.formats.unpacking import beginning
from hashmatch.urls.records import Item
from hashmatch.urls.scopes import Scope

__all__ = ["FORMATS", "read_addresses", "refanged"]

_SCHEME: Final = re.compile(r"(?:\[h\]|h)(?:tt|xx|\*\*|\[tt\]|\[xx\])p(s?)\s*:\s*//", re.IGNORECASE)
_MARKS: Final = (("[://]", "://"), ("[//]", "//"), ("[/]", "/"), ("[:]", ":"), ("[@]", "@"))
_DOT: Final = re.compile(
    r"\s*(?:\[\s*(?:\.|dot)\s*\]|\(\s*(?:\.|dot)\s*\)|\{\s*(?:\.|dot)\s*\}|\\\.)\s*", re.IGNORECASE
)
_ANY_DOT: Final = re.compile(r"\[\.\]|\[dot\]", re.IGNORECASE)
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_URL_TYPES: Final[Mapping[str, Scope | None]] = MappingProxyType(
    {"URI": None, "RAW_URI": None, "UNCLICKABLE_URL": None, "DOMAIN": "host", "HASH_URL_MD5": "url-md5"}
)
_SIGNALS: Final[Mapping[str, Scope | None]] = MappingProxyType({"url": None, "url_md5": "url-md5"})


def refanged(text: str) -> str:
    """Give the address that a defanged one stands for, as ``hxxp[:]//shop[.]example[.]com``.

    Examples
    --------
    >>> refanged("hXXps[:]//shop[.]example(dot)com/a[.]html")
    'https://shop.example.com/a.html'
    """
    text = text.strip()
    for defanged, mark in _MARKS:
        text = text.replace(defanged, mark)
    found = _SCHEME.match(text)
    if found is not None:
        text = f"http{found[1].lower()}://{text[found.end() :]}"
    start = text.find("://") + 3 if "://" in text else 0
    end = text.find("/", start)
    end = len(text) if end < 0 else end
    return text[:start] + _DOT.sub(".", text[start:end]) + _ANY_DOT.sub(".", text[end:])


def read_addresses(source: str | os.PathLike[str] | BinaryIO, name: str | None = None) -> Iterator[Item]:
    """Read a delivery, as a stream.

    Parameters
    ----------
    source : path or binary file
        It may be packed by gzip, zstd or ZIP.
    name : str, optional
        Name of one of `FORMATS`; by default what its beginning shows, and ``"text"`` otherwise.

    Raises
    ------
    HashFormatError
        If it is of another format, damaged or cut short.
    ReferenceListError
        If it cannot be read, or the format is none.
    """
    if name is not None and name not in FORMATS:
        raise ReferenceListError(f"a format of addresses is one of {', '.join(FORMATS)}")
    with opened(source) as stream:
        head = beginning(stream)
        chosen = name or next((known for known, tells in _TELLING.items() if tells(head)), "text")
        yield from FORMATS[chosen](stream)


def _text(stream: BinaryIO) -> Iterator[Item]:
    for number, line in decoded_lines(stream, None):
        if line is None:
            yield Item(number, refused="too-long")
        elif address := _COMMENT.sub("", line).strip():
            address = refanged(address)
            yield Item(number, address.removeprefix("*."), "domain" if address.startswith("*.") else None)


def _threatexchange(stream: BinaryIO) -> Iterator[Item]:
    return _paged(stream, "data", threatexchange.WHAT, _indicator)


def _stopncii(stream: BinaryIO) -> Iterator[Item]:
    return _paged(stream, "hashRecords", stopncii.WHAT, _signal)


def _paged(stream: BinaryIO, key: str, what: str, read: Callable[[Mapping[str, Any], int], Item]) -> Iterator[Item]:
    number = 0
    for page in Pages(stream, what):
        for record in records_of(page, key, what):
            number += 1
            try:
                yield read(checked_record(record), number)
            except (ReferenceListError, HashFormatError):
                yield Item(number, refused="bad-record")


def _indicator(record: Mapping[str, Any], number: int) -> Item:
    kind = text_of(record, "type").upper()
    descriptors = items_of(record.get("descriptors"))
    if descriptors is None or not all(isinstance(item, dict) for item in descriptors):
        raise ReferenceListError("descriptors is no list of objects")
    gone = truth_of(record, "should_delete") or not descriptors
    address = text_of(record, "indicator")
    if kind not in _URL_TYPES:
        return Item(number, refused="another-type")
    if not address:
        raise ReferenceListError("the record has no indicator")
    statuses = {text_of(item, "status").upper() for item in descriptors} - {""}
    if not gone and statuses and "MALICIOUS" not in statuses:
        return Item(number, refused="not-malicious")
    return Item(number, refanged(address), _URL_TYPES[kind], gone)


def _signal(record: Mapping[str, Any], number: int) -> Item:
    if text_of(record, "signalType").casefold() not in ("url", "uri"):
        return Item(number, refused="another-type")
    address = text_of(record, "hashValue")
    if not address:
        raise ReferenceListError("the record has no value")
    return Item(number, refanged(address), None, stopncii.is_withdrawn(record, number, []))


def _csv(stream: BinaryIO) -> Iterator[Item]:
    lines = Lines(decoded_lines(stream, None))
    first = lines.take()
    if first is None or not tx_csv.recognises((first[1] or "").encode()):
        raise HashFormatError("this is no table of threatexchange")
    while (line := lines.take()) is not None:
        number, text = line
        if text is None:
            yield Item(number, refused="too-long")
        elif text and not text.isspace():
            fields = cut(lines, number, text, ",", lambda record: len(record.fields) == 5).fields
            if len(fields) != 5:
                yield Item(number, refused="bad-record")
            elif fields[0] not in _SIGNALS:
                yield Item(number, refused="another-type")
            elif fields[3] != "POSITIVE_CLASS":
                yield Item(number, refused="not-malicious")
            else:
                yield Item(number, refanged(fields[1]), _SIGNALS[fields[0]])


FORMATS: Final[Mapping[str, Callable[[BinaryIO], Iterator[Item]]]] = MappingProxyType(
    {"text": _text, "threatexchange": _threatexchange, "stopncii": _stopncii, "tx-csv": _csv}
)
"""Readers by the name of their format."""

_TELLING: Final[Mapping[str, Callable[[bytes], bool]]] = MappingProxyType(
    {
        "threatexchange": threatexchange.recognises,
        "stopncii": stopncii.recognises,
        "tx-csv": tx_csv.recognises,
    }
)
