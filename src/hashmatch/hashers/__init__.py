"""Pixels to hashes: PDQ, the classic hashes through imagehash, and digests of bytes."""

from __future__ import annotations

from hashmatch.hashers.base import Hasher
from hashmatch.hashers.classic import CLASSIC_ALGORITHMS, ClassicHasher
from hashmatch.hashers.digest import DIGEST_ALGORITHMS, digest, digests
from hashmatch.hashers.pdq import PDQHasher

__all__ = [
    "CLASSIC_ALGORITHMS",
    "DIGEST_ALGORITHMS",
    "ClassicHasher",
    "Hasher",
    "PDQHasher",
    "digest",
    "digests",
]
