"""Kernels of the keypoints: the compiled ones where they were built, else NumPy's; both give the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import built
from hashmatch.kernels.numpy import points as twin
from hashmatch.kernels.numpy.points import BINS, SAMPLES, TURNS, Float32s, Sampling, Tents

native = built("points")

__all__ = [
    "BINS",
    "SAMPLES",
    "TURNS",
    "Sampling",
    "Tents",
    "bilinear",
    "blur",
    "coefficients",
    "directions",
    "native",
    "patches",
    "peaks",
    "tent_luma",
]

_chosen: Any = twin if native is None else native

if TYPE_CHECKING:
    from hashmatch.kernels.numpy.points import bilinear, blur, coefficients, directions, patches, peaks
else:
    bilinear, blur, coefficients = _chosen.bilinear, _chosen.blur, _chosen.coefficients
    directions, patches, peaks = _chosen.directions, _chosen.patches, _chosen.peaks


def tent_luma(pixels: npt.NDArray[Any], down: Tents, across: Tents) -> Float32s:
    """`hashmatch.kernels.numpy.points.tent_luma`; floats are always left to NumPy."""
    chosen = _chosen if pixels.dtype == np.uint8 else twin
    luma: Float32s = chosen.tent_luma(pixels, down, across)
    return luma
