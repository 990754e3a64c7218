"""7z archives and PDF files: read by other people's parsers, and so in a worker process that is shut in.

Floor: scan. The parsers of ZIP, tar and mail are this package's own: they recurse nowhere, hold a bounded part of a
file and call only decompressors of the standard library, so they run in the host. `py7zr` and `pypdf` bound neither
time nor memory, and `py7zr` brings decompressors in C: a hostile file may take over, fill or stop their process, which
is therefore one of `hashmatch.jail`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from hashmatch.errors import BusyError, ImageError
from hashmatch.jail import Isolation
from hashmatch.jail.pool import Pool
from hashmatch.jail.worker import WorkerPlan, bad_answer
from hashmatch.packing import Filling
from hashmatch.scan.items import REASONS, unread
from hashmatch.scan.sources.limits import Limits, Spending
from hashmatch.scan.sources.members import Fault, Member

__all__ = ["MODULES", "PART", "TASK", "JailedReaders"]

MODULES: Final = MappingProxyType({"7z": "py7zr", "pdf": "pypdf"})
"""The module that reads a form; it comes with the extras ``sevenzip`` and ``pdf``."""

TASK: Final = struct.Struct("<3sQ")
"""Before the file: its form and the most bytes of one member."""

PART: Final = struct.Struct("<BH")
"""Before a member's name and bytes: the number of a reason from 1 in sorted `REASONS`, 0 if there is none; length of
the name."""

_WORKER: Final = "hashmatch.scan.sources.in_worker"
_BESIDES: Final = 2**30
_LONGEST_NAME: Final = 4_096
_WORDS: Final = MappingProxyType(
    {word: word for word in REASONS} | {"internal-error": "damaged", "too-many-frames": "too-much-unpacked"}
)


class JailedReaders:
    """The worker process for files of `MODULES`; started when the first one comes.

    Parameters
    ----------
    limits : Limits
        What a file may become.
    isolation : Isolation or None
        How the process is shut in; its ``workers``, ``seconds`` and ``memory`` are set here.
    """

    def __init__(self, limits: Limits, isolation: Isolation | None = None) -> None:
        self._limits = limits
        self._isolation = Isolation(workers=1) if isolation is None else isolation
        self._pool: Pool | None = None

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.close()

    def members(self, form: str, data: bytes, spending: Spending) -> Iterator[Member | Fault]:
        """Read one file.

        Parameters
        ----------
        form : str
            A key of `MODULES`.
        data : bytes
            The file.
        spending : Spending
            Told of what comes back.

        Yields
        ------
        Member or Fault
            As the worker finds them.

        Raises
        ------
        UnreadableImageError
            With one of `REASONS`.
        """
        if find_spec(MODULES[form]) is None:
            raise unread("no-module")
        head = TASK.pack(form.encode().ljust(3), self._limits.held)
        with closing(self._started().run(head, data, words=frozenset(_WORDS))) as answer:
            try:
                while True:
                    try:
                        part = next(answer)
                    except StopIteration as end:
                        if end.value:
                            raise unread(_WORDS[end.value]) from None
                        return
                    found = _unpacked(part)
                    if found is None:
                        answer.throw(bad_answer())
                        return
                    if isinstance(found, Member):
                        spending.made(found.size or 0)
                    yield found
            except BusyError:
                raise unread("timeout") from None
            except ImageError as error:
                raise unread(error.reason if error.reason in REASONS else "worker-crashed") from None

    def _started(self) -> Pool:
        if self._pool is None:
            plan = WorkerPlan(
                module=_WORKER,
                hello=b"",
                memory=4 * self._limits.held + _BESIDES,
                seconds=self._limits.seconds,
                largest_part=self._limits.held + PART.size + _LONGEST_NAME,
                python=self._isolation.python,
                environment=tuple(dict(self._isolation.environment).items()),
            )
            self._pool = Pool(self._isolation, plan, largest_answer=self._limits.unpacked)
        return self._pool


class _Held(Filling):
    """Bytes in memory."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def some(self, size: int) -> bytes:
        data, self._data = bytes(self._data[:size]), self._data[size:]
        return data


def _unpacked(part: bytearray) -> Member | Fault | None:
    """Read a part of an answer; None for one that no honest worker gives."""
    if len(part) < PART.size:
        return None
    number, length = PART.unpack_from(part)
    start = PART.size + length
    if number > len(REASONS) or length > _LONGEST_NAME or start > len(part):
        return None
    name = bytes(part[PART.size : start])
    if number:
        return Fault(sorted(REASONS)[number - 1], name or None)
    return Member(name, len(part) - start, _Held(memoryview(part)[start:]))
