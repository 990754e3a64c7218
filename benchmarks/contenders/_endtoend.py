"""What the end-to-end contenders of hashmatch share: a list with random hashes and records, and a matcher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np

from hashmatch import HashValue, Matcher, MatchPolicy, Outcome, ReferenceList
from hashmatch.hashers.facade import hash_image
from hashmatch.keypoints.record import Record
from hashmatch.lists import Entry
from hashmatch.scan import iter_files, scan
from hashmatch.synthetic import picture

_TEMPLATES = 40


def version() -> str:
    """Version of hashmatch."""
    return metadata.version("hashmatch")


def entries(count: int, records: int, seed: int) -> Iterator[Entry]:
    """Entries of one random hash each, the first of them with a record of random codes."""
    rng = np.random.default_rng(seed)
    templates = []
    for number in range(_TEMPLATES if records else 0):
        value = hash_image(picture("photo", seed + 500 + number, (300, 300)), "keypoint")
        templates.append(Record.from_bytes(value.data))
    for number in range(count):
        hashes = [HashValue("pdq", rng.bytes(32))]
        if number < records:
            record = templates[number % _TEMPLATES]
            codes = rng.integers(0, 256, record.points.codes.shape, dtype=np.uint8)
            changed = replace(record, points=replace(record.points, codes=codes))
            hashes.append(HashValue("keypoint", changed.to_bytes()))
        yield Entry.of(f"entry-{number}", hashes=hashes)


class PolicyChecker:
    """A matcher over such a list, with one policy."""

    def __init__(self, folder: Path, count: int, records: int, seed: int, policy: MatchPolicy) -> None:
        path = folder / "list.hashmatch"
        with ReferenceList.create(path, name="random") as ref:
            ref.add_many(entries(count, records if policy.keypoints else 0, seed))
        self._matcher = Matcher.open(path, policy=policy)

    def check(self, data: bytes) -> bool:
        """Whether the list has the picture."""
        return self._matcher.match(data).outcome is Outcome.MATCH

    def check_many(self, files: list[bytes], threads: int) -> None:
        """Check files in threads."""
        for _ in self._matcher.match_many(files, workers=threads):
            pass

    def check_folder(self, folder: Path) -> int:
        """Scan a folder with two worker processes; how many files."""
        return sum(1 for _ in scan(self._matcher, iter_files([folder]), workers=2))
