"""Kernels of the guided search: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashmatch.kernels import built
from hashmatch.kernels.numpy import guided as twin

native = built("guided")

if TYPE_CHECKING:
    from hashmatch.kernels.numpy.guided import likely_keys, near_by_keys
else:
    _chosen = twin if native is None else native
    likely_keys = _chosen.likely_keys
    near_by_keys = _chosen.near_by_keys

__all__ = ["likely_keys", "native", "near_by_keys"]
