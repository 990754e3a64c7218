"""What an index is built from: `Snapshot` of a whole list, and `Changes` since a version.

Floor: lists. Arrays are read in one read transaction, checked row by row against their marks, and read-only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists.records import State
from hashmatch.lists.schema import ALGORITHM_NAMES, ALGORITHM_NUMBERS, damaged
from hashmatch.lists.seals import marks_of_rows, seal, signed, sum_of_marks

__all__ = ["Changes", "HashRows", "Snapshot"]

_ROWS_A_STEP: Final = 16_384


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
    """

    algorithm: str
    codes: NDArray[np.uint8]
    hash_ids: NDArray[np.int64]
    entry_keys: NDArray[np.int64]
    quality: NDArray[np.int16]

    def __post_init__(self) -> None:
        for array in (self.codes, self.hash_ids, self.entry_keys, self.quality):
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
    """

    list_id: str
    name: str
    version: int
    n_entries: int
    rows: Mapping[str, HashRows]

    def __repr__(self) -> str:
        return f"<Snapshot of {self.name!r}, version {self.version}, hashes: {sum(map(len, self.rows.values()))}>"


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
        Numbers of rows, ascending, that ``since`` had and ``version`` has no longer, by algorithm.
    """

    since: int
    version: int
    n_entries: int
    added: Mapping[str, HashRows]
    withdrawn: Mapping[str, NDArray[np.int64]]

    def __repr__(self) -> str:
        added, gone = sum(map(len, self.added.values())), sum(map(len, self.withdrawn.values()))
        return f"<Changes of versions {self.since} to {self.version}, added: {added}, withdrawn: {gone}>"


def read_snapshot(connection: sqlite3.Connection, state: State, algorithms: Iterable[str] | None) -> Snapshot:
    """Read all rows of the algorithms (None: of all) within the caller's read transaction.

    Raises
    ------
    ReferenceListError
        If a row is missing, surplus or not what was written.
    """
    numbers = sorted(state.tallies) if algorithms is None else sorted(ALGORITHM_NUMBERS[name] for name in algorithms)
    rows = {}
    for number in numbers:
        tally = state.tallies.get(number)
        if tally is None or tally.n_hashes == 0:
            continue
        found, mark_sum = _read_rows(connection, state, number, 1)
        if len(found) != tally.n_hashes or mark_sum != tally.mark_sum:
            raise damaged()
        rows[found.algorithm] = found
    return Snapshot(
        list_id=state.uuid.hex(), name=state.name, version=state.version, n_entries=state.n_entries, rows=rows
    )


def read_changes(connection: sqlite3.Connection, state: State, since: int) -> Changes | None:
    """Read what changed since a version within the caller's read transaction; None if it cannot be told.

    Raises
    ------
    ReferenceListError
        If a row is not what was written.
    """
    if not state.history_from <= since <= state.version:
        return None
    first_new, withdrawn = check_history(connection, state, since)
    added = {}
    for number in sorted(state.tallies):
        found, _ = _read_rows(connection, state, number, first_new)
        if len(found):
            added[found.algorithm] = found
    gone = {ALGORITHM_NAMES[number]: np.array(sorted(rows), np.int64) for number, rows in sorted(withdrawn.items())}
    for array in gone.values():
        array.setflags(write=False)
    return Changes(since=since, version=state.version, n_entries=state.n_entries, added=added, withdrawn=gone)


def check_history(connection: sqlite3.Connection, state: State, since: int) -> tuple[int, dict[int, list[int]]]:
    """Read and check the history after a version.

    Returns
    -------
    tuple of int and dict
        First row number that ``since`` did not have, and by number of the algorithm the rows of ``since`` that were
        withdrawn.

    Raises
    ------
    ReferenceListError
        If a version is missing or its line is not what was written.
    """
    steps = connection.execute(
        "SELECT version, next_hash, seal FROM change WHERE version > ? ORDER BY version", (since,)
    ).fetchall()
    if [step[0] for step in steps] != list(range(since + 1, state.version + 1)):
        raise damaged()
    first_new = steps[0][1] if steps else state.next_hash
    by_version: dict[int, list[tuple[int, int]]] = {}
    for version, row, algorithm in connection.execute(
        "SELECT version, hash, algorithm FROM withdrawn WHERE version > ? ORDER BY version, hash", (since,)
    ):
        by_version.setdefault(version, []).append((row, algorithm))
    withdrawn: dict[int, list[int]] = {}
    for version, next_hash, expected in steps:
        rows = by_version.pop(version, [])
        if change_seal(state.uuid, version, next_hash, rows) != expected:
            raise damaged()
        for row, algorithm in rows:
            if row < first_new:
                withdrawn.setdefault(algorithm, []).append(row)
    if by_version:
        raise damaged()
    return first_new, withdrawn


def change_seal(uuid: bytes, version: int, next_hash: int, withdrawn: Iterable[tuple[int, int]]) -> int:
    """Check value of one version's line in the history; ``withdrawn`` holds row and algorithm in ascending order."""
    text = ";".join(f"{row},{algorithm}" for row, algorithm in withdrawn)
    return seal(uuid, f"{version};{next_hash};{text}".encode())


def _read_rows(connection: sqlite3.Connection, state: State, number: int, first: int) -> tuple[HashRows, int]:
    """Rows of one algorithm from row id ``first`` on, checked, and the sum of their marks."""
    name = ALGORITHM_NAMES[number]
    width = ALGORITHMS[name].n_bytes
    cursor = connection.execute(
        "SELECT id, entry, source, ifnull(quality, -1), mark, code FROM hash"
        " WHERE id >= ? AND algorithm = ? ORDER BY id",
        (first, number),
    )
    blocks = [np.empty((5, 0), np.int64)]
    codes = []
    mark_sum = 0
    try:
        while rows := cursor.fetchmany(_ROWS_A_STEP):
            *columns, blobs = zip(*rows, strict=True)
            block = np.array(columns, np.int64)
            code = np.frombuffer(b"".join(blobs), np.uint8).reshape(len(rows), width)
            ids, entries, sources, quality, marks = block
            if not np.array_equal(
                marks_of_rows(state.uuid, number, ids, entries, sources, quality.astype(np.int16), code), marks
            ):
                raise damaged()
            mark_sum += sum_of_marks(marks)
            blocks.append(block)
            codes.append(code)
    except (TypeError, ValueError, OverflowError):
        raise damaged() from None
    ids, entries, _, quality, _ = np.concatenate(blocks, axis=1)
    found = HashRows(
        algorithm=name,
        codes=np.concatenate([np.empty((0, width), np.uint8), *codes]),
        hash_ids=ids.copy(),
        entry_keys=entries.copy(),
        quality=quality.astype(np.int16),
    )
    return found, signed(mark_sum)
