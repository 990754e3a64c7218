"""Streams over parts of a medium: what is read has an end, and every failure has a reason."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO, Final, Protocol

from hashmatch.errors import ImageError
from hashmatch.foreign_errors import is_interruption
from hashmatch.packing import Filling
from hashmatch.scan.items import unread

__all__ = ["Medium", "Part", "Reading", "Some", "read_fully", "skip"]

TAIL: Final = 1_024
"""Bytes at the end of a file that tell whether a ZIP archive ends there."""

_CHUNK: Final = 2**20


class Some(Protocol):
    """What gives bytes until there are none."""

    def some(self, size: int) -> bytes:
        """Give 1 to ``size`` bytes; b"" at the end."""


def read_fully(source: Some, size: int) -> bytes:
    """Read ``size`` bytes; fewer at the end."""
    data = source.some(size)
    if len(data) == size or not data:
        return data
    parts, left = [data], size - len(data)
    while left and (data := source.some(min(left, _CHUNK))):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def skip(source: Some, size: int) -> int:
    """Go over bytes, and return how many there were."""
    if isinstance(source, Medium):
        return source.skip(size)
    done = 0
    while done < size and (data := source.some(min(size - done, _CHUNK))):
        done += len(data)
    return done


class Medium:
    """A file that can be sought in: one on a disk, in a storage service, or a container that is held in memory.

    Parameters
    ----------
    file : binary file
        Read from its beginning.
    size : int
        Its length, bytes.
    """

    def __init__(self, file: Any, size: int) -> None:
        self._file, self.size, self.at = file, size, 0

    def some(self, size: int) -> bytes:
        """Give what comes next."""
        data = self.at_place(self.at, size)
        self.at += len(data)
        return data

    def at_place(self, place: int, size: int) -> bytes:
        """Give 1 to ``size`` bytes from a place on; b"" behind the end."""
        try:
            self._file.seek(place)
            return bytes(self._file.read(min(size, _CHUNK)))
        except ImageError:
            raise
        except Exception as error:  # a storage service has errors of its own
            if is_interruption(error):
                raise
            raise unread("read-failed") from None

    def whole(self, place: int, size: int) -> bytes:
        """Give ``size`` bytes from a place on; fewer at the end."""
        return read_fully(Part(self, place, size), size)

    def skip(self, size: int) -> int:
        """Go over bytes, and return how many there were."""
        done = min(size, max(0, self.size - self.at))
        self.at += done
        return done


class Part(Filling):
    """Some bytes of a `Medium`."""

    def __init__(self, medium: Medium, place: int, size: int) -> None:
        self._medium, self._place, self._left = medium, place, size

    def some(self, size: int) -> bytes:
        """Give what comes next."""
        data = self._medium.at_place(self._place, min(size, self._left)) if self._left else b""
        self._place += len(data)
        self._left -= len(data)
        return data


class Reading(Filling):
    """The bytes of an item: its head, which was looked at, and the rest; over when the source has gone on.

    Attributes
    ----------
    tail : bytes
        The last `TAIL` bytes that were read.

    Parameters
    ----------
    *parts : Some
        What follows one another.
    """

    def __init__(self, *parts: Some) -> None:
        self._parts, self._is_over = list(parts), False
        self.tail = b""

    def some(self, size: int) -> bytes:
        """Give what comes next."""
        if self._is_over:
            raise ValueError("the source has gone on: an item is read before the next one is asked for")
        while self._parts:
            data = self._parts[0].some(size)
            if data:
                self.tail = data[-TAIL:] if len(data) >= TAIL else (self.tail + data)[-TAIL:]
                return data
            del self._parts[0]
        return b""

    def end(self) -> None:
        """Give nothing more."""
        self._is_over = True
        self._parts.clear()

    def opener(self) -> Callable[[], BinaryIO]:
        """Give what an `Item` opens it by."""
        return lambda: io.BufferedReader(self, _CHUNK)
