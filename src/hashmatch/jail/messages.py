"""The frames that go over the line between host and worker: a kind, a length, the bytes."""

from __future__ import annotations

import socket
import struct
import time
from enum import IntEnum
from typing import Final

__all__ = ["GREETING", "HELLO", "LONGEST_WORD", "Kind", "read_frame", "read_head", "receive", "send"]

_HEAD: Final = struct.Struct("<BQ")
HELLO: Final = struct.Struct("<QId")
"""Before what the work itself needs to know: memory (bytes), processor time (s), longest time for one task (s)."""

GREETING: Final = b"\n"
"""Goes to the worker before all frames on Linux, with the end of a pipe; see `hashmatch.jail.confine.watch_host`."""

LONGEST_WORD: Final = 300
"""Bytes of the words that end a task or a start."""


class Kind(IntEnum):
    """What a frame holds.

    ``HELLO`` and ``TASK`` go to the worker, the others come from it: ``READY`` with its protection, ``FAILED`` where it
    could not start, ``PART`` of an answer, ``END`` of an answer.
    """

    HELLO = 1
    TASK = 2
    READY = 3
    FAILED = 4
    PART = 5
    END = 6


def send(line: socket.socket, kind: Kind, *parts: bytes | memoryview, until: float | None = None) -> None:
    """Send a frame.

    Parameters
    ----------
    line : socket
        Connected.
    kind : Kind
        What it holds.
    *parts : bytes
        Its bytes, one after the other.
    until : float, optional
        Reading of `time.monotonic` by which it must have been taken.

    Raises
    ------
    TimeoutError
        If it was not.
    OSError
        If the other end is gone.
    """
    head = _HEAD.pack(kind, sum(len(part) for part in parts))
    for part in (head + parts[0], *parts[1:]) if parts and len(parts[0]) <= LONGEST_WORD else (head, *parts):
        _wait(line, until)
        line.sendall(part)


def read_head(line: socket.socket, until: float | None = None) -> tuple[int, int]:
    """Receive the kind and the length of a frame; nothing is checked here.

    Raises
    ------
    TimeoutError
        If it did not come in time.
    EOFError, OSError
        If the other end is gone.
    """
    kind, length = _HEAD.unpack(receive(line, _HEAD.size, until))
    return kind, length


def read_frame(line: socket.socket, most: dict[Kind, int], until: float | None = None) -> tuple[Kind, bytearray]:
    """Receive a frame from an end that is not trusted.

    Parameters
    ----------
    line : socket
        Connected.
    most : dict of Kind to int
        Kinds that may come, with the most bytes of each.
    until : float, optional
        Reading of `time.monotonic` by which it must have come.

    Raises
    ------
    ValueError
        If the kind is another or the length is above its bound; nothing of it has been received.
    TimeoutError, EOFError, OSError
        As `read_head`.
    """
    number, length = read_head(line, until)
    for kind, bound in most.items():
        if kind == number and length <= bound:
            return kind, receive(line, length, until)
    raise ValueError("a frame of another kind or length")


def receive(line: socket.socket, length: int, until: float | None = None) -> bytearray:
    """Receive so many bytes.

    Raises
    ------
    TimeoutError, EOFError, OSError
        As `read_head`.
    """
    data = bytearray(length)
    with memoryview(data) as room:
        done = 0
        while done < length:
            _wait(line, until)
            count = line.recv_into(room[done:])
            if not count:
                raise EOFError
            done += count
    return data


def _wait(line: socket.socket, until: float | None) -> None:
    """Bound the next call on the line."""
    if until is None:
        return
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    line.settimeout(left)
