"""Edits that change values but move no pixel: codecs, blur, noise and tone.

Every function takes an (H, W, 3) uint8 RGB array first, does not change it and returns a new array.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.ndimage

from hashmatch.picture import encode
from hashmatch.picture.encode import check_pixels
from hashmatch.synthetic._draw import Floats, Pixels, area_resize, to_pixels
from hashmatch.synthetic.edits.shape import in_range

__all__ = [
    "blur",
    "brightness",
    "contrast",
    "gamma",
    "generations",
    "grey",
    "jpeg",
    "noise",
    "pixelate",
    "salt_pepper",
    "saturation",
    "sharpen",
    "speckle",
    "vignette",
    "webp",
]


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Write as JPEG of this quality, 1 to 100 in the scale of libjpeg, with halved colour, and read back."""
    return encode.recode(encode.jpeg(pixels, quality))


def webp(pixels: Pixels, quality: int) -> Pixels:
    """Write as WebP of this quality, 0 to 100, and read back."""
    return encode.recode(encode.webp(pixels, quality))


def generations(pixels: Pixels, count: int, quality: int = 70) -> Pixels:
    """Save ``count`` times, 1 to 20, as JPEG and WebP in turn; the quality falls by 3 each time."""
    in_range("count", count, 1, 20)
    for i in range(count):
        pixels = (webp if i % 2 else jpeg)(pixels, max(5, quality - 3 * i))
    return pixels


def _sigma(pixels: Pixels, sigma: float) -> float:
    return sigma * math.sqrt(pixels.shape[0] * pixels.shape[1]) / 512.0


def _blurred(pixels: Pixels, sigma: float) -> Floats:
    size = _sigma(pixels, sigma)
    out: Floats = scipy.ndimage.gaussian_filter(pixels.astype(np.float64), (size, size, 0.0), mode="nearest")
    return out


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Blur by a Gaussian; ``sigma``, 0 to 64, is in px of a picture of 512 x 512 and grows with the picture."""
    in_range("sigma", sigma, 0.0, 64.0)
    return to_pixels(_blurred(check_pixels(pixels), sigma))


def sharpen(pixels: Pixels, amount: float) -> Pixels:
    """Add ``amount`` times, 0 to 10, the difference to a blur of sigma 1.5 (see `blur`)."""
    in_range("amount", amount, 0.0, 10.0)
    return to_pixels(pixels + amount * (check_pixels(pixels) - _blurred(pixels, 1.5)))


def pixelate(pixels: Pixels, ratio: float) -> Pixels:
    """Average over squares so that ``ratio`` of each side's pixels remain, 0.01 to 1; the size stays."""
    in_range("ratio", ratio, 0.01, 1.0)
    height, width = check_pixels(pixels).shape[:2]
    tall, wide = max(1, round(height * ratio)), max(1, round(width * ratio))
    small = area_resize(pixels.astype(np.float64), tall, wide)
    return to_pixels(small[np.arange(height) * tall // height][:, np.arange(width) * wide // width])


def noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Add normal noise of ``sigma`` grey levels, 0 to 255, to each channel alone."""
    in_range("sigma", sigma, 0.0, 255.0)
    return to_pixels(pixels + sigma * rng.standard_normal(check_pixels(pixels).shape))


def speckle(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Multiply each channel by 1 plus normal noise of ``sigma``, 0 to 2."""
    in_range("sigma", sigma, 0.0, 2.0)
    return to_pixels(pixels * (1.0 + sigma * rng.standard_normal(check_pixels(pixels).shape)))


def salt_pepper(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Make a ``share`` of the pixels, 0 to 1, black or white, as many of each."""
    in_range("share", share, 0.0, 1.0)
    chance = rng.random(check_pixels(pixels).shape[:2])
    out = pixels.copy()
    out[chance < share] = 255
    out[chance < 0.5 * share] = 0
    return out


def gamma(pixels: Pixels, power: float) -> Pixels:
    """Raise values, as parts of 255, to a ``power``, 0.1 to 10; over 1 darkens."""
    in_range("power", power, 0.1, 10.0)
    table = to_pixels(255.0 * (np.arange(256) / 255.0) ** power)
    return table[check_pixels(pixels)]


def brightness(pixels: Pixels, factor: float) -> Pixels:
    """Multiply values by ``factor``, 0 to 10."""
    in_range("factor", factor, 0.0, 10.0)
    return to_pixels(check_pixels(pixels) * factor)


def _luma(pixels: Pixels) -> Floats:
    plain: Floats = 0.299 * pixels[..., 0] + 0.587 * pixels[..., 1] + 0.114 * pixels[..., 2]
    return plain


def contrast(pixels: Pixels, factor: float) -> Pixels:
    """Multiply the distance of values from the mean grey by ``factor``, 0 to 10."""
    in_range("factor", factor, 0.0, 10.0)
    middle = float(_luma(check_pixels(pixels)).mean())
    return to_pixels(middle + factor * (pixels - middle))


def saturation(pixels: Pixels, factor: float) -> Pixels:
    """Multiply the distance of values from the pixel's grey by ``factor``, 0 to 10; 0 leaves grey."""
    in_range("factor", factor, 0.0, 10.0)
    plain = _luma(check_pixels(pixels))[..., None]
    return to_pixels(plain + factor * (pixels - plain))


def grey(pixels: Pixels) -> Pixels:
    """Remove colour."""
    return saturation(pixels, 0.0)


def vignette(pixels: Pixels, strength: float = 0.7) -> Pixels:
    """Darken towards the corners, which keep 1 - ``strength``, 0 to 1, of their light."""
    in_range("strength", strength, 0.0, 1.0)
    height, width = check_pixels(pixels).shape[:2]
    down, across = np.linspace(-1.0, 1.0, height)[:, None, None], np.linspace(-1.0, 1.0, width)[None, :, None]
    return to_pixels(pixels * (1.0 - strength * 0.5 * (down * down + across * across)))
