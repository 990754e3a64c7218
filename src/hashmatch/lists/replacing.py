"""Putting another file in a list's place, in one step with the log that stands beside it; and copies of a list.

Floor: lists. What is put there is always a copy made by SQLite, flushed and checked to the last row, so the file that
was delivered stays as it is, and what is served is what was checked.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.file.beside import has_log, is_plain_log, put_in_place, real_path, stands
from hashmatch.lists.file.entries import State
from hashmatch.lists.file.schema import (
    check_file,
    check_structure,
    connect,
    connect_alone,
    leave_wal,
    refuse_foreign_log,
    translated_errors,
    use_no_journal,
)
from hashmatch.lists.session import Session

__all__ = ["copy_list", "recover_list", "replace_list"]

_FORCE: Final = "(force=True, --force, puts it there all the same)"


def replace_list(path: Path, new_path: Path, *, force: bool, timeout: float) -> None:
    """Put a copy of one list in the place of another; see `ReferenceList.replace`."""
    target = real_path(path)
    check_file(target)
    with _translated_disk_errors(), _part(target) as part:
        new = Session(new_path, writable=False, check="none", timeout=timeout)
        with contextlib.closing(new), new.reading() as source:
            copy_list(source, part, timeout)
        state = _finished(part, target, timeout)

        def check(old: State) -> None:
            if not force:
                _check_successor(old, state)

        try:
            session = Session(target, writable=True, check="none", timeout=timeout)
        except ReferenceListError:
            if not force:
                raise
            with put_in_place(target, part, 0):
                return
        with contextlib.closing(session):
            session.give_way(part, check)


def recover_list(path: Path, *, keep_log: bool, timeout: float) -> None:
    """Make one sound file of a list beside which something foreign stands; see `ReferenceList.recover`."""
    target = real_path(path)
    check_file(target)
    if not stands(target):
        return
    if keep_log and not is_plain_log(target):
        raise ReferenceListError(
            "beside the list stands no log (-wal) that could be taken over, or a rollback journal (-journal), which "
            "never is: recover the list without it (--without-log)"
        )
    with _translated_disk_errors(), _part(target) as part:
        with translated_errors(), contextlib.closing(connect_alone(target)) as source:
            check_structure(source)
            copy_list(source, part, timeout)
        if keep_log:
            _take_log(target, part, timeout)
        _finished(part, target, timeout)
        with put_in_place(target, part, 0):
            pass


def _check_successor(old: State, new: State) -> None:
    if old.uuid != new.uuid:
        raise ReferenceListError(f"the new file is another list than the one it would replace {_FORCE}")
    if new.version < old.version:
        raise ReferenceListError(
            f"the new file has version {new.version} of the list and would replace version {old.version} {_FORCE}"
        )
    if new.version == old.version and old.digest != new.digest:
        raise ReferenceListError(
            f"the new file has another version {new.version} of the list than the one it would replace: copies of one "
            f"list were changed apart {_FORCE}"
        )


@contextlib.contextmanager
def _translated_disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise ReferenceListError(
            "the list could not be replaced: check the permissions of its folder and the space on its disk; what is at "
            "its path is whole, the old list or the new"
        ) from None


@contextlib.contextmanager
def _part(target: Path) -> Iterator[Path]:
    """Hold an empty file of a name of its own beside the list; gone at the end, unless it took the list's place."""
    part = target.with_name(f".{target.name}.{os.urandom(6).hex()}.new")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        yield part
    finally:
        for name in (part, Path(f"{part}-wal"), Path(f"{part}-shm")):
            with contextlib.suppress(OSError):
                os.unlink(name)


def copy_list(source: sqlite3.Connection, part: Path, timeout: float) -> None:
    """Copy what one connection reads into an empty file, in one piece and with its log."""
    with translated_errors(), contextlib.closing(connect(part, writable=True, timeout=timeout)) as made:
        use_no_journal(made)
        source.execute("SELECT count(*) FROM state").fetchone()
        source.backup(made)
    _settle(part, timeout)


def _settle(part: Path, timeout: float) -> None:
    """Make one file of a copy, with no log beside it."""
    with translated_errors(), contextlib.closing(connect(part, writable=True, timeout=timeout)) as made:
        made.execute("SELECT count(*) FROM state").fetchone()
        leave_wal(made)


def _take_log(target: Path, part: Path, timeout: float) -> None:
    """Bring a copy of a list's log into a copy of the list, if it goes on from there."""
    shutil.copyfile(f"{target}-wal", f"{part}-wal", follow_symlinks=False)
    with translated_errors(), contextlib.closing(connect(part, writable=False, timeout=timeout)) as made:
        refuse_foreign_log(part, made)
    _settle(part, timeout)
    if has_log(part):
        raise ReferenceListError("the log could not be brought into the list: try again")


def _finished(part: Path, target: Path, timeout: float) -> State:
    """Check a copy fully, give it the rights of the file it replaces, and flush it."""
    with contextlib.closing(Session(part, writable=False, check="full", timeout=timeout)) as copy:
        state = copy.seen
    old = os.stat(target)
    with contextlib.suppress(OSError, AttributeError):
        os.chown(part, old.st_uid, old.st_gid)
    os.chmod(part, stat.S_IMODE(old.st_mode))
    descriptor = os.open(part, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return state
