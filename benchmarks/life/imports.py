"""Importing delivered lists, beside SQLite's own bulk insert: ``python -m benchmarks imports``.

Both write the same columns of the same tables with the same settings (write-ahead log, ``synchronous = FULL``,
``secure_delete``) from data in memory, in one transaction; the bulk insert is ``executemany`` on rows that need no
parsing, no merging and no check values but ones that are made up. A figure is of processor time, the best of the
rounds; each round of each contender is a process of its own. At the end a hash is added to a long list by the command
line and by a call.
"""

from __future__ import annotations

import io
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of

SEED = 20_261_130
KINDS = {
    "pdq": "a table of ids and PDQ hashes",
    "full": "a table of ids, PDQ and MD5 hashes, quality and a label",
    "text": "plain text of MD5 digests",
}


def delivery(kind: str, rows: int) -> tuple[list[list[str]], bytes]:
    """Digits of the hashes by row, and the file."""
    rng = random.Random(SEED)  # noqa: S311 - figures, not secrets
    lengths = {"pdq": (32,), "full": (32, 16), "text": (16,)}[kind]
    cells = [[rng.randbytes(length).hex() for length in lengths] for _ in range(rows)]
    if kind == "text":
        return cells, "\n".join(row[0] for row in cells).encode()
    head = "id,pdq" if kind == "pdq" else "id,pdq,md5,q,class"
    more = "" if kind == "pdq" else ",80,A{}"
    lines = [f"entry-{i},{','.join(row)}{more.format(i % 5)}" for i, row in enumerate(cells)]
    return cells, "\n".join([head, *lines]).encode()


def imported(kind: str, rows: int, path: Path) -> Callable[[], object]:
    """Make an import ready to go."""
    from hashmatch.lists import ReferenceList
    from hashmatch.lists.formats import ColumnMapping, import_into, read_table, read_text

    file = io.BytesIO(delivery(kind, rows)[1])
    ref = ReferenceList.create(path, name="imports")
    if kind == "text":
        return lambda: import_into(ref, read_text(file, "md5"))
    mapping = ColumnMapping(hashes={"pdq": "pdq"}, entry_id="id")
    if kind == "full":
        mapping = ColumnMapping(
            hashes={"pdq": "pdq", "md5": "md5"}, entry_id="id", quality="q", labels={"class": "class"}
        )
    return lambda: import_into(ref, read_table(file, mapping))


def inserted(kind: str, rows: int, path: Path) -> Callable[[], object]:
    """Make a bulk insert ready to go."""
    from hashmatch.lists.file.schema import connect, use_wal
    from hashmatch.lists.file.sql_tables import ALGORITHM_NUMBERS, create_tables

    path.touch()
    connection = connect(path, writable=True, timeout=10)
    create_tables(connection)
    use_wal(connection, 10)
    cells = delivery(kind, rows)[0]
    numbers = [ALGORITHM_NUMBERS[name] for name in {"pdq": ("pdq",), "full": ("pdq", "md5"), "text": ("md5",)}[kind]]
    quality = 80 if kind == "full" else None
    n = len(numbers)

    def work() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO entry VALUES (?, ?, ?)", ((i, f"entry-{i}", i) for i in range(rows)))
        connection.executemany(
            "INSERT INTO hash VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (n * i + k, i, 1, numbers[k], quality, bytes.fromhex(digits), i)
                for i, row in enumerate(cells)
                for k, digits in enumerate(row)
            ),
        )
        if kind == "full":
            connection.executemany(
                "INSERT INTO label VALUES (?, ?, ?, ?)", ((i, 1, "class", f"A{i % 5}") for i in range(rows))
            )
        connection.execute("COMMIT")

    return work


def part(contender: str, kind: str, rows: int) -> dict[str, float]:
    """Measure one contender once, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        work = {"hashmatch": imported, "sqlite": inserted}[contender](kind, rows, Path(folder) / "list")
        began = time.process_time()
        work()
        return {"a_second": rows / (time.process_time() - began)}


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
            for contender in ("hashmatch", "sqlite"):
                words = ["--part", contender, kind, "--rows", str(options.rows)]
                command = [sys.executable, "-m", "benchmarks", "imports", *words]
                done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=runner.ROOT)
                rate = json.loads(done.stdout)["a_second"]
                rates[kind][contender] = max(rate, rates[kind].get(contender, 0.0))
    result = {
        "machine": runner.machine(),
        "rows": options.rows,
        "entries": options.entries,
        "rounds": options.rounds,
        "imports": rates,
        "add_one": add_one(options.entries, options.rounds),
    }
    keep(options, result, report(result))
