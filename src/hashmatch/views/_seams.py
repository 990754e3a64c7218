"""Seams between a smooth border, a gradient or a blurred copy of the picture, and the content.

Lines are seen from one side inwards, as in `hashmatch.views._edges`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hashmatch.kernels import borders as kernels
from hashmatch.kernels.reference_borders import SMOOTH
from hashmatch.views._edges import Cells, Edge, Kind, Small, Values, ends_of, from_side

__all__ = ["smooth_edges"]

_DEEPEST: Final = 0.36  # a picture of 9:16 on one of 16:9 leaves 34 % at each side
_MOST: Final = 6
_FAINT: Final = 0.06
_ALONE: Final = 0.6  # of a clear seam's strength counts where the opposite one is hardly there
_HARDLY: Final = 0.05
_RAMP: Final = 3.0  # grey levels that a gradient lies off a ramp


def smooth_edges(small: Small, cells: Cells, sides: tuple[str, str]) -> list[tuple[float, Edge, Edge]]:
    """Find the seams between a smooth border, a gradient or a blurred picture, and the content, on opposite sides.

    Parameters
    ----------
    small : Small
        The small copy.
    cells : (int, int, int, int)
        The part of it to look at: x0, y0, x1, y1.
    sides : (str, str)
        Two opposite ones of `hashmatch.views._edges.SIDES`.

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


def _widened(values: Values) -> Values:
    """Give each line the greatest of its own strength and those beside it; the first and last are beside each other."""
    ring = np.concatenate((values[-1:], values, values[:1]))
    widened: Values = np.maximum(np.maximum(ring[:-2], values), ring[2:])
    return widened


def _smooth_kind(outer: Values) -> Kind:
    """Tell a gradient, whose lines are ramps, from a blurred picture."""
    return "gradient" if kernels.ramp_rest(outer[0]) < _RAMP else "blurred"
