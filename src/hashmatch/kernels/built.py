"""Finding the compiled module of a group of kernels."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["built"]


def built(group: str) -> ModuleType | None:
    """Give the compiled module of a group of kernels; None where it was not built, so that NumPy's twins serve."""
    try:
        return import_module(f"hashmatch.kernels._native_{group}")
    except ImportError:
        return None
