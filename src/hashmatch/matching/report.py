"""The answer for one picture: outcome, explained matches, and what was compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hashmatch.hashes import View

__all__ = ["ComparedList", "Match", "MatchReport", "Outcome"]


class Outcome(Enum):
    """The four answers.

    ``MATCH``: at least one entry lies within a threshold. ``NO_MATCH``: everything the lists allow was compared and
    nothing was near. ``UNDECIDABLE``: the picture is too plain to hash, or the lists hold nothing this policy can
    compare it with. ``UNREADABLE``: the source could not be decoded.
    """

    MATCH = "match"
    NO_MATCH = "no match"
    UNDECIDABLE = "undecidable"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One entry of one list that the picture matches, with everything needed to explain it.

    Parameters
    ----------
    list_name : str
        Name of the list.
    list_id : str
        Identifier of the list, the same in every copy.
    list_version : int
        Version of the list that was searched.
    entry_id : str
        The entry's identifier in that list.
    sources : mapping of str to mapping of str to str
        Each source that stands behind the entry, with the labels it gave.
    algorithm : str
        Algorithm of the two hashes.
    distance : int
        Distance between them, in the algorithm's unit (bits for perceptual hashes).
    threshold : int
        Largest distance that counted, same unit.
    quality : int or None
        Quality of the query's hash, 0 to 100; None where it is not measured.
    view : View
        How the query was looked at: ``str(match.view)`` says it in words.
    """

    list_name: str
    list_id: str
    list_version: int
    entry_id: str
    sources: Mapping[str, Mapping[str, str]]
    algorithm: str
    distance: int
    threshold: int
    quality: int | None
    view: View

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all sources in one mapping; where sources disagree, the values are joined by ``" | "``."""
        values: dict[str, dict[str, None]] = {}
        for labels in self.sources.values():
            for name, value in labels.items():
                values.setdefault(name, {})[value] = None
        return {name: " | ".join(found) for name, found in values.items()}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; holds no hash."""
        return {
            "list": self.list_name,
            "list_id": self.list_id,
            "list_version": self.list_version,
            "entry_id": self.entry_id,
            "labels": self.labels,
            "sources": {source: dict(labels) for source, labels in self.sources.items()},
            "algorithm": self.algorithm,
            "distance": self.distance,
            "threshold": self.threshold,
            "quality": self.quality,
            "view": {
                "text": str(self.view),
                "frame": self.view.frame,
                "background": self.view.background.value,
                "turn": self.view.turn.value,
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedList:
    """What of one list was compared.

    Parameters
    ----------
    name, list_id : str
        Name and identifier of the list.
    version : int
        Version that was searched.
    n_entries : int
        Entries it had.
    compared : mapping of str to int
        Hashes that the picture was compared with, by algorithm.
    not_compared : mapping of str to int
        Hashes left out, by algorithm: the policy has no rule for them, they cannot be computed from a picture (such
        as ``photodna``), or the picture was too plain for them.
    """

    name: str
    list_id: str
    version: int
    n_entries: int
    compared: Mapping[str, int]
    not_compared: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "list": self.name,
            "list_id": self.list_id,
            "list_version": self.version,
            "entries": self.n_entries,
            "compared": dict(self.compared),
            "not_compared": dict(self.not_compared),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchReport:
    """Answer for one picture.

    Parameters
    ----------
    outcome : Outcome
        The answer.
    matches : tuple of Match
        Best comparison for each list, entry and algorithm: digests first, then by distance relative to the
        threshold.
    n_matches : int
        How many there were before the policy's ``max_matches`` cut them.
    reason : str or None
        For undecidable and unreadable: a stable word such as ``"too-plain"`` or ``"truncated"``. Beside a match it
        says what kept the picture from being compared in full.
    lists : tuple of ComparedList
        What was compared.
    quality : int or None
        Best quality among the picture's hashes, 0 to 100.
    policy : str
        Name of the policy.
    software : str
        ``"hashmatch <version>"``.
    """

    outcome: Outcome
    matches: tuple[Match, ...]
    n_matches: int
    reason: str | None
    lists: tuple[ComparedList, ...]
    quality: int | None
    policy: str
    software: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; holds no hash, no pixel and no file name."""
        return {
            "outcome": self.outcome.value,
            "reason": self.reason,
            "matches": [match.to_dict() for match in self.matches],
            "n_matches": self.n_matches,
            "lists": [compared.to_dict() for compared in self.lists],
            "quality": self.quality,
            "policy": self.policy,
            "software": self.software,
        }
