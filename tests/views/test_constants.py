"""Every tuned number says what it is, and every file with some says how they were chosen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hashmatch

ROOMS = [Path(hashmatch.__file__).parent / name for name in ("views", "keypoints")]
FILES = sorted(path for room in ROOMS for path in room.rglob("*.py"))
NUMBER = re.compile(r"_?[A-Z][A-Z_0-9]*(, _?[A-Z][A-Z_0-9]*)*(: Final)? = [-(]*[0-9.]+[^#\"]*(#.*)?")
OF_FORMATS = {"points.py", "record.py", "shrinks.py"}
"""Their numbers are those of a format or of other software: nobody tunes them."""


def test_there_are_some() -> None:
    """The pattern finds what it should."""
    found = [line for path in FILES for line in path.read_text(encoding="utf-8").splitlines() if NUMBER.fullmatch(line)]
    assert len(found) > 120


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tuned_numbers_say_what_they_are(path: Path) -> None:
    """By a remark beside it, or a docstring below; the origin stands once, above the first."""
    lines = path.read_text(encoding="utf-8").splitlines()
    at = [number for number, line in enumerate(lines) if NUMBER.fullmatch(line)]
    if path.name in OF_FORMATS or not at:
        return
    bare = [lines[number] for number in at if "  # " not in lines[number] and not lines[number + 1].startswith('"""')]
    assert not bare
    said = [
        number for number, line in enumerate(lines) if line.startswith(("# Tuned constants. ", "# Constants of the "))
    ]
    assert len(said) == 1
    assert said[0] < at[0]
