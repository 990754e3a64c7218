"""A report is true of the version of the list that it names, in all its parts, whatever is written meanwhile."""

from __future__ import annotations

import contextlib
import io
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hashmatch import Matcher, MatchReport, Outcome, ReferenceList, hash_image, profiles
from hashmatch.errors import ReferenceListError
from hashmatch.hashers.digest import digest as file_digest
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.lists import Entry, content_digest
from hashmatch.store.state import ListState
from hashmatch.synthetic import picture
from support.list_makers import made_up
from support.picture_makers import save

Known = dict[str, dict[str, Entry]]
"""Entries by id of each content digest that a list has had."""


def note(known: Known, ref: ReferenceList) -> None:
    """Remember what the list holds now."""
    known[content_digest(ref)] = {entry.entry_id: entry for entry in ref}


def check(report: MatchReport, value: HashValue, known: Known) -> None:
    """Hold a report on one hash against what the named content was: hits, labels, sources and counts."""
    compared = {item.list_id: item for item in report.lists}
    expected = []
    for item in report.lists:
        assert item.digest is not None
        entries = known[item.digest]
        assert item.n_entries == len(entries)
        rows = sum(of.value.algorithm == "pdq" for e in entries.values() for each in e.listings for of in each.hashes)
        assert item.compared.get("pdq", 0) == rows
        expected += [(item.list_id, name) for name, entry in entries.items() if value in entry.hashes]
    assert sorted((match.list_id, match.entry_id) for match in report.matches) == sorted(expected)
    assert report.n_matches == len(expected)
    for match in report.matches:
        named = compared[match.list_id]
        assert (match.list_version, match.list_digest) == (named.version, named.digest)
        assert match.sources == known[match.list_digest or ""][match.entry_id].labels
    nothing = Outcome.NO_MATCH if all(item.compared for item in report.lists) else Outcome.UNDECIDABLE
    assert report.outcome is (Outcome.MATCH if expected else nothing)


def make(path: Path, count: int = 3, name: str = "list") -> Path:
    """Make a list of entries of one hash, each with a label."""
    with ReferenceList.create(path, name=name) as ref:
        ref.add_many(
            Entry.of(f"entry-{i}", hashes=[made_up(i)], source="one", labels={"class": f"A{i}"}) for i in range(count)
        )
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of three entries."""
    return make(tmp_path / "list")


CHANGES = {
    "withdraw": lambda ref: ref.withdraw("entry-0", source="one"),
    "relabel": lambda ref: ref.relabel("entry-0", source="one", labels={"class": "B"}),
    "no labels": lambda ref: ref.relabel("entry-0", source="one", labels={}),
    "add a source": lambda ref: ref.add("entry-0", hashes=[made_up(0)], source="two", labels={"level": "2"}),
    "another hash": lambda ref: ref.add("entry-0", hashes=[made_up(50)], source="one"),
    "another quality": lambda ref: ref.add("entry-0", hashes=[made_up(0)], source="one", quality=70),
    "of another entry": lambda ref: (ref.withdraw("entry-0", source="one"), ref.add("other", hashes=[made_up(0)])),
    "withdrawn and added again": lambda ref: (
        ref.withdraw("entry-0", source="one"),
        ref.add("entry-0", hashes=[made_up(0)], source="three", labels={"class": "C"}),
    ),
    "changed, then compacted": lambda ref: (
        ref.relabel("entry-0", source="one", labels={"class": "B"}),
        ref.compact(),
    ),
    "compacted": lambda ref: ref.compact(),
}


@pytest.mark.parametrize("with_folder", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_entry_is_reported_as_of_the_version_that_is_named(
    path: Path, tmp_path: Path, change: str, with_folder: bool
) -> None:
    """Whatever happens to the entry, the report holds for the content it names, before and after a reload."""
    known: Known = {}
    folder = tmp_path / "folder" if with_folder else None
    if folder is not None:
        folder.mkdir()
    with Matcher.open(path, index_folder=folder) as matcher, ReferenceList.open(path, writable=True) as ref:
        note(known, ref)
        before = matcher.lists
        CHANGES[change](ref)
        note(known, ref)
        check(matcher.match_hash(made_up(1)), made_up(1), known)
        assert matcher.lists == before or change == "changed, then compacted"
        for _ in range(2):
            check(matcher.match_hash(made_up(0)), made_up(0), known)
        assert matcher.reload() or change == "compacted"
        assert not matcher.reload()
        for number in (0, 1, 50):
            check(matcher.match_hash(made_up(number)), made_up(number), known)
        assert matcher.digests == (ref.digest,)
        assert matcher.lists == (("list", ref.version, len(ref)),)


def test_without_a_reload_the_version_stays(path: Path) -> None:
    """Through hundreds of versions, entries that did not change are reported as of the version that is served."""
    known: Known = {}
    with Matcher.open(path) as matcher, ReferenceList.open(path, writable=True) as ref:
        note(known, ref)
        before = matcher.lists, matcher.digests
        for number in range(100, 400):
            ref.add("growing", hashes=[made_up(number)])
            if number % 50 == 0:
                ref.withdraw("growing")
        for number in (0, 1, 2, 300):
            check(matcher.match_hash(made_up(number)), made_up(number), known)
        assert (matcher.lists, matcher.digests) == before
        ref.withdraw("entry-1", source="one")
        note(known, ref)
        check(matcher.match_hash(made_up(1)), made_up(1), known)
        check(matcher.match_hash(made_up(399)), made_up(399), known)
        assert matcher.lists == (("list", ref.version, 3),)


def test_another_process_writes(path: Path) -> None:
    """A withdrawal and a new label by another process are seen as one by this process."""
    script = (
        "import sys; from hashmatch import ReferenceList\n"
        "with ReferenceList.open(sys.argv[1], writable=True) as ref:\n"
        "    ref.withdraw('entry-0', source='one'); ref.relabel('entry-1', source='one', labels={'class': 'B'})\n"
    )
    known: Known = {}
    with Matcher.open(path) as matcher:
        with ReferenceList.open(path) as ref:
            note(known, ref)
        subprocess.run([sys.executable, "-c", script, str(path)], check=True)
        with ReferenceList.open(path) as ref:
            note(known, ref)
        for number in (2, 0, 1):
            check(matcher.match_hash(made_up(number)), made_up(number), known)


def test_of_several_lists_each_is_named_for_itself(path: Path, tmp_path: Path) -> None:
    """A list that moved on is taken up alone; both are right in one report, also when both moved."""
    other = tmp_path / "other"
    with ReferenceList.create(other, name="other") as ref:
        ref.add("far", hashes=[made_up(0)], labels={"class": "far"})
        ref.add("near", hashes=[made_up(1)])
    known: Known = {}
    with (
        Matcher.open(path, other) as matcher,
        ReferenceList.open(path, writable=True) as one,
        ReferenceList.open(other, writable=True) as two,
    ):
        for ref in (one, two):
            note(known, ref)
        two.relabel("far", labels={"class": "changed"})
        note(known, two)
        check(matcher.match_hash(made_up(0)), made_up(0), known)
        assert [version for _, version, _ in matcher.lists] == [1, 3]
        two.withdraw("near")
        one.withdraw("entry-1", source="one")
        for ref in (one, two):
            note(known, ref)
        check(matcher.match_hash(made_up(1)), made_up(1), known)
        assert [version for _, version, _ in matcher.lists] == [2, 4]


@pytest.mark.parametrize("moved_on", [False, True])
def test_a_replaced_file(path: Path, tmp_path: Path, moved_on: bool) -> None:
    """From the old file while that is what was served; by the new one once the old one has changed there."""
    known: Known = {}
    with Matcher.open(path) as matcher:
        with ReferenceList.open(path, writable=True) as ref:
            note(known, ref)
            shutil.copyfile(make(tmp_path / "next", 2, "next"), tmp_path / "new")
            if moved_on:
                ref.withdraw("entry-0", source="one")
                note(known, ref)
        with ReferenceList.open(tmp_path / "new", writable=True) as ref:
            ref.relabel("entry-0", source="one", labels={"class": "new"})
            note(known, ref)
        (tmp_path / "new").rename(path)
        for number in (0, 2, 0):
            check(matcher.match_hash(made_up(number)), made_up(number), known)
        assert matcher.lists[0][0] == ("next" if moved_on else "list")
        assert matcher.reload()
        check(matcher.match_hash(made_up(0)), made_up(0), known)


def test_a_file_that_is_gone(path: Path) -> None:
    """What did not change is still explained; what changed before the file went is an error, never "no match"."""
    known: Known = {}
    with Matcher.open(path) as matcher:
        with ReferenceList.open(path, writable=True) as ref:
            note(known, ref)
            ref.withdraw("entry-0", source="one")
        path.unlink()
        check(matcher.match_hash(made_up(1)), made_up(1), known)
        with pytest.raises(ReferenceListError, match="no list file"):
            matcher.match_hash(made_up(0))
        check(matcher.match_hash(made_up(2)), made_up(2), known)


@pytest.mark.parametrize("algorithm", ["pdq", "keypoint"])
def test_another_course_of_the_list_is_told(tmp_path: Path, algorithm: str) -> None:
    """A copy with the same id, version, keys and rows, put into the open file, is not taken for what was served."""
    path, backup = make(tmp_path / "list"), tmp_path / "backup"
    shutil.copyfile(path, backup)
    known: Known = {}
    policy = profiles.THOROUGH if algorithm == "keypoint" else profiles.STANDARD
    for file, label in ((path, "ours"), (backup, "theirs")):
        with ReferenceList.open(file, writable=True) as ref:
            ref.add("both", hashes=[made_up(70, algorithm), made_up(70)], labels={"class": label})
            ref.add("both", hashes=[made_up(71 if label == "ours" else 72, algorithm)])
            note(known, ref)
    with Matcher.open(path, policy=policy) as matcher:
        with (
            contextlib.closing(sqlite3.connect(backup)) as source,
            contextlib.closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)
        check(matcher.match_hash(made_up(70)), made_up(70), known)
        assert matcher.match_hash(made_up(70)).matches[0].labels == {"class": "theirs"}
        if algorithm == "keypoint":
            record = Fingerprint((ViewHash(value=made_up(72, "keypoint")),))
            layer = matcher._snapshots[0].keypoints
            assert layer is not None
            assert len(layer) == 2
            assert matcher.match_fingerprint(record).lists[0].digest == matcher.digests[0]


def test_a_picture_is_hashed_again_for_what_a_later_version_holds(tmp_path: Path) -> None:
    """When the version that is taken up holds hashes of another algorithm, the picture is looked up by them too."""
    data = save(picture("photo", seed=5, size=(120, 160)), "PNG")
    path = tmp_path / "list"
    with ReferenceList.create(path, name="x") as ref:
        ref.add("by pdq", hashes=[hash_image(data)])
    with Matcher.open(path) as matcher:
        with ReferenceList.open(path, writable=True) as ref:
            ref.withdraw("by pdq")
            ref.add("by digest", hashes=[file_digest(data, "md5")])
        for source in (data, io.BytesIO(data)):
            report = matcher.match(source)
            assert [match.entry_id for match in report.matches] == ["by digest"]
            assert report.lists[0].digest == matcher.digests[0]


def test_damage_is_still_an_error(path: Path) -> None:
    """An entry that is missing though the version is the one served is damage, also while the list goes on."""
    with Matcher.open(path) as matcher:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("DELETE FROM entry WHERE key = 1")
        with pytest.raises(ReferenceListError, match="damaged"):
            matcher.match_hash(made_up(0))
        with ReferenceList.open(path, writable=True, check="none") as ref:
            ref.add("more", hashes=[made_up(9)])
        with pytest.raises(ReferenceListError, match="damaged"):
            matcher.match_hash(made_up(0))
        assert matcher.match_hash(made_up(1)).outcome is Outcome.MATCH


def test_explaining_blocks_no_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an answer holds a version still, a writer that is open commits; afterwards nothing is held."""
    with Matcher.open(path) as matcher:
        with ReferenceList.open(path, writable=True, timeout=0.2) as ref:
            ref.withdraw("entry-0", source="one")
            real, wrote = ListState.held, []

            def held(self: ListState, *args: object) -> ListState:
                found = real(self, *args)  # type: ignore[arg-type]
                wrote.append(ref.add("entry-0", hashes=[made_up(0)], labels={"class": "later"}))
                return found

            monkeypatch.setattr(ListState, "held", held)
            report = matcher.match_hash(made_up(0))
            assert wrote == [True]
            assert (report.outcome, report.lists[0].version) == (Outcome.NO_MATCH, 2)
        assert not list(path.parent.glob("list-wal")) or not (path.parent / "list-wal").stat().st_size
        with ReferenceList.open(path, writable=True, timeout=0.2) as ref:
            ref.compact()


def test_an_entry_that_changes_all_the_time_is_answered(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the entry changes between every two steps of the answer, there is one, and it is true."""
    known: Known = {}
    with Matcher.open(path) as matcher, ReferenceList.open(path, writable=True) as ref:
        note(known, ref)
        turn = iter(range(1000))

        def change() -> None:
            ref.relabel("entry-0", source="one", labels={"turn": str(next(turn))})
            note(known, ref)

        for name in ("entry", "held"):
            real = getattr(ListState, name)

            def changing(self: ListState, *args: object, real: object = real) -> object:
                change()
                try:
                    return real(self, *args)  # type: ignore[operator]
                finally:
                    change()

            monkeypatch.setattr(ListState, name, changing)
        for _ in range(5):
            check(matcher.match_hash(made_up(0)), made_up(0), known)


def test_a_watch_and_threads_beside_a_writer(tmp_path: Path) -> None:
    """Four threads ask while one entry or another is withdrawn, added and relabelled without pause."""
    path = make(tmp_path / "list", 6)
    known: Known = {}
    writing, stop = threading.Lock(), threading.Event()

    def ask(first: int) -> int:
        asked = 0
        while not stop.is_set():
            number = (first + asked) % 6
            report = matcher.match_hash(made_up(number))
            with writing:  # what was committed has been noted
                pass
            check(report, made_up(number), known)
            asked += 1
        return asked

    with (
        ReferenceList.open(path, writable=True) as ref,
        Matcher.open(path, reload_every=0.005) as matcher,
        ThreadPoolExecutor(4) as pool,
    ):
        note(known, ref)
        asking = [pool.submit(ask, first) for first in range(4)]
        try:
            for step in range(150):
                number = step % 6
                with writing:
                    if step % 3 == 0:
                        ref.withdraw(f"entry-{number}", source="one")
                    else:
                        labels = {"step": str(step)}
                        ref.add(f"entry-{number}", hashes=[made_up(number)], source="one", labels=labels)
                    note(known, ref)
        finally:
            stop.set()
        assert all(future.result() > 0 for future in asking)
        assert matcher.upkeep.error is None


NAMES = [f"entry-{i}" for i in range(4)]
SOURCES = st.sampled_from(["one", "two"])


class VersionsMachine(RuleBasedStateMachine):
    """A matcher beside a list that changes in every way, held against a dictionary of all contents there were."""

    @initialize(with_folder=st.booleans())
    def begin(self, with_folder: bool) -> None:
        """Make a list and open a matcher on it."""
        self.folder = tempfile.TemporaryDirectory()
        self.path = make(Path(self.folder.name) / "list", 2)
        index_folder = Path(self.folder.name) / "indexes" if with_folder else None
        if index_folder is not None:
            index_folder.mkdir()
        self.known: Known = {}
        self.matcher = Matcher.open(self.path, index_folder=index_folder)
        self.note()

    def note(self) -> None:
        """Remember the content."""
        with ReferenceList.open(self.path) as ref:
            note(self.known, ref)

    @contextlib.contextmanager
    def writing(self) -> Iterator[ReferenceList]:
        """Change the list, and remember what became of it."""
        with ReferenceList.open(self.path, writable=True) as ref:
            yield ref
        self.note()

    @rule(name=st.sampled_from(NAMES), number=st.integers(0, 5), source=SOURCES, quality=st.sampled_from([None, 60]))
    def add(self, name: str, number: int, source: str, quality: int | None) -> None:
        """Add a hash."""
        with self.writing() as ref:
            ref.add(name, hashes=[made_up(number)], source=source, quality=quality)

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3), source=SOURCES)
    def withdraw(self, names: Iterable[str], source: str) -> None:
        """Withdraw entries."""
        with self.writing() as ref:
            ref.withdraw_many(names, source=source)

    @rule(name=st.sampled_from(NAMES), value=st.sampled_from("abc"), source=SOURCES)
    def relabel(self, name: str, value: str, source: str) -> None:
        """Give other labels."""
        with self.writing() as ref:
            entry = ref.get(name)
            if entry is not None and source in entry.sources:
                ref.relabel(name, source=source, labels={"class": value})

    @rule()
    def compact(self) -> None:
        """Forget the history."""
        with self.writing() as ref:
            ref.compact()

    @rule(drop=st.booleans())
    def replace_the_file(self, drop: bool) -> None:
        """Put a copy in place of the list, changed or not."""
        copy = self.path.with_name("copy")
        shutil.copyfile(self.path, copy)
        with ReferenceList.open(copy, writable=True) as ref:
            if drop:
                ref.withdraw_many(NAMES, source="one")
        copy.rename(self.path)
        self.note()

    @rule()
    def reload(self) -> None:
        """Take up what there is."""
        self.matcher.reload()
        with ReferenceList.open(self.path) as ref:
            assert self.matcher.digests == (ref.digest,)

    @invariant()
    def every_report_is_true_of_what_it_names(self) -> None:
        """Ask for every hash that there ever was."""
        for number in range(6):
            check(self.matcher.match_hash(made_up(number)), made_up(number), self.known)

    def teardown(self) -> None:
        """Close and forget."""
        self.matcher.close()
        self.folder.cleanup()


TestVersionsMachine = VersionsMachine.TestCase
TestVersionsMachine.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
