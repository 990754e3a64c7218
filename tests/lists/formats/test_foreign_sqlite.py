"""Databases of other programs: only plain tables are read, nothing of the file is run, and nothing is endless."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.formats import FORMATS, Delivery, Operation, Upsert, reader_of
from support.list_makers import small_list
from support.set_makers import digest, kdb_set, nsrl3_set


def read(kind: str, path: Path) -> list[Operation]:
    """Read a delivery by its path."""
    with path.open("rb") as stream:
        return list(reader_of(FORMATS[kind], stream, Delivery()))


def test_equal_rows_come_once_where_an_index_has_them_in_order(tmp_path: Path) -> None:
    """As they do in sets that have one row a product; without an index they come as they are, in bounded memory."""
    assert len(read("nsrl3", nsrl3_set(tmp_path / "set", range(20), times=3))) == 20
    plain = nsrl3_set(
        tmp_path / "plain",
        [],
        "DROP TABLE FILE",
        "CREATE TABLE FILE (sha256, sha1, md5, package_id)",
        *[f"INSERT INTO FILE VALUES (NULL, '{digest(1, 'sha1').hex()}', '{digest(1).hex()}', {k})" for k in range(3)],  # noqa: S608
    )
    found = read("nsrl3", plain)
    assert len(found) == 3
    assert all(isinstance(item, Upsert) and len(item.entry.hashes) == 2 for item in found)


def test_a_table_may_be_kept_by_its_key(tmp_path: Path) -> None:
    """In any case of letters, without rows numbered by SQLite, and with its text in UTF-16."""
    path = nsrl3_set(
        tmp_path / "set",
        [],
        "DROP TABLE FILE",
        "CREATE TABLE File (MD5 TEXT, note TEXT, PRIMARY KEY (MD5, note)) WITHOUT ROWID",
        *[f"INSERT INTO File VALUES ('{digest(1).hex()}', '{k}')" for k in range(3)],  # noqa: S608
        first="PRAGMA encoding = 'UTF-16'",
    )
    (found,) = read("nsrl3", path)
    assert isinstance(found, Upsert)
    assert found.entry.hashes == (digest(1),)


def test_a_view_is_not_run(tmp_path: Path) -> None:
    """Of a full set the table behind it is read, which has other digests than this view shows."""
    found = read("nsrl3", nsrl3_set(tmp_path / "set", range(3), full=True))
    assert {frozenset(item.entry.hashes) for item in found if isinstance(item, Upsert)} == {
        frozenset(digest(number, name) for name in ("md5", "sha1", "sha256")) for number in range(3)
    }


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (("DROP TABLE FILE",), "no table FILE or METADATA"),
        (("DROP TABLE FILE", "CREATE VIEW FILE AS SELECT 'x' AS md5"), "no table"),
        (("DROP TABLE FILE", "CREATE VIRTUAL TABLE FILE USING fts4(md5)"), "no table"),
        (("DROP TABLE FILE", "CREATE TABLE FILE (name TEXT)"), "none of the columns"),
        (
            ("DROP TABLE FILE", "CREATE TABLE FILE (sha1 TEXT, md5 TEXT AS (hex(zeroblob(60000))))"),
            "columns that are computed",
        ),
    ],
)
def test_nothing_that_runs_is_read(tmp_path: Path, statements: tuple[str, ...], said: str) -> None:
    """A view, a virtual table and a computed column are what a forged file would have."""
    with pytest.raises(HashFormatError, match=said):
        read("nsrl3", nsrl3_set(tmp_path / "set", [1], *statements))


def test_a_trigger_is_not_run(tmp_path: Path) -> None:
    """Nothing is written, so none has a cause."""
    path = kdb_set(tmp_path / "set", [1], "CREATE TRIGGER t AFTER INSERT ON hashes BEGIN DELETE FROM hashes; END")
    before = path.read_bytes()
    assert len(read("kdb", path)) == 1
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["set"]


def test_a_schema_without_end_is_refused(tmp_path: Path) -> None:
    """It would be read before anything else is known."""
    path = kdb_set(tmp_path / "set", [1], *(f"CREATE TABLE t{number} (a)" for number in range(3000)))
    with pytest.raises(HashFormatError, match="more tables"):
        read("kdb", path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_database_that_is_cut_short_fails(tmp_path: Path, share: float) -> None:
    """Also where its first page no longer says how long it is."""
    path = kdb_set(tmp_path / "set", range(400))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(HashFormatError, match="damaged or cut short"):
        read("kdb", path)
    path.write_bytes(data[:24] + b"\xff\xff\xff\xff" + data[28 : int(len(data) * share)])
    with pytest.raises(HashFormatError, match="damaged or cut short"):
        read("kdb", path)


def test_pages_that_lead_to_each_other_end(tmp_path: Path) -> None:
    """A forged tree of six pages has 60**5 leaves; the size of the file bounds the rows that are read of it."""
    path = kdb_set(tmp_path / "set", range(2000))
    data = bytearray(path.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'hashes'").fetchone()
    inner = [root, *[page for page in range(root + 1, len(data) // 512) if data[(page - 1) * 512] == 13][-5:]]
    for page, child in pairwise(inner):
        cells = b"".join(child.to_bytes(4, "big") + bytes((key + 1,)) for key in range(60))
        places = b"".join((212 + 5 * key).to_bytes(2, "big") for key in range(60))
        head = b"\5\0\0" + (60).to_bytes(2, "big") + (212).to_bytes(2, "big") + b"\0" + child.to_bytes(4, "big")
        data[(page - 1) * 512 : page * 512] = (head + places).ljust(212, b"\0") + cells
    path.write_bytes(data)
    found: list[Operation] = []
    with path.open("rb") as stream, pytest.raises(HashFormatError, match="damaged"):
        found.extend(reader_of(FORMATS["kdb"], stream, Delivery()))
    assert 2000 < len(found) <= len(data) // 4


def test_changes_that_are_not_yet_in_the_file_are_not_passed_over(tmp_path: Path) -> None:
    """A log beside it has rows, and the file alone is older."""
    path = kdb_set(tmp_path / "set", [1])
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute(f"INSERT INTO hashes (md5) VALUES (x'{digest(2).hex()}')")  # noqa: S608
    writer.commit()
    with pytest.raises(ReferenceListError, match="-wal"):
        read("kdb", path)
    writer.close()
    assert len(read("kdb", path)) == 2


def test_a_database_needs_a_path(tmp_path: Path) -> None:
    """From a pipe, an archive or memory it is not read, and nothing is written to disk for it."""
    data = kdb_set(tmp_path / "set", [1]).read_bytes()
    with pytest.raises(ReferenceListError, match="file of its own"):
        list(reader_of(FORMATS["kdb"], io.BytesIO(data), Delivery()))
    with (tmp_path / "set").open("rb") as stream:
        kdb_set(tmp_path / "other", [2]).replace(tmp_path / "set")
        with pytest.raises(ReferenceListError, match="file of its own"):
            list(reader_of(FORMATS["kdb"], stream, Delivery()))


def test_other_files_are_named(tmp_path: Path) -> None:
    """A script of changes is never run; one of our lists is no hash set."""
    for text in (b"BEGIN TRANSACTION;\nINSERT INTO FILE VALUES", b"insert into x", b"-- delta\n"):
        (tmp_path / "delta.sql").write_bytes(text)
        with pytest.raises(HashFormatError, match="script of SQL, which is never run"):
            read("nsrl3", tmp_path / "delta.sql")
    (tmp_path / "text").write_bytes(b"hello")
    with pytest.raises(HashFormatError, match="no SQLite database"):
        read("kdb", tmp_path / "text")
    small_list(tmp_path / "list")
    for kind in ("kdb", "nsrl3"):
        with pytest.raises(HashFormatError, match="no table"):
            read(kind, tmp_path / "list")
        assert not FORMATS[kind].load().recognises((tmp_path / "list").read_bytes()[:4096])
