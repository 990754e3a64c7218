"""Transforms from pairs of points: exact on exact pairs, calm on degenerate ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hashmatch.keypoints.geometry import Pairs, Transform, fit, propose
from hashmatch.keypoints.points import Keypoints


def _points(x, y, sigma, angle, width=512.0):
    n = len(x)
    arrays = [np.asarray(v, np.float32) for v in (x, y, sigma, np.mod(angle, 2 * math.pi))]
    return Keypoints(width, 512.0 * 512.0 / width, *arrays, np.zeros((n, 16), np.uint8))


def _scattered(n, seed=7_300_001, width=512.0):
    rng = np.random.default_rng(seed)
    return _points(
        rng.uniform(20, 490, n), rng.uniform(20, 490, n), rng.uniform(2, 9, n), rng.uniform(0, 6.28, n), width
    )


def _moved(points, transform):
    """Points of the reference that the transform makes of the query's."""
    places = transform.apply(np.stack([points.x, points.y], axis=1))
    angle = math.pi - points.angle if transform.mirrored else points.angle
    return _points(places[:, 0], places[:, 1], points.sigma * transform.scale, angle + transform.angle)


def _pairs(n, mirrored=False):
    return Pairs(np.arange(n), np.arange(n), np.full(n, 10), np.full(n, mirrored))


TRANSFORMS = [
    Transform.similarity(1.0, 0.0, (0.0, 0.0)),
    Transform.similarity(0.4, 1.2, (60.0, -20.0)),
    Transform.similarity(5.5, -3.0, (-700.0, 300.0)),
    Transform.similarity(1 / 5.5, 0.3, (200.0, 100.0)),
    Transform.similarity(0.7, 2.0, (400.0, 50.0), mirrored=True),
]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_exact_pairs_give_the_transform_back(transform):
    """Pairs made by a similarity give every one of its numbers back, and all of them are inliers."""
    query = _scattered(30)
    reference = _moved(query, transform)
    [proposal] = propose(query, [(reference, _pairs(30, transform.mirrored))])
    found, inliers = fit(query, reference, proposal.pairs)
    assert proposal.votes == len(inliers) == 30
    assert np.allclose(found.matrix, transform.matrix, atol=1e-3 * transform.scale)
    assert np.allclose(found.shift, transform.shift, atol=0.1)
    assert found.mirrored == transform.mirrored
    assert found.scale == pytest.approx(transform.scale, rel=1e-3)
    assert math.cos(found.angle - transform.angle) == pytest.approx(1.0, abs=1e-5)


def test_transform_and_inverse_cancel_out():
    """A place mapped forth and back is where it was."""
    places = np.array([(3.0, 4.0), (500.0, 20.0)])
    for transform in TRANSFORMS:
        assert np.allclose(transform.inverse().apply(transform.apply(places)), places)


def test_crop_box_of_a_known_crop():
    """The upper left quarter of the reference, enlarged to a frame, covers just that quarter."""
    box = Transform.similarity(0.5, 0.0, (0.0, 0.0)).crop_box(_scattered(1), _scattered(1))
    assert box == pytest.approx((0.0, 0.0, 0.5, 0.5))


def test_false_pairs_do_not_derail_the_fit():
    """Twelve true pairs among sixty false ones still give the transform."""
    rng = np.random.default_rng(7_300_002)
    transform = TRANSFORMS[1]
    query = _scattered(72)
    reference = _moved(query, transform)
    wrong = np.r_[np.arange(12), 12 + rng.permutation(60)]
    pairs = Pairs(np.arange(72), wrong, np.full(72, 20), np.zeros(72, np.bool_))
    proposal = propose(query, [(reference, pairs)])[0]
    found, inliers = fit(query, reference, proposal.pairs)
    assert set(range(12)) <= set(inliers.query.tolist())
    assert np.allclose(found.apply([(100.0, 100.0)]), transform.apply([(100.0, 100.0)]), atol=2.0)


def test_squashed_pictures_get_unequal_scales():
    """Widely spread points of a picture squashed to 0.8 of its width bend the similarity to an affine map."""
    query = _scattered(40)
    reference = _points(query.x * 0.9, query.y * 1.1, query.sigma, query.angle)
    proposal = propose(query, [(reference, _pairs(40))])[0]
    found, inliers = fit(query, reference, proposal.pairs)
    assert len(inliers) > 30
    assert found.stretch == pytest.approx(1.1 / 0.9, rel=0.03)


def test_a_point_is_counted_once():
    """Many pairs of one query point, or of one reference point, are one vote."""
    query, n = _scattered(20), 20
    same = _points(np.full(n, 99.0), np.full(n, 99.0), np.full(n, 3.0), np.zeros(n))
    one = Pairs(np.zeros(n, np.intp), np.arange(n), np.full(n, 9), np.zeros(n, np.bool_))
    assert propose(query, [(same, one)]) == []
    [proposal] = propose(query, [(same, one)], least=1, most=1)
    assert proposal.votes == 1


def test_points_on_one_spot_stay_finite():
    """Pairs all in one place, on both sides, still give a finite transform of their own scale."""
    n = 6
    query = _points(np.full(n, 99.0), np.full(n, 99.0), np.full(n, 3.0), np.full(n, 1.0))
    reference = _points(np.full(n, 300.0), np.full(n, 30.0), np.full(n, 6.0), np.full(n, 1.5))
    found, inliers = fit(query, reference, propose(query, [(reference, _pairs(n))])[0].pairs)
    assert len(inliers) == n
    assert found.scale == pytest.approx(2.0, rel=1e-3)
    assert found.angle == pytest.approx(0.5, abs=1e-3)


def test_opposed_directions_stay_finite():
    """Two pairs on one spot whose turns cancel out do not give a scale of 0."""
    query = _points([50.0, 50.0], [50.0, 50.0], [3.0, 3.0], [0.0, 0.0])
    reference = _points([50.0, 50.0], [50.0, 50.0], [3.0, 3.0], [0.0, math.pi])
    found, _ = fit(query, reference, _pairs(2))
    assert found.scale == pytest.approx(1.0, rel=0.01)


def test_mirrored_and_plain_pairs_do_not_vote_together():
    """A pair of the mirrored query and one of the plain query never support each other."""
    query = _scattered(2)
    pairs = Pairs(np.arange(2), np.arange(2), np.full(2, 9), np.array([True, False]))
    assert propose(query, [(query, pairs)]) == []


def test_two_regions_are_two_proposals():
    """Points that moved in two ways give two proposals of one candidate, the larger first."""
    query = _scattered(30)
    one, two = _moved(query, TRANSFORMS[1]), _moved(query, TRANSFORMS[2])
    mixed = _points(*(np.r_[getattr(one, k)[:18], getattr(two, k)[18:]] for k in ("x", "y", "sigma", "angle")))
    found = propose(query, [(mixed, _pairs(30))])
    assert [p.votes for p in found] == [18, 12]


def test_batch_is_the_same_as_one_by_one():
    """Candidates voted on together get what each gets alone."""
    query = _scattered(40)
    rng = np.random.default_rng(7_300_003)
    candidates = []
    for seed in range(30):
        n = int(rng.integers(0, 12))
        pairs = Pairs(rng.integers(0, 40, n), rng.integers(0, 40, n), rng.integers(0, 27, n), rng.random(n) < 0.5)
        candidates.append((_scattered(40, seed), pairs))
    candidates.append((_moved(query, TRANSFORMS[3]), _pairs(40)))
    together = propose(query, candidates)
    assert together
    for number, candidate in enumerate(candidates):
        alone = propose(query, [candidate])
        mine = [p for p in together if p.candidate == number]
        assert [(p.votes, p.pairs.query.tolist(), p.pairs.reference.tolist()) for p in mine] == [
            (p.votes, p.pairs.query.tolist(), p.pairs.reference.tolist()) for p in alone
        ]


def test_none_and_one_pair():
    """No candidates, no pairs and one pair give nothing; a fit of nothing is an error."""
    query = _scattered(3)
    assert propose(query, []) == []
    assert propose(query, [(query, _pairs(0)), (query, _pairs(1))]) == []
    with pytest.raises(ValueError, match="at least one"):
        fit(query, query, _pairs(0))


def test_pairs_of_unequal_length_are_refused():
    """Arrays of different lengths are not pairs."""
    with pytest.raises(ValueError, match="one length"):
        Pairs(np.arange(2), np.arange(3), np.arange(2), np.zeros(2, np.bool_))
    with pytest.raises(ValueError, match="one dimension"):
        Pairs(*(np.zeros((1, 2), int),) * 3, np.zeros((1, 2), np.bool_))


def test_thousands_of_pairs_are_bounded():
    """Of any number of pairs only the 384 nearest are looked at."""
    query = _scattered(200)
    rng = np.random.default_rng(7_300_004)
    pairs = Pairs(
        rng.integers(0, 200, 30_000), rng.integers(0, 200, 30_000), np.full(30_000, 5), np.zeros(30_000, np.bool_)
    )
    assert sum(len(p.pairs) for p in propose(query, [(query, pairs)])) <= 384
