"""The chunks of a bundle, brought into a list within one transaction: `apply_chunks`.

Floor: lists. Afterwards the list has row for row what its owner's has. Nothing that the bundle says of a row is
believed: every check value and element is computed from what was written, and the sums must be those that were signed.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.admission import check_hash
from hashmatch.lists.bundles.manifest import Manifest
from hashmatch.lists.bundles.rows import Block, malformed, unpack, unpack_entries
from hashmatch.lists.content_digest import CONTENT_MODULUS, element, role_element
from hashmatch.lists.entry import (
    MAX_ENTRY_ID,
    MAX_LABEL_NAME,
    MAX_SOURCE,
    ROLES,
    is_name,
    is_value,
)
from hashmatch.lists.file.checksums import signed
from hashmatch.lists.file.editor import blocks_of, insert_hashes
from hashmatch.lists.file.entries import (
    RowCount,
    Source,
    State,
    check_digests,
    digest_seal,
    load_records,
    load_state,
    record_element,
    seal_of_rows,
    store_state,
)
from hashmatch.lists.file.history import change_seal, check_history
from hashmatch.lists.file.past import PastKeeper
from hashmatch.lists.file.sql_tables import ALGORITHM_NAMES, table_of

__all__ = ["apply_chunks"]

_KEYS_A_STEP: Final = 500
_REFUSED: Final = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""How SQLite says that a row is none that the tables take; all else that it says is of the list or the disk."""


def apply_chunks(connection: sqlite3.Connection, state: State, manifest: Manifest, chunks: Iterable[bytes]) -> State:
    """Make a list what a bundle says.

    Parameters
    ----------
    connection : sqlite3.Connection
        Within a write transaction, which the caller undoes if this raises.
    state : State
        The list's, as it is; for a difference it is the version that the difference is to.
    manifest : Manifest
        Verified.
    chunks : iterable of bytes
        Each checked against the manifest.

    Returns
    -------
    State
        As it was written.

    Raises
    ------
    BundleError
        ``"malformed"`` if the chunks do not make the version that the manifest names; and what ``chunks`` raises.
    ReferenceListError
        If the list itself is damaged.

    Notes
    -----
    Cost: about 15 microseconds an entry of one hash; memory, a chunk.
    """
    past = PastKeeper.of(connection, state)
    applied = _Applied(connection, state, manifest, past)
    if manifest.previous is None:
        applied.clear()
    try:
        for data in chunks:
            applied.take(*unpack(data))
        made = applied.finish()
    except (*_REFUSED, HashFormatError, struct.error):
        raise malformed() from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        if isinstance(error, ReferenceListError):
            raise
        raise malformed() from None
    if past is not None:
        past.finish(made)
    return made


class _Applied:
    """What has been applied so far: the new counters beside the sums over what was written."""

    def __init__(
        self, connection: sqlite3.Connection, state: State, manifest: Manifest, past: PastKeeper | None
    ) -> None:
        self._connection, self._manifest, self._past = connection, manifest, past
        self._old = state
        self._old_version = state.version
        self._names: dict[int, Source] = state.by_number()
        self._listed = {number: source.n_entries for number, source in self._names.items()}
        roles = sum(role_element(item.name, item.role) for item in self._names.values() if item.n_entries)
        self._content = state.content - roles
        self._seal_sum, self._n_entries = state.seal_sum, state.n_entries
        self._tallies = {number: RowCount(tally.n_hashes, tally.mark_sum) for number, tally in state.tallies.items()}
        self._new: State | None = None
        self._gone: list[int] = []
        self._last_key = 0

    def clear(self) -> None:
        """Begin with nothing, as a whole list does."""
        connection = self._connection
        if self._past is not None:
            self._past.keep([key for (key,) in connection.execute("SELECT key FROM entry")], ())
            for table in ("hash", "record"):
                rows = connection.execute(f"SELECT id, algorithm FROM {table}")  # noqa: S608
                for block in blocks_of(rows, 10_000):
                    self._past.keep((), block)
        for table in (
            "hash",
            "record",
            "label",
            "entry",
            "changed",
            "change",
            "withdrawn",
            "digest",
            "tally",
            "source",
        ):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
        self._names, self._listed, self._tallies = {}, {}, {}
        self._content = self._seal_sum = self._n_entries = 0
        self._old_version = -1

    def take(self, kind: str, columns: dict[str, Any], codes: bytes) -> None:
        """Apply one chunk; the counters come first."""
        if (kind == "state") is not (self._new is None):
            raise ValueError
        if kind == "state":
            self._new = self._state_of(columns)
        elif kind == "gone" and self._manifest.previous is not None and not self._last_key:
            self._gone += columns["rows"]
            for rows in blocks_of(columns["rows"], _KEYS_A_STEP):
                self._remove_owners(rows)
        elif kind == "entries":
            self._insert(list(unpack_entries(columns, codes)))
        elif kind == "change":
            self._connection.executemany("INSERT INTO change VALUES (?, ?, 0)", self._later(columns["rows"]))
        elif kind == "withdrawn":
            self._connection.executemany("INSERT INTO withdrawn VALUES (?, ?, ?)", self._later(columns["rows"]))
        elif kind == "digest":
            self._connection.executemany(
                "REPLACE INTO digest VALUES (?, ?, ?, ?, ?)", map(self._digest_line, columns["rows"])
            )
        else:
            raise ValueError

    def _state_of(self, columns: dict[str, Any]) -> State:
        """Make the counters that the list is to have."""
        manifest = self._manifest
        state = State(
            bytes.fromhex(manifest.list_id),
            manifest.name,
            manifest.version,
            columns["history_from"],
            columns["next_entry"],
            columns["next_hash"],
            manifest.entries,
            manifest.seal_sum,
            content=int.from_bytes(bytes.fromhex(columns["content"]), "little"),
            digest_from=columns["digest_from"],
            format_version=self._old.format_version,
        )
        numbers = (state.history_from, state.next_entry, state.next_hash, state.digest_from)
        if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
            raise ValueError
        if manifest.previous is not None:  # a list that was compacted here remembers less than its owner's
            state.history_from = max(state.history_from, self._old.history_from)
            state.digest_from = max(state.digest_from, self._old.digest_from)
        for number, n_hashes, mark_sum in columns["tallies"]:
            if number not in ALGORITHM_NAMES:
                raise ValueError
            state.tallies[number] = RowCount(n_hashes, mark_sum)
        for place, (number, name, n_entries, role, terms) in enumerate(columns["sources"], 1):
            _check_name(name, MAX_SOURCE)
            if number != place or name in state.sources or not isinstance(terms, str):
                raise ValueError
            state.sources[name] = Source(number, name, n_entries, ROLES[role], terms)
        now = state.by_number()
        if any(number not in now or now[number].name != old.name for number, old in self._names.items()):
            raise ValueError
        self._names = now
        return state

    def _later(self, rows: Iterable[Sequence[int]]) -> Iterator[Sequence[int]]:
        for row in rows:
            if not self._old_version < row[0] <= self._manifest.version:
                raise ValueError
            yield row

    def _digest_line(self, row: Sequence[Any]) -> tuple[int, int, bytes, int, int]:
        version, content, seal_sum = row
        if self._new is None or not self._old_version <= version < self._manifest.version:
            raise ValueError
        data, first = bytes.fromhex(content), self._new.digest_from
        return version, first, data, seal_sum, digest_seal(self._uuid, version, first, data, seal_sum)

    @property
    def _uuid(self) -> bytes:
        return bytes.fromhex(self._manifest.list_id)

    def _remove_owners(self, rows: Sequence[int]) -> None:
        """Remove the entries that have some of these rows; those that stay come again, whole."""
        among = f"IN ({','.join('?' * len(rows))})"
        found = self._connection.execute(
            f"SELECT entry FROM hash WHERE id {among} UNION SELECT entry FROM record WHERE id {among} ORDER BY 1",  # noqa: S608
            [*rows, *rows],
        ).fetchall()
        self._remove([key for (key,) in found])

    def _remove(self, keys: Sequence[int]) -> None:
        gone: list[tuple[int, int]] = []
        for record in load_records(self._connection, self._old, "key", keys):
            self._n_entries -= 1
            self._seal_sum -= record.seal or 0
            self._content -= record_element(record, self._names)
            for source in {source for source, _, _ in record.hashes}:
                self._listed[source] -= 1
            for (_, algorithm, _), stored in record.hashes.items():
                self._tallies[algorithm].n_hashes -= 1
                self._tallies[algorithm].mark_sum -= stored.mark
                gone.append((stored.row, algorithm))
        if self._past is not None:
            self._past.keep(keys, gone)
        by_table: dict[str, list[tuple[int]]] = {}
        for row, algorithm in gone:
            by_table.setdefault(table_of(algorithm), []).append((row,))
        for table, some in by_table.items():
            self._connection.executemany(f"DELETE FROM {table} WHERE id = ?", some)  # noqa: S608
        named = [(key,) for key in keys]
        for table, column in (("label", "entry"), ("changed", "entry"), ("entry", "key")):
            self._connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", named)  # noqa: S608

    def _insert(self, blocks: Sequence[Block]) -> None:
        """Write entries, in the place of what the list has of the same numbers."""
        connection, state = self._connection, self._new
        if state is None or not all(type(block.key) is int and 0 < block.key < state.next_entry for block in blocks):
            raise ValueError
        for block in blocks:
            if block.key <= self._last_key:  # what this file wrote itself is not replaced by it
                raise ValueError
            self._last_key = block.key
        if self._manifest.previous is not None:
            self._remove([block.key for block in blocks])
        hashes: dict[int, list[tuple[int, int, int, int | None, bytes]]] = {}
        entries, labels, changed = [], [], []
        for block in blocks:
            entries.append((block.key, block.entry_id, self._summed(block, state)))
            for row, source, algorithm, quality, code in block.rows:
                hashes.setdefault(algorithm, []).append((row, block.key, source, quality, code))
            labels += [(block.key, *label) for label in block.labels]
            if block.changed is not None:
                changed.append((block.key, block.changed))
        written = State(self._uuid, "", 0, 0, 1, 1, 0, 0, tallies=self._tallies)
        for algorithm, rows in hashes.items():
            insert_hashes(connection, written, algorithm, rows)
        connection.executemany("INSERT INTO label VALUES (?, ?, ?, ?)", labels)
        connection.executemany("INSERT INTO entry (key, entry_id, seal) VALUES (?, ?, ?)", entries)
        connection.executemany("INSERT INTO changed VALUES (?, ?)", changed)

    def _summed(self, block: Block, state: State) -> int:
        """Check that a list may hold an entry, add up what it contributes, and give its seal."""
        _check_name(block.entry_id, MAX_ENTRY_ID)
        if not block.rows or not (block.changed is None or 0 < block.changed <= state.version):
            raise ValueError
        owners, said = set(), []
        for row, source, algorithm, quality, code in block.rows:
            check_hash(HashValue(ALGORITHM_NAMES[algorithm], code))
            if not 0 < row < state.next_hash:
                raise ValueError
            owners.add(source)
            said.append((self._names[source].name, algorithm, code, quality))
        told = []
        for source, name, value in block.labels:
            if source not in owners:
                raise ValueError
            _check_name(name, MAX_LABEL_NAME)
            if not is_value(value):
                raise ValueError
            told.append((self._names[source].name, name, value))
        for source in owners:
            self._listed[source] = self._listed.get(source, 0) + 1
        made = seal_of_rows(self._uuid, block.key, block.entry_id, block.rows, block.labels, block.changed)
        self._n_entries += 1
        self._seal_sum += made
        self._content += element(block.entry_id, said, told)
        return made

    def finish(self) -> State:
        """Compare what was written with what was signed, and write the counters and the history's check values."""
        state, connection, manifest = self._new, self._connection, self._manifest
        if state is None:
            raise ValueError
        roles = sum(role_element(item.name, item.role) for item in self._names.values() if item.n_entries)
        counts = {number: (tally.n_hashes, signed(tally.mark_sum)) for number, tally in self._tallies.items()}
        expected = {number: (tally.n_hashes, tally.mark_sum) for number, tally in state.tallies.items()}
        none = (0, 0)
        sound = (
            (self._n_entries, signed(self._seal_sum)) == (state.n_entries, state.seal_sum)
            and (self._content + roles) % CONTENT_MODULUS == state.content
            and state.digest == manifest.digest
            and all(counts.get(number, none) == expected.get(number, none) for number in {*counts, *expected})
            and all(self._listed.get(item.number, 0) == item.n_entries for item in self._names.values())
            and {ALGORITHM_NAMES[n]: t.n_hashes for n, t in state.tallies.items() if t.n_hashes} == manifest.hashes
            and {item.name: item.terms for item in self._names.values() if item.terms} == manifest.terms
        )
        # numbers are never used again, so that the next ones only grow
        if not sound or state.next_entry < self._old.next_entry or state.next_hash < self._old.next_hash:
            raise ValueError
        for table in ("change", "withdrawn"):
            connection.execute(f"DELETE FROM {table} WHERE version <= ?", (state.history_from,))  # noqa: S608
        connection.execute("DELETE FROM digest WHERE version < ?", (state.digest_from,))
        self._seal_history(state)
        store_state(connection, state)
        try:
            self._check_history(state)
            check_digests(connection, state)
            made = load_state(connection)
        except ReferenceListError:
            raise malformed() from None
        if self._past is not None:
            connection.execute(
                "DELETE FROM past_hash WHERE version = ? AND EXISTS (SELECT 1 FROM hash WHERE hash.id = past_hash.id"
                " UNION ALL SELECT 1 FROM record WHERE record.id = past_hash.id)",
                (self._old.version,),
            )
        return made

    def _check_history(self, state: State) -> None:
        """Check that what brings an index up to date leads from the version that was here to the new one."""
        since = max(self._old.version, state.history_from)
        first_new, gone = check_history(self._connection, state, since)
        if since == self._old.version and first_new != self._old.next_hash:
            raise malformed()
        if self._manifest.previous is not None and sorted(chain.from_iterable(gone.values())) != sorted(self._gone):
            raise malformed()
        for table in ("hash", "record"):
            found = self._connection.execute(
                f"SELECT 1 FROM withdrawn JOIN {table} ON {table}.id = withdrawn.hash LIMIT 1"  # noqa: S608
            )
            if found.fetchone() is not None:
                raise malformed()

    def _seal_history(self, state: State) -> None:
        """Give the new lines of the history their check values."""
        connection = self._connection
        rows = connection.execute(
            "SELECT version, hash, algorithm FROM withdrawn WHERE version > ? ORDER BY version, hash",
            (self._old_version,),
        )
        gone: dict[int, list[tuple[int, int]]] = {}
        for version, row, algorithm in rows:
            gone.setdefault(version, []).append((row, algorithm))
        lines = connection.execute("SELECT version, next_hash FROM change WHERE version > ?", (self._old_version,))
        sealed = [
            (change_seal(state.uuid, version, next_hash, gone.pop(version, [])), version)
            for version, next_hash in lines.fetchall()
        ]
        connection.executemany("UPDATE change SET seal = ? WHERE version = ?", sealed)


def _check_name(text: Any, limit: int) -> None:
    if not isinstance(text, str) or not is_name(text, limit):
        raise ValueError
