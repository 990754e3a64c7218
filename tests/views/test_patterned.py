"""Codes of flat and periodic pictures against those of scenes, by the bit and as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from hashmatch import hash_image
from hashmatch.synthetic import KINDS, picture
from hashmatch.views.evidence.bit_odds import flat_bits
from hashmatch.views.patterned import is_patterned, patterned


def code_of(signs: np.ndarray) -> bytes:
    """Pack a (16, 16) array of bits by flat index into the published order."""
    return np.packbits(signs.astype(np.uint8).ravel()[::-1]).tobytes()


def test_products_and_parities_are_patterned() -> None:
    """A row's signs times a column's, and signs that go by odd and even frequencies, are told; independent ones not."""
    rng = np.random.default_rng(1)
    number = np.arange(16)
    for _ in range(50):
        rows, columns = rng.integers(0, 2, (2, 16))
        assert is_patterned(code_of(rows[:, None] ^ columns))
        parities = rng.integers(0, 2, (2, 2))
        assert is_patterned(code_of(parities[number[:, None] % 2, number % 2]))
        assert not is_patterned(code_of(rng.permutation(256).reshape(16, 16) % 2))
    assert is_patterned(bytes(32))
    assert is_patterned(b"\xff" * 32)


def test_a_few_wrong_signs_do_not_hide_a_product() -> None:
    """Eight of 256 signs that noise has turned leave it told."""
    rng = np.random.default_rng(2)
    for _ in range(50):
        rows, columns = rng.integers(0, 2, (2, 16))
        signs = (rows[:, None] ^ columns).ravel()
        signs[rng.choice(256, 8, replace=False)] ^= 1
        assert is_patterned(code_of(signs.reshape(16, 16)))


def test_arrays_and_numbers_agree() -> None:
    """`patterned` says of many hashes what `is_patterned` says of each."""
    rng = np.random.default_rng(3)
    noise = rng.random((400, 16, 16)) < rng.random((400, 1, 1)) * 0.3
    signs = rng.integers(0, 2, (400, 16, 1)) ^ rng.integers(0, 2, (400, 1, 16)) ^ noise
    codes = [code_of(item) for item in signs]
    found = patterned(flat_bits(np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)))
    assert found.tolist() == [is_patterned(code) for code in codes]
    assert 50 < np.count_nonzero(found) < 350


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "low-texture"])
def test_scenes_and_layouts_are_not(kind: str) -> None:
    """No picture that is worth a hash has a code of a few signs."""
    for seed in range(600, 630):
        assert not is_patterned(hash_image(picture(kind, seed, size=(160, 200))).data)


@pytest.mark.parametrize("size", [(120, 200), (256, 256), (333, 500), (64, 64), (480, 360)])
def test_walls_are(size: tuple[int, int]) -> None:
    """A wall of any colour and size."""
    for grey in (1, 90, 128, 254):
        assert is_patterned(hash_image(np.full((*size, 3), grey, np.uint8)).data)
