"""A service under load, as a program: ``python tests/support/soak.py SECONDS FOLDER`` prints what was wrong.

Threads match good, large and hostile pictures; a process adds and withdraws entries, and writes down which version
holds what; workers are killed amid their work. A report names the version it is of, so that each answer has one right
outcome.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from hashmatch import Matcher, Outcome, ReferenceList, fingerprint
from hashmatch.errors import BusyError
from hashmatch.jail import Isolation
from hashmatch.picture.encode import encode
from hashmatch.synthetic import picture

MARGIN_BYTES, MARGIN_FILES = 64 * 2**20, 4
_THREADS, _MOVING, _PAUSE = 4, 8, 0.1
_PATIENCE = 300.0


def chunk(kind: bytes, content: bytes) -> bytes:
    """Make a PNG chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def webp_header(width: int, height: int) -> bytes:
    """Make 40 bytes of lossless WebP that promise many pixels."""
    lossless = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(15)
    content = b"VP8L" + struct.pack("<I", len(lossless)) + lossless
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content


def png_bomb(side: int) -> bytes:
    """Make a PNG of a few bytes for many pixels, none of which are there."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def pictures() -> dict[str, bytes]:
    """Make all pictures; the first word of the name says what is meant by it."""
    found: dict[str, bytes] = {}
    numbers = itertools.count()
    for kind, count in (("listed", 6), ("stranger", 6), ("moving", _MOVING)):
        for place, form in zip(range(count), itertools.cycle(("JPEG", "PNG", "WEBP", "GIF", "PPM", "BMP"))):
            found[f"{kind} {place}"] = encode(picture("photo", next(numbers), size=(180, 240)), form)
    for kind in ("listed", "stranger"):  # 66 million pixels, of 89 that are allowed
        pixels = picture("photo", next(numbers), size=(180, 240)).repeat(39, 0).repeat(39, 1)
        found[f"{kind} large"] = encode(np.ascontiguousarray(pixels), "PNG", compress_level=1)
    for name in ("stranger 0", "stranger 1", "stranger 2", "stranger 4", "stranger large"):
        found[f"hostile part of {name}"] = found[name][: len(found[name]) // 2]
    found["hostile webp"], found["hostile webp over"] = webp_header(9429, 9429), webp_header(16383, 16383)
    found["hostile png"], found["hostile png over"] = png_bomb(9000), png_bomb(60000)
    found["hostile bytes"] = random.Random(1).randbytes(10_000)
    found["hostile start"] = found["stranger 0"][:200] + random.Random(2).randbytes(50_000)
    return found


def write(path: Path, log: Path) -> None:
    """Add and withdraw entries for ever; write down the version and the entries that it holds."""
    rng, held = random.Random(3), set[int]()
    values = {n: fingerprint((path.parent / f"moving {n}").read_bytes(), ("pdq",)).hashes for n in range(_MOVING)}
    with ReferenceList.open(path, writable=True) as ref, log.open("w", buffering=1) as out:
        while True:
            out.write(f"{ref.version} {sorted(held)}\n")
            number = rng.randrange(_MOVING)
            if number in held:
                ref.withdraw(f"moving {number}")
            else:
                ref.add(f"moving {number}", hashes=values[number])
            held ^= {number}
            time.sleep(_PAUSE)


class Service:
    """The service, and what it has seen."""

    def __init__(self, matcher: Matcher, files: dict[str, bytes]) -> None:
        self.matcher, self.files = matcher, files
        self.wrong: list[str] = []
        self.seen: Counter[tuple[str, int, str]] = Counter()  # of moving pictures: name, version, outcome
        self.counts: Counter[str] = Counter()
        self.hostile = {name: self._said(matcher.match(data)) for name, data in files.items() if "hostile" in name}
        self.stop, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.answers, self.idle = [0] * _THREADS, [False] * _THREADS
        self._lock = threading.Lock()

    @staticmethod
    def _said(report: Any) -> str:
        return f"{report.outcome.value} {report.reason}"

    def run(self, thread: int) -> None:
        """Match until stopped; the first thread has little time for each picture, and the second reloads."""
        rng, version = random.Random(thread), 0
        small = [name for name in self.files if "large" not in name]
        large = [name for name in self.files if "large" in name]
        while not self.stop.is_set():
            if not self.go.is_set():
                self.idle[thread] = True
                self.go.wait()
                self.idle[thread] = False
            name = rng.choice(large if rng.random() < 0.03 else small)
            try:
                if thread == 1:
                    self.matcher.reload()
                report = self.matcher.match(self.files[name], timeout=0.5 if thread == 0 else _PATIENCE)
            except BusyError as error:
                with self._lock:
                    self.counts["busy"] += 1
                    if thread != 0:
                        self.wrong.append(f"{name}: {error}")
            except BaseException as error:
                with self._lock:
                    self.wrong.append(f"{name}: {error!r}")
            else:
                with self._lock:
                    self._hold(name, report, version)
                version = report.lists[0].version
            self.answers[thread] += 1

    def _hold(self, name: str, report: Any, version: int) -> None:
        """Hold an answer against what is right for the picture; of a moving one later, when the versions are known."""
        kind, now = name.split()[0], report.lists[0].version
        ids = {match.entry_id for match in report.matches}
        self.counts[f"{kind} {report.outcome.value}"] += 1
        right = {
            "listed": report.outcome is Outcome.MATCH and ids == {name},
            "stranger": report.outcome is Outcome.NO_MATCH and not ids,
            "moving": report.outcome in (Outcome.MATCH, Outcome.NO_MATCH) and ids <= {name},
            "hostile": self._said(report) == self.hostile.get(name),
        }[kind]
        if not right or now < version:
            self.wrong.append(f"{name}: {self._said(report)}, {sorted(ids)}, version {now} after {version}")
        if kind == "moving":
            self.seen[name, now, report.outcome.value] += 1

    def hold_versions(self, log: Path) -> None:
        """Hold the answers for moving pictures against the version that each is of."""
        held = {}
        for line in log.read_text().splitlines():
            version, _, numbers = line.partition(" ")
            held[int(version)] = json.loads(numbers)
        last = max(held)
        for (name, version, outcome), count in self.seen.items():
            if version > last:  # written, and the writer was ended before it could say so
                continue
            right = "match" if int(name.split()[1]) in held[version] else "no match"
            if outcome != right:
                self.wrong.append(f"{name}: {outcome} in version {version}, {count} times")
        self.counts["versions seen"] = len({version for _, version, _ in self.seen})

    def kill(self) -> None:
        """Kill a worker at random; then wait until each thread has answered twice: no picture meets this twice."""
        rng = random.Random(9)
        while not self.stop.wait(rng.uniform(0.2, 1.0)):
            assert self.matcher._reader is not None
            workers = list(self.matcher._reader._pool._all)
            if workers and self.go.is_set():
                with contextlib.suppress(OSError):
                    os.kill(rng.choice(workers).pid, signal.SIGKILL)
                self.counts["killed"] += 1
                before = list(self.answers)
                while (
                    any(now < was + 2 for now, was in zip(self.answers, before, strict=True)) and not self.stop.is_set()
                ):
                    time.sleep(0.01)

    def measure(self) -> tuple[int, int]:
        """Let all threads pause; bytes of memory held, and open files beyond those of workers."""
        self.go.clear()
        give_up = time.monotonic() + _PATIENCE
        while not all(self.idle) and time.monotonic() < give_up:
            time.sleep(0.01)
        gc.collect()
        assert self.matcher._reader is not None
        files = len(os.listdir("/proc/self/fd")) - len(self.matcher._reader._pool._all)
        with open("/proc/self/statm") as statm:
            held = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        if not all(self.idle):
            self.wrong.append("a thread did not come to an end")
        self.go.set()
        return held, files


def soak(seconds: float, folder: Path) -> dict[str, Any]:
    """Run the service for so long; what was wrong and what was counted."""
    files = pictures()
    for name, data in files.items():
        if "moving" in name:
            (folder / name).write_bytes(data)
    (folder / "indexes").mkdir(mode=0o700)
    with ReferenceList.create(folder / "list", name="soak") as ref:
        for name, data in files.items():
            if "listed" in name:
                ref.add(name, hashes=fingerprint(data, ("pdq",)).hashes)
    writer = subprocess.Popen([sys.executable, __file__, "write", str(folder / "list"), str(folder / "log")])
    try:
        with Matcher.open(
            folder / "list",
            index_folder=folder / "indexes",
            reload_every=0.05,
            isolation=Isolation(workers=2, recycle=100, seconds=120),
        ) as matcher:
            service = Service(matcher, files)
            threads = [threading.Thread(target=service.run, args=(n,), daemon=True) for n in range(_THREADS)]
            threads.append(threading.Thread(target=service.kill, daemon=True))
            for thread in threads:
                thread.start()
            warm_up = max(seconds / 4, min(seconds / 2, 60))
            time.sleep(warm_up)
            before = service.measure()
            time.sleep(seconds - warm_up)
            after = service.measure()
            service.stop.set()
            for thread in threads:
                thread.join(_PATIENCE)
            service.wrong += ["a thread hangs" for thread in threads if thread.is_alive()]
            service.counts["answers"] = sum(service.answers)
            upkeep, workers = matcher.upkeep, matcher.counts()["workers"]
    finally:
        writer.kill()
        writer.wait()
    service.hold_versions(folder / "log")
    with ReferenceList.open(folder / "list", check="full") as ref:
        ref.verify()
    if upkeep.failures:
        service.wrong.append(f"upkeep: {upkeep.to_dict()}")
    return {
        "wrong": service.wrong[:20],
        "counts": dict(service.counts) | {"reloads": upkeep.reloads},
        "workers": workers,
        "grown_bytes": after[0] - before[0],
        "grown_files": after[1] - before[1],
        "files": after[1],
    }


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps(soak(float(sys.argv[1]), Path(sys.argv[2])), indent=1))  # noqa: T201
