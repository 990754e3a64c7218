"""Kernels of the keypoint index: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from typing import Any

from hashmatch.kernels import reference_keys
from hashmatch.kernels.built import built
from hashmatch.kernels.reference_keys import BLOCK, Starts

native = built("keys")

__all__ = ["BLOCK", "Starts", "bucket_ranges", "native", "near_rows"]

_chosen: Any = reference_keys if native is None else native

bucket_ranges: Any = _chosen.bucket_ranges
near_rows: Any = _chosen.near_rows
