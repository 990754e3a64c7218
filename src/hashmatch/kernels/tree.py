"""The compiled walk of a BK-tree where it was built; else the tree walks by NumPy, with the same answers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

native: ModuleType | None
try:
    from hashmatch.kernels import _native_tree as native
except ImportError:
    native = None

__all__ = ["TreeWalk", "native"]

TreeWalk: Any = None if native is None else native.TreeWalk
