"""The end of the border of one side: on a small copy of the picture, then to the pixel.

Every function looks from one side inwards: lines run along that side and line 0 is the outermost. A line of the small
copy is a cell thick. Colours are those of `opponent_cells`. The numbers below were set on synthetic pictures of seeds
under 100 and are measured on others by ``python -m benchmarks trims``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import borders as kernels
from hashmatch.kernels.numpy.borders import DUST
from hashmatch.kernels.pixels import opponent_cells

__all__ = [
    "DEEPEST",
    "SIDES",
    "Cells",
    "Edge",
    "Kind",
    "Small",
    "Values",
    "cells_of",
    "colour_edge",
    "ends_of",
    "from_side",
    "reduce",
    "refine",
]

Values = npt.NDArray[Any]
Cells = tuple[int, int, int, int]
Kind = Literal["plain", "gradient", "blurred", "band"]

SIDES: Final = ("left", "top", "right", "bottom")

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_CELLS: Final = 256  # a side, about
_JPEG_REACH: Final = 16  # px over which JPEG spreads an edge, as its colour is halved

DEEPEST: Final = 0.45  # share of a side that a border may take
_DEEPEST_BAND: Final = 0.72  # likewise a band at one side
_THINNEST: Final = 0.006  # share of a side, least of a border
_ENDS: Final = 0.2  # of a line

_NOISIEST: Final = 14.0  # grey levels by which a border's outermost line may vary
_CALM: Final = 6.0  # grey levels; a border that varies more has the wider tolerance alone
_FAINTEST: Final = 0.04  # strength, 0 to 1, least of an edge
_NEAR_BEST: Final = 0.85  # share of the strongest rise that places the edge


@dataclass(frozen=True, kw_only=True, eq=False)
class Small:
    """A small copy of a picture.

    Parameters
    ----------
    colours : (n, h, w) int16 array
        Averages of cells in the colours of `opponent_cells`; n is 3, or 1 for grey. At most 256 cells a side.
    cell : (int, int)
        Height and width of a cell, px. A rest of less than a cell at the bottom and at the right is in no cell.
    """

    colours: Values
    cell: tuple[int, int]

    def part(self, cells: Cells) -> Values:
        """Colours of the cells in a box; a view."""
        x0, y0, x1, y1 = cells
        return self.colours[:, y0:y1, x0:x1]

    def lines(self, side: str, cells: Cells) -> Values:
        """Lines of a box seen from one side inwards, the samples of each beside each other; a view."""
        if side in ("top", "bottom"):
            return from_side(self.part(cells), side)
        x0, y0, x1, y1 = cells
        columns = self._turned[:, x0:x1, y0:y1]
        return columns[:, ::-1] if side == "right" else columns

    @cached_property
    def _turned(self) -> Values:
        return np.ascontiguousarray(self.colours.swapaxes(1, 2))


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
        Colour of the border, if it has one colour.
    tolerance : float
        Distance of the samples of the border from that colour, grey levels.
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
    return Small(colours=opponent_cells(pixels, *cell), cell=cell)


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


def ends_of(lines: Values) -> int:
    """Count the samples to leave out at both ends of lines, where the borders of other sides may lie."""
    return int(_ENDS * lines.shape[2])


def colour_edge(small: Small, cells: Cells, side: str, *, near: int | None = None) -> Edge | None:
    """Find the end of a border of one colour.

    Parameters
    ----------
    small : Small
        The small copy.
    cells : (int, int, int, int)
        The part of it to look at: x0, y0, x1, y1.
    side : str
        One of `SIDES`. At the top and at the bottom text and signs may stand on the border; it may then reach deeper.
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
    bands = side in ("top", "bottom")
    seen = from_side(small.part(cells), side)
    deepest = int((_DEEPEST_BAND if bands else DEEPEST) * seen.shape[1])
    if deepest < 3:
        return None
    colour, spread = kernels.line_colour(seen[:, 0])
    if spread > _NOISIEST:
        return None
    lines = small.lines(side, cells)[:, : deepest + 3]
    tolerances = (max(4.0, 1.2 * spread + 1.0), max(12.0, 1.6 * spread))[spread > _CALM :]
    reach = -(-_JPEG_REACH // small.cell[not bands])
    full, rises = kernels.border_rises(
        lines,
        colour,
        tolerances,
        skip=ends_of(lines),
        least=max(2, int(_THINNEST * lines.shape[1])),
        deepest=deepest,
        text=lines.shape[1] if bands else reach + 2,
    )
    if near is not None:
        rises[:, : max(0, near - 1)] = 0.0
        rises[:, near + 2 :] = 0.0
    best: tuple[float, int] | None = None
    for number, strength in enumerate(rises.max(axis=1).tolist()):
        if strength >= _FAINTEST and (best is None or strength > best[0] + 0.1):
            best = strength, number
    if best is None:
        return None
    strength, number = best
    depth = int((rises[number] >= _NEAR_BEST * strength).argmax())
    outer = full[number, : max(1, depth - 2 - reach)]
    is_plain = np.count_nonzero(outer > DUST) / len(outer) < 0.02 and depth <= DEEPEST / _DEEPEST_BAND * deepest
    return Edge(
        first=depth,
        last=depth + 1,
        strength=strength,
        kind="plain" if is_plain or not bands else "band",
        colour=colour,
        tolerance=tolerances[number],
        contrast=kernels.median_away(lines[:, min(lines.shape[1] - 1, depth + 1)], colour),
    )


def refine(pixels: Values, edge: Edge, cell: int, along: tuple[int, int]) -> int:
    """Find the first line of content to the pixel.

    Parameters
    ----------
    pixels : (n, N, M) array
        The picture, or what is left of it, seen from this side; uint8, or float from 0 to 255.
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
    strip = pixels[:, start:stop, along[0] : along[1] : step]
    profile = kernels.step_profile(strip, edge.colour, edge.tolerance, edge.last * cell - start)
    if edge.colour is None:
        return start + int(profile.argmax()) + 1
    rise = int((profile[1:] - profile[:-1]).argmax()) + 1
    content = profile[rise : rise + 3].tolist()
    inside = sum(content) / len(content)
    while rise > 1 and profile[rise - 1] >= 0.5 * inside:
        rise -= 1
    return start + rise
