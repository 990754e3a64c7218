"""Kernels of the keypoints: the compiled ones where they were built, else NumPy's; both give the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import reference_points
from hashmatch.kernels.built import built
from hashmatch.kernels.reference_points import BINS, SAMPLES, TURNS, Float32s, Floats, Sampling, Tents

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

_chosen: Any = reference_points if native is None else native


def tent_luma(pixels: npt.NDArray[Any], down: Tents, across: Tents) -> Float32s:
    """`reference_points.tent_luma`; floats are always left to NumPy."""
    chosen = _chosen if pixels.dtype == np.uint8 else reference_points
    luma: Float32s = chosen.tent_luma(pixels, down, across)
    return luma


def blur(image: Float32s, taps: Float32s, step: int, out: Float32s) -> None:
    """`reference_points.blur`."""
    _chosen.blur(image, taps, step, out)


def peaks(levels: Float32s, least: float, margin: int) -> npt.NDArray[np.bool_]:
    """`reference_points.peaks`."""
    found: npt.NDArray[np.bool_] = _chosen.peaks(levels, least, margin)
    return found


def patches(images: list[Float32s], steps: Float32s, at: Sampling) -> Float32s:
    """`reference_points.patches`."""
    sampled: Float32s = _chosen.patches(images, steps, at)
    return sampled


def bilinear(image: Float32s, x: Float32s, y: Float32s) -> Float32s:
    """`reference_points.bilinear`."""
    sampled: Float32s = _chosen.bilinear(image, x, y)
    return sampled


def directions(sampled: Float32s, weight: Float32s) -> Float32s:
    """`reference_points.directions`."""
    found: Float32s = _chosen.directions(sampled, weight)
    return found


def coefficients(
    sampled: Float32s, cosines: npt.NDArray[np.int32], order: npt.NDArray[np.int32], turn: Floats
) -> Floats:
    """`reference_points.coefficients`."""
    turned: Floats = _chosen.coefficients(sampled, cosines, order, turn)
    return turned
