"""The tables of the list file.

Floor: lists. Format version 4, or 5 where the list keeps its history or is taken from bundles: 5 has the tables of 4
and a few more. Versions 1 to 3 were never released, and are refused. The tables have room for hashes, labels and
numbers and for nothing else: hash columns accept exactly the lengths of their algorithm, text columns are short, every
column one type. (STRICT tables would say the last more briefly, but need SQLite 3.37; Enterprise Linux 9 has 3.34.)

Hashes of varying length, which may be a hundred times as long as the others, have a table of their own, ``record``, so
that reading all hashes of another algorithm does not read them too. Rows of both tables are numbered by one counter.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Final

from hashmatch.lists.file.forks import Connection

__all__ = [
    "ALGORITHM_NAMES",
    "ALGORITHM_NUMBERS",
    "APPLICATION_ID",
    "FORMAT_VERSION",
    "NEWEST_FORMAT",
    "RECORD_NUMBERS",
    "create_tables",
    "expected_schema",
    "format_version",
    "table_of",
]

APPLICATION_ID: Final = 0x484D4C54
FORMAT_VERSION: Final = 4
"""Format of a list that is like those before it."""

NEWEST_FORMAT: Final = 5
"""Format of a list that has the further tables too."""

ALGORITHM_NUMBERS: Final = {
    "pdq": 1,
    "ahash": 2,
    "dhash": 3,
    "phash": 4,
    "whash": 5,
    "ahash-256": 6,
    "dhash-256": 7,
    "phash-256": 8,
    "whash-256": 9,
    "md5": 10,
    "sha1": 11,
    "sha256": 12,
    "photodna": 13,
    "keypoint": 14,
}
"""Numbers of the algorithms; a further algorithm needs a further format version."""

RECORD_NUMBERS: Final = frozenset({14})
"""Numbers of the algorithms whose hashes vary in length: their rows are in the table ``record``."""

ALGORITHM_NAMES: Final = {number: name for name, number in ALGORITHM_NUMBERS.items()}

_TABLES: Final = (
    """CREATE TABLE state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uuid BLOB NOT NULL CHECK (typeof(uuid) = 'blob' AND length(uuid) = 16),
  name TEXT NOT NULL CHECK (typeof(name) = 'text' AND length(name) BETWEEN 1 AND 256),
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer' AND version >= 0),
  history_from INTEGER NOT NULL CHECK (typeof(history_from) = 'integer' AND history_from BETWEEN 0 AND version),
  next_entry INTEGER NOT NULL CHECK (typeof(next_entry) = 'integer' AND next_entry >= 1),
  next_hash INTEGER NOT NULL CHECK (typeof(next_hash) = 'integer' AND next_hash >= 1),
  n_entries INTEGER NOT NULL CHECK (typeof(n_entries) = 'integer' AND n_entries >= 0),
  seal_sum INTEGER NOT NULL CHECK (typeof(seal_sum) = 'integer'),
  seal INTEGER NOT NULL CHECK (typeof(seal) = 'integer')
)""",
    """CREATE TABLE source (
  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4096),
  name TEXT NOT NULL UNIQUE CHECK (typeof(name) = 'text' AND length(name) BETWEEN 1 AND 64),
  n_entries INTEGER NOT NULL CHECK (typeof(n_entries) = 'integer' AND n_entries >= 0),
  role INTEGER NOT NULL CHECK (typeof(role) = 'integer' AND role BETWEEN 0 AND 2),
  terms TEXT NOT NULL CHECK (typeof(terms) = 'text' AND length(terms) <= 1024),
  checkpoint TEXT NOT NULL CHECK (typeof(checkpoint) = 'text' AND length(checkpoint) <= 4096),
  heard INTEGER NOT NULL CHECK (typeof(heard) = 'integer' AND heard >= 0)
)""",
    """CREATE TABLE entry (
  key INTEGER PRIMARY KEY,
  entry_id TEXT NOT NULL UNIQUE CHECK (typeof(entry_id) = 'text' AND length(entry_id) BETWEEN 1 AND 256),
  seal INTEGER NOT NULL CHECK (typeof(seal) = 'integer')
)""",
    """CREATE TABLE hash (
  id INTEGER PRIMARY KEY,
  entry INTEGER NOT NULL CHECK (typeof(entry) = 'integer'),
  source INTEGER NOT NULL CHECK (typeof(source) = 'integer'),
  algorithm INTEGER NOT NULL,
  quality INTEGER CHECK (quality IS NULL OR typeof(quality) = 'integer' AND quality BETWEEN 0 AND 100),
  code BLOB NOT NULL CHECK (typeof(code) = 'blob' AND length(code) = CASE
    WHEN algorithm IN (1, 6, 7, 8, 9, 12) THEN 32
    WHEN algorithm IN (2, 3, 4, 5) THEN 8
    WHEN algorithm = 10 THEN 16
    WHEN algorithm = 11 THEN 20
    WHEN algorithm = 13 THEN 144
    ELSE -1 END),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer')
)""",
    "CREATE INDEX hash_of_entry ON hash (entry)",
    """CREATE TABLE label (
  entry INTEGER NOT NULL CHECK (typeof(entry) = 'integer'),
  source INTEGER NOT NULL CHECK (typeof(source) = 'integer'),
  name TEXT NOT NULL CHECK (typeof(name) = 'text' AND length(name) BETWEEN 1 AND 64),
  value TEXT NOT NULL CHECK (typeof(value) = 'text' AND length(value) BETWEEN 1 AND 256),
  PRIMARY KEY (entry, source, name)
) WITHOUT ROWID""",
    """CREATE TABLE change (
  version INTEGER PRIMARY KEY,
  next_hash INTEGER NOT NULL CHECK (typeof(next_hash) = 'integer'),
  seal INTEGER NOT NULL CHECK (typeof(seal) = 'integer')
)""",
    """CREATE TABLE withdrawn (
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer'),
  hash INTEGER NOT NULL CHECK (typeof(hash) = 'integer'),
  algorithm INTEGER NOT NULL CHECK (typeof(algorithm) = 'integer'),
  PRIMARY KEY (version, hash)
) WITHOUT ROWID""",
    """CREATE TABLE tally (
  algorithm INTEGER PRIMARY KEY CHECK (algorithm BETWEEN 1 AND 14),
  n_hashes INTEGER NOT NULL CHECK (typeof(n_hashes) = 'integer' AND n_hashes >= 0),
  mark_sum INTEGER NOT NULL CHECK (typeof(mark_sum) = 'integer')
)""",
    """CREATE TABLE record (
  id INTEGER PRIMARY KEY,
  entry INTEGER NOT NULL CHECK (typeof(entry) = 'integer'),
  source INTEGER NOT NULL CHECK (typeof(source) = 'integer'),
  algorithm INTEGER NOT NULL CHECK (algorithm = 14),
  quality INTEGER CHECK (quality IS NULL OR typeof(quality) = 'integer' AND quality BETWEEN 0 AND 100),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer'),
  code BLOB NOT NULL CHECK (typeof(code) = 'blob' AND length(code) BETWEEN 1 AND 4096)
)""",
    "CREATE INDEX record_of_entry ON record (entry)",
    """CREATE TABLE digest (
  version INTEGER PRIMARY KEY,
  first INTEGER NOT NULL CHECK (typeof(first) = 'integer' AND first BETWEEN 0 AND version),
  content BLOB NOT NULL CHECK (typeof(content) = 'blob' AND length(content) = 32),
  seal_sum INTEGER NOT NULL CHECK (typeof(seal_sum) = 'integer'),
  seal INTEGER NOT NULL CHECK (typeof(seal) = 'integer')
)""",
    """CREATE TABLE changed (
  entry INTEGER PRIMARY KEY,
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer' AND version >= 1)
)""",
)
"""Tables and indexes; each text stays as it is for ever."""

_FURTHER_TABLES: Final = (
    """CREATE TABLE trust (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  keys TEXT NOT NULL CHECK (typeof(keys) = 'text' AND length(keys) BETWEEN 1 AND 40000),
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer' AND version >= 0),
  seal_sum INTEGER NOT NULL CHECK (typeof(seal_sum) = 'integer'),
  issued INTEGER NOT NULL CHECK (typeof(issued) = 'integer' AND issued >= 0),
  expires INTEGER NOT NULL CHECK (typeof(expires) = 'integer' AND expires >= 0),
  seal INTEGER NOT NULL CHECK (typeof(seal) = 'integer')
)""",
    """CREATE TABLE keeping (
  id INTEGER PRIMARY KEY CHECK (id = 1)
)""",
    """CREATE TABLE past (
  version INTEGER PRIMARY KEY CHECK (version >= 0),
  next_entry INTEGER NOT NULL CHECK (typeof(next_entry) = 'integer' AND next_entry >= 1),
  next_hash INTEGER NOT NULL CHECK (typeof(next_hash) = 'integer' AND next_hash >= 1),
  n_sources INTEGER NOT NULL CHECK (typeof(n_sources) = 'integer' AND n_sources >= 0),
  content BLOB NOT NULL CHECK (typeof(content) = 'blob' AND length(content) = 32),
  seal_sum INTEGER NOT NULL CHECK (typeof(seal_sum) = 'integer')
)""",
    """CREATE TABLE past_source (
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer'),
  id INTEGER NOT NULL CHECK (typeof(id) = 'integer'),
  n_entries INTEGER NOT NULL CHECK (typeof(n_entries) = 'integer' AND n_entries >= 0),
  role INTEGER NOT NULL CHECK (typeof(role) = 'integer' AND role BETWEEN 0 AND 2),
  PRIMARY KEY (version, id)
) WITHOUT ROWID""",
    """CREATE TABLE past_entry (
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer'),
  key INTEGER NOT NULL CHECK (typeof(key) = 'integer'),
  entry_id TEXT NOT NULL CHECK (typeof(entry_id) = 'text' AND length(entry_id) BETWEEN 1 AND 256),
  seal INTEGER NOT NULL CHECK (typeof(seal) = 'integer'),
  changed INTEGER CHECK (changed IS NULL OR typeof(changed) = 'integer'),
  PRIMARY KEY (version, key)
) WITHOUT ROWID""",
    """CREATE TABLE past_label (
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer'),
  entry INTEGER NOT NULL CHECK (typeof(entry) = 'integer'),
  source INTEGER NOT NULL CHECK (typeof(source) = 'integer'),
  name TEXT NOT NULL CHECK (typeof(name) = 'text' AND length(name) BETWEEN 1 AND 64),
  value TEXT NOT NULL CHECK (typeof(value) = 'text' AND length(value) BETWEEN 1 AND 256),
  PRIMARY KEY (version, entry, source, name)
) WITHOUT ROWID""",
    """CREATE TABLE past_hash (
  id INTEGER PRIMARY KEY,
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer'),
  entry INTEGER NOT NULL CHECK (typeof(entry) = 'integer'),
  source INTEGER NOT NULL CHECK (typeof(source) = 'integer'),
  algorithm INTEGER NOT NULL CHECK (typeof(algorithm) = 'integer' AND algorithm BETWEEN 1 AND 14),
  quality INTEGER CHECK (quality IS NULL OR typeof(quality) = 'integer' AND quality BETWEEN 0 AND 100),
  mark INTEGER NOT NULL CHECK (typeof(mark) = 'integer'),
  code BLOB NOT NULL CHECK (typeof(code) = 'blob' AND length(code) BETWEEN 1 AND 4096)
)""",
)
"""What format 5 has beside: who is trusted to bring new versions, and what each version took away (`past`)."""


def table_of(algorithm: int) -> str:
    """Name of the table that holds the hashes of the algorithm of this number."""
    return "record" if algorithm in RECORD_NUMBERS else "hash"


def create_tables(connection: sqlite3.Connection, version: int = FORMAT_VERSION) -> None:
    """Write the empty tables and the marks of the format into a new file, within the caller's transaction."""
    for statement in (*_TABLES, *(_FURTHER_TABLES if version > FORMAT_VERSION else ())):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")


def format_version(connection: sqlite3.Connection) -> int:
    """Format version that a file says it has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def expected_schema(version: int) -> list[str]:
    """Rows of ``sqlite_master`` of a format version in a form and order that compares."""
    with contextlib.closing(sqlite3.connect(":memory:", factory=Connection)) as model:
        create_tables(model, version)
        return sorted(map(repr, model.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")))
