"""What the fuzzer found once: each case by its seed and number, and the mistake behind it by itself."""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from fuzz.engine import rng_of
from fuzz.targets.lists import reseal

from hashmatch.errors import ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.file.entries import load_records, load_state
from hashmatch.lists.file.history import check_history
from support.list_makers import made_up, small_list

FOUND = [
    ("lists", 11, 1047),  # withdrawing a hash of an algorithm that the list counts none of
    ("lists", 11, 3432),  # a version larger than memory
    ("lists", 13, 1479),  # counters at the end of their range
    ("lists", 22, 4515),  # a version that grows past what SQLite holds
    ("lists", 31, 180),  # a quality that does not fit two bytes
    ("lists", 31, 8029),  # the same while the history is read
    ("lists", 41, 13625),  # and while the hashes are
    ("lists", 31, 14302),  # a page at which SQLite says that memory ran out
    ("lists", 41, 32496),  # a record of no bytes in a row whose checks were switched off
    ("lists", 19, 3),  # a hash of a source that the list does not have, when its entry is changed
    ("bundle", 2, 35296),  # a signed difference by which numbers of entries would be given twice
]


@pytest.mark.parametrize(("target", "seed", "case"), FOUND)
def test_findings_stay_mended(target: str, seed: int, case: int) -> None:
    """The case ends in an outcome, not in an exception."""
    run = import_module(f"fuzz.targets.{target}").case_runner(argparse.Namespace(pillow_sdist=None))
    assert run(rng_of(seed, case), case)


def test_a_forged_version_takes_no_memory(tmp_path: Path) -> None:
    """A history that should have more lines than fit in memory is refused at once."""
    small_list(tmp_path / "list")
    with closing(sqlite3.connect(tmp_path / "list")) as connection:
        state = load_state(connection)
        check_history(connection, state, 0)
        with pytest.raises(ReferenceListError):
            check_history(connection, replace(state, version=2**62), 0)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE hash SET source = 9 WHERE id = 1", "UPDATE label SET source = 9 WHERE entry = 1"],
)
def test_a_source_that_is_not_there_is_damage(tmp_path: Path, statement: str) -> None:
    """The check value of a forged entry is right, and one of its rows names a source that the list does not have."""
    small_list(tmp_path / "list")
    with closing(sqlite3.connect(tmp_path / "list", isolation_level=None)) as connection:
        connection.execute(statement)
        with suppress(ReferenceListError):
            reseal(connection)
        (record,) = load_records(connection, load_state(connection), "key", [1])
        assert {key[0] for key in (*record.hashes, *record.labels)} > {9}
    with ReferenceList.open(tmp_path / "list", writable=True, check="none") as ref:
        for change in (
            lambda: ref.withdraw("entry-0", source="one"),
            lambda: ref.relabel("entry-0", source="one", labels={"class": "B"}),
            lambda: ref.add("entry-0", hashes=[made_up(70)]),
            ref.verify,
        ):
            with pytest.raises(ReferenceListError, match="damaged"):
                change()
