"""Which entries alarm, which suppress, and which are for comparison."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashmatch import Matcher, Outcome, ReferenceList, hash_image, profiles
from hashmatch.hashes import HashValue, distance
from hashmatch.lists import Entry, ListedHash, Listing
from hashmatch.lists.entry import Role
from hashmatch.matching import MatchReport
from hashmatch.picture.encode import encode
from hashmatch.policy import MatchPolicy, Rule
from hashmatch.synthetic import picture
from hashmatch.view import View

PHOTO = picture("photo", 1, size=(180, 240))
OTHER = picture("photo", 2, size=(180, 240))
FILE = encode(PHOTO, "PNG")
BASE = HashValue("pdq", hashlib.sha256(b"base").digest())


def flipped(value: HashValue, *bits: int) -> HashValue:
    """Flip some bits of a hash."""
    mask = sum(1 << bit for bit in bits)
    return HashValue(value.algorithm, (int.from_bytes(value.data) ^ mask).to_bytes(len(value.data)))


def near(bits: int, first: int = 0) -> HashValue:
    """Make a hash so far from `BASE`."""
    return flipped(BASE, *range(first, first + bits))


def made(path: Path, *listed: tuple[str, Role, list[HashValue]], name: str = "demo") -> Path:
    """Make a list of ``(entry, role, hashes)``; a source is named after its role."""
    with ReferenceList.create(path, name=name) as ref:
        for entry_id, role, hashes in listed:
            ref.add_many([Entry.of(entry_id, hashes=hashes, source=f"by-{role}", labels={"s": role}, role=role)])
    return path


def ids(report: MatchReport) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """Names of the matches, of the suppressed and by what, and of the comparisons."""
    return (
        [item.entry_id for item in report.matches],
        [(item.match.entry_id, item.by.entry_id) for item in report.suppressed],
        [item.entry_id for item in report.comparisons],
    )


def asked(path: Path, source: object, policy: MatchPolicy = profiles.STANDARD) -> MatchReport:
    """Match a hash or a file against a list."""
    with Matcher.open(path, policy=policy) as matcher:
        report = matcher.match_hash(source) if isinstance(source, HashValue) else matcher.match(source)  # type: ignore[arg-type]
    assert MatchReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    return report


@pytest.mark.parametrize(
    ("alarm", "benign", "suppressed"), [(10, 5, True), (10, 10, True), (10, 11, False), (0, 0, True), (0, 1, False)]
)
def test_the_nearer_of_one_algorithm(tmp_path: Path, alarm: int, benign: int, suppressed: bool) -> None:
    """A benign entry as near or nearer suppresses; one that is farther does not, and is never a match itself."""
    path = made(tmp_path / "l", ("bad", "alarm", [near(alarm)]), ("good", "benign", [near(benign, 100)]))
    report = asked(path, BASE)
    assert ids(report) == (([], [("bad", "good")], []) if suppressed else (["bad"], [], []))
    assert report.outcome is (Outcome.NO_MATCH if suppressed else Outcome.MATCH)
    assert (report.n_matches, report.n_suppressed) == (int(not suppressed), int(suppressed))
    if suppressed:
        by = report.suppressed[0].by
        assert (by.list_name, by.sources, by.algorithm, by.distance) == (
            "demo",
            {"by-benign": {"s": "benign"}},
            "pdq",
            benign,
        )


def test_benign_alone_is_no_match(tmp_path: Path) -> None:
    """Nor is it suppressed: there is nothing to suppress."""
    report = asked(made(tmp_path / "l", ("good", "benign", [near(0)])), BASE)
    assert (report.outcome, *ids(report)) == (Outcome.NO_MATCH, [], [], [])


def test_comparison_is_reported_apart(tmp_path: Path) -> None:
    """It never is an alarm, and suppresses nothing."""
    path = made(tmp_path / "l", ("look", "comparison", [near(0)]), ("bad", "alarm", [near(9)]))
    report = asked(path, BASE)
    assert (report.outcome, *ids(report)) == (Outcome.MATCH, ["bad"], [], ["look"])
    report = asked(path, near(0, 0))
    assert ids(asked(made(tmp_path / "m", ("look", "comparison", [near(2)])), BASE)) == ([], [], ["look"])


def test_digests(tmp_path: Path) -> None:
    """The digest of a benign file suppresses what pixels say; digests only by one at least as strong."""
    md5, sha256 = hash_image(FILE, "md5"), hash_image(FILE, "sha256")
    pixels = hash_image(PHOTO)
    for number, (bad, good, expected) in enumerate(
        (
            ([pixels], [md5], ([], [("bad", "good")], [])),
            ([md5], [pixels], (["bad"], [], [])),
            ([md5], [sha256], ([], [("bad", "good")], [])),
            ([sha256], [md5], (["bad"], [], [])),
            ([md5], [md5], ([], [("bad", "good")], [])),
        )
    ):
        path = made(tmp_path / str(number), ("bad", "alarm", bad), ("good", "benign", good))
        for policy in (profiles.STANDARD, profiles.FAST):
            assert ids(asked(path, FILE, policy)) == expected, number


def test_a_digest_stops_only_for_an_alarm(tmp_path: Path) -> None:
    """Where the policy stops at digests, those of benign and comparison entries stop nothing."""
    md5, pixels = hash_image(FILE, "md5"), hash_image(PHOTO)
    path = made(tmp_path / "l", ("look", "comparison", [md5]), ("bad", "alarm", [pixels]))
    report = asked(path, FILE, profiles.FAST)
    assert ids(report) == (["bad"], [], ["look"])
    path = made(tmp_path / "m", ("known", "alarm", [md5]), ("bad", "alarm", [pixels]))
    assert ids(asked(path, FILE, profiles.FAST))[0] == ["known"]


def test_only_listings_that_agree_count(tmp_path: Path) -> None:
    """An entry is an alarm by a hash of a source that says so; within an entry alarm wins."""
    entry = Entry(
        "e",
        (
            Listing("bad", (ListedHash(near(20)),), {"c": "1"}),
            Listing("good", (ListedHash(flipped(near(20), *range(60, 90))),), {"c": "2"}, role="benign"),
        ),
    )
    path = tmp_path / "l"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add_many([entry])
    far = flipped(near(20), *range(60, 90), *range(120, 125))
    assert distance(far, near(20)) == 35
    assert ids(asked(path, far)) == ([], [], [])
    report = asked(path, flipped(near(20), *range(60, 75)))
    assert (ids(report)[0], report.matches[0].classes, report.matches[0].distance) == (["e"], ("c:1",), 15)


def test_an_entry_that_alarms_suppresses_nothing(tmp_path: Path) -> None:
    """Also where its benign hash is of another algorithm."""
    md5, sha1 = hash_image(FILE, "md5"), hash_image(FILE, "sha1")
    path = tmp_path / "l"
    torn = Entry("torn", (Listing("a", (ListedHash(md5),)), Listing("b", (ListedHash(sha1),), role="benign")))
    with ReferenceList.create(path, name="demo") as ref:
        ref.add_many([torn, Entry.of("bad", hashes=[hash_image(PHOTO)])])
    assert ids(asked(path, FILE)) == (["torn", "bad"], [], [])


def test_a_benign_frame_hides_no_other(tmp_path: Path) -> None:
    """Of an animation every frame in which an entry alarms must be explained."""
    frames = [Image.fromarray(item) for item in (PHOTO, OTHER)]
    data = encode(PHOTO, "GIF", save_all=True, append_images=frames[1:])
    with Matcher.open(made(tmp_path / "x", ("any", "alarm", [near(0)]))) as matcher:
        looked = matcher.match(data, return_fingerprint=True).fingerprint
    assert looked is not None
    first, second = (
        next(
            item.value
            for item in looked.view_hashes
            if item.value.algorithm == "pdq" and item.view == View(frame=frame)
        )
        for frame in (0, 1)
    )
    path = made(tmp_path / "l", ("bad", "alarm", [first, second]), ("good", "benign", [first]))
    assert ids(asked(path, data))[:2] == (["bad"], [])
    path = made(tmp_path / "m", ("bad", "alarm", [first, second]), ("good", "benign", [first, second]))
    assert ids(asked(path, data))[:2] == ([], [("bad", "good")])


def test_lists_suppress_across_lists(tmp_path: Path) -> None:
    """A list of known-good files of its own serves all lists."""
    bad = made(tmp_path / "bad", ("bad", "alarm", [near(3)]), name="bad")
    good = made(tmp_path / "good", ("good", "benign", [near(2)]), name="good")
    with Matcher.open(bad, good) as matcher:
        report = matcher.match_hash(BASE)
    assert (report.outcome, report.suppressed[0].by.list_name) == (Outcome.NO_MATCH, "good")


def test_a_changed_role_is_taken_up(tmp_path: Path) -> None:
    """A report is true of the version that it names: before a reload and after."""
    path = made(tmp_path / "l", ("e", "alarm", [near(1)]), ("f", "benign", [near(120)]))
    with Matcher.open(path) as matcher:
        assert matcher.match_hash(BASE).outcome is Outcome.MATCH
        with ReferenceList.open(path, writable=True) as ref:
            ref.set_role("by-alarm", "benign")
            version = ref.version
        report = matcher.match_hash(BASE)
        assert (report.outcome, report.lists[0].version) == (Outcome.NO_MATCH, version)
        matcher.reload()
        assert matcher.match_hash(BASE).outcome is Outcome.NO_MATCH


def test_crops_and_keypoints_have_roles(tmp_path: Path) -> None:
    """A part of a benign picture is no match, by evidence and by points; without the role it is one."""
    whole = picture("photo", 7, size=(480, 640))
    part = whole[:, 60:]
    hashes = [hash_image(whole), hash_image(whole, "keypoint")]
    for role, matched in (("alarm", True), ("benign", False), ("comparison", False)):
        path = made(tmp_path / role, ("e", role, hashes))  # type: ignore[arg-type]
        report = asked(path, part, profiles.THOROUGH)
        assert ({item.algorithm for item in report.matches} == {"pdq", "keypoint"}) is matched
        assert ({item.algorithm for item in report.comparisons} == {"pdq", "keypoint"}) is (role == "comparison")
    path = made(tmp_path / "both", ("bad", "alarm", hashes), ("good", "benign", hashes))
    report = asked(path, part, profiles.THOROUGH)
    assert report.outcome is Outcome.NO_MATCH
    assert {item.match.algorithm for item in report.suppressed} == {"pdq", "keypoint"}


entries = st.lists(
    st.tuples(st.sampled_from(["alarm", "benign", "comparison"]), st.integers(0, 12)), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(st.lists(entries, min_size=1, max_size=4), st.integers(1, 3))
def test_against_a_plain_account(drawn: list[list[tuple[Role, int]]], most: int) -> None:
    """Matches, suppressed and comparisons are those that the rules in words give, whatever ``max_matches`` is."""
    policy = replace(FAR, max_matches=most)
    with TemporaryDirectory() as folder:
        with ReferenceList.create(f"{folder}/l", name="demo") as ref:
            for number, listed in enumerate(drawn):
                hashes = {
                    role: [ListedHash(near(far, 16 * place)) for place, (own, far) in enumerate(listed) if own == role]
                    for role in ("alarm", "benign", "comparison")
                }
                listings = tuple(
                    Listing(f"by-{role}", tuple(dict.fromkeys(items)), role=role)  # type: ignore[arg-type]
                    for role, items in hashes.items()
                    if items
                )
                ref.add_many([Entry(f"e{number}", listings)])
        report = asked(Path(f"{folder}/l"), BASE, policy)
    nearest = [
        {
            role: min((far for own, far in listed if own == role and far <= 8), default=99)
            for role in ("alarm", "benign", "comparison")
        }
        for listed in drawn
    ]
    benign = min((item["benign"] for item in nearest if item["alarm"] == 99 and item["comparison"] == 99), default=99)
    alarms = [item["alarm"] for item in nearest if item["alarm"] < 99]
    matched = sorted(far for far in alarms if far < benign)
    assert (report.n_matches, [item.distance for item in report.matches]) == (len(matched), matched[:most])
    assert report.n_suppressed == len(alarms) - len(matched)
    assert report.n_comparisons == sum(item["alarm"] == 99 and item["comparison"] < 99 for item in nearest)
    assert report.outcome is (Outcome.MATCH if matched else Outcome.NO_MATCH)


FAR = MatchPolicy(name="far", rules=(Rule(algorithm="pdq", threshold=8),))
