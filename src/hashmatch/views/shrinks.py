"""Hashes as front ends make them that shrink a large picture before they hash it.

The C++ front end of the reference resizes a picture with a side over 512 px to exactly 512 x 512 by taking nearest
pixels. Its Python front end makes a Pillow thumbnail that fits into 512 x 512. Lists made by them hold hashes that
differ from those of the whole picture. Both are facebook/ThreatExchange, ``pdq/cpp`` and ``pdq/python``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import Pixels, check_pixels
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.hashes import HashValue
from hashmatch.kernels.pixels import with_fourth_byte
from hashmatch.kernels.points import Tents, tent_luma

__all__ = ["SHRUNK_SIDE", "ShrinkKind", "Shrunk", "shrunk_views", "squashed", "thumbnail_luma"]

ShrinkKind = Literal["squash-512", "thumbnail-512"]

SHRUNK_SIDE: Final = 512  # px; of the other producers
_HASHER: Final = PDQHasher(searching=True)


class Shrunk(NamedTuple):
    """PDQ of a shrunk picture.

    Parameters
    ----------
    value : HashValue
        The hash.
    quality : int
        Quality of the hash as a query, 0 to 100; see `hashmatch.hashers.pdq.PDQHasher`.
    kind : str
        ``"squash-512"`` or ``"thumbnail-512"``.
    """

    value: HashValue
    quality: int
    kind: ShrinkKind


def shrunk_views(pixels: Pixels) -> tuple[Shrunk, ...]:
    """Hash a picture as front ends do that shrink it first.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        RGB or grey; uint8, or float from 0 to 255.

    Returns
    -------
    tuple of Shrunk
        Two hashes; empty if no side is over 512 px, because those front ends then do not shrink.

    Raises
    ------
    TypeError, ValueError
        As `hashmatch.hashers.base.check_pixels`.

    Notes
    -----
    Floats are rounded to whole levels first, because both front ends read bytes. The squash is exact. The thumbnail is
    made of luma, not of colours, and differs by the rounding of colours: a few bits. A thumbnail of a JPEG file may
    differ a little more, because Pillow decodes it at a smaller scale. Cost: two hashes of 512 x 512 px, and one
    resampling.
    """
    check_pixels(pixels)
    if max(pixels.shape[:2]) <= SHRUNK_SIDE:
        return ()
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = np.broadcast_to(pixels[:, :, None], (*pixels.shape, 3))
    made: tuple[tuple[Pixels, ShrinkKind], ...] = (
        (squashed(pixels), "squash-512"),
        (thumbnail_luma(pixels), "thumbnail-512"),
    )
    return tuple(Shrunk(*_HASHER.hash_pixels(shrunk), kind) for shrunk, kind in made)


def squashed(pixels: Pixels) -> Pixels:
    """Take 512 x 512 pixels at even steps from the first on, as CImg's nearest neighbour does; the aspect is lost.

    Parameters
    ----------
    pixels : (H, W, ...) array
        Any picture; sides under 512 px are enlarged.
    """
    rows, columns = (np.arange(SHRUNK_SIDE) * side // SHRUNK_SIDE for side in pixels.shape[:2])
    whole = with_fourth_byte(pixels)
    if whole is not None:  # whole pixels of four bytes are taken in half the time
        four = np.take(whole.view(np.uint32)[rows, :, 0], columns, axis=1)
        taken: Pixels = four.view(np.uint8).reshape(*four.shape, 4)[..., :3]
        return taken
    taken = np.take(pixels[rows], columns, axis=1)
    return taken


def thumbnail_luma(pixels: Pixels) -> Pixels:
    """Shrink to fit 512 x 512 as Pillow's thumbnail does, aspect kept, but of brightness alone.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB with a side over 512 px.

    Returns
    -------
    (h, w) uint8 array
        Luma of the thumbnail, except for the rounding of its colours.
    """
    height, width = pixels.shape[:2]
    rows, columns = _fitted(height, width)
    luma = tent_luma(pixels, _bicubic(height, rows), _bicubic(width, columns))
    shrunk: Pixels = np.rint(np.clip(luma, 0, 255)).astype(np.uint8)
    return shrunk


def _fitted(height: int, width: int) -> tuple[int, int]:
    """Size of Pillow's thumbnail: one side 512 px, the other the whole number that keeps the aspect best."""
    aspect = width / height
    if aspect <= 1:
        exact = SHRUNK_SIDE * aspect
        sides = math.floor(exact), math.ceil(exact)
        return SHRUNK_SIDE, max(1, min(sides, key=lambda side: abs(aspect - side / SHRUNK_SIDE)))
    exact = SHRUNK_SIDE / aspect
    sides = math.floor(exact), math.ceil(exact)
    return max(1, min(sides, key=lambda side: abs(aspect - SHRUNK_SIDE / side) if side else 0.0)), SHRUNK_SIDE


@lru_cache(maxsize=16)
def _bicubic(n: int, out: int) -> Tents:
    """Weights that take ``n`` px to ``out``: means of whole pixels to no less than twice the size, then cubics.

    Source: Pillow, ``Image.thumbnail`` with its ``reducing_gap`` of 2, and ``Resample.c``.
    """
    every = max(1, int(n / out / 2))
    cells = -(-n // every)
    scale = n / every / out
    reach = 2 * max(1.0, scale)
    middle = (np.arange(out) + 0.5) * scale
    first = np.maximum(0, (middle - reach + 0.5).astype(np.int64))
    last = np.minimum(cells, (middle + reach + 0.5).astype(np.int64))
    first = np.minimum(first, cells - int((last - first).max()))
    cell = first[:, None] + np.arange(int((last - first).max()))
    weights = _cubic((cell + 0.5 - middle[:, None]) / max(1.0, scale))
    weights /= weights.sum(axis=1, keepdims=True)
    sizes = np.minimum(every, n - cell * every)  # the last cell may be of fewer pixels
    spread = np.where(np.arange(every) < sizes[..., None], (weights / sizes)[..., None], 0.0).reshape(out, -1)
    first *= every
    shift = np.minimum(first, np.maximum(0, first + spread.shape[1] - n))  # what lies beyond the side weighs nothing
    spread = np.stack([np.roll(row, by)[:n] for row, by in zip(spread, shift.tolist(), strict=True)])
    return Tents(first - shift, spread.astype(np.float32))


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' cubic with a = -1/2, 0 from 2 on."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2
    cubic: npt.NDArray[np.float64] = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    return cubic
