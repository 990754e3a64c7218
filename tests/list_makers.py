"""Makers and comparers of reference lists shared by the tests of lists."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np

from hashmatch.algorithms import ALGORITHMS
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ReferenceList


def made_up(number: int, algorithm: str = "pdq") -> HashValue:
    """Make the hash of this number; other numbers give other hashes."""
    rng = np.random.default_rng([number, ALGORITHMS[algorithm].n_bits])
    return HashValue(algorithm, rng.bytes(ALGORITHMS[algorithm].n_bytes))


def made_up_entries(count: int, first: int = 0) -> list[Entry]:
    """Entries of one hash, named by their number."""
    return [Entry.of(f"entry-{i}", hashes=[made_up(i)]) for i in range(first, first + count)]


def small_list(path: Path) -> None:
    """Make a list that has something in every table."""
    with ReferenceList.create(path, name="small") as ref:
        for i in range(12):
            hashes = [made_up(i), made_up(i, "md5"), made_up(i, "dhash")]
            ref.add(f"entry-{i}", hashes=hashes, source="one", labels={"class": "A1"}, quality=50 + i)
        ref.add("entry-3", hashes=[made_up(3), made_up(99, "photodna")], source="two", labels={"level": "x"})
        ref.withdraw("entry-5", source="one")
        ref.withdraw("entry-3", source="one")


def content(path: Path, check: str = "full") -> object:
    """Everything that can be read from a list, in a form that compares."""
    with ReferenceList.open(path, check=check) as ref:  # type: ignore[arg-type]
        snapshot = ref.snapshot()
        arrays = {
            name: (rows.codes.tobytes(), rows.hash_ids.tolist(), rows.entry_keys.tolist(), rows.quality.tolist())
            for name, rows in snapshot.rows.items()
        }
        changes = ref.changes_since(3)
        assert changes is not None
        return (
            ref.info(),
            [(entry, entry.key) for entry in ref],
            (snapshot.list_id, snapshot.version, snapshot.n_entries, arrays),
            {name: rows.hash_ids.tolist() for name, rows in changes.added.items()},
            {name: rows.tolist() for name, rows in changes.withdrawn.items()},
        )


def tampered(path: Path, copy: Path, *statements: str) -> Path:
    """Make a copy of a list on which another program ran these SQL statements."""
    shutil.copyfile(path, copy)
    connection = sqlite3.connect(copy)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return copy


def side_files(path: Path) -> list[str]:
    """Names of what SQLite keeps beside a list."""
    return sorted(item.name for item in path.parent.iterdir() if item.name.startswith(path.name) and item != path)
