"""The compiled kernels of the search for borders against their NumPy twins, to the bit, on every path there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hashmatch.kernels import borders
from hashmatch.kernels.numpy import borders as reference_borders

native: Any = borders.native
PATHS = native.PATHS if native is not None else ("portable",)
needs_native = pytest.mark.skipif(native is None, reason="the compiled kernels were not built")
every_path = pytest.mark.parametrize("path", PATHS)
LEVELS = st.one_of(st.integers(-3, 3), st.integers(-128, 255), st.sampled_from([-512, -128, 0, 4, 5, 12, 511]))


def same_bits(one: Any, other: Any) -> bool:
    """Whether arrays or tuples of them have the same type, shape and bits."""
    if isinstance(one, tuple):
        return all(same_bits(*pair) for pair in zip(one, other, strict=True))
    first, second = np.asarray(one), np.asarray(other)
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@st.composite
def cells(draw: st.DrawFn, fewest_lines: int, fewest_samples: int) -> np.ndarray:
    """Lines of cells, grey or in three colours, seen from either end; some repeat, as borders do."""
    channels, n = draw(st.sampled_from([1, 3])), draw(st.integers(fewest_lines, 40))
    m = draw(st.integers(fewest_samples, 70))
    line = draw(npst.arrays(np.int16, (channels, 1, m), elements=LEVELS))
    others = draw(npst.arrays(np.int16, (channels, n, m), elements=LEVELS))
    seen = np.where(np.arange(n)[:, None] < draw(st.integers(0, n)), line, others)
    return seen[:, ::-1] if draw(st.booleans()) else seen


@needs_native
@settings(max_examples=80, deadline=None)
@given(lines=cells(1, 1), tolerance=st.integers(0, 40))
def test_middles_are_those_of_the_twin(lines: np.ndarray, tolerance: int) -> None:
    """Colours, spreads and counts, of lines that lie anyhow, are what sorting gives."""
    for layout in (lines, lines[:, :, ::-1], lines[:, ::2, ::2], np.asfortranarray(lines)):
        colour, spread = reference_borders.line_colour(layout[:, 0])
        assert same_bits(native.line_colour(layout[:, 0]), (colour, spread))
        assert native.median_away(layout[:, -1], colour) == reference_borders.median_away(layout[:, -1], colour)
        assert native.off_middle(layout, tolerance) == reference_borders.off_middle(layout, tolerance)


@needs_native
@every_path
@settings(max_examples=100, deadline=None)
@given(
    lines=cells(5, 1),
    tolerances=st.lists(st.floats(0.0, 60.0), min_size=1, max_size=2).map(tuple),
    least=st.integers(0, 4),
    deepest=st.integers(0, 50),
    text=st.integers(0, 40),
)
def test_rises_have_the_bits_of_the_twin(
    path: str, lines: np.ndarray, tolerances: tuple[float, ...], least: int, deepest: int, text: int
) -> None:
    """Whatever the lines and limits, shares and rises equal NumPy's."""
    colour = reference_borders.line_colour(lines[:, 0])[0]
    rest = tolerances, (lines.shape[2] - 1) // 4, least, deepest, text
    got = native.border_rises(lines, colour, *rest, path)
    assert same_bits(got, reference_borders.border_rises(lines, colour, *rest))


@needs_native
@every_path
@settings(max_examples=100, deadline=None)
@given(lines=cells(5, 3))
def test_seams_have_the_bits_of_the_twin(path: str, lines: np.ndarray) -> None:
    """Textures, seams and what ramps leave equal NumPy's."""
    skip = lines.shape[2] // 5
    assert same_bits(native.line_textures(lines[0]), reference_borders.line_textures(lines[0]))
    assert same_bits(native.seam_strengths(lines, skip, path), reference_borders.seam_strengths(lines, skip))
    assert native.ramp_rest(lines[0], path) == reference_borders.ramp_rest(lines[0])
    turned = np.asfortranarray(lines[0])
    assert same_bits(native.line_textures(turned), reference_borders.line_textures(turned))


@needs_native
@every_path
@settings(max_examples=100, deadline=None)
@given(
    strip=st.tuples(st.sampled_from([1, 3]), st.integers(2, 30), st.integers(1, 60)).flatmap(
        lambda shape: npst.arrays(np.uint8, shape, elements=st.integers(0, 255) | st.sampled_from([0, 255]))
    ),
    colour=st.none() | st.tuples(*[st.integers(-512, 512)] * 3),
    tolerance=st.floats(0.0, 30.0),
    tail=st.integers(0, 29),
)
def test_profiles_have_the_bits_of_the_twin(
    path: str, strip: np.ndarray, colour: tuple[int, ...] | None, tolerance: float, tail: int
) -> None:
    """Lines of full pixels, of any layout, far from their colour or from each other, equal NumPy's."""
    given_colour = None if colour is None else np.array(colour[: len(strip)], np.int16)
    rest = given_colour, tolerance, min(tail, strip.shape[1] - 1)
    for layout in (strip, strip[:, ::-1], np.ascontiguousarray(strip.transpose(2, 1, 0)).transpose(2, 1, 0)):
        assert same_bits(native.step_profile(layout, *rest, path), reference_borders.step_profile(layout, *rest))


def test_profiles_of_floats_are_those_of_the_same_bytes() -> None:
    """Whole floats give what bytes give, so the search does not depend on how a picture is held."""
    strip = np.random.default_rng(3).integers(0, 256, (3, 9, 50), dtype=np.uint8)
    for colour in (None, np.array([100, 3, -8], np.int16)):
        got = borders.step_profile(strip.astype(np.float32), colour, 4.0, 6)
        assert same_bits(got, borders.step_profile(strip, colour, 4.0, 6))


@needs_native
def test_what_would_read_outside_is_refused() -> None:
    """Too few lines, samples out of range or not beside each other, and unknown paths raise ValueError."""
    lines, colour = np.zeros((3, 8, 20), np.int16), np.zeros(3, np.int16)
    with pytest.raises(ValueError, match="lines"):
        native.border_rises(lines[:, :4], colour, (4.0,), 0, 0, 9, 9)
    with pytest.raises(ValueError, match="samples"):
        native.border_rises(lines, colour, (4.0,), 10, 0, 9, 9)
    with pytest.raises(ValueError, match="tolerances"):
        native.border_rises(lines, colour, (4.0,) * 3, 0, 0, 9, 9)
    with pytest.raises(ValueError, match="each channel"):
        native.border_rises(lines, colour[:2], (4.0,), 0, 0, 9, 9)
    with pytest.raises(ValueError, match="follow each other"):
        native.seam_strengths(lines[:, :, ::2], 0)
    with pytest.raises(ValueError, match="no such path"):
        native.ramp_rest(lines[0], "abacus")
    with pytest.raises(ValueError, match="-512"):
        native.line_colour(lines[:, 0] + np.int16(600))
    with pytest.raises(ValueError, match="-512"):
        native.median_away(lines[:, 0], colour + np.int16(1100))
    with pytest.raises(ValueError, match="content"):
        native.step_profile(np.zeros((3, 5, 9), np.uint8), colour, 4.0, 5)
