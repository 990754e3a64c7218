"""Pictures rotated by a few degrees, searched by evidence: recall, and evidence between unrelated pictures.

Recall: pictures rotated by 1, 2, 4 and random degrees, with filled corners and with the corners cut off, every other
one then resized to 70 % and saved as JPEG 60, in a list of a million hashes of other pictures. Unrelated:
support and evidence that strangers reach against such lists, photographs, portraits, pictures of low texture and
template-heavy ones apart. Run with ``python -m benchmarks rotations --cache DIR --json FILE --markdown FILE``; about 40
minutes on one core, most of it making pictures, whose hashes and small forms the cache keeps. Tune on seeds from
7,500,000 and 7,700,000.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.errors import evidence
from benchmarks.errors.evidence import LOWEST, Look, counted, joined, kept
from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from benchmarks.quality.crops import UNRELATED_SIZES, references
from hashmatch.hashers.base import Pixels
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.index.probing import GuidedIndex
from hashmatch.policy import MatchPolicy
from hashmatch.profiles import THOROUGH
from hashmatch.synthetic import edits, picture
from hashmatch.views.crops import guided_index
from hashmatch.views.evidence.cohort import RivalRule, kin_of, rivals_of
from hashmatch.views.small import small_luma
from hashmatch.views.small_rotations import TiltedSearch

HASHER = PDQHasher()
SEED = 9_730_000
SIZES = ((384, 512), (512, 384), (448, 448), (360, 540), (480, 640))
SMALL_SIZES = ((144, 192), (192, 144), (168, 168))
FRAMES = {"grown": "black", "kept": "kept", "cut": "cut", "even": "even"}
"""Frames of `hashmatch.views.evidence.tilt_views`, and what makes them."""
TEMPLATES = ("document", "screenshot", "meme", "comic", "card")
LISTED = {
    "photo": (("portrait", 3_510_000, 8_000), ("portrait", 3_520_000, 8_000), ("low-texture", 3_530_000, 8_000)),
    "template": ((TEMPLATES, 3_020_000, 6_500), (TEMPLATES, 3_030_000, 6_500)),
}
"""Kinds, first seed and number of pictures, each in eight turns; beside a million of photographs for the first."""
STRANGERS = {
    "photo": (("photo",), 9_500_001, 20_499, UNRELATED_SIZES, "photo"),
    "photo, second sample": (("photo",), 9_900_000, 20_500, UNRELATED_SIZES, "photo"),
    "portrait": (("portrait",), 8_600_000, 10_000, SMALL_SIZES, "photo"),
    "portrait, second sample": (("portrait",), 8_700_000, 6_000, SMALL_SIZES, "photo"),
    "low-texture": (("low-texture",), 8_660_000, 6_000, SMALL_SIZES, "photo"),
    "template": (TEMPLATES, 8_650_000, 3_000, SMALL_SIZES, "template"),
}
"""Kinds, first seed, number, sizes, and the list they are looked up in."""
LEVELS = (10, 20, 30, 40, 50, 60, 70, 80)
MOST_KEPT = 8
MOST_LISTED = 1_000_000
POLICY: MatchPolicy = THOROUGH

Bytes = npt.NDArray[np.uint8]


def code_of(pixels: Pixels) -> Bytes:
    """Hash as bytes."""
    return np.frombuffer(HASHER.hash_pixels(pixels)[0].data, np.uint8)


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
        parts.append(kept(folder, "list-photographs", lambda: {"codes": references(int(126 * scale))[:MOST_LISTED]}))
    return np.concatenate([part["codes"] for part in parts])


def recall(kind: str, count: int, seed: int, others: Bytes) -> list[dict[str, Any]]:
    """Find rotated pictures; the rows are by frame, angle and whether the picture was saved anew."""
    rng = np.random.default_rng(seed)
    whole = [picture(kind, seed + i, SIZES[i % 5]) for i in range(count)]
    codes = np.concatenate([np.stack([code_of(pixels) for pixels in whole]), others])
    index, search = guided_index(codes), TiltedSearch(min_evidence=0.0)
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
                        "recall": {level: float(np.mean(np.array(found) >= level)) for level in LEVELS},
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


def judged(made: dict[str, npt.NDArray[Any]], index: GuidedIndex) -> tuple[Look, npt.NDArray[np.int64]]:
    """Look strangers up; beside what their best entries say, the kind of each stranger."""
    plain = TiltedSearch()
    search = replace(plain, min_evidence=LOWEST, rivals=RivalRule(cost=0.0))
    rows = []
    for number, (small, (_, height, width)) in enumerate(zip(made["smalls"], made["rows"].tolist(), strict=True)):
        grey, size = small.astype(np.float32), (height, width)
        items = search.search(grey, size, index)
        if not items:
            continue
        _, proposed = plain.proposals(grey, size, index)
        places = {position: place for place, position in enumerate(proposed.positions.tolist())}
        for item in items[:MOST_KEPT]:
            rivals = rivals_of(proposed.bits, places[item.position])
            rows.append((number, item.evidence, rivals, kin_of(index, item.position, plain.rivals.kin)))
    of, nats, rivals, kin = np.array(rows, float).reshape(-1, 4).T
    look = Look(queries=len(made["smalls"]), of=of.astype(np.int64), support=nats, rivals=rivals, kin=kin)
    return look, made["rows"][:, 0]


def only(look: Look, kept: npt.NDArray[np.bool_]) -> Look:
    """Keep some of the queries."""
    rows = kept[look.of]
    renumbered = np.cumsum(kept) - 1
    return Look(
        queries=int(kept.sum()),
        of=renumbered[look.of[rows]],
        support=look.support[rows],
        rivals=look.rivals[rows],
        kin=look.kin[rows],
    )


def unrelated(indexes: dict[str, GuidedIndex], folder: Path | None, most: int | None) -> dict[str, Any]:
    """Judge every set of strangers, kind by kind where it has several, and photographs and portraits half and half."""
    out: dict[str, Any] = {}
    rule = TiltedSearch().rivals
    natural: dict[str, list[Look]] = {"photo": [], "portrait": []}
    for name, (kinds, seed, number, sizes, where) in STRANGERS.items():
        total = number if most is None else most
        made = kept(folder, f"strangers-{seed}", lambda k=kinds, s=seed, n=total, z=sizes: strangers(k, s, n, z))
        look, of = judged(made, indexes[where])
        out[name] = counted(look, len(indexes[where]), rule)
        for at, kind in enumerate(kinds if len(kinds) > 1 else ()):
            out[f"{name}: {kind}"] = counted(only(look, of == at), len(indexes[where]), rule)
        if len(kinds) == 1 and kinds[0] in natural:
            natural[kinds[0]].append(look)
    halves = [joined(looks) for looks in natural.values()]
    fewest = min(half.queries for half in halves)
    both = joined([only(half, np.arange(half.queries) < fewest) for half in halves])
    out["photo and portrait, half and half"] = counted(both, len(indexes["photo"]), rule)
    return out


def markdown(results: dict[str, Any]) -> str:
    """Write the tables."""
    parts = []
    shown = LEVELS[1:-1]
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
    levels = [level for level in evidence.LEVELS if level >= -40]
    header = ["unrelated, of at least so many nats", "queries", "entries", *(f"{level:g}" for level in levels)]
    body = [
        [
            name,
            f"{found['queries']:,}",
            f"{found['entries']:,}",
            *(f"{found['over'][str(level)]:,}" for level in levels),
        ]
        for name, found in results["unrelated"].items()
    ]
    parts.append(runner.markdown_table(header, body))
    header = ["a picture, expected", "entries", *(f"{level:g}" for level in levels)]
    body = [
        [name, f"{int(size):,}", *(f"{rates[str(level)]:.0e}" for level in levels)]
        for name, found in results["unrelated"].items()
        for size, rates in [(found["entries"], found["rates"]), *found["thinned"].items()]
    ]
    return "\n\n".join([*parts, runner.markdown_table(header, body)])


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = options_of(__doc__, "few pictures: does it run?")
    parser.add_argument("--pictures", type=int, default=240, help="rotated photographs; of other kinds, half as many")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--cache", type=Path, help="folder for hashes and small forms between runs")
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
        + runner.stated(results["machine"])
        + f"; seed {args.seed}. Lists: {', '.join(f'{len(codes):,} hashes ({n})' for n, codes in lists.items())}.\n"
        + f"`profiles.THOROUGH` asks for {POLICY.rotation_evidence:g} nats. Command: `python -m benchmarks rotations`. "
        + "All pictures are synthetic; times are CPU time.\n\n"
        + markdown(results)
        + "\n"
    )
    keep(args, results, text)
