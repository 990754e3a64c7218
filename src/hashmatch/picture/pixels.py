"""The pixel contract in NumPy: from decoded samples to rasters of RGB; see ``docs/reference/pixel-contract.md``.

This module does not import Pillow: the meaning of a mode or an array is stated in integer formulas that a test can
repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from hashmatch.errors import UnreadableImageError
from hashmatch.view import Background, Rendering, View

__all__ = [
    "Planes",
    "Raster",
    "Reading",
    "differ",
    "few_points",
    "high_byte",
    "look_up",
    "planes_of_array",
    "rasters_of",
    "stretch",
    "upright",
]

Bytes = npt.NDArray[np.uint8]
Reading: TypeAlias = "tuple[Rendering, Callable[[], Bytes | None]]"
"""Another way to read the samples of a frame, and how its (H, W) or (H, W, 3) colours are come by, if there are any."""

_POINTS: Final = 128  # of a side, by which two readings are compared
_LUMA: Final = np.array((0.299, 0.587, 0.114))
_NEAR: Final = 6  # of 256 signs; readings no farther apart than this find the same entries
_PLAINER: Final = 10  # of PDQ's quality, 0 to 100; a reading of which another has so much less can be too plain there
_STRIP: Final = 16_384  # pixels composited at a time, so that the 16-bit products stay in cache


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Raster:
    """Pixels of one frame on one background, upright, ready to hash.

    Parameters
    ----------
    view : View
        Frame, rendering and background; the view has no other change.
    pixels : (H, W, 3) uint8 or float32 array, 0 to 255
        RGB, read-only. Float only where the source was a float array. Rows follow each other downwards, but the array
        need not be contiguous: the step between pixels is 3, or 4 where the decoder's own memory is shown, or one
        grey sample is shown three times (step 0 along the last axis). All steps are 0 or positive.
    """

    view: View
    pixels: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Planes:
    """One frame before it is put on a background.

    Parameters
    ----------
    colour : (H, W) or (H, W, 3) uint8 array, or float32 without alpha
        Grey or RGB.
    alpha : (H, W) uint8 array, optional
        0 is transparent, 255 opaque.
    premultiplied : bool
        Whether ``colour`` is already multiplied by alpha.
    others : tuple of Reading
        Other readings, the shown one first; they are computed after the frame itself was used.
    """

    colour: npt.NDArray[Any]
    alpha: Bytes | None = None
    premultiplied: bool = False
    others: tuple[Reading, ...] = ()


def rasters_of(planes: Planes, frame: int, *, as_others: bool = False) -> Iterator[Raster]:
    """Put a frame on white, and on black if that differs; then its other readings if they differ.

    Parameters
    ----------
    planes : Planes
        The frame.
    frame : int
        Its position in the file.
    as_others : bool
        Whether the readings of other clients are given too, and not only the shown one.

    Yields
    ------
    Raster
        On white: ``(c a + 255 (255 - a) + 127) // 255`` for each sample; then, if any alpha is below 255, on black:
        ``(c a + 127) // 255``. Then follow the other readings, on the same backgrounds if they are the shown one, else
        without alpha. A reading is given only if `differ` distinguishes it from all rasters before it, or if the
        similar rasters are much fainter, as under an even alpha: a raster that is too plain finds nothing.

    Notes
    -----
    Cost: one pass over alpha, and no copy, for an opaque frame. Otherwise two products a pixel: white is exactly black
    plus ``255 - a``, as ``255 (255 - a)`` is a multiple of 255.
    """
    others = tuple(item for item in planes.others if as_others or not item[0].is_as_others)
    seen: list[tuple[Bytes, int]] = []
    if as_others and planes.alpha is not None and int(planes.alpha.min()) < 255:
        others = (*others, (Rendering.ALPHA_IGNORED, lambda: _opaque(planes)))
    for raster in _grounds(planes, View(frame=frame)):
        if others:
            seen.append(_told(few_points(raster.pixels)))
        yield raster
    for rendering, read in others:
        colour = read()
        if colour is None:
            continue
        read_so = Planes(colour) if rendering.is_as_others else replace(planes, colour=colour)
        for raster in _grounds(read_so, View(frame=frame, rendering=rendering)):
            told = _told(few_points(raster.pixels))
            if all(_tells_more(told, other) for other in seen):
                seen.append(told)
                yield raster


def _grounds(planes: Planes, view: View) -> Iterator[Raster]:
    alpha = planes.alpha
    if alpha is None or int(alpha.min()) == 255:
        yield Raster(view, _as_rgb(planes.colour))
        return
    white, black = _composite(planes.colour, alpha, premultiplied=planes.premultiplied)
    yield Raster(view, _as_rgb(white))
    del white
    yield Raster(replace(view, background=Background.BLACK), _as_rgb(black))


def _opaque(planes: Planes) -> Bytes:
    """Colours as they are without alpha; those multiplied by it are divided again, and cut off at white."""
    if planes.alpha is None or not planes.premultiplied:
        return planes.colour
    alpha = planes.alpha if planes.colour.ndim == 2 else planes.alpha[:, :, None]
    return np.where(alpha == 0, planes.colour, np.minimum(255, planes.colour * 255 // np.maximum(alpha, 1).astype(int)))


def few_points(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Choose points evenly over a picture, at most 128 a side.

    Parameters
    ----------
    pixels : (H, W) or (H, W, n) array
        The picture.

    Returns
    -------
    contiguous array
        Of at most 128 x 128 pixels.
    """
    rows, columns = (_middles(side) for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[rows[:, None], columns])


def _middles(side: int) -> npt.NDArray[np.intp]:
    n = min(side, _POINTS)
    return (2 * np.arange(n) + 1) * side // (2 * n)


def differ(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Tell whether two readings of the same points may lead to hashes that find different entries.

    Parameters
    ----------
    one, other : (h, w) or (h, w, 3) uint8 arrays
        From `few_points`.

    Returns
    -------
    bool
        Whether more than 6 of 256 signs differ, or the other would have a quality of PDQ higher by 10 or more. The
        signs are made as PDQ's bits are: brightness, 16 x 16 cosines, which of them lie above their median; so about as
        many bits of PDQ differ.
    """
    return _tells_more(_told(other), _told(one))


def _tells_more(new: tuple[Bytes, int], known: tuple[Bytes, int]) -> bool:
    return _apart(new[0], known[0]) > _NEAR or new[1] >= known[1] + _PLAINER


def _told(points: npt.NDArray[Any]) -> tuple[Bytes, int]:
    """Give the signs of a picture, and about the quality that PDQ will give it."""
    luma = points @ _LUMA if points.ndim == 3 else points.astype(np.float64)
    steps = (np.abs(np.diff(luma[::2, ::2], axis=axis)) * (100 / 255) for axis in (0, 1))
    return _signs(points), min(100, sum(int(step.astype(int).sum()) for step in steps) // 90)


def _signs(points: npt.NDArray[Any]) -> Bytes:
    luma = points @ _LUMA if points.ndim == 3 else points.astype(np.float64)
    found = _cosines(luma.shape[0]) @ luma @ _cosines(luma.shape[1]).T
    found = np.round(found, 6)  # a flat picture has none, whatever the processor
    return np.packbits(found > np.median(found))


def _apart(one: Bytes, other: Bytes) -> int:
    return int(np.bitwise_count(one ^ other).sum())


@lru_cache(maxsize=16)
def _cosines(n: int) -> npt.NDArray[np.float64]:
    return np.cos(np.pi / n * np.outer(np.arange(1, 17), np.arange(n) + 0.5)) / n


def _composite(colour: Bytes, alpha: Bytes, *, premultiplied: bool) -> tuple[Bytes, Bytes]:
    """Give the frame on white and on black, a few rows and one channel at a time."""
    layers = colour if colour.ndim == 3 else colour[:, :, None]
    white, black = np.empty(layers.shape, np.uint8), np.empty(layers.shape, np.uint8)
    height, width, channels = layers.shape
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        cover = alpha[rows].astype(np.uint16)
        rest = (255 - cover).astype(np.uint8)
        for channel in range(channels):
            part = (rows, slice(None), channel)
            samples = layers[part]
            black[part] = np.minimum(samples, cover) if premultiplied else _over_255(samples * cover)
            np.add(black[part], rest, out=white[part])
    return white.reshape(colour.shape), black.reshape(colour.shape)


def _over_255(product: npt.NDArray[np.uint16]) -> npt.NDArray[Any]:
    """``(product + 127) // 255`` without a division, exact for products up to 255 * 255."""
    product += 127
    return (product + 1 + (product >> 8)) >> 8


def _as_rgb(colour: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Show the array as (H, W, 3), read-only, without a copy."""
    if colour.ndim == 2:
        return np.broadcast_to(colour[:, :, None], (*colour.shape, 3))
    shown = colour[:, :, :3]
    shown.flags.writeable = False
    return shown


def high_byte(samples: npt.NDArray[Any]) -> Bytes:
    """Convert 16-bit samples to 8 bits by ``>> 8``; the full range stays the full range."""
    return (samples >> 8).astype(np.uint8)


def stretch(samples: npt.NDArray[Any]) -> Bytes:
    """Scale samples whose range is not stated (32-bit integers, floats) to 0 to 255.

    Returns
    -------
    (H, W) uint8 array
        ``floor(255 (v - min) / (max - min) + 0.5)`` in float64 over the finite samples; infinities go to the ends,
        not-a-number to 0; a flat picture is 0.
    """
    values = samples.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    scale = 255.0 / (high / 2 - low / 2)  # halves, since the difference of two float64 can overflow
    return np.floor((values / 2 - low / 2) * scale + 0.5).clip(0, 255).astype(np.uint8)


def look_up(indices: Bytes, palette: Bytes) -> Bytes:
    """Replace palette indices by colours.

    Parameters
    ----------
    indices : (H, W) uint8 array
        Positions in the palette.
    palette : (256, 4) uint8 array
        RGBA.

    Returns
    -------
    (H, W, 4) uint8 array
        RGBA.
    """
    packed = np.ascontiguousarray(palette).view(np.uint32)[:, 0]
    return packed[indices].view(np.uint8).reshape(*indices.shape, 4)


def upright(samples: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Apply an EXIF orientation.

    Parameters
    ----------
    samples : (H, W) or (H, W, n) array
        As stored.
    orientation : int
        1 to 8, EXIF tag 0x0112.

    Returns
    -------
    array of the same type
        Upright samples, C-contiguous; for orientation 1 the input itself.

    Notes
    -----
    Cost: one copy; quarter turns cost about twice as much as mirroring.
    """
    if orientation == 1:
        return samples
    packed = samples
    if samples.ndim == 3 and samples.shape[2] == 4 and samples.dtype == np.uint8 and samples.flags.c_contiguous:
        packed = samples.view(np.uint32)  # one item a pixel moves four times as fast
    turned = packed if orientation < 5 else packed.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(turned[rows, columns]).view(samples.dtype)


def planes_of_array(array: npt.NDArray[Any]) -> Planes:
    """Read an array as a picture.

    Parameters
    ----------
    array : array
        (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB, (H, W, 4) RGBA. uint8; uint16 is taken by
        ``>> 8``; bool is 0 or 255; floats from 0 to 255 are kept as float32 and have no alpha.

    Raises
    ------
    UnreadableImageError
        With reason ``empty`` if there is no pixel.
    TypeError
        If the type or the number of axes or channels is another.
    ValueError
        If a float is negative, above 255 or not a number.
    """
    shape = array.shape
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 2, 3, 4)):
        raise TypeError(f"a picture is an (H, W), (H, W, 3) or (H, W, 4) array, not {shape}")
    if array.size == 0:
        raise UnreadableImageError("the array has no pixels", reason="empty")
    samples: npt.NDArray[Any]
    if array.dtype == np.uint8:
        samples = array.view(np.ndarray)  # a view, so that the caller's own array stays writable
    elif array.dtype.kind == "u" and array.dtype.itemsize == 2:
        samples = high_byte(array)
    elif array.dtype == np.bool_:
        samples = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind == "f":
        samples = _checked_floats(array)
    else:
        raise TypeError(
            f"a picture is an array of uint8, uint16, bool or float, not {array.dtype}; convert it to uint8"
        )
    if samples.ndim == 2:
        return Planes(samples)
    if shape[2] in (1, 3):
        return Planes(samples[:, :, 0] if shape[2] == 1 else samples)
    if samples.dtype != np.uint8:
        raise TypeError("float arrays have no alpha channel: composite first, or convert to uint8")
    alpha = cast("Bytes", samples[:, :, -1])
    return Planes(samples[:, :, 0] if shape[2] == 2 else samples[:, :, :3], alpha)


def _checked_floats(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if not (float(array.min()) >= 0.0 and float(array.max()) <= 255.0):
        raise ValueError("float samples must lie within 0 to 255 and be numbers; scale the array to 0 to 255")
    return array.astype(np.float32, copy=False)
