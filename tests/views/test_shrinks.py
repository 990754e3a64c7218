"""Producers' pre-shrinks, judged by the front ends' own steps."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.hashers.pdq import PDQHasher
from hashmatch.hashes import distance
from hashmatch.picture.encode import thumbnail, to_pil
from hashmatch.synthetic import picture
from hashmatch.views.shrinks import shrunk_views, squashed, thumbnail_luma

HASHER = PDQHasher()


def test_views_are_pdq_of_what_front_ends_hash() -> None:
    """The squash is pixel by pixel CImg's nearest neighbour, the thumbnail lies within two bits of Pillow's own."""
    pixels = picture("photo", 7_520_000, (530, 700))
    squash = np.zeros((512, 512, 3), np.uint8)
    for y in range(512):
        for x in range(512):
            squash[y, x] = pixels[int(y * 530 / 512), int(x * 700 / 512)]
    image = to_pil(pixels)
    image.thumbnail((512, 512))
    found = {view.kind: view for view in shrunk_views(pixels)}
    assert np.array_equal(squashed(pixels), squash)
    assert (found["squash-512"].value, found["squash-512"].quality) == HASHER.hash_pixels(squash)
    value, quality = HASHER.hash_pixels(np.array(image))
    assert distance(found["thumbnail-512"].value, value) <= 2
    assert abs(found["thumbnail-512"].quality - quality) <= 1


@pytest.mark.parametrize("kind", ["photo", "document", "screenshot", "comic", "meme"])
def test_thumbnails_are_those_of_the_front_end(kind: str) -> None:
    """Shrunk by whole pixels first or not, luma and hash are those of Pillow's thumbnail but for rounding."""
    for size in ((600, 800), (513, 300), (1100, 2300), (2049, 1500), (2500, 2050)):
        pixels = picture(kind, 7_520_100, size)
        expected = thumbnail(pixels, 512)
        found = thumbnail_luma(pixels)
        assert found.shape == expected.shape[:2]
        assert np.abs(found - expected @ np.array([0.299, 0.587, 0.114])).mean() < 0.5
        assert distance(HASHER.hash_pixels(found)[0], HASHER.hash_pixels(expected)[0]) <= 4


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 6000), st.integers(1, 6000))
def test_thumbnails_have_the_size_that_pillow_gives(height: int, width: int) -> None:
    """One side is 512 px, the other rounded as Pillow rounds it."""
    from PIL import Image

    if max(height, width) > 512:
        image = Image.new("L", (width, height))
        image.thumbnail((512, 512), Image.Resampling.NEAREST, reducing_gap=None)
        assert thumbnail_luma(np.broadcast_to(np.uint8(7), (height, width, 3))).shape == (image.height, image.width)


def test_a_flat_picture_stays_flat() -> None:
    """Weights add up to one, at the sides too."""
    for size in ((700, 513), (513, 2049), (2, 1025), (1, 5000), (2047, 2048), (5, 1920), (1921, 7)):
        assert set(np.unique(thumbnail_luma(np.full((*size, 3), 201, np.uint8))).tolist()) == {201}


@pytest.mark.parametrize("shape", [(1, 1), (512, 512, 3), (100, 512), (512, 3, 3)])
def test_small_pictures_are_not_shrunk(shape: tuple[int, ...]) -> None:
    """Front ends leave pictures alone that fit into 512 x 512, so there is no view."""
    assert shrunk_views(np.zeros(shape, np.uint8)) == ()


def test_long_strips_are_squashed_too() -> None:
    """One side over 512 px is enough; the other is then enlarged, and nothing fails."""
    found = shrunk_views(np.random.default_rng(1).integers(0, 256, (20, 2000, 3), dtype=np.uint8))
    assert [view.kind for view in found] == ["squash-512", "thumbnail-512"]


def test_grey_and_floats_are_as_bytes() -> None:
    """Grey pixels and floats give what their bytes give."""
    grey = picture("document", 7_520_001, (640, 540))[..., 0]
    expected = shrunk_views(np.repeat(grey[:, :, None], 3, axis=2))
    assert shrunk_views(grey) == expected
    assert shrunk_views(grey + np.float32(0.2)) == expected


def test_a_thumbnail_of_a_file_is_the_same() -> None:
    """What Pillow makes of the picture read back from a lossless file is what the view is measured against."""
    from PIL import Image

    pixels, buffer = picture("photo", 7_520_002, (600, 520)), io.BytesIO()
    to_pil(pixels).save(buffer, "PNG")
    with Image.open(buffer) as image:
        image.thumbnail((512, 512))
        assert np.array_equal(np.array(image), thumbnail(pixels, 512))


@pytest.mark.parametrize("shape", [(530, 700), (20, 2000), (300, 400)])
def test_four_bytes_a_pixel_are_seen_as_three(shape: tuple[int, int]) -> None:
    """Pictures as the decoder lays them out, with an unused fourth byte, give what packed ones give."""
    four = np.random.default_rng(7).integers(0, 256, (*shape, 4), dtype=np.uint8)
    pixels = four[..., :3]
    packed = pixels.copy()
    assert np.array_equal(squashed(pixels), squashed(packed))
    if max(shape) > 512:
        assert np.array_equal(thumbnail_luma(pixels), thumbnail_luma(packed))
    assert shrunk_views(pixels) == shrunk_views(packed)
