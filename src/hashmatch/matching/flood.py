"""`FloodWatch`: which entries match far more pictures than their share; a person releases them from quarantine.

Counts are kept by the space-saving scheme (Metwally, Agrawal and El Abbadi, 2005): a bounded number of counters, of
which an entry that comes when all are taken gets the least, with that count as its possible error. An entry is judged
by what is certain, its count less its error: bounded memory puts none in quarantine that the exact rule would not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hashmatch.policy import FloodRule

__all__ = ["FloodWatch", "Quarantined"]

_LOG: Final = logging.getLogger("hashmatch.matching")

EntryName = tuple[str, str]
"""Identifier of the list, and of the entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An entry in quarantine.

    Parameters
    ----------
    list_id, entry_id : str
        Identifiers of the list and the entry, as of a `hashmatch.matching.Match`.
    matched, pictures : int
        Pictures that it had matched for certain, of so many in that window, when it was put in quarantine.
    """

    list_id: str
    entry_id: str
    matched: int
    pictures: int


class FloodWatch:
    """Counts matched pictures by entry; every method may be called from any thread.

    Parameters
    ----------
    rule : FloodRule
        When an entry is put in quarantine.

    Notes
    -----
    Cost: a microsecond a match; a matched entry that has no counter costs a look at all of them where all are taken.
    Each process counts for itself; a forked child begins with what its parent had.
    """

    def __init__(self, rule: FloodRule) -> None:
        self.rule = rule
        self._change = threading.RLock()  # a log handler may ask which entry it is
        self._pictures = 0
        self._counts: dict[EntryName, list[int]] = {}  # count, error
        self._quarantined: dict[EntryName, Quarantined] = {}
        self._flagged = self._held = 0
        self._is_full = False

    def renew(self) -> None:
        """Take a fresh lock, in a forked child."""
        self._change = threading.RLock()

    def has(self, list_id: str, entry_id: str) -> bool:
        """Whether an entry is in quarantine."""
        return (list_id, entry_id) in self._quarantined

    def count(self, names: Iterable[tuple[str, str, str]]) -> None:
        """Count one picture.

        Parameters
        ----------
        names : iterable of (str, str, str)
            Name and identifier of the list, and identifier of each entry that the picture matched.
        """
        found = {(list_id, entry_id): list_name for list_name, list_id, entry_id in names}
        with self._change:
            if self._pictures >= self.rule.window:
                self._pictures = 0
                self._counts.clear()
            self._pictures += 1
            for name, list_name in found.items():
                if name in self._quarantined:
                    self._flagged += 1
                    self._held += self.rule.hold
                elif self._certain(name) >= self.rule.limit:
                    self._put(name, list_name)

    def _certain(self, name: EntryName) -> int:
        counter = self._counts.get(name)
        if counter is None:
            least = 0
            if len(self._counts) >= self.rule.max_entries:
                rarest = min(self._counts, key=lambda item: self._counts[item][0])
                least = self._counts.pop(rarest)[0]
            counter = self._counts[name] = [least, least]
        counter[0] += 1
        return counter[0] - counter[1]

    def _put(self, name: EntryName, list_name: str) -> None:
        if len(self._quarantined) >= self.rule.max_entries:
            if not self._is_full:
                _LOG.error(
                    "the quarantine is full: of %d entries; others that match as often are reported as always",
                    len(self._quarantined),
                )
            self._is_full = True
            return
        counter = self._counts[name]
        matched = counter[0] - counter[1]
        self._quarantined[name] = Quarantined(
            list_id=name[0], entry_id=name[1], matched=matched, pictures=self._pictures
        )
        # an entry may be named after its hash, so a log does not name it
        _LOG.warning(
            "an entry of the list %r matched %d of %d pictures and is in quarantine%s: Matcher.quarantined names it",
            list_name,
            matched,
            self._pictures,
            ", its matches are held back" if self.rule.hold else "",
        )

    def release(self, list_id: str, entry_id: str) -> bool:
        """Take an entry out of quarantine and count it from 0 again; False if it was not there."""
        with self._change:
            self._counts.pop((list_id, entry_id), None)
            self._is_full = False
            found = self._quarantined.pop((list_id, entry_id), None) is not None
        if found:
            _LOG.info("an entry of the list with the identifier %s was released from quarantine", list_id)
        return found

    @property
    def entries(self) -> tuple[Quarantined, ...]:
        """The entries in quarantine, in the order in which they came there."""
        with self._change:
            return tuple(self._quarantined.values())

    def to_dict(self) -> dict[str, int]:
        """Count: entries in quarantine, pictures that matched one since it was there, and those of them held back."""
        with self._change:
            return {"entries": len(self._quarantined), "flagged": self._flagged, "held": self._held}
