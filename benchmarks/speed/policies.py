"""What each policy costs beyond decoding: pictures of a megapixel against a large list, on one core.

The list holds random PDQ hashes; the pictures are synthetic and not listed, as most uploads are not. Each row adds one
way of looking to STANDARD. In the last, some entries hold keypoint records too, of random codes at the places of
synthetic pictures. Run with ``python -m benchmarks policies --json FILE --markdown FILE``, which keeps every library to
one thread.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.contenders._endtoend import entries
from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import machine, markdown_table
from hashmatch import Matcher, MatchPolicy, ReferenceList, profiles
from hashmatch.synthetic import edits, picture

SEED = 9_990_000
STANDARD, THOROUGH = profiles.STANDARD, profiles.THOROUGH
POLICIES: dict[str, MatchPolicy] = {
    "FAST": profiles.FAST,
    "turns alone": replace(STANDARD, trims=False),
    "STANDARD (turns, trims)": STANDARD,
    "STANDARD and rotations": replace(STANDARD, rotations=True),
    "STANDARD and shrinks": replace(STANDARD, shrinks=True),
    "STANDARD and crops": replace(STANDARD, crops=THOROUGH.crops),
    "THOROUGH": THOROUGH,
}


def queries(number: int) -> dict[str, Any]:
    """Pictures of a megapixel, another set for each number."""
    photo = picture("photo", SEED + number, (1000, 1000))
    framed = edits.border(picture("photo", SEED + 1000 + number, (800, 800)), 0.125)
    return {
        "photo": photo,
        "photo in a border": framed,
        "document": picture("document", SEED + number, (1000, 1000)),
        "screenshot": picture("screenshot", SEED + number, (1000, 1000)),
    }


def measure(n: int, records: int, pictures: int, repeats: int) -> list[dict[str, Any]]:
    """Time each policy on each picture."""
    rows = []
    sets = [queries(number) for number in range(pictures)]
    for held, policies in ((0, POLICIES), (records, {f"THOROUGH, {records:,} keypoint records": THOROUGH})):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "list.hashmatch"
            with ReferenceList.create(path, name="random") as ref:
                ref.add_many(entries(n, held, SEED))
            for name, policy in policies.items():
                with Matcher.open(path, policy=policy) as matcher:
                    for kind in sets[0]:
                        times = []
                        for some in sets:
                            matcher.match(some[kind])
                            for _ in range(repeats):
                                start = time.perf_counter()
                                matcher.match(some[kind])
                                times.append(1e3 * (time.perf_counter() - start))
                        rows.append({"policy": name, "picture": kind, "ms": statistics.median(times)})
                        print(json.dumps(rows[-1]), flush=True)
    return rows


def report(result: dict[str, Any]) -> str:
    """Write the table."""
    kinds = list(dict.fromkeys(row["picture"] for row in result["rows"]))
    table = [
        [name, *(f"{row['ms']:.1f}" for row in result["rows"] if row["policy"] == name)]
        for name in dict.fromkeys(row["policy"] for row in result["rows"])
    ]
    parts = [
        "# What a policy costs",
        f"`{json.dumps(result['machine'])}`",
        f"Milliseconds to look one picture of a megapixel, given as an array, up in {result['entries']:,} PDQ hashes; "
        f"median of {result['pictures']} pictures, {result['repeats']} times each. Seed {SEED}. "
        "Command: `python -m benchmarks policies`.",
        markdown_table(["policy", *kinds], table),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "a small list: does it run?")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--records", type=int, default=20_000, help="entries with a keypoint record, in the last row")
    parser.add_argument("--pictures", type=int, default=5, help="of each kind")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("entries", "records", "pictures", "repeats")}
    if options.quick:
        sizes = {"entries": 1_000, "records": 20, "pictures": 1, "repeats": 1}
    rows = measure(sizes["entries"], sizes["records"], sizes["pictures"], sizes["repeats"])
    result = {"machine": machine(), **sizes, "rows": rows}
    keep(options, result, report(result))
