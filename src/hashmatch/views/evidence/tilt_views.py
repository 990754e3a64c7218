"""Small rotations turned back: estimates of what PDQ samples from the picture before its rotation by a few degrees.

A rotated picture has one of four frames, and each determines the size of the upright picture: the canvas grew to hold
the corners (``"grown"``), it kept its size (``"kept"``), or it was cut to the largest upright rectangle (``"cut"``), or
to the largest of the picture's own shape, as telephones do (``"even"``). A view samples the small picture
(`hashmatch.views.small`) where PDQ would have sampled the upright one; the blur of its cells is nearly round, so it
needs no rotating. Corners that were filled lie outside the upright picture and are never read. What was cut off is
continued from the nearest edge, falling towards the mean as in `hashmatch.views.evidence.crop_views`;
`hashmatch.views.evidence.corners` models the uncertainty of that estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.pdq_float32 import COSINES
from hashmatch.hashers.tent import SIDE
from hashmatch.kernels.points import bilinear
from hashmatch.views.small import SMALL_SIDE, Floats

__all__ = [
    "ANGLES",
    "MAX_ANGLE",
    "STEP",
    "Frame",
    "Tilt",
    "coefficients",
    "qualities",
    "sampled",
    "tilts",
    "upright_size",
]

Frame = Literal["grown", "kept", "cut", "even"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
MAX_ANGLE: Final = 15.0  # degrees
STEP: Final = 0.75
"""Degrees between two angles."""
ANGLES: Final = tuple(sign * step * STEP for step in range(1, 8) for sign in (-1, 1))
"""Degrees to 5.25 either way; what is left of a rotation in between is 0.375 degrees at most."""

_FRAMES: Final[tuple[Frame, ...]] = ("grown", "kept", "cut", "even")
_FILLED: Final = ("grown", "kept")
_EVEN_FROM: Final = 1.5  # degrees; below, and in nearly square pictures, the two ways of cutting are alike
_NEARLY_SQUARE: Final = 1.1  # longer side over shorter
_LEAST_SIDE: Final = 16  # px
_LEAST_SEEN: Final = 0.6  # of the upright picture; a strip that was rotated and cut shows too little of it
_LENGTH: Final = 0.1  # of the side, over which a continued edge falls to the mean; as for uncropped views
_CLEAR: Final = 0.012  # of the side, by which a filled corner must lie off the picture, as resizing and JPEG spread it
_FEWEST: Final = 4  # cells off the picture; fewer tell nothing
_FLAT: Final = 16.0  # grey levels that JPEG may leave between places of one colour
_EVERY: Final = 2  # of the outermost cells, which are looked at
_TOGETHER: Final = 4  # views sampled at once, so that what is held stays in cache; measured
_SPILL: Final = 1.6  # cells of the small picture by which samples stay off filled corners
_MIDDLES: Final = ((np.arange(SIDE) + 0.5) / SIDE - 0.5).astype(np.float32)

Size = tuple[float, float]
"""Height and width, px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tilt:
    """One way of turning a picture back.

    Parameters
    ----------
    angle : float
        Degrees the query is turned, anticlockwise as seen, as `hashmatch.view.View.tilt`.
    frame : str
        Canvas of the rotated picture: ``"grown"``, ``"kept"``, ``"cut"`` or ``"even"``.
    """

    angle: float
    frame: Frame


def tilts(small: Floats, size: Size, angles: Sequence[float] = ANGLES) -> tuple[Tilt, ...]:
    """Return the ways in which a picture may have been rotated.

    Parameters
    ----------
    small : (128, 128) float32 array
        From `hashmatch.views.small.small_luma`.
    size : (float, float)
        Height and width of the picture, px.
    angles : sequence of float
        Degrees to turn it, anticlockwise as seen; not 0, at most 15 either way.

    Returns
    -------
    tuple of Tilt
        One to four for each angle at which a picture fits: the frame ``"cut"`` always, ``"even"`` if it differs, the
        others only if the corners that they would have are of one colour. Empty if a side is under 16 px.

    Raises
    ------
    ValueError
        If an angle is out of range.
    """
    if not all(0 < abs(angle) <= MAX_ANGLE for angle in angles):
        raise ValueError(f"an angle is at most {MAX_ANGLE:g} degrees either way, and not 0")
    if min(size) < _LEAST_SIDE:
        return ()
    edge = (small[0, ::_EVERY], small[-1, ::_EVERY], small[::_EVERY, 0], small[::_EVERY, -1])
    outermost = np.concatenate(edge)
    return tuple(
        Tilt(angle=float(angle), frame=frame)
        for angle in angles
        for frame in _FRAMES
        if min(upright := upright_size(size, angle, frame)) >= 0.5 * min(size)
        and _is_mostly_seen(size, angle, frame)
        and (frame != "even" or (abs(angle) >= _EVEN_FROM and max(size) >= _NEARLY_SQUARE * min(size)))
        and (frame not in _FILLED or _has_flat_corners(outermost, size, angle, upright))
    )


def upright_size(size: Size, angle: float, frame: Frame) -> Size:
    """Compute the size of the picture before it was rotated.

    Parameters
    ----------
    size : (float, float)
        Height and width after rotating, px.
    angle : float
        Degrees either way.
    frame : str
        Canvas of the rotated picture, as in `Tilt`.

    Returns
    -------
    (float, float)
        Height and width, px; under 0 if no picture fits.
    """
    if frame == "kept":
        return float(size[0]), float(size[1])
    sine, cosine = abs(math.sin(math.radians(angle))), math.cos(math.radians(angle))
    if frame == "cut":
        return size[0] * cosine + size[1] * sine, size[1] * cosine + size[0] * sine
    if frame == "even":
        grown = cosine + max(size[0] / size[1], size[1] / size[0]) * sine
        return size[0] * grown, size[1] * grown
    spread = cosine * cosine - sine * sine
    return (size[0] * cosine - size[1] * sine) / spread, (size[1] * cosine - size[0] * sine) / spread


def sampled(small: Floats, size: Size, views: Sequence[Tilt]) -> Floats:
    """Sample a picture at the cells of each upright picture.

    Parameters
    ----------
    small : (128, 128) float32 array
        From `hashmatch.views.small.small_luma`.
    size : (float, float)
        Height and width of the picture, px.
    views : sequence of Tilt
        One or more.

    Returns
    -------
    (k, 64, 64) float32 array
        Grey levels that PDQ would hash, 0 to 255.

    Notes
    -----
    Cost on one core: 0.1 ms a view.
    """
    parts = [_sampled(small, size, views[at : at + _TOGETHER]) for at in range(0, len(views), _TOGETHER)]
    return np.concatenate(parts)


def coefficients(cells: Floats) -> Floats:
    """Compute PDQ's coefficients of (k, 64, 64) cells: (k, 16, 16), as `crop_views.view_coefficients`."""
    products: Floats = np.matmul(np.matmul(COSINES, cells), COSINES.T)
    return products


def qualities(cells: Floats) -> npt.NDArray[np.int64]:
    """PDQ's quality of (k, 64, 64) cells: whole hundredths of the range between neighbours, over 90; 0 to 100."""
    total = np.zeros(len(cells), np.int64)
    for axis in (1, 2):
        steps = (np.diff(cells, axis=axis) * np.float32(100 / 255)).astype(np.int32)
        total += np.abs(steps).sum(axis=(1, 2))
    return np.minimum(100, total // 90)


def _is_mostly_seen(size: Size, angle: float, frame: Frame) -> bool:
    # a canvas that was kept loses no more than one that was cut
    height, width = upright_size(size, angle, "cut" if frame == "kept" else frame)
    return size[0] * size[1] >= _LEAST_SEEN * height * width


def _has_flat_corners(outermost: Floats, size: Size, angle: float, upright: Size) -> bool:
    """Whether the outermost cells that would be filled corners are of one colour, as far as there are any."""
    places = (np.arange(0, SMALL_SIDE, _EVERY) + 0.5) / SMALL_SIDE - 0.5
    end = np.full(len(places), 0.5 - 0.5 / SMALL_SIDE)
    x = size[1] * np.concatenate([places, places, -end, end])
    y = size[0] * np.concatenate([-end, end, places, places])
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    off = np.maximum(
        np.abs(x * cosine + y * sine) - upright[1] / 2 - _CLEAR * size[1],
        np.abs(y * cosine - x * sine) - upright[0] / 2 - _CLEAR * size[0],
    )
    corners = np.sort(outermost[off > 0])
    spared = len(corners) // 20
    return len(corners) < _FEWEST or bool(corners[-1 - spared] - corners[spared] <= _FLAT)


def _sampled(small: Floats, size: Size, views: Sequence[Tilt]) -> Floats:
    angles = np.radians([view.angle for view in views]).astype(np.float32)[:, None, None]
    uprights = np.array([upright_size(size, view.angle, view.frame) for view in views], np.float32)
    inside = np.array([0.5 - _SPILL / SMALL_SIDE * (view.frame in _FILLED) for view in views], np.float32)[:, None]
    middles = np.clip(_MIDDLES, -inside, inside)
    y, x = uprights[:, 0, None] * middles, uprights[:, 1, None] * middles
    y, x = y[:, :, None], x[:, None, :]
    sine, cosine = np.sin(angles), np.cos(angles)
    tall, wide = (np.float32(SMALL_SIDE / side) for side in size)
    middle = np.float32(SMALL_SIDE / 2 - 0.5)
    # turned anticlockwise by the angle, what is seen at (x, y) came from here; y grows downwards
    across: npt.NDArray[Any] = x * (cosine * wide) - y * (sine * wide) + middle
    down: npt.NDArray[Any] = x * (sine * tall) + y * (cosine * tall) + middle
    last = np.float32(SMALL_SIDE - 1)
    held_across, held_down = np.clip(across, 0, last), np.clip(down, 0, last)
    seen: Floats = bilinear(small, across.ravel(), down.ravel()).reshape(across.shape)
    outside = ((across != held_across) | (down != held_down)).nonzero()
    # half a cell of what lies beyond the last middle was seen
    beyond = [
        np.maximum(np.abs(wanted[outside] - held[outside]) - 0.5, 0) / SMALL_SIDE
        for wanted, held in ((across, held_across), (down, held_down))
    ]
    mean = small.mean()
    seen[outside] = mean + np.exp(-np.hypot(*beyond) / np.float32(_LENGTH)) * (seen[outside] - mean)
    return seen
