"""Rows of a list file as records: the state, and entries with all that belongs to them, each checked as it is read.

Floor: lists. Every function runs within a transaction of its caller, so what it reads belongs to one version.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Final, NamedTuple

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import Entry, ListedHash, Listing
from hashmatch.lists.schema import damaged
from hashmatch.lists.seals import seal
from hashmatch.lists.tables import ALGORITHM_NAMES, FORMAT_VERSION, format_version

__all__ = ["Record", "State", "Stored", "load_records", "load_state", "record_seal", "store_state", "to_entry"]

_IDS_A_QUERY: Final = 500
_HEAD: Final = struct.Struct("<qIII")
_ROW: Final = struct.Struct("<qhBhH")
_LABEL: Final = struct.Struct("<hHH")


@dataclass(slots=True)
class Source:
    """One source: its number in the file and how many entries it lists."""

    number: int
    n_entries: int


@dataclass(slots=True)
class Tally:
    """Hash rows of one algorithm: how many, and the sum of their marks modulo 2**64, signed."""

    n_hashes: int
    mark_sum: int


@dataclass(slots=True)
class State:
    """The counters of a list, and the format version of its file; changed within a write transaction only."""

    uuid: bytes
    name: str
    version: int
    history_from: int
    next_entry: int
    next_hash: int
    n_entries: int
    seal_sum: int
    tallies: dict[int, Tally] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @property
    def has_records(self) -> bool:
        """Whether the file has a table of records; version 1 has none."""
        return self.format_version > 1

    def names(self) -> dict[int, str]:
        """Names of the sources by number."""
        return {source.number: name for name, source in self.sources.items()}

    def seal(self) -> int:
        """Check value over every counter.

        Raises
        ------
        ReferenceListError
            If a counter does not fit its field: a forged list may have counted to the end.
        """
        try:
            return seal(self.uuid, self._packed())
        except struct.error:
            raise damaged() from None

    def _packed(self) -> bytes:
        name = self.name.encode()
        numbers = (self.version, self.history_from, self.next_entry, self.next_hash, self.n_entries, self.seal_sum)
        parts = [struct.pack("<III6q", len(name), len(self.tallies), len(self.sources), *numbers), name]
        parts += [struct.pack("<3q", n, t.n_hashes, t.mark_sum) for n, t in sorted(self.tallies.items())]
        for text, source in sorted(self.sources.items()):
            name = text.encode()
            parts += (struct.pack("<2qI", source.number, source.n_entries, len(name)), name)
        return b"".join(parts)


class Stored(NamedTuple):
    """Where a hash is stored: row id, quality or None, mark."""

    row: int
    quality: int | None
    mark: int


HashKey = tuple[int, int, bytes]
"""Number of the source, number of the algorithm, the hash."""


@dataclass(slots=True)
class Record:
    """An entry as it is stored; ``seal`` is None until it is."""

    key: int
    entry_id: str
    seal: int | None = None
    hashes: dict[HashKey, Stored] = field(default_factory=dict)
    labels: dict[tuple[int, str], str] = field(default_factory=dict)


def load_state(connection: sqlite3.Connection) -> State:
    """Read the counters.

    Raises
    ------
    ReferenceListError
        If they are not what was written.
    """
    row = connection.execute(
        "SELECT uuid, name, version, history_from, next_entry, next_hash, n_entries, seal_sum, seal FROM state"
    ).fetchone()
    try:
        state = State(*row[:-1])
        tallies = connection.execute("SELECT algorithm, n_hashes, mark_sum FROM tally")
        state.tallies = {algorithm: Tally(n, total) for algorithm, n, total in tallies}
        sources = connection.execute("SELECT name, id, n_entries FROM source")
        state.sources = {name: Source(number, n) for name, number, n in sources}
        state.format_version = format_version(connection)
        sound = state.seal() == row[-1]
    except (TypeError, ValueError, AttributeError, struct.error):
        raise damaged() from None
    if not sound:
        raise damaged()
    return state


def store_state(connection: sqlite3.Connection, state: State) -> None:
    """Write the counters."""
    connection.execute(
        "REPLACE INTO state (id, uuid, name, version, history_from, next_entry, next_hash, n_entries, seal_sum, seal)"
        " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            state.uuid,
            state.name,
            state.version,
            state.history_from,
            state.next_entry,
            state.next_hash,
            state.n_entries,
            state.seal_sum,
            state.seal(),
        ),
    )
    connection.executemany(
        "REPLACE INTO tally VALUES (?, ?, ?)", [(n, t.n_hashes, t.mark_sum) for n, t in state.tallies.items()]
    )
    connection.executemany(
        "INSERT INTO source (name, id, n_entries) VALUES (?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET n_entries = excluded.n_entries WHERE n_entries <> excluded.n_entries",
        [(name, s.number, s.n_entries) for name, s in state.sources.items()],
    )


def record_seal(uuid: bytes, record: Record) -> int:
    """Check value over all that is stored of an entry."""
    name = record.entry_id.encode()
    parts = [_HEAD.pack(record.key, len(name), len(record.hashes), len(record.labels)), name]
    rows = [
        (stored.row, source, algorithm, -1 if stored.quality is None else stored.quality, code)
        for (source, algorithm, code), stored in record.hashes.items()
    ]
    for row, source, algorithm, quality, code in rows if len(rows) == 1 else sorted(rows):
        parts += (_ROW.pack(row, source, algorithm, quality, len(code)), code)
    for (source, text), value in sorted(record.labels.items()):
        label, said = text.encode(), value.encode()
        parts += (_LABEL.pack(source, len(label), len(said)), label, said)
    return seal(uuid, b"".join(parts))


def keys_after(connection: sqlite3.Connection, last: int, most: int) -> list[int]:
    """Read the next keys of entries above ``last``, ascending, at most ``most``.

    Raises
    ------
    ReferenceListError
        If they do not ascend: a table whose pages are damaged may give the same keys for ever.
    """
    rows = connection.execute("SELECT key FROM entry WHERE key > ? ORDER BY key LIMIT ?", (last, most)).fetchall()
    keys = [key for (key,) in rows]
    if any(a >= b for a, b in pairwise([last, *keys])):
        raise damaged()
    return keys


def load_records(
    connection: sqlite3.Connection, state: State, column: str, values: Sequence[str] | Sequence[int]
) -> Iterator[Record]:
    """Read entries with their hashes and labels, in order of their keys within blocks of 500 values.

    Parameters
    ----------
    connection : sqlite3.Connection
        Within a transaction.
    state : State
        As it was read within that transaction.
    column : str
        ``"entry_id"`` or ``"key"``.
    values : sequence
        What to look for; values that are not there are left out.

    Raises
    ------
    ReferenceListError
        If an entry is not what was written.
    """
    for start in range(0, len(values), _IDS_A_QUERY):
        block = values[start : start + _IDS_A_QUERY]
        where = f"WHERE {column} IN ({','.join('?' * len(block))})"
        heads = connection.execute(f"SELECT key, entry_id, seal FROM entry {where} ORDER BY key", block).fetchall()  # noqa: S608
        yield from _complete(connection, state, heads)


def _complete(connection: sqlite3.Connection, state: State, heads: list[tuple[int, str, int]]) -> Iterator[Record]:
    if not heads:
        return
    keys = [head[0] for head in heads]
    among = f"WHERE entry IN ({','.join('?' * len(keys))})"
    records = {key: Record(key, entry_id, seal) for key, entry_id, seal in heads}
    columns = "entry, source, algorithm, code, id, quality, mark"
    rows = connection.execute(f"SELECT {columns} FROM hash {among} ORDER BY id", keys).fetchall()  # noqa: S608
    if state.has_records:
        longer = connection.execute(f"SELECT {columns} FROM record {among}", keys).fetchall()  # noqa: S608
        rows = sorted(rows + longer, key=itemgetter(4)) if longer else rows
    try:
        for entry, source, algorithm, code, row, quality, mark in rows:
            records[entry].hashes[source, algorithm, code] = Stored(row, quality, mark)
        for entry, source, name, value in connection.execute(f"SELECT * FROM label {among}", keys):  # noqa: S608
            records[entry].labels[source, name] = value
    except KeyError:
        raise damaged() from None
    for record in records.values():
        try:
            sound = record_seal(state.uuid, record) == record.seal
        except (TypeError, ValueError, AttributeError, struct.error):
            raise damaged() from None
        if not sound or not record.hashes:
            raise damaged()
        yield record


def to_entry(record: Record, names: dict[int, str]) -> Entry:
    """Make the public form of a record.

    Parameters
    ----------
    record : Record
        As read.
    names : dict of int to str
        Names of the sources by number.
    """
    hashes: dict[int, list[ListedHash]] = {}
    labels: dict[int, dict[str, str]] = {}
    try:
        for (source, algorithm, code), stored in record.hashes.items():
            value = HashValue(ALGORITHM_NAMES[algorithm], code)
            hashes.setdefault(source, []).append(ListedHash(value, stored.quality))
        for (source, name), text in sorted(record.labels.items()):
            labels.setdefault(source, {})[name] = text
        listings = [Listing(names[source], tuple(items), labels.get(source, {})) for source, items in hashes.items()]
        return Entry(record.entry_id, tuple(listings), record.key)
    except (KeyError, TypeError, ReferenceListError, HashFormatError):
        raise damaged() from None
