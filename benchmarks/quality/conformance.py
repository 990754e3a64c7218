"""PDQ beside the reference, pdqhash: differing bits, and what turning by signs costs.

Run ``python -m benchmarks conformance``. Both hash the same RGB arrays. The first table also shows what would differ if
the reference's own arithmetic were never repeated. The second compares the reference's turned hashes, and those of
`PDQHasher.hash_turns`, with the hash of the turned pixels.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import pdqhash

from benchmarks.frame import runner
from benchmarks.speed.ties import PLAIN, SMOOTH, is_judged
from hashmatch.hashers import PDQHasher
from hashmatch.hashers.base import Pixels, turned
from hashmatch.hashes import HashValue, distance
from hashmatch.synthetic import picture
from hashmatch.view import Turn

SEED: Final = 9_895_000
KINDS: Final = ("photo", "portrait", "low-texture", "document", "screenshot", "meme", "comic", "card")
SIDES: Final = (16, 400)
TURNED: Final = ((256, 256), (512, 512), (200, 260), (1000, 1500), (600, 800), (320, 576))
BY_SIGNS: Final = {Turn.MIRROR: 5, Turn.ROTATE_180: 2}  # place of each in the reference's list


def _value(bits: Any) -> HashValue:
    return HashValue("pdq", np.packbits(bits).tobytes())


def _noise(rng: np.random.Generator, height: int, width: int) -> Pixels:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _flat(rng: np.random.Generator, height: int, width: int) -> Pixels:
    return np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (height, width, 3)).copy()


def _stripes(rng: np.random.Generator, height: int, width: int) -> Pixels:
    levels = np.repeat(rng.integers(0, 256, (1, -(-width // 9), 3), dtype=np.uint8), 9, axis=1)[:, :width]
    return np.broadcast_to(levels, (height, width, 3)).copy()


PATTERNS: Final = {"noise": _noise, "flat": _flat, "stripes": _stripes, **PLAIN, **SMOOTH}


def made(number: int) -> Pixels:
    """Make one picture of the varied set: sides are spread evenly in their logarithm."""
    rng = np.random.default_rng(SEED + number)
    height, width = np.exp(rng.uniform(*np.log(SIDES), 2)).astype(int).tolist()
    names = (*KINDS, *PATTERNS)
    name = names[number % len(names)]
    if name in KINDS:
        return picture(name, SEED + number, (max(height, 32), max(width, 32)))
    return PATTERNS[name](rng, max(height, 16), max(width, 16))


def conformance(pictures: int) -> dict[str, dict[str, int]]:
    """Count differing bits and qualities by quality."""
    hasher, quick = PDQHasher(), PDQHasher(exact=False)
    found: dict[str, Counter[str]] = {"50 and more": Counter(), "under 50": Counter()}
    for number in range(pictures):
        pixels = np.ascontiguousarray(made(number))
        bits, quality = pdqhash.compute(pixels)
        expected, (value, own), (alone, _) = _value(bits), hasher.hash_pixels(pixels), quick.hash_pixels(pixels)
        row = found["50 and more" if quality >= 50 else "under 50"]
        row["pictures"] += 1
        row["bits"] += distance(value, expected)
        row["qualities"] += own != quality
        row["judged"] += is_judged(hasher, pixels)
        row["pictures off by exact arithmetic alone"] += alone != expected
        row["bits off by exact arithmetic alone"] += distance(alone, expected)
    return {name: dict(row) for name, row in found.items()}


def by_turn(pictures: int, sizes: tuple[tuple[int, int], ...]) -> list[dict[str, Any]]:
    """Bits between turned hashes and the hash of the turned pixels, of photographs."""
    hasher, rows = PDQHasher(), []
    for size in sizes:
        apart: dict[str, list[int]] = {f"{who}, {turn.name}": [] for turn in BY_SIGNS for who in ("reference", "own")}
        for number in range(pictures):
            pixels = np.ascontiguousarray(picture("photo", SEED + 10_000 + number, size))
            signs, turns = pdqhash.compute_dihedral(pixels)[0], hasher.hash_turns(pixels)
            for turn, place in BY_SIGNS.items():
                true = hasher.hash_pixels(turned(pixels, turn))[0]
                apart[f"reference, {turn.name}"].append(distance(_value(signs[place]), true))
                apart[f"own, {turn.name}"].append(distance(turns[turn][0], true))
        bits = {name: {"median": statistics.median(found), "most": max(found)} for name, found in apart.items()}
        rows.append({"height": size[0], "width": size[1], "pictures": pictures, "bits": bits})
    return rows


def conformance_table(result: dict[str, Any]) -> str:
    """Write differing bits by quality."""
    names = ("pictures", "bits", "qualities", "judged")
    alone = ("pictures off by exact arithmetic alone", "bits off by exact arithmetic alone")
    rows = [
        [quality, *(f"{row[name]:,}" for name in names), "; ".join(f"{row[name]:,}" for name in alone)]
        for quality, row in result["conformance"].items()
    ]
    header = ["quality", "pictures", "differing bits", "different qualities", "arithmetic repeated"]
    return runner.markdown_table([*header, "exact arithmetic alone: pictures with differing bits; bits"], rows)


def turns_table(result: dict[str, Any]) -> str:
    """Write how far the reference's turned hashes lie from those of turned pixels, and the most of ours."""
    rows = []
    for row in result["turns"]:
        bits = row["bits"]
        cells = [f"{bits[name]['median']:g} ({bits[name]['most']})" for name in bits if name.startswith("reference")]
        most = max(found["most"] for name, found in bits.items() if name.startswith("own"))
        rows.append([f"{row['height']} rows, {row['width']} columns", *cells, str(most)])
    return runner.markdown_table(["size", "by signs: mirrored", "by signs: half turn", "`hash_turns`, most"], rows)


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--quick", action="store_true", help="few pictures, one size")
    options = parser.parse_args()
    pictures, sizes = (40, TURNED[:1]) if options.quick else (1000, TURNED)
    result = {
        "machine": runner.machine(),
        "seed": SEED,
        "conformance": conformance(pictures),
        "turns": by_turn(2 if options.quick else 25, sizes),
    }
    machine = ", ".join(f"{name}: {value}" for name, value in result["machine"].items())
    text = "\n\n".join(
        (
            f"# PDQ beside pdqhash\n\n{machine}. Seeds from {SEED:,}. Command: `python -m benchmarks conformance`.",
            f"{pictures:,} pictures of {SIDES[0]} to {SIDES[1]} px a side:",
            conformance_table(result),
            "Bits between a turned hash and the hash of the turned pixels, median (most), of photographs:",
            turns_table(result),
        )
    )
    print(text)
    if options.json:
        runner.save(options.json, json.dumps(result) + "\n")
    if options.markdown:
        runner.save(options.markdown, text + "\n")


if __name__ == "__main__":
    main()
