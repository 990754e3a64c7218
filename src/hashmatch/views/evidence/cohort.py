"""Reduction of the support of an entry by its rivals: other entries that resemble the query or the entry itself.

The likelihood treats the bits of unrelated pictures as independent coin flips. They are not: one large shape decides
many bits at once, and resembles many entries. The number of such entries is counted for the query, the entry and the
list at hand, so that no constant from synthetic pictures states what is common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.probing import GuidedIndex
from hashmatch.kernels.codes import rows_scan

__all__ = ["RivalRule", "Rivals", "kin_of", "rivals_of"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_NEAR_COPY: Final = 62  # bits up to which another entry is a copy, not kin
_MOST_COMPARED: Final = 1_000_000  # hashes; of longer lists every k-th
_MOST_COUNTED: Final = 8  # entries of a query whose kin is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalRule:
    """Reduction of the support by rivals.

    Rivals are other entries that the query also leads to (the query cohort), and entries that resemble the entry (the
    entry cohort, its kin). Near copies of the entry are no rivals. With n rivals among N entries, their share is
    estimated as (n + ``prior``) / (N + ``prior_entries``): if a list is too short to tell, the kind counts as common as
    most kinds are. Evidence is the support less ``cost`` times the logarithm of that share over ``least``, so that the
    level of evidence does not depend on the length of the list.

    Parameters
    ----------
    cost : float
        Nats.
    kin : int
        Largest distance of an entry of the entry cohort from the entry, bits; 0 counts none.
    prior, prior_entries : float
        Rivals, and entries, that are added to the counted ones; more than 0.
    least : float
        Share of rivals up to which the support is not reduced; more than 0.

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
        """Compute the reduction for so many rivals among so many entries, nats."""
        share = (rivals + self.prior) / (listed + self.prior_entries)
        return self.cost * math.log(max(1.0, share / self.least))

    def among(
        self,
        bits: npt.NDArray[np.bool_],
        index: GuidedIndex,
        withdrawn: npt.NDArray[np.bool_] | None = None,
        turns: int = 1,
    ) -> Rivals:
        """Make the rivals of everything that a search proposed.

        Parameters
        ----------
        bits : (c, 256) bool array
            Of all that was proposed, from `hashmatch.views.evidence.candidates`.
        index : GuidedIndex
            The list that they were found in.
        withdrawn : (n,) bool array, optional
            Entries that are no longer in it.
        turns : int
            Number of turns of the query that were searched; each turn may propose an entry.
        """
        return Rivals(self, bits, index, withdrawn, turns)


class Rivals:
    """The rivals of everything that one search proposed; made by `RivalRule.among`."""

    def __init__(
        self,
        rule: RivalRule,
        bits: npt.NDArray[np.bool_],
        index: GuidedIndex,
        withdrawn: npt.NDArray[np.bool_] | None,
        turns: int,
    ) -> None:
        self._rule, self._bits, self._index, self._withdrawn, self._turns = rule, bits, index, withdrawn, turns
        self._listed = len(index) - (0 if withdrawn is None else int(np.count_nonzero(withdrawn)))
        self._counted: list[tuple[int, float]] = []
        self._compared: tuple[int, npt.NDArray[np.uint64]] | None = None

    def left(self, nats: float, least: float, place: int, position: int) -> float:
        """Compute the evidence: the support of an entry less the reduction for its rivals.

        Parameters
        ----------
        nats : float
            The support.
        least : float
            Least evidence of interest, nats; if the query cohort alone leaves less, the entry cohort is not counted.
        place : int
            Place of the entry among the proposed ones.
        position : int
            Place of the entry in the list.

        Returns
        -------
        float
            Nats.

        Notes
        -----
        Cost: one scan of at most 1,000,000 entries for an entry cohort. Entry cohorts are counted at most eight times:
        near copies share one, and each later entry counts as common as the commonest so far.
        """
        rivals = rivals_of(self._bits, place) / self._turns
        left = nats - self._rule.taken(rivals, self._listed)
        if left < least or not self._rule.kin:
            return left
        return nats - self._rule.taken(rivals + self._kin(place, position), self._listed)

    def _kin(self, place: int, position: int) -> float:
        for other, count in self._counted:
            if np.count_nonzero(self._bits[other] != self._bits[place]) <= _NEAR_COPY:
                return count
        if len(self._counted) == _MOST_COUNTED:
            return max(count for _, count in self._counted)
        if self._compared is None:
            self._compared = _at_even_steps(self._index)
        kin = _kin_among(self._compared, self._index.words[position], self._rule.kin, self._withdrawn)
        self._counted.append((place, kin))
        return kin


def rivals_of(bits: npt.NDArray[np.bool_], place: int) -> int:
    """Count the other proposed entries that are not near copies of a given one (more than 62 bits away).

    Parameters
    ----------
    bits : (c, 256) bool array
        Of all that was proposed, from `hashmatch.views.evidence.candidates`.
    place : int
        Place of the given entry among them.
    """
    return int(np.count_nonzero(np.count_nonzero(bits != bits[place], axis=1) > _NEAR_COPY))


def kin_of(index: GuidedIndex, position: int, radius: int, withdrawn: npt.NDArray[np.bool_] | None = None) -> float:
    """Count the entries that resemble a given one without being near copies: 63 bits away or more, and within a radius.

    Parameters
    ----------
    index : GuidedIndex
        The list.
    position : int
        The given entry.
    radius : int
        Bits, inclusive.
    withdrawn : (n,) bool array, optional
        Entries that are no longer in the list.

    Returns
    -------
    float
        Number of entries; for a list of more than 1,000,000, estimated from at most that many at even steps.
    """
    return _kin_among(_at_even_steps(index), index.words[position], radius, withdrawn)


def _at_even_steps(index: GuidedIndex) -> tuple[int, npt.NDArray[np.uint64]]:
    """Take the entries that are compared: the step between them, and their codes."""
    step = max(1, -(-len(index) // _MOST_COMPARED))
    return step, np.ascontiguousarray(index.words[::step])


def _kin_among(
    compared: tuple[int, npt.NDArray[np.uint64]],
    code: npt.NDArray[np.uint64],
    radius: int,
    withdrawn: npt.NDArray[np.bool_] | None,
) -> float:
    step, codes = compared
    rows, distances = rows_scan(codes, code, radius)
    is_kin = distances > _NEAR_COPY
    if withdrawn is not None:
        is_kin &= ~withdrawn[::step][rows]
    return float(step * np.count_nonzero(is_kin))
