"""Run every benchmark small, so that none of them rots: ``python -m benchmarks smoke``."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks.frame.areas import FOLDERS
from benchmarks.frame.runner import ROOT

BENCHMARKS: Final = tuple(name for name in FOLDERS if name != "smoke")


def run(name: str) -> str:
    """Run one with ``--quick``; what it said where it failed, else nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    failed = done.returncode or "error" in done.stderr.lower()
    return f"{name} failed\n{done.stdout}\n{done.stderr}" if failed else ""


def main() -> None:
    """Run them, two at one time, and stop at the first that fails."""
    with ThreadPoolExecutor(2) as pool:
        for name, failure in zip(BENCHMARKS, pool.map(run, BENCHMARKS), strict=True):
            if failure:
                pool.shutdown(wait=False, cancel_futures=True)
                sys.exit(failure)
            print(f"{name} --quick", flush=True)
    print(f"{len(BENCHMARKS)} passed, 0 failed")
