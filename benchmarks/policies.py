"""What each policy costs beyond decoding: one picture of a megapixel against a large list, on one core.

The list holds random PDQ hashes; the pictures are synthetic and not listed, as most uploads are not. Each row adds one
way of looking to STANDARD. Run with ``python -m benchmarks.policies --json FILE --markdown FILE``; about three minutes
at 1,000,000 entries. ``OMP_NUM_THREADS=1`` keeps it to one core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runner import machine, markdown_table, save
from hashmatch import HashValue, Matcher, MatchPolicy, ReferenceList, profiles
from hashmatch.lists import Entry
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


def entries(n: int) -> Iterator[Entry]:
    """Entries of one random hash each."""
    rng = np.random.default_rng(SEED)
    for number in range(n):
        yield Entry.of(f"entry-{number}", hashes=[HashValue("pdq", rng.bytes(32))])


def queries() -> dict[str, Any]:
    """Pictures of a megapixel."""
    photo = picture("photo", SEED, (1000, 1000))
    framed = edits.border(picture("photo", SEED + 1, (800, 800)), 0.125)
    return {
        "photo": photo,
        "photo in a border": framed,
        "document": picture("document", SEED, (1000, 1000)),
    }


def measure(n: int, repeats: int) -> list[dict[str, Any]]:
    """Time each policy on each picture."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.hashmatch"
        with ReferenceList.create(path, name="random") as ref:
            ref.add_many(entries(n))
        for name, policy in POLICIES.items():
            with Matcher.open(path, policy=policy) as matcher:
                for kind, pixels in queries().items():
                    times = []
                    for _ in range(repeats + 1):
                        start = time.perf_counter()
                        matcher.match(pixels)
                        times.append(1e3 * (time.perf_counter() - start))
                    rows.append({"policy": name, "picture": kind, "ms": statistics.median(times[1:])})
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
        f"median of {result['repeats']}. Seed {SEED}.",
        markdown_table(["policy", *kinds], table),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--quick", action="store_true", help="a small list: does it run?")
    options = parser.parse_args()
    n, repeats = (1_000, 1) if options.quick else (options.entries, options.repeats)
    result = {"machine": machine(), "entries": n, "repeats": repeats, "rows": measure(n, repeats)}
    print(report(result))
    if options.json:
        save(options.json, json.dumps(result) + "\n")
    if options.markdown:
        save(options.markdown, report(result))


if __name__ == "__main__":
    main()
