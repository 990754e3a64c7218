"""Seams between a smooth border, a gradient or a blurred copy of the picture, and the content.

Lines are seen from one side inwards, as in `hashmatch.views._edges`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hashmatch.views._edges import DEEPEST, Edge, Kind, Values, central

__all__ = ["smooth_edges"]

_CAP: Final = 24.0  # grey levels; a step counts no more, or one object would make a seam
_FAR: Final = 24  # lines looked at outside and inside of a seam
_SMOOTH: Final = 3.0  # mean second difference, grey levels
_SHARPER: Final = 1.5
_DULL: Final = 0.35
_UNSEEN: Final = 0.8
_SEAM: Final = 2.0
_SECOND_SEAM: Final = 1.2


def smooth_edges(one: Values, other: Values, *, second: bool = False) -> tuple[Edge, Edge] | None:
    """Find the seams between a smooth border, a gradient or a blurred picture, and the content, on opposite sides.

    Parameters
    ----------
    one, other : (channels, n, m) int16 array
        The small copy seen from a side and from the opposite one.
    second : bool
        Whether the other pair of sides was found to have such borders; fainter seams then do.

    Returns
    -------
    (Edge, Edge) or None
        Seams equally far from both sides. One of them may be too faint to be seen, and is then put there.
    """
    deepest = int(DEEPEST * one.shape[1])
    if deepest < 6 or one.shape[2] < 16:
        return None
    if max(_texture(one[:, :2]).mean(), _texture(other[:, :2]).mean()) > _SMOOTH:
        return None
    strengths = [_seams(np.ascontiguousarray(lines[:, : deepest + 4])) for lines in (one, other)]
    near = [np.max([np.roll(values, shift) for shift in (-1, 0, 1)], axis=0) for values in strengths]
    joint = np.sqrt(near[0] * near[1])
    joint[deepest:] = 0.0
    depth = int(joint.argmax())
    if joint[depth] < (_SECOND_SEAM if second else _SEAM):
        return None
    edges = []
    for lines, values in zip((one, other), strengths, strict=True):
        low = max(0, depth - 1)
        at = low + int(values[low : depth + 2].argmax())
        kind = _smooth_kind(lines[:, : max(1, at - 1)])
        edges.append(Edge(first=max(1, at - 1), last=at + 1, strength=float(values[at]), kind=kind))
    return edges[0], edges[1]


def _texture(lines: Values) -> Values:
    """Mean second difference of brightness along each line, capped."""
    luma = lines[0]
    curve = np.abs(luma[:, 2:] - 2 * luma[:, 1:-1] + luma[:, :-2])
    means: Values = np.minimum(curve, int(2 * _CAP)).mean(axis=1)
    return means


def _seams(lines: Values) -> Values:
    """Say for each line how far the step before it stands out from the steps outside; 0 where the outside is rough."""
    texture, length = _texture(lines), lines.shape[1]
    place = np.arange(length)
    sums = np.cumsum(texture)
    outside = sums / (place + 1)
    ahead = np.minimum(length - 1, place + _FAR)
    inside = (sums[ahead] - sums) / np.maximum(1, ahead - place)
    middle, inner = central(lines), place[3:-1]
    seams = np.full(length, _UNSEEN)
    for gap in (1, 2):  # a seam within a cell shows as two small steps
        steps = np.zeros(length)
        steps[gap:] = np.minimum(np.abs(middle[:, gap:] - middle[:, :-gap]).max(axis=0), int(_CAP)).mean(axis=1)
        held = np.concatenate([np.full(_FAR + gap, np.nan), steps])
        windows = np.lib.stride_tricks.sliding_window_view(held, _FAR)[inner - 1]  # up to the step gap + 1 before
        known = ~np.isnan(windows)
        count, kept = np.maximum(1, known.sum(axis=1)), np.where(known, windows, 0.0)
        usual = kept.sum(axis=1) / count + 0.5 * kept.max(axis=1) + 0.3 + 3.0 / count
        seams[inner] = np.maximum(seams[inner], (steps[inner + gap - 1] - 0.5) / usual)
    # content in focus is sharper than a blurred border, which edges of out-of-focus things are not
    seams[2:][inside[2:] < _SHARPER * outside[:-2]] *= _DULL
    seams[2:][outside[1:-1] > _SMOOTH] = 0.0
    seams[:3] = 0.0
    return seams


def _smooth_kind(outer: Values) -> Kind:
    """Tell a gradient, whose lines are ramps, from a blurred picture."""
    luma = outer[0].astype(np.float32)
    ramp = np.linspace(-1.0, 1.0, luma.shape[1], dtype=np.float32)
    slope = (luma * ramp).sum(axis=1, keepdims=True) / np.float32((ramp * ramp).sum())
    rest = luma - luma.mean(axis=1, keepdims=True) - slope * ramp
    return "gradient" if float(np.abs(rest).mean()) < 3.0 else "blurred"
