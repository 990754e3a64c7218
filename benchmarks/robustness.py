"""Robustness: recall for each edit of the ladder at the policy's threshold, beside the false matches.

Run ``python -m benchmarks.robustness`` from the project's root. Half of the sources are photos, half are portraits,
pages, screens, memes, comics and cards; every source is listed by the hash of its untouched pixels and searched for by
each of its edits. All other comparisons of a query with a listed hash are chances of a false match, as are those of
unrelated pictures; pairs that share a template and frames of one burst are counted apart. A query below the method's
least quality is undecidable: neither found nor false. Tune on other seeds than the default, which is for reporting.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import runner
from hashmatch.synthetic import KINDS, LADDER, TEMPLATE_KINDS, burst, picture, same_template

REPORTING_SEED = 2_000_000
TUNING_SEED = 1_000_000
CONTENDERS = ("robustness_hashmatch", "robustness_imagehash", "robustness_crop_resistant")
SIZES = ((320, 320), (288, 384), (384, 288), (270, 400), (300, 340))
TEMPLATES, FILLINGS, FRAMES = 10, 6, 5


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of matching: how a picture is described, how far descriptions are apart, and what counts.

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
    """

    name: str
    describe: Callable[[np.ndarray], tuple[Any, int]]
    distances: Callable[[list[Any], list[Any]], np.ndarray]
    threshold: int
    min_quality: int
    views: int


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


def measure(contender: ModuleType, workload: dict[str, Any]) -> dict[str, Any]:
    """Match every edit of every source with one contender; runs in its own process."""
    seed = workload["seed"]
    count = min(workload["pictures"], contender.PICTURES or workload["pictures"])
    pictures = sources(count, seed)
    wanted = set(contender.EDITS or [edit.name for edit in LADDER]) & set(workload["edits"] or [e.name for e in LADDER])
    unrelated = [picture(kind, seed + 500_000 + i, SIZES[i % 5]) for i in range(count // 4) for kind in KINDS]
    out: list[dict[str, Any]] = []
    describers = list(dict.fromkeys(method.describe for method in contender.METHODS))
    edited: list[dict[str, list[tuple[Any, int]]]] = [{} for _ in describers]
    for edit in (edit for edit in LADDER if edit.name in wanted):
        made = [edit(pixels, seed=i) for i, pixels in enumerate(pictures)]
        for found, describe in zip(edited, describers, strict=True):
            found[edit.name] = [describe(pixels) for pixels in made]
    hard = alike(seed, count)
    for found, describe in zip(edited, describers, strict=True):
        listed = [describe(pixels)[0] for pixels in pictures]
        strangers = [describe(pixels) for pixels in unrelated]
        groups = {name: [[describe(p) for p in group] for group in several] for name, several in hard.items()}
        out.extend(
            _judge(method, listed, found, strangers, groups)
            for method in contender.METHODS
            if method.describe is describe
        )
    return {"pictures": count, "methods": out}


def alike(seed: int, count: int) -> dict[str, list[list[np.ndarray]]]:
    """Make groups of hard negatives: fillings of one template for each kind, and frames of one burst."""
    templates = max(2, min(TEMPLATES, count // 4))
    groups = {
        f"same template, {kind}": [
            [same_template(kind, seed + t, seed + 700_000 + FILLINGS * t + f, SIZES[t % 5]) for f in range(FILLINGS)]
            for t in range(templates)
        ]
        for kind in TEMPLATE_KINDS
    }
    frames = [[burst("photo", seed + 800_000 + t, f, SIZES[t % 5]) for f in range(FRAMES)] for t in range(templates)]
    return groups | {"burst": frames}


def _judge(
    method: Method,
    listed: list[Any],
    edited: dict[str, list[tuple[Any, int]]],
    strangers: list[tuple[Any, int]],
    groups: dict[str, list[list[tuple[Any, int]]]],
) -> dict[str, Any]:
    """Count what one method finds, misses and mistakes."""
    rows, false, comparisons = [], 0, 0
    own = np.eye(len(listed), dtype=bool)
    for name, found in edited.items():
        distances = method.distances([description for description, _ in found], listed)
        decidable = np.array([quality >= method.min_quality for _, quality in found])
        hit = (distances <= method.threshold) & decidable[:, None]
        photos = np.arange(len(listed)) % 2 == 0
        wrong = int((hit & ~own).sum())
        false += wrong
        comparisons += int(decidable.sum()) * (len(listed) - 1)
        rows.append(
            {
                "edit": name,
                "recall": float(hit[own].mean()),
                "recall_photos": float(hit[own][photos].mean()),
                "recall_others": float(hit[own][~photos].mean()),
                "undecidable": float(1.0 - decidable.mean()),
                "median_distance": float(np.median(distances[own])),
                "false_matches": wrong,
            }
        )
    apart = [_chance("unrelated pictures", method, [(strangers, listed)])]
    for name, found in groups.items():
        pairs = [([group[i]], [d for d, _ in group[:i]]) for group in found for i in range(1, len(group))]
        apart.append(_chance(name, method, pairs))
    return {
        "method": method.name,
        "threshold": method.threshold,
        "views": method.views,
        "rows": rows,
        "false": [
            {
                "against": "other sources' edits",
                "false_matches": false,
                "comparisons": comparisons,
                **_bound(false, comparisons),
            },
            *apart,
        ],
        "sources": len(listed),
    }


def _chance(name: str, method: Method, pairs: list[tuple[list[tuple[Any, int]], list[Any]]]) -> dict[str, Any]:
    """Count matches among pictures that are not the same."""
    false = comparisons = 0
    for queries, references in pairs:
        kept = [description for description, quality in queries if quality >= method.min_quality]
        if kept:
            false += int((method.distances(kept, references) <= method.threshold).sum())
            comparisons += len(kept) * len(references)
    return {"against": name, "false_matches": false, "comparisons": comparisons, **_bound(false, comparisons)}


def _bound(events: int, trials: int) -> dict[str, Any]:
    """Upper 95 % bound of the rate by Clopper and Pearson; about 3 / n for no event. Assumes independent pairs."""
    from scipy.stats import beta

    if not trials:
        return {"upper_95": None}
    return {"upper_95": 1.0 if events == trials else float(beta.ppf(0.95, events + 1, trials - events))}


def tables(lines: list[dict[str, Any]]) -> str:
    """Write recall by edit and false matches by method as Markdown tables."""
    methods = [(line, method) for line in lines for method in line.get("methods", [])]
    header = ["edit", *(method["method"] for _, method in methods)]
    by_method = [{row["edit"]: row for row in method["rows"]} for _, method in methods]
    body = []
    for edit in LADDER:
        cells = [rows.get(edit.name) for rows in by_method]
        if any(cells):
            body.append([edit.name, *(_cell(cell) for cell in cells)])
    body.append(["sources", *(str(method["sources"]) for _, method in methods)])
    rows = [
        [
            f"{method['method']}: {item['against']}",
            f"{item['false_matches']:,}",
            f"{item['comparisons']:,}",
            "" if item["upper_95"] is None else f"{item['upper_95']:.1e}",
        ]
        for _, method in methods
        for item in method["false"]
    ]
    return (
        "### Recall, with the median distance in brackets\n\n"
        + runner.markdown_table(header, body)
        + "\n\n### False matches\n\nOne comparison is one query with one listed picture, over all views. The bound"
        + " assumes independent pairs;\nthe number of sources above limits what it can mean.\n\n"
        + runner.markdown_table(["method: against", "false matches", "comparisons", "95 % upper bound"], rows)
    )


def _cell(row: dict[str, Any] | None) -> str:
    return "" if row is None else f"{row['recall']:.0%} ({row['median_distance']:.0f})"


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """Draw recall by edit, one column a method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    methods = [method for line in lines for method in line.get("methods", [])]
    by_method = [{row["edit"]: row["recall"] for row in method["rows"]} for method in methods]
    names = [edit.name for edit in LADDER if any(edit.name in rows for rows in by_method)]
    grid = np.array([[rows.get(name, np.nan) for rows in by_method] for name in names])
    figure, axes = pyplot.subplots(figsize=(2 + 1.2 * len(methods), 2 + 0.16 * len(names)), constrained_layout=True)
    image = axes.imshow(100 * grid, aspect="auto", cmap="viridis", vmin=0, vmax=100)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_xticks(range(len(methods)), [m["method"] for m in methods], rotation=60, ha="right", fontsize=7)
    axes.set_title("recall by edit (white: not measured)")
    figure.colorbar(image, label="recall, %")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, print the tables and write the files asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100, help="sources, at least 8 (default: 100)")
    parser.add_argument("--seed", type=int, default=REPORTING_SEED, help=f"first seed; tune on {TUNING_SEED}")
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--plot", type=Path, help="write a plot here (needs matplotlib)")
    parser.add_argument("--without-peers", action="store_true", help="measure hashmatch alone")
    parser.add_argument("--quick", action="store_true", help="few pictures and edits: does it run?")
    args = parser.parse_args()
    if args.pictures < 8:
        parser.error("--pictures must be at least 8")
    edits = ["JPEG 50", "mirror", "crop random 50%"] if args.quick else None
    workload = {"pictures": 8 if args.quick else args.pictures, "seed": args.seed, "edits": edits}
    lines = []
    for contender in CONTENDERS[:1] if args.without_peers else CONTENDERS:
        began = time.perf_counter()
        line = runner.run("benchmarks.robustness", f"benchmarks.contenders.{contender}", workload)
        lines.append(line)
        print(f"{line['contender']}: {line.get('error', 'done')}, {time.perf_counter() - began:.0f} s")
    facts = runner.machine()
    text = (
        "## Robustness\n\n"
        + ", ".join(f"{name}: {value}" for name, value in facts.items())
        + f"; seed {args.seed}.\nVersions: "
        + ", ".join(f"{line['contender']} {line['version']}" for line in lines if "version" in line)
        + ".\nCommand: `python -m benchmarks.robustness`. All pictures are synthetic.\n\n"
        + tables(lines)
        + "\n"
    )
    print("\n" + text)
    if args.json:
        runner.save(args.json, json.dumps({"machine": facts, "results": lines}, indent=1) + "\n")
    if args.markdown:
        runner.save(args.markdown, text)
    if args.plot:
        plot(lines, args.plot)


if __name__ == "__main__":
    main()
