"""Hot loops: plain NumPy, the judge, and compiled twins that give the same bits where a C compiler was at hand.

Floor: above `hashmatch.hashes`, below the indexes. Imports NumPy only.
"""

import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from hashmatch.kernels.numpy.codes import (
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
    "broken",
    "built",
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


_broken: Final[dict[str, str]] = {}


def built(group: str) -> Any:
    """Give the compiled module of a group of kernels; None where it was not built, so that NumPy's twins serve.

    Warns
    -----
    RuntimeWarning
        If the module is there and does not load; NumPy's twin serves, slower. `broken` keeps the reason.
    """
    name = f"{__name__}.native.{group}"
    if find_spec(name) is None:
        return None
    try:
        return import_module(name)
    except ImportError as error:
        _broken[group] = str(error)
        warnings.warn(
            f"the compiled kernels {group!r} are there and do not load ({error}); NumPy does their work, slower: "
            "install hashmatch again for this interpreter and this machine",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def broken() -> dict[str, str]:
    """Say which groups of kernels were compiled and did not load, and why; imports the groups."""
    compiled()
    return dict(_broken)


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
