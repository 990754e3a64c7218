"""How `python -m benchmarks robustness` shows what it measured: tables by goal and by edit, false matches, curves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frame import runner
from benchmarks.frame.options import drawn
from benchmarks.quality.robustness import CURVE_EDITS, GOALS, pooled, share
from hashmatch.synthetic import LADDER

COMMAND = (
    "python -m benchmarks robustness --json benchmarks/results/robustness.json "
    "--markdown benchmarks/results/robustness.md --plot benchmarks/results/robustness.png"
)
FAMILIES = (
    ("crop one side", "share of a random side cut off, %"),
    ("crop every side", "share cut off every side, %"),
    ("crop random", "area cut off, random place, %"),
    ("rotate", "rotation, degrees, corners black"),
    ("rotate and cut", "rotation, degrees, corners cut"),
    ("border", "border, share of each side, all kinds, %"),
    ("letterbox", "letterbox, share above and below, all kinds, %"),
    ("black bar", "area blacked out, %"),
    ("JPEG", "JPEG quality"),
    ("resize", "size, % of each side"),
    ("noise", "noise, sigma of 255, salt and pepper left out"),
)


def text(lines: Sequence[Mapping[str, Any]], facts: Mapping[str, str], seed: int, n_fillers: int) -> str:
    """Write the report in Markdown."""
    methods = [method for line in lines for method in line.get("methods", [])]
    parts = [
        "## Robustness",
        runner.stated(facts)
        + f"; sources from seed {seed}, {n_fillers:,} filler pictures in eight turns.\nVersions: "
        + ", ".join(f"{line['contender']} {line['version']}" for line in lines if "version" in line)
        + f".\nCommand: `{COMMAND}`. All pictures are synthetic; no seed was tuned on.",
        *(f"Left out: {line['contender']}, {line['error']}." for line in lines if "error" in line),
        "### Goals\n\nRecall, %, of photos and, in brackets, of all pictures; then the number of photos and of all.",
        _goals([method for method in methods if "curve" not in method or "views" in method]),
        "### Recall by edit\n\nPer cent of all pictures, with the median distance in brackets where one is measured.",
        _edits(methods),
        "### False matches\n\nOne comparison is one query with one listed hash, over all views. The bound assumes"
        " independent pairs;\nthe number of sources above limits what it can mean.",
        runner.markdown_table(
            ["method: against", "false matches", "comparisons", "95 % upper bound"],
            [
                [
                    f"{method['method']}: {item['against']}",
                    f"{item['false_matches']:,}",
                    f"{item['comparisons']:,}",
                    "" if item["upper_95"] is None else f"{item['upper_95']:.1e}",
                ]
                for method in methods
                for item in method["false"]
            ],
        ),
        "### Recall of the crops among the goals against false matches a comparison\n\nThe strictest level at which the"
        " rate of false matches is at most that of the column; 0 is none in the sample.",
        _curves([method for method in methods if "curve" in method]),
    ]
    return "\n\n".join(parts) + "\n"


def _goals(methods: Sequence[Mapping[str, Any]]) -> str:
    body = []
    for goal in GOALS:
        cells = []
        for method in methods:
            found, asked, found_photos, photos = pooled(method, goal.edits)
            cells.append(f"{share(found_photos, photos)} ({share(found, asked)}); {photos}, {asked}" if asked else "")
        if any(cells):
            body.append([goal.name, f"{goal.goal:g}", *cells])
    return runner.markdown_table(["edit", "to reach", *(method["method"] for method in methods)], body)


def _edits(methods: Sequence[Mapping[str, Any]]) -> str:
    by_method = [{row["edit"]: row for row in method["rows"]} for method in methods]
    body = []
    for edit in LADDER:
        cells = [rows.get(edit.name) for rows in by_method]
        if any(cells):
            body.append([edit.name, *(_cell(cell) for cell in cells)])
    asked = [sorted({row["queries"] for row in rows.values()}) for rows in by_method]
    body.append(["queries a row", *(" or ".join(map(str, numbers)) for numbers in asked)])
    body.append(["hashes listed", *(f"{method['entries']:,}" for method in methods)])
    return runner.markdown_table(["edit", *(method["method"] for method in methods)], body)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    median = row["median_distance"]
    return share(row["found"], row["queries"]) + ("" if median is None else f" ({median:.0f})")


def _curves(methods: Sequence[Mapping[str, Any]]) -> str:
    rates = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
    body = []
    for method in methods:
        points = method["curve"]
        cells = []
        for limit in rates:
            allowed = [point for point in points if point[2] <= limit]
            best = max(allowed, key=lambda point: point[1], default=None)
            cells.append("" if best is None else f"{100 * best[1]:.1f} (at {abs(best[0]):.0f})")
        edits, unrelated = method["curve_queries"]
        body.append([method["method"], *cells, f"{edits}, {unrelated}"])
    return runner.markdown_table(["method", *(f"{limit:g}" for limit in rates), "crops, unrelated queries"], body)


def _strength(name: str) -> float | None:
    numbers = re.findall(r"\d+(?:\.\d+)?", name)
    return float(numbers[-1]) if numbers else None


def _points(method: Mapping[str, Any], family: str) -> list[tuple[float, float]]:
    """Recall by strength, the mean over the kinds of one strength."""
    named = {edit.name: _strength(edit.name) for edit in LADDER if edit.family == family}
    left_out = ("thumbnail", "salt", "speckle", "crop free,")
    found: dict[float, list[int]] = {}
    for row in method["rows"]:
        strength = named.get(row["edit"])
        if strength is not None and not row["edit"].startswith(left_out):
            both = found.setdefault(strength, [0, 0])
            both[0] += row["found"]
            both[1] += row["queries"]
    return sorted((strength, 100 * hit / asked) for strength, (hit, asked) in found.items())


def plot(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw recall against strength by family, and recall against the rate of false matches."""
    methods = [method for line in lines for method in line.get("methods", [])]
    shown = [method for method in methods if "curve" not in method or "views" in method]
    with drawn(path, 4, 3, (15, 16), constrained_layout=True) as (_, grid):
        for (family, label), axes in zip(FAMILIES, grid.ravel(), strict=False):
            for number, method in enumerate(shown):
                points = _points(method, family)
                if points:
                    axes.plot(*np.array(points).T, marker=".", label=method["method"], color=f"C{number}")
            axes.set_xlabel(label)
            axes.set_ylabel("recall, %")
            axes.set_ylim(-3, 103)
        grid.ravel()[0].legend(fontsize=7)
        axes = grid.ravel()[-1]
        for method in (method for method in methods if "curve" in method):
            values = np.array(method["curve"])
            floor = 0.3 / max(item["comparisons"] for item in method["false"])
            axes.plot(np.maximum(values[:, 2], floor), 100 * values[:, 1], label=method["method"])
        axes.set_xscale("log")
        axes.set_xlabel("false matches a comparison (leftmost: none seen)")
        axes.set_ylabel(f"recall over {len(CURVE_EDITS)} crops, %")
        axes.legend(fontsize=7)
