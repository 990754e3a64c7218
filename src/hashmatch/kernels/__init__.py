"""Hot loops: plain NumPy, the judge, and compiled twins that give the same bits where a C compiler was at hand.

Floor: above `hashmatch.hashes`, below the indexes. Imports NumPy only.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from hashmatch.kernels.reference import (
    euclidean_at,
    euclidean_scan,
    expand_ranges,
    hamming_at,
    hamming_scan,
    hamming_within,
    pack_words,
    substring_keys,
    unpack_words,
)

__all__ = [
    "compiled",
    "euclidean_at",
    "euclidean_scan",
    "expand_ranges",
    "hamming_at",
    "hamming_scan",
    "hamming_within",
    "pack_words",
    "substring_keys",
    "unpack_words",
]

_GROUPS: Final = ("borders", "codes", "guided", "keys", "laying", "pixels", "points", "tables", "tree")


def compiled() -> dict[str, bool]:
    """Say which groups of kernels are compiled.

    Returns
    -------
    dict of str to bool
        For ``"borders"`` (trims), ``"codes"`` (scans), ``"guided"`` (crops), ``"keys"`` (index of keypoints),
        ``"laying"`` (their aligned check), ``"pixels"`` (hashes of pictures), ``"points"`` (keypoints), ``"tables"``
        (`MultiIndex`) and ``"tree"`` (`BKTree`): whether the compiled kernels were built and serve. Where they do not,
        NumPy does the same work, slower.

    Notes
    -----
    Imports the groups.
    """
    return {group: _is_compiled(f"{__name__}.{group}") for group in _GROUPS}


def _is_compiled(module: str) -> bool:
    return find_spec(module) is not None and import_module(module).native is not None
