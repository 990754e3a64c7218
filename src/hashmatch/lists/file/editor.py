"""Changes within one write transaction: what was asked for, compared with what is there, written as the difference.

Floor: lists. Entries are taken in blocks: a block's stored records are read at once, changed in memory, written back.

Over 400 lines because every change of a list is carried out by one class, which alone keeps its counters.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

import numpy as np

from hashmatch.errors import ReferenceListError
from hashmatch.lists.admission import check_hash
from hashmatch.lists.content_digest import CONTENT_MODULUS, element, role_element
from hashmatch.lists.entry import (
    JOIN,
    MAX_LABEL_VALUE,
    MAX_LABELS,
    MAX_RECORDS,
    Entry,
    Listing,
    Role,
    check_counts,
)
from hashmatch.lists.file.checksums import mark_of_record, marks_of_rows, signed, sum_of_marks
from hashmatch.lists.file.entries import (
    HashKey,
    RowCount,
    Source,
    State,
    StoredEntry,
    StoredHash,
    load_records,
    record_element,
    record_seal,
    seal_of_rows,
    store_state,
)
from hashmatch.lists.file.history import change_seal
from hashmatch.lists.file.past import PastKeeper
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import ALGORITHM_NUMBERS, RECORD_NUMBERS, table_of

__all__ = ["AddCounts", "Editor", "Seen", "blocks_of", "insert_hashes"]

_BLOCK: Final = 1_000
_MAX_SOURCES: Final = 4_096

T = TypeVar("T")
_Row = tuple[int, int, int, int | None, bytes]
"""Row, key of the entry, number of the source, quality, hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCounts:
    """What became of the entries given to an add.

    Parameters
    ----------
    added : int
        Entries the list did not have.
    merged : int
        Entries the list had, to which something was added.
    unchanged : int
        Entries that were already there just so.
    """

    added: int = 0
    merged: int = 0
    unchanged: int = 0

    def __add__(self, other: AddCounts) -> AddCounts:
        return AddCounts(
            added=self.added + other.added,
            merged=self.merged + other.merged,
            unchanged=self.unchanged + other.unchanged,
        )


def blocks_of(items: Iterable[T], size: int = _BLOCK) -> Iterator[list[T]]:
    """Cut an iterable into lists of ``size``; the last may be shorter."""
    source = iter(items)
    while block := list(islice(source, size)):
        yield block


class Seen:
    """Which entries each source has spoken of since an import began: one bit for each."""

    def __init__(self) -> None:
        self._bits: dict[str, bytearray] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources that have spoken of any entry."""
        return tuple(self._bits)

    def mark(self, source: str, key: int) -> bool:
        """Note that the source has spoken of an entry; whether it had before."""
        bits = self._bits.setdefault(source, bytearray())
        place, bit = key >> 3, 1 << (key & 7)
        if place >= len(bits):
            bits.extend(bytes(place + 4_096 - len(bits)))
        known = bits[place] & bit
        bits[place] |= bit
        return bool(known)

    def has(self, source: str, key: int) -> bool:
        """Whether the source has spoken of an entry."""
        bits = self._bits.get(source, b"")
        return key >> 3 < len(bits) and bool(bits[key >> 3] >> (key & 7) & 1)


@dataclass(slots=True)
class _Work:
    """One block: records by entry id, and how they differ from what is stored."""

    records: dict[str, StoredEntry]
    touched: dict[str, int] = field(default_factory=dict)  # elements before the change, 0 for new entries
    new_rows: dict[int, tuple[StoredEntry, HashKey]] = field(default_factory=dict)
    gone_rows: dict[int, tuple[int, int]] = field(default_factory=dict)
    removed: dict[tuple[int, HashKey], StoredHash] = field(default_factory=dict)  # rows of before the block
    new_labels: dict[tuple[int, int, str], str] = field(default_factory=dict)
    gone_labels: dict[tuple[int, int, str], None] = field(default_factory=dict)


@dataclass(slots=True)
class _Fresh:
    """Rows of entries that the list does not have, of one source each and of hashes that are all of a fixed length."""

    entries: list[tuple[int, str, int]] = field(default_factory=list)
    hashes: dict[int, list[_Row]] = field(default_factory=dict)
    labels: list[tuple[int, int, str, str]] = field(default_factory=list)
    content: int = 0


class Editor:
    """The changes of one write transaction. Not thread-safe; `ReferenceList` holds its lock around it."""

    def __init__(self, connection: sqlite3.Connection, state: State) -> None:
        self._connection = connection
        self.state = state
        self._first_hash, self._first_entry = state.next_hash, state.next_entry
        self._sources = state.by_number()
        self._past = PastKeeper.of(connection, state)
        self._before = {source.name: source.n_entries for source in self._sources.values()}
        self._roles = self._content_of_roles()
        self._withdrawn: list[tuple[int, int]] = []
        self._changed = self._noted = False
        self.broken = False

    def add(
        self, block: Sequence[Entry], seen: Seen | None = None, whole: Sequence[bool | str] | None = None
    ) -> AddCounts:
        """Add a block of entries, merging with what is stored.

        Parameters
        ----------
        block : sequence of Entry
            The entries.
        seen : Seen, optional
            What this import has brought already: labels that it brings again and otherwise are joined.
        whole : sequence of bool or str, optional
            For each entry, whether what its sources said before this import is taken back; needs ``seen``. The name of
            a source: what that source, and those named after it, said before this very entry is taken back.
        """
        for entry in block:
            if not isinstance(entry, Entry):
                raise TypeError(f"a list takes Entry, not {type(entry).__name__}")
        work = self._load([entry.entry_id for entry in block])
        counts = {"added": 0, "merged": 0, "unchanged": 0}
        fresh = _Fresh()
        alone = len({entry.entry_id for entry in block}) == len(block)
        for place, entry in enumerate(block):
            if alone and entry.entry_id not in work.records and self._take_fresh(fresh, entry, seen):
                counts["added"] += 1
            else:
                counts[self._merge(work, entry, seen, whole is not None and whole[place])] += 1
        self._write(work)
        self._write_fresh(fresh)
        return AddCounts(**counts)

    def relabel(self, entry_id: str, source: str, labels: dict[str, str]) -> bool:
        """Replace all labels a source gives an entry; False if it already gives just these."""
        work = self._load([entry_id])
        record, number = self._listed(work, entry_id, source)
        if record is None:
            raise ReferenceListError("the list has no entry of that id listed by that source: add it first")
        before = {name: value for (owner, name), value in record.labels.items() if owner == number}
        if before == labels:
            return False
        self._touch(work, record)
        for name in before.keys() - labels.keys():
            self._remove_label(work, record, number, name)
        self._set_labels(work, record, number, labels)
        self._write(work)
        return True

    def withdraw(self, block: Sequence[str], source: str) -> int:
        """Take back what a source says of a block of entries; the number of entries it did list."""
        return self._withdraw(self._load(block), dict.fromkeys(block), source)

    def withdraw_keys(self, block: Sequence[int], source: str) -> int:
        """Take back what a source says of entries, by their keys."""
        found = load_records(self._connection, self.state, "key", block)
        work = _Work({record.entry_id: record for record in found})
        return self._withdraw(work, list(work.records), source)

    def unseen(self, source: str, seen: Seen) -> tuple[int, array[int]]:
        """Keys of the entries that a source listed before this transaction and has not spoken of since.

        Returns
        -------
        (before, keys) : (int, array of int)
            Number of entries that the source listed before, and the keys.

        Notes
        -----
        Cost: a pass over all hash rows of the list, about 0.3 s for a million.
        """
        known = self.state.sources.get(source)
        keys = array("q")
        if known is not None and known.n_entries:
            for table in ("hash", "record"):
                rows = self._connection.execute(
                    f"SELECT DISTINCT entry FROM {table} WHERE source = ?",  # noqa: S608
                    (known.number,),
                )
                keys.extend(key for (key,) in rows if not seen.has(source, key))
        return self._before.get(source, 0), array("q", dict.fromkeys(keys))

    def sources_under(self, source: str) -> list[str]:
        """Names of the sources that are named after one, as ``SOURCE/benign``."""
        return [name for name in self.state.sources if name.startswith(f"{source}/")]

    def note(
        self, name: str, *, terms: str | None = None, checkpoint: str | None = None, heard: int | None = None
    ) -> None:
        """Keep what is no content of the list: the terms of a source, where its feed goes on, when it was imported."""
        source = self._source(name, None)
        for field_name, value in (("terms", terms), ("checkpoint", checkpoint), ("heard", heard)):
            if value is not None and value != getattr(source, field_name):
                setattr(source, field_name, value)
                self._noted = True

    def set_role(self, name: str, role: Role) -> bool:
        """Change what a source lists its entries for; whether the list changed."""
        source = self.state.sources.get(name)
        if source is None:
            raise ReferenceListError("the list has no source of that name")
        if source.role == role:
            return False
        source.role = role
        self._changed = True
        return True

    def finish(self) -> bool:
        """Write the history and the counters; False if no content changed, and then there is no new version."""
        state = self.state
        if not self._changed:
            if self._past is not None:
                self._past.drop()
            if self._noted:
                store_state(self._connection, state)
            return False
        state.version += 1
        state.content = (state.content + self._content_of_roles() - self._roles) % CONTENT_MODULUS
        rows = sorted(self._withdrawn)
        line = (state.version, self._first_hash, change_seal(state.uuid, state.version, self._first_hash, rows))
        self._connection.execute("INSERT INTO change VALUES (?, ?, ?)", line)
        self._connection.executemany(
            "INSERT INTO withdrawn VALUES (?, ?, ?)", [(state.version, row, algorithm) for row, algorithm in rows]
        )
        store_state(self._connection, state)
        if self._past is not None:
            self._past.finish(state)
        return True

    def _content_of_roles(self) -> int:
        return sum(role_element(item.name, item.role) for item in self._sources.values() if item.n_entries)

    def _withdraw(self, work: _Work, entry_ids: Iterable[str], source: str) -> int:
        total = 0
        for entry_id in entry_ids:
            record, number = self._listed(work, entry_id, source)
            if record is not None:
                self._withdraw_listing(work, record, number)
                total += 1
        self._write(work)
        return total

    def _withdraw_listing(self, work: _Work, record: StoredEntry, number: int) -> None:
        """Take back all that a source, by its number, says of an entry that it lists."""
        self._touch(work, record)
        for key in [key for key in record.hashes if key[0] == number]:
            self._remove_hash(work, record, key)
        for owner, name in [key for key in record.labels if key[0] == number]:
            self._remove_label(work, record, owner, name)
        self._sources[number].n_entries -= 1

    def _withdraw_others(self, work: _Work, record: StoredEntry, entry: Entry, source: str) -> bool:
        """Take back what a source, and those named after it, say of an entry that they do not list now."""
        kept = {listing.source for listing in entry.listings}
        family = {name for name in (source, *self.sources_under(source)) if name not in kept}
        gone = [number for number in {key[0] for key in record.hashes} if self._sources[number].name in family]
        for number in gone:
            self._withdraw_listing(work, record, number)
        return bool(gone)

    def _load(self, entry_ids: Sequence[str]) -> _Work:
        wanted = list(dict.fromkeys(entry_ids))
        found = load_records(self._connection, self.state, "entry_id", wanted)
        return _Work({record.entry_id: record for record in found})

    def _listed(self, work: _Work, entry_id: str, source: str) -> tuple[StoredEntry | None, int]:
        record, known = work.records.get(entry_id), self.state.sources.get(source)
        if record is None or known is None or not any(key[0] == known.number for key in record.hashes):
            return None, 0
        return record, known.number

    def _take_fresh(self, fresh: _Fresh, entry: Entry, seen: Seen | None) -> bool:
        """Take a new entry of one listing the short way; False where it needs the long one, which knows every case."""
        listing = entry.listings[0]
        hashes = listing.hashes
        if len(entry.listings) > 1 or len({item.value.data for item in hashes}) < len(hashes):
            return False
        if any(ALGORITHM_NUMBERS[item.value.algorithm] in RECORD_NUMBERS for item in hashes):
            return False
        source, state = self._source(listing.source, listing.role), self.state
        key, row, number = state.next_entry, state.next_hash, source.number
        rows = []
        for item in hashes:
            check_hash(item.value)
            algorithm = ALGORITHM_NUMBERS[item.value.algorithm]
            rows.append((row, number, algorithm, item.quality, item.value.data))
            fresh.hashes.setdefault(algorithm, []).append((row, key, number, item.quality, item.value.data))
            row += 1
        labels = [(number, name, value) for name, value in listing.labels.items()] if listing.labels else []
        fresh.entries.append((key, entry.entry_id, seal_of_rows(state.uuid, key, entry.entry_id, rows, labels)))
        fresh.content += element(
            entry.entry_id,
            [(source.name, algorithm, code, quality) for _, _, algorithm, quality, code in rows],
            [(source.name, name, value) for _, name, value in labels],
        )
        fresh.labels += [(key, *label) for label in labels]
        state.next_entry, state.next_hash = key + 1, row
        source.n_entries += 1
        if seen is not None:
            seen.mark(listing.source, key)
        return True

    def _write_fresh(self, fresh: _Fresh) -> None:
        if not fresh.entries:
            return
        self._changed = True
        connection, state = self._connection, self.state
        for algorithm, rows in fresh.hashes.items():
            insert_hashes(connection, state, algorithm, rows)
        connection.executemany("INSERT INTO label VALUES (?, ?, ?, ?)", fresh.labels)
        connection.executemany("INSERT INTO entry (key, entry_id, seal) VALUES (?, ?, ?)", fresh.entries)
        state.n_entries += len(fresh.entries)
        state.seal_sum = signed(state.seal_sum + sum(seal for _, _, seal in fresh.entries))
        state.content = (state.content + fresh.content) % CONTENT_MODULUS

    def _merge(self, work: _Work, entry: Entry, seen: Seen | None, whole: bool | str) -> str:
        record = work.records.get(entry.entry_id)
        outcome = "unchanged"
        if record is None:
            record = work.records[entry.entry_id] = StoredEntry(self.state.next_entry, entry.entry_id)
            self.state.next_entry += 1
            self._touch(work, record)
            outcome = "added"
        elif isinstance(whole, str) and self._withdraw_others(work, record, entry, whole):
            outcome = "merged"
        for listing in entry.listings:
            if self._merge_listing(work, record, listing, seen, whole) and outcome == "unchanged":
                outcome = "merged"
        return outcome

    def _touch(self, work: _Work, record: StoredEntry) -> None:
        """Note, before an entry is first changed in a block, what it contributes to the content of the list."""
        if record.entry_id not in work.touched:
            work.touched[record.entry_id] = 0 if record.seal is None else record_element(record, self._sources)

    def _merge_listing(
        self, work: _Work, record: StoredEntry, listing: Listing, seen: Seen | None, whole: bool | str
    ) -> bool:
        source = self._source(listing.source, listing.role)
        number = source.number
        hashes = record.hashes
        again = seen is not None and seen.mark(listing.source, record.key) and not isinstance(whole, str)
        changed = False
        if not hashes or not any(key[0] == number for key in hashes):
            source.n_entries += 1
        elif whole and not again:
            changed = self._take_back(work, record, number, listing)
        for item in listing.hashes:
            key = (number, ALGORITHM_NUMBERS[item.value.algorithm], item.value.data)
            stored = hashes.get(key)
            if stored is not None:
                if item.quality is None or item.quality == stored.quality:
                    continue
                self._touch(work, record)
                self._remove_hash(work, record, key)
            else:
                check_hash(item.value)
                self._touch(work, record)
            changed = True
            back = work.removed.get((record.key, key))
            if back is not None and back.quality == item.quality:  # it was taken back, and is said again
                hashes[key] = back
                del work.removed[record.key, key], work.gone_rows[back.row]
                continue
            row = self.state.next_hash
            hashes[key] = StoredHash(row, item.quality, 0)
            work.new_rows[row] = (record, key)
            self.state.next_hash = row + 1
        if listing.labels:
            changed |= self._set_labels(work, record, number, listing.labels, joined=again)
        if changed and (len(hashes) > MAX_RECORDS or len(record.labels) > MAX_LABELS):
            owned = [key for key in hashes if key[0] == number]
            n_records = sum(key[1] in RECORD_NUMBERS for key in owned)
            check_counts(len(owned), n_records, sum(owner == number for owner, _ in record.labels))
        return changed

    def _take_back(self, work: _Work, record: StoredEntry, number: int, listing: Listing) -> bool:
        """Remove what a source said of an entry and does not say in a listing."""
        kept = {(number, ALGORITHM_NUMBERS[item.value.algorithm], item.value.data) for item in listing.hashes}
        hashes = [key for key in record.hashes if key[0] == number and key not in kept]
        labels = [key for key in record.labels if key[0] == number and key[1] not in listing.labels]
        if hashes or labels:
            self._touch(work, record)
        for key in hashes:
            self._remove_hash(work, record, key)
        for owner, name in labels:
            self._remove_label(work, record, owner, name)
        return bool(hashes or labels)

    def _source(self, name: str, role: Role | None) -> Source:
        """Find a source, or make it; None takes whichever role it has."""
        source = self.state.sources.get(name)
        if source is None:
            if len(self.state.sources) >= _MAX_SOURCES:
                raise ReferenceListError(f"a list has at most {_MAX_SOURCES} sources")
            source = self.state.sources[name] = Source(len(self.state.sources) + 1, name, role=role or "alarm")
            self._sources[source.number] = source
        elif role is not None and role != source.role:
            if source.n_entries:
                raise ReferenceListError(
                    f"the source {name!r} lists for {source.role} in this list, not for {role}: give what is new "
                    "another source, or change the role of the source"
                )
            source.role = role
        return source

    def _set_labels(
        self, work: _Work, record: StoredEntry, source: int, labels: Mapping[str, str], *, joined: bool = False
    ) -> bool:
        changed = False
        for name, value in labels.items():
            old = record.labels.get((source, name))
            if old == value:
                continue
            if joined and old is not None:
                if value in old.split(JOIN):
                    continue
                value = old + JOIN + value
                if len(value) > MAX_LABEL_VALUE:
                    continue
            self._touch(work, record)
            record.labels[source, name] = value
            work.new_labels[record.key, source, name] = value
            work.gone_labels.pop((record.key, source, name), None)
            changed = True
        return changed

    def _remove_label(self, work: _Work, record: StoredEntry, source: int, name: str) -> None:
        del record.labels[source, name]
        work.new_labels.pop((record.key, source, name), None)
        work.gone_labels[record.key, source, name] = None

    def _remove_hash(self, work: _Work, record: StoredEntry, key: HashKey) -> None:
        stored = record.hashes.pop(key)
        if work.new_rows.pop(stored.row, None) is None:
            work.gone_rows[stored.row] = (key[1], stored.mark)
            work.removed[record.key, key] = stored

    def _write(self, work: _Work) -> None:
        """Write a block's differences; the order makes every statement touch only rows that are there."""
        if not work.touched:
            return
        connection, state = self._connection, self.state
        if self._past is not None:
            gone = [(row, algorithm) for row, (algorithm, _) in work.gone_rows.items()]
            self._past.keep((work.records[entry_id].key for entry_id in work.touched), gone)
        if work.gone_rows:
            by_table: dict[str, list[tuple[int]]] = {}
            for row, (algorithm, mark) in work.gone_rows.items():
                by_table.setdefault(table_of(algorithm), []).append((row,))
                tally = state.tallies.get(algorithm)
                if tally is None:
                    raise damaged()
                tally.n_hashes -= 1
                tally.mark_sum = signed(tally.mark_sum - mark)
                if row < self._first_hash:
                    self._withdrawn.append((row, algorithm))
            for table, rows in by_table.items():
                connection.executemany(f"DELETE FROM {table} WHERE id = ?", rows)  # noqa: S608
        self._write_hashes(work)
        connection.executemany("DELETE FROM label WHERE entry = ? AND source = ? AND name = ?", list(work.gone_labels))
        connection.executemany(
            "REPLACE INTO label VALUES (?, ?, ?, ?)", [(*key, value) for key, value in work.new_labels.items()]
        )
        new, kept, left, changed = [], [], [], []
        rewritten = {record.key for record, _ in work.new_rows.values()}
        seal_sum, content = state.seal_sum, state.content
        version = state.version + 1
        for entry_id, before in work.touched.items():
            record = work.records[entry_id]
            old = record.seal
            after = record_element(record, self._sources) if record.hashes else 0
            if old is not None and after == before and record.key not in rewritten:
                continue  # what was taken back was said again
            self._changed = True
            seal_sum -= old or 0
            content -= before
            if not record.hashes:
                left.append((record.key,))
                continue
            if old is not None and record.key < self._first_entry:
                record.changed = version
                changed.append((record.key, version))
            seal = record_seal(state.uuid, record)
            seal_sum += seal
            content += after
            if old is None:
                new.append((record.key, entry_id, seal))
            else:
                kept.append((seal, record.key))
        connection.executemany("DELETE FROM entry WHERE key = ?", left)
        connection.executemany("DELETE FROM changed WHERE entry = ?", left)
        connection.executemany("REPLACE INTO changed VALUES (?, ?)", changed)
        connection.executemany("UPDATE entry SET seal = ? WHERE key = ?", kept)
        connection.executemany("INSERT INTO entry (key, entry_id, seal) VALUES (?, ?, ?)", sorted(new))
        state.n_entries += len(new) - len(left)
        state.seal_sum = signed(seal_sum)
        state.content = content % CONTENT_MODULUS

    def _write_hashes(self, work: _Work) -> None:
        by_algorithm: dict[int, list[_Row]] = {}
        for row, (record, key) in work.new_rows.items():
            source, algorithm, code = key
            by_algorithm.setdefault(algorithm, []).append((row, record.key, source, record.hashes[key].quality, code))
        for algorithm, rows in by_algorithm.items():
            insert_hashes(self._connection, self.state, algorithm, rows)


def insert_hashes(connection: sqlite3.Connection, state: State, algorithm: int, rows: list[_Row]) -> None:
    """Write hash rows of one algorithm, and count them.

    Parameters
    ----------
    connection : sqlite3.Connection
        Within a write transaction.
    state : State
        Whose tallies count the rows.
    algorithm : int
        Its number.
    rows : list of (row, entry, source, quality, code)
        Not empty.
    """
    uuid = state.uuid
    if algorithm in RECORD_NUMBERS:
        marks = np.array([mark_of_record(uuid, algorithm, *row) for row in rows], np.int64)
    else:
        ids, entries, sources, qualities, codes = zip(*rows, strict=True)
        marks = marks_of_rows(
            uuid,
            algorithm,
            np.array(ids, np.int64),
            np.array(entries, np.int64),
            np.array(sources, np.int64),
            np.array([-1 if quality is None else quality for quality in qualities], np.int16),
            np.frombuffer(b"".join(codes), np.uint8).reshape(len(rows), -1),
        )
    connection.executemany(
        f"INSERT INTO {table_of(algorithm)} (id, entry, source, quality, code, mark, algorithm)"  # noqa: S608
        f" VALUES (?, ?, ?, ?, ?, ?, {algorithm})",
        [(*row, mark) for row, mark in zip(rows, marks.tolist(), strict=True)],
    )
    tally = state.tallies.setdefault(algorithm, RowCount(0, 0))
    tally.n_hashes += len(rows)
    tally.mark_sum = signed(tally.mark_sum + sum_of_marks(marks))
