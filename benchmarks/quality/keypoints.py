"""Keypoint fingerprints: recall by edit, false pairs, time and bytes, beside OpenCV's features and other hashes.

Run ``python -m benchmarks keypoints --json FILE --markdown FILE --plot FILE`` from the project's root; about 20 minutes
on two idle cores. hashmatch answers through a `Matcher` with `profiles.THOROUGH` on a list of keypoint records alone:
one search of the whole list for each query. OpenCV's SIFT, ORB and AKAZE are oracles: they keep a thousand features of
every picture, are shown the right reference, and are compared pair by pair. Their least number of inliers is taken
from unrelated pairs of seeds of its own, one more than the most that any of them reached. Tune on seeds below
9,500,000; those of earlier reports, 9,600,000 to 9,799,999, are used up.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.frame import runner
from benchmarks.frame.options import drawn, keep, options_of
from benchmarks.frame.stock import lower_bound, opened, spread, upper_bound
from hashmatch import HashValue, MatchPolicy, Outcome, hash_image
from hashmatch.lists import Entry
from hashmatch.synthetic import TEMPLATE_KINDS, edit_named, picture, same_template

SEED = 9_820_000
STRANGER_SEED, QUERY_SEED, TEMPLATE_SEED, CALIBRATION_SEED = 9_850_000, 9_860_000, 9_870_000, 9_880_000
SIZES = ((600, 800), (800, 600), (700, 700))
SMALL_SIZES = ((360, 480), (480, 360), (416, 416))
OTHER_KINDS = ("document", "screenshot", "comic", "portrait", "meme", "card")
STRANGER_KINDS = ("photo", "photo", "photo", "portrait", "comic", "photo", "document", "screenshot", "meme", "card")
TEMPLATES, ASKED = 25, 10
KEPT = {75: "crop random 25%", 50: "crop random 50%", 25: "crop random 75%", 10: "crop random 90%"}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A row of the goals: recall to reach over some edits of some kinds of pictures, per cent."""

    name: str
    edits: tuple[str, ...]
    goal: float | None
    kind: str = "photo"


GOALS = (
    *(
        Goal(name=f"random crop keeping {kept} % of the area", edits=(KEPT[kept],), goal=goal)
        for kept, goal in ((75, 99.9), (50, 99.8), (25, 98), (10, 80))
    ),
    Goal(name="keeping 50 %, then quarter size and JPEG 50", edits=("crop 50%, quarter size, JPEG 50",), goal=98),
    Goal(name="free-aspect crop keeping 40 %", edits=("crop free, 40% kept",), goal=98),
    Goal(name="rotation by any angle, corners black", edits=("rotate any",), goal=99),
    Goal(name="rotation by any angle, corners cut", edits=("rotate any and cut",), goal=99),
    Goal(name="mirrored, then cropped to 50 %", edits=("mirror, crop 50%",), goal=97),
    Goal(
        name="border or background round it at 50 % size",
        edits=("border black 50%", "border white 50%", "border blurred 50%", "on a picture 50%"),
        goal=98,
    ),
    Goal(name="2x2 collage", edits=("collage 2x2",), goal=96),
    Goal(name="3x3 collage", edits=("collage 3x3",), goal=85),
    Goal(name="phone screenshot", edits=("phone screenshot", "phone screenshot, dark"), goal=98),
    Goal(name="meme band", edits=("caption band",), goal=98),
    Goal(name="20 % covered", edits=("covered 20%", "black bar 20%"), goal=98),
    *(
        Goal(
            name=f"crop to {kept} % of {kind}s",
            edits=(KEPT[kept],),
            goal=93 if kept == 50 and kind in ("document", "screenshot", "comic") else None,
            kind=kind,
        )
        for kind in OTHER_KINDS
        for kept in (75, 50, 25)
    ),
)

CONTENDERS = (
    "keypoints_hashmatch",
    "keypoints_sift",
    "keypoints_akaze",
    "keypoints_orb",
    "keypoints_crop_resistant",
    "keypoints_pdq",
)


@dataclass(frozen=True, kw_only=True)
class Paired:
    """A way to compare a query with one reference.

    Parameters
    ----------
    describe : callable
        Pixels to what is kept of a picture.
    strength : callable
        What is kept of a query and of a reference to how well they agree; larger is better.
    n_bytes : callable
        Size of what is kept, bytes.
    least : float or None
        Least strength that is a match; None takes the most of unrelated pairs plus ``step``.
    step : float
        As said.
    """

    describe: Callable[[np.ndarray], Any]
    strength: Callable[[Any, Any], float]
    n_bytes: Callable[[Any], int]
    least: float | None = None
    step: float = 1.0


def record_of(job: tuple[str, int, int, tuple[int, int]]) -> bytes:
    """Make the keypoint record of one picture; of one template where the second number is no -1."""
    kind, seed, template, size = job
    pixels = picture(kind, seed, size) if template < 0 else same_template(kind, template, seed, size)
    return hash_image(pixels, "keypoint").data


def strangers(first: int, count: int) -> list[tuple[str, int, int, tuple[int, int]]]:
    """List unrelated pictures, six of ten photo-like."""
    return [(STRANGER_KINDS[i % 10], first + i, -1, SMALL_SIZES[i % 3]) for i in range(count)]


def alike(first: int, each: int) -> list[tuple[str, int, int, tuple[int, int]]]:
    """List pictures that share templates: so many fillings of each of 25."""
    return [
        (TEMPLATE_KINDS[t % 4], first + each * t + i, TEMPLATE_SEED + t, SMALL_SIZES[t % 3])
        for t in range(TEMPLATES)
        for i in range(each)
    ]


def pixels_of(job: tuple[str, int, int, tuple[int, int]]) -> np.ndarray:
    """Make one of the pictures listed."""
    kind, seed, template, size = job
    return picture(kind, seed, size) if template < 0 else same_template(kind, template, seed, size)


def records(count: int, processes: int, path: Path) -> dict[str, float]:
    """Make the records of both lists of unrelated pictures and keep them in a file."""
    began = time.perf_counter()
    both = strangers(STRANGER_SEED, count), alike(TEMPLATE_SEED, max(1, count // 125))
    made = spread(record_of, [job for jobs in both for job in jobs], processes)
    sizes = np.array([len(data) for data in made])
    np.savez(path, data=np.frombuffer(b"".join(made), np.uint8), sizes=sizes, strangers=len(both[0]))
    return {"records": len(made), "bytes_mean": float(sizes.mean()), "seconds": time.perf_counter() - began}


def kept_records(path: str) -> tuple[list[bytes], list[bytes]]:
    """Read both lists."""
    with np.load(path) as file:
        data, ends, count = file["data"].tobytes(), np.cumsum(file["sizes"]).tolist(), int(file["strangers"])
    made = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return made[:count], made[count:]


def entries(name: str, values: list[bytes]) -> Iterator[Entry]:
    """One entry a record."""
    for number, data in enumerate(values):
        yield Entry.of(f"{name}-{number}", hashes=[HashValue("keypoint", data)])


def measure(contender: ModuleType, workload: dict[str, Any]) -> dict[str, Any]:
    """Do one part of the work with one contender; runs in its own process."""
    part = workload["part"]
    if part == "unrelated":
        return _unrelated(contender.POLICY, workload)
    if part == "template":
        return _template(contender.POLICY, workload)
    if hasattr(contender, "POLICY"):
        return _searched(contender, workload)
    return _paired(contender, workload)


def _cases(contender: ModuleType, workload: dict[str, Any]) -> Iterator[tuple[str, list[np.ndarray], tuple[str, ...]]]:
    """Give each kind of picture, its pictures, and the edits that are asked for."""
    most = min(workload["pictures"], contender.PICTURES or workload["pictures"])
    for number, kind in enumerate(("photo", *OTHER_KINDS)):
        wanted = dict.fromkeys(edit for goal in GOALS if goal.kind == kind for edit in goal.edits)
        edits = tuple(edit for edit in wanted if edit in (workload["edits"] or wanted))
        count = most if kind == "photo" else max(1, most // 2)
        if edits:
            yield kind, [picture(kind, SEED + 1000 * number + i, SIZES[i % 3]) for i in range(count)], edits


def _searched(contender: ModuleType, workload: dict[str, Any]) -> dict[str, Any]:
    """Measure recall, cost and bytes through a `Matcher`; the list holds the unrelated records too."""
    others, _ = kept_records(workload["records"])
    cases = list(_cases(contender, workload))
    own = {(kind, i): hash_image(p, "keypoint").data for kind, made, _ in cases for i, p in enumerate(made)}
    numbers = {name: f"source-{number}" for number, name in enumerate(own)}
    rows, wrong, asked, undecidable = [], 0, 0, 0
    with opened(contender.POLICY, [*entries("source", list(own.values())), *entries("other", others)]) as matcher:
        for kind, made, edits in cases:
            for edit in edits:
                found = 0
                for i, pixels in enumerate(made):
                    report = matcher.match(edit_named(edit)(pixels, seed=i))
                    reported = {match.entry_id for match in report.matches}
                    found += numbers[kind, i] in reported
                    wrong += len(reported - {numbers[kind, i]})
                    undecidable += report.outcome is Outcome.UNDECIDABLE
                    asked += 1
                rows.append({"kind": kind, "edit": edit, "queries": len(made), "found": found})
        costs = contender.costs(matcher, picture("photo", SEED - 1, (1000, 1000)), workload["repeats"])
    n_entries = len(own) + len(others)
    return {
        "rows": rows,
        "undecidable": undecidable,
        "false": [_rate("other entries, by edits of sources", wrong, asked * (n_entries - 1))],
        "costs": {**costs, "bytes": float(np.mean([len(data) for data in own.values()])), "entries": n_entries},
    }


def _unrelated(policy: MatchPolicy, workload: dict[str, Any]) -> dict[str, Any]:
    """Search a list of unrelated pictures for others: one search a query."""
    listed, _ = kept_records(workload["records"])
    start, stop = workload["queries"]
    return _strange(policy, listed, strangers(QUERY_SEED, stop)[start:], _apart)


def _apart(_query: int, _entry: int) -> str:
    return "unrelated pictures"


def _template(policy: MatchPolicy, workload: dict[str, Any]) -> dict[str, Any]:
    """Search a list of pictures that share templates for other fillings of those templates."""
    _, listed = kept_records(workload["records"])
    each = len(listed) // TEMPLATES
    asked = alike(TEMPLATE_SEED + 5000, workload["asked"])

    def group(query: int, entry: int) -> str:
        template = entry // each
        if query // workload["asked"] != template:
            return "another template"
        # the picture of a meme belongs to its template: finding it under another caption is right
        return "same picture, another caption" if TEMPLATE_KINDS[template % 4] == "meme" else "same template"

    return _strange(policy, listed, asked, group)


def _strange(policy: MatchPolicy, listed: list[bytes], asked: list[Any], group: Callable[[int, int], str]) -> Any:
    """Count reports, all of them false, by group and kind of the query."""
    pairs, false, cpu, undecidable = Counter[tuple[str, str]](), Counter[tuple[str, str]](), 0.0, 0
    reported: list[tuple[str, int, int]] = []
    with opened(policy, entries("other", listed)) as matcher:
        for number, job in enumerate(asked):
            pixels = pixels_of(job)
            began = time.process_time()
            report = matcher.match(pixels)
            cpu += time.process_time() - began
            if report.outcome not in (Outcome.MATCH, Outcome.NO_MATCH):
                undecidable += 1
                continue
            pairs.update((group(number, entry), job[0]) for entry in range(len(listed)))
            for entry in {int(match.entry_id.removeprefix("other-")) for match in report.matches}:
                false[group(number, entry), job[0]] += 1
                reported.append((job[0], job[1], entry))
    return {
        "pairs": [[*name, count, false[name]] for name, count in sorted(pairs.items())],
        "reported": reported,
        "queries": len(asked),
        "undecidable": undecidable,
        "cpu_ms": 1000 * cpu / len(asked),
    }


def _paired(contender: ModuleType, workload: dict[str, Any]) -> dict[str, Any]:
    """Measure recall, false pairs, cost and bytes, pair by pair."""
    way: Paired = contender.PAIRED
    count = min(workload["strangers"], contender.STRANGERS)
    least = way.least
    if least is None:
        described = [way.describe(pixels_of(job)) for job in strangers(CALIBRATION_SEED, count)]
        least = max(way.strength(a, b) for i, a in enumerate(described) for b in described[:i]) + way.step
    rows, sizes = [], []
    for kind, made, edits in _cases(contender, workload):
        listed = [way.describe(pixels) for pixels in made]
        sizes += [way.n_bytes(item) for item in listed]
        for edit in edits:
            asked = [way.describe(edit_named(edit)(pixels, seed=i)) for i, pixels in enumerate(made)]
            found = sum(way.strength(a, b) >= least for a, b in zip(asked, listed, strict=True))
            rows.append({"kind": kind, "edit": edit, "queries": len(made), "found": found})
    described = [way.describe(pixels_of(job)) for job in strangers(QUERY_SEED, count)]
    levels = [way.strength(a, b) for i, a in enumerate(described) for b in described[:i]]
    false = [_rate("unrelated pictures", sum(level >= least for level in levels), len(levels))]
    groups = [alike(TEMPLATE_SEED, 4)[4 * t : 4 * t + 4] for t in range(min(TEMPLATES, count))]
    levels = []
    for group in (group for group in groups if group[0][0] != "meme"):  # a meme's picture is of its template
        described = [way.describe(pixels_of(job)) for job in group]
        levels += [way.strength(a, b) for i, a in enumerate(described) for b in described[:i]]
    false.append(_rate("same template, no memes", sum(level >= least for level in levels), len(levels)))
    large = picture("photo", SEED - 1, (1000, 1000))
    one = way.describe(large)
    costs = {
        "fingerprint_ms": cpu_ms(lambda: way.describe(large), workload["repeats"]),
        "pair_ms": cpu_ms(lambda: way.strength(one, one), workload["repeats"]),
        "bytes": float(np.mean(sizes)),
    }
    return {"rows": rows, "false": false, "costs": costs, "least": least}


def cpu_ms(work: Callable[[], Any], repeats: int) -> float:
    """CPU time, median of several runs, ms."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return 1000 * float(np.median(taken))


def _rate(name: str, false: int, pairs: int) -> dict[str, Any]:
    return {"against": name, "false": int(false), "pairs": int(pairs), "upper_95": upper_bound(int(false), int(pairs))}


def recall(line: dict[str, Any], goal: Goal) -> tuple[int, int]:
    """Found and asked of one row of the goals."""
    rows = [row for row in line.get("rows", []) if row["kind"] == goal.kind and row["edit"] in goal.edits]
    return sum(row["found"] for row in rows), sum(row["queries"] for row in rows)


def tables(result: dict[str, Any]) -> str:
    """Write everything measured as Markdown tables."""
    lines = [line for line in result["contenders"] if "rows" in line]
    body = []
    for goal in GOALS:
        cells = [recall(line, goal) for line in lines]
        if any(asked for _, asked in cells):
            low = lower_bound(*cells[0]) if cells[0][1] else None
            bound = "" if low is None else f"{100 * low:.1f}"
            shown = [f"{100 * found / asked:.1f} ({asked})" if asked else "" for found, asked in cells]
            body.append([goal.name, "" if goal.goal is None else f"{goal.goal:g}", *shown, bound])
    header = ["edit", "to reach", *(line["contender"] for line in lines), "95 % lower bound of the first"]
    parts = [
        "### Recall, %, and the number of queries",
        runner.markdown_table(header, body),
        "### Reports of hashmatch among pictures that are not the same, one search of the whole list a query\n\n"
        "All are false but those of one picture under two captions, which is a copy.",
        _false_table(result["false"]),
        "### False pairs among smaller samples",
        runner.markdown_table(
            ["contender: against", "least strength", "false", "pairs", "95 % upper bound"],
            [
                [
                    f"{line['contender']}: {item['against']}",
                    f"{line['least']:g}" if "least" in line else "by the policy",
                    f"{item['false']:,}",
                    f"{item['pairs']:,}",
                    "" if item["upper_95"] is None else f"{item['upper_95']:.1e}",
                ]
                for line in lines
                for item in line["false"]
            ],
        ),
        "### Cost: CPU time of one thread, ms, and bytes\n\nThe fingerprint is of a picture of one megapixel; hashmatch"
        " makes a record for the list and, of more\npoints, a query. Search is one query against the whole list,"
        " verification included; the others compare one pair.",
        _costs(lines),
    ]
    return "\n\n".join(parts)


def _false_table(false: list[dict[str, Any]]) -> str:
    pairs, found = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for line in false:
        for group, kind, count, wrong in line.get("pairs", []):
            for name in (kind, "all"):
                pairs[group, name] += count
                found[group, name] += wrong
    body = []
    for (group, kind), count in sorted(pairs.items(), key=lambda item: (item[0][0], item[0][1] != "all", item[0][1])):
        bound = upper_bound(found[group, kind], count)
        shown = "" if bound is None else f"{bound:.1e}"
        body.append([f"{group}, query: {kind}", f"{found[group, kind]:,}", f"{count:,}", shown])
    return runner.markdown_table(["pairs", "reports", "pairs of a query and an entry", "95 % upper bound"], body)


def _costs(lines: list[dict[str, Any]]) -> str:
    names = ("fingerprint_ms", "query_ms", "search_ms", "pair_ms", "bytes", "entries")
    header = ["contender", "fingerprint", "query", "search", "one pair", "bytes an image", "entries"]
    body = [
        [
            line["contender"],
            *(f"{line['costs'][name]:,.2f}".rstrip("0").rstrip(".") if name in line["costs"] else "" for name in names),
        ]
        for line in lines
    ]
    return runner.markdown_table(header, body)


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw recall against the area kept, for photos and for all other kinds together."""
    with drawn(path, 1, 2, (12, 5), constrained_layout=True) as (_, both):
        for axes, kinds, title in zip(both, (("photo",), OTHER_KINDS), ("photos", ", ".join(OTHER_KINDS)), strict=True):
            for line in (line for line in result["contenders"] if "rows" in line):
                points = []
                for kept, edit in KEPT.items():
                    rows = [row for row in line["rows"] if row["edit"] == edit and row["kind"] in kinds]
                    if rows:
                        share = sum(row["found"] for row in rows) / sum(row["queries"] for row in rows)
                        points.append((kept, 100 * share))
                if points:
                    axes.plot(*np.array(points).T, marker="o", label=line["contender"])
            axes.set_xlabel("area kept by a random crop, %")
            axes.set_ylabel("recall, %")
            axes.set_ylim(-3, 103)
            axes.set_title(title, fontsize=9)
        both[0].legend(fontsize=8)


def jobs(args: argparse.Namespace, records_path: Path) -> list[tuple[str, dict[str, Any]]]:
    """List the work: a contender and its workload, the longest first."""
    base = {"records": str(records_path), "repeats": 2 if args.quick else 9}
    half = args.queries // 2
    first = CONTENDERS[0]
    asked = 1 if args.quick else ASKED
    edits = [KEPT[50], "rotate any"] if args.quick else None
    ordered = [
        (first, {**base, "part": "unrelated", "queries": [0, half]}),
        (first, {**base, "part": "unrelated", "queries": [half, args.queries]}),
        (first, {**base, "part": "template", "asked": asked}),
    ]
    chosen = CONTENDERS[:1] if args.without_peers else CONTENDERS
    recalls = [
        (name, {**base, "part": "recall", "pictures": args.pictures, "edits": edits, "strangers": args.strangers})
        for name in chosen
    ]
    return [recalls[0], *ordered, *recalls[1:]]


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = options_of(__doc__, "few pictures and edits: does it run?", plots=True)
    parser.add_argument("--pictures", type=int, default=100, help="photos for each edit; half as many of other kinds")
    parser.add_argument("--listed", type=int, default=5000, help="unrelated pictures on the list")
    parser.add_argument("--queries", type=int, default=2000, help="unrelated pictures looked up")
    parser.add_argument("--strangers", type=int, default=60, help="unrelated pictures for the pairwise contenders")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="processes at one time")
    parser.add_argument("--without-peers", action="store_true", help="measure hashmatch alone")
    args = parser.parse_args()
    if args.quick:
        args.pictures, args.listed, args.queries, args.strangers = 2, 10, 4, 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.npz"
        built = records(args.listed, args.processes, path)
        print(f"{built['records']:,} records, {built['seconds']:.0f} s", flush=True)

        def run(job: tuple[str, dict[str, Any]]) -> dict[str, Any]:
            began = time.perf_counter()
            line = runner.run("benchmarks.quality.keypoints", f"benchmarks.contenders.{job[0]}", job[1])
            line["workload"] = {name: value for name, value in job[1].items() if name != "records"}
            took = time.perf_counter() - began
            print(f"{line['contender']}, {job[1]['part']}: {line.get('error', 'done')}, {took:.0f} s", flush=True)
            return line

        with ThreadPoolExecutor(args.processes) as pool:
            lines = list(pool.map(run, jobs(args, path)))
    result = {
        "machine": runner.machine(),
        "seeds": {
            "sources": SEED,
            "unrelated, listed": STRANGER_SEED,
            "unrelated, queries": QUERY_SEED,
            "templates": TEMPLATE_SEED,
            "calibration of the oracles": CALIBRATION_SEED,
        },
        "records": built,
        "contenders": [line for line in lines if line["workload"]["part"] == "recall"],
        "false": [line for line in lines if line["workload"]["part"] != "recall"],
    }
    text = (
        "## Keypoints\n\n"
        + runner.stated(result["machine"])
        + ".\nSeeds: "
        + ", ".join(f"{name} {seed}" for name, seed in result["seeds"].items())
        + ".\nVersions: "
        + ", ".join(f"{line['contender']} {line['version']}" for line in result["contenders"] if "version" in line)
        + ".\nCommand: `python -m benchmarks keypoints --json benchmarks/results/keypoints.json --markdown"
        + " benchmarks/results/keypoints.md --plot\nbenchmarks/results/keypoints.png`. All pictures are synthetic;"
        + f" no seed was tuned on. The list holds {args.listed:,} unrelated pictures\nbeside those looked for.\n\n"
        + "".join(
            f"Left out: {line['contender']}, {line['workload']['part']}: {line['error']}.\n\n"
            for line in lines
            if "error" in line
        )
        + tables(result)
        + "\n"
    )
    keep(args, result, text, lambda path: plot(result, path))
    failed = sorted({line["contender"] for line in lines if "error" in line} & {"keypoints_hashmatch", "keypoints_pdq"})
    if failed:
        parser.exit(1, f"error: {', '.join(failed)} failed\n")
