"""One version of a list held still, the content that tells its rows, and the mark that tells a change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hashmatch.errors import ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists import Content, Entry, HashRows, ReferenceList, content_of
from hashmatch.lists.read import rows as snapshot
from support.list_makers import made_up, made_up_entries, small_list, tampered


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Open a list of 40 entries for writing."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="pinned") as made:
        made.add_many(made_up_entries(40))
        yield made


def of_rows(list_id: str, rows: HashRows) -> Content:
    """Content of rows in memory."""
    columns = {name: getattr(rows, name) for name in ("hash_ids", "entry_keys", "source_numbers", "quality", "codes")}
    return content_of(list_id, rows.algorithm, **columns)


def test_a_pinned_version_stays(ref: ReferenceList) -> None:
    """What is read within the block is of one version, whatever is written meanwhile."""
    with ReferenceList.open(ref.path) as reader, reader.pinned() as pinned:
        ref.add("more", hashes=[made_up(99)])
        ref.withdraw("entry-3")
        assert (pinned.version, pinned.n_entries, pinned.name, pinned.list_id) == (1, 40, "pinned", ref.list_id)
        assert len(pinned.rows("pdq")) == 40
        assert sum(map(len, pinned.blocks("pdq"))) == 40
        assert pinned.changes_since(0) is not None
        assert pinned.changes_since(2) is None, "a version that came later"
    with ref.pinned() as later:
        assert (later.version, later.n_entries) == (3, 40)


def test_blocks_are_the_rows(ref: ReferenceList, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks one after the other are what a snapshot gives."""
    monkeypatch.setattr(snapshot, "_ROWS_A_STEP", 7)
    with ref.pinned() as pinned:
        blocks, rows = list(pinned.blocks("pdq")), pinned.rows("pdq")
    assert [len(block) for block in blocks] == [7, 7, 7, 7, 7, 5]
    for name in ("codes", "hash_ids", "entry_keys", "source_numbers", "quality"):
        assert np.array_equal(np.concatenate([getattr(block, name) for block in blocks]), getattr(rows, name))


def test_contents_are_those_of_the_rows(tmp_path: Path) -> None:
    """What the list says of its rows is what the rows give, for every algorithm; sums go both ways."""
    small_list(tmp_path / "small")
    with ReferenceList.open(tmp_path / "small") as small, small.pinned() as pinned:
        assert small.contents == pinned.contents
        for name, rows in small.snapshot().rows.items():
            assert of_rows(small.list_id, rows) == pinned.contents[name]
        stream = pinned.records("keypoint")
        assert str(pinned.contents["keypoint"]) == stream.content
        with pytest.raises(ValueError, match="fixed length"):
            pinned.records("pdq")
    one, other = Content(3, 2**64 - 1), Content(2, 7)
    assert one + other == Content(5, 6)
    assert one + other - other == one
    assert Content.parse(str(one)) == one
    for text in ("", "3", "3-1", "-3-0000000000000001", "3-000000000000000g"):
        with pytest.raises(ValueError, match="content"):
            Content.parse(text)


def test_two_courses_of_a_list_differ_in_content(ref: ReferenceList, tmp_path: Path) -> None:
    """A copy that goes on differently has the same id and version, and another content."""
    copy = tmp_path / "copy"
    ref.close()
    shutil.copyfile(ref.path, copy)
    contents = []
    for path, number in ((ref.path, 50), (copy, 51)):
        with ReferenceList.open(path, writable=True) as each:
            each.add("new", hashes=[made_up(number)])
            contents.append((each.list_id, each.version, each.contents["pdq"].n_rows, each.contents["pdq"]))
    assert contents[0][:3] == contents[1][:3]
    assert contents[0] != contents[1]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM hash WHERE id = 20",
        "UPDATE hash SET code = zeroblob(32) WHERE id = 20",
        "UPDATE hash SET source = 2",
    ],
)
def test_damaged_blocks_are_an_error(ref: ReferenceList, tmp_path: Path, statement: str) -> None:
    """A row that is missing or changed stops the blocks, at the latest at the end."""
    ref.close()
    path = tampered(ref.path, tmp_path / "copy", statement)
    with (
        ReferenceList.open(path, check="none") as reader,
        reader.pinned() as pinned,
        pytest.raises(ReferenceListError, match="damaged"),
    ):
        list(pinned.blocks("pdq"))


def test_errors_of_the_block_come_out_unchanged(ref: ReferenceList) -> None:
    """What the caller raises within the block is not taken for an error of SQLite."""
    with pytest.raises(OverflowError, match="mine"), ref.pinned():
        raise OverflowError("mine")


def test_the_mark_of_change(ref: ReferenceList, tmp_path: Path) -> None:
    """It stays while nobody writes, and differs after a change or another file in its place."""
    with ReferenceList.open(ref.path) as reader:
        mark = reader.change_mark
        assert reader.get("entry-1") is not None
        assert reader.change_mark == mark
        ref.add("more", hashes=[HashValue("pdq", bytes(range(32)))])
        changed = reader.change_mark
        assert changed != mark
        assert reader.change_mark == changed
        ref.close()
        shutil.copyfile(reader.path, tmp_path / "next")
        (tmp_path / "next").rename(reader.path)
        assert reader.change_mark != changed


def test_marks_of_two_openings_are_never_equal(ref: ReferenceList) -> None:
    """Each opening counts changes for itself, so that equal counts say nothing: a watch would take no change up."""
    ref.close()
    with ReferenceList.open(ref.path) as one, ReferenceList.open(ref.path) as other:
        assert one.change_mark[1:] == other.change_mark[1:]
        assert one.change_mark != other.change_mark


def test_records_withdrawn_meanwhile_are_still_in_the_version(tmp_path: Path) -> None:
    """A stream of a version that is held still gives every record of it, whatever is withdrawn between two blocks."""
    path = tmp_path / "records"
    with ReferenceList.create(path, name="records") as ref:
        ref.add_many(Entry.of(f"entry-{i}", hashes=[made_up(i, "keypoint")]) for i in range(6))
        with ReferenceList.open(path) as reader, reader.pinned() as pinned:
            since = pinned.changes_since(0)
            assert since is not None
            blocks = pinned.records("keypoint").blocks(2), since.records["keypoint"].blocks(2)
            found = [next(each).hash_ids.tolist() for each in blocks]
            ref.withdraw_many([f"entry-{i}" for i in range(6)])
            ref.compact()
            for ids, each in zip(found, blocks, strict=True):
                ids += [row for block in each for row in block.hash_ids.tolist()]
            assert found == [[1, 2, 3, 4, 5, 6]] * 2
            assert pinned.entry(3, since=1) == Entry.of("entry-2", hashes=[made_up(2, "keypoint")])
            assert pinned.record(3) == made_up(2, "keypoint")


def test_an_entry_as_a_version_had_it(ref: ReferenceList) -> None:
    """A later version says what it still has unchanged, and whether it came from the earlier one at all."""
    with ref.present() as present:
        mark = present.mark
        assert (mark.list_id, mark.version, mark.digest) == (ref.list_id, 1, ref.digest)
        assert present.came_from(mark)
    ref.relabel("entry-3", labels={"class": "A1"})
    ref.add("entry-4", hashes=[made_up(99)])
    ref.withdraw("entry-5")
    ref.add("new", hashes=[made_up(98)])
    keys = {entry.entry_id: entry.key or 0 for entry in ref}
    with ref.present() as present:
        assert present.came_from(mark)
        assert present.entry(keys["entry-2"], since=1) == Entry.of("entry-2", hashes=[made_up(2)])
        assert present.entry(keys["new"], since=5) is not None
        assert present.entry(keys["entry-3"], since=1) is None
        assert present.entry(keys["entry-3"], since=2) is not None
        assert present.entry(keys["entry-4"], since=2) is None
        assert present.entry(6, since=4) is None, "withdrawn"
        later = present.mark
    ref.compact()
    with ref.present() as present:
        assert present.mark == later
        assert present.came_from(later)
        assert not present.came_from(mark), "forgotten"
        assert present.entry(keys["entry-4"], since=2) is None
    ref.add("newer", hashes=[made_up(97)])
    with ref.present() as present:
        assert present.came_from(later)
    ref.verify()
