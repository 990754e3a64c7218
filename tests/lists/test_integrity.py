"""Files that are not sound lists: each gives a typed error that says what to do, or is read as it was written."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.file.checksums import marks_of_rows
from hashmatch.lists.file.sql_tables import ALGORITHM_NUMBERS, RECORD_NUMBERS
from support.list_makers import content, made_up, made_up_entries, small_list, tampered


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small list with something in every table."""
    path = tmp_path_factory.mktemp("sound") / "small.hashmatch"
    small_list(path)
    return path


def test_a_sound_list_verifies(sound: Path) -> None:
    """Every table of the sample has rows, and the full check passes."""
    with ReferenceList.open(sound, check="full") as ref:
        assert ref.verify() == ref.info()
    connection = sqlite3.connect(sound)
    for table in (
        "state",
        "tally",
        "source",
        "entry",
        "hash",
        "record",
        "label",
        "change",
        "withdrawn",
        "digest",
        "changed",
    ):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0  # noqa: S608
    connection.close()


@pytest.mark.parametrize("seed", range(4))
def test_any_changed_byte_is_found_or_changes_nothing(sound: Path, tmp_path: Path, seed: int) -> None:
    """With one byte changed a list gives a typed error, or exactly what was written."""
    rng = random.Random(seed)
    data, expected = sound.read_bytes(), content(sound)
    copy = tmp_path / "copy.hashmatch"
    refused = 0
    for _ in range(60):
        at = rng.randrange(100) if rng.random() < 0.2 else rng.randrange(len(data))
        changed = bytearray(data)
        changed[at] ^= 1 << rng.randrange(8)
        copy.write_bytes(changed)
        try:
            found = content(copy)
        except ReferenceListError:
            refused += 1
        else:
            assert found == expected
    assert refused > 0


def test_a_changed_byte_never_reaches_a_reader(sound: Path, tmp_path: Path) -> None:
    """Without the full check, every byte of every hash and label changed in turn stops what would hand it out."""
    data, expected = sound.read_bytes(), content(sound, "none")
    copy = tmp_path / "copy.hashmatch"
    targets = [made_up(1).data, made_up(99, "photodna").data, made_up(14, "keypoint").data]
    targets += [b"entry-7", b"class", b"small", b"one"]
    for target in targets:
        first = data.index(target)
        for at in range(first, first + len(target), 5):
            changed = bytearray(data)
            changed[at] ^= 0x01
            copy.write_bytes(changed)
            try:
                found = content(copy, "none")
            except ReferenceListError:
                continue
            assert found == expected


def test_a_cut_file_is_refused(sound: Path, tmp_path: Path) -> None:
    """A list cut short anywhere is refused at opening."""
    data = sound.read_bytes()
    copy = tmp_path / "copy.hashmatch"
    for size in [1, 15, 16, 99, 100, 512, *range(4096, len(data), 4096), len(data) - 4095, len(data) - 1]:
        copy.write_bytes(data[:size])
        with pytest.raises(ReferenceListError):
            ReferenceList.open(copy, check="none")


def test_appended_bytes_are_refused(sound: Path, tmp_path: Path) -> None:
    """A file cannot be hidden behind a list."""
    copy = tmp_path / "copy.hashmatch"
    for more in (b"x", bytes(4096)):
        copy.write_bytes(sound.read_bytes() + more)
        for writable in (False, True):
            with pytest.raises(ReferenceListError, match="damaged"):
                ReferenceList.open(copy, writable=writable, check="none")


@pytest.mark.parametrize("data", [b"", b"hello\n" * 1000, b"\x89PNG\r\n\x1a\n" + bytes(5000), bytes(100_000)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    """An empty file, a text, a picture or zeros are not a list, and stay as they were."""
    path = tmp_path / "other"
    path.write_bytes(data)
    for writable in (False, True):
        with pytest.raises(ReferenceListError):
            ReferenceList.open(path, writable=writable)
    assert path.read_bytes() == data
    assert [item.name for item in tmp_path.iterdir()] == ["other"]


def test_paths_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    """A missing file names the way to make one; a folder is named as such; neither makes a file."""
    for writable in (False, True):
        with pytest.raises(ReferenceListError, match=r"ReferenceList\.create"):
            ReferenceList.open(tmp_path / "missing", writable=writable)
        with pytest.raises(ReferenceListError, match="folder"):
            ReferenceList.open(tmp_path, writable=writable)
    with pytest.raises(ReferenceListError):
        ReferenceList.open("a\x00b")
    assert not list(tmp_path.iterdir())


def test_odd_paths_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Question marks, percent signs, blanks and relative paths mean themselves."""
    monkeypatch.chdir(tmp_path)
    with ReferenceList.create("a?mode=memory&b%20 #c é.hashmatch", name="odd") as ref:
        ref.add("entry-1", hashes=[made_up(1)])
    assert [item.name for item in tmp_path.iterdir()] == ["a?mode=memory&b%20 #c é.hashmatch"]


def test_another_version_is_named(sound: Path, tmp_path: Path) -> None:
    """A list of another format says which version it is, which can be read, and what to do."""
    copy = tampered(sound, tmp_path / "copy", "PRAGMA user_version = 6")
    with pytest.raises(ReferenceListError, match=r"version 6 .* reads version 5: update hashmatch"):
        ReferenceList.open(copy)
    for old in (1, 2, 3):
        copy = tampered(sound, tmp_path / "copy", f"PRAGMA user_version = {old}")
        for writable in (False, True):
            with pytest.raises(ReferenceListError, match=rf"version {old}, from before .* again from its sources"):
                ReferenceList.open(copy, writable=writable)
    copy = tampered(sound, tmp_path / "copy", "PRAGMA user_version = 0")
    with pytest.raises(ReferenceListError, match="version 0, which never existed"):
        ReferenceList.open(copy)


def test_a_foreign_database_is_refused(sound: Path, tmp_path: Path) -> None:
    """Another application's SQLite file is not a list."""
    with pytest.raises(ReferenceListError, match="not a hashmatch list"):
        ReferenceList.open(tampered(sound, tmp_path / "copy", "PRAGMA application_id = 7"))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM hash; END",
        "CREATE VIEW v AS SELECT code FROM hash",
        "CREATE TABLE picture (data BLOB)",
        "CREATE INDEX i ON hash (code)",
        "CREATE INDEX i ON record (code)",
        "DROP TABLE record",
        "DROP TABLE changed",
        "DROP INDEX hash_of_entry",
        "ALTER TABLE hash ADD COLUMN thumbnail BLOB",
        "ANALYZE",
    ],
)
def test_a_foreign_schema_is_refused(sound: Path, tmp_path: Path, statement: str) -> None:
    """A table, view, trigger or index that hashmatch did not make is refused before anything runs."""
    for writable in (False, True):
        with pytest.raises(ReferenceListError, match="no hashmatch made"):
            ReferenceList.open(tampered(sound, tmp_path / "copy", statement), writable=writable)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM hash WHERE id = 1",
        "DELETE FROM label WHERE entry = 1",
        "DELETE FROM entry WHERE key = 2",
        "DELETE FROM withdrawn",
        "DELETE FROM change WHERE version = 2",
        "DELETE FROM tally WHERE algorithm = 1",
        "DELETE FROM source",
        "DELETE FROM state",
        "UPDATE hash SET code = zeroblob(32) WHERE id = 4",
        "UPDATE hash SET entry = 2 WHERE id = 1",
        "UPDATE hash SET source = 2 WHERE id = 1",
        "UPDATE hash SET quality = NULL WHERE id = 1",
        "UPDATE hash SET mark = mark + 1 WHERE id = 1",
        "UPDATE label SET value = 'A2' WHERE entry = 1",
        "UPDATE label SET source = 2 WHERE entry = 1",
        "UPDATE entry SET entry_id = 'other' WHERE key = 1",
        "UPDATE source SET name = 'other' WHERE id = 1",
        "UPDATE state SET version = version + 1",
        "UPDATE state SET n_entries = n_entries - 1",
        "UPDATE state SET name = 'other'",
        "DELETE FROM record WHERE id = (SELECT max(id) FROM record)",
        "UPDATE record SET code = zeroblob(77) WHERE id = (SELECT min(id) FROM record)",
        "UPDATE record SET entry = 2",
        "UPDATE record SET quality = 31 WHERE quality = 30",
        "UPDATE record SET mark = mark + 1 WHERE id = (SELECT max(id) FROM record)",
        "UPDATE record SET id = id + 500",
        "INSERT INTO record SELECT 999, entry, source, algorithm, quality, mark, code FROM record LIMIT 1",
        "DELETE FROM tally WHERE algorithm = 14",
        "UPDATE withdrawn SET hash = hash + 500",
        "UPDATE change SET next_hash = 1",
        "INSERT INTO hash SELECT 999, entry, source, algorithm, quality, code, mark FROM hash WHERE id = 1",
        "INSERT INTO label VALUES (777, 1, 'class', 'A1')",
        "INSERT INTO withdrawn VALUES (1, 4, 1)",
        "DELETE FROM digest",
        "DELETE FROM digest WHERE version = 0",
        "DELETE FROM digest WHERE version = 3",
        "UPDATE digest SET content = zeroblob(32) WHERE version = 3",
        "UPDATE digest SET seal_sum = seal_sum + 1 WHERE version = 3",
        "UPDATE digest SET first = 1 WHERE version > 0",
        "UPDATE digest SET version = version + 100 WHERE version = 0",
        "INSERT INTO digest SELECT 900, first, content, seal_sum, seal FROM digest WHERE version = 3",
        "DELETE FROM changed",
        "UPDATE changed SET version = version - 1",
        "UPDATE changed SET entry = 777 WHERE entry = (SELECT min(entry) FROM changed)",
        "INSERT INTO changed VALUES (777, 1)",
    ],
)
def test_rows_changed_by_another_program_are_found(sound: Path, tmp_path: Path, statement: str) -> None:
    """The full check finds every row that is missing, surplus or changed, though SQLite finds the file sound."""
    copy = tampered(sound, tmp_path / "copy", statement)
    with pytest.raises(ReferenceListError, match="damaged"):
        ReferenceList.open(copy, check="full")


def test_rows_of_another_list_are_found(sound: Path, tmp_path: Path) -> None:
    """Check values carry the list's identity, so a row copied from another list does not pass."""
    other = tmp_path / "other.hashmatch"
    small_list(other)
    copy = tampered(sound, tmp_path / "copy", f"ATTACH '{other}' AS o", "REPLACE INTO hash SELECT * FROM o.hash")
    with pytest.raises(ReferenceListError, match="damaged"):
        ReferenceList.open(copy, check="full")


def test_a_loop_that_misses_an_entry_says_so(sound: Path, tmp_path: Path) -> None:
    """Even with no check at opening, a loop over a list that lost an entry does not end as if all were there."""
    copy = tampered(sound, tmp_path / "copy", "DELETE FROM entry WHERE key = 8")
    with ReferenceList.open(copy, check="none") as ref, pytest.raises(ReferenceListError, match="damaged"):
        list(ref)


def test_a_damaged_entry_is_not_changed(sound: Path, tmp_path: Path) -> None:
    """Writing to an entry that is damaged is refused instead of sealing the damage."""
    copy = tampered(sound, tmp_path / "copy", "UPDATE label SET value = 'A2' WHERE entry = 1")
    with ReferenceList.open(copy, writable=True) as ref:
        for change in (
            lambda: ref.add("entry-0", hashes=[made_up(50)]),
            lambda: ref.withdraw("entry-0", source="one"),
            lambda: ref.relabel("entry-0", source="one", labels={}),
        ):
            with pytest.raises(ReferenceListError, match="damaged"):
                change()


def test_the_schema_holds_nothing_else(sound: Path, tmp_path: Path) -> None:
    """SQLite itself refuses hashes of another length, long texts and values of another type."""
    shutil.copyfile(sound, tmp_path / "copy")
    connection = sqlite3.connect(tmp_path / "copy")
    for statement in (
        "INSERT INTO hash VALUES (900, 1, 1, 1, NULL, zeroblob(33), 0)",
        "INSERT INTO hash VALUES (900, 1, 1, 14, NULL, zeroblob(32), 0)",
        "INSERT INTO hash VALUES (900, 1, 1, 1, NULL, 'text of thirty-two characters!!!', 0)",
        "INSERT INTO hash VALUES (900, 1, 1, 1, 101, zeroblob(32), 0)",
        "INSERT INTO hash VALUES (900, 1, 1, 1, zeroblob(9), zeroblob(32), 0)",
        "INSERT INTO hash VALUES (900, zeroblob(9), 1, 1, 1, zeroblob(32), 0)",
        "INSERT INTO hash VALUES (900, 1, 'text', 1, 1, zeroblob(32), 0)",
        "INSERT INTO hash VALUES (900, 1, 1, zeroblob(1), 1, zeroblob(32), 0)",
        "INSERT INTO hash VALUES (900, 1, 1, 1, 1, zeroblob(32), zeroblob(99))",
        "INSERT INTO record VALUES (900, 1, 1, 1, NULL, 0, zeroblob(32))",
        "INSERT INTO record VALUES (900, 1, 1, 14, NULL, 0, zeroblob(4097))",
        "INSERT INTO record VALUES (900, 1, 1, 14, NULL, 0, zeroblob(0))",
        "INSERT INTO record VALUES (900, 1, 1, 14, NULL, 0, hex(zeroblob(99)))",
        "INSERT INTO record VALUES (900, 1, 1, 14, NULL, 0, NULL)",
        "INSERT INTO record VALUES (900, 1, 1, 14, 101, 0, zeroblob(99))",
        "INSERT INTO record VALUES (900, 1, 1, 14, zeroblob(9), 0, zeroblob(99))",
        "INSERT INTO record VALUES (900, 1, 1, zeroblob(9), 1, 0, zeroblob(99))",
        "INSERT INTO record VALUES (900, 1, zeroblob(9), 14, 1, 0, zeroblob(99))",
        "INSERT INTO record VALUES (900, zeroblob(9), 1, 14, 1, 0, zeroblob(99))",
        "INSERT INTO record VALUES (900, 1, 1, 14, 1, zeroblob(9), zeroblob(99))",
        "INSERT INTO tally VALUES (15, 0, 0)",
        "INSERT INTO change VALUES (900, zeroblob(99), 0)",
        "INSERT INTO change VALUES (900, 0, 'text')",
        "INSERT INTO withdrawn VALUES (900, 'text', 0)",
        "INSERT INTO withdrawn VALUES (zeroblob(99), 1, 0)",
        "INSERT INTO label VALUES (zeroblob(99), 1, 'x', 'y')",
        "INSERT INTO label VALUES (1, 'text', 'x', 'y')",
        "INSERT INTO label VALUES (1, 1, zeroblob(9), 'y')",
        "INSERT INTO entry VALUES (900, 'x', zeroblob(99))",
        "INSERT INTO label VALUES (1, 1, 'x', hex(zeroblob(200)))",
        "INSERT INTO label VALUES (1, 1, 'x', zeroblob(20))",
        "INSERT INTO entry VALUES (900, hex(zeroblob(200)), 0)",
        "INSERT INTO entry VALUES (900, zeroblob(20), 0)",
        "UPDATE source SET name = hex(zeroblob(50))",
        "UPDATE state SET uuid = zeroblob(100)",
        "UPDATE tally SET mark_sum = zeroblob(100)",
        "UPDATE digest SET content = zeroblob(33)",
        "UPDATE digest SET content = 'text of thirty-two characters!!!'",
        "UPDATE digest SET seal_sum = 'text'",
        "UPDATE digest SET first = zeroblob(9)",
        "UPDATE changed SET version = zeroblob(9)",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    connection.close()


def test_numbers_of_algorithms_are_complete(tmp_path: Path) -> None:
    """Every algorithm has a number in the format, and a hash of each can be stored."""
    assert ALGORITHM_NUMBERS.keys() == ALGORITHMS.keys()
    assert {number for name, number in ALGORITHM_NUMBERS.items() if ALGORITHMS[name].n_bits == 0} == RECORD_NUMBERS
    with ReferenceList.create(tmp_path / "list", name="all") as ref:
        ref.add("entry-1", hashes=[made_up(1, name) for name in ALGORITHMS])
        snapshot = ref.snapshot()
        assert snapshot.rows.keys() | snapshot.records.keys() == set(ALGORITHMS)


def slow_mark(uuid: bytes, algorithm: int, row: int, entry: int, source: int, quality: int, code: bytes) -> int:
    """Mark of one row in plain integers: the judge of `marks_of_rows`."""
    mask = 2**64 - 1
    code = code + bytes(-len(code) % 8)
    words = [int.from_bytes(code[i : i + 8], "little") for i in range(0, len(code), 8)]
    acc = int.from_bytes(uuid[:8], "little")
    for word in [row, entry, source << 16 | algorithm << 8 | (quality + 1), *words]:
        acc = ((acc ^ word) + 0x9E3779B97F4A7C15) & mask
        acc = ((acc ^ (acc >> 30)) * 0xBF58476D1CE4E5B9) & mask
        acc = ((acc ^ (acc >> 27)) * 0x94D049BB133111EB) & mask
        acc ^= acc >> 31
    return acc - 2**64 if acc >= 2**63 else acc


FIXED = [name for name, algorithm in ALGORITHMS.items() if algorithm.n_bits]


@pytest.mark.parametrize("algorithm", FIXED)
def test_marks_equal_their_slow_twin(algorithm: str) -> None:
    """The marks of whole arrays are those of each row by itself."""
    rng = np.random.default_rng(1)
    uuid, number, n = rng.bytes(16), ALGORITHM_NUMBERS[algorithm], 50
    ids, entries, sources = rng.integers(1, 2**40, (3, n))
    sources %= 4096
    quality = rng.integers(-1, 101, n).astype(np.int16)
    codes = rng.integers(0, 256, (n, ALGORITHMS[algorithm].n_bytes), dtype=np.uint8)
    fast = marks_of_rows(uuid, number, ids, entries, sources, quality, codes)
    slow = [
        slow_mark(uuid, number, int(ids[i]), int(entries[i]), int(sources[i]), int(quality[i]), codes[i].tobytes())
        for i in range(n)
    ]
    assert fast.tolist() == slow


def test_a_damaged_row_stops_the_changes(tmp_path: Path) -> None:
    """What an index would add is checked as a snapshot is."""
    path = tmp_path / "list"
    with ReferenceList.create(path, name="x") as ref:
        ref.add_many(made_up_entries(3))
        ref.add_many(made_up_entries(3, 3))
    copy = tampered(path, tmp_path / "copy", "UPDATE hash SET code = zeroblob(32) WHERE id = 5")
    with ReferenceList.open(copy) as ref, pytest.raises(ReferenceListError, match="damaged"):
        ref.changes_since(1)
