"""Lines of a table cut into records, by their quotes where these can be right and without them where they cannot.

Floor: lists. A quote that nobody closed could swallow the rows up to the next quote. So a record of several lines
counts only if the lines do not read as rows of their own.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from hashmatch.lists.formats.decoding import MAX_LINE

__all__ = ["Cut", "Lines", "cut"]

_MAX_LINES: Final = 32
_BAD_QUOTES: Final = "a quote is misplaced or not closed, or a field is too long"


class Cut(NamedTuple):
    """One record: its fields, its last line, and what was wrong with its quotes, if the fields are cut without them."""

    fields: list[str]
    last: int
    misquoted: str = ""


class Lines:
    """Numbered lines that can be put back."""

    def __init__(self, lines: Iterator[tuple[int, str | None]]) -> None:
        self._lines = lines
        self._back: deque[tuple[int, str | None]] = deque()

    def take(self) -> tuple[int, str | None] | None:
        """Give the next line; None at the end."""
        return self._back.popleft() if self._back else next(self._lines, None)

    def put_back(self, lines: list[tuple[int, str | None]]) -> None:
        """Have lines taken again."""
        self._back.extendleft(reversed(lines))


def cut(lines: Lines, number: int, text: str, delimiter: str, reads: Callable[[Cut], bool]) -> Cut:
    """Cut a record that begins with a line into fields, taking up to 31 more lines where a quote is open.

    Parameters
    ----------
    lines : Lines
        What follows the line.
    number, text : int, str
        The line.
    delimiter : str
        One character.
    reads : callable
        Whether a record reads as a good row.
    """
    if '"' not in text:
        return Cut(text.split(delimiter), number)
    taken: list[tuple[int, str | None]] = []

    def feed() -> Iterator[str]:
        yield text
        size = len(text)
        while len(taken) < _MAX_LINES and (line := lines.take()) is not None:
            taken.append(line)
            size += len(line[1] or "")
            if line[1] is None or size > MAX_LINE:
                return
            yield "\n" + line[1]

    try:
        whole = Cut(
            next(csv.reader(feed(), delimiter=delimiter, skipinitialspace=True, strict=True)),
            taken[-1][0] if taken else number,
        )
    except csv.Error:
        lines.put_back(taken)
        escaped = _escaped(number, text, delimiter)
        if escaped is not None and reads(escaped):
            return escaped
        return _without_quotes(number, text, delimiter, _BAD_QUOTES)
    if not taken:
        return whole
    reason = f"its quote spans lines {number} to {whole.last}, which are rows of their own and were read one by one"
    first, *others = (
        _without_quotes(at, line, delimiter, reason) for at, line in [(number, text), *taken] if line is not None
    )
    swallowed = [reads(other) for other in others]
    good = reads(whole)
    if any(swallowed[:-1]) or (swallowed[-1] and (reads(first) or not good)) or (reads(first) and not good):
        lines.put_back(taken)
        return first
    return whole


def _escaped(number: int, text: str, delimiter: str) -> Cut | None:
    """Cut a line whose quotes are escaped by a backslash, as databases write them; None if they are not."""
    if '\\"' not in text or delimiter == "\\":
        return None
    try:
        return Cut(
            next(csv.reader([text], delimiter=delimiter, escapechar="\\", doublequote=False, strict=True)), number
        )
    except csv.Error:
        return None


def _without_quotes(number: int, text: str, delimiter: str, reason: str) -> Cut:
    cells = [cell.strip() for cell in text.split(delimiter)]
    quoted = [len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells]
    return Cut(
        [cell[1:-1] if is_quoted else cell for cell, is_quoted in zip(cells, quoted, strict=True)], number, reason
    )
