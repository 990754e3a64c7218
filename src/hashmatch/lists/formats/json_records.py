"""The objects of one long JSON array, one by one, in bounded memory: ``{"value": [record, ...]}`` and one level deeper.

Floor: lists. A file may have any size. Its brackets are found outside of its strings with NumPy, a mebibyte at a time;
what stands between two brackets of the array is parsed on its own. So a record of endless length or depth costs
itself, a record's unread strings are cut out before it is parsed, and nothing but one record is held.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import numpy as np

from hashmatch.errors import HashFormatError
from hashmatch.lists.formats.unpacking import read_some

__all__ = ["MAX_DEPTH", "MAX_RECORD", "MAX_VALUES", "TWICE", "json_records"]

MAX_RECORD: Final = 16 << 20
"""Most bytes of one record, and of what stands around the records of an array."""
MAX_DEPTH: Final = 32
"""Most brackets that may be open at once."""
MAX_VALUES: Final = 1_000_000
"""Most commas and opening brackets of one record, which bound the memory that its values take."""
TWICE: Final = object()
"""Value of a key that an object has twice, with two values."""

_CHUNK: Final = 1 << 20
_BEFORE: Final = 256
_QUOTE, _LIST, _LIST_END, _OBJECT, _OBJECT_END = b'"[]{}'
_CASE: Final = 0x20
"""The bit by which ``[`` differs from ``{``, and ``]`` from ``}``."""
_BLANKS: Final = b" \t\r\n"
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_FIRST_KEY: Final = re.compile(rb"\{\s*(" + _STRING + rb")", re.DOTALL)
_TOO_LONG: Final = f"the record has more than {MAX_RECORD >> 20} MiB"
_TOO_DEEP: Final = f"the record has more than {MAX_DEPTH} levels"
_TOO_MANY: Final = f"the record has more than {MAX_VALUES:,} values"
_NO_OBJECT: Final = "the record is no JSON object"
_NO_JSON: Final = "the record is no valid JSON"


def json_records(
    stream: BinaryIO, outer: str, inner: str | None = None, *, unread: Iterable[str] = ()
) -> Iterator[dict[str, Any] | str]:
    """Read the objects of an array.

    Parameters
    ----------
    stream : binary file
        UTF-8, or UTF-16 with its byte order mark. It holds one JSON object.
    outer : str
        Key of the array in that object.
    inner : str, optional
        Key of an array in the objects of that array. Where an object has it, the objects in it are read instead of
        the object around them.
    unread : iterable of str
        Keys, of ASCII letters, whose strings are neither decoded nor kept: they read as None.

    Yields
    ------
    dict or str
        One for each element, in order; the reason where it cannot be read. A key that an object has twice, with two
        values, has the value `TWICE`.

    Raises
    ------
    HashFormatError
        If it is no JSON object with that array, is damaged outside of a record, is cut short, or has something after
        its end. What was yielded before is then worth nothing.
    ReferenceListError
        If reading fails.

    Notes
    -----
    Cost: about 3 microseconds for a record of 300 bytes. Memory: at most 18 MiB and one record, twice.
    """
    keys = {level: _key_before(name) for level, name in ((1, outer), (3, inner)) if name is not None}
    parser = _Parser(unread)
    brackets = _Brackets()
    # levels: 0 around the object, 1 in it, 2 in its array, 3 in an element, 4 in the inner array, 5 in its element
    level, mark, lead, held, found = 0, 0, b"", b"", False
    too_long = too_deep = False
    whole: list[tuple[int, int]] = []
    for chunk in _utf8(stream):
        buffer, offset = held + chunk, len(held)
        if level == 0 and not found and buffer.strip(_BLANKS)[:1] not in (b"{", b""):
            raise HashFormatError("this is no JSON object")
        parser.look(buffer)
        for place, kind, depth in brackets.of(chunk):
            at = offset + place
            if depth > level:
                if level % 2 == 0:  # an element begins
                    if level:
                        between = buffer[mark:at]
                        if lead == b"[" or between.strip(_BLANKS) != b",":
                            yield from parser.records(buffer, whole)
                            yield from [_NO_OBJECT] * parser.scalars(lead, between, b"{}]")
                    elif found or kind != _OBJECT:
                        raise _damaged()
                    level, mark, lead, too_long, too_deep = depth, at, b"", False, False
                elif (
                    kind == _LIST
                    and depth == level + 1
                    and level in keys
                    and buffer.endswith(keys[level][0], mark, buffer.rfind(b'"', mark, at) + 1)
                    and keys[level][1].search(buffer, max(mark, at - _BEFORE), at)
                ):
                    if too_long or too_deep:
                        raise _damaged()
                    yield from parser.records(buffer, whole)
                    parser.check(lead + buffer[mark:at] + b"0}")
                    found |= level == 1
                    level, mark, lead = depth, at + 1, b"["
                elif depth > MAX_DEPTH:
                    too_deep = True
            elif depth < level:
                if level % 2 == 0:  # an array ends
                    if level == 0 or kind != _LIST_END:
                        raise _damaged()
                    yield from parser.records(buffer, whole)
                    yield from [_NO_OBJECT] * parser.scalars(lead, buffer[mark:at], b"]")
                    level, mark, lead = depth, at + 1, b"{" + keys[depth][0] + b":0"
                    continue
                if level == 1 or lead:  # the object around an array ends
                    if too_deep:
                        raise _damaged()
                    parser.check(lead + buffer[mark : at + 1])
                elif too_long or too_deep or at - mark >= MAX_RECORD:
                    yield from parser.records(buffer, whole)
                    yield _TOO_DEEP if too_deep else _TOO_LONG
                else:
                    whole.append((mark, at + 1))
                level, mark, lead = depth, at + 1, b"[{}"
                if level == 0 and not found:
                    raise HashFormatError(f"this JSON has no array named {outer!r}")
        yield from parser.records(buffer, whole)
        held, mark = buffer[mark:], 0
        if level == 0 and found and held.strip(_BLANKS):
            raise _damaged()
        if len(held) > MAX_RECORD:
            if level < 3 or level == 4 or lead:
                raise _damaged()
            held, too_long = held[-_BEFORE:], True
    if level or not found:
        raise HashFormatError("the file is cut short: nothing was imported")


def _damaged() -> HashFormatError:
    return HashFormatError("the JSON is damaged between its records: nothing was imported")


def _key_before(name: str) -> tuple[bytes, re.Pattern[bytes]]:
    r"""Give a key, and what finds it with its colon at an end; a quote behind ``\`` would begin inside of a string."""
    key = json.dumps(name).encode()
    return key, re.compile(rb"(?<!\\)" + re.escape(key) + rb"\s*:\s*\Z")


def _utf8(stream: BinaryIO) -> Iterator[bytes]:
    """Give the stream in chunks of UTF-8 without its byte order mark."""
    decoder: codecs.IncrementalDecoder | None = None
    first = True
    while chunk := _filled(stream):
        if first and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
        elif first:
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
        first = False
        yield chunk if decoder is None else decoder.decode(chunk).encode()


def _filled(stream: BinaryIO) -> bytes:
    """Read a whole chunk, also from a stream that gives less than it is asked for."""
    chunk = read_some(stream, _CHUNK)
    if 0 < len(chunk) < _CHUNK:
        parts = [chunk]
        n_missing = _CHUNK - len(chunk)
        while n_missing and (more := read_some(stream, n_missing)):
            parts.append(more)
            n_missing -= len(more)
        chunk = b"".join(parts)
    return chunk


class _Brackets:
    """Finds brackets outside of strings, chunk after chunk."""

    def __init__(self) -> None:
        self._in_string = self._escaped = False
        self._depth = 0

    def of(self, chunk: bytes) -> Iterable[tuple[int, int, int]]:
        """Give place, byte, and number of open brackets behind it, of each bracket in a chunk."""
        if self._escaped:
            chunk = b"_" + chunk[1:]
        self._escaped = False
        if b"\\" in chunk:  # what is escaped goes, from the left: then every quote is a string's end
            chunk = chunk.replace(rb"\\", b"__").replace(rb"\"", b"__")
            self._escaped = chunk.endswith(b"\\")
        data = np.frombuffer(chunk, np.uint8)
        folded = data | _CASE
        places = np.flatnonzero((data == _QUOTE) | (folded == _OBJECT) | (folded == _OBJECT_END))
        if not len(places):
            return ()
        kinds = data[places]
        quotes = kinds == _QUOTE
        inside = np.cumsum(quotes, dtype=np.int32) + self._in_string
        self._in_string = bool(inside[-1] & 1)
        kept = ~quotes & ((inside & 1) == 0)
        places, kinds = places[kept], kinds[kept]
        if not len(places):
            return ()
        depths = np.cumsum(np.where((kinds | _CASE) == _OBJECT, 1, -1)) + self._depth
        self._depth = int(depths[-1])
        return zip(places.tolist(), kinds.tolist(), depths.tolist(), strict=True)


class _Parser:
    """Parses one piece at a time."""

    def __init__(self, unread: Iterable[str]) -> None:
        self._names = [f'"{name}"'.encode() for name in unread]
        names = b"|".join(re.escape(name) for name in self._names)
        self._unread = re.compile(rb"(" + names + rb")(\s*+:\s*+)" + _STRING, re.DOTALL) if names else None
        self._cut = False
        self._decode = json.JSONDecoder(object_pairs_hook=_object, strict=False).raw_decode

    def look(self, buffer: bytes) -> None:
        """See whether anything in a buffer is to be cut out."""
        self._cut = any(name in buffer for name in self._names)

    def records(self, buffer: bytes, places: list[tuple[int, int]]) -> list[dict[str, Any] | str]:
        """Parse elements that follow each other: together, and one by one if that fails. ``places`` is empty then."""
        if not places:
            return []
        try:
            made = self._parsed(b"[" + buffer[places[0][0] : places[-1][1]] + b"]")
        except ValueError:
            made = [self._record(buffer[start:end]) for start, end in places]
        places.clear()
        return [item if isinstance(item, (dict, str)) else _NO_OBJECT for item in made]

    def _record(self, piece: bytes) -> dict[str, Any] | str:
        if _n_values(piece) > MAX_VALUES:
            return _TOO_MANY
        try:
            made = self._parsed(piece)
        except ValueError:
            first = _FIRST_KEY.match(piece)
            # a quote too many hides the ends of records up to the next such quote
            if first and re.search(rb",\s*\{\s*" + re.escape(first[1]), piece):
                raise _damaged() from None
            return _NO_JSON
        return made if isinstance(made, dict) else _NO_OBJECT

    def check(self, piece: bytes) -> None:
        """Check what stands around an array; HashFormatError if it is no JSON."""
        try:
            self._parsed(piece)
        except ValueError:
            raise _damaged() from None

    def scalars(self, lead: bytes, piece: bytes, tail: bytes) -> int:
        """Count what is no object and no array between two elements, or at an end, of an array."""
        try:
            found = self._parsed(lead + piece + tail)
        except ValueError:
            raise _damaged() from None
        return len(found) - (lead != b"[") - (tail != b"]")

    def _parsed(self, piece: bytes) -> Any:
        if _n_values(piece) > MAX_VALUES:
            raise ValueError
        if self._cut and self._unread is not None:
            piece = self._unread.sub(rb"\1\2null", piece)
        text = piece.decode("utf-8", "replace").strip(" \t\r\n")
        made, end = self._decode(text)
        if end != len(text):
            raise ValueError
        return made


def _n_values(piece: bytes) -> int:
    return sum(piece.count(mark) for mark in (b",", b"[", b"{"))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; a key that has two values has `TWICE`."""
    made = dict(pairs)
    if len(made) != len(pairs):
        made = {}
        for key, value in pairs:
            made[key] = value if made.get(key, value) == value else TWICE
    return made
