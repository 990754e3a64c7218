"""Search a list of PDQ hashes for the picture that a query was cut from.

Every view of a grid proposes entries: the likeliest keys of its surest bits are looked up in a `GuidedIndex`, the
entries found are compared in all bits, and a local search finds the best cut for the best of them.

An entry that fits well is judged by all its bits together, for any content of the part that was cut off
(`hashmatch.views.evidence.likelihood`). One large shape still decides many bits at once, so that unrelated pictures of
that shape score far above chance. The search measures this on the query and in the list at hand: the number of entries
that the query also resembles a little (its rivals, or cohort) shows how common its shape is, and reduces the support.
No constant from synthetic pictures states what is common.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.probing import GuidedIndex, guided_index
from hashmatch.view import Turn
from hashmatch.views.evidence.bit_odds import COARSE, certainties
from hashmatch.views.evidence.candidates import Proposals, Proposer
from hashmatch.views.evidence.cohort import RivalRule
from hashmatch.views.evidence.crop_views import THOROUGH_GRID, AxisCut, CutGrid, unseen_share, view_coefficients
from hashmatch.views.evidence.likelihood import Support, support
from hashmatch.views.evidence.refine import Fit, climb, score_at
from hashmatch.views.small import Floats, turn_small

__all__ = ["CropHit", "CropSearch", "guided_index", "is_rare"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_MUCH: Final = 124  # thousandths off one side that are rare on both axes at once
_OUTSIDE: Final = -10  # thousandths by which a query is rarely larger than the picture it was cut from


@dataclass(frozen=True, slots=True, kw_only=True)
class CropHit:
    """One entry that the query may have been cut from.

    Parameters
    ----------
    position : int
        Place of the hash in the index.
    fit : Fit
        Cuts at which the entry fits best, and the score.
    evidence : float
        Support of the entry's bits, less the reductions for rivals and for a rare cut, nats.
    turn : Turn
        Turn of the query before the fit; the cuts are those of the turned picture.
    """

    position: int
    fit: Fit
    evidence: float
    turn: Turn = Turn.NONE

    @property
    def distance(self) -> int:
        """Differing bits between the entry and the fitted view, 0 to 256."""
        return self.fit.distance


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSearch:
    """Search for the picture that a query was cut from.

    Parameters
    ----------
    grid : CutGrid
        Cuts that are tried.
    turns : tuple of Turn
        Turns in which the query is searched. Each turn costs a search; the bound on tried entries holds for all turns
        together.
    min_evidence : float
        Least evidence of a hit, nats, inclusive; ``docs/explanation/crops.md`` has the false reports by level.
    rare_cost : float
        Reduction of the support, nats, for a cut of more than 12.4 % of one side on each axis, or a cut by which the
        query would be more than 1 % larger than the entry's picture.
    min_score : float
        Least score after the local search for an entry to be judged, nats.
    proposer : Proposer
        Rule by which entries are proposed. The local search runs for the entries that are tried; the others are scored
        at the cuts that it found.
    rivals : RivalRule
        Reduction of the support by rivals.
    """

    grid: CutGrid = field(default=THOROUGH_GRID)
    turns: tuple[Turn, ...] = (Turn.NONE,)
    min_evidence: float = 24.0
    rare_cost: float = 12.0
    min_score: float = 30.0
    proposer: Proposer = field(default=Proposer())
    rivals: RivalRule = field(default=RivalRule(kin=90))

    def __post_init__(self) -> None:
        object.__setattr__(self, "turns", tuple(dict.fromkeys(self.turns)))
        if not self.turns:
            raise ValueError("a search looks at one turn of the query or more")
        if self.rare_cost < 0:
            raise ValueError("rare_cost must be 0 or more")

    def search(
        self, small: Floats, index: GuidedIndex, withdrawn: npt.NDArray[np.bool_] | None = None
    ) -> list[CropHit]:
        """Find the entries that fit the query uncropped.

        Parameters
        ----------
        small : (128, 128) float32 array
            The query, from `hashmatch.views.small.small_luma`.
        index : GuidedIndex
            From `guided_index`.
        withdrawn : (n,) bool array, optional
            Entries that are no longer in the list: never found, and never counted as rivals.

        Returns
        -------
        list of CropHit
            Hits with at least ``min_evidence``, the largest evidence first, then by position. The search is not
            exhaustive: ``python -m benchmarks crops`` measures its recall.

        Notes
        -----
        Cost: see ``docs/explanation/crops.md``; about one random read for each probe and each entry compared.
        """
        if not len(index):
            return []
        cuts = self.grid.axis_cuts
        turned = [turn_small(small, turn) for turn in self.turns]
        proposed, turns = self._all_proposals(turned, index, withdrawn)
        bits = proposed.bits
        able = self.proposer.able(proposed.scores)
        found: dict[int, CropHit] = {}
        ended: list[tuple[int, int, Fit, Support]] = []
        for place in range(min(self.proposer.max_tried, able)):
            row, column = divmod(int(proposed.views[place]), len(cuts))
            turn = int(turns[place])
            fit = climb(turned[turn], bits[place], cuts[column], cuts[row])
            if fit.score < self.min_score:
                continue
            seen = view_coefficients(turned[turn], [fit.columns], [fit.rows])[0, 0]
            said = support(seen, bits[place], fit.columns, fit.rows)
            if self._keep_better(found, place, turn, fit, said.nats):
                ended.append((place, turn, fit, said))
        for place, turn, at, said in ended:
            fits = score_at(turned[turn], bits[:able], at.columns, at.rows)
            for other, (fit, nats) in enumerate(zip(fits, said.of_others(bits[place], bits[:able]), strict=True)):
                self._keep_better(found, other, turn, fit, float(nats))
        rivals = self.rivals.among(bits, index, withdrawn, len(self.turns))
        kept = []
        for place, item in sorted(found.items()):
            position = int(proposed.positions[place])
            evidence = rivals.left(item.evidence, self.min_evidence, place, position)
            if evidence >= self.min_evidence:
                kept.append(replace(item, position=position, evidence=evidence))
        return sorted(kept, key=lambda item: (-item.evidence, item.position))

    def _keep_better(self, found: dict[int, CropHit], place: int, turn: int, fit: Fit, nats: float) -> bool:
        """Keep the best fit of each candidate that can still reach the least evidence; say whether this one can."""
        nats -= self.rare_cost if is_rare(fit) else 0.0
        if nats < self.min_evidence:
            return False
        if place not in found or nats > found[place].evidence:
            found[place] = CropHit(position=place, fit=fit, evidence=nats, turn=self.turns[turn])
        return True

    def _all_proposals(
        self, turned: list[Floats], index: GuidedIndex, withdrawn: npt.NDArray[np.bool_] | None
    ) -> tuple[Proposals, npt.NDArray[np.int64]]:
        """Proposals of every turn, each entry once, the best start first; the array says of which turn."""
        parts = [self.proposals(small, index, withdrawn=withdrawn) for small in turned]
        every = Proposals.joined(parts)
        turns = np.repeat(np.arange(len(parts)), [len(part.positions) for part in parts])
        order = np.lexsort((turns, every.positions, -every.scores))
        _, first = np.unique(every.positions[order], return_index=True)
        order = order[np.sort(first)]
        return every.at(order), turns[order]

    def proposals(
        self, small: Floats, index: GuidedIndex, *, withdrawn: npt.NDArray[np.bool_] | None = None
    ) -> Proposals:
        """Propose entries and their rivals by the views of the grid, for one turn.

        Parameters
        ----------
        small, index, withdrawn
            As for `search`.

        Returns
        -------
        Proposals
            The number of a view is its row in the grid times the number of columns, plus its column.
        """
        cuts = self.grid.axis_cuts
        odds = certainties(view_coefficients(small, cuts, cuts), _unseen_share_of(cuts), COARSE).reshape(-1, 256)
        return self.proposer.propose(odds, index, COARSE, withdrawn)


def is_rare(fit: Fit) -> bool:
    """Whether a cut is of a kind that chance finds more often than people make it."""
    cuts = (*fit.columns, *fit.rows)
    return min(cuts) < _OUTSIDE or min(max(fit.columns), max(fit.rows)) > _MUCH


@lru_cache(maxsize=4)
def _unseen_share_of(cuts: tuple[AxisCut, ...]) -> Floats:
    """`unseen_share` of every pair of some cuts, which is the same for every query; read-only."""
    share = unseen_share(cuts, cuts)
    share.setflags(write=False)
    return share
