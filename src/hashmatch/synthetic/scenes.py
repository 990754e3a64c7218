"""Photo-like pictures: dead leaves over a lit ground, portraits, and scenes with almost no texture.

The photo kind is a dead-leaves model: opaque shapes with sizes that follow a power law hide one another, each with its own
colour, shading, texture and depth. Then come light, defocus by depth, the lens, the tone curve and sensor noise. How
close the result is to real pictures is measured by ``benchmarks/synthetic_ladder.py``.

References
----------
.. [1] A. Lee, D. Mumford, J. Huang, "Occlusion models for natural images", International Journal of Computer
   Vision 41, 2001.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.synthetic._draw import Draw, Floats, blur, double, ellipse, fractal, soften

__all__ = ["low_texture", "photo", "portrait"]


_WINDOWS: Final = (2, 4, 8, 16)
"""Half sides, px, of the windows in which small leaves are laid together."""


@dataclass(frozen=True, slots=True)
class _Leaves:
    """Leaves, the farthest first; leaf 0 is the ground. Lengths are in units of the scene's side."""

    middle: Floats
    radius: Floats
    depth: Floats


def _scatter(draw: Draw, extent: Floats) -> _Leaves:
    """Choose where leaves lie: some large ones anywhere, and small ones that mostly gather round a few places."""
    large, small = round(draw.log(4, 40)), round(draw.log(15, 700))
    steepness = draw.real(1.0, 2.5)
    low, high = draw.log(0.008, 0.02) ** -steepness, 0.12**-steepness
    radius = np.concatenate(
        [0.07 * 9.0 ** (draw.reals(large) ** 1.3), (low + (high - low) * draw.reals(small)) ** (-1.0 / steepness)]
    )
    count = large + small
    middle = draw.reals((count, 2), -0.05, 1.05) * extent
    nests = draw.reals((draw.whole(2, 7), 2)) * extent
    near = nests[draw.wholes(count, 0, len(nests) - 1)] + draw.real(0.05, 0.22) * draw.noise((count, 2))
    gathered = (draw.reals(count) < draw.real(0.4, 0.95)) & (np.arange(count) >= large)
    middle = np.where(gathered[:, None], near, middle)
    # Large leaves tend to lie behind, so that small ones are not all hidden.
    depth = draw.reals(count) ** np.where(np.arange(count) < large, 0.5, 1.4)
    order = np.argsort(-depth, kind="stable")
    return _Leaves(
        np.concatenate([[extent / 2.0], middle[order]]),
        np.concatenate([[0.5], radius[order]]),
        np.concatenate([[1.0], depth[order]]),
    )


def _lay(draw: Draw, leaves: _Leaves, shape: tuple[int, int]) -> npt.NDArray[np.intp]:
    """Lay the leaves down one over the other and return the number of the leaf seen at each pixel."""
    height, width = shape
    side = math.sqrt(height * width)
    count = len(leaves.radius)
    form, angle = draw.wholes(count, 0, 4), draw.reals(count, 0.0, math.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    flat = 0.3 + 0.7 * draw.reals(count)
    bend = draw.reals((3, count), -1.0, 1.0)
    reach = leaves.radius * side
    y, x = leaves.middle[:, 0] * side, leaves.middle[:, 1] * side
    # The leaf seen is the one of the highest number, so small leaves can be done together and large ones singly.
    covered, number = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    for half in _WINDOWS:
        for kind in range(5):
            which = np.flatnonzero((form == kind) & (reach <= half) & (reach > half // 2))
            which = which[which > 0]
            offset = np.arange(-half, half + 1)
            rows = (np.rint(y[which]).astype(np.int64)[:, None] + offset)[:, :, None]
            columns = (np.rint(x[which]).astype(np.int64)[:, None] + offset)[:, None]
            of = which[:, None, None]
            down, across = (rows - y[of]) / reach[of], (columns - x[of]) / reach[of]
            u = cosine[of] * across + sine[of] * down
            v = (cosine[of] * down - sine[of] * across) / flat[of]
            inside = _inside(kind, u, v, bend[:, of])
            inside &= (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            covered.append((rows * width + columns)[inside])
            number.append(np.broadcast_to(of, inside.shape)[inside])
    at, seen = np.concatenate(covered), np.concatenate(number)
    order = np.argsort(seen, kind="stable")
    label = np.zeros(height * width, dtype=np.intp)
    label[at[order]] = seen[order]
    label = label.reshape(shape)
    for i in np.flatnonzero(reach > _WINDOWS[-1]):
        top, bottom = max(0, int(y[i] - reach[i])), min(height, int(y[i] + reach[i]) + 2)
        left, right = max(0, int(x[i] - reach[i])), min(width, int(x[i] + reach[i]) + 2)
        if i == 0 or top >= bottom or left >= right:
            continue
        down = (np.arange(top, bottom) - y[i])[:, None] / reach[i]
        across = (np.arange(left, right) - x[i])[None] / reach[i]
        u = cosine[i] * across + sine[i] * down
        v = (cosine[i] / flat[i]) * down - (sine[i] / flat[i]) * across
        patch = label[top:bottom, left:right]
        np.maximum(patch, i * _inside(int(form[i]), u, v, bend[:, i]), out=patch)
    return label


def _inside(form: int, u: Floats, v: Floats, bend: Floats) -> npt.NDArray[np.bool_]:
    """Whether points are inside a leaf of one of five forms: disc, box, shard, blob or strip."""
    if form == 0:
        return u * u + v * v < 1.0
    if form == 1:
        return np.maximum(np.abs(u), np.abs(v)) < 0.72
    if form == 2:
        return (np.abs(v) < 0.8) & (v + bend[0] * u < 0.6) & (v - u > -0.7) & (np.abs(u) < 0.9)
    if form == 3:
        wavy = v + 0.35 * bend[1] * np.sin(4.0 * u + 3.0 * bend[2])
        return u * u + wavy * wavy * (1.0 + 0.8 * bend[0] * u) < 0.9
    return (np.abs(v + 0.5 * bend[0] * (u * u - 0.5)) < 0.06 + 0.18 * np.abs(bend[1])) & (np.abs(u) < 0.95)


def photo(draw: Draw, shape: tuple[int, int]) -> Floats:
    """Paint a photo-like picture.

    Parameters
    ----------
    draw : Draw
        Stream of random numbers.
    shape : (int, int)
        Height and width, px.

    Returns
    -------
    (H, W, 3) float32 array
        RGB, not yet clipped to 0..255.
    """
    height, width = shape
    side = math.sqrt(height * width)
    leaves = _scatter(draw, np.array([height / side, width / side]))
    label = _lay(draw, leaves, shape)
    count = len(leaves.radius)

    # Colours gather round two hues and hang on depth, as light and haze make them do.
    hues = np.stack([draw.colour(0.3, 70.0, 140.0) for _ in range(2)])
    tone = np.exp(draw.real(0.4, 0.8) * draw.noise((count,)))[:, None]
    colour = hues[draw.wholes(count, 0, 1)] * tone * (1.0 + 0.15 * draw.reals((count, 3), -1.0, 1.0))
    colour += draw.real(0.0, 0.6) * leaves.depth[:, None] ** 2 * (draw.colour(0.15, 120.0, 220.0) - colour)

    slant = draw.noise((count, 2)) * draw.real(0.1, 0.4) / np.maximum(leaves.radius, 0.05)[:, None]
    flat = 1.0 - (slant * leaves.middle).sum(axis=1)
    down, across = (np.arange(height) / side)[:, None], (np.arange(width) / side)[None]
    light = _gather(flat, label)
    light += _gather(slant[:, 0], label) * down.astype(np.float32)
    light += _gather(slant[:, 1], label) * across.astype(np.float32)
    np.clip(light, 0.35, 1.7, out=light)
    textured = draw.reals(count) < draw.real(0.0, 0.6)
    gain = np.where(textured, 0.04 * 10.0 ** draw.reals(count), 0.001 * 10.0 ** draw.reals(count))
    light += _gather(gain, label) * fractal(draw, shape, draw.real(0.5, 1.1), lowest=12.0).astype(np.float32)
    light *= _shade(draw, shape, draw.real(0.02, 0.2))

    image = _gather(colour, label)
    image *= light[..., None]
    return _develop(draw, _focus(draw, image, _gather(leaves.depth, label), side))


def _gather(table: Floats, label: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    return np.take(table.astype(np.float32), label, axis=0)


def _shade(draw: Draw, shape: tuple[int, int], strength: float) -> npt.NDArray[np.float32]:
    """Make light and shadow that lie over the whole scene, painted on a grid of a quarter of the size."""
    coarse = fractal(draw, (shape[0] // 4 + 1, shape[1] // 4 + 1), 2.0)
    fine: npt.NDArray[np.float32] = double(double(np.exp(strength * coarse).astype(np.float32)))
    return fine[: shape[0], : shape[1]]


def _focus(draw: Draw, image: Any, depth: npt.NDArray[np.float32], side: float) -> Any:
    """Blur what is far from the plane of focus, then all by the lens."""
    away = np.abs(depth - np.float32(draw.real(0.0, 0.7)))
    mix = np.clip(np.float32(draw.real(1.0, 4.0)) * away - np.float32(0.3), 0.0, 1.0)[..., None]
    image = soften(image)
    far = blur(image, draw.log(0.0006, 0.005) * side)
    far -= image
    far *= blur(mix, 2.0)
    image += far
    return image


def _develop(draw: Draw, image: Any) -> Any:
    """Set exposure and contrast, roll the ends off and add sensor noise."""
    grey = image[::2, ::2].mean(axis=2, dtype=np.float64)
    middle, spread = float(grey.mean()), max(float(grey.std()), 1.0)
    gain = draw.log(26.0, 110.0) / spread / 127.5
    image = (image - np.float32(middle)) * np.float32(gain) + np.float32(draw.real(-0.33, 0.18))
    image /= np.sqrt(1.0 + 0.6 * image * image)
    image *= np.float32(150.0)
    image += np.float32(127.5)
    image += np.float32(draw.log(0.3, 1.5)) * draw.grain(image.shape[:2])[..., None]
    return image
