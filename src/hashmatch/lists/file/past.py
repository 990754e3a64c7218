"""Earlier versions of a list that keeps its history: what each version took away, and how to go back.

Floor: lists. A hash row never changes and its number is never used again, so a version is told by the rows that later
ones withdrew, and by entries, labels and sources as they were before a later version changed them. All of that is
written in the transaction that takes it away: nothing can be forgotten, and nothing is kept twice. A list that does not
keep its history has none of it, and withdrawn bytes are overwritten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Final

from hashmatch.errors import MissingVersionError
from hashmatch.lists.content_digest import CONTENT_BYTES
from hashmatch.lists.entry import ROLES
from hashmatch.lists.file.checksums import signed
from hashmatch.lists.file.entries import RowCount, State, load_state, mark_of, store_state
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import FORMAT_VERSION, RECORD_NUMBERS

__all__ = ["PastKeeper", "forget_past", "go_back", "missing_version", "start_keeping", "versions_at_hand"]

_COLUMNS: Final = "id, entry, source, algorithm, quality, mark, code"
_MOST_RUNS: Final = 20
_RECORDS: Final = ", ".join(map(str, sorted(RECORD_NUMBERS)))


def start_keeping(connection: sqlite3.Connection) -> None:
    """Let a list of the newest format keep its history from now on, within the caller's transaction."""
    connection.execute("INSERT OR IGNORE INTO keeping VALUES (1)")


def versions_at_hand(connection: sqlite3.Connection, state: State) -> tuple[int, ...]:
    """Versions that can be gone back to, ascending; the last is the present one."""
    if state.format_version == FORMAT_VERSION:
        return (state.version,)
    found = connection.execute("SELECT version FROM past WHERE version < ? ORDER BY version", (state.version,))
    return (*(version for (version,) in found), state.version)


def forget_past(connection: sqlite3.Connection) -> None:
    """Remove everything that is kept of earlier versions, within the caller's transaction."""
    for table in ("past", "past_source", "past_entry", "past_label", "past_hash"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608


def missing_version(version: int, at_hand: Iterable[int]) -> MissingVersionError:
    """Make the error for a version that is not there; it names those that are."""
    numbers = tuple(at_hand)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in runs]
    if len(texts) > _MOST_RUNS:
        texts = [*texts[: _MOST_RUNS // 2], "…", *texts[-_MOST_RUNS // 2 :]]
    return MissingVersionError(
        f"version {version} of the list is not at hand, but {', '.join(texts) or 'none'}: earlier versions are there "
        "where a list was made to keep its history, or in bundles that were kept",
        at_hand=numbers,
    )


class PastKeeper:
    """Keeps what one write transaction takes away.

    Parameters
    ----------
    connection : sqlite3.Connection
        Within the transaction, before its first change.
    state : State
        As it is before that change.
    """

    def __init__(self, connection: sqlite3.Connection, state: State) -> None:
        self._connection = connection
        self._version = state.version
        content = state.content.to_bytes(CONTENT_BYTES, "little")
        sources = state.by_number()
        self._line = (state.version, state.next_entry, state.next_hash, len(sources), content, state.seal_sum)
        self._first_entry, self._first_hash = state.next_entry, state.next_hash
        self._sources = {number: (item.n_entries, ROLES.index(item.role)) for number, item in sources.items()}
        self._kept: set[int] = set()

    @classmethod
    def of(cls, connection: sqlite3.Connection, state: State) -> PastKeeper | None:
        """Give the keeper of a list that keeps its history, None for others."""
        if state.format_version == FORMAT_VERSION or connection.execute("SELECT id FROM keeping").fetchone() is None:
            return None
        return cls(connection, state)

    def keep(self, keys: Iterable[int], rows: Iterable[tuple[int, int]]) -> None:
        """Keep entries that are about to change or go, and rows that are about to go.

        Parameters
        ----------
        keys : iterable of int
            Keys of the entries; those kept already, and those that the transaction added, are passed over.
        rows : iterable of (row, algorithm)
            The hash rows.
        """
        new = [key for key in keys if key < self._first_entry and key not in self._kept]
        self._kept.update(new)
        ask = [(self._version, key) for key in new]
        self._connection.executemany(
            "INSERT INTO past_entry SELECT ?, key, entry_id, entry.seal, changed.version"
            " FROM entry LEFT JOIN changed ON changed.entry = entry.key WHERE key = ?",
            ask,
        )
        self._connection.executemany(
            "INSERT INTO past_label SELECT ?, entry, source, name, value FROM label WHERE entry = ?", ask
        )
        by_table: dict[str, list[tuple[int, int]]] = {"hash": [], "record": []}
        for row, algorithm in rows:
            if row < self._first_hash:
                by_table["record" if algorithm in RECORD_NUMBERS else "hash"].append((self._version, row))
        for table, wanted in by_table.items():
            self._connection.executemany(
                f"INSERT INTO past_hash ({_COLUMNS}, version) SELECT {_COLUMNS}, ? FROM {table} WHERE id = ?",  # noqa: S608
                wanted,
            )

    def drop(self) -> None:
        """Keep nothing after all: the transaction changed entries back, and makes no version."""
        for table in ("past_entry", "past_label") if self._kept else ():
            self._connection.execute(f"DELETE FROM {table} WHERE version = ?", (self._version,))  # noqa: S608

    def finish(self, state: State) -> None:
        """Write what tells the version that the transaction left; ``state`` is what it made."""
        self._connection.execute("INSERT INTO past VALUES (?, ?, ?, ?, ?, ?)", self._line)
        now = state.by_number()
        changed = [
            (self._version, number, *before)
            for number, before in self._sources.items()
            if before != (now[number].n_entries, ROLES.index(now[number].role))
        ]
        self._connection.executemany("INSERT INTO past_source VALUES (?, ?, ?, ?)", changed)


def go_back(connection: sqlite3.Connection, version: int) -> None:
    """Make a copy of a list what the list was at an earlier version, within the caller's transaction.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the copy.
    version : int
        One of `versions_at_hand`.

    Raises
    ------
    MissingVersionError
        If the version is not at hand.
    ReferenceListError
        If what is kept is not what the list remembers of that version. The caller checks the copy in full.
    """
    state = load_state(connection)
    at_hand = versions_at_hand(connection, state)
    if version not in at_hand:
        raise missing_version(version, at_hand)
    if version < state.version:
        remembered = mark_of(connection, state, version)
        _undo(connection, state, version)
        if remembered not in (None, state.mark):
            raise damaged()
    if state.format_version > FORMAT_VERSION:
        forget_past(connection)
        connection.execute("DELETE FROM trust")


def _undo(connection: sqlite3.Connection, state: State, version: int) -> None:
    line = connection.execute("SELECT * FROM past WHERE version = ?", (version,)).fetchone()
    _, state.next_entry, state.next_hash, n_sources, content, state.seal_sum = line
    connection.execute("DELETE FROM entry WHERE key >= ?", (state.next_entry,))
    for table in ("changed", "label"):
        connection.execute(f"DELETE FROM {table} WHERE entry >= ?", (state.next_entry,))  # noqa: S608
    for table, kind in (("hash", f"NOT IN ({_RECORDS})"), ("record", f"IN ({_RECORDS})")):
        connection.execute(f"DELETE FROM {table} WHERE id >= ?", (state.next_hash,))  # noqa: S608
        connection.execute(
            f"INSERT INTO {table} ({_COLUMNS}) SELECT {_COLUMNS} FROM past_hash"  # noqa: S608
            f" WHERE version >= ? AND id < ? AND algorithm {kind}",
            (version, state.next_hash),
        )
    entries = connection.execute(  # of an entry that changed several times, as it was before the first
        "SELECT min(version), key, entry_id, seal, changed FROM past_entry WHERE version >= ? AND key < ? GROUP BY key",
        (version, state.next_entry),
    ).fetchall()
    for at, key, entry_id, seal, changed in entries:
        connection.execute("REPLACE INTO entry (key, entry_id, seal) VALUES (?, ?, ?)", (key, entry_id, seal))
        connection.execute("DELETE FROM label WHERE entry = ?", (key,))
        connection.execute("DELETE FROM changed WHERE entry = ?", (key,))
        if changed is not None:
            connection.execute("INSERT INTO changed VALUES (?, ?)", (key, changed))
        connection.execute(
            "INSERT INTO label SELECT entry, source, name, value FROM past_label WHERE version = ? AND entry = ?",
            (at, key),
        )
    _undo_sources(connection, state, version, n_sources)
    for table in ("change", "withdrawn", "digest"):
        connection.execute(f"DELETE FROM {table} WHERE version > ?", (version,))  # noqa: S608
    state.version = version
    state.history_from = min(state.history_from, version)
    state.digest_from = min(state.digest_from, version)
    state.content = int.from_bytes(content, "little")
    (state.n_entries,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    _recount(connection, state)
    store_state(connection, state)


def _undo_sources(connection: sqlite3.Connection, state: State, version: int, n_sources: int) -> None:
    state.sources = {source.name: source for source in state.sources.values() if source.number <= n_sources}
    connection.execute("DELETE FROM source WHERE id > ?", (n_sources,))
    sources = state.by_number()
    rows = connection.execute(
        "SELECT min(version), id, n_entries, role FROM past_source WHERE version >= ? AND id <= ? GROUP BY id",
        (version, n_sources),
    )
    for _, number, n_entries, role in rows:
        source = sources.get(number)
        if source is None:
            raise damaged()
        source.n_entries, source.role = n_entries, ROLES[role]
    for source in sources.values():
        source.checkpoint, source.heard = "", 0  # where a feed stood then is not known; terms bind as they are today


def _recount(connection: sqlite3.Connection, state: State) -> None:
    """Count the rows of each algorithm anew, and add up their marks, which do not fit SQLite's own sum."""
    state.tallies = {number: RowCount(0, 0) for number in state.tallies}
    for table in ("hash", "record"):
        rows = connection.execute(f"SELECT algorithm, mark FROM {table}")  # noqa: S608
        for algorithm, group in groupby(rows, itemgetter(0)):
            tally = state.tallies.setdefault(algorithm, RowCount(0, 0))
            for _, mark in group:
                tally.n_hashes += 1
                tally.mark_sum += mark
    for tally in state.tallies.values():
        tally.mark_sum = signed(tally.mark_sum)
