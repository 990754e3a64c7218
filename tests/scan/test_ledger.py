"""Laws of the ledger: what is written is what was answered, nothing is done twice, missed or named."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch import Matcher, Outcome, ReferenceList, hash_image, profiles
from hashmatch.errors import LedgerError
from hashmatch.scan import Ledger, ScanSummary, iter_files, scan
from support import scan_makers
from support.list_makers import made_up
from support.nobody import holds_as_nobody
from support.scan_makers import columns, make_medium, said, scanned


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a medium and its list, once."""
    return make_medium(tmp_path_factory.mktemp("medium"))


@pytest.fixture(scope="module")
def whole(medium: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the ledger of an undisturbed scan, once."""
    path = tmp_path_factory.mktemp("whole") / "whole.ledger"
    scanned(*medium, path)
    return path


def run(matcher: Matcher, book: Ledger | None, root: Path, **options: Any) -> tuple[list[Any], ScanSummary]:
    """Scan, and count."""
    summary, items = ScanSummary(), []
    for item in scan(matcher, iter_files([root]), ledger=book, isolate=False, **options):
        summary.count(item)
        items.append(item)
    return items, summary


@pytest.mark.parametrize("workers", [1, 3])
def test_answers_are_those_of_a_scan_without(medium: tuple[Path, Path], tmp_path: Path, workers: int) -> None:
    """Reports with a ledger, without one, and of a matcher alone are equal; equal contents are looked at once."""
    root, listed = medium
    with Matcher.open(listed) as matcher, Ledger.open(tmp_path / "l") as book:
        kept, summary = run(matcher, book, root, workers=workers)
        plain, _ = run(matcher, None, root, workers=workers)
        direct = list(matcher.match_many(item.path for item in plain))
        assert [(item.path, item.report) for item in kept] == [(item.path, item.report) for item in plain]
        assert [item.report for item in kept] == direct
        assert summary.outcomes[Outcome.MATCH] == 12
        assert summary.known == {"new": 8 + 8 + 2 + 3, "content": 8 + 6}
        assert [stored.report for stored in book] == direct
        assert (book.counts().items, book.counts().contents) == (len(direct), 21)


def test_a_second_run_reads_nothing(medium: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done is answered from the ledger, equal to the first answers, in order."""
    root, listed = medium
    with Matcher.open(listed) as matcher:
        with Ledger.open(tmp_path / "l") as book:
            first, _ = run(matcher, book, root)
        monkeypatch.setattr(Matcher, "read", lambda *_, **__: pytest.fail("a file was read again"))
        with Ledger.open(tmp_path / "l") as book:
            second, summary = run(matcher, book, root)
    assert [(item.path, item.report) for item in first] == [(item.path, item.report) for item in second]
    assert summary.known == {"before": len(first)}


def test_a_changed_file_is_done_again(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """Another file in the place of one that was done is looked at, and its row says so."""
    root, listed = tmp_path / "medium", medium[1]
    shutil.copytree(medium[0], root)
    with Matcher.open(listed) as matcher, Ledger.open(tmp_path / "l", keep_names=True) as book:
        run(matcher, book, root)
        shutil.copyfile(root / "f1" / "1.jpg", root / "f0" / "0.jpg")
        items, summary = run(matcher, book, root)
        assert summary.known["before"] == len(items) - 1
        changed = next(item for item in items if item.path.name == "0.jpg")
        assert (changed.known, changed.report.outcome) == ("content", Outcome.MATCH)
        stored = {item.name: item.report for item in book}
        assert stored[os.fsencode(changed.path)] == changed.report
        assert len(stored) == len(items)


def test_what_could_not_be_read_is_tried_again(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """A file that was gone has a row with its reason, and an answer once it is there."""
    late = tmp_path / "late.png"
    with Matcher.open(medium[1]) as matcher, Ledger.open(tmp_path / "l") as book:
        (gone,) = scan(matcher, [late], ledger=book, isolate=False)
        assert (gone.report.outcome, gone.report.reason) == (Outcome.UNREADABLE, "not-found")
        assert [(item.content, item.report.reason) for item in book] == [(None, "not-found")]
        shutil.copyfile(medium[0] / "f1" / "1.png", late)
        (there,) = scan(matcher, [late], ledger=book, isolate=False)
        assert there.report.outcome is Outcome.MATCH
        assert [item.report.outcome for item in book] == [Outcome.MATCH]


@pytest.mark.parametrize("keep", [False, True])
def test_names_are_kept_only_if_asked_for(medium: tuple[Path, Path], tmp_path: Path, *, keep: bool) -> None:
    """No part of a path is in the file of a ledger that keeps none; `key_of` tells whoever has the name."""
    root, path = tmp_path / "zzcanary", tmp_path / "l"
    shutil.copytree(medium[0], root)
    (root / "f0" / "qqcanary.png").write_bytes(b"x")
    with Matcher.open(medium[1]) as matcher, Ledger.open(path, keep_names=keep) as book:
        run(matcher, book, root)
        key = book.key_of(os.fsencode(root / "f0" / "qqcanary.png"))
        assert [item.name for item in book if item.key == key] == [
            os.fsencode(root / "f0" / "qqcanary.png") if keep else None
        ]
    data = b"".join(file.read_bytes() for file in tmp_path.glob("l*"))
    assert (b"canary" in data) is keep
    with pytest.raises(LedgerError) as caught:
        Ledger.open(path, keep_names=not keep)
    assert caught.value.reason == "other-names"
    Ledger.open(path).close()
    assert path.stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_names_that_are_no_text(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """Any bytes that a system has for a name are one."""
    root = tmp_path / "medium"
    root.mkdir()
    try:
        path = Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9\n.png"))
        shutil.copyfile(medium[0] / "f1" / "1.png", path)
    except OSError:
        pytest.skip("this file system takes no such name")
    with Matcher.open(medium[1]) as matcher, Ledger.open(tmp_path / "l", keep_names=True) as book:
        run(matcher, book, root)
        assert [item.name for item in book] == [os.fsencode(path)]


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(n, marks=pytest.mark.long) for n in range(5, 50))])
def test_a_killed_scan_goes_on(medium: tuple[Path, Path], whole: Path, tmp_path: Path, seed: int) -> None:
    """Kill -9 at any point, also again and again: the resumed scan is the undisturbed one, item for item."""
    rng, path = random.Random(seed), tmp_path / "killed.ledger"
    words = [sys.executable, scan_makers.__file__, *map(str, (*medium, path)), *(["commit"] if seed % 2 else [])]
    env = os.environ | {"PYTHONPATH": str(Path(scan_makers.__file__).parent.parent)}
    for _ in range(1 + seed % 3):
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as child:
            assert child.stdout is not None
            for _ in range(rng.randrange(36)):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
    assert scanned(*medium, path) == scanned(*medium, whole)
    with Ledger.open(path) as book, Ledger.open(whole) as other:
        assert columns(book) == columns(other)
        assert book.counts() == other.counts()


def test_a_full_disk_is_an_error_and_the_scan_goes_on(medium: tuple[Path, Path], whole: Path, tmp_path: Path) -> None:
    """At whatever page the disk is full: a typed error, and what was committed stays."""
    root, listed = medium
    kept = []
    with Matcher.open(listed) as matcher:
        n_pages = whole.stat().st_size // 4096
        for pages in (n_pages // 2, n_pages * 3 // 4, n_pages - 3):
            path = tmp_path / f"{pages}.ledger"
            with Ledger.open(path, keep_names=True) as book:
                book._connection.execute(f"PRAGMA max_page_count = {pages}")
                items = scan(matcher, iter_files([root]), ledger=book, isolate=False)
                with pytest.raises(LedgerError, match="disk is full") as caught:
                    deque((book.commit() for _ in items), 0)
                assert caught.value.reason == "disk-full"
            with Ledger.open(path) as book:
                kept.append(book.counts().items)
            assert scanned(root, listed, path) == scanned(root, listed, whole)
    assert kept == sorted(kept)
    assert kept[-1] > 0


def test_every_damage_is_told(whole: Path, tmp_path: Path) -> None:
    """One byte spoilt anywhere: the ledger says the same as before, or an error of its own; never anything else."""
    sound = said_of(whole)
    data, reasons = whole.read_bytes(), set()
    rng, told = random.Random(1), 0
    for place in [0, 17, 28, 60, 68, *(rng.randrange(len(data)) for _ in range(150))]:
        path = tmp_path / "spoilt.ledger"
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            with Ledger.open(path, writable=False) as book:
                book.verify()
                assert said(book) == sound
        except LedgerError as error:
            told += 1
            reasons.add(error.reason)
    assert told > 30
    assert reasons <= {"damaged", "foreign", "newer"}
    for length in range(0, len(data), len(data) // 20):
        path.write_bytes(data[:length])
        with pytest.raises(LedgerError), Ledger.open(path, writable=False) as book:
            book.verify()


def test_a_damaged_number_hides_no_item(whole: Path, tmp_path: Path) -> None:
    """SQLite finds rows by their numbers: where one is damaged, those before it would not come."""
    data = whole.read_bytes()
    with contextlib.closing(sqlite3.connect(whole)) as connection:
        keys = connection.execute("SELECT id, key FROM item ORDER BY id").fetchall()
    hidden = 0
    for number, key in keys:
        assert number < 128  # one byte
        # before a key stand the number, the length of the header and the header; the key is in an index too
        start = next(
            place
            for found in re.finditer(re.escape(key), data)
            for place in range(found.start() - 1, found.start() - 20, -1)
            if data[place] == found.start() - place and data[place - 1] == number
        )
        path = tmp_path / "spoilt.ledger"
        path.write_bytes(data[: start - 1] + b"\0" + data[start:])
        with Ledger.open(path, writable=False) as book:
            try:
                assert len(list(book)) == len(keys)
            except LedgerError as error:
                assert error.reason == "damaged"  # noqa: PT017
                hidden += 1
    assert hidden


def test_a_damaged_number_hides_no_block(tmp_path: Path) -> None:
    """What a rescan would pass over is damage, and no search without a hit."""
    path = tmp_path / "l"
    with Ledger.open(path) as book, contextlib.closing(sqlite3.connect(path)) as connection:
        for number in range(1, 4):
            owners, codes = number.to_bytes(8, "little"), bytes([number]) * 32
            row = ("pdq", owners, codes, zlib.crc32(codes, zlib.crc32(owners)))
            connection.execute("INSERT INTO block VALUES (NULL, ?, ?, ?, ?)", row)
        connection.commit()
        assert [codes.tolist() for _, codes in book.blocks("pdq")] == [[[number] * 32] for number in (1, 2, 3)]
    sound, places = path.read_bytes(), []
    for number in range(1, 4):
        at = sound.index(b"pdq" + number.to_bytes(8, "little"))
        places.append(next(n for n in range(at - 1, 0, -1) if sound[n] == at - n and sound[n - 1] == number) - 1)
    for place in places:
        path.write_bytes(sound[:place] + b"\0" + sound[place + 1 :])
        with Ledger.open(path, writable=False) as book, pytest.raises(LedgerError) as caught:
            list(book.blocks("pdq"))
        assert caught.value.reason == "damaged"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_ledger_in_a_read_only_place_can_be_read(whole: Path) -> None:
    """As one on a medium that is kept as evidence, where nothing can be made beside it."""

    def check() -> bool:
        with Ledger.open(path, writable=False) as book:
            return len(list(book)) == there

    there = len(said_of(whole))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = Path(shutil.copyfile(whole, folder / "l"))
        path.chmod(0o444)
        folder.chmod(0o555)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            good = holds_as_nobody(check)
        folder.chmod(0o755)
        assert good
        assert [item.name for item in folder.iterdir()] == ["l"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE content SET report = (SELECT max(report) FROM content WHERE outcome = 1)",
        "UPDATE content SET basis = basis + 1",
        "UPDATE item SET content = 1 WHERE content IS NOT NULL",
        "UPDATE report SET body = X'7B7D'",
    ],
)
def test_what_answers_is_checked(medium: tuple[Path, Path], whole: Path, tmp_path: Path, change: str) -> None:
    """A row that is another than it was gives no answer: not to a scan, a report or a known content."""
    path = Path(shutil.copyfile(whole, tmp_path / "l"))
    root, listed = medium
    with Matcher.open(listed) as matcher:
        paths = [item for item in root.rglob("*") if item.is_file() and matcher.match(item).matches]
        digests = [hashlib.sha256(item.read_bytes()).digest() for item in paths]
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(change)
        with Ledger.open(path, keep_names=True) as book:
            book.begin(matcher)
            for read in (
                lambda: [book.done(os.fsencode(item), stamp(item)) for item in paths],
                lambda: list(book),
                *(() if "item" in change else (lambda: [book.known(digest) for digest in digests],)),
            ):
                with pytest.raises(LedgerError) as caught:
                    read()
                assert caught.value.reason == "damaged"


def said_of(path: Path) -> list[tuple[Any, ...]]:
    """Give what the ledger of a file says."""
    with Ledger.open(path, writable=False) as book:
        return said(book)


def test_what_is_no_ledger_is_not_touched(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """Other files, other databases and newer ledgers are refused by reason, and stay as they are."""
    cases: dict[str, str] = {}
    (tmp_path / "text").write_text("no ledger" * 1000)
    cases["text"] = "foreign"
    shutil.copyfile(medium[1], tmp_path / "list")
    cases["list"] = "foreign"
    Ledger.open(tmp_path / "newer").close()
    Ledger.open(tmp_path / "changed").close()
    for name, statement in (("newer", "PRAGMA user_version = 2"), ("changed", "CREATE VIEW v AS SELECT 1")):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute(statement)
    cases |= {"newer": "newer", "changed": "damaged", "none/at/all": "unusable"}
    (tmp_path / "folder").mkdir()
    cases["folder"] = "unusable"
    for name, reason in cases.items():
        path = tmp_path / name
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(LedgerError) as caught:
            Ledger.open(path)
        assert caught.value.reason == reason, name
        assert (path.read_bytes() if path.is_file() else None) == before
    with pytest.raises(LedgerError) as caught:
        Ledger.open(tmp_path / "missing", writable=False)
    assert caught.value.reason == "missing"
    assert not (tmp_path / "missing").exists()


def test_one_scan_at_a_time(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """A ledger that another scan writes to is busy."""
    with Matcher.open(medium[1]) as matcher, Ledger.open(tmp_path / "l") as book:
        items = scan(matcher, iter_files([medium[0]]), ledger=book, isolate=False)
        next(items)
        with Ledger.open(tmp_path / "l", timeout=0.05) as other, pytest.raises(LedgerError) as caught:
            list(scan(matcher, iter_files([medium[0]]), ledger=other, isolate=False))
        assert caught.value.reason == "busy"
        items.close()


def test_another_policy_is_another_ledger(medium: tuple[Path, Path], whole: Path, tmp_path: Path) -> None:
    """A scan goes on by the policy that it was begun by, or not at all."""
    path = tmp_path / "l"
    shutil.copyfile(whole, path)
    with (
        Matcher.open(medium[1], policy=profiles.FAST) as matcher,
        Ledger.open(path) as book,
        pytest.raises(LedgerError) as caught,
    ):
        list(scan(matcher, [], ledger=book, isolate=False))
    assert caught.value.reason == "other-policy"


def test_a_list_that_grew_between_two_runs(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """What is done stays as it was answered and is counted as behind; what comes is compared with the new version."""
    root, listed = medium[0], tmp_path / "list.hashmatch"
    shutil.copyfile(medium[1], listed)
    copy = root / "f0" / "0-copy.png"
    with Matcher.open(listed) as matcher, Ledger.open(tmp_path / "l") as book:
        (first,) = scan(matcher, [root / "f0" / "0.png"], ledger=book, isolate=False)
        with ReferenceList.open(listed, writable=True) as ref:
            ref.add("late", hashes=[hash_image(root / "f0" / "0.png")])
        matcher.reload()
        again, late = scan(matcher, [root / "f0" / "0.png", copy], ledger=book, isolate=False)
        assert first.report.outcome is Outcome.NO_MATCH
        assert (again.known, again.report) == ("before", first.report)
        # the content was compared with an earlier version: it is looked at again, and both items have the answer
        assert (late.known, late.report.outcome) == ("new", Outcome.MATCH)
        assert [item.report.outcome for item in book] == [Outcome.MATCH, Outcome.MATCH]
        assert book.counts().behind == 0


def test_a_list_that_changes_during_a_scan(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """Each content is written down with the versions that it was compared with."""
    root, listed = medium[0], tmp_path / "list.hashmatch"
    shutil.copyfile(medium[1], listed)
    with Matcher.open(listed) as matcher, Ledger.open(tmp_path / "l") as book:
        paths = list(iter_files([root]))

        def walk() -> Iterator[Path]:
            for number, path in enumerate(paths):
                if number == 12:
                    with ReferenceList.open(listed, writable=True) as ref:
                        ref.add("more", hashes=[made_up(1)])
                    matcher.reload()
                yield path

        for item in scan(matcher, walk(), ledger=book, workers=1, isolate=False):
            assert item.report.lists[0].version >= 1
        versions = set()
        for stored in book:
            if stored.basis is not None:
                assert [item.mark.version for item in stored.basis.lists] == [stored.report.lists[0].version]
                versions.add(stored.report.lists[0].version)
        assert len(versions) == 2
        assert 0 < book.counts().behind < book.counts().contents


def test_an_answer_does_not_wait_for_the_next_path(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """None among the paths has everything that is under way answered and committed."""
    taken: list[str] = []

    def paths() -> Iterator[Path | None]:
        for name in ("0.png", "1.png"):
            yield medium[0] / f"f{name[0]}" / name
            yield None
            assert taken[-1] == name
            with Ledger.open(tmp_path / "l", writable=False) as other:
                assert other.counts().items == len(taken)

    with Matcher.open(medium[1]) as matcher, Ledger.open(tmp_path / "l") as book:
        for item in scan(matcher, paths(), ledger=book, isolate=False):
            taken.append(item.path.name)  # noqa: PERF401 - looked at meanwhile
    assert taken == ["0.png", "1.png"]


def test_no_hash_is_shown(whole: Path) -> None:
    """`repr` of a ledger and of what it gives holds no digest."""
    with Ledger.open(whole, writable=False) as book:
        shown = repr(book) + "".join(repr(item) for item in book)
        digest = book.digests_of(1)["sha256"].hex()
    assert digest not in shown


def test_two_that_write_in_turn_lose_nothing(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """Each ends what the other began between: every item has the answer that it had, and the file is sound."""
    root, listed = medium
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    with Matcher.open(listed) as matcher:
        direct = dict(zip(paths, matcher.match_many(paths), strict=True))
        # pictures without a match first: their reports are remembered and make no new row
        paths.sort(key=lambda path: direct[path].outcome is Outcome.MATCH)
        with Ledger.open(tmp_path / "l") as one, Ledger.open(tmp_path / "l") as other:
            turns = [paths[:2], paths[-6:], paths[2:10], paths[-12:-6], paths]
            for number, some in enumerate(turns):
                book = (one, other)[number % 2]
                answers = [item.report for item in scan(matcher, some, ledger=book, isolate=False)]
                assert answers == [direct[path] for path in some]
            for path in paths:
                assert one.done(os.fsencode(path), stamp(path)) == direct[path]
            assert one.counts() == other.counts()
            one.verify()


def stamp(path: Path) -> bytes:
    """Say what tells a file from a later one at its place."""
    status = path.stat()
    return b"%d %d" % (status.st_size, status.st_mtime_ns)


def test_a_scan_stops_where_its_basis_was_matched_again(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """What a scan compares with the old list is never recorded as compared with the new one."""
    root, listed = medium
    shutil.copy(listed, tmp_path / "list")
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    with Matcher.open(tmp_path / "list") as matcher, Ledger.open(tmp_path / "l") as book:
        deque(scan(matcher, paths[:4], ledger=book, isolate=False), 0)
        before = book.counts()
        basis = book.bases[-1]
        with Ledger.open(tmp_path / "l") as other:
            other.bring_up(basis, (), ("keypoints",))
        with pytest.raises(LedgerError, match="run the same command again") as caught:
            deque(scan(matcher, paths[4:], ledger=book, isolate=False), 0)
        assert caught.value.reason == "busy"
        assert book.counts().items == before.items
