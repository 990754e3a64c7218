"""Scale space and extrema against slow twins and pictures whose points are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hashmatch.keypoints.detect import Extrema, extrema, spread
from hashmatch.keypoints.scale_space import LEVELS, SIGMA0, octaves
from hashmatch.synthetic import picture


def blob(shape: tuple[int, int], place: tuple[float, float], sigma: float) -> np.ndarray:
    """Paint one Gaussian spot on grey; ``place`` is (x, y) with the first sample's middle at 0."""
    y, x = np.indices(shape)
    spot = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * sigma**2))
    return (60 + 100 * spot).astype(np.float32)


def test_levels_have_the_stated_blur() -> None:
    """Every level of every octave is the frame blurred to its sigma, as SciPy's Gaussian blurs it."""
    luma = picture("photo", 7_150_000, (240, 300)).mean(axis=2).astype(np.float32)
    for octave in octaves(luma, 0.5):
        for i, level in enumerate(octave.levels):
            sigma = math.sqrt((SIGMA0 * octave.step * 2 ** (i / LEVELS)) ** 2 - 0.25)
            exact = gaussian_filter(luma.astype(np.float64), sigma, mode="reflect", truncate=6.0)
            exact = exact[:: octave.step, :: octave.step]
            inner = (slice(7, -7), slice(7, -7))  # decimation moves the mirror at the sides
            assert np.abs(level - exact)[inner].max() < 2.0
            assert np.abs(level - exact)[inner].mean() < 0.4


@pytest.mark.parametrize("sigma", [2.5, 4.0, 6.5, 11.0, 17.0])
def test_a_spot_is_found_where_it_is_and_as_large_as_it_is(sigma: float) -> None:
    """A Gaussian spot gives one strong extremum, at its place, with a scale that grows with it."""
    found = extrema(octaves(blob((200, 240), (117.3, 90.6), sigma), 0.0))
    best = found.take(spread(found, (200, 240), 1))
    assert math.hypot(best.x[0] - 117.3, best.y[0] - 90.6) < 0.15 * sigma
    assert 0.6 < best.sigma[0] / sigma < 1.3


def test_edges_and_plain_pictures_have_no_points() -> None:
    """A straight edge and a flat picture give nothing, nor does one too narrow."""
    edge = np.where(np.indices((200, 200))[1] < 100.5, 40, 200).astype(np.float32)
    assert len(extrema(octaves(edge, 0.5))) == 0
    assert len(extrema(octaves(np.full((200, 200), 9, np.float32), 0.5))) == 0
    assert len(extrema(octaves(np.zeros((19, 4000), np.float32), 0.5))) == 0


def test_spread_takes_rounds_from_every_cell() -> None:
    """A weak corner keeps its points although the rest of the picture could fill every place."""
    rng = np.random.default_rng(5)
    many = rng.random((2, 4000)) * 512
    few = rng.random((2, 4)) * 64
    places = np.concatenate([many[:, (many > 64).any(axis=0)], few], axis=1).astype(np.float32)
    contrast = np.r_[np.full(places.shape[1] - 4, 9), np.full(4, 0.3)].astype(np.float32)
    found = Extrema(places[0], places[1], np.ones(places.shape[1], np.float32), contrast)
    chosen = spread(found, (512, 512), 180)
    assert len(chosen) == len(set(chosen.tolist())) == 180
    assert (chosen >= places.shape[1] - 4).sum() >= 2


def test_order_of_the_extrema_does_not_matter() -> None:
    """The same points are chosen in the same order however the extrema come."""
    luma = picture("photo", 7_150_001, (300, 300)).mean(axis=2).astype(np.float32)
    found = extrema(octaves(luma, 0.5))
    shuffled = found.take(np.random.default_rng(6).permutation(len(found)))
    first, second = (each.take(spread(each, luma.shape, 60)) for each in (found, shuffled))
    assert np.array_equal(first.x, second.x)
    assert np.array_equal(first.y, second.y)
