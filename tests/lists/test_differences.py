"""Looking entries up by a hash or by many ids, and how two lists differ."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hashmatch.errors import ReferenceListError
from hashmatch.lists import Entry, ReferenceList, differences
from support.list_makers import made_up


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Make a list in which one hash is of two entries, and there is a record."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        ref.add("a", hashes=[made_up(1), made_up(1, "md5")], source="x", labels={"class": "A1"})
        ref.add("a", hashes=[made_up(1)], source="y")
        ref.add("b", hashes=[made_up(2)])
        ref.add("c", hashes=[made_up(1), made_up(7, "keypoint")])
    return tmp_path / "list.hashmatch"


def test_find_gives_the_entries_of_a_hash(listed: Path) -> None:
    """All of them, in the order in which they were added; and of each algorithm."""
    with ReferenceList.open(listed) as ref:
        assert [entry.entry_id for entry in ref.find(made_up(1))] == ["a", "c"]
        assert [entry.entry_id for entry in ref.find(made_up(1, "md5"))] == ["a"]
        assert [entry.entry_id for entry in ref.find(made_up(7, "keypoint"))] == ["c"]
        for absent in (made_up(3), made_up(3, "md5"), made_up(3, "keypoint"), made_up(3, "sha1")):
            assert ref.find(absent) == ()
        with pytest.raises(TypeError):
            ref.find("pdq:00")  # type: ignore[arg-type]


def test_find_sees_a_running_transaction(listed: Path) -> None:
    """As the other readers do."""
    with ReferenceList.open(listed, writable=True) as ref, ref.transaction():
        ref.withdraw("c")
        ref.add("d", hashes=[made_up(3)])
        assert [entry.entry_id for entry in ref.find(made_up(1))] == ["a"]
        assert [entry.entry_id for entry in ref.find(made_up(3))] == ["d"]
        assert ref.find(made_up(7, "keypoint")) == ()


@pytest.mark.parametrize("algorithm", ["pdq", "keypoint"])
def test_a_decayed_row_is_no_absent_one(listed: Path, algorithm: str) -> None:
    """A changed bit of a hash must not become "not listed"."""
    value = made_up(2) if algorithm == "pdq" else made_up(7, "keypoint")
    table = "hash" if algorithm == "pdq" else "record"
    with closing(sqlite3.connect(listed)) as connection, connection:
        changed = bytes((value.data[0] ^ 1,)) + value.data[1:]
        done = connection.execute(f"UPDATE {table} SET code = ? WHERE code = ?", (changed, value.data))  # noqa: S608
        assert done.rowcount == 1
    with ReferenceList.open(listed) as ref, pytest.raises(ReferenceListError, match="damaged"):
        ref.find(value)


def test_get_many(listed: Path) -> None:
    """Ids that are not there, or cannot be, are left out."""
    with ReferenceList.open(listed) as ref:
        found = ref.get_many(["c", "a", "a", "z", "", "a\n"])
        assert set(found) == {"a", "c"}
        assert found["a"] == ref.get("a")
        with pytest.raises(TypeError):
            ref.get_many("abc")


def test_differences_name_what_changed(listed: Path, tmp_path: Path) -> None:
    """Added, withdrawn and changed entries, by hashes, qualities and labels; none twice."""
    with ReferenceList.create(tmp_path / "new.hashmatch", name="demo") as new:
        new.add("d", hashes=[made_up(4)])
        new.add("a", hashes=[made_up(1, "md5"), made_up(1)], source="x", labels={"class": "A2"})
        new.add("c", hashes=[made_up(1)], quality=90)
        new.add("c", hashes=[made_up(7, "keypoint")])
        with ReferenceList.open(listed) as old:
            found = {item.entry_id: item for item in differences(old, new)}
            back = {item.entry_id: item.kind for item in differences(new, old)}
    assert {name: item.kind for name, item in found.items()} == {
        "a": "changed",
        "b": "withdrawn",
        "c": "changed",
        "d": "added",
    }
    assert back == {"a": "changed", "b": "added", "c": "changed", "d": "withdrawn"}
    assert (found["a"].hashes_added, found["a"].labels) == ((), {("x", "class"): ("A1", "A2")})
    assert found["c"].hashes_added == (("local", made_up(1), 90),)
    assert found["c"].hashes_withdrawn == (("local", made_up(1), None),)
    assert made_up(4).hex() not in repr(found["d"])


def test_equal_lists_do_not_differ(listed: Path, tmp_path: Path) -> None:
    """Whatever the order in which they were made."""
    with ReferenceList.open(listed) as old, ReferenceList.create(tmp_path / "new.hashmatch", name="other") as new:
        new.add_many(reversed(list(old)))
        assert list(differences(old, new)) == []


def test_a_list_that_changes_meanwhile_is_told(listed: Path, tmp_path: Path) -> None:
    """What was compared would be parts of two versions."""
    with ReferenceList.create(tmp_path / "new.hashmatch", name="n") as new, ReferenceList.open(listed) as old:
        found = differences(old, new)
        next(found)
        new.add_many([Entry.of("late", hashes=[made_up(9)])])
        with pytest.raises(ReferenceListError, match="changed while"):
            list(found)


def test_a_changed_role_is_a_difference(listed: Path, tmp_path: Path) -> None:
    """Of every entry that its source lists, and of no other."""
    new = tmp_path / "new.hashmatch"
    new.write_bytes(listed.read_bytes())
    with ReferenceList.open(new, writable=True) as ref:
        ref.set_role("y", "benign")
    with ReferenceList.open(listed) as old, ReferenceList.open(new) as now:
        (found,) = differences(old, now)
        assert (found.entry_id, found.kind) == ("a", "changed")
        assert found.roles == {"y": ("alarm", "benign")}
        assert (found.hashes_added, found.hashes_withdrawn, dict(found.labels)) == ((), (), {})
        assert [item.roles for item in differences(now, old)] == [{"y": ("benign", "alarm")}]
    with ReferenceList.open(new, writable=True) as ref:
        ref.withdraw("a", source="y")
    with ReferenceList.open(listed) as old, ReferenceList.open(new) as now:
        assert [item.roles for item in differences(old, now)] == [{"y": ("alarm", None)}]
