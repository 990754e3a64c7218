"""Laws of JPEG inside TIFF: what a codec would go over is counted before it runs, wherever the strips lie."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import ImageError, ImageTooLargeError
from hashmatch.picture import DecodePolicy, decode, iter_rasters, tiff_scans
from hashmatch.picture.header import check_header
from hashmatch.picture.tiff_scans import Strip, jpeg_strips
from support import tiff_makers
from support.picture_makers import many_scans, save

FIRST = DecodePolicy(formats=("TIFF",))
EVERY = DecodePolicy(formats=("TIFF",), frames="all")
SIZE = (240, 320)
GREY = np.zeros((*SIZE, 3), np.uint8)
LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rows": 80},
    "tiles": {"tile": (112, 160)},
    "big": {"big": True, "rows": 80},
    "big-endian": {"order": ">", "rows": 80},
}


def in_tiff(parts: list[bytes], monkeypatch: pytest.MonkeyPatch, size: tuple[int, int] = SIZE, **layout: Any) -> bytes:
    """Make a TIFF file whose segments are JPEG files, the last of them for all that follow."""
    left = list(parts)
    monkeypatch.setattr(tiff_makers, "_encode", lambda *_: left.pop(0) if len(left) > 1 else left[0])
    more = [(530, 3, [2, 2])]
    return tiff_makers.tiff(np.zeros((*size, 3), np.uint8), "ycbcr", compression="jpeg", more=more, **layout)


def part_of(layout: dict[str, Any], n_more: int, **options: Any) -> bytes:
    """Make the JPEG of one segment."""
    size = layout.get("tile") or (layout.get("rows", SIZE[0]), SIZE[1])
    return many_scans(size, n_more, **options)


def reason_of(data: bytes, policy: DecodePolicy = FIRST) -> str:
    """Say how the header is judged."""
    try:
        return check_header(data, policy)
    except ImageTooLargeError as error:
        return error.reason


@pytest.mark.parametrize("name", LAYOUTS)
def test_scans_in_strips_are_counted_before_decoding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every layout; and files as programs write them are decoded."""
    layout = LAYOUTS[name]
    for n_more, options in ((0, {"progressive": False}), (0, {}), (9, {}), (40, {})):
        data = in_tiff([part_of(layout, n_more, **options)], monkeypatch, **layout)
        (raster,) = iter_rasters(data, FIRST)
        assert raster.pixels.shape == (*SIZE, 3)

    def never(*_given: object) -> None:
        raise AssertionError("a codec ran")

    monkeypatch.setattr(decode, "_opened", never)
    for parts in ([part_of(layout, 3000)], [part_of(layout, 0), part_of(layout, 3000)]):
        data = in_tiff(parts, monkeypatch, **layout)
        if len(parts) == 1 or name != "one strip":
            assert len(data) < 500_000
            with pytest.raises(ImageTooLargeError) as caught:
                list(iter_rasters(data, FIRST))
            assert caught.value.reason == "too-many-scans"


def test_what_a_strip_says_of_itself_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The codec takes a last strip whose JPEG is higher than the picture."""
    data = in_tiff([many_scans((4000, 320), 90)], monkeypatch)
    (strip,) = jpeg_strips(data, 1, 20)
    assert (strip.scans > 90, strip.pixels) == (True, 4000 * 320)
    stuffed = many_scans((240, 320), 90)
    stuffed = stuffed[:2] + b"\xff\xfe\0\2" * 100 + stuffed[2:]
    assert reason_of(in_tiff([stuffed], monkeypatch)) == "too-many-scans"


def test_lengths_that_are_missing_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A strip without a length, or with one beyond the file, goes to its end."""
    part = many_scans(SIZE, 3000)
    for length in (0, 2**32 - 1, len(part)):
        assert reason_of(in_tiff([part], monkeypatch, stated={279: [length]})) == "too-many-scans"


def frames_of(data: bytes, count: int) -> bytes:
    """Chain a little-endian file's only directory to copies of itself."""
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    directory = data[at : at + 2 + 12 * entries]
    out = bytearray(data)
    link = at + len(directory)
    for _ in range(count - 1):
        out += bytes(len(out) % 2)
        struct.pack_into("<I", out, link, len(out))
        link = len(out) + len(directory)
        out += directory + bytes(4)
    return bytes(out)


def test_scans_of_all_frames_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all are decoded; one directory after the other may show the same strip."""
    data = in_tiff([many_scans(SIZE, 90)], monkeypatch)
    assert [reason_of(frames_of(data, n), EVERY) for n in (1, 10, 30)] == ["TIFF", "TIFF", "too-many-scans"]
    assert reason_of(frames_of(data, 30), FIRST) == "TIFF"
    honest = in_tiff([part_of(LAYOUTS["strips"], 0)], monkeypatch, rows=80)
    assert reason_of(frames_of(honest, 900), EVERY) == "TIFF"


def test_counting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories of endless strips, or endless directories, are not counted to their end but refused."""
    data = in_tiff([many_scans(SIZE, 30)], monkeypatch)
    strips = in_tiff([many_scans((80, 320), 30)], monkeypatch, rows=80)
    monkeypatch.setattr(tiff_scans, "_MAX_STRIPS", (3, 20))
    assert len(list(jpeg_strips(frames_of(strips, 6), 100, 20))) == 18
    assert reason_of(frames_of(strips, 7), EVERY) == "too-many-scans"
    monkeypatch.setattr(tiff_scans, "_MAX_STRIPS", (2, 20))
    assert len(list(jpeg_strips(strips, 100, 20))) == 2
    monkeypatch.setattr(tiff_scans, "_MAX_OF_ALL", 50)
    assert [reason_of(frames_of(data, n), EVERY) for n in (1, 9)] == ["TIFF", "too-many-scans"]


def test_other_compressions_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that look like scans in raw samples are samples."""
    pixels = np.tile(np.array([0xFF, 0xDA, 0], np.uint8), (*SIZE, 1))
    assert reason_of(save(pixels, "TIFF")) == "TIFF"
    assert not list(jpeg_strips(save(pixels, "TIFF"), 1, 0))
    (strip,) = jpeg_strips(in_tiff([many_scans(SIZE, 0, progressive=False)], monkeypatch), 1, 0)
    assert strip == Strip(scans=1, pixels=SIZE[0] * SIZE[1])


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 400), value=st.binary(min_size=1, max_size=8), cut=st.integers(0, 1500))
@pytest.mark.parametrize("big", [False, True])
def test_damage_never_makes_the_count_fail(big: bool, at: int, value: bytes, cut: int) -> None:
    """Any bytes: a verdict."""
    with pytest.MonkeyPatch.context() as patch:
        data = bytearray(in_tiff([many_scans((16, 16), 30)], patch, (32, 16), rows=16, big=big))
    data[at : at + len(value)] = value
    for damaged in (bytes(data), bytes(data[: len(data) - cut])):
        try:
            check_header(damaged, EVERY)
        except ImageError:
            continue
