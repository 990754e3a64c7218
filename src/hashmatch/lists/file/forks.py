"""Connections to SQLite that a fork leaves in order: `Connection`, and what is done about it before and after.

Floor: lists. SQLite has locks of the whole process, as of its memory: one that another thread holds at a fork stays
locked in the child for ever. So a fork waits until no thread is within a call of SQLite, which takes microseconds as
a rule. The child then closes what it got for reading, since SQLite counts its locks on files by process, and opens it
anew when it is used. Connections for writing stay open there and are not used.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from typing import Any, Final

from hashmatch.errors import ReferenceListError

__all__ = ["Connection"]

_PATIENCE: Final = 10.0


class _Forks:
    """All connections of this process, and those that a fork in preparation holds."""

    def __init__(self) -> None:
        self.change = threading.RLock()
        self.open: weakref.WeakSet[Connection] = weakref.WeakSet()
        self.unusable = False  # the fork came in the middle of a call
        self._held: list[threading.RLock] = []
        self._is_whole = True
        self._left: list[Connection] = []

    def before(self) -> None:
        """Wait until no thread is within a call, and keep it so; not for ever."""
        until = time.monotonic() + _PATIENCE
        is_first = self.change.acquire(timeout=_PATIENCE)
        self._held, self._is_whole = [self.change] * is_first, is_first
        for connection in list(self.open) if self._is_whole else ():
            self._hold(connection.calls, until)

    def _hold(self, lock: threading.RLock, until: float) -> None:
        if lock.acquire(timeout=max(0.0, until - time.monotonic())):
            self._held.append(lock)
        else:
            self._is_whole = False

    def in_parent(self) -> None:
        """Let the threads go on."""
        held, self._held = self._held, []
        for lock in reversed(held):
            lock.release()

    def in_child(self) -> None:
        """Take fresh locks, and close what was open for reading."""
        self._held, self.change = [], threading.RLock()
        self.unusable = self.unusable or not self._is_whole
        for connection in list(self.open):
            connection.calls = threading.RLock()
            if self.unusable or connection.is_writable:
                self._left.append(connection)  # closing it would be a call, or an end of the parent's log
            else:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def check(self) -> None:
        """Raise ReferenceListError in a process in which SQLite would wait for ever."""
        if self.unusable:
            raise ReferenceListError(
                "this process was forked while another thread was in a long step of a list, so no list can be used in"
                " it: fork again, fork before threads use lists, or start processes by spawn or forkserver"
            )


_FORKS: Final = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_FORKS.before, after_in_parent=_FORKS.in_parent, after_in_child=_FORKS.in_child)


class Connection(sqlite3.Connection):
    """A connection whose calls a fork waits for.

    Parameters
    ----------
    *options, **more
        As for `sqlite3.connect`.

    Attributes
    ----------
    is_writable : bool
        Whether it was opened for writing; set by whoever opens it, True until then.
    """

    def __init__(self, *options: Any, **more: Any) -> None:
        self.is_writable = True
        self.calls = threading.RLock()
        _FORKS.check()
        with _FORKS.change:
            super().__init__(*options, **more)
            _FORKS.open.add(self)

    def cursor(self, factory: Any = None) -> Any:
        """Make a cursor."""
        _FORKS.check()
        return super().cursor(_Cursor if factory is None else factory)

    # what these do by themselves takes a plain cursor

    def execute(self, *options: Any) -> sqlite3.Cursor:
        """Make a cursor and execute a statement with it."""
        cursor: sqlite3.Cursor = self.cursor().execute(*options)
        return cursor

    def executemany(self, *options: Any) -> sqlite3.Cursor:
        """Make a cursor and execute a statement with it for many rows."""
        cursor: sqlite3.Cursor = self.cursor().executemany(*options)
        return cursor

    def close(self) -> None:
        """Close it, unless that would wait for ever."""
        if not _FORKS.unusable:
            with self.calls:
                super().close()


class _Cursor(sqlite3.Cursor):
    """A cursor whose calls a fork waits for; also that of letting it go."""

    connection: Connection

    def execute(self, *options: Any) -> _Cursor:
        with self.connection.calls:
            super().execute(*options)
        return self

    def executemany(self, *options: Any) -> _Cursor:
        with self.connection.calls:
            super().executemany(*options)
        return self

    def executescript(self, *options: Any) -> sqlite3.Cursor:
        with self.connection.calls:
            return super().executescript(*options)

    def fetchone(self) -> Any:
        with self.connection.calls:
            return super().fetchone()

    def fetchmany(self, *options: Any) -> list[Any]:
        with self.connection.calls:
            return super().fetchmany(*options)

    def fetchall(self) -> list[Any]:
        with self.connection.calls:
            return super().fetchall()

    def __next__(self) -> Any:
        with self.connection.calls:
            return super().__next__()

    def close(self) -> None:
        with self.connection.calls:
            super().close()

    def __del__(self) -> None:
        try:
            if not _FORKS.unusable:
                self.close()
        except (sqlite3.Error, AttributeError):
            pass
