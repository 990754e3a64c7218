"""Drift: how far the hashes that other front ends give to the same file lie from ours, by format and by size.

Run ``python -m benchmarks drift`` from the project's root. A list owner reads here how far away his list sits; radius
31 is what lists are mostly searched at. Two tables, each in bits of PDQ's 256, over synthetic photographs:

- by kind of file: every file holds one picture; each front end's hash of it against our hash of its plain twin, the PNG
  of what a viewer shows, and their hashes against the nearest of the looks that a search has. What a pdqhash-based
  client does is ``pdqhash.compute(numpy.asarray(Image.open(file)))``, with grey shown three times and grey with alpha
  made RGB, as in threatexchange.
- by size: front ends that shrink first (a squash to 512x512 by nearest neighbour, a Pillow thumbnail that fits into
  512x512) and our reduced decode, against our hash of the file as it is.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pdqhash
from PIL import Image, ImageOps

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch.hashers.facade import hash_image
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.picture import DecodePolicy, iter_rasters
from hashmatch.picture.icc import SRGB, made_profile
from hashmatch.synthetic import picture

SEED = 10_700_000
SIDE = 400
SIZES = (256, 512, 1024, 2048, 4096)
RADIUS = 31
ALL = DecodePolicy(formats=("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"))

REDUCED = replace(ALL, reduced=True)

Front = Callable[[bytes], bytes]


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def _turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif)


def _with_alpha(image: Image.Image, *, hidden: bool) -> Image.Image:
    """Transparent round an ellipse; what lies beneath is noise if it is hidden, else white."""
    rng = np.random.default_rng(SEED)
    pixels = np.asarray(image).copy()
    y, x = np.mgrid[-1 : 1 : pixels.shape[0] * 1j, -1 : 1 : pixels.shape[1] * 1j]
    outside = x * x + y * y > 1.3
    pixels[outside] = rng.integers(0, 256, (int(outside.sum()), 3), dtype=np.uint8) if hidden else 255
    alpha = np.where(outside, 0, 255).astype(np.uint8)
    return Image.fromarray(np.dstack((pixels, alpha)))


def _on_white(image: Image.Image) -> Image.Image:
    """Give what a viewer shows of `_with_alpha` on white: white outside the ellipse."""
    return _with_alpha(image, hidden=False).convert("RGB")


def _deep(image: Image.Image) -> bytes:
    grey = np.asarray(image.convert("L")).astype(np.uint16)
    return _saved(Image.fromarray(grey * 257), "PNG")


def _decoded(samples: np.ndarray) -> np.ndarray:
    """Light of sRGB samples, both 0 to 1."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


INVERTING = made_profile(lambda samples: _decoded(1 - samples), SRGB)
LINEAR = made_profile(lambda samples: samples, SRGB)


def _linear(image: Image.Image) -> Image.Image:
    """Store light itself."""
    return Image.fromarray(np.rint(255 * _decoded(np.asarray(image) / 255)).astype(np.uint8))


FILES: Mapping[str, Callable[[Image.Image], bytes]] = {
    "PNG": lambda image: _saved(image, "PNG"),
    "PNG, grey": lambda image: _saved(image.convert("L"), "PNG"),
    "PNG, grey and alpha": lambda image: _saved(image.convert("LA"), "PNG"),
    "PNG, palette of 256": lambda image: _saved(image.quantize(256), "PNG"),
    "PNG, palette of 16": lambda image: _saved(image.quantize(16), "PNG"),
    "PNG, 16 bits grey": _deep,
    "PNG, alpha over white": lambda image: _saved(_with_alpha(image, hidden=False), "PNG"),
    "PNG, alpha over hidden noise": lambda image: _saved(_with_alpha(image, hidden=True), "PNG"),
    "GIF": lambda image: _saved(image, "GIF"),
    "JPEG, quality 90": lambda image: _saved(image, "JPEG", quality=90),
    "JPEG, quality 60, progressive": lambda image: _saved(image, "JPEG", quality=60, progressive=True),
    "JPEG, grey": lambda image: _saved(image.convert("L"), "JPEG", quality=90),
    "JPEG, CMYK": lambda image: _saved(image.convert("CMYK"), "JPEG", quality=90),
    "JPEG, EXIF turned": _turned,
    "WebP, quality 80": lambda image: _saved(image, "WEBP", quality=80),
    "WebP, lossless, alpha over white": lambda image: _saved(_with_alpha(image, hidden=False), "WEBP", lossless=True),
    "BMP": lambda image: _saved(image, "BMP"),
    "TIFF, LZW": lambda image: _saved(image, "TIFF", compression="tiff_lzw"),
    "TIFF, CMYK": lambda image: _saved(image.convert("CMYK"), "TIFF"),
    "JPEG, inverting profile": lambda image: _saved(ImageOps.invert(image), "JPEG", quality=90, icc_profile=INVERTING),
    "PNG, linear light": lambda image: _saved(_linear(image), "PNG", icc_profile=LINEAR),
    "AVIF, quality 70": lambda image: _saved(image, "AVIF", quality=70),
}


def ours(data: bytes) -> bytes:
    """Hash with hashmatch."""
    return hash_image(data, "pdq", decode=ALL).data


def reduced(data: bytes) -> bytes:
    """Hash with hashmatch, JPEG decoded at a reduced size."""
    return hash_image(data, "pdq", decode=REDUCED).data


def looks(data: bytes) -> list[bytes]:
    """Hash all that a search looks at in a file."""
    rasters = iter_rasters(data, replace(ALL, as_others=True))
    return [PDQHasher().hash_pixels(raster.pixels)[0].data for raster in rasters]


def converted(data: bytes) -> bytes:
    """Hash as clients do that have Pillow make RGB of whatever it is."""
    return _pdqhash(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def client(data: bytes) -> bytes:
    """Hash as clients of pdqhash do."""
    image = Image.open(io.BytesIO(data))
    if image.mode in ("LA", "I;16"):
        image = image.convert("RGB")
    return _pdqhash(np.asarray(image))


def squashed(data: bytes) -> bytes:
    """Hash as the reference's C++ program does: over 512 px, squashed to 512x512 by nearest neighbour."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return _pdqhash(np.asarray(image.resize((512, 512), Image.Resampling.NEAREST) if max(image.size) > 512 else image))


def thumbnail(data: bytes) -> bytes:
    """Hash as the reference's Python program does: a thumbnail that fits into 512x512."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.thumbnail((512, 512))
    return _pdqhash(np.asarray(image))


def _pdqhash(pixels: np.ndarray) -> bytes:
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return np.packbits(pdqhash.compute(pixels)[0]).tobytes()


def _distance(front: Front, data: bytes, truth: bytes) -> int | str:
    """Bits between a front end's hash and ours, or the name of what the front end threw."""
    try:
        value = front(data)
    except Exception as error:
        return type(error).__name__
    return (int.from_bytes(value) ^ int.from_bytes(truth)).bit_count()


def _nearest(looks: list[bytes], listed: Callable[[int], bytes], number: int) -> int | str:
    """Bits between what a client listed and the nearest of our looks, or the name of what the client threw."""
    try:
        value = int.from_bytes(listed(number))
    except Exception as error:
        return type(error).__name__
    return min((value ^ int.from_bytes(look)).bit_count() for look in looks)


def _row(found: list[int | str]) -> dict[str, Any]:
    bits = [value for value in found if isinstance(value, int)]
    errors = [value for value in found if isinstance(value, str)]
    return {
        "pictures": len(found),
        "median": statistics.median(bits) if bits else None,
        "largest": max(bits, default=None),
        "within": sum(value <= RADIUS for value in bits),
        "error": errors[0] if errors else None,
    }


def by_file(pictures: int) -> list[dict[str, Any]]:
    """Compare every kind of file with the plain PNG."""
    rows: list[dict[str, Any]] = []
    images = [Image.fromarray(picture("photo", SEED + i, (SIDE, SIDE * 3 // 4))) for i in range(pictures)]
    plain = [ours(FILES["PNG"](image)) for image in images]
    white = [ours(FILES["PNG"](_on_white(image))) for image in images]
    for kind, write in FILES.items():
        truths = white if "alpha over" in kind else plain
        files = [write(image) for image in images]
        for name, front in (("hashmatch", ours), ("pdqhash client", client)):
            found = [_distance(front, data, truth) for data, truth in zip(files, truths, strict=True)]
            rows.append({"kind": kind, "front": name, **_row(found)})
        seen = [looks(data) for data in files]
        lists: dict[str, Callable[[int], bytes]] = {
            "what is shown, from our nearest look": lambda i, truths=truths: truths[i],  # type: ignore[misc]
            "pdqhash client, from our nearest look": lambda i, files=files: client(files[i]),  # type: ignore[misc]
            'convert("RGB"), from our nearest look': lambda i, files=files: converted(files[i]),  # type: ignore[misc]
        }
        for name, listed in lists.items():
            rows.append(
                {"kind": kind, "front": name, **_row([_nearest(look, listed, i) for i, look in enumerate(seen)])}
            )
    return rows


def by_size(pictures: int, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Compare front ends that shrink with our hash of the whole picture."""
    rows: list[dict[str, Any]] = []
    fronts: dict[str, Front] = {
        "pdqhash client": client,
        "squash to 512x512": squashed,
        "thumbnail of 512": thumbnail,
        "hashmatch, reduced decode": reduced,
    }
    for side in sizes:
        images = [Image.fromarray(picture("photo", SEED + 500 + i, (side, side * 3 // 4))) for i in range(pictures)]
        files = [_saved(image, "JPEG", quality=85) for image in images]
        truths = [ours(data) for data in files]
        for name, front in fronts.items():
            found = [_distance(front, data, truth) for data, truth in zip(files, truths, strict=True)]
            rows.append({"kind": f"JPEG, {side} x {side * 3 // 4}", "front": name, **_row(found)})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of files, a pair of columns a front end."""
    fronts = list(dict.fromkeys(row["front"] for row in rows))
    lines = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        line = [kind]
        for front in fronts:
            row = next(row for row in rows if (row["kind"], row["front"]) == (kind, front))
            if row["median"] is None:
                line += [row["error"], "0 %"]
            else:
                line += [f"{row['median']:g}, {row['largest']}", f"{100 * row['within'] / row['pictures']:.0f} %"]
        lines.append(line)
    header = ["file", *(text for front in fronts for text in (f"{front}: median, largest", f"within {RADIUS}"))]
    return runner.markdown_table(header, lines)


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = options_of(__doc__, "two pictures: does it run?")
    parser.add_argument("--pictures", type=int, default=60, help="pictures of each kind of file")
    args = parser.parse_args()
    count, sizes = (2, SIZES[:2]) if args.quick else (args.pictures, SIZES)
    files, shrunk = by_file(count), by_size(min(count, 20), sizes)
    facts = runner.machine()
    facts |= {"pillow": Image.__version__, "pdqhash": str(pdqhash.__version__)}
    text = "\n\n".join(
        (
            "# Drift between front ends",
            runner.stated(facts) + f"; seed {SEED}.",
            f"Bits of 256, {count} synthetic photographs of {SIDE * 3 // 4} x {SIDE} px; against our hash of the "
            "plain twin. A name of an error is what the client threw.",
            table(files),
            f"{min(count, 20)} photographs a size, JPEG of quality 85; against our hash of the file as it is.",
            table(shrunk),
            f"Command: `python -m benchmarks drift --pictures {count}`.",
        )
    )
    keep(args, {"machine": facts, "files": files, "sizes": shrunk}, text)
