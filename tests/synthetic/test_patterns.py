"""Patterned, plain and faint pictures: the same from the same seed, and refused where they cannot be made."""

from __future__ import annotations

import numpy as np
import pytest

from hashmatch import fingerprint
from hashmatch.synthetic import PATTERN_KINDS, PLAIN_KINDS, pattern


@pytest.mark.parametrize("kind", PATTERN_KINDS)
@pytest.mark.parametrize("size", [(16, 16), (90, 140), (160, 64)])
def test_patterns_come_from_their_seed(kind: str, size: tuple[int, int]) -> None:
    """The same kind, seed and size give the same bytes, another seed others; any size from 16 px on."""
    first = pattern(kind, 3, size)
    assert first.shape == (*size, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, pattern(kind, 3, size))
    assert not np.array_equal(first, pattern(kind, 4, size))


def test_plain_kinds_are_mostly_of_low_quality() -> None:
    """Most plain pictures, but for flags, state too little quality to be matched."""
    kinds = [kind for kind in PLAIN_KINDS if kind != "flag"]
    low = [(fingerprint(pattern(kind, seed)).quality or 0) < 50 for kind in kinds for seed in range(20)]
    assert sum(low) > 0.8 * len(low)


@pytest.mark.parametrize(
    ("kind", "seed", "size"), [("photo", 1, (64, 64)), ("dots", -1, (64, 64)), ("dots", 1, (15, 64))]
)
def test_refused(kind: str, seed: int, size: tuple[int, int]) -> None:
    """Unknown kinds, seeds below 0 and small sides are errors."""
    with pytest.raises(ValueError, match=r"kind must be|seed of 0"):
        pattern(kind, seed, size)
