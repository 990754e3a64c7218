"""The algorithms: what each one's hashes look like and how two are compared. Nothing is computed here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from hashmatch.errors import HashFormatError

__all__ = ["ALGORITHMS", "Algorithm", "Metric", "algorithm_named", "ceil_sqrt"]


class Metric(Enum):
    """How two hashes of one algorithm are compared; each but the last is an integer metric (triangle inequality holds).

    ``HAMMING``: number of differing bits. ``EUCLIDEAN``: Euclidean distance between the bytes, rounded up, so
    that a radius r accepts exactly the pairs whose squared distance is at most r². ``EXACT``: 0 when equal, else 1.
    ``ALIGNMENT`` is none: the two are laid over each other and judged by what agrees.
    """

    HAMMING = "hamming"
    EUCLIDEAN = "euclidean"
    EXACT = "exact"
    ALIGNMENT = "alignment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """What a hash algorithm's values look like.

    Parameters
    ----------
    name : str
        Lower-case name, as in ``pdq:<hex>``.
    n_bits : int
        Length of a hash, bits; a multiple of 8. 0 where hashes are of any length up to ``max_bytes``.
    metric : Metric
        How two values are compared.
    version : int
        Grows when any output of hashmatch's own computation changes; 0 where hashmatch only stores values.
    max_bytes : int
        Greatest length of a hash, bytes; by default that of ``n_bits``.
    """

    name: str
    n_bits: int
    metric: Metric
    version: int
    max_bytes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_bytes", self.max_bytes or self.n_bits // 8)

    @property
    def n_bytes(self) -> int:
        """Length of a hash, bytes; 0 where it varies."""
        return self.n_bits // 8

    def fits(self, n_bytes: int) -> bool:
        """Whether a hash may have so many bytes."""
        return n_bytes == self.n_bytes if self.n_bits else 0 < n_bytes <= self.max_bytes

    @property
    def max_distance(self) -> int:
        """Largest distance two values can have; 0 where there is none."""
        if self.metric is Metric.HAMMING:
            return self.n_bits
        if self.metric is Metric.EUCLIDEAN:
            return ceil_sqrt(255 * 255 * self.n_bytes)
        return int(self.metric is Metric.EXACT)


def _table(*algorithms: Algorithm) -> Mapping[str, Algorithm]:
    return MappingProxyType({algorithm.name: algorithm for algorithm in algorithms})


ALGORITHMS: Final[Mapping[str, Algorithm]] = _table(
    Algorithm(name="pdq", n_bits=256, metric=Metric.HAMMING, version=1),
    *(
        Algorithm(name=name + suffix, n_bits=n_bits, metric=Metric.HAMMING, version=1)
        for suffix, n_bits in (("", 64), ("-256", 256))
        for name in ("ahash", "dhash", "phash", "whash")
    ),
    Algorithm(name="md5", n_bits=128, metric=Metric.EXACT, version=1),
    Algorithm(name="sha1", n_bits=160, metric=Metric.EXACT, version=1),
    Algorithm(name="sha256", n_bits=256, metric=Metric.EXACT, version=1),
    Algorithm(name="photodna", n_bits=1152, metric=Metric.EUCLIDEAN, version=0),
    Algorithm(name="keypoint", n_bits=0, metric=Metric.ALIGNMENT, version=1, max_bytes=4096),
)
"""Every algorithm whose hashes can be stored and matched, by name."""

DIGESTS: Final = frozenset(name for name, algorithm in ALGORITHMS.items() if algorithm.metric is Metric.EXACT)
"""Algorithms that are digests of a file's bytes."""

COMPUTED: Final = frozenset(
    name
    for name, algorithm in ALGORITHMS.items()
    if algorithm.version and algorithm.metric not in (Metric.EXACT, Metric.ALIGNMENT)
)
"""Algorithms whose hashes are computed from pixels: not digests, records, and what is only stored."""


_SAME: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{
            f"{name}{suffix}@imagehash": f"{name}{suffix}"
            for name in ("ahash", "dhash", "phash", "whash")
            for suffix in ("", "-256")
        },
        **{f"pdq@{producer}": "pdq" for producer in ("threatexchange", "pdqhash")},
    }
)
"""Names with their producer whose hashes have the bits of ours, in the order of ours."""

_AREAS: Final = "it makes a picture small by the mean of areas, and other bits come of that"
_OTHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dhash@perception": "it asks whether the left of two pixels is lighter, not the right one, so its bits are "
        "nearly the complement; which pixels were equal is lost",
        **{f"{name}@perception": _AREAS for name in ("ahash", "phash")},
        "dhash@dhash": "it is made of 9 by 9 pixels, not 9 by 8, and has as many bits of columns behind those of rows",
    }
)
"""Names with their producer whose hashes are not ours, and why."""


def algorithm_named(name: str) -> Algorithm:
    """Look an algorithm up by its name.

    Parameters
    ----------
    name : str
        Such as ``"pdq"``; upper case is accepted. ``"dhash@imagehash"`` says who makes the hashes: several programs
        give one name to algorithms of their own.

    Raises
    ------
    HashFormatError
        If no algorithm has that name, or the hashes of that producer are not known to be those of an algorithm here;
        the message lists those that exist, or says what to do.
    """
    found = (ALGORITHMS.get(name) or ALGORITHMS.get(name.lower())) if isinstance(name, str) else None
    if found is None and isinstance(name, str) and "@" in name:
        found = ALGORITHMS[_checked_producer(name.strip().lower())]
    if found is None:
        # the name is not repeated: a hash in the wrong column would end up in a log
        raise HashFormatError(f"that is not a known algorithm; choose one of: {', '.join(ALGORITHMS)}")
    return found


def _checked_producer(name: str) -> str:
    """Give the name of the algorithm whose hashes a producer makes."""
    same = _SAME.get(name)
    if same is None:
        what = (
            f"{name} is not {name.partition('@')[0]}: {_OTHERS[name]}"
            if name in _OTHERS
            else "the hashes of this producer are not known to be those of an algorithm here"
        )
        raise HashFormatError(
            f"{what}, and the two are not to be compared. Import digests of the same files, or have the hashes made "
            f"anew by hashmatch. Producers whose hashes are the same: {', '.join(_SAME)}"
        )
    return same


def ceil_sqrt(value: int) -> int:
    """Square root rounded up, exact for integers of any size."""
    root = math.isqrt(value)
    return root + (root * root < value)
