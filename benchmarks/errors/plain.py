"""Reports of plain, patterned and faint entries by unlike pictures: ``python -m benchmarks plain``.

One list holds entries of `hashmatch.synthetic.pattern` by what they state: their own quality where that is under 50,
none, or falsely 100. Patterns, plain and faint pictures, and documents, screens and cards are looked up in it; no two
are alike, so that every report is false.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.errors.strangers import upper_bound
from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of
from hashmatch import Matcher, ReferenceList, fingerprint, profiles
from hashmatch.lists import Entry
from hashmatch.synthetic import PATTERN_KINDS, edits, pattern, picture

SEED = 12_000_000
QUERY_SEED = 13_000_000
SIZES = ((256, 256), (300, 400), (480, 360), (200, 320), (411, 617))
LAYOUTS = ("document", "screenshot", "card", "low-texture")
STATED = ("low", "none", "falsely 100")
POLICIES = (profiles.FAST, profiles.STANDARD, profiles.THOROUGH)


def entries(count: int) -> Iterator[Entry]:
    """Make entries, ``count`` of each way of stating quality."""
    made: Counter[str] = Counter()
    number = 0
    while len(made) < len(STATED) or min(made.values()) < count:
        kind, number = PATTERN_KINDS[number % len(PATTERN_KINDS)], number + 1
        found = fingerprint(pattern(kind, SEED + number, SIZES[number % len(SIZES)]))
        own = found.quality or 0
        # the first of each round state their own, if it is low
        stated = "low" if own < 50 and made["low"] < count else STATED[1 + number // len(PATTERN_KINDS) % 2]
        if made[stated] < count:
            made[stated] += 1
            quality = {"low": own, "none": None}.get(stated, 100)
            yield Entry.of(f"{kind} {number}", hashes=found.hashes, quality=quality, labels={"stated": stated})


def query_of(number: int) -> Any:
    """Make one query; half of them are saved as JPEG."""
    kinds, size = (*PATTERN_KINDS, *LAYOUTS), SIZES[number // 3 % len(SIZES)]
    kind = kinds[number % len(kinds)]
    pixels = (picture if kind in LAYOUTS else pattern)(kind, QUERY_SEED + number, size)
    return edits.jpeg(pixels, 60) if number // len(kinds) % 2 else pixels


def measure(path: Path, count: int) -> dict[str, dict[str, Any]]:
    """Look all queries up by each policy."""
    outcomes: dict[str, Counter[str]] = {policy.name: Counter() for policy in POLICIES}
    reports: dict[str, Counter[str]] = {policy.name: Counter() for policy in POLICIES}
    reporting: Counter[str] = Counter()
    with ExitStack() as opened:
        matchers = [opened.enter_context(Matcher.open(path, policy=policy)) for policy in POLICIES]
        for number in range(count):
            pixels = query_of(number)
            for matcher in matchers:
                name, report = matcher.policy.name, matcher.match(pixels)
                outcomes[name][report.outcome.value] += 1
                reports[name].update(match.labels["stated"] for match in report.matches)
                reporting[name] += bool(report.matches)
    return {
        name: {"outcomes": dict(found), "reports": dict(reports[name]), "reporting": reporting[name]}
        for name, found in outcomes.items()
    }


def table(results: dict[str, Any], count: int) -> str:
    """One row a policy."""
    header = ["policy", "queries", "too plain", "no match", *(f"reports, {name}" for name in STATED), "95 % bound"]
    rows = []
    for name, found in results.items():
        outcomes, reports = found["outcomes"], found["reports"]
        counts = [str(outcomes.get(key, 0)) for key in ("undecidable", "no match")]
        counts += [str(reports.get(key, 0)) for key in STATED]
        rows.append([name, f"{count:,}", *counts, f"{upper_bound(found['reporting'], count):.1e}"])
    return runner.markdown_table(header, rows)


def main() -> None:
    """Measure, print the table and write the files asked for."""
    parser = options_of(__doc__, "few pictures: does it run?")
    parser.add_argument("--queries", type=int, default=3000)
    parser.add_argument("--entries", type=int, default=500, help="of each way of stating quality")
    args = parser.parse_args()
    listed, count = (12, 20) if args.quick else (args.entries, args.queries)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.hashmatch"
        with ReferenceList.create(path, name="plain") as ref:
            ref.add_many(entries(listed))
        results = measure(path, count)
    facts = runner.machine()
    text = (
        "## Plain entries\n\n"
        + runner.stated(facts)
        + f"; seeds from {SEED} (entries) and {QUERY_SEED} (queries), {listed} entries a way of stating quality.\n"
        + "Command: `python -m benchmarks plain`. All pictures are synthetic, every report is false; bounds are of a "
        + "query.\n\n"
        + table(results, count)
        + "\n"
    )
    keep(args, {"machine": facts, "entries": listed, "queries": count, **results}, text)
