"""Local search over the four cuts, from the view that found an entry to its best fit, and the score there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.views.evidence.bit_odds import ALIGNED, certainties, score
from hashmatch.views.evidence.crop_views import MAX_CUT, MIN_CUT, AxisCut, unseen_share, view_coefficients
from hashmatch.views.small import Floats

__all__ = ["Fit", "climb", "kept", "score_at"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_STEPS: Final = (16, 8, 4)  # thousandths
_ROUNDS: Final = 6  # of each step, at most
_REACH: Final = 24  # thousandths from where the search began
_MIN_KEPT: Final = 0.6  # least share of the whole picture
_MOVES: Final = tuple((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Fit of one hash to the query, and the cuts of that fit.

    Parameters
    ----------
    score : float
        Log-likelihood ratio, nats.
    distance : int
        Differing bits of the uncropped view, 0 to 256.
    columns, rows : AxisCut
        Left and right, top and bottom, thousandths of the whole side.
    """

    score: float
    distance: int
    columns: AxisCut
    rows: AxisCut


def score_at(small: Floats, bits: npt.NDArray[np.bool_], columns: AxisCut, rows: AxisCut) -> list[Fit]:
    """Score hashes against one view.

    Parameters
    ----------
    small : (128, 128) float32 array
        The query.
    bits : (k, 256) bool array
        Hashes, by `hashmatch.views.evidence.bit_odds.flat_bits`.
    columns, rows : AxisCut
        The view.

    Returns
    -------
    list of Fit
        One for each hash.
    """
    odds = _odds(small, [columns], [rows])[0]
    scores, distances = score(odds, bits, ALIGNED), np.count_nonzero((odds > 0) != bits, axis=-1)
    return [
        Fit(score=value, distance=distance, columns=columns, rows=rows)
        for value, distance in zip(scores.tolist(), distances.tolist(), strict=True)
    ]


def climb(small: Floats, bits: npt.NDArray[np.bool_], columns: AxisCut, rows: AxisCut) -> Fit:
    """Find the cut near a given one at which a hash fits the query best.

    Parameters
    ----------
    small : (128, 128) float32 array
        The query.
    bits : (256,) bool array
        One hash.
    columns, rows : AxisCut
        Where to start.

    Returns
    -------
    Fit
        Never worse than at the start; no cut differs by more than 2.4 % of the side from its start. Each axis is moved
        in turn, both of its cuts at once, by 1.6 %, then 0.8 and 0.4 %.

    Notes
    -----
    Cost: several milliseconds on one core. The bounds matter more than the score: without them unrelated pictures with
    one large shape reach high scores, while a true start is at most half a step of the grid away.
    """
    homes = columns, rows
    best = float(score(_odds(small, [columns], [rows])[0], bits, ALIGNED))
    for step in _STEPS:
        for _ in range(_ROUNDS):
            before = best
            cuts = _neighbours(columns, step, homes[0], kept(rows))
            scores = score(_odds(small, cuts, [rows]), bits, ALIGNED)
            columns, best = cuts[int(scores.argmax())], float(scores.max())
            cuts = _neighbours(rows, step, homes[1], kept(columns))
            scores = score(_odds(small, [columns], cuts), bits, ALIGNED)
            rows, best = cuts[int(scores.argmax())], float(scores.max())
            if best <= before:
                break
    return score_at(small, bits[None], columns, rows)[0]


def kept(cut: AxisCut) -> float:
    """Share of a side that a cut leaves."""
    return 1 - sum(cut) / 1000


def _neighbours(at: AxisCut, step: int, home: AxisCut, other_kept: float) -> list[AxisCut]:
    """Cuts one step away, and the present one first; none that leave too little of the picture."""
    cuts = [at]
    for first, second in _MOVES:
        cut = at[0] + first * step, at[1] + second * step
        near = all(abs(a - b) <= _REACH and MIN_CUT <= a <= MAX_CUT for a, b in zip(cut, home, strict=True))
        if near and kept(cut) * other_kept >= _MIN_KEPT:
            cuts.append(cut)
    return cuts


def _odds(small: Floats, columns: list[AxisCut], rows: list[AxisCut]) -> Floats:
    odds = certainties(view_coefficients(small, columns, rows), unseen_share(columns, rows), ALIGNED)
    return odds.reshape(-1, 256)
