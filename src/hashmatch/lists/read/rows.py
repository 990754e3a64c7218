"""What an index is built from: `Snapshot` of a whole list, and `Changes` since a version.

Floor: lists. Arrays are read in one read transaction, checked row by row against their marks, and read-only. Hashes of
varying length are too many bytes for that: they come as streams, see `streams`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists.file.checksums import marks_of_rows, signed, sum_of_marks
from hashmatch.lists.file.entries import State
from hashmatch.lists.file.history import check_history
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import ALGORITHM_NAMES, ALGORITHM_NUMBERS, RECORD_NUMBERS
from hashmatch.lists.read.record_stream import Reading, RecordStream, count_records

__all__ = ["Changes", "HashRows", "Snapshot", "read_changes", "read_hashes", "read_row_blocks", "read_snapshot"]

_ROWS_A_STEP: Final = 512  # a longer step keeps the interpreter from searches for milliseconds, and is no faster


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class HashRows:
    """Hash rows of one algorithm, in ascending order of ``hash_ids``.

    Parameters
    ----------
    algorithm : str
        Name of the algorithm.
    codes : (n, n_bytes) uint8 array, C-contiguous, read-only
        The hashes, most significant bit first.
    hash_ids : (n,) int64 array, ascending, read-only
        Number of each row; never given to another row of that list.
    entry_keys : (n,) int64 array, read-only
        `Entry.key` of each row. A hash that several sources list for one entry has a row for each source.
    quality : (n,) int16 array, 0 to 100, read-only
        -1 where it is not known.
    source_numbers : (n,) int16 array, 1 to 4096, read-only
        Number of the source that lists the hash; it has a meaning in this list alone.
    """

    algorithm: str
    codes: NDArray[np.uint8]
    hash_ids: NDArray[np.int64]
    entry_keys: NDArray[np.int64]
    quality: NDArray[np.int16]
    source_numbers: NDArray[np.int16]

    def __post_init__(self) -> None:
        for array in (self.codes, self.hash_ids, self.entry_keys, self.quality, self.source_numbers):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.hash_ids)

    def __repr__(self) -> str:
        return f"<HashRows {self.algorithm}, rows: {len(self)}>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Snapshot:
    """All hash rows of one version of a list.

    Parameters
    ----------
    list_id : str
        The list's uuid, 32 hexadecimal digits.
    name : str
        The list's name.
    version : int
        The version all rows belong to.
    n_entries : int
        Entries of that version.
    rows : mapping of str to HashRows
        By algorithm; algorithms without a row are left out.
    records : mapping of str to RecordStream
        The rows of algorithms whose hashes vary in length (``keypoint``), to be read in blocks.
    """

    list_id: str
    name: str
    version: int
    n_entries: int
    rows: Mapping[str, HashRows]
    records: Mapping[str, RecordStream]

    def __repr__(self) -> str:
        n_rows = sum(map(len, self.rows.values())) + sum(map(len, self.records.values()))
        return f"<Snapshot of {self.name!r}, version {self.version}, hashes: {n_rows}>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Changes:
    """What happened to the hash rows between two versions of a list.

    Parameters
    ----------
    since, version : int
        From this version (exclusive) to that one (inclusive).
    n_entries : int
        Entries of ``version``.
    added : mapping of str to HashRows
        Rows of ``version`` that ``since`` did not have, by algorithm.
    withdrawn : mapping of str to (n,) int64 array
        Numbers of rows, ascending, that ``since`` had and ``version`` has no longer, by algorithm, records included.
    records : mapping of str to RecordStream
        Rows added of algorithms whose hashes vary in length, to be read in blocks.
    """

    since: int
    version: int
    n_entries: int
    added: Mapping[str, HashRows]
    withdrawn: Mapping[str, NDArray[np.int64]]
    records: Mapping[str, RecordStream]

    def __repr__(self) -> str:
        added = sum(map(len, self.added.values())) + sum(map(len, self.records.values()))
        gone = sum(map(len, self.withdrawn.values()))
        return f"<Changes of versions {self.since} to {self.version}, added: {added}, withdrawn: {gone}>"


def read_snapshot(
    connection: sqlite3.Connection, state: State, algorithms: Iterable[str] | None, reading: Reading
) -> Snapshot:
    """Read all rows of the algorithms (None: of all) within the caller's read transaction; records as streams.

    Raises
    ------
    ReferenceListError
        If a row is missing, surplus or not what was written.
    """
    numbers = None if algorithms is None else {ALGORITHM_NUMBERS[name] for name in algorithms}
    return Snapshot(
        list_id=state.uuid.hex(),
        name=state.name,
        version=state.version,
        n_entries=state.n_entries,
        rows=read_hashes(connection, state, numbers),
        records={
            ALGORITHM_NAMES[number]: RecordStream(state, number, 1, tally.n_hashes, tally.mark_sum, reading)
            for number, tally in sorted(state.tallies.items())
            if number in RECORD_NUMBERS and tally.n_hashes and (numbers is None or number in numbers)
        },
    )


def read_hashes(connection: sqlite3.Connection, state: State, numbers: Set[int] | None) -> dict[str, HashRows]:
    """Read all rows of the algorithms of these numbers (None: of all), those of varying length left out.

    Raises
    ------
    ReferenceListError
        If a row is missing, surplus or not what was written.
    """
    rows = {}
    for number, tally in sorted(state.tallies.items()):
        if number in RECORD_NUMBERS or tally.n_hashes == 0 or (numbers is not None and number not in numbers):
            continue
        found, mark_sum = _read_rows(connection, state, number, 1)
        if len(found) != tally.n_hashes or mark_sum != tally.mark_sum:
            raise damaged()
        rows[found.algorithm] = found
    return rows


def read_changes(connection: sqlite3.Connection, state: State, since: int, reading: Reading) -> Changes | None:
    """Read what changed since a version within the caller's read transaction; None if it cannot be told.

    Raises
    ------
    ReferenceListError
        If a row is not what was written.
    """
    if not state.history_from <= since <= state.version:
        return None
    first_new, withdrawn = check_history(connection, state, since)
    added, records = {}, {}
    for number in sorted(state.tallies):
        if number in RECORD_NUMBERS:
            n_rows = count_records(connection, number, first_new)
            if n_rows:
                records[ALGORITHM_NAMES[number]] = RecordStream(state, number, first_new, n_rows, None, reading)
            continue
        found, _ = _read_rows(connection, state, number, first_new)
        if len(found):
            added[found.algorithm] = found
    gone = {ALGORITHM_NAMES[number]: np.array(sorted(rows), np.int64) for number, rows in sorted(withdrawn.items())}
    for array in gone.values():
        array.setflags(write=False)
    return Changes(
        since=since, version=state.version, n_entries=state.n_entries, added=added, withdrawn=gone, records=records
    )


def _read_rows(connection: sqlite3.Connection, state: State, number: int, first: int) -> tuple[HashRows, int]:
    """Rows of one algorithm from row id ``first`` on, checked, and the sum of their marks."""
    name = ALGORITHM_NAMES[number]
    blocks = [_no_rows(name)]
    mark_sum = 0
    for block, marks in read_row_blocks(connection, state, number, first):
        blocks.append(block)
        mark_sum += marks
    columns = ("codes", "hash_ids", "entry_keys", "quality", "source_numbers")
    joined = {column: np.concatenate([getattr(block, column) for block in blocks]) for column in columns}
    return HashRows(algorithm=name, **joined), signed(mark_sum)


def _no_rows(name: str) -> HashRows:
    return HashRows(
        algorithm=name,
        codes=np.empty((0, ALGORITHMS[name].n_bytes), np.uint8),
        hash_ids=np.empty(0, np.int64),
        entry_keys=np.empty(0, np.int64),
        quality=np.empty(0, np.int16),
        source_numbers=np.empty(0, np.int16),
    )


def read_row_blocks(
    connection: sqlite3.Connection, state: State, number: int, first: int
) -> Iterator[tuple[HashRows, int]]:
    """Read rows of one algorithm from row id ``first`` on, block by block, each checked; and the sum of their marks.

    Raises
    ------
    ReferenceListError
        If a row is not what was written. Whether one is missing is for the caller to say, from the sums.
    """
    name = ALGORITHM_NAMES[number]
    width = ALGORITHMS[name].n_bytes
    cursor = connection.execute(
        "SELECT id, entry, source, ifnull(quality, -1), mark, code FROM hash"
        " WHERE id >= ? AND algorithm = ? ORDER BY id",
        (first, number),
    )
    last = 0
    while rows := cursor.fetchmany(_ROWS_A_STEP):
        try:
            *columns, blobs = zip(*rows, strict=True)
            ids, entries, sources, quality, marks = np.array(columns, np.int64)
            codes = np.frombuffer(b"".join(blobs), np.uint8).reshape(len(rows), width)
            expected = marks_of_rows(state.uuid, number, ids, entries, sources, quality.astype(np.int16), codes)
        except (TypeError, ValueError, OverflowError):
            raise damaged() from None
        # numbers that do not ascend come from a table whose pages are damaged, which may give the same for ever
        if not np.array_equal(expected, marks) or ids[0] <= last or bool((np.diff(ids) <= 0).any()):
            raise damaged()
        last = int(ids[-1])
        block = HashRows(
            algorithm=name,
            codes=codes,
            hash_ids=ids.copy(),
            entry_keys=entries.copy(),
            quality=quality.astype(np.int16),
            source_numbers=sources.astype(np.int16),
        )
        yield block, sum_of_marks(marks)
