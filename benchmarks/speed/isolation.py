"""What isolation costs: a folder scanned with worker processes and without, side by side.

Run ``python -m benchmarks isolation`` from the project's root; ``--quick`` is a smoke test. A folder of synthetic
photographs of about one megapixel (JPEG, PNG, WebP) is scanned by `hashmatch.scan.scan` against a small list, with one
and with two workers, under the policies FAST and STANDARD. Without isolation a worker is a thread, with it a process
(and the host reads one file ahead). The two take turns, round after round, each round in another order; the start of
the workers is not counted, it is shown by itself. Throughput is wall clock: run it on an idle machine. The ratio is
that of the two medians, and the spread that of the ratios of single rounds. Beside it stands processor time, the
workers' included, which says more where other programs run.

A worker that a picture has taken over can answer with looks that are dear to search with: at last the host's processor
time is measured for an honest answer and for one of twenty such looks, against a list of 100,000 under THOROUGH.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import machine, markdown_table
from hashmatch import HashValue, Matcher, ReferenceList, hash_image, profiles
from hashmatch.errors import ImageError
from hashmatch.jail import Isolation
from hashmatch.jail.pool import Pool
from hashmatch.picture.encode import encode
from hashmatch.scan import iter_files, scan
from hashmatch.synthetic import picture

SEED = 20_261_124
KINDS = (
    ("JPEG", {"quality": 88}),
    ("JPEG", {"quality": 75, "progressive": True}),
    ("PNG", {}),
    ("WEBP", {"quality": 80}),
)
SIZE = (864, 1152)
FORGED = 20
ENTRIES = 100_000
DIFFERENT = 24  # pictures; the rest are copies, since making one takes longer than ten scans of it


def make_folder(folder: Path, n_files: int, size: tuple[int, int]) -> None:
    """Write the files; each picture is written in one of the formats."""
    made: list[bytes] = []
    for number in range(n_files):
        if number < DIFFERENT:
            name, options = KINDS[number % len(KINDS)]
            made.append(encode(picture("photo", SEED + number, size=size), name, **options))
        (folder / f"{number:05d}").write_bytes(made[number % len(made)])


def busy_seconds(matcher: Matcher) -> float:
    """Give processor time of this process and of the matcher's workers, s."""
    total = time.process_time()
    for worker in () if matcher._reader is None else tuple(matcher._reader._pool._all):
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def time_scan(matcher: Matcher, paths: list[Path], workers: int) -> tuple[float, float, list[str]]:
    """Scan once: seconds of wall clock, seconds of processor time, outcomes."""
    began, cpu = time.perf_counter(), busy_seconds(matcher)
    outcomes = [item.report.outcome.value for item in scan(matcher, paths, workers=workers, isolate=False)]
    return time.perf_counter() - began, busy_seconds(matcher) - cpu, outcomes


def compare(list_path: Path, paths: list[Path], policy: Any, workers: int, rounds: int) -> dict[str, Any]:
    """Scan the folder both ways by turns."""
    started = time.perf_counter()
    isolated = Matcher.open(list_path, policy=policy, isolation=Isolation(workers=workers))
    start_seconds = time.perf_counter() - started
    with isolated, Matcher.open(list_path, policy=policy) as plain:
        matchers = {"plain": plain, "isolated": isolated}
        for matcher in matchers.values():  # caches, second workers
            time_scan(matcher, paths[: 8 * workers], workers)
        seconds: dict[str, list[float]] = {name: [] for name in matchers}
        cpu: dict[str, list[float]] = {name: [] for name in matchers}
        answers = set()
        for turn in range(rounds):
            for name in sorted(matchers, reverse=bool(turn % 2)):
                wall, busy, outcomes = time_scan(matchers[name], paths, workers)
                seconds[name].append(wall)
                cpu[name].append(busy)
                answers.add(tuple(outcomes))
        assert len(answers) == 1, "the two ways answer differently"
        protection = isolated.protection
        counts = isolated.counts()["workers"]
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = [one / other for one, other in zip(seconds["isolated"], seconds["plain"], strict=True)]
    return {
        "policy": policy.name,
        "workers": workers,
        "files": len(paths),
        "rounds": rounds,
        "plain_files_per_second": len(paths) / medians["plain"],
        "isolated_files_per_second": len(paths) / medians["isolated"],
        "throughput_ratio": medians["plain"] / medians["isolated"],
        "added_time": medians["isolated"] / medians["plain"] - 1,
        "added_time_of_rounds": [min(ratios) - 1, max(ratios) - 1],
        "added_processor_time": statistics.median(cpu["isolated"]) / statistics.median(cpu["plain"]) - 1,
        "start_seconds": start_seconds,
        "protection": None if protection is None else protection.to_dict(),
        "worker_counts": counts,
    }


def forged_looks(list_path: Path, entries: int, picture_bytes: bytes) -> dict[str, Any]:
    """Measure what twenty copies of a dear look cost the host; the honest worker's answer is repeated."""
    honest = Pool.run

    def forged(pool: Pool, *task: bytes, **options: Any) -> Generator[bytearray, None, str]:
        run = honest(pool, *task, **options)
        part = next(run)
        for _ in range(FORGED):
            try:
                yield part
            except ImageError as error:
                run.throw(error)
        return (yield from run)

    found: dict[str, Any] = {"looks": FORGED, "entries": entries}
    with Matcher.open(list_path, policy=profiles.THOROUGH, isolation=Isolation(workers=1)) as matcher:
        matcher.match(picture_bytes)
        for name, run in (("honest", honest), ("forged", forged)):
            setattr(Pool, "run", run)  # noqa: B010
            began = time.process_time()
            found[f"{name}_reason"] = matcher.match(picture_bytes).reason
            found[f"{name}_seconds"] = time.process_time() - began
    setattr(Pool, "run", honest)  # noqa: B010
    return found


def report(result: dict[str, Any]) -> str:
    """Write the tables."""
    rows = []
    for item in result["rows"]:
        low, high = item["added_time_of_rounds"]
        rows.append(
            [
                item["policy"],
                str(item["workers"]),
                f"{item['plain_files_per_second']:.1f}",
                f"{item['isolated_files_per_second']:.1f}",
                f"{item['throughput_ratio']:.0%}",
                f"{item['added_time']:+.1%}",
                f"{low:+.1%} to {high:+.1%}",
                f"{item['added_processor_time']:+.1%}",
                f"{item['start_seconds']:.2f}",
            ]
        )
    header = ["policy", "workers", "files/s without", "files/s isolated", "throughput kept", "added time"]
    protection = result["rows"][0]["protection"]
    parts = [
        "# What isolation costs",
        f"`{json.dumps(result['machine'])}`",
        f"{result['files']} files of {result['size'][1]} x {result['size'][0]} px"
        " (half JPEG, a quarter PNG, a quarter WebP), scanned"
        f" {result['rounds']} times each way by turns; medians of wall clock. Seed {SEED}."
        " Without isolation a worker is a thread."
        f" Protection: {', '.join(protection['measures'])}; Landlock {protection['landlock_abi']}.",
        markdown_table([*header, "of single rounds", "added processor time", "opening the matcher, s"], rows),
    ]
    forged = result["forged"]
    parts.append(
        f"Host's processor time for one picture against {forged['entries']:,} entries under THOROUGH:"
        f" {forged['honest_seconds']:.2f} s for an honest answer, {forged['forged_seconds']:.2f} s where the worker"
        f" gives {forged['looks']} dear looks (`{forged['forged_reason']}`)."
    )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "a few small files: does it run?")
    parser.add_argument("--files", type=int, default=240, help="files of the folder")
    parser.add_argument("--rounds", type=int, default=5, help="scans each way")
    options = parser.parse_args()
    n_files, rounds, size = (12, 1, (200, 300)) if options.quick else (options.files, options.rounds, SIZE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "files"
        folder.mkdir()
        make_folder(folder, n_files, size)
        list_path = Path(name) / "list.hashmatch"
        paths = list(iter_files([folder]))
        with ReferenceList.create(list_path, name="some of the files") as ref:
            for path in paths[:3]:
                ref.add(path.name, hashes=[hash_image(path)])
        rows = [
            compare(list_path, paths, policy, workers, rounds)
            for policy in (profiles.FAST, profiles.STANDARD)
            for workers in (1, 2)
        ]
        entries = 200 if options.quick else ENTRIES
        large = Path(name) / "large.hashmatch"
        rng = np.random.default_rng(SEED)
        with ReferenceList.create(large, name="many") as ref, ref.transaction():
            for number in range(entries):
                ref.add(f"e{number}", hashes=[HashValue("pdq", rng.bytes(32))])
        forged = forged_looks(large, entries, encode(picture("photo", SEED, size=size), "JPEG", quality=88))
    result = {"forged": forged, "machine": machine(), "files": n_files, "rounds": rounds, "size": size, "rows": rows}
    keep(options, result, report(result))
