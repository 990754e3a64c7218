"""The sniff: container and size before any codec runs, whatever the bytes."""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashmatch.errors import ImageTooLargeError, UnreadableImageError
from hashmatch.picture import KNOWN_FORMATS, DecodePolicy, decode, iter_rasters, open_picture
from hashmatch.picture.sniff import Header, gif_extent, is_cut_short, sniff
from support.picture_makers import animation, chunk, exif, gif, ihdr, noise, save, small_files, smooth

FILES = small_files()
ALL = DecodePolicy(formats=KNOWN_FORMATS)
PREFIXES = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"RIFF\0\0\0\0WEBPVP8L", b"BM", b"II*\0",
    b"MM\0+", b"\0\0\1\0\1\0",
    b"P5 ", b"P7\nWIDTH", b"\0\0\2\0\0\0\0\0\0\0\0\0", b"\0\0\0\x20ftypavif", b"\0\0\0\x20ftypheic",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_container_and_size_agree_with_pillow(name: str) -> None:
    """On valid files the sniff says what Pillow says."""
    with Image.open(io.BytesIO(FILES[name])) as image:
        assert sniff(FILES[name]) == Header(str(image.format), image.size)


@pytest.mark.parametrize("size", [(1, 1), (300, 1), (1, 300), (257, 513)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "TGA"])
def test_sizes(format: str, size: tuple[int, int]) -> None:
    """Width is not taken for height, in any format."""
    assert sniff(save(smooth(size[1], size[0]), format)) == Header(format, size)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("extended", [False, True])
def test_webp_kinds(lossless: bool, extended: bool) -> None:
    """Lossy, lossless and extended WebP each state their size in their own way."""
    options = {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"} if extended else {}
    data = save(smooth(70, 300), "WEBP", lossless=lossless, **options)
    assert data[12:16] == (b"VP8X" if extended else b"VP8L" if lossless else b"VP8 ")
    assert sniff(data) == Header("WEBP", (300, 70))


def test_big_and_little_endian_tiff() -> None:
    """Both byte orders and BigTIFF, with short and long values."""
    for order in "<>":
        for kind, code in ((3, "H"), (4, "I")):
            pad = b"" if code == "I" else b"\0\0"
            entries = b"".join(
                struct.pack(f"{order}HHI{code}", tag, kind, 1, value) + pad for tag, value in ((256, 640), (257, 480))
            )
            name = b"II*\0" if order == "<" else b"MM\0*"
            data = name + struct.pack(f"{order}IH", 8, 2) + entries + bytes(4)
            assert sniff(data) == Header("TIFF", (640, 480))
        entries = b"".join(struct.pack(f"{order}HHQQ", tag, 16, 1, value) for tag, value in ((256, 7), (257, 9)))
        name = b"II+\0" if order == "<" else b"MM\0+"
        data = name + struct.pack(f"{order}HHQQ", 8, 0, 16, 2) + entries + bytes(8)
        assert sniff(data) == Header("TIFF", (7, 9))


def test_bmp_kinds() -> None:
    """The old header, a top-down picture (negative height) and the usual one."""
    assert sniff(b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 40, 30, 1, 24)) == Header("BMP", (40, 30))
    assert sniff(b"BM" + bytes(12) + struct.pack("<Iii", 40, 40, -30)) == Header("BMP", (40, 30))


def test_gif_canvas_grows_with_its_frames() -> None:
    """The extent covers the screen and as many frames as are asked for."""
    data = gif((4, 4), (0, 0, 4, 4), (2, 3, 4, 4), (0, 0, 90, 1))
    assert [gif_extent(data, n) for n in (1, 2, 3, 9)] == [(4, 4), (6, 7), (90, 7), (90, 7)]
    assert gif_extent(gif((4, 4)), 1) is None


def test_heif_brands() -> None:
    """AVIF and HEIF share a container; the brands tell them apart, AVIF first."""

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + kind + content

    ispe = box(b"ispe", bytes(4) + struct.pack(">II", 640, 480)) + box(b"ispe", bytes(4) + struct.pack(">II", 64, 48))
    meta = box(b"meta", bytes(4) + box(b"hdlr", bytes(9)) + box(b"iprp", box(b"ipco", box(b"free", b"") + ispe)))
    for brands, container in (
        (b"heicmif1heic", "HEIF"),
        (b"mif1heic", "HEIF"),
        (b"mif1avif", "AVIF"),
        (b"avis", "AVIF"),
        (b"mif1miafMA1B", "AVIF"),
        (b"isom" + b"iso8" * 100 + b"avis", "AVIF"),
        (b"mif2miafMiHB", "HEIF"),
        (b"miaf", "HEIF"),
    ):
        data = box(b"ftyp", brands[:4] + bytes(4) + brands[4:]) + meta
        assert sniff(data) == Header(container, (640, 480))
    assert sniff(box(b"ftyp", b"isom" + bytes(4) + b"mp42") + meta) is None
    assert sniff(box(b"ftyp", b"mif3avif") + box(b"mini", bytes(9))) == Header("AVIF", None)
    assert sniff(box(b"ftyp", b"mif3heic") + box(b"mini", bytes(9))) == Header("HEIF", None)


@pytest.mark.parametrize("brands", [b"mif1miaf", b"miaf", b"mif2", b"msf1miafMA1B", b"MA1A", b"avis"])
@pytest.mark.parametrize("moving", [False, True])
def test_brands_that_name_no_codec(brands: bytes, moving: bool) -> None:
    """What lies inside tells AVIF where only general brands stand, and it is decoded as with its own brand."""
    if brands == b"avis" and not moving:
        return  # a sequence that is none
    data = animation("AVIF", size=(64, 48))[0] if moving else save(smooth(48, 64), "AVIF")
    length = int.from_bytes(data[:4], "big")
    room = brands[:4] + bytes(4) + brands[4:]
    other = data[:8] + room.ljust(length - 8, b"\0") + data[length:]
    every = DecodePolicy(formats=("AVIF", "HEIF"), frames="all")
    assert sniff(other) == Header("AVIF", (64, 48))
    expected, found = ([raster.pixels for raster in iter_rasters(item, every)] for item in (data, other))
    assert len(found) == (3 if moving else 1)
    assert all(np.array_equal(*pair) for pair in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    "data",
    [b"x", b"This is a text." * 9, b"BM is not always a bitmap", b"RIFF....WAVEfmt ", b"%PDF-1.7",
     bytes(99), b"GIF88a", b"\xff\xd8\0"],
)  # fmt: skip
def test_other_bytes_are_nothing_we_know(data: bytes) -> None:
    """Text, sounds, documents and drawings are not taken for pictures."""
    assert sniff(data) is None
    with pytest.raises(UnreadableImageError) as caught:
        open_picture(data, ALL)
    assert caught.value.reason == "not-an-image"


@pytest.mark.parametrize("name", FILES)
def test_every_beginning_of_a_file_is_answered(name: str) -> None:
    """No matter where a file is cut, the sniff answers and never raises."""
    data = FILES[name]
    for length in range(min(len(data), 700)):
        header = sniff(data[:length])
        assert header is None or header.container == sniff(data).container  # type: ignore[union-attr]
        if header is not None:
            assert is_cut_short(header.container, data[:length]) in (True, False)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PREFIXES), st.binary(max_size=400))
def test_any_bytes_are_answered(prefix: bytes, rest: bytes) -> None:
    """Behind a true beginning any bytes may follow: the answer is a size that is not negative, or none."""
    header = sniff(prefix + rest)
    if header is not None:
        assert header.size is None or min(header.size) >= 0
        assert is_cut_short(header.container, prefix + rest) in (True, False)


def test_a_box_whose_long_length_is_cut_off() -> None:
    """A box that announces a 64-bit length at the very end of the file counts as a missing end."""
    data = b"\0\0\0\x18ftypavif" + bytes(12) + b"\0\0\0\x01mdat\0\0"
    assert sniff(data) == Header("AVIF", None)
    assert is_cut_short("AVIF", data)


def giants() -> dict[str, bytes]:
    """Files whose headers promise far more than any limit allows."""
    big = struct.pack(">HH", 60_000, 60_001)
    jpeg = save(smooth(8, 8), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    webp = bytearray(save(np.dstack((smooth(8, 8), noise(8, 8))), "WEBP", lossless=True, exif=exif(1)))
    webp[24:30] = b"\xfe\x3f\0\xfe\x3f\0"
    tiff = save(smooth(8, 9), "TIFF").replace(b"\0\1\4\0\1\0\0\0\x09\0\0\0", b"\0\1\4\0\1\0\0\0\x60\xea\0\0")
    tiff = tiff.replace(b"\1\1\4\0\1\0\0\0\x08\0\0\0", b"\1\1\4\0\1\0\0\0\x60\xea\0\0")
    avif = save(smooth(24, 32), "AVIF", speed=10)
    ispe = avif.index(b"ispe") + 8
    return {
        "jpeg": jpeg[:at] + big + jpeg[at + 4 :],
        "png": b"\x89PNG\r\n\x1a\n" + ihdr(60_000, 60_000, 8, 2) + chunk(b"IDAT", b"x") + chunk(b"IEND", b""),
        "gif": gif((60_000, 60_000), (0, 0, 1, 1)),
        "gif frame": gif((1, 1), (0, 0, 60_000, 60_000)),
        "webp": bytes(webp),
        "bmp": b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 60_000, -60_000, 1, 24) + bytes(40),
        "tiff": tiff,
        "avif": avif[:ispe] + struct.pack(">II", 60_000, 60_000) + avif[ispe + 8 :],
    }


@pytest.mark.parametrize("name", giants())
def test_giants_are_refused_by_their_header(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header of 60,000 x 60,000 px is refused before any codec is even imported, in next to no memory."""
    data = giants()[name]

    def explode(_: str) -> None:
        raise AssertionError("a codec was asked for")

    monkeypatch.setattr(decode, "_plugin", explode)
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLargeError) as caught:
            open_picture(data, ALL)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "too-many-pixels"
    assert "max_pixels" in str(caught.value)


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp", "bmp", "tiff", "avif", "ico", "ppm", "tga"])
def test_formats_that_are_not_allowed(name: str) -> None:
    """A format outside the policy is refused by its name, with the way to allow it."""
    container = name.upper()
    others = tuple(name for name in KNOWN_FORMATS if name != container)
    with pytest.raises(UnreadableImageError, match=f"DecodePolicy with '{container}'") as caught:
        open_picture(FILES[name], DecodePolicy(formats=others))
    assert caught.value.reason == "format-not-allowed"


@pytest.mark.parametrize("name", ["tiff", "avif"])
def test_large_codecs_wait_for_a_worker(name: str) -> None:
    """TIFF and AVIF are not decoded in this process unless they are allowed by name."""
    with pytest.raises(UnreadableImageError) as caught:
        open_picture(FILES[name])
    assert caught.value.reason == "format-not-allowed"


def padded(name: str, times: int) -> bytes:
    """Write a true header behind padding of some kind that may legally stand before it."""
    frame = b"\xff\xc0\0\x11\x08\0\x04\0\x05\3" + bytes(9) + b"\xff\xda\0\x02"
    meta = b"\0\0\0\x30meta" + bytes(4) + b"\0\0\0\x24iprp\0\0\0\x1cipco\0\0\0\x14ispe" + bytes(4)
    shown = b"," + struct.pack("<HHHH", 0, 0, 5, 4) + b"\0\x02\x01\x44\0;"
    kinds = {
        "jpeg junk": b"\xff\xd8\xff\xe0\0\x02" + b"\0" * 400 * times + frame,
        "jpeg comments": b"\xff\xd8" + b"\xff\xfe\0\x02" * times + frame,
        "jpeg fill": b"\xff\xd8" + b"\xff" * 40 * times + frame,
        "png chunks": PREFIXES[1] + ihdr(5, 4, 8, 2) + chunk(b"aaAa", b"") * times + chunk(b"IDAT", b"x"),
        "gif junk": b"GIF89a\5\0\4\0\0\0\0" + b"x" * 40 * times + shown,
        "gif comments": b"GIF89a\5\0\4\0\0\0\0" + b"!\xfe\1x\0" * 20 * times + shown,
        "boxes": PREFIXES[8][:3]
        + b"\x18ftypavif"
        + bytes(12)
        + b"\0\0\0\x08free" * times
        + meta
        + struct.pack(">II", 5, 4),
    }
    return kinds[name]


@pytest.mark.parametrize(
    ("name", "near", "far"),
    [
        ("jpeg junk", 100, 10_000),
        ("jpeg comments", 100_000, 300_000),
        ("jpeg fill", 100, 10_000),
        ("png chunks", 100_000, 300_000),
        ("gif comments", 10_000, 30_000),
        ("boxes", 100, 10_000),
    ],
)
def test_headers_are_searched_within_bounds(name: str, near: int, far: int) -> None:
    """A header behind a little padding is found; behind megabytes of it the search has been given up before."""
    header = sniff(padded(name, near))
    assert header is not None
    assert header.size == (5, 4)
    far_off = padded(name, far)
    assert sniff(far_off) == Header(header.container, None)
    if header.container != "AVIF":
        with pytest.raises(UnreadableImageError):
            open_picture(far_off)


def test_junk_in_a_gif_is_passed_over() -> None:
    """Bytes that no block begins with are no steps: a frame behind megabytes of them is found."""
    header = sniff(padded("gif junk", 100_000))
    assert header is not None
    assert header.size == (5, 4)
