"""Keypoint fingerprints: pixels to a reference's record, and to a query's points.

A list stores the record. The points of a query, with the margin of each bit, are never stored.
"""

from __future__ import annotations

from typing import Final

from hashmatch.hashers.base import Pixels, check_pixels
from hashmatch.hashes import HashValue
from hashmatch.keypoints.describe import extract
from hashmatch.keypoints.field import make_field
from hashmatch.keypoints.frame import Luma, normal_luma
from hashmatch.keypoints.points import Keypoints
from hashmatch.keypoints.record import Record, checked_key, key_check

__all__ = ["FEWEST_POINTS", "QUERY_POINTS", "REFERENCE_POINTS", "KeypointHasher"]

REFERENCE_POINTS: Final = 185
"""Default number of points of a record; about as many as 4096 bytes hold beside the field."""

QUERY_POINTS: Final = 1000
"""Largest number of points of a query."""

FEWEST_POINTS: Final = 16
"""Least number of points that a record may be limited to."""


class KeypointHasher:
    """Keypoint records of references and keypoints of queries.

    Parameters
    ----------
    points : int
        Largest number of points of a record, 16 to 185. Fewer points need fewer bytes, reveal less of the picture, and
        find fewer small crops.
    key : bytes, optional
        Secret of at least 16 random bytes, for lists that stay within one organisation: only queries made with the
        same key find the records. It does not protect a stolen list, see ``docs/explanation/privacy.md``.

    Raises
    ------
    TypeError, ValueError
        If ``points`` is out of range, or ``key`` is not bytes or too short.

    Notes
    -----
    Cost: ``python -m benchmarks keypoints`` and ``hashing`` measure it; ``docs/explanation/performance.md`` has the
    figures.

    Examples
    --------
    >>> import numpy as np
    >>> rings = np.add.outer(np.arange(200) ** 2, np.arange(300) ** 2) // 100 % 256
    >>> value, quality = KeypointHasher().hash_pixels(rings.astype(np.uint8))
    >>> value.algorithm, quality
    ('keypoint', None)
    """

    __slots__ = ("_key", "_key_id", "_points")

    def __init__(self, points: int = REFERENCE_POINTS, *, key: bytes | None = None) -> None:
        if not FEWEST_POINTS <= points <= REFERENCE_POINTS:
            raise ValueError(f"points must be {FEWEST_POINTS} to {REFERENCE_POINTS}, not {points}")
        self._points = points
        self._key = None if key is None else checked_key(key)
        self._key_id = None if key is None else key_check(key)

    def __repr__(self) -> str:
        return f"<KeypointHasher, {self._points} points, {'no key' if self._key is None else 'keyed'}>"

    @property
    def algorithm(self) -> str:
        """``"keypoint"``."""
        return "keypoint"

    @property
    def key_id(self) -> bytes | None:
        """`record.key_check` of the key; None without a key."""
        return self._key_id

    def hash_pixels(self, pixels: Pixels) -> tuple[HashValue, None]:
        """Make the record of a reference.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array
            RGB or grey; uint8, or float from 0 to 255.

        Returns
        -------
        (HashValue, None)
            Bytes of a `record.Record`; the record of a plain picture may have no points. No quality is measured.

        Raises
        ------
        TypeError
            If ``pixels`` is not an array of uint8 or float.
        ValueError
            If its shape is another, or a float is not finite or outside 0 to 255.
        """
        return self.record_of(normal_luma(check_pixels(pixels))), None

    def record_of(self, luma: Luma) -> HashValue:
        """Make the record of a normal frame, such as `query` gives; equal to that of the pixels."""
        points = extract(luma, self._points, margins=False, key=self._key)
        return HashValue("keypoint", Record(points, make_field(luma), self._key_id).to_bytes())

    def query(self, pixels: Pixels) -> tuple[Luma, Keypoints]:
        """Find the points of a query.

        Parameters
        ----------
        pixels : (H, W, 3) or (H, W) array
            As for `hash_pixels`.

        Returns
        -------
        (luma, Keypoints)
            The normal frame, (h, w) float32, and at most 1000 points with margins.

        Raises
        ------
        TypeError, ValueError
            As `hash_pixels`.
        """
        luma = normal_luma(check_pixels(pixels))
        return luma, extract(luma, QUERY_POINTS, margins=True, key=self._key)
