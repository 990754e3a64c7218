"""Hashes of varying length, such as keypoint records, read in blocks: `RecordStream` and its `RecordRows`.

Floor: lists. A million records are four gigabytes, so nothing ever holds them all. Between two blocks no transaction is
open: a slow reader, such as the building of an index, keeps no writer waiting. What it reads belongs to one version
all the same, since rows never change and numbers are never used again; rows withdrawn meanwhile are left out, and
`ReferenceList.changes_since` names them.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.admission import check_record
from hashmatch.lists.file.checksums import mark_of_record, signed
from hashmatch.lists.file.entries import State, load_state
from hashmatch.lists.file.history import check_history
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import ALGORITHM_NAMES

__all__ = ["Reading", "RecordRows", "RecordStream", "check_records", "count_records", "read_record"]

ROWS_A_BLOCK: Final = 1_024

Reading = Callable[[], AbstractContextManager[sqlite3.Connection]]
"""Opens a read transaction on a connection of its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RecordRows:
    """Rows of one algorithm whose hashes vary in length, in ascending order of ``hash_ids``; a block of a stream.

    Parameters
    ----------
    algorithm : str
        Name of the algorithm.
    data : (n_bytes,) uint8 array, read-only
        The hashes, one after the other.
    offsets : (n + 1,) int64 array, read-only
        Hash i is ``data[offsets[i]:offsets[i + 1]]``.
    hash_ids : (n,) int64 array, ascending, read-only
        Number of each row; never given to another row of that list.
    entry_keys : (n,) int64 array, read-only
        `Entry.key` of each row. A hash that several sources list for one entry has a row for each source.
    quality : (n,) int16 array, 0 to 100, read-only
        -1 where it is not known.
    marks : (n,) int64 array, read-only
        Check value of each row, over all that the list says of it; those of all rows of a version add up to its
        `Content`.
    """

    algorithm: str
    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    hash_ids: NDArray[np.int64]
    entry_keys: NDArray[np.int64]
    quality: NDArray[np.int16]
    marks: NDArray[np.int64]

    def __post_init__(self) -> None:
        for array in (self.data, self.offsets, self.hash_ids, self.entry_keys, self.quality, self.marks):
            array.setflags(write=False)

    def record(self, position: int) -> bytes:
        """Hash at a position, 0 to n - 1."""
        return self.data[self.offsets[position] : self.offsets[position + 1]].tobytes()

    def __len__(self) -> int:
        return len(self.hash_ids)

    def __iter__(self) -> Iterator[bytes]:
        return (self.record(position) for position in range(len(self)))

    def __repr__(self) -> str:
        return f"<RecordRows {self.algorithm}, rows: {len(self)}>"


class RecordStream:
    """Rows of one algorithm whose hashes vary in length, of one version of a list, read when iterated over.

    Comes with a `Snapshot` (all rows) or `Changes` (those added). ``len`` is the number of rows. It may be iterated
    over any number of times, while the list is open.

    Attributes
    ----------
    algorithm : str
        Name of the algorithm.
    list_id : str
        The list's uuid, 32 hexadecimal digits.
    version : int
        The version that the rows belong to.
    content : str or None
        For all rows of a version: digits that are the same for the same rows of the same list, and else differ but
        for a chance of 2**-64; what to mark a file with that was made from them. None for changes.

    Examples
    --------
    >>> import tempfile
    >>> from hashmatch.lists import ReferenceList
    >>> folder = tempfile.TemporaryDirectory()
    >>> with ReferenceList.create(folder.name + "/demo.hashmatch", name="demo") as ref:
    ...     [len(block) for block in ref.snapshot().records.get("keypoint", ())]
    []
    >>> folder.cleanup()
    """

    def __init__(
        self, state: State, number: int, first: int, n_rows: int, mark_sum: int | None, reading: Reading
    ) -> None:
        self.algorithm = ALGORITHM_NAMES[number]
        self.list_id = state.uuid.hex()
        self.version = state.version
        self.content = None if mark_sum is None else f"{n_rows:x}-{mark_sum % 2**64:016x}"
        self._number = number
        self._first, self._end = first, state.next_hash
        self._n_rows, self._mark_sum = n_rows, mark_sum
        self._reading = reading

    def __len__(self) -> int:
        return self._n_rows

    def __bool__(self) -> bool:
        """Return True, also without rows."""
        return True

    def __repr__(self) -> str:
        return f"<RecordStream {self.algorithm}, version {self.version}, rows: {self._n_rows}>"

    def __iter__(self) -> Iterator[RecordRows]:
        return self.blocks()

    def blocks(self, size: int = ROWS_A_BLOCK) -> Iterator[RecordRows]:
        """Read the rows, ``size`` at a time; the last block may be shorter, and none is empty.

        Parameters
        ----------
        size : int
            Rows a block, at least 1. A block of 1,024 is up to 4 MB.

        Yields
        ------
        RecordRows

        Raises
        ------
        ReferenceListError
            If the list was closed or its file replaced; if a row is damaged; at the end, if one was missing, or if
            rows that are missing cannot be told from withdrawn ones because the list was compacted meanwhile: take
            another snapshot then.

        Notes
        -----
        Cost: about 20 microseconds a row of 4 KB; memory, one block and 8 bytes a row.
        """
        if size < 1:
            raise ValueError("size must be 1 or more")
        return self._blocks(size)

    def _blocks(self, size: int) -> Iterator[RecordRows]:
        seen = [np.empty(0, np.int64)]
        total, last = 0, self._first - 1
        while True:
            with self._reading() as connection:
                state = load_state(connection)
                if state.uuid.hex() != self.list_id or state.version < self.version:
                    raise ReferenceListError("another list was copied into the file: open it again")
                block, mark_sum = _read_block(connection, state, self._number, last, self._end, size)
                if block is None:
                    self._check_whole(connection, state, np.concatenate(seen), signed(total))
                    return
            yield block
            total += mark_sum
            seen.append(block.hash_ids)
            last = int(block.hash_ids[-1])

    def _check_whole(
        self, connection: sqlite3.Connection, state: State, seen: NDArray[np.int64], mark_sum: int
    ) -> None:
        """Check that every row came but those withdrawn since."""
        if len(seen) == self._n_rows:
            if self._mark_sum not in (None, mark_sum):
                raise damaged()
            return
        if state.history_from > self.version:
            raise ReferenceListError("the list was compacted while its records were read: take another snapshot")
        _, withdrawn = check_history(connection, state, self.version)
        gone = np.setdiff1d(np.array(withdrawn.get(self._number, ()), np.int64), seen)
        if len(seen) + np.count_nonzero(gone >= self._first) != self._n_rows:
            raise damaged()


def check_records(connection: sqlite3.Connection, state: State, number: int) -> None:
    """Check all rows of one algorithm against their marks and their tally, within the caller's read transaction.

    Raises
    ------
    ReferenceListError
        If a row is missing, surplus or not what was written.
    """
    n_rows = total = last = 0
    while True:
        block, mark_sum = _read_block(connection, state, number, last, state.next_hash, ROWS_A_BLOCK)
        if block is None:
            break
        try:
            for data in block:
                check_record(HashValue(block.algorithm, data))
        except HashFormatError:
            raise damaged() from None
        n_rows, total, last = n_rows + len(block), total + mark_sum, int(block.hash_ids[-1])
    tally = state.tallies.get(number)
    expected = (0, 0) if tally is None else (tally.n_hashes, tally.mark_sum)
    if (n_rows, signed(total)) != expected or count_records(connection, number, 0) != n_rows:
        raise damaged()


def count_records(connection: sqlite3.Connection, number: int, first: int) -> int:
    """Count the rows of one algorithm from row id ``first`` on."""
    counted = connection.execute("SELECT count(*) FROM record WHERE id >= ? AND algorithm = ?", (first, number))
    return int(counted.fetchone()[0])


def read_record(connection: sqlite3.Connection, state: State, row: int) -> HashValue | None:
    """Read one hash that varies in length, within the caller's read transaction; None if there is no such row.

    Raises
    ------
    ReferenceListError
        If it is not what was written.
    """
    found = connection.execute(
        "SELECT algorithm, id, entry, source, quality, code, mark FROM record WHERE id = ?", (row,)
    ).fetchone()
    if found is None:
        return None
    try:
        if mark_of_record(state.uuid, *found[:-1]) != found[-1]:
            raise damaged()
        return HashValue(ALGORITHM_NAMES[found[0]], found[5])
    except (KeyError, TypeError, struct.error, HashFormatError):
        raise damaged() from None


def _read_block(
    connection: sqlite3.Connection, state: State, number: int, last: int, end: int, size: int
) -> tuple[RecordRows | None, int]:
    """Rows after row id ``last`` and before ``end``, at most ``size``, checked; and the sum of their marks."""
    rows = connection.execute(
        "SELECT code, id, entry, source, quality, mark FROM record"
        " WHERE id > ? AND id < ? AND algorithm = ? ORDER BY id LIMIT ?",
        (last, end, number, size),
    ).fetchall()
    if not rows:
        return None, 0
    if any(a >= b for a, b in pairwise([last, *(row[1] for row in rows)])):
        raise damaged()  # a table whose pages are damaged may give the same rows for ever
    try:
        for code, row, entry, source, quality, mark in rows:
            if mark_of_record(state.uuid, number, row, entry, source, quality, code) != mark:
                raise damaged()
    except (TypeError, struct.error):
        raise damaged() from None
    codes, ids, entries, _, qualities, marks = zip(*rows, strict=True)
    block = RecordRows(
        algorithm=ALGORITHM_NAMES[number],
        data=np.frombuffer(b"".join(codes), np.uint8),
        offsets=np.cumsum([0, *map(len, codes)], dtype=np.int64),
        hash_ids=np.array(ids, np.int64),
        entry_keys=np.array(entries, np.int64),
        quality=np.array([-1 if quality is None else quality for quality in qualities], np.int16),
        marks=np.array(marks, np.int64),
    )
    return block, sum(marks)
