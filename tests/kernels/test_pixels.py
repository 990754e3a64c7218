"""The compiled kernels over pixels against their NumPy twins, to the bit, on every path this processor has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hashmatch.hashers.pdq_float32 import COSINES
from hashmatch.hashers.tent import taps_of
from hashmatch.kernels import compiled, pixels
from hashmatch.kernels.numpy import pixels as reference_pixels
from hashmatch.kernels.numpy.pixels import Taps

native: Any = pixels.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)
SIZES = [
    (5, 5),
    (5, 900),
    (900, 5),
    (7, 9000),
    (9000, 6),
    (16, 17),
    (63, 65),
    (64, 128),
    (129, 127),
    (200, 256),
    (257, 300),
    (1025, 70),
    (70, 1025),
]


def layouts(height: int, width: int, seed: int) -> dict[str, np.ndarray]:
    """Pixels of one size, as decoders and callers lay them out."""
    rng = np.random.default_rng(seed)
    four = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    wide = rng.integers(0, 256, (height * 2, width * 2, 3), dtype=np.uint8)
    memory = rng.integers(0, 256, height * width * 3 + 1, dtype=np.uint8)
    grey = np.ascontiguousarray(four[..., 0])
    return {
        "RGB": np.ascontiguousarray(four[..., :3]),
        "RGBX": four[..., :3],
        "last three": four[..., 1:],
        "unaligned": memory[1:].reshape(height, width, 3),
        "inside": wide[height // 2 : height // 2 + height, width // 2 : width // 2 + width],
        "every second": wide[::2, ::2],
        "upside down": four[::-1, :, :3],
        "reversed": wide[:height, :width][::-1, ::-1, ::-1],
        "grey": grey,
        "grey shown three times": np.broadcast_to(grey[..., None], (height, width, 3)),
        "Fortran": np.asfortranarray(four[..., :3]),
    }


def same_bits(one: Any, other: Any) -> bool:
    """Whether arrays or tuples of them have the same type, shape and bits."""
    if isinstance(one, tuple):
        return all(same_bits(*pair) for pair in zip(one, other, strict=True))
    first, second = np.asarray(one), np.asarray(other)
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@needs_native
@every_path
@pytest.mark.parametrize("size", SIZES)
def test_every_layout_gives_the_bits_of_the_twin(size: tuple[int, int], path: str) -> None:
    """Tents, running sums and cells of every layout and odd size equal NumPy's to the bit."""
    height, width = size
    down, cells = (taps_of(height), taps_of(height, mirrored=True)), (-(-height // 256), -(-width // 256))
    sets = (taps_of(width), taps_of(width, mirrored=True))
    for name, picture in layouts(height, width, 1).items():
        numbers, step = pixels.in_memory_order(picture)
        tents = native.tent_averages(numbers, step, down, sets, path)
        assert same_bits(tents, reference_pixels.tent_averages(numbers, step, down, sets)), name
        assert same_bits(native.blur_float32(numbers, step, path), reference_pixels.blur_float32(picture)), name
        planes = picture[..., None] if picture.ndim == 2 else picture[..., : 1 if step == 1 else 3]
        got = native.opponent_cells(numbers, step, *cells, path)
        assert same_bits(got, reference_pixels.opponent_cells(planes, *cells)), name


@needs_native
@every_path
@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    shape=st.tuples(st.integers(5, 150), st.integers(5, 150)),
    extreme=st.booleans(),
    mirrored=st.booleans(),
)
def test_any_bytes_give_the_bits_of_the_twin(
    data: st.DataObject, path: str, shape: tuple[int, int], extreme: bool, mirrored: bool
) -> None:
    """Whatever the bytes, black and white most of all, the compiled kernels equal NumPy's."""
    values = st.sampled_from([0, 1, 254, 255]) if extreme else st.integers(0, 255)
    picture = data.draw(npst.arrays(np.uint8, (*shape, 3), elements=values))
    numbers, step = pixels.in_memory_order(picture)
    down, along = (taps_of(shape[0], mirrored=mirrored),), (taps_of(shape[1], mirrored=mirrored),)
    tents = native.tent_averages(numbers, step, down, along, path)
    assert same_bits(tents, reference_pixels.tent_averages(numbers, step, down, along))
    assert same_bits(native.blur_float32(numbers, step, path), reference_pixels.blur_float32(picture))
    cell = data.draw(st.tuples(st.integers(1, shape[0]), st.integers(1, shape[1])))
    assert same_bits(native.opponent_cells(numbers, step, *cell, path), reference_pixels.opponent_cells(picture, *cell))


@needs_native
@every_path
@settings(max_examples=60, deadline=None)
@given(
    small=npst.arrays(np.float64, st.tuples(st.integers(0, 3), st.just(64), st.just(64)), elements=st.floats(0, 255)),
    noise=st.floats(0, 0.01),
)
def test_views_give_the_bits_of_the_twin(path: str, small: np.ndarray, noise: float) -> None:
    """Coefficients, codes, gaps and sums of steps of any number of views, none too, equal NumPy's."""
    cosines = np.ascontiguousarray(COSINES.T.astype(np.float64))
    coefficients = reference_pixels.transform(small, cosines)
    assert same_bits(native.transform(small, cosines, path), coefficients)
    assert same_bits(native.decide(coefficients), reference_pixels.decide(coefficients))
    for view in small:
        assert native.step_sums(view, noise) == reference_pixels.step_sums(view, noise)
        single, halves = view.astype(np.float32), np.ascontiguousarray(COSINES.T)
        got = native.transform_float32(single, halves, path)
        assert same_bits(got, reference_pixels.transform_float32(single, halves))


@settings(max_examples=100, deadline=None)
@given(npst.arrays(np.float64, (1, 16, 16), elements=st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0, 3.0])))
def test_ties_are_decided_by_the_lower_middle(coefficients: np.ndarray) -> None:
    """A bit is set where a coefficient is over the 128th smallest, however many are equal to it."""
    codes, gaps = pixels.decide(coefficients)
    ordered = sorted(coefficients.ravel().tolist())
    bits = [value > ordered[127] for value in coefficients.ravel()[::-1].tolist()]
    assert np.unpackbits(codes[0]).astype(bool).tolist() == bits
    assert gaps[0] == ordered[128] - ordered[127]


def test_luma_is_a_quotient_of_whole_numbers() -> None:
    """For colours of every red and a spread of the others, the weighted sum in float64, as float32, is k / 1000."""
    red, green, blue = np.meshgrid(np.arange(256), np.arange(0, 256, 5), np.arange(0, 256, 5), indexing="ij")
    colours = np.stack([red, green, blue], axis=-1).astype(np.uint8).reshape(256, -1, 3)
    whole = (299 * red + 587 * green + 114 * blue).astype(np.float32).reshape(256, -1)
    assert np.array_equal(reference_pixels.luma_rows(colours), whole / np.float32(1000))


@needs_native
@every_path
@pytest.mark.parametrize("step", [1, 3, 4])
def test_running_sums_of_tied_pictures_give_the_bits_of_the_twin(path: str, step: int) -> None:
    """All kinds of colours, and flat, striped, checked, half flat, mirrored and sloping pictures blur alike."""
    rng = np.random.default_rng(step)
    red, green, blue = np.meshgrid(np.arange(256), np.arange(0, 256, 9), np.arange(0, 256, 7), indexing="ij")
    cases = [np.stack([red, green, blue, red], axis=-1).reshape(256, -1, 4)]
    for height, width in ((5, 129), (130, 6), (33, 31), (257, 300), (383, 640), (641, 200)):
        y, x = np.arange(height)[:, None, None], np.arange(width)[None, :, None]
        colour, other = rng.integers(0, 256, (2, 4))
        half = rng.integers(0, 256, (height, (width + 1) // 2, 4))
        fields = [
            0 * (x + y) + colour,
            np.where(2 * x < width, colour, other) + 0 * y,
            np.where(2 * y < height, colour, other) + 0 * x,
            np.where((x // 3 + y // 7) % 2, colour, other),
            np.concatenate([half, half[:, ::-1]], axis=1)[:, :width],
            (x * 255 // width + y * 255 // height) // 2 + 0 * colour,
            colour // 2 + rng.integers(0, 2, (height, width, 4)),
            255 * rng.integers(0, 2, (height, width, 4)),
        ]
        cases += fields
    for case in cases:
        whole = case.astype(np.uint8)
        picture = whole[..., 0] if step == 1 else whole[..., :3]
        if step != 4:
            picture = np.ascontiguousarray(picture)
        numbers, found = pixels.in_memory_order(picture)
        assert found == step
        assert same_bits(native.blur_float32(numbers, step, path), reference_pixels.blur_float32(picture)), case.shape


@pytest.mark.parametrize("n", [1, 5, 64, 100, 128, 129, 255, 256, 768, 1000, 3000])
def test_mirrored_windows_are_those_of_the_mirrored_side(n: int) -> None:
    """Weights in places of this side, seen from the other end, are the windows themselves."""

    def dense(taps: Taps) -> np.ndarray:
        rows = np.zeros((64, n))
        for cell, window in enumerate(taps.cells):
            rows[cell, taps.starts[window] : taps.stops[window]] = taps.window(int(window))
        return rows

    assert np.array_equal(dense(taps_of(n, mirrored=True)), dense(taps_of(n))[:, ::-1])


@needs_native
def test_what_would_read_outside_is_refused() -> None:
    """Windows past the end, rows that are no pixels, and unknown paths raise ValueError and read nothing."""
    numbers = np.zeros((50, 150), np.uint8)
    good = taps_of(50)
    for wrong, step in ((taps_of(51), 3), (good, 2), (good, 4)):
        with pytest.raises(ValueError, match=r"side|rows"):
            native.tent_averages(numbers, step, (wrong,), (good,))
    for down, along in (((), (good,)), ((good,) * 3, (good,)), ((good,), ())):
        with pytest.raises(ValueError, match="one or two sets"):
            native.tent_averages(numbers, 3, down, along)
    with pytest.raises(ValueError, match="one scale"):
        native.tent_averages(numbers, 3, (good, replace(good, scale=4.0)), (good,))
    with pytest.raises(ValueError, match="follow each other"):
        native.blur_float32(numbers[:, ::2][:, :75], 3)
    with pytest.raises(ValueError, match="at least 5"):
        native.blur_float32(numbers[:4], 3)
    with pytest.raises(ValueError, match="cell"):
        native.opponent_cells(numbers, 3, 51, 1)
    with pytest.raises(ValueError, match="no such path"):
        native.blur_float32(numbers, 3, "abacus")


def test_compiled_says_what_serves() -> None:
    """The groups are named, and pixels is said to be compiled exactly where its module is there."""
    groups = {"borders", "codes", "guided", "keys", "laying", "pixels", "points", "tables", "tree"}
    assert set(compiled()) == groups
    assert compiled()["pixels"] == (native is not None)


def test_a_fourth_byte_is_shown_only_where_all_of_it_is_the_picture() -> None:
    """The first three of every four bytes have a whole memory; any other layout has none."""
    four = np.random.default_rng(3).integers(0, 256, (6, 7, 4), dtype=np.uint8)
    assert pixels.with_fourth_byte(four[..., :3]) is four
    others = (four, four[..., 1:], four[::-1, :, :3], four[:5, :, :3], four[:, ::2, :3], four[..., 2::-1], four[..., 0])
    for other in (*others, np.ascontiguousarray(four[..., :3]), four.view(np.int8)[..., :3]):
        assert pixels.with_fourth_byte(other) is None
