"""What searches by evidence spend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hashmatch.budget.measured import measured
from hashmatch.budget.rates import EvidenceTail, evidence_false_reports

PHOTO_TAIL, SCREENSHOT_TAIL = measured().crops["photo"], measured().crops["template"]
ROTATION_TAILS = measured().rotations


@pytest.mark.parametrize("tail", [PHOTO_TAIL, SCREENSHOT_TAIL])
def test_measured_levels_give_at_least_the_measured_share(tail: EvidenceTail) -> None:
    """At a level and size that were measured, no less is expected than was seen, and the bound lies above it."""
    for level, count in tail.over:
        if level >= (tail.thinned or tail.over)[0][0] and level <= tail.base[0]:
            spent = evidence_false_reports(level, tail.entries, tail)
            assert spent.per_picture >= count / tail.queries
            assert spent.upper > spent.per_picture
            assert not spent.is_extrapolated


@pytest.mark.parametrize("tail", [PHOTO_TAIL, SCREENSHOT_TAIL, *ROTATION_TAILS.values()])
def test_base_is_the_highest_level_of_ten_or_more(tail: EvidenceTail) -> None:
    """The tail is drawn out from a count that is not chance alone."""
    assert tail.base in tail.over
    assert tail.base[1] >= 10
    assert all(count < 10 for level, count in tail.over if level > tail.base[0])


def test_spending_grows_with_the_list_and_falls_with_the_evidence() -> None:
    """More entries or turns cost more, more evidence costs less, and beyond the sample all is extrapolated."""
    tail = replace(PHOTO_TAIL, thinned=())
    base = evidence_false_reports(60, 10_000_000, tail)
    assert evidence_false_reports(60, 20_000_000, tail).per_picture == pytest.approx(2 * base.per_picture)
    assert evidence_false_reports(60, 1_250_000, tail, turns=8).per_picture == pytest.approx(base.per_picture)
    assert evidence_false_reports(80, 10_000_000, tail).per_picture < base.per_picture
    assert base.is_extrapolated
    assert base.per_day(1e6) == pytest.approx(1e6 * base.per_picture)


def test_a_small_list_is_charged_the_worst_size() -> None:
    """A list of a hundredth of the measured size has fewer rivals, and spends no less, or what the worst size does."""
    small, twice = (evidence_false_reports(40, 10_000, PHOTO_TAIL, turns=turns).per_picture for turns in (1, 2))
    assert small == dict(PHOTO_TAIL.thinned)[40.0]
    assert twice == 2 * small
    template = evidence_false_reports(40, 480, SCREENSHOT_TAIL)
    assert template.per_picture == dict(SCREENSHOT_TAIL.thinned)[40.0]
    assert evidence_false_reports(40, 0, PHOTO_TAIL).per_picture == 0


def test_upper_bound_of_sixteen_events() -> None:
    """Sixteen events in n bound the rate by 24.30 / n."""
    tail = replace(PHOTO_TAIL, over=((-60.0, 16),), thinned=())
    spent = evidence_false_reports(-60.0, 100 * tail.entries, tail)
    assert spent.upper * tail.queries / 100 == pytest.approx(24.30, rel=0.01)


def test_outside_what_was_measured_is_refused() -> None:
    """Less evidence than was measured has no figure."""
    with pytest.raises(ValueError, match="measured"):
        evidence_false_reports(-30, 1000, PHOTO_TAIL)
    with pytest.raises(ValueError, match="entries"):
        evidence_false_reports(50, -1, PHOTO_TAIL)
    with pytest.raises(ValueError, match="turns"):
        evidence_false_reports(50, 1, PHOTO_TAIL, turns=9)
