"""How many points a keypoint record needs: recall of two crops and bytes, by points: ``python -m benchmarks points``.

hashmatch answers through a `Matcher` with `profiles.THOROUGH` on a list of keypoint records alone; half of the list are
records of photographs that are not looked for. No seed was tuned on. A minute or two on one core.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, Final

from benchmarks.frame import runner
from benchmarks.frame.stock import lower_bound, opened
from benchmarks.quality.keypoints import KEPT, SIZES, entries
from hashmatch import profiles
from hashmatch.hashers.keypoint import KeypointHasher
from hashmatch.synthetic import edit_named, picture

SEED: Final = 9_890_000
POINTS: Final = (16, 60, 120, 185)
EDITS: Final = {
    "crop keeping 10 %": KEPT[10],
    "keeping 50 %, quarter size, JPEG 50": "crop 50%, quarter size, JPEG 50",
}


def measure(points: int, pictures: int) -> dict[str, Any]:
    """Count the crops found among records of so many points, and the bytes of a record."""
    hasher = KeypointHasher(points)
    made = [picture("photo", SEED + number, SIZES[number % 3]) for number in range(2 * pictures)]
    records = [hasher.hash_pixels(pixels)[0].data for pixels in made]
    found = dict.fromkeys(EDITS, 0)
    with opened(profiles.THOROUGH, entries("photo", records)) as matcher:
        for number, pixels in enumerate(made[:pictures]):
            for name, edit in EDITS.items():
                report = matcher.match(edit_named(edit)(pixels, seed=number))
                found[name] += f"photo-{number}" in {match.entry_id for match in report.matches}
    return {"points": points, "bytes": statistics.fmean(map(len, records)), "pictures": pictures, "found": found}


def table(result: dict[str, Any]) -> str:
    """Write recall and bytes by points."""
    rows = []
    for row in result["rows"]:
        cells = []
        for found in row["found"].values():
            low = lower_bound(found, row["pictures"])
            cells.append(f"{100 * found / row['pictures']:.0f} %" + ("" if low is None else f" ({100 * low:.0f} %)"))
        rows.append([str(row["points"]), f"{row['bytes']:,.0f}", *cells])
    return runner.markdown_table(["points", "bytes", *(f"{name}: found (95 % bound)" for name in EDITS)], rows)


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=100, help="photographs that are looked for")
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--quick", action="store_true", help="two photographs, the fewest and the most points")
    options = parser.parse_args()
    pictures, wanted = (2, (POINTS[0], POINTS[-1])) if options.quick else (options.pictures, POINTS)
    rows = [measure(points, pictures) for points in wanted]
    result = {"machine": runner.machine(), "seed": SEED, "rows": rows}
    machine = ", ".join(f"{name}: {value}" for name, value in result["machine"].items())
    text = (
        f"# Points of a keypoint record\n\n{machine}. Seeds from {SEED:,}, {pictures} photographs and as many beside"
        f" them on the list. Command: `python -m benchmarks points`.\n\n{table(result)}\n"
    )
    print(text)
    if options.json:
        runner.save(options.json, json.dumps(result) + "\n")
    if options.markdown:
        runner.save(options.markdown, text)


if __name__ == "__main__":
    main()
