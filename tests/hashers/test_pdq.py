"""PDQ against the pdqhash package, its golden vectors and its own slow twins."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pdqhash
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from golden.make_pdq import picture
from hashmatch.hashers import PDQHasher
from hashmatch.hashers.base import turned
from hashmatch.hashers.pdq import _COEFFICIENT_NOISE, _NOISE, _averages, _noise_factor, told_share
from hashmatch.hashers.pdq_float32 import (
    COSINES,
    coefficients_float32,
    downsample_float32,
    luma_float32,
    quality_float32,
)
from hashmatch.hashers.tent import box_width, sample_positions, windows_of
from hashmatch.hashes import HashValue, distance
from hashmatch.synthetic import picture as synthetic_picture
from hashmatch.view import Turn
from support.pixel_kinds import make_pixels, random_pixels

HASHER = PDQHasher()
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "pdq.json").read_text(encoding="utf-8"))["vectors"]
REFERENCE_TURNS = (
    Turn.NONE,
    Turn.ROTATE_90,
    Turn.ROTATE_180,
    Turn.ROTATE_270,
    Turn.FLIP,
    Turn.MIRROR,
    Turn.TRANSPOSE,
    Turn.TRANSVERSE,
)


def reference(pixels: np.ndarray) -> tuple[HashValue, int]:
    """Hash and quality by the pdqhash package."""
    bits, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return HashValue("pdq", np.packbits(bits).tobytes()), int(quality)


def tent_matrix(n: int) -> np.ndarray:
    """Return the 64 kept rows of two box filters as one dense product: the slow twin of `windows_of`."""
    width = box_width(n)
    half = (width + 2) // 2
    box = np.zeros((n, n))
    for i in range(n):
        low, high = max(0, i - (width - half)), min(n - 1, i + half - 1)
        box[i, low : high + 1] = 1 / (high - low + 1)
    return box[sample_positions(n)] @ box


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: "{kind}-{height}x{width}".format(**case))
def test_golden_vectors(case: dict[str, Any]) -> None:
    """Stored vectors of the reference come out bit for bit, in the published order of digits."""
    pixels = picture(case["kind"], case["seed"], case["height"], case["width"])
    value, quality = HASHER.hash_pixels(pixels)
    assert (value.hex(), quality) == (case["hash"], case["quality"])


def test_a_thousand_pictures_equal_the_reference() -> None:
    """No bit and no quality differs from pdqhash on 1,000 seeded pictures, at any quality."""
    rng = np.random.default_rng(20260)
    seen: Counter[str] = Counter()
    for number in range(1000):
        _, pixels = random_pixels(number, rng)
        expected, quality = reference(pixels)
        value, own_quality = HASHER.hash_pixels(pixels)
        rank = "plain" if quality < 50 else "good"
        seen[rank] += 1
        seen[rank + " bits"] += distance(value, expected)
        seen["qualities"] += quality != own_quality
    assert seen["good"] > 400
    assert seen["plain"] > 200
    assert (seen["good bits"], seen["plain bits"], seen["qualities"]) == (0, 0, 0)


@pytest.mark.long
def test_large_pictures_equal_the_reference() -> None:
    """No bit and no quality differs on pictures of 400 to 2500 px a side."""
    rng = np.random.default_rng(5)
    for number in range(20):
        _, pixels = random_pixels(number, rng, (400, 2500))
        assert HASHER.hash_pixels(pixels) == reference(pixels)


@pytest.mark.parametrize(
    ("height", "width"),
    [(5, 5), (5, 64), (63, 65), (64, 64), (127, 129), (6, 20000), (20000, 6), (128, 1), (4, 4), (1, 1), (3, 900)],
)
def test_odd_shapes_equal_the_reference(height: int, width: int) -> None:
    """Tiny, exact, thin and very long pictures come out as in the reference."""
    pixels = make_pixels("photo", height, width, np.random.default_rng(height))
    assert HASHER.hash_pixels(pixels) == reference(pixels)
    if min(height, width) < 5:
        assert HASHER.hash_pixels(pixels) == (HashValue("pdq", bytes(32)), 0)
        assert set(HASHER.hash_turns(pixels).values()) == {(HashValue("pdq", bytes(32)), 0)}


@settings(max_examples=60, deadline=None)
@given(npst.arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3))))
def test_any_bytes_equal_the_reference(pixels: np.ndarray) -> None:
    """Whatever the bytes are, hash and quality are the reference's."""
    assert HASHER.hash_pixels(pixels) == reference(pixels)


def test_the_judge_repeats_the_reference_exactly() -> None:
    """Every float32 coefficient and the quality of the judge equal those of pdqhash."""
    rng = np.random.default_rng(3)
    for number in range(60):
        _, pixels = random_pixels(number, rng, (5, 700))
        small = downsample_float32(pixels)
        expected, quality = pdqhash.compute_float(pixels)
        got = coefficients_float32(small).ravel()[::-1]
        assert np.array_equal(got, np.asarray(expected, np.float32))
        assert quality_float32(small) == quality


def test_exact_arithmetic_stays_within_the_noise_allowed() -> None:
    """Coefficients in exact arithmetic lie nearer to the judge's than the bound of each that calls the judge."""
    rng = np.random.default_rng(4)
    cosines = COSINES.astype(float)
    for number, kind in enumerate(("photo", "photo", "blobs", "noise", "faint", "steps")):
        for height, width in ((300, 420), (129, 90), (64, 700)):
            pixels = make_pixels(kind, height, width, rng)
            exact = _averages(pixels, mirrored=False)[Turn.NONE]
            off = cosines @ exact @ cosines.T - coefficients_float32(downsample_float32(pixels))
            assert (np.abs(off) < _noise_factor(height, width) * _NOISE).all(), (number, kind, height, width)
    assert _NOISE.max() == _COEFFICIENT_NOISE


def smooth(number: int, rng: np.random.Generator) -> np.ndarray:
    """Make one picture whose middle coefficients lie close: few waves, of falling strength, faint or strong."""
    height, width = rng.integers(60, 400, 2)
    waves = 3 + number % 14
    places = [np.pi * np.arange(waves) * (np.arange(side)[:, None] + 0.5) / side + 0.3 for side in (height, width)]
    strengths = rng.normal(size=(waves, waves)) / (1 + np.hypot(*np.indices((waves, waves)))) ** (number % 3)
    field = np.cos(places[0]) @ strengths @ np.cos(places[1]).T
    field *= rng.uniform(20, 120) / np.abs(field).max()
    return (128 + field[..., None] * rng.uniform(0.7, 1.0, 3)).round().astype(np.uint8)


def test_close_coefficients_that_noise_cannot_swap_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smooth pictures equal the reference, though most whose middle coefficients lie close are not judged."""
    asked: list[tuple[int, ...]] = []

    def judged(pixels: np.ndarray) -> np.ndarray:
        asked.append(pixels.shape)
        return downsample_float32(pixels)

    monkeypatch.setattr("hashmatch.hashers.pdq.downsample_float32", judged)
    rng = np.random.default_rng(14)
    close = spared = 0
    for number in range(200):
        pixels = smooth(number, rng)
        expected, quality = reference(pixels)
        asked.clear()
        assert HASHER.hash_pixels(pixels) == (expected, quality), (number, pixels.shape)
        exact = COSINES @ _averages(pixels, mirrored=False)[Turn.NONE] @ COSINES.T
        below, above = np.sort(exact, axis=None)[127:129]
        if above - below <= 2 * _COEFFICIENT_NOISE:
            close += 1
            spared += not asked
    assert close > 40
    assert close // 3 < spared < close


def test_the_bound_that_decides_who_is_judged_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """With bounds of nothing, striped and sloping pictures differ from the reference: the judge is needed."""
    monkeypatch.setattr("hashmatch.hashers.pdq._NOISE", np.zeros((16, 16)))
    rng = np.random.default_rng(15)
    pictures = [make_pixels(kind, 200, 256, rng) for kind in ("stripes", "ramp", "flat")]
    assert any(HASHER.hash_pixels(pixels) != reference(pixels) for pixels in pictures)


@pytest.mark.parametrize(("height", "width"), [(5, 17), (64, 100), (129, 128), (200, 256), (391, 450), (700, 70)])
def test_averages_equal_dense_matrices(height: int, width: int) -> None:
    """The 64x64 averages of every flip are A x B' with the dense tent matrices."""
    pixels = make_pixels("photo", height, width, np.random.default_rng(1))
    got = _averages(pixels, mirrored=True)
    for turn, averages in got.items():
        luma = luma_float32(np.ascontiguousarray(turned(pixels, turn))).astype(float)
        expected = tent_matrix(height) @ luma @ tent_matrix(width).T
        assert np.allclose(averages, expected, rtol=0, atol=1e-4)
    assert set(got) == {Turn.NONE, Turn.MIRROR, Turn.FLIP, Turn.ROTATE_180}


@pytest.mark.parametrize("n", [*range(1, 140), 192, 255, 256, 257, 320, 512, 1000, 3000])
def test_windows_are_the_rows_of_the_tent(n: int) -> None:
    """Weights equal the dense product, sum to the scale, and symmetry is said where it is."""
    windows, dense = windows_of(n), tent_matrix(n)
    for cell, number in enumerate(windows.cells):
        row = np.zeros(n)
        row[windows.starts[number] : windows.stops[number]] = windows.weights[number] / windows.scale
        assert np.allclose(row, dense[cell], rtol=0, atol=1e-12)
    assert windows.is_symmetric == np.allclose(dense, dense[::-1, ::-1], rtol=0, atol=1e-12)


def test_inner_weights_are_whole_numbers() -> None:
    """Away from the edges weights are integers, so float32 sums of bytes are exact in any order."""
    windows = windows_of(3000)
    for weights in windows.weights[1:-1]:
        assert np.array_equal(weights, np.rint(weights))
        assert weights.sum() == windows.scale


def test_turns_equal_the_hash_of_turned_pixels() -> None:
    """Each of the eight turns has the hash of the pixels so turned, on photo-like pictures of many sizes."""
    rng = np.random.default_rng(6)
    sizes = [(64, 64), (65, 64), (128, 256), (200, 260), (256, 256), (320, 576), (90, 333), (20, 30), (512, 512)]
    for height, width in sizes:
        pixels = make_pixels("photo", height, width, rng)
        turns = HASHER.hash_turns(pixels)
        assert list(turns) == list(Turn)
        assert turns[Turn.NONE] == HASHER.hash_pixels(pixels)
        for turn in Turn:
            assert turns[turn][0] == HASHER.hash_pixels(turned(pixels, turn))[0], (height, width, turn)
            assert turns[turn][1] == turns[Turn.NONE][1]


def test_turns_equal_the_reference_where_windows_are_symmetric() -> None:
    """At sizes whose windows mirror onto themselves all eight turns are the reference's dihedral hashes."""
    rng = np.random.default_rng(7)
    for height, width in ((320, 576), (300, 290), (90, 333), (50, 77)):
        assert windows_of(height).is_symmetric
        assert windows_of(width).is_symmetric
        pixels = make_pixels("photo", height, width, rng)
        expected, quality = pdqhash.compute_dihedral(pixels)
        turns = HASHER.hash_turns(pixels)
        for turn, bits in zip(REFERENCE_TURNS, expected, strict=True):
            assert turns[turn] == (HashValue("pdq", np.packbits(bits).tobytes()), quality), turn


def test_turns_of_ties_equal_the_reference() -> None:
    """Where coefficients tie, all eight turns are the reference's dihedral hashes, whatever the size."""
    rng = np.random.default_rng(8)
    for kind in ("flat", "stripes"):
        pixels = make_pixels(kind, 200, 256, rng)
        expected, quality = pdqhash.compute_dihedral(pixels)
        turns = HASHER.hash_turns(pixels)
        for turn, bits in zip(REFERENCE_TURNS, expected, strict=True):
            assert turns[turn] == (HashValue("pdq", np.packbits(bits).tobytes()), quality), (kind, turn)


def test_signs_alone_do_not_turn_a_picture() -> None:
    """At 256x256 the reference's dihedral hash is far from the hash of mirrored pixels, and ours is not."""
    pixels = make_pixels("photo", 256, 256, np.random.default_rng(9))
    mirrored = reference(turned(pixels, Turn.MIRROR))[0]
    by_signs = HashValue("pdq", np.packbits(pdqhash.compute_dihedral(pixels)[0][5]).tobytes())
    assert distance(by_signs, mirrored) >= 10
    assert distance(HASHER.hash_turns(pixels)[Turn.MIRROR][0], mirrored) == 0


def test_layouts_of_the_same_pixels_agree() -> None:
    """Contiguous, four-byte, reversed, sliced, float and grey arrays of the same pixels have one hash."""
    rng = np.random.default_rng(10)
    pixels = make_pixels("photo", 231, 190, rng)
    expected = HASHER.hash_pixels(pixels)
    four = np.dstack([pixels, rng.integers(0, 256, pixels.shape[:2], dtype=np.uint8)])
    shifted = np.dstack([four[..., 3], pixels])
    wide = np.repeat(pixels, 2, axis=1)
    same = {
        "four bytes": four[..., :3],
        "four bytes, last three": shifted[..., 1:],
        "Fortran": np.asfortranarray(pixels),
        "every second column": wide[:, ::2],
        "reversed twice": np.ascontiguousarray(pixels[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
        "float32": pixels.astype(np.float32),
        "float64": pixels.astype(np.float64),
        "float16": pixels.astype(np.float16),
    }
    for name, array in same.items():
        assert HASHER.hash_pixels(array) == expected, name
        assert HASHER.hash_turns(array) == HASHER.hash_turns(pixels), name


def test_grey_is_rgb_of_equal_channels() -> None:
    """A grey array has the hash of the RGB array that repeats it, in memory or by a stride of zero."""
    for kind in ("photo", "flat", "steps"):
        grey = np.ascontiguousarray(make_pixels(kind, 150, 201, np.random.default_rng(11))[..., 1])
        rgb = np.repeat(grey[..., None], 3, axis=2)
        shown = np.broadcast_to(grey[..., None], rgb.shape)
        assert HASHER.hash_pixels(grey) == HASHER.hash_pixels(rgb) == HASHER.hash_pixels(shown) == reference(rgb)


def test_float_pixels_keep_their_fractions() -> None:
    """Float pixels are hashed as they are: a faint pattern below one grey level still shows."""
    wave = 100 + 0.4 * np.cos(np.arange(200) / 9)
    pixels = np.add.outer(wave, wave[:150] * 0.5)
    assert HASHER.hash_pixels(pixels)[0] != HASHER.hash_pixels(np.rint(pixels))[0]


def test_pixels_are_not_changed() -> None:
    """Hashing leaves the array as it was and takes read-only arrays."""
    pixels = make_pixels("photo", 100, 130, np.random.default_rng(12))
    before = pixels.copy()
    pixels.flags.writeable = False
    HASHER.hash_turns(pixels)
    assert np.array_equal(pixels, before)


def test_tall_windows_are_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture whose windows do not fit in the block at once has the same hash."""
    pixels = make_pixels("photo", 900, 120, np.random.default_rng(13))
    expected = HASHER.hash_pixels(pixels)
    monkeypatch.setattr("hashmatch.kernels.numpy.pixels._MOST_NUMBERS", 1000)
    assert HASHER.hash_pixels(pixels) == expected


@pytest.mark.parametrize("kind", ["photo", "document", "low-texture"])
def test_without_the_judge_few_bits_differ(kind: str) -> None:
    """A hasher that does not settle the reference's rounding noise is off by two bits at most, in every turn."""
    pixels = synthetic_picture(kind, 77, size=(300, 400))
    exact, quick = PDQHasher().hash_turns(pixels), PDQHasher(exact=False).hash_turns(pixels)
    assert all(distance(exact[turn][0], quick[turn][0]) <= 2 for turn in Turn)
    assert abs(exact[Turn.NONE][1] - quick[Turn.NONE][1]) <= 1


def test_a_search_counts_what_stands_clear_as_for_many() -> None:
    """The quality of one view is bounded by the share that `told_share` gives of its coefficients."""
    searching = PDQHasher(searching=True)
    shares = np.arange(256.0).reshape(16, 16) * np.geomspace(0.001, 1, 60)[:, None, None]
    told = told_share(shares)
    assert 0 in told
    assert 100 in told
    assert [searching._judged(100, one) for one in shares] == told.tolist()
    assert [searching._judged(7, one) for one in shares] == np.minimum(7, told).tolist()
