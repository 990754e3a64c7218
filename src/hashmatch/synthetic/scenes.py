"""Photo-like pictures: dead leaves over a lit ground, portraits, and scenes with almost no texture.

The photo kind is a dead-leaves model [1]_: opaque shapes, whose sizes follow a power law, hide one another, each with
its own colour, shading, texture and depth. Light, defocus by depth, the lens, the tone curve and sensor noise are
applied after that. ``python -m benchmarks synthetic_ladder`` measures how close the result is to real pictures.

References
----------
.. [1] A. Lee, D. Mumford, J. Huang, "Occlusion models for natural images", International Journal of Computer
   Vision 41, 2001.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.synthetic._draw import Draw, Floats, blur, double, ellipse, fractal, planar, soften

__all__ = ["low_texture", "photo", "portrait"]


_Singles = npt.NDArray[np.float32]
_WINDOWS: Final = (3, 7, 16)
"""Half sides, px, of the windows in which small leaves are laid together."""


@dataclass(frozen=True, slots=True)
class _Leaves:
    """Leaves, the farthest first; leaf 0 is the ground. Lengths are in units of the scene's side."""

    middle: Floats
    radius: Floats
    depth: Floats


def _scatter(draw: Draw, extent: Floats, busy: float = 1.0) -> _Leaves:
    """Choose where leaves lie: some large ones anywhere, and small ones that mostly gather round a few places."""
    large, small = round(draw.log(2, 40)), round(busy * draw.log(14, 800))
    steepness = draw.real(1.0, 2.5)
    low, high = draw.log(0.008, 0.02) ** -steepness, 0.12**-steepness
    radius = np.concatenate(
        [0.07 * 9.0 ** (draw.reals(large) ** 1.3), (low + (high - low) * draw.reals(small)) ** (-1.0 / steepness)]
    )
    count = large + small
    middle = draw.reals((count, 2), -0.05, 1.05) * extent
    nests = draw.reals((draw.whole(1, 6), 2)) * extent
    near = nests[draw.wholes(count, 0, len(nests) - 1)] + draw.real(0.03, 0.2) * draw.noise((count, 2))
    gathered = (draw.reals(count) < draw.real(0.6, 1.0)) & (np.arange(count) >= large)
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
    flat = 0.3 + 0.7 * draw.reals(count)
    bend = draw.reals((3, count), -1.0, 1.0).astype(np.float32)
    reach = leaves.radius * side
    # Rows of the maps from pixels to the leaf's own axes, u along it and v across it.
    along = np.stack([np.sin(angle), np.cos(angle)]) / reach
    aside = np.stack([np.cos(angle), -np.sin(angle)]) / (reach * flat)
    along, aside = along.astype(np.float32), aside.astype(np.float32)
    y, x = leaves.middle[:, 0] * side, leaves.middle[:, 1] * side
    reach[0] = 0.0

    # The leaf seen is the one of the highest number, so small leaves can be done together and large ones singly.
    covered, number = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    for smaller, half in pairwise((0, *_WINDOWS)):
        offset = np.arange(-half, half + 1)
        for kind in range(5):
            which = np.flatnonzero((form == kind) & (reach <= half) & (reach > smaller))
            rows = (np.rint(y[which]).astype(np.intp)[:, None] + offset)[:, :, None]
            columns = (np.rint(x[which]).astype(np.intp)[:, None] + offset)[:, None]
            of = which[:, None, None]
            down, across = (rows - y[of]).astype(np.float32), (columns - x[of]).astype(np.float32)
            u = along[0, of] * down + along[1, of] * across
            v = aside[0, of] * down + aside[1, of] * across
            inside = _inside(kind, u, v, bend[:, of])
            inside &= (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            covered.append((rows * width + columns)[inside])
            number.append(np.repeat(which, np.count_nonzero(inside, axis=(1, 2))))
    at, seen = np.concatenate(covered), np.concatenate(number)
    order = np.argsort(seen, kind="stable")
    label = np.zeros(height * width, dtype=np.int16)
    label[at[order]] = seen[order]
    label = label.reshape(shape)
    # Half sides of the upright box round a leaf, whose points have u and v of at most 1.
    sine, cosine = np.abs(np.sin(angle)), np.abs(np.cos(angle))
    tall, wide = reach * np.minimum(1.0, sine + flat * cosine), reach * np.minimum(1.0, cosine + flat * sine)
    for i in np.flatnonzero(reach > _WINDOWS[-1]):
        top, bottom = max(0, int(y[i] - tall[i])), min(height, int(y[i] + tall[i]) + 2)
        left, right = max(0, int(x[i] - wide[i])), min(width, int(x[i] + wide[i]) + 2)
        if top >= bottom or left >= right:
            continue
        down = (np.arange(top, bottom) - y[i]).astype(np.float32)[:, None]
        across = (np.arange(left, right) - x[i]).astype(np.float32)[None]
        u = along[0, i] * down + along[1, i] * across
        v = aside[0, i] * down + aside[1, i] * across
        patch = label[top:bottom, left:right]
        np.maximum(patch, _inside(int(form[i]), u, v, bend[:, i]) * np.int16(i), out=patch)
    return label.astype(np.intp)


def _inside(form: int, u: _Singles, v: _Singles, bend: _Singles) -> npt.NDArray[np.bool_]:
    """Whether points are inside a leaf of one of five forms: disc, box, shard, blob or strip."""
    inside: npt.NDArray[np.bool_]
    if form == 0:
        inside = u * u + v * v < 1.0
    elif form == 1:
        inside = np.maximum(np.abs(u), np.abs(v)) < np.float32(0.72)
    elif form == 2:
        inside = (np.abs(v) < np.float32(0.8)) & (v + bend[0] * u < np.float32(0.6))
        inside &= (v - u > np.float32(-0.7)) & (np.abs(u) < np.float32(0.9))
    elif form == 3:
        square = u * u
        v = v + bend[1] * u * (np.float32(1.2) - square)
        inside = square + v * v * (bend[0] * u + np.float32(1.2)) < np.float32(0.9)
    else:
        v = v + np.float32(0.5) * bend[0] * (u * u - np.float32(0.5))
        inside = (np.abs(v) < np.abs(bend[1]) * np.float32(0.18) + np.float32(0.06)) & (np.abs(u) < np.float32(0.95))
    return inside


def photo(draw: Draw, shape: tuple[int, int]) -> Any:
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
    tone = np.exp(draw.real(0.5, 1.0) * draw.noise((count,)))[:, None]
    colour = hues[draw.wholes(count, 0, 1)] * tone * (1.0 + 0.15 * draw.reals((count, 3), -1.0, 1.0))
    colour += draw.real(0.0, 0.4) * leaves.depth[:, None] ** 2 * (draw.colour(0.15, 120.0, 220.0) - colour)

    slant = draw.noise((count, 2)) * draw.real(0.1, 0.4) / np.maximum(leaves.radius, 0.05)[:, None]
    flat = 1.0 - (slant * leaves.middle).sum(axis=1)
    down, across = (np.arange(height) / side)[:, None], (np.arange(width) / side)[None]
    light = _gather(flat, label)
    light += _gather(slant[:, 0], label) * down.astype(np.float32)
    light += _gather(slant[:, 1], label) * across.astype(np.float32)
    np.clip(light, 0.35, 1.7, out=light)
    textured = draw.reals(count) < draw.real(0.0, 0.5)
    gain = np.where(textured, 0.06 * 8.0 ** draw.reals(count), 0.001 * 10.0 ** draw.reals(count))
    light += _gather(gain, label) * fractal(draw, shape, draw.real(0.3, 1.0), lowest=12.0).astype(np.float32)
    light *= _shade(draw, shape, draw.real(0.01, 0.15))

    image = _gather(colour, label)
    image *= light[..., None]
    return _develop(draw, _focus(draw, image, _gather(leaves.depth, label), side))


def _gather(table: Floats, label: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    """Give each pixel its leaf's number or colour."""
    if table.ndim == 1:
        return np.take(table.astype(np.float32), label)
    out: _Singles = planar((*label.shape, 3), np.float32)
    for channel in range(3):
        np.take(table[:, channel].astype(np.float32), label, out=out[..., channel], mode="clip")
    return out


def _shade(draw: Draw, shape: tuple[int, int], strength: float) -> npt.NDArray[np.float32]:
    """Make light and shadow that lie over the whole scene, painted on a grid of a quarter of the size."""
    coarse = fractal(draw, (shape[0] // 4 + 1, shape[1] // 4 + 1), 2.0)
    fine: npt.NDArray[np.float32] = double(double(np.exp(strength * coarse).astype(np.float32)))
    return fine[: shape[0], : shape[1]]


def _focus(draw: Draw, image: Any, depth: npt.NDArray[np.float32], side: float) -> Any:
    """Blur what is far from the plane of focus, then all by the lens."""
    sharp, steep, sigma = draw.real(0.0, 0.7), draw.real(1.0, 4.0), draw.log(0.0006, 0.004) * side
    soften(image, out=image)
    if sigma < 0.4:
        return image
    away = np.abs(depth[::2, ::2] - np.float32(sharp))
    away *= np.float32(steep)
    away -= np.float32(0.3)
    mix = double(soften(np.clip(away, 0.0, 1.0, out=away)))[: image.shape[0], : image.shape[1]]
    far = blur(image, sigma)
    far -= image
    far *= mix[..., None]
    image += far
    return image


def _develop(draw: Draw, image: Any) -> Any:
    """Set exposure and contrast, roll the ends off and add sensor noise."""
    grey = image[::2, ::2].mean(axis=2, dtype=np.float64)
    middle, spread = float(grey.mean()), max(float(grey.std()), 1.0)
    gain = draw.log(26.0, 120.0) / spread / 127.5
    image *= np.float32(gain)
    image += np.float32(draw.real(-0.33, 0.18) - gain * middle)
    bound = image * image
    bound *= np.float32(0.6)
    bound += np.float32(1.0)
    image /= np.sqrt(bound, out=bound)
    image *= np.float32(150.0)
    image += np.float32(127.5)
    image += np.float32(draw.log(0.3, 1.5)) * draw.grain(image.shape[:2])[..., None]
    return image


def portrait(draw: Draw, shape: tuple[int, int]) -> Any:
    """Paint head and shoulders before a blurred ground.

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
    side = float(min(shape))
    extent = np.array([height, width]) / math.sqrt(height * width)
    leaves = _scatter(draw, extent, busy=0.2)
    colours = np.stack([draw.colour(0.3, 40.0, 200.0) for _ in range(len(leaves.radius))])
    image = blur(_gather(colours, _lay(draw, leaves, shape)), draw.log(0.012, 0.04) * side)
    image *= _shade(draw, shape, 0.2)[..., None]

    skin = np.array([225.0, 172.0, 140.0]) * draw.real(0.35, 1.08) * (1.0 + 0.08 * draw.reals(3, -1.0, 1.0))
    hair, cloth = draw.colour(0.35, 15.0, 150.0), draw.colour(0.7, 25.0, 220.0)
    r = draw.real(0.15, 0.27) * side
    y, x = draw.real(0.34, 0.46) * height, draw.real(0.38, 0.62) * width
    tall, lean = draw.real(1.15, 1.4), draw.real(-0.15, 0.15) * r
    long = draw.real(1.0, 1.9)
    ellipse(image, (y + 0.15 * r * long, x), (tall * r * long * 0.95, 1.18 * r), hair, soft=3.0)
    ellipse(image, (y + 3.6 * r, x - lean), (2.1 * r, draw.real(2.0, 2.6) * r), cloth, soft=2.0)
    _pattern(draw, image, cloth, slice(int(min(y + 1.9 * r, height)), height))
    ellipse(image, (y + 1.35 * r, x), (0.75 * r, 0.48 * r), 0.8 * skin, soft=3.0)
    ellipse(image, (y, x), (tall * r, r), skin, soft=3.0)
    ellipse(image, (y - 0.95 * tall * r, x + lean), (draw.real(0.3, 0.5) * r, draw.real(0.8, 1.0) * r), hair, soft=3.0)
    gap, eye = draw.real(0.36, 0.46) * r, draw.real(0.08, 0.12) * r
    for turn in (-1.0, 1.0):
        at = x + lean + turn * gap
        ellipse(image, (y - 0.32 * r, at), (0.05 * r, 0.24 * r), 0.7 * hair + 0.2 * skin)
        ellipse(image, (y - 0.1 * r, at), (eye, 1.7 * eye), (238.0, 236.0, 232.0))
        ellipse(image, (y - 0.1 * r, at + 0.3 * lean), (eye, eye), draw.colour(0.5, 25.0, 110.0))
        ellipse(image, (y + 0.25 * r, x + lean + turn * 0.12 * r), (0.05 * r, 0.07 * r), 0.6 * skin)
    ellipse(image, (y + 0.12 * r, x + lean), (0.22 * r, 0.08 * r), 1.12 * skin, soft=4.0)
    mouth = draw.real(0.04, 0.12) * r
    ellipse(image, (y + 0.6 * r, x + lean), (mouth, draw.real(0.22, 0.4) * r), skin * np.array([0.85, 0.5, 0.5]))

    down, across = np.arange(height)[:, None] - y, np.arange(width)[None] - x
    lamp = draw.reals(2, -1.0, 1.0)
    light = 1.0 + 0.3 * (lamp[0] * down + lamp[1] * across) / (np.sqrt(down * down + across * across) + 0.8 * side)
    image *= (light * (1.0 + 0.02 * fractal(draw, shape, 0.9, lowest=6.0))).astype(np.float32)[..., None]
    return _develop(draw, soften(image))


def _pattern(draw: Draw, image: Any, colour: Floats, rows: slice) -> None:
    """Weave stripes or checks into what has the colour of the cloth."""
    part = image[rows]
    if part.size == 0:
        return
    worn = np.abs(part - colour.astype(np.float32)).max(axis=2) < 1.0
    step = draw.whole(4, 24) * max(image.shape[0], 256) // 256
    down, across = np.arange(part.shape[0])[:, None], np.arange(part.shape[1])[None]
    weave = (across // step) % 2 if draw.yes(0.5) else ((across // step) + (down // step)) % 2
    part[worn & (weave == 1)] *= np.float32(draw.real(0.6, 1.3))


def low_texture(draw: Draw, shape: tuple[int, int]) -> Any:
    """Paint a scene with almost nothing in it: a clear or cloudy sky, a sea, a wall, a mist.

    Parameters
    ----------
    draw : Draw
        Stream of random numbers.
    shape : (int, int)
        Height and width, px.

    Returns
    -------
    (H, W, 3) float64 array
        RGB, not yet clipped to 0..255.
    """
    height, width = shape
    side = math.sqrt(height * width)
    down, across = (
        ((np.arange(height) + 0.5) / height)[:, None, None],
        ((np.arange(width) + 0.5) / width)[None, :, None],
    )
    first, last = draw.colour(0.3, 90.0, 230.0), draw.colour(0.3, 60.0, 220.0)
    scene = draw.pick(("gradient", "clouds", "sea", "wall"))
    tilt = draw.real(-0.4, 0.4) if scene == "gradient" else 0.0
    image: Floats = first + np.clip(down * (1.0 - abs(tilt)) + across * tilt, 0.0, 1.0) * (last - first)
    if scene == "clouds":
        cover = np.clip(0.6 * fractal(draw, shape, 1.9, lowest=2.0) - draw.real(-0.2, 0.8), 0.0, 1.0)[..., None]
        image += cover * (np.array([245.0, 245.0, 248.0]) - image)
    elif scene == "sea":
        horizon = draw.real(0.3, 0.75)
        below = np.clip((down - horizon) * height + 0.5, 0.0, 1.0)
        image += below * (0.6 * draw.colour(0.4, 60.0, 160.0) * (1.0 + 0.6 * (down - horizon)) - image)
    elif scene == "wall":
        image = np.broadcast_to(first, image.shape) * (1.0 + 0.02 * fractal(draw, shape, 0.8)[..., None])
    if draw.yes(0.4):
        radius = draw.real(0.02, 0.09) * side
        at = (draw.real(0.1, 0.6) * height, draw.real(0.1, 0.9) * width)
        ellipse(image, at, (radius, radius), draw.colour(0.1, 160.0, 255.0), soft=draw.real(1.5, 0.8 * radius + 2.0))
    fall = draw.real(0.0, 0.5)
    image *= 1.0 - fall * ((down - 0.5) ** 2 + (across - 0.5) ** 2)
    return image + draw.log(0.2, 1.2) * draw.grain(shape)[..., None]
