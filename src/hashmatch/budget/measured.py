"""The tables of false reports, read from ``measured.json`` at first use.

``python -m benchmarks budget --write`` makes that file from the results of the benchmarks. Pictures are of 144 x 192 px
and like sizes, quality 50 or more; the results hold the seeds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from hashmatch.budget.rates import DistanceTail, EvidenceTail, Pictures, SeenPairs

__all__ = ["Measured", "measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What unrelated synthetic pictures were measured to spend; the mappings are read only.

    Parameters
    ----------
    tails : tuple of DistanceTail
        By algorithm, kind of view and kind of picture. Photographs and portraits are apart from pictures of low
        texture, which resemble each other; template-heavy ones have a template of their own each.
    crops, rotations : mapping of str to EvidenceTail
        By kind of picture. Crops of pictures of low texture were not measured; template-heavy ones are screenshots,
        the worst of them.
    shrinks_add : mapping of str to float
        Pairs near by a shrunk view alone, for each that is near as it is, by kind of picture.
    keypoints : mapping of str to SeenPairs
        By kind of picture, at the judge's own level.
    """

    tails: tuple[DistanceTail, ...]
    crops: Mapping[Pictures, EvidenceTail]
    rotations: Mapping[Pictures, EvidenceTail]
    shrinks_add: Mapping[Pictures, float]
    keypoints: Mapping[Pictures, SeenPairs]


@cache
def measured() -> Measured:
    """Read the tables; cost: a millisecond at the first call."""
    data = json.loads(files("hashmatch.budget").joinpath("measured.json").read_bytes())
    keypoints: dict[Pictures, SeenPairs] = {kind: SeenPairs(**seen) for kind, seen in data["keypoints"].items()}
    return Measured(
        tails=tuple(DistanceTail(**(tail | {"within": _pairs(tail["within"])})) for tail in data["tails"]),
        crops=_evidence(data["crops"]),
        rotations=_evidence(data["rotations"]),
        shrinks_add=MappingProxyType(data["shrinks_add"]),
        keypoints=MappingProxyType(keypoints),
    )


def _evidence(tables: dict[Pictures, dict[str, Any]]) -> Mapping[Pictures, EvidenceTail]:
    tails: dict[Pictures, EvidenceTail] = {}
    for kind, tail in tables.items():
        rows: dict[str, Any] = {name: _pairs(tail[name]) for name in ("over", "thinned") if name in tail}
        tails[kind] = EvidenceTail(**(tail | rows))
    return MappingProxyType(tails)


def _pairs(rows: list[list[Any]]) -> tuple[tuple[Any, Any], ...]:
    return tuple((low, high) for low, high in rows)
