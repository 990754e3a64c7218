"""Likelihood of a hash under an uncropped or turned back view, integrated over the part that was cut off.

`hashmatch.views.evidence.bit_odds` treats every bit on its own: a bit that depends on the padding is unsure. The part
that was cut off changes all bits together, however: a bright margin on the left explains a whole pattern of bits that
the padding estimated wrongly. In this module the margin is an unknown Gaussian field with the covariance that the
padding assumes, and the likelihood of all bits together is integrated over it (Laplace's approximation at the likeliest
margin). A true crop has a margin that explains its wrong bits; a chance resemblance has wrong bits that no margin
explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.views.evidence.bit_odds import STEEPNESS, standardised
from hashmatch.views.evidence.crop_views import AxisCut, unseen_covariance, unseen_share
from hashmatch.views.small import Floats

__all__ = ["Support", "integrated", "support"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_NOISE: Final = 0.01  # variance that any bit has
_MISFIT: Final = 0.01  # likewise, for each step of frequency
_LEFT_OUT: Final = 0.35  # share of the directions left out that stays as noise
_MOST: Final = 80  # directions of what is unseen
_LEAST: Final = 0.003  # of the largest direction's weight
_ROUNDS: Final = 12  # of Newton's steps, at most
_ENOUGH: Final = 0.2  # nats; a smaller gain ends them

_Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Support:
    """Support of one hash for a view.

    Parameters
    ----------
    nats : float
        Log-likelihood of the bits, integrated over the margin, less that of 256 fair coins.
    odds : (256,) float64 array
        Log-odds of each bit being 1, with the margin that explains this hash best.
    """

    nats: float
    odds: _Doubles

    def of_others(self, bits: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> _Doubles:
        """Compute the support of other hashes by the margin of this one, so that copies need no fit of their own.

        Parameters
        ----------
        bits : (256,) bool array
            The hash that this support belongs to.
        other : (k, 256) bool array
            The others.

        Returns
        -------
        (k,) float64 array
            Support, nats; exact for a copy, too low rather than too high for others.
        """
        lost: _Doubles = _log_chance(self.odds, other).sum(-1) - _log_chance(self.odds, bits).sum()
        return self.nats + lost


def support(coefficients: Floats, bits: npt.NDArray[np.bool_], columns: AxisCut, rows: AxisCut) -> Support:
    """Integrate the likelihood of a hash over the content of the part that was cut off.

    Parameters
    ----------
    coefficients : (16, 16) float32 array
        Of the view, from `hashmatch.views.evidence.crop_views.view_coefficients`.
    bits : (256,) bool array
        The hash, from `hashmatch.views.evidence.bit_odds.flat_bits`.
    columns, rows : AxisCut
        The view's cuts.

    Returns
    -------
    Support
        Above 0 is for the entry.

    Notes
    -----
    Cost: several milliseconds on one core; more if more was cut off.
    """
    mean = standardised(coefficients, unseen_share([columns], [rows])[0, 0])
    return integrated(mean, bits, *_margin(columns, rows))


def integrated(mean: Floats, bits: npt.NDArray[np.bool_], basis: _Doubles, left_out: _Doubles) -> Support:
    """Integrate the likelihood of a hash over unknowns that move the coefficients.

    Parameters
    ----------
    mean : (256,) float32 array
        The view's coefficients, from `hashmatch.views.evidence.bit_odds.standardised`.
    bits : (256,) bool array
        The hash, from `hashmatch.views.evidence.bit_odds.flat_bits`.
    basis : (256, k) float64 array
        Effect of k unknowns of variance 1 on the coefficients; k is 0 if all was seen.
    left_out : (256,) float64 array
        Variance that the unknowns do not cover.

    Returns
    -------
    Support
        Above 0 is for the entry.

    Notes
    -----
    Newton's method; Rasmussen and Williams, Gaussian Processes for Machine Learning, chapter 3. The cost grows with k.
    """
    blur = _NOISE + _MISFIT * STEEPNESS.astype(np.float64) + _LEFT_OUT * left_out
    sign = np.where(bits, 1.0, -1.0) / np.sqrt(blur)
    agreement, moves = sign * mean.astype(np.float64), basis * sign[:, None]
    margin, best = np.zeros(basis.shape[1]), -np.logaddexp(0, -agreement).sum()
    diagonal = np.arange(len(margin))
    gain = 0.0
    for _ in range(_ROUNDS):
        wrong = 1 / (1 + np.exp(np.clip(agreement, -40, 40)))
        curvature = (moves.T * (wrong * (1 - wrong))) @ moves
        curvature[diagonal, diagonal] += 1
        slope = moves.T @ wrong - margin
        step = np.linalg.solve(curvature, slope)
        gain = float(slope @ step)
        if gain < _ENOUGH:
            break
        moved, share = moves @ step, 1.0
        while True:
            tried, there = margin + share * step, agreement + share * moved
            value = -np.logaddexp(0, -there).sum() - 0.5 * tried @ tried
            if value >= best + 0.1 * share * gain or share < 0.05:
                break
            share /= 2
        margin, agreement, best = tried, there, value
    volume = 0.5 * float(np.linalg.slogdet(curvature)[1])
    nats = float(best) + 0.5 * gain - volume + 256 * float(np.log(2))
    return Support(nats=nats, odds=agreement * np.where(bits, 1.0, -1.0))


def _log_chance(odds: _Doubles, bits: npt.NDArray[np.bool_]) -> _Doubles:
    chance: _Doubles = -np.logaddexp(0, np.where(bits, -odds, odds))
    return chance


@lru_cache(maxsize=64)
def _margin(columns: AxisCut, rows: AxisCut) -> tuple[_Doubles, _Doubles]:
    """Say what the margin does to the coefficients.

    The answer is (256, k) for k unknowns of variance 1, and the (256,) variance that they leave out. The field is
    separable, and so are what is known of it and its covariance. In the coordinates of both axes that are known to a
    share of their own each, what is unknown of a product is what is unknown of either.
    """
    (down, lost_down), (across, lost_across) = _axis(rows), _axis(columns)
    unseen = 1 - np.outer(1 - lost_down, 1 - lost_across).ravel()
    weight = unseen * np.outer((down**2).sum(0), (across**2).sum(0)).ravel()
    order = np.argsort(-weight, kind="stable")[:_MOST]
    order = order[weight[order] > _LEAST * max(weight[order[0]], 1e-9)]
    i, j = np.divmod(order, 16)
    basis = (down[:, None, i] * across[None, :, j]).reshape(256, -1) * np.sqrt(unseen[order])
    whole = 1 - np.outer(((down**2) * (1 - lost_down)).sum(1), ((across**2) * (1 - lost_across)).sum(1)).ravel()
    return basis, np.maximum(whole - (basis**2).sum(1), 0)


def _axis(cut: AxisCut) -> tuple[_Doubles, _Doubles]:
    """Coordinates of one axis that are known each to a share of its own: (16, 16) of variance 1, and what is lost."""
    whole, unseen = unseen_covariance(cut)
    spread = np.sqrt(np.diag(whole))
    root = np.linalg.cholesky(whole / np.outer(spread, spread))
    half = np.linalg.solve(root, unseen / np.outer(spread, spread))
    lost, turn = np.linalg.eigh(np.linalg.solve(root, half.T))
    return root @ turn, np.clip(lost, 0.0, 1.0)
