"""What a crop search spends."""

from __future__ import annotations

import pytest

from hashmatch.errors import PolicyError
from hashmatch.matching.budget import PHOTO_TAIL, SCREENSHOT_TAIL, EvidenceTail, check_crop_budget, crop_false_reports


@pytest.mark.parametrize("tail", [PHOTO_TAIL, SCREENSHOT_TAIL])
def test_measured_levels_give_the_measured_share(tail: EvidenceTail) -> None:
    """At a level and size that were measured, the expectation is the count over the queries."""
    for level, count in tail.over:
        spent = crop_false_reports(level, tail.entries, tail)
        assert spent.per_picture == pytest.approx(count / tail.queries)
        assert spent.upper > spent.per_picture
        assert not spent.is_extrapolated


def test_spending_grows_with_the_list_and_falls_with_the_evidence() -> None:
    """More entries cost more, more evidence costs less, and both are extrapolations beyond the sample."""
    base = crop_false_reports(62, 1_000_000)
    assert crop_false_reports(62, 2_000_000).per_picture == pytest.approx(2 * base.per_picture)
    assert crop_false_reports(80, 1_000_000).per_picture < base.per_picture
    assert base.is_extrapolated
    assert base.per_day(1e6) == pytest.approx(1e6 * base.per_picture)


def test_upper_bound_of_two_events() -> None:
    """Two events in n bound the rate by 6.30 / n."""
    assert crop_false_reports(50, PHOTO_TAIL.entries).upper * PHOTO_TAIL.queries == pytest.approx(6.30, rel=0.01)


def test_overspending_is_refused_with_the_figure() -> None:
    """A search that spends more than allowed is an error that says how much."""
    spent = crop_false_reports(62, 1_000_000)
    with pytest.raises(PolicyError, match=f"{spent.per_picture:.1e}"):
        check_crop_budget(62, 1_000_000, 1e-6)
    assert check_crop_budget(62, 1_000_000, 1e-2) == spent


def test_outside_what_was_measured_is_refused() -> None:
    """Less evidence than was measured has no figure."""
    with pytest.raises(ValueError, match="measured"):
        crop_false_reports(5, 1000)
    with pytest.raises(ValueError, match="entries"):
        crop_false_reports(50, -1)
