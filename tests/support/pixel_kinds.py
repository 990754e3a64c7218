"""Seeded pictures in NumPy alone, of the kinds that find the weak places of a hasher."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

KINDS: Final = ("photo", "photo", "photo", "blobs", "noise", "stripes", "ramp", "flat", "faint", "steps")


def make_pixels(kind: str, height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Make one contiguous (H, W, 3) uint8 picture of a kind named in `KINDS`."""
    return np.ascontiguousarray(_FIELDS[kind](height, width, rng).round().clip(0, 255), np.uint8)


def random_pixels(
    number: int, rng: np.random.Generator, sides: tuple[int, int] = (5, 400)
) -> tuple[str, npt.NDArray[np.uint8]]:
    """Make picture ``number`` of a varied set, with its kind; sides are spread evenly in their logarithm."""
    height, width = np.exp(rng.uniform(np.log(sides[0]), np.log(sides[1] + 1), 2)).astype(int).tolist()
    if number % 25 == 0:
        height = width = 64
    kind = KINDS[number % len(KINDS)]
    return kind, make_pixels(kind, height, width, rng)


def _waves(height: int, width: int, rng: np.random.Generator, power: float) -> npt.NDArray[Any]:
    """Colour noise whose power falls with frequency, mean 128 and deviation 51 as photographs have."""
    down = np.fft.fftfreq(height)[:, None] * height
    along = np.fft.rfftfreq(width)[None] * width
    radius = np.hypot(down, along)
    radius[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(3, height, width))) * radius ** (-power / 2)
    grey, *tints = np.fft.irfft2(spectrum, (height, width))
    planes = np.stack([grey, grey + 0.3 * tints[0], grey + 0.3 * tints[1]], axis=2)
    return (planes - planes.mean()) / (planes.std() or 1) * 51 + 128


def _photo(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    return _waves(height, width, rng, 2.5)


def _blobs(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    return np.where(_waves(height, width, rng, 3.5) > 128, 255.0, 0.0)


def _noise(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    return rng.integers(0, 256, (height, width, 3)).astype(float)


def _stripes(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    levels = np.repeat(rng.integers(0, 256, (1, -(-width // 9), 3)), 9, axis=1)[:, :width]
    return np.broadcast_to(levels, (height, width, 3)).astype(float)


def _ramp(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    grey = np.add.outer(np.linspace(0, rng.uniform(0, 128), height), np.linspace(0, rng.uniform(0, 127), width))
    return np.repeat(grey[..., None], 3, axis=2)


def _flat(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    return np.broadcast_to(rng.integers(0, 256, 3), (height, width, 3)).astype(float)


def _faint(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    return 200.0 + rng.integers(0, 2, (height, width, 3))


def _steps(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Plateaus 51 grey levels apart, so that differences of quality are whole numbers."""
    cells = 51 * rng.integers(0, 6, (-(-height // 16), -(-width // 16)))
    grey = np.kron(cells, np.ones((16, 16)))[:height, :width]
    return np.repeat(grey[..., None], 3, axis=2)


_FIELDS: Final = {
    "photo": _photo,
    "blobs": _blobs,
    "noise": _noise,
    "stripes": _stripes,
    "ramp": _ramp,
    "flat": _flat,
    "faint": _faint,
    "steps": _steps,
}
