"""Edits that move pixels: resize, crop, turn, rotate, pad.

Every function takes an (H, W, 3) uint8 RGB array first, does not change it and returns a new array. A share is a
fraction: of the area where the name says area, otherwise of that side's length.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import scipy.ndimage

from hashmatch.picture import encode
from hashmatch.picture.encode import check_pixels
from hashmatch.synthetic._draw import Pixels, area_resize, to_pixels

__all__ = [
    "border",
    "crop_area",
    "crop_aspect",
    "crop_centre",
    "crop_random",
    "crop_sides",
    "flip",
    "letterbox",
    "mirror",
    "resize",
    "rotate",
    "squash",
    "thumbnail",
    "transpose",
    "turn",
]

Fill = Literal["black", "white", "colour", "gradient", "blurred", "noisy"]
_FILLS = ("black", "white", "colour", "gradient", "blurred", "noisy")
_ORANGE = (206.0, 92.0, 34.0)


def in_range(name: str, value: float, low: float, high: float) -> float:
    """Return the value, or raise ValueError if it is not a number of low to high, both included."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be {low:g} to {high:g}, not {value}")
    return value


def resize(pixels: Pixels, scale: float, *, filter: encode.Filter = "lanczos") -> Pixels:
    """Resize both sides by ``scale``, 0.01 to 16; ``filter`` as in `hashmatch.picture.encode.resize`."""
    in_range("scale", scale, 0.01, 16.0)
    height, width = check_pixels(pixels).shape[:2]
    return encode.resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale))), filter=filter)


def thumbnail(pixels: Pixels, side: int = 96) -> Pixels:
    """Resize to a square of ``side`` px, 1 or more; the aspect is not kept."""
    in_range("side", side, 1, 65535)
    return encode.resize(check_pixels(pixels), (side, side))


def squash(pixels: Pixels, aspect: float) -> Pixels:
    """Multiply the width by ``aspect``, 0.05 to 20, and keep the height."""
    in_range("aspect", aspect, 0.05, 20.0)
    height, width = check_pixels(pixels).shape[:2]
    return encode.resize(pixels, (height, max(1, round(width * aspect))))


def crop_sides(
    pixels: Pixels, *, left: float = 0.0, top: float = 0.0, right: float = 0.0, bottom: float = 0.0
) -> Pixels:
    """Cut off shares of the width (left, right) and of the height (top, bottom), each 0 or more and under 1 in all."""
    for name, share in (("left", left), ("top", top), ("right", right), ("bottom", bottom)):
        in_range(name, share, 0.0, 0.99)
    if left + right >= 1.0 or top + bottom >= 1.0:
        raise ValueError("the cuts leave nothing of the picture")
    height, width = check_pixels(pixels).shape[:2]
    y, x = min(round(top * height), height - 1), min(round(left * width), width - 1)
    stop = max(y + 1, height - round(bottom * height)), max(x + 1, width - round(right * width))
    return pixels[y : stop[0], x : stop[1]].copy()


def crop_centre(pixels: Pixels, area_removed: float) -> Pixels:
    """Keep the middle, same aspect; ``area_removed`` is the share of the area that is cut off, 0 to 0.99."""
    return crop_area(pixels, 1.0 - in_range("area_removed", area_removed, 0.0, 0.99), 0.5, 0.5)


def crop_random(pixels: Pixels, keep: float, rng: np.random.Generator) -> Pixels:
    """Keep a share ``keep`` of the area, 0.01 to 1, same aspect, at an even random place."""
    down, across = rng.random(2)
    return crop_area(pixels, keep, float(down), float(across))


def crop_area(pixels: Pixels, keep: float, down: float, across: float) -> Pixels:
    """Keep a share ``keep`` of the area, 0.01 to 1, same aspect; ``down`` and ``across``, 0 to 1, place it."""
    in_range("keep", keep, 0.01, 1.0)
    in_range("down", down, 0.0, 1.0)
    in_range("across", across, 0.0, 1.0)
    height, width = check_pixels(pixels).shape[:2]
    side = math.sqrt(keep)
    tall, wide = max(1, round(height * side)), max(1, round(width * side))
    y, x = round(down * (height - tall)), round(across * (width - wide))
    return pixels[y : y + tall, x : x + wide].copy()


def crop_aspect(pixels: Pixels, ratio: float) -> Pixels:
    """Keep the largest middle part whose width is ``ratio`` times its height, 0.05 to 20."""
    in_range("ratio", ratio, 0.05, 20.0)
    height, width = check_pixels(pixels).shape[:2]
    tall, wide = min(height, max(1, round(width / ratio))), min(width, max(1, round(height * ratio)))
    y, x = (height - tall) // 2, (width - wide) // 2
    return pixels[y : y + tall, x : x + wide].copy()


def mirror(pixels: Pixels) -> Pixels:
    """Swap left and right."""
    return check_pixels(pixels)[:, ::-1].copy()


def flip(pixels: Pixels) -> Pixels:
    """Swap top and bottom."""
    return check_pixels(pixels)[::-1].copy()


def transpose(pixels: Pixels) -> Pixels:
    """Swap rows and columns."""
    return check_pixels(pixels).transpose(1, 0, 2).copy()


def turn(pixels: Pixels, quarters: int) -> Pixels:
    """Turn to the left by a number of quarters, without loss."""
    return np.rot90(check_pixels(pixels), quarters).copy()


def rotate(pixels: Pixels, degrees: float, *, corners: Literal["black", "kept", "cut", "even"] = "black") -> Pixels:
    """Rotate to the left about the middle.

    ``corners``: ``"black"`` grows the canvas and leaves black corners; ``"kept"`` leaves them too, on a canvas of the
    picture's own size; ``"cut"`` keeps the largest upright rectangle without any, ``"even"`` the largest of the
    picture's own shape.
    """
    if corners not in ("black", "kept", "cut", "even"):
        raise ValueError(f"corners must be 'black', 'kept', 'cut' or 'even', not {corners!r}")
    in_range("degrees", degrees, -360.0, 360.0)
    height, width = check_pixels(pixels).shape[:2]
    turned = encode.rotate(pixels, degrees)
    if corners == "black":
        return turned
    if corners == "kept":
        wanted = height, width
        turned = _on_black(turned, wanted)
    else:
        inner = _inner if corners == "cut" else _inner_of_shape
        wanted = inner(height, width, math.radians(degrees))
    y, x = ((had - kept) // 2 for had, kept in zip(turned.shape[:2], wanted, strict=True))
    return turned[y : y + wanted[0], x : x + wanted[1]].copy()


def _on_black(pixels: Pixels, least: tuple[int, int]) -> Pixels:
    """Enlarge the canvas about the middle until it has at least that height and width."""
    more = [max(0, side - had) for side, had in zip(least, pixels.shape[:2], strict=True)]
    return np.pad(pixels, [*((n // 2, n - n // 2) for n in more), *[(0, 0)] * (pixels.ndim - 2)])


def _inner_of_shape(height: int, width: int, angle: float) -> tuple[int, int]:
    """Height and width of the largest rectangle of its own shape inside a rotated one."""
    long = max(height, width) / min(height, width)
    share = 1 / (abs(math.cos(angle)) + long * abs(math.sin(angle)))
    return max(1, math.floor(share * height)), max(1, math.floor(share * width))


def _inner(height: int, width: int, angle: float) -> tuple[int, int]:
    """Height and width of the largest upright rectangle inside a rotated one."""
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    long, short = max(height, width), min(height, width)
    if short <= 2.0 * sine * cosine * long or abs(sine - cosine) < 1e-10:
        half = 0.5 * short
        tall, wide = (half / cosine, half / sine) if height <= width else (half / sine, half / cosine)
    else:
        spread = cosine * cosine - sine * sine
        tall, wide = (height * cosine - width * sine) / spread, (width * cosine - height * sine) / spread
    return max(1, math.floor(tall)), max(1, math.floor(wide))


def border(pixels: Pixels, share: float, kind: Fill = "black") -> Pixels:
    """Add a border on all four sides; ``share``, 0 to 2, is of the width at left and right, of the height elsewhere.

    ``kind``: ``"black"``, ``"white"``, ``"colour"`` (orange), ``"gradient"`` (top to bottom), ``"blurred"`` (a blurred
    copy of the picture, enlarged to fill), ``"noisy"`` (black, then all as JPEG quality 30).
    """
    in_range("share", share, 0.0, 2.0)
    return _pad(pixels, share, share, kind)


def letterbox(pixels: Pixels, share: float, kind: Fill = "black") -> Pixels:
    """Add bars above and below, each a ``share``, 0 to 2, of the height; kinds as in `border`."""
    in_range("share", share, 0.0, 2.0)
    return _pad(pixels, share, 0.0, kind)


def _pad(pixels: Pixels, down: float, across: float, kind: Fill) -> Pixels:
    if kind not in _FILLS:
        raise ValueError(f"kind must be one of {', '.join(_FILLS)}, not {kind!r}")
    height, width = check_pixels(pixels).shape[:2]
    y, x = round(down * height), round(across * width)
    shape = (height + 2 * y, width + 2 * x, 3)
    canvas = np.zeros(shape)
    if kind == "white":
        canvas[:] = 255.0
    elif kind == "colour":
        canvas[:] = _ORANGE
    elif kind == "gradient":
        canvas[:] = np.linspace(240.0, 30.0, shape[0])[:, None, None]
    elif kind == "blurred":
        small = area_resize(pixels.astype(np.float64), min(height, 48), min(width, 48))
        small = scipy.ndimage.gaussian_filter(small, (2.0, 2.0, 0.0), mode="nearest")
        canvas = encode.resize(to_pixels(small), shape[:2], filter="bilinear").astype(np.float64)
    out = to_pixels(canvas)
    out[y : y + height, x : x + width] = pixels
    return encode.recode(encode.jpeg(out, 30)) if kind == "noisy" else out
