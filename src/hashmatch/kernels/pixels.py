"""Kernels over pixels: the compiled ones where they were built, else NumPy's, chosen once; both give the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import built
from hashmatch.kernels.numpy import pixels as twin
from hashmatch.kernels.numpy.pixels import Bytes, Float32s, Floats, Taps

native = built("pixels")

__all__ = [
    "blur_float32",
    "decide",
    "in_memory_order",
    "native",
    "opponent_cells",
    "step_sums",
    "tent_averages",
    "transform",
    "transform_float32",
    "with_fourth_byte",
]

_chosen: Any = twin if native is None else native

if TYPE_CHECKING:
    from hashmatch.kernels.numpy.pixels import decide, step_sums, transform, transform_float32
else:
    decide, step_sums = _chosen.decide, _chosen.step_sums
    transform, transform_float32 = _chosen.transform, _chosen.transform_float32


def in_memory_order(pixels: npt.NDArray[Any]) -> tuple[Bytes, int]:
    """Show a picture's rows of numbers as they lie in memory, and how many numbers a pixel has there.

    Parameters
    ----------
    pixels : (H, W, 3), (H, W, 1) or (H, W) uint8 array
        RGB or grey, of any strides.

    Returns
    -------
    numbers : (H, L) uint8 array, rows contiguous
        A view where the numbers of a row follow each other, or with one byte between pixels; else a copy.
    step : int
        1, 3 or 4.

    Notes
    -----
    Decoders hand out RGB with a fourth byte between pixels, or grey shown three times; reading those bytes on the way
    is faster than stepping over them.
    """
    if pixels.ndim == 3 and (pixels.shape[2] == 1 or pixels.strides[2] == 0):
        pixels = pixels[..., 0]
    if pixels.ndim == 2:
        if pixels.strides[1] == 1 or pixels.shape[1] == 1:
            return np.lib.stride_tricks.as_strided(pixels, pixels.shape, (pixels.strides[0], 1), writeable=False), 1
        return np.ascontiguousarray(pixels), 1
    step = pixels.strides[1] if pixels.shape[1] > 1 else 3
    if pixels.strides[2] != 1 or step not in (3, 4):
        pixels, step = np.ascontiguousarray(pixels), 3
    shape = (len(pixels), step * (pixels.shape[1] - 1) + 3)
    return np.lib.stride_tricks.as_strided(pixels, shape, (pixels.strides[0], 1), writeable=False), step


def with_fourth_byte(pixels: npt.NDArray[Any]) -> Bytes | None:
    """Show the memory of a picture that is the first three of every four bytes of it, as decoders lay pictures out.

    Parameters
    ----------
    pixels : (H, W, 3) array
        Any.

    Returns
    -------
    (H, W, 4) uint8 array or None
        The whole memory; None where it has another layout, or where it cannot be known to be all there.
    """
    whole = pixels.base
    if (
        isinstance(whole, np.ndarray)
        and pixels.dtype == whole.dtype == np.uint8
        and whole.shape == (*pixels.shape[:2], 4)
        and whole.flags.c_contiguous
        and pixels.strides == whole.strides
        and pixels.shape[2:] == (3,)
        and pixels.ctypes.data == whole.ctypes.data
    ):
        return whole
    return None


def tent_averages(pixels: npt.NDArray[Any], down: tuple[Taps, ...], along: tuple[Taps, ...]) -> Floats:
    """`hashmatch.kernels.numpy.pixels.tent_averages` of an (H, W, 3) or (H, W) uint8 picture of any strides."""
    averages: Floats = _chosen.tent_averages(*in_memory_order(pixels), down, along)
    return averages


def blur_float32(pixels: npt.NDArray[Any]) -> Float32s:
    """`hashmatch.kernels.numpy.pixels.blur_float32`; floats are always left to NumPy."""
    if native is None or pixels.dtype != np.uint8:
        return twin.blur_float32(pixels)
    small: Float32s = native.blur_float32(*in_memory_order(pixels))
    return small


def opponent_cells(pixels: npt.NDArray[Any], down: int, across: int) -> npt.NDArray[np.int16]:
    """`hashmatch.kernels.numpy.pixels.opponent_cells`; floats are always left to NumPy."""
    if native is None or pixels.dtype != np.uint8:
        return twin.opponent_cells(pixels, down, across)
    cells: npt.NDArray[np.int16] = native.opponent_cells(*in_memory_order(pixels), down, across)
    return cells
