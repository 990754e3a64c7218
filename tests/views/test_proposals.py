"""What proposes entries, and what their rivals take: `hashmatch.views.proposals` and `hashmatch.views.rivals`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hashmatch.views.crops import guided_index
from hashmatch.views.proposals import Proposer
from hashmatch.views.rivals import RivalRule, rivals_of
from hashmatch.views.soft import COARSE, flat_bits


def test_proposers_that_could_not_work_are_not_made() -> None:
    """Every number out of range is refused by its name."""
    for wrong in ({"flips": 11}, {"min_start": -30.0}, {"max_tried": 0}, {"max_probes": 0}, {"max_compared": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Proposer(**wrong)  # type: ignore[arg-type]
    for name, value in (("cost", -1.0), ("full", 0)):
        with pytest.raises(ValueError, match=name):
            RivalRule(**{name: value})  # type: ignore[arg-type]


def test_what_is_near_a_view_is_proposed_once_the_best_first() -> None:
    """Two views near one entry propose it once, by the better; what lies far, or was withdrawn, is not proposed."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 256, (500, 32), dtype=np.uint8)
    index, bits = guided_index(codes), flat_bits(codes)
    sure = np.where(bits[[7, 7, 9]], 6.0, -6.0).astype(np.float32)
    sure[1, :3] *= -1  # the second view is three bits off
    found = Proposer().propose(sure, index, COARSE)
    assert sorted(found.positions.tolist()) == [7, 9]
    assert dict(zip(found.positions.tolist(), found.views.tolist(), strict=True)) == {7: 0, 9: 2}
    assert (np.diff(found.scores) <= 0).all()
    assert np.array_equal(found.bits, bits[found.positions])
    gone = np.zeros(500, np.bool_)
    gone[7] = True
    assert Proposer().propose(sure, index, COARSE, gone).positions.tolist() == [9]
    assert Proposer(max_distance=2).propose(sure[1:2], index, COARSE).positions.tolist() == []


def test_rivals_count_in_proportion_to_the_list_and_its_turns() -> None:
    """Near copies are none; of a list twice as long as counts in full, or searched in two turns, each is half a one."""
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 256, (200, 32), dtype=np.uint8)
    codes[1] = codes[0]
    codes[1, 0] ^= 255
    assert rivals_of(flat_bits(codes[:10]), 0) == 8
    index = guided_index(codes)
    rule = RivalRule(cost=10.0, full=100)
    assert rule.taken(4, index) == pytest.approx(10 * math.log1p(2))
    assert rule.taken(4, index, turns=2) == pytest.approx(10 * math.log1p(1))
    assert rule.taken(4, index, withdrawn=np.arange(200) >= 100) == pytest.approx(10 * math.log1p(4))
    assert rule.taken(0, index) == 0
