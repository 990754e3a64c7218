"""The pixel contract: each rule against samples stated by a formula of its own."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashmatch.errors import UnreadableImageError
from hashmatch.picture import DecodePolicy, Raster, iter_rasters, open_picture
from hashmatch.picture.pixels import rasters_of, stretch
from hashmatch.view import Background, View
from support.picture_makers import ALL_FORMATS, chunk, exif, exif_tiff, noise, png, png_of, save, small_files, smooth

ALL = DecodePolicy(formats=tuple(name for name in ALL_FORMATS if name != "HEIF"))
H, W = 6, 5


def rasters(source: object, policy: DecodePolicy = ALL) -> list[Raster]:
    """All rasters of a source."""
    return list(iter_rasters(source, policy))  # type: ignore[arg-type]


def over(colour: np.ndarray, alpha: np.ndarray, ground: int) -> np.ndarray:
    """Composite by the stated formula, in 64-bit integers."""
    c, a = colour.astype(np.int64), alpha.astype(np.int64)[..., None]
    return (c * a + ground * (255 - a) + 127) // 255


def grey3(grey: np.ndarray) -> np.ndarray:
    """Grey shown as RGB."""
    return np.stack([grey] * 3, -1)


def check(source: object, colour: np.ndarray, alpha: np.ndarray | None = None, tolerance: int = 0) -> None:
    """Compare the rasters of a source with the stated samples on white, and on black if any alpha is below 255."""
    got = rasters(source)
    grounds = [(Background.WHITE, 255)]
    if alpha is None:
        alpha = np.full(colour.shape[:2], 255)
    if alpha.min() < 255:
        grounds.append((Background.BLACK, 0))
    assert [raster.view for raster in got] == [View(background=name) for name, _ in grounds]
    for raster, (_, ground) in zip(got, grounds, strict=True):
        assert raster.pixels.dtype == np.uint8
        assert raster.pixels.shape == colour.shape
        assert not raster.pixels.flags.writeable
        assert min(raster.pixels.strides) >= 0
        difference = np.abs(raster.pixels.astype(np.int64) - over(colour, alpha, ground))
        assert difference.max() <= tolerance


RGB, ALPHA, GREY = noise(H, W, 3, seed=1), noise(H, W, seed=2), noise(H, W, seed=3)
DEEP = noise(H, W, 4, seed=4, dtype=np.uint16)
INDEX = noise(H, W, seed=5) % 4
PALETTE = noise(4, 3, seed=6)
PLTE = chunk(b"PLTE", PALETTE.tobytes())
ENTRY_ALPHA = np.array([255, 0, 77, 200], np.uint8)


def palette_image(mode: str = "P") -> Image.Image:
    """Make a PIL image that holds indices."""
    image = Image.frombytes("P", (W, H), INDEX.tobytes())
    image.putpalette(PALETTE.tobytes())
    if mode == "PA":
        image = Image.frombytes("PA", (W, H), np.dstack((INDEX, ALPHA)).tobytes())
        image.putpalette(PALETTE.tobytes())
    return image


def in_mode(mode: str, samples: np.ndarray) -> Image.Image:
    """Make a PIL image of the given mode from its own samples."""
    return Image.frombytes(mode, (samples.shape[1], samples.shape[0]), np.ascontiguousarray(samples).tobytes())


def opaque_except(hidden: np.ndarray) -> np.ndarray:
    """Alpha of a colour key."""
    return np.where(hidden, 0, 255)


KEY = GREY[2, 3]
BITS = noise(H, 8, seed=7) % 2
TWO = noise(H, 4, seed=8) % 4
FOUR = noise(H, 4, seed=9) % 16
KEYED_RGB = RGB.copy()
KEYED_RGB[1, 2] = KEYED_RGB[4, 0] = (9, 8, 7)
KEYED_DEEP = DEEP[:, :, :3].copy()
KEYED_DEEP[1, 2] = (0x0912, 0x0834, 0x0756)


def packed(samples: np.ndarray, bits: int) -> list[bytes]:
    """PNG rows of samples below eight bits."""
    spread = np.unpackbits(samples.astype(np.uint8)[:, :, None], axis=2)[:, :, -bits:].reshape(len(samples), -1)
    return [row.tobytes() for row in np.packbits(spread, axis=1)]


Case = tuple[Callable[[], object], np.ndarray, "np.ndarray | None"]
EXACT: dict[str, Case] = {
    "png grey": (lambda: png_of(GREY, 0), grey3(GREY), None),
    "png grey with key": (
        lambda: png_of(GREY, 0, chunk(b"tRNS", bytes([0, int(KEY)]))),
        grey3(GREY),
        opaque_except(GREY == KEY),
    ),
    "png 1 bit": (lambda: png(8, H, 1, 0, packed(BITS, 1)), grey3(BITS * 255), None),
    "png 1 bit with key": (
        lambda: png(8, H, 1, 0, packed(BITS, 1), chunk(b"tRNS", b"\0\1")),
        grey3(BITS * 255),
        opaque_except(BITS == 1),
    ),
    "png 2 bit": (lambda: png(4, H, 2, 0, packed(TWO, 2)), grey3(TWO * 85), None),
    "png 2 bit with key": (
        lambda: png(4, H, 2, 0, packed(TWO, 2), chunk(b"tRNS", b"\0\2")),
        grey3(TWO * 85),
        opaque_except(TWO == 2),
    ),
    "png 4 bit with key": (
        lambda: png(4, H, 4, 0, packed(FOUR, 4), chunk(b"tRNS", bytes([0, int(FOUR[0, 0])]))),
        grey3(FOUR * 17),
        opaque_except(FOUR[0, 0] == FOUR),
    ),
    "png 16-bit grey": (lambda: png_of(DEEP[:, :, 0], 0), grey3(DEEP[:, :, 0] >> 8), None),
    "png 16-bit grey with key": (
        lambda: png_of(DEEP[:, :, 0], 0, chunk(b"tRNS", int(DEEP[2, 2, 0]).to_bytes(2, "big"))),
        grey3(DEEP[:, :, 0] >> 8),
        opaque_except(DEEP[:, :, 0] == DEEP[2, 2, 0]),
    ),
    "png grey and alpha": (lambda: png_of(np.dstack((GREY, ALPHA)), 4), grey3(GREY), ALPHA),
    "png 16-bit grey and alpha": (lambda: png_of(DEEP[:, :, :2], 4), grey3(DEEP[:, :, 0] >> 8), DEEP[:, :, 1] >> 8),
    "png rgb": (lambda: png_of(RGB, 2), RGB, None),
    "png rgb with key": (
        lambda: png_of(KEYED_RGB, 2, chunk(b"tRNS", bytes([0, 9, 0, 8, 0, 7]))),
        KEYED_RGB,
        opaque_except((KEYED_RGB == (9, 8, 7)).all(-1)),
    ),
    "png 16-bit rgb": (lambda: png_of(DEEP[:, :, :3], 2), DEEP[:, :, :3] >> 8, None),
    "png 16-bit rgb with key": (
        lambda: png_of(KEYED_DEEP, 2, chunk(b"tRNS", KEYED_DEEP[1, 2].astype(">u2").tobytes())),
        KEYED_DEEP >> 8,
        opaque_except((KEYED_DEEP[1, 2] == KEYED_DEEP).all(-1)),
    ),
    "png rgba": (lambda: png_of(np.dstack((RGB, ALPHA)), 6), RGB, ALPHA),
    "png rgba, all opaque": (lambda: png_of(np.dstack((RGB, np.full_like(ALPHA, 255))), 6), RGB, None),
    "png 16-bit rgba": (lambda: png_of(DEEP, 6), DEEP[:, :, :3] >> 8, DEEP[:, :, 3] >> 8),
    "png palette": (lambda: png_of(INDEX, 3, PLTE), PALETTE[INDEX], None),
    "png palette, one entry transparent": (
        lambda: png_of(INDEX, 3, PLTE, chunk(b"tRNS", b"\xff\xff\x00")),
        PALETTE[INDEX],
        opaque_except(INDEX == 2),
    ),
    "png palette, alpha per entry": (
        lambda: png_of(INDEX, 3, PLTE, chunk(b"tRNS", ENTRY_ALPHA.tobytes())),
        PALETTE[INDEX],
        ENTRY_ALPHA[INDEX],
    ),
    "png palette, index beyond it": (
        lambda: png_of(INDEX, 3, chunk(b"PLTE", PALETTE[:2].tobytes())),
        np.where((INDEX < 2)[..., None], PALETTE[INDEX], 0),
        None,
    ),
    "gif": (lambda: save(palette_image(), "GIF"), PALETTE[INDEX], None),
    "gif with transparent entry": (
        lambda: save(palette_image(), "GIF", transparency=1),
        PALETTE[INDEX],
        opaque_except(INDEX == 1),
    ),
    "webp": (lambda: save(RGB, "WEBP", lossless=True), RGB, None),
    "webp with alpha": (
        lambda: save(np.dstack((RGB, ALPHA)), "WEBP", lossless=True, exact=True),
        RGB,
        ALPHA,
    ),
    "bmp": (lambda: save(RGB, "BMP"), RGB, None),
    "bmp palette": (lambda: save(palette_image(), "BMP"), PALETTE[INDEX], None),
    "bmp 1 bit": (
        lambda: save(in_mode("L", GREY).point(lambda v: 255 * (v > 99), "1"), "BMP"),
        grey3(255 * (GREY > 99)),
        None,
    ),
    "tiff": (lambda: save(RGB, "TIFF", compression="tiff_lzw"), RGB, None),
    "tiff 16-bit": (lambda: save(in_mode("I;16", DEEP[:, :, 0]), "TIFF"), grey3(DEEP[:, :, 0] >> 8), None),
    "tiff 16-bit, compressed": (
        lambda: save(in_mode("I;16", DEEP[:, :, 0]), "TIFF", compression="tiff_deflate"),
        grey3(DEEP[:, :, 0] >> 8),
        None,
    ),
    "tiff 1 bit": (
        lambda: save(in_mode("L", GREY).point(lambda v: 255 * (v > 99), "1"), "TIFF", compression="group4"),
        grey3(255 * (GREY > 99)),
        None,
    ),
    "tiff rgba": (lambda: save(np.dstack((RGB, ALPHA)), "TIFF"), RGB, ALPHA),
    "mode L": (lambda: in_mode("L", GREY), grey3(GREY), None),
    "mode LA": (lambda: in_mode("LA", np.dstack((GREY, ALPHA))), grey3(GREY), ALPHA),
    "mode RGB": (lambda: in_mode("RGB", RGB), RGB, None),
    "mode RGBA": (lambda: in_mode("RGBA", np.dstack((RGB, ALPHA))), RGB, ALPHA),
    "mode RGBX": (lambda: in_mode("RGBX", np.dstack((RGB, ALPHA))), RGB, None),
    "mode P": (palette_image, PALETTE[INDEX], None),
    "mode PA": (lambda: palette_image("PA"), PALETTE[INDEX], ALPHA),
    "mode 1": (lambda: in_mode("L", GREY).point(lambda v: 255 * (v > 99), "1"), grey3(255 * (GREY > 99)), None),
    "mode I;16": (lambda: in_mode("I;16", DEEP[:, :, 0]), grey3(DEEP[:, :, 0] >> 8), None),
    "mode I;16L": (lambda: in_mode("I;16L", DEEP[:, :, 0].astype("<u2")), grey3(DEEP[:, :, 0] >> 8), None),
    "mode I;16B": (lambda: in_mode("I;16B", DEEP[:, :, 0].astype(">u2")), grey3(DEEP[:, :, 0] >> 8), None),
    "array grey": (lambda: GREY, grey3(GREY), None),
    "array grey, one channel": (lambda: GREY[..., None], grey3(GREY), None),
    "array grey and alpha": (lambda: np.dstack((GREY, ALPHA)), grey3(GREY), ALPHA),
    "array rgb": (lambda: RGB, RGB, None),
    "array rgb, other memory order": (lambda: np.asfortranarray(RGB), RGB, None),
    "array rgba": (lambda: np.dstack((RGB, ALPHA)), RGB, ALPHA),
    "array uint16": (lambda: DEEP[:, :, :3], DEEP[:, :, :3] >> 8, None),
    "array uint16, big-endian": (lambda: DEEP.astype(">u2"), DEEP[:, :, :3] >> 8, DEEP[:, :, 3] >> 8),
    "array bool": (lambda: GREY > 99, grey3(255 * (GREY > 99)), None),
}


@pytest.mark.parametrize("name", EXACT)
def test_lossless_pictures_are_read_exactly(name: str) -> None:
    """Each kind of lossless file, PIL mode and array has exactly the samples its rule states."""
    make, colour, alpha = EXACT[name]
    check(make(), colour, alpha)


def cmyk_to_rgb(samples: np.ndarray) -> np.ndarray:
    """Ink on white paper, without a profile."""
    cmy, k = samples[..., :3].astype(float), samples[..., 3:].astype(float)
    return ((255 - k) * (255 - cmy) / 255).round()


def ycc_to_rgb(samples: np.ndarray) -> np.ndarray:
    """JFIF's colour equations."""
    y, b, r = (samples[..., i].astype(float) - 128 * (i > 0) for i in range(3))
    return np.stack((y + 1.402 * r, y - 0.344136 * b - 0.714136 * r, y + 1.772 * b), -1).clip(0, 255).round()


def rgb_to_ycc(samples: np.ndarray) -> np.ndarray:
    """JFIF's colour equations, the other way."""
    r, g, b = (samples[..., i].astype(float) for i in range(3))
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.stack((y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402), -1).clip(0, 255).round().astype(np.uint8)


def lab_to_rgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """CIE L*a*b* with white D50 to sRGB, Bradford-adapted."""
    fy = (lightness + 16) / 116
    f = np.stack((fy + a / 500, fy, fy - b / 200), -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.9642, 1.0, 0.8249)
    matrix = np.array(
        [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
    )
    linear = (xyz @ matrix.T).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


FLAT = np.repeat(np.repeat(noise(3, 3, 4, seed=10), 16, 0), 16, 1)  # patches, which JPEG keeps nearly exactly
YCCK = np.dstack((rgb_to_ycc(FLAT[..., :3]), 255 - FLAT[..., 3]))  # as the file holds them: the inks' complement


def ycck() -> bytes:
    """Make a JPEG of luma, chroma and ink: the planes as they are, and an Adobe marker that says so."""
    data = save(in_mode("CMYK", 255 - YCCK), "JPEG", quality=100, subsampling=0)
    place = data.index(b"Adobe") + 11
    return data[:place] + b"\2" + data[place + 1 :]


def without_adobe(data: bytes) -> bytes:
    """Take out the marker."""
    start = data.index(b"\xff\xee\x00\x0eAdobe")
    return data[:start] + data[start + 16 :]


LAB = np.dstack(
    (
        np.linspace(90, 220, 30).reshape(5, 6),
        np.linspace(-20, 20, 30).reshape(5, 6),
        np.linspace(15, -15, 30).reshape(5, 6),
    )
)
LAB = LAB.round()


def lab_image() -> Image.Image:
    """Make a PIL image in LAB, whose a and b are stored as signed bytes."""
    return in_mode("LAB", np.dstack((LAB[..., 0].astype(np.uint8), LAB[..., 1:].astype(np.int8).view(np.uint8))))


CLOSE: dict[str, tuple[Callable[[], object], np.ndarray, int]] = {
    "mode CMYK": (lambda: in_mode("CMYK", FLAT), cmyk_to_rgb(FLAT), 1),
    "jpeg CMYK, inverted as Adobe does": (
        lambda: save(in_mode("CMYK", FLAT), "JPEG", quality=100, subsampling=0),
        cmyk_to_rgb(FLAT),
        4,
    ),
    "jpeg CMYK without the Adobe marker": (
        lambda: without_adobe(save(in_mode("CMYK", FLAT), "JPEG", quality=100, subsampling=0)),
        cmyk_to_rgb(FLAT),
        4,
    ),
    "jpeg YCCK": (ycck, cmyk_to_rgb(FLAT), 6),
    "jpeg YCCK without the Adobe marker, read as CMYK": (
        lambda: without_adobe(ycck()),
        cmyk_to_rgb(255 - YCCK),
        4,
    ),
    "tiff CMYK": (lambda: save(in_mode("CMYK", FLAT), "TIFF"), cmyk_to_rgb(FLAT), 1),
    "mode YCbCr": (lambda: in_mode("YCbCr", RGB), ycc_to_rgb(RGB), 1),
    "jpeg grey": (lambda: save(in_mode("L", FLAT[..., 0]), "JPEG", quality=100), grey3(FLAT[..., 0]), 1),
    "jpeg rgb": (lambda: save(FLAT[..., :3], "JPEG", quality=100, subsampling=0), FLAT[..., :3], 4),
    "avif": (lambda: save(smooth(24, 32), "AVIF", quality=100, subsampling="4:4:4", speed=10), smooth(24, 32), 6),
    "mode LAB": (lab_image, lab_to_rgb(LAB[..., 0] / 2.55, LAB[..., 1], LAB[..., 2]), 2),
    "tiff LAB": (lambda: save(lab_image(), "TIFF"), lab_to_rgb(LAB[..., 0] / 2.55, LAB[..., 1], LAB[..., 2]), 2),
    "mode HSV": (
        lambda: in_mode("HSV", RGB),
        np.array([[[255 * v for v in colorsys.hsv_to_rgb(*(p / 255))] for p in row] for row in RGB]),
        3,
    ),
}


@pytest.mark.parametrize("name", CLOSE)
def test_colour_spaces_and_lossy_pictures(name: str) -> None:
    """Other colour spaces follow their published equations, and lossy files their flat patches, within a few steps."""
    make, colour, tolerance = CLOSE[name]
    check(make(), colour, tolerance=tolerance)


def test_premultiplied_alpha() -> None:
    """Premultiplied colour on black is itself, on white it gains ``255 - alpha``; colour above alpha is cut to it."""
    colour = RGB.copy()
    for mode, samples in (("RGBa", np.dstack((colour, ALPHA))), ("La", np.dstack((GREY, ALPHA)))):
        on_white, on_black = rasters(in_mode(mode, samples))
        stated = np.minimum(samples[..., :-1], ALPHA[..., None])
        assert np.array_equal(on_black.pixels, np.broadcast_to(stated, RGB.shape))
        assert np.array_equal(on_white.pixels, np.broadcast_to(stated + (255 - ALPHA[..., None]), RGB.shape))


def test_composite_formula_for_every_colour_and_alpha() -> None:
    """All 65,536 pairs of sample and alpha follow the integer formula on both grounds, grey and RGB alike."""
    colour, alpha = np.divmod(np.arange(65_536).reshape(256, 256), 256)
    grey = np.dstack((colour, alpha)).astype(np.uint8)
    check(grey, grey3(colour), alpha)
    check(np.dstack((grey3(colour), alpha)).astype(np.uint8), grey3(colour), alpha)


def test_opaque_pictures_are_never_copied() -> None:
    """An opaque array comes through as a view of itself, and the caller's array stays writable."""
    for array in (RGB.copy(), np.dstack((RGB, np.full_like(ALPHA, 255))), GREY.copy(), RGB.astype(np.float32)):
        (raster,) = rasters(array)
        assert np.shares_memory(raster.pixels, array)
        assert not raster.pixels.flags.writeable
        assert array.flags.writeable


def test_float_arrays_stay_float() -> None:
    """Floats from 0 to 255 keep their fractions as float32, grey and RGB."""
    values = RGB / 1.7
    for array in (values, values.astype(np.float32)):
        (raster,) = rasters(array)
        assert raster.pixels.dtype == np.float32
        assert np.array_equal(raster.pixels, values.astype(np.float32))
    (raster,) = rasters(values[:, :, 0])
    assert np.array_equal(raster.pixels, grey3(values[:, :, 0].astype(np.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.001, 255.001])
def test_floats_outside_the_range_are_refused(bad: float) -> None:
    """A float that is no number from 0 to 255 is a ValueError that says how to scale."""
    array = np.full((4, 4, 3), 0.5)
    array[1, 2, 0] = bad
    with pytest.raises(ValueError, match="scale the array to 0 to 255"):
        open_picture(array)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.int32), np.zeros((4, 4), complex), np.zeros((4, 4, 5), np.uint8), np.zeros(4, np.uint8),
     np.zeros((1, 4, 4, 3), np.uint8), np.zeros((4, 4, 4)), np.array([["a"]])],
    ids=lambda array: f"{array.dtype} {array.shape}",
)  # fmt: skip
def test_other_arrays_are_type_errors(array: np.ndarray) -> None:
    """Other types, axes and channels are a TypeError."""
    with pytest.raises(TypeError):
        open_picture(array)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0, 3)])
def test_no_pixels(shape: tuple[int, ...]) -> None:
    """An array or image without pixels is unreadable, as empty."""
    for source in (np.zeros(shape, np.uint8), Image.new("RGB", (shape[1], shape[0]))):
        with pytest.raises(UnreadableImageError) as caught:
            open_picture(source)
        assert caught.value.reason == "empty"


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_without_a_stated_range_are_stretched(mode: str) -> None:
    """Modes I and F go from their least to their greatest sample to 0 to 255, as image and as TIFF."""
    samples = (
        noise(H, W, seed=11, dtype=np.int32) if mode == "I" else (noise(H, W, seed=12) * 0.37 - 20).astype(np.float32)
    )
    v = samples.astype(np.float64)
    stated = np.floor((v - v.min()) * 255 / (v.max() - v.min()) + 0.5)
    assert np.ptp(stated) == 255
    check(in_mode(mode, samples), grey3(stated))
    check(save(in_mode(mode, samples), "TIFF"), grey3(stated))


def test_stretch_of_odd_samples() -> None:
    """Flat samples are 0; infinities go to the ends and not-a-number to 0; the widest range does not overflow."""
    assert not stretch(np.full((2, 2), 7.0)).any()
    assert not stretch(np.full((2, 2), np.nan)).any()
    assert stretch(np.array([[0.0, 1.0, np.inf, -np.inf, np.nan]])).tolist() == [[0, 255, 255, 0, 0]]
    top = float(np.finfo(np.float64).max)
    assert stretch(np.array([[-top, 0.0, top]])).tolist() == [[0, 128, 255]]


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(
    "kind",
    [
        "png before",
        "png behind",
        "png rgba",
        "png grey",
        "png palette",
        "png 16",
        "tiff",
        "tiff lzw",
        "webp",
        "jpeg",
        "jpeg grey",
        "avif",
    ],
)
def test_orientation(kind: str, orientation: int) -> None:
    """All eight EXIF orientations are applied in every format that has them, wherever the block stands."""
    turn = TURNS[orientation]
    block = chunk(b"eXIf", exif_tiff(orientation))
    alpha = None
    colour: np.ndarray = RGB
    tolerance = 0
    if kind == "png before":
        data = png_of(RGB, 2, block)
    elif kind == "png behind":
        data = png_of(RGB, 2, tail=block)
    elif kind == "png rgba":
        data, alpha = png_of(np.dstack((RGB, ALPHA)), 6, block), turn(ALPHA)
    elif kind == "png grey":
        data, colour = png_of(GREY, 0, block), grey3(GREY)
    elif kind == "png palette":
        data, colour = png_of(INDEX, 3, PLTE, block), PALETTE[INDEX]
    elif kind == "png 16":
        data, colour = png_of(DEEP[:, :, 0], 0, block), grey3(DEEP[:, :, 0] >> 8)
    elif kind.startswith("tiff"):
        compression = "tiff_lzw" if kind == "tiff lzw" else None
        data = save(RGB, "TIFF", tiffinfo={0x0112: orientation}, compression=compression)
    elif kind == "webp":
        data = save(RGB, "WEBP", lossless=True, exif=exif(orientation))
    elif kind == "jpeg":
        data, colour, tolerance = (
            save(FLAT[:, :32, :3], "JPEG", quality=100, subsampling=0, exif=exif(orientation)),
            FLAT[:, :32, :3],
            4,
        )
    elif kind == "jpeg grey":
        data, colour, tolerance = (
            save(in_mode("L", FLAT[:, :32, 0]), "JPEG", quality=100, exif=exif(orientation)),
            grey3(FLAT[:, :32, 0]),
            1,
        )
    else:
        colour, tolerance = smooth(24, 32), 6
        data = save(colour, "AVIF", quality=100, subsampling="4:4:4", speed=10, exif=exif(orientation))
    upright = turn(colour)
    check(data, upright, alpha, tolerance)
    opened = open_picture(data, ALL)
    assert (opened.height, opened.width) == upright.shape[:2]
    given = Image.open(io.BytesIO(data))
    check(given, upright, alpha, tolerance)
    check(given, upright, alpha, tolerance)


@pytest.mark.parametrize(
    "block",
    [b"", b"Exif", b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0XX*\0\x08\0\0\0\xff\xff", exif(6)[:20], exif(6)[:-8],
     exif(9), exif(0), exif(65_535), b"Exif\0\0MM\0*\xff\xff\xff\xff", b"\xff" * 60,
     b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0a\0\0\0\0\0\0\0"],
)  # fmt: skip
def test_a_broken_exif_block_does_not_lose_the_picture(block: bytes) -> None:
    """With damaged or senseless EXIF the picture is read as it is stored, without a warning."""
    plain = save(smooth(8, 9), "JPEG")
    segment = b"\xff\xe1" + (2 + len(block)).to_bytes(2, "big") + block
    (expected,) = rasters(plain)
    (got,) = rasters(plain[:2] + segment + plain[2:])
    assert np.array_equal(got.pixels, expected.pixels)
    check(png_of(RGB, 2, chunk(b"eXIf", block)), RGB)


SOURCES = {
    **{name: make for name, (make, _, _) in EXACT.items() if name.startswith(("png", "gif", "webp", "bmp", "tiff"))},
    **{name: (lambda data=data: data) for name, data in small_files().items()},  # type: ignore[misc]
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_way_in_gives_the_same_pixels(name: str, tmp_path: Path) -> None:
    """Bytes, path, binary file and PIL image, opened just now or loaded before, give equal rasters."""
    data = SOURCES[name]()
    assert isinstance(data, bytes)
    path = tmp_path / "file.bin"
    path.write_bytes(data)
    expected = rasters(data)
    loaded = Image.open(io.BytesIO(data))
    loaded.load()
    ways: list[object] = [
        bytearray(data),
        memoryview(data),
        path,
        str(path),
        io.BytesIO(data),
    ]
    if name not in ("ico-bmp", "pgm-16"):  # see the page: Pillow reads these in a way of its own
        ways.append(Image.open(io.BytesIO(data)))
        if name not in (
            "png 2 bit with key",
            "png 4 bit with key",
        ):  # see the page: loading forgets the depth of the key
            ways.append(loaded)
    for way in ways:
        got = rasters(way)
        assert [raster.view for raster in got] == [raster.view for raster in expected]
        for one, other in zip(got, expected, strict=True):
            assert np.array_equal(one.pixels, other.pixels)
    if len(expected) == 1:  # what came out goes in again as an array, and as an image made from it
        for again in (expected[0].pixels, Image.fromarray(np.ascontiguousarray(expected[0].pixels))):
            (raster,) = rasters(again)
            assert np.array_equal(raster.pixels, expected[0].pixels)


@pytest.mark.parametrize("name", EXACT)
def test_the_callers_image_is_left_as_it_is(name: str) -> None:
    """Reading a PIL image changes neither its mode, size, pixels, palette nor information."""
    source = EXACT[name][0]()
    if isinstance(source, np.ndarray):
        before = source.copy()
        rasters(source)
        assert np.array_equal(source, before)
        return
    image = Image.open(io.BytesIO(source)) if isinstance(source, bytes) else source
    assert isinstance(image, Image.Image)
    image.load()

    def state() -> tuple[object, ...]:
        return image.mode, image.size, image.tobytes(), image.getpalette("RGBA"), dict(image.info), image.tell()

    before_state = state()
    rasters(image)
    assert state() == before_state


def test_palette_with_its_own_alpha() -> None:
    """A palette of RGBA entries carries its alpha into the rasters."""
    image = Image.frombytes("P", (W, H), INDEX.tobytes())
    image.putpalette(np.dstack((PALETTE[None], ENTRY_ALPHA[None]))[0].tobytes(), "RGBA")
    check(image, PALETTE[INDEX], ENTRY_ALPHA[INDEX])


def test_white_comes_first_and_black_only_where_it_differs() -> None:
    """One pixel that is not quite opaque is enough for the second look; none is not."""
    alpha = np.full((4, 4), 255, np.uint8)
    assert len(rasters(np.dstack((RGB[:4, :4], alpha)))) == 1
    alpha[3, 3] = 254
    first, second = rasters(np.dstack((RGB[:4, :4], alpha)))
    assert (first.view.background, second.view.background) == (Background.WHITE, Background.BLACK)
    assert not np.array_equal(first.pixels, second.pixels)


def test_wide_and_tall_composites() -> None:
    """Pictures wider than a strip and of one column are composited by the same formula."""
    for height, width in ((2, 20_000), (20_000, 1)):
        samples = noise(height, width, 4, seed=13)
        check(samples, samples[..., :3], samples[..., 3])


def test_unknown_modes_have_no_rule() -> None:
    """A mode that the contract does not name is refused by its name."""
    image = Image.new("RGB", (2, 2))
    image._mode = "XYZ"
    with pytest.raises(UnreadableImageError, match="XYZ") as caught:
        open_picture(image)
    assert caught.value.reason == "no-rule"


def test_rasters_say_their_frame() -> None:
    """The frame number given is the one that stands in the view."""
    from hashmatch.picture.pixels import Planes

    assert [raster.view.frame for raster in rasters_of(Planes(GREY, ALPHA), 7)] == [7, 7]
