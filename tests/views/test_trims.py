"""Trims: the content inside borders to the pixel, nothing where there is no border, no crash on anything."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.hashers.pdq import PDQHasher
from hashmatch.hashes import HashValue, distance
from hashmatch.synthetic import edits, picture
from hashmatch.views.trims import Trim, find_trims

Pixels = npt.NDArray[Any]

HASHER = PDQHasher()
FILLS = ("black", "white", "colour", "gradient", "blurred", "noisy")
NAMES = ("photo", "portrait")


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    """Make pictures without borders, of three shapes."""
    sizes = [(256, 256), (384, 512), (400, 300)]
    return [picture(NAMES[seed % 2], seed, sizes[seed % 3]) for seed in range(8300, 8306)]


def nearest(pixels: Pixels, target: HashValue) -> int:
    """Least PDQ distance of any trim; 256 where there is none."""
    return min((distance(HASHER.hash_pixels(trim.crop(pixels))[0], target) for trim in find_trims(pixels)), default=256)


def box_error(trim: Trim, box: tuple[int, int, int, int]) -> int:
    """Greatest distance of a side from where it should be, px."""
    return max(abs(a - b) for a, b in zip(trim.box, box, strict=True))


@pytest.mark.parametrize("share", [0.05, 0.25])
@pytest.mark.parametrize("fill", FILLS)
def test_a_frame_is_found_again(pictures: list[Pixels], fill: Any, share: float) -> None:
    """A border or letterbox of any kind, saved as JPEG, leaves a picture that still matches its original."""
    missed = 0
    for pixels in pictures:
        target = HASHER.hash_pixels(pixels)[0]
        for edit in (edits.border, edits.letterbox):
            missed += nearest(edits.jpeg(edit(pixels, share, fill), 75), target) > 31
    assert missed <= (1 if fill == "blurred" else 0)


def test_a_plain_frame_is_found_to_the_pixel(pictures: list[Pixels]) -> None:
    """Where nothing was recoded, the first trim of a plain border is off by a pixel at most."""
    for pixels in pictures:
        height, width = pixels.shape[:2]
        for fill in ("black", "white", "colour"):
            framed = edits.border(pixels, 0.1, fill)
            x, y = round(0.1 * width), round(0.1 * height)
            assert box_error(find_trims(framed)[0], (x, y, x + width, y + height)) <= 1


@pytest.mark.parametrize("side", [0, 1, 2, 3])
def test_one_side_alone_is_trimmed(pictures: list[Pixels], side: int) -> None:
    """A border on one side only is taken off that side and the shares say so."""
    for pixels in pictures[:3]:
        turned = np.rot90(np.pad(pixels, ((60, 0), (0, 0), (0, 0))), side)
        trim = find_trims(np.ascontiguousarray(turned))[0]
        shares = (trim.top, trim.left, trim.bottom, trim.right)
        expected = [0.0] * 4
        expected[side] = 60 / (len(pixels) + 60)
        assert shares == pytest.approx(expected, abs=0.004)
        assert trim.kind == "plain"


def test_borders_as_wide_as_unseen_ones_are_told_from_the_content(pictures: list[Pixels]) -> None:
    """A frame whose fourth side meets content of its own colour is closed where the other three sides have it."""
    for pixels in pictures[:3]:
        height, width = pixels.shape[:2]
        dark = pixels.copy()
        dark[:, -20:] = 0
        framed = np.pad(dark, ((30, 30), (30, 30), (0, 0)))
        boxes = [trim.box for trim in find_trims(framed)]
        assert (30, 30, width + 30, height + 30) in boxes or (30, 30, width + 10, height + 30) in boxes


@pytest.mark.parametrize("fill", ["gradient", "blurred"])
def test_smooth_borders_at_the_sides_alone_are_found(pictures: list[Pixels], fill: Any) -> None:
    """Smooth borders at the left and right alone, as on a video, are cut off within two pixels."""
    for pixels in pictures:
        height, width = pixels.shape[:2]
        framed = edits.transpose(edits.letterbox(edits.transpose(pixels), 0.25, fill))
        box = (round(0.25 * width), 0, round(0.25 * width) + width, height)
        assert min(box_error(trim, box) for trim in find_trims(framed)) <= 2


@pytest.mark.parametrize("quality", [75, 50])
@pytest.mark.parametrize("swing", [6.0, 15.0])
def test_blocks_of_jpeg_are_no_seams(quality: int, swing: float) -> None:
    """A soft picture of JPEG quality 50 or more is not trimmed at its blocks."""
    ramp = np.add.outer(np.linspace(40.0, 200.0, 256), np.linspace(0.0, 40.0, 256))
    soft = np.repeat((ramp + swing * np.sin(ramp / 9.0))[:, :, None], 3, axis=2).astype(np.uint8)
    assert find_trims(edits.jpeg(soft, quality)) == ()


def test_a_box_of_one_colour_is_refused() -> None:
    """What is left inside a border is no trim if it is plain."""
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[40:160, 40:160] = 180
    assert find_trims(pixels) == ()
    pixels[60:140:4, 60:140] = 20
    assert find_trims(pixels)[0].box == (40, 40, 160, 160)


def test_trims_differ_by_more_than_a_pixel(pictures: list[Pixels]) -> None:
    """No two trims are so near each other that their hashes would be the same, and a second call gives the same."""
    for pixels in (*pictures, *(picture(kind, 8520) for kind in ("comic", "screenshot", "card"))):
        framed = edits.border(pixels, 0.08, "blurred")
        trims = find_trims(framed, most=6)
        assert all(max(abs(a - b) for a, b in zip(x.box, y.box, strict=True)) > 1 for x, y in combinations(trims, 2))
        assert find_trims(framed, most=6) == trims
        assert find_trims(framed, most=2) == trims[:2]


def test_layers_are_peeled_one_by_one(pictures: list[Pixels]) -> None:
    """A black frame round a white one gives both boxes, the outer one first."""
    for pixels in pictures[:3]:
        height, width = pixels.shape[:2]
        framed = np.pad(np.pad(pixels, ((20, 20), (20, 20), (0, 0)), constant_values=255), ((30, 30), (30, 30), (0, 0)))
        trims = find_trims(framed)
        assert box_error(trims[0], (30, 30, width + 70, height + 70)) <= 1
        assert any(box_error(trim, (50, 50, width + 50, height + 50)) <= 1 for trim in trims[1:])


@pytest.mark.parametrize("dark", [False, True])
def test_bars_and_captions_are_found(pictures: list[Pixels], dark: bool) -> None:
    """A caption band is a band and a phone's screen has bars; what is left matches the original."""
    for pixels in pictures:
        target = HASHER.hash_pixels(pixels)[0]
        screen = edits.jpeg(edits.phone_screenshot(pixels, dark=dark), 75)
        assert nearest(screen, target) <= 31
        assert "bars" in {trim.kind for trim in find_trims(screen)}
        captioned = edits.jpeg(edits.caption_band(pixels, 0.2), 75)
        assert nearest(captioned, target) <= 31
        assert find_trims(captioned)[0].kind == "band"


def test_pictures_without_border_are_seldom_trimmed() -> None:
    """Photographs and portraits without borders give next to no trims."""
    count = sum(bool(find_trims(picture(NAMES[seed % 2], seed))) for seed in range(8400, 8440))
    assert count <= 3


def test_grey_and_float_and_strides_do_not_matter(pictures: list[Pixels]) -> None:
    """Grey in any form, floats, and pixels that are not contiguous give the same trims."""
    framed = edits.border(pictures[1], 0.1, "white")
    expected = find_trims(framed)
    assert find_trims(framed.astype(np.float32)) == expected
    assert find_trims(np.asfortranarray(framed)) == expected
    spaced = np.zeros((*framed.shape[:2], 4), np.uint8)
    spaced[..., :3] = framed
    assert find_trims(spaced[..., :3]) == expected
    grey = np.ascontiguousarray(framed[..., 1])
    assert find_trims(grey) == find_trims(np.broadcast_to(grey[:, :, None], framed.shape)) != ()


def test_a_mirrored_picture_has_mirrored_trims(pictures: list[Pixels]) -> None:
    """No side is treated otherwise than the opposite one, to a pixel."""
    for pixels in pictures:
        framed = np.pad(pixels, ((8, 40), (50, 16), (0, 0)), constant_values=7)
        height, width = framed.shape[:2]
        x0, y0, x1, y1 = find_trims(framed)[0].box
        assert box_error(find_trims(framed[::-1, ::-1])[0], (width - x1, height - y1, width - x0, height - y0)) <= 1


def plain_pictures() -> list[Pixels]:
    """Flat, gradient, logo and text pictures."""
    ramp = np.linspace(0.0, 255.0, 256)
    made: list[Pixels] = [np.full((256, 256), level, np.uint8) for level in (0, 128, 255)]
    made += [np.tile(ramp, (256, 1)), np.tile(ramp[:, None], (1, 256)), np.add.outer(ramp, ramp) / 2]
    place = np.arange(256)[:, None] - 128.0, np.arange(256)[None] - 128.0
    for radius in (30, 70, 110):
        made.append(np.where(np.hypot(*place) < radius, 20.0, 250.0))
        made.append(np.where(np.maximum(np.abs(place[0]), np.abs(place[1])) < radius, 200.0, 0.0))
    colours = [np.repeat(pixels.astype(np.uint8)[:, :, None], 3, axis=2) for pixels in made]
    random = np.random.default_rng(8500)
    sign = np.full((256, 256, 3), 250, np.uint8)
    texts = ("CLOSED", "open at nine", "404", "no picture here")
    colours += [edits.text(sign, 0.15, random, words=words) for words in texts]
    colours += [picture("document", seed) for seed in (8501, 8502, 8503, 8504)]
    colours += [edits.caption_band(pixels, 0.3) for pixels in colours[:4]]
    colours += [edits.phone_screenshot(pixels) for pixels in colours[:4]]
    return colours


def test_plain_pictures_do_not_match_each_other_through_trims() -> None:
    """No two of flat, gradient, logo and text pictures come within PDQ's radius through hashes of quality 50 or more.

    Screens and captioned pictures that hold nothing but a flat picture are alike in truth, and not compared.
    """
    views = []
    for pixels in plain_pictures()[:20]:
        looks = [pixels, *(trim.crop(pixels) for trim in find_trims(pixels))]
        hashed = [HASHER.hash_pixels(look) for look in looks]
        views.append([value for value, quality in hashed if quality >= 50])
    assert sum(map(len, views)) >= 4
    for one, other in combinations(views, 2):
        assert all(distance(a, b) > 31 for a in one for b in other)


def test_every_box_is_sensible() -> None:
    """Boxes differ, lie inside the picture, keep 16 px and a tenth of the area; shares tell the same."""
    for pixels in (*plain_pictures(), *(picture(kind, 8510) for kind in ("comic", "meme", "screenshot", "card"))):
        check(pixels)


def check(pixels: Pixels, most: int = 4) -> None:
    """Hold the trims of a picture to what `find_trims` promises."""
    height, width = pixels.shape[:2]
    trims = find_trims(pixels, most=most)
    assert len(trims) == len({trim.box for trim in trims}) <= most
    for trim in trims:
        x0, y0, x1, y1 = trim.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert trim.box != (0, 0, width, height)
        assert min(x1 - x0, y1 - y0) >= 16
        assert (x1 - x0) * (y1 - y0) >= 0.1 * width * height
        assert (trim.left * width, trim.top * height) == pytest.approx((x0, y0))
        assert (trim.right * width, trim.bottom * height) == pytest.approx((width - x1, height - y1))
        assert trim.crop(pixels).shape[:2] == (y1 - y0, x1 - x0)


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
    frame=st.tuples(*[st.integers(0, 150)] * 4),
    most=st.integers(1, 6),
)
def test_no_picture_breaks_it(height: int, width: int, seed: int, frame: tuple[int, int, int, int], most: int) -> None:
    """Noise of any size inside any frame gives sensible boxes and no error."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    left, top, right, bottom = frame
    inside = pixels[top : max(top, height - bottom), left : max(left, width - right)]
    inside[:] = random.integers(0, 256, inside.shape)
    check(pixels, most)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (17, 3000), (16, 16), (17, 17), (3000, 40)])
def test_extreme_shapes(shape: tuple[int, int]) -> None:
    """Pictures one pixel wide, tiny or very long give sensible boxes or none."""
    check(np.zeros((*shape, 3), np.uint8))
    check(np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8))
    ramp = np.linspace(0, 255, shape[0] * shape[1]).reshape(shape)
    check(ramp)


@pytest.mark.parametrize("most", [0, -1, True, 1.5])
def test_most_must_be_a_count(most: Any) -> None:
    """Anything but a whole number of 1 or more is refused."""
    with pytest.raises(ValueError, match="most"):
        find_trims(np.zeros((64, 64, 3), np.uint8), most=most)
