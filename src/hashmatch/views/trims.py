"""Trims: boxes of the content inside borders, letterboxes, caption bands and the bars of a phone's screen.

A border of a few per cent changes the hash of a whole picture beyond its threshold. The picture is found again only if
the trim is right to about 0.3 % of the side. A trim is an estimate: always search the untrimmed picture too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import check_pixels
from hashmatch.kernels.borders import off_middle
from hashmatch.views.borders import edges as _edges
from hashmatch.views.borders.edges import SIDES, Cells, Edge, Small, from_side
from hashmatch.views.borders.seams import CLEAR_SEAM, LEAST_CELLS, PAIRS, seam_layers, smooth_edges

__all__ = ["Trim", "TrimKind", "find_trims"]

Box = tuple[int, int, int, int]
TrimKind = Literal["plain", "gradient", "blurred", "band", "bars"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_LEAST_SIDE: Final = 16  # px of what is left
_LEAST_AREA: Final = 0.1  # share of the picture that is left
_LEAST_CONTENT: Final = 0.01  # share of cells off the middle; a box with fewer is of one colour
_FLAT: Final = 6  # grey levels
_NEAR: Final = 0.002  # share of a side by which two boxes are one
_PASSES: Final = 5  # borders within borders
_SURE: Final = 0.5  # strength, 0 to 1, of an edge alone
_EVEN_SURE: Final = 0.06  # likewise of equal borders all round
_CLEAR: Final = 0.6  # strength of a clear edge
_CONTRAST: Final = 16.0  # grey levels across a clear edge
_OTHER_PAIR: Final = 0.6  # of the other pair's share of the picture
_OPPOSITE: Final = tuple(pair[::turn] for pair in PAIRS for turn in (1, -1))
_FRAME_SURE: Final = 0.1  # strength of a frame's edge
_SPECKS: Final = 0.03  # share of a border's cells that may be off its colour

_Edges = dict[str, Edge]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """A box of content, and the shares that were cut off.

    Parameters
    ----------
    box : (int, int, int, int)
        x0, y0, x1, y1 in px of the picture, half-open: the content is ``pixels[y0:y1, x0:x1]``.
    left, top, right, bottom : float
        Shares of the picture's width or height cut off, 0 to 0.9.
    kind : str
        ``"plain"``: borders of one colour. ``"gradient"``, ``"blurred"``: smooth borders. ``"band"``: a band with
        text. ``"bars"``: several bands, as on a phone's screen. Where kinds lie inside each other, the last of these.
    """

    box: Box
    left: float
    top: float
    right: float
    bottom: float
    kind: TrimKind

    def crop(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the content of the picture that the trim was found in; a view, not a copy."""
        x0, y0, x1, y1 = self.box
        return pixels[y0:y1, x0:x1]


def find_trims(pixels: npt.NDArray[Any], *, most: int = 4) -> tuple[Trim, ...]:
    """Find where a picture's content may lie inside borders, bars and bands.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        RGB or grey; uint8, or float from 0 to 255. Need not be contiguous.
    most : int
        Most trims to return, 1 or more.

    Returns
    -------
    tuple of Trim
        Trims, the likeliest first, each box once. Empty if no border is seen, and for sides under 17 px. A box keeps at
        least 16 px of each side and a tenth of the area; a hundredth of it lies more than 6 grey levels from its median
        colour. Of boxes that differ by no more than a pixel or 0.2 % of the side only the likeliest is returned.

    Raises
    ------
    TypeError, ValueError
        As the hashers do, if ``pixels`` is no picture; ValueError if ``most`` is under 1.

    Notes
    -----
    The function examines a small copy of at most 256 cells a side from each side. A border of one colour ends at the
    strongest sudden change from lines of its colour. The change must be seen along most of the line, or along less of
    it if the opposite side has a border as wide; a fourth side then ends where the other three do. A smooth border (a
    gradient or a blurred copy) ends at a straight seam that differs from the lines outside, equally far from two
    opposite sides. A few full lines then give the edge to the pixel. The content is examined again, up to five times,
    because it may have borders too; every stage is a trim of its own. Soft pictures may be trimmed at visible JPEG
    blocks, at quality 40 and less.
    Cost in one thread: see ``benchmarks/results/trims.md``; above 1 megapixel it grows slowly.

    Examples
    --------
    >>> import numpy as np
    >>> framed = np.zeros((120, 100, 3), np.uint8)
    >>> framed[20:100] = np.random.default_rng(1).integers(40, 256, (80, 100, 3))
    >>> find_trims(framed)[0].box
    (0, 20, 100, 100)
    """
    check_pixels(pixels)
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ValueError(f"most must be an integer of 1 or more, not {most!r}")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    height, width = pixels.shape[:2]
    if min(height, width) <= _LEAST_SIDE:
        return ()
    small = _edges.reduce(pixels)
    planes = pixels.transpose(2, 0, 1)[: len(small.colours)]
    box: Box = (0, 0, width, height)
    chain: list[_Stage] = []
    others: list[_Stage] = []
    for _ in range(_PASSES):
        stages = [
            _Stage(box=cut, edges=edges, before=chain[-1] if chain else None)
            for edges in _peel(small, box, chain[-1] if chain else None)
            for cut in _cuts(planes, small, box, edges)
            if _is_sensible(cut, box, (width, height))
        ]
        if not stages:
            break
        chain.append(stages[0])
        others += stages[1:]
        box = stages[0].box
    kept: dict[Box, TrimKind] = {}
    for stage in _ordered(chain, others):
        if len(kept) == most:
            break
        is_known = any(_are_near(stage.box, other, (width, height)) for other in kept)
        if not is_known and not _is_plain(small, stage.box):
            kept[stage.box] = stage.kind
    return tuple(_trim(box, kind, (width, height)) for box, kind in kept.items())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stage:
    """One box and the edges that led to it, with those of the stage before."""

    box: Box
    edges: _Edges
    before: _Stage | None

    @property
    def bands(self) -> int:
        own = sum(edge.kind == "band" for edge in self.edges.values())
        return own + (self.before.bands if self.before else 0)

    @property
    def smooth(self) -> set[str]:
        """Sides that had a smooth border; a picture has at most one smooth border."""
        own = {side for side, edge in self.edges.items() if edge.colour is None}
        return own | (self.before.smooth if self.before else set())

    @property
    def kinds(self) -> set[str]:
        return {edge.kind for edge in self.edges.values()} | (self.before.kinds if self.before else set())

    @property
    def kind(self) -> TrimKind:
        if self.bands > 1:
            return "bars"
        kinds = self.kinds
        ordered: tuple[TrimKind, ...] = ("band", "blurred", "gradient")
        return next((kind for kind in ordered if kind in kinds), "plain")

    @property
    def is_even(self) -> bool:
        """Whether every border has an equal one on the opposite side."""
        pairs = [(self.edges[a], self.edges.get(b)) for a, b in _OPPOSITE if a in self.edges]
        return all(other is not None and abs(edge.first - other.first) <= 3 for edge, other in pairs)


def _ordered(chain: list[_Stage], others: list[_Stage]) -> list[_Stage]:
    """Put the likeliest first: of bars the last clear stage, of frames the outermost."""
    if not chain:
        return []
    if chain[-1].bands == 0 or chain[0].is_even:
        early = [stage for stage in others if stage.before is None]
        return [chain[0], *early, *chain[1:], *(stage for stage in others if stage.before is not None)]
    clear = [stage for stage in chain if max(edge.strength for edge in stage.edges.values()) >= _CLEAR]
    return [*reversed(clear), *(stage for stage in chain if stage not in clear), *others]


def _trim(box: Box, kind: TrimKind, size: tuple[int, int]) -> Trim:
    width, height = size
    right, bottom = (width - box[2]) / width, (height - box[3]) / height
    return Trim(box=box, left=box[0] / width, top=box[1] / height, right=right, bottom=bottom, kind=kind)


def _is_sensible(cut: Box, box: Box, size: tuple[int, int]) -> bool:
    wide, tall = cut[2] - cut[0], cut[3] - cut[1]
    return cut != box and min(wide, tall) >= _LEAST_SIDE and wide * tall >= _LEAST_AREA * size[0] * size[1]


def _are_near(one: Box, other: Box, size: tuple[int, int]) -> bool:
    """Whether two boxes differ by less than what a hash of the whole notices."""
    return all(abs(a - b) <= max(1.0, _NEAR * size[i % 2]) for i, (a, b) in enumerate(zip(one, other, strict=True)))


def _is_plain(small: Small, box: Box) -> bool:
    """Whether nearly all of a box is of one colour."""
    content = small.part(_edges.cells_of(box, small))[:, ::2, ::2]
    n_cells = content.shape[1] * content.shape[2]
    return n_cells == 0 or bool(off_middle(content, _FLAT) / n_cells < _LEAST_CONTENT)


def _peel(small: Small, box: Box, before: _Stage | None) -> Iterator[_Edges]:
    """Find the outermost layer of borders inside a box; where its colour leaves doubt, also what seams say."""
    cells = _edges.cells_of(box, small)
    shape = (cells[3] - cells[1], cells[2] - cells[0])
    if min(shape) < LEAST_CELLS:
        return
    edges: _Edges = {}
    for side in SIDES:
        edge = _edges.colour_edge(small, cells, side)
        if edge is not None:
            edges[side] = edge
    layer = _one_colour(edges, shape)
    if len(layer) > 1 and all(edge.kind == "plain" for edge in layer.values()):
        layer = _completed(layer, cells, small)
    paired = any(one in layer and other in layer for one, other in PAIRS)
    clear = paired and max(edge.contrast for edge in layer.values()) >= _CONTRAST
    if layer and (before is not None or clear):
        yield layer
        return
    smooth = before.smooth if before else set()
    pairs = [smooth_edges(small, cells, pair) if pair[0] not in smooth else [] for pair in PAIRS]
    seams = seam_layers(small, cells, pairs, is_second=bool(smooth), is_first=before is None)
    is_faint = all(edge.contrast < _CONTRAST for edge in layer.values())
    if seams and is_faint and seams[0].strength >= CLEAR_SEAM and layer.keys() <= seams[0].edges.keys():
        yield seams[0].edges
        seams = seams[1:]
    if layer:
        yield layer
    yield from (seam.edges for seam in seams)


def _completed(layer: _Edges, cells: Cells, small: Small) -> _Edges:
    """Look again, and less strictly, for the sides that are missing where a frame of one colour goes round."""
    found = dict(layer)
    for side, opposite in _OPPOSITE:
        if side in layer:
            continue
        own = small.cell[side in ("left", "right")]
        depths = [(edge.first, small.cell[other in ("left", "right")]) for other, edge in layer.items()]
        hints = sorted({round(first * cell / own) for first, cell in depths})
        for hint in hints:
            edge = _edges.colour_edge(small, cells, side, near=hint)
            if edge is not None and edge.strength >= _FRAME_SURE and _alike(edge, next(iter(layer.values()))):
                found[side] = edge
                break
        else:
            model = layer.get(opposite)
            alike = len(layer) == 3 and max(hints) - min(hints) <= 2
            if alike and model is not None and _is_calm(small.lines(side, cells), model):
                found[side] = model
    return found


def _is_calm(lines: npt.NDArray[Any], edge: Edge) -> bool:
    """Whether the lines outside have the colour of a border found on another side."""
    if edge.colour is None:
        return False
    away = np.abs(lines[:, : max(1, edge.first - 1)] - edge.colour[:, None, None]).max(axis=0)
    return bool((away > edge.tolerance).mean() <= _SPECKS)


def _one_colour(edges: _Edges, shape: tuple[int, ...]) -> _Edges:
    """Keep the edges that are sure, and of them those whose border has the colour of the surest."""
    sure: _Edges = {}
    for side, opposite in _OPPOSITE:
        edge, other = edges.get(side), edges.get(opposite)
        if edge is None:
            continue
        room = 2 + 0.02 * shape[side in ("left", "right")]
        is_even = other is not None and abs(edge.first - other.first) <= room and _alike(edge, other)
        if edge.strength >= (_EVEN_SURE if is_even else _SURE):
            sure[side] = edge
    surest = max(sure.values(), key=lambda edge: edge.strength, default=None)
    return {side: edge for side, edge in sure.items() if surest is not None and _alike(edge, surest)}


def _alike(one: Edge, other: Edge) -> bool:
    if one.colour is None or other.colour is None:
        return False
    return bool(np.abs(one.colour - other.colour).max() <= max(3.0, 0.5 * (one.tolerance + other.tolerance)))


def _cuts(planes: npt.NDArray[Any], small: Small, box: Box, edges: _Edges) -> Iterator[Box]:
    """Find the edges to the pixel, and give the box they leave; then what it is if some of them belong to the content.

    Those are a band that only one of two opposite borders has, and a much narrower pair across a pair.
    """
    x0, y0, x1, y1 = (cells * small.cell[1 - i % 2] for i, cells in enumerate(_edges.cells_of(box, small)))
    wide, tall = x1 - x0, y1 - y0
    inner = dict.fromkeys(SIDES, 0) | {
        side: (edge.last + 1) * small.cell[side in ("left", "right")] for side, edge in edges.items()
    }
    middle = {True: (inner["top"], tall - inner["bottom"]), False: (inner["left"], wide - inner["right"])}
    depths = dict.fromkeys(SIDES, 0)
    for side, edge in edges.items():
        across = side in ("left", "right")
        if middle[across][1] - middle[across][0] < 4:
            return
        lines = from_side(planes[:, y0:y1, x0:x1], side)
        depths[side] = _edges.refine(lines, edge, small.cell[across], middle[across])
    for one, other in PAIRS:
        if one in edges and edges[one].colour is None and abs(depths[one] - depths[other]) > 1:
            weaker, stronger = sorted((one, other), key=lambda side: edges[side].strength)
            depths[weaker] = depths[stronger]

    def left_by(cut: dict[str, int]) -> Box:
        return (
            x0 + cut["left"] if cut["left"] else box[0],
            y0 + cut["top"] if cut["top"] else box[1],
            x1 - cut["right"] if cut["right"] else box[2],
            y1 - cut["bottom"] if cut["bottom"] else box[3],
        )

    yield left_by(depths)
    least = min(depths["top"], depths["bottom"])
    if least > 1 and "band" in (edges["top"].kind, edges["bottom"].kind):
        yield left_by({**depths, "top": least, "bottom": least})
    across_share, down_share = (depths["left"] + depths["right"]) / wide, (depths["top"] + depths["bottom"]) / tall
    if 0.0 < down_share < _OTHER_PAIR * across_share:
        yield left_by({**depths, "top": 0, "bottom": 0})
    elif 0.0 < across_share < _OTHER_PAIR * down_share:
        yield left_by({**depths, "left": 0, "right": 0})
