"""Run every benchmark small, so that none of them rots: ``python -m benchmarks.smoke``."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.runner import ROOT

BENCHMARKS = (
    "hashing",
    "ties",
    "lookup",
    "endtoend",
    "threads",
    "life",
    "imports",
    "robustness",
    "keypoints",
    "strangers",
    "plain",
    "synthetic_ladder",
    "planner_costs",
    "trims",
    "crops",
    "rotations",
    "views",
    "privacy",
    "policies",
    "frames",
    "drift",
    "isolation",
    "environments",
    "record",
    "performance",
    "budget",
)


def main() -> None:
    """Run each with ``--quick`` and stop at the first that fails."""
    for name in BENCHMARKS:
        print(f"benchmarks.{name} --quick", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", "--quick"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or "error" in done.stderr.lower():
            sys.exit(f"benchmarks.{name} failed\n{done.stdout}\n{done.stderr}")
    print(f"{len(BENCHMARKS)} passed, 0 failed")


if __name__ == "__main__":
    main()
