"""hashmatch, profiles.THOROUGH."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import _endtoend
from hashmatch import profiles

NAME = "hashmatch THOROUGH"
version = _endtoend.version


class Checker(_endtoend.PolicyChecker):
    """The preset over a list of random hashes."""

    def __init__(self, folder: Path, count: int, records: int, seed: int) -> None:
        super().__init__(folder, count, records, seed, profiles.THOROUGH)
