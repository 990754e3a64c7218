"""What an audit log costs: appending beside a match, bytes a record, a proof, verifying, replaying.

Pictures of a megapixel as JPEG files are matched by STANDARD against random PDQ hashes, with a log and without, in
turns; none is listed, as most uploads are not. The log is then filled to its full size. Run with ``python -m benchmarks
audit --json FILE --markdown FILE``.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.contenders._endtoend import entries
from benchmarks.frame.options import keep, options_of
from benchmarks.frame.runner import machine, markdown_table
from hashmatch import Matcher, MatchReport, ReferenceList
from hashmatch.audit import AuditLog, LogReader, Recorder, replay_log, verify_log
from hashmatch.hashes import Fingerprint
from hashmatch.signing import SigningKey
from hashmatch.synthetic import picture

SEED = 7_310_000


class Given:
    """Keeps what a recorder gets."""

    digests = frozenset({"sha256"})

    def __init__(self) -> None:
        self.last: tuple[MatchReport, Fingerprint, Any] | None = None

    def __call__(self, *given: Any) -> None:
        """Take one report."""
        self.last = given  # type: ignore[assignment]


def jpegs(count: int) -> list[bytes]:
    """Make files."""
    made = []
    for number in range(count):
        stream = BytesIO()
        Image.fromarray(picture("photo", SEED + number, (1200, 900))).save(stream, "JPEG", quality=88)
        made.append(stream.getvalue())
    return made


def timed(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def beside_matching(path: Path, folder: Path, key: SigningKey, files: list[bytes], rounds: int) -> dict[str, Any]:
    """Match each picture with a log and without, in turns; the best time of each counts.

    What is written once a second is in few of these times, and is added as its share of a second.
    """
    given = Given()
    best = [[float("inf")] * len(files) for _ in range(2)]
    with AuditLog.create(folder, key) as log:
        with Matcher.open(path) as plain, Matcher.open(path, recorder=Recorder(log, actor="benchmark")) as logged:
            pairs = list(zip(best, (plain, logged), strict=True))
            for number in range(rounds):
                for place, data in enumerate(files):
                    # who comes second finds the picture in the caches
                    for row, matcher in pairs if (number + place) % 2 else pairs[::-1]:
                        row[place] = min(row[place], timed(lambda matcher=matcher, data=data: matcher.match(data)))
            signed = [timed(lambda: (log.append({"kind": "note"}), log.sign())) for _ in range(30)]
        with Matcher.open(path, recorder=given) as matcher:
            matcher.match(files[0])
    plain_ms, logged_ms = (1e3 * statistics.mean(row) for row in best)
    once_ms = 1e3 * statistics.median(signed)
    return {
        "match_ms": plain_ms,
        "logged_ms": logged_ms,
        "once_ms": once_ms,
        "share": logged_ms / plain_ms - 1 + once_ms / 1e3,
        "given": given.last,
    }


def filled(folder: Path, key: SigningKey, given: Any, records: int) -> dict[str, float]:
    """Append records, as a service does that answers one picture after the other."""
    with AuditLog.create(folder, key) as log:
        recorder = Recorder(log)
        seconds = timed(lambda: [recorder(*given) for _ in range(records)] and log.flush())
        waited = timed(lambda: [log.append({"kind": "note"}) for _ in range(50)])
    size = os.path.getsize(folder / "records") + os.path.getsize(folder / "tree")
    return {
        "append_us": 1e6 * seconds / records,
        "append_and_wait_ms": 1e3 * waited / 50,
        "bytes_a_record": size / (records + 50),
    }


def read(folder: Path, key: SigningKey, records: int) -> dict[str, float]:
    """Prove single records, and verify all."""
    with LogReader(folder) as reader:
        reader.proof(5)  # finds the context once
        places = [7 + 97 * k % (records - 10) for k in range(200)]
        proofs = [timed(lambda place=place: reader.proof(place)) for place in places]
        length = len(reader.proof(places[-1]).encode())
    seconds = timed(lambda: verify_log(folder, key.verifiers))
    return {
        "proof_ms": 1e3 * statistics.median(proofs),
        "proof_bytes": length,
        "verify_us": 1e6 * seconds / records,
    }


def replayed(path: Path, folder: Path, key: SigningKey, files: list[bytes], count: int) -> dict[str, Any]:
    """Replay answers with kept hashes."""
    with AuditLog.create(folder, key) as log:
        given = Given()
        with Matcher.open(path, recorder=given) as matcher:
            matcher.match(files[0])
        recorder = Recorder(log, keep_hashes=True)
        for _ in range(count):
            recorder(*given.last)  # type: ignore[misc]
        size = log.append({"kind": "note"})
    with LogReader(folder) as reader:
        start = time.perf_counter()
        same = sum(item.result == "same" for item in replay_log(reader, [path]))
        seconds = time.perf_counter() - start
    bytes_each = (os.path.getsize(folder / "records") + os.path.getsize(folder / "tree")) / size
    return {"replay_ms": 1e3 * seconds / count, "replayed": count, "same": same, "bytes_with_hashes": bytes_each}


def report(result: dict[str, Any]) -> str:
    """Write the table."""
    rows = result["rows"]
    table = [
        ["a match by STANDARD, without a log", f"{rows['match_ms']:.2f} ms"],
        ["the same with a log", f"{rows['logged_ms']:.2f} ms"],
        ["once a second: written, flushed and signed", f"{rows['once_ms']:.1f} ms"],
        ["both together, of the throughput", f"{100 * rows['share']:.1f} %"],
        ["appending a record, queued and written together", f"{rows['append_us']:.0f} us"],
        ["appending a record and waiting for the disk", f"{rows['append_and_wait_ms']:.1f} ms"],
        ["bytes of a record, digest of the file kept", f"{rows['bytes_a_record']:.0f}"],
        ["bytes of a record, hashes kept too", f"{rows['bytes_with_hashes']:,.0f}"],
        [f"proof of one record of {result['records']:,}", f"{rows['proof_ms']:.2f} ms"],
        ["bytes of a proof", f"{rows['proof_bytes']:,}"],
        ["verifying, a record", f"{rows['verify_us']:.0f} us"],
        [f"replaying an answer ({rows['same']:,} of {rows['replayed']:,} the same)", f"{rows['replay_ms']:.2f} ms"],
    ]
    parts = [
        "# What an audit log costs",
        f"`{json.dumps(result['machine'])}`",
        "Signed by Ed25519 and ML-DSA-44, a checkpoint at most once a second. "
        f"{result['pictures']} JPEG files of 1,200 x 900, {result['entries']:,} PDQ hashes in the list; the best of "
        f"{result['rounds']} rounds in turns. Seed {SEED}. Command: `python -m benchmarks audit`.",
        markdown_table(["what", "cost"], table),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "a short log: does it run?")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--records", type=int, default=1_000_000, help="of the log that is proved and verified")
    parser.add_argument("--replays", type=int, default=10_000)
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("entries", "pictures", "rounds", "records", "replays")}
    if options.quick:
        sizes = {"entries": 500, "pictures": 3, "rounds": 1, "records": 400, "replays": 20}
    key = SigningKey.make("example.org/benchmark", post_quantum=True)
    files = jpegs(sizes["pictures"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ReferenceList.create(folder / "list", name="random") as ref:
            ref.add_many(entries(sizes["entries"], 0, SEED))
        rows = beside_matching(folder / "list", folder / "beside", key, files, sizes["rounds"])
        given = rows.pop("given")
        rows |= filled(folder / "full", key, given, sizes["records"])
        rows |= read(folder / "full", key, sizes["records"])
        rows |= replayed(folder / "list", folder / "replayed", key, files, sizes["replays"])
    result = {"machine": machine(), **sizes, "rows": rows}
    keep(options, result, report(result))
