"""The compiled walk of a BK-tree where it was built; else the tree walks by NumPy, with the same answers."""

from __future__ import annotations

from typing import Any

from hashmatch.kernels import built

native = built("tree")

__all__ = ["TreeWalk", "native"]

TreeWalk: Any = None if native is None else native.TreeWalk
