"""Pages of JSON, as the feeds of exchanges deliver them: read within limits, and what their fields say.

Floor: lists. A page is small, so it is read as a whole. A file may hold several pages, one after the other. No message
shows what a page said.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.formats.operations import Operation, Refused
from hashmatch.lists.formats.unpacking import read_some

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = [
    "MAX_PAGE",
    "Pages",
    "checked_record",
    "items_of",
    "operations_of_page",
    "read_pages",
    "records_of",
    "text_of",
    "truth_of",
]

MAX_PAGE: Final = 64 * 2**20
"""Largest file of pages, bytes."""

_MAX_PARTS: Final = 4_000_000  # commas and brackets, which bound the memory that the values take
_CHUNK: Final = 2**20
_DAMAGED: Final = "this JSON page is damaged or cut short: nothing was imported"
_BLANKS: Final = re.compile(r"[ \t\r\n]*+")
_TRUE: Final = frozenset({"true", "yes", "y", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "0", ""})


class _Twice(dict[str, Any]):
    """A JSON object that says one of its keys twice, so that either could be meant."""


class Pages:
    """The pages of a file.

    Parameters
    ----------
    stream : binary file
        JSON objects, one after the other, in UTF-8.
    what : str
        What the pages are, for messages.

    Raises
    ------
    HashFormatError
        While iterating: if it is no JSON object, damaged, cut short or over a limit.
    """

    def __init__(self, stream: BinaryIO, what: str) -> None:
        self._stream, self._what = stream, what

    def __iter__(self) -> Iterator[dict[str, Any]]:
        text = self._text()
        decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
        place = _past_blanks(text, 0)
        if place == len(text):
            raise HashFormatError(f"the file is empty: it has no {self._what}")
        while place < len(text):
            try:
                page, place = decoder.raw_decode(text, place)
            except RecursionError:
                raise HashFormatError("this JSON page is nested too deep: nothing was imported") from None
            except ValueError:  # JSONDecodeError, and integers of too many digits
                raise HashFormatError(_DAMAGED) from None
            if not isinstance(page, dict) or isinstance(page, _Twice):
                raise HashFormatError(f"this JSON is no {self._what}")
            yield page
            place = _past_blanks(text, place)

    def _text(self) -> str:
        data = bytearray()
        while chunk := read_some(self._stream, _CHUNK):
            data += chunk
            if len(data) > MAX_PAGE:
                raise HashFormatError(f"a page has at most {MAX_PAGE:,} bytes")
        if sum(data.count(mark) for mark in b",[{") > _MAX_PARTS:
            raise HashFormatError(f"a page has at most {_MAX_PARTS:,} values")
        try:
            return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
        except UnicodeDecodeError:
            raise HashFormatError("this JSON page is not in UTF-8: nothing was imported") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice(made)


def _refuse_constant(_: str) -> Any:
    raise ValueError("NaN and infinities are no JSON")


def _past_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return place if found is None else found.end()


def records_of(page: Mapping[str, Any], key: str, what: str) -> list[Any]:
    """Give the records of a page; HashFormatError if it has none under that key: an error of an API is no page."""
    found = page.get(key)
    if not isinstance(found, list):
        raise HashFormatError(f"this JSON is no {what}")
    return found


def checked_record(record: object) -> Mapping[str, Any]:
    """Give a record if it is an object that says each key once, also in the objects within.

    Raises
    ------
    ReferenceListError
        If it is not.
    """
    if not isinstance(record, dict):
        raise ReferenceListError("the record is no object")
    stack: list[object] = [record]
    while stack:
        found = stack.pop()
        if isinstance(found, _Twice):
            raise ReferenceListError("the record says a key twice")
        stack += found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return record


def text_of(record: Mapping[str, Any], key: str) -> str:
    """Read a text, or a whole number as text; empty where it is missing or null.

    Raises
    ------
    ReferenceListError
        If it is of another type.
    """
    value = record.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ReferenceListError(f"{key} is no text")


def truth_of(record: Mapping[str, Any], key: str) -> bool:
    """Read yes or no, as JSON or as a word; no where it is missing or null.

    Raises
    ------
    ReferenceListError
        If it is neither: a word that is not understood could mean that an entry is taken back.
    """
    value = record.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    word = text_of(record, key).casefold()
    if word not in _TRUE | _FALSE:
        raise ReferenceListError(f"{key} is neither true nor false")
    return word in _TRUE


def items_of(value: object) -> list[Any] | None:
    """Read a list that may stand in an object under ``data``; empty where it is null, None where it is no list."""
    if isinstance(value, dict):
        value = value.get("data")
    if value is None:
        return []
    return value if isinstance(value, list) else None


def read_pages(
    stream: BinaryIO, delivery: Delivery, key: str, what: str, operation: Callable[[Any, Delivery, int], Operation]
) -> Iterator[Operation]:
    """Read every record of saved pages.

    Parameters
    ----------
    stream, what
        As for `Pages`.
    delivery : Delivery
        What the person who imports says.
    key : str
        Key of the array of records in a page.
    operation : callable
        Makes the operation of a record, of the delivery and of the record's number; what it refuses costs the record.
    """
    number = 0
    for page in Pages(stream, what):
        yield from operations_of_page(page, delivery, number, key, what, operation)
        number += len(page[key])


def operations_of_page(
    page: Mapping[str, Any],
    delivery: Delivery,
    before: int,
    key: str,
    what: str,
    operation: Callable[[Any, Delivery, int], Operation],
) -> Iterator[Operation]:
    """Read the records of one page, as `read_pages`; ``before`` is how many came before it."""
    for number, record in enumerate(records_of(page, key, what), before + 1):
        try:
            yield operation(checked_record(record), delivery, number)
        except (ReferenceListError, HashFormatError) as error:
            yield Refused(number, str(error))
