"""Kernels over codes: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hashmatch.kernels import reference, reference_codes

native: ModuleType | None
try:
    from hashmatch.kernels import _native_codes as native
except ImportError:
    native = None

__all__ = ["hamming_scan", "native", "rows_scan", "table_fill", "table_find", "table_pack"]

_tables: Any = reference_codes if native is None else native

hamming_scan: Any = reference.hamming_scan if native is None else native.hamming_scan
rows_scan: Any = _tables.rows_scan
table_fill: Any = _tables.table_fill
table_find: Any = _tables.table_find
table_pack: Any = _tables.table_pack
