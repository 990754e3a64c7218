"""Synthetic pictures and hard negatives: seeded, of the promised shape, and different where they must be."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hashmatch.hashers import PDQHasher
from hashmatch.hashes import distance
from hashmatch.synthetic import KINDS, TEMPLATE_KINDS, burst, edits, picture, same_template

GOLDEN = Path(__file__).parent.parent / "golden"

CUTS = {0.01: 14, 0.02: 24, 0.03: 36, 0.05: 60, 0.08: 88, 0.10: 102}
"""Share cut off one side: median PDQ distance of real pictures, bits."""

SIZES = ((256, 256), (256, 384), (384, 256), (300, 400), (400, 300), (288, 360), (320, 320))


def golden_maker() -> ModuleType:
    """Load the script that writes the golden file."""
    spec = importlib.util.spec_from_file_location("make_synthetic", GOLDEN / "make_synthetic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_and_edits_are_those_of_the_golden_file() -> None:
    """The same seed gives the same bytes in every release, or the change is a decision."""
    expected = json.loads((GOLDEN / "synthetic.json").read_text(encoding="utf-8"))
    assert golden_maker().digests() == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 16), (17, 200), (201, 33), (64, 97)])
def test_a_picture_has_the_size_asked_for_and_is_the_callers(kind: str, size: tuple[int, int]) -> None:
    """Any size from 16 px on gives contiguous, writable RGB bytes that no later call shares."""
    first, second = picture(kind, 3, size), picture(kind, 3, size)
    assert first.shape == (*size, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    first[:] = 0
    assert second.any()


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_give_different_pictures(kind: str) -> None:
    """No two of ten seeds give the same picture, nor does a seed give the same in two sizes."""
    made = {picture(kind, seed, (48, 48)).tobytes() for seed in range(10)}
    made.add(picture(kind, 0, (48, 50))[:, :48].tobytes())
    assert len(made) == 11


def test_kinds_do_not_share_their_random_numbers() -> None:
    """One seed gives unrelated pictures in different kinds."""
    made = {picture(kind, 1, (64, 64)).tobytes() for kind in KINDS}
    assert len(made) == len(KINDS)


@pytest.mark.parametrize(
    ("kind", "seed", "size"),
    [("painting", 0, (64, 64)), ("photo", -1, (64, 64)), ("photo", 0, (15, 64)), ("photo", 0, (64, 0))],
)
def test_a_picture_that_cannot_be_made_is_refused(kind: str, seed: int, size: tuple[int, int]) -> None:
    """Unknown kinds, negative seeds and tiny sizes raise ValueError."""
    with pytest.raises(ValueError):
        picture(kind, seed, size)


@pytest.mark.parametrize("kind", TEMPLATE_KINDS)
def test_pictures_of_one_template_are_alike_but_not_the_same(kind: str) -> None:
    """Two fillings of a template differ, yet less than two pictures of different templates."""
    size = (160, 200)
    inside, outside = [], []
    for template in range(6):
        here, there = same_template(kind, template, 1, size), same_template(kind, template, 2, size)
        assert not np.array_equal(here, there)
        inside.append(np.abs(here.astype(int) - there).mean())
        outside.append(np.abs(here.astype(int) - same_template(kind, template + 100, 2, size)).mean())
    assert np.mean(inside) < 0.8 * np.mean(outside)


def test_a_template_filled_with_its_own_number_is_the_picture() -> None:
    """same_template(kind, n, n) is picture(kind, n)."""
    for kind in TEMPLATE_KINDS:
        assert np.array_equal(same_template(kind, 7, 7, (64, 80)), picture(kind, 7, (64, 80)))


def test_only_laid_out_kinds_have_templates() -> None:
    """A photo has no template."""
    with pytest.raises(ValueError, match="document"):
        same_template("photo", 0, 0)


def test_frames_of_a_burst_are_near_one_another_but_not_the_same() -> None:
    """Frames differ in bytes; their pixels are nearer than those of another scene."""
    frames = [burst("photo", 4, frame, (120, 160)) for frame in range(4)]
    other = burst("photo", 5, 0, (120, 160))
    for a, b in itertools.combinations(frames, 2):
        assert not np.array_equal(a, b)
        assert np.abs(a.astype(int) - b).mean() < np.abs(a.astype(int) - other).mean()


def test_a_burst_that_does_not_move_keeps_the_scene() -> None:
    """With no movement frames differ by exposure and noise alone."""
    still = burst("photo", 4, 1, (120, 160), move=0.0).astype(int)
    assert np.abs(still - picture("photo", 4, (120, 160))).mean() < 8


@pytest.mark.parametrize(("frame", "move"), [(-1, 0.1), (0, -0.1), (0, 0.3)])
def test_an_impossible_burst_is_refused(frame: int, move: float) -> None:
    """Negative frames and movements out of range raise ValueError."""
    with pytest.raises(ValueError):
        burst("photo", 0, frame, (64, 64), move=move)


def test_photos_reproduce_the_crop_ladder_of_real_pictures() -> None:
    """Median PDQ distances after cutting 1 to 10 % off one side are within 15 % of those of real photographs."""
    hasher = PDQHasher()
    distances: dict[float, list[int]] = {cut: [] for cut in CUTS}
    for number in range(210):
        pixels = picture("photo", 1000 + number, SIZES[number % len(SIZES)])
        whole, _ = hasher.hash_pixels(pixels)
        side = ("left", "right", "top", "bottom")[number % 4]
        for cut, found in distances.items():
            found.append(distance(whole, hasher.hash_pixels(edits.crop_sides(pixels, **{side: cut}))[0]))
    medians = {cut: float(np.median(found)) for cut, found in distances.items()}
    assert all(abs(medians[cut] / target - 1.0) < 0.15 for cut, target in CUTS.items()), medians


def test_photos_spread_their_contrast_as_real_pictures_do() -> None:
    """The grey standard deviation of photos spreads over most of the range 25 to 97 with a median near 51."""
    spread = [float(picture("photo", seed, (128, 128)).mean(axis=2).std()) for seed in range(100)]
    low, middle, high = np.percentile(spread, (5, 50, 95))
    assert 18 < low < 38
    assert 43 < middle < 59
    assert 68 < high < 105


def test_low_texture_is_too_plain_to_hash() -> None:
    """Most low-texture pictures have a PDQ quality under 50, most photos have not."""
    hasher = PDQHasher()
    plain = [hasher.hash_pixels(picture("low-texture", seed))[1] for seed in range(30)]
    rich = [hasher.hash_pixels(picture("photo", seed))[1] for seed in range(30)]
    assert sum(quality < 50 for quality in plain) > 20
    assert sum(quality >= 50 for quality in rich) > 25
