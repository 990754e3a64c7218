"""PDQ: 256 bits from the signs of 16x16 cosine coefficients against their median.

Blur, decimation and cosine transform are linear and separable, so a hash is four products with small matrices:
rows by `tent.RowSums`, columns, then 16x64 cosines on both sides. Whatever lies nearer to a decision than the
reference's own rounding is settled by `pdq_float32`, so the answer is the reference's at any quality, whatever the
processor or the BLAS library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import PixelRows, Pixels, check_pixels
from hashmatch.hashers.pdq_float32 import COSINES, coefficients_float32, downsample_float32, quality_float32
from hashmatch.hashers.tent import SIDE, RowSums, windows_of
from hashmatch.hashes import HashValue, Turn

__all__ = ["PDQHasher"]

_MIN_SIDE: Final = 5
_LUMA: Final = (0.299, 0.587, 0.114)
_COSINES64: Final = COSINES.astype(np.float64)

# Largest difference seen between the reference's float32 and exact arithmetic: 0.0026 for a coefficient and 0.00043
# for a step between neighbours (in hundredths of the range), 5 px to 12 megapixels, bytes of many kinds.
_COEFFICIENT_NOISE: Final = 0.005
_STEP_NOISE: Final = 0.0005

_Scored = tuple[HashValue, int]
_Values = npt.NDArray[np.floating[Any]]


class PDQHasher:
    """PDQ hashes, bit for bit those of the reference (`pdqhash` on x86-64) fed with the same RGB array.

    Notes
    -----
    Cost: one pass over the pixels, about 1 ns each, in one thread. Where the reference's rounding noise decides (plain,
    striped or symmetric pictures, and about one photograph in fifty), its arithmetic is repeated at about 20 ns a
    pixel. Source: facebook/ThreatExchange, ``pdq/cpp``.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.add.outer(np.arange(200.0), np.arange(50.0)).astype(np.uint8)
    >>> value, quality = PDQHasher().hash_pixels(ramp)
    >>> value, quality
    (<HashValue pdq, 256 bits>, 0)
    """

    __slots__ = ()

    @property
    def algorithm(self) -> str:
        """``"pdq"``."""
        return "pdq"

    def hash_pixels(self, pixels: Pixels | PixelRows) -> _Scored:
        """Hash one picture.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array, or PixelRows
            RGB or grey; uint8, or float from 0 to 255. Need not be contiguous. A `PixelRows` is fed once, and once
            more where the reference's arithmetic must be repeated.

        Returns
        -------
        (HashValue, int)
            The hash and its quality, 0 to 100. A side under 5 px gives the hash of zeros and quality 0.

        Raises
        ------
        TypeError
            If ``pixels`` is not an array of uint8 or float.
        ValueError
            If its shape is another, or a float is not finite or outside 0 to 255.
        """
        return self._hash(pixels, (Turn.NONE,))[Turn.NONE]

    def hash_turns(self, pixels: Pixels | PixelRows) -> Mapping[Turn, _Scored]:
        """Hash the picture in each of its eight turns, from one transform.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array, or PixelRows
            As for `hash_pixels`.

        Returns
        -------
        mapping of Turn to (HashValue, int)
            All eight, in the order of `Turn`, with the quality of the picture as it is.

        Raises
        ------
        TypeError, ValueError
            As `hash_pixels`.

        Notes
        -----
        A mirrored side changes the signs of its odd frequencies, a quarter turn swaps the sides as well. The median
        moves with the signs, so it is taken anew for each turn. The result differs by some bits from the hash of
        turned pixels, because the 64 sample positions and the box of an even width are not symmetric.
        """
        return MappingProxyType(self._hash(pixels, tuple(Turn)))

    def _hash(self, pixels: Pixels | PixelRows, turns: tuple[Turn, ...]) -> dict[Turn, _Scored]:
        source: PixelRows = _ArrayRows(check_pixels(pixels)) if isinstance(pixels, np.ndarray) else _checked(pixels)
        if min(source.shape[:2]) < _MIN_SIDE:
            return dict.fromkeys(turns, (HashValue("pdq", bytes(32)), 0))
        if tuple(source.shape[:2]) != (SIDE, SIDE):
            quick = _quick(_downsample(source), turns)
            if quick is not None:
                return quick
        small = downsample_float32(_gather(source))
        coefficients, quality = coefficients_float32(small), quality_float32(small)
        return {turn: (_value(_turned(coefficients, turn)), quality) for turn in turns}


@dataclass(frozen=True, slots=True)
class _ArrayRows:
    """An array as `PixelRows`, of its own type."""

    pixels: Pixels

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape

    def feed(self, sink: Callable[[Pixels], None]) -> None:
        sink(self.pixels)


def _checked(source: PixelRows) -> PixelRows:
    if not isinstance(source, PixelRows):
        raise TypeError(f"pixels are a NumPy array or PixelRows, not {type(source).__name__}; numpy.asarray makes one")
    shape = tuple(source.shape)
    if len(shape) not in (2, 3) or shape[2:] not in ((), (3,)) or 0 in shape:
        raise ValueError(f"pixel rows have the shape (H, W, 3) for RGB or (H, W) for grey, not {shape}")
    return source


def _gather(source: PixelRows) -> Pixels:
    """All pixels as one array."""
    if isinstance(source, _ArrayRows):
        return source.pixels
    pixels = np.empty(source.shape, np.uint8)
    at = 0

    def keep(block: Pixels) -> None:
        nonlocal at
        pixels[at : at + len(block)] = block
        at += len(block)

    source.feed(keep)
    return pixels


def _downsample(source: PixelRows) -> npt.NDArray[np.float64]:
    """Average under the tents, to 64x64 in float64."""
    shape = tuple(source.shape)
    whole = not isinstance(source, _ArrayRows) or source.pixels.dtype == np.uint8
    rows = RowSums(shape, whole=whole)
    source.feed(rows.add)
    down, along = windows_of(shape[0]), windows_of(shape[1])
    luma = _luma(rows.sums())
    small = np.empty((len(along.starts), len(luma)))
    for number, (start, stop) in enumerate(zip(along.starts, along.stops, strict=True)):
        np.matmul(luma[:, start:stop], along.weights[number], out=small[number])
    small /= down.scale * along.scale
    return small[along.cells][:, down.cells].T


def _luma(sums: _Values) -> npt.NDArray[np.float64]:
    if sums.ndim == 2:
        return sums.astype(np.float64)
    luma = np.multiply(sums[..., 0], _LUMA[0], dtype=np.float64)
    for channel in (1, 2):
        luma += np.multiply(sums[..., channel], _LUMA[channel], dtype=np.float64)
    return luma


def _quick(small: npt.NDArray[np.float64], turns: tuple[Turn, ...]) -> dict[Turn, _Scored] | None:
    """Hashes and quality from exact arithmetic, or None where the reference's rounding could say otherwise."""
    quality = _sure_quality(small)
    if quality is None:
        return None
    coefficients = _COSINES64 @ small @ _COSINES64.T
    hashes = {}
    for turn in turns:
        turned = _turned(coefficients, turn)
        below, above = np.partition(turned.ravel(), (127, 128))[127:129]
        if above - below <= 2 * _COEFFICIENT_NOISE:
            return None
        hashes[turn] = (_value(turned, below), quality)
    return hashes


def _sure_quality(small: npt.NDArray[np.float64]) -> int | None:
    """Return the quality if it is the same with every step shortened and lengthened by the noise, else None."""
    steps = np.concatenate([np.abs(np.diff(small, axis=axis)).ravel() for axis in (0, 1)]) * (100 / 255)
    low, high = (min(100, int((steps + noise).astype(np.int64).sum()) // 90) for noise in (-_STEP_NOISE, _STEP_NOISE))
    return low if low == high else None


def _turned(coefficients: _Values, turn: Turn) -> _Values:
    """Coefficients of the turned picture; index 0 holds frequency 1, so even indices are the odd frequencies."""
    if turn in (Turn.TRANSPOSE, Turn.TRANSVERSE, Turn.ROTATE_90, Turn.ROTATE_270):
        coefficients = coefficients.T
    out = coefficients.copy()
    if turn in (Turn.FLIP, Turn.ROTATE_180, Turn.ROTATE_90, Turn.TRANSVERSE):
        out[::2] *= -1
    if turn in (Turn.MIRROR, Turn.ROTATE_180, Turn.ROTATE_270, Turn.TRANSVERSE):
        out[:, ::2] *= -1
    return out


def _value(coefficients: _Values, median: float | None = None) -> HashValue:
    """Bits over the lower of the two middle values, the highest coefficient first."""
    flat = coefficients.ravel()
    if median is None:
        median = np.partition(flat, 127)[127]
    return HashValue("pdq", np.packbits(flat[::-1] > median).tobytes())
