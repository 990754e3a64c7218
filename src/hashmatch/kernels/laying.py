"""Kernels of the aligned check: the compiled ones where they were built, else NumPy's; both give the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashmatch.kernels import built
from hashmatch.kernels.numpy import laying as twin
from hashmatch.kernels.numpy.laying import MAX_RATIO, Grid

native = built("laying")

if TYPE_CHECKING:
    from hashmatch.kernels.numpy.laying import fit_map, lay
else:
    _chosen = twin if native is None else native
    fit_map = _chosen.fit_map
    lay = _chosen.lay

__all__ = ["MAX_RATIO", "Grid", "fit_map", "lay", "native"]
