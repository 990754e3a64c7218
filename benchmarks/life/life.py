"""An index at 1 M and 10 M PDQ hashes: built, opened, shared, changed, compacted: ``python -m benchmarks life``.

Makes a list of random hashes (``--folder`` keeps it for the next run: ten million take some twelve minutes and 1.3 GB),
then measures, each part in a fresh process: codes to an index file, in memory and out of core; the list to its files;
opening a matcher; the memory that a second worker adds to a first that has the same file open; the time from the commit
of an addition and of a withdrawal until a matcher answers by it, by a call and by a watch; searches while a new file
is made, and while another process imports 50,000 hashes into a copy of the list, which a watch takes up. Private memory
is what a process has alone (Private_Clean + Private_Dirty of ``smaps_rollup``); pages of the file are shared. Linux
only, for the memory. On a machine with other work ``chrt --rr 5`` before the command keeps that out of the searches;
the results say so.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of

SEED = 20_261_128
SEARCHES = 200
CHANGES = 20
BLOCK = 100_000
POINTS = 185
IMPORTED = 50_000
WATCH = 0.5  # seconds between two looks whether the list has changed


def codes_of(first: int, count: int) -> np.ndarray:
    """Codes of the entries from ``first`` on, which is a multiple of the block."""
    return np.random.default_rng([SEED, first]).integers(0, 256, (count, 32), dtype=np.uint8)


def all_codes(n: int) -> np.ndarray:
    """Codes of all entries."""
    return np.concatenate([codes_of(first, min(BLOCK, n - first)) for first in range(0, n, BLOCK)])


def make_list(path: Path, n: int) -> float:
    """Make the list unless it is there; the seconds it took, 0 if it was there."""
    from hashmatch.hashes import HashValue
    from hashmatch.lists import Entry, ReferenceList

    if path.exists():
        return 0.0
    began = time.perf_counter()
    beside = path.with_suffix(".part")
    beside.unlink(missing_ok=True)
    with ReferenceList.create(beside, name="life") as ref:
        for first in range(0, n, BLOCK):
            block = codes_of(first, min(BLOCK, n - first)).tobytes()
            ref.add_many(
                Entry.of(f"entry-{first + i}", hashes=[HashValue("pdq", block[32 * i : 32 * i + 32])], quality=100)
                for i in range(len(block) // 32)
            )
    beside.rename(path)
    return time.perf_counter() - began


def memory() -> dict[str, int]:
    """Resident, proportional and private memory of this process, bytes."""
    found: dict[str, int] = {}
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, value, *_ = line.split()
        found[name[:-1]] = 1024 * int(value)
    return {
        "resident": found["Rss"],
        "proportional": found["Pss"],
        "private": found["Private_Clean"] + found["Private_Dirty"],
    }


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Wall and processor seconds of a piece of work, and the peak of this process's resident memory after it."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    spent = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    return spent | {"peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


# The parts, each in a process of its own


def part_build(n: int, folder: Path, *, external: bool, megabytes: int) -> dict[str, Any]:
    """Codes in memory to an index file."""
    from hashmatch.index import MultiIndex

    codes = all_codes(n)
    target = folder / "built.index"

    def work() -> None:
        if external:
            blocks = (codes[i : i + BLOCK] for i in range(0, n, BLOCK))
            MultiIndex.build_file(target, blocks, n_bytes=32, radius=31, memory=megabytes << 20)
        else:
            MultiIndex.build(codes, radius=31).save(target)

    result: dict[str, Any] = timed(work)
    result["file_bytes"] = target.stat().st_size
    target.unlink()
    return result | {"codes_bytes": codes.nbytes}


def part_files(path: Path, folder: Path) -> dict[str, Any]:
    """List to its index files, as ``hashmatch index build`` makes them."""
    from hashmatch import ReferenceList, profiles
    from hashmatch.index.storage import read_index_file
    from hashmatch.store.folder import build_files

    with ReferenceList.open(path, check="none") as ref:
        spent = timed(lambda: list(build_files(ref, profiles.STANDARD, folder, again=True)))
    (file,) = folder.glob("*.pdq.index")
    sections = read_index_file(file, verify="header").sections
    rows = sum(array.nbytes for name, array in sections.items() if name.startswith("row."))
    return spent | {"file_bytes": file.stat().st_size, "rows_bytes": rows}


def part_open(path: Path, folder: Path) -> dict[str, Any]:
    """Open a matcher, several times; and once with a file whose checksums must all be compared."""
    from hashmatch import Matcher, profiles

    times = []
    for _ in range(7):
        began = time.perf_counter()
        with Matcher.open(path, index_folder=folder, policy=profiles.STANDARD):
            times.append(time.perf_counter() - began)
    (file,) = folder.glob("*.pdq.index")
    os.utime(file)
    began = time.perf_counter()
    with Matcher.open(path, index_folder=folder, policy=profiles.STANDARD):
        checked = time.perf_counter() - began
    return {"first_s": times[0], "median_s": statistics.median(times), "checked_s": checked}


def part_worker(path: Path, folder: Path) -> dict[str, Any]:
    """Open a matcher, search, and say what memory that took; then wait until told to end."""
    from hashmatch import Matcher, profiles
    from hashmatch.hashes import HashValue

    rng = np.random.default_rng(SEED)
    before = memory()
    with Matcher.open(path, index_folder=folder, policy=profiles.STANDARD) as matcher:
        for _ in range(SEARCHES):
            matcher.match_hash(HashValue("pdq", rng.bytes(32)))
        print(json.dumps({"before": before, "after": memory()}), flush=True)
        sys.stdin.readline()
        print(json.dumps({"before": before, "after": memory()}), flush=True)
    return {}


def part_changes(path: Path, folder: Path, n: int) -> dict[str, Any]:
    """From the commit of a change until a search answers by it."""
    from hashmatch import Matcher, Outcome, ReferenceList, profiles
    from hashmatch.hashes import HashValue

    rng = np.random.default_rng(time.time_ns())
    result: dict[str, Any] = {}
    with (
        Matcher.open(path, index_folder=folder, policy=profiles.STANDARD) as matcher,
        ReferenceList.open(path, writable=True, check="none") as ref,
    ):

        def matches(value: HashValue) -> bool:
            return matcher.match_hash(value).outcome is Outcome.MATCH

        for way, wait in (("call", None), ("watch", 0.01)):
            watch = None if wait is None else matcher.watch(wait)
            spent: dict[str, list[float]] = {"add": [], "withdraw": [], "withdraw_old": []}
            for i in range(CHANGES):
                value = HashValue("pdq", rng.bytes(32))
                entry_id = f"new-{way}-{i}-{rng.integers(2**60)}"
                ref.add(entry_id, hashes=[value])
                spent["add"].append(_until(matcher, wait, lambda v=value: matches(v)))
                ref.withdraw(entry_id)
                version = ref.version
                spent["withdraw"].append(_until(matcher, wait, lambda v=version: matcher.lists[0][1] >= v))
                ref.withdraw(f"entry-{rng.integers(n)}")
                version = ref.version
                spent["withdraw_old"].append(_until(matcher, wait, lambda v=version: matcher.lists[0][1] >= v))
            if watch is not None:
                watch.stop()
            result[way] = {
                name: {"median_ms": 1000 * statistics.median(times), "max_ms": 1000 * max(times)}
                for name, times in spent.items()
            }
        result["memory"] = memory()
        began = time.perf_counter()
        for _ in range(100):
            matcher.reload()
        result["reload_of_nothing_us"] = 1e4 * (time.perf_counter() - began)
    return result


def record_of(number: int) -> Any:
    """Make the keypoint record of an entry: random points and codes, as many as a photo has."""
    from hashmatch.hashes import HashValue
    from hashmatch.keypoints.points import Keypoints
    from hashmatch.keypoints.record import Record

    rng = np.random.default_rng([SEED, number])
    x, y, sigma, angle = (rng.uniform(0, top, POINTS).astype(np.float32) for top in (512, 512, 30, 6.28))
    codes = rng.integers(0, 256, (POINTS, 16), dtype=np.uint8)
    field = bytes((9, 9)) + rng.bytes(18)
    return HashValue("keypoint", Record(Keypoints(512.0, 512.0, x, y, sigma, angle, codes), field, None).to_bytes())


def part_records(path: Path, folder: Path, n: int) -> dict[str, Any]:
    """Change a list of keypoint records: from the commit until a reload has it, beside the same file."""
    from hashmatch import Matcher, ReferenceList, profiles
    from hashmatch.lists import Entry
    from hashmatch.store.folder import build_files
    from hashmatch.store.index_file import identity_of

    result: dict[str, Any] = {}
    if not path.exists():
        beside = path.with_suffix(".part")
        beside.unlink(missing_ok=True)
        with ReferenceList.create(beside, name="records") as ref:
            for first in range(0, n, BLOCK // 100):
                numbers = range(first, min(first + BLOCK // 100, n))
                ref.add_many(Entry.of(f"entry-{i}", hashes=[record_of(i)], quality=100) for i in numbers)
        beside.rename(path)
    with ReferenceList.open(path, check="none") as ref:
        result["files"] = timed(lambda: list(build_files(ref, profiles.THOROUGH, folder)))
    (file,) = folder.glob("*.keypoint.index")
    before = identity_of(file)
    result["file_bytes"] = file.stat().st_size
    began = time.perf_counter()
    matcher = Matcher.open(path, index_folder=folder, policy=profiles.THOROUGH)
    result["open_s"] = time.perf_counter() - began
    rng = np.random.default_rng(time.time_ns())
    spent: dict[str, list[float]] = {"add": [], "withdraw": []}
    with matcher, ReferenceList.open(path, writable=True, check="none") as ref:
        for i in range(CHANGES):
            number = n + int(rng.integers(2**40))
            ref.add(f"new-{i}-{number}", hashes=[record_of(number)], quality=100)
            version = ref.version
            spent["add"].append(_until(matcher, None, lambda v=version: matcher.lists[0][1] >= v))
            found = [match.entry_id for match in matcher.match_hash(record_of(number)).matches]
            if i == 0 and found != [f"new-{i}-{number}"]:
                raise RuntimeError("an added record was not found")
            while not ref.withdraw(f"entry-{rng.integers(n)}"):
                pass
            version = ref.version
            spent["withdraw"].append(_until(matcher, None, lambda v=version: matcher.lists[0][1] >= v))
    if identity_of(file) != before:
        raise RuntimeError("the keypoint file was made anew")
    for name, times in spent.items():
        result[name] = {"median_ms": 1000 * statistics.median(times), "max_ms": 1000 * max(times)}
    return result


def _until(matcher: Any, wait: float | None, holds: Callable[[], bool]) -> float:
    began = time.perf_counter()
    if wait is None:
        matcher.reload()
    while not holds():
        time.sleep(0.0005)
    return time.perf_counter() - began


def part_compaction(path: Path, folder: Path) -> dict[str, Any]:
    """Search while a new index file is made and taken up."""
    from hashmatch import Matcher, profiles
    from hashmatch.hashes import HashValue
    from hashmatch.index import segmented

    segmented._REBUILD_FLOOR, segmented._REBUILD_SHARE = 0, 0.0
    rng = np.random.default_rng(SEED)
    with Matcher.open(path, index_folder=folder, policy=profiles.STANDARD) as matcher:
        base = _slowest(matcher, rng, lambda: False, 500)
        from hashmatch.lists import ReferenceList

        with ReferenceList.open(path, writable=True, check="none") as ref:
            ref.add(f"compacted-{time.time_ns()}", hashes=[HashValue("pdq", rng.bytes(32))])
        began = time.perf_counter()
        matcher.reload()
        thread = threading.Thread(target=matcher._keeper.wait)
        thread.start()
        during = _slowest(matcher, rng, lambda: not thread.is_alive(), 10**9)
        thread.join()
        return {
            "seconds": time.perf_counter() - began,
            "made": matcher.upkeep.compactions,
            "search_ms": base,
            "search_during_ms": during,
        }


def part_import(path: Path, folder: Path) -> dict[str, Any]:
    """Search while another process imports into the list, until a watch has taken up what it did."""
    from hashmatch import Matcher, ReferenceList, profiles

    times: dict[str, float] = {}
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        copy, delivery = Path(name, "list"), Path(name, "delivery")
        shutil.copyfile(path, copy)
        delivery.write_text("".join(f"{rng.bytes(32).hex()}\n" for _ in range(IMPORTED)), encoding="ascii")
        with Matcher.open(copy, index_folder=folder, policy=profiles.STANDARD, reload_every=WATCH) as matcher:
            base, before = _slowest(matcher, rng, lambda: False, 3000), matcher.lists[0][2]

            def look() -> None:
                with ReferenceList.open(copy, check="none") as ref:
                    while len(ref) != before + IMPORTED:
                        time.sleep(0.002)
                times["committed"] = time.perf_counter()
                while matcher.lists[0][2] != before + IMPORTED:
                    time.sleep(0.002)
                times["seen"] = time.perf_counter()

            looker = threading.Thread(target=look, daemon=True)
            looker.start()
            words = ["list", "import", str(copy), str(delivery), "--algorithm", "pdq"]
            process = subprocess.Popen([sys.executable, "-m", "hashmatch", *words], stdout=subprocess.DEVNULL)
            began = time.perf_counter()

            def done() -> bool:
                return process.poll() is not None and (
                    process.returncode != 0 or matcher.lists[0][2] == before + IMPORTED
                )

            during = _slowest(matcher, rng, done, 10**9)
            if process.returncode:
                raise RuntimeError("the import failed")
            seconds = time.perf_counter() - began
            looker.join()
            matcher._keeper.wait()
        priority = getattr(os, "sched_getscheduler", lambda _: None)(0) == getattr(os, "SCHED_RR", -1)
        return {
            "date": runner.machine()["date"],
            "seconds": seconds,
            "imported": IMPORTED,
            "seen_s": times["seen"] - times["committed"],
            "watch_s": WATCH,
            "search_ms": base,
            "search_during_ms": during,
            "real_time": priority,
        }


def _slowest(matcher: Any, rng: np.random.Generator, done: Callable[[], bool], most: int) -> dict[str, float]:
    from hashmatch.hashes import HashValue

    times = []
    while len(times) < most and not done():
        value = HashValue("pdq", rng.bytes(32))
        began = time.perf_counter()
        matcher.match_hash(value)
        times.append(1000 * (time.perf_counter() - began))
        time.sleep(0.001)
    values = times or [0.0]
    return {
        "median": statistics.median(values),
        "mean": statistics.fmean(values),
        "p99": float(np.quantile(values, 0.99)),
        "max": max(values),
    }


# The whole


def start(part: str, path: Path, folder: Path, n: int, *more: str) -> subprocess.Popen[str]:
    """Start a part in a fresh process of one thread."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "life", "--part", part, str(path), str(folder), str(n), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=runner.ROOT,
        env={**os.environ, **runner.ONE_THREAD},
    )


def run(part: str, path: Path, folder: Path, n: int, *more: str) -> dict[str, Any]:
    """Run a part to its end."""
    process = start(part, path, folder, n, *more)
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the part {part} failed")
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return result


def run_workers(path: Path, folder: Path, n: int) -> dict[str, Any]:
    """Memory of a second worker beside a first."""
    workers = [start("worker", path, folder, n) for _ in range(2)]
    for worker in workers:
        if worker.stdout is None or not worker.stdout.readline():
            raise RuntimeError("a worker failed")
    found = []
    for worker in reversed(workers):  # the second is asked while both have the file open
        out, _ = worker.communicate("\n")
        found.append(json.loads(out.splitlines()[0]))
    return dict(found[0])


def measure(path: Path, folder: Path, n: int, known: dict[str, Any]) -> dict[str, Any]:
    """Measure all of one size but what is known."""
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "build_memory": lambda: run("build", path, folder, n),
        "build_external": lambda: run("external", path, folder, n, "256"),
        "build_external_small": lambda: run("external", path, folder, n, "64"),
        "files": lambda: run("files", path, folder, n),
        "open": lambda: run("open", path, folder, n),
        "worker": lambda: run_workers(path, folder, n),
        "changes": lambda: run("changes", path, folder, n),
        "compaction": lambda: run("compaction", path, folder, n),
        "import": lambda: run("import", path, folder, n),
    }
    seconds = make_list(path, n)
    result: dict[str, Any] = {"n": n, "list_s": seconds, "list_bytes": path.stat().st_size} | known
    for name, work in parts.items():
        if name not in result:
            result[name] = work()
    return result


def of_records(result: dict[str, Any]) -> str:
    """Write the table of keypoint records."""
    mb = 1 << 20
    rows = [
        ["list to index file (`hashmatch index build`)", f"{result['files']['seconds']:.1f} s"],
        ["file", f"{result['file_bytes'] / mb:,.0f} MiB"],
        ["opening a matcher", _ms(result["open_s"])],
        ["add, until a reload by call has it", _both(result["add"])],
        ["withdraw an old entry, until a reload by call has it", _both(result["withdraw"])],
    ]
    table = runner.markdown_table(["", f"{result['n']:,} keypoint records of {POINTS} points, {result['date']}"], rows)
    return f"\n{table}\n\nThe file is the same before and after the changes.\n"


def summary(results: list[dict[str, Any]], facts: dict[str, str]) -> str:
    """Write the table."""
    mb = 1 << 20

    def built(name: str) -> tuple[str, Callable[[dict[str, Any]], str]]:
        return name, lambda r: f"{r['seconds']:.1f} s ({r['cpu_seconds']:.1f} s of processor)"

    lines: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("list file", lambda r: f"{r['list_bytes'] / r['n']:.0f} bytes an entry"),
        ("codes to index file, in memory", lambda r: built("")[1](r["build_memory"])),
        ("the same out of core, 256 MiB", lambda r: built("")[1](r["build_external"])),
        ("the same out of core, 64 MiB", lambda r: built("")[1](r["build_external_small"])),
        (
            "peak memory of these three, codes not counted",
            lambda r: (
                " / ".join(
                    f"{(r[name]['peak_bytes'] - r[name]['codes_bytes']) / mb:,.0f}"
                    for name in ("build_memory", "build_external", "build_external_small")
                )
                + " MiB"
            ),
        ),
        ("index, bytes an entry", lambda r: f"{r['build_external']['file_bytes'] / r['n']:.1f}"),
        ("rows beside it, bytes an entry", lambda r: f"{r['files']['rows_bytes'] / r['n']:.1f}"),
        ("list to index file (`hashmatch index build`)", lambda r: built("")[1](r["files"])),
        ("opening a matcher, first and median", lambda r: _ms(r["open"]["first_s"], r["open"]["median_s"])),
        ("opening with all checksums compared", lambda r: _ms(r["open"]["checked_s"])),
        (
            "private memory of an added worker, searches done",
            lambda r: (
                f"{r['worker']['after']['private'] / mb:.1f} MiB, "
                f"{100 * r['worker']['after']['private'] / r['files']['file_bytes']:.1f} % of the file"
            ),
        ),
        (
            "of that by opening and searching",
            lambda r: f"{(r['worker']['after']['private'] - r['worker']['before']['private']) / mb:.1f} MiB",
        ),
        ("add, until a search finds it: reload by call", lambda r: _both(r["changes"]["call"]["add"])),
        ("withdraw a new entry, until it is seen", lambda r: _both(r["changes"]["call"]["withdraw"])),
        ("withdraw an old entry, until it is seen", lambda r: _both(r["changes"]["call"]["withdraw_old"])),
        ("add, by a watch every 10 ms", lambda r: _both(r["changes"]["watch"]["add"])),
        ("withdraw an old entry, by that watch", lambda r: _both(r["changes"]["watch"]["withdraw_old"])),
        ("reload when nothing changed", lambda r: f"{r['changes']['reload_of_nothing_us']:.0f} µs"),
        ("compaction in the background", lambda r: f"{r['compaction']['seconds']:.1f} s"),
        ("a search, median / 99th percentile / slowest", lambda r: _three(r["compaction"]["search_ms"])),
        ("the same during compaction", lambda r: _three(r["compaction"]["search_during_ms"])),
        (
            f"a search beside an import of {IMPORTED:,} by another process, median / mean / 99th percentile",
            lambda r: (
                f"{_means(r['import']['search_during_ms'])}{', real-time' if r['import']['real_time'] else ''}, "
                f"{r['import']['date']}"
            ),
        ),
        ("the same before it", lambda r: _means(r["import"]["search_ms"])),
        (
            "from the commit of that import until searches answer by it",
            lambda r: f"{r['import']['seen_s']:.2f} s, by a watch every {r['import']['watch_s']:g} s",
        ),
    ]

    def given(give: Callable[[dict[str, Any]], str], result: dict[str, Any]) -> str:
        try:
            return give(result)
        except KeyError:  # of an earlier form
            return "not measured"

    header = ["", *(f"{result['n']:,} hashes" for result in results)]
    rows = [[name, *(given(give, result) for result in results)] for name, give in lines]
    said = ", ".join(f"{name} {value}" for name, value in facts.items())
    return (
        "# Life of an index, in detail\n\n`python -m benchmarks life`; random 256-bit hashes, seed "
        f"{SEED}, radius 31, one thread. {said}.\n\n{runner.markdown_table(header, rows)}\n\n"
        f"Changes: {CHANGES} each, median and slowest. Private memory of the process before opening: "
        + ", ".join(f"{result['worker']['before']['private'] / mb:.1f} MiB" for result in results)
        + '. "Real-time": the searches and the import had that priority, since the machine had other work.\n'
    )


def _ms(*seconds: float) -> str:
    return ", ".join(f"{1000 * value:,.1f} ms" for value in seconds)


def _both(times: dict[str, float]) -> str:
    return f"{times['median_ms']:.1f} ms, {times['max_ms']:.1f} ms"


def _three(times: dict[str, float]) -> str:
    return f"{times['median']:.2f} / {times['p99']:.2f} / {times['max']:.1f} ms"


def _means(times: dict[str, float]) -> str:
    return f"{times['median']:.2f} / {times['mean']:.2f} / {times['p99']:.2f} ms"


def main() -> None:
    """Measure, print the table and write the files asked for."""
    parser = options_of(__doc__, "20,000 hashes and 300 records only: does it run?")
    parser.add_argument("--entries", type=int, nargs="*", default=[1_000_000, 10_000_000], help="sizes of the lists")
    parser.add_argument("--records", type=int, default=100_000, help="keypoint records; 0 leaves them out")
    parser.add_argument("--folder", type=Path, help="keep lists here; a temporary folder without")
    parser.add_argument("--resume", type=Path, help="take over what these results hold, and measure what they lack")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(_part(*args.part)))
        return
    folder = Path(tempfile.mkdtemp(prefix="life-")) if args.folder is None else args.folder.absolute()
    earlier = {"results": []} if args.resume is None else json.loads(args.resume.read_text(encoding="utf-8"))
    known = {result["n"]: result for result in earlier["results"]}
    sizes = [20_000] if args.quick else args.entries
    results = []
    try:
        for n in sizes:
            indexes = Path(tempfile.mkdtemp(prefix="indexes-", dir=folder))
            try:
                results.append(measure(folder / f"list-{n}.hashmatch", indexes, n, known.get(n, {})))
            finally:
                shutil.rmtree(indexes)
            print(json.dumps(results[-1]), flush=True)
        records = _records(folder, 300 if args.quick else args.records) or earlier.get("records")
    finally:
        if args.folder is None:
            shutil.rmtree(folder)
    results = sorted([*results, *(r for n, r in known.items() if n not in sizes)], key=lambda r: r["n"])
    facts = earlier.get("machine") or runner.machine()
    text = summary(results, facts) + ("" if records is None else of_records(records))
    keep(args, {"machine": facts, "results": results, "records": records}, text)


def _records(folder: Path, n: int) -> dict[str, Any] | None:
    """Measure a list of so many keypoint records; None for none."""
    if not n:
        return None
    indexes = Path(tempfile.mkdtemp(prefix="indexes-", dir=folder))
    try:
        result = {"n": n, "date": runner.machine()["date"]} | run("records", folder / f"records-{n}", indexes, n)
    finally:
        shutil.rmtree(indexes)
    print(json.dumps(result), flush=True)
    return result


def _part(name: str, path: str, folder: str, n: str, megabytes: str = "256") -> dict[str, Any]:
    target, indexes, size = Path(path), Path(folder), int(n)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "build": lambda: part_build(size, indexes, external=False, megabytes=0),
        "external": lambda: part_build(size, indexes, external=True, megabytes=int(megabytes)),
        "files": lambda: part_files(target, indexes),
        "open": lambda: part_open(target, indexes),
        "import": lambda: part_import(target, indexes),
        "worker": lambda: part_worker(target, indexes),
        "changes": lambda: part_changes(target, indexes, size),
        "records": lambda: part_records(target, indexes, size),
        "compaction": lambda: part_compaction(target, indexes),
    }
    return parts[name]()
