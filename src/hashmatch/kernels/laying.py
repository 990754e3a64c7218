"""Kernels of the aligned check: the compiled ones where they were built, else NumPy's; both give the same bits."""

from __future__ import annotations

from typing import Any

from hashmatch.kernels import reference_laying
from hashmatch.kernels.built import built
from hashmatch.kernels.reference_laying import MAX_RATIO, Grid

native = built("laying")

__all__ = ["MAX_RATIO", "Grid", "fit_map", "lay", "native"]

_chosen: Any = reference_laying if native is None else native

fit_map: Any = _chosen.fit_map
lay: Any = _chosen.lay
