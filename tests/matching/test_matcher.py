"""Laws of matching: outcomes, explanation, views, many lists, threads and reloading."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hashmatch import Matcher, Outcome, ReferenceList, fingerprint, hash_image, profiles
from hashmatch.errors import PolicyError, ReferenceListError
from hashmatch.hashes import Fingerprint, HashValue, ViewHash, distance
from hashmatch.index import segmented
from hashmatch.jail import Isolation
from hashmatch.lists import Entry
from hashmatch.matching.hits import _plain_hits
from hashmatch.picture.encode import encode
from hashmatch.policy import MatchPolicy, Rule
from hashmatch.store.state import ListState
from hashmatch.synthetic import picture
from hashmatch.view import Turn, View

PHOTO = picture("photo", 1, size=(180, 240))
OTHER = picture("photo", 2, size=(180, 240))
FLAT = np.full((90, 120, 3), 127, np.uint8)


def flipped(value: HashValue, n_bits: int) -> HashValue:
    """Flip the first bits of a hash."""
    mask = ((1 << n_bits) - 1) << (value.n_bits - n_bits)
    return HashValue(value.algorithm, (int.from_bytes(value.data) ^ mask).to_bytes(len(value.data)))


def pdq(number: int) -> HashValue:
    """One of many hashes that are far from one another."""
    return HashValue("pdq", hashlib.sha256(str(number).encode()).digest())


def make_list(path: Path, name: str = "demo", **entries: list[HashValue]) -> Path:
    """Make a list file with these entries."""
    with ReferenceList.create(path, name=name) as ref:
        for entry_id, hashes in entries.items():
            ref.add(entry_id, hashes=hashes, source="ncmec", labels={"class": "A1"})
    return path


@pytest.fixture
def photo_list(tmp_path: Path) -> Path:
    """Make a list with one photo by PDQ."""
    return make_list(tmp_path / "list.hashmatch", photo=[hash_image(PHOTO)])


def test_threshold_is_inclusive(tmp_path: Path) -> None:
    """A hash at exactly the threshold matches, one bit further does not."""
    path = make_list(tmp_path / "list.hashmatch", entry=[pdq(0)])
    with Matcher.open(path) as matcher:
        for n_bits, outcome in ((0, Outcome.MATCH), (31, Outcome.MATCH), (32, Outcome.NO_MATCH)):
            report = matcher.match_hash(flipped(pdq(0), n_bits))
            assert report.outcome is outcome
            assert [match.distance for match in report.matches] == [n_bits] * len(report.matches)


def test_a_match_explains_itself(photo_list: Path) -> None:
    """The report names list, version, entry, labels, algorithm, distance, threshold, view and software."""
    with Matcher.open(photo_list) as matcher:
        report = matcher.match(encode(PHOTO[:, ::-1], "PNG"))
        (match,) = report.matches
        (name, version, n_entries) = matcher.lists[0]
    assert report.outcome is Outcome.MATCH
    assert (match.list_name, match.list_version, n_entries) == (name, version, 1) == ("demo", version, 1)
    assert (match.entry_id, match.labels, match.sources) == ("photo", {"class": "A1"}, {"ncmec": {"class": "A1"}})
    assert (match.algorithm, match.threshold) == ("pdq", 31)
    assert match.distance <= 10
    assert match.view == View(turn=Turn.MIRROR)
    assert match.quality is not None
    assert match.quality >= 50
    record = json.loads(json.dumps(report.to_dict()))
    assert record["software"].startswith("hashmatch ")
    assert record["policy"] == "standard"
    assert record["matches"][0]["view"]["text"] == "mirrored"
    assert record["lists"][0]["compared"] == {"pdq": 1}


def test_fast_does_not_turn_the_picture(photo_list: Path) -> None:
    """With FAST the mirrored picture is not found; with STANDARD each of the eight turns is."""
    with Matcher.open(photo_list, policy=profiles.FAST) as matcher:
        assert matcher.match(PHOTO).outcome is Outcome.MATCH
        assert matcher.match(np.ascontiguousarray(PHOTO[:, ::-1])).outcome is Outcome.NO_MATCH
    with Matcher.open(photo_list) as matcher:
        for turned in (PHOTO, PHOTO[:, ::-1], PHOTO[::-1]):
            for quarter in range(4):
                assert matcher.match(np.ascontiguousarray(np.rot90(turned, quarter))).outcome is Outcome.MATCH


def test_source_kinds_give_the_same_report(photo_list: Path, tmp_path: Path) -> None:
    """Bytes, path, file and array of one picture are answered alike."""
    data = encode(PHOTO, "PNG")
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    with Matcher.open(photo_list) as matcher:
        reports = [matcher.match(source) for source in (data, path, str(path), io.BytesIO(data), PHOTO)]
    assert all(report == reports[0] for report in reports)


def test_unrelated_is_no_match(photo_list: Path) -> None:
    """Another picture is "no match", without a reason."""
    with Matcher.open(photo_list) as matcher:
        report = matcher.match(OTHER)
    assert (report.outcome, report.matches, report.reason) == (Outcome.NO_MATCH, (), None)


def test_flat_picture_is_undecidable(photo_list: Path) -> None:
    """A picture without content is neither a match nor "no match", even where a flat hash is listed."""
    with ReferenceList.open(photo_list, writable=True) as ref:
        ref.add("flat", hashes=[hash_image(FLAT)])
    with Matcher.open(photo_list) as matcher:
        report = matcher.match(FLAT)
        assert (report.outcome, report.reason, report.matches) == (Outcome.UNDECIDABLE, "too-plain", ())
        assert report.lists[0].not_compared == {"pdq": 2}
        low = matcher.match_hash(hash_image(FLAT), quality=49)
        assert low.outcome is Outcome.UNDECIDABLE
        assert matcher.match_hash(hash_image(FLAT), quality=50).outcome is Outcome.MATCH


def test_classic_hashes_of_a_flat_picture_are_undecidable_too(tmp_path: Path) -> None:
    """The quality measured on the picture guards hashes that measure none themselves."""
    path = make_list(tmp_path / "list.hashmatch", entry=[hash_image(PHOTO, "phash")])
    with Matcher.open(path) as matcher:
        assert matcher.match(FLAT).outcome is Outcome.UNDECIDABLE


@pytest.mark.parametrize(
    ("source", "reason"),
    [(b"", "empty"), (b"some text, no picture", "not-an-image"), ("nowhere.jpg", "not-found"), (".", "is-a-directory")],
)
def test_unreadable_is_an_outcome(photo_list: Path, source: object, reason: str) -> None:
    """What cannot be decoded is answered, with a reason, and nothing is raised."""
    with Matcher.open(photo_list) as matcher:
        report = matcher.match(source)  # type: ignore[arg-type]
    assert (report.outcome, report.reason) == (Outcome.UNREADABLE, reason)


def test_unreadable_even_when_lists_hold_digests_only(tmp_path: Path) -> None:
    """A file that is no picture is unreadable, not "no match", whatever the lists hold."""
    path = make_list(tmp_path / "list.hashmatch", entry=[hash_image(encode(PHOTO, "PNG"), "sha256")])
    with Matcher.open(path) as matcher:
        assert matcher.match(b"text").outcome is Outcome.UNREADABLE
        assert matcher.match(encode(OTHER, "PNG")).outcome is Outcome.NO_MATCH
        assert matcher.match(OTHER).reason == "nothing-to-compare"


@pytest.mark.parametrize("policy", [profiles.FAST, profiles.STANDARD], ids=lambda policy: policy.name)
def test_digest_matches_a_file_that_cannot_be_decoded(tmp_path: Path, policy: MatchPolicy) -> None:
    """A known file is found by its digest even when no decoder reads it."""
    data = b"\xff\xd8 not really a picture"
    path = make_list(tmp_path / "list.hashmatch", entry=[HashValue("md5", hashlib.md5(data).digest())])  # noqa: S324
    with Matcher.open(path, policy=policy) as matcher:
        report = matcher.match(data)
    assert report.outcome is Outcome.MATCH
    assert (report.matches[0].algorithm, report.matches[0].distance) == ("md5", 0)
    assert report.reason == (None if policy.stop_at_digest else "not-an-image")
    assert not report.partial, "a digest is of the whole file"


def test_fast_stops_at_a_digest_and_standard_goes_on(tmp_path: Path) -> None:
    """After a digest FAST does not decode; STANDARD compares the pixels as well and says both."""
    data = encode(PHOTO, "PNG")
    path = make_list(tmp_path / "list.hashmatch", entry=[hash_image(data, "sha1"), hash_image(data)])
    with Matcher.open(path, policy=profiles.FAST) as matcher:
        report = matcher.match(data)
        assert [match.algorithm for match in report.matches] == ["sha1"]
        assert report.lists[0].not_compared == {"pdq": 1}
    with Matcher.open(path) as matcher:
        assert [match.algorithm for match in matcher.match(data).matches] == ["sha1", "pdq"]


VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 20_000
BIG = encode(OTHER, "PNG") + bytes(4_000_000)
SMALL_LIMIT = replace(profiles.STANDARD, decode=replace(profiles.STANDARD.decode, max_bytes=1_000_000))


@pytest.mark.parametrize("form", ["path", "bytes", "bytearray", "file", "pipe"])
@pytest.mark.parametrize("isolated", [False, True])
def test_a_digest_has_no_size_limit(tmp_path: Path, form: str, isolated: bool) -> None:
    """A file over ``max_bytes`` is matched by its digests, and unreadable without a match: it was not looked at."""
    held = [HashValue("md5", hashlib.md5(VIDEO).digest()), HashValue("sha256", hashlib.sha256(BIG).digest())]  # noqa: S324
    path = make_list(tmp_path / "list.hashmatch", video=held[:1], big=held[1:], photo=[hash_image(PHOTO)])

    def write_all(pipe: int, data: bytes) -> None:
        with os.fdopen(pipe, "wb") as file:
            file.write(data)

    def given(data: bytes) -> object:
        (tmp_path / "file").write_bytes(data)
        if form == "pipe":
            read, write = os.pipe()
            threading.Thread(target=write_all, args=(write, data), daemon=True).start()
            return os.fdopen(read, "rb", buffering=0)
        if form == "file":
            return (tmp_path / "file").open("rb")
        return {"path": tmp_path / "file", "bytes": data, "bytearray": bytearray(data)}[form]

    isolation = Isolation(workers=1) if isolated else None
    cases = {
        VIDEO: (Outcome.MATCH, "not-an-image", ["video"]),
        BIG: (Outcome.MATCH, "too-many-bytes", ["big"]),
        VIDEO + b"x": (Outcome.UNREADABLE, "not-an-image", []),
        BIG + b"x": (Outcome.UNREADABLE, "too-many-bytes", []),
    }
    with Matcher.open(path, policy=SMALL_LIMIT, isolation=isolation) as matcher:
        for data, expected in cases.items():
            source = given(data)
            report = matcher.match(source)  # type: ignore[arg-type]
            assert (report.outcome, report.reason, [match.entry_id for match in report.matches]) == expected
            assert not report.partial
            if hasattr(source, "close"):
                source.close()


@pytest.mark.parametrize(
    ("head", "reason", "isolated_reason", "name"),
    [
        (b"8BPS\0\1", "format-not-read", "format-not-read", "PSD"),
        (b"II\x2a\0\x08\0\0\0", "format-not-allowed", "too-many-bytes", "TIFF"),
        (b"\xff\xd8\xff\xe0", "too-many-bytes", "too-many-bytes", "JPEG"),
    ],
)
def test_a_picture_over_the_limit_is_named_by_its_head(
    photo_list: Path, head: bytes, reason: str, isolated_reason: str, name: str
) -> None:
    """A format that is not read or not allowed is said whatever the size, as a worker process would say it."""
    for isolation, expected in ((None, reason), (Isolation(workers=1), isolated_reason)):
        with Matcher.open(photo_list, policy=SMALL_LIMIT, isolation=isolation) as matcher:
            report = matcher.match(head + bytes(2_000_000))
        assert (report.outcome, report.reason, report.format) == (Outcome.UNREADABLE, expected, name)


def test_only_lists_with_digests_cost_the_reading_of_a_large_file(tmp_path: Path) -> None:
    """Against hashes of pixels alone, or digests that were all withdrawn, a file of a terabyte is answered at once."""
    path = make_list(tmp_path / "list.hashmatch", photo=[hash_image(PHOTO)], file=[HashValue("md5", bytes(range(16)))])
    with ReferenceList.open(path, writable=True) as ref:
        ref.withdraw("file", source="ncmec")
    with (tmp_path / "huge").open("wb") as file:
        file.write(encode(PHOTO, "PNG"))
        file.truncate(2**40)
    with Matcher.open(path) as matcher:
        report = matcher.match(tmp_path / "huge")
    assert (report.outcome, report.reason) == (Outcome.UNREADABLE, "too-many-bytes")


def test_the_digest_of_a_long_file_can_be_stopped(tmp_path: Path) -> None:
    """Whoever stops a search in threads does not wait for the end of a file of a terabyte."""
    path = make_list(tmp_path / "list.hashmatch", file=[HashValue("md5", bytes(range(16)))])
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    with Matcher.open(path) as matcher:
        found = matcher.match_many([b"first", tmp_path / "huge", *[b"next"] * 8], workers=2)
        assert next(found).reason == "not-an-image"
        found.close()  # type: ignore[attr-defined]
        assert matcher.counts()["reasons"].keys() == {"not-an-image"}


def test_nothing_comparable_is_undecidable(tmp_path: Path) -> None:
    """A list of hashes that cannot be computed here allows no "no match"."""
    path = make_list(tmp_path / "list.hashmatch", entry=[HashValue("photodna", bytes(range(144)))])
    with Matcher.open(path) as matcher:
        report = matcher.match(PHOTO)
        assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "nothing-to-compare")
        assert report.lists[0].not_compared == {"photodna": 1}
        near = HashValue("photodna", bytes([200]) + bytes(range(1, 144)))
        assert matcher.match_hash(near).matches[0].distance == 200
        assert matcher.match_hash(HashValue("photodna", bytes(144))).outcome is Outcome.NO_MATCH


def test_a_list_of_opaque_hashes_is_never_no_match(tmp_path: Path) -> None:
    """Digests find the file itself; whether an edited copy is listed cannot be told, whatever other lists say."""
    opaque, md5 = HashValue("photodna", bytes(range(144))), HashValue("md5", bytes(range(16)))
    other = make_list(tmp_path / "other.hashmatch", "other", entry=[pdq(0)])
    for number, hashes in enumerate(([opaque], [opaque, md5])):
        path = make_list(tmp_path / f"{number}.hashmatch", entry=hashes)
        with Matcher.open(path, other) as matcher:
            report = matcher.match(encode(PHOTO, "PNG"))
        assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "nothing-to-compare")
        assert report.lists[0].entries_not_compared == 1
    with Matcher.open(make_list(tmp_path / "md5.hashmatch", entry=[md5])) as matcher:
        assert matcher.match(encode(PHOTO, "PNG")).outcome is Outcome.NO_MATCH


def test_entries_that_no_picture_is_compared_with_are_counted(tmp_path: Path) -> None:
    """An entry counts that has no computable hash of a picture; later versions of the list are counted anew."""
    opaque, md5 = (
        [HashValue("photodna", bytes(range(i, i + 144))) for i in range(4)],
        HashValue("md5", bytes(range(16))),
    )
    entries = {"both": [pdq(0), opaque[0]], "opaque": [opaque[1]], "digest": [md5, opaque[2]]}
    path = make_list(tmp_path / "list.hashmatch", **entries)
    with Matcher.open(path) as matcher:
        report = matcher.match(encode(PHOTO, "PNG"))
        assert report.outcome is Outcome.NO_MATCH
        assert report.lists[0].entries_not_compared == 2
        assert report.to_dict()["lists"][0]["entries_not_compared"] == 2
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("more", hashes=[opaque[3]])
            ref.withdraw("opaque", source="ncmec")
            ref.add("digest", hashes=[pdq(5)], source="other")
        matcher.reload()
        assert matcher.match(PHOTO).lists[0].entries_not_compared == 1
        assert matcher.match_hash(opaque[0]).lists[0].entries_not_compared == 0


def test_an_empty_list_answers_nothing(tmp_path: Path) -> None:
    """With no entry nothing was compared, so that nothing is "no match"; broken pictures are still unreadable."""
    path = make_list(tmp_path / "list.hashmatch")
    undecidable = Outcome.UNDECIDABLE, "nothing-to-compare"
    with Matcher.open(path) as matcher:
        report = matcher.match(PHOTO)
        assert (report.outcome, report.reason) == undecidable
        assert matcher.match(b"junk").outcome is Outcome.UNREADABLE
        report = matcher.match_hash(pdq(1))
        assert (report.outcome, report.reason) == undecidable
        assert matcher.idle_lists == ("demo",)
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("entry", hashes=[pdq(0)])
        matcher.reload()
        assert (matcher.match_hash(pdq(1)).outcome, matcher.idle_lists) == (Outcome.NO_MATCH, ())
        with ReferenceList.open(path, writable=True) as ref:
            ref.withdraw("entry")
        matcher.reload()
        assert (matcher.match_hash(pdq(1)).outcome, matcher.idle_lists) == (Outcome.UNDECIDABLE, ("demo",))


@pytest.mark.parametrize("held", ["nothing", "photodna", "no rule", "digests"])
def test_one_list_of_several_that_cannot_answer_forbids_no_match(tmp_path: Path, held: str) -> None:
    """The answer "no match" is said of every list in the report: one that was not compared forbids it."""
    hashes = {
        "nothing": [],
        "photodna": [HashValue("photodna", bytes(range(144)))],
        "no rule": [hash_image(PHOTO, "ahash")],
        "digests": [HashValue("md5", bytes(range(16)))],
    }[held]
    good = make_list(tmp_path / "a.hashmatch", "good", entry=[hash_image(PHOTO)])
    idle = make_list(tmp_path / "b.hashmatch", "idle", **({"entry": hashes} if hashes else {}))
    policy = MatchPolicy(name="p", rules=tuple(rule for rule in profiles.STANDARD.rules if rule.algorithm != "ahash"))
    with Matcher.open(good, idle, policy=policy) as matcher:
        report = matcher.match(OTHER)
        assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "nothing-to-compare")
        assert [bool(item.compared) for item in report.lists] == [True, False]
        assert matcher.match(PHOTO).outcome is Outcome.MATCH
        assert matcher.idle_lists == (() if held == "digests" else ("idle",))
        # a file has digests, an array has none
        assert (matcher.match(encode(OTHER, "PNG")).outcome is Outcome.NO_MATCH) == (held == "digests")


def test_every_frame_before_a_limit_is_searched(photo_list: Path) -> None:
    """A picture that hides behind too many frames is matched as far as the limit goes, and the report says so."""
    blank = np.zeros_like(PHOTO)
    data = encode(PHOTO, "GIF", save_all=True, append_images=_images([blank, OTHER, blank, OTHER]))
    policy = replace(
        profiles.STANDARD, decode=replace(profiles.STANDARD.decode, frames="all", max_frames=2), name="frames"
    )
    with Matcher.open(photo_list, policy=policy) as matcher:
        report = matcher.match(data)
    assert (report.outcome, report.reason) == (Outcome.MATCH, "frames-unseen")


def _images(arrays: list[np.ndarray]) -> list[object]:
    from hashmatch.picture.encode import to_pil

    return [to_pil(array) for array in arrays]


def test_transparent_picture_is_looked_at_on_black_too(tmp_path: Path) -> None:
    """An entry made from the picture on black is found by the transparent file, and the view says so."""
    alpha = np.full((180, 240), 255, np.uint8)
    alpha[:80, :110] = 0  # a corner: PDQ does not see a whole row or column of one colour
    on_black = np.where(alpha[..., None] > 0, PHOTO, 0).astype(np.uint8)
    path = make_list(tmp_path / "list.hashmatch", entry=[hash_image(on_black)])
    with Matcher.open(path) as matcher:
        report = matcher.match(np.dstack([PHOTO, alpha]))
    assert (str(report.matches[0].view), report.matches[0].distance) == ("on black", 0)


def test_several_lists_and_sources(tmp_path: Path) -> None:
    """Each list answers for itself; labels of all sources are shown, and disagreement is visible."""
    first = make_list(tmp_path / "a.hashmatch", "first", entry=[pdq(0)])
    second = make_list(tmp_path / "b.hashmatch", "second", other=[flipped(pdq(0), 3)])
    with ReferenceList.open(first, writable=True) as ref:
        ref.add("entry", hashes=[pdq(0)], source="iwf", labels={"class": "B2", "series": "7"})
    with Matcher.open(first, second) as matcher:
        report = matcher.match_hash(pdq(0))
    assert [(m.list_name, m.entry_id, m.distance) for m in report.matches] == [
        ("first", "entry", 0),
        ("second", "other", 3),
    ]
    assert report.matches[0].labels == {"class": "A1 | B2", "series": "7"}
    assert set(report.matches[0].sources) == {"ncmec", "iwf"}


def test_max_matches_keeps_the_nearest_and_says_how_many(tmp_path: Path) -> None:
    """A report is bounded, and honest about what it leaves out."""
    entries = {f"e{n}": [flipped(pdq(0), n)] for n in range(20)}
    path = make_list(tmp_path / "list.hashmatch", **entries)
    with Matcher.open(path, policy=replace(profiles.STANDARD, max_matches=3)) as matcher:
        report = matcher.match_hash(pdq(0))
    assert [match.distance for match in report.matches] == [0, 1, 2]
    assert report.n_matches == 20


def test_best_of_an_entrys_hashes_is_reported(tmp_path: Path) -> None:
    """An entry with several near hashes is one match, at its smallest distance."""
    path = make_list(tmp_path / "list.hashmatch", entry=[flipped(pdq(0), 9), flipped(pdq(0), 4), pdq(5)])
    with Matcher.open(path) as matcher:
        (match,) = matcher.match_hash(pdq(0)).matches
    assert match.distance == 4


def test_policy_limits_what_is_searched(tmp_path: Path) -> None:
    """Hashes without a rule are counted as not compared, and a hash without a rule is refused."""
    path = make_list(tmp_path / "list.hashmatch", entry=[pdq(0), HashValue("md5", bytes(range(16)))])
    policy = MatchPolicy(name="pdq only", rules=(Rule(algorithm="pdq", threshold=10),))
    with Matcher.open(path, policy=policy) as matcher:
        report = matcher.match_hash(flipped(pdq(0), 10))
        assert report.outcome is Outcome.MATCH
        assert report.lists[0].not_compared == {"md5": 1}
        with pytest.raises(PolicyError, match="no rule"):
            matcher.match_hash(HashValue("md5", bytes(range(16))))


def test_fingerprint_made_elsewhere_is_matched(photo_list: Path) -> None:
    """A client that sends a fingerprint with turns gets the same matches as one that sends the picture."""
    mirrored = np.ascontiguousarray(PHOTO[:, ::-1])
    sent = fingerprint(mirrored, ("pdq", "phash"), turns=True).to_bytes()
    with Matcher.open(photo_list) as matcher:
        report = matcher.match_fingerprint(Fingerprint.from_bytes(sent))
        assert report.matches == matcher.match(mirrored).matches
        empty = Fingerprint(())
        with pytest.raises(PolicyError):
            matcher.match_fingerprint(empty)


def test_match_many_keeps_the_order_and_survives_bad_pictures(photo_list: Path) -> None:
    """One report a source, in order, with one or several threads; a broken picture loses nothing else."""
    sources = [PHOTO, b"junk", OTHER, PHOTO, FLAT] * 4
    expected = [Outcome.MATCH, Outcome.UNREADABLE, Outcome.NO_MATCH, Outcome.MATCH, Outcome.UNDECIDABLE] * 4
    with Matcher.open(photo_list) as matcher:
        for workers in (1, 3):
            assert [report.outcome for report in matcher.match_many(iter(sources), workers=workers)] == expected
        with pytest.raises(ValueError, match="workers"):
            matcher.match_many([], workers=0)


def test_match_many_reads_only_a_few_ahead(photo_list: Path) -> None:
    """An endless stream of sources is answered as it comes."""
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield b"junk"

    with Matcher.open(photo_list) as matcher:
        reports = matcher.match_many(endless(), workers=2)  # type: ignore[arg-type]
        for _ in range(10):
            next(reports)
        reports.close()  # type: ignore[attr-defined]
    assert taken < 30


def test_open_refuses_what_it_cannot_search(tmp_path: Path) -> None:
    """No list, the same list twice, a missing file and a file that is no list are typed errors."""
    path = make_list(tmp_path / "list.hashmatch", entry=[pdq(0)])
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"not a list" * 1000)
    for paths, says in (
        ((), "at least one"),
        ((path, path), "twice"),
        ((tmp_path / "no.hashmatch",), "no such|no list|there is no"),
        ((path, foreign), "not a"),
    ):
        with pytest.raises(ReferenceListError, match=says):
            Matcher.open(*paths)


def test_reload_takes_up_additions_and_withdrawals(tmp_path: Path) -> None:
    """After a reload new entries match and withdrawn ones do not; before it nothing moves but withdrawals."""
    path = make_list(tmp_path / "list.hashmatch", a=[pdq(1)], b=[pdq(2)])
    with Matcher.open(path) as matcher:
        assert not matcher.reload()
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("c", hashes=[pdq(3)], source="ncmec")
            ref.withdraw("a", source="ncmec")
        assert matcher.match_hash(pdq(3)).outcome is Outcome.NO_MATCH
        assert matcher.match_hash(pdq(1)).outcome is Outcome.NO_MATCH, "a withdrawn entry is never reported"
        assert matcher.reload()
        assert matcher.match_hash(pdq(3)).matches[0].entry_id == "c"
        assert matcher.match_hash(pdq(1)).outcome is Outcome.NO_MATCH
        assert matcher.match_hash(pdq(2)).outcome is Outcome.MATCH
        assert not matcher.reload()


def test_threads_match_while_lists_change(tmp_path: Path) -> None:
    """Under constant reloads no answer fails, and an entry that stays is found every time."""
    path = make_list(tmp_path / "list.hashmatch", stays=[pdq(0)])
    failures: list[BaseException] = []
    wrong: list[object] = []
    stop = threading.Event()

    with Matcher.open(path) as matcher:

        def ask() -> None:
            try:
                while not stop.is_set():
                    report = matcher.match_hash(flipped(pdq(0), 5))
                    if [match.entry_id for match in report.matches] != ["stays"]:
                        wrong.append(report)
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        with ReferenceList.open(path, writable=True) as ref:
            for number in range(1, 16):
                ref.add(f"e{number}", hashes=[pdq(number)], source="s")
                if number > 3:
                    ref.withdraw(f"e{number - 3}", source="s")
                assert matcher.reload()
        stop.set()
        for thread in threads:
            thread.join()
        assert matcher.lists[0][2] == 4
    assert not failures
    assert not wrong


def test_nothing_said_shows_a_hash(photo_list: Path) -> None:
    """Neither reports nor representations nor errors hold any part of a listed hash."""
    value = hash_image(PHOTO)
    with Matcher.open(photo_list) as matcher:
        report = matcher.match(PHOTO)
        said = repr(report) + json.dumps(report.to_dict()) + repr(matcher) + repr(matcher.lists)
    assert value.hex()[:12] not in said
    assert repr(value.data)[2:20] not in said


class ReloadMachine(RuleBasedStateMachine):
    """A matcher kept up to date by reloads answers like a dictionary that is searched by brute force."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "list.hashmatch"
        self.entries: dict[str, list[HashValue]] = {}
        with ReferenceList.create(self.path, name="machine"):
            pass
        self.matcher = Matcher.open(self.path)

    @rule(number=st.integers(0, 8), flips=st.lists(st.integers(0, 40), min_size=1, max_size=3))
    def add(self, number: int, flips: list[int]) -> None:
        """Add hashes to an entry and reload."""
        values = [flipped(pdq(number % 3), n) for n in flips]
        with ReferenceList.open(self.path, writable=True) as ref:
            ref.add(f"e{number}", hashes=values, source="s")
        self.entries.setdefault(f"e{number}", []).extend(values)
        self.matcher.reload()

    @rule(number=st.integers(0, 8))
    def withdraw(self, number: int) -> None:
        """Withdraw an entry if it is there and reload."""
        if f"e{number}" in self.entries:
            with ReferenceList.open(self.path, writable=True) as ref:
                ref.withdraw(f"e{number}", source="s")
            del self.entries[f"e{number}"]
            self.matcher.reload()

    @rule(number=st.integers(0, 2), n_bits=st.integers(0, 40))
    def ask(self, number: int, n_bits: int) -> None:
        """Compare one answer with brute force."""
        query = flipped(pdq(number), n_bits)
        expected = {
            entry: nearest
            for entry, values in self.entries.items()
            if (nearest := min(distance(query, value) for value in values)) <= 31
        }
        report = self.matcher.match_hash(query)
        assert {match.entry_id: match.distance for match in report.matches} == expected

    @invariant()
    def counts_agree(self) -> None:
        """Know how many entries there are."""
        assert self.matcher.lists[0][2] == len(self.entries)

    def teardown(self) -> None:
        """Close and forget the list."""
        self.matcher.close()
        self.folder.cleanup()


TestReload = ReloadMachine.TestCase
TestReload.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


def test_reload_rebuilds_when_much_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the knob turned down every reload indexes anew, and answers stay the same."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
    path = make_list(tmp_path / "list.hashmatch", a=[pdq(1)], b=[pdq(2)])
    with Matcher.open(path) as matcher:
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("c", hashes=[pdq(3)])
        assert matcher.reload()
        assert len(matcher._snapshots[0].rows["pdq"].segments.base.columns) == 3, "indexed anew"
        assert matcher.match_hash(pdq(3)).matches[0].entry_id == "c"
        assert matcher.match_hash(pdq(1)).matches[0].entry_id == "a"


def test_index_folder_is_used_checked_and_kept_up_to_date(tmp_path: Path) -> None:
    """Index files are taken when they are of just these hashes, and made anew when damaged or out of date."""
    path = make_list(tmp_path / "list.hashmatch", a=[pdq(1), HashValue("md5", bytes(range(16)))], b=[pdq(2)])
    folder = tmp_path / "indexes"
    with pytest.raises(ReferenceListError, match="index folder"):
        Matcher.open(path, index_folder=folder)
    folder.mkdir()

    def found(number: int) -> list[str]:
        with Matcher.open(path, index_folder=folder) as matcher:
            return [match.entry_id for match in matcher.match_hash(flipped(pdq(number), 31)).matches]

    assert found(1) == ["a"]
    files = sorted(folder.glob("[!.]*"))
    assert [file.name.split(".")[1:] for file in files] == [["r0", "md5", "index"], ["r31", "pdq", "index"]]
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir()), "hashes are for their owner only"
    before = files[1].stat().st_mtime_ns, files[1].read_bytes()
    assert found(2) == ["b"]
    assert files[1].stat().st_mtime_ns == before[0], "an index that fits is not written again"
    files[1].chmod(0o600)
    files[1].write_bytes(before[1][:-1])
    assert found(2) == ["b"]
    assert files[1].read_bytes() == before[1], "a damaged index is made anew"
    with ReferenceList.open(path, writable=True) as ref:
        ref.withdraw("b", source="ncmec")
        ref.add("c", hashes=[pdq(3)])
    assert (found(2), found(3)) == ([], ["c"])


def test_quality_unknown_is_searched(tmp_path: Path) -> None:
    """A hash of unknown quality is searched with, since refusing it would lose every hash from a list."""
    path = make_list(tmp_path / "list.hashmatch", entry=[pdq(0)])
    with Matcher.open(path) as matcher:
        report = matcher.match_fingerprint(Fingerprint((ViewHash(value=pdq(0)),)))
    assert (report.outcome, report.quality) == (Outcome.MATCH, None)


def test_arguments_of_a_wrong_type_say_what_is_right(photo_list: Path) -> None:
    """A policy by name, a hash as text and a hash in place of a fingerprint are refused where they are given."""
    with pytest.raises(TypeError, match=r"profiles\.STANDARD"):
        Matcher.open(photo_list, policy="standard")  # type: ignore[arg-type]
    with Matcher.open(photo_list) as matcher:
        with pytest.raises(TypeError, match="HashValue"):
            matcher.match_hash(str(pdq(0)))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="Fingerprint"):
            matcher.match_fingerprint(pdq(0))  # type: ignore[arg-type]


def test_a_closed_matcher_answers_nothing(photo_list: Path) -> None:
    """After `close` every question is an error, also one that nothing would have matched."""
    matcher = Matcher.open(photo_list)
    matcher.close()
    matcher.close()
    for ask in (
        lambda: matcher.match(OTHER),
        lambda: matcher.match(b"junk"),
        lambda: matcher.match_hash(pdq(1)),
        matcher.reload,
    ):
        with pytest.raises(ReferenceListError, match="closed"):
            ask()


def test_reload_takes_up_a_list_that_was_replaced(tmp_path: Path) -> None:
    """A new file renamed over the list is taken up, also with the same version; the old one is closed after use."""
    path = make_list(tmp_path / "list.hashmatch", "old", a=[pdq(1)])
    with Matcher.open(path) as matcher:
        before = matcher._snapshots
        os.replace(make_list(tmp_path / "next", "new", b=[pdq(2)]), path)
        assert matcher.match_hash(pdq(1)).outcome is Outcome.MATCH, "until the reload nothing moves"
        assert matcher.reload()
        assert [name for name, _, _ in matcher.lists] == ["new"]
        assert matcher.match_hash(pdq(1)).outcome is Outcome.NO_MATCH
        assert matcher.match_hash(pdq(2)).matches[0].list_name == "new"
        old = before[0].reference
        assert old.get("a") is not None, "a search that began before must end well"
        del before
        with pytest.raises(ReferenceListError, match="closed"):
            old.get("a")
        assert not matcher.reload()


@pytest.mark.parametrize("content", [None, b"", b"not a list" * 1000])
def test_reload_says_when_a_list_is_gone_or_spoilt(tmp_path: Path, content: bytes | None) -> None:
    """A list that was deleted or replaced by junk is an error, never "nothing new"; answers go on from the old."""
    first = make_list(tmp_path / "a.hashmatch", a=[pdq(1)])
    second = make_list(tmp_path / "b.hashmatch", b=[pdq(2)])
    with Matcher.open(first, second) as matcher:
        os.replace(make_list(tmp_path / "next", c=[pdq(3)]), first)
        second.unlink()
        if content is not None:
            second.write_bytes(content)
        with pytest.raises(ReferenceListError):
            matcher.reload()
        assert [matcher.match_hash(pdq(n)).outcome is Outcome.MATCH for n in (1, 2, 3)] == [True, True, False]


def test_reload_does_not_depend_on_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes its folder, as a daemon does, still finds its lists and indexes."""
    make_list(tmp_path / "list.hashmatch", a=[pdq(1)])
    (tmp_path / "indexes").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
    with Matcher.open("list.hashmatch", index_folder="indexes") as matcher:
        monkeypatch.chdir("/")
        with ReferenceList.open(tmp_path / "list.hashmatch", writable=True) as ref:
            ref.add("b", hashes=[pdq(2)])
        assert matcher.reload()
        assert matcher.match_hash(pdq(2)).outcome is Outcome.MATCH


def test_a_lost_index_folder_is_said_and_stops_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its folder a matcher takes up changes all the same, and says that no new file could be made."""
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
    path = make_list(tmp_path / "list.hashmatch", a=[pdq(1)])
    folder = tmp_path / "indexes"
    folder.mkdir()
    with Matcher.open(path, index_folder=folder) as matcher:
        shutil.rmtree(folder)
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("b", hashes=[pdq(2)])
        assert matcher.reload()
        assert matcher._keeper.wait(10)
        assert isinstance(matcher.upkeep.compaction_error, OSError)
        assert [matcher.match_hash(pdq(n)).outcome is Outcome.MATCH for n in (1, 2)] == [True, True]
    with pytest.raises(ReferenceListError, match="index folder"):
        Matcher.open(path, index_folder=folder)


def test_another_process_may_overwrite_the_index_file(tmp_path: Path) -> None:
    """An index file that somebody puts in place of ours, of other hashes, is never taken for ours."""
    path = make_list(tmp_path / "list.hashmatch", **{f"e{n}": [pdq(n)] for n in range(20)})
    folder = tmp_path / "indexes"
    folder.mkdir()
    with Matcher.open(path, index_folder=folder):
        (file,) = folder.glob("*.index")
    theirs = file.read_bytes()
    with ReferenceList.open(path, writable=True) as ref:
        ref.withdraw("e0", source="ncmec")
        ref.add("new", hashes=[pdq(77)])
        ref.compact()
    for spoil in (None, theirs, theirs[:-64] + bytes(64), b"junk"):
        if spoil is not None:
            file.chmod(0o600)
            file.write_bytes(spoil)
        with Matcher.open(path, index_folder=folder) as matcher:
            found = [[m.entry_id for m in matcher.match_hash(pdq(n)).matches] for n in (*range(20), 77)]
        assert found == [[], *([f"e{n}"] for n in range(1, 20)), ["new"]]
        assert file.read_bytes() != spoil


def test_equal_turns_find_once(tmp_path: Path) -> None:
    """A symmetric picture has one hash in several turns: searched with once, by the plainest, and answered the same."""
    value = HashValue("pdq", np.random.default_rng(2).integers(0, 256, 32, dtype=np.uint8).tobytes())
    near = HashValue("pdq", bytes([value.data[0] ^ 1]) + value.data[1:])
    with ReferenceList.create(tmp_path / "list", name="x") as ref:
        ref.add_many(Entry.of(f"e{i}", hashes=[value, near], quality=100) for i in range(50))
    turns = tuple(ViewHash(value=value, quality=100, view=View(turn=turn)) for turn in Turn)
    other = ViewHash(value=near, quality=100, view=View(turn=Turn.ROTATE_180))
    with Matcher.open(tmp_path / "list") as matcher:
        held = matcher._snapshots[0].rows["pdq"]
        asked: list[int] = []
        counted = SimpleNamespace(search=lambda codes, *rest: asked.append(len(codes)) or held.search(codes, *rest))
        snapshot = SimpleNamespace(hashes={"pdq": counted}.get)
        found = list(_plain_hits(cast("ListState", snapshot), (*turns, other), matcher.policy, seen=True))
        report = matcher.match_fingerprint(Fingerprint((*turns, other)))
    assert asked == [2]
    assert len(found) == report.n_matches == 50
    assert {(item.distance, item.view) for item in report.matches} == {(0, View())}
