"""Frames are counted in the file's structure and looked at over its whole length."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hashmatch.errors import ImageTooLargeError
from hashmatch.picture import DecodePolicy, iter_rasters
from hashmatch.picture.frames import count_frames, spread_frames

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
ANIMATED = ("PNG", "GIF", "WEBP", "TIFF", "AVIF")


def shade(number: int) -> Image.Image:
    """Make a frame that can be told from the others after any codec."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:, :, 0] = 10 * number
    pixels[:, : number + 1, 1] = 255
    return Image.fromarray(pixels)


def animation(format: str, n: int) -> bytes:
    """Write ``n`` frames."""
    stream = io.BytesIO()
    more = {"save_all": True, "append_images": [shade(i) for i in range(1, n)]} if n > 1 else {}
    lossless = {"lossless": True} if format == "WEBP" else {}
    shade(0).save(stream, format, **more, **lossless)
    return stream.getvalue()


def seen(data: bytes, policy: DecodePolicy) -> list[int]:
    """Positions of the frames that a policy looks at."""
    return [raster.view.frame for raster in iter_rasters(data, policy)]


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_frames_are_counted(format: str, n: int) -> None:
    """The structure tells as many frames as were written, and never more than asked for."""
    data = animation(format, n)
    assert count_frames(format, data, 1000) == n
    assert count_frames(format, data, 3) == min(n, 3)


def test_a_still_picture_before_an_animation_counts() -> None:
    """APNG's default picture is a frame of its own, as it is for the decoder."""
    stream = io.BytesIO()
    shade(0).save(stream, "PNG", save_all=True, default_image=True, append_images=[shade(i) for i in range(1, 5)])
    data = stream.getvalue()
    every = seen(data, DecodePolicy(formats=FORMATS, frames="all"))
    assert count_frames("PNG", data, 1000) == len(every)


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "TIFF"])
def test_spread_looks_at_both_ends(format: str) -> None:
    """Five of twenty frames: the first, the last and three between, with the pixels that "all" gives."""
    data = animation(format, 20)
    spread = list(iter_rasters(data, DecodePolicy(formats=FORMATS, frames="spread")))
    every = list(iter_rasters(data, DecodePolicy(formats=FORMATS, frames="all")))
    assert [raster.view.frame for raster in spread] == [0, 4, 9, 14, 19]
    for raster in spread:
        assert np.array_equal(raster.pixels, every[raster.view.frame].pixels)


def test_without_a_count_steps_double() -> None:
    """Where only the codec could count, positions double until the file ends."""
    assert seen(animation("AVIF", 7), DecodePolicy(formats=FORMATS, frames="spread", n_spread=9)) == [0, 1, 2, 4]


@pytest.mark.parametrize("format", FORMATS)
def test_one_frame_is_the_same_under_every_policy(format: str) -> None:
    """A file of one frame gives it once."""
    data = animation(format, 1)
    for frames in ("first", "spread", "all"):
        assert seen(data, DecodePolicy(formats=FORMATS, frames=frames)) == [0]


def test_spread_ends_at_the_bound_of_frames() -> None:
    """Frames beyond ``max_frames`` are not walked."""
    data = animation("GIF", 20)
    assert seen(data, DecodePolicy(frames="spread", max_frames=10, n_spread=3)) == [0, 4, 9]


def test_frames_passed_over_count_as_work() -> None:
    """The bound on all pixels holds for frames that are only walked past."""
    data = animation("GIF", 20)
    with pytest.raises(ImageTooLargeError):
        seen(data, DecodePolicy(frames="spread", n_spread=2, max_total_pixels=48 * 32 * 10))


def test_a_claimed_number_is_not_believed() -> None:
    """An APNG that claims a million frames is spread over those it has."""
    data = bytearray(animation("PNG", 6))
    at = data.find(b"acTL")
    struct.pack_into(">I", data, at + 4, 1_000_000)
    assert count_frames("PNG", bytes(data), 1000) == 6


def test_a_ring_of_directories_ends() -> None:
    """A TIFF whose directories point at each other has finitely many frames."""
    data = bytearray(animation("TIFF", 1))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * entries, at)
    assert count_frames("TIFF", bytes(data), 1000) == 1


@given(count=st.integers(1, 5000), few=st.integers(1, 60))
def test_positions_ascend_from_first_to_last(count: int, few: int) -> None:
    """Positions are distinct, in range, and reach both ends where there are two."""
    found = list(spread_frames(count, few))
    assert found == sorted(set(found))
    assert len(found) == min(few, count)
    assert found[0] == 0
    assert found[-1] == (count - 1 if few > 1 else 0)


@given(container=st.sampled_from(ANIMATED), data=st.binary(max_size=400), most=st.integers(1, 50))
def test_any_bytes_can_be_counted(container: str, data: bytes, most: int) -> None:
    """Counting hostile bytes ends in a number in range or in None."""
    found = count_frames(container, data, most)
    assert found is None or 1 <= found <= most


@pytest.mark.parametrize("container", ["PNG", "GIF", "WEBP", "TIFF"])
@given(change=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6), cut=st.integers(0, 2000))
def test_damaged_animations_can_be_counted(container: str, change: list[tuple[int, int]], cut: int) -> None:
    """So does counting a damaged animation."""
    data = bytearray(animation(container, 4))
    for at, value in change:
        if at < len(data):
            data[at] = value
    found = count_frames(container, bytes(data[: len(data) - cut]), 20)
    assert found is None or 1 <= found <= 20
