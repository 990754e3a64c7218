"""What the rivals of an entry take from its support: other entries that the query, or the entry itself, is like.

Support supposes that unrelated pictures are coins. They are not: one large shape decides many bits at once, and
resembles many entries. How many is measured on the query and the entry at hand and in the list at hand, so that no
constant of synthetic pictures says what is common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.guided import GuidedIndex
from hashmatch.kernels.codes import rows_scan

__all__ = ["RivalRule", "kin_of", "rivals_of"]

_NEAR_COPY: Final = 62
_MOST_COMPARED: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalRule:
    """What rivals take.

    Rivals are other entries that the query would also have led to, and the entry's kin; none of them near copies of
    it. With n of them among N entries, their share is taken for (n + ``prior``) / (N + ``prior_entries``): where a list
    is too short to tell, a kind is taken to be as common as most are. Evidence is the support less ``cost`` times the
    logarithm of that share over ``least``, so that the evidence to ask for does not depend on the length of the list.

    Parameters
    ----------
    cost : float
        Nats.
    kin : int
        Largest distance from the entry itself for another to be of its kin, bits; 0 counts none.
    prior, prior_entries : float
        Rivals in so many entries that are supposed beside those counted; more than 0.
    least : float
        Share of rivals up to which they take nothing; more than 0.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    cost: float = 30.0
    kin: int = 0
    prior: float = 8.0
    prior_entries: float = 320_000.0
    least: float = 1 / 160_000

    def __post_init__(self) -> None:
        if self.cost < 0:
            raise ValueError("cost of a rival must be 0 or more")
        if not 0 <= self.kin <= 256:
            raise ValueError(f"kin are 0 to 256 bits away, not {self.kin}")
        for name in ("prior", "prior_entries", "least"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")

    def taken(self, rivals: float, listed: int) -> float:
        """Say what so many rivals among so many entries take, nats."""
        share = (rivals + self.prior) / (listed + self.prior_entries)
        return self.cost * math.log(max(1.0, share / self.least))

    def left(
        self,
        nats: float,
        least: float,
        bits: npt.NDArray[np.bool_],
        place: int,
        index: GuidedIndex,
        *,
        position: int,
        withdrawn: npt.NDArray[np.bool_] | None = None,
        turns: int = 1,
    ) -> float:
        """Say what rivals leave of an entry's support.

        Parameters
        ----------
        nats : float
            The support.
        least : float
            Evidence that matters; where the rivals first counted leave less, no more are counted.
        bits : (c, 256) bool array
            Of all that was proposed, from `hashmatch.views.proposals`.
        place : int
            Which of them the entry is.
        index : GuidedIndex
            The list that they were found in.
        position : int
            The entry's place in it.
        withdrawn : (n,) bool array, optional
            Entries that are no longer of it.
        turns : int
            Turns of the query that were searched; in each an entry may be proposed.

        Returns
        -------
        float
            Nats.

        Notes
        -----
        Cost: 2 to 6 ms for the kin in a list of 1,000,000; of longer ones that many entries are compared.
        """
        listed = len(index) - (0 if withdrawn is None else int(np.count_nonzero(withdrawn)))
        rivals = rivals_of(bits, place) / turns
        left = nats - self.taken(rivals, listed)
        if left < least or not self.kin:
            return left
        return nats - self.taken(rivals + kin_of(index, position, self.kin, withdrawn), listed)


def rivals_of(bits: npt.NDArray[np.bool_], place: int) -> int:
    """Count what else was proposed: entries that are no near copies of a given one (more than 62 bits away).

    Parameters
    ----------
    bits : (c, 256) bool array
        Of all that was proposed, from `hashmatch.views.proposals`.
    place : int
        Which of them is the given one.
    """
    return int(np.count_nonzero(np.count_nonzero(bits != bits[place], axis=1) > _NEAR_COPY))


def kin_of(index: GuidedIndex, position: int, radius: int, withdrawn: npt.NDArray[np.bool_] | None = None) -> float:
    """Count entries that are like a given one and no near copies of it: 63 bits away or more, and within a radius.

    Parameters
    ----------
    index : GuidedIndex
        The list.
    position : int
        The given entry.
    radius : int
        Bits, inclusive.
    withdrawn : (n,) bool array, optional
        Entries that are no longer of the list.

    Returns
    -------
    float
        Of a list of more than 1,000,000, estimated by that many or fewer at even steps.
    """
    step = -(-len(index) // _MOST_COMPARED)
    rows, distances = rows_scan(np.ascontiguousarray(index.words[::step]), index.words[position], radius)
    is_kin = distances > _NEAR_COPY
    if withdrawn is not None:
        is_kin &= ~withdrawn[::step][rows]
    return float(step * np.count_nonzero(is_kin))
