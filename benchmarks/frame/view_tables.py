"""Tables on views, borders, keypoint records, privacy and index files in docs/, for `performance`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from itertools import product
from typing import Any, Final

from benchmarks.frame.goals import Results, number
from benchmarks.frame.page_tables import power
from benchmarks.frame.runner import markdown_table
from benchmarks.frame.stock import lower_bound, upper_bound
from benchmarks.quality.keypoints import GOALS, recall
from hashmatch import profiles
from hashmatch.budget.rates import DistanceTail
from hashmatch.budget.spending import budget_of, tail_of

__all__ = [
    "borders",
    "index_life",
    "keypoint_false",
    "keypoint_recall",
    "negative_pairs",
    "negatives",
    "photographs",
    "privacy",
    "rotation_evidence",
    "rotations",
    "shrinks",
    "thorough_shares",
    "view_thresholds",
]

_LISTED: Final = 1_000_000
_EVIDENCE: Final = ("-60.0", "-40.0", "-20.0", "0.0", "10.0", "20.0", "30.0", "40.0", "50.0", "60.0")
_SAMPLES: Final = (
    "photo",
    "photo, second sample",
    "portrait",
    "portrait, second sample",
    "low-texture",
    "template",
)
_LIKENESS: Final = ("coarse", "fine", "ssim")
_SIZES: Final = ("5%", "10%", "25%")
_FRAMES: Final = tuple(product(("border", "letterbox"), _SIZES))
_BORDERS: Final = {
    "plain or of one colour": [f"{f}, {how}, {s}" for how in ("black", "white", "colour") for f, s in _FRAMES],
    "noisy": [f"{f}, noisy, {s}" for f, s in _FRAMES],
    "gradient": [*(f"{f}, gradient, {s}" for f, s in _FRAMES), "pillarbox, gradient, 10%"],
    "blurred copy": [*(f"{f}, blurred, {s}" for f, s in _FRAMES), "pillarbox, blurred, 10%"],
    "the same, its shape kept and darkened": [
        f"blurred, its shape kept, darkened, {where}" for where in ("above and below, 20%", "at the sides, 30%")
    ],
    "caption band of 20 %": ["caption band, 20%"],
    "phone screen, light and dark": ["phone screen, light", "phone screen, dark"],
}


def _percent(found: float, asked: float) -> str:
    return f"{100 * found / asked:.1f}".removesuffix(".0") + " %"


def privacy(results: Results) -> str:
    """How near sketches from a record come to the picture, means over both kinds."""
    photo, portrait = (results["privacy"]["sketches"][kind] for kind in ("photo", "portrait"))
    rows = [
        [name, *(f"{statistics.fmean(row[figure] for row in found + portrait[name]):.2f}" for figure in _LIKENESS)]
        for name, found in photo.items()
    ]
    return markdown_table(["made from", "coarse", "fine detail", "SSIM"], rows)


def borders(results: Results) -> str:
    """Recall of framed photographs and portraits by the boxes found, each recoded in four ways."""
    rows = []
    for name, edits in _BORDERS.items():
        cells = []
        for kind in ("photo", "portrait"):
            found = [row for row in results["trims"]["recall"] if row["kind"] == kind and row["edit"] in edits]
            asked = sum(row["of"] for row in found)
            cells.append(f"{_percent(sum(row['found'] for row in found), asked)} of {asked:,}")
        rows.append([name, *cells])
    return markdown_table(["border, 5 to 25 % a side", "photo", "portrait"], rows)


def rotations(results: Results) -> str:
    """Recall of rotated pictures at the evidence that THOROUGH asks for, saved anew and not together."""
    level, found = f"{profiles.THOROUGH.rotation_evidence:g}", results["rotations"]["recall"]
    rows = []
    for frame, angle in dict.fromkeys((row["frame"], row["angle"]) for row in found["photo"]):
        cells = []
        for kind in ("photo", "portrait", "document", "screenshot"):
            mine = [row for row in found[kind] if (row["frame"], row["angle"]) == (frame, angle)]
            asked = sum(row["pictures"] for row in mine)
            cells.append(_percent(sum(row["recall"][level] * row["pictures"] for row in mine), asked))
        name = f"{frame}, {angle}".replace("even,", "cut evenly,").replace("1 degrees", "1 degree")
        rows.append([name, *cells])
    return markdown_table(["rotated, canvas", "photographs", "portraits", "documents", "screenshots"], rows)


def rotation_evidence(results: Results) -> str:
    """How many unrelated pictures reach a level of evidence by a view that is turned back."""
    found = results["rotations"]["unrelated"]
    rows = [
        [name, f"{part['queries']:,}", f"{part['entries']:,}", *(f"{part['over'][level]:,}" for level in _EVIDENCE)]
        for name, part in ((name, found[name]) for name in _SAMPLES)
    ]
    header = ["unrelated queries with at least so many nats", "queries", "hashes"]
    return markdown_table([*header, *(f"{float(level):g}" for level in _EVIDENCE)], rows)


def shrinks(results: Results) -> str:
    """Documents against lists of front ends that shrink first."""
    rows = [
        [
            row["list"],
            row["edit"],
            *(f"{row[name]:.0f}" for name in ("plain_median", "view_median")),
            *(_percent(row[name], 1) for name in ("plain", "recall")),
        ]
        for row in results["views"]["shrinks"]["document"]
    ]
    header = ["documents, list made by", "edit", "median, plain", "median, nearest view", "recall, plain"]
    return markdown_table([*header, "recall, with views"], rows)


def negatives(results: Results) -> str:
    """How far the complement of a hash lies from the hash of the negative."""
    rows = [
        [name, *(f"{found[key]:,}" for key in ("queries", "most_off", "most_edited", "edited_within"))]
        for name, found in results["views"]["negatives"].items()
    ]
    return markdown_table(["kind", "queries", "most bits off", "as JPEG 60", "within 31"], rows)


def negative_pairs(results: Results) -> str:
    """Unrelated pairs within a distance by the nearest of the eight turns of the negative."""
    at = (42, 46, 50, 54, 58, 62, 66)
    rows = [
        [name, *(f"{pairs[bits]:,}" if bits < len(pairs) else "" for bits in at)]
        for name, pairs in ((name, found["pairs"]["turned"]) for name, found in results["views"]["negatives"].items())
    ]
    return markdown_table(["pairs within", *map(str, at)], rows)


def _apart(results: Results, kind: str) -> DistanceTail:
    found = results["views"]["apart"][f"{kind}, plain"]
    within = tuple((int(distance), count) for distance, count in found["within"].items())
    sample = {"queries": found["queries"], "entries": found["entries"], "within": within}
    return DistanceTail(algorithm="pdq", views="plain", pictures="photo", n_views=1, **sample)


def photographs(results: Results) -> str:
    """Near pairs of photographs alone and of portraits alone, and what one picture spends by them at 31."""
    rows = []
    for kind, name in (("photo", "photographs, as they are"), ("portrait", "portraits, as they are")):
        tail = _apart(results, kind)
        spent = tail.expected(31, _LISTED)
        sizes = [f"{tail.queries:,}", f"{tail.entries:,}", *(f"{count:,}" for _, count in tail.within)]
        rows.append(
            [name, *sizes, power(tail.seen(66) / tail.comparisons), power(spent.per_picture), power(spent.upper)]
        )
    header = ["pairs within", "queries", "hashes", *(str(distance) for distance, _ in _apart(results, "photo").within)]
    return markdown_table([*header, "a pair, 66", "a picture, 31", "95 % bound"], rows)


def view_thresholds(results: Results) -> str:
    """Say what the seven turns of a picture spend by the threshold of views."""
    mixed, alone = tail_of("pdq", "turns", "photo"), _apart(results, "photo")
    rows = []
    for threshold in (31, 27, 24, 20):
        name = f"{threshold} (presets)" if threshold == 31 else str(threshold)
        spent = 7 * alone.expected(threshold, _LISTED).per_picture
        rows.append([name, power(spent), power(mixed.expected(threshold, _LISTED).per_picture) if mixed else ""])
    return markdown_table(["threshold of views", "photographs: seven turns", "with portraits: turns"], rows)


def thorough_shares(_: Results) -> str:
    """Say what each way of comparing spends on a photograph by THOROUGH."""
    budget = budget_of(profiles.THOROUGH, {"pdq": _LISTED}, "photo")
    rows = [[item.views, power(item.reports.per_picture), power(item.reports.upper)] for item in budget.items]
    rows.append(["all", power(budget.total.per_picture), power(budget.total.upper)])
    return markdown_table(["thorough, photo: views", "a picture", "95 % bound"], rows)


def keypoint_recall(results: Results) -> str:
    """Recall of keypoint records by edit."""
    line = next(line for line in results["keypoints"]["contenders"] if line["contender"] == "hashmatch keypoints")
    rows = []
    for goal in GOALS:
        found, asked = recall(line, goal)
        if asked:
            low = lower_bound(found, asked)
            rows.append([goal.name, f"{asked:,}", _percent(found, asked), "" if low is None else f"{100 * low:.1f} %"])
    return markdown_table(["edit", "queries", "found", "95 % lower bound"], rows)


def keypoint_false(results: Results) -> str:
    """Count reports of keypoint records among pictures that are not the same."""
    pairs: dict[str, list[int]] = {}
    for line in results["keypoints"]["false"]:
        for group, _kind, count, wrong in line.get("pairs", []):
            total = pairs.setdefault(group, [0, 0])
            total[0], total[1] = total[0] + count, total[1] + wrong
    own = next(line for line in results["keypoints"]["contenders"] if line["contender"] == "hashmatch keypoints")
    for item in own["false"]:
        pairs[item["against"]] = [item["pairs"], item["false"]]

    def rows(names: Iterable[str]) -> Iterable[list[str]]:
        for name in names:
            count, wrong = pairs[name]
            bound = upper_bound(wrong, count)
            yield [name, f"{count:,}", f"{wrong:,}", "" if bound is None else power(bound)]

    return markdown_table(
        ["pairs of a query and an entry", "pairs", "reports", "95 % upper bound"], [*rows(sorted(pairs))]
    )


def _took(part: dict[str, Any]) -> str:
    return f"{number(part['cpu_seconds'])} s ({number(part['seconds'])} s)"


def _later(part: dict[str, Any]) -> str:
    return f"{number(part['median_ms'])} ms ({number(part['max_ms'])} ms)"


def index_life(results: Results) -> str:
    """Life of index files of PDQ hashes, by the length of the list."""
    found = results["life"]["results"]
    lines = (
        ("codes to file out of core, 256 MiB: processor (wall)", lambda r: _took(r["build_external"])),
        ("list to file, `hashmatch index build`: processor (wall)", lambda r: _took(r["files"])),
        (
            "index, bytes a hash + its rows beside it",
            lambda r: (
                f"{(r['files']['file_bytes'] - r['files']['rows_bytes']) / r['n']:.0f}"
                f" + {r['files']['rows_bytes'] / r['n']:.0f}"
            ),
        ),
        (
            "opening a matcher, median (first)",
            lambda r: f"{1000 * r['open']['median_s']:.1f} ms ({1000 * r['open']['first_s']:.1f} ms)",
        ),
        ("the same, all checksums compared", lambda r: f"{r['open']['checked_s']:.2f} s"),
        (
            "private memory of a further worker process, after searches",
            lambda r: f"{r['worker']['after']['private'] / 2**20:.0f} MiB",
        ),
        (
            "of that by opening and searching",
            lambda r: f"{(r['worker']['after']['private'] - r['worker']['before']['private']) / 2**20:.1f} MiB",
        ),
        ("from an addition until a search finds it, median (slowest)", lambda r: _later(r["changes"]["call"]["add"])),
        (
            "from the withdrawal of an old entry until a matcher has it",
            lambda r: _later(r["changes"]["call"]["withdraw_old"]),
        ),
    )
    rows = [[what, *(figure(row) for row in found)] for what, figure in lines]
    return markdown_table(["PDQ hashes", *(f"{row['n']:,}" for row in found)], rows)
