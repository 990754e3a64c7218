"""Producers' pre-shrinks, and tails between unrelated pictures: ``python -m benchmarks views``.

Shrinks: how far lists made by other front ends lie from the plain hash and from the shrunk views. Tails (``--tails``,
about half an hour): pairs of unrelated pictures within a distance, by kind of view. Tune on seeds from 7,500,000.
Rotations are measured by ``python -m benchmarks rotations``. A ``--json`` file that is there
keeps the tables that this run does not measure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch import profiles
from hashmatch.hashers.base import Pixels
from hashmatch.hashers.facade import PICTURE_HASHERS
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.index import LinearIndex
from hashmatch.picture import encode
from hashmatch.synthetic import edits, picture
from hashmatch.views.shrinks import shrunk_views, squashed
from hashmatch.views.trims import find_trims

HASHER = PDQHasher()
SEED, QUERY_SEED = 7_600_000, 7_800_000
SIZES = ((320, 320), (288, 384), (384, 288), (270, 400), (480, 640))
LARGE = ((600, 800), (900, 1200), (1500, 2000), (2250, 3000))
TAIL_SIZES = ((144, 192), (192, 144), (168, 168))
SHRINKING_SIZES = ((480, 640), (640, 480), (560, 560))
GROUPS = {
    "photo-like": ("photo", "portrait", "low-texture"),
    "template-heavy": ("document", "screenshot", "meme", "comic", "card"),
}
FARTHEST = {"photo-like": 66, "template-heavy": 58}
RADIUS = 31


def code_of(pixels: Pixels) -> np.ndarray:
    """Hash as bytes."""
    return np.frombuffer(HASHER.hash_pixels(pixels)[0].data, np.uint8)


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Differing bits."""
    return np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64)


def shrinks(kind: str, count: int, seed: int) -> list[dict[str, Any]]:
    """How far lists of other front ends lie, and what the views win, after saving and resizing."""
    fronts: dict[str, Callable[[Pixels], Pixels]] = {
        "512 x 512, nearest as CImg": squashed,
        "512 x 512, nearest as Pillow": lambda pixels: encode.resize(pixels, (512, 512), filter="nearest"),
        "512 x 512, bilinear": lambda pixels: encode.resize(pixels, (512, 512), filter="bilinear"),
        "512 x 512, bicubic": lambda pixels: encode.resize(pixels, (512, 512), filter="bicubic"),
        "thumbnail 512": lambda pixels: encode.thumbnail(pixels, 512),
    }
    changes: dict[str, Callable[[Pixels], Pixels]] = {
        "unchanged": lambda pixels: pixels,
        "JPEG 50": lambda pixels: edits.jpeg(pixels, 50),
        "resize 90 %, JPEG 75": lambda pixels: edits.jpeg(edits.resize(pixels, 0.9), 75),
    }
    found: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for number in range(count):
        pixels = picture(kind, seed + number, LARGE[min(3, number * 4 // count)])
        listed = {name: code_of(front(pixels)) for name, front in fronts.items()}
        for change, edit in changes.items():
            query = edit(pixels)
            plain = code_of(query)
            views = [np.frombuffer(view.value.data, np.uint8) for view in shrunk_views(query)]
            for name, code in listed.items():
                apart = [int(distance(view, code)) for view in views]
                whole = int(distance(plain, code))
                found.setdefault((name, change), []).append((whole, min(apart), min(whole, *apart)))
    return [
        {
            "list": name,
            "edit": change,
            "plain_median": float(np.median([row[0] for row in rows])),
            "view_median": float(np.median([row[1] for row in rows])),
            "plain": float(np.mean([row[0] <= RADIUS for row in rows])),
            "recall": float(np.mean([row[2] <= RADIUS for row in rows])),
        }
        for (name, change), rows in found.items()
    ]


def unrelated(
    group: str, count: int, seed: int, sizes: tuple[tuple[int, int], ...] = TAIL_SIZES
) -> Iterator[tuple[Pixels, str]]:
    """Make so many pictures of quality 50 or more, with their kinds."""
    kinds, number, made = GROUPS[group], 0, 0
    while made < count:
        kind = kinds[number % len(kinds)]
        pixels = picture(kind, seed + number, sizes[number // len(kinds) % 3])
        number += 1
        if HASHER.hash_pixels(pixels)[1] >= 50:
            made += 1
            yield pixels, kind


def tails(group: str, queries: int, entries: int) -> dict[str, Any]:
    """Count pairs of queries and listed pictures by the least distance over the views of each kind."""
    listed = np.stack([code_of(pixels) for pixels, _ in unrelated(group, entries, SEED)])
    views: dict[str, list[np.ndarray]] = {}
    rows: dict[str, list[int]] = {}
    asked: dict[str, int] = {}
    for number, (pixels, kind) in enumerate(unrelated(group, queries, QUERY_SEED)):
        part = part_of(group, kind)
        asked[part] = asked.get(part, 0) + 1
        turned = [np.frombuffer(value.data, np.uint8) for value, _ in HASHER.hash_turns(pixels).values()]
        trims = [HASHER.hash_pixels(trim.crop(pixels)) for trim in find_trims(pixels)]
        for name, codes in {
            "plain": turned[:1],
            "turns": turned[1:],
            "trims": [np.frombuffer(value.data, np.uint8) for value, quality in trims if quality >= 50],
        }.items():
            views.setdefault(f"{part}|{name}", []).extend(codes)
            rows.setdefault(f"{part}|{name}", []).extend([number] * len(codes))
    index, radius = LinearIndex.build(listed), FARTHEST[group]
    out: dict[str, Any] = {}
    for name, codes in views.items():
        counts = np.zeros(radius + 1, np.int64)
        of = np.array(rows[name])
        borders = [0, *(np.flatnonzero(np.diff(of)) + 1)[::50].tolist(), len(codes)]
        for low, high in pairwise(borders):
            if low == high:
                continue
            view, position, apart = index.search_batch(np.stack(codes[low:high]), radius)
            pair = of[low:high][view] * len(listed) + position
            order = np.lexsort((apart, pair))
            _, first = np.unique(pair[order], return_index=True)
            counts += np.bincount(np.asarray(apart)[order][first], minlength=radius + 1)
        own = asked[name.partition("|")[0]]
        out[name] = {
            "queries": own,
            "entries": len(listed),
            "views": len(codes) / own,
            "pairs": counts.cumsum().tolist(),
        }
    return out


def shrunk(group: str, queries: int, entries: int) -> dict[str, Any]:
    """Count pairs near by a shrunk view, and those of them that the picture as it is had too, in larger pictures."""
    listed = np.stack([code_of(pixels) for pixels, _ in unrelated(group, entries, SEED)])
    index, radius = LinearIndex.build(listed), FARTHEST[group]
    out: dict[str, Any] = {}
    for pixels, kind in unrelated(group, queries, QUERY_SEED, SHRINKING_SIZES):
        part = part_of(group, kind)
        blank = {name: np.zeros(radius + 1, np.int64) for name in ("plain", "shrinks", "either")}
        found = out.setdefault(part, {"queries": 0, "entries": len(listed), "pairs": blank})
        found["queries"] += 1
        codes = np.stack([code_of(pixels), *(np.frombuffer(v.value.data, np.uint8) for v in shrunk_views(pixels))])
        view, position, apart = (np.asarray(part) for part in index.search_batch(codes, radius))
        for name, kept in (("plain", view == 0), ("shrinks", view > 0), ("either", view >= 0)):
            order = np.lexsort((apart[kept], position[kept]))
            _, first = np.unique(position[kept][order], return_index=True)
            found["pairs"][name] += np.bincount(apart[kept][order][first], minlength=radius + 1)
    for found in out.values():
        found["pairs"] = {name: counts.cumsum().tolist() for name, counts in found["pairs"].items()}
    return out


def negatives(group: str, queries: int, entries: int) -> dict[str, Any]:
    """Count pairs near by the negative, upright and in eight turns, and how far its code lies from the true one."""
    listed = np.stack([code_of(pixels) for pixels, _ in unrelated(group, entries, SEED)])
    radius = FARTHEST[group]
    out: dict[str, Any] = {}
    for pixels, kind in unrelated(group, queries, QUERY_SEED):
        blank = {name: np.zeros(radius + 1, np.int64) for name in ("upright", "turned")}
        found = out.setdefault(
            part_of(group, kind), {"queries": 0, "entries": len(listed), "pairs": blank, "off": [], "edited": []}
        )
        found["queries"] += 1
        turned = [np.frombuffer(value.data, np.uint8) for value, _ in HASHER.hash_turns(pixels).values()]
        away = np.stack([256 - distance(code, listed) for code in turned])
        for name, nearest in (("upright", away[0]), ("turned", away.min(axis=0))):
            found["pairs"][name] += np.bincount(nearest[nearest <= radius], minlength=radius + 1)
        found["off"].append(int(distance(~turned[0], code_of(255 - pixels))))
        found["edited"].append(int(distance(turned[0], ~code_of(edits.jpeg(255 - pixels, 60)))))
    for found in out.values():
        found["pairs"] = {name: counts.cumsum().tolist() for name, counts in found["pairs"].items()}
        found["most_off"], found["most_edited"] = max(found.pop("off")), found["edited"]
        found["edited_within"] = sum(bits <= RADIUS for bits in found.pop("edited"))
        found["most_edited"] = max(found["most_edited"])
    return out


def part_of(group: str, kind: str) -> str:
    """Kind of pictures as the budget counts it."""
    return "template" if group == "template-heavy" else "low-texture" if kind == "low-texture" else "photo"


def apart(kind: str, queries: int, listed: int, seed: int) -> dict[str, Any]:
    """Count near pairs of one kind alone: pictures as they are against others in eight turns."""
    sizes = ((288, 384), (384, 288), (320, 320)) if kind == "photo" else TAIL_SIZES
    entries = [
        value.data
        for number in range(listed)
        for value, quality in HASHER.hash_turns(picture(kind, SEED + number)).values()
        if quality >= 50
    ]
    codes = np.frombuffer(b"".join(entries), np.uint8).reshape(-1, 32)
    index, radius, asked = LinearIndex.build(codes), 70, 0
    counts = np.zeros(radius + 1, np.int64)
    for number in range(queries):
        pixels = picture(kind, seed + number, sizes[number % 3])
        value, quality = HASHER.hash_pixels(pixels)
        if quality < 50:
            continue
        asked += 1
        _, distances = index.search(np.frombuffer(value.data, np.uint8), radius)
        counts += np.bincount(distances, minlength=radius + 1)
    return {"queries": asked, "entries": len(codes), "pairs": {"plain": counts.cumsum().tolist()}}


def classic_tails(group: str, queries: int, entries: int) -> dict[str, Any]:
    """Count pairs by distance for the other algorithms: as they are, and the nearest of the seven other turns."""
    rules = {rule.algorithm: rule.threshold for rule in profiles.RULES if rule.algorithm in PICTURE_HASHERS}
    del rules["pdq"]
    listed: dict[str, list[bytes]] = {name: [] for name in rules}
    for pixels, _ in unrelated(group, entries, SEED):
        for name in rules:
            listed[name].append(PICTURE_HASHERS[name].hash_pixels(pixels)[0].data)
    codes = {name: np.frombuffer(b"".join(items), np.uint8).reshape(len(items), -1) for name, items in listed.items()}
    out: dict[str, Any] = {}
    for pixels, kind in unrelated(group, queries, QUERY_SEED):
        part = part_of(group, kind)
        for name, threshold in rules.items():
            asked = [np.frombuffer(v.data, np.uint8) for v, _ in PICTURE_HASHERS[name].hash_turns(pixels).values()]
            apart = [distance(code, codes[name]) for code in asked]
            for views, nearest in (("plain", apart[0]), ("turns", np.min(apart[1:], axis=0))):
                blank = {"queries": 0, "entries": len(codes[name]), "pairs": np.zeros(threshold + 25, np.int64)}
                found = out.setdefault(f"{name}|{part}|{views}", blank)
                found["queries"] += 1
                found["pairs"] += np.bincount(nearest[nearest < threshold + 25], minlength=threshold + 25)
    for found in out.values():
        found["pairs"] = found["pairs"].cumsum().tolist()
    return out


def markdown(results: dict[str, Any]) -> str:
    """Write the tables."""
    parts = []
    for kind, rows in results.get("shrinks", {}).items():
        header = [f"{kind}, list made by", "edit", "plain median", "best view median", "plain recall", "with views"]
        body = [
            [
                r["list"],
                r["edit"],
                f"{r['plain_median']:g}",
                f"{r['view_median']:g}",
                f"{r['plain']:.0%}",
                f"{r['recall']:.0%}",
            ]
            for r in rows
        ]
        parts.append(runner.markdown_table(header, body))
    if "tails" in results:
        at = (20, 25, 31, 37, 43, 46, 49, 52, 55, 58, 61, 64)
        header = ["pairs within", "queries", "entries", "views", *(str(radius) for radius in at)]
        body = [
            [name.replace("|", ", "), f"{found['queries']:,}", f"{found['entries']:,}", f"{found['views']:.2f}"]
            + [f"{found['pairs'][radius]:,}" if radius < len(found["pairs"]) else "" for radius in at]
            for name, found in results["tails"].items()
        ]
        parts.append(runner.markdown_table(header, body))
    if "shrunk" in results:
        at = (31, 37, 43, 46, 49, 52, 55, 58, 61, 64)
        header = ["pairs within, of pictures over 512 px", "queries", "entries", *(str(radius) for radius in at)]
        body = [
            [f"{name}, {views}", f"{found['queries']:,}", f"{found['entries']:,}"]
            + [f"{pairs[radius]:,}" if radius < len(pairs) else "" for radius in at]
            for name, found in results["shrunk"].items()
            for views, pairs in found["pairs"].items()
        ]
        parts.append(runner.markdown_table(header, body))
    if "negatives" in results:
        at = (31, 37, 43, 46, 49, 52, 55, 58, 61, 64)
        header = ["negatives: pairs within", "queries", "entries", *(str(radius) for radius in at)]
        body = [
            [f"{name}, {views}", f"{found['queries']:,}", f"{found['entries']:,}"]
            + [f"{pairs[radius]:,}" if radius < len(pairs) else "" for radius in at]
            for name, found in results["negatives"].items()
            for views, pairs in found["pairs"].items()
        ]
        parts.append(runner.markdown_table(header, body))
        header = ["the negative of a listed picture", "pictures", "most bits off", "JPEG 60: most", f"within {RADIUS}"]
        body = [
            [
                name,
                f"{found['queries']:,}",
                str(found["most_off"]),
                str(found["most_edited"]),
                f"{found['edited_within']:,}",
            ]
            for name, found in results["negatives"].items()
        ]
        parts.append(runner.markdown_table(header, body))
    return "\n\n".join(parts)


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = options_of(__doc__, "few pictures: does it run?")
    parser.add_argument("--pictures", type=int, default=100, help="rotated pictures of a kind")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--tails", action="store_true", help="measure tails too")
    parser.add_argument("--shrunk", action="store_true", help="of the tails, measure that of shrunk views alone")
    parser.add_argument("--negatives", action="store_true", help="of the tails, measure that of negatives alone")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--apart", type=int, default=0, help="photographs, and portraits, counted by themselves")
    args = parser.parse_args()
    count, queries, entries = (2, 6, 12) if args.quick else (args.pictures, args.queries, args.entries)
    results: dict[str, Any] = {}
    if args.json and args.json.exists():
        results = json.loads(args.json.read_text(encoding="utf-8"))
    results |= {"machine": runner.machine(), "seed": args.seed, "pictures": count}
    results["shrinks"] = {kind: shrinks(kind, max(1, count // 5), args.seed) for kind in ("photo", "document")}
    if args.tails or args.quick:
        results["tails"] = {k: v for group in GROUPS for k, v in tails(group, queries, entries).items()}
        results["classic"] = {
            k: v for group in GROUPS for k, v in classic_tails(group, queries // 10, entries // 5).items()
        }
    if args.tails or args.shrunk or args.quick:
        parts = [shrunk(group, max(2, queries // 4), max(2, entries // 2)) for group in GROUPS]
        results["shrunk"] = {name: found for part in parts for name, found in part.items()}
    if args.tails or args.negatives or args.quick:
        parts = [negatives(group, max(2, queries // 4), max(2, entries // 2)) for group in GROUPS]
        results["negatives"] = {name: found for part in parts for name, found in part.items()}
    kept_apart = 4 if args.quick else args.apart
    if kept_apart:
        results["apart"] = {
            kind: apart(kind, kept_apart, min(20_000, kept_apart * 5), 9_600_000) for kind in ("photo", "portrait")
        }
    text = (
        "## Views\n\n"
        + runner.stated(results["machine"])
        + f"; seed {args.seed}, {count} pictures a kind ({max(1, count // 5)} for shrinks).\n"
        + "Command: `python -m benchmarks views --tails`. All pictures are synthetic; times are CPU time.\n\n"
        + markdown(results)
        + "\n"
    )
    keep(args, results, text)
