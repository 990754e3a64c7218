"""Search a list of PDQ hashes for the picture that a query was cut from.

Every view of a grid proposes entries: the likeliest keys of its surest bits are looked up in a `GuidedIndex`, what is
found is compared in all bits, and the best of it is climbed to its best cut. The score there decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.guided import GuidedIndex
from hashmatch.views.climb import Fit, climb, score_at
from hashmatch.views.small import Floats
from hashmatch.views.soft import COARSE, certainties, flat_bits, score
from hashmatch.views.uncrop import THOROUGH_GRID, AxisCut, Grid, unseen_share, view_coefficients

__all__ = ["CropSearch", "Found", "guided_index"]

_GROUPS: Final = 6
_MAX_SCORED: Final = 2000
_NEAR_COPY: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One entry that the query may have been cut from.

    Parameters
    ----------
    position : int
        Place of the hash in the index.
    fit : Fit
        Where it fits best, and how well.
    evidence : float
        The score, less what the query's rivals take from it; nats.
    """

    position: int
    fit: Fit
    evidence: float


def guided_index(codes: npt.NDArray[np.uint8]) -> GuidedIndex:
    """Index PDQ hashes for `CropSearch`.

    Parameters
    ----------
    codes : (n, 32) uint8 array
        Hashes in the published order of bytes.

    Notes
    -----
    Keys are made of the lowest frequencies, which suffer least from a cut that is not quite the true one.
    """
    if codes.shape[1:] != (32,):
        raise ValueError(f"PDQ hashes have 32 bytes, these codes have the shape {codes.shape}")
    return GuidedIndex(codes, (255 - _by_frequency()).tolist(), _GROUPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSearch:
    """How the picture that a query was cut from is searched.

    Parameters
    ----------
    grid : Grid
        Cuts that are tried.
    min_evidence : float
        Least evidence reported, nats, inclusive; ``docs/crops.md`` says what it spends.
    rival_cost : float
        Evidence is the score less this times log(1 + rivals), nats. A rival is another entry that would have been
        climbed and is no near copy of the entry itself: a picture of one large shape resembles many entries.
    min_start : float
        Least score at the grid's view for an entry to be climbed, nats.
    max_start_distance : int
        Largest distance at the grid's view for an entry to be scored, bits.
    flips : int
        How many of a key's least sure bits may be taken the other way, 0 to 10.
    max_probes : int
        Most keys looked up, the likeliest of all views and groups.
    max_compared : int
        Most entries compared; reached only where a list holds very many copies.
    max_climbs : int
        Most entries climbed, best first; the others are scored at the cuts where those ended.
    """

    grid: Grid = field(default=THOROUGH_GRID)
    min_evidence: float = 62.0
    rival_cost: float = 16.0
    min_start: float = 0.0
    max_start_distance: int = 92
    flips: int = 8
    max_probes: int = 200_000
    max_compared: int = 1_000_000
    max_climbs: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.flips <= 10:
            raise ValueError(f"flips must be 0 to 10, not {self.flips}")
        for name in ("max_probes", "max_compared", "max_climbs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")

    def search(self, small: Floats, index: GuidedIndex) -> list[Found]:
        """Find the entries that fit the query uncropped.

        Parameters
        ----------
        small : (128, 128) float32 array
            The query, from `hashmatch.views.small.small_luma`.
        index : GuidedIndex
            From `guided_index`.

        Returns
        -------
        list of Found
            Evidence of at least ``min_evidence``, the most first, then by position. Not exhaustive:
            ``benchmarks/crops.py`` measures its recall.

        Notes
        -----
        Cost: see ``docs/crops.md``; about one random read for each probe and each entry compared.
        """
        if not len(index):
            return []
        cuts = self.grid.axis_cuts
        positions, views, _ = self.candidates(small, index)
        found: dict[int, Fit] = {}
        bits = flat_bits(np.ascontiguousarray(index.words[positions]).view(np.uint8))
        ended: set[tuple[AxisCut, AxisCut]] = set()
        for place in range(min(self.max_climbs, len(positions))):
            row, column = divmod(int(views[place]), len(cuts))
            fit = climb(small, bits[place], cuts[column], cuts[row])
            _keep_better(found, int(positions[place]), fit)
            if fit.score >= self.min_evidence:
                ended.add((fit.columns, fit.rows))
        for columns, rows in sorted(ended):
            for position, fit in zip(positions.tolist(), score_at(small, bits, columns, rows), strict=True):
                _keep_better(found, position, fit)
        kept = []
        for place, position in enumerate(positions.tolist()):
            if position in found and found[position].score >= self.min_evidence:
                rivals = np.count_nonzero(np.count_nonzero(bits != bits[place], axis=1) > _NEAR_COPY)
                evidence = found[position].score - self.rival_cost * math.log1p(rivals)
                if evidence >= self.min_evidence:
                    kept.append(Found(position=position, fit=found[position], evidence=evidence))
        return sorted(kept, key=lambda item: (-item.evidence, item.position))

    def candidates(
        self, small: Floats, index: GuidedIndex
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
        """Propose entries by the views of the grid.

        Parameters
        ----------
        small, index
            As for `search`.

        Returns
        -------
        positions : (c,) int64 array
            Each entry once, the best start first.
        views : (c,) int64 array
            The view it starts from: row of the grid times its columns plus column.
        starts : (c,) float32 array
            Score at that view, nats.
        """
        cuts = self.grid.axis_cuts
        odds = certainties(view_coefficients(small, cuts, cuts), unseen_share(cuts, cuts), COARSE).reshape(-1, 256)
        views, positions = self._probed(odds, index)
        words = np.packbits((odds > 0)[:, ::-1], axis=1).view("<u8")
        differing = words.take(views, axis=0) ^ index.words.take(positions, axis=0)
        distances = np.bitwise_count(differing).sum(axis=1, dtype=np.int32)
        near = (distances <= self.max_start_distance).nonzero()[0]
        near = near[np.argsort(distances[near], kind="stable")][:_MAX_SCORED]
        # several groups and keys may lead from one view to one entry
        _, first = np.unique(positions[near].astype(np.int64) * len(odds) + views[near], return_index=True)
        near = near[np.sort(first)]
        positions, views = positions[near].astype(np.int64), views[near]
        bits = flat_bits(np.ascontiguousarray(index.words[positions]).view(np.uint8))
        starts = score(odds[views], bits, COARSE)
        order = np.lexsort((views, positions, -starts))
        order = order[starts[order] >= self.min_start]
        _, first = np.unique(positions[order], return_index=True)
        order = order[np.sort(first)]
        return positions[order], views[order], starts[order]

    def _probed(self, odds: Floats, index: GuidedIndex) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Look up the likeliest keys: view and position of everything found, with repeats."""
        flats = 255 - index.groups
        size = np.abs(odds)
        np.minimum(size, -np.log(np.float32(COARSE.lapse)), out=size)
        sure = -np.log1p(np.exp(-size))
        values = np.int64(1) << np.arange(index.key_bits)
        subsets = _subsets(min(self.flips, index.key_bits))
        keys: list[npt.NDArray[np.int64]] = []
        chances: list[Floats] = []
        for flat in flats:
            least = np.argsort(size[:, flat], axis=1, kind="stable")[:, : subsets.shape[1]]
            key = np.matmul(odds[:, flat] > 0, values)
            flips = values[least].astype(np.float64) @ subsets.T
            keys.append(np.bitwise_xor(key[:, None], flips.astype(np.int64)))
            costs = np.take_along_axis(size[:, flat], least, axis=1)
            chances.append(sure[:, flat].sum(axis=1)[:, None] - costs @ subsets.T.astype(np.float32))
        every = np.stack(chances)
        floor = -np.inf
        if every.size > self.max_probes:
            floor = np.partition(every.ravel(), every.size - self.max_probes)[every.size - self.max_probes]
        limit = self.max_compared // len(flats)
        found_views, found_positions = [], []
        for group, chance in enumerate(every):
            # transposed, so that the keys with the fewest bits the other way come first
            subset, view = np.nonzero(floor <= chance.T)
            rows, positions = index.probe(group, keys[group][view, subset], limit)
            found_views.append(view.take(rows))
            found_positions.append(positions)
        return np.concatenate(found_views), np.concatenate(found_positions)


def _keep_better(found: dict[int, Fit], position: int, fit: Fit) -> None:
    if position not in found or fit.score > found[position].score:
        found[position] = fit


@lru_cache(maxsize=16)
def _subsets(flips: int) -> npt.NDArray[np.float64]:
    """Subsets of the ``flips`` least sure bits, at most 64, those that are likely on the mean first."""
    members = (np.arange(1 << flips)[:, None] >> np.arange(flips)) & 1
    cost = members @ (np.arange(flips) + 1.5)
    return members[np.argsort(cost, kind="stable")][:64].astype(np.float64)


def _by_frequency() -> npt.NDArray[np.int64]:
    """Flat indices of the 256 coefficients, the lowest frequencies first."""
    squares = np.arange(1, 17) ** 2
    return np.argsort(np.add.outer(squares, squares).ravel(), kind="stable")
