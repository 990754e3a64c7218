"""The edits and the ladder: pure, seeded, of the promised shape, and strict about their parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hashmatch.synthetic import KINDS, LADDER, Edit, edit_named, edits, picture

Pixels = np.ndarray[Any, Any]


def generator(seed: int = 0) -> np.random.Generator:
    """Make a seeded generator."""
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def photo() -> Pixels:
    """Give one picture that no test may change."""
    pixels = picture("photo", 11, (120, 168))
    pixels.flags.writeable = False
    return pixels


@pytest.mark.parametrize("kind", KINDS)
def test_every_rung_edits_every_kind(kind: str) -> None:
    """Each rung returns a new RGB picture, leaves its input alone and changes something."""
    pixels = picture(kind, 2, (96, 120))
    before = pixels.copy()
    for edit in LADDER:
        out = edit(pixels, seed=1)
        assert out.ndim == 3, edit.name
        assert out.shape[2] == 3, edit.name
        assert out.dtype == np.uint8, edit.name
        assert min(out.shape) >= 1, edit.name
        assert not np.shares_memory(out, pixels), edit.name
        assert np.array_equal(pixels, before), edit.name


def test_every_rung_changes_a_photo() -> None:
    """No rung is the identity on a picture of usual size."""
    pixels = picture("photo", 11, (300, 420))
    assert not [edit.name for edit in LADDER if np.array_equal(edit(pixels), pixels)]


def test_rungs_are_seeded(photo: Pixels) -> None:
    """The same seed makes the same choices; for edits with chance another seed makes others."""
    for name in ("crop random 50%", "noise 13", "on a picture 50%", "text 12%", "re-capture"):
        edit = edit_named(name)
        assert np.array_equal(edit(photo, seed=3), edit(photo, seed=3))
        assert not np.array_equal(edit(photo, seed=3), edit(photo, seed=4))


def test_the_ladder_has_each_name_once_and_all_families() -> None:
    """Names are unique and every family of the published protocols is there."""
    names = [edit.name for edit in LADDER]
    assert len(set(names)) == len(names)
    families = {edit.family for edit in LADDER}
    assert families >= {"JPEG", "WebP", "resize", "crop centre", "crop random", "rotate", "turn", "border", "blur"}
    assert families >= {"noise", "gamma", "text", "watermark", "layout", "re-capture", "chain", "pixelate", "vignette"}


def test_an_unknown_rung_is_refused() -> None:
    """A name that is not on the ladder raises ValueError."""
    with pytest.raises(ValueError, match="ladder"):
        edit_named("crop everything")


def test_anyone_can_make_a_rung(photo: Pixels) -> None:
    """An `Edit` of one's own works like those of the ladder."""
    own = Edit(name="blue out", family="mine", strength="all", apply=lambda pixels, _: pixels * np.uint8([1, 1, 0]))
    assert not own(photo)[..., 2].any()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.5])
def test_crop_sides_counts_the_side(photo: Pixels, share: float) -> None:
    """What is left is the rest of the picture, cut by a share of that side's length."""
    cut = round(share * photo.shape[1])
    assert np.array_equal(edits.crop_sides(photo, left=share), photo[:, cut:])
    assert np.array_equal(edits.crop_sides(photo, right=share), photo[:, : photo.shape[1] - cut])
    cut = round(share * photo.shape[0])
    assert np.array_equal(edits.crop_sides(photo, top=share), photo[cut:])
    assert np.array_equal(edits.crop_sides(photo, bottom=share), photo[: photo.shape[0] - cut])


@pytest.mark.parametrize("removed", [0.05, 0.25, 0.5, 0.75, 0.85])
def test_crops_by_area_count_the_area_and_keep_the_aspect(photo: Pixels, removed: float) -> None:
    """The area left and the aspect are right to within the rounding of one pixel."""
    for out in (edits.crop_centre(photo, removed), edits.crop_random(photo, 1.0 - removed, generator())):
        side = math.sqrt(1.0 - removed)
        assert abs(out.shape[0] - photo.shape[0] * side) <= 0.5
        assert abs(out.shape[1] - photo.shape[1] * side) <= 0.5


def test_a_random_crop_reaches_every_corner(photo: Pixels) -> None:
    """Places from the first to the last row and column occur."""
    corners = [edits.crop_area(photo, 0.25, down, across) for down in (0.0, 1.0) for across in (0.0, 1.0)]
    tall, wide = corners[0].shape[:2]
    assert np.array_equal(corners[0], photo[:tall, :wide])
    assert np.array_equal(corners[3], photo[-tall:, -wide:])


@pytest.mark.parametrize("ratio", [1.0, 16 / 9, 9 / 16])
def test_crop_aspect_gives_the_ratio(photo: Pixels, ratio: float) -> None:
    """One side stays whole and the other follows from the ratio."""
    height, width = edits.crop_aspect(photo, ratio).shape[:2]
    assert height == photo.shape[0] or width == photo.shape[1]
    assert abs(width - ratio * height) <= max(1.0, ratio)


def test_turns_undo_one_another(photo: Pixels) -> None:
    """Mirror, flip and transpose are their own inverse, four quarters are none, and values are kept."""
    for edit in (edits.mirror, edits.flip, edits.transpose):
        assert np.array_equal(edit(edit(photo)), photo)
    assert np.array_equal(edits.turn(edits.turn(photo, 1), 3), photo)
    assert np.array_equal(edits.turn(photo, 1), np.rot90(photo))


@pytest.mark.parametrize("degrees", [1, 5, 15, 30, 45, 60, 90, -20])
def test_rotating_with_cut_corners_leaves_no_black(degrees: float) -> None:
    """A white picture rotated and cut stays white, and nothing much larger would."""
    white = np.full((90, 140, 3), 255, np.uint8)
    out = edits.rotate(white, degrees, corners="cut")
    assert out[2:-2, 2:-2].min() == 255
    even = edits.rotate(white, degrees, corners="even")
    assert even[2:-2, 2:-2].min() == 255
    assert even.shape[1] / even.shape[0] == pytest.approx(140 / 90, rel=0.05)
    assert even.size <= out.size
    kept = edits.rotate(white, degrees, corners="kept")
    assert kept.shape == white.shape
    assert kept[20:70, 40:100].min() == 255
    assert min(kept[0, 0].max(), kept[0, -1].max()) == 0 or abs(degrees) == 1
    grown = edits.rotate(white, degrees, corners="black")
    assert grown.shape[0] >= out.shape[0]
    if degrees != 90:
        assert grown[0, 0].max() == 0 or grown[0, -1].max() == 0


@pytest.mark.parametrize("kind", ["black", "white", "colour", "gradient", "blurred"])
def test_borders_stand_round_the_untouched_picture(photo: Pixels, kind: Any) -> None:
    """A border adds a share of each side and keeps the picture's own pixels."""
    out = edits.border(photo, 0.25, kind)
    y, x = round(0.25 * photo.shape[0]), round(0.25 * photo.shape[1])
    assert out.shape == (photo.shape[0] + 2 * y, photo.shape[1] + 2 * x, 3)
    assert np.array_equal(out[y:-y, x:-x], photo)
    bars = edits.letterbox(photo, 0.1, kind)
    assert bars.shape[1] == photo.shape[1]


def test_a_noisy_border_is_nearly_black(photo: Pixels) -> None:
    """The JPEG-noisy border is dark but not exactly black everywhere."""
    band = edits.border(edits.brightness(photo, 1.4), 0.1, "noisy")[:12]
    assert band.max() > 0
    assert band.mean() < 20


def test_tone_edits_have_their_fixed_points(photo: Pixels) -> None:
    """Factor 1, power 1 and strength 0 change nothing."""
    for out in (
        edits.brightness(photo, 1.0),
        edits.contrast(photo, 1.0),
        edits.saturation(photo, 1.0),
        edits.gamma(photo, 1.0),
        edits.vignette(photo, 0.0),
        edits.noise(photo, 0.0, generator()),
        edits.salt_pepper(photo, 0.0, generator()),
        edits.pixelate(photo, 1.0),
        edits.black_bar(photo, 0.0, generator()),
        edits.resize(photo, 1.0),
    ):
        assert np.array_equal(out, photo)


def test_noise_has_the_strength_asked_for() -> None:
    """On mid grey the standard deviation is sigma and a share of the pixels is salt or pepper."""
    flat = np.full((128, 128, 3), 128, np.uint8)
    assert abs(edits.noise(flat, 13.0, generator()).std() - 13.0) < 0.5
    changed = (edits.salt_pepper(flat, 0.15, generator()) != 128).all(axis=2).mean()
    assert abs(changed - 0.15) < 0.02


def test_blur_counts_sigma_at_512_px() -> None:
    """The same sigma blurs twice as many pixels on a picture twice as large: relative detail stays."""
    step = np.zeros((256, 256, 3), np.uint8)
    step[:, 128:] = 255
    large = step.repeat(2, axis=0).repeat(2, axis=1)
    widths = [
        int(((edits.blur(p, 6.0)[0, :, 0] > 25) & (edits.blur(p, 6.0)[0, :, 0] < 230)).sum()) for p in (step, large)
    ]
    assert abs(widths[1] - 2 * widths[0]) <= 2


def test_grey_has_equal_channels_and_codecs_keep_the_size(photo: Pixels) -> None:
    """Grey has no colour; JPEG, WebP and generations give back the same shape and near values."""
    plain = edits.grey(photo)
    assert np.array_equal(plain[..., 0], plain[..., 2])
    for out in (edits.jpeg(photo, 95), edits.webp(photo, 95)):
        assert out.shape == photo.shape
        assert np.abs(out.astype(int) - photo).mean() < 10
    assert edits.generations(photo, 3).shape == photo.shape


def test_the_black_bar_covers_its_area(photo: Pixels) -> None:
    """A bar of 20 % blackens a fifth of the rows."""
    rows = (edits.black_bar(np.full_like(photo, 9), 0.2, generator(3)) == 0).all(axis=(1, 2)).mean()
    assert abs(rows - 0.2) < 0.02


def test_collage_and_paste_show_the_picture_once() -> None:
    """The picture's colour fills one cell, and a share of the sides when pasted."""
    red = np.zeros((120, 120, 3), np.uint8)
    red[..., 0] = 255
    shown = (edits.collage(red, 2, 2, generator(1)) == (255, 0, 0)).all(axis=2).mean()
    assert abs(shown - 0.25) < 0.02
    shown = (edits.paste(red, 0.3, generator(1)) == (255, 0, 0)).all(axis=2).mean()
    assert abs(shown - 0.09) < 0.02


def test_a_chain_applies_its_edits_in_order(photo: Pixels) -> None:
    """chain(p, a, b) is b(a(p))."""
    out = edits.chain(photo, edits.mirror, lambda p: edits.crop_sides(p, left=0.5))
    assert np.array_equal(out, edits.crop_sides(edits.mirror(photo), left=0.5))


def test_perspective_without_amount_keeps_the_picture(photo: Pixels) -> None:
    """Moving no corner changes at most the rounding."""
    assert np.abs(edits.perspective(photo, 0.0, generator()).astype(int) - photo).max() <= 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: edits.jpeg(p, 0),
        lambda p: edits.jpeg(p, 101),
        lambda p: edits.webp(p, -1),
        lambda p: edits.generations(p, 0),
        lambda p: edits.resize(p, 0.0),
        lambda p: edits.resize(p, math.nan),
        lambda p: edits.resize(p, 0.5, filter="sinc"),
        lambda p: edits.thumbnail(p, 0),
        lambda p: edits.squash(p, 0.0),
        lambda p: edits.crop_sides(p, left=-0.1),
        lambda p: edits.crop_sides(p, left=0.6, right=0.6),
        lambda p: edits.crop_centre(p, 1.0),
        lambda p: edits.crop_random(p, 0.0, generator()),
        lambda p: edits.crop_area(p, 0.5, 2.0, 0.0),
        lambda p: edits.crop_aspect(p, 0.0),
        lambda p: edits.rotate(p, 10, corners="round"),
        lambda p: edits.rotate(p, math.inf),
        lambda p: edits.border(p, -1.0),
        lambda p: edits.border(p, 0.1, "striped"),
        lambda p: edits.letterbox(p, 3.0),
        lambda p: edits.blur(p, -1.0),
        lambda p: edits.sharpen(p, 11.0),
        lambda p: edits.pixelate(p, 0.0),
        lambda p: edits.noise(p, -1.0, generator()),
        lambda p: edits.speckle(p, 3.0, generator()),
        lambda p: edits.salt_pepper(p, 1.5, generator()),
        lambda p: edits.gamma(p, 0.0),
        lambda p: edits.brightness(p, -1.0),
        lambda p: edits.contrast(p, -1.0),
        lambda p: edits.saturation(p, -1.0),
        lambda p: edits.vignette(p, 2.0),
        lambda p: edits.text(p, 0.0, generator()),
        lambda p: edits.text(p, 0.1, generator(), words="für"),
        lambda p: edits.watermark(p, 0.0),
        lambda p: edits.watermark(p, 0.2, 2.0),
        lambda p: edits.watermark_tiled(p, -0.1),
        lambda p: edits.emoji(p, 0.0, generator()),
        lambda p: edits.sticker(p, 2.0),
        lambda p: edits.black_bar(p, 2.0, generator()),
        lambda p: edits.caption_band(p, 0.0),
        lambda p: edits.phone_screenshot(p, 10),
        lambda p: edits.paste(p, 0.0, generator()),
        lambda p: edits.collage(p, 0, 2, generator()),
        lambda p: edits.perspective(p, 0.9, generator()),
        lambda p: edits.recapture(p, generator(), amount=-1.0),
    ],
)
def test_a_parameter_out_of_range_is_refused(photo: Pixels, edit: Callable[[Pixels], Pixels]) -> None:
    """Each edit checks its own parameters."""
    with pytest.raises(ValueError):
        edit(photo)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_not_a_picture_is_refused(bad: Pixels) -> None:
    """Grey, RGBA, float and empty arrays raise ValueError that names the shape."""
    for edit in (edits.mirror, lambda p: edits.jpeg(p, 50), lambda p: edits.blur(p, 1.0), edits.caption_band):
        with pytest.raises(ValueError, match="uint8"):
            edit(bad)


def test_tiny_pictures_survive_the_ladder() -> None:
    """A picture of a few pixels goes through every rung."""
    tiny = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    for edit in LADDER:
        assert edit(tiny).size > 0, edit.name
