"""Scans of codes: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hashmatch.kernels import reference

native: ModuleType | None
try:
    from hashmatch.kernels import _native_codes as native
except ImportError:
    native = None

__all__ = ["hamming_scan", "native", "rows_scan"]

_chosen: Any = reference if native is None else native

hamming_scan: Any = _chosen.hamming_scan
rows_scan: Any = _chosen.rows_scan
