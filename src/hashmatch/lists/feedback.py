"""Feedback by entry: whether what an entry matched was what it says, kept in a file beside the list.

Floor: lists. The file is ``LIST.feedback``: one JSON object a line, only ever appended to, each line with a check
value. It is no part of the list, so it survives its replacement. A later verdict on an entry supersedes an earlier one,
and both stay. Nothing here sends anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import MAX_ENTRY_ID, checked_text
from hashmatch.lists.file.beside import real_path

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["Feedback", "FeedbackLog", "add_feedback", "feedback_path", "read_feedback"]

_ENDING: Final = ".feedback"
_MAX_WHO: Final = 256
_MAX_REASON: Final = 1_024
_MAX_LINE: Final = 16_384  # bytes
_MAX_FILE: Final = 2**30  # bytes
_WHEN: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One verdict on one entry.

    Parameters
    ----------
    entry_id : str
        The entry.
    verdict : bool
        True: what it matched is what the entry says. False: it is not.
    reason : str
        Why, at most 1,024 characters; empty if it was not said.
    who : str
        Who says so, at most 256 characters; empty if it was not said.
    when : int
        When, seconds since 1970 UTC.
    algorithm : str, optional
        The algorithm of the hash that matched, where the verdict is about that hash alone.

    Raises
    ------
    ReferenceListError, HashFormatError
        If a text or the time is not acceptable, or the algorithm is unknown.
    """

    entry_id: str
    verdict: bool
    reason: str = ""
    who: str = ""
    when: int
    algorithm: str | None = None

    def __post_init__(self) -> None:
        checked_text(self.entry_id, "the entry id", MAX_ENTRY_ID)
        if not isinstance(self.verdict, bool):
            raise TypeError(f"a verdict is bool, not {type(self.verdict).__name__}")
        for text, what, limit in ((self.reason, "the reason", _MAX_REASON), (self.who, "who says so", _MAX_WHO)):
            if text != "":
                checked_text(text, what, limit)
        if isinstance(self.when, bool) or not isinstance(self.when, int) or not 0 <= self.when < 2**32:
            raise ReferenceListError("when must be seconds since 1970")
        if self.algorithm is not None:
            object.__setattr__(self, "algorithm", algorithm_named(self.algorithm).name)

    @property
    def at(self) -> str:
        """When, as ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.when, UTC).strftime(_WHEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackLog:
    """What a file of feedback says.

    Parameters
    ----------
    items : tuple of Feedback
        Every verdict, in the order in which they were given.
    damaged : tuple of int
        Numbers of the lines that cannot be read, from 1.
    cut : bool
        Whether the last line is not complete: writing it was interrupted, and what it said is lost. It is also one of
        the damaged lines.
    """

    items: tuple[Feedback, ...] = ()
    damaged: tuple[int, ...] = ()
    cut: bool = False

    def latest(self) -> dict[tuple[str, str | None], Feedback]:
        """Give the last verdict by entry and algorithm."""
        return {(item.entry_id, item.algorithm): item for item in self.items}


def feedback_path(path: str | os.PathLike[str]) -> Path:
    """Give the path of the file of feedback that stands beside a list; links are followed as SQLite does."""
    found = real_path(path)
    return found.with_name(found.name + _ENDING)


def add_feedback(
    path: str | os.PathLike[str],
    entry_id: str,
    verdict: bool,
    *,
    reason: str = "",
    who: str = "",
    algorithm: str | None = None,
    when: int | None = None,
) -> Feedback:
    """Append a verdict to the file beside a list; it is on the disk when this returns.

    Parameters
    ----------
    path : path
        The list. Whether it has the entry is not looked at.
    entry_id, verdict, reason, who, algorithm, when
        As in `Feedback`; ``when`` is now by default.

    Raises
    ------
    ReferenceListError, HashFormatError
        If something is not acceptable, or the file is no regular file or cannot be written. It is then as it was.
    """
    made = Feedback(
        entry_id=entry_id,
        verdict=verdict,
        reason=reason,
        who=who,
        when=int(time.time()) if when is None else when,
        algorithm=algorithm,
    )
    line = _line(made)
    target = feedback_path(path)
    try:
        with _opened(target, os.O_RDWR | os.O_APPEND | os.O_CREAT) as (number, size):
            if size:
                os.lseek(number, size - 1, os.SEEK_SET)
                if os.read(number, 1) != b"\n":
                    line = b"\n" + line  # what was cut stays a line of its own
            try:
                done = 0
                while done < len(line):
                    done += os.write(number, line[done:])
                os.fsync(number)
            except OSError:
                os.ftruncate(number, size)
                raise
            if not size:
                _sync_folder(target.parent)
    except OSError:
        raise ReferenceListError(
            "the feedback cannot be written: check the folder of the list, its permissions and the space on its disk"
        ) from None
    return made


def read_feedback(path: str | os.PathLike[str]) -> FeedbackLog:
    """Read the file beside a list; an empty log if there is none.

    Raises
    ------
    ReferenceListError
        If it is no regular file, has more than 1 GiB or cannot be read. Lines that are damaged raise nothing: they
        are in the log's ``damaged``.
    """
    try:
        with _opened(feedback_path(path), os.O_RDONLY) as (number, size):
            if size > _MAX_FILE:
                raise ReferenceListError("the feedback beside the list has more than 1 GiB")
            with open(os.dup(number), "rb") as stream:
                data = stream.read(size)
    except FileNotFoundError:
        return FeedbackLog()
    except OSError:
        raise ReferenceListError("the feedback beside the list cannot be read: check its permissions") from None
    items, damaged = [], []
    *lines, last = data.split(b"\n")
    for line_number, line in enumerate([*lines, last] if last else lines, 1):
        found = None if last and line_number > len(lines) else _feedback(line)
        if found is None:
            damaged.append(line_number)
        else:
            items.append(found)
    return FeedbackLog(items=tuple(items), damaged=tuple(damaged), cut=bool(last))


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[tuple[int, int]]:
    """Open and lock the file; its descriptor and its size, bytes."""
    number = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o600)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ReferenceListError("the feedback beside the list is no regular file")
        if fcntl is not None:
            fcntl.flock(number, fcntl.LOCK_SH if flags == os.O_RDONLY else fcntl.LOCK_EX)
        yield number, os.fstat(number).st_size
    finally:
        os.close(number)


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable, where folders can be synced."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _line(item: Feedback) -> bytes:
    record: dict[str, Any] = {
        "entry": item.entry_id,
        "verdict": item.verdict,
        "reason": item.reason,
        "who": item.who,
        "when": item.at,
        "algorithm": item.algorithm,
    }
    return _encoded(record | {"check": _check(record)}) + b"\n"


def _encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode()


def _check(record: dict[str, Any]) -> str:
    return hashlib.sha256(_encoded(record)).hexdigest()[:16]


def _feedback(line: bytes) -> Feedback | None:
    """Read a line; None if it is not as it was written."""
    if len(line) > _MAX_LINE:
        return None
    try:
        record = json.loads(line)
        check = record.pop("check")
        if check != _check(record):
            return None
        when = datetime.strptime(record["when"], _WHEN).replace(tzinfo=UTC)
        return Feedback(
            entry_id=record["entry"],
            verdict=record["verdict"],
            reason=record["reason"],
            who=record["who"],
            when=int(when.timestamp()),
            algorithm=record["algorithm"],
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ReferenceListError, HashFormatError):
        return None
