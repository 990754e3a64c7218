"""An open list file: its connection, its lock, its transactions. `ReferenceList` says what is done within them.

Floor: lists. Code of the caller (the body of a ``with``, an iterable) never runs where SQLite's errors are translated,
so that its own errors come out unchanged.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from hashmatch.errors import ReferenceListError
from hashmatch.lists.audit import verify_all
from hashmatch.lists.editor import Editor
from hashmatch.lists.records import State, load_state
from hashmatch.lists.schema import (
    check_file,
    check_length,
    check_pages,
    check_structure,
    connect,
    leave_wal,
    translated_errors,
    use_wal,
)

__all__ = ["Session"]


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
        self.writable = writable
        self._timeout = timeout
        self._inode = check_file(path)
        self._locks: dict[int, threading.RLock] = {}
        self._editor: Editor | None = None
        self._pid = os.getpid()
        with translated_errors(), contextlib.ExitStack() as undo:
            connection = connect(path, writable=writable, timeout=timeout)
            undo.callback(connection.close)
            if check_file(path) != self._inode:
                raise ReferenceListError("the list file was replaced while it was being opened: try again")
            with _transaction(connection, "DEFERRED"):
                check_structure(connection)
                check_length(connection, path)
            if writable:
                use_wal(connection, timeout)
            with _transaction(connection, "DEFERRED"):
                self._seen = load_state(connection)
                self._seen_seal = self._seen.seal()
                if check == "full":
                    verify_all(connection, self._seen)
                elif check == "pages":
                    check_pages(connection, full=False)
            undo.pop_all()
        self._connection: sqlite3.Connection | None = connection

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
            with translated_errors(), contextlib.closing(connection):
                if self._editor is not None:
                    self._editor = None
                    connection.execute("ROLLBACK")
                if self.writable:
                    leave_wal(connection)

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
        return self._connection

    def _another_connection(self) -> sqlite3.Connection:
        if check_file(self.path) != self._inode:
            raise ReferenceListError("the list file was replaced by another since it was opened: open it again")
        with translated_errors():
            return connect(self.path, writable=False, timeout=self._timeout)

    def state(self, connection: sqlite3.Connection) -> State:
        """Read the counters; those of the running write transaction if this thread is in one."""
        if self._editor is not None:
            return self._editor.state
        row = connection.execute("SELECT version, seal FROM state").fetchone()
        if row != (self._seen.version, self._seen_seal):
            self._seen = load_state(connection)
            self._seen_seal = self._seen.seal()
        return self._seen

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
                return int(connection.execute("PRAGMA data_version").fetchone()[0])

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
        return connection


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
