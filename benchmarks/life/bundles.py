"""Signed lists: a million entries as a bundle, sealed or not, and into a list: ``python -m benchmarks bundles``.

Each step is a process of its own, so that its peak of memory is its own; times are of one processor. The difference
brings a hundredth of the entries anew, withdraws as many, and is taken by the list that the whole bundle made.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.frame import runner
from benchmarks.frame.options import keep, options_of

SEED = 20_261_201
STEPS = {
    "bundle": "the whole list as a bundle",
    "take": "that bundle into a new list",
    "seal": "the whole list, sealed for one recipient",
    "unseal": "the sealed bundle into a new list",
    "difference": "the difference of a hundredth, as a bundle",
    "follow": "that bundle into the list",
    "verify": "for comparison: the full check of the list",
}


def make_list(path: Path, entries: int) -> None:
    """Make a list of PDQ hashes, a tenth of them with a label."""
    from hashmatch.hashes import HashValue
    from hashmatch.lists import Entry, ReferenceList

    rng = random.Random(SEED)  # noqa: S311 - figures, not secrets
    with ReferenceList.create(path, name="benchmark") as ref:
        ref.add_many(
            Entry.of(
                f"entry-{i}",
                hashes=[HashValue("pdq", rng.randbytes(32))],
                source="owner",
                labels=None if i % 10 else {"class": "A1"},
                quality=80,
            )
            for i in range(entries)
        )


def change_list(path: Path, entries: int) -> None:
    """Withdraw some entries and add as many."""
    from hashmatch.hashes import HashValue
    from hashmatch.lists import Entry, ReferenceList

    rng = random.Random(SEED + 1)  # noqa: S311
    with ReferenceList.open(path, writable=True, check="none") as ref, ref.transaction():
        ref.withdraw_many((f"entry-{i}" for i in range(0, entries, 100)), source="owner")
        ref.add_many(
            Entry.of(f"new-{i}", hashes=[HashValue("pdq", rng.randbytes(32))], source="owner")
            for i in range(entries // 100)
        )


def part(step: str, folder: Path) -> dict[str, float]:
    """Do one step in this process."""
    from hashmatch.lists import ReferenceList
    from hashmatch.lists.bundles import take_bundle, write_bundle
    from hashmatch.signing import SigningKey
    from hashmatch.signing.sealing import Identity

    key, identity = SigningKey.load(folder / "key"), Identity.load(folder / "identity")
    began, wall = time.process_time(), time.perf_counter()
    if step in ("bundle", "seal", "difference"):
        recipients = [identity.recipient] if step == "seal" else []
        since = 1 if step == "difference" else None
        with ReferenceList.open(folder / "owner", check="none") as ref:
            write_bundle(ref, folder / step, key, since=since, recipients=recipients)
    elif step == "verify":
        with ReferenceList.open(folder / "taker", check="none") as ref:
            ref.verify()
    else:
        came, path = {"take": ("bundle", "taker"), "unseal": ("seal", "other"), "follow": ("difference", "taker")}[step]
        take_bundle(folder / path, folder / came, trust=key.verifiers, identity=identity)
    spent, wall = time.process_time() - began, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    size = (folder / step).stat().st_size if (folder / step).exists() else 0
    return {"seconds": spent, "wall": wall, "peak_mib": peak, "bytes": size}


def run_part(step: str, folder: Path) -> dict[str, float]:
    """Do one step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "bundles", "--part", step, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=runner.ROOT)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def report(result: dict[str, Any]) -> str:
    """Write the table."""
    lines = [
        [
            STEPS[step],
            f"{row['seconds']:.1f} s",
            f"{row['peak_mib']:,.0f} MiB",
            f"{row['bytes'] / 1e6:,.1f} MB" if row["bytes"] else "",
        ]
        for step, row in result["steps"].items()
    ]
    parts = [
        "# Signed lists",
        f"{runner.stated(result['machine'])}; seed {SEED}; a list of {result['entries']:,} PDQ hashes, a tenth of them "
        "with a label.",
        "Seconds of processor time and peak of memory, each step in a process of its own. Command: "
        "`python -m benchmarks bundles`.",
        runner.markdown_table(["step", "time", "memory", "file"], lines),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and keep the result."""
    parser = options_of(__doc__, "a small list: does the benchmark work")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--part", nargs=2, metavar=("STEP", "FOLDER"), help="do one step in this process")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(part(options.part[0], Path(options.part[1]))))
        return
    from hashmatch.signing import SigningKey
    from hashmatch.signing.sealing import Identity

    entries = 2_000 if options.quick else options.entries
    steps: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        SigningKey.make("example.org/benchmark", post_quantum=True).save(folder / "key")
        Identity.make().save(folder / "identity")
        make_list(folder / "owner", entries)
        for step in STEPS:
            if step == "difference":
                change_list(folder / "owner", entries)
            steps[step] = run_part(step, folder)
    result = {"machine": runner.machine(), "entries": entries, "steps": steps}
    keep(options, result, report(result))
