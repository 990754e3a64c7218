"""From a query to its report: the one place where the outcome is decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING, Final

from hashmatch._version import __version__
from hashmatch.deadline import NO_DEADLINE, Deadline
from hashmatch.matching.hits import find_hits
from hashmatch.matching.report import ComparedList, MatchReport, Outcome
from hashmatch.matching.verdicts import find_plainly, judge
from hashmatch.view import VIEW_KINDS

if TYPE_CHECKING:
    from hashmatch.features.query import Query
    from hashmatch.policy import MatchPolicy
    from hashmatch.store.state import ListState

__all__ = ["answer"]

_SOFTWARE: Final = f"hashmatch {__version__}"
_NOT_OF_EVERY_SOURCE: Final = frozenset(
    {"digests", "frames"}
)  # arrays have no bytes; frames have a reason of their own


def answer(
    snapshots: Sequence[ListState],
    query: Query,
    policy: MatchPolicy,
    deadline: Deadline = NO_DEADLINE,
    quarantined: Callable[[str, str], bool] | None = None,
) -> MatchReport:
    """Search all lists and report.

    Parameters
    ----------
    snapshots : sequence of ListState
        The lists.
    query : Query
        What is searched with, and why the picture could not be read to its end where it could not.
    policy : MatchPolicy
        What counts as a match.
    deadline : Deadline
        When to give up.
    quarantined : callable or None
        Whether the entry of a list's identifier and its own is in quarantine.

    Raises
    ------
    BusyError
        If the time is over.
    MovedOn
        If something was found that a list no longer holds as the snapshot did: ask a later one.
    ReferenceListError
        If a list is damaged where it was searched, or where it says what a found entry is, and nothing else matched;
        it names the list. Beside a match it is the reason ``list-damaged``.
    """
    good = query.searched_hashes(policy)
    searched = query.searched(good)
    # where all listings are for alarm and one rule holds for each algorithm, the best hits alone are looked up
    in_full = policy.judges_entries or any(item.roles for item in snapshots)
    hits, failures = find_hits(snapshots, query, good, policy, deadline, every=in_full)
    if in_full:
        found = judge(hits, searched, policy, quarantined, failures, deadline)
    else:
        found = find_plainly(hits, policy, quarantined, failures, deadline)
    matches = found.matches
    if failures and not matches and not found.held:
        raise failures[0]
    lists = tuple(_compared(item, searched) for item in snapshots)
    asked = policy.asked_views(frozenset(name for item in snapshots for name in item.sizes))
    compared = query.compared_views(policy, good, searched)
    done, missing = asked & compared, asked - compared
    reason = query.failure or ("list-damaged" if failures else _gap(snapshots, query, searched, lists, asked))
    if found.held and not matches:
        reason = query.failure or "held"
    if reason is None and not matches and found.doubts:
        reason = max(found.doubts)  # near an entry whose hash says too little to tell, or that nothing confirms
    outcome = Outcome.NO_MATCH
    if matches:
        outcome = Outcome.MATCH
    elif query.failure is not None:
        outcome = Outcome.UNREADABLE
    elif reason is not None:
        outcome = Outcome.UNDECIDABLE
    qualities = [item.quality for item in query.hashes if item.quality is not None]
    return MatchReport(
        outcome=outcome,
        matches=tuple(matches),
        n_matches=found.n_matches,
        reason=reason,
        format=query.format,
        lists=lists,
        quality=max(qualities, default=None),
        policy=policy.name,
        software=_SOFTWARE,
        decode=policy.decode.contract,
        protection=query.protection,
        views_compared=tuple(kind for kind in VIEW_KINDS if kind in done),
        views_not_compared=tuple(kind for kind in VIEW_KINDS if kind in missing),
        frames=query.frames,
        suppressed=tuple(found.suppressed),
        comparisons=tuple(found.comparisons),
        held=tuple(found.held),
        n_suppressed=found.n_suppressed,
        n_comparisons=found.n_comparisons,
        n_held=found.n_held,
    )


def _compared(snapshot: ListState, searched: Set[str]) -> ComparedList:
    """Say what of a list a picture was compared with, by the algorithms that were searched."""
    return ComparedList(
        name=snapshot.name,
        list_id=snapshot.mark.list_id,
        version=snapshot.mark.version,
        digest=snapshot.mark.digest,
        n_entries=snapshot.n_entries,
        compared={name: n for name, n in snapshot.sizes.items() if name in searched},
        not_compared=snapshot.n_left_out(searched),
        entries_not_compared=snapshot.n_closed_entries(searched),
    )


def _gap(
    snapshots: Sequence[ListState],
    query: Query,
    searched: set[str],
    lists: tuple[ComparedList, ...],
    asked: frozenset[str],
) -> str | None:
    """Say why "nothing was near" would claim more than was compared; None where it would not.

    Each list is asked for itself: the report names them all, and "no match" would be said of every one.
    """
    measured = {item.value.algorithm for item in query.hashes if item.quality is not None}
    if query.frames is not None and not query.frames.is_whole:
        return "frames-unseen"
    perceptual = measured | ({"keypoint"} if query.keypoints else set())
    of_lists = [perceptual & item.sizes.keys() for item in snapshots]
    if any(names and not names & searched for names in of_lists):
        return "too-plain"
    if not lists or not all(item.compared for item in lists):
        return "nothing-to-compare"
    if not query.by_policy:
        return None  # hashes that somebody gave were compared as they are; the report names the views they are not of
    if any(item.is_closed_to_pictures for item in snapshots):
        return "nothing-to-compare"
    if asked - query.views - _NOT_OF_EVERY_SOURCE:
        return "views-not-compared"
    return None
