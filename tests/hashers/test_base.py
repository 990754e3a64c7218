"""What pixels a hasher takes, for every hasher."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError
from hashmatch.hashers import CLASSIC_ALGORITHMS, ClassicHasher, Hasher, PDQHasher
from hashmatch.hashers.base import refuse_opaque, turned
from hashmatch.hashes import HashValue
from hashmatch.view import Turn

HASHERS: tuple[Hasher, ...] = (PDQHasher(), *(ClassicHasher(name) for name in CLASSIC_ALGORITHMS))


@pytest.mark.parametrize("hasher", HASHERS, ids=lambda hasher: hasher.algorithm)
@pytest.mark.parametrize(
    ("pixels", "error", "says"),
    [
        ([[1, 2], [3, 4]], TypeError, "numpy.asarray"),
        (np.zeros((8, 8), bool), TypeError, "multiply by 255"),
        (np.zeros((8, 8), np.uint16), TypeError, "shift right by 8"),
        (np.zeros((8, 8), np.int64), TypeError, "scale to 0 to 255"),
        (np.zeros((8, 8), complex), TypeError, "uint8 or float"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, "composite"),
        (np.zeros((8, 8, 1), np.uint8), ValueError, "(H, W)"),
        (np.zeros(8, np.uint8), ValueError, "(H, W, 3)"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, "at least one pixel"),
        (np.full((8, 8), np.nan), ValueError, "finite"),
        (np.full((8, 8), np.inf), ValueError, "finite"),
        (np.full((8, 8), -0.5), ValueError, "0 to 255"),
        (np.full((8, 8), 255.5), ValueError, "0 to 255"),
    ],
)
def test_what_is_not_pixels_is_refused(hasher: Hasher, pixels: Any, error: type[Exception], says: str) -> None:
    """Wrong types, shapes and values raise the named error, whose message says what to do."""
    for method in (hasher.hash_pixels, hasher.hash_turns):
        with pytest.raises(error) as caught:
            method(pixels)
        assert says in str(caught.value)


@pytest.mark.parametrize("hasher", HASHERS, ids=lambda hasher: hasher.algorithm)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9, 3), (9, 1), (2, 3, 3), (700, 1)])
def test_tiny_pictures_have_hashes(hasher: Hasher, shape: tuple[int, ...]) -> None:
    """Down to one pixel every hasher answers in all eight turns with a hash of its algorithm's length."""
    pixels = (np.arange(np.prod(shape)) % 256).astype(np.uint8).reshape(shape)
    turns = hasher.hash_turns(pixels)
    assert list(turns) == list(Turn)
    assert turns[Turn.NONE] == hasher.hash_pixels(pixels)
    for value, _ in turns.values():
        assert isinstance(value, HashValue)
        assert value.algorithm == hasher.algorithm
        assert value.n_bits == ALGORITHMS[hasher.algorithm].n_bits


def test_turned_follows_the_definitions() -> None:
    """Each turn does to an array what its definition says."""
    pixels = np.arange(24).reshape(2, 4, 3)
    swapped = pixels.transpose(1, 0, 2)
    expected = {
        Turn.NONE: pixels,
        Turn.ROTATE_90: np.rot90(pixels),
        Turn.ROTATE_180: pixels[::-1, ::-1],
        Turn.ROTATE_270: np.rot90(pixels, 3),
        Turn.MIRROR: pixels[:, ::-1],
        Turn.FLIP: pixels[::-1],
        Turn.TRANSPOSE: swapped,
        Turn.TRANSVERSE: swapped[::-1, ::-1],
    }
    assert set(expected) == set(Turn)
    for turn, array in expected.items():
        assert np.array_equal(turned(pixels, turn), array), turn


def test_opaque_hashes_are_refused() -> None:
    """PhotoDNA is never computed, and the message says that it can be stored; others pass."""
    with pytest.raises(HashFormatError, match=r"photodna .* stored and matched here, never computed"):
        refuse_opaque(ALGORITHMS["photodna"])
    with pytest.raises(HashFormatError, match="never computed"):
        ClassicHasher("photodna")
    refuse_opaque(ALGORITHMS["pdq"])
