"""Kernels of substring tables: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashmatch.kernels import built
from hashmatch.kernels.numpy import tables as twin

native = built("tables")

if TYPE_CHECKING:
    from hashmatch.kernels.numpy.tables import TableSearch, table_fill, table_pack
else:
    _chosen = twin if native is None else native
    TableSearch = _chosen.TableSearch
    table_fill = _chosen.table_fill
    table_pack = _chosen.table_pack

__all__ = ["TableSearch", "native", "table_fill", "table_pack"]
