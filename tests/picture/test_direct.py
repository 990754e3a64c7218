"""Decoding straight into our array, the fast way, against Pillow's own memory, the slow twin."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from hashmatch.errors import UnreadableImageError
from hashmatch.picture import DecodePolicy, open_picture
from support.picture_makers import exif, noise, save

POLICY = DecodePolicy(formats=("JPEG", "PNG", "WEBP", "BMP", "AVIF"))
SIZES = ((1, 1), (1, 70), (67, 1), (64, 64), (129, 257))
OPTIONS = {
    "JPEG": ({}, {"progressive": True}, {"subsampling": 0}, {"optimize": True}),
    "PNG": ({},),
    "WEBP": ({}, {"lossless": True}),
    "BMP": ({},),
    "AVIF": ({"speed": 10},),
}


def picture(mode: str, height: int, width: int) -> Image.Image:
    """Make noise in a mode."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    samples = noise(height, width, bands, seed=height) if bands > 1 else noise(height, width, seed=height)
    return Image.frombytes(mode, (width, height), samples.tobytes())


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("format", OPTIONS)
def test_equal_to_pillows_own_memory(format: str, mode: str) -> None:
    """For every format, mode and size the direct way gives the samples Pillow gives."""
    if (format, mode) == ("JPEG", "RGBA"):
        mode = "RGB"
    for height, width in SIZES:
        for options in OPTIONS[format]:
            data = save(picture(mode, height, width), format, **options)
            got = next(open_picture(data, POLICY).rasters()).pixels
            with Image.open(io.BytesIO(data)) as image:
                twin = next(open_picture(image, POLICY).rasters()).pixels
                assert np.array_equal(got, twin)
                if image.mode != "RGBA":
                    assert np.array_equal(got, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format", OPTIONS)
def test_this_pillow_takes_the_direct_way(format: str) -> None:
    """RGB is shown from four bytes a pixel, so no copy was made; if this fails, a new Pillow has closed the way."""
    data = save(picture("RGB", 40, 30), format)
    pixels = next(open_picture(data, POLICY).rasters()).pixels
    assert pixels.strides == (120, 4, 1)


def test_grey_is_shown_three_times_without_a_copy() -> None:
    """A grey picture takes one byte a pixel."""
    pixels = next(open_picture(save(picture("L", 40, 30), "JPEG")).rasters()).pixels
    assert pixels.shape == (40, 30, 3)
    assert pixels.strides == (30, 1, 0)


def test_turned_pictures_have_rows_in_order() -> None:
    """After any orientation the steps between rows and pixels are those of an upright picture."""
    for orientation in range(1, 9):
        data = save(picture("RGB", 40, 30), "JPEG", exif=exif(orientation))
        pixels = next(open_picture(data).rasters()).pixels
        assert pixels.strides == (4 * pixels.shape[1], 4, 1)


def test_memory_is_freed_from_pillow() -> None:
    """The array stays whole when every Pillow object is gone."""
    import gc

    data = save(picture("RGB", 300, 400), "PNG")
    pixels = next(open_picture(data).rasters()).pixels
    copy = pixels.copy()
    gc.collect()
    others = [noise(300, 400, 4, seed=k) for k in range(5)]
    assert len(others) == 5
    assert np.array_equal(pixels, copy)


def test_a_decoder_that_fails_leaves_nothing() -> None:
    """A broken decode raises; half a picture never comes out."""
    data = save(picture("RGB", 300, 400), "JPEG")
    with pytest.raises(UnreadableImageError):
        open_picture(data[: len(data) // 2])


def test_a_pillow_that_brings_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a plug-in replaces our memory, its own samples are taken."""
    original = JpegImagePlugin.JpegImageFile.load_prepare

    def replace(image: JpegImagePlugin.JpegImageFile) -> None:
        image.im = Image.core.new(image.mode, image.size)
        original(image)

    data = save(picture("RGB", 20, 30), "JPEG")
    expected = next(open_picture(data).rasters()).pixels
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load_prepare", replace)
    got = next(open_picture(data).rasters()).pixels
    assert got.strides == (90, 3, 1)
    assert np.array_equal(got, expected)
