"""Put the latest results into the documents: ``python -m benchmarks performance --write``.

Measures nothing. Every such table of a page stands between ``<!-- results: NAME -->`` and ``<!-- end -->`` and is made
here from the files in ``benchmarks/results/``; without ``--write`` the tables are only printed, and ``--check`` says
whether the pages have them. A table whose results are missing says which command makes them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from benchmarks.frame.goals import (
    BOUNDS,
    DECODE,
    INEXACT,
    OURS,
    SUM,
    Results,
    beside_import,
    hashed,
    near,
    number,
    ten_million,
)
from benchmarks.frame.options import options_of
from benchmarks.frame.page_tables import algorithm_rates, crop_levels, pdq_rates, pdq_tails, policy_rates, strangers
from benchmarks.frame.runner import ROOT, markdown_table
from benchmarks.frame.view_tables import (
    borders,
    index_life,
    keypoint_false,
    keypoint_recall,
    negative_pairs,
    negatives,
    photographs,
    privacy,
    rotation_evidence,
    rotations,
    shrinks,
    thorough_shares,
    view_thresholds,
)
from benchmarks.quality.conformance import conformance_table, turns_table
from benchmarks.quality.points import table as points_table
from benchmarks.speed.lookup_report import PEER, SCAN, TREE, flat

BLOCK: Final = re.compile(r"(<!-- results: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def load(folder: Path) -> dict[str, Any]:
    """Read every result file that there is, by its area."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def pages() -> dict[Path, str]:
    """Read every document that has a place for a table."""
    found = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))}
    return {path: text for path, text in found.items() if BLOCK.search(text)}


def pixels(results: Results) -> str:
    """PDQ and keypoints from arrays and files of three sizes."""
    timed, lines = hashed(results), []
    works = (
        ("PDQ of an array", "pixels", "pdq", ("hashmatch", "hashmatch, NumPy kernels", "pdqhash", SUM)),
        ("eight turns of an array", "pixels", "pdq, eight turns", ("hashmatch", "hashmatch, NumPy kernels", "pdqhash")),
        ("keypoint record of an array", "pixels", "keypoint record", ("hashmatch", "hashmatch, NumPy kernels")),
        ("keypoints of a query", "pixels", "keypoints of a query", ("hashmatch", "hashmatch, NumPy kernels")),
        (
            "PDQ of a JPEG",
            "file",
            "pdq",
            ("hashmatch", "hashmatch, reduced decode", "pdqhash", "threatexchange", DECODE),
        ),
    )
    for what, source, algorithm, contenders in works:
        for contender in contenders:
            cells = [timed.get((source, width, algorithm, contender)) for width in (256, 1024, 4000)]
            lines.append([f"{what}: {contender}", *map(number, cells)])
    return markdown_table(["milliseconds", "256x256", "1024x768", "4000x3000"], lines)


def _marked(name: str) -> str:
    return f"{name} (not exact)" if name in INEXACT else name


def lookup(results: Results) -> str:
    """Near queries at 256 bits and radius 31 by the size of the list."""
    sizes = (10_000, 100_000, 1_000_000, 10_000_000)
    by_size = [near(results, n, 256, 31) for n in sizes]
    largest = {name: (-at, times[name]) for at, times in enumerate(by_size) for name in times}
    names = sorted(largest, key=largest.__getitem__)
    lines = [[_marked(name), *(number(times.get(name)) for times in by_size)] for name in names]
    return markdown_table(["milliseconds a query", *(f"{n:,}" for n in sizes)], lines)


def radius(results: Results) -> str:
    """Near queries in a million codes of 256 bits by the radius."""
    radii = (0, 8, 16, 24, 31, 40, 48, 56, 64)
    by_radius = [near(results, 1_000_000, 256, r) for r in radii]
    names = [name for name in by_radius[0] if sum(name in times for times in by_radius) > 1]
    lines = [[name, *(number(times.get(name)) for times in by_radius)] for name in names]
    return markdown_table(["milliseconds a query", *map(str, radii)], lines)


def costs(results: Results) -> str:
    """Build, memory, file and changes of the lists of the lookup benchmark."""
    lines = [
        [
            f"{row['n']:,}: {_marked(row['contender'])}",
            number(row["build_s"]),
            number(row["resident_bytes"] / row["n"]),
            number(row["file_bytes"] and row["file_bytes"] / row["n"]),
            number(row["load_ms"]),
            number(row["add_ms"]),
        ]
        for row in flat(results["lookup"]["results"])
        if (row["n_bits"], row["radius"]) == (256, 31) and row["n"] in (1_000_000, 10_000_000)
    ]
    header = ["codes: contender", "build s", "memory, bytes a code", "file, bytes a code", "load ms", "add ms"]
    return markdown_table(header, lines)


def trees(results: Results) -> str:
    """BK-trees at 64 bits against the scan and pybktree, and the planner's choice."""
    picks = {(plan["n"], plan["radius"]): plan for plan in results["lookup"]["plans"] if plan["n_bits"] == 64}
    lines = []
    for n in (100_000, 1_000_000):
        for r in range(1, 9):
            times, plan = near(results, n, 64, r), picks.get((n, r))
            if TREE in times and plan is not None:
                tree, scan, peer = (times.get(name) for name in (TREE, SCAN, PEER))
                faster = [f"{peer / tree:.0f}" if peer else "", f"{scan / tree:.1f}" if scan else ""]
                of_two = min(("bktree", "linear"), key=plan["expected_us"].__getitem__)
                lines.append([f"{n:,}, {r}", *map(number, (tree, scan, peer)), *faster, plan["kind"], of_two])
    header = ["codes, radius", "BKTree, ms", "LinearIndex, ms", "pybktree, ms"]
    header += ["times pybktree", "times the scan", "planner's pick", "of tree and scan"]
    return markdown_table(header, lines)


def threads(results: Results) -> str:
    """Work in many threads."""
    lines = []
    for row in results["threads"]["rows"]:
        one = row["a_second"]["1"]
        ratios = [row["a_second"]["2"] / one, row["a_second"]["8"] / one, row["processes"] / one]
        lines.append([row["work"], number(one), *(f"{ratio:.2f}" for ratio in ratios)])
    return markdown_table(["work", "a second, one thread", "2 threads", "8 threads", "2 processes"], lines)


def policies(results: Results) -> str:
    """Whole checks of decoded pictures."""
    rows, kinds = results["policies"]["rows"], list(dict.fromkeys(r["picture"] for r in results["policies"]["rows"]))
    names = dict.fromkeys(row["policy"] for row in rows)
    lines = [[name, *(f"{row['ms']:.1f}" for row in rows if row["policy"] == name)] for name in names]
    return markdown_table(["milliseconds", *kinds], lines)


def endtoend(results: Results) -> str:
    """Bytes to verdict."""
    rows = [row for row in results["endtoend"]["results"] if "one_ms" in row]
    kinds = list(rows[0]["one_ms"])
    decode = next(row["one_ms"] for row in rows if row["contender"] == DECODE)
    lines = [
        [
            row["contender"],
            *(f"{row['one_ms'][kind]:.1f} ({row['one_ms'][kind] / decode[kind]:.2f})" for kind in kinds),
            " / ".join(f"{rate:.0f}" for rate in row["threads"].values()),
            f"{row['folder']:.0f}",
        ]
        for row in rows
    ]
    header = ["ms a file (times the decode)", *kinds, "files/s, 1 / 2 / 8 threads", "folder, files/s"]
    return markdown_table(header, lines)


def _pair(one: float, other: float) -> str:
    return f"{number(one)} ({number(other)})"


def life(results: Results) -> str:
    """Life of an index of ten million hashes."""
    found = ten_million(results)
    size, n = found["files"]["file_bytes"], found["n"]
    change = found["changes"]["call"]
    lines = [
        [
            "index file made from the list, s (of processor)",
            _pair(*(found["files"][k] for k in ("seconds", "cpu_seconds"))),
        ],
        ["index file, bytes an entry", number(size / n)],
        [
            "opened, ms (with all checksums compared)",
            _pair(*(1000 * found["open"][k] for k in ("median_s", "checked_s"))),
        ],
        ["an added process's own memory, % of the file", number(100 * found["worker"]["after"]["private"] / size)],
        *(
            [f"{what} is seen after, ms, median (slowest)", _pair(change[name]["median_ms"], change[name]["max_ms"])]
            for name, what in (("add", "an added entry"), ("withdraw_old", "a withdrawn one"))
        ),
    ]
    with suppress(KeyError):  # results of an earlier form
        records = results["life"]["records"]
        for name, what in (("add", "an added keypoint record"), ("withdraw", "a withdrawn one")):
            when = f"{what} is seen after, in a list of {records['n']:,}, ms, median (slowest; {records['date']})"
            lines.append([when, _pair(records[name]["median_ms"], records[name]["max_ms"])])
    with suppress(KeyError):
        beside = beside_import(results)
        what = f"a hash looked up in 1,000,000 beside an import of {beside['imported']:,} by another process"
        times = beside["search_during_ms"]
        lines.append([f"{what}, ms, median (99th percentile; {beside['date']})", _pair(times["median"], times["p99"])])
    return markdown_table([f"{n:,} PDQ hashes", ""], lines)


def peers(results: Results) -> str:
    """Every list and radius at which another exact index answers sooner than what our planner takes."""
    rows = flat(results["lookup"]["results"])
    lines = []
    for n, n_bits, r in dict.fromkeys((row["n"], row["n_bits"], row["radius"]) for row in rows):
        times = near(results, n, n_bits, r)
        others = {name: ms for name, ms in times.items() if not name.startswith("hashmatch") and name not in INEXACT}
        if OURS in times and others:
            best = min(others, key=others.__getitem__)
            if others[best] < times[OURS]:
                ratio = f"{times[OURS] / others[best]:.2f}"
                what = f"{n:,} codes of {n_bits} bits, radius {r}"
                lines.append([what, best, *map(number, (others[best], times[OURS])), ratio])
    header = ["list", "faster peer", "its ms", "ours", "times"]
    return markdown_table(header, lines) if lines else "None at any size and radius measured."


def goals(results: Results) -> str:
    """Write the bounds that the project set itself, each with what was measured."""
    lines = []
    for what, bound, unit, area, figure in BOUNDS:
        at_least = bound > 0
        goal = f"{'at least' if at_least else 'at most'} {abs(bound):g}{unit}"
        try:
            value = figure(results)
        except (KeyError, StopIteration, TypeError, ValueError):
            lines.append([what, goal, f"not measured: {area}", ""])
        else:
            holds = value >= bound if at_least else value <= -bound
            lines.append([what, goal, f"{number(value)}{unit}", "yes" if holds else "**no**"])
    return markdown_table(["work", "goal", "measured", "holds"], lines)


TABLES: Final[Mapping[str, tuple[str, Callable[[Results], str]]]] = {
    "goals": ("", goals),
    "pixels": ("hashing", pixels),
    "lookup": ("lookup", lookup),
    "radius": ("lookup", radius),
    "costs": ("lookup", costs),
    "trees": ("lookup", trees),
    "peers": ("lookup", peers),
    "threads": ("threads", threads),
    "policies": ("policies", policies),
    "endtoend": ("endtoend", endtoend),
    "life": ("life", life),
    "strangers": ("strangers", strangers),
    "pdq_tails": ("", pdq_tails),
    "pdq_rates": ("", pdq_rates),
    "policy_rates": ("", policy_rates),
    "algorithm_rates": ("", algorithm_rates),
    "crop_levels": ("", crop_levels),
    "thorough_shares": ("", thorough_shares),
    "photographs": ("views", photographs),
    "view_thresholds": ("views", view_thresholds),
    "borders": ("trims", borders),
    "rotations": ("rotations", rotations),
    "rotation_evidence": ("rotations", rotation_evidence),
    "shrinks": ("views", shrinks),
    "negatives": ("views", negatives),
    "negative_pairs": ("views", negative_pairs),
    "privacy": ("privacy", privacy),
    "keypoint_recall": ("keypoints", keypoint_recall),
    "keypoint_false": ("keypoints", keypoint_false),
    "index_life": ("life", index_life),
    "points": ("points", lambda results: points_table(results["points"])),
    "conformance": ("conformance", lambda results: conformance_table(results["conformance"])),
    "pdq_turns": ("conformance", lambda results: turns_table(results["conformance"])),
}


def table(name: str, results: Results) -> str:
    """Make one table, or say which command makes its results."""
    area, make = TABLES[name]
    try:
        text = make(results)
    except KeyError:  # no results, or of an earlier form
        return f"Not measured yet: `python -m benchmarks {area} --json benchmarks/results/{area}.json`."
    if not area:
        return text
    machine = results[area]["machine"]
    return f"{text}\n\n*{machine['date']}, {machine['cpu']}, {machine['cores']} cores, Python {machine['python']}.*"


def filled(page: str, results: Results) -> str:
    """Put every table of a page in its place.

    Raises
    ------
    KeyError
        If the page asks for a table that there is not.
    """
    return BLOCK.sub(lambda found: f"{found[1]}\n{table(found[2], results)}\n\n{found[4]}", page)


def main() -> None:
    """Print the tables, or put them into the page, or check that they are there."""
    parser = options_of(__doc__, "as --check: no result is measured", keeps=False)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="folder of result files")
    parser.add_argument("--write", action="store_true", help="put the tables into the pages")
    parser.add_argument("--check", action="store_true", help="fail if a page has other tables")
    args = parser.parse_args()
    results = load(args.results)
    found = pages()
    behind = {path: text for path, page in found.items() if (text := filled(page, results)) != page}
    if args.write:
        for path, text in behind.items():
            path.write_text(text, encoding="utf-8")
    elif args.check or args.quick:
        if behind:
            names = ", ".join(path.relative_to(ROOT).as_posix() for path in behind)
            sys.exit(f"{names}: behind the results: python -m benchmarks performance --write")
        print(f"{len(found)} pages have the tables of their results")
    else:
        print("\n\n".join(f"## {name}\n\n{table(name, results)}" for name in TABLES))
