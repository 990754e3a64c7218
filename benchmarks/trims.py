"""Trims: recall by border, kind of picture and what was done afterwards; needless trims; cost by size of picture.

Every framed picture is recoded in four ways: not at all, as JPEG 75, as JPEG 50, and at half the size as JPEG 75. A
match is a PDQ distance of at most 31 between a trim and the picture before it was framed. Beside it stand how often the
first trim alone matches, and how often the true box does, which nobody has: what recoding and halving cost. Run with
``python -m benchmarks.trims``; about ten minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.runner import machine, markdown_table, save
from hashmatch.hashers.base import Pixels
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.hashes import HashValue, distance
from hashmatch.synthetic import KINDS, edits, picture
from hashmatch.views.trims import find_trims

HASHER = PDQHasher()
RADIUS: Final = 31
SEED: Final = 70_000
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
    made["caption band, 20%"] = (lambda p: edits.caption_band(p, 0.2), lambda *_: (0, 1 / 6, 1, 5 / 6))
    for dark in (False, True):
        made[f"phone screen, {'dark' if dark else 'light'}"] = (
            lambda pixels, dark=dark: edits.phone_screenshot(pixels, 540, dark=dark),
            on_the_phone,
        )
    return made


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
                    left, top = round(x * width), round(y * height)
                    true = query[top : round((y + tall) * height), left : round((x + wide) * width)]
                    counts[after].update(
                        found=any(looks), first=any(looks[:1]), true=look(true, target) <= RADIUS, views=len(looks)
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
        kinds = Counter(trim.kind for found in trims for trim in found)
        rows.append(
            {"kind": kind, "of": pictures, "trimmed": sum(map(bool, trims)), "views": sum(map(len, trims)), **kinds}
        )
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
                start = time.perf_counter()
                find_trims(query)
                taken.append(1e3 * (time.perf_counter() - start))
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
    parts.append("## Cost, median of 15, one thread")
    table = [[row["picture"], f"{row['pixels'] / 1e6:.2f}", f"{row['ms']:.1f}"] for row in result["costs"]]
    parts.append(markdown_table(["picture", "megapixels", "ms"], table))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=32, help="pictures of each kind that are framed")
    parser.add_argument("--unframed", type=int, default=300, help="pictures of each kind that are not")
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--quick", action="store_true", help="one picture of each kind: does it run?")
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
    print(report(result))
    if options.json:
        save(options.json, json.dumps(result) + "\n")
    if options.markdown:
        save(options.markdown, report(result))


if __name__ == "__main__":
    main()
