"""`UrlScan`: the addresses in a text or in the columns of an SQLite database, such as a browser's history.

Floor: urls. What is told of an address is where it stands and what lists it; what was not looked at is told too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from hashmatch.errors import HashFormatError
from hashmatch.lists.formats.decoding import decoded_lines, opened
from hashmatch.lists.formats.foreign_sqlite import is_database, rows_of, tables_of
from hashmatch.lists.formats.unpacking import beginning
from hashmatch.urls.matcher import UrlAnswer, UrlMatcher

__all__ = ["UrlFinding", "UrlScan"]

_START: Final = re.compile(r"(?:https?|ftp|wss?):[\\/]{1,4}|(?<![\w/\\@.-])www\.", re.IGNORECASE)
_BARE: Final = re.compile(
    r"(?<![\w@.:/\\%-])(?:(?:[\w-]{1,63}\.){1,20}(?:[^\W\d_]{2,63}|xn--[a-z0-9-]{1,59})|\d{1,3}(?:\.\d{1,3}){3})"
    r"(?![\w-])(?::\d{1,5})?(?:[/?#][^\s<>\"]*)?"
)
_STOP: Final = re.compile(r"[\s<>\"]")
_TRAIL: Final = ".,;:!?'\")]}*_|`"
_LONGEST: Final = 8_192
"""Characters of an address in a text, at most."""


class UrlFinding(NamedTuple):
    """One listed address: where it stands, and what lists it.

    Parameters
    ----------
    place : str
        ``line 7``, or ``table.column, row 7`` by the order in which the rows are read.
    answer : UrlAnswer
        What lists it.
    """

    place: str
    answer: UrlAnswer


class UrlScan:
    """Looks for listed addresses, and counts.

    Parameters
    ----------
    matcher : UrlMatcher
        The lists.

    Attributes
    ----------
    addresses, listed, undecided : int
        What was asked about; what was listed; what could not be read, or was longer than is looked at.
    left_out : list of str
        What was not looked at, in words.
    """

    def __init__(self, matcher: UrlMatcher) -> None:
        self._matcher = matcher
        self.addresses = self.listed = self.undecided = 0
        self.left_out: list[str] = []

    def file(self, source: str | os.PathLike[str] | BinaryIO) -> Iterator[UrlFinding]:
        """Look through a file: an SQLite database, column by column, and anything else as lines of text.

        Parameters
        ----------
        source : path or binary file
            Text is UTF-8, or UTF-16 with a byte order mark; it may be packed.

        Raises
        ------
        HashFormatError
            If it is neither text nor a database, or is damaged.
        ReferenceListError
            If it cannot be read.
        """
        with opened(source) as stream:
            if is_database(beginning(stream)):
                yield from self._database(stream)
                return
            for number, line in decoded_lines(stream, None):
                if line is None:
                    self.left_out.append(f"line {number} is too long")
                else:
                    yield from self.text(line, f"line {number}")

    def text(self, text: str, place: str) -> Iterator[UrlFinding]:
        """Look through one text."""
        for spellings in _addresses(text):
            self.addresses += 1
            answers = [self._matcher.check(one) for one in spellings]
            hits = tuple(dict.fromkeys(hit for answer in answers for hit in answer.hits))
            if hits:
                self.listed += 1
                yield UrlFinding(place, UrlAnswer(outcome="listed", hits=hits))
            elif len(spellings[0]) >= _LONGEST or all(answer.outcome == "undecided" for answer in answers):
                self.undecided += 1

    def _database(self, stream: BinaryIO) -> Iterator[UrlFinding]:
        tables, left = tables_of(stream)
        self.left_out += [f"table {name}" for name in left]
        blobs: set[str] = set()
        for table, columns in tables.items():
            try:
                for number, (names, values) in enumerate(rows_of(stream, (table,), columns), 1):
                    for name, value in zip(names, values, strict=True):
                        if isinstance(value, str):
                            yield from self.text(value, f"{table}.{name}, row {number}")
                        elif isinstance(value, bytes):
                            blobs.add(f"{table}.{name}")
            except HashFormatError as error:
                self.left_out.append(f"table {table}: {error}")
        self.left_out += [f"binary values of {name}" for name in sorted(blobs)]


def _addresses(text: str) -> Iterator[tuple[str, ...]]:
    """Give each address in a text, in one or two spellings: with and without the marks at its end."""
    for found in _START.finditer(text):
        stop = _STOP.search(text, found.end(), found.start() + _LONGEST)
        end = stop.start() if stop is not None else min(len(text), found.start() + _LONGEST)
        yield _spelled(text[found.start() : end])
    for found in _BARE.finditer(text):
        if found[0][:4].lower() != "www.":
            yield _spelled(found[0][:_LONGEST])


def _spelled(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((text, text.rstrip(_TRAIL))))
