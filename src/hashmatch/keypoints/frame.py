"""The normal frame: luma of a picture resampled to the area of 512 x 512 pixels, its aspect kept.

Every sum is an elementwise product and sum in float32 in a fixed order, so the same pixels give the same bytes on
every processor with IEEE arithmetic; no BLAS, no library of pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.keypoints.points import FRAME_SIDE

__all__ = ["frame_shape", "normal_luma"]

_LUMA: Final = (np.float32(0.299), np.float32(0.587), np.float32(0.114))
_BAND: Final = 32  # rows made at a time: the luma of their sources stays in the cache

Luma = npt.NDArray[np.float32]


def frame_shape(height: int, width: int) -> tuple[int, int]:
    """Say how many rows and columns the normal frame of a picture has.

    Parameters
    ----------
    height, width : int
        Sides of the picture, px, at least 1.

    Returns
    -------
    (int, int)
        Rows and columns, at least 1 each; their product is 512 x 512 but for rounding.
    """
    root = math.sqrt(width / height)
    return max(1, round(FRAME_SIDE / root)), max(1, round(FRAME_SIDE * root))


def normal_luma(pixels: npt.NDArray[Any]) -> Luma:
    """Resample the luma of a picture to its normal frame.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        RGB or grey; uint8, or float from 0 to 255.

    Returns
    -------
    (h, w) float32 array, 0.0 to 255.0
        ``(h, w)`` is `frame_shape`; sample (i, j) lies at ``((i + 0.5) * H / h, (j + 0.5) * W / w)`` of the picture.

    Notes
    -----
    Luma is 0.299 R + 0.587 G + 0.114 B. Each side on its own: linear interpolation where the picture is enlarged, a
    tent of twice the ratio of the sides where it is shrunk.
    """
    height, width = pixels.shape[:2]
    rows, columns = frame_shape(height, width)
    down, across = _tents(height, rows), _tents(width, columns)
    out = np.empty((columns, rows), np.float32)
    for start in range(0, rows, _BAND):
        part = slice(start, min(start + _BAND, rows))
        first = int(down.places[part].min())
        last = int(down.places[part].max()) + 1
        tall = _sums(_luma(pixels[first:last]), down.places[part] - first, down.weights[part])
        out[:, part] = _sums(np.ascontiguousarray(tall.T), across.places, across.weights)
    return np.ascontiguousarray(out.T)


@dataclass(frozen=True, slots=True)
class _Tents:
    places: npt.NDArray[np.int64]
    weights: Luma


def _tents(size: int, samples: int) -> _Tents:
    """Give each sample the source places under its tent and their weights, (samples, taps), of sum 1."""
    ratio = size / samples
    half = max(1.0, ratio)
    middle = (np.arange(samples) + 0.5) * ratio - 0.5
    taps = min(size, 2 * math.ceil(half))
    first = np.clip(np.ceil(middle - half), 0, size - taps).astype(np.int64)
    places = first[:, None] + np.arange(taps)
    if ratio <= 1.0:  # beyond the last pixel its level goes on
        middle = np.clip(middle, 0.0, size - 1.0)
    weights = np.maximum(0.0, half - np.abs(places - middle[:, None]))
    weights /= weights.sum(axis=1, keepdims=True)
    return _Tents(places, weights.astype(np.float32))


def _luma(pixels: npt.NDArray[Any]) -> Luma:
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    luma = pixels[..., 0].astype(np.float32)
    luma *= _LUMA[0]
    for channel in (1, 2):
        luma += np.multiply(pixels[..., channel], _LUMA[channel], dtype=np.float32, casting="unsafe")
    return luma


def _sums(values: Luma, places: npt.NDArray[np.int64], weights: Luma) -> Luma:
    """Weigh and add rows of ``values``, tap by tap."""
    total = values[places[:, 0]]
    total *= weights[:, :1]
    for tap in range(1, places.shape[1]):
        row = values[places[:, tap]]
        row *= weights[:, tap : tap + 1]
        total += row
    return total
