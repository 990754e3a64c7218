"""`PinnedVersion`: one version of a list, read in parts while it stays the same.

Floor: lists. What an index file is made from and brought up to date by, and what a match is explained from: everything
that is read comes from one read transaction, so that rows, changes, counters and entries belong to one version.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.hashes import HashValue
from hashmatch.lists.entry import JOIN, Entry, Role
from hashmatch.lists.file.checksums import signed
from hashmatch.lists.file.entries import State, VersionMark, load_records, mark_of, to_entry
from hashmatch.lists.file.schema import damaged, translated_errors
from hashmatch.lists.file.sql_tables import ALGORITHM_NAMES, ALGORITHM_NUMBERS, RECORD_NUMBERS, table_of
from hashmatch.lists.read.content import Content
from hashmatch.lists.read.record_stream import RecordStream, read_record
from hashmatch.lists.read.rows import Changes, HashRows, read_changes, read_hashes, read_row_blocks

__all__ = ["PinnedVersion", "contents_of"]

_MOST_NAMES: Final = 500


def contents_of(state: State) -> Mapping[str, Content]:
    """Give the content of the rows of each algorithm that has any."""
    return MappingProxyType(
        {
            ALGORITHM_NAMES[number]: Content(tally.n_hashes, tally.mark_sum % 2**64)
            for number, tally in sorted(state.tallies.items())
            if tally.n_hashes
        }
    )


class PinnedVersion:
    """One version of a list; made by `ReferenceList.pinned` or `present`, for use within the block and by one thread.

    Attributes
    ----------
    list_id, name : str
        As of the list.
    version, n_entries : int
        As of the list, at this version.
    mark : VersionMark
        What tells this version from any other.
    """

    def __init__(self, connection: sqlite3.Connection, state: State) -> None:
        self._connection = connection
        self._state = state
        self.list_id = state.uuid.hex()
        self.name = state.name
        self.version = state.version
        self.n_entries = state.n_entries
        self.mark = state.mark

    def __repr__(self) -> str:
        return f"<PinnedVersion {self.version} of {self.name!r}>"

    @property
    def path(self) -> str:
        """Path of the list's file, absolute."""
        return str(self._connection.execute("PRAGMA database_list").fetchone()[2])

    @property
    def contents(self) -> Mapping[str, Content]:
        """Number and marks of the rows of each algorithm that has any; read only."""
        return contents_of(self._state)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to a stream: what was withdrawn meanwhile is still there in this version."""
        with translated_errors():
            yield self._connection

    def came_from(self, mark: VersionMark) -> bool:
        """Whether this is the version of a mark, or what changes that the list remembers have made of that.

        False for another course of the same list, and where it cannot be told: the list was compacted since.
        """
        if mark.list_id != self.list_id or mark.version == self.version:
            return mark == self.mark
        with translated_errors():
            return mark_of(self._connection, self._state, mark.version) == mark

    def entry(self, key: int, *, since: int) -> Entry | None:
        """Find an entry by its number if it is what it was at a version that this one came from.

        Parameters
        ----------
        key : int
            `Entry.key`.
        since : int
            The version.

        Returns
        -------
        Entry or None
            None if it was changed or withdrawn after that version.

        Raises
        ------
        ReferenceListError
            If what is stored of it is damaged.
        """
        with translated_errors():
            for record in load_records(self._connection, self._state, "key", [key]):
                if record.changed is None or record.changed <= since:
                    return to_entry(record, self._state.by_number())
        return None

    def record(self, hash_id: int) -> HashValue | None:
        """Read a hash that varies in length by its row's number; as `ReferenceList.record`."""
        with translated_errors():
            return read_record(self._connection, self._state, hash_id)

    @property
    def source_numbers(self) -> dict[str, int]:
        """Number of each source that lists something."""
        return {name: source.number for name, source in self._state.sources.items() if source.n_entries}

    @property
    def roles(self) -> dict[str, Role]:
        """Role of each source that lists something and does not list for alarm."""
        sources = self._state.sources.items()
        return {name: source.role for name, source in sources if source.role != "alarm" and source.n_entries}

    def owners(self, algorithm: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read the entry, by its number, and the source, by its number, of every row of an algorithm; in no order."""
        number = ALGORITHM_NUMBERS[algorithm]
        with translated_errors():
            rows = self._connection.execute(
                f"SELECT entry, source FROM {table_of(number)} WHERE algorithm = ?",  # noqa: S608
                (number,),
            )
            flat = np.fromiter(chain.from_iterable(rows), np.int64)
        return flat[0::2], flat[1::2]

    def labelled(self, source: int, classes: Collection[str]) -> NDArray[np.int64]:
        """Give the numbers of the entries to which a source, by its number, gives one of some classes; in no order."""
        names = sorted({text[:place] for text in classes for place, letter in enumerate(text) if letter == ":"})
        among = f"name IN ({','.join('?' * len(names))})" if len(names) <= _MOST_NAMES else "1"
        asked = names if len(names) <= _MOST_NAMES else []
        with translated_errors():
            rows = self._connection.execute(
                f"SELECT entry, name, value FROM label WHERE source = ? AND {among}",  # noqa: S608
                (source, *asked),
            )
            found = [
                entry for entry, name, said in rows if any(f"{name}:{value}" in classes for value in said.split(JOIN))
            ]
        return np.array(found, np.int64)

    def changes_since(self, version: int) -> Changes | None:
        """Read what changed between a version and this one; as `ReferenceList.changes_since`."""
        with translated_errors():
            return read_changes(self._connection, self._state, version, self._reading)

    def keys_changed_since(self, version: int) -> NDArray[np.int64] | None:
        """Give the numbers of the entries here that were added or changed in any way after a version, ascending.

        Returns
        -------
        (n,) int64 array or None
            Those that a change of labels alone touched are among them; withdrawn ones are not. None if it is not known,
            as for `changes_since`. The version must be one that this one came from, see `came_from`.
        """
        changes = self.changes_since(version)
        if changes is None:
            return None
        found = [rows.entry_keys for rows in changes.added.values()]
        found += [block.entry_keys for stream in changes.records.values() for block in stream]
        with translated_errors():
            rows = self._connection.execute("SELECT entry FROM changed WHERE version > ?", (version,))
            found.append(np.fromiter((key for (key,) in rows), np.int64))
        return np.unique(np.concatenate(found))

    def rows(self, algorithm: str) -> HashRows:
        """Read all rows of one algorithm of a fixed length; there must be one. As `ReferenceList.snapshot`."""
        with translated_errors():
            return read_hashes(self._connection, self._state, {ALGORITHM_NUMBERS[algorithm]})[algorithm]

    def blocks(self, algorithm: str) -> Iterator[HashRows]:
        """Read all rows of one algorithm of a fixed length, 16,384 at a time.

        Yields
        ------
        HashRows
            In ascending order of their numbers.

        Raises
        ------
        ReferenceListError
            If a row is damaged; at the end, if one is missing or surplus.

        Notes
        -----
        Cost: 1.5 to 2 microseconds a row; memory, one block.
        """
        number = ALGORITHM_NUMBERS[algorithm]
        found = Content(0, 0)
        with translated_errors():
            blocks = read_row_blocks(self._connection, self._state, number, 1)
        while True:
            with translated_errors():
                block = next(blocks, None)
            if block is None:
                break
            rows, marks = block
            found += Content(len(rows), marks % 2**64)
            yield rows
        if found != self.contents.get(algorithm, Content(0, 0)):
            raise damaged()

    def records(self, algorithm: str) -> RecordStream:
        """Give the rows of one algorithm whose hashes vary in length, as a stream; as `ReferenceList.snapshot`."""
        number = ALGORITHM_NUMBERS[algorithm]
        if number not in RECORD_NUMBERS:
            raise ValueError(f"the hashes of {algorithm} are of a fixed length: read them as rows")
        content = self.contents[algorithm]
        return RecordStream(self._state, number, 1, content.n_rows, signed(content.mark_sum), self._reading)
