"""Classic 64- and 256-bit hashes, computed by the imagehash package, so that values equal those of other users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError
from hashmatch.hashers.base import Pixels, check_pixels, refuse_opaque, turned
from hashmatch.hashes import HashValue
from hashmatch.picture.encode import to_pil
from hashmatch.view import Turn

__all__ = ["CLASSIC_ALGORITHMS", "ClassicHasher"]

_FUNCTIONS: Final = MappingProxyType({"ahash": "average_hash", "dhash": "dhash", "phash": "phash", "whash": "whash"})

CLASSIC_ALGORITHMS: Final = tuple(name + suffix for suffix in ("", "-256") for name in _FUNCTIONS)
"""Names of the classic hashes; the suffix is the number of bits where it is not 64."""


class ClassicHasher:
    """One of the classic hashes, equal to ``str(imagehash.<function>(image))``.

    Parameters
    ----------
    algorithm : str
        ``"ahash"``, ``"dhash"``, ``"phash"`` or ``"whash"``; with ``"-256"`` for 256 bits (``hash_size=16``).

    Raises
    ------
    HashFormatError
        If the algorithm is not one of these.

    Notes
    -----
    Classic hashes measure no quality; use the quality of PDQ. Float pixels are rounded to bytes, half to even. Cost:
    one copy of the pixels for Pillow, the conversion to grey and the resampling; ``whash`` adds a wavelet transform of
    the largest square whose side is a power of two.
    """

    __slots__ = ("_algorithm", "_side")

    def __init__(self, algorithm: str) -> None:
        found = algorithm_named(algorithm)
        refuse_opaque(found)
        if found.name not in CLASSIC_ALGORITHMS:
            raise HashFormatError(
                f"{found.name} is not a classic hash; those are: {', '.join(CLASSIC_ALGORITHMS)}",
            )
        self._algorithm = found.name
        self._side = 16 if found.n_bits == 256 else 8

    def __repr__(self) -> str:
        return f"ClassicHasher({self._algorithm!r})"

    @property
    def algorithm(self) -> str:
        """Name of the algorithm."""
        return self._algorithm

    def hash_pixels(self, pixels: Pixels) -> tuple[HashValue, None]:
        """Hash one picture.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array
            RGB or grey, at least one pixel; uint8, or float from 0 to 255.

        Returns
        -------
        (HashValue, None)
            The hash; there is no quality.

        Raises
        ------
        TypeError
            If ``pixels`` is not an array of uint8 or float.
        ValueError
            If its shape is another, or a float is not finite or outside 0 to 255.
        """
        return self._hash(_as_rgb_bytes(pixels))

    def hash_turns(self, pixels: Pixels) -> Mapping[Turn, tuple[HashValue, None]]:
        """Hash the picture in each of its eight turns, by turning the pixels.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array
            As for `hash_pixels`.

        Returns
        -------
        mapping of Turn to (HashValue, None)
            All eight, in the order of `Turn`.

        Raises
        ------
        TypeError, ValueError
            As `hash_pixels`.

        Notes
        -----
        Cost: eight times `hash_pixels`.
        """
        rgb = _as_rgb_bytes(pixels)
        return MappingProxyType({turn: self._hash(turned(rgb, turn)) for turn in Turn})

    def _hash(self, rgb: npt.NDArray[np.uint8]) -> tuple[HashValue, None]:
        import imagehash

        function: Callable[..., Any] = getattr(imagehash, _FUNCTIONS[self._algorithm.removesuffix("-256")])
        bits = function(to_pil(rgb), hash_size=self._side).hash
        return HashValue(self._algorithm, np.packbits(bits).tobytes()), None


def _as_rgb_bytes(pixels: Pixels) -> npt.NDArray[np.uint8]:
    checked = check_pixels(pixels)
    values = checked if checked.dtype == np.uint8 else np.rint(checked).astype(np.uint8)
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
