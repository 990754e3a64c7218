"""The kernels of the keypoints: NumPy's against written-out loops, the compiled ones against NumPy's, to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hashmatch.kernels import compiled, points
from hashmatch.kernels.numpy import points as reference_points
from hashmatch.kernels.numpy.points import Sampling, Tents
from hashmatch.keypoints.describe import _COSINES, _GRID, _ORDER, _WEIGHT, _rotation
from hashmatch.keypoints.frame import _tents, frame_shape

native: Any = points.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)
RNG = np.random.default_rng(12_100_000)


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether arrays have the same type, shape and bits."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def sampling(n: int, images: int, reach: float) -> Sampling:
    """Places in and round pictures of up to ``reach`` px, in any direction and size."""
    turn, size = RNG.random(n) * 7, RNG.random(n) * 40
    return Sampling(
        which=RNG.integers(0, images, n),
        x=(RNG.random(n) * reach * 1.4 - 0.2 * reach).astype(np.float32),
        y=(RNG.random(n) * reach * 1.4 - 0.2 * reach).astype(np.float32),
        cosine=(np.cos(turn) * size).astype(np.float32),
        sine=(np.sin(turn) * size).astype(np.float32),
        grid=(_GRID * 6).astype(np.float32),
    )


def floats(*sides: st.SearchStrategy[int], extreme: bool = False) -> st.SearchStrategy[np.ndarray]:
    """Pictures of grey levels, whole or any."""
    values = st.sampled_from([0.0, 0.25, 1.0, 254.75, 255.0]) if extreme else st.floats(0, 255, width=32)
    return st.tuples(*sides).flatmap(lambda shape: npst.arrays(np.float32, shape, elements=values))


SIDE = st.integers(1, 24)


def test_peaks_are_those_of_the_written_out_search() -> None:
    """Peaks are exactly the samples over the threshold that no neighbour of 26 exceeds, ties included."""
    levels = RNG.integers(0, 9, (6, 20, 23)).astype(np.float32) / 4
    size = np.abs(levels[1:] - levels[:-1])
    for margin in (1, 3):
        slow = np.zeros((3, 20 - 2 * margin, 23 - 2 * margin), bool)
        for z, y, x in np.ndindex(slow.shape):
            top, left = y + margin - 1, x + margin - 1
            here = size[z + 1, y + margin, x + margin]
            slow[z, y, x] = here == size[z : z + 3, top : top + 3, left : left + 3].max() and here > 0.15
        assert slow.any()
        assert np.array_equal(points.peaks(levels, 0.15, margin), slow)


def test_a_blur_mirrors_the_picture_however_far_it_reaches() -> None:
    """Taps beyond the sides, beyond the mirrored picture too, see the picture folded back."""
    image = RNG.random((3, 5)).astype(np.float32) * 255
    taps = np.array([0.2, 0.15, 0.1, 0.1, 0.05], np.float32)
    folded = np.pad(image, 8, mode="symmetric").astype(np.float64)
    weights = np.r_[taps[:0:-1], taps].astype(np.float64)
    down = sum(weight * folded[2 * i : 2 * i + 3] for i, weight in enumerate(weights))
    exact = sum(weight * down[:, 2 * i : 2 * i + 5] for i, weight in enumerate(weights))
    out = np.empty_like(image)
    points.blur(image, taps, 2, out)
    assert np.abs(out - exact).max() < 1e-3


def test_a_ramp_points_where_it_rises() -> None:
    """Of a plane that rises in one direction, that direction is found, to one 256th of a turn."""
    for turn in range(256):
        angle = turn * 2 * np.pi / 256
        ramp = 100 + 4 * (np.cos(angle) * np.arange(16) + np.sin(angle) * np.arange(16)[:, None])
        ramp = ramp[None].astype(np.float32)
        found = points.directions(ramp, np.pad(np.ones((14, 14), np.float32), 1))
        off = abs(int(found[0]) - turn)
        assert min(off, 256 - off) <= 1
    assert points.directions(np.full((1, 16, 16), 7, np.float32), _WEIGHT).tolist() == [0.0]


def test_the_arctangent_is_one() -> None:
    """The polynomial is within 4e-6 bins of the arctangent all round, and exact on the axes."""
    turn = np.linspace(0, 2 * np.pi, 100_001)
    across, down = np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)
    exact = np.mod(np.arctan2(down.astype(np.float64), across.astype(np.float64)) * 18 / np.pi, 36)
    off = np.abs(reference_points._turn(across, down) - exact)
    assert np.minimum(off, 36 - off).max() < 4e-6
    axes = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]], np.float32)
    assert reference_points._turn(axes[:, 0], axes[:, 1]).tolist() == [0, 9, 18, 27, 0]


@needs_native
@every_path
@settings(max_examples=40, deadline=None)
@given(
    picture=st.tuples(SIDE, SIDE, st.sampled_from([1, 3])).flatmap(lambda shape: npst.arrays(np.uint8, shape)),
    samples=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_luma_gives_the_bits_of_the_twin(path: str, picture: np.ndarray, samples: tuple[int, int]) -> None:
    """Enlarged or shrunk, RGB or grey, contiguous or not, the compiled sums equal NumPy's."""
    for pixels in (picture, picture[::-1, ::-1], np.asfortranarray(picture), picture[..., ::-1]):
        tents = _tents(pixels.shape[0], samples[0]), _tents(pixels.shape[1], samples[1])
        assert same_bits(native.tent_luma(pixels, *tents, path), reference_points.tent_luma(pixels, *tents))


@needs_native
@every_path
@pytest.mark.parametrize("size", [(700, 1100), (90, 3000), (513, 511), (1, 40)])
def test_luma_of_a_picture_gives_the_bits_of_the_twin(path: str, size: tuple[int, int]) -> None:
    """Frames of whole pictures, with a fourth byte and grey shown three times too, equal NumPy's."""
    four = RNG.integers(0, 256, (*size, 4), dtype=np.uint8)
    rows, columns = frame_shape(*size)
    tents = _tents(size[0], rows), _tents(size[1], columns)
    for pixels in (four[..., :3], four[..., :1], np.broadcast_to(four[..., :1], (*size, 3)), four[..., 1:].copy()):
        assert same_bits(native.tent_luma(pixels, *tents, path), reference_points.tent_luma(pixels, *tents))


@needs_native
@every_path
@settings(max_examples=60, deadline=None)
@given(
    image=st.booleans().flatmap(lambda extreme: floats(SIDE, SIDE, extreme=extreme)),
    taps=npst.arrays(np.float32, st.integers(1, 9), elements=st.floats(0, 1, width=32)),
    step=st.integers(1, 5),
)
def test_blurs_give_the_bits_of_the_twin(path: str, image: np.ndarray, taps: np.ndarray, step: int) -> None:
    """Whatever the sides, the taps and their distance, the compiled blur equals NumPy's."""
    fast, slow = np.empty_like(image), np.empty_like(image)
    native.blur(image, taps, step, fast, path)
    reference_points.blur(image, taps, step, slow)
    assert same_bits(fast, slow)


@needs_native
@every_path
@settings(max_examples=60, deadline=None)
@given(
    levels=st.booleans().flatmap(lambda extreme: floats(st.integers(1, 6), SIDE, SIDE, extreme=extreme)),
    least=st.floats(0, 2),
    margin=st.integers(1, 4),
)
def test_peaks_are_those_of_the_twin(path: str, levels: np.ndarray, least: float, margin: int) -> None:
    """Of any levels, too few or too small ones as well, the compiled peaks are NumPy's."""
    assert same_bits(native.peaks(levels, least, margin, path), reference_points.peaks(levels, least, margin))


@needs_native
@every_path
def test_patches_directions_and_coefficients_have_the_bits_of_the_twin(path: str) -> None:
    """Of noise and of flat pictures, in, across and beyond the sides, every number equals NumPy's."""
    images = [(RNG.random(size) * 255).astype(np.float32) for size in ((2, 2), (40, 61), (150, 97))]
    images += [np.full((30, 30), 255, np.float32), np.tile(np.float32([0, 255]), (33, 20))]
    steps = np.array([1, 1, 2, 4, 1], np.float32)
    at = sampling(900, len(images), 160)
    sampled = reference_points.patches(images, steps, at)
    assert same_bits(native.patches(images, steps, at, path), sampled)
    assert same_bits(native.directions(sampled, _WEIGHT, path), reference_points.directions(sampled, _WEIGHT))
    for seed in (b"one", b"two"):
        given = (sampled, _COSINES, _ORDER, _rotation(seed))
        assert same_bits(native.coefficients(*given, path), reference_points.coefficients(*given) + 0.0)
    none = sampling(0, len(images), 1)
    assert native.patches(images, steps, none, path).shape == (0, 16, 16)
    assert native.directions(sampled[:0], _WEIGHT, path).shape == (0,)
    assert native.coefficients(sampled[:0], *given[1:], path).shape == (0, 128)


@needs_native
@every_path
def test_samples_between_pixels_have_the_bits_of_the_twin(path: str) -> None:
    """In, across and far beyond the sides, for any number of places, every sample equals NumPy's."""
    for size in ((2, 2), (3, 40), (61, 47)):
        image = (RNG.random(size) * 255).astype(np.float32)
        for n in (0, 1, 15, 16, 17, 1000):
            x, y = ((RNG.random((2, n)) * 3 - 1) * np.array([[size[1]], [size[0]]])).astype(np.float32)
            if n > 3:
                x[:4], y[:4] = (0, size[1] - 1, np.inf, -np.inf), (size[0] - 1, 0, -np.inf, np.inf)
            assert same_bits(native.bilinear(image, x, y, path), reference_points.bilinear(image, x, y))


@needs_native
@every_path
@settings(max_examples=60, deadline=None)
@given(sampled=floats(st.integers(1, 3), st.just(16), st.just(16), extreme=True))
def test_ties_are_decided_as_the_twin_decides_them(path: str, sampled: np.ndarray) -> None:
    """Patches of few levels, full of equal gradients, have the directions and coefficients of NumPy."""
    assert same_bits(native.directions(sampled, _WEIGHT, path), reference_points.directions(sampled, _WEIGHT))
    given = (sampled, _COSINES, _ORDER, np.eye(128))
    assert same_bits(native.coefficients(*given, path), reference_points.coefficients(*given) + 0.0)


@needs_native
def test_what_would_read_outside_is_refused() -> None:
    """Places beyond a picture, levels that are not there and shapes that do not fit raise ValueError."""
    picture = np.zeros((50, 60, 3), np.uint8)
    down, across = _tents(50, 20), _tents(60, 20)
    for wrong in (_tents(51, 20), Tents(down.first[::-1].copy(), down.weights), Tents(down.first - 1, down.weights)):
        with pytest.raises(ValueError, match="ascend within"):
            native.tent_luma(picture, wrong, across)
    with pytest.raises(ValueError, match="weights"):
        native.tent_luma(picture, Tents(down.first[:-1], down.weights), across)
    with pytest.raises(ValueError, match="grey or RGB"):
        native.tent_luma(picture[..., :2], down, across)
    image, taps = np.zeros((20, 20), np.float32), np.ones(3, np.float32)
    with pytest.raises(ValueError, match="array of its own"):
        native.blur(image, taps, 1, image)
    with pytest.raises(ValueError, match="shape"):
        native.blur(image, taps, 1, np.zeros((20, 19), np.float32))
    with pytest.raises(ValueError, match="taps"):
        native.blur(image, taps[:0], 1, image.copy())
    with pytest.raises(ValueError, match="margin"):
        native.peaks(np.zeros((4, 9, 9), np.float32), 0.0, 0)
    at, steps = sampling(4, 1, 20), np.ones(1, np.float32)
    for which in (-1, 1):
        with pytest.raises(ValueError, match="no such level"):
            native.patches([image], steps, replace(at, which=np.full(4, which)))
    with pytest.raises(ValueError, match="2 samples"):
        native.patches([image[:1]], steps, at)
    with pytest.raises(ValueError, match="every patch"):
        native.patches([image], steps, replace(at, x=at.x[:3]))
    place = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="2 samples"):
        native.bilinear(image[:1], place, place)
    with pytest.raises(ValueError, match="two places"):
        native.bilinear(image, place, place[:2])
    with pytest.raises(ValueError, match="number"):
        native.bilinear(image, np.float32([1, np.nan, 2]), place)
    sampled = np.zeros((2, 16, 16), np.float32)
    with pytest.raises(ValueError, match="16 x 16"):
        native.directions(sampled[:, :15].copy(), _WEIGHT)
    with pytest.raises(ValueError, match="no such coefficient"):
        native.coefficients(sampled, _COSINES, np.full((128, 2), 9, np.int32), np.eye(128))
    for wild in (300.0, np.nan):
        with pytest.raises(ValueError, match="at most 256"):
            native.coefficients(sampled + np.float32(wild), _COSINES, _ORDER, np.eye(128))
    with pytest.raises(ValueError, match="no such path"):
        native.peaks(np.zeros((4, 9, 9), np.float32), 0.0, 1, "abacus")


def test_compiled_says_what_serves() -> None:
    """The group of the points is said to be compiled exactly where its module is there."""
    assert compiled()["points"] == (native is not None)
