"""Seams between a smooth border, a gradient or a blurred copy of the picture, and the content.

Lines are seen from one side inwards, as in `hashmatch.views._edges`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hashmatch.views._edges import Edge, Kind, Values, central

__all__ = ["smooth_edges"]

_DEEPEST: Final = 0.36  # a picture of 9:16 on one of 16:9 leaves 34 % at each side
_CAP: Final = 24.0  # grey levels; a step counts no more, or one object would make a seam
_FAR: Final = 24  # lines looked at outside and inside of a seam
_SMOOTH: Final = 3.0  # mean second difference, grey levels
_SHARPER: Final = 1.25
_DULL: Final = 0.35
_MOST: Final = 3
_FAINT: Final = 0.1
_DIM: Final = 0.03  # what an unseen seam counts, so that the opposite one is not lost
_SPIKE: Final = 2.5  # times the usual step
_NOISE: Final = 0.75  # grey levels
_SCALE: Final = 2.0  # grey levels above which a step is clear
_BACK: Final = (2, 3, 4, 5, 8, 16)  # lines back; steps of JPEG's blocks repeat after eight


def smooth_edges(one: Values, other: Values) -> list[tuple[float, Edge, Edge]]:
    """Find the seams between a smooth border, a gradient or a blurred picture, and the content, on opposite sides.

    Parameters
    ----------
    one, other : (channels, n, m) int16 array
        The small copy seen from a side and from the opposite one.

    Returns
    -------
    list of (float, Edge, Edge)
        At most three times a strength from 0 to 1, and seams equally far from both sides; the strongest first. One of
        them may be too faint to be seen, and is then put there.

    Notes
    -----
    What is pasted on a smooth ground ends in a straight line: the step there stands out, at most places along it, from
    the steps just outside at the same place. The strength is the share of such places, the geometric mean of both
    sides. Objects seldom have edges as straight, as long and as far from both sides.
    """
    deepest = int(_DEEPEST * one.shape[1])
    if deepest < 6 or one.shape[2] < 16:
        return []
    if max(_texture(one[:, :2]).mean(), _texture(other[:, :2]).mean()) > _SMOOTH:
        return []
    strengths = [_seams(np.ascontiguousarray(lines[:, : deepest + 4])) for lines in (one, other)]
    near = [np.max([np.roll(values, shift) for shift in (-1, 0, 1)], axis=0) for values in strengths]
    joint = np.sqrt(near[0] * near[1])
    joint[deepest:] = 0.0
    found = []
    for _ in range(_MOST):
        depth = int(joint.argmax())
        strength = float(joint[depth])
        if strength < _FAINT:
            break
        joint[max(0, depth - 3) : depth + 4] = 0.0
        edges = []
        for lines, values in zip((one, other), strengths, strict=True):
            low = max(0, depth - 1)
            at = low + int(values[low : depth + 2].argmax())
            kind = _smooth_kind(lines[:, : max(1, at - 1)])
            edges.append(Edge(first=max(1, at - 1), last=at + 1, strength=float(values[at]), kind=kind))
        found.append((strength, edges[0], edges[1]))
    return found


def _texture(lines: Values) -> Values:
    """Mean second difference of brightness along each line, capped."""
    luma = lines[0]
    curve = np.abs(luma[:, 2:] - 2 * luma[:, 1:-1] + luma[:, :-2])
    means: Values = np.minimum(curve, int(2 * _CAP)).mean(axis=1)
    return means


def _seams(lines: Values) -> Values:
    """Say for each line along how much of it a step stands out from those outside; 0 where the outside is rough."""
    texture, length = _texture(lines), lines.shape[1]
    place = np.arange(length)
    sums = np.cumsum(texture)
    outside = sums / (place + 1)
    ahead = np.minimum(length - 1, place + _FAR)
    inside = (sums[ahead] - sums) / np.maximum(1, ahead - place)
    middle = central(lines)
    single = np.zeros((length, middle.shape[2]), middle.dtype)
    single[1:] = np.abs(np.diff(middle, axis=1)).max(axis=0)
    double = np.zeros_like(single)
    double[1:-1] = np.abs(middle[:, 2:] - middle[:, :-2]).max(axis=0)
    usual = np.zeros_like(single)
    for back in [lag for lag in _BACK if lag < length]:
        usual[back:] = np.maximum(usual[back:], single[: length - back])
    usual = usual * np.float32(_SPIKE) + np.float32(_NOISE)
    seams = np.full(length, _DIM)
    for steps in (single, double):
        clear = np.clip((steps - usual) * np.float32(1 / _SCALE), 0.0, 1.0).mean(axis=1)
        seams[3:-1] = np.maximum(seams[3:-1], clear[3:-1])
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
