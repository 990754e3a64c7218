"""What the benchmarks share: one contender is one fresh process and one JSON line; tables and facts about the machine.

A benchmark is a module with ``measure(contender, workload) -> dict``; a contender is a module with ``NAME`` and
``version()`` and whatever its benchmark asks for. `run` starts ``python -m benchmarks.frame.runner`` with the names of
both modules, and the workload as JSON on its standard input.
"""

from __future__ import annotations

import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.frame import environments

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


def run(benchmark: str, contender: str, workload: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one contender in a fresh single-threaded process.

    Parameters
    ----------
    benchmark, contender : str
        Names of modules, such as ``"benchmarks.speed.lookup"`` and ``"benchmarks.contenders.faiss_flat"``.
    workload : mapping
        Anything JSON can hold.

    Returns
    -------
    dict
        What ``measure`` gave, with the contender's name and version and the workload; or ``"error"`` with the last
        line of what went wrong; or ``"skipped"`` with the reason, where it is not installed.
    """
    short = contender.rpartition(".")[2]
    try:
        python = environments.python_of(short)
    except LookupError as reason:
        return {"contender": short, "workload": dict(workload), "skipped": str(reason)}
    done = subprocess.run(
        [python, "-m", "benchmarks.frame.runner", benchmark, contender],
        input=json.dumps(dict(workload)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"contender": short, "workload": dict(workload), "error": last}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def machine() -> dict[str, str]:
    """Facts a reader needs to compare figures: date, processor, system and versions."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": importlib.import_module("numpy").__version__,
        "hashmatch": importlib.import_module("importlib.metadata").version("hashmatch"),
    }


def stated(facts: Mapping[str, str]) -> str:
    """Write the facts in one line, for the head of a report."""
    return ", ".join(f"{name}: {value}" for name, value in facts.items())


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; every column but the first is set to the right."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Be the fresh process: measure one contender and print one JSON line."""
    benchmark, contender = (importlib.import_module(name) for name in sys.argv[1:3])
    workload = json.load(sys.stdin)
    result = benchmark.measure(contender, workload)
    line = {"contender": contender.NAME, "version": contender.version(), "workload": workload, **result}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
