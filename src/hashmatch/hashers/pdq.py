"""PDQ: 256 bits from the signs of 16x16 cosine coefficients against their median.

Blur, decimation and cosine transform are linear and separable, so a hash is four products with small matrices:
the windows of `tent` down and along, then 16x64 cosines on both sides. If a value lies nearer to a decision than the
rounding noise of the reference, `pdq_float32` decides. The answer is therefore that of the reference at any quality, on
any processor and with any BLAS library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import Pixels, check_pixels
from hashmatch.hashers.pdq_float32 import COSINES, coefficients_float32, downsample_float32, quality_float32
from hashmatch.hashers.tent import SIDE, float_averages, taps_of, windows_of
from hashmatch.hashes import HashValue
from hashmatch.kernels import pixels as kernels
from hashmatch.view import Turn

__all__ = ["PDQHasher", "told_share"]

_MIN_SIDE: Final = 5
_BY_CELL: Final = np.ascontiguousarray(COSINES.T.astype(np.float64))

# Bounds on what the reference's float32 arithmetic may be off by, at sides up to 4000 px. What its sums drift by
# changes slowly down and along, so the higher the frequencies of a coefficient, the less of it is there. Largest seen:
# half the bound where coefficients do not tie (more in pure ramps, which tie at zero and are in doubt anyway); for a
# step between neighbours, in hundredths of the range, 0.0004, and 0.0009 in two-tone pictures, where it would have to
# move a sum over a multiple of 90 to show.
_COEFFICIENT_NOISE: Final = 0.01

_LOW: Final = np.minimum.outer(np.arange(1, 17), np.arange(1, 17))  # of a coefficient's two frequencies
_HIGH: Final = np.maximum.outer(np.arange(1, 17), np.arange(1, 17))
_NOISE: Final = np.minimum.reduce([_COEFFICIENT_NOISE + 0 * _LOW, 0.012 / _LOW, 0.06 / _HIGH, 0.1 / (_LOW * _HIGH)])
_STEP_NOISE: Final = 0.0004
_RECODING: Final = 1.5  # grey levels of a cell by which JPEG and resizing move a coefficient
_HALF: Final = 128  # of the coefficients
_TIE: Final = 0.001  # far over what float32 sums at the edges can move; below it a turn asks the judge
_GAPS: Final = np.array([2 * _COEFFICIENT_NOISE, *([_TIE] * 7)])  # of the picture and its turns

_MIRRORED_THEN_SWAPPED: Final = MappingProxyType(
    {
        Turn.MIRROR: (Turn.MIRROR, False),
        Turn.FLIP: (Turn.FLIP, False),
        Turn.ROTATE_180: (Turn.ROTATE_180, False),
        Turn.TRANSPOSE: (Turn.NONE, True),
        Turn.ROTATE_90: (Turn.MIRROR, True),
        Turn.ROTATE_270: (Turn.FLIP, True),
        Turn.TRANSVERSE: (Turn.ROTATE_180, True),
    }
)

_Values = npt.NDArray[np.floating[Any]]


class PDQHasher:
    """PDQ hashes, bit for bit those of the reference (`pdqhash` on x86-64) of the same RGB array.

    Parameters
    ----------
    exact : bool
        Whether the reference's arithmetic is repeated where its rounding noise decides. If not, bits near the median
        may differ there: use that for estimated views of a query, never for a list.

    Notes
    -----
    Cost: one pass over the pixels, in one thread. Where the rounding noise of the reference decides (plain, striped or
    symmetric pictures, and a few others), its arithmetic is repeated at several times that cost; see
    ``docs/reference/pdq.md``. Source: facebook/ThreatExchange, ``pdq/cpp``.

    Examples
    --------
    >>> import numpy as np
    >>> rings = np.add.outer(np.arange(200) ** 2, np.arange(300) ** 2) // 100 % 256
    >>> PDQHasher().hash_pixels(rings.astype(np.uint8))
    (<HashValue pdq, 256 bits>, 100)
    """

    __slots__ = ("_exact", "_searching")

    def __init__(self, *, exact: bool = True, searching: bool = False) -> None:
        self._exact, self._searching = exact, searching

    @property
    def algorithm(self) -> str:
        """``"pdq"``."""
        return "pdq"

    def hash_pixels(self, pixels: Pixels) -> tuple[HashValue, int]:
        """Hash one picture.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array
            RGB or grey; uint8, or float from 0 to 255. Need not be contiguous.

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
        return self._hash(pixels, every_turn=False)[Turn.NONE]

    def hash_turns(self, pixels: Pixels) -> Mapping[Turn, tuple[HashValue, int]]:
        """Hash the picture in each of its eight turns.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array
            As for `hash_pixels`.

        Returns
        -------
        mapping of Turn to (HashValue, int)
            All eight, in the order of `Turn`, with the quality of the untouched picture.

        Raises
        ------
        TypeError, ValueError
            As `hash_pixels`.

        Notes
        -----
        A turn of the pixels mirrors the windows of the blur. The windows are not symmetric if a box is even or a sample
        falls between two pixels, so each mirrored side has averages of its own; quarter turns swap the sides. The
        median changes with the signs of the coefficients and is computed anew. The result is `hash_pixels` of the
        turned pixels, except for bits nearer to the median than the rounding noise of the reference. Where coefficients
        tie, the signs of the reference's own coefficients are changed, as its dihedral hashes do for every picture.
        Cost: one pass over the pixels, and more work in it where the windows of a side are not symmetric.
        """
        return MappingProxyType(self._hash(pixels, every_turn=True))

    def _hash(self, pixels: Pixels, *, every_turn: bool) -> dict[Turn, tuple[HashValue, int]]:
        check_pixels(pixels)
        turns = tuple(Turn) if every_turn else (Turn.NONE,)
        size = pixels.shape[:2]
        if min(size) < _MIN_SIDE:
            return dict.fromkeys(turns, (HashValue("pdq", bytes(32)), 0))
        judge = _Judge(pixels)
        if size == (SIDE, SIDE):
            judged = self._judged(judge.quality(), judge.coefficients())
            return {turn: (judge.value(turn), judged) for turn in turns}
        noise = _noise_factor(*size)
        averages = _averages(pixels, mirrored=every_turn)
        coefficients = dict(zip(averages, kernels.transform(np.array([*averages.values()]), _BY_CELL), strict=True))
        doubt = 1.0 if self._exact else 0.0
        own = [coefficients[Turn.NONE]]
        for turn in turns[1:]:
            mirrored, swapped = _MIRRORED_THEN_SWAPPED[turn]
            own.append(coefficients[mirrored].T if swapped else coefficients[mirrored])
        codes, gaps = kernels.decide(np.array(own))
        found = [HashValue.of_own("pdq", code.tobytes()) for code in codes]
        is_clear = (gaps > doubt * noise * _GAPS[: len(turns)]).tolist()
        quality = _sure_quality(averages[Turn.NONE], doubt * noise * _STEP_NOISE)
        if doubt and (quality is None or not (is_clear[0] or _stand_apart(own[0], noise))):
            found[0], quality = judge.value(Turn.NONE), judge.quality()
        for number, turn in enumerate(turns[1:], start=1):
            if doubt and not is_clear[number]:
                found[number] = judge.value(turn)
        judged = self._judged(quality or 0, own[0])
        return {turn: (value, judged) for turn, value in zip(turns, found, strict=True)}

    def _judged(self, quality: int, coefficients: _Values) -> int:
        if not self._searching:
            return quality
        flat = coefficients.ravel()
        clear = int(np.count_nonzero(np.abs(flat - np.partition(flat, 127)[127]) > _RECODING))
        return quality if clear >= _HALF else min(quality, 100 * clear // 256)  # as `told_share`


class _Judge:
    """What the reference says, computed when first asked."""

    __slots__ = ("_coefficients", "_pixels", "_small")

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        self._small: npt.NDArray[np.float32] | None = None
        self._coefficients: npt.NDArray[np.float32] | None = None

    def _averages(self) -> npt.NDArray[np.float32]:
        if self._small is None:
            self._small = downsample_float32(self._pixels)
        return self._small

    def quality(self) -> int:
        return quality_float32(self._averages())

    def coefficients(self) -> npt.NDArray[np.float32]:
        if self._coefficients is None:
            self._coefficients = coefficients_float32(self._averages())
        return self._coefficients

    def value(self, turn: Turn) -> HashValue:
        return _value(_turned(self.coefficients(), turn))


def told_share(coefficients: _Values) -> npt.NDArray[np.int64]:
    """Return the share of PDQ's coefficients above the noise of one recoding, if it is under half.

    Parameters
    ----------
    coefficients : (..., 16, 16) array
        Coefficients of the grey levels of 64 x 64 cells, under orthonormal cosines.

    Returns
    -------
    (...) int64 array
        Per cent, 0 to 49; 100 if half or more are above the noise. Scenes have nearly all above it, faint or sparse
        pages most.
    """
    flat = coefficients.reshape(*coefficients.shape[:-2], 256)
    median = np.partition(flat, 127, axis=-1)[..., 127:128]
    clear = np.count_nonzero(np.abs(flat - median) > _RECODING, axis=-1)
    share: npt.NDArray[np.int64] = np.where(clear >= _HALF, 100, 100 * clear // 256)
    return share


def _noise_factor(height: int, width: int) -> float:
    """Say how many times more noise than usual: running sums are longer, or fewer lines average it out."""
    longer, shorter = max(height, width), min(height, width)
    return max(1.0, longer / 4000) * min(4.0, max(1.0, longer / shorter / 4))


def _averages(pixels: Pixels, *, mirrored: bool) -> dict[Turn, npt.NDArray[np.float64]]:
    """Average under the tents, to (64, 64) in float64; also of the mirrored, flipped and half-turned pixels."""
    if not mirrored:
        return {Turn.NONE: _seen_from(pixels, (False,), (False,))[0][0]}
    height, width = pixels.shape[:2]
    # from the other end, cells come last first; where windows are not symmetric, they also are others
    down, along = ((False,) if windows_of(side).is_symmetric else (False, True) for side in (height, width))
    seen = _seen_from(pixels, down, along)
    columns = [rows if len(rows) == 2 else (rows[0], rows[0][:, ::-1]) for rows in seen]
    upright, flipped = columns if len(columns) == 2 else (columns[0], [cells[::-1] for cells in columns[0]])
    return {Turn.NONE: upright[0], Turn.MIRROR: upright[1], Turn.FLIP: flipped[0], Turn.ROTATE_180: flipped[1]}


def _seen_from(
    pixels: Pixels, down: tuple[bool, ...], along: tuple[bool, ...]
) -> Sequence[Sequence[npt.NDArray[np.float64]]]:
    """Averages with the windows of the height and of the width seen from one end or the other, one pass over bytes."""
    height, width = pixels.shape[:2]
    if pixels.dtype == np.uint8:
        rows = tuple(taps_of(height, mirrored=end) for end in down)
        return [*kernels.tent_averages(pixels, rows, tuple(taps_of(width, mirrored=end) for end in along))]
    return [[float_averages(pixels, mirrored=across, flipped=end) for across in along] for end in down]


def _sure_quality(small: npt.NDArray[np.float64], noise: float) -> int | None:
    """Return the quality if it is the same with every step shortened and lengthened by the noise, else None."""
    low, high = (min(100, total // 90) for total in kernels.step_sums(small, noise))
    return low if low == high else None


def _stand_apart(coefficients: _Values, noise: float) -> bool:
    """Say whether the noise of no two coefficients, each at its bound, can bring one over the median under it."""
    over = coefficients > np.partition(coefficients.ravel(), 127)[127]
    bounds = noise * _NOISE
    return bool(over.sum() == 128 and (coefficients - bounds)[over].min() > (coefficients + bounds)[~over].max())


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


def _value(coefficients: _Values) -> HashValue:
    """Bits over the lower of the two middle values, the highest coefficient first."""
    flat = coefficients.ravel()
    return HashValue("pdq", np.packbits(flat[::-1] > np.partition(flat, 127)[127]).tobytes())
