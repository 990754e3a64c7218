"""The planner: its choice is the cheapest of what it computed, and it says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashmatch.algorithms import Metric
from hashmatch.index import BKTree, ExactIndex, LinearIndex, MultiIndex, build_index, plan_index
from hashmatch.index.costs import MEASURED


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("n", [0, 1, 10_000, 1_000_000])
def test_the_choice_is_the_cheapest(metric: Metric, n: int) -> None:
    """The plan's kind has the least expected time; below the pending part the simplest is taken."""
    for radius in (0, 1, 31, 200):
        if metric is Metric.EXACT and radius > 1:
            continue
        plan = plan_index(n, 256, metric=metric, radius=radius)
        if n > 2048:
            assert plan.expected_us[plan.kind] == min(plan.expected_us.values())
        assert plan.why.endswith(".")
        assert all(time > 0 for time in plan.expected_us.values())


@pytest.mark.parametrize("metric", list(Metric))
def test_few_codes_are_not_weighed(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 2,048 codes nothing is optimised; the next list is."""

    def weighed(*_: object) -> float:
        raise AssertionError("weighed")

    for name in ("choose_widths", "_spread", "_tree_cost", "_reason"):
        monkeypatch.setattr(f"hashmatch.index.planner.{name}", weighed)
    for n in (0, 2, 2048):
        plan = plan_index(n, 256, metric=metric, radius=1)
        assert plan.kind == ("exact" if metric is Metric.EXACT else "linear")
        assert list(plan.expected_us) == [plan.kind]
    with pytest.raises(AssertionError, match="weighed"):
        plan_index(2049, 256, metric=metric, radius=1)


def test_a_plan_that_is_made_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`build_index` takes the choice it is given."""
    codes = np.random.default_rng(2).integers(0, 256, (3_000, 8), dtype=np.uint8)
    plan = replace(plan_index(len(codes), 64, radius=4), kind="bktree")
    monkeypatch.setattr("hashmatch.index.planner.plan_index", None)
    assert isinstance(build_index(codes, radius=4, plan=plan), BKTree)


def test_known_cases() -> None:
    """The cases that the documents name."""
    assert plan_index(1_000_000, 256, radius=31).kind == "multi"
    assert plan_index(1_000_000, 256, radius=100).kind == "linear"
    assert plan_index(500, 256, radius=31).kind == "linear"
    assert plan_index(1_000_000, 64, radius=4).kind == "multi"
    assert plan_index(1_000_000, 128, metric=Metric.EXACT, radius=0).kind == "exact"
    assert plan_index(1_000_000, 1152, metric=Metric.EUCLIDEAN, radius=5).kind == "bktree"
    assert plan_index(1_000_000, 1152, metric=Metric.EUCLIDEAN, radius=2000).kind == "linear"


def test_the_sample_matters() -> None:
    """Codes whose distances are spread widely favour the tree; codes all equally far apart do not."""
    rng = np.random.default_rng(0)
    wide = np.minimum(rng.integers(0, 256, (200, 1)), 255).astype(np.uint8).repeat(144, axis=1)
    narrow = rng.integers(100, 110, (200, 144), dtype=np.uint8)
    facts = {"metric": Metric.EUCLIDEAN, "radius": 30}
    spread = plan_index(300_000, 1152, sample=wide, **facts).expected_us["bktree"]
    crowded = plan_index(300_000, 1152, sample=narrow, **facts).expected_us["bktree"]
    assert spread < crowded


def test_costs_decide() -> None:
    """With dear probes the choice changes."""
    assert plan_index(100_000, 256, radius=31).kind == "multi"
    dear = replace(MEASURED, probe=1e7, candidate=1e7, node=1e7)
    assert plan_index(100_000, 256, radius=31, costs=dear).kind == "linear"


def test_build_makes_what_was_planned() -> None:
    """The index built is of the planned kind, holds the codes and searches at the radius."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (100_000, 32), dtype=np.uint8)
    assert isinstance(build_index(codes, radius=8), MultiIndex)
    assert isinstance(build_index(codes[:100], radius=31), LinearIndex)
    assert isinstance(build_index(codes, metric=Metric.EXACT, radius=0), ExactIndex)
    assert isinstance(build_index(codes[:100], metric=Metric.EXACT, radius=0), ExactIndex)
    steps = np.repeat(rng.integers(0, 256, (30_000, 1), dtype=np.uint8), 144, axis=1)
    index = build_index(steps, metric=Metric.EUCLIDEAN, radius=3)
    assert isinstance(index, BKTree)
    same = np.flatnonzero((steps == steps[7]).all(axis=1))
    assert index.search(steps[7], 3)[0].tolist() == same.tolist()
    assert len(build_index(codes[:0])) == 0


def test_bad_numbers_are_refused() -> None:
    """Sizes, lengths and radii out of range are refused."""
    for n, n_bits, radius in ((-1, 64, 1), (1, 63, 1), (1, 0, 0), (1, 64, 65), (1, 64, -1)):
        with pytest.raises(ValueError, match="must be"):
            plan_index(n, n_bits, radius=radius)
