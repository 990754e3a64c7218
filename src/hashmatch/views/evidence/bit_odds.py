"""Log-odds of each bit of an uncropped view, and the score of a hash against them.

A coefficient far from the median, little of which was cut off, is sure; a coefficient near the median, or one that
depends on the padding, is not. Each bit's chance of being the entry's bit is a logistic function of that certainty, and
the score of an entry is the sum over its bits of the logarithm of that chance over one half: the log-likelihood ratio
of "this entry is the query uncropped like that" against "this entry has nothing to do with it", in nats. The constants
are fitted to synthetic pictures (see ``python -m benchmarks crops``). The score proposes entries and guides the local
search; `hashmatch.views.evidence.likelihood` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from hashmatch.views.small import Floats

__all__ = ["ALIGNED", "COARSE", "STEEPNESS", "Certainty", "certainties", "flat_bits", "score", "standardised"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_SQUARED: Final = np.add.outer(np.arange(1.0, 17.0) ** 2, np.arange(1.0, 17.0) ** 2).ravel()  # squared frequencies

# How coefficients of photographs fall with frequency, fitted to 300 synthetic ones within 5 %.
_FALL: Final = (_SQUARED + 4.281) ** -0.593  # of a coefficient with its frequency; fitted, seeds not recorded
_SPREAD: Final = (_FALL / np.sqrt(np.mean(_FALL**2))).astype(np.float32)  # of a coefficient, mean square 1
STEEPNESS: Final = (_SQUARED / 512).astype(np.float32)
"""How a cut that is not quite right tells with frequency: its square, 1 at the highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """Noise of a coefficient, as variances in units of its own spread.

    Parameters
    ----------
    unseen : float
        Variance for a coefficient that was cut off as a whole; it is multiplied by the share that was cut off.
    noise : float
        Variance at every frequency: compression, resizing, differences between implementations.
    misfit : float
        Variance, multiplied by the squared frequency, by which the cut of the view differs from the true cut.
    lapse : float
        Chance of a bit being anything, whatever its coefficient, 0 to 0.5.
    """

    unseen: float
    noise: float
    misfit: float
    lapse: float


ALIGNED: Final = Certainty(unseen=0.335, noise=0.0025, misfit=0.002, lapse=0.003)
"""After climbing: the cut is right to about half a percent of the side."""

COARSE: Final = Certainty(unseen=0.385, noise=0.0005, misfit=0.085, lapse=0.003)
"""At a point of the grid: each cut is off by about one percent of the side."""


def certainties(coefficients: Floats, unseen: Floats, model: Certainty) -> Floats:
    """Compute the log-odds of each bit.

    Parameters
    ----------
    coefficients : (..., 16, 16) float32 array
        From `hashmatch.views.evidence.crop_views.view_coefficients`.
    unseen : (..., 16, 16) float32 array
        From `hashmatch.views.evidence.crop_views.unseen_share`.
    model : Certainty
        `ALIGNED` or `COARSE`.

    Returns
    -------
    (..., 256) float32 array
        Log-odds of the bit being 1, by flat index ``16 * down + across``; above 0 is a 1.
    """
    away, open_part = standardised(coefficients, unseen), unseen.reshape(*unseen.shape[:-2], 256)
    blur = np.float32(model.unseen) * open_part + (np.float32(model.noise) + np.float32(model.misfit) * STEEPNESS)
    away /= np.sqrt(blur)
    return away


def standardised(coefficients: Floats, unseen: Floats) -> Floats:
    """Convert coefficients to units of their own spread, relative to the median.

    Parameters
    ----------
    coefficients, unseen : (..., 16, 16) float32 array
        As for `certainties`.

    Returns
    -------
    (..., 256) float32 array
        Above 0 is a 1. The mean square is 1 less the share of the picture's variance that was cut off.
    """
    flat = coefficients.reshape(*coefficients.shape[:-2], 256)
    median = np.partition(flat, 127, axis=-1)[..., 127:128]
    away: Floats = (flat - median) / _SPREAD
    seen_energy = np.maximum(1 - unseen.reshape(flat.shape).mean(-1, keepdims=True), 1e-3)
    energy = np.maximum(np.mean(away * away, axis=-1, keepdims=True) / seen_energy, 1e-12)
    away /= np.sqrt(energy)
    return away


def score(odds: Floats, bits: npt.NDArray[np.bool_], model: Certainty) -> Floats:
    """Score hashes against views.

    Parameters
    ----------
    odds : (..., 256) float32 array
        From `certainties`.
    bits : (..., 256) bool array
        Hashes from `flat_bits`; broadcast against ``odds``.
    model : Certainty
        The one ``odds`` was made with.

    Returns
    -------
    (...) float32 array
        Nats, -1500 to 177. Above 0 is evidence for the entry.
    """
    agreement = np.where(bits, odds, -odds)
    chance = 1 / (1 + np.exp(-np.clip(agreement, -30, 30)))
    chance = 2 * np.float32(model.lapse) + (2 - 4 * np.float32(model.lapse)) * chance
    total: Floats = np.log(chance).sum(axis=-1, dtype=np.float32)
    return total


def flat_bits(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Bits of packed PDQ hashes by flat index: (..., 32) uint8 to (..., 256) bool; the published form is reversed."""
    return np.unpackbits(codes, axis=-1)[..., ::-1].astype(np.bool_)
