"""Scans of codes: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashmatch.kernels import built
from hashmatch.kernels.numpy import codes as twin

native = built("codes")

if TYPE_CHECKING:
    from hashmatch.kernels.numpy.codes import hamming_scan, rows_scan
else:
    _chosen = twin if native is None else native
    hamming_scan = _chosen.hamming_scan
    rows_scan = _chosen.rows_scan

__all__ = ["hamming_scan", "native", "rows_scan"]
