"""The worker's side: be told what to do, load everything, shut oneself in, then take tasks until the line ends.

A worker trusts its host. It is the host that must not trust the worker: from the first task on, the bytes of a picture
may have taken it over.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from hashmatch.jail.confine import confine, watch_host
from hashmatch.jail.memory import memory_returner
from hashmatch.jail.messages import HELLO, LONGEST_WORD, Kind, read_head, receive, send
from hashmatch.jail.options import MEASURES, Protection

__all__ = ["READY", "Work", "serve"]

READY: Final = struct.Struct("<HB")
"""Measures that hold, a bit each from the lowest, and the version of Landlock."""

Work: TypeAlias = Callable[[memoryview], Iterator[bytes]]
"""Does one task, whose bytes it is given: yields the answer's parts; an exception ends it, by its ``reason`` if any."""

_GRACE: Final = 2.0


def serve(prepare: Callable[[bytes], Work], *, needs_threads: Callable[[], bool] = lambda: False) -> None:
    """Work for the host until it is gone.

    Parameters
    ----------
    prepare : callable
        Takes what the host said at the start, loads all that any task can need and gives the function that does tasks.
        Nothing can be imported after it.
    needs_threads : callable
        Asked after that: whether the work starts threads, which are then allowed.
    """
    line = _connect()
    life = watch_host(line)
    hello = _next(line, Kind.HELLO)
    memory, cpu_seconds, seconds = HELLO.unpack_from(hello)
    try:
        work = prepare(bytes(hello[HELLO.size :]))
        give_memory_back = memory_returner()
        protection = confine(memory=memory, cpu_seconds=cpu_seconds, life=life, threads=needs_threads())
    except Exception as error:
        send(line, Kind.FAILED, _word(f"{type(error).__name__}: {error}"))
        return
    send(line, Kind.READY, READY.pack(_bits(protection), protection.landlock_abi))
    while True:
        task = _next(line, Kind.TASK)
        _end_by(seconds + _GRACE)
        reason = ""
        try:
            with memoryview(task) as given:
                for part in work(given):
                    send(line, Kind.PART, part)
        except MemoryError:
            reason = "out-of-memory"
        except Exception as error:
            reason = getattr(error, "reason", "internal-error")
        del task
        _end_by(0.0)
        give_memory_back()
        send(line, Kind.END, _word(reason))


def _connect() -> socket.socket:
    """Take the line from the host: it is the standard input, or on Windows described there."""
    if sys.platform == "win32":
        return socket.fromshare(sys.stdin.buffer.read())
    line = socket.socket(fileno=0)
    line.setblocking(True)  # the host's end may have been made otherwise, and both share it
    return line


def _next(line: socket.socket, expected: Kind) -> bytearray:
    """Receive a frame of the host; leave when the host is gone."""
    try:
        kind, length = read_head(line)
        if kind != expected:
            sys.exit(3)
        return receive(line, length)
    except (EOFError, OSError):
        sys.exit(0)


def _end_by(seconds: float) -> None:
    """Have the kernel end this process in case the host cannot: it was killed, or is itself stopped. 0 calls it off."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _bits(protection: Protection) -> int:
    return sum(1 << MEASURES.index(name) for name in protection.measures)


def _word(text: str) -> bytes:
    return text.encode("ascii", "replace")[:LONGEST_WORD]
