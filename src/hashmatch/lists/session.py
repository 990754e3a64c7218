"""An open list file: its connection, its lock, its transactions. `ReferenceList` says what is done within them.

Floor: lists. Code of the caller (the body of a ``with``, an iterable) never runs where SQLite's errors are translated,
so that its own errors come out unchanged.

Over 400 lines because a list file's opening, forks, log and closing are one protocol with SQLite.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.file.beside import check_beside, claim, has_log, put_in_place, real_path, release
from hashmatch.lists.file.editor import Editor
from hashmatch.lists.file.entries import State, load_state
from hashmatch.lists.file.schema import (
    FileReplacedError,
    check_file,
    check_length,
    check_pages,
    check_structure,
    connect,
    leave_wal,
    refuse_foreign_log,
    translated_errors,
    use_wal,
)
from hashmatch.lists.verify import verify_all

__all__ = ["Session"]

_ATTEMPTS: Final = 5
_NUMBERS: Final = itertools.count(1)
_REPLACED: Final = "the list file was replaced by another since it was opened: open it again"


class Session:
    """One open list file.

    Parameters
    ----------
    path : Path
        Of an existing file.
    writable : bool
        Open for reading and writing.
    check : {"none", "pages", "full"}
        As in `ReferenceList.open`.
    timeout : float
        Seconds to wait for locks.
    """

    def __init__(self, path: Path, *, writable: bool, check: str, timeout: float) -> None:
        self.path = path
        self.number = next(_NUMBERS)
        self.writable = writable
        self._timeout = timeout
        self._real = real_path(path)
        self._connection: sqlite3.Connection | None = None
        # Freed after the connection, so that SQLite never removes the log of one that was not closed.
        self._anchor: sqlite3.Connection | None = None
        self._locks: dict[int, threading.RLock] = {}
        self._editor: Editor | None = None
        self._pid = os.getpid()
        for attempt in range(_ATTEMPTS):
            try:
                self._open(check)
            except FileReplacedError:
                if attempt == _ATTEMPTS - 1:
                    raise ReferenceListError(
                        "the list file was replaced while it was being opened: try again"
                    ) from None
            else:
                break

    def _open(self, check: str) -> None:
        self._inode = check_file(self._real)
        check_beside(self._real, self._inode[1], self._timeout)
        with translated_errors(), contextlib.ExitStack() as undo:
            connection = connect(self._real, writable=False, timeout=self._timeout, inode=self._inode)
            undo.callback(connection.close)
            if has_log(self._real):
                refuse_foreign_log(self._real, connection)
            with _transaction(connection, "DEFERRED"):
                check_structure(connection)
                check_length(connection, self._real)
            self._wal = _is_wal(connection)
            if self._wal:
                # Only a list that was copied while in use has no tie yet; who may not write there makes no log either.
                with contextlib.suppress(OSError):
                    claim(self._real, self._inode[1], log=True)
            if self.writable:
                undo.pop_all()
                self._anchor = connection
                undo.callback(self._shut, None)
                connection = connect(self._real, writable=True, timeout=self._timeout, inode=self._inode)
                undo.pop_all()
                undo.callback(self._shut, connection)
                self._start_log(connection)
            if check_file(self._real) != self._inode:
                raise FileReplacedError
            with _transaction(connection, "DEFERRED"):
                self._seen = load_state(connection)
                self._seen_seal = self._seen.seal()
                if check == "full":
                    verify_all(connection, self._seen)
                elif check == "pages":
                    check_pages(connection, full=False)
            undo.pop_all()
        self._connection = connection

    def _start_log(self, connection: sqlite3.Connection) -> None:
        """Switch to a log that is tied to the list before anything is written to it."""
        try:
            claim(self._real, self._inode[1], log=False)
            use_wal(connection, self._timeout)
            for reader in (connection, self._anchor):
                if reader is not None:
                    reader.execute("SELECT count(*) FROM state").fetchone()
            claim(self._real, self._inode[1], log=True)
        except OSError:
            raise ReferenceListError(
                "nothing can be written beside the list: check the permissions of its folder and the space on its disk"
            ) from None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._connection is None

    @property
    def in_transaction(self) -> bool:
        """Whether a write transaction is running."""
        return self._editor is not None

    @property
    def seen(self) -> State:
        """The state as it was last read; touches no file."""
        return self._seen

    @property
    def replaced(self) -> bool:
        """Whether the path now leads to another file than the one that is open, or to none."""
        try:
            return check_file(self.path) != self._inode
        except ReferenceListError:
            return True

    def close(self) -> None:
        """Close the connection; a writer puts everything into the one file first. A second call does nothing."""
        with self._lock():
            connection, self._connection = self._connection, None
            if connection is None or (self.writable and self._pid != os.getpid()):
                return
            with translated_errors():
                if self._editor is not None:
                    self._editor = None
                    connection.execute("ROLLBACK")
                self._shut(connection)

    def _shut(self, connection: sqlite3.Connection | None) -> None:
        """Close what is open; a writer leaves one file."""
        anchor, self._anchor = self._anchor, None
        with contextlib.ExitStack() as last:
            if anchor is not None:
                last.callback(anchor.close)
            if connection is None:
                return
            last.callback(connection.close)
            # SQLite removes a log by its name: where another list stands there now, the anchor keeps it from that
            if self.writable and not self.replaced:
                if anchor is not None:
                    anchor.close()
                self._tidy(connection)

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Leave one file, as far as others who use it allow."""
        if leave_wal(connection):
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("BEGIN EXCLUSIVE")
                try:
                    if not _is_wal(connection):
                        release(self._real)
                finally:
                    connection.execute("ROLLBACK")

    def give_way(self, part: Path, check: Callable[[State], None]) -> None:
        """Let a finished file in the same folder take this one's place, and close.

        Parameters
        ----------
        part : Path
            The file, flushed.
        check : callable
            Called with the counters while no other can write; raises if the file must not take the place.

        Raises
        ------
        ReferenceListError
            What ``check`` raises, or if others use the list for longer than the timeout.
        OSError
            If the folder cannot be written.
        """
        with self.writing_alone() as connection:
            anchor, self._anchor = self._anchor, None
            if anchor is not None:
                anchor.close()
            # with nobody else in the log it goes first: who reads the old file on then looks for none beside the new
            leave_wal(connection)
            connection.execute(f"PRAGMA busy_timeout = {int(1000 * self._timeout)}")
            connection.execute("BEGIN EXCLUSIVE")
            try:
                check(load_state(connection))
                if self.replaced:
                    raise ReferenceListError(_REPLACED)
                with put_in_place(self._real, part, self._inode[1]):
                    self._connection = None
                    connection.close()
            finally:
                if self._connection is not None:
                    connection.execute("ROLLBACK")

    def _lock(self) -> threading.RLock:
        """Return the lock of this process: one that was held by another thread at a fork stays locked in the child."""
        return self._locks.setdefault(os.getpid(), threading.RLock())

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ReferenceListError("the list is closed: open it again with ReferenceList.open")
        if self._pid != os.getpid():
            if self.writable:
                raise ReferenceListError("a list opened for writing cannot be used in a forked process: open it there")
            # SQLite counts its locks per process: the parent's connection must be gone before a new one is made.
            self._connection.close()
            self._connection = self._another_connection()
            self._pid = os.getpid()
            with translated_errors():
                self._wal = _is_wal(self._connection)
        return self._connection

    def _another_connection(self) -> sqlite3.Connection:
        if self.replaced:
            raise ReferenceListError(_REPLACED)
        check_beside(self._real, self._inode[1], self._timeout)
        try:
            with translated_errors():
                return connect(self._real, writable=False, timeout=self._timeout, inode=self._inode)
        except FileReplacedError:
            raise ReferenceListError(_REPLACED) from None

    def state(self, connection: sqlite3.Connection) -> State:
        """Read the counters; those of the running write transaction if this thread is in one."""
        if self._editor is not None:
            return self._editor.state
        row = connection.execute("SELECT version, seal FROM state").fetchone()
        if row != (self._seen.version, self._seen_seal):
            self._check_log(connection)
            seen = load_state(connection)
            self._seen, self._seen_seal = seen, seen.seal()
        return self._seen

    def _check_log(self, connection: sqlite3.Connection) -> None:
        """Refuse a log that SQLite has begun to read since, unless it is that of this file.

        A file that another has taken the place of is read on as it was; by its name SQLite would find the other's log.
        """
        if self._wal or not _is_wal(connection):
            return
        if self.replaced:
            raise ReferenceListError(_REPLACED)
        check_beside(self._real, self._inode[1], self._timeout)
        self._wal = True

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection within a read transaction, or within the transaction this thread is in."""
        with self._lock():
            connection = self._open_connection()
            with translated_errors():
                if connection.in_transaction:
                    yield connection
                else:
                    with _transaction(connection, "DEFERRED"):
                        if self.replaced:
                            connection.execute("SELECT count(*) FROM source").fetchone()
                            self._check_log(connection)
                        yield connection

    @contextlib.contextmanager
    def reading_apart(self) -> Iterator[sqlite3.Connection]:
        """Hold a further connection within a read transaction, so that a long read keeps nobody waiting."""
        with self._lock():
            self._open_connection()
        connection = self._another_connection()
        with contextlib.closing(connection), translated_errors(), _transaction(connection, "DEFERRED"):
            check_structure(connection)
            yield connection

    @contextlib.contextmanager
    def pinned(self) -> Iterator[tuple[sqlite3.Connection, State]]:
        """As `reading_apart`, with the counters, for a block that runs other code: errors are not translated in it."""
        with self._lock():
            self._open_connection()
        connection = self._another_connection()
        with contextlib.closing(connection), _transaction(connection, "DEFERRED"):
            with translated_errors():
                check_structure(connection)
                state = load_state(connection)
            yield connection, state

    def data_version(self) -> int:
        """Read SQLite's own number, which differs from the last one when another connection has changed the file."""
        with self._lock():
            connection = self._open_connection()
            with translated_errors():
                number = int(connection.execute("PRAGMA data_version").fetchone()[0])
                if not self.replaced:
                    self._check_log(connection)
                return number

    @contextlib.contextmanager
    def writing(self) -> Iterator[Editor]:
        """Make the block one write transaction, or part of the one this thread is in."""
        with self._lock():
            connection = self._writer()
            if self._editor is not None:
                yield self._editor
                return
            with translated_errors():
                connection.execute("BEGIN IMMEDIATE")
            try:
                with translated_errors():
                    editor = self._editor = Editor(connection, load_state(connection))
                yield editor
                if self.closed:
                    raise ReferenceListError("the list was closed within a transaction, which was undone")
                if editor.broken:
                    raise ReferenceListError("the transaction was undone, because a step within it failed")
                with translated_errors():
                    editor.finish()
                    connection.execute("COMMIT")
                self._seen, self._seen_seal = editor.state, editor.state.seal()
                if self.replaced:
                    raise ReferenceListError(_REPLACED)
            except BaseException:
                if not self.closed and connection.in_transaction:
                    with translated_errors():
                        connection.execute("ROLLBACK")
                raise
            finally:
                self._editor = None

    @contextlib.contextmanager
    def step(self) -> Iterator[Editor]:
        """One change, as a transaction of its own or within the one this thread is in, which fails if it fails."""
        with self.writing() as editor:
            try:
                yield editor
            except BaseException:
                editor.broken = True
                raise

    @contextlib.contextmanager
    def writing_alone(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection outside of any transaction."""
        with self._lock():
            connection = self._writer()
            if self._editor is not None:
                raise ReferenceListError("this cannot be done within a transaction: do it after the block")
            with translated_errors():
                yield connection

    def _writer(self) -> sqlite3.Connection:
        connection = self._open_connection()
        if not self.writable:
            raise ReferenceListError("the list is open for reading only: use ReferenceList.open(path, writable=True)")
        if self._editor is None and self.replaced:
            raise ReferenceListError(_REPLACED)
        return connection


def _is_wal(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Commit at the end, or undo everything if an exception leaves the block."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
