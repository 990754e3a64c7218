"""Every layout of TIFF: what is read is what an independent decoder reads, by the contract's rule; the rest is refused.

The files are written tag by tag in `tiff_makers`, and tifffile (with imagecodecs) says that they hold what was meant.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch.errors import UnreadableImageError
from hashmatch.picture import DecodePolicy, iter_rasters
from support.picture_makers import noise, save, smooth
from support.tiff_makers import tiff

tifffile = pytest.importorskip("tifffile")
imagecodecs = pytest.importorskip("imagecodecs")

TIFF = DecodePolicy(formats=("TIFF",))
H, W = 21, 19
KINDS = (
    ("u1", 1), ("u1", 2), ("u1", 4), ("u1", 6), ("u1", 8), ("u2", 10), ("u2", 12), ("u2", 14), ("u2", 16), ("u4", 24),
    ("u4", 32), ("u8", 64), ("i1", 8), ("i2", 16), ("i4", 32), ("f2", 16), ("f4", 32), ("f8", 64),
)  # fmt: skip
COLOURS = (
    ("black", ()), ("white", ()), ("black", (0,)), ("black", (1,)), ("black", (2,)), ("white", (2,)), ("rgb", ()),
    ("rgb", (0,)), ("rgb", (1,)), ("rgb", (2,)), ("rgb", (2, 0)), ("rgb", (1, 0)), ("rgb", (0, 0)), ("cmyk", ()),
    ("cmyk", (0,)), ("cmyk", (2,)),
)  # fmt: skip
CHANNELS = {"black": 1, "white": 1, "rgb": 3, "cmyk": 4, "palette": 1, "lab": 3, "icclab": 3, "ycbcr": 3}
WAYS = [
    (compression, predictor, order, tile, rows, reverse)
    for compression in ("none", "packbits", "lzw", "zlib", "deflate", "zstd", "lzma")
    for predictor in ((1, 2, 3) if compression in ("lzw", "zlib", "zstd") else (1,))
    for order in "<>"
    for tile, rows, reverse in ((None, None, False), (None, 8, False), (None, 8, True), ((16, 32), None, False))
]
"""Compression, predictor, byte order, tiles or rows of a strip, order of bits."""


def samples_of(kind: str, bits: int, n: int) -> np.ndarray:
    """Make (H, W, n) samples over the whole range of the kind, each channel another."""
    y, x = np.mgrid[0:H, 0:W]
    share = np.stack([(x * (3 + k) + y * (5 + 2 * k) + 17 * k) * (k + 1) % 256 for k in range(n)], -1) / 255
    if kind[0] == "f":
        return (share * 7 - 3).astype(kind)
    greatest = 2**bits - 1
    values = np.minimum(share * greatest, greatest if bits < 50 else 2.0**63).astype(np.uint64)
    return values.astype(kind) if kind[0] == "u" else (values.astype(np.int64) - 2 ** (bits - 1)).astype(kind)


def in_bytes(samples: np.ndarray, bits: int) -> np.ndarray:
    """Bring samples to 0 to 255 by the contract."""
    if samples.dtype.kind == "u" and bits <= 8:
        return samples.astype(np.int64) * 255 // (2**bits - 1)
    if samples.dtype.kind == "u" and bits <= 16:
        return samples.astype(np.int64) >> (bits - 8)
    values = samples.astype(np.float64)
    return np.floor(255 * (values - values.min()) / (values.max() - values.min()) + 0.5).astype(np.int64)


def shown(samples: np.ndarray, bits: int, photometric: str, extra: tuple[int, ...]) -> list[np.ndarray]:
    """Give what is to be seen on white, and on black where there is alpha."""
    n = CHANNELS[photometric]
    colour = in_bytes(samples[..., :n], bits)
    if photometric == "white":
        colour = 255 - colour
    if photometric == "cmyk":
        colour = np.floor((255 - colour[..., 3:]) * (255 - colour[..., :3]) / 255 + 0.5).astype(np.int64)
    if not {1, 2} & set(extra):
        return [colour]
    alpha = in_bytes(samples[..., n : n + 1], bits)
    if 1 in extra:
        black = np.minimum(colour, alpha)
        return [black + 255 - alpha, black]
    return [(colour * alpha + 255 * (255 - alpha) + 127) // 255, (colour * alpha + 127) // 255]


def outcome(data: bytes | Image.Image) -> list[np.ndarray] | str:
    """Give the rasters, or the reason why there are none."""
    try:
        return [raster.pixels for raster in iter_rasters(data, TIFF)]
    except UnreadableImageError as error:
        return error.reason


def distance(found: list[np.ndarray], expected: list[np.ndarray]) -> int:
    """Greatest difference of any sample; 255 where the shapes differ."""
    if len(found) != len(expected) or found[0].shape[:2] != expected[0].shape[:2]:
        return 255
    return max(int(np.abs(one.astype(np.int64) - other).max()) for one, other in zip(found, expected, strict=True))


GREYS = {("black", ()): "cp", ("white", ()): "cp", ("black", (0,)): "p"}
COLOUR = {
    ("rgb", ()): "cp", ("rgb", (0,)): "cp", ("rgb", (1,)): "cp", ("rgb", (2,)): "cp", ("rgb", (0, 0)): "cp",
    ("cmyk", ()): "cp", ("cmyk", (0,)): "cp",
}  # fmt: skip
READABLE: dict[tuple[str, int], dict[tuple[str, tuple[int, ...]], str]] = {
    **{(kind, bits): GREYS for kind, bits in KINDS if bits in (1, 2, 4) or (kind[0] in "if" and bits in (16, 32))},
    ("u1", 8): {
        **GREYS, **COLOUR, ("black", (0,)): "cp", ("black", (1,)): "c", ("black", (2,)): "c", ("rgb", (2, 0)): "c",
        ("rgb", (1, 0)): "c",
    },
    ("u2", 12): GREYS,
    ("u2", 16): {**GREYS, **COLOUR, ("rgb", (0, 0)): "p", ("cmyk", (0,)): "p"},
    ("u4", 32): GREYS,
    ("i1", 8): {("black", ()): "cp", ("black", (0,)): "p"},
}  # fmt: skip
"""What is read, together (c) and in planes (p); 12 bits, and 32 unsigned ones beside another sample, little-endian."""
del READABLE[("f2", 16)]


def ways(kind: str, bits: int, step: int) -> Iterator[tuple[Any, ...]]:
    """Choose ways of writing that a kind can have: all, or one in so many, which go round."""
    able = [
        way
        for way in WAYS
        if not (way[1] == 2 and bits not in (8, 16, 32, 64)) and not (way[1] == 3 and kind[0] != "f")
    ]
    return iter(able[::step])


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_every_layout(kind: str, bits: int, step: int) -> None:
    """What the table says is read equals the rule, to a step where alpha is in the colours; the rest is refused."""
    reasons = set()
    for (photometric, extra), planar in itertools.product(COLOURS, (False, True)):
        samples = samples_of(kind, bits, CHANNELS[photometric] + len(extra))
        expected = shown(samples, bits, photometric, extra)
        readable = ("p" if planar else "c") in READABLE.get((kind, bits), {}).get((photometric, extra), "")
        for way in ways(kind, bits, step):
            compression, predictor, order, tile, rows, reverse = way
            data = tiff(
                samples, photometric, bits=bits, planar=planar, compression=compression, predictor=predictor,
                order=order, tile=tile, rows=rows, reverse=reverse, extra=extra, big=order == "<" and rows is None,
            )  # fmt: skip
            found = outcome(data)
            cell = (photometric, extra, planar, way)
            little_only = bits == 12 or ((kind, bits, extra) == ("u4", 32, (0,)))
            if readable and not (little_only and order == ">"):
                assert not isinstance(found, str), (cell, found)
                assert distance(found, expected) <= (1 in extra and photometric == "rgb"), cell
                assert np.array_equal(judged(data, planar), samples), cell
            else:
                assert isinstance(found, str), cell
                reasons.add(found)
    assert reasons <= {"no-rule", "corrupt"}


def judged(data: bytes, planar: bool) -> np.ndarray:
    """Have tifffile read the samples."""
    found = tifffile.imread(io.BytesIO(data))
    if found.ndim == 2:
        return found[..., None]
    return np.moveaxis(found, 0, -1) if planar else found


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("compression", ["none", "lzw"])
def test_palettes(bits: int, compression: str) -> None:
    """The palette's high bytes; with alpha beside, but not in planes; 16 bits are refused."""
    indices, palette = samples_of("u1", bits, 1), noise(3, 2**bits, seed=1, dtype=np.uint16)
    colour = (palette >> 8)[:, indices[..., 0]].transpose(1, 2, 0).astype(np.int64)
    for order, reverse in itertools.product("<>", (False, True)):
        data = tiff(
            indices,
            "palette",
            bits=bits,
            palette=palette,
            compression=compression,
            order=order,
            rows=8,
            reverse=reverse,
        )
        found = outcome(data)
        assert not isinstance(found, str)
        assert distance(found, [colour]) == 0
    if bits == 8:
        both = samples_of("u1", 8, 2)
        colour = (palette >> 8)[:, both[..., 0]].transpose(1, 2, 0).astype(np.int64)
        alpha = both[..., 1:].astype(np.int64)
        white, black = (colour * alpha + 255 * (255 - alpha) + 127) // 255, (colour * alpha + 127) // 255
        options = {"palette": palette, "compression": compression}
        found = outcome(tiff(both, "palette", extra=(2,), **options))
        assert not isinstance(found, str)
        assert distance(found, [white, black]) == 0
        for extra, planar in (((1,), False), ((1,), True), ((2,), True)):
            assert outcome(tiff(both, "palette", extra=extra, planar=planar, **options)) == "no-rule"
        deep = noise(3, 65536, seed=2, dtype=np.uint16)
        assert outcome(tiff(samples_of("u2", 16, 1), "palette", palette=deep, compression=compression)) == "no-rule"


@pytest.mark.parametrize("compression", ["none", "lzw"])
@pytest.mark.parametrize("planar", [False, True])
def test_other_colours(compression: str, planar: bool) -> None:
    """YCbCr by JFIF's equations, L*a*b* by its rule but not in planes; others are refused."""
    options: dict[str, Any] = {"compression": compression, "planar": planar, "rows": 8}
    samples = samples_of("u1", 8, 3)
    luma, blue, red = (samples[..., k].astype(np.float64) - (0, 128, 128)[k] for k in range(3))
    colour = np.stack((luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue), -1)
    found = outcome(tiff(samples, "ycbcr", more=[(530, 3, [1, 1])], **options))
    assert not isinstance(found, str)
    assert distance(found, [np.floor(colour + 0.5).clip(0, 255)]) <= 2
    lab = outcome(tiff(samples, "lab", **options))
    if planar:
        assert lab == "no-rule"
    else:
        image = Image.frombytes("LAB", (W, H), samples.tobytes(), "raw", "LAB", 0, 1)
        assert not isinstance(lab, str)
        assert distance(lab, [np.asarray(image.convert("RGB"))]) == 0
    for photometric, kind in (("icclab", "u1"), ("lab", "u2"), ("logluv", "u4"), ("logl", "u2"), ("mask", "u1")):
        n = CHANNELS.get(photometric, 1)
        assert outcome(tiff(samples_of(kind, 8 * int(kind[1]), n), photometric, **options)) == "no-rule"


@pytest.mark.parametrize("compression", ["none", "lzw"])
@pytest.mark.parametrize("subsampling", [(2, 2), (2, 1), (1, 2), (4, 1)])
def test_subsampled_chroma(compression: str, subsampling: tuple[int, int]) -> None:
    """Each chroma sample holds for its block; what is not stated is two by two."""
    across, down = subsampling
    height, width = 16, 24
    luma, chroma = samples_of("u1", 8, 1)[:height, :16, 0], samples_of("u1", 8, 3)[..., 1:]
    luma = np.hstack((luma, luma[:, : width - 16]))
    chroma = np.ascontiguousarray(np.hstack((chroma, chroma))[: height // down, : width // across])
    blocks = luma.reshape(height // down, down, width // across, across).transpose(0, 2, 1, 3)
    units = np.concatenate((blocks.reshape(*chroma.shape[:2], -1), chroma), -1)
    more = [] if subsampling == (2, 2) else [(530, 3, list(subsampling))]
    data = tiff(
        units.reshape(1, -1, 1), "ycbcr", compression=compression, more=more,
        stated={256: [width], 257: [height], 258: [8, 8, 8], 277: [3], 278: [height]},
    )  # fmt: skip
    wide = np.repeat(np.repeat(chroma, down, 0), across, 1).astype(np.float64) - 128
    blue, red = wide[..., 0], wide[..., 1]
    colour = np.stack((luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue), -1)
    found = outcome(data)
    assert not isinstance(found, str), found
    assert distance(found, [np.floor(colour + 0.5).clip(0, 255)]) <= 2


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4"])
def test_fax(compression: str) -> None:
    """Black and white as fax machines code it, as an independent decoder reads it."""
    bits = samples_of("u1", 8, 1)[..., 0] > 128
    data = save(Image.fromarray(bits), "TIFF", compression=compression)
    assert np.array_equal(tifffile.imread(io.BytesIO(data)), bits)
    found = outcome(data)
    assert not isinstance(found, str)
    assert distance(found, [np.repeat(bits[..., None] * 255, 3, 2)]) == 0


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_inside(mode: str, quality: int) -> None:
    """As another JPEG decoder reads it, but for rounding and the filter that smooths chroma."""
    image = Image.fromarray(smooth(48, 64)).convert(mode)
    data = save(image, "TIFF", compression="jpeg", quality=quality)
    other = tifffile.imread(io.BytesIO(data))
    expected = shown(other.reshape(48, 64, -1), 8, {"L": "black", "RGB": "rgb", "CMYK": "cmyk"}[mode], ())
    found = outcome(data)
    assert not isinstance(found, str)
    assert distance(found, expected) <= 8


def test_large_offsets() -> None:
    """BigTIFF is read where it is little-endian, and refused by Pillow where it is not."""
    samples = samples_of("u1", 8, 3)
    found = outcome(tiff(samples, "rgb", big=True))
    assert not isinstance(found, str)
    assert distance(found, [samples]) == 0
    assert outcome(tiff(samples, "rgb", big=True, order=">")) == "corrupt"


def test_codecs_that_are_not_there() -> None:
    """Compressions that Pillow's wheel lacks are refused, whatever else the file says."""
    assert outcome(tiff(samples_of("u1", 8, 3), "rgb", compression="webp")) == "corrupt"


@pytest.mark.parametrize("kind", ["u2", "f4", "u4"])
def test_pil_images(kind: str) -> None:
    """A file that the caller opened with Pillow is read as we read it, loaded or not, or refused."""
    for order, compression in itertools.product("<>", ("none", "lzw")):
        samples = samples_of(kind, 8 * int(kind[1]), 1)
        data = tiff(samples, "white", order=order, compression=compression)
        for loaded in (False, True):
            try:
                image = Image.open(io.BytesIO(data))
                if loaded:
                    image.load()
            except OSError:
                continue  # Pillow does not know it
            found = outcome(image)
            expected = shown(samples, 8 * int(kind[1]), "white", ())
            assert found == "no-rule" if isinstance(found, str) else distance(found, expected) == 0
    planes = tiff(samples_of("u2", 16, 3), "rgb", planar=True)
    image = Image.open(io.BytesIO(planes))
    assert distance([item.pixels for item in iter_rasters(image)], shown(samples_of("u2", 16, 3), 16, "rgb", ())) == 0
    image = Image.open(io.BytesIO(planes))
    image.load()
    with pytest.raises(UnreadableImageError, match="once they are loaded"):
        list(iter_rasters(image))


def test_pages_of_several_layouts() -> None:
    """Each page is read by its own layout."""
    images = [Image.fromarray(samples_of("u2", 16, 1)[..., 0]), Image.fromarray(smooth(H, W))]
    data = save(images[0], "TIFF", save_all=True, append_images=images[1:], compression="tiff_lzw")
    found = [item.pixels for item in iter_rasters(data, DecodePolicy(formats=("TIFF",), frames="all"))]
    assert distance(found[:1], shown(samples_of("u2", 16, 1), 16, "black", ())) == 0
    assert distance(found[1:], [smooth(H, W)]) == 0
