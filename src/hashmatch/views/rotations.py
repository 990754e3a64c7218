"""Small rotations turned back: what PDQ would have seen had the picture not been rotated by a few degrees.

A rotated picture comes in one of three frames, and each says how large the upright picture was: the canvas grew to
hold the corners (``"grown"``), it kept its size (``"kept"``), or it was cut to the largest upright rectangle
(``"cut"``). A view samples a reduced, blurred copy of the query where PDQ would have sampled the upright picture; the
blur is nearly round, so it needs no rotating. Corners that were filled lie outside the upright picture and are never
read. What was cut off is continued from the nearest edge, falling towards the mean as in `hashmatch.views.uncrop`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import Pixels, check_pixels
from hashmatch.hashers.pdq_float32 import COSINES
from hashmatch.hashers.tent import box_width, sample_positions
from hashmatch.kernels.points import Tents, bilinear, tent_luma

__all__ = ["ANGLES", "MAX_ANGLE", "Frame", "TurnedBack", "turned_back", "upright_size"]

Frame = Literal["grown", "kept", "cut"]

MAX_ANGLE: Final = 15.0
_STEP: Final = 0.75
ANGLES: Final = tuple(sign * step * _STEP for step in range(1, 8) for sign in (-1, 1))
"""Degrees to 5.25 either way; what is left of a rotation in between is 0.375 degrees at most."""

_FRAMES: Final[tuple[Frame, ...]] = ("grown", "kept", "cut")
_LEAST_SIDE: Final = 16
_LEAST_CELLS: Final = 256
_LENGTH: Final = 0.1  # of the side, over which a continued edge falls to the mean; as for uncropped views
_CLEAR: Final = 0.012  # of the side, by which a filled corner must lie off the picture, as resizing and JPEG spread it
_FEWEST: Final = 4
_FLAT: Final = 16.0  # grey levels that JPEG may leave between places of one colour
_TOGETHER: Final = 4  # views sampled at once, so that what is held stays in cache; measured

_Floats = npt.NDArray[np.float32]
_Sizes = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TurnedBack:
    """PDQ hashes of a picture turned back by several angles.

    Parameters
    ----------
    codes : (k, 32) uint8 array
        Hashes in the published order of bytes.
    angles : tuple of float
        Degrees the query was turned, anticlockwise as seen, as `hashmatch.view.View.tilt`.
    frames : tuple of str
        ``"grown"``, ``"kept"`` or ``"cut"``.
    qualities : tuple of int
        PDQ's measure of each view, 0 to 100.
    """

    codes: npt.NDArray[np.uint8]
    angles: tuple[float, ...]
    frames: tuple[Frame, ...]
    qualities: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.angles)


def turned_back(pixels: Pixels, angles: Sequence[float] = ANGLES) -> TurnedBack:
    """Hash a picture turned back by several angles.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        RGB or grey; uint8, or float from 0 to 255.
    angles : sequence of float
        Degrees to turn it, anticlockwise as seen; not 0, at most 15 either way.

    Returns
    -------
    TurnedBack
        One to three views for each angle that leaves room in the picture: the frame ``"cut"`` always, the others only
        where the corners they would have had are of one colour. None where a side is under 16 px.

    Raises
    ------
    TypeError, ValueError
        As `hashmatch.hashers.base.check_pixels`; ValueError if an angle is out of range.

    Notes
    -----
    Sides of 512 px and more are first averaged over whole pixels to 256 to 511 cells. Cost on one core: 4 ms for
    1 megapixel, and 0.1 ms a view. Recall and drift: ``benchmarks/results/views.md``.
    """
    check_pixels(pixels)
    if not all(0 < abs(angle) <= MAX_ANGLE for angle in angles):
        raise ValueError(f"an angle is at most {MAX_ANGLE:g} degrees either way, and not 0")
    size = pixels.shape[:2]
    views: list[tuple[float, Frame, _Sizes]] = []
    if min(size) >= _LEAST_SIDE:
        grey = _reduced(pixels)
        views = [
            (float(angle), frame, upright)
            for angle in angles
            for frame in _FRAMES
            if min(upright := upright_size(size, angle, frame)) >= 0.5 * min(size)
            and (frame == "cut" or _has_flat_corners(grey, size, angle, upright))
        ]
    if not views:
        return TurnedBack(codes=np.empty((0, 32), np.uint8), angles=(), frames=(), qualities=())
    blurred = _blurred(_blurred(grey, size[0]).T, size[1]).T
    blurred = np.ascontiguousarray(blurred)
    samples = [(angle, upright) for angle, _, upright in views]
    parts = [_sampled(blurred, size, samples[at : at + _TOGETHER]) for at in range(0, len(samples), _TOGETHER)]
    seen = np.concatenate(parts)
    return TurnedBack(
        codes=_codes(seen),
        angles=tuple(angle for angle, _, _ in views),
        frames=tuple(frame for _, frame, _ in views),
        qualities=_qualities(seen),
    )


def upright_size(size: tuple[int, ...], angle: float, frame: Frame) -> _Sizes:
    """Say how large the picture was before it was rotated.

    Parameters
    ----------
    size : (int, int)
        Height and width after rotating, px.
    angle : float
        Degrees either way.
    frame : str
        What became of the canvas.

    Returns
    -------
    (float, float)
        Height and width, px; under 0 where no picture fits.
    """
    if frame == "kept":
        return float(size[0]), float(size[1])
    sine, cosine = abs(math.sin(math.radians(angle))), math.cos(math.radians(angle))
    if frame == "cut":
        return size[0] * cosine + size[1] * sine, size[1] * cosine + size[0] * sine
    spread = cosine * cosine - sine * sine
    return (size[0] * cosine - size[1] * sine) / spread, (size[1] * cosine - size[0] * sine) / spread


def _reduced(pixels: Pixels) -> _Floats:
    """Average to grey cells of whole pixels, 256 to 511 along a side of 512 px or more; what is left over goes."""
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    return tent_luma(planes, _whole_cells(pixels.shape[0]), _whole_cells(pixels.shape[1]))


@lru_cache(maxsize=16)
def _whole_cells(n: int) -> Tents:
    """Cells of as many whole pixels as leave 256 of them or more on a side of ``n`` px, each of the same weight."""
    cell = max(1, n // _LEAST_CELLS)
    count = n // cell
    return Tents(np.arange(count, dtype=np.int64) * cell, np.full((count, cell), 1 / cell, np.float32))


def _blurred(cells: _Floats, n: int) -> _Floats:
    """Blur along the first axis by a tent that, with the cells and their interpolation, spreads as PDQ's for n px."""
    cell = max(1, n // _LEAST_CELLS)
    spread = (box_width(n) ** 2 - 1) / 6 - (cell * cell - 1) / 12 - cell * cell / 6
    reach = math.sqrt(max(1.0, 6 * spread / (cell * cell) + 1))
    steps = math.ceil(reach) - 1
    taps = np.maximum(0, reach - np.abs(np.arange(-steps, steps + 1)))
    taps = (taps / taps.sum()).astype(np.float32)
    held = np.concatenate([cells[:1]] * steps + [cells] + [cells[-1:]] * steps)
    blurred: _Floats = taps[0] * held[: len(cells)]
    for shift in range(1, len(taps)):
        blurred += taps[shift] * held[shift : shift + len(cells)]
    return blurred


def _has_flat_corners(grey: _Floats, size: tuple[int, ...], angle: float, upright: _Sizes) -> bool:
    """Whether the outermost cells that would be filled corners are of one colour, as far as there are any."""
    height, width = grey.shape
    every = [max(1, side // 64) for side in grey.shape]
    down, across = (((np.arange(0, n, step) + 0.5) / n - 0.5) for n, step in zip(grey.shape, every, strict=True))
    low, high = (0.5 / height - 0.5, 0.5 - 0.5 / height), (0.5 / width - 0.5, 0.5 - 0.5 / width)
    x = size[1] * np.concatenate([across, across, np.full(len(down), high[0]), np.full(len(down), high[1])])
    y = size[0] * np.concatenate([np.full(len(across), low[0]), np.full(len(across), low[1]), down, down])
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    off = np.maximum(
        np.abs(x * cosine + y * sine) - upright[1] / 2 - _CLEAR * size[1],
        np.abs(y * cosine - x * sine) - upright[0] / 2 - _CLEAR * size[0],
    )
    edge = (grey[0, :: every[1]], grey[-1, :: every[1]], grey[:: every[0], 0], grey[:: every[0], -1])
    corners = np.sort(np.concatenate(edge)[off > 0])
    spared = len(corners) // 20
    return len(corners) < _FEWEST or bool(corners[-1 - spared] - corners[spared] <= _FLAT)


def _positions(n: float) -> _Floats:
    """Middles of the windows that PDQ puts on a side of n px, from the side's middle."""
    whole = max(1, round(n))
    lag = 0.5 if box_width(whole) % 2 else 1.5
    return ((sample_positions(whole) + lag) * (n / whole) - n / 2).astype(np.float32)


def _sampled(cells: _Floats, size: tuple[int, ...], views: list[tuple[float, _Sizes]]) -> _Floats:
    """Sample the reduced picture at the cells of each upright picture: (k, 64, 64)."""
    angles = np.radians([angle for angle, _ in views]).astype(np.float32)[:, None, None]
    y = np.stack([_positions(upright[0]) for _, upright in views])[:, :, None]
    x = np.stack([_positions(upright[1]) for _, upright in views])[:, None, :]
    tall, wide = (max(1, side // _LEAST_CELLS) for side in size)
    sine, cosine = np.sin(angles), np.cos(angles)
    # turned anticlockwise by the angle, what is seen at (x, y) came from here; y grows downwards
    across: npt.NDArray[Any] = x * (cosine / wide) - y * (sine / wide) + np.float32(size[1] / 2 / wide - 0.5)
    down: npt.NDArray[Any] = x * (sine / tall) + y * (cosine / tall) + np.float32(size[0] / 2 / tall - 0.5)
    held_across, held_down = np.clip(across, 0, cells.shape[1] - 1), np.clip(down, 0, cells.shape[0] - 1)
    seen: _Floats = bilinear(cells, across.ravel(), down.ravel()).reshape(across.shape)
    outside = ((across != held_across) | (down != held_down)).nonzero()
    # half a cell of what lies beyond the last middle was seen
    beyond = [
        np.maximum(np.abs(wanted[outside] - held[outside]) - 0.5, 0) / n
        for wanted, held, n in ((across, held_across, cells.shape[1]), (down, held_down, cells.shape[0]))
    ]
    mean = cells.mean()
    seen[outside] = mean + np.exp(-np.hypot(*beyond) / np.float32(_LENGTH)) * (seen[outside] - mean)
    return seen


def _codes(seen: _Floats) -> npt.NDArray[np.uint8]:
    """Hash (k, 64, 64) cells; bits over the lower of the two middle coefficients, the highest first."""
    flat: npt.NDArray[Any] = np.matmul(np.matmul(COSINES, seen), COSINES.T).reshape(len(seen), -1)
    median = np.partition(flat, 127, axis=1)[:, 127:128]
    return np.packbits(flat[:, ::-1] > median, axis=1)


def _qualities(seen: _Floats) -> tuple[int, ...]:
    """PDQ's quality: whole hundredths of the range between neighbours, over 90."""
    total = np.zeros(len(seen), np.int64)
    for axis in (1, 2):
        steps = (np.diff(seen, axis=axis) * np.float32(100 / 255)).astype(np.int32)
        total += np.abs(steps).sum(axis=(1, 2))
    return tuple(np.minimum(100, total // 90).tolist())
