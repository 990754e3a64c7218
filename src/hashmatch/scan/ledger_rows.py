"""What the rows of a ledger say: by what contents were compared, what is known of an item, what a report names.

Floor: scan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from hashmatch.lists import VersionMark
from hashmatch.matching import MatchReport, Outcome
from hashmatch.matching.kept_lists import SearchedList
from hashmatch.scan.ledger_file import damaged, mark_of

if TYPE_CHECKING:
    from hashmatch.matching import Match, Matcher
    from hashmatch.policy import MatchPolicy

__all__ = [
    "KEPT",
    "NOT_COMPARED",
    "OUTCOMES",
    "Basis",
    "LedgerCounts",
    "Stored",
    "brief_of",
    "checked",
    "hits_of",
    "is_loose",
    "list_form",
    "list_from",
    "lists_of",
    "policy_digest",
]

KEPT: Final = ("md5", "sha1", "sha256", "pdq")
"""Algorithms of which every fingerprint of a ledger has hashes, besides those that the lists hold."""

NOT_COMPARED: Final = "views-not-compared"
"""Reason of "no match" that cannot be said, because views were not compared."""

OUTCOMES: Final = tuple(Outcome)
"""Outcomes in the order of their numbers in a ledger."""

_LOOSE: Final = frozenset({"unconfirmed", "held", "list-damaged", "nothing-to-compare"})
"""Reasons that may go with a change of a list that no match names."""

Hits = frozenset[tuple[str, str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What contents of a ledger were compared by.

    Parameters
    ----------
    number : int
        Of the basis in its ledger, ascending.
    kind : str
        ``"scan"`` or ``"rescan"``.
    at : int
        When it began, seconds since 1970.
    policy : bytes
        SHA-256 of the policy.
    policy_name : str
        Its name.
    decode : str
        Version of the pixel contract, as `MatchReport.decode`.
    software : str
        ``"hashmatch <version>"``.
    lists : tuple of SearchedList
        The lists, at the versions up to which the contents were compared.
    algorithms : frozenset of str
        Algorithms of which fingerprints were made.
    gap : tuple of str
        Views that the policy asks for and in which entries added since were not compared.
    """

    number: int
    kind: str
    at: int
    policy: bytes
    policy_name: str
    decode: str
    software: str
    lists: tuple[SearchedList, ...]
    algorithms: frozenset[str]
    gap: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One item of a ledger.

    Parameters
    ----------
    number : int
        Of the item, ascending in the order in which items were done.
    key : bytes
        Keyed hash of its name, 16 bytes; see `Ledger.key_of`.
    name : bytes or None
        Its name, if the ledger keeps names.
    at : int
        When it was done, seconds since 1970.
    content : int or None
        Number of its content; None if its bytes could not be read.
    report : MatchReport
        The answer, as it was made.
    basis : Basis or None
        What it was compared by since; None without a content.
    withdrawn : tuple of (str, str, str)
        List, entry and algorithm of matches that were taken back.
    """

    number: int
    key: bytes
    name: bytes | None
    at: int
    content: int | None
    report: MatchReport
    basis: Basis | None
    withdrawn: tuple[tuple[str, str, str], ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The answer as of now: "no match" is undecidable where entries were added since that could not be compared."""
        gap = self.basis is not None and bool(self.basis.gap)
        return Outcome.UNDECIDABLE if gap and self.report.outcome is Outcome.NO_MATCH else self.report.outcome

    @property
    def reason(self) -> str | None:
        """The reason as of now."""
        return self.report.reason if self.outcome is self.report.outcome else NOT_COMPARED


@dataclass(slots=True)
class LedgerCounts:
    """What a ledger holds.

    Parameters
    ----------
    items, contents : int
        Items, and different contents among them.
    behind : int
        Contents that were compared with other versions of the lists than the last ones.
    """

    items: int
    contents: int
    behind: int


def checked(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """Give a row without its check value, which comes last and must be right."""
    if row is None or mark_of(*row[:-1]) != row[-1]:
        raise damaged()
    return row[:-1]


def policy_digest(policy: MatchPolicy) -> bytes:
    """SHA-256 of all that a policy asks, its secret key included."""
    key = None if policy.keypoints is None else policy.keypoints.key
    text = json.dumps(policy.to_dict(), sort_keys=True).encode()
    return hashlib.sha256(text + b"\0" + (b"" if key is None else hashlib.sha256(key).digest())).digest()


def lists_of(matcher: Matcher) -> tuple[SearchedList, ...]:
    """Give the lists of a matcher in the order in which a ledger remembers them."""
    return tuple(sorted(matcher.states, key=lambda item: item.mark.list_id))


def list_form(item: SearchedList) -> dict[str, Any]:
    """JSON-ready form; holds no hash."""
    return asdict(item) | {"algorithms": sorted(item.algorithms)}


def list_from(form: Any) -> SearchedList:
    """Read what `list_form` wrote."""
    return SearchedList(**(form | {"mark": VersionMark(**form["mark"]), "algorithms": frozenset(form["algorithms"])}))


def hits_of(report: MatchReport) -> Hits:
    """Give kind, list, entry and algorithm of everything that a report names."""
    kinds: tuple[tuple[str, Iterable[Match]], ...] = (
        ("match", report.matches),
        ("suppressed", (pair.match for pair in report.suppressed)),
        ("by", (pair.by for pair in report.suppressed)),
        ("comparison", report.comparisons),
        ("held", report.held),
    )
    return frozenset((kind, item.list_id, item.entry_id, item.algorithm) for kind, matches in kinds for item in matches)


def is_loose(report: MatchReport) -> bool:
    """Whether a report may rest on entries that it does not name."""
    cut = (
        report.n_matches > len(report.matches)
        or report.n_suppressed > len(report.suppressed)
        or report.n_comparisons > len(report.comparisons)
        or report.n_held > len(report.held)
    )
    return cut or report.reason in _LOOSE


def brief_of(report: MatchReport) -> object:
    """Give a key that is equal for reports that say the same; None for those that name an entry."""
    if report.matches or report.suppressed or report.comparisons or report.held:
        return None
    lists = tuple(
        (item.list_id, item.digest, item.n_entries, *item.compared.items(), *item.not_compared.items())
        for item in report.lists
    )
    return (
        report.outcome,
        report.reason,
        report.format,
        report.quality,
        report.policy,
        report.decode,
        report.protection,
        report.views_compared,
        report.views_not_compared,
        report.frames,
        lists,
        report.software,
    )
