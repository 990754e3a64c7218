"""``lists=``: an answer of some of a matcher's lists is the answer of a matcher that has those alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch import Matcher, Outcome, ReferenceList, fingerprint, hash_image
from hashmatch.hashes import Fingerprint, ViewHash
from hashmatch.matching import AsyncMatcher, MatchReport
from hashmatch.picture.encode import jpeg
from hashmatch.synthetic import picture

PHOTOS = {name: picture("photo", seed, size=(160, 200)) for seed, name in enumerate(("first", "second", "both"), 1)}
FILES = {name: jpeg(pixels, quality=95) for name, pixels in PHOTOS.items()}
CHOICES: list[tuple[str, ...]] = [("first",), ("second",), ("first", "second"), ("second", "first")]


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    """Make two lists, which share one entry; the second has digests too."""
    made = {}
    for name in ("first", "second"):
        made[name] = tmp_path / f"{name}.hashmatch"
        with ReferenceList.create(made[name], name=name) as ref:
            for entry in (name, "both"):
                algorithms = ("pdq",) if name == "first" else ("pdq", "sha256")
                ref.add(entry, fingerprint=fingerprint(FILES[entry], algorithms=algorithms))
    return made


@pytest.fixture
def matcher(paths: dict[str, Path]) -> Iterator[Matcher]:
    """Open both."""
    with Matcher.open(*paths.values()) as made:
        yield made


def answers(matcher: Matcher, name: str, lists: tuple[str, ...] | None) -> list[MatchReport]:
    """Ask in every way."""
    value = hash_image(PHOTOS[name])
    looked = fingerprint(FILES[name], policy=matcher.policy)

    async def ask() -> list[MatchReport]:
        async with AsyncMatcher(matcher) as checks:
            return [
                await checks.match(FILES[name], lists=lists),
                await checks.match_hash(value, lists=lists),
                await checks.match_fingerprint(looked, lists=lists),
            ]

    return [
        matcher.match(FILES[name], lists=lists),
        matcher.match_hash(value, lists=lists),
        matcher.match_fingerprint(looked, lists=lists),
        matcher.match_fingerprint(Fingerprint((ViewHash(value=value),)), lists=lists),
        *asyncio.run(ask()),
    ]


@pytest.mark.parametrize("lists", CHOICES, ids="+".join)
def test_the_answer_is_that_of_a_matcher_with_these_alone(
    matcher: Matcher, paths: dict[str, Path], lists: tuple[str, ...]
) -> None:
    """Matches, lists and what was compared, for pictures, hashes and fingerprints; the order is the matcher's."""
    with Matcher.open(*(path for name, path in paths.items() if name in lists)) as alone:
        for name in PHOTOS:
            assert answers(matcher, name, lists) == answers(alone, name, None)


def test_a_list_can_be_named_by_its_identifier(matcher: Matcher, paths: dict[str, Path]) -> None:
    """As in a selection."""
    with ReferenceList.open(paths["second"]) as ref:
        list_id = ref.list_id
    assert answers(matcher, "both", (list_id,)) == answers(matcher, "both", ("second",))


def test_without_any_list_nothing_is_cleared(matcher: Matcher) -> None:
    """Nothing was compared, so "no match" would be said of nothing."""
    for report in answers(matcher, "first", ()):
        assert (report.outcome, report.reason, report.lists) == (Outcome.UNDECIDABLE, "nothing-to-compare", ())


def test_a_list_that_is_not_there_is_an_error(matcher: Matcher) -> None:
    """It names those that are; one text is not taken for its letters."""
    for lists in (("first", "third"), ("",)):
        with pytest.raises(ValueError, match="there are: first, second"):
            answers(matcher, "first", lists)
    with pytest.raises(ValueError, match="not one text"):
        matcher.match_hash(hash_image(PHOTOS["first"]), lists="first")
    assert matcher.counts()["outcomes"]["match"] == 0, "what was not answered is not counted"
