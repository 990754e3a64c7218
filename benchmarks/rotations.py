"""Pictures rotated by a few degrees, searched by evidence: recall, and evidence between unrelated pictures.

Recall: pictures rotated by 1, 2, 4 and random degrees, with filled corners and with the corners cut off, every other
one then resized to 70 % and saved as JPEG 60, in a list of some hundred thousand hashes of other pictures. Unrelated:
support and evidence that strangers reach against such lists, photographs, portraits, pictures of low texture and
template-heavy ones apart. Run with ``python -m benchmarks rotations --cache DIR --json FILE --markdown FILE``; about 40
minutes on one core, most of it making pictures, whose hashes and small forms the cache keeps. Tune on seeds from
7,500,000 and 7,700,000.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import runner
from benchmarks.crops import UNRELATED_SIZES, references
from hashmatch.hashers.base import Pixels
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.index.guided import GuidedIndex
from hashmatch.policy import MatchPolicy
from hashmatch.profiles import THOROUGH
from hashmatch.synthetic import edits, picture
from hashmatch.views.crops import guided_index
from hashmatch.views.rivals import RivalRule
from hashmatch.views.small import small_luma
from hashmatch.views.tilted import TiltedSearch

HASHER = PDQHasher()
SEED = 9_730_000
SIZES = ((384, 512), (512, 384), (448, 448), (360, 540), (480, 640))
SMALL_SIZES = ((144, 192), (192, 144), (168, 168))
FRAMES = {"grown": "black", "kept": "kept", "cut": "cut", "even": "even"}
"""Frames of `hashmatch.views.rotations`, and what makes them."""
TEMPLATES = ("document", "screenshot", "meme", "comic", "card")
LISTED = {
    "photo": (("portrait", 3_510_000, 8_000), ("portrait", 3_520_000, 8_000), ("low-texture", 3_530_000, 8_000)),
    "template": ((TEMPLATES, 3_020_000, 6_500), (TEMPLATES, 3_030_000, 6_500)),
}
"""Kinds, first seed and number of pictures, each in eight turns; beside 20,000 photographs for the first."""
STRANGERS = {
    "photo": (("photo",), 9_500_001, 20_499, UNRELATED_SIZES, "photo"),
    "portrait": (("portrait",), 8_600_000, 10_000, SMALL_SIZES, "photo"),
    "low-texture": (("low-texture",), 8_660_000, 6_000, SMALL_SIZES, "photo"),
    "template": (TEMPLATES, 8_650_000, 3_000, SMALL_SIZES, "template"),
}
"""Kinds, first seed, number, sizes, and the list they are looked up in."""
LEVELS = (-60, -50, -40, -30, -20, -10, 0, 10, 20, 30, 40, 50, 60, 70, 80)
POLICY: MatchPolicy = THOROUGH
_LOWEST = -60.0

Bytes = npt.NDArray[np.uint8]


def code_of(pixels: Pixels) -> Bytes:
    """Hash as bytes."""
    return np.frombuffer(HASHER.hash_pixels(pixels)[0].data, np.uint8)


def kept(folder: Path | None, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Make arrays, or take them from the cache."""
    path = None if folder is None else folder / f"{name}.npz"
    if path is None or not path.exists():
        made = make()
        if path is None:
            return made
        np.savez(path, **made)
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def turned_codes(kinds: str | Sequence[str], seed: int, count: int) -> Bytes:
    """Hashes of so many pictures in their eight turns, of quality 50 or more."""
    several = (kinds,) if isinstance(kinds, str) else kinds
    codes = []
    for number in range(count):
        pixels = picture(several[number % len(several)], seed + number, SMALL_SIZES[number // len(several) % 3])
        codes += [value.data for value, quality in HASHER.hash_turns(pixels).values() if quality >= 50]
    return np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)


def listed(name: str, scale: float, folder: Path | None) -> Bytes:
    """Hashes of the pictures of a list."""
    parts = [
        kept(
            folder,
            f"list-{seed}",
            lambda k=kinds, s=seed, c=count: {"codes": turned_codes(k, s, max(2, int(c * scale)))},
        )
        for kinds, seed, count in LISTED[name]
    ]
    if name == "photo":
        parts.append(kept(folder, "list-photographs", lambda: {"codes": references(int(20 * scale))}))
    return np.concatenate([part["codes"] for part in parts])


def recall(kind: str, count: int, seed: int, others: Bytes) -> list[dict[str, Any]]:
    """Find rotated pictures; the rows are by frame, angle and whether the picture was saved anew."""
    rng = np.random.default_rng(seed)
    whole = [picture(kind, seed + i, SIZES[i % 5]) for i in range(count)]
    codes = np.concatenate([np.stack([code_of(pixels) for pixels in whole]), others])
    index, search = guided_index(codes), TiltedSearch(min_evidence=0.0, rivals=RivalRule(full=len(codes)))
    anywhere = rng.uniform(-5.25, 5.25, count).tolist()
    angles: dict[str, list[float]] = {f"{turn} degrees": [turn * (-1) ** i for i in range(count)] for turn in (1, 2, 4)}
    angles["random, to 5.25 degrees"] = anywhere
    rows = []
    for frame, corners in FRAMES.items():
        for name, turns in angles.items():
            for anew in (False, True):
                plain, found, other, apart, millis = [], [], [], [], []
                for number in range(int(anew), count, 2):
                    query = edits.rotate(whole[number], turns[number], corners=corners)
                    query = edits.jpeg(edits.resize(query, 0.7), 60) if anew else query
                    plain.append(int(np.bitwise_count(code_of(query) ^ codes[number]).sum()))
                    small, start = small_luma(query), time.process_time()
                    items = search.search(small, query.shape[:2], index)
                    millis.append(1000 * (time.process_time() - start))
                    own = [item for item in items if item.position == number]
                    found.append(max([item.evidence for item in own], default=-1.0))
                    apart += [item.distance for item in own]
                    other.append(max([item.evidence for item in items if item.position != number], default=-1.0))
                rows.append(
                    {
                        "frame": frame,
                        "angle": name,
                        "saved_anew": anew,
                        "pictures": len(found),
                        "plain_31": float(np.mean(np.array(plain) <= 31)),
                        "recall": {level: float(np.mean(np.array(found) >= level)) for level in LEVELS if level >= 40},
                        "least_evidence": min(found),
                        "median_evidence": float(np.median(found)),
                        "median_distance": float(np.median(apart)) if apart else None,
                        "most_evidence_of_another_entry": max(other),
                        "cpu_ms": float(np.median(millis)),
                    }
                )
    return rows


def strangers(
    kinds: Sequence[str], seed: int, count: int, sizes: Sequence[tuple[int, int]]
) -> dict[str, npt.NDArray[Any]]:
    """Small forms, shapes and kinds of so many pictures, without those too plain to hash."""
    smalls, rows = [], []
    for number in range(count):
        kind, size = number % len(kinds), sizes[number // len(kinds) % 3]
        pixels = picture(kinds[kind], seed + number, size)
        if HASHER.hash_pixels(pixels)[1] >= 50:
            smalls.append(small_luma(pixels).astype(np.float16))
            rows.append((kind, *size))
    return {"smalls": np.array(smalls, np.float16).reshape(-1, 128, 128), "rows": np.array(rows, int).reshape(-1, 3)}


def judged(
    made: dict[str, npt.NDArray[Any]], index: GuidedIndex
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Find the most support, and the most evidence, that any entry has for each stranger; and the least distance."""
    # judged from far below what counts, and first without what rivals take
    proposer = TiltedSearch().proposer
    search = TiltedSearch(
        min_evidence=_LOWEST - 40,
        proposer=replace(proposer, min_start=_LOWEST, min_rival=_LOWEST),
        rivals=RivalRule(cost=0.0),
    )
    judge = TiltedSearch(min_evidence=_LOWEST, proposer=replace(proposer, min_start=-20.0))
    support = np.full(len(made["smalls"]), -np.inf)
    evidence, least = support.copy(), 256
    for number, (small, (_, height, width)) in enumerate(zip(made["smalls"], made["rows"].tolist(), strict=True)):
        grey, size = small.astype(np.float32), (height, width)
        for found in search.search(grey, size, index):
            support[number] = max(support[number], found.evidence)
            least = min(least, found.distance)
        if support[number] >= _LOWEST:
            evidence[number] = max([item.evidence for item in judge.search(grey, size, index)], default=-np.inf)
    return support, evidence, least


def counted(support: npt.NDArray[np.float64], evidence: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Count strangers by level; mean excess is how far the highest lie above the next on the mean."""
    ranked = np.sort(support)[::-1]
    return {
        "queries": len(support),
        "support": {level: int(np.count_nonzero(support >= level)) for level in LEVELS},
        "evidence": {level: int(np.count_nonzero(evidence >= level)) for level in LEVELS},
        "most_support": float(support.max(initial=_LOWEST)),
        "mean_excess": {
            n: float(np.mean(ranked[:n] - ranked[n])) for n in (10, 20, 40) if n < len(ranked) and ranked[n] >= _LOWEST
        },
    }


def unrelated(indexes: dict[str, GuidedIndex], folder: Path | None, most: int | None) -> dict[str, Any]:
    """Judge every set of strangers, kind by kind where it has several, and photographs and portraits half and half."""
    out: dict[str, Any] = {}
    halves = []
    for name, (kinds, seed, number, sizes, where) in STRANGERS.items():
        total = number if most is None else most
        made = kept(folder, f"strangers-{seed}", lambda k=kinds, s=seed, n=total, z=sizes: strangers(k, s, n, z))
        support, evidence, least = judged(made, indexes[where])
        out[name] = counted(support, evidence) | {"entries": len(indexes[where]), "least_distance": least}
        for at, kind in enumerate(kinds if len(kinds) > 1 else ()):
            own = made["rows"][:, 0] == at
            out[f"{name}: {kind}"] = counted(support[own], evidence[own]) | {"entries": len(indexes[where])}
        if name in ("photo", "portrait"):
            halves.append((support, evidence))
    each = min(len(support) for support, _ in halves)
    both = [np.concatenate([half[which][:each] for half in halves]) for which in (0, 1)]
    out["photo and portrait, half and half"] = counted(*both) | {"entries": len(indexes["photo"])}
    return out


def markdown(results: dict[str, Any]) -> str:
    """Write the tables."""
    parts = []
    shown = [level for level in LEVELS if level >= 50]
    for kind, rows in results["recall"].items():
        header = [f"{kind}, rotated", "pictures", "PDQ at 31", *(f"{level} nats" for level in shown)]
        header += ["least evidence", "median bits", "CPU ms"]
        body = [
            [
                f"{row['frame']}, {row['angle']}" + ", saved anew" * row["saved_anew"],
                str(row["pictures"]),
                f"{row['plain_31']:.0%}",
                *(f"{row['recall'][str(level)]:.0%}" for level in shown),
                f"{row['least_evidence']:.0f}" if row["least_evidence"] >= 0 else "under 0",
                "" if row["median_distance"] is None else f"{row['median_distance']:g}",
                f"{row['cpu_ms']:.1f}",
            ]
            for row in rows
        ]
        parts.append(runner.markdown_table(header, body))
    levels = [level for level in LEVELS if level >= -40]
    header = ["unrelated", "queries", "entries", *(str(level) for level in levels)]
    body = []
    for name, found in results["unrelated"].items():
        for what in ("support", "evidence"):
            counts = [f"{found[what][str(level)]:,}" for level in levels]
            body.append([f"{name}, {what} of at least", f"{found['queries']:,}", f"{found['entries']:,}", *counts])
    return "\n\n".join([*parts, runner.markdown_table(header, body)])


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=240, help="rotated photographs; of other kinds, half as many")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--cache", type=Path, help="folder for hashes and small forms between runs")
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--quick", action="store_true", help="few pictures: does it run?")
    args = parser.parse_args()
    count, scale = (4, 0.0) if args.quick else (args.pictures, 1.0)
    lists = {name: listed(name, scale, args.cache) for name in LISTED}
    results: dict[str, Any] = {"machine": runner.machine(), "seed": args.seed, "threshold": POLICY.rotation_evidence}
    results["recall"] = {
        kind: recall(kind, count if kind == "photo" else count // 2, args.seed, lists[name])
        for kind, name in (
            ("photo", "photo"),
            ("portrait", "photo"),
            ("document", "template"),
            ("screenshot", "template"),
        )
    }
    indexes = {name: guided_index(codes) for name, codes in lists.items()}
    results["unrelated"] = unrelated(indexes, args.cache, 10 if args.quick else None)
    results = json.loads(json.dumps(results))
    text = (
        "## Rotations\n\n"
        + ", ".join(f"{name}: {value}" for name, value in results["machine"].items())
        + f"; seed {args.seed}. Lists: {', '.join(f'{len(codes):,} hashes ({n})' for n, codes in lists.items())}.\n"
        + f"`profiles.THOROUGH` asks for {POLICY.rotation_evidence:g} nats. Command: `python -m benchmarks rotations`. "
        + "All pictures are synthetic; times are CPU time.\n\n"
        + markdown(results)
        + "\n"
    )
    print(text)
    if args.json:
        runner.save(args.json, json.dumps(results) + "\n")
    if args.markdown:
        runner.save(args.markdown, text)


if __name__ == "__main__":
    main()
