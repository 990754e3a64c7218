"""Robustness: recall for each edit of the ladder at the policy's threshold, beside the false matches.

Run ``python -m benchmarks robustness --json FILE --markdown FILE --plot FILE`` from the project's root; about
20 minutes on two idle cores. Half of the sources are photos, half are portraits, pages, screens, memes, comics and
cards; every source is listed by the hash of its untouched pixels and searched for by each of its edits. The list also
holds the hashes of thousands of pictures that nobody looks for, in eight turns each. All other comparisons of a query
with a listed hash are chances of a false match, as are those of unrelated pictures; pairs that share a template and
frames of one burst are counted apart. A query below the method's least quality is undecidable: neither found nor false.
Slow methods take fewer pictures, and every figure stands beside its number of queries. Tune on other seeds than the
default, which is for reporting.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from benchmarks.frame.stock import filler_entries, fillers, opened, rate, upper_bound
from hashmatch import MatchPolicy, Outcome, hash_image
from hashmatch.lists import Entry
from hashmatch.synthetic import KINDS, LADDER, TEMPLATE_KINDS, Edit, burst, picture, same_template

REPORTING_SEED = 9_600_000
FILLER_SEED = 9_900_000
TUNING_SEED = 1_000_000
CONTENDERS = (
    "robustness_thorough",
    "robustness_standard",
    "robustness_hashmatch",
    "robustness_imagehash",
    "robustness_evidence",
    "robustness_crop_resistant",
)
SIZES = ((320, 320), (288, 384), (384, 288), (270, 400), (300, 340))
TEMPLATES, FILLINGS, FRAMES, STRANGERS = 10, 6, 5, 25
FRAMES_ROUND = ("border", "letterbox", "pillarbox")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A row of the goals: recall to reach over some edits, per cent, and what plain PDQ reaches at 31."""

    name: str
    edits: tuple[str, ...]
    goal: float


GOALS = (
    *(
        Goal(name=f"{s} % off one side", edits=(f"crop one side {s}%",), goal=g)
        for s, g in ((5, 99), (10, 97), (20, 85))
    ),
    *(
        Goal(name=f"{s} % off every side", edits=(f"crop every side {s}%",), goal=g)
        for s, g in (("2.5", 99), ("5", 95), ("10", 75))
    ),
    Goal(name="each side cut by its own random share up to 10 %", edits=("crop own shares 10%",), goal=92),
    Goal(
        name="border or letterbox up to 25 % a side, every kind",
        edits=tuple(e.name for e in LADDER if e.family in FRAMES_ROUND and not e.name.endswith(" 50%")),
        goal=99,
    ),
    Goal(name="flips, turns by 90 degrees", edits=("turn 90", "turn 180", "mirror", "flip", "transpose"), goal=99.9),
    Goal(name="caption band of 20 %", edits=("caption band",), goal=95),
    Goal(name="phone screenshot with bars", edits=("phone screenshot", "phone screenshot, dark"), goal=95),
    *(
        Goal(name=f"rotation by {d} degrees, {corners}", edits=(f"rotate {d}{end}",), goal=g)
        for d, g in ((1, 99), (2, 97), (4, 90))
        for corners, end in (("corners black", ""), ("corners cut", " and cut"))
    ),
)
CURVE_EDITS = tuple(name for goal in GOALS for name in goal.edits if name.startswith("crop"))
_OFTEN = {name for goal in GOALS if len(goal.edits) < 8 for name in goal.edits}


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of matching hash by hash: how a picture is described, how far descriptions are apart, and what counts.

    Parameters
    ----------
    name : str
        Column of the table.
    describe : callable
        Pixels to (description, quality 0 to 100).
    distances : callable
        List of query descriptions and list of listed ones to a (queries, listed) int array.
    threshold : int
        Largest distance that is a match.
    min_quality : int
        Least quality of a query.
    views : int
        Hashes compared for each query.
    fillers : str
        Algorithm of the further hashes it is compared with; empty for none.
    curve : bool
        Whether its recall at every threshold is kept.
    """

    name: str
    describe: Callable[[np.ndarray], tuple[Any, int]]
    distances: Callable[[list[Any], list[Any]], np.ndarray]
    threshold: int
    min_quality: int
    views: int
    fillers: str = ""
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Searched:
    """One policy, followed by a `Matcher` on a list of PDQ hashes.

    Parameters
    ----------
    name : str
        Column of the table.
    policy : MatchPolicy
        What counts.
    least_evidence : float, optional
        Least evidence that counts in the tables, where the policy reports more for the sake of the curve.
    curve : bool
        Whether recall by evidence is kept.
    """

    name: str
    policy: MatchPolicy
    least_evidence: float | None = None
    curve: bool = False


def hamming(queries: list[np.ndarray], references: list[np.ndarray], views: int) -> np.ndarray:
    """Least Hamming distance over the query's first ``views`` hashes; listed pictures have one, the first."""
    listed = np.array([codes[0] for codes in references])
    asked = np.array([codes[:views] for codes in queries])
    out = np.full((len(asked), len(listed)), 10**6)
    for view in range(asked.shape[1]):
        differing = np.bitwise_count(asked[:, view, None] ^ listed[None]).sum(axis=2, dtype=np.int64)
        np.minimum(out, differing, out=out)
    return out


def sources(count: int, seed: int) -> list[np.ndarray]:
    """Make the listed pictures: even ones are photos, odd ones of the other kinds in turn, none of low texture."""
    others = [kind for kind in KINDS if kind not in ("photo", "low-texture")]
    kinds = ["photo" if i % 2 == 0 else others[i // 2 % len(others)] for i in range(count)]
    return [picture(kind, seed + i, SIZES[i % len(SIZES)]) for i, kind in enumerate(kinds)]


def shares(contender: ModuleType, workload: Mapping[str, Any]) -> dict[str, int]:
    """Give the number of pictures a contender takes for each of its edits: goals of their own get more."""
    most = min(workload["pictures"], contender.PICTURES or workload["pictures"])
    fewer = min(most, getattr(contender, "PICTURES_ELSEWHERE", None) or most)
    asked = set(workload["edits"] or [edit.name for edit in LADDER])
    wanted = asked & set(contender.EDITS or asked)
    return {edit.name: most if edit.name in _OFTEN else fewer for edit in LADDER if edit.name in wanted}


def measure(contender: ModuleType, workload: dict[str, Any]) -> dict[str, Any]:
    """Match every edit of every source with one contender; runs in its own process."""
    seed, counts = workload["seed"], shares(contender, workload)
    edits = [edit for edit in LADDER if edit.name in counts]
    pictures = sources(max(counts.values()), seed)
    strangers = min(getattr(contender, "STRANGERS", STRANGERS), max(2, workload["pictures"] // 4))
    unrelated = [picture(kind, seed + 200_000 + i, SIZES[i % 5]) for i in range(strangers) for kind in KINDS]
    hard = alike(seed, counts=max(counts.values()))
    with np.load(workload["fillers"]) as kept:
        others = {name: kept[name] for name in kept.files}
    began = time.process_time()
    if hasattr(contender, "SEARCHED"):
        out = [_search(item, pictures, edits, counts, unrelated, hard, others) for item in contender.SEARCHED]
    else:
        out = _compare(contender.METHODS, pictures, edits, counts, unrelated, hard, others)
    return {"pictures": len(pictures), "methods": out, "cpu_seconds": time.process_time() - began}


def _compare(
    methods: list[Method],
    pictures: list[np.ndarray],
    edits: list[Edit],
    counts: Mapping[str, int],
    unrelated: list[np.ndarray],
    hard: dict[str, list[list[np.ndarray]]],
    others: Mapping[str, np.ndarray],
) -> list[dict[str, Any]]:
    """Judge methods that compare one description with another."""
    describers = list(dict.fromkeys(method.describe for method in methods))
    edited: list[dict[str, list[tuple[Any, int]]]] = [{} for _ in describers]
    for edit in edits:
        made = [edit(pixels, seed=i) for i, pixels in enumerate(pictures[: counts[edit.name]])]
        for found, describe in zip(edited, describers, strict=True):
            found[edit.name] = [describe(pixels) for pixels in made]
    out: list[dict[str, Any]] = []
    for found, describe in zip(edited, describers, strict=True):
        listed = [describe(pixels)[0] for pixels in pictures]
        strangers = [describe(pixels) for pixels in unrelated]
        groups = {name: [[describe(p) for p in group] for group in several] for name, several in hard.items()}
        for method in (method for method in methods if method.describe is describe):
            further = list(others[method.fillers][:, None]) if method.fillers else []
            out.append(_judge(method, listed, found, strangers, groups, further))
    return out


def _search(
    searched: Searched,
    pictures: list[np.ndarray],
    edits: list[Edit],
    counts: Mapping[str, int],
    unrelated: list[np.ndarray],
    hard: dict[str, list[list[np.ndarray]]],
    others: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Judge a policy: a list of the sources and the fillers, one search a query."""
    rows, false, asked, true_levels, false_levels = [], 0, 0, [], []
    n_entries = len(pictures) + len(others["pdq"])
    with opened(searched.policy, [*_listed("source", pictures), *filler_entries(others["pdq"])]) as matcher:
        for edit in edits:
            found, open_cases, wrong, n = [], 0, 0, counts[edit.name]
            for number, pixels in enumerate(pictures[:n]):
                levels, decided = _ask(matcher, edit(pixels, seed=number))
                own = levels.pop(f"source-{number}", -1.0)
                found.append(_counts(own, searched))
                wrong += sum(_counts(level, searched) for level in levels.values())
                open_cases += not decided
                asked += decided
                if edit.name in CURVE_EDITS:
                    true_levels.append(own)
            false += wrong
            rows.append(_row(edit.name, np.array(found), open_cases, None, wrong))
        strange, answered = 0, 0
        for pixels in unrelated:
            levels, decided = _ask(matcher, pixels)
            strange += sum(_counts(level, searched) for level in levels.values())
            false_levels += levels.values()
            answered += decided
    apart = [
        _rate("other sources' edits, fillers", false, asked * (n_entries - 1)),
        _rate("unrelated pictures, fillers", strange, answered * n_entries),
        *(_search_alike(name, searched, groups) for name, groups in hard.items() if not searched.curve),
    ]
    out = {"method": searched.name, "threshold": searched.least_evidence, "rows": rows, "false": apart}
    if searched.curve:
        out["curve"] = _curve(np.array(true_levels), np.array(false_levels), len(unrelated) * n_entries)
        out["curve_queries"] = [len(true_levels), len(unrelated)]
    return {**out, "sources": len(pictures), "entries": n_entries}


def _listed(name: str, pictures: Iterable[np.ndarray]) -> list[Entry]:
    return [Entry.of(f"{name}-{n}", hashes=[hash_image(p)], quality=100) for n, p in enumerate(pictures)]


def _ask(matcher: Any, pixels: np.ndarray) -> tuple[dict[str, float], bool]:
    """Evidence of every entry reported, infinite where a distance decided; and whether there was an answer."""
    report = matcher.match(pixels)
    levels: dict[str, float] = {}
    for match in report.matches:
        level = float("inf") if match.evidence is None else match.evidence
        levels[match.entry_id] = max(level, levels.get(match.entry_id, -1.0))
    return levels, report.outcome in (Outcome.MATCH, Outcome.NO_MATCH)


def _counts(level: float, searched: Searched) -> bool:
    return level >= (searched.least_evidence or 0.0)


def _search_alike(name: str, searched: Searched, groups: list[list[np.ndarray]]) -> dict[str, Any]:
    """Count matches among pictures that share a template or a burst, each group its own."""
    false = pairs = 0
    entries = [item for number, group in enumerate(groups) for item in _listed(f"{number}", group)]
    with opened(searched.policy, entries) as matcher:
        for number, group in enumerate(groups):
            for filling, pixels in enumerate(group):
                levels, decided = _ask(matcher, pixels)
                mine = {f"{number}-{i}" for i in range(len(group))} - {f"{number}-{filling}"}
                false += sum(entry in mine and _counts(level, searched) for entry, level in levels.items())
                pairs += decided * len(mine)
    return _rate(name, false, pairs)


def alike(seed: int, counts: int) -> dict[str, list[list[np.ndarray]]]:
    """Make groups of hard negatives: fillings of one template for each kind, and frames of one burst."""
    templates = max(2, min(TEMPLATES, counts // 10))
    groups = {
        f"same template, {kind}": [
            [same_template(kind, seed + t, seed + 210_000 + FILLINGS * t + f, SIZES[t % 5]) for f in range(FILLINGS)]
            for t in range(templates)
        ]
        for kind in TEMPLATE_KINDS
    }
    frames = [[burst("photo", seed + 220_000 + t, f, SIZES[t % 5]) for f in range(FRAMES)] for t in range(templates)]
    return groups | {"burst": frames}


def _judge(
    method: Method,
    listed: list[Any],
    edited: dict[str, list[tuple[Any, int]]],
    strangers: list[tuple[Any, int]],
    groups: dict[str, list[list[tuple[Any, int]]]],
    further: list[Any],
) -> dict[str, Any]:
    """Count what one method finds, misses and mistakes."""
    rows, false, comparisons, true_levels = [], 0, 0, []
    for name, found in edited.items():
        distances = method.distances([description for description, _ in found], listed)
        decidable = np.array([quality >= method.min_quality for _, quality in found])
        hit = (distances <= method.threshold) & decidable[:, None]
        own = np.eye(len(found), len(listed), dtype=bool)
        wrong = int((hit & ~own).sum())
        false += wrong
        comparisons += int(decidable.sum()) * (len(listed) - 1)
        rows.append(_row(name, hit[own], int((~decidable).sum()), float(np.median(distances[own])), wrong))
        if name in CURVE_EDITS:
            true_levels += np.where(decidable, -distances[own], -(10**6)).tolist()
    apart = [_rate("other sources' edits", false, comparisons)]
    kept = [description for description, quality in strangers if quality >= method.min_quality]
    levels = np.concatenate([method.distances([one], listed + further).ravel() for one in kept])
    apart.append(
        _rate("unrelated pictures" + ", fillers" * bool(further), int((levels <= method.threshold).sum()), levels.size)
    )
    for name, several in groups.items():
        wrong = pairs = 0
        for group in several:
            for i, (description, quality) in enumerate(group):
                if quality >= method.min_quality:
                    rest = [other for j, (other, _) in enumerate(group) if j != i]
                    wrong += int((method.distances([description], rest) <= method.threshold).sum())
                    pairs += len(rest)
        apart.append(_rate(name, wrong, pairs))
    out = {"method": method.name, "threshold": method.threshold, "views": method.views, "rows": rows, "false": apart}
    if method.curve:
        out["curve"] = _curve(np.array(true_levels), -levels, levels.size)
        out["curve_queries"] = [len(true_levels), len(kept)]
    return {**out, "sources": len(listed), "entries": len(listed) + len(further)}


def _row(edit: str, hit: np.ndarray, undecidable: int, median: float | None, wrong: int) -> dict[str, Any]:
    photos = np.arange(len(hit)) % 2 == 0
    return {
        "edit": edit,
        "queries": len(hit),
        "found": int(hit.sum()),
        "photos": int(photos.sum()),
        "found_photos": int(hit[photos].sum()),
        "undecidable": undecidable,
        "median_distance": median,
        "false_matches": wrong,
    }


def _rate(name: str, false: int, comparisons: int) -> dict[str, Any]:
    return {
        "against": name,
        "false_matches": int(false),
        "comparisons": int(comparisons),
        "upper_95": upper_bound(int(false), int(comparisons)),
    }


def _curve(true: np.ndarray, false: np.ndarray, comparisons: int) -> list[tuple[float, float, float]]:
    """Level, recall and false-match rate a comparison, at each of up to 300 levels from the strictest."""
    every = np.unique(np.concatenate((true[np.isfinite(true)], false[np.isfinite(false)])))[::-1]
    levels = every[np.unique(np.linspace(0, len(every) - 1, min(300, len(every))).astype(int))]
    return [
        (float(level), float((true >= level).mean()), float((false >= level).sum() / comparisons)) for level in levels
    ]


def pooled(method: Mapping[str, Any], edits: Iterable[str]) -> tuple[int, int, int, int]:
    """Found and asked, and the same among photos, over several edits."""
    wanted = set(edits)
    rows = [row for row in method["rows"] if row["edit"] in wanted]
    found, asked, found_photos, photos = (
        sum(row[name] for row in rows) for name in ("found", "queries", "found_photos", "photos")
    )
    return found, asked, found_photos, photos


def share(found: int, asked: int) -> str:
    """Write a recall; nothing where nothing was asked."""
    value = rate(found, asked)
    return "" if value is None else f"{100 * value:.1f}".removesuffix(".0")


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    from benchmarks.quality import robustness_report

    parser = options_of(__doc__, "few pictures and edits: does it run?", plots=True)
    parser.add_argument("--pictures", type=int, default=200, help="sources, at least 8 (default: 200)")
    parser.add_argument("--fillers", type=int, default=7500, help="further listed pictures, eight hashes each")
    parser.add_argument("--seed", type=int, default=REPORTING_SEED, help=f"first seed; tune on {TUNING_SEED}")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="contenders at one time")
    parser.add_argument("--without-peers", action="store_true", help="measure hashmatch alone")
    args = parser.parse_args()
    if args.pictures < 8:
        parser.error("--pictures must be at least 8")
    if args.quick:
        args.pictures, args.fillers = 8, 12
    edits = ["JPEG 50", "mirror", "crop one side 5%"] if args.quick else None
    chosen = [name for name in CONTENDERS if not args.without_peers or name not in PEERS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fillers.npz"
        began = time.perf_counter()
        codes = fillers(args.fillers, FILLER_SEED, args.processes)
        np.savez(path, **codes)
        print(f"{len(codes['pdq']):,} filler hashes, {time.perf_counter() - began:.0f} s", flush=True)
        workload = {"pictures": args.pictures, "seed": args.seed, "edits": edits, "fillers": str(path)}

        def run(name: str) -> dict[str, Any]:
            began = time.perf_counter()
            line = runner.run("benchmarks.quality.robustness", f"benchmarks.contenders.{name}", workload)
            print(f"{line['contender']}: {line.get('error', 'done')}, {time.perf_counter() - began:.0f} s", flush=True)
            line["workload"] = {**line["workload"], "fillers": len(codes["pdq"])}
            return line

        with ThreadPoolExecutor(args.processes) as pool:
            lines = list(pool.map(run, chosen))
    facts = runner.machine()
    text = robustness_report.text(lines, facts, args.seed, args.fillers)
    keep(
        args,
        {"machine": facts, "seed": args.seed, "results": lines},
        text,
        lambda path: robustness_report.plot(lines, path),
    )
    failed = [
        line["contender"] for name, line in zip(chosen, lines, strict=True) if name not in PEERS and "error" in line
    ]
    if failed:
        parser.exit(1, f"error: {', '.join(failed)} failed\n")


PEERS = ("robustness_imagehash", "robustness_crop_resistant")
