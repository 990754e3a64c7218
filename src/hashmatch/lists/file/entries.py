"""Rows of a list file as records: the state, and entries with all that belongs to them, each checked as it is read.

Floor: lists. Every function runs within a transaction of its caller, so what it reads belongs to one version.

Over 400 lines because one row form is written, read and checked here, and nowhere else.
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
from hashmatch.lists.content_digest import CONTENT_BYTES, digest_of, element
from hashmatch.lists.entry import ROLES, Entry, ListedHash, Listing, Role
from hashmatch.lists.file.checksums import seal
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import ALGORITHM_NAMES, FORMAT_VERSION, format_version

__all__ = [
    "Source",
    "State",
    "StoredEntry",
    "StoredHash",
    "VersionMark",
    "check_digests",
    "digest_seal",
    "keys_after",
    "load_records",
    "load_state",
    "mark_of",
    "record_element",
    "record_seal",
    "seal_of_rows",
    "store_state",
    "to_entry",
]

_IDS_A_QUERY: Final = 500
_HEAD: Final = struct.Struct("<qIII")
_ROW: Final = struct.Struct("<qhBhH")
_LABEL: Final = struct.Struct("<hHH")


@dataclass(slots=True)
class Source:
    """One source, as it is stored.

    ``terms`` say what its owner allows, ``checkpoint`` where its feed goes on, ``heard`` when it was last imported,
    seconds since 1970, 0 for never. Neither is part of the content.
    """

    number: int
    name: str
    n_entries: int = 0
    role: Role = "alarm"
    terms: str = ""
    checkpoint: str = ""
    heard: int = 0


@dataclass(slots=True)
class RowCount:
    """Hash rows of one algorithm: how many, and the sum of their marks modulo 2**64, signed."""

    n_hashes: int
    mark_sum: int


@dataclass(frozen=True, slots=True)
class VersionMark:
    """What tells one version of a list from any other, also of another course of the same list.

    Parameters
    ----------
    list_id : str
        The list's uuid, 32 hexadecimal digits.
    version : int
        Number of the version.
    seal_sum : int
        Sum of the check values of the entries, which cover all that is stored of them, modulo 2**64, signed.
    digest : str
        Content digest, 64 hexadecimal digits.
    """

    list_id: str
    version: int
    seal_sum: int
    digest: str


@dataclass(slots=True)
class State:
    """The counters of a list; changed within a write transaction only.

    ``content`` is the sum of the entries' elements, and ``digest_from`` the first version whose content is remembered.
    """

    uuid: bytes
    name: str
    version: int
    history_from: int
    next_entry: int
    next_hash: int
    n_entries: int
    seal_sum: int
    tallies: dict[int, RowCount] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    content: int = 0
    digest_from: int = 0
    format_version: int = FORMAT_VERSION

    @property
    def digest(self) -> str:
        """Content digest."""
        return digest_of(self.content)

    @property
    def mark(self) -> VersionMark:
        """What tells this version from any other."""
        return VersionMark(self.uuid.hex(), self.version, self.seal_sum, self.digest)

    def by_number(self) -> dict[int, Source]:
        """Give the sources by number."""
        return {source.number: source for source in self.sources.values()}

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
        for _, source in sorted(self.sources.items()):
            texts = [text.encode() for text in (source.name, source.terms, source.checkpoint)]
            counts = (source.number, source.n_entries, source.heard, ROLES.index(source.role))
            parts += (struct.pack("<4q3I", *counts, *map(len, texts)), *texts)
        parts.append(_packed_content(self.content) + struct.pack("<q", self.digest_from))
        return b"".join(parts)


class StoredHash(NamedTuple):
    """Where a hash is stored: row id, quality or None, mark."""

    row: int
    quality: int | None
    mark: int


HashKey = tuple[int, int, bytes]
"""Number of the source, number of the algorithm, the hash."""


@dataclass(slots=True)
class StoredEntry:
    """An entry as it is stored; ``seal`` is None until it is.

    ``changed`` is the version that last changed it after the one that added it; None where there is none.
    """

    key: int
    entry_id: str
    seal: int | None = None
    changed: int | None = None
    hashes: dict[HashKey, StoredHash] = field(default_factory=dict)
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
        state.format_version = format_version(connection)
        tallies = connection.execute("SELECT algorithm, n_hashes, mark_sum FROM tally")
        state.tallies = {algorithm: RowCount(n, total) for algorithm, n, total in tallies}
        sources = connection.execute("SELECT id, name, n_entries, role, terms, checkpoint, heard FROM source")
        state.sources = {name: Source(number, name, n, ROLES[role], *rest) for number, name, n, role, *rest in sources}
        remembered = _remembered(connection, state, state.version)
        if remembered is None or remembered[2] != state.seal_sum:
            raise damaged()
        state.content, state.digest_from = int.from_bytes(remembered[0], "little"), remembered[1]
        sound = state.seal() == row[-1]
    except (TypeError, ValueError, AttributeError, IndexError, struct.error):
        raise damaged() from None
    if not sound:
        raise damaged()
    return state


def _packed_content(content: int) -> bytes:
    return content.to_bytes(CONTENT_BYTES, "little")


def digest_seal(uuid: bytes, version: int, first: int, content: bytes, seal_sum: int) -> int:
    """Check value of what the list remembers of one version."""
    return seal(uuid, struct.pack("<3q", version, first, seal_sum) + content)


def _remembered(connection: sqlite3.Connection, state: State, version: int) -> tuple[bytes, int, int] | None:
    """Content, first version whose content is remembered, and sum of the seals; as a version left them."""
    row = connection.execute(
        "SELECT content, first, seal_sum, seal FROM digest WHERE version = ?", (version,)
    ).fetchone()
    if row is None:
        return None
    try:
        sound = digest_seal(state.uuid, version, row[1], row[0], row[2]) == row[3]
    except (TypeError, struct.error):
        raise damaged() from None
    if not sound:
        raise damaged()
    return row[0], row[1], row[2]


def mark_of(connection: sqlite3.Connection, state: State, version: int) -> VersionMark | None:
    """Tell what the list remembers of an earlier version; None where it does not.

    Notes
    -----
    Cost: one look-up.
    """
    found = _remembered(connection, state, version)
    if found is None:
        return None
    return VersionMark(state.uuid.hex(), version, found[2], digest_of(int.from_bytes(found[0], "little")))


def check_digests(connection: sqlite3.Connection, state: State) -> None:
    """Check what the list remembers of its versions.

    Raises
    ------
    ReferenceListError
        If a version is missing or surplus, or its line is not what was written.
    """
    rows = connection.execute("SELECT version, first, content, seal_sum, seal FROM digest ORDER BY version")
    n_rows = 0
    for version, first, content, seal_sum, expected in rows:
        try:
            sound = digest_seal(state.uuid, version, first, content, seal_sum) == expected
        except (TypeError, struct.error):
            raise damaged() from None
        if not sound or first != state.digest_from or version != first + n_rows:
            raise damaged()
        n_rows += 1
    if state.digest_from + n_rows != state.version + 1:
        raise damaged()


def store_state(connection: sqlite3.Connection, state: State) -> None:
    """Write the counters, and what the content of this version is."""
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
    content = _packed_content(state.content)
    line = (state.version, state.digest_from, content, state.seal_sum)
    line_seal = digest_seal(state.uuid, state.version, state.digest_from, content, state.seal_sum)
    connection.execute("REPLACE INTO digest VALUES (?, ?, ?, ?, ?)", (*line, line_seal))
    connection.executemany(
        "REPLACE INTO tally VALUES (?, ?, ?)", [(n, t.n_hashes, t.mark_sum) for n, t in state.tallies.items()]
    )
    connection.executemany(
        "REPLACE INTO source (id, name, n_entries, role, terms, checkpoint, heard) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (s.number, s.name, s.n_entries, ROLES.index(s.role), s.terms, s.checkpoint, s.heard)
            for s in state.sources.values()
        ],
    )


def _row_number(item: tuple[HashKey, StoredHash]) -> int:
    return item[1].row


def record_seal(uuid: bytes, record: StoredEntry) -> int:
    """Check value over all that is stored of an entry."""
    hashes, labels = record.hashes, record.labels
    rows = [
        (row, source, algorithm, quality, code)
        for (source, algorithm, code), (row, quality, _) in (
            hashes.items() if len(hashes) == 1 else sorted(hashes.items(), key=_row_number)
        )
    ]
    said = [(source, text, value) for (source, text), value in labels.items()] if labels else ()
    return seal_of_rows(uuid, record.key, record.entry_id, rows, said, record.changed)


def seal_of_rows(
    uuid: bytes,
    key: int,
    entry_id: str,
    rows: Sequence[tuple[int, int, int, int | None, bytes]],
    labels: Sequence[tuple[int, str, str]],
    changed: int | None = None,
) -> int:
    """Check value of an entry by its rows.

    Parameters
    ----------
    uuid, key, entry_id, changed
        The list's, and the entry's as in `StoredEntry`.
    rows : sequence of (row, source, algorithm, quality, code)
        Its hashes, by row.
    labels : sequence of (source, name, value)
        Its labels, in any order.
    """
    name = entry_id.encode()
    parts = [_HEAD.pack(key, len(name), len(rows), len(labels)), name]
    for row, source, algorithm, quality, code in rows:
        parts += (_ROW.pack(row, source, algorithm, -1 if quality is None else quality, len(code)), code)
    for source, text, value in labels if len(labels) < 2 else sorted(labels):
        label, said = text.encode(), value.encode()
        parts += (_LABEL.pack(source, len(label), len(said)), label, said)
    if changed is not None:
        parts.append(struct.pack("<q", changed))
    return seal(uuid, b"".join(parts))


def record_element(record: StoredEntry, sources: dict[int, Source]) -> int:
    """Element of an entry in the content of its list; ``sources`` by number."""
    labels: Sequence[tuple[str, str, str]] = ()
    try:
        hashes = [
            (sources[source].name, number, code, quality)
            for (source, number, code), (_, quality, _) in record.hashes.items()
        ]
        if record.labels:
            labels = [(sources[source].name, name, value) for (source, name), value in record.labels.items()]
    except KeyError:  # a source that a forged list does not have
        raise damaged() from None
    return element(record.entry_id, hashes, labels)


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
) -> Iterator[StoredEntry]:
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
        joined = "entry LEFT JOIN changed ON changed.entry = entry.key"
        heads = connection.execute(
            f"SELECT key, entry_id, entry.seal, changed.version FROM {joined} {where} ORDER BY key",  # noqa: S608
            block,
        ).fetchall()
        yield from _complete(connection, state, heads)


def _complete(
    connection: sqlite3.Connection, state: State, heads: list[tuple[int, str, int, int | None]]
) -> Iterator[StoredEntry]:
    if not heads:
        return
    keys = [head[0] for head in heads]
    among = f"WHERE entry IN ({','.join('?' * len(keys))})"
    records = {key: StoredEntry(key, entry_id, seal, changed) for key, entry_id, seal, changed in heads}
    columns = "entry, source, algorithm, code, id, quality, mark"
    rows = connection.execute(f"SELECT {columns} FROM hash {among} ORDER BY id", keys).fetchall()  # noqa: S608
    longer = connection.execute(f"SELECT {columns} FROM record {among}", keys).fetchall()  # noqa: S608
    rows = sorted(rows + longer, key=itemgetter(4)) if longer else rows
    try:
        for entry, source, algorithm, code, row, quality, mark in rows:
            records[entry].hashes[source, algorithm, code] = StoredHash(row, quality, mark)
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


def to_entry(record: StoredEntry, sources: dict[int, Source]) -> Entry:
    """Make the public form of a record.

    Parameters
    ----------
    record : StoredEntry
        As read.
    sources : dict of int to Source
        Sources by number.
    """
    hashes: dict[int, list[ListedHash]] = {}
    labels: dict[int, dict[str, str]] = {}
    try:
        for (source, algorithm, code), stored in record.hashes.items():
            value = HashValue(ALGORITHM_NAMES[algorithm], code)
            hashes.setdefault(source, []).append(ListedHash(value, stored.quality))
        for (source, name), text in sorted(record.labels.items()):
            labels.setdefault(source, {})[name] = text
        listings = [
            Listing(sources[source].name, tuple(items), labels.get(source, {}), sources[source].role)
            for source, items in hashes.items()
        ]
        return Entry(record.entry_id, tuple(listings), record.key)
    except (KeyError, TypeError, ReferenceListError, HashFormatError):
        raise damaged() from None
