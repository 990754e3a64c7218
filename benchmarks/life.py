"""Life of an index: made, opened, shared and changed, through `ReferenceList` and `Matcher` with an index folder.

Run ``python -m benchmarks life`` from the project's root. The list holds random PDQ hashes. The first `Matcher` that
opens it makes the index files; one more process opens them and searches. Then entries are added and withdrawn one at a
time while a matcher is open: from the end of the transaction, and from its beginning, until the matcher answers
by it. `private` is what the added process holds alone, `resident` also counts the pages of the mapped files that it
touched, which all processes share. Linux; elsewhere without memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runner import machine, markdown_table, save
from hashmatch import HashValue, Matcher, Outcome, ReferenceList, profiles
from hashmatch.lists import Entry

SEED = 20_261_126
SEARCHES = 200


def memory() -> dict[str, int]:
    """Bytes this process holds: alone, and resident in all."""
    rollup = Path("/proc/self/smaps_rollup")
    if not rollup.exists():
        return {"private": 0, "resident": 0}
    kb = {words[0]: int(words[1]) for line in rollup.read_text().splitlines()[1:] if (words := line.split())}
    return {"private": 1024 * (kb["Private_Clean:"] + kb["Private_Dirty:"]), "resident": 1024 * kb["Rss:"]}


def grown(before: dict[str, int]) -> dict[str, int]:
    """How much more than before."""
    return {name: value - before[name] for name, value in memory().items()}


def entries(first: int, count: int) -> Iterator[Entry]:
    """Entries of one random hash each."""
    rng = np.random.default_rng((SEED, first))
    for number in range(first, first + count):
        yield Entry.of(f"entry-{number}", hashes=[HashValue("pdq", rng.bytes(32))], quality=100)


def make_list(path: Path, n: int) -> float:
    """Make the list, a million entries a transaction; seconds."""
    began = time.perf_counter()
    with ReferenceList.create(path, name="life") as ref:
        for first in range(0, n, 1_000_000):
            ref.add_many(entries(first, min(1_000_000, n - first)))
    return time.perf_counter() - began


def opened(path: Path, folder: Path) -> Matcher:
    """Open the list with its index files."""
    return Matcher.open(path, policy=profiles.FAST, index_folder=folder)


def _added(path: Path, folder: Path, send: Any) -> None:
    """Be one more process: open, search, and tell time and memory."""
    rng = np.random.default_rng(SEED)
    with Matcher.open(path.with_suffix(".small"), policy=profiles.FAST) as small:  # loads what any search loads
        small.match_hash(HashValue("pdq", rng.bytes(32)))
    before, began = memory(), time.perf_counter()
    with opened(path, folder) as matcher:
        first_ms = 1000 * (time.perf_counter() - began)
        at_opening = grown(before)
        times = []
        for _ in range(SEARCHES):
            value = HashValue("pdq", rng.bytes(32))
            start = time.perf_counter()
            matcher.match_hash(value)
            times.append(1000 * (time.perf_counter() - start))
        searched = grown(before)
    again = []
    for _ in range(5):
        began = time.perf_counter()
        opened(path, folder).close()
        again.append(1000 * (time.perf_counter() - began))
    send.send(
        {
            "first_open_ms": first_ms,
            "open_ms": statistics.median(again),
            "at_opening": at_opening,
            "searched": searched,
            "search_ms": statistics.median(times),
        }
    )


def changes(path: Path, folder: Path, count: int) -> dict[str, list[float]]:
    """Add and withdraw entries one at a time; milliseconds until an open matcher answers by it."""
    rng = np.random.default_rng((SEED, 1))
    spent: dict[str, list[float]] = {name: [] for name in ("add", "add and write", "withdraw", "withdraw and write")}
    with opened(path, folder) as matcher, ReferenceList.open(path, writable=True) as ref:
        for number in range(count):
            value = HashValue("pdq", rng.bytes(32))
            for what, expected in (("add", Outcome.MATCH), ("withdraw", Outcome.NO_MATCH)):
                began = time.perf_counter()
                if what == "add":
                    ref.add(f"fresh-{number}", hashes=[value])
                else:
                    ref.withdraw(f"fresh-{number}")
                written = time.perf_counter()
                matcher.reload()
                if matcher.match_hash(value).outcome is not expected:
                    raise RuntimeError(f"the matcher does not see what was done: {what}")
                seen = time.perf_counter()
                spent[what].append(1000 * (seen - written))
                spent[f"{what} and write"].append(1000 * (seen - began))
    return spent


def measure(folder: Path, n: int, count: int) -> dict[str, Any]:
    """Measure the whole life of one list's index."""
    path, files = folder / "list.hashmatch", folder / "index"
    files.mkdir()
    result: dict[str, Any] = {"entries": n, "list_s": make_list(path, n)}
    make_list(path.with_suffix(".small"), 10)
    result["list_bytes"] = path.stat().st_size
    began = time.perf_counter()
    opened(path, files).close()
    result["build_s"] = time.perf_counter() - began
    result["index_bytes"] = sum(file.stat().st_size for file in files.rglob("*") if file.is_file())
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_added, args=(path, files, send))
    process.start()
    send.close()
    result |= receive.recv()
    process.join()
    kept = changes(path, files, count)
    result["change_ms"] = {name: statistics.median(times) for name, times in kept.items()}
    result["worst_change_ms"] = {name: max(times) for name, times in kept.items()}
    return result


def report(result: dict[str, Any]) -> str:
    """Write the tables."""
    n, size = result["entries"], result["index_bytes"]
    facts = [
        ["list written, s", f"{result['list_s']:.0f}"],
        ["first `Matcher`, makes the index files, s", f"{result['build_s']:.1f}"],
        ["index files, bytes an entry", f"{size / n:.1f}"],
        ["an added process: first open, ms", f"{result['first_open_ms']:.0f}"],
        ["open again, ms, median of 5", f"{result['open_ms']:.0f}"],
        ["its own memory at opening, % of the files", f"{100 * result['at_opening']['private'] / size:.2f}"],
        [f"its own memory after {SEARCHES} searches, %", f"{100 * result['searched']['private'] / size:.2f}"],
        [
            f"resident with shared pages after {SEARCHES} searches, %",
            f"{100 * result['searched']['resident'] / size:.2f}",
        ],
        ["a search through the matcher, ms", f"{result['search_ms']:.3f}"],
    ]
    seen = [
        [name, f"{result['change_ms'][name]:.1f}", f"{result['worst_change_ms'][name]:.1f}"]
        for name in result["change_ms"]
    ]
    parts = [
        "# Life of an index",
        ", ".join(f"{name}: {value}" for name, value in result["machine"].items()) + f"; seed {SEED}.",
        f"{n:,} random PDQ hashes. Command: `python -m benchmarks life`.",
        markdown_table(["what", "figure"], facts),
        "Until an open matcher answers by a change, `reload` included; `and write` counts the writer's transaction.",
        markdown_table(["change", "ms, median", "ms, worst"], seen),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--changes", type=int, default=10, help="entries added and withdrawn")
    parser.add_argument("--folder", type=Path, help="where the list and the index files go for the time of the run")
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--quick", action="store_true", help="a small list: does it run?")
    args = parser.parse_args()
    n, count = (5_000, 2) if args.quick else (args.entries, args.changes)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        result = {"machine": machine(), "changes": count, **measure(Path(folder), n, count)}
    print(report(result))
    if args.json:
        save(args.json, json.dumps(result, indent=1) + "\n")
    if args.markdown:
        save(args.markdown, report(result))


if __name__ == "__main__":
    main()
