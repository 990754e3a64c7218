"""The small grey picture that every uncropped view is computed from: 128 x 128 averages over exact cells."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import Pixels, check_pixels
from hashmatch.kernels.points import Tents, tent_luma
from hashmatch.view import Turn

__all__ = ["SMALL_SIDE", "Floats", "small_luma", "turn_small"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
SMALL_SIDE: Final = 128  # px

Floats = npt.NDArray[np.float32]


def small_luma(pixels: Pixels) -> Floats:
    """Average a picture to 128 x 128 grey cells.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        RGB or grey; uint8, or float from 0 to 255.

    Returns
    -------
    (128, 128) float32 array
        Luma, 0 to 255, for every shape of the picture: PDQ samples shares of the sides, not pixels.

    Raises
    ------
    TypeError, ValueError
        As `hashmatch.hashers.base.check_pixels`.

    Notes
    -----
    A cell takes from each pixel the share that it covers. The cells lie one pixel to the right and below, as the
    samples of PDQ do on the mean (0 to 1.5 px, by the size). PDQ from these cells differs from PDQ of the pixels in a
    few bits. Cost: one pass over the pixels; several times as much with NumPy's kernels.
    """
    check_pixels(pixels)
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    return tent_luma(planes, _cells(pixels.shape[0]), _cells(pixels.shape[1]))


def turn_small(small: Floats, turn: Turn) -> Floats:
    """Turn a small picture as `hashmatch.view.Turn` says.

    Parameters
    ----------
    small : (128, 128) float32 array
        From `small_luma`.
    turn : Turn
        Turn to apply.

    Returns
    -------
    (128, 128) float32 array
        Contiguous. It is the small picture of the turned pixels, except that the cells may lie up to two pixels off.
    """
    turns: dict[Turn, Floats] = {
        Turn.NONE: small,
        Turn.ROTATE_90: np.rot90(small),
        Turn.ROTATE_180: small[::-1, ::-1],
        Turn.ROTATE_270: np.rot90(small, 3),
        Turn.MIRROR: small[:, ::-1],
        Turn.FLIP: small[::-1],
        Turn.TRANSPOSE: small.T,
        Turn.TRANSVERSE: small[::-1, ::-1].T,
    }
    return np.ascontiguousarray(turns[turn])


@lru_cache(maxsize=16)
def _cells(n: int) -> Tents:
    """Pixels of each of the 128 cells of a side of ``n`` pixels, and the shares that it takes of them, of sum 1."""
    borders = np.minimum(np.arange(SMALL_SIDE + 1) * (n / SMALL_SIDE) + _lag(n), n)
    low, high = borders[:-1], borders[1:]
    start = low.astype(np.int64)
    taps = int((np.minimum(n, np.maximum(start + 1, np.ceil(high).astype(np.int64))) - start).max())
    first = np.minimum(start, n - taps)
    pixel = first[:, None] + np.arange(taps)
    share = np.clip(np.minimum(pixel + 1, high[:, None]) - np.maximum(pixel, low[:, None]), 0.0, 1.0)
    return Tents(first, (share / share.sum(axis=1, keepdims=True)).astype(np.float32))


def _lag(n: int) -> float:
    """How far PDQ's samples lie behind the middles of their cells, px; less where a pixel is a large step."""
    return min(1.0, n / (2 * SMALL_SIDE))
