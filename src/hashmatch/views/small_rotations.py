"""Search a list of PDQ hashes for the picture that a query shows rotated by a few degrees.

Every way of turning the query back (`hashmatch.views.evidence.tilt_views`) proposes entries by its surest bits. An
entry is judged by all its bits at the angle that fits it best, for any content of the corners that were cut off
(`hashmatch.views.evidence.likelihood`). Rivals reduce the support, as in `hashmatch.views.crops`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.pdq import told_share
from hashmatch.index.probing import GuidedIndex
from hashmatch.views.evidence.bit_odds import Certainty, certainties, score, standardised
from hashmatch.views.evidence.candidates import Proposals, Proposer
from hashmatch.views.evidence.cohort import RivalRule
from hashmatch.views.evidence.corners import unseen_corner_share, unseen_corners
from hashmatch.views.evidence.likelihood import Support, integrated
from hashmatch.views.evidence.tilt_views import STEP, Size, Tilt, coefficients, qualities, sampled, tilts
from hashmatch.views.small import Floats

__all__ = ["FoundTilted", "TiltedSearch"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_GRID: Final = Certainty(unseen=0.15, noise=0.0025, misfit=0.0135, lapse=0.003)  # while angles are tried
_FITTED: Final = Certainty(unseen=0.15, noise=0.0025, misfit=0.008, lapse=0.003)  # at the best angle
_FINER: Final = tuple(STEP * step / 6 for step in range(-3, 4))  # degrees from the angle it was found at


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTilted:
    """One entry that the query may be a rotated copy of.

    Parameters
    ----------
    position : int
        Place of the hash in the index.
    tilt : Tilt
        Angle and frame by which the query fits best when it is turned back.
    distance : int
        Differing bits between the entry and the query turned back, 0 to 256.
    evidence : float
        Support of the entry's bits, less the reduction for rivals, nats.
    """

    position: int
    tilt: Tilt
    distance: int
    evidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TiltedSearch:
    """Search for the picture that a query shows rotated.

    Parameters
    ----------
    min_evidence : float
        Least evidence of a hit, nats, inclusive; ``docs/explanation/budget.md`` has its false reports.
    min_quality : int
        Least quality of the query turned back, 0 to 100, inclusive; see `hashmatch.hashers.pdq.PDQHasher`.
    proposer : Proposer
        Rule by which entries are proposed, by views at `hashmatch.views.evidence.tilt_views.ANGLES`. For the entries
        that are tried, the angles around it are tried too, in steps of an eighth of a degree.
    rivals : RivalRule
        Reduction of the support by rivals.
    """

    min_evidence: float = 40.0
    min_quality: int = 50
    proposer: Proposer = field(default=Proposer(max_probes=50_000, max_compared=200_000))
    rivals: RivalRule = field(default=RivalRule(cost=20.0, kin=90))

    def search(
        self, small: Floats, size: Size, index: GuidedIndex, withdrawn: npt.NDArray[np.bool_] | None = None
    ) -> list[FoundTilted]:
        """Find the entries that fit the query turned back.

        Parameters
        ----------
        small : (128, 128) float32 array
            The query, from `hashmatch.views.small.small_luma`.
        size : (float, float)
            Its height and width, px.
        index : GuidedIndex
            From `hashmatch.views.crops.guided_index`.
        withdrawn : (n,) bool array, optional
            Entries that are no longer in the list: never found, and never counted as rivals.

        Returns
        -------
        list of FoundTilted
            Hits with at least ``min_evidence``, the largest evidence first, then by position. The search is not
            exhaustive: ``python -m benchmarks rotations`` measures its recall.

        Notes
        -----
        Cost: the views and their look-ups, and several milliseconds for each entry that is judged,
        ``proposer.max_tried`` at most; ``python -m benchmarks rotations`` measures it.
        """
        views, found = self.proposals(small, size, index, withdrawn)
        able = self.proposer.able(found.scores)
        best: dict[int, FoundTilted] = {}
        for place in range(min(self.proposer.max_tried, able)):
            tilt, odds, said = _fitted(small, size, views[found.views[place]], found.bits[place])
            distances = np.count_nonzero((odds > 0) != found.bits[:able], axis=1)
            # copies of it need no fit of their own
            nats = said.of_others(found.bits[place], found.bits[:able])
            for other in (nats >= self.min_evidence).nonzero()[0].tolist():
                if other not in best or nats[other] > best[other].evidence:
                    position, distance = int(found.positions[other]), int(distances[other])
                    best[other] = FoundTilted(
                        position=position, tilt=tilt, distance=distance, evidence=float(nats[other])
                    )
        rivals = self.rivals.among(found.bits, index, withdrawn)
        kept = []
        for place, item in sorted(best.items()):
            evidence = rivals.left(item.evidence, self.min_evidence, place, item.position)
            if evidence >= self.min_evidence:
                kept.append(replace(item, evidence=evidence))
        return sorted(kept, key=lambda item: (-item.evidence, item.position))

    def proposals(
        self, small: Floats, size: Size, index: GuidedIndex, withdrawn: npt.NDArray[np.bool_] | None = None
    ) -> tuple[tuple[Tilt, ...], Proposals]:
        """Propose entries, and their rivals, by the ways in which the query may be turned back.

        Parameters
        ----------
        small, size, index, withdrawn
            As for `search`.

        Returns
        -------
        tuple of Tilt
            The views; empty if no view has enough quality, or the list is empty.
        Proposals
            Entries proposed by those views.
        """
        views = tilts(small, size) if len(index) else ()
        seen = sampled(small, size, views) if views else np.empty((0, 64, 64), np.float32)
        seen_coefficients = coefficients(seen)
        quality = np.minimum(qualities(seen), told_share(seen_coefficients))
        good = (quality >= self.min_quality).nonzero()[0]
        views = tuple(views[place] for place in good)
        if not views:
            return (), Proposals.none()
        shares = np.stack([unseen_corner_share(size, view) for view in views])
        odds = certainties(seen_coefficients[good], shares, _GRID)
        return views, self.proposer.propose(odds, index, _GRID, withdrawn)


def _fitted(small: Floats, size: Size, view: Tilt, bits: npt.NDArray[np.bool_]) -> tuple[Tilt, Floats, Support]:
    """Try the angles round a view: the tilt at which a hash scores best, its odds there, and what the hash says."""
    views = [Tilt(angle=view.angle + finer, frame=view.frame) for finer in _FINER]
    seen, share = coefficients(sampled(small, size, views)), unseen_corner_share(size, view)
    odds = certainties(seen, np.broadcast_to(share, seen.shape), _FITTED)
    best = int(score(odds, bits, _FITTED).argmax())
    corners = unseen_corners(size, view)
    said = integrated(standardised(seen[best], share), bits, corners.basis, corners.left_out)
    return views[best], odds[best], said
