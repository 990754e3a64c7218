"""Kernels of the search for borders: the compiled ones where they were built, else NumPy's; both give the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import reference_borders
from hashmatch.kernels.built import built
from hashmatch.kernels.reference_borders import Cells

native = built("borders")

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

_chosen: Any = reference_borders if native is None else native

border_rises: Any = _chosen.border_rises
line_colour: Any = _chosen.line_colour
line_textures: Any = _chosen.line_textures
median_away: Any = _chosen.median_away
off_middle: Any = _chosen.off_middle
ramp_rest: Any = _chosen.ramp_rest
seam_strengths: Any = _chosen.seam_strengths


def step_profile(strip: npt.NDArray[Any], colour: Cells | None, tolerance: float, tail: int) -> npt.NDArray[np.int64]:
    """`reference_borders.step_profile`; floats are always left to NumPy."""
    if native is None or strip.dtype != np.uint8:
        return reference_borders.step_profile(strip, colour, tolerance, tail)
    profile: npt.NDArray[np.int64] = native.step_profile(strip, colour, tolerance, tail)
    return profile
