"""Kernels of the aligned check: NumPy's against written-out loops, the compiled against NumPy's to the bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.kernels import compiled, laying
from hashmatch.kernels.numpy import laying as reference_laying
from hashmatch.kernels.numpy.laying import Grid

native: Any = laying.native
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
QUARTERS = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]])


def grid(rng: np.random.Generator, columns: int, rows: int, wide: float, tall: float) -> Grid:
    """Make a grid with random signs."""
    n = (columns - 1) * rows + columns * (rows - 1)
    return Grid(columns, rows, wide, tall, rng.random(n) < 0.5)


def slow_cell(image: np.ndarray, step: float, matrix: np.ndarray, shift: np.ndarray, place: np.ndarray) -> float:
    """Interpolate at one place of the reference, number by number."""
    x, y = ((matrix @ place + shift) / step - 0.5).tolist()
    rows, columns = image.shape
    x, y = min(max(x, 0.0), columns - 1), min(max(y, 0.0), rows - 1)
    left, top = min(int(x), columns - 2), min(int(y), rows - 2)
    a, b = x - left, y - top
    return float(
        (image[top, left] * (1 - a) + image[top, left + 1] * a) * (1 - b)
        + (image[top + 1, left] * (1 - a) + image[top + 1, left + 1] * a) * b
    )


def test_steps_are_those_of_the_written_out_loop() -> None:
    """Each step between cells inside the picture is there, weighs by its size, and says whether it has the sign."""
    rng = np.random.default_rng(5)
    image = rng.uniform(0, 255, (40, 50)).astype(np.float32)
    cells = grid(rng, 7, 6, 12.0, 11.0)
    turn = 0.1
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]) * 1.3
    shift = np.array([-5.0, -9.0])
    weights, agree, steps = reference_laying.lay(image, 2.0, (100, 80), cells, matrix[None], shift[None], QUARTERS)
    reach = 0.45 * np.abs(matrix * (12.0, 11.0)).sum(axis=1)
    values: dict[tuple[int, int], float] = {}
    for row in range(6):
        for column in range(7):
            middle = np.array([(column + 0.5) * 12.0, (row + 0.5) * 11.0])
            at = matrix @ middle + shift
            if (at >= reach).all() and (at <= np.array([100, 80]) - reach).all():
                spots = [slow_cell(image, 2.0, matrix, shift, middle + probe * (12.0, 11.0)) for probe in QUARTERS]
                values[column, row] = sum(spots) / 4
    wanted = [
        (number, ends)
        for number, ends in enumerate(
            [((i, j), (i + 1, j)) for j in range(6) for i in range(6)]
            + [((i, j), (i, j + 1)) for j in range(5) for i in range(7)]
        )
        if ends[0] in values and ends[1] in values
    ]
    assert 12 < len(wanted) < 71
    assert steps.tolist() == [number for number, _ in wanted]
    rise = np.array([values[second] - values[first] for _, (first, second) in wanted])
    ordered = np.sort(np.abs(rise))
    full = max(ordered[int(0.75 * (len(rise) - 1))], ordered[int(0.95 * (len(rise) - 1))] / 8, 1.0)
    assert np.allclose(weights[0], np.minimum(np.abs(rise) / full, 1.0), atol=1e-3)
    assert agree[0].tolist() == ((rise > 0) == cells.signs[steps]).tolist()


@needs_native
@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    cells=st.tuples(st.integers(1, 40), st.integers(1, 30)),
    maps=st.integers(1, 4),
    step=st.sampled_from([1.0, 2.0, 8.0]),
    scale=st.floats(0.05, 3.0),
    flat=st.booleans(),
)
def test_the_compiled_one_gives_the_same_bits(
    seed: int,
    shape: tuple[int, int],
    cells: tuple[int, int],
    maps: int,
    step: float,
    scale: float,
    flat: bool,
) -> None:
    """Weights, signs and numbers of the steps, whatever the picture, the grid and the maps."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 255, shape).astype(np.float32)
    if flat:
        image = np.rint(image / 64) * np.float32(64)
    laid = grid(rng, *cells, *rng.uniform(2, 20, 2))
    size = int(shape[1] * step), int(shape[0] * step)
    matrices = scale * (np.eye(2) + rng.normal(0, 0.2, (maps, 2, 2)))
    shifts = rng.normal(0, 10, (maps, 2))
    for probes in (np.zeros((1, 2)), QUARTERS):
        one = reference_laying.lay(image, step, size, laid, matrices, shifts, probes)
        two = native.lay(image, step, size, laid, matrices, shifts, probes)
        for a, b in zip(one, two, strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert a.tobytes() == b.tobytes()


def some_pairs(seed: int, n: int, wrong: int) -> tuple[np.ndarray, ...]:
    """Make pairs of a similarity of scale 1.5 and 0.4 radians, a little off, the last of them far off."""
    rng = np.random.default_rng(seed)
    source, sigma = rng.uniform(0, 512, (n, 2)), rng.uniform(1, 12, n)
    own = 1.5 * np.exp(1j * 0.4)
    turns = own * np.exp(rng.normal(0, 0.05, n) + 1j * rng.normal(0, 0.05, n))
    places = own * (source[:, 0] + 1j * source[:, 1]) + (30 - 20j)
    target = np.stack([places.real, places.imag], axis=1) + rng.normal(0, 1, (n, 2))
    target[n - wrong :] += rng.uniform(20, 60, (wrong, 2))
    return source, target, sigma, np.stack([turns.real, turns.imag], axis=1)


def test_a_fit_finds_the_map_and_leaves_out_what_is_far_off() -> None:
    """Of thirty pairs with six that are far off, the map of the others comes back."""
    source, target, sigma, turn = some_pairs(1, 30, 6)
    matrix, shift, keep, residual = reference_laying.fit_map(source, target, sigma, turn)
    assert keep.tolist() == [True] * 24 + [False] * 6
    assert np.allclose(
        matrix, 1.5 * np.array([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]]), atol=0.02
    )
    assert np.allclose(shift, (30, -20), atol=4)
    off = np.hypot(*(source @ matrix.T + shift - target).T)
    assert np.allclose(residual, off / (8 + 0.35 * sigma))


@needs_native
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 90), wrong=st.floats(0, 1), flat=st.booleans())
def test_the_compiled_fit_gives_the_same_bits(seed: int, n: int, wrong: float, flat: bool) -> None:
    """Map, kept pairs and residuals, also of one pair, of pairs on one spot and of turns that cancel out."""
    source, target, sigma, turn = some_pairs(seed, n, int(wrong * n))
    if flat:
        source[:], turn[::2] = source[0], -turn[: len(turn[::2])]
    for a, b in zip(
        reference_laying.fit_map(source, target, sigma, turn), native.fit_map(source, target, sigma, turn), strict=True
    ):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("module", [reference_laying, *([native] if native is not None else [])])
def test_a_fit_needs_pairs(module: Any) -> None:
    """No pair, and arrays of other lengths, raise ValueError."""
    source, target, sigma, turn = some_pairs(1, 5, 0)
    for wrong in (
        (source[:0], target[:0], sigma[:0], turn[:0]),
        (source, target[1:], sigma, turn),
        (source, target, sigma[1:], turn),
        (source, target, sigma, np.ascontiguousarray(turn[:, :1])),
    ):
        with pytest.raises(ValueError):
            module.fit_map(*wrong)


@pytest.mark.parametrize("module", [reference_laying, *([native] if native is not None else [])])
def test_what_does_not_fit_is_refused(module: Any) -> None:
    """Signs of another grid, no picture, no map and no probe raise ValueError."""
    rng = np.random.default_rng(1)
    image, cells = np.zeros((9, 9), np.float32), grid(rng, 5, 5, 2.0, 2.0)
    matrices, shifts, probes = np.eye(2)[None], np.zeros((1, 2)), np.zeros((1, 2))
    short = Grid(5, 5, 2.0, 2.0, cells.signs[:-1])
    for wrong in (
        (image, 1.0, (9, 9), short, matrices, shifts, probes),
        (image[:0], 1.0, (9, 9), cells, matrices, shifts, probes),
        (image, 1.0, (9, 9), cells, matrices[:0], shifts[:0], probes),
        (image, 1.0, (9, 9), cells, matrices, shifts, probes[:0]),
        (image, 1.0, (9, 9), cells, matrices, np.zeros((2, 2)), probes),
    ):
        with pytest.raises(ValueError):
            module.lay(*wrong)


def test_group_says_whether_it_is_compiled() -> None:
    """`compiled` names the group."""
    assert compiled()["laying"] == (native is not None)
