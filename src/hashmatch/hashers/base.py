"""The interface of hashers and the check of their input; imports only NumPy and the values.

`Hasher` is the one interface of perceptual hashes: pixels in, `HashValue` and quality out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hashmatch.algorithms import Algorithm
from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.view import Turn

__all__ = ["Hasher", "Pixels", "check_pixels", "refuse_opaque", "turned"]

Pixels = npt.NDArray[Any]


class Hasher(Protocol):
    """Compute the hashes of one algorithm from pixels. A hasher is immutable, so any thread may use it."""

    @property
    def algorithm(self) -> str:
        """Name of the algorithm, as in `hashmatch.algorithms.ALGORITHMS`."""

    def hash_pixels(self, pixels: Pixels) -> tuple[HashValue, int | None]:
        """Hash one picture.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array
            RGB or grey, at least one pixel; uint8, or float from 0 to 255.

        Returns
        -------
        (HashValue, int or None)
            The hash and its quality, 0 to 100; None where the algorithm measures none.

        Raises
        ------
        TypeError
            If ``pixels`` is not an array of uint8 or float.
        ValueError
            If its shape is another, or a float is not finite or outside 0 to 255.
        """

    def hash_turns(self, pixels: Pixels) -> Mapping[Turn, tuple[HashValue, int | None]]:
        """Hash the picture in each of its eight turns.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array
            As for `hash_pixels`.

        Returns
        -------
        mapping of Turn to (HashValue, int or None)
            All eight, in the order of `Turn`; the first equals `hash_pixels`.
        """


def check_pixels(pixels: Pixels) -> Pixels:
    """Return the pixels if a hasher accepts them.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        uint8, or float from 0 to 255.

    Raises
    ------
    TypeError
        If the value is not an array, or its type is neither uint8 nor float; the message says what to do.
    ValueError
        If the shape is another, there is no pixel, or a float is not finite or outside 0 to 255.
    """
    if not isinstance(pixels, np.ndarray):
        raise TypeError(f"pixels are a NumPy array, not {type(pixels).__name__}; numpy.asarray makes one")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(
            f"pixels have the shape (H, W, 3) for RGB or (H, W) for grey, not {pixels.shape}; "
            "composite transparency on a colour first"
        )
    if 0 in pixels.shape:
        raise ValueError(f"a picture has at least one pixel; this one has the shape {pixels.shape}")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind != "f":
        raise TypeError(f"pixels are uint8 or float from 0 to 255, not {pixels.dtype}; {_advice(pixels.dtype)}")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):
        raise ValueError(f"float pixels are finite and from 0 to 255; these reach from {low:g} to {high:g}")
    return pixels


def _advice(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "b":
        return "multiply by 255 and convert to uint8"
    if dtype.kind == "u" and dtype.itemsize == 2:
        return "shift right by 8 and convert to uint8"
    return "scale to 0 to 255 and convert to uint8"


def refuse_opaque(algorithm: Algorithm) -> None:
    """Refuse to compute an opaque hash of a third party.

    Raises
    ------
    HashFormatError
        If hashmatch stores and matches this algorithm's values but never computes them.
    """
    if algorithm.version == 0:
        raise HashFormatError(
            f"{algorithm.name} is an opaque hash of a third party: its values are stored and matched here, "
            "never computed; get them from their own software"
        )


def turned(pixels: Pixels, turn: Turn) -> Pixels:
    """Turn the pixels themselves.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        Any type.
    turn : Turn
        Turn to apply.

    Returns
    -------
    array
        A view of ``pixels``, not a copy.
    """
    if turn is Turn.NONE:
        return pixels
    if turn is Turn.MIRROR:
        return np.flip(pixels, 1)
    if turn is Turn.FLIP:
        return np.flip(pixels, 0)
    if turn is Turn.TRANSPOSE:
        return np.swapaxes(pixels, 0, 1)
    if turn is Turn.TRANSVERSE:
        return np.rot90(np.swapaxes(pixels, 0, 1), 2)
    quarters = {Turn.ROTATE_90: 1, Turn.ROTATE_180: 2, Turn.ROTATE_270: 3}[turn]
    return np.rot90(pixels, quarters)
