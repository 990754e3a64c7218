"""Importing delivered lists, beside SQLite's own bulk insert: ``python -m benchmarks imports``.

Both write the same columns of the same tables with the same settings (write-ahead log, ``synchronous = FULL``,
``secure_delete``) in one transaction; the bulk insert is ``executemany`` on rows that need no parsing, no merging and
no check values but ones that are made up. A figure is of processor time, the best of the rounds; each round of each
contender is a process of its own. ``--large`` also imports deliveries of that many rows, each once, with the peak of
memory. At the end a hash is added to a long list by the command line and by a call.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of

SEED = 20_261_130
KINDS = {
    "pdq": "a table of ids and PDQ hashes",
    "full": "a table of ids, PDQ and MD5 hashes, quality and a label",
    "text": "plain text of MD5 digests",
    "vics": "VICS 2.0 of MD5 and SHA-1 digests and a category",
}
CONTENDERS = ("hashmatch", "sqlite")
HASHES = {"pdq": ("pdq",), "full": ("pdq", "md5"), "text": ("md5",), "vics": ("md5", "sha1")}
LABELS = {"full": "class", "vics": "vics-us"}
LENGTHS = {"pdq": 32, "md5": 16, "sha1": 20}
CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/Default/$metadata#Media"


def cells(kind: str, rows: int) -> Iterator[list[str]]:
    """Digits of the hashes, row by row."""
    rng = random.Random(SEED)  # noqa: S311 - figures, not secrets
    for _ in range(rows):
        yield [rng.randbytes(LENGTHS[name]).hex() for name in HASHES[kind]]


def write_delivery(kind: str, rows: int, path: Path) -> None:
    """Write the file that is imported."""
    with path.open("w", encoding="utf-8") as file:
        if kind in ("pdq", "full"):
            file.write("id,pdq\n" if kind == "pdq" else "id,pdq,md5,q,class\n")
            more = "" if kind == "pdq" else ",80,A{}"
            file.writelines(
                f"entry-{i},{','.join(row)}{more.format(i % 5)}\n" for i, row in enumerate(cells(kind, rows))
            )
        elif kind == "text":
            file.writelines(f"{row[0]}\n" for row in cells(kind, rows))
        else:
            file.write(f'{{"@odata.context":"{CONTEXT}","value":[')
            for i, (md5, sha1) in enumerate(cells(kind, rows)):
                record = {"MediaID": i, "Category": 1 + i % 3, "MD5": md5.upper(), "SHA1": sha1.upper(), "MediaSize": i}
                file.write(("," if i else "") + json.dumps(record | {"IsPrecategorized": "true"}))
            file.write("]}")


def imported(kind: str, rows: int, folder: Path) -> Callable[[], object]:
    """Make an import ready to go."""
    from hashmatch.lists import ReferenceList
    from hashmatch.lists.formats import ColumnMapping, Delivery, import_into, read_deliveries

    file = folder / "delivery"
    write_delivery(kind, rows, file)
    ref = ReferenceList.create(folder / "list", name="imports")
    said: dict[str, Any] = {}
    if kind == "text":
        said = {"algorithm": "md5"}
    elif kind == "vics":
        said = {"category_profile": "vics-us"}
    elif kind == "pdq":
        said = {"mapping": ColumnMapping(hashes={"pdq": "pdq"}, entry_id="id")}
    else:
        hashes = {"pdq": "pdq", "md5": "md5"}
        said = {"mapping": ColumnMapping(hashes=hashes, entry_id="id", quality="q", labels={"class": "class"})}

    def work() -> None:
        report = import_into(ref, read_deliveries([file], Delivery(**said)))
        if report.new_entries != rows:
            raise RuntimeError("rows are missing")

    return work


def inserted(kind: str, rows: int, folder: Path) -> Callable[[], object]:
    """Make a bulk insert ready to go."""
    from hashmatch.lists.file.schema import connect, use_wal
    from hashmatch.lists.file.sql_tables import ALGORITHM_NUMBERS, create_tables

    path = folder / "list"
    path.touch()
    connection = connect(path, writable=True, timeout=10)
    create_tables(connection)
    use_wal(connection, 10)
    numbers = [ALGORITHM_NUMBERS[name] for name in HASHES[kind]]
    quality = 80 if kind == "full" else None
    n = len(numbers)
    rng = random.Random(SEED)  # noqa: S311 - figures, not secrets
    sizes = [LENGTHS[name] for name in HASHES[kind]]
    codes = [b"".join(rng.randbytes(size) for _ in range(rows)) for size in sizes]

    def work() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO entry VALUES (?, ?, ?)", ((i, f"entry-{i}", i) for i in range(rows)))
        connection.executemany(
            "INSERT INTO hash VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (n * i + k, i, 1, numbers[k], quality, codes[k][size * i : size * (i + 1)], i)
                for i in range(rows)
                for k, size in enumerate(sizes)
            ),
        )
        if kind in LABELS:
            connection.executemany(
                "INSERT INTO label VALUES (?, ?, ?, ?)", ((i, 1, LABELS[kind], f"A{i % 5}") for i in range(rows))
            )
        connection.execute("COMMIT")

    return work


def part(contender: str, kind: str, rows: int) -> dict[str, float]:
    """Measure one contender once, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        work = {"hashmatch": imported, "sqlite": inserted}[contender](kind, rows, Path(folder))
        began, wall = time.process_time(), time.perf_counter()
        work()
        spent, wall = time.process_time() - began, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        return {"a_second": rows / spent, "seconds": wall, "peak_mib": peak}


def add_one(entries: int, rounds: int) -> dict[str, float]:
    """Processor seconds of adding a hash to a list, by the command line and by a call; the best round."""
    from benchmarks.life.life import make_list
    from hashmatch.hashes import HashValue
    from hashmatch.lists import ReferenceList

    rng = random.Random(SEED + 1)  # noqa: S311
    command = [sys.executable, "-m", "hashmatch"]
    spent: dict[str, list[float]] = {"command": [], "version": [], "call": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.hashmatch"
        make_list(path, entries)
        for _ in range(rounds):
            for name, words in (
                ("command", ["list", "add", str(path), f"pdq:{rng.randbytes(32).hex()}"]),
                ("version", ["--version"]),
            ):
                before = os.times()
                subprocess.run([*command, *words], check=True, capture_output=True)
                after = os.times()
                spent[name].append(
                    after.children_user - before.children_user + after.children_system - before.children_system
                )
            began = time.process_time()
            with ReferenceList.open(path, writable=True, check="none") as ref:
                ref.add(f"by-call-{began}", hashes=[HashValue("pdq", rng.randbytes(32))])
            spent["call"].append(time.process_time() - began)
    return {name: min(times) for name, times in spent.items()}


def large_table(rows: list[dict[str, Any]]) -> list[str]:
    """Write what the large deliveries took, if any was asked for."""
    if not rows:
        return []
    lines = [
        [
            KINDS[row["kind"]],
            f"{row['rows']:,}",
            f"{row['hashmatch']['a_second']:,.0f}",
            f"{row['sqlite']['a_second']:,.0f}",
            f"{row['hashmatch']['a_second'] / row['sqlite']['a_second']:.0%}",
            f"{row['hashmatch']['seconds']:,.0f} s",
            f"{row['hashmatch']['peak_mib']:,.0f} MiB",
        ]
        for row in rows
    ]
    head = ["large delivery", "rows", "import", "bulk insert", "of it", "by the clock", "peak memory"]
    return ["The same, once, of large deliveries:", runner.markdown_table(head, lines)]


def run_part(contender: str, kind: str, rows: int) -> dict[str, float]:
    """Measure one contender once, in a process of its own."""
    words = ["--part", contender, kind, "--rows", str(rows)]
    command = [sys.executable, "-m", "benchmarks", "imports", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=runner.ROOT)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def report(result: dict[str, Any]) -> str:
    """Write the tables."""
    lines = [
        [KINDS[kind], f"{row['hashmatch']:,.0f}", f"{row['sqlite']:,.0f}", f"{row['hashmatch'] / row['sqlite']:.0%}"]
        for kind, row in result["imports"].items()
    ]
    one = result["add_one"]
    words = {"command": "`hashmatch list add`", "version": "`hashmatch --version`, which only starts", "call": "a call"}
    machine = runner.stated(result["machine"])
    parts = [
        "# Importing lists",
        f"{machine}; SQLite {sqlite3.sqlite_version}; seed {SEED}; {result['rows']:,} rows, best of "
        f"{result['rounds']} rounds.",
        "Rows a second of processor time. The bulk insert is `executemany` of the same columns with the same "
        "durability, without\nparsing, merging or check values. Command: `python -m benchmarks imports`.",
        runner.markdown_table(["delivery", "import", "bulk insert", "of it"], lines),
        *large_table(result["large"]),
        f"One hash added to a list of {result['entries']:,}, seconds of processor time:",
        runner.markdown_table(["by", "seconds"], [[words[name], f"{seconds:.3f}"] for name, seconds in one.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "little of it once: does the benchmark work")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--entries", type=int, default=1_000_000, help="entries of the list that one hash is added to")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", nargs="*", default=(), metavar="KIND=ROWS", help="deliveries to import once")
    parser.add_argument("--part", nargs=2, metavar=("CONTENDER", "KIND"), help="measure one in this process")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(part(*options.part, options.rows)))
        return
    if options.quick:
        options.rows, options.entries, options.rounds = 2_000, 2_000, 1
    rates: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for _ in range(options.rounds):
        for kind in KINDS:
            for contender in CONTENDERS:
                rate = run_part(contender, kind, options.rows)["a_second"]
                rates[kind][contender] = max(rate, rates[kind].get(contender, 0.0))
    large = []
    for kind, rows in (item.split("=") for item in options.large):
        large.append({"kind": kind, "rows": int(rows)} | {who: run_part(who, kind, int(rows)) for who in CONTENDERS})
    result = {
        "machine": runner.machine(),
        "rows": options.rows,
        "entries": options.entries,
        "rounds": options.rounds,
        "imports": rates,
        "large": large,
        "add_one": add_one(options.entries, options.rounds),
    }
    keep(options, result, report(result))
