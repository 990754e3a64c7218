"""Trims: recall by border, kind of picture and what was done afterwards; needless trims; cost by size of picture.

Every framed picture is recoded in four ways: not at all, as JPEG 75, as JPEG 50, and at half the size as JPEG 75. A
match is a PDQ distance of at most 31 between a trim and the picture before it was framed. Beside it stand how often the
first trim alone matches, and how often the true box does, which nobody has: what recoding and halving cost. The
thinnest frames hardly move the hash; for those a match of the untrimmed picture counts too. Nothing was tuned on the
seeds used here. Run with ``python -m benchmarks trims``; about ten minutes on one core.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import machine, markdown_table
from hashmatch.hashers.base import Pixels
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.hashes import HashValue, distance
from hashmatch.picture import encode
from hashmatch.synthetic import KINDS, edits, picture
from hashmatch.views.trims import find_trims

HASHER = PDQHasher()
RADIUS: Final = 31
SEED: Final = 90_000
SIZES: Final = ((384, 512), (512, 384), (448, 448), (256, 256))
FRAMED: Final = ("photo", "portrait", "comic", "meme", "document")
FILLS: Final = ("black", "white", "colour", "gradient", "blurred", "noisy")
AFTER: Final[dict[str, Callable[[Pixels], Pixels]]] = {
    "as it is": lambda pixels: pixels,
    "JPEG 75": lambda pixels: edits.jpeg(pixels, 75),
    "JPEG 50": lambda pixels: edits.jpeg(pixels, 50),
    "half, JPEG 75": lambda pixels: edits.jpeg(edits.resize(pixels, 0.5), 75),
}


def frames() -> dict[str, tuple[Callable[[Pixels], Pixels], Callable[[Pixels, Pixels], tuple[float, ...]]]]:
    """Every edit by name, and where it puts the picture: left, top, width and height as shares of the result."""
    made: dict[str, Any] = {}
    for fill in FILLS:
        for share in (0.05, 0.1, 0.25):
            whole = 1 + 2 * share
            made[f"border, {fill}, {share:.0%}"] = (
                lambda pixels, share=share, fill=fill: edits.border(pixels, share, fill),
                lambda *_, share=share, whole=whole: (share / whole, share / whole, 1 / whole, 1 / whole),
            )
            made[f"letterbox, {fill}, {share:.0%}"] = (
                lambda pixels, share=share, fill=fill: edits.letterbox(pixels, share, fill),
                lambda *_, share=share, whole=whole: (0, share / whole, 1, 1 / whole),
            )
        if fill in ("gradient", "blurred"):
            made[f"pillarbox, {fill}, 10%"] = (
                lambda pixels, fill=fill: edits.transpose(edits.letterbox(edits.transpose(pixels), 0.1, fill)),
                lambda *_: (0.1 / 1.2, 0, 1 / 1.2, 1),
            )
    made["caption band, 20%"] = (lambda p: edits.caption_band(p, 0.2), lambda *_: (0, 1 / 6, 1, 5 / 6))
    for dark in (False, True):
        made[f"phone screen, {'dark' if dark else 'light'}"] = (
            lambda pixels, dark=dark: edits.phone_screenshot(pixels, 540, dark=dark),
            on_the_phone,
        )
    return made | {name: _painted(sides, ground) for name, (sides, ground) in OTHERS.items()} | _nested()


Sides = tuple[float, float, float, float]
OTHERS: Final[dict[str, tuple[Sides, str]]] = {
    "thin frame, black, 1%": ((0.01,) * 4, "black"),
    "thin frame, white, 2%": ((0.02,) * 4, "white"),
    "one side, black, 12%": ((0.12, 0.0, 0.0, 0.0), "black"),
    "one side, white, 12%": ((0.0, 0.0, 0.0, 0.12), "white"),
    "unequal, black": ((0.04, 0.2, 0.09, 0.15), "black"),
    "unequal, white": ((0.2, 0.03, 0.12, 0.07), "white"),
    "random colour, 8%": ((0.08,) * 4, "random"),
    "colour 12 levels from the picture's rim": ((0.1,) * 4, "near"),
    "grainy grey, 10%": ((0.1,) * 4, "grainy"),
    "gradient along a diagonal, 10%": ((0.1,) * 4, "diagonal"),
    "rounded corners, 8%": ((0.08,) * 4, "rounded"),
    "words below, white, 8 and 20%": ((0.08, 0.08, 0.08, 0.2), "words"),
    "blurred, its shape kept, darkened, above and below, 20%": ((0.0, 0.2, 0.0, 0.2), "zoomed"),
    "blurred, its shape kept, darkened, at the sides, 30%": ((0.3, 0.0, 0.3, 0.0), "zoomed"),
}


def _painted(sides: Sides, ground: str) -> tuple[Callable[[Pixels], Pixels], Callable[[Pixels, Pixels], Sides]]:
    """Make an edit that pads by shares of the picture at the left, top, right and bottom, and say where it puts it."""
    left, top, right, bottom = sides
    wide, tall = 1 + left + right, 1 + top + bottom

    def frame(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        x, y = round(left * width), round(top * height)
        out = paint(pixels, (height + y + round(bottom * height), width + x + round(right * width)), ground)
        inner = round_corners(pixels, out[0, 0]) if ground == "rounded" else pixels
        out[y : y + height, x : x + width] = inner
        return out

    return frame, lambda *_: (left / wide, top / tall, 1 / wide, 1 / tall)


def paint(pixels: Pixels, shape: tuple[int, int], ground: str) -> Pixels:
    """Paint what lies round a picture; what is random depends on the picture."""
    random = np.random.default_rng(int(pixels.sum()))
    out = np.zeros((*shape, 3))
    if ground in ("white", "rounded", "words"):
        out[:] = 255.0
    elif ground == "random":
        out[:] = random.integers(0, 256, 3)
    elif ground == "near":
        rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).mean(axis=0)
        out[:] = rim + random.choice([-12.0, 12.0], 3)
    elif ground == "grainy":
        out[:] = random.normal(random.uniform(30.0, 225.0), 6.0, out.shape)
    elif ground == "diagonal":
        one, other = random.uniform(20.0, 235.0, (2, 3))
        across, down = np.linspace(0.0, 0.5, shape[1])[None, :, None], np.linspace(0.0, 0.5, shape[0])[:, None, None]
        out[:] = one + (other - one) * (across + down)
    elif ground == "zoomed":
        # as players fill a screen: the picture enlarged until it covers all, blurred and darkened
        scale = max(shape[0] / pixels.shape[0], shape[1] / pixels.shape[1])
        large = encode.resize(
            edits.thumbnail(pixels, 20), tuple(math.ceil(scale * side) for side in pixels.shape[:2]), filter="bicubic"
        )
        y, x = ((has - wanted) // 2 for has, wanted in zip(large.shape[:2], shape, strict=True))
        out[:] = 0.7 * large[y : y + shape[0], x : x + shape[1]]
    painted = np.clip(out, 0, 255).round().astype(np.uint8)
    if ground == "words":
        band = round(0.13 * len(painted))
        painted[-band:] = 255 - edits.watermark(255 - painted[-band:], 0.4)
    return painted


def round_corners(pixels: Pixels, colour: Pixels) -> Pixels:
    """Round the corners by 6 % of the shorter side."""
    out = pixels.copy()
    radius = round(0.06 * min(pixels.shape[:2]))
    place = np.arange(radius) - radius + 0.5
    outside = np.hypot(place[:, None], place) > radius
    for corner in (out, out[:, ::-1], out[::-1], out[::-1, ::-1]):
        corner[:radius, :radius][outside] = colour
    return out


def _nested() -> dict[str, Any]:
    """Borders inside borders."""
    bars, bars_at = _painted((0.0, 0.1, 0.0, 0.1), "black")
    mat, mat_at = _painted((0.06,) * 4, "white")
    rim, rim_at = _painted((0.03,) * 4, "black")

    def place(inner: Any, outer: Any) -> Callable[[Pixels, Pixels], tuple[float, ...]]:
        def of(pixels: Pixels, framed: Pixels) -> tuple[float, ...]:
            x, y, wide, tall = inner(pixels, framed)
            left, top, width, height = outer(pixels, framed)
            return left + x * width, top + y * height, wide * width, tall * height

        return of

    return {
        "white mat in a black frame": (lambda pixels: rim(mat(pixels)), place(mat_at, rim_at)),
        "caption band on a letterbox": (
            lambda pixels: edits.caption_band(bars(pixels), 0.2),
            place(bars_at, lambda *_: (0, 1 / 6, 1, 5 / 6)),
        ),
        "phone screen with a framed picture": (
            lambda pixels: edits.phone_screenshot(mat(pixels), 540, dark=True),
            place(mat_at, lambda pixels, screen: on_the_phone(mat(pixels), screen)),
        ),
    }


def on_the_phone(pixels: Pixels, screen: Pixels) -> tuple[float, ...]:
    """Place of the picture on the phone's screen."""
    tall, wide = screen.shape[:2]
    scale = min(wide / pixels.shape[1], 0.72 * tall / pixels.shape[0])
    width = round(pixels.shape[1] * scale)
    return (wide - width) // 2 / wide, round(0.11 * tall) / tall, width / wide, round(pixels.shape[0] * scale) / tall


def look(pixels: Pixels, target: HashValue) -> int:
    """PDQ distance to the original."""
    return distance(HASHER.hash_pixels(pixels)[0], target)


def recall(pictures: int) -> list[dict[str, Any]]:
    """Measure recall by edit, kind and what came after."""
    rows: list[dict[str, Any]] = []
    for kind in FRAMED:
        originals = [picture(kind, SEED + number, SIZES[number % len(SIZES)]) for number in range(pictures)]
        targets = [HASHER.hash_pixels(pixels)[0] for pixels in originals]
        for name, (frame, place) in frames().items():
            counts = {after: Counter[str]() for after in AFTER}
            for pixels, target in zip(originals, targets, strict=True):
                framed = frame(pixels)
                x, y, wide, tall = place(pixels, framed)
                for after, change in AFTER.items():
                    query = change(framed)
                    height, width = query.shape[:2]
                    looks = [look(trim.crop(query), target) <= RADIUS for trim in find_trims(query)]
                    untrimmed = name.startswith("thin") and look(query, target) <= RADIUS
                    left, top = round(x * width), round(y * height)
                    true = query[top : round((y + tall) * height), left : round((x + wide) * width)]
                    counts[after].update(
                        found=any(looks) or untrimmed,
                        first=any(looks[:1]),
                        true=look(true, target) <= RADIUS,
                        views=len(looks),
                    )
            rows += [{"edit": name, "kind": kind, "after": after, **count} for after, count in counts.items()]
    return [{**row, "of": pictures} for row in rows]


def needless(pictures: int) -> list[dict[str, Any]]:
    """Count pictures without an added border that are trimmed, and their trims."""
    rows = []
    for kind in KINDS:
        trims = []
        for number in range(pictures):
            pixels = picture(kind, SEED + 10_000 + number, SIZES[number % len(SIZES)])
            trims.append(find_trims(edits.jpeg(pixels, 85) if number % 2 else pixels))
        kinds = Counter[str](trim.kind for found in trims for trim in found)
        row: dict[str, Any] = {"kind": kind, "of": pictures}
        rows.append({**row, "trimmed": sum(map(bool, trims)), "views": sum(map(len, trims)), **kinds})
    return rows


def costs() -> list[dict[str, Any]]:
    """Time trims of a picture without a border, with one of each sort, and on a phone."""
    rows = []
    base = picture("photo", SEED, (1024, 1024))
    for side in (256, 1024, 3464):
        pixels = edits.resize(base, side / 1024)
        inner = edits.resize(base, side / 1024 / 1.3)
        sorts = {
            "no border": pixels,
            "black border": edits.border(inner, 0.15),
            "blurred border": edits.border(inner, 0.15, "blurred"),
            "phone": edits.phone_screenshot(base, min(4096, round(side / 1.47))),
        }
        for name, query in sorts.items():
            taken = []
            for _ in range(15):
                start = time.process_time()
                find_trims(query)
                taken.append(1e3 * (time.process_time() - start))
            rows.append({"picture": name, "pixels": query.shape[0] * query.shape[1], "ms": statistics.median(taken)})
    return rows


def _share(part: int, of: int) -> str:
    return f"{100 * part / of:.1f}"


def _total(rows: list[dict[str, Any]], key: str, **where: str) -> tuple[int, int]:
    chosen = [row for row in rows if all(row[name] == value for name, value in where.items())]
    return sum(row.get(key, 0) for row in chosen), sum(row["of"] for row in chosen)


def report(result: dict[str, Any]) -> str:
    """Write the tables."""
    rows, parts = (
        result["recall"],
        ["# Trims", f"`{json.dumps(result['machine'])}`", (__doc__ or "").partition("\n\n")[2]],
    )
    names = list(dict.fromkeys(row["edit"] for row in rows))
    for kind in FRAMED:
        each = result["pictures"]
        parts.append(f"## {kind}: recall, %, of {each} pictures; last columns over all four, so of {4 * each}")
        table = []
        for name in names:
            line = [_share(*_total(rows, "found", edit=name, kind=kind, after=after)) for after in AFTER]
            line += [_share(*_total(rows, key, edit=name, kind=kind)) for key in ("found", "first", "true")]
            views, of = _total(rows, "views", edit=name, kind=kind)
            table.append([name, *line, f"{views / of:.1f}"])
        header = ["edit", *AFTER, "all", "first trim alone", "true box", "trims a picture"]
        parts.append(markdown_table(header, table))
    parts.append("## Pictures that nobody framed")
    parts.append("Those but photos, portraits and low-texture have margins, bands and bars of their own.")
    table = [
        [row["kind"], str(row["of"]), _share(row["trimmed"], row["of"]), f"{row['views'] / row['of']:.2f}"]
        for row in result["needless"]
    ]
    parts.append(markdown_table(["kind", "pictures", "trimmed, %", "trims a picture"], table))
    parts.append("## Cost, CPU time, median of 15, one thread")
    table = [[row["picture"], f"{row['pixels'] / 1e6:.2f}", f"{row['ms']:.1f}"] for row in result["costs"]]
    parts.append(markdown_table(["picture", "megapixels", "ms"], table))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "one picture of each kind: does it run?")
    parser.add_argument("--pictures", type=int, default=16, help="pictures of each kind that are framed")
    parser.add_argument("--unframed", type=int, default=150, help="pictures of each kind that are not")
    options = parser.parse_args()
    framed, unframed = (1, 1) if options.quick else (options.pictures, options.unframed)
    np.seterr(all="raise", under="ignore")
    result = {
        "machine": machine(),
        "seed": SEED,
        "pictures": framed,
        "costs": costs(),
        "recall": recall(framed),
        "needless": needless(unframed),
    }
    keep(options, result, report(result))
