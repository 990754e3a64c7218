"""Find known abuse material without ever holding an image.

Robust perceptual hashes, hash-only reference lists, exact indexes and explained matches. Names are loaded when
they are first used, so that importing the package costs little and matching hashes never loads a decoder.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hashmatch._version import __version__

if TYPE_CHECKING:
    from hashmatch import errors, profiles
    from hashmatch.features.fingerprints import fingerprint
    from hashmatch.hashers.facade import hash_image
    from hashmatch.hashes import Fingerprint, HashValue, distance
    from hashmatch.lists import ReferenceList
    from hashmatch.matching import Match, Matcher, MatchReport, Outcome
    from hashmatch.picture import DecodePolicy
    from hashmatch.policy import MatchPolicy

__all__ = [
    "DecodePolicy",
    "Fingerprint",
    "HashValue",
    "Match",
    "MatchPolicy",
    "MatchReport",
    "Matcher",
    "Outcome",
    "ReferenceList",
    "__version__",
    "distance",
    "errors",
    "fingerprint",
    "hash_image",
    "profiles",
]

_HOMES = {
    "DecodePolicy": "hashmatch.picture",
    "Fingerprint": "hashmatch.hashes",
    "HashValue": "hashmatch.hashes",
    "Match": "hashmatch.matching",
    "MatchPolicy": "hashmatch.policy",
    "MatchReport": "hashmatch.matching",
    "Matcher": "hashmatch.matching",
    "Outcome": "hashmatch.matching",
    "ReferenceList": "hashmatch.lists",
    "distance": "hashmatch.hashes",
    "fingerprint": "hashmatch.features.fingerprints",
    "hash_image": "hashmatch.hashers.facade",
}

logging.getLogger("hashmatch").addHandler(logging.NullHandler())  # a program decides what is shown


def __getattr__(name: str) -> Any:
    if name in ("errors", "profiles"):
        return import_module(f"hashmatch.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'hashmatch' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
