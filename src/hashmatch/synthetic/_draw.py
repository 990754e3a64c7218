"""Seeds, colours and small drawing tools of the synthetic pictures.

Random numbers come from PCG64 seeded through ``SeedSequence``, and only through `numpy.random.Generator.random`, whose
stream has been the same in every NumPy since 1.17. Drawing is in float64, or in float32 where only exact operations
(sums, products, quotients, square roots) follow, and is rounded once at the end, so a picture has the same bytes on
every supported NumPy; `tests/golden` keeps some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import scipy.fft

__all__ = [
    "Colour",
    "Draw",
    "Floats",
    "Pixels",
    "area_resize",
    "blur",
    "double",
    "ellipse",
    "fractal",
    "planar",
    "rectangle",
    "soften",
    "to_pixels",
]

_T = TypeVar("_T")
Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Colour = Sequence[float] | Floats


class Draw:
    """A seeded stream of the few kinds of random numbers that drawing needs.

    Parameters
    ----------
    *seed : int
        Non-negative numbers that name the stream; another tuple is another, independent stream.
    """

    def __init__(self, *seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))

    def real(self, low: float = 0.0, high: float = 1.0) -> float:
        """Draw one number of [low, high)."""
        return low + (high - low) * float(self._generator.random())

    def reals(self, shape: int | tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Floats:
        """Draw an array of numbers of [low, high)."""
        return low + (high - low) * self._generator.random(shape)

    def log(self, low: float, high: float) -> float:
        """Draw one number of [low, high) whose logarithm is uniform."""
        return float(low * (high / low) ** self._generator.random())

    def whole(self, low: int, high: int) -> int:
        """Draw one whole number of low to high, both included."""
        return low + int((high - low + 1) * self._generator.random())

    def wholes(self, shape: int | tuple[int, ...], low: int, high: int) -> npt.NDArray[np.int64]:
        """Draw an array of whole numbers of low to high, both included."""
        return low + ((high - low + 1) * self._generator.random(shape)).astype(np.int64)

    def yes(self, chance: float) -> bool:
        """Say whether something with this chance happens."""
        return bool(self._generator.random() < chance)

    def pick(self, items: Sequence[_T]) -> _T:
        """Choose one of the items."""
        return items[self.whole(0, len(items) - 1)]

    def noise(self, shape: tuple[int, ...]) -> Floats:
        """Draw near-normal noise of mean 0 and variance 1: the sum of four uniform numbers."""
        total = self._generator.random(shape)
        for _ in range(3):
            total += self._generator.random(shape)
        total -= 2.0
        total *= 3.0**0.5
        return total

    def grain(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Draw noise of mean 0 and variance 1, float32: the sum of two uniform numbers."""
        total = self._generator.random(shape, dtype=np.float32)
        total += self._generator.random(shape, dtype=np.float32)
        total -= np.float32(1.0)
        total *= np.float32(6.0**0.5)
        return total

    def colour(self, saturation: float = 0.5, low: float = 20.0, high: float = 235.0) -> Floats:
        """Choose an RGB colour: a grey of low to high with each channel moved by a share of it."""
        grey = self.real(low, high)
        return np.clip(grey * (1.0 + saturation * self.reals(3, -1.0, 1.0)), 0.0, 255.0)


def to_pixels(image: npt.NDArray[np.floating[Any]]) -> Pixels:
    """Round a float picture to (H, W, 3) uint8."""
    whole = np.rint(image)
    np.clip(whole, 0.0, 255.0, out=whole)
    return np.ascontiguousarray(whole.astype(np.uint8))


def planar(shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
    """Make an empty array whose channels lie apart in memory: NumPy's loops then run along rows, not along channels."""
    if len(shape) == 2:
        return np.empty(shape, dtype)
    return np.moveaxis(np.empty((shape[2], *shape[:2]), dtype), 0, 2)


def fractal(draw: Draw, shape: tuple[int, int], slope: float, *, lowest: float = 1.0) -> Floats:
    """Draw noise whose amplitude falls as frequency to the power -``slope``; mean 0, variance 1, periodic.

    ``lowest``: frequencies below this many cycles a side are level with it.
    """
    height, width = shape
    tall, wide = scipy.fft.next_fast_len(height, real=True), scipy.fft.next_fast_len(width, real=True)
    spectrum = draw.reals((tall, wide // 2 + 1, 2), -1.0, 1.0).view(np.complex128)[..., 0]
    side = (tall * wide) ** 0.5
    down = (np.fft.fftfreq(tall) * side)[:, None]
    across = (np.fft.rfftfreq(wide) * side)[None]
    spectrum *= np.maximum(down * down + across * across, lowest * lowest) ** (-0.5 * slope)
    spectrum[0, 0] = 0.0
    field: Floats = scipy.fft.irfft2(spectrum, (tall, wide))[:height, :width]
    return field / max(float(field.std()), 1e-12)


def _resize_rows(image: Floats, height: int) -> Floats:
    total = np.concatenate([np.zeros_like(image[:1]), np.cumsum(image, axis=0)])
    edges = np.linspace(0.0, image.shape[0], height + 1)
    whole = np.minimum(edges.astype(np.int64), image.shape[0] - 1)
    share = (edges - whole).reshape(-1, *(1,) * (image.ndim - 1))
    at = total[whole] + share * (total[whole + 1] - total[whole])
    out: Floats = np.diff(at, axis=0) * (height / image.shape[0])
    return out


def area_resize(image: Floats, height: int, width: int) -> Floats:
    """Resize by averaging over the area of each new pixel; works both up and down."""
    tall = _resize_rows(image, height)
    return np.swapaxes(_resize_rows(np.swapaxes(tall, 0, 1), width), 0, 1)


def soften(image: Any, times: int = 1, *, out: Any = None) -> Any:
    """Blur the first two axes ``times`` times with the kernel 1, 2, 1 (variance of half a pixel each); edges repeat.

    ``out`` may be the picture itself.
    """
    if out is None:
        out = image.copy(order="K")
    elif out is not image:
        out[:] = image
    pairs = np.empty_like(out)
    for _ in range(times):
        for axis in (0, 1):
            line, pair = np.swapaxes(out, 0, axis), np.swapaxes(pairs, 0, axis)
            if len(line) < 2:
                continue
            first, last = 3.0 * line[0] + line[1], 3.0 * line[-1] + line[-2]
            np.add(line[:-1], line[1:], out=pair[:-1])
            np.add(pair[:-2], pair[1:-1], out=line[1:-1])
            line[0], line[-1] = first, last
            out *= 0.25
    return out


def blur(image: Any, sigma: float) -> Any:
    """Blur the first two axes by about ``sigma`` px, on a smaller grid where that is enough."""
    if sigma < 0.9 or min(image.shape[:2]) < 8:
        return soften(image, max(1, round(2.0 * sigma * sigma)))
    height, width = image.shape[:2]
    filled = image
    if height % 2 or width % 2:
        filled = np.pad(image, [(0, height % 2), (0, width % 2)] + [(0, 0)] * (image.ndim - 2), mode="edge")
    half = filled[::2] + filled[1::2]
    half = (half[:, ::2] + half[:, 1::2]) * filled.dtype.type(0.25)
    # Halving and doubling add a variance of about half a pixel of the old grid.
    return double(blur(half, (max(sigma * sigma - 0.5, 0.0)) ** 0.5 / 2.0))[:height, :width]


def double(image: Any) -> Any:
    """Enlarge the first two axes twofold, linearly between the middles of the pixels."""
    for axis in (0, 1):
        line = np.swapaxes(image, 0, axis)
        shape = list(image.shape)
        shape[axis] *= 2
        image = planar(tuple(shape), line.dtype)
        out = np.swapaxes(image, 0, axis)
        step = (line[1:] - line[:-1]) * line.dtype.type(0.25)
        out[0], out[-1] = line[0], line[-1]
        np.add(line[:-1], step, out=out[1:-1:2])
        np.subtract(line[1:], step, out=out[2::2])
    return image


def _span(start: float, stop: float, length: int) -> slice:
    return slice(max(0, round(start * length)), max(0, round(stop * length)))


def rectangle(image: Any, top: float, left: float, bottom: float, right: float, colour: Any, mix: float = 1.0) -> None:
    """Paint a rectangle in place; sides are fractions of the height and of the width."""
    patch = image[_span(top, bottom, image.shape[0]), _span(left, right, image.shape[1])]
    patch *= 1.0 - mix
    patch += mix * np.asarray(colour, dtype=np.float64)


def ellipse(
    image: Any, middle: tuple[float, float], radius: tuple[float, float], colour: Any, *, soft: float = 1.5
) -> None:
    """Paint an ellipse in place; the middle and the radii (down, across) are in pixels, the rim is ``soft`` px wide."""
    height, width = image.shape[:2]
    top, bottom = max(0, int(middle[0] - radius[0] - 2)), min(height, int(middle[0] + radius[0] + 3))
    left, right = max(0, int(middle[1] - radius[1] - 2)), min(width, int(middle[1] + radius[1] + 3))
    if top >= bottom or left >= right:
        return
    down = ((np.arange(top, bottom) - middle[0]) / max(radius[0], 0.5))[:, None]
    across = ((np.arange(left, right) - middle[1]) / max(radius[1], 0.5))[None]
    rim = (1.0 - np.sqrt(down * down + across * across)) * (min(radius) / soft)
    cover = np.clip(rim + 0.5, 0.0, 1.0)[..., None]
    patch = image[top:bottom, left:right]
    patch += cover * (np.asarray(colour, dtype=np.float64) - patch)
