"""What stands beside a list: its own log is recovered, nothing else is ever replayed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch.errors import ReferenceListError
from hashmatch.lists import ReferenceList
from support.list_makers import ids_of, made_list, made_up, side_files, written_and_killed


def refused(path: Path, match: str) -> None:
    """Hold that a list is refused however it is opened, and that everything stays as it was."""
    before = {item.name: item.read_bytes() for item in path.parent.iterdir() if item.is_file()}
    for writable in (False, True):
        with pytest.raises(ReferenceListError, match=match):
            ReferenceList.open(path, writable=writable, timeout=0.1)
    with pytest.raises(ReferenceListError, match="list recover"):
        ReferenceList.open(path, timeout=0.1)
    assert before == {item.name: item.read_bytes() for item in path.parent.iterdir() if item.is_file()}


@pytest.mark.parametrize("writable", [False, True])
def test_a_killed_writers_log_is_recovered(tmp_path: Path, writable: bool) -> None:
    """What was committed is there, for a reader and for a writer; the writer leaves one file."""
    path = made_list(tmp_path / "list.hashmatch")
    written_and_killed(path)
    assert side_files(path) == ["list.hashmatch-shm", "list.hashmatch-tie", "list.hashmatch-wal"]
    with ReferenceList.open(path, writable=writable, check="full") as ref:
        assert len(ref) == 8
    if writable:
        assert side_files(path) == []
    assert len(ids_of(path)) == 8


def hot_journal(path: Path, super_journal: Path | None = None) -> bytes:
    """Make the journal of a transaction that sets the list's first page back to what it is now, as SQLite would."""
    page = path.read_bytes()[:4096]
    nonce = 7
    checksum = (nonce + sum(page[i] for i in range(4096 - 200, 0, -200))) & 0xFFFFFFFF
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">5I", 1, nonce, path.stat().st_size // 4096, 512, 4096)
    body = head.ljust(512, b"\0") + struct.pack(">I", 1) + page + struct.pack(">I", checksum)
    if super_journal is not None:
        name = os.fsencode(super_journal)
        tail = struct.pack(">I", 2**30 // 4096 + 1) + name
        tail += struct.pack(">2I", len(name), sum(name)) + bytes.fromhex("d9d505f920a163d7")
        body += tail
    return body


def test_a_journal_is_refused(tmp_path: Path) -> None:
    """A hot journal neither rolls a list back nor deletes the file elsewhere that it names."""
    folder, elsewhere = tmp_path / "delivered", tmp_path / "elsewhere"
    folder.mkdir()
    path = made_list(folder / "list.hashmatch")
    journal = Path(f"{path}-journal")
    for name in (None, elsewhere):
        old = hot_journal(path, name)
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("later" if name is None else "latest", hashes=[made_up(77)])
        journal.write_bytes(old)
        elsewhere.write_bytes(b"of another program")
        refused(path, "rollback journal")
        assert elsewhere.exists()
        with pytest.raises(ReferenceListError, match="never is"):
            ReferenceList.recover(path, keep_log=True)
        ReferenceList.recover(path, keep_log=False)
        assert side_files(path) == []
        assert elsewhere.exists()
    assert len(ids_of(path)) == 7


def test_the_journal_of_that_test_would_be_replayed(tmp_path: Path) -> None:
    """SQLite by itself takes such a journal for one of its own: the test above can fail."""
    path = made_list(tmp_path / "list.hashmatch")
    Path(f"{path}-journal").write_bytes(hot_journal(path))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM state").fetchone()
    assert side_files(path) == []


def other_log(path: Path, folder: Path) -> None:
    """Put the log of another list there."""
    other = made_list(folder / "other.hashmatch", 9)
    written_and_killed(other, 2)
    shutil.copyfile(f"{other}-wal", f"{path}-wal")


def other_pair(path: Path, folder: Path) -> None:
    """Put the log, the shared memory and the tie of another list there."""
    other_log(path, folder)
    shutil.copyfile(folder / "other.hashmatch-shm", f"{path}-shm")
    shutil.copyfile(folder / "other.hashmatch-tie", f"{path}-tie")


def own_log_elsewhere(path: Path, folder: Path) -> None:
    """Put a log of a copy of this very list there, with its tie."""
    copy = Path(shutil.copyfile(path, folder / "copy.hashmatch"))
    written_and_killed(copy)
    for ending in ("-wal", "-tie"):
        shutil.copyfile(f"{copy}{ending}", f"{path}{ending}")


@pytest.mark.parametrize("put", [other_log, other_pair, own_log_elsewhere])
def test_a_log_from_elsewhere_is_refused(tmp_path: Path, put: Callable[[Path, Path], None]) -> None:
    """Another list's log, with whatever is delivered beside it, is not replayed by readers or writers."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = made_list(tmp_path / "list.hashmatch")
    put(path, folder)
    refused(path, "log .* was not written for this file")
    info = ReferenceList.recover(path, keep_log=False)
    assert info.entries == 5
    assert side_files(path) == []
    assert len(ids_of(path)) == 5


def test_a_log_copied_over_the_own_is_refused(tmp_path: Path) -> None:
    """The file number of a log may be its own's and what it holds another list's, or an older state of the list."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = made_list(tmp_path / "list.hashmatch")
    written_and_killed(path)
    number, older = os.stat(f"{path}-wal").st_ino, Path(f"{path}-wal").read_bytes()
    other_log(path, folder)
    assert os.stat(f"{path}-wal").st_ino == number
    Path(f"{path}-shm").unlink()
    with pytest.raises(ReferenceListError, match="was not written for this file"):
        ReferenceList.open(path)
    with pytest.raises(ReferenceListError, match="was not written for this file"):
        ReferenceList.open(path, writable=True)
    Path(f"{path}-wal").write_bytes(older)
    Path(f"{path}-shm").unlink(missing_ok=True)
    with ReferenceList.open(path, writable=True) as ref:
        ref.add("later", hashes=[made_up(1)])
    assert len(ids_of(path)) == 9


def test_an_older_log_of_the_list_is_refused(tmp_path: Path) -> None:
    """A log that would set the list back is refused even where its file number is right."""
    path = made_list(tmp_path / "list.hashmatch")
    written_and_killed(path)
    older = Path(f"{path}-wal").read_bytes()
    with ReferenceList.open(path, writable=True) as ref:
        ref.add("later", hashes=[made_up(1)])
    written_and_killed(path, 6)
    Path(f"{path}-wal").write_bytes(older)
    Path(f"{path}-shm").unlink()
    for writable in (False, True):
        with pytest.raises(ReferenceListError, match="not written for this file"):
            ReferenceList.open(path, writable=writable)
    assert ReferenceList.recover(path, keep_log=False).entries == 9


def test_a_list_is_not_made_beside_an_earlier_log(tmp_path: Path) -> None:
    """What stands beside the path of a list that is gone is not taken for the new one's."""
    path = made_list(tmp_path / "list.hashmatch")
    written_and_killed(path)
    path.unlink()
    with pytest.raises(ReferenceListError, match="stand beside this path"):
        ReferenceList.create(path, name="x")
    assert not path.exists()


def test_a_list_and_its_log_copied_together(tmp_path: Path) -> None:
    """They are refused, taken over when asked to, and then everything committed is there."""
    (tmp_path / "copy").mkdir()
    path, copy = made_list(tmp_path / "list.hashmatch"), tmp_path / "copy" / "list.hashmatch"
    written_and_killed(path)
    for ending in ("", "-wal", "-shm", "-tie"):
        shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
    refused(copy, "was not written for this file")
    assert ReferenceList.recover(copy, keep_log=True).entries == 8
    assert side_files(copy) == []
    assert len(ids_of(copy)) == 8
    assert len(ids_of(path)) == 8


def test_another_lists_log_is_never_taken_over(tmp_path: Path) -> None:
    """Also not when asked to; everything stays as it was."""
    (tmp_path / "elsewhere").mkdir()
    path = made_list(tmp_path / "list.hashmatch")
    other_log(path, tmp_path / "elsewhere")
    with pytest.raises(ReferenceListError, match=r"not written for this file|damaged"):
        ReferenceList.recover(path, keep_log=True)
    refused(path, "was not written for this file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO here")
@pytest.mark.parametrize("ending", ["-wal", "-shm", "-tie", "-journal"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "loop"])
def test_side_files_of_other_kinds(tmp_path: Path, ending: str, kind: str) -> None:
    """A FIFO, a folder or a link beside a list is neither opened nor followed, and nobody waits for it."""
    path, elsewhere = made_list(tmp_path / "list.hashmatch"), tmp_path / "elsewhere"
    elsewhere.write_bytes(b"of another program")
    side = Path(f"{path}{ending}")
    if kind == "fifo":
        os.mkfifo(side)
    elif kind == "folder":
        side.mkdir()
    else:
        side.symlink_to(elsewhere if kind == "link" else side)
    if ending == "-tie":  # nothing stands there that it would tie
        assert len(ids_of(path)) == 5
    else:
        refused(path, "list recover")
    assert elsewhere.read_bytes() == b"of another program"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO here")
def test_paths_of_other_kinds(tmp_path: Path) -> None:
    """A FIFO, a device or a loop of links is refused at once; a link to a list is the list."""
    path = made_list(tmp_path / "list.hashmatch")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in (tmp_path / "fifo", tmp_path / "loop", Path("/dev/zero"), Path("/dev/null")):
        for writable in (False, True):
            with pytest.raises(ReferenceListError):
                ReferenceList.open(name, writable=writable)
    (tmp_path / "sub").mkdir()
    link = tmp_path / "sub" / "link.hashmatch"
    link.symlink_to(path)
    written_and_killed(path)
    with ReferenceList.open(link, writable=True) as ref:
        assert len(ref) == 8
    assert side_files(link) == side_files(path) == []


@pytest.mark.skipif(not hasattr(os, "chown") or os.getuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("ending", ["-wal", "-tie"])
def test_side_files_of_other_users(tmp_path: Path, ending: str) -> None:
    """A log that a user has written who may not write the list is not replayed, nor one that he may write."""
    path = made_list(tmp_path / "list.hashmatch")
    written_and_killed(path)
    side = Path(f"{path}{ending}")
    os.chown(side, 12_345, 12_345)
    refused(path, "no regular file, or belongs to")
    os.chown(side, 0, 0)
    side.chmod(0o666)
    refused(path, "may be written by others")
    side.chmod(0o600)
    assert len(ids_of(path)) == 8


def test_a_writer_writes_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing named -journal is there after any statement of creating, writing, compacting and closing."""
    seen: set[str] = set()
    real = sqlite3.connect

    def watched(*given: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*given, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(lambda _: seen.update(os.listdir(tmp_path)))
        return connection

    monkeypatch.setattr(sqlite3, "connect", watched)
    path = made_list(tmp_path / "list.hashmatch")
    with ReferenceList.open(path, writable=True) as ref:
        ref.withdraw("entry-1")
        ref.compact()
    assert seen == {"list.hashmatch", *(f"list.hashmatch{ending}" for ending in ("-wal", "-shm", "-tie"))}
    assert side_files(path) == []


def test_a_schema_without_end_is_refused(tmp_path: Path) -> None:
    """300,000 tables are refused after the first few hundred steps, not after they were all read."""
    path = made_list(tmp_path / "list.hashmatch")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        rows = ((f"t{i}", f"t{i}", 2, f"CREATE TABLE t{i}(a)") for i in range(300_000))
        connection.executemany("INSERT INTO sqlite_master VALUES ('table', ?, ?, ?, ?)", rows)
    for writable in (False, True):
        with pytest.raises(ReferenceListError, match="no hashmatch made"):
            ReferenceList.open(path, writable=writable)
    assert side_files(path) == []


def test_a_log_that_appears_beside_a_reader_is_refused(tmp_path: Path) -> None:
    """Another list's log that is put there while a list is open is not read as its own."""
    (tmp_path / "elsewhere").mkdir()
    path = made_list(tmp_path / "list.hashmatch")
    with ReferenceList.open(path, timeout=0.1) as ref:
        assert len(ref) == 5
        other_log(path, tmp_path / "elsewhere")
        for read in (lambda: len(ref), ref.snapshot, lambda: ref.get("entry-1")):
            with pytest.raises(ReferenceListError):
                read()
