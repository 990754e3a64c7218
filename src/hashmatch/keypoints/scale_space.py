"""The scale space of a normal frame: octaves of increasingly blurred luma.

Blurs are sums of shifted arrays in float32 in a fixed order, so that every processor with IEEE arithmetic gives the
same bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.points import blur as blur_by_taps

__all__ = ["LEVELS", "SIGMA0", "Octave", "octaves"]

# Constants of the format: another value makes other records.
SIGMA0: Final = 1.6  # px of blur of the first level
LEVELS: Final = 2  # an octave
_OCTAVES: Final = 4  # at most
_SMALLEST: Final = 20  # px a side of an octave
_REACH: Final = 3.0  # sigmas to which a blur reaches
_FINE: Final = 1.6  # px of blur that a step of one px may have

Luma = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Octave:
    """One octave.

    Parameters
    ----------
    step : int
        Distance of its samples, px of the frame; sample (i, j) lies at (i * step, j * step) of the frame.
    levels : (LEVELS + 3, h, w) float32 array
        Luma with the blur ``SIGMA0 * step * 2 ** (i / LEVELS)`` in level i.
    """

    step: int
    levels: Luma


def octaves(luma: Luma, blur: float) -> list[Octave]:
    """Blur a picture into octaves.

    Parameters
    ----------
    luma : (h, w) float32 array
        The normal frame.
    blur : float
        Blur that the frame already has, px.

    Returns
    -------
    list of Octave
        At most four octaves; empty if a side is under 20 px.
    """
    found: list[Octave] = []
    current, has = luma, blur
    for number in range(_OCTAVES):
        if min(current.shape) < _SMALLEST:
            break
        levels = np.empty((LEVELS + 3, *current.shape), np.float32)
        for i in range(LEVELS + 3):
            want = SIGMA0 * 2 ** (i / LEVELS)
            missing = math.sqrt(max(want * want - has * has, 0.0))
            _blur(current, missing, has, levels[i])
            current, has = levels[i], max(want, has)
        found.append(Octave(2**number, levels))
        current, has = np.ascontiguousarray(levels[LEVELS][::2, ::2]), max(SIGMA0, blur / 2 ** (number + 1))
    return found


@lru_cache(maxsize=64)
def _taps(sigma: float, step: int) -> Luma:
    """Weights of a Gaussian at 0, step, 2 step, ..., of sum 1 with both sides."""
    reach = max(1, math.ceil(_REACH * sigma / step))
    weights = [math.exp(-0.5 * (i * step / sigma) ** 2) for i in range(reach + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    return (np.array(weights) / total).astype(np.float32)


def _blur(luma: Luma, sigma: float, has: float, out: Luma) -> None:
    """Blur both ways by ``sigma``; what is blurred by ``has`` already is sampled more coarsely."""
    if sigma < 0.1:
        out[:] = luma
        return
    step = max(1, int(has / _FINE + 0.01))
    blur_by_taps(luma, _taps(sigma, step), step, out)
