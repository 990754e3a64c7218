"""Where one side's border ends: on a small copy of the picture, then to the pixel.

Every function looks from one side inwards: lines run along that side and line 0 is the outermost. A line of the small
copy is a cell thick. Colours are those of `opponent`. The numbers below were set on synthetic pictures of seeds under
100 and are measured on others by ``benchmarks/trims.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import pixels as kernels

__all__ = [
    "DEEPEST",
    "SIDES",
    "Edge",
    "Kind",
    "Small",
    "Values",
    "cells_of",
    "central",
    "colour_edge",
    "from_side",
    "reduce",
    "refine",
]

Values = npt.NDArray[Any]
Kind = Literal["plain", "gradient", "blurred", "band"]

SIDES: Final = ("left", "top", "right", "bottom")

_CELLS: Final = 256
_JPEG_REACH: Final = 16  # px over which JPEG spreads an edge, as its colour is halved

DEEPEST: Final = 0.45
_DEEPEST_BAND: Final = 0.72
_THINNEST: Final = 0.006
_ENDS: Final = 0.2  # left out at both ends of a line, where the border of another side may lie

_NOISIEST: Final = 14.0  # grey levels by which a border's outermost line may vary
_CALM: Final = 6.0
_DUST: Final = 0.05  # share of a plain border's line that may differ
_GROUND: Final = 0.6  # share of a band that is not text
_FAINTEST: Final = 0.04
_NEAR_BEST: Final = 0.85


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Small:
    """A small copy of a picture.

    Parameters
    ----------
    colours : (n, h, w) int16 array
        Averages of cells in the colours of `opponent`; n is 3, or 1 for grey. At most 256 cells a side.
    cell : (int, int)
        Height and width of a cell, px. What is left over at the bottom and at the right, less than a cell, is in none.
    """

    colours: Values
    cell: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edge:
    """The end of a border, seen from its side.

    Parameters
    ----------
    first, last : int
        The content begins in one of these lines.
    strength : float
        Share of the line along which content begins, or, for a smooth border, along which the step stands out from
        those outside; 0 to 1.
    kind : str
        ``"plain"``, ``"gradient"``, ``"blurred"`` or ``"band"``.
    colour : (n,) array, optional
        The border's colour, if it has one.
    tolerance : float
        How far the border's own samples lie from that, grey levels.
    contrast : float
        Median difference between the first line of content and the colour, grey levels.
    """

    first: int
    last: int
    strength: float
    kind: Kind
    colour: Values | None = None
    tolerance: float = 0.0
    contrast: float = 0.0


def from_side(lines: Values, side: str) -> Values:
    """Show the rows or columns of an (n, H, W) array from one side inwards; a view."""
    if side in ("left", "right"):
        lines = lines.swapaxes(1, 2)
    return lines[:, ::-1] if side in ("right", "bottom") else lines


def reduce(pixels: Values) -> Small:
    """Average a picture's cells, of whole pixels and at most 256 along a side.

    Parameters
    ----------
    pixels : (H, W, n) array
        uint8 or float from 0 to 255; n is 1 or 3.

    Notes
    -----
    Cost: at most 16 pixels of a cell are read, so a million of a large picture; 0.3 ms for 1 megapixel compiled.
    """
    height, width, channels = pixels.shape
    if channels > 1 and pixels.strides[2] == 0:
        pixels = pixels[:, :, :1]
    cell = (-(-height // _CELLS), -(-width // _CELLS))
    return Small(colours=kernels.opponent_cells(pixels, *cell), cell=cell)


def opponent(colours: Values) -> Values:
    """Turn (3, h, w) RGB into brightness and two halved colour differences, of which JPEG keeps least; grey stays."""
    if len(colours) == 1:
        return colours
    red, green, blue = colours
    luma = (2 * red + 5 * green + blue) / np.float32(8)
    return np.stack([luma, (red - luma) / 2, (blue - luma) / 2]).astype(colours.dtype)


def cells_of(box: tuple[int, int, int, int], small: Small) -> tuple[int, int, int, int]:
    """Cells that lie wholly inside a box of pixels."""
    down, across = small.cell
    height, width = small.colours.shape[1:]
    return (
        math.ceil(box[0] / across),
        math.ceil(box[1] / down),
        min(width, box[2] // across),
        min(height, box[3] // down),
    )


def central(lines: Values) -> Values:
    """Leave out both ends of the lines, where the borders of other sides may lie."""
    length = lines.shape[-1]
    return lines[..., int(_ENDS * length) : length - int(_ENDS * length)]


def colour_edge(lines: Values, cell: int, *, bands: bool, near: int | None = None) -> Edge | None:
    """Find the end of a border of one colour.

    Parameters
    ----------
    lines : (channels, n, m) int16 array
        The small copy seen from this side.
    cell : int
        Thickness of a line, px.
    bands : bool
        Whether text and signs may stand on the border; it may then reach deeper.
    near : int, optional
        Look only at this line and the two beside it.

    Returns
    -------
    Edge or None
        The outermost of the strongest sudden changes from lines of the colour to lines of anything else.

    Notes
    -----
    A tight tolerance finds faint edges, a loose one those that JPEG has spread; the loose is taken where it is clearer.
    """
    deepest = int((_DEEPEST_BAND if bands else DEEPEST) * lines.shape[1])
    if deepest < 3:
        return None
    outermost = lines[:, 0]
    colour = np.sort(outermost, axis=1)[:, outermost.shape[1] // 2]
    spreads = np.sort(np.abs(outermost - colour[:, None]).max(axis=0))
    spread = float(spreads[int(0.95 * (len(spreads) - 1))])
    if spread > _NOISIEST:
        return None
    lines = np.ascontiguousarray(lines[:, : deepest + 3])
    away = np.abs(lines - colour[:, None, None]).max(axis=0)
    change = np.zeros_like(away)
    change[2:-1] = np.abs(lines[:, 3:] - lines[:, :-3]).max(axis=0)
    tolerances = [max(4.0, 1.2 * spread + 1.0), max(12.0, 1.6 * spread)]
    best: tuple[float, float] | None = None
    for tolerance in tolerances[spread > _CALM :]:
        rise = _rise(away, change, tolerance, deepest, None if bands else -(-_JPEG_REACH // cell) + 2)
        if near is not None:
            rise[: max(0, near - 1)] = 0.0
            rise[near + 2 :] = 0.0
        strength = float(rise.max())
        if strength >= _FAINTEST and (best is None or strength > best[0] + 0.1):
            best, depth = (strength, tolerance), int((rise >= _NEAR_BEST * strength).argmax())
    if best is None:
        return None
    outer = (away[: max(1, depth - 2 - -(-_JPEG_REACH // cell))] > best[1]).mean(axis=1)
    is_plain = (outer > _DUST).mean() < 0.02 and depth <= DEEPEST / _DEEPEST_BAND * deepest
    return Edge(
        first=depth,
        last=depth + 1,
        strength=best[0],
        kind="plain" if is_plain or not bands else "band",
        colour=colour,
        tolerance=best[1],
        contrast=float(np.median(away[min(len(away) - 1, depth + 1)])),
    )


def _rise(away: Values, change: Values, tolerance: float, deepest: int, text: int | None) -> Values:
    """Say for each line how much of it is content where the two before it are border, and all outside mostly is.

    ``text`` is how many lines outside may hold anything else at all; None for any number.
    """
    differs = away > tolerance
    full = differs.mean(axis=1)
    # the change must be sudden, as a gradient leaves any colour too
    inside = (central(differs)[1:] & (central(change) > max(5.0, tolerance))[:-1]).mean(axis=1)
    rise = np.zeros(len(full))
    rise[2:-1] = inside[2:] - 0.5 * (full[1:-2] + full[:-3])
    ground = np.cumsum(1.0 - full) / np.arange(1, len(full) + 1)
    rise[1:][ground[:-1] < _GROUND] = 0.0
    if text is not None:
        rise[1:][np.cumsum(full > _DUST)[:-1] > text] = 0.0
    rise[deepest + 1 :] = 0.0
    rise[: max(2, int(_THINNEST * len(full)))] = 0.0
    return rise


def refine(pixels: Values, edge: Edge, cell: int, along: tuple[int, int]) -> int:
    """Find the first line of content to the pixel.

    Parameters
    ----------
    pixels : (n, N, M) array
        The picture, or what is left of it, seen from this side.
    edge : Edge
        Where to look.
    cell : int
        Thickness of a cell, px.
    along : (int, int)
        The part of the lines to look at, px.

    Notes
    -----
    Reads about four cells of lines and under 768 pixels of each. The step is where most changes at once; a line that
    resizing has mixed of border and content belongs to the content from one half on.
    """
    start = max(0, (edge.first - 1) * cell - 1)
    stop = min(pixels.shape[1], (edge.last + 1) * cell + 2)
    step = max(1, (along[1] - along[0]) // 384)
    strip = opponent(pixels[:, start:stop, along[0] : along[1] : step].astype(np.float32))
    if edge.colour is None:
        change = np.minimum(np.abs(np.diff(strip, axis=1)).max(axis=0), 40.0).mean(axis=1)
        return start + int(change.argmax()) + 1
    away = np.abs(strip - edge.colour.astype(np.float32)[:, None, None]).max(axis=0)
    cap = np.maximum(edge.tolerance, 0.7 * away[edge.last * cell - start :].mean(axis=0))
    profile = np.minimum(away, cap).mean(axis=1)
    rise = int(np.diff(profile).argmax()) + 1
    inside = float(profile[rise : rise + 3].mean())
    while rise > 1 and profile[rise - 1] >= 0.5 * inside:
        rise -= 1
    return start + rise
