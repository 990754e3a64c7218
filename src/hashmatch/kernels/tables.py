"""Kernels of substring tables: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from typing import Any

from hashmatch.kernels import reference_tables
from hashmatch.kernels.built import built

native = built("tables")

__all__ = ["TableSearch", "native", "table_fill", "table_pack"]

_chosen: Any = reference_tables if native is None else native

TableSearch: Any = _chosen.TableSearch
table_fill: Any = _chosen.table_fill
table_pack: Any = _chosen.table_pack
