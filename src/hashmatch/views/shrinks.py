"""Producers' pre-shrinks: what PDQ gives where the front end shrinks a large picture before it hashes it.

The reference's C++ front end resizes whatever has a side over 512 px to exactly 512 x 512 by taking nearest pixels,
its Python front end makes a Pillow thumbnail that fits into 512 x 512. Lists made by them hold other hashes than the
whole picture gives. Both are facebook/ThreatExchange, ``pdq/cpp`` and ``pdq/python``.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np

from hashmatch.hashers.base import Pixels, check_pixels
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.hashes import HashValue
from hashmatch.kernels.pixels import with_fourth_byte
from hashmatch.picture.encode import thumbnail

__all__ = ["SHRUNK_SIDE", "ShrinkKind", "Shrunk", "shrunk_views", "squashed"]

ShrinkKind = Literal["squash-512", "thumbnail-512"]

SHRUNK_SIDE: Final = 512
_HASHER: Final = PDQHasher()


class Shrunk(NamedTuple):
    """PDQ of a shrunk picture.

    Parameters
    ----------
    value : HashValue
        The hash.
    quality : int
        Its quality, 0 to 100.
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
        Two; none where no side is over 512 px, as nothing is shrunk then.

    Raises
    ------
    TypeError, ValueError
        As `hashmatch.hashers.base.check_pixels`.

    Notes
    -----
    Floats are rounded to whole levels first, as both front ends see bytes. A thumbnail of a JPEG file may differ a
    little, because Pillow then decodes it at a smaller scale. Cost: two hashes of 512 x 512, and Pillow's resampling,
    about 10 ms for 1 megapixel.
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
        (thumbnail(pixels, SHRUNK_SIDE), "thumbnail-512"),
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
