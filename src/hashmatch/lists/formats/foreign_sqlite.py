"""Rows of an SQLite database that another program made, and which nobody trusts.

Floor: lists. The database is opened as it is, read-only, without a lock, log or journal, with every setting that
distrusts it (`schema.connect_alone`). Nothing of its schema is ever run: only an ordinary table without computed
columns is read, by a plain pass over it, so no view, trigger, virtual table or expression of the file has a part. What
a forged tree of pages could make endless is bounded by the size of the file and by steps.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.file.schema import connect_alone
from hashmatch.lists.file.sql_tables import APPLICATION_ID
from hashmatch.lists.formats.unpacking import beginning

__all__ = ["is_database", "rows_of", "tables_of"]

_MAGIC: Final = b"SQLite format 3\0"
_MAX_TABLES: Final = 1_000
_ROWS_A_STEP: Final = 500
_STEPS_A_CALL: Final = 100_000  # of SQLite's machine
_MAX_CALLS: Final = 2_000  # between two blocks of rows
_LEAST_ROW: Final = 4
"""Fewest bytes of a file that a row takes."""
_DAMAGED: Final = "the database is damaged or cut short: nothing was imported"
_SCRIPT: Final = re.compile(rb"\s*(?:(?:BEGIN|INSERT|UPDATE|DELETE|CREATE|PRAGMA)\b|--)", re.IGNORECASE)


def is_database(head: bytes) -> bool:
    """Whether it begins as an SQLite database that is no list of ours."""
    return head.startswith(_MAGIC) and head[68:72] != APPLICATION_ID.to_bytes(4, "big")


def rows_of(
    stream: BinaryIO, tables: tuple[str, ...], columns: tuple[str, ...], *, distinct: bool = False
) -> Iterator[tuple[tuple[str, ...], tuple[object, ...]]]:
    """Read columns of a table.

    Parameters
    ----------
    stream : binary file
        A file that has a path: SQLite reads by that.
    tables : tuple of str
        Names that the table may have, in any case; the first that is a table counts.
    columns : tuple of str
        Names of the columns that are wanted; those that the table has are read.
    distinct : bool
        Whether rows that are equal are read once, where an index of the table gives them in order. Where none does,
        they come as they are: finding equal ones would take memory without bound.

    Yields
    ------
    (names, values) : (tuple of str, tuple)
        The columns that are there, and what a row has in them: text, bytes, a number or None.

    Raises
    ------
    HashFormatError
        If it is no database, has no such table, or is damaged or cut short.
    ReferenceListError
        If it has no path, or a log stands beside it.
    """
    head = beginning(stream)
    if not head.startswith(_MAGIC):
        if _SCRIPT.match(head):
            raise HashFormatError(
                "this is a script of SQL, which is never run: apply it to a copy of the database, and import that"
            )
        raise HashFormatError("this is no SQLite database")
    path = _path_of(stream)
    size = os.fstat(stream.fileno()).st_size
    pages, page_size = int.from_bytes(head[28:32], "big"), int.from_bytes(head[16:18], "big")
    counted = head[24:28] == head[92:96]
    if counted and pages * (65_536 if page_size == 1 else page_size) > size:
        raise HashFormatError(_DAMAGED)
    with _connected(path) as connection:
        try:
            name = _table(connection, tables)
            names = _columns(connection, name, columns)
            statement = f'FROM "{name}"'
            chosen = ", ".join(f'"{column}"' for column in names)
            if distinct and _is_in_order(connection, f"SELECT DISTINCT {chosen} {statement}"):
                rows = connection.execute(f"SELECT DISTINCT {chosen} {statement}")
            else:
                rows = connection.execute(f"SELECT {chosen} {statement} NOT INDEXED")
            n_rows = 0
            calls = _Calls()
            connection.set_progress_handler(calls, _STEPS_A_CALL)
            while block := rows.fetchmany(_ROWS_A_STEP):
                calls.n = 0
                n_rows += len(block)
                if n_rows > size // _LEAST_ROW:
                    raise HashFormatError(_DAMAGED)
                for row in block:
                    yield names, row
        except (sqlite3.Error, OverflowError, MemoryError):
            raise HashFormatError(_DAMAGED) from None


def tables_of(stream: BinaryIO) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Give the columns of every table that `rows_of` reads, and the names of what it does not.

    Raises
    ------
    HashFormatError, ReferenceListError
        As `rows_of`.
    """
    if not beginning(stream).startswith(_MAGIC):
        raise HashFormatError("this is no SQLite database")
    found: dict[str, tuple[str, ...]] = {}
    left: list[str] = []
    with _connected(_path_of(stream)) as connection:
        try:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchmany(_MAX_TABLES)
            for name, sql in rows:
                if not isinstance(name, str) or not isinstance(sql, str):
                    continue
                facts = (
                    [] if '"' in name else connection.execute(f'PRAGMA table_xinfo("{name}")').fetchmany(_MAX_TABLES)
                )
                columns = tuple(str(column) for _, column, *_ in facts)
                readable = re.match(r"CREATE\s+TABLE\b", sql, re.IGNORECASE) and not any(hidden for *_, hidden in facts)
                if readable and columns and not any('"' in column for column in columns):
                    found[name] = columns
                else:
                    left.append(name)
        except (sqlite3.Error, OverflowError, MemoryError):
            raise HashFormatError(_DAMAGED) from None
    return found, tuple(left)


class _Calls:
    """Ends a statement that goes on without giving rows."""

    n = 0

    def __call__(self) -> int:
        self.n += 1
        return self.n > _MAX_CALLS


def _path_of(stream: BinaryIO) -> Path:
    """Find the path of an open file, and check that what is there is the file itself and all of it."""
    name = getattr(stream, "name", None)
    try:
        path = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else None
        same = path is not None and os.path.samestat(os.fstat(stream.fileno()), os.stat(path))
    except (OSError, ValueError):
        path, same = None, False
    if path is None or not same:
        raise ReferenceListError(
            "an SQLite database is read at any place, so it must be a file of its own: unpack it, and name the file"
        )
    for suffix in ("-wal", "-journal"):
        with contextlib.suppress(OSError):
            if os.stat(f"{path}{suffix}").st_size:
                raise ReferenceListError(
                    f"a file with changes that are not yet in the database stands beside it ({suffix}): close the "
                    "program that writes to it, or open a copy of both with SQLite once"
                )
    return path


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        connection = connect_alone(path)
    except (sqlite3.Error, ReferenceListError, UnicodeDecodeError, MemoryError):
        raise HashFormatError(f"{_DAMAGED}; or it has more tables than such a database has") from None
    with contextlib.closing(connection):
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        yield connection


def _table(connection: sqlite3.Connection, tables: tuple[str, ...]) -> str:
    """Find the table; its name as it is wanted, which SQLite takes in any case."""
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchmany(_MAX_TABLES)
    known = {
        name.lower(): sql
        for name, sql in found
        if isinstance(name, str) and isinstance(sql, str)  # what SQLite makes for itself has none
    }
    for name in tables:
        sql = known.get(name.lower())
        if sql is not None and re.match(r"CREATE\s+TABLE\b", sql, re.IGNORECASE):
            return name
    raise HashFormatError(f"the database has no table {' or '.join(tables)}")


def _columns(connection: sqlite3.Connection, table: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    facts = connection.execute(f'PRAGMA table_xinfo("{table}")').fetchmany(_MAX_TABLES)
    if any(hidden for *_, hidden in facts):
        raise HashFormatError(f"the table {table} has columns that are computed: such a table is not read")
    there = {name.lower() for _, name, *_ in facts if isinstance(name, str)}
    names = tuple(name for name in wanted if name.lower() in there)
    if not names:
        raise HashFormatError(f"the table {table} has none of the columns {', '.join(wanted)}")
    return names


def _is_in_order(connection: sqlite3.Connection, statement: str) -> bool:
    """Whether an index gives the rows so that equal ones follow each other."""
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    return not any("TEMP B-TREE" in str(row[3]) for row in plan)
