"""A JPEG whose scans lack data is no whole picture, whatever marker closes it; a flat picture is one."""

from __future__ import annotations

import gc
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import Matcher, Outcome, ReferenceList, hash_image, profiles
from hashmatch.errors import UnreadableImageError
from hashmatch.picture import DecodePolicy, iter_rasters
from hashmatch.synthetic import picture
from support.picture_faults import jpeg_scan_start, segment
from support.picture_makers import noise, save

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no subsampling": {"subsampling": 0},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "a restart each row": {"restart_marker_rows": 1},
    "restarts": {"restart_marker_blocks": 3},
    "restarts in every scan": {"progressive": True, "restart_marker_blocks": 5},
}
MODES = ("RGB", "L", "CMYK")


def photo(height: int = 120, width: int = 168) -> np.ndarray:
    """Make a picture with detail down to its last row."""
    return picture("photo", 10_700_950, (height, width))


def written(kind: str = "plain", mode: str = "RGB", samples: np.ndarray | None = None) -> bytes:
    """Write a JPEG."""
    image = Image.fromarray(photo() if samples is None else samples).convert(mode)
    return save(image, "JPEG", quality=90, **KINDS[kind])


def reason(data: bytes, **policy: Any) -> str | None:
    """Reason why a file is no whole picture; None if it is one."""
    try:
        list(iter_rasters(data, DecodePolicy(**policy)))
    except UnreadableImageError as error:
        return error.reason
    return None


def as_pillow(data: bytes) -> np.ndarray:
    """Pixels by Pillow alone."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_whole(kind: str, mode: str) -> None:
    """Files of every kind give Pillow's own pixels, at every size of the last blocks."""
    for side in range(1, 40, 3):
        data = written(kind, mode, noise(side, 41 - side, 3, seed=side))
        (raster,) = iter_rasters(data)
        if mode != "CMYK":
            assert np.array_equal(raster.pixels, as_pillow(data))


@pytest.mark.parametrize("value", [0, 127, 128, 255])
@pytest.mark.parametrize("kind", KINDS)
def test_flat_pictures_are_whole(kind: str, value: int) -> None:
    """A plain colour, white paper and black bars look like what the codec fills up with, and are not."""
    flat = np.full((130, 90, 3), value, np.uint8)
    topped = flat.copy()
    topped[:20] = photo(20, 90)
    for samples in (flat, topped):
        data = written(kind, samples=samples)
        assert reason(data) is None
        assert np.array_equal(next(iter_rasters(data)).pixels, as_pillow(data))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_a_closing_marker_completes_nothing(kind: str, mode: str, share: float) -> None:
    """Cut anywhere in its scans and closed, a file is damaged, and in nearly every case `truncated`."""
    data = written(kind, mode)
    start = jpeg_scan_start(data)
    cut = data[: start + int((len(data) - start) * share)].removesuffix(b"\xff")
    assert reason(cut + b"\xff\xd9") == "truncated"
    assert reason(cut) == "truncated"


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_end_marker_missing(kind: str) -> None:
    """All blocks are there, so the picture is whole."""
    data = written(kind)
    (raster,) = iter_rasters(data[:-2])
    assert np.array_equal(raster.pixels, as_pillow(data))


@pytest.mark.parametrize("marker", [0x01, 0x33, 0xC4, 0xD3, 0xD9, 0xE0, 0xFE])
@pytest.mark.parametrize("kind", KINDS)
def test_stray_markers(kind: str, marker: int) -> None:
    """A marker amid the blocks makes the codec fill up the rest of the scan: that is no whole picture."""
    data = written(kind)
    at = (jpeg_scan_start(data) + len(data)) // 2
    while 0xFF in data[at - 2 : at + 2]:
        at += 1
    assert reason(data[:at] + bytes((0xFF, marker)) + data[at:]) in ("truncated", "corrupt")


def test_restart_markers_out_of_order() -> None:
    """A restart interval that is missing, or stands twice, is noticed by the markers' numbers."""
    data = written("a restart each row")
    at = [i for i in range(jpeg_scan_start(data), len(data)) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    assert len(at) > 5
    assert reason(data[: at[2]] + data[at[3] :]) == "corrupt"
    assert reason(data[: at[2]] + data[at[1] : at[2]] + data[at[2] :]) == "corrupt"
    assert reason(data[: at[2] + 20] + data[at[3] :]) == "corrupt"
    last = at[-1]
    assert reason(data[:last] + b"\xff\xd9") == "truncated"


def test_missing_scans() -> None:
    """A progressive file that lacks scans, at a scan's end, is coarse and not whole."""
    data = written("progressive")
    scans = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for at in scans[1:]:
        tables = data.rindex(b"\xff\xc4", 0, at)
        assert reason(data[:tables] + b"\xff\xd9") == "truncated"


def test_data_behind_the_last_block() -> None:
    """Padding harms nothing; other data shows that blocks were read at the wrong place."""
    data = written()
    at = jpeg_scan_start(data)
    assert reason(data[:-2] + bytes(900) + data[-2:]) is None
    assert reason(data[:-2] + b"\xff" * 900 + data[-2:]) is None
    assert reason(data[:-2] + segment(0xFE, b"words") + data[-2:]) is None
    middle = (at + len(data)) // 2
    assert reason(data[:-2] + data[middle:-300].replace(b"\xff\0", b"") + data[-2:]) == "corrupt"


def test_reduced_decode_looks_too() -> None:
    """The check belongs to every way of decoding."""
    data = save(photo(1100, 1200), "JPEG")
    assert reason(data, reduced=True) is None
    assert reason(data[: len(data) // 2].removesuffix(b"\xff") + b"\xff\xd9", reduced=True) == "truncated"


def test_a_match_is_partial_and_a_stranger_unreadable(tmp_path: Any) -> None:
    """A closed stump of a listed picture is found and flagged; of an unlisted one it is never plain "no match"."""
    path = tmp_path / "list.hashmatch"
    data = written("progressive")
    with ReferenceList.create(path, name="here") as ref:
        ref.add("entry", hashes=[hash_image(data)])
    stranger = save(picture("photo", 10_700_951, (120, 168)), "JPEG")
    with Matcher.open(path, policy=profiles.STANDARD) as matcher:
        cut = matcher.match(data[: len(data) * 2 // 3].removesuffix(b"\xff") + b"\xff\xd9")
        other = matcher.match(stranger[: len(stranger) * 2 // 3].removesuffix(b"\xff") + b"\xff\xd9")
    assert (cut.outcome, cut.partial, cut.reason) == (Outcome.MATCH, True, "truncated")
    assert (other.outcome, other.reason) == (Outcome.UNREADABLE, "truncated")
    with pytest.raises(UnreadableImageError):
        hash_image(data[: len(data) * 2 // 3].removesuffix(b"\xff") + b"\xff\xd9")


@pytest.mark.parametrize("closed", [b"", b"\xff\xd9"])
@pytest.mark.parametrize("kind", ["plain", "progressive"])
def test_what_there_is_can_be_looked_at(kind: str, closed: bytes) -> None:
    """Cut at any byte behind the first rows, also amid the tables of a scan, a file gives its first rows."""
    data = written(kind)
    whole = as_pillow(data).astype(int)
    start = jpeg_scan_start(data)
    for at in range(start + (len(data) - start) // 2, len(data) - 40, 7):
        raster = next(iter_rasters(data[:at].removesuffix(b"\xff") + closed, DecodePolicy(salvage=True)))
        assert np.abs(raster.pixels.astype(int) - whole)[:48].mean() < 5


def test_a_picture_that_was_let_go_leaves_nothing_to_the_garbage_collector() -> None:
    """Its megabytes are free at once: kept in a circle of references they cost more than the decode."""
    data = written()
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(item, Image.Image) for item in gc.get_objects())
        for _ in range(5):
            assert next(iter_rasters(data)).pixels.shape == (120, 168, 3)
        assert sum(isinstance(item, Image.Image) for item in gc.get_objects()) == before
    finally:
        gc.enable()
