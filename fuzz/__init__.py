"""Fuzzing and fault injection, one command each; see README.md in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# the makers of small lists, indexes and pictures are shared with the tests
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))
