"""Codes of one place stay near, of two keys are unrelated, and mirror as the picture does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.kernels.points import coefficients
from hashmatch.keypoints.describe import _COSINES, _MIRROR, _ORDER, _rotation, extract, mirrored
from hashmatch.keypoints.frame import normal_luma
from hashmatch.keypoints.points import Keypoints
from hashmatch.synthetic import edits, picture

KEYS = (b"one secret of at least 16 bytes", b"another secret of 16 bytes")
PHOTOS = [picture("photo", 7_150_010 + i, (600, 760)) for i in range(4)]


def differing(a: Keypoints, b: Keypoints) -> npt.NDArray[Any]:
    """Count the differing bits of every two codes."""
    return np.bitwise_count(a.codes[:, None] ^ b.codes[None]).sum(axis=2, dtype=np.int64)


def right_pairs(reference: Keypoints, query: Keypoints, scale: float, shift: tuple[float, float]) -> int:
    """Count the reference's points that the query has at the right place with at most 27 other bits."""
    off_x = (reference.x - shift[0]) * scale
    off_y = (reference.y - shift[1]) * scale
    off = np.hypot(off_x[:, None] - query.x, off_y[:, None] - query.y)
    return int(((off < 4 * scale) & (differing(reference, query) <= 27)).any(axis=1).sum())


def quarter(photo: npt.NDArray[Any], key: bytes | None) -> int:
    """Count right pairs between a photo and the quarter in its middle."""
    cut = edits.crop_area(photo, 0.25, 0.5, 0.5)
    reference = extract(normal_luma(photo), 180, margins=False, key=key)
    query = extract(normal_luma(cut), 1000, margins=True, key=key)
    return right_pairs(reference, query, 2.0, (reference.width / 4, reference.height / 4))


def test_a_quarter_of_a_photo_is_found_again() -> None:
    """Most crops to a quarter keep at least a tenth of the reference's points, and unrelated pictures hardly any."""
    counts = [quarter(photo, None) for photo in PHOTOS]
    assert np.median(counts) >= 12
    frames = [extract(normal_luma(photo), 180, margins=False) for photo in PHOTOS]
    strangers = [(differing(a, b) <= 22).sum() for a in frames for b in frames if a is not b]
    assert np.mean(strangers) < 4


def test_a_key_changes_every_code_and_no_recall() -> None:
    """With a key as many right pairs are found, and codes of two keys, or of a key and none, are unrelated."""
    plain, keyed = (sum(quarter(photo, key) for photo in PHOTOS) for key in (None, KEYS[0]))
    assert abs(plain - keyed) <= 0.15 * plain
    luma = normal_luma(PHOTOS[0])
    codes = [extract(luma, 180, margins=False, key=key) for key in (None, *KEYS)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        own = np.diagonal(differing(codes[a], codes[b]))
        assert abs(own.mean() - 64) < 3
        assert own.min() > 30
        assert np.array_equal(codes[a].x, codes[b].x)


@pytest.mark.parametrize("key", [None, KEYS[0]])
def test_mirrored_is_what_the_mirrored_picture_gives(key: bytes | None) -> None:
    """At the same place the mirrored picture's own codes differ from those computed in few bits, with a key too."""
    photo = PHOTOS[1]
    found = mirrored(extract(normal_luma(photo), 400, margins=False, key=key))
    own = extract(normal_luma(photo[:, ::-1]), 400, margins=False, key=key)
    off = np.hypot(found.x[:, None] - own.x, found.y[:, None] - own.y)
    near = off.min(axis=1) < 1.5
    assert near.mean() > 0.75
    bits = np.where(off < 1.5, differing(found, own), 128).min(axis=1)[near]
    assert np.median(bits) <= 6
    twice = mirrored(found)
    assert np.allclose(mirrored(twice).x, found.x, atol=1e-3)
    assert np.array_equal(mirrored(twice).codes, found.codes)


def test_mirroring_a_patch_flips_exactly_the_odd_bits() -> None:
    """Of a patch turned over, across its direction, exactly the odd groups change their signs, whatever the key."""
    patches = np.random.default_rng(7).normal(128, 30, (20, 16, 16)).astype(np.float32)
    for seed in (b"a", b"b"):
        both = (patches, np.ascontiguousarray(patches[:, ::-1]))
        values, turned = (coefficients(each, _COSINES, _ORDER, _rotation(seed)) for each in both)
        flipped = np.packbits(values > 0, axis=1) ^ _MIRROR
        assert np.array_equal(flipped, np.packbits(turned > 0, axis=1))


def test_rotation_is_orthonormal_and_products_are_exact() -> None:
    """A rotation is orthonormal to its rounding, and no sum of whole numbers can pass 2**53."""
    turn = _rotation(b"any")
    assert ((turn != 0).sum(axis=1) <= 16).all()
    assert np.abs(turn @ turn.T / 2**30 - np.eye(128)).max() < 1e-3
    largest = 255 * 256 * np.abs(_COSINES).sum(axis=1).max() ** 2
    assert largest < 2**53
    assert largest * 2**-16 * np.abs(turn).sum(axis=1).max() < 2**53
    assert len({tuple(pair) for pair in _ORDER.tolist()}) == 128


def test_turning_the_picture_turns_places_and_angles() -> None:
    """In a picture turned by a quarter points lie where they were turned to, with the angle turned too."""
    photo = PHOTOS[2]
    before = extract(normal_luma(photo), 300, margins=False)
    after = extract(normal_luma(np.rot90(photo, -1)), 300, margins=False)
    off = np.hypot((before.height - before.y)[:, None] - after.x, before.x[:, None] - after.y)
    i = np.flatnonzero(off.min(axis=1) < 1.5)
    bits = differing(before, after)[i, off[i].argmin(axis=1)]
    assert len(i) > 0.6 * len(before)
    assert np.median(bits) <= 10
    turn = after.angle[off[i].argmin(axis=1)] - before.angle[i] - math.pi / 2
    assert np.median(np.abs(np.angle(np.exp(1j * turn)))) < 0.1


def test_margins_tell_which_bits_flip() -> None:
    """Bits that JPEG flips have far smaller margins than those it leaves."""
    photo = PHOTOS[3]
    a = extract(normal_luma(photo), 300, margins=True)
    b = extract(normal_luma(edits.jpeg(photo, 40)), 300, margins=True)
    assert a.margins is not None
    assert a.margins.shape == (len(a), 128)
    pairs = differing(a, b)
    i = np.flatnonzero(pairs.min(axis=1) <= 20)
    flips = np.unpackbits(a.codes[i] ^ b.codes[pairs[i].argmin(axis=1)], axis=1).astype(bool)
    assert a.margins[i][flips].mean() < 0.5 * a.margins[i][~flips].mean()


def test_bad_arguments_are_refused_without_the_key() -> None:
    """A key of another type or too short, and no points at all, are refused; the message does not hold the key."""
    luma = np.zeros((64, 64), np.float32)
    with pytest.raises(ValueError, match="at least 16") as caught:
        extract(luma, 10, margins=False, key=b"sesame")
    assert "sesame" not in str(caught.value)
    with pytest.raises(TypeError, match="bytes"):
        extract(luma, 10, margins=False, key="a text of at least 16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_points"):
        extract(luma, 0, margins=False)
