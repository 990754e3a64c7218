"""What leaves the pixels alone leaves the hash alone: every kind of part of every format, with every fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hashmatch import Matcher, ReferenceList, hash_image, profiles
from hashmatch.errors import UnreadableImageError
from hashmatch.jail import Isolation
from hashmatch.picture import DecodePolicy, iter_rasters
from hashmatch.picture.clean import clean, mend
from support.picture_faults import FAULTS, SIDE, gif_faults, jpeg_plain, plain_file, png_parts, riff, segment, tiff
from support.picture_makers import animation, chunk, exif, exif_tiff, save, smooth

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF")
STRICT = DecodePolicy(formats=FORMATS)


@cache
def faults(name: str) -> dict[str, list[tuple[str, bytes]]]:
    """Faults and files of a format by kind of part."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    for kind, fault, data in FAULTS[name][1]():
        found.setdefault(kind, []).append((fault, data))
    return found


def cells() -> Iterator[tuple[str, str]]:
    """Give format and kind of part of each row of the matrix."""
    for name in FAULTS:
        for kind in faults(name):
            yield name, kind


def shown(data: bytes, policy: DecodePolicy = STRICT) -> list[np.ndarray]:
    """Pixels of each raster."""
    return [raster.pixels for raster in iter_rasters(data, policy)]


@pytest.mark.parametrize(("name", "kind"), list(cells()))
def test_no_part_beside_the_pixels_costs_the_picture(name: str, kind: str) -> None:
    """Wrong checksum, too short or long, empty, nonsense, unknown, repeated, misplaced, a bomb: the same pixels."""
    (whole,) = shown(plain_file(name))
    wrong = []
    for fault, data in faults(name)[kind]:
        try:
            rasters = shown(data)
        except UnreadableImageError as error:
            wrong.append((fault, error.reason))
            continue
        if len(rasters) != 1 or not np.array_equal(rasters[0], whole):
            wrong.append((fault, "other pixels"))
    assert not wrong


@pytest.mark.parametrize("name", FAULTS)
def test_the_matrix_is_wide(name: str) -> None:
    """Every format has its kinds of parts and at least twenty files."""
    rows = faults(name)
    assert len(rows) >= 4
    assert sum(map(len, rows.values())) >= 20


def test_the_hash_is_the_same() -> None:
    """From pixels to the hash nothing else comes in: one file of each kind of a PNG's parts."""
    expected = hash_image(plain_file("PNG"))
    for rows in faults("PNG").values():
        assert hash_image(rows[0][1]) == expected


@pytest.mark.parametrize("name", FAULTS)
def test_plain_files_are_left_as_they_are(name: str) -> None:
    """Where nothing is odd nothing is copied."""
    data = plain_file(name)
    assert clean(FAULTS[name][0], data) is data


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP"])
def test_animations_are_left_as_they_are(format: str) -> None:
    """Every frame is there, also with a broken part beside them."""
    data, frames = animation(format)
    every = DecodePolicy(frames="all")
    extra = {
        "PNG": lambda: data[:33] + chunk(b"tEXt", b"bbox\0x")[:-1] + b"?" + data[33:],
        "GIF": lambda: data[:-1] + b"!\x77\0" + b";",
        "WEBP": lambda: data + b"EXIF\x09\0\0\0x",
    }[format]()
    plain, odd = shown(data, every), shown(extra, every)
    assert len(plain) == len(odd) == len(frames)
    assert all(np.array_equal(*pair) for pair in zip(plain, odd, strict=True))


def test_an_empty_extension_hides_no_frame() -> None:
    """In a GIF what follows an empty extension is the next block, not the rest of the extension."""
    data, frames = animation("GIF")
    at = data.index(b"!")
    odd = data[:at] + b"!\xff\0" + data[at:]
    assert len(shown(odd, DecodePolicy(frames="all"))) == len(frames)


ORIENTED = {
    "PNG": lambda block: b"".join(
        [png_parts()[0], chunk(b"eXIf", block[6:]), chunk(b"tEXt", b"bbox\0x")[:-1], b"?", *png_parts()[1:]]
    ),
    "JPEG": lambda block: jpeg_plain()[:2] + segment(0xEE, b"Adobe") + segment(0xE1, block) + jpeg_plain()[2:],
    "WEBP": lambda block: (
        riff(
            (b"VP8X", b"\x08\0\0\0" + bytes((SIDE[1] - 1, 0, 0, SIDE[0] - 1, 0, 0))),
            (b"VP8L", save(smooth(*SIDE), "WEBP", lossless=True)[20:]),
            (b"EXIF", block[6:]),
        )[:4]
        + b"\0\0\0\0"
        + riff(
            (b"VP8X", b"\x08\0\0\0" + bytes((SIDE[1] - 1, 0, 0, SIDE[0] - 1, 0, 0))),
            (b"VP8L", save(smooth(*SIDE), "WEBP", lossless=True)[20:]),
            (b"EXIF", block[6:]),
        )[8:]
    ),
    "TIFF": lambda block: tiff((274, 3, 1, block[24:26]), (700, 12, 1, b"x" * 8)),
}


@pytest.mark.parametrize("format", ORIENTED)
@pytest.mark.parametrize("value", [1, 3, 6, 8])
def test_orientation_is_kept(format: str, value: int) -> None:
    """A file that has to be put in order keeps the orientation that it states."""
    (upright,) = shown(ORIENTED[format](exif(1)))
    (turned,) = shown(ORIENTED[format](exif(value)))
    assert np.array_equal(turned, np.rot90(upright, {1: 0, 3: 2, 6: -1, 8: 1}[value]))


def damaged() -> Iterator[tuple[str, bytes]]:
    """Give files whose pixels are not all there, or false, with a broken part beside them."""
    head, body, end = png_parts()
    side = chunk(b"tEXt", b"a\0b")[:-1] + b"?"
    yield "PNG", head + side + chunk(b"IDAT", body[8:-40]) + end
    yield "PNG", head + side + chunk(b"IDAT", body[8:30] + b"\xff" * 30 + body[60:-4]) + end
    yield "PNG", (head + side + body)[:-30]
    data = jpeg_plain()
    yield "JPEG", data[:2] + b"\xff\xe5\0\0" + data[2:-60]
    yield "JPEG", data[:2] + b"\xff\xe5\0\0" + data[2:-60] + b"\xff\xd9"
    gif = next(data for kind, fault, data in gif_faults() if (kind, fault) == ("unknown", "empty"))
    yield "GIF", gif[:-200]
    webp = plain_file("WebP lossless")
    yield "WEBP", webp[:4] + b"\0\0\0\0" + webp[8:-20]
    yield "TIFF", tiff((700, 12, 1, b"x" * 8))[:600]
    yield "AVIF", plain_file("AVIF")[:-60]


@pytest.mark.parametrize(("format", "data"), list(damaged()))
def test_missing_pixels_are_not_made_up(format: str, data: bytes) -> None:
    """Putting a file in order never makes part of a picture pass for the whole."""
    for salvage in (False, True):
        with pytest.raises(UnreadableImageError) as caught:
            shown(data, DecodePolicy(formats=FORMATS, salvage=salvage))
        assert caught.value.reason in ("truncated", "corrupt"), format


@pytest.mark.parametrize("name", FAULTS)
def test_any_cut_can_be_mended_or_not(name: str) -> None:
    """Half files and nonsense raise nothing in here, and what is mended is bytes."""
    container = FAULTS[name][0]
    data = plain_file(name)
    for share in range(0, len(data), max(1, len(data) // 40)):
        for part in (data[:share], data[:12] + data[share:], data[:20] + b"\xff" * 200 + data[share:]):
            assert isinstance(clean(container, part), bytes)
            assert isinstance(mend(container, part), bytes | None)


def test_isolated_answers_are_the_same(tmp_path: Path) -> None:
    """Faulty and damaged files are answered in a restricted process as they are here."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="here") as ref:
        ref.add("entry", hashes=[hash_image(plain_file("PNG"))])
    files = [data for name in FAULTS for kind in faults(name) for _, data in faults(name)[kind][:1]][::4]
    files += [data for _, data in damaged()]
    policy = replace(profiles.STANDARD, decode=replace(profiles.STANDARD.decode, formats=FORMATS))
    with (
        Matcher.open(path, policy=policy) as here,
        Matcher.open(path, policy=policy, isolation=Isolation(workers=1)) as isolated,
    ):
        for data in files:
            assert isolated.match(data).to_dict() | {"protection": None} == here.match(data).to_dict()


def test_exif_block_is_as_the_tests_think() -> None:
    """The orientation lies where the TIFF above takes it from."""
    assert exif(6)[24:26] == b"\x06\0"
    assert exif_tiff(6) == exif(6)[6:]
