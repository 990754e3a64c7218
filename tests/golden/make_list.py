"""Make list-v4.hashmatch: python tests/golden/make_list.py OUT. The files in this folder are never made again."""

from __future__ import annotations

import hashlib
import struct
import sys

from hashmatch.algorithms import ALGORITHMS
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ReferenceList


def golden_hash(number: int, algorithm: str) -> HashValue:
    """Stretch a digest of the number to the length of a hash."""
    n_bytes = ALGORITHMS[algorithm].n_bytes
    return HashValue(algorithm, hashlib.shake_128(f"{algorithm} {number}".encode()).digest(n_bytes))


def golden_record(number: int, n_points: int) -> HashValue:
    """Stretch a digest of the number to a keypoint record."""
    data = hashlib.shake_128(f"keypoint {number}".encode()).digest(20 * n_points)
    return HashValue("keypoint", struct.pack("<BBHHf4s", 1, 0, n_points, 0, 512.0, bytes(4)) + data)


CLASSIC = ("ahash", "dhash", "phash", "whash")
GOLDEN_ALGORITHMS = ("pdq", *CLASSIC, *(f"{name}-256" for name in CLASSIC), "md5", "sha1", "sha256", "photodna")


def make(path: str) -> None:
    """Write the golden list."""
    with ReferenceList.create(path, name="golden, version 4") as ref:
        ref.add_many(
            Entry.of(
                f"entry-{i}", hashes=[golden_hash(i, "pdq"), golden_record(i, 3 * i + 5)], source="hotline", quality=i
            )
            for i in range(8)
        )
        ref.add("entry-3", hashes=[golden_record(3, 14), golden_record(30, 150)], source="警察", labels={"class": "A1"})
        ref.add(
            "every algorithm", hashes=[*(golden_hash(100, name) for name in GOLDEN_ALGORITHMS), golden_record(9, 5)]
        )
        ref.withdraw("entry-3", source="hotline")
        ref.withdraw("entry-4", source="hotline")
        ref.add("entry-5", hashes=[golden_record(5, 20)], source="hotline", quality=77)
        with ref.transaction():
            ref.add("known software", hashes=[golden_hash(200, "md5")], source="software", role="benign")
            ref.set_terms("hotline", "no onward sharing")


if __name__ == "__main__":
    make(sys.argv[1])
