"""Operations into a list: roles, what replaces what, snapshots and their guard, checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.errors import ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ReferenceList, content_digest
from hashmatch.lists.entry import Role
from hashmatch.lists.formats import (
    Checkpoint,
    Delete,
    Delivery,
    Refused,
    SnapshotEnd,
    Upsert,
    format_named,
    import_into,
    reader_of,
)


def md5(number: int) -> HashValue:
    """Make a hash that no file has."""
    return HashValue("md5", number.to_bytes(16, "big"))


def said(
    number: int, *hashes: int, source: str = "feed", role: Role = "alarm", whole: bool = False, **labels: str
) -> Upsert:
    """Make the upsert of an entry."""
    values = [md5(value) for value in hashes or (number,)]
    return Upsert(number, Entry.of(f"e{number}", hashes=values, source=source, role=role, labels=labels), whole=whole)


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list."""
    with ReferenceList.create(tmp_path / "list", name="list") as made:
        yield made
        made.verify()
        assert made.digest == content_digest(made)


def hashes(ref: ReferenceList, number: int) -> set[HashValue]:
    """Hashes of an entry; empty if there is none."""
    entry = ref.get(f"e{number}")
    return set() if entry is None else set(entry.hashes)


def test_a_whole_upsert_replaces_what_its_source_said(ref: ReferenceList) -> None:
    """Hashes and labels that are not repeated go; those of another source stay."""
    import_into(ref, [said(1, 11, 12, old="x", kept="1"), said(1, 19, source="other", old="y")])
    report = import_into(ref, [said(1, 12, 13, kept="1", whole=True)])
    assert (report.accepted, report.duplicates, report.new_entries) == (1, 0, 0)
    assert hashes(ref, 1) == {md5(12), md5(13), md5(19)}
    entry = ref.get("e1")
    assert entry is not None
    assert entry.labels == {"feed": {"kept": "1"}, "other": {"old": "y"}}
    again = import_into(ref, [said(1, 12, 13, kept="1", whole=True)])
    assert (again.accepted, again.duplicates, again.version) == (0, 1, report.version)


def test_records_of_one_import_add_up(ref: ReferenceList) -> None:
    """The same entry in two records of a delivery has the hashes and the labels of both, also if each is whole."""
    import_into(ref, [said(1, 10, c="0")])
    import_into(ref, [said(1, 11, c="1", whole=True), said(1, 12, c="2", whole=True), said(1, 12, c="1", whole=True)])
    entry = ref.get("e1")
    assert entry is not None
    assert hashes(ref, 1) == {md5(11), md5(12)}
    assert entry.labels == {"feed": {"c": "1 | 2"}}
    import_into(ref, [said(1, 12, c="3")])
    assert ref.get("e1").labels == {"feed": {"c": "3"}}  # type: ignore[union-attr]


def test_a_release_that_is_imported_again_is_no_new_version(ref: ReferenceList) -> None:
    """Also where several of its records say one entry's label."""
    release = [said(1, c="1"), said(1, c="2"), said(2, 21, 22)]
    first = import_into(ref, release, replace=True)
    again = import_into(ref, release, replace=True)
    assert (again.version, again.accepted, again.duplicates) == (first.version, 0, 3)
    assert ref.get("e1").labels == {"feed": {"c": "1 | 2"}}  # type: ignore[union-attr]
    assert import_into(ref, [*release, said(1, c="3")], replace=True).version == first.version + 1


def test_records_that_contradict_each_other_settle(ref: ReferenceList) -> None:
    """Two qualities of one hash, or hashes by turns, are the same after every import, and no new version."""

    def of(quality: int, *values: int) -> Upsert:
        return Upsert(1, Entry.of("e1", hashes=[md5(value) for value in values], source="feed", quality=quality))

    release = [of(20, 1), of(60, 1, 2), said(2)]
    for replace in (False, True):
        first = import_into(ref, release, replace=replace)
        again = import_into(ref, release, replace=replace)
        assert (again.version, again.accepted, again.duplicates) == (first.version, 0, 3)
        assert [item.quality for item in ref.get("e1").listings[0].hashes] == [60, 60]  # type: ignore[union-attr]


def test_labels_that_do_not_fit_together_keep_the_first(ref: ReferenceList) -> None:
    """Joined values stay within what a label holds."""
    import_into(ref, [said(1, c="a" * 200), said(1, c="b" * 200)])
    assert ref.get("e1").labels == {"feed": {"c": "a" * 200}}  # type: ignore[union-attr]


def test_an_entry_of_two_sources_stays_until_both_withdraw(ref: ReferenceList) -> None:
    """A delete takes back what its source said, and nothing else; an unknown one is counted."""
    import_into(ref, [said(1, source="a"), said(1, source="b")])
    report = import_into(ref, [Delete(1, "e1", "a"), Delete(2, "e1", "nobody"), Delete(3, "none", "a")])
    assert (report.rows, report.accepted, report.deleted, report.duplicates) == (3, 1, 1, 2)
    assert "e1" in ref
    import_into(ref, [Delete(1, "e1", "b")])
    assert "e1" not in ref
    assert len(ref) == 0


def test_operations_are_carried_out_in_order(ref: ReferenceList) -> None:
    """What is deleted and listed again is there; what is listed and deleted is not."""
    report = import_into(ref, [said(1), Delete(2, "e1", "feed"), said(2), said(1), Delete(5, "e2", "feed")])
    assert (report.rows, report.accepted) == (5, 5)
    assert [entry.entry_id for entry in ref] == ["e1"]


def test_a_snapshot_takes_back_what_it_does_not_have(ref: ReferenceList) -> None:
    """Of its own source and those named after it; other sources keep what they list."""
    start = [said(i) for i in range(1, 21)]
    start += [said(30, source="feed/benign", role="benign"), said(31, source="feeder"), said(20, source="other")]
    import_into(ref, start)
    report = import_into(ref, [said(i) for i in range(1, 20)] + [SnapshotEnd("feed")], max_lost=1)
    assert (report.rows, report.lost, report.duplicates) == (19, 2, 19)
    assert "e30" not in ref
    assert "e31" in ref
    assert ref.get("e20").sources == ("other",)  # type: ignore[union-attr]


def test_replace_ends_every_source_of_the_delivery(ref: ReferenceList) -> None:
    """A replaced set is a difference: what stayed is unchanged, what changed is whole."""
    import_into(ref, [said(i, i, 100 + i) for i in range(1, 41)])
    before = ref.version
    new = [said(i, i, 100 + i) for i in range(1, 39)] + [said(39, 39), said(50)]
    report = import_into(ref, new, replace=True)
    assert (report.lost, report.accepted, report.duplicates, report.version) == (1, 2, 38, before + 1)
    assert hashes(ref, 39) == {md5(39)}
    assert hashes(ref, 40) == set()


def test_a_snapshot_that_lost_too_much_changes_nothing(ref: ReferenceList) -> None:
    """A delivery that was cut short is refused, and says what to do."""
    import_into(ref, [said(i) for i in range(1, 101)])
    before = (ref.version, ref.digest)
    with pytest.raises(ReferenceListError, match=r"take back 11 of the 100 entries .* allowed share of 0\.1"):
        import_into(ref, [said(i) for i in range(1, 90)] + [said(200)], replace=True)
    assert (ref.version, ref.digest) == before
    assert import_into(ref, [said(i) for i in range(1, 91)], replace=True).lost == 10
    assert import_into(ref, [said(1)], replace=True, max_lost=1).lost == 89


def test_the_role_of_a_source_is_content(ref: ReferenceList, tmp_path: Path) -> None:
    """A list that says benign is another list than one that says alarm; a source has one role."""
    import_into(ref, [said(1, source="good", role="benign")])
    assert [(item.name, item.role) for item in ref.sources()] == [("good", "benign")]
    assert ref.get("e1").role == "benign"  # type: ignore[union-attr]
    benign = ref.digest
    with pytest.raises(ReferenceListError, match="lists for benign in this list, not for alarm"):
        import_into(ref, [said(2, source="good")])
    assert ref.set_role("good", "alarm")
    assert not ref.set_role("good", "alarm")
    assert ref.digest != benign
    with ReferenceList.create(tmp_path / "other", name="other") as other:
        other.add("e1", hashes=[md5(1)], source="good")
        assert other.digest == ref.digest
        assert other.set_role("good", "benign")
        assert other.digest == benign == content_digest(other)
        other.withdraw("e1", source="good")
        assert other.digest == content_digest([])
        other.add("e1", hashes=[md5(1)], source="good", role="comparison")  # nothing of it was listed
        assert other.get("e1").role == "comparison"  # type: ignore[union-attr]
    with pytest.raises(ReferenceListError, match="no source"):
        ref.set_role("nobody", "alarm")
    with pytest.raises(ReferenceListError, match="one of alarm, benign, comparison"):
        ref.set_role("good", "bad")  # type: ignore[arg-type]


def test_an_entry_alarms_if_one_source_says_so(ref: ReferenceList) -> None:
    """The gravest role of the listings is the entry's."""
    import_into(ref, [said(1, source="c", role="comparison"), said(1, source="b", role="benign")])
    assert ref.get("e1").role == "comparison"  # type: ignore[union-attr]
    import_into(ref, [said(1, source="a")])
    assert ref.get("e1").role == "alarm"  # type: ignore[union-attr]


def test_checkpoints_and_terms_are_kept_without_a_new_version(ref: ReferenceList, tmp_path: Path) -> None:
    """They are no content; they survive closing; the time of an import is noted."""
    import_into(ref, [said(1), Checkpoint("feed", "page=2")])
    ref.set_terms("feed", "no onward sharing")
    version, digest = ref.version, ref.digest
    report = import_into(ref, [Checkpoint("feed", "page=3")])
    assert (report.rows, report.version, ref.version, ref.digest) == (0, version, version, digest)
    with ReferenceList.open(tmp_path / "list") as again:
        (found,) = again.sources()
        assert (found.checkpoint, found.terms, found.entries) == ("page=3", "no onward sharing", 1)
        assert found.heard is not None
    for bad in ("x" * 5000, "é", "a\nb"):
        with pytest.raises(ReferenceListError, match="a checkpoint is"):
            import_into(ref, [said(2), Checkpoint("feed", bad)])
    assert "e2" not in ref


def test_refused_rows_and_flaws_are_counted_between_operations(ref: ReferenceList) -> None:
    """Every operation but checkpoints and ends of snapshots is a row."""
    report = import_into(ref, [said(1), Refused(2, "bad"), Delete(3, "e1", "feed"), Refused(4, "bad")])
    assert (report.rows, report.accepted, report.refused_count) == (4, 2, 2)
    assert [row.line for row in report.refused] == [2, 4]


def test_a_format_says_what_it_takes_and_needs() -> None:
    """An option that a format would ignore is refused, and so is one that is missing."""
    import io

    stream = io.BytesIO(b"")
    with pytest.raises(ReferenceListError, match="text does not take --category-profile"):
        reader_of(format_named("TEXT"), stream, Delivery(category_profile="vics-us"))
    with pytest.raises(ReferenceListError, match="csv needs --mapping"):
        reader_of(format_named("csv"), stream, Delivery())
