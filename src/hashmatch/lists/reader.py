"""`ListReader`: what an open list can be asked; `hashmatch.lists.ReferenceList` adds how lists are made and changed.

Over 400 lines because most of it is documentation of a list's public face.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from hashmatch.algorithms import algorithm_named
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import (
    MAX_ENTRY_ID,
    Entry,
    Role,
    is_name,
)
from hashmatch.lists.file.entries import State, keys_after, load_records, load_state, to_entry
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import (
    ALGORITHM_NAMES,
    ALGORITHM_NUMBERS,
    FORMAT_VERSION,
    RECORD_NUMBERS,
    table_of,
)
from hashmatch.lists.read.content import Content
from hashmatch.lists.read.pinned import PinnedVersion, contents_of
from hashmatch.lists.read.record_stream import read_record
from hashmatch.lists.read.rows import Changes, Snapshot, read_changes, read_snapshot
from hashmatch.lists.session import Session
from hashmatch.lists.verify import verify_all

if TYPE_CHECKING:
    from hashmatch.lists.file.trust import Trust

__all__ = ["ListInfo", "ListReader", "SourceInfo"]

_ENTRIES_A_STEP: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """One source of a list.

    Parameters
    ----------
    name : str
        Name of the source.
    entries : int
        Number of entries that it lists; 0 for one that withdrew everything.
    role : {"alarm", "benign", "comparison"}
        What it lists them for.
    terms : str
        What its owner allows; empty if nothing is stated.
    checkpoint : str
        Where its feed goes on; empty for none.
    heard : int or None
        When it was last imported, seconds since 1970; None if it never was.
    """

    name: str
    entries: int
    role: Role
    terms: str
    checkpoint: str
    heard: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListInfo:
    """Figures of one version of a list.

    Parameters
    ----------
    list_id : str
        Identifier that `ReferenceList.create` draws, 32 hexadecimal digits; distinguishes two lists of one name.
    name : str
        The list's name.
    version : int
        Transactions that changed the list so far.
    digest : str
        Content digest, 64 hexadecimal digits: the same for the same entries with the same hashes, qualities, sources
        and labels, in every list; different for other contents.
    format_version : int
        Version of the file's format.
    entries : int
        Number of entries.
    hashes : mapping of str to int
        Number of hash rows by algorithm; a hash that two sources list for one entry counts twice.
    sources : mapping of str to int
        Number of entries by source. A source that withdrew everything stays, with 0.
    file_bytes : int
        Size of the file, bytes, without a log that a writer may keep beside it.
    """

    list_id: str
    name: str
    version: int
    digest: str
    format_version: int
    entries: int
    hashes: Mapping[str, int]
    sources: Mapping[str, int]
    file_bytes: int


class ListReader:
    """Entries, hashes, versions and figures of a list that is open; every method reads and changes nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def close(self) -> None:
        """Close the file; a second call does nothing. A writer puts everything into the one file first."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Name of the list."""
        return self._session.seen.name

    @property
    def list_id(self) -> str:
        """The list's uuid, 32 hexadecimal digits."""
        return self._session.seen.uuid.hex()

    @property
    def uuid(self) -> uuid.UUID:
        """The list's uuid."""
        return uuid.UUID(bytes=self._session.seen.uuid)

    @property
    def path(self) -> Path:
        """Path the list was opened by."""
        return self._session.path

    @property
    def writable(self) -> bool:
        """Whether the list was opened for writing."""
        return self._session.writable

    @property
    def replaced(self) -> bool:
        """Whether the path now has another file, or none, so that the open file is no longer the one at the path."""
        return self._session.replaced

    @property
    def version(self) -> int:
        """Number of transactions that changed the list, read from the file at each call."""
        return self._state().version

    @property
    def digest(self) -> str:
        """Content digest as in `ListInfo`, read from the file at each call; see `content_digest`."""
        return self._state().digest

    def __len__(self) -> int:
        return self._state().n_entries

    def __bool__(self) -> bool:
        """Return True, also for an empty list."""
        return True

    def __repr__(self) -> str:
        seen, closed = self._session.seen, ", closed" if self._session.closed else ""
        return f"<{type(self).__name__} {seen.name!r}, version {seen.version}, entries: {seen.n_entries}{closed}>"

    def info(self) -> ListInfo:
        """Return the figures of the list; cost: a few rows, whatever the size of the list."""
        state = self._state()
        try:
            size = os.stat(self._session.path).st_size
        except OSError:
            size = 0
        return ListInfo(
            list_id=self.list_id,
            name=state.name,
            version=state.version,
            digest=state.digest,
            format_version=state.format_version,
            entries=state.n_entries,
            hashes={ALGORITHM_NAMES[n]: t.n_hashes for n, t in sorted(state.tallies.items()) if t.n_hashes},
            sources={name: source.n_entries for name, source in sorted(state.sources.items())},
            file_bytes=size,
        )

    def get(self, entry_id: str) -> Entry | None:
        """Find an entry by its id; None if the list does not have it.

        Raises
        ------
        ReferenceListError
            If what is stored of it is damaged.
        """
        if not isinstance(entry_id, str):
            raise TypeError(f"the entry id must be str, not {type(entry_id).__name__}")
        return self._find("entry_id", [entry_id]) if is_name(entry_id, MAX_ENTRY_ID) else None

    def get_many(self, entry_ids: Iterable[str]) -> dict[str, Entry]:
        """Find entries by their ids, each once, in no order; ids that the list does not have are left out.

        Parameters
        ----------
        entry_ids : iterable of str
            Ids, all held in memory at once; a few thousand at a time read most quickly.

        Raises
        ------
        ReferenceListError
            If what is stored of one is damaged.

        Notes
        -----
        Cost: about 20 microseconds an entry of one hash.
        """
        if isinstance(entry_ids, str):
            raise TypeError("entry_ids must be an iterable of str, not one str")
        wanted = [name for name in dict.fromkeys(entry_ids) if is_name(name, MAX_ENTRY_ID)]
        with self._session.reading() as connection:
            state = self._session.state(connection)
            sources = state.by_number()
            found = (to_entry(record, sources) for record in load_records(connection, state, "entry_id", wanted))
            return {entry.entry_id: entry for entry in found}

    def find(self, value: HashValue) -> tuple[Entry, ...]:
        """Find the entries that hold exactly this hash, in the order in which they were added.

        Parameters
        ----------
        value : HashValue
            The hash; `Matcher.match_hash` searches for hashes near it.

        Returns
        -------
        tuple of Entry
            The entries. It is empty only after the check value of every row of that algorithm was found right: a
            damaged row is an error, not an absent entry.

        Raises
        ------
        ReferenceListError
            If what is read is damaged.

        Notes
        -----
        Cost: one pass over the rows in the order of the file: for a million of 256 bits about 0.06 seconds where the
        hash is there, and about 1.5 seconds where it is not; calls from other threads wait meanwhile. The file has no
        index by hash, since every import would pay for it, so the cost grows with the list. Many
        look-ups are what `Matcher` is for.
        """
        if not isinstance(value, HashValue):
            raise TypeError(f"a HashValue is looked up, not {type(value).__name__}")
        number = ALGORITHM_NUMBERS[value.algorithm]
        with self._session.reading() as connection:
            state = self._session.state(connection)
            if number not in state.tallies or not state.tallies[number].n_hashes:
                return ()
            keyed = connection.execute(
                f"SELECT entry FROM {table_of(number)} NOT INDEXED WHERE code = ? AND algorithm = ?",  # noqa: S608
                (value.data, number),
            )
            keys = sorted({key for (key,) in keyed})  # DISTINCT would go by entry, a seek for each row
            sources = state.by_number()
            found = tuple(to_entry(record, sources) for record in load_records(connection, state, "key", keys))
            if len(found) != len(keys) or not all(value in entry.hashes for entry in found):
                raise damaged()
            if not found:
                rows = PinnedVersion(connection, state)
                for _ in rows.records(value.algorithm) if number in RECORD_NUMBERS else rows.blocks(value.algorithm):
                    pass
        return found

    def entry_by_key(self, key: int) -> Entry | None:
        """Find an entry by its number, as `Snapshot` gives it; None if it was withdrawn since.

        Raises
        ------
        ReferenceListError
            If what is stored of it is damaged.

        Notes
        -----
        Cost: five look-ups; about 60 microseconds with a keypoint record of 4 KB. May be called from many threads;
        calls take turns.
        """
        return self._find("key", [int(key)]) if 0 < key < 2**63 else None

    def record(self, hash_id: int) -> HashValue | None:
        """Read a hash that varies in length by its row's number, as `RecordRows` gives it; None if it was withdrawn.

        Raises
        ------
        ReferenceListError
            If the row is damaged.

        Notes
        -----
        Cost: one look-up, about 20 microseconds.
        """
        with self._session.reading() as connection:
            return read_record(connection, self._session.state(connection), int(hash_id))

    def __contains__(self, entry_id: object) -> bool:
        if not isinstance(entry_id, str) or not is_name(entry_id, MAX_ENTRY_ID):
            return False
        with self._session.reading() as connection:
            found = connection.execute("SELECT 1 FROM entry WHERE entry_id = ?", (entry_id,))
            return found.fetchone() is not None

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries in the order in which they were added.

        Reads 500 at a time and holds no lock in between, so nobody waits for a slow loop: an entry that is there
        throughout comes exactly once; one that is added or withdrawn meanwhile may come or not.

        Raises
        ------
        ReferenceListError
            If an entry is damaged, or at the end, if the list did not change meanwhile and an entry was missing.
        """
        last = n_seen = 0
        seen = set()
        while True:
            with self._session.reading() as connection:
                state = self._session.state(connection)
                seen.add((state.version, self._session.in_transaction))
                keys = keys_after(connection, last, _ENTRIES_A_STEP)
                sources = state.by_number()
                entries = [to_entry(record, sources) for record in load_records(connection, state, "key", keys)]
                n_entries = state.n_entries
            if not keys:
                break
            yield from entries
            last = keys[-1]
            n_seen += len(entries)
        if seen == {(state.version, False)} and n_seen != n_entries:
            raise damaged()

    def sources(self) -> tuple[SourceInfo, ...]:
        """Read what the list keeps of its sources, in the order in which they first listed something."""
        return tuple(
            SourceInfo(
                name=item.name,
                entries=item.n_entries,
                role=item.role,
                terms=item.terms,
                checkpoint=item.checkpoint,
                heard=item.heard or None,
            )
            for _, item in sorted(self._state().by_number().items())
        )

    def trust(self) -> Trust | None:
        """Read who may bring new versions of a list that is taken from bundles; None for other lists."""
        with self._session.reading() as connection:
            state = self._session.state(connection)
            if state.format_version == FORMAT_VERSION:
                return None
            from hashmatch.lists.file.trust import load_trust  # only such a list loads the code of keys

            return load_trust(connection, state)

    def snapshot(self, algorithms: Iterable[str] | None = None) -> Snapshot:
        """Read the hashes of one version, for building an index: as arrays, and ``keypoint`` records as a stream.

        Parameters
        ----------
        algorithms : iterable of str, optional
            Algorithms to read; all by default.

        Returns
        -------
        Snapshot
            The hashes of the last committed version.

        Raises
        ------
        ReferenceListError
            If a row is missing, surplus or damaged; no row is silently left out.
        HashFormatError
            If an algorithm is unknown.

        Notes
        -----
        Cost: one pass over the hash rows for each algorithm, 1.5 to 2 seconds for a million rows; memory, the arrays
        twice. Keypoint records are read later, when their `RecordStream` is iterated over.
        """
        names = None if algorithms is None else {algorithm_named(name).name for name in algorithms}
        with self._session.reading_apart() as connection:
            return read_snapshot(connection, load_state(connection), names, self._session.reading_apart)

    def changes_since(self, version: int) -> Changes | None:
        """Read what changed since a version, for keeping an index up to date.

        Parameters
        ----------
        version : int
            Version of this list whose hashes the caller has, 0 or more.

        Returns
        -------
        Changes or None
            The changes; None if they are unknown, because the list was compacted since or never had that version. Then
            take a `snapshot`.

        Raises
        ------
        ReferenceListError
            If what is read is damaged.

        Notes
        -----
        Cost: proportional to the rows added and withdrawn since; keypoint records come as a stream, to be read when it
        is iterated over. A change of labels alone changes no hash row.
        """
        with self._session.reading_apart() as connection:
            return read_changes(connection, load_state(connection), version, self._session.reading_apart)

    @contextlib.contextmanager
    def pinned(self) -> Iterator[PinnedVersion]:
        """Hold the last committed version still within the ``with`` block, to read several parts of it.

        Yields
        ------
        PinnedVersion
            Its counters, changes since an earlier version, and rows in blocks; of no use after the block.

        Raises
        ------
        ReferenceListError
            If the list cannot be read.

        Notes
        -----
        Others go on reading and writing. While it lasts a writer's log cannot be emptied and so grows.
        """
        with self._session.pinned() as (connection, state):
            yield PinnedVersion(connection, state)

    @contextlib.contextmanager
    def pinned_rows(self) -> Iterator[tuple[sqlite3.Connection, State]]:
        """Hold a version still as `pinned` does, for what copies the rows themselves: its connection and counters."""
        with self._session.pinned() as held:
            yield held

    @contextlib.contextmanager
    def present(self) -> Iterator[PinnedVersion]:
        """Hold the last committed version still for a moment: as `pinned`, but on the list's own connection.

        Notes
        -----
        Cost: about 20 microseconds; `pinned` opens a connection instead. Calls from other threads wait meanwhile. Also
        works on a file whose place another file has taken.
        """
        with self._session.reading() as connection:
            yield PinnedVersion(connection, self._session.state(connection))

    @property
    def contents(self) -> Mapping[str, Content]:
        """Number and marks of the rows of each algorithm that has any, read from the file at each call."""
        return contents_of(self._state())

    @property
    def change_mark(self) -> tuple[int, int, bool]:
        """Mark to compare with an earlier one, to see at little cost whether the list may have changed.

        A number of this opening, SQLite's number of foreign changes to the open file, which each connection counts
        for itself, and `replaced`. Equal marks mean that nobody but this very
        object changed the list in between. Cost: a few microseconds, whatever the size of the list.
        """
        return self._session.number, self._session.data_version(), self._session.replaced

    def verify(self) -> ListInfo:
        """Check everything: every page, index, row, check value, count and reference.

        Returns
        -------
        ListInfo
            Figures of the version that was checked.

        Raises
        ------
        ReferenceListError
            If anything is not as it was written.

        Notes
        -----
        Cost: about 12 seconds for a million entries; readers and a writer go on meanwhile.
        """
        with self._session.reading_apart() as connection:
            verify_all(connection, load_state(connection))
        return self.info()

    def _state(self) -> State:
        with self._session.reading() as connection:
            return self._session.state(connection)

    def _find(self, column: str, values: list[str] | list[int]) -> Entry | None:
        with self._session.reading() as connection:
            state = self._session.state(connection)
            for record in load_records(connection, state, column, values):
                return to_entry(record, state.by_number())
        return None
