"""Whether two commits answer alike: the reports of seeded queries by every preset, kept and compared field by field.

The queries are edits of listed and of unlisted synthetic pictures, as JPEG, PNG and arrays. ``python -m benchmarks
sameness --keep FILE`` writes all reports of the present commit; ``--against FILE`` compares with reports kept at
another commit, prints how many differ and in which fields, and ends with 1 where any does.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.frame.options import options_of
from benchmarks.frame.runner import machine
from hashmatch import Matcher, ReferenceList, fingerprint, profiles
from hashmatch.picture.encode import jpeg, png
from hashmatch.synthetic import KINDS, LADDER, picture

SEED = 11_100_000
POLICIES = {"FAST": profiles.FAST, "STANDARD": profiles.STANDARD, "THOROUGH": profiles.THOROUGH}
ALGORITHMS = (("pdq",), ("pdq", "keypoint"), ("pdq", "phash", "dhash"), ("md5", "pdq", "keypoint"))
_PART = 100
_SIDES = ((240, 320), (360, 480), (512, 512), (300, 200))


def sources(number: int) -> Any:
    """Give the query of a number: an edit of a picture, of which every second one is listed."""
    kind, size = KINDS[number % len(KINDS)], _SIDES[number // 3 % len(_SIDES)]
    pixels = picture(kind, SEED + number // 4 + (number % 2) * 1_000_000, size)
    edited = LADDER[number * 7 % len(LADDER)](pixels)
    return (jpeg, png, lambda array: array)[number % 3](edited)


def entries(queries: int) -> Iterator[dict[str, Any]]:
    """Give the listed pictures' entries; every fourth states no quality."""
    for number in range(0, queries, 4):
        for other in (0, 2):
            kind, size = KINDS[(number + other) % len(KINDS)], _SIDES[(number + other) // 3 % len(_SIDES)]
            pixels = picture(kind, SEED + (number + other) // 4, size)
            held = fingerprint(png(pixels), ALGORITHMS[number // 4 % len(ALGORITHMS)])
            key = {"entry_id": f"picture-{number + other}"}
            yield {**key, "hashes": held.hashes} if number % 16 == 0 else {**key, "fingerprint": held}


def reports(queries: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the report of every query by every preset, without the list's random id; on every core."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor() as pool:
        path = Path(folder, "list.hashmatch")
        with ReferenceList.create(path, name="same") as ref:
            for entry in entries(queries):
                ref.add(**entry)
        tasks = [
            (path, name, first, min(first + _PART, queries)) for name in POLICIES for first in range(0, queries, _PART)
        ]
        for part in pool.map(reports_of, *zip(*tasks, strict=True)):
            yield from part


def reports_of(path: Path, name: str, first: int, end: int) -> list[tuple[str, dict[str, Any]]]:
    """Give the reports of some queries by one preset."""
    with Matcher.open(path, policy=POLICIES[name]) as matcher:
        found = ((f"{name} {number}", matcher.match(sources(number)).to_dict()) for number in range(first, end))
        return [(key, without_ids(json.loads(json.dumps(report)))) for key, report in found]


def without_ids(value: Any) -> Any:
    """Give a report without what is random in it."""
    if isinstance(value, dict):
        return {key: without_ids(inner) for key, inner in value.items() if key != "list_id"}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


def fields(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Give each field of a report with its path."""
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from fields(inner, f"{where}/{key}")
    else:
        yield where, value


def main() -> None:
    """Keep or compare."""
    parser = options_of(__doc__, "few queries: does it run?", keeps=False)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--keep", type=Path, help="write all reports here, compressed")
    parser.add_argument("--against", type=Path, help="compare with the reports kept there")
    options = parser.parse_args()
    queries = 12 if options.quick else options.queries
    kept: dict[str, Any] = {}
    if options.against:
        with gzip.open(options.against, "rt", encoding="utf-8") as file:
            kept = json.load(file)
        queries = len(kept) // len(POLICIES)
    made, outcomes, different = {}, Counter[str](), Counter[str]()
    changed = 0
    for number, (key, report) in enumerate(reports(queries), 1):
        made[key] = report
        outcomes[f"{key.split()[0]}: {report['outcome']}"] += 1
        if options.against and report != kept[key]:
            changed += 1
            before, after = dict(fields(kept[key])), dict(fields(report))
            different.update(where for where in before | after if before.get(where) != after.get(where))
        if number % 500 == 0:
            print(f"{number:,} of {queries * len(POLICIES):,} reports", file=sys.stderr, flush=True)
    if options.keep:
        with gzip.open(options.keep, "wt", encoding="utf-8") as file:
            json.dump(made, file)
    print(json.dumps({"machine": machine(), "seed": SEED, "queries": queries, "outcomes": dict(outcomes)}))
    if options.against:
        print(
            f"{len(made):,} reports, {changed:,} differ" + "".join(f"\n  {n:,} in {at}" for at, n in different.items())
        )
        sys.exit(changed > 0)
