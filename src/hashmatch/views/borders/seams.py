"""Seams between a smooth border, a gradient or a blurred copy of the picture, and the content.

Lines are seen from one side inwards, as in `hashmatch.views.borders.edges`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hashmatch.kernels import borders as kernels
from hashmatch.kernels.numpy.borders import SMOOTH
from hashmatch.views.borders.echo import echo
from hashmatch.views.borders.edges import SIDES, Cells, Edge, Kind, Small, Values, ends_of, from_side

__all__ = ["CLEAR_SEAM", "LEAST_CELLS", "PAIRS", "Edges", "SeamLayer", "Pair", "seam_layers", "smooth_edges"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_DEEPEST: Final = 0.36  # a picture of 9:16 on one of 16:9 leaves 34 % at each side
_MOST: Final = 6  # pairs of seams looked at
_FAINT: Final = 0.06  # strength, 0 to 1, least of a seam
_ALONE: Final = 0.6  # of a clear seam's strength counts where the opposite one is hardly there
_HARDLY: Final = 0.05  # strength of an opposite seam that is hardly there
_RAMP: Final = 3.0  # grey levels that a gradient lies off a ramp
_SEAM: Final = 0.28  # strength, least of the stronger pair
_SECOND_SEAM: Final = 0.2  # likewise of the weaker pair, and inside a border that was found
_MOST_LAYERS: Final = 3  # found
_MOST_UNSURE: Final = 6  # compared with what lies outside
_ECHO: Final = 0.8  # agreement with a blurred copy, 0 to 1, that makes a faint seam one
_ECHO_SPARED: Final = 0.5  # for each of a seam's strength
_SOME_ECHO: Final = 0.3  # likewise one that is seen
_GAIN_OF_ECHO: Final = 0.5  # strength that an echo adds
_THINNEST_COPY: Final = 4  # cells

CLEAR_SEAM: Final = 0.5  # strength, 0 to 1, that needs no echo
LEAST_CELLS: Final = 12
"""Fewest along a side of what is left."""
PAIRS: Final = (("left", "right"), ("top", "bottom"))
"""Opposite sides."""

Edges = dict[str, Edge]
"""Where borders end, by side."""
Pair = tuple[float, Edge, Edge]
"""How strong two opposite seams are together, and the two."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeamLayer:
    """Borders that end at seams.

    Parameters
    ----------
    edges : dict of str to Edge
        By side: two opposite ones, or all.
    seam : float
        How strong the seams are, 0 to 1.
    strength : float
        What the layer is ranked by.
    is_seen : bool
        Whether the seams are strong enough by themselves.
    """

    edges: Edges
    seam: float
    strength: float
    is_seen: bool


def smooth_edges(small: Small, cells: Cells, sides: tuple[str, str]) -> list[Pair]:
    """Find the seams between a smooth border, a gradient or a blurred picture, and the content, on opposite sides.

    Parameters
    ----------
    small : Small
        The small copy.
    cells : (int, int, int, int)
        The part of it to look at: x0, y0, x1, y1.
    sides : (str, str)
        Two opposite ones of `hashmatch.views.borders.edges.SIDES`.

    Returns
    -------
    list of (float, Edge, Edge)
        At most six times a strength from 0 to 1, and seams equally far from both sides; the strongest first. One of
        them may be too faint to be seen, and is then put there.

    Notes
    -----
    What is pasted on a smooth ground ends in a straight line: the step there stands out, at most places along it, from
    the steps just outside at the same place. The strength is the share of such places, the geometric mean of both
    sides, or 0.6 of the clearer one's where that is more and the other can be made out. Objects seldom have edges as
    straight, as long and as far from both sides.
    """
    seen = [from_side(small.part(cells), side) for side in sides]
    deepest = int(_DEEPEST * seen[0].shape[1])
    if deepest < 6 or seen[0].shape[2] < 16:
        return []
    if max(sum(kernels.line_textures(lines[0, :2]).tolist()) / 2 for lines in seen) > SMOOTH:
        return []
    views = [small.lines(side, cells)[:, : deepest + 4] for side in sides]
    strengths = [kernels.seam_strengths(lines, ends_of(lines)) for lines in views]
    near = [_widened(values) for values in strengths]
    weaker, stronger = np.minimum(near[0], near[1]), np.maximum(near[0], near[1])
    joint = np.maximum(np.sqrt(weaker * stronger), np.where(weaker >= _HARDLY, _ALONE * stronger, 0.0))
    joint[deepest:] = 0.0
    found = []
    for _ in range(_MOST):
        depth = int(joint.argmax())
        strength = float(joint[depth])
        if strength < _FAINT:
            break
        joint[max(0, depth - 3) : depth + 4] = 0.0
        edges = []
        for lines, values in zip(views, strengths, strict=True):
            low = max(0, depth - 1)
            at = low + int(values[low : depth + 2].argmax())
            kind = _smooth_kind(lines[:, : max(1, at - 1)])
            edges.append(Edge(first=max(1, at - 1), last=at + 1, strength=float(values[at]), kind=kind))
        found.append((strength, edges[0], edges[1]))
    return found


def seam_layers(
    small: Small, cells: Cells, pairs: Sequence[list[Pair]], *, is_second: bool, is_first: bool
) -> list[SeamLayer]:
    """Put seams of the two pairs of sides together; borders as wide on all sides gain.

    Parameters
    ----------
    small, cells
        As for `smooth_edges`.
    pairs : sequence of list of (float, Edge, Edge)
        From `smooth_edges`, of each of `PAIRS`.
    is_second : bool
        Whether the other pair of sides was found to have smooth borders: then less is asked of these.
    is_first : bool
        Whether nothing was cut off before. Round a whole picture, what lies outside may be a copy of what lies inside;
        that bears a faint seam out, and without it one that is not clear counts for nothing.

    Returns
    -------
    list of SeamLayer
        At most three, the strongest first.
    """
    least = _SECOND_SEAM if is_second else _SEAM
    found: list[SeamLayer] = []
    unsure: list[SeamLayer] = []
    for layer in _layers(small, cells, pairs, least):
        is_gradient = all(edge.kind == "gradient" for edge in layer.edges.values())
        if is_gradient or not is_first:
            found += [layer] if layer.is_seen else []
        elif min(edge.first for edge in layer.edges.values()) >= _THINNEST_COPY:
            unsure.append(layer)
        elif layer.is_seen:
            found.append(layer)
    unsure.sort(key=lambda layer: -layer.strength)
    for layer in unsure[:_MOST_UNSURE]:
        content = _content(cells, layer.edges)
        if min(content[2] - content[0], content[3] - content[1]) < LEAST_CELLS:
            continue
        echoed = echo(small, cells, content, layer.edges)
        if echoed >= _ECHO - _ECHO_SPARED * layer.seam:
            found.append(replace(layer, strength=layer.strength + _GAIN_OF_ECHO))
        elif layer.is_seen and (layer.seam >= CLEAR_SEAM or echoed >= _SOME_ECHO):
            found.append(layer)
    found.sort(key=lambda layer: -layer.strength)
    return found[:_MOST_LAYERS]


def _layers(small: Small, cells: Cells, pairs: Sequence[list[Pair]], least: float) -> Iterator[SeamLayer]:
    """Give every layer that seams of one or of both pairs make."""
    tall, wide = cells[3] - cells[1], cells[2] - cells[0]
    across, down = pairs
    for x_strength, left, right in across:
        for y_strength, top, bottom in down:
            in_pixels = abs(left.first * small.cell[1] - top.first * small.cell[0]) <= 2 * max(small.cell)
            in_shares = abs(left.first * tall - top.first * wide) <= 2 * max(tall, wide)
            seam = 0.5 * (x_strength + y_strength)
            is_seen = min(x_strength, y_strength) >= _SECOND_SEAM and max(x_strength, y_strength) >= least
            if is_seen or in_pixels or in_shares:
                edges = dict(zip(SIDES, (left, top, right, bottom), strict=True))
                strength = seam + (0.3 if in_pixels or in_shares else 0.1)
                yield SeamLayer(edges=edges, seam=seam, strength=strength, is_seen=is_seen)
    for pair, sides in zip(pairs, PAIRS, strict=True):
        for seam, one, other in pair:
            edges = dict(zip(sides, (one, other), strict=True))
            yield SeamLayer(edges=edges, seam=seam, strength=seam, is_seen=seam >= least)


def _content(cells: Cells, edges: Edges) -> Cells:
    """Cells inside some borders; the line on which a border ends is in neither."""
    depths = {side: edge.first + 1 for side, edge in edges.items()}
    x0, y0 = cells[0] + depths.get("left", 0), cells[1] + depths.get("top", 0)
    return x0, y0, cells[2] - depths.get("right", 0), cells[3] - depths.get("bottom", 0)


def _widened(values: Values) -> Values:
    """Give each line the greatest of its own strength and those beside it; the first and last are beside each other."""
    ring = np.concatenate((values[-1:], values, values[:1]))
    widened: Values = np.maximum(np.maximum(ring[:-2], values), ring[2:])
    return widened


def _smooth_kind(outer: Values) -> Kind:
    """Tell a gradient, whose lines are ramps, from a blurred picture."""
    return "gradient" if kernels.ramp_rest(outer[0]) < _RAMP else "blurred"
