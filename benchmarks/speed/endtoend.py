"""End to end: from a file's bytes to a verdict, beside the decode alone and beside threatexchange.

Run ``python -m benchmarks endtoend`` from the project's root. The list holds random PDQ hashes, and some entries hold
keypoint records too, of random codes at the places of synthetic pictures; the files are JPEGs of a megapixel, of
synthetic pictures that are not listed, as most uploads are not. Each contender is a fresh process. ``one`` is the
median CPU time of one file in one thread, ``threads`` the files a second with 1, 2 and 8 threads, ``folder`` those of a
scan of a folder on disk: hashmatch in two restricted worker processes, their start counted, the others in two threads.
threatexchange's index is filled before the clock starts, as ours is.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of

SEED = 20_261_124
CONTENDERS = (
    "endtoend_pillow",
    "endtoend_threatexchange",
    "endtoend_fast",
    "endtoend_standard",
    "endtoend_thorough",
)
KINDS = ("photo", "framed photo", "document", "screenshot")
THREADS = (1, 2, 8)


def make_files(folder: Path, a_kind: int, side: int) -> None:
    """Write the files, ``KIND-NUMBER.jpg``, quality 90."""
    from hashmatch.picture.encode import encode
    from hashmatch.synthetic import edits, picture

    for number in range(a_kind):
        for kind in KINDS:
            if kind == "framed photo":
                pixels = edits.border(picture("photo", SEED + 1000 + number, (side * 4 // 5, side * 4 // 5)), 0.125)
            else:
                pixels = picture(kind, SEED + number, (side, side))
            (folder / f"{kind}-{number}.jpg").write_bytes(encode(pixels, "JPEG", quality=90))


def measure(contender: ModuleType, workload: dict[str, Any]) -> dict[str, Any]:
    """Time one contender; runs in its own process."""
    folder = Path(workload["folder"])
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    with tempfile.TemporaryDirectory() as work:
        began = time.perf_counter()
        checker = contender.Checker(Path(work), workload["entries"], workload["records"], workload["seed"])
        result: dict[str, Any] = {"ready_s": time.perf_counter() - began, "one_ms": {}, "threads": {}, "false": 0}
        for kind in KINDS:
            times = []
            for data in (data for name, data in files.items() if name.startswith(f"{kind}-")):
                result["false"] += bool(checker.check(data))
                for _ in range(workload["repeats"]):
                    start = time.process_time()  # a busy machine disturbs it little
                    checker.check(data)
                    times.append(1000 * (time.process_time() - start))
            result["one_ms"][kind] = statistics.median(times)
        many = list(files.values()) * workload["repeats"]
        for threads in THREADS:
            start = time.perf_counter()
            checker.check_many(many, threads)
            result["threads"][str(threads)] = len(many) / (time.perf_counter() - start)
        copies = Path(work) / "folder"
        copies.mkdir()
        for number, data in enumerate(2 * many):
            (copies / f"{number}.jpg").write_bytes(data)
        start = time.perf_counter()
        count = checker.check_folder(copies)
        result["folder"] = count / (time.perf_counter() - start)
    return result


def table(results: list[dict[str, Any]]) -> str:
    """All results as Markdown."""
    decode = next((result["one_ms"] for result in results if result["contender"].startswith("Pillow")), None)
    header = ["contender", *(f"{kind}, ms" for kind in KINDS), "times the decode", "1 / 2 / 8 threads, files/s"]
    header += ["folder, files/s", "false matches"]
    rows = []
    for result in results:
        if "one_ms" not in result:
            continue
        ratio = [result["one_ms"][kind] / decode[kind] for kind in KINDS] if decode else []
        rows.append(
            [
                result["contender"],
                *(f"{result['one_ms'][kind]:.1f}" for kind in KINDS),
                " / ".join(f"{value:.2f}" for value in ratio),
                " / ".join(f"{result['threads'][str(threads)]:.0f}" for threads in THREADS),
                f"{result['folder']:.0f}",
                str(result["false"]),
            ]
        )
    return runner.markdown_table(header, rows)


def main() -> None:
    """Measure, print the table and write the files asked for."""
    parser = options_of(__doc__, "a small list, small pictures: does it run?")
    parser.add_argument("--entries", type=int, default=1_000_000, help="PDQ hashes in the list")
    parser.add_argument("--records", type=int, default=20_000, help="entries that hold a keypoint record too")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="contenders to run")
    args = parser.parse_args()
    entries, records = (2_000, 50) if args.quick else (args.entries, args.records)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder), 1 if args.quick else 4, 400 if args.quick else 1000)
        for contender in args.only:
            workload = {
                "folder": os.fspath(folder),
                "entries": entries,
                "records": records,
                "seed": SEED,
                "repeats": 1 if args.quick else 5,
            }
            result = runner.run("benchmarks.speed.endtoend", f"benchmarks.contenders.{contender}", workload)
            del result["workload"]["folder"]
            results.append(result)
            print(json.dumps(result), flush=True)
    facts = runner.machine()
    parts = [
        "# From bytes to verdict",
        runner.stated(facts) + f"; seed {SEED}.",
        f"{entries:,} PDQ hashes, {records:,} entries with a keypoint record (used by THOROUGH). JPEGs of a megapixel, "
        "quality 90. `times the decode` is a column for each kind, in order.",
        table(results),
        *(
            f"{result['contender']}: {result.get('error') or 'skipped: ' + result['skipped']}"
            for result in results
            if "one_ms" not in result
        ),
        "Command: `python -m benchmarks endtoend`.",
    ]
    text = "\n\n".join(parts) + "\n"
    keep(args, {"machine": facts, "results": results}, text)
