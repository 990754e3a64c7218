"""Laws of the policy: what it refuses, and that presets stand on their sources."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from hashmatch import profiles
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError, PolicyError
from hashmatch.policy import MatchPolicy, Rule
from hashmatch.view import Turn, View


@pytest.mark.parametrize("threshold", [-1, 256, 31.0, True, "31", None])
def test_threshold_out_of_range_is_refused(threshold: object) -> None:
    """A threshold is a whole number of bits below the length of the hash, or nothing would ever not match."""
    with pytest.raises(PolicyError, match="threshold of the pdq rule must be an integer from 0 to 255"):
        Rule(algorithm="pdq", threshold=threshold)  # type: ignore[arg-type]


@pytest.mark.parametrize("quality", [-1, 101, 5.0, True])
def test_quality_out_of_range_is_refused(quality: object) -> None:
    """A least quality is 0 to 100."""
    with pytest.raises(PolicyError, match="min_quality"):
        Rule(algorithm="pdq", threshold=31, min_quality=quality)  # type: ignore[arg-type]


def test_a_digest_takes_threshold_0_only() -> None:
    """Digests are equal or not."""
    assert Rule(algorithm="SHA256", threshold=0).algorithm == "sha256"
    with pytest.raises(PolicyError, match="from 0 to 0"):
        Rule(algorithm="md5", threshold=1)


def test_unknown_algorithm_is_refused() -> None:
    """A rule is for an algorithm that exists."""
    with pytest.raises(HashFormatError, match="choose one of"):
        Rule(algorithm="pdf", threshold=1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rules": ()}, "at least one rule"),
        ({"rules": (Rule(algorithm="pdq", threshold=1), Rule(algorithm="pdq", threshold=2))}, "one rule for each"),
        ({"max_matches": 0}, "max_matches"),
        ({"max_matches": True}, "max_matches"),
        ({"name": ""}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"rules": "pdq"}, "tuple of Rule"),
        ({"turns": "no"}, "turns"),
        ({"stop_at_digest": 1}, "stop_at_digest"),
        ({"decode": None}, "DecodePolicy"),
    ],
)
def test_contradictory_policies_are_refused(changes: dict[str, object], says: str) -> None:
    """A policy that cannot be carried out is refused when it is made."""
    with pytest.raises(PolicyError, match=says):
        replace(profiles.STANDARD, **changes)  # type: ignore[arg-type]


def test_digests_stand_first() -> None:
    """Whatever the order given, digests are tried before perceptual hashes."""
    policy = MatchPolicy(name="x", rules=(Rule(algorithm="pdq", threshold=31), Rule(algorithm="md5", threshold=0)))
    assert [rule.algorithm for rule in policy.rules] == ["md5", "pdq"]


def test_presets_cover_every_algorithm_with_the_published_numbers() -> None:
    """The presets have a rule for every hash that has a distance, and PDQ's are its authors'."""
    for policy in (profiles.FAST, profiles.STANDARD, profiles.THOROUGH):
        assert {rule.algorithm for rule in policy.rules} == set(ALGORITHMS) - {"keypoint"}
        pdq = policy.rule_for("pdq")
        assert pdq is not None
        assert (pdq.threshold, pdq.min_quality) == (31, 50)
    assert profiles.STANDARD.turns
    assert not profiles.FAST.turns


def test_policies_are_frozen() -> None:
    """A preset cannot be changed under the feet of others."""
    with pytest.raises(FrozenInstanceError):
        profiles.FAST.turns = True  # type: ignore[misc]


def test_threshold_of_a_view() -> None:
    """A view takes the lesser of both thresholds; frames and backgrounds are no views of that kind."""
    rule = Rule(algorithm="pdq", threshold=31, view_threshold=20)
    assert [rule.threshold_of(view) for view in (View(), View(frame=3), View(turn=Turn.MIRROR), View(tilt=1.5))] == [
        31,
        31,
        20,
        20,
    ]
    assert Rule(algorithm="pdq", threshold=10, view_threshold=20).threshold_of(View(turn=Turn.FLIP)) == 10
    assert Rule(algorithm="pdq", threshold=31).threshold_of(View(turn=Turn.FLIP)) == 31
    with pytest.raises(PolicyError, match="view_threshold"):
        Rule(algorithm="pdq", threshold=31, view_threshold=-1)
