"""The history of a list: which rows each version added and withdrew.

Floor: lists. A row's number is never given to another row and a row never changes, so a version is told by the first
number it did not have and the rows withdrawn after it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from hashmatch.lists.file.checksums import seal
from hashmatch.lists.file.entries import State
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import ALGORITHM_NAMES

__all__ = ["change_seal", "check_history"]


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
    # the count first: a forged version may be larger than memory
    if len(steps) != state.version - since or [step[0] for step in steps] != list(range(since + 1, state.version + 1)):
        raise damaged()
    if not all(isinstance(next_hash, int) for _, next_hash, _ in steps):
        raise damaged()
    first_new = steps[0][1] if steps else state.next_hash
    by_version: dict[int, list[tuple[int, int]]] = {}
    for version, row, algorithm in connection.execute(
        "SELECT version, hash, algorithm FROM withdrawn WHERE version > ? ORDER BY version, hash", (since,)
    ):
        if not isinstance(row, int) or algorithm not in ALGORITHM_NAMES or not isinstance(algorithm, int):
            raise damaged()
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
