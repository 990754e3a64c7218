"""From agreeing descriptors to candidates: one vote a point and entry, weighted by rarity, grouped by geometry.

A pair of points determines how the query lies on the reference: scale, angle and shift. Pairs of a true copy determine
nearly the same transform; chance pairs do not. Rough agreement is enough here, because the judge of a candidate fits
the transform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch.kernels import expand_ranges

__all__ = ["AgreeingPairs", "Votes", "one_to_one", "pack_geometry", "rank"]

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

PIXELS_A_STEP: Final = 4.0
STEPS_AN_OCTAVE: Final = 8
SCALE_ZERO: Final = 16
TURN: Final = 256

_MAX_SUBJECTS: Final = 2048
_MAX_PAIRS: Final = 96
_MAX_HYPOTHESES: Final = 16
_SCALE_SLACK: Final = 0.6
_ANGLE_SLACK: Final = math.pi / 6
_NEAR: Final = 16.0
_FAR: Final = 0.2
_NUMBER: Final = 63


def pack_geometry(x: ArrayLike, y: ArrayLike, sigma: ArrayLike, angle: ArrayLike) -> Bytes:
    """Round places, scales and angles of points to what the votes need.

    Parameters
    ----------
    x, y : (n,) float array
        Place in the normal frame, px; steps of 4, beyond 1,020 the last.
    sigma : (n,) float array
        Scale, px; steps of an eighth octave.
    angle : (n,) float array
        Radians; steps of 1/256 turn.

    Returns
    -------
    (n, 4) uint8 array
        x, y, scale, angle.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    columns = [np.asarray(values, np.float64).ravel() for values in (x, y, sigma, angle)]
    if not all(np.isfinite(column).all() for column in columns):
        raise ValueError("places, scales and angles of points must be finite")
    across, down, scale, turn = columns
    steps = np.rint(np.log2(np.maximum(scale, 0.25)) * STEPS_AN_OCTAVE) + SCALE_ZERO
    return np.column_stack(
        (
            np.clip(across / PIXELS_A_STEP, 0, 255),
            np.clip(down / PIXELS_A_STEP, 0, 255),
            np.clip(steps, 0, 255),
            np.mod(np.rint(turn * (TURN / (2 * math.pi))), TURN),
        )
    ).astype(np.uint8)


def mirrored_geometry(geometry: Bytes) -> Bytes:
    """Return the geometry of the points in the picture mirrored left to right."""
    out = geometry.copy()
    out[:, 0] = 255 - geometry[:, 0]
    out[:, 3] = (TURN // 2 - geometry[:, 3].astype(np.int64)) % TURN
    return out


@dataclass(frozen=True, slots=True)
class AgreeingPairs:
    """Pairs of a query point and a stored row that agree; ``subject`` is twice the entry, plus 1 where mirrored."""

    subjects: Ints
    points: Ints
    rows: Ints
    distances: NDArray[np.int32]

    def take(self, which: NDArray[np.integer] | NDArray[np.bool_]) -> AgreeingPairs:
        """Keep some of the pairs."""
        return AgreeingPairs(self.subjects[which], self.points[which], self.rows[which], self.distances[which])

    def __len__(self) -> int:
        return len(self.subjects)


@dataclass(frozen=True, slots=True)
class Votes:
    """A subject, the weight of its best transform, and its pairs."""

    subject: int
    weight: float
    pairs: AgreeingPairs


def one_to_one(pairs: AgreeingPairs) -> AgreeingPairs:
    """Keep each query point's nearest pair of a subject, then each row's; sort by subject, then distance."""
    pairs = pairs.take(_sorted(pairs.subjects, pairs.points, pairs.distances, pairs.rows))
    pairs = pairs.take(_first(pairs.subjects, pairs.points))
    pairs = pairs.take(_sorted(pairs.subjects, pairs.rows, pairs.distances, pairs.points))
    pairs = pairs.take(_first(pairs.subjects, pairs.rows))
    return pairs.take(_sorted(pairs.subjects, pairs.distances, pairs.points))


def _sorted(*columns: NDArray[np.integer]) -> Ints:
    """Say in which order the columns, numbers of 0 or more, ascend, the first one first."""
    order = np.arange(len(columns[0]))
    if not len(order):
        return order
    # as many columns as fit make one number; sorts from the last numbers to the first, each keeping the order before
    numbers: list[Ints] = []
    room = 0
    for column in reversed(columns):
        bits = int(column.max()).bit_length()
        if not numbers or room + bits > _NUMBER:
            numbers.append(np.zeros(len(order), np.int64))
            room = 0
        numbers[-1] |= column.astype(np.int64) << room
        room += bits
    for number in numbers:
        order = order[np.argsort(number[order], kind="stable")]
    return order


def _first(*columns: Ints) -> NDArray[np.bool_]:
    """Where a combination of sorted columns is new."""
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def rank(
    pairs: AgreeingPairs,
    geometry: tuple[Bytes, Bytes],
    reference: Bytes,
    weights: Floats,
    *,
    min_votes: int,
    most: int,
) -> list[Votes]:
    """Weight the subjects and return the best.

    Parameters
    ----------
    pairs : AgreeingPairs
        From `one_to_one`.
    geometry : two (k, 4) uint8 arrays
        Of the query's points as they are and mirrored.
    reference : (p, 4) uint8 array
        Geometry of each pair's row.
    weights : (p,) float32 array
        Weight of each pair's vote.
    min_votes : int
        Votes that must agree on one transform.
    most : int
        Most subjects given.

    Notes
    -----
    A transform is proposed by each of the 16 nearest pairs of a subject; another pair votes for it where the two agree
    on the scale within 0.6 octave, on the angle within 30 degrees, and where the step from one to the other is as long
    and as directed on both sides within 16 px plus a fifth of it. Only the 2,048 subjects of most weight, and the 96
    nearest pairs of each, are compared, so that the cost is bounded for every list.
    """
    starts = np.flatnonzero(_first(pairs.subjects))
    counts = np.diff(np.append(starts, len(pairs)))
    enough = counts >= min_votes
    starts, counts = starts[enough], counts[enough]
    if not len(starts):
        return []
    running = np.concatenate(([0.0], np.cumsum(weights, dtype=np.float64)))
    totals = running[starts + counts] - running[starts]
    if len(starts) > _MAX_SUBJECTS:
        kept = np.sort(np.argsort(-totals, kind="stable")[:_MAX_SUBJECTS])
        starts, counts = starts[kept], counts[kept]
    counts = np.minimum(counts, _MAX_PAIRS)
    support, agreeing = _support(pairs, geometry, reference, weights, starts, counts)
    good = np.flatnonzero(agreeing >= min_votes)
    order = good[np.lexsort((pairs.subjects[starts[good]], -support[good]))][:most]
    found = []
    for i in order.tolist():
        mine = pairs.take(np.arange(starts[i], starts[i] + counts[i]))
        mine = mine.take(np.argsort(mine.points))
        found.append(Votes(int(mine.subjects[0]), float(support[i]), mine))
    return found


def _support(
    pairs: AgreeingPairs,
    geometry: tuple[Bytes, Bytes],
    reference: Bytes,
    weights: Floats,
    starts: Ints,
    counts: Ints,
) -> tuple[NDArray[np.float64], Ints]:
    """Weight and number of the votes for each subject's best transform."""
    used = expand_ranges(starts, counts)
    here = np.cumsum(counts) - counts
    mirrored = (pairs.subjects[used] & 1).astype(np.bool_)
    points = pairs.points[used]
    query = np.where(mirrored[:, None], geometry[1][points], geometry[0][points]).astype(np.float32)
    stored = reference[used].astype(np.float32)
    scale = (stored[:, 2] - query[:, 2]) * np.float32(1 / STEPS_AN_OCTAVE)
    angle = (stored[:, 3] - query[:, 3]) * np.float32(2 * math.pi / TURN)
    hypotheses = np.minimum(counts, _MAX_HYPOTHESES)
    # each hypothesis of a subject against each of its pairs
    n_each = np.repeat(counts, hypotheses)
    first = np.repeat(expand_ranges(here, hypotheses), n_each)
    second = expand_ranges(np.repeat(here, hypotheses), n_each)
    turn = np.abs(
        np.mod(angle[first] - angle[second] + np.float32(math.pi), np.float32(2 * math.pi)) - np.float32(math.pi)
    )
    fits = (np.abs(scale[first] - scale[second]) <= _SCALE_SLACK) & (turn <= _ANGLE_SLACK)
    close = np.flatnonzero(fits)
    a, b = first[close], second[close]
    size = np.exp2((scale[a] + scale[b]) / 2)
    middle = angle[a] + np.float32(0.5) * (
        np.mod(angle[b] - angle[a] + np.float32(math.pi), np.float32(2 * math.pi)) - np.float32(math.pi)
    )
    dx, dy = (query[b, 0] - query[a, 0]) * size, (query[b, 1] - query[a, 1]) * size
    cos, sin = np.cos(middle), np.sin(middle)
    off = np.hypot(
        stored[b, 0] - stored[a, 0] - (cos * dx - sin * dy), stored[b, 1] - stored[a, 1] - (sin * dx + cos * dy)
    )
    fits[close] = off <= _NEAR / PIXELS_A_STEP * np.maximum(size, 1) + _FAR * np.hypot(dx, dy)
    each = np.cumsum(n_each) - n_each
    voted = np.add.reduceat(np.where(fits, weights[used][second], np.float32(0)).astype(np.float64), each)
    numbers = np.add.reduceat(fits.astype(np.int64), each)
    # the best hypothesis of each subject: by weight, then votes
    best = np.maximum.reduceat(voted, np.cumsum(hypotheses) - hypotheses)
    most = np.maximum.reduceat(numbers, np.cumsum(hypotheses) - hypotheses)
    return best, most
