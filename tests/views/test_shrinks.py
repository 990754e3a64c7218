"""Producers' pre-shrinks, judged by the front ends' own steps."""

from __future__ import annotations

import io

import numpy as np
import pytest

from hashmatch.hashers.pdq import PDQHasher
from hashmatch.picture.encode import thumbnail, to_pil
from hashmatch.synthetic import picture
from hashmatch.views.shrinks import shrunk_views, squashed

HASHER = PDQHasher()


def test_views_are_pdq_of_what_front_ends_hash() -> None:
    """The squash is pixel by pixel CImg's nearest neighbour, the thumbnail is Pillow's own."""
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
    assert (found["thumbnail-512"].value, found["thumbnail-512"].quality) == HASHER.hash_pixels(np.array(image))
    assert thumbnail(pixels, 512).shape == (388, 512, 3)


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
    """What Pillow makes of the picture read back from a lossless file is what the view is made of."""
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
    assert np.array_equal(thumbnail(pixels, 256), thumbnail(packed, 256))
    assert shrunk_views(pixels) == shrunk_views(packed)
