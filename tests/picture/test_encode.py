"""The encoders: what is written can be read back, and parameters are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hashmatch.picture import encode
from hashmatch.synthetic import picture

PIXELS = picture("comic", 1, (60, 90))


@pytest.mark.parametrize("write", [encode.png, lambda p: encode.webp(p, lossless=True)])
def test_lossless_formats_keep_every_pixel(write: Callable[[Any], bytes]) -> None:
    """PNG and lossless WebP give back the same pixels."""
    assert np.array_equal(encode.recode(write(PIXELS)), PIXELS)


def test_quality_decides_size_and_loss() -> None:
    """Lower quality makes smaller files that are farther from the original, in JPEG and in WebP."""
    for write in (encode.jpeg, encode.webp):
        files = [write(PIXELS, quality) for quality in (10, 50, 95)]
        assert len(files[0]) < len(files[1]) < len(files[2])
        losses = [np.abs(encode.recode(file).astype(int) - PIXELS).mean() for file in files]
        assert losses[0] > losses[1] > losses[2]


def test_full_colour_loses_less_than_halved() -> None:
    """4:4:4 keeps the edges of flat colours that 4:2:0 smears."""
    full, half = (
        np.abs(encode.recode(encode.jpeg(PIXELS, 90, full_colour=choice)).astype(int) - PIXELS).mean()
        for choice in (True, False)
    )
    assert full < half


def test_views_and_read_only_pixels_are_written_like_copies() -> None:
    """A turned, strided or read-only array gives the same file as its copy."""
    view = PIXELS[::-1, ::2]
    view.flags.writeable = False
    assert encode.png(view) == encode.png(view.copy())


def test_resizing_gives_the_size_asked_for() -> None:
    """Height comes first, and every filter works."""
    for name in ("nearest", "box", "bilinear", "bicubic", "lanczos"):
        assert encode.resize(PIXELS, (31, 17), filter=name).shape == (31, 17, 3)


def test_a_quarter_turn_by_rotation_is_exact() -> None:
    """Rotating by 90 degrees to the left is numpy.rot90."""
    assert np.array_equal(encode.rotate(PIXELS, 90), np.rot90(PIXELS))


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode.jpeg(PIXELS, 0),
        lambda: encode.webp(PIXELS, 101),
        lambda: encode.resize(PIXELS, (0, 5)),
        lambda: encode.resize(PIXELS, (5, 5), filter="mean"),
        lambda: encode.map_perspective(PIXELS, (1.0,), fill=(0, 0, 0)),
        lambda: encode.png(PIXELS[..., 0]),
        lambda: encode.png(PIXELS.astype(float)),
        lambda: encode.png([[1, 2, 3]]),
    ],
)
def test_what_cannot_be_written_is_refused(call: Callable[[], Any]) -> None:
    """Impossible parameters and arrays that are not pictures raise ValueError."""
    with pytest.raises(ValueError):
        call()
