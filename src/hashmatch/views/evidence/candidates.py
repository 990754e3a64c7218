"""Entries that may fit one of many uncertain views, found by the likeliest keys of the views' surest bits.

This module proposes and never decides. Entries that fit a little are the rivals of an entry that fits well
(`hashmatch.views.evidence.cohort`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.probing import GuidedIndex
from hashmatch.kernels.guided import likely_keys
from hashmatch.views.evidence.bit_odds import Certainty, flat_bits, score
from hashmatch.views.patterned import patterned
from hashmatch.views.small import Floats

__all__ = ["Proposals", "Proposer"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_MAX_SCORED: Final = 2000  # entries near by a key, the nearest


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
        Score of each at its view, nats.
    bits : (c, 256) bool array
        Their hashes, by `hashmatch.views.evidence.bit_odds.flat_bits`.
    """

    positions: npt.NDArray[np.int64]
    views: npt.NDArray[np.int64]
    scores: Floats
    bits: npt.NDArray[np.bool_] = field(repr=False)

    @classmethod
    def none(cls) -> Proposals:
        """No entries."""
        return cls(
            positions=np.empty(0, np.int64),
            views=np.empty(0, np.int64),
            scores=np.empty(0, np.float32),
            bits=np.empty((0, 256), np.bool_),
        )

    @classmethod
    def joined(cls, parts: Sequence[Proposals]) -> Proposals:
        """Concatenate proposals."""
        return cls(
            positions=np.concatenate([part.positions for part in parts]),
            views=np.concatenate([part.views for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            bits=np.concatenate([part.bits for part in parts]),
        )

    def at(self, places: npt.NDArray[np.intp]) -> Proposals:
        """Take some of them, in that order."""
        return Proposals(
            positions=self.positions[places],
            views=self.views[places],
            scores=self.scores[places],
            bits=self.bits[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposer:
    """Rule by which entries are proposed, and which of them are tried.

    Parameters
    ----------
    min_start : float
        Least score at a view for an entry to be tried, nats; at least ``min_rival``.
    min_rival : float
        Least score at a view for an entry to be proposed at all, and to count as a rival, nats.
    max_distance : int
        Largest distance from a view for an entry to be scored, bits.
    flips : int
        Number of least sure bits of a key that may be inverted, 0 to 10.
    max_probes : int
        Most keys looked up, the likeliest of all views and groups.
    max_compared : int
        Most entries compared; reached only where a list holds very many copies.
    max_tried : int
        Most entries fitted individually, best first; the others are scored at the fits of these.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    min_start: float = 0.0
    min_rival: float = -20.0
    max_distance: int = 92
    flips: int = 8
    max_probes: int = 200_000
    max_compared: int = 1_000_000
    max_tried: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.flips <= 10:
            raise ValueError(f"flips must be 0 to 10, not {self.flips}")
        if self.min_start < self.min_rival:
            raise ValueError("min_start must be at least min_rival")
        for name in ("max_probes", "max_compared", "max_tried"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")

    def propose(
        self, odds: Floats, index: GuidedIndex, model: Certainty, withdrawn: npt.NDArray[np.bool_] | None = None
    ) -> Proposals:
        """Find entries that score well under one of the views.

        Parameters
        ----------
        odds : (v, 256) float32 array
            From `hashmatch.views.evidence.bit_odds.certainties`.
        index : GuidedIndex
            From `hashmatch.views.crops.guided_index`; not empty.
        model : Certainty
            The one ``odds`` was made with.
        withdrawn : (n,) bool array, optional
            Entries that are no longer in the list.

        Returns
        -------
        Proposals
            At most the 2,000 nearest pairs of a view and an entry are scored. Codes of flat and periodic pictures
            (`hashmatch.views.patterned`) have ``min_rival`` at most.

        Notes
        -----
        Cost: two random reads a key, two an entry compared.
        """
        views, positions, distances = self._probed(odds, index, model)
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
        # a code of a few signs is a rival and never found: that all of its bits fit says no more than that a few do
        fit = (scores > self.min_rival).nonzero()[0]
        scores[fit[patterned(bits[fit])]] = self.min_rival
        order = np.lexsort((views, positions, -scores))
        order = order[scores[order] >= self.min_rival]
        _, first = np.unique(positions[order], return_index=True)
        order = order[np.sort(first)]
        return Proposals(positions=positions[order], views=views[order], scores=scores[order], bits=bits[order])

    def able(self, scores: Floats) -> int:
        """How many of some scores, the best first, are enough to be tried."""
        return int(np.count_nonzero(scores >= self.min_start))

    def _probed(
        self, odds: Floats, index: GuidedIndex, model: Certainty
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Look up the likeliest keys: view, position and distance of what is near enough, with repeats."""
        picked = np.take(odds, 255 - index.groups, axis=1)
        size = np.minimum(np.abs(picked), -np.log(np.float32(model.lapse)))
        flips = min(self.flips, index.key_bits)
        keys, chances = likely_keys(picked, size, -np.log(1 + np.exp(-size)), _subsets(flips), flips)
        least = -np.inf
        if chances.size > self.max_probes:
            least = np.partition(chances.ravel(), chances.size - self.max_probes)[chances.size - self.max_probes]
        queries = np.packbits((odds > 0)[:, ::-1], axis=1).view("<u8")
        limit, radius = self.max_compared // len(index.groups), self.max_distance
        found = [
            index.near(group, keys[group], chances[group], queries, least=least, limit=limit, radius=radius)
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
