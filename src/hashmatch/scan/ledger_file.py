"""The file of a ledger: its tables, how it is opened safely, and what its errors mean.

Floor: scan. Format version 1. Every row has a check value. Like a list's, the file is refused if its schema is not
this one to the letter, so no foreign trigger or view is ever run. (STRICT tables would say the types more briefly, but
need SQLite 3.37.)
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hashmatch.errors import LedgerError
from hashmatch.lists.file.schema import connect_guarded

__all__ = [
    "APPLICATION_ID",
    "FORMAT_VERSION",
    "check_structure",
    "connect",
    "create_tables",
    "damaged",
    "mark_of",
    "translated_errors",
]

APPLICATION_ID: Final = 0x484D4C47
FORMAT_VERSION: Final = 1

_LONGEST_VALUE: Final = 64 * 2**20
_SCHEMA_STEPS: Final = 4_000

_TABLES: Final = (
    """CREATE TABLE state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uuid BLOB NOT NULL CHECK (typeof(uuid) = 'blob' AND length(uuid) = 16),
  salt BLOB NOT NULL CHECK (typeof(salt) = 'blob' AND length(salt) = 32),
  names INTEGER NOT NULL CHECK (names IN (0, 1)),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer')
)""",
    """CREATE TABLE basis (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('scan', 'rescan')),
  at INTEGER NOT NULL CHECK (typeof(at) = 'integer'),
  policy BLOB NOT NULL CHECK (typeof(policy) = 'blob' AND length(policy) = 32),
  policy_name TEXT NOT NULL CHECK (typeof(policy_name) = 'text'),
  decode TEXT NOT NULL CHECK (typeof(decode) = 'text'),
  software TEXT NOT NULL CHECK (typeof(software) = 'text'),
  lists TEXT NOT NULL CHECK (typeof(lists) = 'text'),
  algorithms TEXT NOT NULL CHECK (typeof(algorithms) = 'text'),
  gap TEXT NOT NULL CHECK (typeof(gap) = 'text'),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer')
)""",
    """CREATE TABLE report (
  id INTEGER PRIMARY KEY,
  body BLOB NOT NULL CHECK (typeof(body) = 'blob'),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer')
)""",
    """CREATE TABLE content (
  id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK (typeof(sha256) = 'blob' AND length(sha256) = 32),
  basis INTEGER NOT NULL CHECK (typeof(basis) = 'integer'),
  report INTEGER NOT NULL CHECK (typeof(report) = 'integer'),
  outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 3),
  loose INTEGER NOT NULL CHECK (loose IN (0, 1)),
  fingerprint BLOB NOT NULL CHECK (typeof(fingerprint) = 'blob'),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer')
)""",
    "CREATE INDEX content_of_basis ON content (basis, outcome, loose, report)",
    """CREATE TABLE item (
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL UNIQUE CHECK (typeof(key) = 'blob' AND length(key) = 16),
  stamp BLOB NOT NULL CHECK (typeof(stamp) = 'blob'),
  content INTEGER CHECK (content IS NULL OR typeof(content) = 'integer'),
  report INTEGER CHECK (report IS NULL OR typeof(report) = 'integer'),
  at INTEGER NOT NULL CHECK (typeof(at) = 'integer'),
  name BLOB CHECK (name IS NULL OR typeof(name) = 'blob'),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer'),
  CHECK ((content IS NULL) <> (report IS NULL))
)""",
    "CREATE INDEX item_of_content ON item (content)",
    """CREATE TABLE block (
  id INTEGER PRIMARY KEY,
  algorithm TEXT NOT NULL CHECK (typeof(algorithm) = 'text'),
  owners BLOB NOT NULL CHECK (typeof(owners) = 'blob'),
  codes BLOB NOT NULL CHECK (typeof(codes) = 'blob'),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer')
)""",
    """CREATE TABLE hit (
  content INTEGER NOT NULL CHECK (typeof(content) = 'integer'),
  kind TEXT NOT NULL CHECK (kind IN ('match', 'suppressed', 'by', 'comparison', 'held')),
  list_id TEXT NOT NULL CHECK (typeof(list_id) = 'text'),
  entry_id TEXT NOT NULL CHECK (typeof(entry_id) = 'text'),
  algorithm TEXT NOT NULL CHECK (typeof(algorithm) = 'text'),
  since INTEGER NOT NULL CHECK (typeof(since) = 'integer'),
  until INTEGER CHECK (until IS NULL OR typeof(until) = 'integer'),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer')
)""",
    "CREATE INDEX hit_of_content ON hit (content)",
)
"""Tables and indexes; each text stays as it is for ever."""

_DAMAGED: Final = (
    "the ledger is damaged: go on with a sound copy, or begin a new ledger and scan again; what reports were made of it"
    " stay as they are"
)
_FOREIGN: Final = "this file is not a ledger of hashmatch: name another file; it was not changed"
_MEANINGS: Final = {
    sqlite3.SQLITE_BUSY: ("busy", "the ledger is in use by another scan: wait until that has ended"),
    sqlite3.SQLITE_LOCKED: ("busy", "the ledger is in use by another scan: wait until that has ended"),
    sqlite3.SQLITE_FULL: (
        "disk-full",
        "the disk is full: what the ledger held until then is kept; make room and run the same command again",
    ),
    sqlite3.SQLITE_IOERR: (
        "unusable",
        "reading or writing the ledger failed: check the disk and run the same command again",
    ),
    sqlite3.SQLITE_READONLY: (
        "unusable",
        "the ledger cannot be written: check its permissions and those of its folder",
    ),
    sqlite3.SQLITE_CANTOPEN: ("unusable", "the ledger cannot be opened: check its path and permissions"),
    sqlite3.SQLITE_PERM: ("unusable", "the ledger cannot be opened: check its permissions"),
    sqlite3.SQLITE_NOTADB: ("foreign", _FOREIGN),
}


def damaged() -> LedgerError:
    """Make the error for content that is not what was once written."""
    return LedgerError(_DAMAGED, reason="damaged")


def mark_of(*values: object) -> int:
    """Check value of what is stored in a row: numbers, texts, bytes and None."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn every error of SQLite into a `LedgerError` that says what to do and shows no content."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        reason, message = _MEANINGS.get(code, ("damaged", _DAMAGED))
        raise LedgerError(message, reason=reason) from None
    except (UnicodeDecodeError, OverflowError, struct.error):
        raise damaged() from None


def create_tables(connection: sqlite3.Connection, salt: bytes, uuid: bytes, *, names: bool) -> None:
    """Write the empty tables and the marks of the format into a new file, as one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA schema_version").fetchone()[0]:
        connection.execute("ROLLBACK")  # another process was sooner
        return
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    state = (uuid, salt, int(names))
    connection.execute("INSERT INTO state VALUES (1, ?, ?, ?, ?)", (*state, mark_of(*state)))
    connection.execute("COMMIT")


def connect(path: Path, *, writable: bool, timeout: float) -> sqlite3.Connection:
    """Open a connection to an existing, perhaps empty, regular file, with every safety setting on.

    Raises
    ------
    LedgerError
        If there is none, or it is something else.
    """
    try:
        kind = os.stat(path).st_mode
    except FileNotFoundError:
        raise LedgerError("there is no ledger at this path", reason="missing") from None
    except (OSError, ValueError):
        raise LedgerError("the ledger cannot be opened: check its path and permissions", reason="unusable") from None
    if not stat.S_ISREG(kind):
        raise LedgerError("the path of the ledger is not a regular file: name a file", reason="unusable")
    try:
        return connect_guarded(
            path,
            writable=writable,
            timeout=timeout,
            steps=_SCHEMA_STEPS,
            longest=_LONGEST_VALUE,
            pragmas=("cache_size = -32768",),
        )
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_INTERRUPT:
            raise LedgerError(_FOREIGN, reason="foreign") from None
        raise


def check_structure(connection: sqlite3.Connection) -> None:
    """Check that the file is a ledger of the format version this hashmatch reads, with exactly its tables.

    Raises
    ------
    LedgerError
        If it is another kind of file, of another version, or has another schema.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise LedgerError(_FOREIGN, reason="foreign")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > FORMAT_VERSION:
        raise LedgerError(
            f"the ledger has format version {version} and this hashmatch reads version {FORMAT_VERSION}: update "
            "hashmatch",
            reason="newer",
        )
    found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchmany(100)
    if version != FORMAT_VERSION or sorted(text for (text,) in found) != sorted(_TABLES):
        raise damaged()
