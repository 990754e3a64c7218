"""Laws of matching again: what a rescan says is what a new scan would say, as far as a ledger can tell."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashmatch import HashValue, Matcher, MatchPolicy, Outcome, ReferenceList, hash_image, profiles
from hashmatch.errors import LedgerError, ReferenceListError
from hashmatch.picture.encode import encode
from hashmatch.policy import Rule, Selection, Where
from hashmatch.scan import Ledger, Rescan, iter_files, rescan, scan
from hashmatch.synthetic import picture
from support.list_makers import made_up
from support.scan_makers import make_medium, said


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a medium and its list, once."""
    return make_medium(tmp_path_factory.mktemp("medium"), n=6)


@pytest.fixture
def listed(medium: tuple[Path, Path], tmp_path: Path) -> Path:
    """Make a list that the test may change."""
    return Path(shutil.copyfile(medium[1], tmp_path / "list.hashmatch"))


def scanned(root: Path, ledger: Path, *lists: Path, policy: MatchPolicy = profiles.STANDARD) -> None:
    """Scan a medium into a ledger."""
    with Matcher.open(*lists, policy=policy) as matcher, Ledger.open(ledger, keep_names=True) as book:
        for _ in scan(matcher, iter_files([root]), ledger=book, workers=2, isolate=False):
            pass


def again(
    ledger: Path, *lists: Path, policy: MatchPolicy = profiles.STANDARD, **options: Any
) -> tuple[list[Any], Rescan]:
    """Match a ledger again."""
    summary = Rescan()
    with Ledger.open(ledger) as book:
        found = list(rescan(book, *lists, policy=policy, summary=summary, **options))
        book.verify()
    return found, summary


def answers(ledger: Path) -> list[tuple[Any, ...]]:
    """Give the answer for each item, without the versions of the lists that it names."""
    with Ledger.open(ledger, writable=False) as book:
        found = []
        for item in book:
            report = item.report
            kinds = [
                [(m.entry_id, m.algorithm, m.distance, m.view, m.labels, m.action, m.classes) for m in matches]
                for matches in (
                    report.matches,
                    [pair.match for pair in report.suppressed],
                    [pair.by for pair in report.suppressed],
                    report.comparisons,
                )
            ]
            found.append((item.name, item.outcome, item.reason, kinds, report.n_matches))
        return found


_ROLES: dict[str, Any] = {"a": "alarm", "good": "benign", "other": "comparison"}


def altered(rng: random.Random, ref: ReferenceList, root: Path, number: int) -> None:
    """Change a list in one of the ways in which lists change."""
    files = sorted(root.glob("f*/*.png"))
    what = rng.randrange(6)
    entries = [entry.entry_id for entry in ref]
    file = rng.choice(files)
    near = hash_image(file, decode=replace(profiles.STANDARD.decode, frames="first"))
    flipped = bytearray(near.data)
    for _ in range(rng.choice([0, 10, 40])):
        flipped[rng.randrange(32)] ^= 1 << rng.randrange(8)
    source = rng.choice(["a", "good", "other"])
    role = _ROLES[source]
    if what in (0, 1):
        ref.add(
            f"new-{number}", hashes=[HashValue("pdq", bytes(flipped))], source=source, role=role, labels={"class": "2"}
        )
    elif what == 2:
        from hashmatch.hashers.digest import digest

        ref.add(f"file-{number}", hashes=[digest(file.read_bytes(), "sha256")], source=source, role=role)
    elif what == 3 and len(entries) > 3:
        entry = ref.get(rng.choice(entries))
        assert entry is not None
        ref.withdraw(entry.entry_id, source=entry.listings[0].source)
    elif what == 4:
        entry = ref.get(rng.choice(entries))
        assert entry is not None
        ref.relabel(entry.entry_id, source=entry.listings[0].source, labels={"class": rng.choice("1234")})
    else:
        ref.add(f"far-{number}", hashes=[made_up(number)], source="a")


WITH_CLASSES = replace(
    profiles.FAST,
    name="with classes",
    selections=(
        Selection(where=Where(classes=("class:2",)), rules=(Rule(algorithm="pdq", threshold=60, min_quality=49),)),
        Selection(where=Where(), rules=profiles.FAST.rules, action="report"),
    ),
)


@pytest.mark.parametrize("policy", [profiles.FAST, profiles.STANDARD, WITH_CLASSES], ids=lambda policy: policy.name)
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(n, marks=pytest.mark.long) for n in range(4, 40))])
def test_a_rescan_says_what_a_scan_says(
    medium: tuple[Path, Path], listed: Path, tmp_path: Path, seed: int, policy: MatchPolicy
) -> None:
    """Whatever became of a list, in several steps: outcomes, matches and what suppresses them are those of a scan."""
    rng, root = random.Random(seed), medium[0]
    with ReferenceList.open(listed, writable=True) as ref:
        ref.add("benign", hashes=[made_up(1), made_up(2, "sha256")], source="good", role="benign")
        ref.add("shown", hashes=[made_up(3)], source="other", role="comparison")
    scanned(root, tmp_path / "kept", listed, policy=policy)
    for step in range(3):
        with ReferenceList.open(listed, writable=True) as ref:
            for number in range(rng.randrange(1, 5)):
                altered(rng, ref, root, 100 * seed + 10 * step + number)
        found, summary = again(tmp_path / "kept", listed, policy=policy)
        fresh = tmp_path / f"fresh-{step}"
        scanned(root, fresh, listed, policy=policy)
        kept, expected = answers(tmp_path / "kept"), answers(fresh)
        if policy.stop_at_digest:  # what a digest decided was not decoded: it is told, and a scan makes up for it
            told = [n for n, item in enumerate(kept) if item[2] == "views-not-compared" and item != expected[n]]
            assert all(kept[n][1] is Outcome.UNDECIDABLE for n in told)
            assert summary.to_scan >= len({kept[n][0] for n in told}) // 2
            kept = [item for n, item in enumerate(kept) if n not in told]
            expected = [item for n, item in enumerate(expected) if n not in told]
        assert kept == expected
        assert len(found) <= summary.answered <= summary.contents
        nothing = Rescan(contents=summary.contents, to_scan=summary.to_scan)
        assert again(tmp_path / "kept", listed, policy=policy) == ([], nothing)


def test_a_withdrawn_entry_takes_its_matches_back(medium: tuple[Path, Path], listed: Path, tmp_path: Path) -> None:
    """It is reported as such, then and later; the matches of other entries stay."""
    root, ledger = medium[0], tmp_path / "l"
    scanned(root, ledger, listed)
    with ReferenceList.open(listed, writable=True) as ref:
        ref.withdraw("entry-1", source="local")
    found, summary = again(ledger, listed)
    assert (summary.changed_entries, summary.whole) == (0, False)
    assert {(item.before.outcome, item.now.outcome) for item in found} == {(Outcome.MATCH, Outcome.NO_MATCH)}
    assert {match.entry_id for item in found for match in item.withdrawn} == {"entry-1"}
    assert not any(item.gained for item in found)
    with Ledger.open(ledger, writable=False) as book:
        taken_back = [item for item in book if item.withdrawn]
    assert {item.name.rpartition(b"/")[2] for item in taken_back if item.name} == {b"1.png", b"1-copy.png", b"1.jpg"}
    assert {entry for item in taken_back for _, entry, _ in item.withdrawn} == {"entry-1"}
    with ReferenceList.open(listed, writable=True) as ref:  # and listed again
        ref.add("entry-1", hashes=[hash_image(root / "f1" / "1.png")])
    found, _ = again(ledger, listed)
    assert {match.entry_id for item in found for match in item.gained} == {"entry-1"}
    with Ledger.open(ledger, writable=False) as book:
        assert {algorithm for item in book for _, _, algorithm in item.withdrawn} == {"sha256"}


def test_a_list_of_its_own_and_a_list_less(medium: tuple[Path, Path], listed: Path, tmp_path: Path) -> None:
    """A new list is matched in full; a list that is not given is asked for, or its matches are taken back."""
    root, ledger, more = medium[0], tmp_path / "l", tmp_path / "more.hashmatch"
    scanned(root, ledger, listed)
    with ReferenceList.create(more, name="more") as ref:
        ref.add("late", hashes=[hash_image(root / "f0" / "0.png")])
    found, summary = again(ledger, listed, more)
    assert summary.whole
    assert {match.entry_id for item in found for match in item.gained} == {"late"}
    scanned(root, tmp_path / "fresh", listed, more)
    assert answers(ledger) == answers(tmp_path / "fresh")
    with pytest.raises(LedgerError, match="'demo' too") as caught:
        again(ledger, more)
    assert caught.value.reason == "other-lists"
    found, _ = again(ledger, more, without=["demo"])
    assert {match.list_name for item in found for match in item.withdrawn} == {"demo"}
    scanned(root, tmp_path / "less", more)
    assert answers(ledger) == answers(tmp_path / "less")
    assert again(ledger, more)[0] == []


def test_another_policy_answers_everything_anew(medium: tuple[Path, Path], listed: Path, tmp_path: Path) -> None:
    """A narrower policy takes matches back; what a wider one asks for beyond the ledger is told."""
    root, ledger = medium[0], tmp_path / "l"
    scanned(root, ledger, listed)
    found, summary = again(ledger, listed, policy=profiles.FAST)
    assert summary.whole
    fresh = tmp_path / "fresh"
    scanned(root, fresh, listed, policy=profiles.FAST)
    kept = {name: outcome for name, outcome, *_ in answers(ledger)}
    plain = {name: outcome for name, outcome, *_ in answers(fresh)}
    assert {plain[name] for name in kept if kept[name] is Outcome.NO_MATCH} == {Outcome.NO_MATCH}
    # hashes of more views than FAST asks for are there, and what they find is no error
    assert all(kept[name] is plain[name] or kept[name] is Outcome.MATCH for name in kept)
    found, summary = again(ledger, listed, policy=profiles.THOROUGH)
    assert summary.to_scan > 0
    assert {item.now.outcome for item in found} <= {Outcome.UNDECIDABLE, Outcome.MATCH}
    assert all(item.now.reason == "views-not-compared" for item in found if item.now.outcome is Outcome.UNDECIDABLE)


def test_what_a_ledger_cannot_compare_is_scanned_again(medium: tuple[Path, Path], listed: Path, tmp_path: Path) -> None:
    """Rotations and crops of new entries: "no match" becomes undecidable, and a scan looks at those files alone."""
    root, ledger = medium[0], tmp_path / "l"
    scanned(root, ledger, listed, policy=profiles.THOROUGH)
    with ReferenceList.open(listed, writable=True) as ref:
        ref.relabel("entry-1", source="local", labels={"class": "9"})
    _, summary = again(ledger, listed, policy=profiles.THOROUGH)
    assert (summary.gap, summary.to_scan) == ((), 0)  # nothing came that would have to be compared
    with ReferenceList.open(listed, writable=True) as ref:
        ref.add("far", hashes=[made_up(5)])
    found, summary = again(ledger, listed, policy=profiles.THOROUGH)
    assert found == []
    assert summary.gap == ("rotations", "crops")
    assert summary.to_scan == 6
    assert sum(reason == "views-not-compared" for _, _, reason, *_ in answers(ledger)) == 9
    with Matcher.open(listed, policy=profiles.THOROUGH) as matcher, Ledger.open(ledger) as book:
        known = [item.known for item in scan(matcher, iter_files([root]), ledger=book, isolate=False)]
    assert known.count("new") == 6
    assert again(ledger, listed, policy=profiles.THOROUGH)[1].to_scan == 0
    scanned(root, tmp_path / "fresh", listed, policy=profiles.THOROUGH)
    assert sorted(answers(ledger), key=lambda item: item[0]) == sorted(
        answers(tmp_path / "fresh"), key=lambda item: item[0]
    )


def test_matches_by_evidence_stay(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """A crop that was found in the picture is not lost when something else about the picture is answered anew."""
    root, listed, ledger = tmp_path / "medium", tmp_path / "list.hashmatch", tmp_path / "l"
    root.mkdir()
    pixels = picture("photo", 3, size=(400, 420))
    (root / "crop.png").write_bytes(encode(pixels[30:-20, 40:-15], "PNG"))
    with ReferenceList.create(listed, name="demo") as ref:
        ref.add("whole", hashes=[hash_image(pixels)])
    scanned(root, ledger, listed, policy=profiles.THOROUGH)
    with ReferenceList.open(listed, writable=True) as ref:
        ref.add("same", hashes=[hash_image(root / "crop.png")])
    (found,), _ = again(ledger, listed, policy=profiles.THOROUGH)
    assert found.before.matches[0].evidence is not None
    assert {match.entry_id for match in found.now.matches} == {"whole", "same"}
    assert [match.entry_id for match in found.gained] == ["same"]
    with ReferenceList.open(listed, writable=True) as ref:
        ref.withdraw("whole", source="local")
    (found,), _ = again(ledger, listed, policy=profiles.THOROUGH)
    assert [match.entry_id for match in found.withdrawn] == ["whole"]
    assert medium


def test_a_list_put_in_anothers_place(medium: tuple[Path, Path], listed: Path, tmp_path: Path) -> None:
    """Another course of a list, and one that was compacted, are matched in full; one that is damaged is an error."""
    root, ledger, other = medium[0], tmp_path / "l", tmp_path / "other"
    shutil.copyfile(listed, other)
    with ReferenceList.open(listed, writable=True) as ref:
        ref.add("one", hashes=[made_up(1)])
    scanned(root, ledger, listed)
    with ReferenceList.open(other, writable=True) as ref:
        ref.add("two", hashes=[hash_image(root / "f0" / "0.png")])
    found, summary = again(ledger, other)
    assert summary.whole
    assert {match.entry_id for item in found for match in item.gained} == {"two"}
    with ReferenceList.open(other, writable=True) as ref:
        ref.withdraw("two", source="local")
        ref.compact()
    found, summary = again(ledger, other)
    assert {match.entry_id for item in found for match in item.withdrawn} == {"two"}
    before = answers(ledger)
    other.write_bytes(b"no list")
    with pytest.raises(ReferenceListError):
        again(ledger, other)
    assert answers(ledger) == before


def test_a_rescan_that_ends_early_has_changed_nothing(medium: tuple[Path, Path], listed: Path, tmp_path: Path) -> None:
    """All of it is one transaction."""
    ledger = tmp_path / "l"
    scanned(medium[0], ledger, listed)
    with Ledger.open(ledger, writable=False) as book:
        before = said(book)
    with ReferenceList.open(listed, writable=True) as ref:
        ref.withdraw("entry-1", source="local")
        ref.withdraw("entry-3", source="local")
    with Ledger.open(ledger) as book:
        run = rescan(book, listed, policy=profiles.STANDARD)
        next(run)
        run.close()
        assert said(book) == before
    found, _ = again(ledger, listed)
    assert len(found) == 4
