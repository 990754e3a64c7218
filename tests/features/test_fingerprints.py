"""Laws of fingerprints made by a policy: the same report as the picture, nothing written but hashes, nothing unsaid."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashmatch import (
    Fingerprint,
    HashValue,
    Matcher,
    MatchPolicy,
    Outcome,
    ReferenceList,
    fingerprint,
    hash_image,
    profiles,
)
from hashmatch.errors import HashFormatError, ReferenceListError, UnreadableImageError
from hashmatch.hashes import Looked, ViewHash
from hashmatch.jail import Isolation
from hashmatch.picture.encode import encode, jpeg, to_pil
from hashmatch.policy import KeypointRule, Rule
from hashmatch.synthetic import edits, picture
from hashmatch.view import VIEW_KINDS, FrameCount

PHOTO = picture("photo", 1, size=(120, 160))
OTHER = picture("photo", 2, size=(120, 160))
FLAT = np.full((90, 120, 3), 127, np.uint8)
CROP = np.ascontiguousarray(PHOTO[5:, 8:])

POLICIES = {
    "fast": profiles.FAST,
    "standard": profiles.STANDARD,
    "thorough": profiles.THOROUGH,
    "rotations": replace(profiles.STANDARD, name="rotations", rotations=True),
    "keypoints": MatchPolicy(name="keypoints", rules=(), keypoints=KeypointRule(max_chance=-6.0)),
    "digests": MatchPolicy(name="digests", rules=(Rule(algorithm="md5", threshold=0),)),
    "small files": replace(profiles.FAST, decode=replace(profiles.FAST.decode, max_bytes=100_000)),
    "spread": replace(profiles.FAST, decode=replace(profiles.FAST.decode, frames="spread", n_spread=2)),
}


def sources() -> dict[str, Any]:
    """Make pictures of all kinds: edited, plain, damaged, animated, in memory, and none at all."""
    whole = jpeg(PHOTO)
    later = [to_pil(OTHER), to_pil(FLAT), to_pil(CROP)]
    return {
        "known file": encode(PHOTO, "PNG"),
        "other": jpeg(OTHER),
        "mirrored": jpeg(np.ascontiguousarray(PHOTO[:, ::-1])),
        "framed": jpeg(np.pad(PHOTO, ((20, 20), (0, 0), (0, 0)))),
        "crop": jpeg(CROP),
        "rotated": jpeg(edits.rotate(PHOTO, 2.0)),
        "plain": jpeg(FLAT),
        "cut short": whole[: len(whole) // 2],
        "animation": encode(OTHER, "GIF", save_all=True, append_images=later),
        "animation cut short": encode(OTHER, "GIF", save_all=True, append_images=later)[:-9000],
        "clear": encode(PHOTO, "PNG", transparency=(1, 2, 3)),
        "array": PHOTO,
        "image": to_pil(CROP),
        "too large": encode(PHOTO, "PNG") + bytes(200_000),
        "junk": b"junk",
        "nothing": b"",
        "no file": "/nowhere/at/all",
    }


SOURCES = sources()


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make lists that hold different algorithms of one photo."""
    folder = tmp_path_factory.mktemp("lists")
    known = fingerprint(encode(PHOTO, "PNG"), ("md5", "sha1", "pdq", "phash", "keypoint")).view_hashes
    wanted = {
        "pdq": {"pdq"},
        "md5": {"md5"},
        "keypoint": {"keypoint"},
        "all": {"md5", "sha1", "pdq", "phash", "keypoint"},
    }
    paths = {}
    for name, algorithms in wanted.items():
        paths[name] = folder / f"{name}.hashmatch"
        with ReferenceList.create(paths[name], name=name) as ref:
            ref.add("photo", hashes=[item.value for item in known if item.value.algorithm in algorithms])
    return paths


@pytest.mark.parametrize("policy", POLICIES)
def test_a_fingerprint_answers_as_the_picture_does(lists: dict[str, Path], policy: str) -> None:
    """Every field of the report is the same, for every kind of picture, policy and list."""
    made = {name: fingerprint(source, policy=POLICIES[policy]) for name, source in SOURCES.items()}
    for path in lists.values():
        with Matcher.open(path, policy=POLICIES[policy]) as matcher:
            for name, source in SOURCES.items():
                expected = matcher.match(source, return_fingerprint=True)
                assert matcher.match_fingerprint(made[name]) == expected, name
                assert expected.fingerprint is not None
                assert matcher.match_fingerprint(expected.fingerprint) == expected, name


def test_a_fingerprint_made_in_a_worker_answers_the_same(lists: dict[str, Path]) -> None:
    """With isolation too, the protection that held included."""
    isolation = Isolation()
    with Matcher.open(lists["all"], policy=profiles.THOROUGH, isolation=isolation) as matcher:
        for source in SOURCES.values():
            expected = matcher.match(source, return_fingerprint=True)
            assert expected.fingerprint is not None
            assert matcher.match_fingerprint(expected.fingerprint) == expected
        made = fingerprint(SOURCES["crop"], policy=profiles.THOROUGH, isolation=isolation)
        assert matcher.match_fingerprint(made) == matcher.match(SOURCES["crop"])


def ways(made: Fingerprint) -> Iterator[Fingerprint]:
    """Send a fingerprint on every way that leaves memory."""
    yield Fingerprint.from_bytes(made.to_bytes())
    yield pickle.loads(pickle.dumps(made))  # noqa: S301
    yield copy.copy(made)
    yield copy.deepcopy(made)


def test_small_pictures_stay_in_memory() -> None:
    """No byte form, pickle, copy, repr or field has what crops and keypoints are searched with: it is a picture."""
    made = fingerprint(SOURCES["crop"], policy=profiles.THOROUGH)
    assert made.memory is not None
    assert {item.name for item in dataclasses.fields(made)} == {"view_hashes", "looked"}
    assert "small" not in repr(made)
    assert "luma" not in repr(made)
    assert len(pickle.dumps(made)) < 20 * len(made.to_bytes())
    assert len(made.to_bytes()) < 100 * len(made.view_hashes) + 100
    for sent in ways(made):
        assert sent.memory is None
        assert sent == made


def test_what_was_lost_on_the_way_is_told(lists: dict[str, Path]) -> None:
    """A written fingerprint lacks crops, rotations and keypoints: named, and never "no match" where they were asked."""
    for sent in ways(fingerprint(SOURCES["other"], policy=profiles.THOROUGH)):
        with Matcher.open(lists["all"], policy=profiles.THOROUGH) as matcher:
            report = matcher.match_fingerprint(sent)
            assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "views-not-compared")
            assert report.views_not_compared == ("rotations", "crops", "keypoints")
            assert report.to_dict()["views_not_compared"] == ["rotations", "crops", "keypoints"]
        with Matcher.open(lists["pdq"], policy=profiles.STANDARD) as matcher:
            report = matcher.match_fingerprint(sent)
            assert (report.outcome, report.views_not_compared) == (Outcome.NO_MATCH, ())


@pytest.mark.parametrize("name", ["cut short", "animation", "junk", "animation cut short"])
def test_damage_and_unseen_frames_stay_with_the_bytes(lists: dict[str, Path], name: str) -> None:
    """What was wrong with the file is part of what is written: it never reads back as "no match"."""
    for policy in (profiles.FAST, profiles.STANDARD):
        made = fingerprint(SOURCES[name], policy=policy)
        with Matcher.open(lists["pdq"], policy=policy) as matcher:
            for sent in ways(made):
                assert matcher.match_fingerprint(sent) == matcher.match(SOURCES[name])


def test_bare_hashes_say_what_they_are_not_of(lists: dict[str, Path]) -> None:
    """A hash that somebody gives is compared as it is, and the report names the views it is not of."""
    with Matcher.open(lists["all"], policy=profiles.THOROUGH) as matcher:
        report = matcher.match_hash(hash_image(OTHER))
        assert report.outcome is Outcome.NO_MATCH
        assert report.views_compared == ("original",)
        assert report.views_not_compared == tuple(kind for kind in VIEW_KINDS if kind != "original")
        turned = matcher.match_fingerprint(fingerprint(OTHER, turns=True))
        assert turned.views_compared == ("original", "turns")
        digest = matcher.match_hash(HashValue("md5", bytes(range(16))))
        assert digest.views_compared == ("digests",)
        assert "original" in digest.views_not_compared
        assert matcher.match(jpeg(OTHER)).views_not_compared == ()
        assert matcher.match(OTHER).views_not_compared == ("digests",)


def test_a_fingerprint_for_other_lists_lacks_their_algorithm(lists: dict[str, Path]) -> None:
    """One that a match against a list of digests returned cannot answer for a list of PDQ."""
    with Matcher.open(lists["md5"]) as matcher:
        made = matcher.match(jpeg(OTHER), return_fingerprint=True).fingerprint
    assert made is not None
    with Matcher.open(lists["pdq"]) as matcher:
        report = matcher.match_fingerprint(made)
    assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "views-not-compared")


def test_a_report_shows_no_fingerprint(lists: dict[str, Path]) -> None:
    """It is there for those who ask, and in no written form of the report."""
    with Matcher.open(lists["pdq"]) as matcher:
        assert matcher.match(OTHER).fingerprint is None
        report = matcher.match(OTHER, return_fingerprint=True)
    assert "fingerprint" not in report.to_dict()
    assert "fingerprint" not in repr(report).lower()


def test_a_policy_stands_alone() -> None:
    """What a policy says is not said twice, a list takes no views, and without a policy errors are raised as ever."""
    with pytest.raises(TypeError, match="alone"):
        fingerprint(PHOTO, ("phash",), policy=profiles.FAST)
    with pytest.raises(TypeError, match="alone"):
        fingerprint(PHOTO, turns=True, policy=profiles.FAST)
    with pytest.raises(TypeError, match="policy="):
        fingerprint(PHOTO, isolation=Isolation())
    with pytest.raises(UnreadableImageError):
        fingerprint(b"junk")


def test_a_list_takes_no_views_of_a_query(tmp_path: Path) -> None:
    """Trimmed and shrunk views are of queries, as turned ones are."""
    made = fingerprint(SOURCES["framed"], policy=replace(profiles.FAST, trims=True))
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref, pytest.raises(ReferenceListError):
        ref.add("entry", fingerprint=made)


@pytest.mark.parametrize(
    "looked",
    [
        Looked(),
        Looked(views=VIEW_KINDS, frames=FrameCount(seen=7, in_full=3, unseen=9, at_least=True)),
        Looked(
            views=("turns",), frames=FrameCount(seen=1, in_full=1, unseen=0), failure="too-many-bytes", format="JPEG XL"
        ),
    ],
)
def test_how_a_picture_was_looked_at_is_written_whole(looked: Looked) -> None:
    """Byte form 3 keeps every field, and bytes that are cut, changed or longer are refused or read as what they say."""
    made = Fingerprint((ViewHash(value=hash_image(PHOTO), quality=80),), looked)
    data = made.to_bytes()
    assert Fingerprint.from_bytes(data) == made
    for broken in (data[:-1], data + b"\0", data.replace(b"too-", b"TOO ") if looked.failure else data[:20]):
        with pytest.raises(HashFormatError):
            Fingerprint.from_bytes(broken)
    with pytest.raises(ValueError, match="word"):
        Looked(failure="a file.jpg")
