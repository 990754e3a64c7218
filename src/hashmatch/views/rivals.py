"""What the rivals of an entry take from its support: other entries that the query also resembles a little.

Support supposes that unrelated pictures are coins. They are not: one large shape decides many bits at once, and
resembles many entries. How many is measured on the query itself and in the list at hand, so that no constant of
synthetic pictures says what is common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.guided import GuidedIndex

__all__ = ["RivalRule", "rivals_of"]

_NEAR_COPY: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalRule:
    """What rivals take.

    Parameters
    ----------
    cost : float
        Evidence is the support less this times log(1 + rivals), nats.
    full : int
        Entries, times turns, up to which each rival counts in full; of more, in proportion, so that a longer list is
        not of itself a commoner one. The default is the size that was measured.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    cost: float = 26.0
    full: int = 160_000

    def __post_init__(self) -> None:
        if self.cost < 0:
            raise ValueError("cost of a rival must be 0 or more")
        if self.full < 1:
            raise ValueError("full must be 1 or more")

    def taken(
        self, rivals: int, index: GuidedIndex, withdrawn: npt.NDArray[np.bool_] | None = None, turns: int = 1
    ) -> float:
        """Say what some rivals take.

        Parameters
        ----------
        rivals : int
            How many, from `rivals_of`.
        index : GuidedIndex
            The list that they were found in.
        withdrawn : (n,) bool array, optional
            Entries that are no longer of it.
        turns : int
            Turns of the query that were searched.

        Returns
        -------
        float
            Nats.
        """
        listed = len(index) - (0 if withdrawn is None else int(np.count_nonzero(withdrawn)))
        weight = min(1.0, self.full / (max(1, listed) * turns))
        return self.cost * math.log1p(weight * rivals)


def rivals_of(bits: npt.NDArray[np.bool_], place: int) -> int:
    """Count the rivals of one proposed entry: others that are no near copies of it (more than 62 bits away).

    Parameters
    ----------
    bits : (c, 256) bool array
        Of all that was proposed, from `hashmatch.views.proposals`.
    place : int
        Which of them it is.
    """
    return int(np.count_nonzero(np.count_nonzero(bits != bits[place], axis=1) > _NEAR_COPY))
