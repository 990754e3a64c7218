"""The content digest: the same for equal contents, another for others, whatever the way to them."""

from __future__ import annotations

import hashlib
import itertools
import random
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hashmatch.errors import ReferenceListError
from hashmatch.lists import Entry, ListedHash, Listing, ReferenceList, content_digest
from support.list_makers import made_up, small_list, tampered


def slow_digest(entries: Iterable[Entry]) -> str:
    """Digest of entries, written from the description of the format: the judge."""
    total = 0
    for entry in entries:
        rows = sorted(
            (listing.source, item.value.algorithm, item.value.data, -1 if item.quality is None else item.quality)
            for listing in entry.listings
            for item in listing.hashes
        )
        assert len({name for _, name, _, _ in rows}) == 1, "numbers and names of algorithms sort differently"
        labels = sorted((of.source, name, value) for of in entry.listings for name, value in of.labels.items())
        data = struct.pack("<III", len(entry.entry_id.encode()), len(rows), len(labels)) + entry.entry_id.encode()
        for source, algorithm, code, quality in rows:
            number = {"pdq": 1, "keypoint": 14}[algorithm]
            data += struct.pack("<HBhH", len(source.encode()), number, quality, len(code)) + source.encode() + code
        for texts in labels:
            data += struct.pack("<HHH", *(len(text.encode()) for text in texts))
            data += b"".join(text.encode() for text in texts)
        one = hashlib.blake2b(data, digest_size=32, person=b"hashmatch-entry").digest()
        total += int.from_bytes(one, "little")
    summed = (total % 2**256).to_bytes(32, "little")
    return hashlib.blake2b(summed, digest_size=32, person=b"hashmatch-list").hexdigest()


def test_it_is_what_the_format_says(tmp_path: Path) -> None:
    """A list's digest is that of an independent computation from its entries."""
    with ReferenceList.create(tmp_path / "list", name="x") as ref:
        assert ref.digest == slow_digest([]) == content_digest([])
        ref.add("entry-1", hashes=[made_up(2), made_up(1)], source="zwei", labels={"b": "ÿ", "a": "😀"}, quality=7)
        ref.add("entry-1", hashes=[made_up(1)], source="eins")
        ref.add("entry-2", hashes=[made_up(3, "keypoint")], source="eins")
        assert ref.digest == ref.info().digest == slow_digest(ref) == content_digest(ref)
        ref.verify()


def test_the_way_does_not_matter(tmp_path: Path) -> None:
    """Lists of other names, filled in another order, by detours and through a compaction, have one digest."""
    entries = [
        Entry.of(f"entry-{i}", hashes=[made_up(i), made_up(i, "md5")], source=source, labels={"n": str(i)}, quality=i)
        for i in range(6)
        for source in ("one", "two")
    ]
    digests, marks = set(), set()
    for seed in range(4):
        order = random.Random(seed).sample(entries, len(entries))
        with ReferenceList.create(tmp_path / str(seed), name=f"list {seed}") as ref:
            empty = ref.digest
            for entry in order:
                assert ref.add_many([entry]).unchanged == 0
                if seed % 2:
                    ref.add("passing", hashes=[made_up(77, "keypoint")], source="three")
                    ref.relabel(entry.entry_id, source=entry.sources[0], labels={"other": "x"})
                    ref.add(entry.entry_id, hashes=[made_up(8)], source="three", quality=1)
                    ref.add(entry.entry_id, hashes=[made_up(8)], source="three", quality=2)
                    ref.withdraw_many([entry.entry_id, "passing"], source="three")
                    ref.relabel(entry.entry_id, source=entry.sources[0], labels=dict(entry.listings[0].labels))
            if seed == 3:
                ref.compact()
            assert ref.verify().digest == ref.digest
            digests.add(ref.digest)
            with ref.present() as present:
                marks.add(present.mark)
            ref.withdraw_many([f"entry-{i}" for i in range(6)], source="one")
            ref.withdraw_many([f"entry-{i}" for i in range(6)], source="two")
            assert ref.digest == empty
    assert len(digests) == 1
    assert len(marks) == 4, "a mark tells lists apart where the digest is the same"


def test_everything_that_an_entry_says_counts() -> None:
    """An entry that differs in any one thing has another digest, also where bytes move from one text to the next."""
    base = Listing("one", (ListedHash(made_up(1), 50),), {"class": "A1"})
    variants = [
        Entry("entry", (base,)),
        Entry("entry-", (base,)),
        Entry("entry", (Listing("two", base.hashes, base.labels),)),
        Entry("entry", (Listing("one", (ListedHash(made_up(2), 50),), base.labels),)),
        Entry("entry", (Listing("one", (ListedHash(made_up(1), 51),), base.labels),)),
        Entry("entry", (Listing("one", (ListedHash(made_up(1)),), base.labels),)),
        Entry("entry", (Listing("one", (ListedHash(made_up(1), 0),), base.labels),)),
        Entry("entry", (Listing("one", base.hashes, {"class": "A2"}),)),
        Entry("entry", (Listing("one", base.hashes, {"clas": "sA1"}),)),
        Entry("entry", (Listing("one", base.hashes, {"classA": "1"}),)),
        Entry("entry", (Listing("one", base.hashes),)),
        Entry("entry", (Listing("one", (*base.hashes, ListedHash(made_up(1, "dhash"))), base.labels),)),
        Entry("entry", (Listing("one", (ListedHash(made_up(1, "sha256"), 50),), base.labels),)),
        Entry("entry", (base, Listing("two", base.hashes))),
        Entry("entry", (Listing("one", base.hashes), Listing("two", base.hashes, base.labels))),
    ]
    for one, two in itertools.combinations(variants, 2):
        assert content_digest([one]) != content_digest([two])
    assert len({content_digest(pair) for pair in itertools.combinations(variants[:2] + variants[2:3], 2)}) == 3


def test_copies_that_went_on_differently(tmp_path: Path) -> None:
    """Two labs' copies of one list have the same id and version; their digests tell them apart, and when they did."""
    small_list(tmp_path / "a")
    shutil.copyfile(tmp_path / "a", tmp_path / "b")
    found = []
    for lab in ("a", "b"):
        with ReferenceList.open(tmp_path / lab, writable=True) as ref:
            before = ref.digest
            ref.relabel("entry-1", source="one", labels={"class": lab})
            found.append((ref.list_id, ref.version, len(ref), ref.contents, before))
            found.append(ref.digest)
    assert found[0] == found[2]
    assert found[1] != found[3]


def test_verify_recomputes_it(tmp_path: Path) -> None:
    """A content that was forged together with every check value beside it is found by the full check."""
    path = tmp_path / "list"
    small_list(path)
    with ReferenceList.open(path, writable=True) as ref, ref._session.writing() as editor:
        editor.state.content = 5
        editor._changed = True
    with ReferenceList.open(path) as ref, pytest.raises(ReferenceListError, match="damaged"):
        ref.verify()
    copy = tampered(path, tmp_path / "copy", "DELETE FROM digest")
    with pytest.raises(ReferenceListError, match="damaged"):
        ReferenceList.open(copy, check="none")


IDS = st.sampled_from([f"entry-{i}" for i in range(4)])
SOURCES = st.sampled_from(["one", "two"])
NUMBERS = st.integers(0, 3)


class DigestMachine(RuleBasedStateMachine):
    """However a list changes, its digest is that of its entries, and the same content has always the same digest."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.ref = ReferenceList.create(Path(self.folder.name) / "list", name="x")
        self.known: dict[str, object] = {}
        self.versions: dict[int, object] = {}

    @rule(name=IDS, source=SOURCES, number=NUMBERS, quality=st.sampled_from([None, 3, 4]))
    def add(self, name: str, source: str, number: int, quality: int | None) -> None:
        """Add a hash or state another quality."""
        self.ref.add(name, hashes=[made_up(number)], source=source, quality=quality)

    @rule(name=IDS, source=SOURCES, value=st.sampled_from("ab"))
    def relabel(self, name: str, source: str, value: str) -> None:
        """Give labels where the source lists the entry."""
        entry = self.ref.get(name)
        if entry is not None and source in entry.sources:
            self.ref.relabel(name, source=source, labels={"class": value})

    @rule(names=st.lists(IDS, max_size=3), source=SOURCES)
    def withdraw(self, names: list[str], source: str) -> None:
        """Withdraw some."""
        self.ref.withdraw_many(names, source=source)

    @rule(name=IDS, source=SOURCES, number=NUMBERS)
    def several_in_one(self, name: str, source: str, number: int) -> None:
        """Change one entry several times within a transaction."""
        with self.ref.transaction():
            self.ref.withdraw(name, source=source)
            self.ref.add(name, hashes=[made_up(number)], source=source, labels={"class": "t"})
            self.ref.relabel(name, source=source, labels={})

    @rule()
    def compact(self) -> None:
        """Forget the history."""
        self.ref.compact()

    @invariant()
    def the_digest_is_that_of_the_entries(self) -> None:
        """And of no others that were seen."""
        digest = self.ref.digest
        entries = frozenset(
            (
                entry.entry_id,
                frozenset((of.source, frozenset(of.hashes), tuple(sorted(of.labels.items()))) for of in entry.listings),
            )
            for entry in self.ref
        )
        assert digest == content_digest(self.ref)
        assert digest is not None
        assert self.known.setdefault(digest, entries) == entries
        with self.ref.present() as present:
            assert self.versions.setdefault(present.version, present.mark) == present.mark
        self.ref.verify()

    def teardown(self) -> None:
        """Close and forget the list."""
        self.ref.close()
        self.folder.cleanup()


TestDigestMachine = DigestMachine.TestCase
TestDigestMachine.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
