"""From tentative pairs of points to the few transforms that explain several of them.

Every transform maps the normal frame of the query to that of the reference, in px. One pair of points already proposes
a similarity, because each point has a place, a scale and a direction; the other pairs vote on it. A fit then uses
places, scales and directions together, so that two points, or ten at one place, do not spoil it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.laying import MAX_RATIO, fit_map
from hashmatch.keypoints.points import Keypoints

__all__ = ["Pairs", "Proposal", "Transform", "fit", "propose"]

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_PROPOSERS: Final = 48  # pairs that propose an alignment, a candidate
_VOTERS: Final = 384  # pairs that vote, a candidate; the nearest
_PLACE: Final = 10.0  # px a voter may lie off, near the proposer
_DRIFT: Final = 0.16  # and per px of distance from it: the error of one point's scale and direction
_LOG_SCALE: Final = math.log(1.6)  # by which a voter's scale may be off
_ANGLE: Final = 0.5  # radians by which its direction may be off
_POINT_SHARE: Final = 0.35  # error of a point's place as a share of the sigma


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Points of a query whose codes agree with points of one reference.

    Parameters
    ----------
    query, reference : (m,) int array
        Numbers of the points, from 0.
    distance : (m,) int array
        Differing bits of their codes.
    mirrored : (m,) bool array
        Whether the code of the mirrored query agrees; ``query`` is then still the number of the unmirrored point.

    Raises
    ------
    ValueError
        If the four arrays have different lengths.
    """

    query: Numbers
    reference: Numbers
    distance: Numbers
    mirrored: Flags

    def __post_init__(self) -> None:
        if not self.query.shape == self.reference.shape == self.distance.shape == self.mirrored.shape:
            raise ValueError("the arrays of pairs must be of one length")
        if self.query.ndim != 1:
            raise ValueError("the arrays of pairs must have one dimension")

    def __len__(self) -> int:
        return len(self.query)

    def __repr__(self) -> str:
        return f"<Pairs, {len(self)}>"

    def take(self, chosen: npt.NDArray[Any]) -> Pairs:
        """Keep the pairs at these places, or where this mask is set."""
        return Pairs(self.query[chosen], self.reference[chosen], self.distance[chosen], self.mirrored[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """An affine map of the query's normal frame to the reference's.

    Parameters
    ----------
    matrix : (2, 2) float64 array
        Not singular.
    shift : (2,) float64 array
        px.
    """

    matrix: Floats
    shift: Floats

    def __repr__(self) -> str:
        mirrored = ", mirrored" if self.mirrored else ""
        return f"<Transform, scale {self.scale:.3f}, {math.degrees(self.angle):.1f} degrees{mirrored}>"

    @classmethod
    def similarity(cls, scale: float, angle: float, shift: Sequence[float], *, mirrored: bool = False) -> Transform:
        """Make a similarity: mirrored left to right if so, then turned by ``angle``, radians, from x towards y."""
        cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
        sign = -1.0 if mirrored else 1.0
        return cls(np.array([[sign * cosine, -sine], [sign * sine, cosine]]), np.array(shift, np.float64))

    @property
    def mirrored(self) -> bool:
        """Whether the query is mirrored left to right."""
        return float(np.linalg.det(self.matrix)) < 0.0

    @property
    def scale(self) -> float:
        """Px of the reference to one px of the query: the root of the areas' ratio."""
        return math.sqrt(abs(float(np.linalg.det(self.matrix))))

    @property
    def angle(self) -> float:
        """Turn of the query, radians, -pi to pi, from the x axis towards the y axis, after mirroring."""
        (a, b), (c, d) = self.matrix.tolist()
        return math.atan2(c - b, a + d) if not self.mirrored else math.atan2(-c - b, d - a)

    @property
    def stretch(self) -> float:
        """Largest scale over smallest, 1 or more; 1 for a similarity."""
        large, small = np.linalg.svd(self.matrix, compute_uv=False)
        return float(large / small)

    def apply(self, places: npt.ArrayLike) -> Floats:
        """Map places, (n, 2), px."""
        return np.asarray(places, np.float64) @ self.matrix.T + self.shift

    def inverse(self) -> Transform:
        """Return the inverse map."""
        matrix = np.asarray(np.linalg.inv(self.matrix), np.float64)
        return Transform(matrix, -matrix @ self.shift)

    def corners(self, query: Keypoints) -> Floats:
        """Map the query's four corners, (4, 2), px of the reference."""
        width, height = query.width, query.height
        return self.apply([(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)])

    def crop_box(self, query: Keypoints, reference: Keypoints) -> tuple[float, float, float, float]:
        """Return the part of the reference that the outline of the query covers.

        Returns
        -------
        (left, top, right, bottom) : float
            Shares of the reference's sides, 0 to 1: the upright bounding box of the covered part. If nothing is
            covered, left equals right or top equals bottom.
        """
        places = self.corners(query) / (reference.width, reference.height)
        low, high = np.clip(places.min(axis=0), 0.0, 1.0), np.clip(places.max(axis=0), 0.0, 1.0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


@dataclass(frozen=True, slots=True)
class Proposal:
    """A transform that several pairs agree with.

    Parameters
    ----------
    candidate : int
        Number of the candidate.
    votes : int
        Different points, on either side, whose pairs agree with the proposing pair; 1 if no other pair agrees.
    pairs : Pairs
        Pairs that agree.
    """

    candidate: int
    votes: int
    pairs: Pairs


def propose(
    query: Keypoints, candidates: Sequence[tuple[Keypoints, Pairs]], *, least: int = 2, most: int = 3
) -> list[Proposal]:
    """Find the transforms that pairs of each candidate agree on.

    Parameters
    ----------
    query : Keypoints
        Points of the query.
    candidates : sequence of (Keypoints, Pairs)
        Points of a reference, and its pairs with the query. Of more than 384 pairs only those of the smallest distance
        count.
    least : int
        Fewest votes, 1 or more.
    most : int
        Most proposals of a candidate, 1 or more; no pair is in two.

    Returns
    -------
    list of Proposal
        By candidate, then by votes from the most.

    Notes
    -----
    All candidates are voted on at once. Cost: below 2 microseconds a candidate of two pairs, 1 to 3 ms for one of 384;
    at most 48 pairs of a candidate propose.
    """
    kept = [_fewest(pairs) for _, pairs in candidates]
    sizes = np.array([len(pairs) for pairs in kept], np.intp)
    if not sizes.any():
        return []
    starts = np.cumsum(sizes) - sizes
    flat = _Flat(query, [points for points, _ in candidates], kept)
    proposers = np.minimum(sizes, _PROPOSERS)
    who = _ranges(starts, proposers)
    owner = np.repeat(np.arange(len(sizes)), proposers)
    first = np.repeat(who, sizes[owner])
    row = np.repeat(np.arange(len(who)), sizes[owner])
    second = _ranges(starts[owner], sizes[owner])
    agree = flat.agree(first, second)
    row, second = row[agree], second[agree]
    found: list[Proposal] = []
    support = np.bincount(row, minlength=len(who))
    ends = np.cumsum(support)
    best = np.zeros(len(sizes), np.intp)
    np.maximum.at(best, owner, support)
    firsts = np.cumsum(proposers) - proposers
    for candidate in np.flatnonzero(best >= least):
        rows = np.arange(firsts[candidate], firsts[candidate] + proposers[candidate])
        free = np.ones(sizes[candidate], np.bool_)
        votes = {int(i): second[ends[i] - support[i] : ends[i]] - starts[candidate] for i in rows}
        for _ in range(most):
            chosen, count = np.empty(0, np.intp), least - 1
            for members in votes.values():
                if len(members) > count:
                    left = members[free[members]]
                    different = _different(kept[candidate], left)
                    if different > count:
                        chosen, count = left, different
            if count < least:
                break
            free[chosen] = False
            found.append(Proposal(int(candidate), count, kept[candidate].take(chosen)))
    return found


def fit(query: Keypoints, reference: Keypoints, pairs: Pairs) -> tuple[Transform, Pairs]:
    """Fit a transform to pairs, all of them mirrored or none, and return the pairs that it explains.

    Parameters
    ----------
    query, reference : Keypoints
        Points of both.
    pairs : Pairs
        At least one.

    Returns
    -------
    transform : Transform
        A similarity, moved towards an affine map as far as widely spread points require it.
    inliers : Pairs
        Pairs within 8 px (1.5 % of the side of the frame) and within what their scales allow, each point in one pair
        only. Never empty.

    Notes
    -----
    Least squares over places, scales and directions at once. Cost: 0.1 ms, in NumPy 0.3 ms.
    """
    if not len(pairs):
        raise ValueError("a fit needs at least one pair")
    flat = _Flat(query, [reference], [pairs])
    source, target, turn = (values.view(np.float64).reshape(-1, 2) for values in (flat.source, flat.target, flat.turn))
    matrix, shift, keep, residual = fit_map(source, target, flat.sigma, turn)
    order = np.flatnonzero(keep)[np.argsort(residual[keep], kind="stable")]
    if pairs.mirrored[0]:
        shift = shift + matrix[:, 0] * query.width
        matrix = matrix * (-1.0, 1.0)
    return Transform(matrix, shift), pairs.take(np.sort(_one_to_one(pairs, order)))


class _Flat:
    """Pairs of all candidates one after the other, places as complex numbers."""

    __slots__ = ("mirrored", "scale", "sigma", "source", "target", "turn")

    def __init__(self, query: Keypoints, references: Sequence[Keypoints], pairs: Sequence[Pairs]) -> None:
        one = np.concatenate([p.query for p in pairs])
        self.mirrored = np.concatenate([p.mirrored for p in pairs])
        x, angle = query.x[one].astype(np.float64), query.angle[one].astype(np.float64)
        x = np.where(self.mirrored, query.width - x, x)
        angle = np.where(self.mirrored, math.pi - angle, angle)
        self.source = x + 1j * query.y[one]
        both = list(zip(references, pairs, strict=True))
        self.target = np.concatenate([r.x[p.reference] + 1j * r.y[p.reference].astype(np.float64) for r, p in both])
        self.sigma = np.concatenate([r.sigma[p.reference] for r, p in both]).astype(np.float64)
        towards = np.concatenate([r.angle[p.reference] for r, p in both]).astype(np.float64)
        ratio = np.clip(self.sigma / query.sigma[one], 1.0 / MAX_RATIO, MAX_RATIO)
        self.scale = np.log(ratio)
        self.turn = ratio * np.exp(1j * (towards - angle))

    def agree(self, first: Numbers, second: Numbers) -> Flags:
        """Say whether the second pairs fit what the first ones propose."""
        turn = self.turn[first]
        span = turn * (self.source[second] - self.source[first])
        off = np.abs(span - (self.target[second] - self.target[first]))
        near = off <= _PLACE + _POINT_SHARE * self.sigma[second] + _DRIFT * np.abs(span)
        near &= np.abs(self.scale[second] - self.scale[first]) <= _LOG_SCALE
        near &= self.mirrored[second] == self.mirrored[first]
        near &= np.abs(np.angle(self.turn[second] * turn.conj())) <= _ANGLE
        return np.asarray(near, np.bool_)


def _fewest(pairs: Pairs) -> Pairs:
    """Sort by distance and keep the first."""
    return pairs.take(np.argsort(pairs.distance, kind="stable")[:_VOTERS])


def _ranges(starts: Numbers, sizes: Numbers) -> Numbers:
    """Write ranges one after the other."""
    total = int(sizes.sum())
    return np.arange(total) - np.repeat(np.cumsum(sizes) - sizes - starts, sizes)


def _different(pairs: Pairs, members: Numbers) -> int:
    """Count the points of either side, whichever are fewer."""
    if len(members) < 2:
        return len(members)
    return min(len(set(pairs.query[members].tolist())), len(set(pairs.reference[members].tolist())))


def _one_to_one(pairs: Pairs, order: Numbers) -> Numbers:
    """Take pairs in this order, none whose point is taken already."""
    query: set[int] = set()
    reference: set[int] = set()
    chosen = []
    for number, one, other in zip(
        order.tolist(), pairs.query[order].tolist(), pairs.reference[order].tolist(), strict=True
    ):
        if one not in query and other not in reference:
            query.add(one)
            reference.add(other)
            chosen.append(number)
    return np.array(chosen, np.intp)
