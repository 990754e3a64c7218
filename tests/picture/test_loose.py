"""Icons, Netpbm and TGA: told by their fields, and decoded to samples stated by formulas of the tests' own."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from hashmatch.errors import ImageTooLargeError, UnreadableImageError
from hashmatch.picture import DecodePolicy, iter_rasters, open_picture
from hashmatch.picture.sniff import Header, sniff
from support.picture_makers import ihdr, noise, png_of, save, smooth

H, W = 7, 10
RGB, ALPHA, GREY = noise(H, W, 3, seed=1), noise(H, W, seed=2) | 1, noise(H, W, seed=3)
MASK = noise(H, W, seed=4) % 2


def icon(*pictures: bytes, kind: int = 1, sides: tuple[int, int] = (W, H)) -> bytes:
    """Write an icon file whose directory claims one size and 32 bits for every picture."""
    out, at = struct.pack("<HHH", 0, kind, len(pictures)), 6 + 16 * len(pictures)
    for data in pictures:
        out += struct.pack("<BBBBHHII", *sides, 0, 0, 1, 32, len(data), at)
        at += len(data)
    return out + b"".join(pictures)


def rows_of(samples: np.ndarray, *, upside_down: bool = True) -> bytes:
    """Pack rows of a bitmap, each filled up to four bytes, the lowest first."""
    flat = samples.reshape(samples.shape[0], -1)
    padded = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 4)))
    return (padded[::-1] if upside_down else padded).tobytes()


def dib(samples: np.ndarray, mask: np.ndarray | None = None, *, upright: bool = False) -> bytes:
    """Write a picture of an icon: 24 or 32 bits, and the mask, 1 where it is clear."""
    high, wide, depth = samples.shape
    stored = samples[:, :, [2, 1, 0, 3][:depth]]
    head = struct.pack("<IiiHHIIiiII", 40, wide, -2 * high if upright else 2 * high, 1, 8 * depth, 0, 0, 0, 0, 0, 0)
    bits = b"" if mask is None else rows_of(np.packbits(mask, axis=1), upside_down=not upright)
    return head + rows_of(stored, upside_down=not upright) + bits


def first(data: bytes, policy: DecodePolicy | None = None) -> np.ndarray:
    """Pixels of the first raster."""
    return next(iter_rasters(data, policy)).pixels


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Composite by the stated formula."""
    c, a = colour.astype(int), alpha.astype(int)[..., None]
    return (c * a + 255 * (255 - a) + 127) // 255


def test_the_largest_picture_of_an_icon_comes_first() -> None:
    """By what the pictures say, not the directory; then that with more bits; every one is a frame."""
    small, large = smooth(4, 5), smooth(40, 50)
    clear = np.dstack((large[:, ::-1], np.full((40, 50), 255, np.uint8)))
    data = icon(dib(small, np.zeros((4, 5), np.uint8)), dib(large), dib(clear), png_of(small[::-1], 2))
    assert sniff(data) == Header("ICO", (50, 40))
    assert np.array_equal(first(data), clear[:, :, :3])
    seen = [raster.pixels for raster in iter_rasters(data, DecodePolicy(frames="all"))]
    for got, expected in zip(seen, (clear[:, :, :3], large, small, small[::-1]), strict=True):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("kind", [1, 2])
def test_masks_and_alpha_of_icons(kind: int, upright: bool) -> None:
    """The mask is transparency; of 32 bits the fourth byte, unless it is 0 everywhere: then the mask, then nothing."""
    shown = np.where(MASK, 0, 255)
    with_alpha = np.dstack((RGB, ALPHA))
    with_none = np.dstack((RGB, np.zeros_like(ALPHA)))
    for samples, mask, alpha in (
        (RGB, MASK, shown),
        (RGB, None, np.full((H, W), 255)),
        (with_alpha, MASK, ALPHA),
        (with_none, MASK, shown),
        (with_none, None, np.full((H, W), 255)),
    ):
        data = icon(dib(samples, mask, upright=upright), kind=kind)
        assert sniff(data) == Header("ICO", (W, H))
        assert np.array_equal(first(data), on_white(RGB, alpha))


def test_icons_of_pillow() -> None:
    """Icons that another program writes, as PNG and as bitmaps of palettes."""
    assert np.array_equal(first(save(RGB, "ICO", sizes=[(W, H)])), RGB)
    for mode in ("1", "L", "P"):
        image = Image.fromarray(RGB).convert(mode)
        data = save(image, "ICO", sizes=[(W, H)], bitmap_format="bmp")
        assert np.array_equal(first(data), np.asarray(image.convert("RGB")))


def test_bombs_and_lies_in_icons() -> None:
    """A PNG of 60,000 x 60,000 px in an icon of 10 x 7 is refused by its own header; what lies outside is not there."""
    with pytest.raises(ImageTooLargeError, match="60,000 x 60,000"):
        open_picture(icon(b"\x89PNG\r\n\x1a\n" + ihdr(60_000, 60_000, 8, 2) + bytes(40)))
    whole = icon(dib(RGB, MASK))
    for length in range(22, len(whole)):
        with pytest.raises(UnreadableImageError):
            list(iter_rasters(whole[:length]))
    salvaged = iter_rasters(icon(save(noise(90, 90, 3), "PNG"))[:-900], DecodePolicy(salvage=True))
    assert next(salvaged).pixels.shape == (90, 90, 3)
    with pytest.raises(UnreadableImageError):
        next(salvaged)


def deep(samples: np.ndarray) -> bytes:
    """16-bit samples as Netpbm stores them."""
    return samples.astype(">u2").tobytes()


def plain(samples: np.ndarray) -> bytes:
    """Write samples as numbers."""
    return b" ".join(str(value).encode() for value in samples.ravel())


def of_white(samples: np.ndarray, white: int) -> np.ndarray:
    """Scale by the stated formula."""
    if white < 256:
        return (samples.astype(np.int64) * 255 + white // 2) // white
    return ((samples.astype(np.int64) * 65_535 + white // 2) // white) >> 8


DEEP = noise(H, W, 3, seed=9, dtype=np.uint16)
SIZE = b"%d %d" % (W, H)
NETPBM = {
    "p1": (b"P1\n# drawn\n" + SIZE + b"\n" + plain(MASK), 255 * (1 - MASK)),
    "p1 without spaces": (b"P1 " + SIZE + b"\n" + plain(MASK).replace(b" ", b""), 255 * (1 - MASK)),
    "p2": (b"P2 " + SIZE + b" 255\n" + plain(GREY), GREY),
    "p3 of 1000": (b"P3 " + SIZE + b" 1000\n" + plain(DEEP % 1001) + b"\n", of_white(DEEP % 1001, 1000)),
    "p3 with comments": (b"P3 " + SIZE + b" 255\n" + plain(RGB).replace(b" ", b" # 1 2 3\n", 5), RGB),
    "p4": (b"P4 " + SIZE + b"\n" + np.packbits(MASK, axis=1).tobytes(), 255 * (1 - MASK)),
    "p5": (b"P5 " + SIZE + b" 255\n" + GREY.tobytes(), GREY),
    "p5 of 13": (b"P5 " + SIZE + b" 13\n" + (GREY % 14).tobytes(), of_white(GREY % 14, 13)),
    "p5 of 65535": (b"P5 " + SIZE + b" 65535\n" + deep(DEEP[..., 0]), DEEP[..., 0] >> 8),
    "p6": (b"P6\n#c\n" + SIZE + b"\n#d\n255\n" + RGB.tobytes(), RGB),
    "p6 of 300": (b"P6 " + SIZE + b" 300\n" + deep(DEEP % 301), of_white(DEEP % 301, 300)),
    "pam": (b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" % (W, H) + RGB.tobytes(), RGB),
    "pam in black and white": (
        b"P7\nHEIGHT %d\nWIDTH %d\nMAXVAL 1\nDEPTH 1\n# note\nTUPLTYPE BLACKANDWHITE\nENDHDR\n" % (H, W)
        + MASK.tobytes(),
        255 * MASK,
    ),
    "pam with alpha": (
        b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" % (W, H)
        + np.dstack((RGB, ALPHA)).tobytes(),
        on_white(RGB, ALPHA),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETPBM)
def test_netpbm(name: str) -> None:
    """Every kind, every white, with comments; cut anywhere behind its header it is truncated and salvaged."""
    data, expected = NETPBM[name]
    expected = np.stack([expected] * 3, -1) if expected.ndim == 2 else expected
    assert sniff(data) == Header("PPM", (W, H))
    assert np.array_equal(first(data), expected)
    cut = data[:-2] if name == "p4" else data[:-20]
    with pytest.raises(UnreadableImageError) as caught:
        first(cut)
    assert caught.value.reason == "truncated"
    assert np.array_equal(first(cut, DecodePolicy(salvage=True))[0], expected[0])


@pytest.mark.parametrize(("kind", "order"), [(b"Pf", "<"), (b"Pf", ">"), (b"PF", "<"), (b"PF", ">")])
def test_floats(kind: bytes, order: str) -> None:
    """PFM rows come from the lowest up; the least sample is black, the greatest white."""
    samples = (RGB if kind == b"PF" else GREY).astype(float) * 3 - 100
    scale = b"-1.0" if order == "<" else b"1.0"
    data = kind + b"\n" + SIZE + b"\n" + scale + b"\n" + samples[::-1].astype(f"{order}f4").tobytes()
    low, high = samples.min(), samples.max()
    expected = np.floor(255 * (samples - low) / (high - low) + 0.5)
    assert np.array_equal(first(data), np.stack([expected] * 3, -1) if samples.ndim == 2 else expected)


@pytest.mark.parametrize("text", [b"1 2 three", b"1 -2 3", b"12345678901 2", b"256 " * 3 + b"x", b"1.5"])
def test_words_among_numbers_are_damage(text: bytes) -> None:
    """Behind a believable beginning, what is no number makes the file corrupt."""
    data = b"P3 " + SIZE + b" 255\n" + b"7 " * 130 + text + b" 7" * 200
    assert sniff(data) == Header("PPM", (W, H))
    with pytest.raises(UnreadableImageError) as caught:
        first(data)
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("start", [b"P5 60000 60000 255\n", b"P1 60000 60000 ", b"PF 60000 60000 1.0\n",
                                   b"P7\nWIDTH 60000\nHEIGHT 60000\nDEPTH 3\nMAXVAL 255\nENDHDR\n"])  # fmt: skip
def test_netpbm_bombs(start: bytes) -> None:
    """A header that promises too much is refused before anything is decoded."""
    with pytest.raises(ImageTooLargeError):
        open_picture(start + b"1 0 1 0")


def tga(samples: np.ndarray, alpha_bits: int, *, order: int = 0x20, footer: bool = False) -> bytes:
    """Write an uncompressed TGA from the top down."""
    high, wide, depth = samples.shape
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, wide, high, 8 * depth, order | alpha_bits)
    end = bytes(8) + b"TRUEVISION-XFILE.\0" if footer else b""
    return head + samples[:, :, [2, 1, 0, 3][:depth]].tobytes() + end


@pytest.mark.parametrize("footer", [False, True])
def test_tga(footer: bool) -> None:
    """Both versions, four directions; alpha counts where the header says so and it is not 0 everywhere."""
    for order, seen in ((0x20, RGB), (0, RGB[::-1]), (0x30, RGB[:, ::-1]), (0x10, RGB[::-1, ::-1])):
        assert np.array_equal(first(tga(RGB, 0, order=order, footer=footer)), seen)
    for alpha, bits, expected in (
        (ALPHA, 8, on_white(RGB, ALPHA)),
        (ALPHA, 0, RGB),
        (np.zeros_like(ALPHA), 8, RGB),
    ):
        assert np.array_equal(first(tga(np.dstack((RGB, alpha)), bits, footer=footer)), expected)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("compression", [None, "tga_rle"])
def test_tga_of_pillow(mode: str, compression: str | None) -> None:
    """Files that another program writes; cut ones are typed errors."""
    image = Image.fromarray(np.dstack((smooth(20, 30), noise(20, 30, seed=8)))).convert(mode)
    data = save(image, "TGA", compression=compression)
    assert sniff(data) == Header("TGA", (30, 20))
    reference = np.asarray(image.convert("RGBA"))
    assert np.array_equal(first(data), on_white(reference[..., :3], reference[..., 3]))
    with pytest.raises(UnreadableImageError):
        list(iter_rasters(data[: len(data) // 2]))


def test_a_tga_bomb() -> None:
    """The header's size is checked before the codec runs."""
    data = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65_535, 65_535, 24, 0x20) + b"\xff\0\0\0" * 9
    with pytest.raises(ImageTooLargeError):
        open_picture(data)


def test_programs_data_that_begins_like_them() -> None:
    """One field that makes no sense, and it is not one of them."""
    good = bytearray(tga(RGB, 0))
    for place, value in ((1, 2), (2, 0), (2, 7), (3, 1), (5, 1), (7, 9), (16, 7), (17, 0xC0), (17, 5), (12, 0)):
        spoilt = bytearray(good)
        spoilt[place] = value
        if place == 12:
            spoilt[12:14] = b"\0\0"
        assert sniff(bytes(spoilt)) is None
    good = bytearray(icon(dib(RGB)))
    for place, value in ((4, 0), (9, 7), (10, 2), (12, 33), (14, 0), (18, 1), (22, 41)):
        spoilt = bytearray(good)
        spoilt[place] = value
        if place == 14:
            spoilt[14:18] = bytes(4)
        assert sniff(bytes(spoilt)) is None
