"""Kernels of the keypoint index: the compiled ones where they were built, else NumPy's; both give the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashmatch.kernels import built
from hashmatch.kernels.numpy import keys as twin
from hashmatch.kernels.numpy.keys import BLOCK, Starts

native = built("keys")

if TYPE_CHECKING:
    from hashmatch.kernels.numpy.keys import bucket_ranges, near_rows
else:
    _chosen = twin if native is None else native
    bucket_ranges = _chosen.bucket_ranges
    near_rows = _chosen.near_rows

__all__ = ["BLOCK", "Starts", "bucket_ranges", "native", "near_rows"]
