"""Every layout of BMP against formulas; the files' makers against an independent decoder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from hashmatch.errors import UnreadableImageError
from hashmatch.picture import DecodePolicy, iter_rasters
from support.bmp_makers import bmp, rle
from support.picture_makers import noise

BMP = DecodePolicy(formats=("BMP",))
H, W = 11, 13
HEADERS = (12, 40, 52, 56, 64, 108, 124)
MASKS: dict[str, tuple[int, tuple[int, ...]]] = {
    "555": (16, (0x7C00, 0x3E0, 0x1F)),
    "565": (16, (0xF800, 0x7E0, 0x1F)),
    "655": (16, (0xFC00, 0x3E0, 0x1F)),
    "444": (16, (0xF00, 0xF0, 0xF)),
    "1555": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "888": (32, (0xFF0000, 0xFF00, 0xFF)),
    "bgr": (32, (0xFF, 0xFF00, 0xFF0000)),
    "high": (32, (0xFF000000, 0xFF0000, 0xFF00)),
    "10 bits": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "mixed": (32, (0xFF0000, 0xFF, 0xFF00)),
    "8888": (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "rgba": (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    "abgr": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "no alpha": (32, (0xFF0000, 0xFF00, 0xFF, 0)),
    "no red": (32, (0, 0xFF00, 0xFF, 0)),
}


def some(bits: int, seed: int = 0) -> np.ndarray:
    """Make indices of so many bits."""
    return noise(H, W, seed=seed) >> (8 - bits)


def packed(indices: np.ndarray, bits: int) -> list[bytes]:
    """Rows of indices, packed from the highest bit."""
    spread = np.unpackbits(indices[:, :, None], axis=2)[:, :, -bits:].reshape(len(indices), -1)
    return [row.tobytes() for row in np.packbits(spread, axis=1)]


def check(data: bytes, white: np.ndarray, black: np.ndarray | None = None) -> None:
    """Hold the rasters against what is expected."""
    found = [raster.pixels for raster in iter_rasters(data, BMP)]
    expected = [white] if black is None else [white, black]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)


def test_the_makers_are_right() -> None:
    """An independent decoder reads what the makers here wrote."""
    imagecodecs = pytest.importorskip("imagecodecs")
    rgb = noise(H, W, 3, seed=1)
    data = bmp([row[:, ::-1].tobytes() for row in rgb], W, 24)
    assert np.array_equal(imagecodecs.bmp_decode(data), rgb)
    for bits in (1, 4, 8):
        indices, palette = some(bits, seed=2), noise(2**bits, 3, seed=3)
        read = imagecodecs.bmp_decode(bmp(packed(indices, bits), W, bits, palette=palette), asrgb=True)
        assert np.array_equal(read, palette[indices])


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("upside_down", [False, True])
def test_palettes(header: int, upside_down: bool) -> None:
    """1, 4 and 8 bits, with all colours, fewer, indices beyond them, greys, and a gap; 2 bits are refused."""
    if header == 12 and upside_down:
        return  # its height has no sign
    for bits in (1, 4, 8):
        n = 2**bits
        indices, palette = some(bits, seed=bits), noise(n, 3, seed=9)
        options = {"header": header, "upside_down": upside_down}
        rows = packed(indices, bits)
        check(bmp(rows, W, bits, palette=palette, **options), palette[indices])
        grey = np.repeat(np.arange(n) * 255 // (n - 1), 3).reshape(n, 3).astype(np.uint8)
        for colours in (grey, grey[::-1]):
            check(bmp(rows, W, bits, palette=colours, **options), colours[indices])
        if header != 12:
            few = max(2, n // 2 + 1)
            shown = np.vstack((palette[:few], np.zeros((n - few, 3), np.uint8)))
            check(bmp(rows, W, bits, palette=palette[:few], colours=few, **options), shown[indices])
            check(bmp(rows, W, bits, palette=palette, gap=7, **options), palette[indices])
    with pytest.raises(UnreadableImageError):
        check(bmp(packed(some(2), 2), W, 2, palette=noise(4, 3), header=header), noise(H, W, 3))


@pytest.mark.parametrize(("bits", "compression"), [(8, 1), (4, 2)])
@pytest.mark.parametrize("header", [40, 64, 124])
@pytest.mark.parametrize("width", [12, 13])
def test_runs(bits: int, compression: int, header: int, width: int) -> None:
    """Runs, pixels as they are, and pixels left out, which are the first colour."""
    palette = noise(2**bits, 3, seed=4)
    indices = np.ascontiguousarray(np.repeat(some(bits, seed=5), 3, axis=1)[:, :width])
    for kind in ({}, {"absolute": True}, {"skips": True}):
        data = rle(indices, bits, **kind)
        rows = packed(indices, bits)
        made = bmp(rows, width, bits, header=header, compression=compression, palette=palette, data=data)
        check(made, palette[indices])


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("upside_down", [False, True])
def test_direct_colours(header: int, upside_down: bool) -> None:
    """16, 24 and 32 bits without masks; the fourth byte is nothing."""
    if header == 12 and upside_down:
        return
    rgb, spare, deep = noise(H, W, 3, seed=6), noise(H, W, 1, seed=7), noise(H, W, seed=8, dtype=np.uint16)
    options = {"header": header, "upside_down": upside_down}
    check(bmp([row[:, ::-1].tobytes() for row in rgb], W, 24, **options), rgb)
    if header != 12:
        check(bmp([row.tobytes() for row in np.dstack((rgb[..., ::-1], spare))], W, 32, **options), rgb)
        expected = np.dstack([channel(deep, mask) for mask in MASKS["555"][1]])
        check(bmp([row.tobytes() for row in deep], W, 16, **options), expected)


def channel(pixels: np.ndarray, mask: int) -> np.ndarray:
    """Take one channel out, in 64-bit integers."""
    if not mask:
        return np.zeros(pixels.shape, np.int64)
    bits = f"{mask:032b}"
    shift, width = len(bits) - len(bits.rstrip("0")), bits.count("1")
    values = (pixels.astype(np.int64) & mask) >> shift
    return values >> (width - 8) if width > 8 else values * 255 // (2**width - 1)


def masked() -> Iterator[tuple[str, int, int]]:
    """Masks, header and compression that go together."""
    for (name, (_, masks)), header in itertools.product(MASKS.items(), (40, 52, 56, 108, 124)):
        if len(masks) == 3 or header >= 56:
            yield name, header, 3
        if len(masks) == 4:
            yield name, header, 6


@pytest.mark.parametrize(("name", "header", "compression"), list(masked()))
def test_masks(name: str, header: int, compression: int) -> None:
    """Each channel is where its mask says, of whatever width; alpha counts where it has a mask."""
    bits, masks = MASKS[name]
    if header == 52 and compression == 6:
        return  # it has no room for a fourth
    pixels = noise(H, W, seed=bits, dtype=np.uint16 if bits == 16 else np.uint32)
    colour = np.dstack([channel(pixels, mask) for mask in masks[:3]])
    expected: tuple[np.ndarray, ...] = (colour,)
    if len(masks) == 4 and masks[3]:
        alpha = channel(pixels, masks[3])[..., None]
        expected = (colour * alpha + 255 * (255 - alpha) + 127) // 255, (colour * alpha + 127) // 255
    for upside_down in (False, True):
        rows = [row.tobytes() for row in pixels]
        options = {"header": header, "compression": compression, "masks": masks, "upside_down": upside_down}
        check(bmp(rows, W, bits, **options), *expected)


@pytest.mark.parametrize("masks", [(0xFF0000, 0xFF00, 0xFF00), (0xFF0000, 0xF0F0, 0x0F)])
def test_impossible_masks_are_refused(masks: tuple[int, ...]) -> None:
    """Masks that overlap or have gaps mean nothing."""
    rows = [row.tobytes() for row in noise(H, W, dtype=np.uint32)]
    with pytest.raises(UnreadableImageError) as caught:
        check(bmp(rows, W, 32, compression=3, masks=masks), noise(H, W, 3))
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("masks", [MASKS["888"][1], MASKS["high"][1]])
def test_missing_rows_are_truncated(masks: tuple[int, ...]) -> None:
    """A file with masks that ends early is unreadable."""
    rows = [row.tobytes() for row in noise(H, W, dtype=np.uint32)]
    whole = bmp(rows, W, 32, compression=3, masks=masks)
    with pytest.raises(UnreadableImageError) as caught:
        check(whole[:-40], noise(H, W, 3))
    assert caught.value.reason in ("truncated", "corrupt")
