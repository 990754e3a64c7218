"""Threads: how much more of the same work 2 and 8 threads do than one, in one process, and beside processes.

Run ``python -m benchmarks threads`` from the project's root. The work is look-ups of PDQ hashes one by one and in
batches, hashes of arrays and of JPEG files, keypoints, and decode alone. The same tasks are done by 1, 2 and 8 threads
of one interpreter, rounds alternating, and a figure is the best round. Two processes without a common interpreter give
the limit of the machine: two cores that share caches, memory and clock do not do twice the work of one. Files are JPEGs
of 1024x768. Every library keeps to one thread.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of

SEED = 20_261_125
THREADS = (1, 2, 8)
Work = Callable[[int], object]


def works(entries: int, pictures: int) -> dict[str, tuple[Work, int]]:
    """Every kind of work: a function of the task's number, and how many tasks make up a round."""
    import numpy as np
    from PIL import Image

    from benchmarks.speed.hashing import make_file, make_picture
    from hashmatch.hashers import PDQHasher
    from hashmatch.hashers.facade import hash_image
    from hashmatch.hashers.keypoint import KeypointHasher
    from hashmatch.index import MultiIndex

    rng = np.random.default_rng(SEED)
    codes = rng.integers(0, 256, (entries, 32), dtype=np.uint8)
    index = MultiIndex.build(codes, radius=31)
    queries = rng.integers(0, 256, (4096, 32), dtype=np.uint8)
    blocks = [queries[start : start + 64] for start in range(0, len(queries), 64)]
    arrays = [make_picture(768, 1024, SEED + number) for number in range(pictures)]
    files = [make_file(768, 1024, SEED + number) for number in range(pictures)]
    pdq, keypoint = PDQHasher(), KeypointHasher()
    return {
        f"look-up in {entries:,}, one by one": (lambda i: index.search(queries[i % 4096], 31), 16_384),
        f"look-up in {entries:,}, 64 at a time": (lambda i: index.search_batch(blocks[i % 64], 31), 256),
        "PDQ of an array": (lambda i: pdq.hash_pixels(arrays[i % pictures]), 1_024),
        "PDQ in eight turns": (lambda i: pdq.hash_turns(arrays[i % pictures]), 512),
        "keypoints of an array": (lambda i: keypoint.query(arrays[i % pictures]), 32),
        "PDQ of a file": (lambda i: hash_image(files[i % pictures], "pdq"), 128),
        "decode of a file (Pillow)": (lambda i: Image.open(io.BytesIO(files[i % pictures])).load(), 128),
    }


def timed(work: Work, tasks: int, threads: int) -> float:
    """Tasks a second, the tasks shared out in chunks so that handing them out costs nothing."""
    chunk = max(1, tasks // (8 * threads))
    starts = range(0, tasks, chunk)

    def some(start: int) -> None:
        for i in range(start, min(tasks, start + chunk)):
            work(i)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(time.sleep, [0] * threads))  # the threads are there before the clock starts
        began = time.perf_counter()
        list(pool.map(some, starts))
        return tasks / (time.perf_counter() - began)


def measure(entries: int, pictures: int, rounds: int, share: float) -> list[dict[str, Any]]:
    """Measure every work, rounds of all numbers of threads in turn."""
    rows = []
    for name, (work, tasks) in works(entries, pictures).items():
        count = max(8, int(share * tasks))
        work(0)
        rates: dict[int, list[float]] = {threads: [] for threads in THREADS}
        for _ in range(rounds):
            for threads in THREADS:
                rates[threads].append(timed(work, count, threads))
        rows.append({"work": name, "tasks": count, "a_second": {str(t): max(kept) for t, kept in rates.items()}})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _alone(barrier: Any, entries: int, pictures: int, share: float, send: Any) -> None:
    """Be one of several processes: every work by one thread, all processes at once."""
    spent = []
    for work, tasks in works(entries, pictures).values():
        work(0)
        count = max(8, int(share * tasks))
        barrier.wait()
        spent.append((count, count / timed(work, count, 1)))
    send.send(spent)


def processes(number: int, entries: int, pictures: int, rounds: int, share: float) -> list[float]:
    """Tasks a second of each work by so many processes together, the best round."""
    context = multiprocessing.get_context("spawn")
    best: list[float] = []
    for _ in range(rounds):
        barrier, ends = context.Barrier(number), [context.Pipe(duplex=False) for _ in range(number)]
        started = [context.Process(target=_alone, args=(barrier, entries, pictures, share, send)) for _, send in ends]
        for process in started:
            process.start()
        spent = zip(*(receive.recv() for receive, _ in ends), strict=True)
        rates = [sum(count for count, _ in each) / max(seconds for _, seconds in each) for each in spent]
        for process in started:
            process.join()
        best = [max(pair) for pair in zip(best or rates, rates, strict=True)]
    return best


def report(result: dict[str, Any]) -> str:
    """Write the table."""
    lines = []
    for row in result["rows"]:
        one = row["a_second"]["1"]
        lines.append(
            [
                row["work"],
                f"{one:.0f}",
                *(f"{row['a_second'][str(threads)] / one:.2f}" for threads in THREADS[1:]),
                f"{row['processes'] / one:.2f}",
            ]
        )
    header = ["work", "a second, 1 thread", *(f"{threads} threads, times" for threads in THREADS[1:])]
    header.append(f"{result['processes']} processes, times")
    parts = [
        "# Many threads",
        runner.stated(result["machine"]) + f"; seed {SEED}; free-threaded: {result['free_threaded']}.",
        f"Times as much as one thread in the same run, best of {result['rounds']} rounds. Processes share no "
        "interpreter: what they\nreach is what the machine can give. Arrays and files are 1024x768. "
        "Command: `python -m benchmarks threads`.",
        runner.markdown_table(header, lines),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "a small index, few tasks: does it run?")
    parser.add_argument("--entries", type=int, default=1_000_000, help="PDQ hashes in the index")
    args = parser.parse_args()
    os.environ.update(runner.ONE_THREAD)  # for the processes; this one has loaded no library that reads it yet
    entries, pictures, rounds, share = (20_000, 2, 1, 0.02) if args.quick else (args.entries, 8, 5, 1.0)
    rows = measure(entries, pictures, rounds, share)
    together = processes(2, entries, pictures, min(rounds, 3), share)
    for row, rate in zip(rows, together, strict=True):
        row["processes"] = rate
    free = not getattr(sys, "_is_gil_enabled", lambda: True)()
    result = {"machine": runner.machine(), "rounds": rounds, "processes": 2, "free_threaded": free, "rows": rows}
    keep(args, result, report(result))
