"""The normal frame: luma of a picture resampled to the area of 512 x 512 pixels, its aspect kept.

Every sum is an elementwise product and sum in float32 in a fixed order, so that the same pixels give the same bytes on
every processor with IEEE arithmetic. This module uses no BLAS and no picture library.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.points import Tents, tent_luma
from hashmatch.keypoints.points import FRAME_SIDE

__all__ = ["frame_shape", "normal_luma"]

Luma = npt.NDArray[np.float32]


def frame_shape(height: int, width: int) -> tuple[int, int]:
    """Return the rows and columns of the normal frame of a picture.

    Parameters
    ----------
    height, width : int
        Sides of the picture, px, at least 1.

    Returns
    -------
    (int, int)
        Rows and columns, at least 1 each; their product is 512 x 512, except for rounding.
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
    Luma is 0.299 R + 0.587 G + 0.114 B. Each side is resampled on its own: by linear interpolation if the picture is
    enlarged, by a tent of twice the ratio of the sides if it is shrunk.
    """
    height, width = pixels.shape[:2]
    rows, columns = frame_shape(height, width)
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    return tent_luma(planes, _tents(height, rows), _tents(width, columns))


@lru_cache(maxsize=16)
def _tents(size: int, samples: int) -> Tents:
    """Give each sample the first source place under its tent and the weights from there on, of sum 1."""
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
    return Tents(first, weights.astype(np.float32))
