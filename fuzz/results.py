"""What long runs gave: one JSON file of runs, and a table made from it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sqlite3
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

import hashmatch
from fuzz.engine import Run

__all__ = ["keep", "without_paths", "write_table"]

FOLDER: Final = Path(__file__).resolve().parent / "results"
_RUNS: Final = FOLDER / "runs.json"
_TABLE: Final = FOLDER / "README.md"


def keep(run: Run, command: str) -> None:
    """Add a run to ``fuzz/results``."""
    from PIL import __version__ as pillow

    runs: list[dict[str, Any]] = json.loads(_RUNS.read_text(encoding="utf-8")) if _RUNS.exists() else []
    runs.append(
        {
            "target": run.target,
            "command": command,
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "seed": run.seed,
            "executions": run.executions,
            "hours": round(run.seconds / 3600, 3),
            "cpu_hours": round(run.cpu_seconds / 3600, 3),
            "outcomes": dict(run.outcomes.most_common()),
            "findings": [finding.to_dict() for finding in run.findings],
            "measured": run.measured,
            "versions": {
                "hashmatch": hashmatch.__version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "pillow": pillow,
                "sqlite": sqlite3.sqlite_version,
                "system": f"{platform.system()} {platform.machine()}",
            },
        }
    )
    FOLDER.mkdir(exist_ok=True)
    beside = _RUNS.with_suffix(f".{os.getpid()}.part")
    beside.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    beside.replace(_RUNS)
    write_table(runs)


def without_paths(arguments: list[str]) -> list[str]:
    """Arguments without the folders of this machine and without ``--keep``."""
    return [os.path.basename(text) if os.sep in text else text for text in arguments if text != "--keep"]


def write_table(runs: list[dict[str, Any]]) -> None:
    """Write the table from the runs."""
    lines = [
        "# Long runs",
        "",
        "Made by `python -m fuzz ... --keep` and `python -m fuzz.faults ... --keep`; everything of each run is in",
        "[runs.json](runs.json): outcomes, findings, versions. A finding is counted once for each place in the code.",
        "Runs with findings stay in the table.",
        "",
        "| date | command | executions | hours | findings |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {run['date']} | `{run['command']}` | {run['executions']:,} | {run['hours']:.2f} | {len(run['findings'])} |"
        for run in runs
    ]
    totals: dict[str, tuple[int, float]] = {}
    for run in runs:
        count, hours = totals.get(run["target"], (0, 0.0))
        totals[run["target"]] = count + run["executions"], hours + run["hours"]
    lines += ["", "| target | executions in all | hours |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {count:,} | {hours:.2f} |" for name, (count, hours) in sorted(totals.items())]
    _TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_table(json.loads(_RUNS.read_text(encoding="utf-8")))
    sys.exit(0)
