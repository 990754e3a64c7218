"""`listed_fingerprint` and `Matcher.listed_fingerprint`: the hashes of a list, made where a matcher decodes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hashmatch import Matcher, ReferenceList, fingerprint, profiles
from hashmatch.errors import BusyError, ImageTooLargeError, PolicyError, UnreadableImageError
from hashmatch.features.fingerprints import listed_fingerprint
from hashmatch.features.isolated import IsolatedReader
from hashmatch.jail import Isolation
from hashmatch.matching import AsyncMatcher
from hashmatch.picture import DecodePolicy
from hashmatch.picture.encode import encode, jpeg
from hashmatch.picture.policy import KNOWN_FORMATS
from hashmatch.synthetic import PATTERN_KINDS, pattern, picture
from support.picture_makers import small_files

PHOTO = jpeg(picture("photo", 1, size=(1100, 1200)), quality=90)
FILES = small_files() | {f"pattern-{kind}": encode(pattern(kind, 1), "PNG") for kind in PATTERN_KINDS}
ALL = DecodePolicy(frames="first", formats=KNOWN_FORMATS)
NAMES = ("sha256", "md5", "pdq", "phash", "keypoint")
POLICIES = {  # they salvage and read as others do, one all frames
    name: replace(profiles.THOROUGH, decode=replace(decode, formats=KNOWN_FORMATS))
    for name, decode in (("thorough", profiles.THOROUGH.decode), ("reduced", profiles.REDUCED))
}


@pytest.fixture(scope="module", params=POLICIES)
def reader(request: pytest.FixtureRequest) -> Iterator[tuple[str, IsolatedReader]]:
    """Start a worker by a policy."""
    with closing(IsolatedReader(POLICIES[request.param], Isolation(workers=1))) as made:
        yield request.param, made


@pytest.mark.parametrize("name", FILES)
def test_they_are_those_of_a_list(name: str, reader: tuple[str, IsolatedReader]) -> None:
    """Of every format, and of plain and faint pictures: hash, quality and view, in a worker and in this process."""
    policy, data = POLICIES[reader[0]], FILES[name]
    wanted = sorted(fingerprint(data, NAMES, decode=ALL).view_hashes, key=str)
    for worker in (None, reader[1]):
        assert sorted(listed_fingerprint(data, NAMES, policy, worker).view_hashes, key=str) == wanted


def test_a_policy_that_reduces_or_salvages_changes_nothing(reader: tuple[str, IsolatedReader]) -> None:
    """A large JPEG is decoded in full, and the half that is left of one has no hash that a list should hold."""
    policy, worker = POLICIES[reader[0]], reader[1]
    wanted = fingerprint(PHOTO).view_hashes
    assert listed_fingerprint(PHOTO, ("pdq",), policy, worker).view_hashes == wanted
    assert listed_fingerprint(PHOTO, ("pdq",), policy).view_hashes == wanted
    for one in (None, worker):
        with pytest.raises(UnreadableImageError) as caught:
            listed_fingerprint(PHOTO[: len(PHOTO) // 2], ("md5", "pdq"), policy, one)
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize("names", [("photodna",), ("pdq", "nonsense"), ("keypoint",)])
def test_what_cannot_be_made_is_an_error(names: tuple[str, ...]) -> None:
    """A record needs a rule, which says with which key it is made."""
    with pytest.raises(PolicyError, match="cannot make"):
        listed_fingerprint(PHOTO, names, profiles.STANDARD)


def test_a_file_over_the_limit_has_digests_alone(tmp_path: Path) -> None:
    """Of a path too; nothing of it is decoded."""
    policy = replace(profiles.STANDARD, decode=replace(profiles.STANDARD.decode, max_bytes=1_000))
    (tmp_path / "large").write_bytes(PHOTO)
    made = listed_fingerprint(tmp_path / "large", ("md5", "sha1"), policy)
    assert made.view_hashes == fingerprint(PHOTO, ("md5", "sha1")).view_hashes
    with pytest.raises(ImageTooLargeError):
        listed_fingerprint(tmp_path / "large", ("md5", "pdq"), policy)


def test_a_matcher_makes_them_whatever_its_lists_hold(tmp_path: Path) -> None:
    """Also where a digest would end a match before the decode; waited for in a loop, and not longer than asked."""
    path = tmp_path / "list"
    with ReferenceList.create(path, name="list") as ref:
        ref.add("one", fingerprint=fingerprint(PHOTO, ("md5",)))
    with Matcher.open(path, policy=profiles.FAST, isolation=Isolation(workers=1)) as matcher:
        wanted = fingerprint(PHOTO)
        assert matcher.listed_fingerprint(PHOTO) == wanted

        async def ask() -> None:
            async with AsyncMatcher(matcher) as checks:
                assert await checks.listed_fingerprint(PHOTO, ("md5", "pdq")) == fingerprint(PHOTO, ("md5", "pdq"))
                with pytest.raises(BusyError):
                    await checks.listed_fingerprint(PHOTO, timeout=1e-9)

        asyncio.run(ask())
        assert matcher.counts()["outcomes"]["match"] == 0, "nothing was looked up"
