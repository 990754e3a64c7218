"""The list file: how it is opened safely, how it is checked, and what its errors mean.

Floor: lists. A file whose schema is not that of `tables` to the letter is refused, so no foreign trigger or view is
ever run.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.file.beside import FOREIGN_LOG, has_log
from hashmatch.lists.file.forks import Connection
from hashmatch.lists.file.sql_tables import (
    APPLICATION_ID,
    FORMAT_VERSION,
    NEWEST_FORMAT,
    expected_schema,
    format_version,
)

__all__ = [
    "FileReplacedError",
    "check_file",
    "check_length",
    "check_pages",
    "check_structure",
    "connect",
    "connect_alone",
    "connect_guarded",
    "damaged",
    "leave_wal",
    "refuse_foreign_log",
    "translated_errors",
    "use_no_journal",
    "use_wal",
]

_SQLITE_FLOOR: Final = (3, 31, 0)
_LONGEST_VALUE: Final = 65_536
_GUARDS: Final = ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "temp_store = MEMORY")
_PRAGMAS: Final = (
    "secure_delete = ON",
    "synchronous = FULL",
    "cache_size = -65536",
    "foreign_keys = OFF",
    "recursive_triggers = OFF",
)
_SCHEMA_STEPS: Final = 2_000  # of SQLite's machine for reading a schema; ours takes under 400

_FOREIGN: Final = (
    "the list file has tables, views, triggers or indexes that no hashmatch made: it is damaged or was "
    "changed by another program; replace it by a sound copy"
)

_NO_LIST: Final = (
    "this is not a hashmatch list, or its first page is damaged: name another file, or read hashes of another form "
    "into a list with hashmatch list import"
)

_DAMAGED: Final = (
    "the list file is damaged: replace it by a sound copy, or build it again from its sources "
    "(hashmatch list verify shows whether a copy is sound)"
)
_BUSY: Final = "the list is in use by another writer or a long reader: try again when it is done, or raise timeout="
_MEANINGS: Final = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _NO_LIST,
    sqlite3.SQLITE_FULL: "the disk is full; nothing of this transaction was kept: make room and try again",
    sqlite3.SQLITE_READONLY: "the list file cannot be written: check its permissions and those of its folder",
    sqlite3.SQLITE_CANTOPEN: "the list file cannot be opened: check that it and its folder can be read",
    sqlite3.SQLITE_IOERR: (
        "reading or writing the list file failed; nothing of this transaction was kept: check the disk and try again"
    ),
    sqlite3.SQLITE_PERM: "the list file cannot be opened: check its permissions",
    sqlite3.SQLITE_TOOBIG: _DAMAGED,
    sqlite3.SQLITE_MISMATCH: _DAMAGED,
    sqlite3.SQLITE_CONSTRAINT: _DAMAGED,
}


class FileReplacedError(Exception):
    """Another file came to the path while it was being opened: to be tried again, or said."""


def damaged() -> ReferenceListError:
    """Make the error for content that is not what was once written."""
    return ReferenceListError(_DAMAGED)


def _code(error: sqlite3.Error) -> int:
    """Primary result code; 0 for errors that Python's own module raises."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn every error of SQLite into a `ReferenceListError` that says what to do and shows no content."""
    try:
        yield
    except sqlite3.Error as error:
        meaning = _MEANINGS.get(_code(error))
        if meaning is None:
            name = getattr(error, "sqlite_errorname", None) or type(error).__name__
            meaning = f"SQLite could not carry this out ({name}); {_DAMAGED}"
        raise ReferenceListError(meaning) from None
    except (UnicodeDecodeError, OverflowError, struct.error):
        # A message in which SQLite quotes a damaged schema; forged numbers that do not fit their fields.
        raise damaged() from None
    except MemoryError:
        # SQLite also answers so when a damaged page claims to be larger than it is.
        raise ReferenceListError(f"memory ran out on the list; if there is plenty, {_DAMAGED}") from None


def check_file(path: Path) -> tuple[int, int]:
    """Check that a regular, non-empty file is at ``path`` and return its device and inode.

    Raises
    ------
    ReferenceListError
        If there is nothing, a folder, something else or an empty file.

    Notes
    -----
    Looks with ``stat`` only: closing a descriptor of our own would drop the locks SQLite holds in this process.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise ReferenceListError("there is no list file at this path; make one with ReferenceList.create") from None
    except (OSError, ValueError):
        raise ReferenceListError("the list file cannot be opened: check its path and permissions") from None
    if stat.S_ISDIR(status.st_mode):
        raise ReferenceListError("the path of the list is a folder: name the list file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ReferenceListError("the path of the list is not a regular file: name a list file")
    if status.st_size == 0:
        raise ReferenceListError("the list file is empty: delete it and make it again with ReferenceList.create")
    return status.st_dev, status.st_ino


def connect(path: Path, *, writable: bool, timeout: float, inode: tuple[int, int] | None = None) -> sqlite3.Connection:
    """Open a connection with every safety setting on.

    Parameters
    ----------
    path : Path
        Of an existing file.
    writable : bool
        False opens the file read-only, in the operating system too.
    timeout : float
        Seconds to wait for a lock.
    inode : (int, int), optional
        Of `check_file`; another file is closed again before SQLite looks at it or at what stands beside it.

    Notes
    -----
    What stands beside the file must have been checked (`beside`). No rollback journal is ever written there: a
    transaction outside of the log changes the first sector of the file alone (see `use_wal`), or makes a new file.

    A list that was left in write-ahead mode (its last writer closed while others were reading) and then put on
    read-only media has no room for SQLite's shared memory file; it is opened as immutable if no log is beside it.
    """
    if sqlite3.sqlite_version_info < _SQLITE_FLOOR:
        raise ReferenceListError(f"lists need SQLite 3.31 or newer; this Python has {sqlite3.sqlite_version}")
    try:
        return connect_guarded(
            path,
            writable=writable,
            timeout=timeout,
            steps=_SCHEMA_STEPS,
            longest=_LONGEST_VALUE,
            pragmas=_PRAGMAS,
            before=lambda: _check_same(path, inode),
        )
    except sqlite3.OperationalError as error:
        raise _foreign_if_long(error) from None


def connect_alone(path: Path) -> sqlite3.Connection:
    """Open the file as it is without what stands beside it: no log is read, no lock taken, nothing changed."""
    uri = path.absolute().as_uri() + "?mode=ro&immutable=1"
    try:
        return _guarded(uri, False, 0.0, _SCHEMA_STEPS, _LONGEST_VALUE, _PRAGMAS, lambda: None)
    except sqlite3.OperationalError as error:
        raise _foreign_if_long(error) from None


def _check_same(path: Path, inode: tuple[int, int] | None) -> None:
    if inode is not None and check_file(path) != inode:
        raise FileReplacedError


def _foreign_if_long(error: sqlite3.OperationalError) -> Exception:
    return ReferenceListError(_FOREIGN) if _code(error) == sqlite3.SQLITE_INTERRUPT else error


def connect_guarded(
    path: Path,
    *,
    writable: bool,
    timeout: float,
    steps: int,
    longest: int,
    pragmas: tuple[str, ...],
    before: Callable[[], None] = lambda: None,
) -> Connection:
    """Open an SQLite file that may be anybody's, with every safety setting on.

    Parameters
    ----------
    path : Path
        Of an existing file.
    writable : bool
        False opens it read-only; as immutable where there is no room for SQLite's own files and no log is beside it.
    timeout : float
        Seconds to wait for a lock.
    steps : int
        Most steps of SQLite's machine for reading the schema, which may be forged to take minutes.
    longest : int
        Longest value, bytes.
    pragmas : tuple of str
        Further settings.
    before : callable
        Called before SQLite looks at the file; what it raises ends the opening.

    Raises
    ------
    sqlite3.Error
        As SQLite has it; of the code ``SQLITE_INTERRUPT`` if the schema takes more steps.
    """
    uri = path.absolute().as_uri() + ("?mode=rw" if writable else "?mode=ro")
    try:
        return _guarded(uri, writable, timeout, steps, longest, pragmas, before)
    except sqlite3.OperationalError as error:
        no_room = _code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if writable or not no_room or os.access(path.parent, os.W_OK) or has_log(path):
            raise
    return _guarded(uri + "&immutable=1", writable, timeout, steps, longest, pragmas, before)


def _guarded(
    uri: str,
    writable: bool,
    timeout: float,
    steps: int,
    longest: int,
    pragmas: tuple[str, ...],
    before: Callable[[], None],
) -> Connection:
    connection: Connection = sqlite3.connect(
        uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False, factory=Connection
    )
    connection.is_writable = writable
    try:
        before()
        # the first statement reads the schema, however long it is: forged ones cost minutes
        connection.set_progress_handler(lambda: 1, steps)
        if sys.version_info >= (3, 12):
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
        for pragma in (*_GUARDS, *pragmas, f"query_only = {'OFF' if writable else 'ON'}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT count(*) FROM sqlite_master")
        connection.set_progress_handler(None, 0)
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_foreign_log(path: Path, connection: sqlite3.Connection) -> None:
    """Check that what the log makes of the list is a later state of what the file alone holds.

    Parameters
    ----------
    path : Path
        Of the list.
    connection : Connection
        Read-only, which never brings a log into the file, and before its first look at the list's rows.

    Raises
    ------
    ReferenceListError
        If it is another list, an earlier version, or another course of the same version.

    Notes
    -----
    A second look, at what the log holds: `beside` knows the log by its file number, under which another may have been
    copied. A file whose writer was killed while it brought the log in may not be readable alone; that is passed by.
    """
    query = "SELECT uuid, version, seal FROM state"
    alone = None
    with contextlib.suppress(sqlite3.Error, ReferenceListError), contextlib.closing(connect_alone(path)) as file:
        alone = file.execute(query).fetchone()
    found = connection.execute(query).fetchone()
    if alone is None or found == alone:
        return
    if found is None or found[0] != alone[0] or found[1] <= alone[1]:
        raise ReferenceListError(FOREIGN_LOG)


def check_structure(connection: sqlite3.Connection) -> None:
    """Check that the file is a list of the format version this hashmatch reads, with exactly its tables.

    Raises
    ------
    ReferenceListError
        If it is another kind of file, of another version, or has another schema.

    Notes
    -----
    Reads the first pages only.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ReferenceListError(_NO_LIST)
    version = format_version(connection)
    if version > NEWEST_FORMAT:
        raise ReferenceListError(
            f"the list has format version {version} and this hashmatch reads version {NEWEST_FORMAT}: "
            "update hashmatch, or ask for the list in an older format"
        )
    if 1 <= version < FORMAT_VERSION:
        raise ReferenceListError(
            f"the list has format version {version}, from before the first release, and this hashmatch reads version "
            f"{NEWEST_FORMAT}: build the list again from its sources"
        )
    if version < FORMAT_VERSION:
        raise ReferenceListError(
            f"the list has format version {version}, which never existed (this hashmatch reads version "
            f"{NEWEST_FORMAT}): the file is damaged or not a hashmatch list, replace it by a sound copy"
        )
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchmany(100)
    if sorted(map(repr, found)) != expected_schema(version):
        raise ReferenceListError(_FOREIGN)


def check_length(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is as long as its first page says, within a read transaction.

    Raises
    ------
    ReferenceListError
        If it was cut short, or something was appended.

    Notes
    -----
    Told for a list at rest only: beside a write-ahead log the file may be shorter or longer at any moment.
    """
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    (pages,), (size,) = (connection.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size"))
    if os.stat(path).st_size != pages * size:
        raise damaged()


def check_pages(connection: sqlite3.Connection, *, full: bool) -> None:
    """Let SQLite check every page; ``full`` also compares the indexes with their tables.

    Raises
    ------
    ReferenceListError
        If a page is damaged or missing.
    """
    (answer,) = connection.execute(f"PRAGMA {'integrity_check' if full else 'quick_check'}(1)").fetchone()
    if answer != "ok":
        raise damaged()


def use_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch to a write-ahead log, so that readers go on while this connection writes.

    Without a rollback journal: the switch changes some bytes of the first 100 of the file, which a disk writes as one.
    """
    give_up = time.monotonic() + timeout
    while True:
        try:
            use_no_journal(connection)
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                raise
            time.sleep(0.02)
            continue
        if mode != "wal":
            raise ReferenceListError(
                "this file system cannot hold a write-ahead log: write the list on a local disk, then copy it"
            )
        return


def use_no_journal(connection: sqlite3.Connection) -> None:
    """Keep what SQLite needs to undo a transaction outside of the log in memory, not in a file beside the list."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
        connection.execute("PRAGMA journal_mode = MEMORY")


def leave_wal(connection: sqlite3.Connection) -> bool:
    """Bring everything into the one file and take the log away, as far as others still reading allow.

    Returns
    -------
    bool
        Whether the log is gone.
    """
    connection.execute("PRAGMA busy_timeout = 100")
    try:
        return bool(connection.execute("PRAGMA journal_mode = MEMORY").fetchone()[0] != "wal")
    except sqlite3.OperationalError:
        # Someone else is connected: the log stays, emptied as far as their reading allows.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return False
