"""Classic hashes against imagehash itself."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import imagehash
import numpy as np
import pytest
from PIL import Image

from hashmatch.errors import HashFormatError
from hashmatch.hashers import CLASSIC_ALGORITHMS, ClassicHasher
from hashmatch.hashers.base import turned
from hashmatch.view import Turn
from support.pixel_kinds import random_pixels

FUNCTIONS = {
    "ahash": imagehash.average_hash,
    "dhash": imagehash.dhash,
    "phash": imagehash.phash,
    "whash": imagehash.whash,
}


def expected_hex(algorithm: str, pixels: np.ndarray) -> str:
    """Text of imagehash's own result."""
    name, _, suffix = algorithm.partition("-")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return str(FUNCTIONS[name](image, hash_size=16 if suffix else 8))


@pytest.mark.parametrize("algorithm", CLASSIC_ALGORITHMS)
def test_values_equal_imagehash(algorithm: str) -> None:
    """Hexadecimal text equals ``str`` of imagehash's hash, for RGB and grey arrays of many kinds and sizes."""
    rng = np.random.default_rng(1)
    hasher = ClassicHasher(algorithm)
    for number in range(40):
        _, pixels = random_pixels(number, rng, (1, 300))
        value, quality = hasher.hash_pixels(pixels)
        assert value.hex() == expected_hex(algorithm, pixels)
        assert quality is None
        grey = np.ascontiguousarray(pixels[..., 0])
        assert hasher.hash_pixels(grey)[0].hex() == expected_hex(algorithm, grey)


@pytest.mark.parametrize("algorithm", CLASSIC_ALGORITHMS)
def test_turns_are_hashes_of_turned_pixels(algorithm: str) -> None:
    """Each turn has imagehash's value of the pixels so turned."""
    _, pixels = random_pixels(0, np.random.default_rng(2), (80, 200))
    turns = ClassicHasher(algorithm).hash_turns(pixels)
    for turn in Turn:
        assert turns[turn][0].hex() == expected_hex(algorithm, turned(pixels, turn))


def test_float_pixels_round_half_to_even() -> None:
    """Float pixels become bytes by rounding, halves to the even neighbour."""
    _, pixels = random_pixels(1, np.random.default_rng(3), (40, 90))
    even = pixels & 0xFE
    assert ClassicHasher("dhash-256").hash_pixels((even + 0.5).clip(0, 255)) == ClassicHasher("dhash-256").hash_pixels(
        even
    )


def test_no_warning_leaks() -> None:
    """Flat, tiny and long pictures raise no warning in any hash."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for algorithm in CLASSIC_ALGORITHMS:
            for shape in ((1, 1, 3), (2, 2), (16, 16, 3), (3, 900), (900, 3, 3)):
                ClassicHasher(algorithm).hash_pixels(np.full(shape, 7, np.uint8))


def test_threads_give_the_same_values() -> None:
    """Hashes computed by four threads at once equal those computed in turn: there is no shared state."""
    rng = np.random.default_rng(4)
    pictures = [random_pixels(number, rng, (30, 200))[1] for number in range(24)]
    for algorithm in ("phash", "whash"):
        hasher = ClassicHasher(algorithm)
        alone = [hasher.hash_pixels(pixels) for pixels in pictures]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(hasher.hash_pixels, pictures)) == alone


@pytest.mark.parametrize("algorithm", ["pdq", "md5", "ahash-64", ""])
def test_other_algorithms_are_refused(algorithm: str) -> None:
    """A name that is no classic hash raises an error that lists those that are."""
    with pytest.raises(HashFormatError, match="dhash"):
        ClassicHasher(algorithm)


def test_repr_names_the_algorithm() -> None:
    """The text form of a hasher makes an equal hasher."""
    assert repr(ClassicHasher("WHASH-256")) == "ClassicHasher('whash-256')"
