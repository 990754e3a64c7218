"""What proposes entries, and their cohorts: `hashmatch.views.evidence.candidates` and `.cohort`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hashmatch.views.crops import guided_index
from hashmatch.views.evidence import cohort as rivals
from hashmatch.views.evidence.bit_odds import COARSE, flat_bits
from hashmatch.views.evidence.candidates import Proposer
from hashmatch.views.evidence.cohort import RivalRule, kin_of, rivals_of


def test_proposers_that_could_not_work_are_not_made() -> None:
    """Every number out of range is refused by its name."""
    for wrong in ({"flips": 11}, {"min_start": -30.0}, {"max_tried": 0}, {"max_probes": 0}, {"max_compared": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Proposer(**wrong)  # type: ignore[arg-type]
    for name, value in (("cost", -1.0), ("kin", 257), ("prior", 0.0), ("prior_entries", 0.0), ("least", 0.0)):
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


def test_what_rivals_take_goes_by_their_share() -> None:
    """Of a list twice as long each is worth half; beside the prior's few; a share under the least takes nothing."""
    rule = RivalRule(cost=10.0, prior=1.0, prior_entries=1000.0, least=1e-4)
    assert rule.taken(9, 1000) == pytest.approx(10 * math.log(50))
    assert rule.taken(19, 3000) == rule.taken(9, 1000)
    assert rule.taken(0, 0) == pytest.approx(10 * math.log(10))
    assert rule.taken(0, 10**6) == 0
    shares = [RivalRule().taken(0, size) for size in (0, 10**3, 10**5, 10**6, 10**7)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0


def test_rivals_are_what_else_was_proposed_in_all_turns() -> None:
    """Near copies are none; of two turns each is half a one; withdrawn entries shorten the list."""
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 256, (200, 32), dtype=np.uint8)
    codes[1] = codes[0]
    codes[1, 0] ^= 255
    proposed = flat_bits(codes[:6])
    assert rivals_of(proposed, 0) == 4
    index, rule = guided_index(codes), RivalRule(cost=10.0)
    assert rule.among(proposed, index).left(90, -900, 0, 0) == 90 - rule.taken(4, 200)
    assert rule.among(proposed, index, turns=2).left(90, -900, 0, 0) == 90 - rule.taken(2, 200)
    gone = np.arange(200) >= 100
    assert rule.among(proposed, index, gone).left(90, -900, 0, 0) == 90 - rule.taken(4, 100)


def test_kin_are_like_the_entry_and_no_copies_of_it() -> None:
    """Within the radius but for near copies and what was withdrawn; they count beside the rivals proposed."""
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 256, (300, 32), dtype=np.uint8)
    own = np.unpackbits(codes[0])
    for row, flipped in ((1, 0), (2, 62), (3, 63), (4, 90), (5, 91)):
        codes[row] = np.packbits(own ^ (rng.permutation(256) < flipped))
    index, nobody = guided_index(codes), np.zeros(300, np.bool_)
    assert kin_of(index, 0, 90) == 2
    gone = nobody.copy()
    gone[3] = True
    assert kin_of(index, 0, 90, gone) == 1
    proposed = flat_bits(codes[[0, 5, 9]])
    rule = RivalRule(cost=10.0, kin=90)
    assert rule.among(proposed, index).left(90, 0, 0, 0) == 90 - rule.taken(2 + 2, 300)
    assert rule.among(proposed, index).left(90, 89, 0, 0) == 90 - rule.taken(2, 300)


def test_kin_in_a_long_list_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list longer than is compared, entries at even steps are, and stand for the others."""
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 256, (900, 32), dtype=np.uint8)
    own = np.unpackbits(codes[0])
    codes[1:401] = [np.packbits(own ^ (rng.permutation(256) < 80)) for _ in range(400)]
    index = guided_index(codes)
    assert kin_of(index, 0, 90) == 400
    monkeypatch.setattr(rivals, "_MOST_COMPARED", 300)
    gone = np.arange(900) >= 201
    assert kin_of(index, 0, 90) == pytest.approx(400, abs=3)
    assert kin_of(index, 0, 90, gone) == pytest.approx(200, abs=3)


def test_kin_are_counted_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many copies, or other entries, a search finds: near copies share a count, and the rest the largest."""
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 256, (60, 32), dtype=np.uint8)
    codes[:20] = codes[0]
    index, proposed, asked = guided_index(codes), flat_bits(codes), []

    def counted(*about: Any) -> float:
        asked.append(int((index.words == about[1]).all(axis=1).argmax()))
        return float(asked[-1])

    monkeypatch.setattr(rivals, "_kin_among", counted)
    rule = RivalRule(cost=1.0, kin=90)
    among = rule.among(proposed, index)
    left = [among.left(90, -900, place, place) for place in range(60)]
    assert asked == [0, *range(20, 27)]
    assert left[19] == left[0] == 90 - rule.taken(40 + 0, 60)
    assert left[59] == 90 - rule.taken(59 + 26, 60)
