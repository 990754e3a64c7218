"""Signals as threatexchange keeps them in a local file: ``<signal type> <signal>`` a line.

Floor: lists. A line without a type is read where the algorithm is told. Signals that are no hash of one picture or
file, such as texts, addresses and films by frames, are refused by their type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Final

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import Entry, ListedHash, Listing
from hashmatch.lists.formats.cells import default_entry_id, parse_cell, visible
from hashmatch.lists.formats.decoding import MAX_LINE, decoded_lines
from hashmatch.lists.formats.operations import Refused, Upsert

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["OTHER_TYPES", "TYPES", "read", "recognises", "signal_from"]

TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{name: name for name in ("pdq", "md5", "sha1", "sha256", "photodna")},
        "video_md5": "md5",
        "video_sha256": "sha256",
    }
)
"""Algorithm by type of signal."""

OTHER_TYPES: Final = frozenset(
    {
        *("vpdq", "pdq_ocr", "pdq+ocr", "tmk", "video_tmk", "raw_text", "text_tlsh", "tlsh_pdf", "tlsh_text"),
        *("trend_query", "url", "url_md5"),
    }
)
"""Types of signals that a list does not hold."""

_HEAD_LINES: Final = 20


def signal_from(name: str, signal: str) -> HashValue:
    """Read a signal of a type.

    Raises
    ------
    HashFormatError
        If a list holds no signals of the type, or it is no signal of it. The message shows nothing of the signal.
    """
    name = visible(name).casefold()
    algorithm = TYPES.get(name)
    if algorithm is None and "@" in name:
        algorithm = algorithm_named(name).name
    if algorithm is None:
        what = f"of the type {name}" if name in OTHER_TYPES else "of a type that is not known"
        raise HashFormatError(f"a signal {what} is no hash that a list holds")
    return parse_cell(signal, algorithm)


def recognises(head: bytes) -> bool:
    """Whether each whole line is of a type of signal, one of which only threatexchange names so."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    lines = [line.rstrip("\r") for line in text.split("\n")[:-1][:_HEAD_LINES] if line.strip()]
    types = {line.partition(" ")[0] for line in lines if " " in line}
    return (
        bool(lines)
        and all(" " in line for line in lines)
        and types <= TYPES.keys() | OTHER_TYPES
        and not types <= set(TYPES.values())
    )


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read a local file; entries are named by `default_entry_id`."""
    algorithm = None if delivery.algorithm is None else algorithm_named(delivery.algorithm).name
    role = delivery.role or "alarm"
    for number, text in decoded_lines(stream, delivery.encoding):
        if text is None:
            yield Refused(number, f"the line has more than {MAX_LINE} characters")
            continue
        line = visible(text)
        if not line:
            continue
        name, blank, signal = line.partition(" ")
        try:
            if not blank and algorithm is None:
                raise HashFormatError("the line has no type of signal: name the algorithm")
            value = signal_from(name, signal) if blank else parse_cell(line, algorithm)
        except HashFormatError as error:
            yield Refused(number, str(error))
            continue
        listing = Listing(delivery.source, (ListedHash(value),), delivery.labels, role)
        yield Upsert(number, Entry(default_entry_id(value), (listing,)))
