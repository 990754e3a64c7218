"""Kernels of the guided search: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from typing import Any

from hashmatch.kernels import reference_guided
from hashmatch.kernels.built import built

native = built("guided")

__all__ = ["likely_keys", "native", "near_by_keys"]

_chosen: Any = reference_guided if native is None else native

likely_keys: Any = _chosen.likely_keys
near_by_keys: Any = _chosen.near_by_keys
