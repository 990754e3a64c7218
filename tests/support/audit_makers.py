"""Audit logs for tests, and everything that may be done to the bytes of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hashmatch.audit import AuditLog, LogReader
from hashmatch.audit.layout import HEADER_BYTES, LogFiles, block_at
from hashmatch.signing import SigningKey

KEY = SigningKey.make("example.org/audit")
BOTH_KEY = SigningKey.make("example.org/audit", post_quantum=True)


def made_log(folder: Path, records: int, key: SigningKey = KEY, text: str = "") -> Path:
    """Make a closed log of so many records, the first included; of those, one in seven is purged."""
    with AuditLog.create(folder, key) as log:
        for number in range(1, records):
            log.queue({"kind": "note", "n": number, "text": text})
        if records > 7:
            log.flush()
    return folder


class Layout(NamedTuple):
    """Where the records of a log are."""

    starts: list[int]
    files: dict[str, bytes]

    @classmethod
    def of(cls, folder: Path) -> Layout:
        """Look at a sound log."""
        with LogReader(folder) as reader:
            starts = [frame.offset for frame in reader.frames()] + [reader.size]
        names = [path.name for path in LogFiles.of(folder) if path.exists() and path.name != "lock"]
        return cls(starts, {name: (folder / name).read_bytes() for name in names})

    @property
    def size(self) -> int:
        """Number of records."""
        return len(self.starts) - 1

    def frame(self, place: int) -> bytes:
        """Bytes of a record."""
        return self.files["records"][self.starts[place] : self.starts[place + 1]]

    def record_at(self, name: str, offset: int) -> int | None:
        """Record that a byte of a file belongs to; None for the checkpoints."""
        if name == "records":
            return 0 if offset < HEADER_BYTES else sum(start <= offset for start in self.starts[1:])
        if name == "tree":
            return next(place for place in range(self.size) if offset < block_at(place + 1))
        return None


class Damaged:
    """A copy of a log of which one file is changed at a time."""

    def __init__(self, folder: Path, copy: Path) -> None:
        shutil.copytree(folder, copy)
        self.folder, self.layout = copy, Layout.of(folder)

    def put(self, name: str, data: bytes) -> None:
        """Write other bytes into a file, without a new file each time."""
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
        os.close(descriptor)

    def mend(self, name: str) -> None:
        """Write the right bytes again."""
        self.put(name, self.layout.files[name])


def rearranged(ours: Layout, other: Layout) -> Iterator[tuple[str, int, bytes]]:
    """Every deletion, doubling, swap and splice of whole records: what it is, the first bad record, the bytes."""
    data, starts, size = ours.files["records"], ours.starts, ours.size
    head = data[:HEADER_BYTES]
    frames = [ours.frame(place) for place in range(size)]

    def written(items: list[bytes]) -> bytes:
        return head + b"".join(items)

    for place in range(size):
        yield f"delete {place}", place, written(frames[:place] + frames[place + 1 :])
        yield f"double {place}", place + 1, written(frames[: place + 1] + frames[place:])
        yield f"again at the end {place}", size, data + frames[place]
        yield f"cut at {place}", place, data[: starts[place]]
        foreign = other.frame(min(place, other.size - 1))
        yield f"replace {place}", place, written([*frames[:place], foreign, *frames[place + 1 :]])
        yield f"insert before {place}", place, written([*frames[:place], foreign, *frames[place:]])
        yield (
            f"foreign from {place}",
            place,
            written(frames[:place]) + b"".join(other.frame(later) for later in range(place, other.size)),
        )
    for first in range(size):
        for second in range(first + 1, size):
            items = list(frames)
            items[first], items[second] = items[second], items[first]
            yield f"swap {first} and {second}", first, written(items)
