"""Patterns, plain pictures and faint pictures, which a matcher must not take for each other.

Perceptual hashes are made for scenes. A checkerboard, a flag or a receipt has a hash too, but it depends on a few signs
or on rounding noise, and a list that holds such hashes reports many such pictures. This module makes the negatives for
that.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from hashmatch.synthetic._draw import Draw, Floats, Pixels, blur, fractal, rectangle, to_pixels
from hashmatch.synthetic._glyphs import paint_text, sentence

__all__ = ["PATTERN_KINDS", "PLAIN_KINDS", "pattern"]

_SMALLEST: Final = 16


def pattern(kind: str, seed: int, size: tuple[int, int] = (256, 256)) -> Pixels:
    """Make a patterned, plain or faint picture; the same kind, seed and size always give the same bytes.

    Parameters
    ----------
    kind : str
        One of `PATTERN_KINDS`.
    seed : int
        Seed, 0 or more. Different seeds give other periods, angles, phases, colours and contents.
    size : (int, int)
        Height and width, px, each at least 16.

    Returns
    -------
    (H, W, 3) uint8 array
        RGB, owned by the caller.

    Raises
    ------
    ValueError
        If the kind is unknown, the seed negative or the size too small.

    Examples
    --------
    >>> from hashmatch import synthetic
    >>> synthetic.pattern("checkerboard", seed=7, size=(120, 160)).shape
    (120, 160, 3)
    """
    if kind not in _MAKERS:
        raise ValueError(f"kind must be one of {', '.join(_MAKERS)}, not {kind!r}")
    if seed < 0 or min(size) < _SMALLEST:
        raise ValueError(f"a pattern has a seed of 0 or more and sides of {_SMALLEST} px or more")
    draw = Draw(PATTERN_KINDS.index(kind), seed, *size, 77)
    image = _MAKERS[kind](draw, size)
    if draw.yes(0.3):
        image = image + draw.log(0.3, 2.0) * draw.noise(image.shape)
    return to_pixels(image)


def _grid(draw: Draw, size: tuple[int, int], *, turned: bool = False) -> tuple[Floats, Floats]:
    """Give the coordinates of the pixels from a chance phase, px; turned by a chance angle if asked."""
    y, x = np.meshgrid(np.arange(size[0]) + draw.real(0, 300), np.arange(size[1]) + draw.real(0, 300), indexing="ij")
    angle = draw.real(0, math.pi) if turned else 0.0
    return y * math.cos(angle) - x * math.sin(angle), x * math.cos(angle) + y * math.sin(angle)


def _two(draw: Draw, mask: Floats) -> Floats:
    """Mix two colours of a chance contrast by a mask of 0 to 1."""
    first = draw.colour(0.4, 10.0, 245.0)
    second = draw.colour(0.4, 10.0, 245.0) if draw.yes(0.6) else first + draw.pick((-1.0, 1.0)) * draw.log(8.0, 90.0)
    return first + mask[..., None] * (second - first)


def _wave(draw: Draw, at: Floats, period: float, duty: float) -> Floats:
    """Make a wave along a coordinate, 0 to 1, of hard or soft edges."""
    if draw.yes(0.3):
        return 0.5 + 0.5 * np.sin(at * (2 * math.pi / period))
    return (np.mod(at / period, 1.0) < duty).astype(np.float64)


def _period(draw: Draw, size: tuple[int, int]) -> float:
    period = draw.log(2.0, max(size) / 2)
    return float(round(period)) if draw.yes(0.4) else period


def _checkerboard(draw: Draw, size: tuple[int, int]) -> Floats:
    y, x = _grid(draw, size, turned=draw.yes(0.3))
    tall = _period(draw, size)
    wide = tall if draw.yes(0.7) else _period(draw, size)
    return _two(draw, np.mod(np.floor(y / tall) + np.floor(x / wide), 2.0))


def _stripes(draw: Draw, size: tuple[int, int]) -> Floats:
    y, x = _grid(draw, size)
    return _two(draw, _wave(draw, y if draw.yes(0.5) else x, _period(draw, size), draw.real(0.1, 0.9)))


def _hatching(draw: Draw, size: tuple[int, int]) -> Floats:
    y, x = _grid(draw, size, turned=True)
    period, duty = _period(draw, size), draw.real(0.1, 0.9)
    mask = _wave(draw, y, period, duty)
    if draw.yes(0.4):
        mask = np.maximum(mask, _wave(draw, x, period, duty))
    return _two(draw, mask)


def _dots(draw: Draw, size: tuple[int, int]) -> Floats:
    y, x = _grid(draw, size, turned=draw.yes(0.5))
    period = max(3.0, _period(draw, size))
    row = np.floor(y / period)
    shift = 0.5 * np.mod(row, 2.0) if draw.yes(0.5) else 0.0
    away = np.hypot(np.mod(y / period, 1.0) - 0.5, np.mod(x / period + shift, 1.0) - 0.5)
    radius: Any = draw.real(0.1, 0.5)
    if draw.yes(0.3):  # a halftone of a gradient
        radius = np.linspace(0.05, 0.6, size[1])[None]
    return _two(draw, np.clip((radius - away) * period + 0.5, 0.0, 1.0))


def _lattice(draw: Draw, size: tuple[int, int]) -> Floats:
    y, x = _grid(draw, size, turned=draw.yes(0.2))
    period = max(4.0, _period(draw, size))
    line = draw.log(1.0, max(1.5, period / 4))
    return _two(draw, ((np.mod(y, period) < line) | (np.mod(x, period) < line)).astype(np.float64))


def _moire(draw: Draw, size: tuple[int, int]) -> Floats:
    period = max(2.0, _period(draw, (64, 64)))
    first = _wave(draw, _grid(draw, size, turned=True)[0], period, 0.5)
    second = _wave(draw, _grid(draw, size, turned=True)[0], period * draw.real(0.9, 1.1), 0.5)
    return _two(draw, np.mod(first + second, 2.0) if draw.yes(0.5) else 0.5 * (first + second))


def _rings(draw: Draw, size: tuple[int, int]) -> Floats:
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    away = np.hypot(y - draw.pick((0.0, draw.real(-1, 1))), x - draw.pick((0.0, draw.real(-1, 1))))
    kind = draw.whole(0, 2)
    if kind == 0:  # a zone plate, aliased where it is too fine
        return _two(draw, 0.5 + 0.5 * np.cos(away * away * draw.log(10.0, 400.0)))
    if kind == 1:
        return _two(draw, _wave(draw, away, draw.log(0.03, 0.8), 0.5))
    return _two(draw, _wave(draw, np.arctan2(y, x), 2 * math.pi / draw.whole(4, 48), 0.5))


def _chart(draw: Draw, size: tuple[int, int]) -> Floats:
    image = np.ones((*size, 3)) * draw.real(20.0, 200.0)
    rows, columns = draw.whole(1, 4), draw.whole(2, 10)
    for row in range(rows):
        for column in range(columns):
            colour = draw.colour(0.9, 0.0, 255.0) if draw.yes(0.6) else np.full(3, 255.0 * column / columns)
            rectangle(image, row / rows, column / columns, (row + 1) / rows, (column + 1) / columns, colour)
    return image


def _receipt(draw: Draw, size: tuple[int, int]) -> Floats:
    paper = draw.real(215.0, 252.0)
    image = np.full((*size, 3), paper)
    ink, line = paper - draw.log(3.0, 40.0), max(5, round(size[0] / draw.real(14.0, 40.0)))
    at = draw.whole(2, 2 * line)
    while at < size[0] - line:
        if draw.yes(0.8):
            paint_text(image, [sentence(draw, draw.whole(4, 30))], at, draw.whole(3, size[1] // 4), line, ink)
        at += round(line * draw.real(1.2, 2.2))
    return blur(image, draw.real(0.5, 1.5)) if draw.yes(0.5) else image


def _window(draw: Draw, size: tuple[int, int]) -> Floats:
    """Draw an editor's window or a web page with little on it: bars, and a few short lines."""
    light = draw.yes(0.8)
    ground = draw.real(235.0, 255.0) if light else draw.real(15.0, 45.0)
    image = np.full((*size, 3), ground)
    ink = ground + (-1 if light else 1) * draw.log(10.0, 160.0)
    rectangle(image, 0, 0, draw.real(0.03, 0.1), 1, ground + (-1 if light else 1) * draw.real(5.0, 60.0))
    if draw.yes(0.5):
        rectangle(image, 0, 0, 1, draw.real(0.03, 0.25), ground + (-1 if light else 1) * draw.real(3.0, 30.0))
    line = max(5, round(size[0] / draw.real(24.0, 48.0)))
    for _ in range(draw.whole(0, 8)):
        left, top = draw.whole(0, size[1] // 2), draw.whole(line * 2, size[0] - line)
        paint_text(image, [sentence(draw, draw.whole(3, 25))], top, left, line, ink)
    if draw.yes(0.4):
        rectangle(image, 0.95, 0, 1, 1, ground + (-1 if light else 1) * draw.real(5.0, 60.0))
    return image


def _map(draw: Draw, size: tuple[int, int]) -> Floats:
    """Draw thin contour lines of a smooth field on a plain ground, and a few roads."""
    image = np.full((*size, 3), draw.real(225.0, 250.0))
    field = fractal(draw, size, draw.real(2.5, 4.0)) * draw.real(1.0, 4.0)
    step = np.abs(np.mod(field, 1.0) - 0.5)
    line = np.clip(1.5 - step / (np.hypot(*np.gradient(field)) + 1e-9), 0.0, 1.0)
    image -= line[..., None] * draw.log(5.0, 90.0)
    for _ in range(draw.whole(0, 4)):
        y = _grid(draw, size, turned=True)[0]
        road = np.abs(y - y.mean() - draw.real(-0.4, 0.4) * size[0]) < draw.log(1.0, 6.0)
        image -= road[..., None] * draw.log(5.0, 120.0)
    return image


def _wall(draw: Draw, size: tuple[int, int]) -> Floats:
    return np.ones((*size, 3)) * draw.colour(0.3, 0.0, 255.0)


def _flag(draw: Draw, size: tuple[int, int]) -> Floats:
    bands = draw.whole(2, 5)
    image = np.zeros((*size, 3))
    down = draw.yes(0.5)
    for band in range(bands):
        edges = (band / bands, 0.0, (band + 1) / bands, 1.0)
        rectangle(image, *(edges if down else (edges[1], edges[0], edges[3], edges[2])), draw.colour(0.8, 0.0, 255.0))
    if draw.yes(0.3):  # a cross
        colour, at, wide = draw.colour(0.8), draw.real(0.3, 0.5), draw.real(0.05, 0.2)
        rectangle(image, 0.5 - wide / 2, 0, 0.5 + wide / 2, 1, colour)
        rectangle(image, 0, at - wide / 2, 1, at + wide / 2, colour)
    return image


def _gradient(draw: Draw, size: tuple[int, int]) -> Floats:
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    kind, angle = draw.whole(0, 3), draw.pick((0.0, math.pi / 2, draw.real(0, 2 * math.pi)))
    ramp = (y * math.cos(angle) + x * math.sin(angle)) / 2 + 0.5
    if kind == 1:  # a vignette
        ramp = 1 - draw.real(0.1, 0.5) * (y * y + x * x)
    elif kind == 2:  # a spot of light
        ramp = np.exp(-((y - draw.real(-0.8, 0.8)) ** 2 + (x - draw.real(-0.8, 0.8)) ** 2) / draw.real(0.1, 2.0))
    return _two(draw, np.clip(ramp, 0.0, 1.0))


def _sky(draw: Draw, size: tuple[int, int]) -> Floats:
    image = _gradient(draw, size) * 0.2 + 150.0
    return image + (fractal(draw, size, draw.real(1.5, 3.0)) * draw.log(0.3, 4.0))[..., None]


def _grain(draw: Draw, size: tuple[int, int]) -> Floats:
    return _wall(draw, size) + draw.log(0.5, 40.0) * draw.noise((*size, 3))


_PLAIN: Final = MappingProxyType({"wall": _wall, "flag": _flag, "gradient": _gradient, "sky": _sky, "grain": _grain})
_MAKERS: Final = MappingProxyType(
    {
        "checkerboard": _checkerboard,
        "stripes": _stripes,
        "hatching": _hatching,
        "dots": _dots,
        "lattice": _lattice,
        "moire": _moire,
        "rings": _rings,
        "chart": _chart,
        "receipt": _receipt,
        "window": _window,
        "map": _map,
        **_PLAIN,
    }
)

PLAIN_KINDS: Final = tuple(_PLAIN)
"""The kinds that have hardly anything to hash."""

PATTERN_KINDS: Final = tuple(_MAKERS)
"""Every kind. A kind's place is part of its seed, so new ones go to the end."""
