"""Entries that may fit one of many uncertain views, found by the likeliest keys of the views' surest bits.

This proposes and never decides. What it finds beyond the best is as useful: entries that fit a little are the rivals of
one that fits well (`hashmatch.views.crops`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.guided import GuidedIndex
from hashmatch.kernels.guided import likely_keys
from hashmatch.views.small import Floats
from hashmatch.views.soft import Certainty, flat_bits, score

__all__ = ["Proposals", "propose", "rival_weight", "rivals_of"]

_MAX_SCORED: Final = 2000
_NEAR_COPY: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposals:
    """Entries, each once, the best first.

    Parameters
    ----------
    positions : (c,) int64 array
        Places in the index.
    views : (c,) int64 array
        The view that each fits best.
    scores : (c,) float32 array
        How well, nats.
    bits : (c, 256) bool array
        Their hashes, by `hashmatch.views.soft.flat_bits`.
    """

    positions: npt.NDArray[np.int64]
    views: npt.NDArray[np.int64]
    scores: Floats
    bits: npt.NDArray[np.bool_]


def propose(
    odds: Floats,
    index: GuidedIndex,
    model: Certainty,
    *,
    withdrawn: npt.NDArray[np.bool_] | None,
    min_score: float,
    max_distance: int,
    flips: int,
    max_probes: int,
    max_compared: int,
) -> Proposals:
    """Find entries that score well under one of the views.

    Parameters
    ----------
    odds : (v, 256) float32 array
        From `hashmatch.views.soft.certainties`.
    index : GuidedIndex
        From `hashmatch.views.crops.guided_index`; not empty.
    model : Certainty
        The one ``odds`` was made with.
    withdrawn : (n,) bool array or None
        Entries that are no longer of the list.
    min_score : float
        Least score, nats.
    max_distance : int
        Largest distance for an entry to be scored, bits.
    flips : int
        How many of a key's least sure bits may be taken the other way.
    max_probes : int
        Most keys looked up, the likeliest of all views and groups.
    max_compared : int
        Most entries compared.

    Returns
    -------
    Proposals
        At most the 2,000 nearest pairs of a view and an entry are scored.

    Notes
    -----
    Cost: two random reads a key, two an entry compared.
    """
    views, positions, distances = _probed(odds, index, model, max_distance, flips, max_probes, max_compared)
    if withdrawn is not None:
        listed = (~withdrawn[positions]).nonzero()[0]
        views, positions, distances = views[listed], positions[listed], distances[listed]
    near = np.argsort(distances, kind="stable")[:_MAX_SCORED]
    # several groups and keys may lead from one view to one entry
    _, first = np.unique(positions[near] * len(odds) + views[near], return_index=True)
    near = near[np.sort(first)]
    positions, views = positions[near], views[near]
    bits = flat_bits(np.ascontiguousarray(index.words[positions]).view(np.uint8))
    scores = score(odds[views], bits, model)
    order = np.lexsort((views, positions, -scores))
    order = order[scores[order] >= min_score]
    _, first = np.unique(positions[order], return_index=True)
    order = order[np.sort(first)]
    return Proposals(positions=positions[order], views=views[order], scores=scores[order], bits=bits[order])


def rivals_of(bits: npt.NDArray[np.bool_], place: int) -> int:
    """Count the rivals of one proposed entry: others that are no near copies of it (more than 62 bits away).

    Parameters
    ----------
    bits : (c, 256) bool array
        Of all that was proposed.
    place : int
        Which of them it is.
    """
    return int(np.count_nonzero(np.count_nonzero(bits != bits[place], axis=1) > _NEAR_COPY))


def rival_weight(
    index: GuidedIndex, withdrawn: npt.NDArray[np.bool_] | None, full_rivals: int, turns: int = 1
) -> float:
    """Say what each rival counts: in full up to ``full_rivals`` live entries, times turns; of more, in proportion."""
    listed = len(index) - (0 if withdrawn is None else int(np.count_nonzero(withdrawn)))
    return min(1.0, full_rivals / (max(1, listed) * turns))


def _probed(
    odds: Floats,
    index: GuidedIndex,
    model: Certainty,
    max_distance: int,
    flips: int,
    max_probes: int,
    max_compared: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Look up the likeliest keys: view, position and distance of what is near enough, with repeats."""
    picked = np.take(odds, 255 - index.groups, axis=1)
    size = np.minimum(np.abs(picked), -np.log(np.float32(model.lapse)))
    flips = min(flips, index.key_bits)
    keys, chances = likely_keys(picked, size, -np.log(1 + np.exp(-size)), _subsets(flips), flips)
    least = -np.inf
    if chances.size > max_probes:
        least = np.partition(chances.ravel(), chances.size - max_probes)[chances.size - max_probes]
    queries = np.packbits((odds > 0)[:, ::-1], axis=1).view("<u8")
    limit = max_compared // len(index.groups)
    found = [
        index.near(group, keys[group], chances[group], queries, least=least, limit=limit, radius=max_distance)
        for group in range(len(index.groups))
    ]
    views, positions, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return views, positions, distances


@lru_cache(maxsize=16)
def _subsets(flips: int) -> npt.NDArray[np.uint32]:
    """Subsets of the ``flips`` least sure bits, at most 64, those that are likely on the mean first."""
    members = (np.arange(1 << flips)[:, None] >> np.arange(flips)) & 1
    cost = members @ (np.arange(flips) + 1.5)
    return np.argsort(cost, kind="stable")[:64].astype(np.uint32)
