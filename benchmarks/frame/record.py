"""Measure and keep: ``python -m benchmarks record AREA...`` writes AREA.json, .md and .png in benchmarks/results.

Without an area it takes those of docs/explanation/performance.md, one after the other, and puts the tables into the
documents after each. The library's tables of false reports change by ``python -m benchmarks budget --write`` alone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

from benchmarks.frame.options import options_of
from benchmarks.frame.runner import ROOT

PLOTTED: Final = ("hashing", "lookup", "keypoints", "robustness")
KEPT: Final = ("hashing", "lookup", "threads", "life", "policies", "endtoend")
ALL: Final = (
    *KEPT,
    "keypoints",
    "robustness",
    "ties",
    "strangers",
    "plain",
    "crops",
    "trims",
    "views",
    "points",
    "conformance",
    "privacy",
    "drift",
    "isolation",
    "scan",
    "service",
)


def command(area: str) -> list[str]:
    """Say how an area is measured and kept.

    Returns
    -------
    list of str
        Arguments of Python, to be run in the project's folder.
    """
    files = {"json": "json", "markdown": "md"} | ({"plot": "png"} if area in PLOTTED else {})
    options = [part for option, end in files.items() for part in (f"--{option}", f"benchmarks/results/{area}.{end}")]
    return ["-m", "benchmarks", area, *options]


def main() -> None:
    """Run each area and say how long it took; stop at the first that fails."""
    parser = options_of(__doc__, "only print the commands", keeps=False)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"{', '.join(ALL)}; {', '.join(KEPT)} by default")
    args = parser.parse_args()
    if unknown := set(args.areas) - set(ALL):
        parser.error(f"no results are kept of {', '.join(sorted(unknown))}")
    for area in args.areas or KEPT:
        print("python", *command(area), flush=True)
        if args.quick:
            continue
        began = time.perf_counter()
        subprocess.run([sys.executable, *command(area)], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        subprocess.run([sys.executable, "-m", "benchmarks", "performance", "--write"], cwd=ROOT, check=True)
        print(f"{area}: {(time.perf_counter() - began) / 60:.1f} minutes", flush=True)
