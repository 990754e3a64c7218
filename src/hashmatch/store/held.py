"""Mapped index files, held open: whether each is still what was checked.

A change of length or time is seen at every search, by a look at the open file. One that leaves both, as by a disk, is
found by `recheck`, which reads the files piece by piece and compares them with the checksums that they had when they
were opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from hashmatch.errors import IndexFormatError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["HeldFile", "recheck"]

_BLOCK: Final = 1 << 20
_CAN_READ: Final = hasattr(os, "pread")


class HeldFile:
    """A mapped file, held open to see whether it is still what was checked.

    Parameters
    ----------
    stream : binary file
        The open file; the caller closes it.
    path : Path
        Where it was opened.
    """

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.path = path
        self.checksums: tuple[tuple[int, int, bytes], ...] = ()
        self._is_damaged = False
        self._descriptor = os.dup(stream.fileno())
        self._seen = self._now()
        if fcntl is not None:
            with contextlib.suppress(OSError):  # says that the file is in use, for as long as it is open
                fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        weakref.finalize(self, os.close, self._descriptor).atexit = False

    def _now(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def check(self) -> None:
        """Raise IndexFormatError if the file was cut or changed; a touched one is compared with its checksums first.

        Notes
        -----
        Cost: one look at the open file, a microsecond.
        """
        now = self._now()
        if now != self._seen and not self._is_damaged:
            # a map of a file that was cut must not be touched: this reads
            if now[0] != self._seen[0] or any(read == 0 for read in _compared(weakref.ref(self))):
                self._is_damaged = True
            self._seen = now
        if self._is_damaged:
            raise IndexFormatError(
                "an index file in use was changed in place, so nothing is said by it: reload the matcher, which makes"
                " another (hashmatch index build makes one, too)"
            )

    def read(self, first: int, length: int) -> bytes:
        """Read bytes of the file, not by the map."""
        return os.pread(self._descriptor, length, first) if _CAN_READ else b""

    def spoil(self) -> None:
        """Let `check` raise from now on."""
        self._is_damaged = True

    @property
    def is_spoilt(self) -> bool:
        """Whether `check` raises."""
        with contextlib.suppress(IndexFormatError):
            self.check()
            return False
        return True


def recheck(files: Callable[[], Iterable[HeldFile]], damaged: Callable[[HeldFile], None]) -> Iterator[int]:
    """Compare files with their checksums again and again, for as long as it is asked to go on.

    Parameters
    ----------
    files : callable
        Gives the files that are in use now.
    damaged : callable
        Told of each file that is no longer what was checked, once `HeldFile.check` raises for it.

    Yields
    ------
    int
        Bytes that were read, at most 1 MiB; 0 at the end of a round.
    """
    while True:
        # a file that is given back meanwhile is not held by this
        for found in [weakref.ref(item) for item in files()] if _CAN_READ else ():
            for read in _compared(found):
                if read:
                    yield read
                    continue
                held = found()
                if held is not None and not held._is_damaged:
                    held.spoil()
                    damaged(held)
        yield 0


def _compared(found: weakref.ref[HeldFile]) -> Iterator[int]:
    """Compare a file with its checksums: the bytes read, piece by piece; 0, and no more, where it differs."""
    held = found()
    for first, length, expected in () if held is None else held.checksums:
        digest, at = hashlib.sha256(), 0
        while at < length:
            held = found()
            if held is None:
                return
            try:
                data = held.read(first + at, min(_BLOCK, length - at))
            except OSError:
                data = b""
            held = None
            if not data:
                yield 0
                return
            digest.update(data)
            at += len(data)
            yield len(data)
        if digest.digest() != expected:
            yield 0
            return
