"""What stands beside a list file, and whether it belongs to it. SQLite replays whatever has the right name.

Floor: lists. A list at rest is one file. While it is written SQLite keeps a log (``-wal``) and shared memory
(``-shm``) beside it, and hashmatch a **tie** (``-tie``): a line with the file numbers of the list and of its log.
Copied, delivered or exchanged files have other numbers, so a log is replayed only where it was written, for the file it
was written for. A rollback journal (``-journal``) is never ours: hashmatch writes none, see `schema.connect`.

A tie also names the file that is about to take the list's place (`replacing`): whoever then meets that file knows that
what stands beside it belonged to its predecessor. No descriptor of a list is opened here, because closing it would drop
the locks that SQLite holds in this process.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from hashmatch.errors import ReferenceListError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = [
    "FOREIGN_LOG",
    "SIDE_FILES",
    "check_beside",
    "claim",
    "clear",
    "has_log",
    "is_plain_log",
    "put_in_place",
    "real_path",
    "release",
    "stands",
]

SIDE_FILES: Final = ("-journal", "-wal", "-shm")
"""Endings of the names of what SQLite keeps beside a file."""

_TIE: Final = "-tie"
_LINE: Final = re.compile(rb"hashmatch log 1 ([0-9]{1,20}) ([0-9]{1,20}) ([0-9]{1,20})\n")
_GRACE: Final = 0.5  # another process may be between making its files and their tie, or between removing them
_STEP: Final = 0.02

_WHAT_TO_DO: Final = (
    "'hashmatch list recover LIST --without-log' keeps the list file as it is and removes what stands beside it; "
    "'--with-log' takes over what the log holds, if you know that it is the list's own, as after copying both"
)
_JOURNAL: Final = (
    "beside the list stands a rollback journal (-journal), which hashmatch never leaves there; it is not replayed. "
    + _WHAT_TO_DO
)
FOREIGN_LOG: Final = (
    "beside the list stands a log (-wal) that was not written for this file: it came from elsewhere, or the list was "
    "copied or replaced by hand; it is not replayed. " + _WHAT_TO_DO
)
_SHARED: Final = (
    "beside the list stand files of another list (-wal, -shm), perhaps still in use: the list was replaced by hand, or "
    "they came from elsewhere; they are not used. Replace lists with 'hashmatch list replace'. " + _WHAT_TO_DO
)
_OWNER: Final = (
    "what stands beside the list (-wal, -shm or -tie) is no regular file, or belongs to or may be written by others "
    "than the list itself; it is not used. " + _WHAT_TO_DO
)


class _Tie(NamedTuple):
    """File numbers of the list, of its log (0 before there is one) and of the list's successor (0 for none)."""

    main: int
    log: int
    successor: int = 0

    def line(self) -> bytes:
        return f"hashmatch log 1 {self.main} {self.log} {self.successor}\n".encode()


def real_path(path: str | os.PathLike[str]) -> Path:
    """Follow links as SQLite does: what stands beside a list stands beside the file that the path leads to."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        raise ReferenceListError("the list file cannot be opened: check its path and permissions") from None


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _look(path: Path, ending: str) -> os.stat_result | None:
    try:
        return os.lstat(_beside(path, ending))
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return None
        raise ReferenceListError("what stands beside the list cannot be looked at: check its folder") from None


def stands(path: Path) -> bool:
    """Whether anything of SQLite's stands beside a list."""
    return any(_look(path, ending) is not None for ending in SIDE_FILES)


def has_log(path: Path) -> bool:
    """Whether a log that holds anything stands beside a list."""
    log = _look(path, "-wal")
    return log is not None and log.st_size > 0


def is_plain_log(path: Path) -> bool:
    """Whether a log that is a regular file stands beside a list, and no journal."""
    log = _look(path, "-wal")
    return log is not None and stat.S_ISREG(log.st_mode) and _look(path, "-journal") is None


def _opened(path: Path) -> int | None:
    """Open a tie that is a regular file."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(_beside(path, _TIE), flags)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _read(path: Path) -> _Tie | None:
    descriptor = _opened(path)
    if descriptor is None:
        return None
    try:
        found = _LINE.fullmatch(os.read(descriptor, 200))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if found is None else _Tie(*map(int, found.groups()))


def _ours(main: os.stat_result, side: os.stat_result) -> bool:
    """Whether a side file is a regular one that only those may have written who may write the list."""
    if not stat.S_ISREG(side.st_mode):
        return False
    if not hasattr(os, "geteuid"):
        return True
    group = bool(main.st_mode & stat.S_IWGRP) and side.st_gid == main.st_gid
    if side.st_uid not in (0, os.geteuid(), main.st_uid) and not group and not main.st_mode & stat.S_IWOTH:
        return False
    return not side.st_mode & (stat.S_IWGRP | stat.S_IWOTH) & ~main.st_mode


def check_beside(path: Path, inode: int, timeout: float) -> None:
    """Refuse a list beside which something stands that is not its own, before SQLite sees it.

    Parameters
    ----------
    path : Path
        Of `real_path`.
    inode : int
        Number of the list file.
    timeout : float
        Seconds to wait for another process that is replacing the list.

    Raises
    ------
    ReferenceListError
        If a journal stands there; or a log or shared memory without a tie that names this file and the log; or one
        that another user may have written.
    """
    begun = time.monotonic()
    while True:
        problem = _problem(path, inode)
        if problem is None:
            return
        waited = time.monotonic() - begun
        replaced = problem == ""
        if replaced and clear(path, inode):
            continue
        if waited >= (timeout if replaced else min(timeout, _GRACE)):
            raise ReferenceListError(problem or _SHARED)
        time.sleep(_STEP)


def _problem(path: Path, inode: int) -> str | None:
    """Say what is wrong; empty where the list has just taken another's place and that is still to be cleared."""
    tie = _read(path)
    if tie is not None and tie.successor == inode:
        return ""
    if _look(path, "-journal") is not None:
        return _JOURNAL
    log, shared = _look(path, "-wal"), _look(path, "-shm")
    if log is None and shared is None:
        return None
    if tie is None or tie.main != inode:
        return FOREIGN_LOG if log is not None and log.st_size else _SHARED
    if log is not None and log.st_size and log.st_ino != tie.log:
        return FOREIGN_LOG
    main, own = os.stat(path), _look(path, _TIE)
    if not all(_ours(main, side) for side in (log, shared, own) if side is not None):
        return _OWNER
    return None


def claim(path: Path, inode: int, *, log: bool) -> None:
    """Tie what stands, or will stand, beside a list to it; nothing is written where it is tied already.

    Parameters
    ----------
    path : Path
        Of `real_path`.
    inode : int
        Number of the list file.
    log : bool
        False before SQLite makes its log; True when it is open and before anything is written to it.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    tie = _read(path)
    number = 0
    if log:
        found = _look(path, "-wal")
        number = 0 if found is None else found.st_ino
    if tie is not None and tie.main == inode and (not log or tie.log == number):
        return
    os.close(_write(path, _Tie(inode, number), durable=log))


def _write(path: Path, tie: _Tie, *, durable: bool) -> int:
    """Write a tie in one step; gives its descriptor, locked."""
    part = _beside(path, f"{_TIE}.{os.urandom(6).hex()}")
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode) & 0o666)
        os.write(descriptor, tie.line())
        if durable:
            os.fsync(descriptor)
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.replace(part, _beside(path, _TIE))
        if durable:
            _sync_folder(path)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    return descriptor


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def release(path: Path) -> None:
    """Take the tie away; the caller holds SQLite's exclusive lock of the list, and no log is there."""
    if _look(path, "-wal") is None:
        with contextlib.suppress(OSError):
            os.unlink(_beside(path, _TIE))


@contextlib.contextmanager
def put_in_place(path: Path, part: Path, old: int) -> Iterator[None]:
    """Rename a finished file to the path of a list, and remove in one step with it what stood beside that.

    Parameters
    ----------
    path : Path
        Of `real_path`.
    part : Path
        The new file, flushed, in the same folder.
    old : int
        Number of the list file that is there; 0 if what stands beside it is not known to be its own.

    Yields
    ------
    None
        When the new file is there: close what is open of the old one within the block.

    Raises
    ------
    OSError
        If the folder cannot be written; the old list is there then, with what belongs to it.

    Notes
    -----
    The renaming decides. Before it the tie holds for the old file as it did. After it, it tells everybody that what
    stands there belonged to the old file; whoever opens the new one waits for the lock of the tie, which this process
    holds as long as it lives, and then finishes the work if that is still to be done.
    """
    log = _look(path, "-wal")
    new = os.stat(part).st_ino
    descriptor = _write(path, _Tie(old, 0 if log is None else log.st_ino, new), durable=True)
    try:
        os.replace(part, path)
        _sync_folder(path)
        yield
        _remove(path)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    for ending in (*SIDE_FILES, _TIE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_beside(path, ending))


def clear(path: Path, inode: int) -> bool:
    """Finish a replacement whose process ended before it could; False while that process is at it, or by no right.

    Parameters
    ----------
    path : Path
        Of `real_path`.
    inode : int
        Number of the list file, which the tie names as the successor.
    """
    descriptor = _opened(path)
    if descriptor is None:
        return True
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = _look(path, _TIE)
        main = os.stat(path)
        if found is not None and _ours(main, found) and found.st_ino == os.fstat(descriptor).st_ino:
            tie = _read(path)
            if tie is not None and tie.successor == inode == main.st_ino:
                _remove(path)
        else:
            return found is None
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
