"""The kernel of the aligned check: the compiled one where it was built, else NumPy's; both give the same bits."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hashmatch.kernels import reference_laying
from hashmatch.kernels.reference_laying import Grid

native: ModuleType | None
try:
    from hashmatch.kernels import _native_laying as native
except ImportError:
    native = None

__all__ = ["Grid", "lay", "native"]

lay: Any = reference_laying.lay if native is None else native.lay
