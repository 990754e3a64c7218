"""What a reference list does, against a plain model of it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hashmatch.errors import ReferenceListError
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.lists import AddCounts, Entry, ListedHash, Listing, ReferenceList
from hashmatch.view import Turn, View
from support.list_makers import made_up, made_up_entries, side_files


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list, open for writing."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        yield ref


def test_an_entry_comes_back_as_it_was_added(ref: ReferenceList) -> None:
    """Hashes of several algorithms, quality, source and labels are kept, through closing and opening."""
    hashes = [made_up(1), made_up(1, "md5"), made_up(1, "photodna"), made_up(1, "sha1")]
    assert ref.add("entry-1", hashes=hashes, source="ncmec", labels={"class": "A1"}, quality=77)
    path = ref.path
    ref.close()
    with ReferenceList.open(path) as again:
        entry = again.get("entry-1")
        assert entry == Entry.of("entry-1", hashes=hashes, source="ncmec", labels={"class": "A1"}, quality=77)
        assert entry is not None
        assert entry.key is not None
        assert again.entry_by_key(entry.key) == entry
        assert entry.hashes == tuple(hashes)
        assert entry.labels == {"ncmec": {"class": "A1"}}
        assert (again.name, again.version, len(again), list(again)) == ("demo", 1, 1, [entry])


def test_a_fingerprint_is_stored_with_its_quality(ref: ReferenceList) -> None:
    """Each hash of a fingerprint keeps its own quality."""
    views = (ViewHash(value=made_up(1), quality=80), ViewHash(value=made_up(1, "md5")))
    ref.add("entry-1", fingerprint=Fingerprint(views))
    entry = ref.get("entry-1")
    assert entry is not None
    assert entry.listings[0].hashes == (ListedHash(made_up(1), 80), ListedHash(made_up(1, "md5"), None))


def test_turned_views_are_refused(ref: ReferenceList) -> None:
    """A list holds upright pictures only."""
    turned = ViewHash(value=made_up(1), view=View(turn=Turn.MIRROR))
    with pytest.raises(ValueError, match="turned"):
        ref.add("entry-1", fingerprint=Fingerprint((ViewHash(value=made_up(2)), turned)))
    assert len(ref) == 0


def test_an_entry_lives_until_its_last_source_withdraws_it(ref: ReferenceList) -> None:
    """Withdrawing takes the hashes and labels of one source only; the last takes the entry."""
    ref.add("entry-1", hashes=[made_up(1), made_up(2)], source="one", labels={"class": "A1"})
    ref.add("entry-1", hashes=[made_up(2), made_up(3)], source="two", labels={"class": "B2"})
    assert ref.withdraw("entry-1", source="one")
    assert ref.get("entry-1") == Entry.of(
        "entry-1", hashes=[made_up(2), made_up(3)], source="two", labels={"class": "B2"}
    )
    assert not ref.withdraw("entry-1", source="one")
    assert ref.withdraw("entry-1", source="two")
    assert ref.get("entry-1") is None
    assert "entry-1" not in ref
    assert len(ref) == 0
    assert ref.info().sources == {"one": 0, "two": 0}


def test_adding_again_merges(ref: ReferenceList) -> None:
    """New hashes are added, labels of the same name replaced, and what is there already changes nothing."""
    ref.add("entry-1", hashes=[made_up(1)], labels={"class": "A1", "kind": "x"})
    version = ref.version
    assert not ref.add("entry-1", hashes=[made_up(1)], labels={"class": "A1"})
    assert ref.version == version
    assert ref.add("entry-1", hashes=[made_up(2)], labels={"class": "A2"})
    expected = Entry.of("entry-1", hashes=[made_up(1), made_up(2)], labels={"class": "A2", "kind": "x"})
    assert ref.get("entry-1") == expected
    assert ref.version == version + 1


def test_another_quality_makes_another_row(ref: ReferenceList) -> None:
    """Indexes see a changed quality, because the row is withdrawn and added."""
    ref.add("entry-1", hashes=[made_up(1)], quality=40)
    assert ref.add("entry-1", hashes=[made_up(1)], quality=60)
    assert not ref.add("entry-1", hashes=[made_up(1)])
    changes = ref.changes_since(1)
    assert changes is not None
    assert changes.withdrawn["pdq"].tolist() == [1]
    assert changes.added["pdq"].hash_ids.tolist() == [2]
    assert changes.added["pdq"].quality.tolist() == [60]


def test_relabel_replaces_the_labels_of_one_source(ref: ReferenceList) -> None:
    """Labels not given are removed, those of other sources stay, and no hash row changes."""
    ref.add("entry-1", hashes=[made_up(1)], source="one", labels={"class": "A1", "kind": "x"})
    ref.add("entry-1", hashes=[made_up(1)], source="two", labels={"class": "C"})
    version = ref.version
    assert ref.relabel("entry-1", source="one", labels={"class": "A2"})
    assert not ref.relabel("entry-1", source="one", labels={"class": "A2"})
    entry = ref.get("entry-1")
    assert entry is not None
    assert entry.labels == {"one": {"class": "A2"}, "two": {"class": "C"}}
    changes = ref.changes_since(version)
    assert changes is not None
    assert (dict(changes.added), dict(changes.withdrawn)) == ({}, {})
    with pytest.raises(ReferenceListError, match="add it first"):
        ref.relabel("entry-1", source="three", labels={})


def test_add_many_is_all_or_nothing(ref: ReferenceList) -> None:
    """An iterable that raises in the middle leaves the list as it was, and its error comes out unchanged."""

    def broken() -> object:
        yield from made_up_entries(6_000)
        raise UnicodeDecodeError("utf-8", b"", 0, 1, "made up")

    with pytest.raises(UnicodeDecodeError):
        ref.add_many(broken())  # type: ignore[arg-type]
    assert (len(ref), ref.version) == (0, 0)
    assert ref.add_many(made_up_entries(6_000)) == AddCounts(added=6_000)
    assert ref.add_many(made_up_entries(10, 5_995)) == AddCounts(added=5, unchanged=5)
    assert (len(ref), ref.version) == (6_005, 2)
    ref.verify()


def test_a_list_can_be_copied_entry_by_entry(ref: ReferenceList, tmp_path: Path) -> None:
    """What iteration yields can be added to another list."""
    ref.add("entry-1", hashes=[made_up(1)], source="one", labels={"class": "A1"})
    ref.add("entry-1", hashes=[made_up(2)], source="two", quality=3)
    ref.add("entry-2", hashes=[made_up(3)])
    with ReferenceList.create(tmp_path / "copy.hashmatch", name="copy") as copy:
        assert copy.add_many(ref) == AddCounts(added=2)
        assert list(copy) == list(ref)


def test_a_transaction_is_one_version_or_none(ref: ReferenceList) -> None:
    """Changes within the block are seen within it, and committed or undone together."""
    with ref.transaction():
        ref.add_many(made_up_entries(3))
        ref.withdraw("entry-1")
        assert (len(ref), "entry-1" in ref, "entry-2" in ref, len(list(ref))) == (2, False, True, 2)
        assert ref.snapshot().n_entries == 0
    assert (ref.version, len(ref)) == (1, 2)

    def failing() -> None:
        with ref.transaction():
            ref.add("entry-9", hashes=[made_up(9)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert (ref.version, len(ref)) == (1, 2)
    ref.verify()


def test_a_failed_step_undoes_its_transaction(ref: ReferenceList) -> None:
    """A caught error of a half-done step does not let the half be committed."""

    def broken() -> object:
        yield from made_up_entries(5_001)
        raise ZeroDivisionError

    def failing() -> None:
        with ref.transaction():
            with pytest.raises(ZeroDivisionError):
                ref.add_many(broken())  # type: ignore[arg-type]
            ref.add("entry-x", hashes=[made_up(1)])

    with pytest.raises(ReferenceListError, match="undone"):
        failing()
    assert len(ref) == 0


def test_closing_within_a_transaction_undoes_it(ref: ReferenceList) -> None:
    """A list closed in the middle keeps what was committed and says that the rest was undone."""

    def closing() -> None:
        with ref.transaction():
            ref.add("entry-1", hashes=[made_up(1)])
            ref.close()

    with pytest.raises(ReferenceListError, match="closed"):
        closing()
    with ReferenceList.open(ref.path) as again:
        assert len(again) == 0


def test_create_refuses_what_is_there(ref: ReferenceList, tmp_path: Path) -> None:
    """A list is never written over, and a file is not left behind by a refused name."""
    with pytest.raises(ReferenceListError, match=r"ReferenceList\.open"):
        ReferenceList.create(ref.path, name="other")
    with pytest.raises(ReferenceListError):
        ReferenceList.create(tmp_path / "new", name="")
    with pytest.raises(ReferenceListError, match="folder"):
        ReferenceList.create(tmp_path / "no" / "such", name="x")
    assert not (tmp_path / "new").exists()


def test_a_new_list_is_for_its_owner_only(ref: ReferenceList) -> None:
    """The file of a new list can be read by its owner and nobody else."""
    assert ref.path.stat().st_mode & 0o777 == 0o600


def test_reading_lists_refuse_to_write(ref: ReferenceList) -> None:
    """A list opened for reading says how to open it for writing; a closed one that it is closed."""
    ref.add("entry-1", hashes=[made_up(1)])
    ref.close()
    ref.close()
    with pytest.raises(ReferenceListError, match="closed"):
        len(ref)
    with ReferenceList.open(ref.path) as reader:
        for change in (
            lambda: reader.add("entry-2", hashes=[made_up(2)]),
            lambda: reader.withdraw("entry-1"),
            lambda: reader.relabel("entry-1", labels={}),
            reader.compact,
        ):
            with pytest.raises(ReferenceListError, match="writable=True"):
                change()
        assert not side_files(ref.path)
    assert "closed" in repr(reader)


def test_withdrawn_bytes_leave_the_file(ref: ReferenceList) -> None:
    """After the writer has closed, nothing of a withdrawn entry is in the file."""
    canary = made_up(7)
    ref.add_many(made_up_entries(200, 100))
    ref.add("canary-entry", hashes=[canary], source="s", labels={"kind": "canary-label"})
    ref.withdraw("canary-entry", source="s")
    ref.close()
    data = ref.path.read_bytes()
    assert made_up(100).data in data
    assert canary.data not in data
    assert b"canary-" not in data
    assert not side_files(ref.path)


def test_compact_forgets_the_history(ref: ReferenceList) -> None:
    """Afterwards the file is smaller, earlier versions cannot be told, and everything else is as before."""
    ref.add_many(made_up_entries(5_000))
    ref.withdraw_many([f"entry-{i}" for i in range(1, 5_000)])
    before, version = list(ref), ref.version
    ref.compact()
    assert ref.changes_since(1) is None
    changes = ref.changes_since(version)
    assert changes is not None
    assert (dict(changes.added), dict(changes.withdrawn)) == ({}, {})
    ref.add("entry-x", hashes=[made_up(1)])
    changes = ref.changes_since(version)
    assert changes is not None
    assert changes.added["pdq"].hash_ids.tolist() == [5_001]
    ref.withdraw("entry-x")
    assert list(ref) == before
    ref.verify()
    ref.close()
    assert ref.path.stat().st_size < 100_000


def test_changes_of_unknown_versions_cannot_be_told(ref: ReferenceList) -> None:
    """A version the list never had gives None, not a guess."""
    assert ref.changes_since(1) is None
    assert ref.changes_since(-1) is None


def test_snapshot_of_some_algorithms(ref: ReferenceList) -> None:
    """Only what was asked for is read, and arrays cannot be changed."""
    ref.add("entry-1", hashes=[made_up(1), made_up(1, "md5")])
    assert set(ref.snapshot().rows) == {"pdq", "md5"}
    rows = ref.snapshot(["PDQ", "dhash"]).rows
    assert set(rows) == {"pdq"}
    assert rows["pdq"].codes.tobytes() == made_up(1).data
    with pytest.raises(ValueError, match="read-only"):
        rows["pdq"].codes[0, 0] = 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry_id": ""},
        {"entry_id": "x" * 257},
        {"entry_id": "a\nb"},
        {"entry_id": " a"},
        {"entry_id": "a\x00b"},
        {"entry_id": "a\ud800"},
        {"source": ""},
        {"source": "x" * 65},
        {"source": "a\tb"},
        {"labels": {"": "x"}},
        {"labels": {"x" * 65: "x"}},
        {"labels": {"x": ""}},
        {"labels": {"x": "y" * 257}},
        {"labels": {f"n{i}": "x" for i in range(65)}},
        {"hashes": []},
        {"quality": 101},
        {"quality": -1},
        {"quality": 0.5},
    ],
    ids=repr,
)
def test_values_that_do_not_fit_are_refused(ref: ReferenceList, wrong: dict[str, object]) -> None:
    """Texts have a length and are printable; numbers have a range."""
    arguments: dict[str, object] = {"entry_id": "entry-1", "hashes": [made_up(1)]} | wrong
    with pytest.raises(ReferenceListError):
        ref.add(**arguments)  # type: ignore[arg-type]
    assert ref.version == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry_id": b"entry"},
        {"entry_id": None},
        {"source": 1},
        {"labels": [("a", "b")]},
        {"labels": {"a": 1}},
        {"hashes": made_up(1)},
        {"hashes": str(made_up(1))},
        {"hashes": [made_up(1).data]},
        {"hashes": [made_up(1).hex()]},
        {"fingerprint": made_up(1)},
    ],
    ids=lambda wrong: "-".join(f"{name}-{type(value).__name__}" for name, value in wrong.items()),
)
def test_types_that_do_not_fit_are_refused(ref: ReferenceList, wrong: dict[str, object]) -> None:
    """A list takes str and HashValue where it says so, and nothing that can be made into them."""
    arguments: dict[str, object] = {"entry_id": "entry-1", "hashes": [made_up(1)]} | wrong
    with pytest.raises(TypeError):
        ref.add(**arguments)  # type: ignore[arg-type]
    assert ref.version == 0


def test_texts_of_any_script_are_kept(ref: ReferenceList) -> None:
    """Ids, sources, labels and names may be of any script, up to the last character allowed."""
    entry = Entry.of("件" * 256, hashes=[made_up(1)], source="é" * 64, labels={"名" * 64: "😀" * 256})
    ref.add_many([entry])
    assert ref.get("件" * 256) == entry
    assert ref.get("no\x00such") is None
    assert "no\x00such" not in ref
    assert 1 not in ref


def test_entries_need_listings_of_different_sources() -> None:
    """An entry says at most one thing for each source."""
    listing = Listing("one", (ListedHash(made_up(1)),))
    with pytest.raises(ReferenceListError):
        Entry("entry-1", (listing, listing))
    with pytest.raises(ReferenceListError):
        Entry("entry-1", ())


SOURCES = st.sampled_from(["one", "two", "three"])
IDS = st.sampled_from([f"entry-{i}" for i in range(6)])
NUMBERS = st.lists(st.integers(0, 5), min_size=1, max_size=3)
LABELS = st.dictionaries(st.sampled_from(["class", "kind"]), st.sampled_from(["A", "B"]))
QUALITY = st.sampled_from([None, 10, 90])


def numbered(number: int) -> HashValue:
    """Make the hash of this number: of two algorithms, one of them of varying length."""
    return made_up(number, "keypoint" if number % 3 == 2 else "pdq")


Model = dict[str, dict[str, tuple[dict[int, int | None], dict[str, str]]]]


class ListMachine(RuleBasedStateMachine):
    """A list does what a dictionary of entries, sources, hashes and labels does."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "list.hashmatch"
        self.ref = ReferenceList.create(self.path, name="machine")
        self.model: Model = {}
        self.version = 0
        self.history: dict[int, set[int]] = {0: set()}

    def teardown(self) -> None:
        """End with the full check."""
        self.ref.verify()
        self.ref.close()
        self.folder.cleanup()

    def add_to_model(self, entry: str, source: str, numbers: list[int], labels: dict[str, str], q: int | None) -> bool:
        """Do in the model what add does; whether it changed."""
        hashes, said = self.model.setdefault(entry, {}).setdefault(source, ({}, {}))
        before = (dict(hashes), dict(said))
        for number in numbers:
            if number not in hashes or q is not None:
                hashes[number] = q
        said |= labels
        return before != (hashes, said)

    def note(self, changed: bool) -> None:
        """Remember which rows this version has."""
        self.version += changed
        snapshot = self.ref.snapshot()
        blocks = [*snapshot.rows.values(), *(block for stream in snapshot.records.values() for block in stream)]
        self.history[self.version] = {row for block in blocks for row in block.hash_ids.tolist()}

    @rule(entry=IDS, source=SOURCES, numbers=NUMBERS, labels=LABELS, quality=QUALITY)
    def add(self, entry: str, source: str, numbers: list[int], labels: dict[str, str], quality: int | None) -> None:
        """Add one entry."""
        hashes = [numbered(number) for number in numbers]
        changed = self.add_to_model(entry, source, numbers, labels, quality)
        assert self.ref.add(entry, hashes=hashes, source=source, labels=labels, quality=quality) == changed
        self.note(changed)

    @rule(entries=st.lists(st.tuples(IDS, SOURCES, NUMBERS, LABELS), max_size=6))
    def add_many(self, entries: list[tuple[str, str, list[int], dict[str, str]]]) -> None:
        """Add several in one version."""
        changed = [
            self.add_to_model(entry, source, numbers, labels, None) for entry, source, numbers, labels in entries
        ]
        made = [
            Entry.of(entry, hashes=map(numbered, numbers), source=source, labels=labels)
            for entry, source, numbers, labels in entries
        ]
        assert self.ref.add_many(made).unchanged == changed.count(False)
        self.note(any(changed))

    @rule(entry=IDS, source=SOURCES)
    def withdraw(self, entry: str, source: str) -> None:
        """Withdraw one entry."""
        there = self.model.get(entry, {}).pop(source, None) is not None
        if not self.model.get(entry):
            self.model.pop(entry, None)
        assert self.ref.withdraw(entry, source=source) == there
        self.note(there)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), labels=LABELS)
    def relabel(self, data: st.DataObject, labels: dict[str, str]) -> None:
        """Replace the labels of one source."""
        entry = data.draw(st.sampled_from(sorted(self.model)))
        source = data.draw(st.sampled_from(sorted(self.model[entry])))
        hashes, said = self.model[entry][source]
        self.model[entry][source] = (hashes, labels)
        assert self.ref.relabel(entry, source=source, labels=labels) == (said != labels)
        self.note(said != labels)

    @rule()
    def undone(self) -> None:
        """Undo a transaction."""
        with contextlib.suppress(ZeroDivisionError), self.ref.transaction():
            self.ref.add("entry-x", hashes=[made_up(77)])
            self.ref.withdraw_many(list(self.model), source="one")
            raise ZeroDivisionError

    @rule()
    def reopen(self) -> None:
        """Close and open again."""
        self.ref.close()
        assert not side_files(self.path)
        self.ref = ReferenceList.open(self.path, writable=True)

    @rule()
    def compact(self) -> None:
        """Forget the history."""
        self.ref.compact()
        self.history = {self.version: self.history[self.version]}

    @invariant()
    def same_entries(self) -> None:
        """Compare what iteration gives with the model."""
        found = {
            entry.entry_id: {
                listing.source: ({item.value: item.quality for item in listing.hashes}, dict(listing.labels))
                for listing in entry.listings
            }
            for entry in self.ref
        }
        expected = {
            entry: {
                source: ({numbered(n): q for n, q in hashes.items()}, labels)
                for source, (hashes, labels) in listings.items()
            }
            for entry, listings in self.model.items()
        }
        assert found == expected
        assert (len(self.ref), self.ref.version) == (len(expected), self.version)

    @invariant()
    def same_rows(self) -> None:
        """Compare the rows of the snapshot with the model."""
        snapshot = self.ref.snapshot()
        found = [
            (bytes(code), key, quality)
            for rows in snapshot.rows.values()
            for code, key, quality in zip(rows.codes, rows.entry_keys.tolist(), rows.quality.tolist(), strict=True)
        ]
        for stream in snapshot.records.values():
            for rows in stream.blocks(4):
                found += zip(rows, rows.entry_keys.tolist(), rows.quality.tolist(), strict=True)
        names = {entry.key: entry.entry_id for entry in self.ref}
        assert sorted((names[key], code, quality) for code, key, quality in found) == sorted(
            (entry, numbered(number).data, -1 if quality is None else quality)
            for entry, listings in self.model.items()
            for hashes, _ in listings.values()
            for number, quality in hashes.items()
        )

    @invariant()
    def same_changes(self) -> None:
        """Compare the changes since each version with the difference of the row sets."""
        now = self.history[self.version]
        for version, before in self.history.items():
            changes = self.ref.changes_since(version)
            assert changes is not None
            blocks = [*changes.added.values(), *(block for stream in changes.records.values() for block in stream)]
            added = {row for rows in blocks for row in rows.hash_ids.tolist()}
            gone = [row for rows in changes.withdrawn.values() for row in rows.tolist()]
            assert (added, sorted(gone)) == (now - before, sorted(before - now))
            assert all(np.all(np.diff(rows) > 0) for rows in changes.withdrawn.values())
        if 0 not in self.history:
            assert self.ref.changes_since(0) is None


TestListMachine = ListMachine.TestCase
TestListMachine.settings = settings(max_examples=12, stateful_step_count=14, deadline=None)


def test_rows_of_the_same_hash_by_two_sources(ref: ReferenceList) -> None:
    """A hash that two sources list for one entry has two rows, and the second stays when the first goes."""
    ref.add("entry-1", hashes=[made_up(1)], source="one")
    ref.add("entry-1", hashes=[made_up(1)], source="two")
    rows = ref.snapshot().rows["pdq"]
    assert np.array_equal(rows.codes[0], rows.codes[1])
    assert rows.entry_keys.tolist() == [1, 1]
    ref.withdraw("entry-1", source="one")
    assert ref.snapshot().rows["pdq"].hash_ids.tolist() == [2]
