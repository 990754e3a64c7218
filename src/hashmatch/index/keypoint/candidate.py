"""Bounds, arguments and candidates of a search of local descriptors."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashmatch.index.base import Codes, check_codes

__all__ = ["CODE_BITS", "CODE_BYTES", "Candidate", "KeypointSearch", "aligned", "checked_query"]

Ints = NDArray[np.int64]

CODE_BYTES: Final = 16
CODE_BITS: Final = 8 * CODE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypointSearch:
    """Bounds of a search; ``docs/research/keypoints.md`` has the measurement by which the defaults were chosen.

    Parameters
    ----------
    max_distance : int
        Largest distance of two descriptors that agree, bits, inclusive, 0 to 64.
    max_probes : int
        Most keys looked up for the untouched picture, and as many for its mirror image, 1 or more.
    max_compared : int
        Most stored codes compared, 1 or more; if the keys hold more, the fullest keys are cut first.
    max_hits : int
        Most pairs kept, 1 or more; if more codes agree, the query points that agree with most codes are dropped first.
    max_candidates : int
        Most candidates returned, 1 or more.
    min_votes : int
        Least number of pairs that agree on one rough transform, 1 or more.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is out of range.
    """

    max_distance: int = 26
    max_probes: int = 16_000
    max_compared: int = 1_000_000
    max_hits: int = 100_000
    max_candidates: int = 32
    min_votes: int = 2

    def __post_init__(self) -> None:
        for name in ("max_probes", "max_compared", "max_hits", "max_candidates", "min_votes"):
            if operator.index(getattr(self, name)) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if not 0 <= operator.index(self.max_distance) <= CODE_BITS // 2:
            raise ValueError(f"max_distance must be 0 to {CODE_BITS // 2}, not {self.max_distance}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """An entry that the query may share a part with, and the pairs of points that agree.

    Parameters
    ----------
    entry : int
        Number of the entry.
    mirrored : bool
        Whether the mirror image of the query agrees.
    weight : float
        Sum of the votes for the best rough transform. The vote of a point that agrees with no other entry of the list
        counts 1; the vote of a point that agrees with many entries counts less.
    query_points : (p,) int64 array
        Points of the query, ascending, each once.
    reference_points : (p,) int64 array
        Points of the entry, counted within it, each once.
    distances : (p,) int32 array
        Differing bits of each pair.
    """

    entry: int
    mirrored: bool
    weight: float
    query_points: Ints
    reference_points: Ints
    distances: NDArray[np.int32]

    def __repr__(self) -> str:
        mirrored = ", mirrored" if self.mirrored else ""
        return f"<Candidate entry {self.entry}{mirrored}, {len(self.distances)} pairs, weight {self.weight:.1f}>"


def aligned(codes: Codes) -> Codes:
    """Return the codes contiguous and at a multiple of 8 bytes, copied only where they are not."""
    checked = np.ascontiguousarray(codes)
    return checked if checked.ctypes.data % 8 == 0 else checked.copy()


def checked_query(
    codes: ArrayLike, margins: ArrayLike, geometry: ArrayLike, mirrored_codes: ArrayLike | None
) -> tuple[list[Codes], NDArray[np.float32], Codes]:
    """Check the arguments of a search; return one or two sets of codes, the capped margins, and the geometry."""
    queries = [check_codes(codes, CODE_BYTES, what="queries")]
    k = len(queries[0])
    if mirrored_codes is not None:
        queries.append(check_codes(mirrored_codes, CODE_BYTES, what="mirrored codes"))
        if len(queries[1]) != k:
            raise ValueError("there must be as many mirrored codes as codes")
    sure = np.asarray(margins, np.float32)
    places: NDArray[Any] = np.asarray(geometry)
    if sure.shape != (k, CODE_BITS) or not (sure >= 0).all():
        raise ValueError(f"margins must be {CODE_BITS} numbers of 0 or more for each code")
    if places.dtype != np.uint8:
        raise TypeError(f"geometry must be uint8, not {places.dtype}")
    if places.shape != (k, 4):
        raise ValueError("geometry must have 4 numbers for each code")
    return queries, np.minimum(sure, np.float32(1e4)), places
