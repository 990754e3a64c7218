"""Edits that add something to the picture, or place the picture in something: text, marks, frames, collages, a camera.

Every function takes an (H, W, 3) uint8 RGB array first, does not change it and returns a new array. A share is a
fraction, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hashmatch.picture import encode
from hashmatch.picture.encode import check_pixels
from hashmatch.synthetic._draw import Pixels, ellipse, rectangle, to_pixels
from hashmatch.synthetic._glyphs import paint_text, text_mask
from hashmatch.synthetic.edits.shape import in_range
from hashmatch.synthetic.edits.tone import blur, gamma, jpeg, noise
from hashmatch.synthetic.variants import picture

__all__ = [
    "black_bar",
    "caption_band",
    "chain",
    "collage",
    "emoji",
    "paste",
    "perspective",
    "phone_screenshot",
    "recapture",
    "sticker",
    "text",
    "watermark",
    "watermark_tiled",
]

_WHITE, _BLACK = (255.0, 255.0, 255.0), (0.0, 0.0, 0.0)


def text(pixels: Pixels, height: float, rng: np.random.Generator, *, words: str = "seen here first") -> Pixels:
    """Write a line of letters ``height``, 0.01 to 1, of the picture's height, outlined, at a random place.

    ``words`` are ASCII; a line too wide for the picture is cut off.
    """
    in_range("height", height, 0.01, 1.0)
    tall, wide = check_pixels(pixels).shape[:2]
    image, size = pixels.astype(np.float64), max(5, round(height * tall))
    top = round(float(rng.random()) * max(0, tall - size))
    left = round(float(rng.random()) * max(0.0, wide - 6 * size / 9 * len(words)))
    offset = max(1, size // 12)
    for down, across in ((-offset, 0), (offset, 0), (0, -offset), (0, offset)):
        paint_text(image, [words], top + down, left + across, size, _BLACK)
    paint_text(image, [words], top, left, size, _WHITE)
    return to_pixels(image)


def watermark(pixels: Pixels, width: float = 0.2, opacity: float = 0.8, *, words: str = "PREVIEW") -> Pixels:
    """Write white words over a ``width``, 0.01 to 1, of the picture's width in the bottom right corner."""
    in_range("width", width, 0.01, 1.0)
    in_range("opacity", opacity, 0.0, 1.0)
    tall, wide = check_pixels(pixels).shape[:2]
    image = pixels.astype(np.float64)
    across = max(6, round(width * wide))
    size = max(3, round(across / len(words) * 9 / 6))
    paint_text(
        image, [words], tall - size - round(0.03 * tall), wide - across - round(0.03 * wide), size, _WHITE, opacity
    )
    return to_pixels(image)


def watermark_tiled(pixels: Pixels, opacity: float = 0.3, *, words: str = "PREVIEW") -> Pixels:
    """Write white words all over the picture, every second row shifted; ``opacity`` is 0 to 1."""
    in_range("opacity", opacity, 0.0, 1.0)
    tall, wide = check_pixels(pixels).shape[:2]
    image, size = pixels.astype(np.float64), max(5, round(0.06 * min(tall, wide)))
    ink = text_mask([words], size)
    tile = np.zeros((4 * size, 2 * ink.shape[1]))
    tile[size : 2 * size, : ink.shape[1]] = ink
    tile[3 * size : 4 * size, ink.shape[1] :] = ink
    rows, columns = np.arange(tall) % tile.shape[0], np.arange(wide) % tile.shape[1]
    cover = opacity * tile[rows][:, columns, None]
    return to_pixels(image + cover * (255.0 - image))


def _face(image: Any, middle: tuple[float, float], radius: float) -> None:
    ellipse(image, middle, (radius, radius), (252.0, 203.0, 62.0))
    for side in (-0.35, 0.35):
        eye = (middle[0] - 0.25 * radius, middle[1] + side * radius)
        ellipse(image, eye, (0.17 * radius, 0.1 * radius), (70.0, 45.0, 20.0))
    ellipse(image, (middle[0] + 0.35 * radius, middle[1]), (0.22 * radius, 0.5 * radius), (120.0, 50.0, 20.0))
    ellipse(image, (middle[0] + 0.22 * radius, middle[1]), (0.16 * radius, 0.52 * radius), (252.0, 203.0, 62.0))


def emoji(pixels: Pixels, size: float, rng: np.random.Generator) -> Pixels:
    """Put a smiling face at a random place; ``size``, 0.01 to 1, is its diameter as a share of the shorter side."""
    in_range("size", size, 0.01, 1.0)
    tall, wide = check_pixels(pixels).shape[:2]
    image, radius = pixels.astype(np.float64), 0.5 * size * min(tall, wide)
    down, across = rng.random(2)
    _face(image, (radius + float(down) * (tall - 2 * radius), radius + float(across) * (wide - 2 * radius)), radius)
    return to_pixels(image)


def sticker(pixels: Pixels, size: float = 0.3) -> Pixels:
    """Put a smiling face with a white rim on the middle; ``size`` as in `emoji`."""
    in_range("size", size, 0.01, 1.0)
    tall, wide = check_pixels(pixels).shape[:2]
    image, radius = pixels.astype(np.float64), 0.5 * size * min(tall, wide)
    ellipse(image, (tall / 2, wide / 2), (radius, radius), _WHITE)
    _face(image, (tall / 2, wide / 2), 0.9 * radius)
    return to_pixels(image)


def black_bar(pixels: Pixels, area: float, rng: np.random.Generator) -> Pixels:
    """Black out a strip across the whole width at a random height; ``area``, 0 to 1, is its share of the picture."""
    in_range("area", area, 0.0, 1.0)
    top = float(rng.random()) * (1.0 - area)
    out = check_pixels(pixels).copy()
    tall = pixels.shape[0]
    out[round(top * tall) : round((top + area) * tall)] = 0
    return out


def caption_band(pixels: Pixels, share: float = 0.2, *, words: Sequence[str] = ("When the list", "is new")) -> Pixels:
    """Add a white band with black letters on top, as high as a ``share``, 0.02 to 2, of the picture."""
    in_range("share", share, 0.02, 2.0)
    tall, wide = check_pixels(pixels).shape[:2]
    band = max(2, round(share * tall))
    image = np.full((tall + band, wide, 3), 255.0)
    image[band:] = pixels
    longest = max((len(line) for line in words), default=1)
    size = max(2, min(round(0.42 * band), round(0.94 * wide / max(longest, 1) * 9 / 6)))
    paint_text(image, list(words), round(0.08 * band), round(0.03 * wide), size * len(words), _BLACK)
    return to_pixels(image)


def phone_screenshot(pixels: Pixels, width: int = 360, *, dark: bool = False) -> Pixels:
    """Show the picture on a phone's screen, ``width`` px wide, 64 to 4096, with a status bar, a title and buttons.

    The picture fills the width, or three quarters of the screen's height if it is very tall.
    """
    in_range("width", width, 64, 4096)
    tall, wide = check_pixels(pixels).shape[:2]
    height = round(width * 19.5 / 9)
    ground, ink = ((18.0, 18.0, 20.0), (235.0, 235.0, 235.0)) if dark else ((252.0, 252.0, 252.0), (30.0, 30.0, 30.0))
    image = np.full((height, width, 3), ground, dtype=np.float32)
    scale = min(width / wide, 0.72 * height / tall)
    shown = encode.resize(pixels, (max(1, round(tall * scale)), max(1, round(wide * scale))))
    line = max(5, round(0.02 * height))
    paint_text(image, ["12:41"], round(0.012 * height), round(0.05 * width), line, ink)
    rectangle(image, 0.014, 0.86, 0.028, 0.95, ink)
    ellipse(image, (0.075 * height, 0.09 * width), (1.1 * line, 1.1 * line), (120.0, 150.0, 200.0))
    paint_text(image, ["some friend"], round(0.065 * height), round(0.17 * width), line, ink)
    top, left = round(0.11 * height), (width - shown.shape[1]) // 2
    image[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    bottom = top + shown.shape[0]
    for button, colour in enumerate(((220.0, 60.0, 80.0), ink, ink)):
        middle = (bottom + 1.6 * line, (0.08 + 0.11 * button) * width)
        ellipse(image, middle, (0.7 * line, 0.7 * line), colour)
    paint_text(image, ["4127 people like this", "look at that"], bottom + 3 * line, round(0.05 * width), 2 * line, ink)
    rectangle(image, 0.93, 0.0, 1.0, 1.0, ink, 0.08)
    for button in range(5):
        ellipse(image, (0.965 * height, (0.1 + 0.2 * button) * width), (0.6 * line, 0.6 * line), ink)
    return to_pixels(image)


def _another(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    return picture("photo", int(rng.random() * 2**40), (max(16, size[0]), max(16, size[1])))[: size[0], : size[1]]


def paste(pixels: Pixels, scale: float, rng: np.random.Generator) -> Pixels:
    """Put the picture, each side ``scale``, 0.05 to 1, of the whole, at a random place on another photo.

    The result has the size of the picture; the other photo is synthetic and depends on ``rng``.
    """
    in_range("scale", scale, 0.05, 1.0)
    height, width = check_pixels(pixels).shape[:2]
    out = _another(rng, (height, width)).copy()
    small = encode.resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))
    down, across = rng.random(2)
    y, x = round(float(down) * (height - small.shape[0])), round(float(across) * (width - small.shape[1]))
    out[y : y + small.shape[0], x : x + small.shape[1]] = small
    return out


def collage(pixels: Pixels, rows: int, columns: int, rng: np.random.Generator) -> Pixels:
    """Put the picture into one cell of a grid, 1 to 8 rows and columns, whose other cells hold other photos.

    The result has about the size of the picture, and each cell is filled without keeping its aspect.
    """
    in_range("rows", rows, 1, 8)
    in_range("columns", columns, 1, 8)
    height, width = check_pixels(pixels).shape[:2]
    cell = (max(1, height // rows), max(1, width // columns))
    mine = int(rng.random() * rows * columns)
    small = encode.resize(pixels, cell)
    cells = [small if i == mine else _another(rng, cell) for i in range(rows * columns)]
    return np.concatenate([np.concatenate(cells[i * columns : (i + 1) * columns], axis=1) for i in range(rows)])


def perspective(pixels: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Move the corners inwards, each by up to ``amount``, 0 to 0.3, of the sides; the uncovered area is dark grey."""
    in_range("amount", amount, 0.0, 0.3)
    height, width = check_pixels(pixels).shape[:2]
    old = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * (width, height)
    new = old + amount * rng.random((4, 2)) * inwards
    rows, right = [], []
    for (x, y), (u, v) in zip(new, old, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        right += [u, v]
    solved = np.linalg.solve(np.array(rows), np.array(right))
    return encode.map_perspective(pixels, tuple(float(c) for c in solved), fill=(24, 24, 24))


def recapture(pixels: Pixels, rng: np.random.Generator, *, amount: float = 0.04) -> Pixels:
    """Photograph the picture off a screen: `perspective` by ``amount``, blur 1.2, noise 4, gamma 0.85, JPEG 80."""
    out = blur(perspective(pixels, amount, rng), 1.2)
    return jpeg(gamma(noise(out, 4.0, rng), 0.85), 80)


def chain(pixels: Pixels, *edits: Callable[[Pixels], Pixels]) -> Pixels:
    """Apply edits one after the other."""
    for edit in edits:
        pixels = edit(pixels)
    return check_pixels(pixels)
