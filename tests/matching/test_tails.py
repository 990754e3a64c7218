"""What a policy spends, and the check of its budget."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from hashmatch import profiles
from hashmatch.budget.measured import measured
from hashmatch.budget.rates import DistanceTail, evidence_false_reports, poisson_upper
from hashmatch.budget.spending import budget_of, check_budget, tail_of
from hashmatch.errors import PolicyError
from hashmatch.policy import CropRule, KeypointRule, MatchPolicy, Rule
from hashmatch.view import Turn

PDQ = (Rule(algorithm="pdq", threshold=31, min_quality=50),)
PLAIN = MatchPolicy(name="plain", rules=PDQ)
TAIL = DistanceTail(
    algorithm="pdq",
    views="plain",
    pictures="photo",
    queries=1000,
    entries=10_000,
    n_views=1.0,
    within=((40, 0), (46, 4), (50, 20), (52, 60), (54, 120)),
)


@pytest.mark.parametrize("tail", measured().tails, ids=lambda tail: f"{tail.algorithm}-{tail.views}-{tail.pictures}")
def test_measured_counts_are_a_tail(tail: DistanceTail) -> None:
    """Distances ascend, counts do not fall, and there are no more pairs than were compared."""
    assert all(near < far and fewer <= more for (near, fewer), (far, more) in pairwise(tail.within))
    assert len(tail.within) > 5
    assert tail.within[-1][1] <= tail.comparisons
    assert tail.fall > 0


def test_each_tail_stands_once() -> None:
    """One tail for each algorithm, kind of view and kind of picture; plain and turns for every rule we can compute."""
    keys = [(tail.algorithm, tail.views, tail.pictures) for tail in measured().tails]
    assert len(set(keys)) == len(keys)
    for rule in profiles.RULES:
        if rule.definition.version and not rule.is_digest:
            for pictures in ("photo", "low-texture", "template"):
                for views in ("plain", "turns"):
                    tail = tail_of(rule.algorithm, views, pictures)  # type: ignore[arg-type]
                    assert tail is not None
                    assert tail.expected(rule.threshold, 1000).per_picture >= 0


def test_seen_pairs_give_their_share() -> None:
    """Where pairs were seen, the expectation is their share, and the bound is Poisson's."""
    found = TAIL.expected(50, 10_000)
    assert found.per_picture == pytest.approx(20 / 1000)
    assert found.upper == pytest.approx(poisson_upper(20) / 1000)
    assert not found.is_extrapolated
    assert TAIL.expected(50, 20_000).is_extrapolated
    assert TAIL.expected(49, 10_000) == found, "between two distances the farther one counts"


def test_unseen_pairs_fall_on_at_the_slowest_rate() -> None:
    """Where none was seen, the nearest distance with ten pairs is continued, and the bound is 3 in n."""
    assert TAIL.fall == pytest.approx(2 / math.log(2))
    found = TAIL.expected(31, 10_000)
    assert found.per_picture == pytest.approx(20 * 2 ** (-19 / 2) / 1000)
    assert found.upper == pytest.approx(3 / 1000)
    assert found.is_extrapolated


def test_too_little_seen_gives_three_in_n() -> None:
    """With fewer than two counts to continue, nothing is claimed below the bound."""
    found = replace(TAIL, within=((40, 0), (46, 4))).expected(31, 10_000)
    assert found.per_picture == found.upper == pytest.approx(3 / 1000)


def test_beyond_what_was_measured_is_no_figure() -> None:
    """A threshold farther than any measured distance is an error."""
    with pytest.raises(LookupError, match="54"):
        TAIL.expected(55, 1000)


@pytest.mark.parametrize(("count", "bound"), [(0, 3.0), (1, 4.74), (10, 16.96), (100, 118.1)])
def test_poisson_upper(count: int, bound: float) -> None:
    """The bound is the 95 % point of the exact one, to half a per cent."""
    assert poisson_upper(count) == pytest.approx(bound, rel=5e-3)


def test_every_view_spends() -> None:
    """Each view a policy tries adds its own spending, and the sum is the total."""
    full = replace(
        PLAIN,
        turns=True,
        trims=True,
        rotations=True,
        shrinks=True,
        negatives=True,
        keypoints=KeypointRule(max_chance=-9.0),
    )
    for pictures in ("photo", "low-texture", "template"):
        found = budget_of(full, {"pdq": 1_000_000, "keypoint": 1000, "md5": 5}, pictures)  # type: ignore[arg-type]
        kinds = ["plain", "turns", "trims", "rotations", "shrinks", "negatives", "keypoints"]
        assert [item.views for item in found.items] == kinds
        assert found.total.per_picture == pytest.approx(sum(item.reports.per_picture for item in found.items))
        seen = measured().keypoints[pictures]  # type: ignore[index]
        assert found.items[-1].reports.per_picture == pytest.approx(1000 * max(1, seen.false) / seen.pairs)
        assert found.items[-1].reports.upper >= 1000 * max(3, seen.false) / seen.pairs
        assert found.total.upper >= found.total.per_picture > budget_of(PLAIN, {"pdq": 1_000_000}).total.per_picture
        assert not found.unmeasured


def test_crops_spend_for_every_look() -> None:
    """Crops spend by their evidence and turns, more where a trim is searched too; elsewhere it is not known."""
    size = 1_000_000
    for turns in (1, 8):
        rule = CropRule(min_evidence=70.0, turns=tuple(Turn)[:turns])
        spent = budget_of(replace(PLAIN, crops=rule), {"pdq": size}).items[-1]
        assert (spent.views, spent.reports) == (
            "crops",
            evidence_false_reports(70.0, size, measured().crops["photo"], turns=turns),
        )
        trimmed = budget_of(replace(PLAIN, crops=rule, trims=True), {"pdq": size}, "template").items[-1].reports
        assert trimmed.per_picture == pytest.approx(
            2 * evidence_false_reports(70.0, size, measured().crops["template"], turns=turns).per_picture
        )
    assert budget_of(replace(PLAIN, crops=CropRule(min_evidence=70.0)), {"pdq": 1000}, "low-texture").unmeasured == (
        "crops",
    )


def test_a_trim_that_was_seen_near_counts() -> None:
    """Where trims of pictures were within the threshold, no estimate from whole pictures takes their place."""
    tail = tail_of("pdq", "trims", "low-texture")
    assert tail is not None
    assert tail.seen(31)
    found = budget_of(replace(PLAIN, trims=True), {"pdq": 1000}, "low-texture").items[-1]
    assert found.reports.per_picture == pytest.approx(tail.seen(31) / tail.queries * 1000 / tail.entries)


def test_digests_and_empty_lists_spend_nothing() -> None:
    """No false report is expected where nothing perceptual is compared."""
    for sizes in ({}, {"md5": 10**9}, {"pdq": 0}):
        assert budget_of(profiles.STANDARD, sizes).total.per_picture == 0
        assert check_budget(profiles.STANDARD, sizes, 0.0).items == ()


def test_spending_grows_with_list_and_threshold() -> None:
    """Twice the list spends twice as much, a farther threshold more, a 64-bit hash more than PDQ."""
    base = budget_of(PLAIN, {"pdq": 500_000}).total.per_picture
    assert budget_of(PLAIN, {"pdq": 1_000_000}).total.per_picture == pytest.approx(2 * base)
    wide = replace(PLAIN, rules=(Rule(algorithm="pdq", threshold=40),))
    assert budget_of(wide, {"pdq": 500_000}).total.per_picture > base
    assert budget_of(profiles.FAST, {"dhash": 500_000}).total.per_picture > base


def test_overspending_is_refused_with_the_figure() -> None:
    """The message has what is spent, what spends most and what is allowed."""
    spent = check_budget(PLAIN, {"pdq": 1_000_000}, 1.0).total.per_picture
    with pytest.raises(PolicyError, match=rf"{spent:.1e}.*pdq \(plain\).*{spent / 2:.1e}"):
        check_budget(PLAIN, {"pdq": 1_000_000}, spent / 2)


def test_crops_that_overspend_are_refused_with_the_figure() -> None:
    """Little evidence spends more than plain hashes do, and is named for it; with enough allowed it passes."""
    policy = replace(PLAIN, crops=CropRule(min_evidence=0.0))
    spent = evidence_false_reports(0.0, 1_000_000, measured().crops["photo"], turns=2).per_picture
    with pytest.raises(PolicyError, match=rf"{spent:.1e} of them by pdq \(crops\); 1.0e-06 are allowed"):
        check_budget(policy, {"pdq": 1_000_000}, 1e-6)
    assert check_budget(policy, {"pdq": 1_000_000}, 1e-2).items[-1].reports.per_picture == spent


def test_what_was_not_measured_is_refused() -> None:
    """An opaque algorithm, or a threshold beyond the measured ones, cannot be promised for."""
    with pytest.raises(PolicyError, match="photodna"):
        check_budget(profiles.STANDARD, {"photodna": 10}, 1.0)
    far = MatchPolicy(name="far", rules=(Rule(algorithm="pdq", threshold=120),))
    with pytest.raises(PolicyError, match="pdq"):
        check_budget(far, {"pdq": 10}, 1.0)


def test_negative_sizes_are_refused() -> None:
    """A list has no fewer than 0 hashes."""
    with pytest.raises(ValueError, match="-1"):
        budget_of(PLAIN, {"pdq": -1})


def test_a_threshold_of_views_saves_what_views_spend() -> None:
    """The picture as it is spends as before, its views as at their own threshold; evidence decides rotations."""
    (rule,) = (rule for rule in PLAIN.rules if rule.algorithm == "pdq")
    full = replace(PLAIN, rules=(rule,), turns=True, trims=True, rotations=True, shrinks=True)
    tight = replace(full, rules=(replace(rule, view_threshold=20),))
    lower = replace(full, rules=(replace(rule, threshold=20),))
    for pictures in ("photo", "template"):
        found, whole, low = (
            {item.views: item.reports for item in budget_of(policy, {"pdq": 1000}, pictures).items}  # type: ignore[arg-type]
            for policy in (tight, full, lower)
        )
        assert found["plain"] == whole["plain"]
        assert all(found[views] == low[views] for views in found if views != "plain")
        assert found["turns"].per_picture < whole["turns"].per_picture
        assert found["rotations"] == whole["rotations"]


def test_rotations_spend_by_their_evidence() -> None:
    """More evidence spends less, a longer list more, a shorter one than was measured no less."""
    for pictures in ("photo", "low-texture", "template"):
        tail = measured().rotations[pictures]  # type: ignore[index]
        spent = [
            budget_of(replace(PLAIN, rotations=True, rotation_evidence=nats), {"pdq": size}, pictures).items[-1].reports  # type: ignore[arg-type]
            for nats, size in ((40.0, tail.entries), (60.0, tail.entries), (40.0, 10**9), (40.0, 1000))
        ]
        assert spent[0] == evidence_false_reports(40.0, tail.entries, tail)
        drawn = tail.base[1] / tail.queries * math.exp((tail.base[0] - 40) / tail.fall)
        assert spent[0].per_picture == pytest.approx(max(drawn, dict(tail.thinned).get(40.0, 0.0)))
        assert spent[1].per_picture < spent[0].per_picture == spent[3].per_picture
        assert spent[2].per_picture == pytest.approx(drawn * 10**9 / tail.entries)
        assert spent[0].upper > spent[0].per_picture
