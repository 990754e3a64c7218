"""Make list-v1.hashmatch: python tests/golden/make_list.py OUT. The file in this folder is never made again."""

from __future__ import annotations

import hashlib
import sys

from hashmatch.algorithms import ALGORITHMS
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ReferenceList


def golden_hash(number: int, algorithm: str) -> HashValue:
    """Stretch a digest of the number to the length of a hash."""
    n_bytes = ALGORITHMS[algorithm].n_bytes
    return HashValue(algorithm, hashlib.shake_128(f"{algorithm} {number}".encode()).digest(n_bytes))


CLASSIC = ("ahash", "dhash", "phash", "whash")
GOLDEN_ALGORITHMS = ("pdq", *CLASSIC, *(f"{name}-256" for name in CLASSIC), "md5", "sha1", "sha256", "photodna")


def make(path: str) -> None:
    """Write the golden list of format version 1."""
    with ReferenceList.create(path, name="golden, version 1") as ref:
        ref.add_many(
            Entry.of(
                f"entry-{i}",
                hashes=[golden_hash(i, "pdq"), golden_hash(i, "md5")],
                source="hotline",
                labels={"class": "A1" if i % 2 else "B2"},
                quality=100 - i,
            )
            for i in range(20)
        )
        ref.add("every algorithm", hashes=[golden_hash(100, name) for name in GOLDEN_ALGORITHMS])
        ref.add("entry-3", hashes=[golden_hash(3, "pdq")], source="警察", labels={"étiquette": "ÿ 😀"})
        ref.withdraw("entry-3", source="hotline")
        ref.withdraw("entry-4", source="hotline")
        ref.relabel("entry-5", source="hotline", labels={})


if __name__ == "__main__":
    make(sys.argv[1])
