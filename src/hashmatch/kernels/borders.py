"""Kernels of the search for borders: the compiled ones where they were built, else NumPy's; both give the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import built
from hashmatch.kernels.numpy import borders as twin
from hashmatch.kernels.numpy.borders import Cells

native = built("borders")

if TYPE_CHECKING:
    from hashmatch.kernels.numpy.borders import (
        border_rises,
        line_colour,
        line_textures,
        median_away,
        off_middle,
        ramp_rest,
        seam_strengths,
    )
else:
    _chosen = twin if native is None else native
    border_rises = _chosen.border_rises
    line_colour = _chosen.line_colour
    line_textures = _chosen.line_textures
    median_away = _chosen.median_away
    off_middle = _chosen.off_middle
    ramp_rest = _chosen.ramp_rest
    seam_strengths = _chosen.seam_strengths

__all__ = [
    "border_rises",
    "line_colour",
    "line_textures",
    "median_away",
    "native",
    "off_middle",
    "ramp_rest",
    "seam_strengths",
    "step_profile",
]


def step_profile(strip: npt.NDArray[Any], colour: Cells | None, tolerance: float, tail: int) -> npt.NDArray[np.int64]:
    """`twin.step_profile`; floats are always left to NumPy."""
    if native is None or strip.dtype != np.uint8:
        return twin.step_profile(strip, colour, tolerance, tail)
    profile: npt.NDArray[np.int64] = native.step_profile(strip, colour, tolerance, tail)
    return profile
