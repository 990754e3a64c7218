"""Makers and comparers of reference lists shared by the tests of lists."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np

from hashmatch.algorithms import ALGORITHMS
from hashmatch.hashes import HashValue
from hashmatch.keypoints.points import Keypoints
from hashmatch.keypoints.record import Record
from hashmatch.lists import Entry, ReferenceList

_WRITE_AND_DIE = """
import os, sys
sys.path.insert(0, sys.argv[3])
from hashmatch.lists import ReferenceList
from support.list_makers import made_up_entries

ref = ReferenceList.open(sys.argv[1], writable=True)
ref.add_many(made_up_entries(int(sys.argv[2]), 100))
os._exit(0)
"""


def made_up(number: int, algorithm: str = "pdq") -> HashValue:
    """Make the hash of this number; other numbers give other hashes."""
    rng = np.random.default_rng([number, ALGORITHMS[algorithm].n_bits])
    if algorithm == "keypoint":
        return made_up_record(number, n_points=3 + number % 5)
    return HashValue(algorithm, rng.bytes(ALGORITHMS[algorithm].n_bytes))


def made_up_record(number: int, n_points: int = 190, side: int = 9) -> HashValue:
    """Make the keypoint record of this number: points anywhere, random codes, a field of ``side`` x ``side`` cells.

    It has 3,834 bytes by default; without cells there is no field.
    """
    rng = np.random.default_rng([number, n_points, side])
    x, y = rng.uniform(0, 512, (2, n_points)).astype(np.float32)
    sigma = rng.uniform(1, 30, n_points).astype(np.float32)
    angle = rng.uniform(0, 6.28, n_points).astype(np.float32)
    codes = rng.integers(0, 256, (n_points, 16), dtype=np.uint8)
    field = bytes((side, side)) + rng.bytes((2 * side * (side - 1) + 7) // 8) if side else b""
    record = Record(Keypoints(512.0, 512.0, x, y, sigma, angle, codes), field, None)
    return HashValue("keypoint", record.to_bytes())


def made_up_entries(count: int, first: int = 0) -> list[Entry]:
    """Entries of one hash, named by their number."""
    return [Entry.of(f"entry-{i}", hashes=[made_up(i)]) for i in range(first, first + count)]


def small_list(path: Path, *, records: bool = True) -> None:
    """Make a list that has something in every table; but for that of the records if so asked."""
    with ReferenceList.create(path, name="small") as ref:
        for i in range(12):
            hashes = [made_up(i), made_up(i, "md5"), made_up(i, "dhash")]
            ref.add(f"entry-{i}", hashes=hashes, source="one", labels={"class": "A1"}, quality=50 + i)
        ref.add("entry-3", hashes=[made_up(3), made_up(99, "photodna")], source="two", labels={"level": "x"})
        if records:
            ref.add_many(Entry.of(f"entry-{i}", hashes=[made_up(i, "keypoint")], source="one") for i in range(2, 9))
            ref.add("entry-4", hashes=[made_up(4, "keypoint"), made_up(14, "keypoint")], source="two", quality=30)
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
        records = {
            name: [
                (list(block), block.hash_ids.tolist(), block.entry_keys.tolist(), block.quality.tolist())
                for block in stream
            ]
            for name, stream in snapshot.records.items()
        }
        return (
            ref.info(),
            [(entry, entry.key) for entry in ref],
            (snapshot.list_id, snapshot.version, snapshot.n_entries, arrays, records),
            {name: rows.hash_ids.tolist() for name, rows in changes.added.items()},
            {name: [block.hash_ids.tolist() for block in stream] for name, stream in changes.records.items()},
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


def written_and_killed(path: Path, count: int = 3) -> None:
    """Let a process add entries to a list and end without closing it."""
    command = [sys.executable, "-c", _WRITE_AND_DIE, str(path), str(count), str(Path(__file__).parents[1])]
    subprocess.run(command, check=True)
    assert os.stat(f"{path}-wal").st_size > 0


def made_list(path: Path, count: int = 5) -> Path:
    """Make a list of some entries."""
    with ReferenceList.create(path, name=path.stem) as ref:
        ref.add_many(made_up_entries(count))
    return path


def ids_of(path: Path) -> list[str]:
    """Read all ids, after the full check."""
    with ReferenceList.open(path, check="full") as ref:
        return sorted(entry.entry_id for entry in ref)
