"""Scans of codes: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from typing import Any

from hashmatch.kernels import reference
from hashmatch.kernels.built import built

native = built("codes")

__all__ = ["hamming_scan", "native", "rows_scan"]

_chosen: Any = reference if native is None else native

hamming_scan: Any = _chosen.hamming_scan
rows_scan: Any = _chosen.rows_scan
