"""A folder scan beside processes that only decode, an imagehash loop and threatexchange's hasher; ledger and rescan.

Run ``python -m benchmarks scan`` from the project's root; ``--quick`` is a smoke test. A folder of synthetic
photographs (JPEG, PNG, WebP; the files of `isolation`) is scanned by `hashmatch.scan.scan` with restricted worker
processes, under FAST and STANDARD, with a ledger and without. Beside it the same number of bare processes do, file by
file: only the decode (Pillow), the decode and one phash (imagehash), the decode and PDQ (threatexchange). All take
turns, round after round, in another order each. Throughput is wall clock: run it on an idle machine. Every content of
the folder differs, by a trailing byte, so that the ledger spares nothing.

Then a ledger of made-up fingerprints is matched again: against nothing new, and against a thousand new entries.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import machine, markdown_table
from benchmarks.speed.isolation import SIZE, make_folder
from hashmatch import Fingerprint, HashValue, Matcher, ReferenceList, hash_image, profiles
from hashmatch.hashes import Looked, ViewHash
from hashmatch.jail import Isolation
from hashmatch.policy import MatchPolicy
from hashmatch.scan import Ledger, Rescan, iter_files, rescan, scan
from hashmatch.view import FrameCount, Turn, View

SEED = 20_261_201
NEW = 1_000


def only_decode(path: str) -> int:
    """Decode with Pillow."""
    from PIL import Image

    with Image.open(path) as opened:
        return opened.convert("RGB").size[0]


def imagehash_loop(path: str) -> int:
    """Decode and make one phash, as a plain loop does."""
    import imagehash
    from PIL import Image

    with Image.open(path) as opened:
        return len(str(imagehash.phash(opened)))


def threatexchange_hasher(path: str) -> int:
    """Hash with the signal type of threatexchange."""
    from threatexchange.signal_type.pdq.signal import PdqSignal

    return len(PdqSignal.hash_from_file(Path(path)))


BARE: dict[str, Callable[[str], int]] = {
    "only decode (Pillow)": only_decode,
    "imagehash phash": imagehash_loop,
    "threatexchange PDQ": threatexchange_hasher,
}


def bare_seconds(work: Callable[[str], int], paths: list[Path], workers: int) -> float:
    """Time bare processes, without their start."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(work, [str(path) for path in paths[: 4 * workers]])
        began = time.perf_counter()
        for _ in pool.imap_unordered(work, [str(path) for path in paths], chunksize=8):
            pass
        return time.perf_counter() - began


def scan_seconds(matcher: Matcher, paths: list[Path], workers: int, ledger: Path | None) -> float:
    """Time a scan, without the start of its workers."""
    if ledger is None:
        began = time.perf_counter()
        for _ in scan(matcher, paths, workers=workers):
            pass
        return time.perf_counter() - began
    ledger.unlink(missing_ok=True)
    with Ledger.open(ledger) as book:
        began = time.perf_counter()
        for _ in scan(matcher, paths, workers=workers, ledger=book):
            pass
        return time.perf_counter() - began


def compare(folder: Path, listed: Path, workers: int, rounds: int) -> list[dict[str, Any]]:
    """Time everything by turns."""
    paths = list(iter_files([folder]))
    seconds: dict[str, list[float]] = {}
    policies: tuple[MatchPolicy, ...] = (profiles.FAST, profiles.STANDARD)
    matchers = [Matcher.open(listed, policy=policy, isolation=Isolation(workers=workers)) for policy in policies]
    ways: list[tuple[str, Callable[[], float]]] = []
    for name, work in BARE.items():
        ways.append((name, lambda work=work: bare_seconds(work, paths, workers)))  # type: ignore[misc]
    for matcher in matchers:
        matcher.warm()
        for kept in (None, listed.with_name("scan.ledger")):
            name = f"hashmatch {matcher.policy.name}{'' if kept is None else ', ledger'}"
            ways.append((name, lambda m=matcher, k=kept: scan_seconds(m, paths, workers, k)))  # type: ignore[misc]
    for turn in range(rounds):
        for name, way in ways if turn % 2 else reversed(ways):
            seconds.setdefault(name, []).append(way())
    for matcher in matchers:
        matcher.close()
    base = statistics.median(seconds["only decode (Pillow)"])
    return [
        {
            "way": name,
            "files_per_second": len(paths) / statistics.median(seconds[name]),
            "of_only_decode": base / statistics.median(seconds[name]),
        }
        for name, _ in ways
    ]


def made_ledger(folder: Path, n: int, views: int) -> tuple[Path, Path]:
    """Make a ledger of made-up fingerprints, and its list."""
    rng = np.random.default_rng(SEED)
    listed, path = folder / "rescan.hashmatch", folder / "rescan.ledger"
    with ReferenceList.create(listed, name="rescan") as ref:
        ref.add("one", hashes=[HashValue("pdq", rng.bytes(32))])
    looks = [View(turn=turn) for turn in Turn][:views]
    looked = Looked(views=("original", "turns"), frames=FrameCount(seen=1, in_full=1, unseen=0))
    with Matcher.open(listed, policy=profiles.FAST) as matcher, Ledger.open(path) as book:
        book.begin(matcher)
        report = None
        for number in range(n):
            hashes = [ViewHash(value=HashValue("sha256", rng.bytes(32)))]
            hashes += [ViewHash(value=HashValue("pdq", rng.bytes(32)), quality=90, view=view) for view in looks]
            made = Fingerprint(tuple(hashes), looked)
            report = report or matcher.match_fingerprint(made)
            book.record(b"%d" % number, b"", hashes[0].value.data, made, report)
    return listed, path


def rescans(folder: Path, n: int, views: int) -> dict[str, Any]:
    """Time a rescan against nothing new, and one against new entries."""
    listed, path = made_ledger(folder, n, views)

    def timed() -> float:
        began = time.perf_counter()
        with Ledger.open(path) as book:
            found = list(rescan(book, listed, policy=profiles.FAST, summary=Rescan()))
        assert found == []
        return time.perf_counter() - began

    nothing = min(timed() for _ in range(3))
    rng = np.random.default_rng(SEED + 1)
    with ReferenceList.open(listed, writable=True) as ref, ref.transaction():
        for number in range(NEW):
            ref.add(f"new-{number}", hashes=[HashValue("pdq", rng.bytes(32))])
    return {
        "contents": n,
        "hashes_of_each": views,
        "bytes_of_each": path.stat().st_size / n,
        "nothing_new_seconds": nothing,
        "new_entries": NEW,
        "new_entries_seconds": timed(),
    }


def report(result: dict[str, Any]) -> str:
    """Write the tables."""
    rows = [[row["way"], f"{row['files_per_second']:.1f}", f"{row['of_only_decode']:.0%}"] for row in result["rows"]]
    again = [
        [
            f"{item['contents']:,}",
            str(item["hashes_of_each"]),
            f"{item['bytes_of_each']:.0f}",
            f"{item['nothing_new_seconds']:.3f}",
            f"{item['new_entries_seconds']:.2f}",
        ]
        for item in result["rescans"]
    ]
    parts = [
        "# A folder scan, a ledger, and matching again",
        f"`{result['machine']}`",
        f"{result['files']:,} files of {result['size'][1]} x {result['size'][0]} px (half JPEG, a quarter PNG, a"
        f" quarter WebP), {result['workers']} processes each, {result['rounds']} rounds by turns; medians of wall"
        " clock.",
        markdown_table(["way", "files/s", "of only decode"], rows),
        f"A ledger of made-up fingerprints matched again, on one core, by FAST; {NEW:,} entries are new.",
        markdown_table(["contents", "hashes of each", "bytes of each", "nothing new, s", "new entries, s"], again),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "a few small files and fingerprints: does it run?")
    parser.add_argument("--files", type=int, default=20_000, help="files of the folder")
    parser.add_argument("--workers", type=int, default=2, help="processes of each way")
    parser.add_argument("--rounds", type=int, default=3, help="rounds")
    parser.add_argument("--contents", type=int, default=1_000_000, help="contents of the ledger that is matched again")
    options = parser.parse_args()
    files, rounds, contents, size = options.files, options.rounds, options.contents, SIZE
    if options.quick:
        files, rounds, contents, size = 12, 1, 500, (200, 300)
    with tempfile.TemporaryDirectory() as name:
        folder, listed = Path(name) / "files", Path(name) / "list.hashmatch"
        folder.mkdir()
        make_folder(folder, files, size)
        for number, path in enumerate(sorted(folder.iterdir())):
            with path.open("ab") as file:
                file.write(number.to_bytes(4, "big"))
        with ReferenceList.create(listed, name="some of the files") as ref:
            for path in sorted(folder.iterdir())[:3]:
                ref.add(path.name, hashes=[hash_image(path)])
        rows = compare(folder, listed, options.workers, rounds)
        made = [rescans(Path(name), contents, 1)]
        (Path(name) / "rescan.hashmatch").unlink()
        (Path(name) / "rescan.ledger").unlink()
        made.append(rescans(Path(name), max(1, contents // 10), 8))
    result = {
        "machine": machine(),
        "files": files,
        "size": size,
        "workers": options.workers,
        "rounds": rounds,
        "rows": rows,
        "rescans": made,
    }
    keep(options, result, report(result))
