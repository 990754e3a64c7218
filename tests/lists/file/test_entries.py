"""Hashes of varying length in a list: keypoint records, kept, streamed, refused when malformed."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import struct
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.lists import AddCounts, Entry, ListedHash, Listing, RecordStream, ReferenceList
from hashmatch.lists.file.checksums import mark_of_record
from support.list_makers import content, made_up, made_up_entries, made_up_record, small_list, tampered


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list, open for writing."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        yield ref


def record_entries(count: int, first: int = 0) -> list[Entry]:
    """Entries of a PDQ hash and a keypoint record, named by their number."""
    return [
        Entry.of(f"entry-{i}", hashes=[made_up(i), made_up(i, "keypoint")], quality=i % 101)
        for i in range(first, first + count)
    ]


def stream_of(ref: ReferenceList) -> RecordStream:
    """Give all keypoint records of the last version."""
    return ref.snapshot().records["keypoint"]


def rows_of(stream: RecordStream, size: int = 7) -> list[tuple[bytes, int, int, int]]:
    """Read a stream as record, row number, entry key and quality."""
    rows = []
    for block in stream.blocks(size):
        assert 1 <= len(block) <= size
        rows += list(
            zip(block, block.hash_ids.tolist(), block.entry_keys.tolist(), block.quality.tolist(), strict=True)
        )
    return rows


def rows_by_entry(ref: ReferenceList) -> list[tuple[bytes, int, int]]:
    """Read the records entry by entry: the judge of a stream."""
    return [
        (item.value.data, entry.key or 0, -1 if item.quality is None else item.quality)
        for entry in ref
        for listing in entry.listings
        for item in listing.hashes
        if item.value.algorithm == "keypoint"
    ]


def test_a_fingerprint_with_keypoints_comes_back(ref: ReferenceList) -> None:
    """Records of several views stand beside the other hashes in the order they were listed, through a new opening."""
    values = [made_up(1), made_up_record(1), made_up(1, "md5"), made_up_record(2, 3), made_up(2)]
    views = tuple(ViewHash(value=value, quality=70 + i) for i, value in enumerate(values))
    assert ref.add("entry-1", fingerprint=Fingerprint(views), labels={"class": "A1"})
    assert not ref.add("entry-1", fingerprint=Fingerprint(views))
    path = ref.path
    ref.close()
    with ReferenceList.open(path, check="full") as again:
        entry = again.entry_by_key(1)
        assert entry == Entry.of("entry-1", fingerprint=Fingerprint(views), labels={"class": "A1"})
        assert entry is not None
        assert entry.hashes == tuple(values)
        assert again.info().hashes == {"pdq": 2, "md5": 1, "keypoint": 2}
        assert again.info().format_version == 4


def test_records_have_sources_as_other_hashes_have(ref: ReferenceList) -> None:
    """Two sources may list one record; each withdraws its own; a new quality makes a new row; history tells."""
    one, two = made_up_record(1), made_up_record(2)
    ref.add("entry-1", hashes=[one], source="one", quality=40)
    ref.add("entry-1", hashes=[one, two], source="two")
    ref.add("entry-1", hashes=[one], source="one", quality=60)
    assert rows_of(stream_of(ref)) == [(one.data, 2, 1, -1), (two.data, 3, 1, -1), (one.data, 4, 1, 60)]
    changes = ref.changes_since(1)
    assert changes is not None
    assert not changes.added
    assert changes.withdrawn["keypoint"].tolist() == [1]
    assert [row[1] for row in rows_of(changes.records["keypoint"])] == [2, 3, 4]
    ref.withdraw("entry-1", source="two")
    assert rows_of(stream_of(ref)) == [(one.data, 4, 1, 60)]
    ref.withdraw("entry-1", source="one")
    assert len(ref) == 0
    assert not ref.snapshot().records
    assert ref.verify().hashes == {}


@pytest.mark.parametrize("size", [1, 2, 10, 33, 34, 1000])
def test_a_stream_is_every_row_once(ref: ReferenceList, size: int) -> None:
    """However large the blocks, a stream gives the rows that the entries have, in order, as often as it is read."""
    ref.add_many(record_entries(33))
    ref.add("entry-5", hashes=[made_up_record(99, 200)], source="two")
    stream = stream_of(ref)
    expected = rows_by_entry(ref)
    for _ in range(2):
        rows = rows_of(stream, size)
        assert sorted((record, key, quality) for record, _, key, quality in rows) == sorted(expected)
        assert [row for _, row, _, _ in rows] == sorted({row for _, row, _, _ in rows})
    assert len(stream) == len(expected) == 34
    blocks = list(stream)
    assert blocks[0].offsets.tolist() == np.cumsum([0, *(len(record) for record in blocks[0])]).tolist()
    for array in (blocks[0].data, blocks[0].offsets, blocks[0].hash_ids, blocks[0].entry_keys, blocks[0].quality):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(ValueError, match="size"):
        stream.blocks(0)


def test_a_snapshot_can_leave_records_out(ref: ReferenceList) -> None:
    """Only what is asked for is there, and it is read when it is iterated over."""
    ref.add_many(record_entries(3))
    assert set(ref.snapshot(["pdq"]).rows) == {"pdq"}
    assert not ref.snapshot(["pdq"]).records
    only = ref.snapshot(["keypoint"])
    assert not only.rows
    assert [len(block) for block in only.records["keypoint"]] == [3]
    assert repr(only) == "<Snapshot of 'demo', version 1, hashes: 3>"


def test_a_stream_belongs_to_its_version(ref: ReferenceList) -> None:
    """What is added meanwhile does not come; what is withdrawn is left out and told by the changes since."""
    ref.add_many(record_entries(20))
    stream = stream_of(ref)
    before = rows_of(stream)
    blocks = stream.blocks(6)
    seen = next(blocks).hash_ids.tolist()
    ref.withdraw_many(["entry-2", "entry-12", "entry-19"])
    ref.add_many(record_entries(5, 50))
    seen += [row for block in blocks for row in block.hash_ids.tolist()]
    changes = ref.changes_since(stream.version)
    assert changes is not None
    gone = changes.withdrawn["keypoint"].tolist()
    assert sorted({*seen, *gone}) == [row for _, row, _, _ in before]
    assert len(seen) == 18
    assert {row for _, row, _, _ in rows_of(changes.records["keypoint"])}.isdisjoint(seen)
    assert (len(stream), stream.version) == (20, 1)


def test_a_stream_of_changes_belongs_to_its_versions(ref: ReferenceList) -> None:
    """The records added between two versions come once, though some of them go while they are read."""
    ref.add_many(record_entries(4))
    ref.add_many(record_entries(9, 4))
    ref.withdraw("entry-6")
    changes = ref.changes_since(1)
    assert changes is not None
    stream = changes.records["keypoint"]
    assert (len(stream), stream.content) == (8, None)
    blocks = stream.blocks(3)
    first = list(next(blocks))
    ref.withdraw_many(["entry-1", "entry-4", "entry-12"])
    found = first + [record for block in blocks for record in block]
    assert found == [made_up(i, "keypoint").data for i in (4, 5, 7, 8, 9, 10, 11)]


def test_writers_do_not_wait_for_a_stream(ref: ReferenceList) -> None:
    """Between two blocks no transaction is open: a writer comes and goes, and the file is compacted."""
    ref.add_many(record_entries(10))
    path = ref.path
    ref.close()
    with ReferenceList.open(path) as reader:
        blocks = stream_of(reader).blocks(4)
        rows = list(next(blocks))
        with ReferenceList.open(path, writable=True, timeout=0.2) as writer:
            writer.add("entry-x", hashes=[made_up(5)])
            writer.compact()
        rows += [record for block in blocks for record in block]
    assert rows == [made_up(i, "keypoint").data for i in range(10)]


def test_a_stream_that_cannot_be_whole_says_so(ref: ReferenceList, tmp_path: Path) -> None:
    """Rows withdrawn and forgotten, a list that was closed and one that was replaced stop a stream."""
    ref.add_many(record_entries(10))
    stream = stream_of(ref)
    ref.withdraw("entry-7")
    ref.compact()
    with pytest.raises(ReferenceListError, match=r"compacted.*another snapshot"):
        list(stream)
    stream = stream_of(ref)
    ref.close()
    with pytest.raises(ReferenceListError, match="closed"):
        list(stream)
    with ReferenceList.open(ref.path) as again:
        stream = stream_of(again)
        small_list(tmp_path / "other")
        (tmp_path / "other").replace(ref.path)
        with pytest.raises(ReferenceListError, match="replaced"):
            list(stream)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM record WHERE id = (SELECT max(id) FROM record)",
        "UPDATE record SET code = zeroblob(94) WHERE id = (SELECT max(id) FROM record)",
        "UPDATE record SET quality = NULL WHERE id = (SELECT min(id) FROM record)",
        "UPDATE record SET entry = 1",
        "INSERT INTO record SELECT 6, entry, source, algorithm, quality, mark, code FROM record LIMIT 1",
    ],
)
def test_a_damaged_record_stops_its_stream(ref: ReferenceList, tmp_path: Path, statement: str) -> None:
    """Every record is checked before it is handed out, and at the end that none was missing."""
    ref.add_many(record_entries(6))
    ref.withdraw("entry-2")
    path = ref.path
    ref.close()
    copy = tampered(path, tmp_path / "copy", statement)
    with ReferenceList.open(copy, check="none") as damaged:
        assert len(damaged.snapshot().rows["pdq"]) == 5
        with pytest.raises(ReferenceListError, match="damaged"):
            rows_of(stream_of(damaged), 2)


def test_content_tells_the_rows(ref: ReferenceList) -> None:
    """It stays while no record comes or goes, also over labels, other hashes and compaction, and else changes."""
    ref.add_many(record_entries(3))
    first = stream_of(ref).content
    ref.add("entry-0", hashes=[made_up(50)], labels={"class": "A1"})
    ref.compact()
    assert stream_of(ref).content == first
    ref.add("entry-1", hashes=[made_up_record(5)])
    second = stream_of(ref).content
    ref.withdraw("entry-1")
    assert len({first, second, stream_of(ref).content}) == 3


def test_a_stream_takes_the_memory_of_a_block(ref: ReferenceList) -> None:
    """Reading 4 MB of records in blocks of 16 takes less than a tenth of it."""
    records = [made_up_record(i).data for i in range(40)]
    values = [HashValue("keypoint", record[:-4] + struct.pack("<I", i)) for i in range(27) for record in records]
    ref.add_many(Entry.of(f"entry-{i}", hashes=[value]) for i, value in enumerate(values))
    stream = stream_of(ref)
    tracemalloc.start()
    try:
        n_bytes = sum(block.data.size for block in stream.blocks(16))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_bytes == sum(len(value.data) for value in values) > 4_000_000
    assert peak < n_bytes / 10


@pytest.mark.long
def test_ten_thousand_records(ref: ReferenceList) -> None:
    """A list of 10,000 entries with 3.8 KB records takes one page a record, verifies and is read in blocks."""
    made = ([made_up(i), made_up_record(i)] for i in range(10_000))
    assert ref.add_many(Entry.of(f"entry-{i}", hashes=hashes) for i, hashes in enumerate(made)).added == 10_000
    assert ref.verify().file_bytes < 10_000 * 4_500
    assert sum(len(block) for block in stream_of(ref)) == 10_000
    found = ref.entry_by_key(9_000)
    assert found is not None
    assert found.hashes == (made_up(8_999), made_up_record(8_999))


MALFORMED = {
    "short": b"\x01" * 5,
    "version": b"\x07" + made_up_record(1).data[1:],
    "cut": made_up_record(1).data[:-1],
    "longer": made_up_record(1).data + b"x",
    "picture": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 15,
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_record_is_refused_at_the_door(ref: ReferenceList, name: str) -> None:
    """Bytes that are no record get in by no call, and the message does not show them."""
    bad = HashValue("keypoint", MALFORMED[name])
    ref.add("entry-0", hashes=[made_up(0)])
    for call in (
        lambda: ref.add("entry-1", hashes=[made_up(1), bad]),
        lambda: ref.add("entry-0", fingerprint=Fingerprint((ViewHash(value=bad),))),
        lambda: ref.add_many([*made_up_entries(3), Entry("entry-9", (Listing("x", (ListedHash(bad),)),))]),
    ):
        with pytest.raises(HashFormatError, match="no keypoint record") as error:
            call()
        assert bad.hex()[:8] not in str(error.value)
        assert error.value.__cause__ is None
    assert (ref.version, len(ref), ref.info().hashes) == (1, 1, {"pdq": 1})


def test_what_a_source_says_of_an_entry_is_bounded_by_merging_too(
    ref: ReferenceList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adding step by step cannot make an entry that could not be read again."""
    for name, limit in (("MAX_HASHES", 40), ("MAX_RECORDS", 20)):
        monkeypatch.setattr(f"hashmatch.lists.entry.{name}", limit)
    monkeypatch.setattr(
        "hashmatch.lists.file.editor.MAX_RECORDS", 20
    )  # the least bound, below which nothing is counted
    labels = {f"n{i}": "x" for i in range(64)}
    ref.add("entry-1", hashes=[made_up(1)], labels=labels)
    with pytest.raises(ReferenceListError, match="labels"):
        ref.add("entry-1", hashes=[made_up(1)], labels={"one more": "x"})
    assert ref.add("entry-1", hashes=[made_up(1)], labels={"n0": "y"})
    many = [HashValue("dhash", i.to_bytes(2, "big") * 4) for i in range(257, 297)]
    ref.add("entry-2", hashes=many)
    with pytest.raises(ReferenceListError, match="1 to 40 hashes, not 41"):
        ref.add("entry-2", hashes=[made_up(1)])
    small = made_up_record(1, 0, 9).data[:-4]
    records = [HashValue("keypoint", small + struct.pack("<I", i)) for i in range(20)]
    ref.add("entry-3", hashes=records)
    with pytest.raises(ReferenceListError, match="20 keypoint records"):
        ref.add("entry-3", hashes=[made_up_record(2)])
    assert ref.add("entry-3", hashes=[made_up_record(2)], source="another")
    with pytest.raises(ReferenceListError, match="20 keypoint records"):
        Entry.of("entry-4", hashes=[*records, made_up_record(2)])
    assert [len(entry.hashes) for entry in ref] == [1, 40, 21]


def test_withdrawn_records_leave_the_file(ref: ReferenceList) -> None:
    """After the writer has closed, nothing of a withdrawn record is in the file, also where it took two pages."""
    canaries = [made_up_record(7), made_up_record(8, 200, 18)]
    ref.add_many(record_entries(20))
    ref.add("canary", hashes=canaries, source="s")
    ref.withdraw("canary", source="s")
    ref.close()
    data = ref.path.read_bytes()
    assert made_up(3, "keypoint").data in data
    for canary in canaries:
        assert not any(canary.data[at : at + 24] in data for at in range(16, len(canary.data) - 24, 24))


def test_the_mark_of_a_record_tells_every_column() -> None:
    """Whatever column of a row changes, or a byte moves from one end of it to the other, the mark is another."""
    arguments = [b"0123456789abcdef", 14, 7, 8, 9, 50, b"\x01some record"]
    others = [b"0123456789abcdeF", 15, 8, 7, 10, None, b"\x01some recorD"]
    marks = {mark_of_record(*arguments)}  # type: ignore[arg-type]
    for place, other in enumerate(others):
        changed = [*arguments[:place], other, *arguments[place + 1 :]]
        marks.add(mark_of_record(*changed))  # type: ignore[arg-type]
    assert len(marks) == 8


def add_and_die(path: Path, at: int) -> None:
    """In a child process, add the first records to a list and be killed after so many steps of SQLite's machine."""
    left = at

    def step() -> int:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    ref = ReferenceList.open(path, writable=True, check="none")
    ref._session._open_connection().set_progress_handler(step, 1)
    ref.add_many(NEW_ENTRIES)
    ref._session._open_connection().set_progress_handler(None, 1)
    ref.close()


NEW_ENTRIES = [
    Entry.of("entry-x", hashes=[made_up_record(1), made_up(60)], labels={"class": "A1"}),
    Entry.of("entry-y", hashes=[made_up(61), made_up_record(2)]),
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_while_it_takes_records(tmp_path: Path) -> None:
    """Killed after any number of steps, the file is as it was, and takes the records when asked again."""
    small = tmp_path / "small"
    small_list(small, records=False)
    before = content(small)
    n_before, version = len(before[1]), before[0].version  # type: ignore[index]
    folder = tmp_path / "copies"
    n_killed = 0
    for at in itertools.count(1, 67):
        folder.mkdir()
        copy = folder / "copy.hashmatch"
        shutil.copyfile(small, copy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            try:
                add_and_die(copy, at)
            finally:
                os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if killed:
            n_killed += 1
            assert content(copy) == before
            with ReferenceList.open(copy, writable=True) as ref:
                assert ref.add_many(NEW_ENTRIES) == AddCounts(added=2)
        with ReferenceList.open(copy, check="full") as ref:
            assert (len(ref), ref.version) == (n_before + 2, version + 1)
            assert list(ref)[-2:] == NEW_ENTRIES
        shutil.rmtree(folder)
        if not killed:
            break
    assert n_killed > 10


def test_verify_finds_what_is_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that a forged writer put in as a record, with every mark right, are found by `verify`."""
    path = tmp_path / "list.hashmatch"
    with monkeypatch.context() as patch:
        patch.setattr("hashmatch.lists.file.editor.check_hash", lambda _: None)
        with ReferenceList.create(path, name="forged") as ref:
            ref.add("entry-1", hashes=[HashValue("keypoint", b"\x07" * 99)])
    with ReferenceList.open(path) as ref, pytest.raises(ReferenceListError, match="damaged"):
        ref.verify()
