"""Match what a ledger holds again, when lists, or the policy, have changed; no picture is needed.

Floor: scan. Where a list has only grown, shrunk or been relabelled since, its changed entries are searched in the
hashes of all views that the ledger holds, and those contents alone are answered anew that an entry is near to, or that
an entry which changed is named for. Everything else about them, such as what a benign entry suppresses, is then
decided by the matcher, as for a picture. In all other cases (another policy, a list that is new, gone, compacted or
put in another's place, algorithms or roles that a list did not have) every content is answered anew.

What a fingerprint lacks is told: crops, small rotations and keypoints are searched with small pictures, which no ledger
keeps. "No match" is undecidable then, for ``views-not-compared``; such files are to be scanned again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import LedgerError
from hashmatch.index import LinearIndex, build_index
from hashmatch.lists import ReferenceList
from hashmatch.matching import Match, Matcher, MatchReport, Outcome
from hashmatch.scan.ledger_rows import NOT_COMPARED, policy_digest
from hashmatch.view import VIEW_KINDS

if TYPE_CHECKING:
    import os

    from hashmatch.lists import Entry
    from hashmatch.matching.kept_lists import SearchedList
    from hashmatch.policy import MatchPolicy
    from hashmatch.scan.ledger import Ledger
    from hashmatch.scan.ledger_rows import Basis

__all__ = ["Answered", "Rescan", "rescan"]

_NOT_KEPT: Final = frozenset({"rotations", "crops", "keypoints"})
_SCANNED: Final = 16_384
_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Answered:
    """A content whose answer is another than before.

    Parameters
    ----------
    content : int
        Its number in the ledger.
    before, now : MatchReport
        The answers.
    gained, withdrawn : tuple of Match
        Matches that were not there before, and those that are taken back.
    """

    content: int
    before: MatchReport
    now: MatchReport
    gained: tuple[Match, ...]
    withdrawn: tuple[Match, ...]


@dataclass(slots=True)
class Rescan:
    """What a rescan did; `rescan` fills it.

    Parameters
    ----------
    contents : int
        Contents of the ledger.
    answered : int
        Contents that were answered anew.
    changed_entries : int
        Entries of lists that were added or changed since; 0 where everything was answered anew.
    whole : bool
        Whether some contents had all to be answered anew.
    gap : tuple of str
        Views that the policy asks for, and in which some contents were not compared with what is new.
    to_scan : int
        Contents of which "no match" cannot be said for that: to be scanned again.
    """

    contents: int = 0
    answered: int = 0
    changed_entries: int = 0
    whole: bool = False
    gap: tuple[str, ...] = ()
    to_scan: int = 0


@dataclass(slots=True)
class _Changes:
    """What of the lists is another than a basis knows."""

    entries: dict[str, list[bytes]] = field(default_factory=dict)
    touched: dict[str, set[str]] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    n_entries: int = 0

    def add(self, list_id: str, entry: Entry, *, selected: bool) -> None:
        """Add a changed entry."""
        self.n_entries += 1
        self.touched.setdefault(list_id, set()).add(entry.entry_id)
        for value in entry.hashes:
            # by a selection an entry can come into reach through its classes alone
            self.new |= {value.algorithm} if selected else set()
            self.entries.setdefault(value.algorithm, []).append(value.data)


def rescan(
    ledger: Ledger,
    *lists: str | os.PathLike[str],
    policy: MatchPolicy,
    without: Iterable[str] = (),
    index_folder: str | os.PathLike[str] | None = None,
    summary: Rescan | None = None,
) -> Iterator[Answered]:
    """Match all contents of a ledger again.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    *lists : path
        The lists, all of those that the ledger was matched against.
    policy : MatchPolicy
        The policy: the one before, or another, by which everything is answered anew.
    without : iterable of str
        Names or identifiers of lists that are given no longer, and whose matches are taken back.
    index_folder : path, optional
        As for `Matcher.open`.
    summary : Rescan, optional
        A new object, which is filled.

    Yields
    ------
    Answered
        Each content whose outcome or matches have changed. All is written as one transaction after the last of them: a
        rescan that ends early has changed nothing.

    Raises
    ------
    LedgerError
        If a list that the ledger was matched against is missing (``other-lists``), or what is read is damaged.
    ReferenceListError
        If a list cannot be read.

    Notes
    -----
    Cost: nothing has changed, a few rows. n entries have changed: one scan of all stored hashes for each of their
    hashes, 0.3 nanoseconds a pair, and under a millisecond for each content that is answered anew. Lists are indexed
    only if something has changed.
    """
    summary = Rescan() if summary is None else summary
    with ExitStack() as stack:
        opened = [stack.enter_context(ReferenceList.open(Path(path), check="none")) for path in lists]
        present = {item.list_id: item for item in opened}
        dropped = _dropped(ledger, present, frozenset(without))
        counts = ledger.counts()
        summary.contents = counts.contents
        digest = policy_digest(policy)
        stale = [basis for basis in ledger.bases if not _is_current(basis, present, digest, policy)]
        stale = [basis for basis in stale if ledger.contents_of(basis, most=1)]
        if stale:
            matcher = stack.enter_context(Matcher.open(*lists, policy=policy, index_folder=index_folder))
            stack.enter_context(ledger.as_one())
            run = _Run(ledger, matcher, present, dropped, summary)
            for basis in stale:
                yield from run.brought_up(basis)
        gaps = [basis.gap for basis in ledger.bases if basis.gap and ledger.contents_of(basis, most=1)]
        summary.gap = tuple(view for view in VIEW_KINDS if any(view in gap for gap in gaps))
        summary.to_scan = ledger.not_compared()


def _dropped(ledger: Ledger, present: Mapping[str, ReferenceList], without: frozenset[str]) -> frozenset[str]:
    """Give the lists whose matches are to be taken back; all others that the ledger knows must be there."""
    known = {item.mark.list_id: item.name for basis in ledger.bases for item in basis.lists}
    live = {list_id for list_id in known if list_id not in present and ledger.has_contents_of(list_id)}
    dropped = {list_id for list_id in live if {list_id, known[list_id]} & without}
    for list_id in sorted(live - dropped):
        raise LedgerError(
            f"the ledger was matched against the list {known[list_id]!r} too, which is not given: give it as well, or"
            " say that it is to be left out and its matches taken back (without=, --without)",
            reason="other-lists",
        )
    return frozenset(dropped)


def _is_current(basis: Basis, present: Mapping[str, ReferenceList], digest: bytes, policy: MatchPolicy) -> bool:
    if (basis.policy, basis.decode) != (digest, policy.decode.contract) or len(basis.lists) != len(present):
        return False
    for item in basis.lists:
        reference = present.get(item.mark.list_id)
        if reference is None:
            return False
        with reference.present() as now:
            if now.mark != item.mark:
                return False
    return True


class _Run:
    """One rescan, within a transaction of the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        matcher: Matcher,
        present: Mapping[str, ReferenceList],
        dropped: frozenset[str],
        summary: Rescan,
    ) -> None:
        self._ledger, self._matcher, self._present = ledger, matcher, present
        self._dropped, self._summary = dropped, summary
        self._policy = matcher.policy
        self._basis = ledger.begin(matcher, "rescan")

    def brought_up(self, basis: Basis) -> Iterator[Answered]:
        """Answer the contents of a basis anew that may have another answer, and say that the others have not."""
        changes = self._changes(basis)
        if changes is None:
            self._summary.whole = True
            wanted, gap = self._ledger.contents_of(basis), frozenset(_NOT_KEPT)
        else:
            self._summary.changed_entries = max(self._summary.changed_entries, changes.n_entries)
            gap = self._policy.asked_views(frozenset(changes.new)) & _NOT_KEPT
            near = self._near(changes) | self._named(basis, changes)
            mine = self._ledger.contents_of(basis, among=sorted(near))
            wanted = sorted({*mine, *self._ledger.contents_of(basis, loose=True)})
        for number in wanted:
            yield from self._answered(number, basis, gap, whole=changes is None)
        if changes is not None:
            self._ledger.bring_up(basis, self._basis.lists, gap)

    def _changes(self, basis: Basis) -> _Changes | None:
        """Find out what has changed in the lists; None where everything must be answered anew."""
        now = {item.mark.list_id: item for item in self._basis.lists}
        if (basis.policy, basis.decode) != (self._basis.policy, self._basis.decode):
            return None
        if now.keys() != {item.mark.list_id for item in basis.lists}:
            return None
        changes = _Changes()
        for old in basis.lists:
            if not self._add_changes(changes, old, now[old.mark.list_id]):
                return None
        return changes

    def _add_changes(self, changes: _Changes, old: SearchedList, new: SearchedList) -> bool:
        if old.mark == new.mark:
            return True
        if (old.algorithms, old.roles, old.closed) != (new.algorithms, dict(new.roles), new.closed):
            return False
        list_id = old.mark.list_id
        with self._present[list_id].pinned() as pinned:
            if pinned.mark != new.mark or not pinned.came_from(old.mark):
                return False
            added, keys = pinned.changes_since(old.mark.version), pinned.keys_changed_since(old.mark.version)
            if added is None or keys is None:
                return False
            changes.new |= {name for rows in (added.added, added.records) for name, some in rows.items() if len(some)}
            for key in keys.tolist():
                entry = pinned.entry(key, since=pinned.version)
                if entry is not None:
                    changes.add(list_id, entry, selected=bool(self._policy.selections))
        return True

    def _near(self, changes: _Changes) -> set[int]:
        """Find the contents that have a hash within the widest threshold of one of a changed entry."""
        found: set[int] = set()
        for algorithm, data in changes.entries.items():
            rule = self._policy.rule_for(algorithm)
            if rule is None or not ALGORITHMS[algorithm].n_bits:
                continue
            n_bytes, metric = ALGORITHMS[algorithm].n_bytes, ALGORITHMS[algorithm].metric
            codes = np.unique(np.frombuffer(b"".join(data), np.uint8).reshape(-1, n_bytes), axis=0)
            index = build_index(codes, metric=metric, radius=rule.threshold) if len(codes) > _SCANNED else None
            for owners, stored in _joined(self._ledger.blocks(algorithm)):
                if index is not None:
                    rows = index.search_batch(stored, rule.threshold)[0]
                else:  # the many are scanned for the few
                    rows = LinearIndex.build(stored, metric=metric).search_batch(codes, rule.threshold)[1]
                found.update(owners[rows].tolist())
        return found

    def _named(self, basis: Basis, changes: _Changes) -> set[int]:
        """Find the contents whose reports name an entry that was changed or withdrawn."""
        found: set[int] = set()
        for item in basis.lists:
            list_id = item.mark.list_id
            reports = self._ledger.matched_entries(list_id)
            touched = changes.touched.get(list_id, set())
            there = self._present[list_id].get_many(reports) if reports else {}
            for entry_id, contents in reports.items():
                if entry_id in touched or entry_id not in there:
                    found.update(contents)
        return found

    def _answered(self, number: int, basis: Basis, gap: frozenset[str], *, whole: bool) -> Iterator[Answered]:
        before, _ = self._ledger.answer_of(number)
        now = self._matcher.match_fingerprint(self._ledger.fingerprint(number))
        now = self._merged(before, now, gap | frozenset(basis.gap), whole=whole)
        self._ledger.answer_anew(number, self._basis, now)
        self._summary.answered += 1
        there, here = ({_slot(item): item for item in report.matches} for report in (before, now))
        gained = tuple(item for slot, item in here.items() if slot not in there)
        withdrawn = tuple(item for slot, item in there.items() if slot not in here)
        if gained or withdrawn or (before.outcome, before.reason) != (now.outcome, now.reason):
            yield Answered(number, before, now, gained, withdrawn)

    def _merged(self, before: MatchReport, now: MatchReport, gap: frozenset[str], *, whole: bool) -> MatchReport:
        """Add to a new answer what only the picture could tell, and which still holds.

        Matches by evidence and by keypoints stay while their entry does; views of the picture count as compared if
        nothing has come since that would have to be compared in them.
        """
        kept = [item for item in before.matches if _is_of_picture(item) and self._still_listed(item)]
        slots = {_slot(item) for item in now.matches}
        matches = (*now.matches, *(item for item in kept if _slot(item) not in slots))[: self._policy.max_matches]
        views = set() if whole else {*before.views_compared} & {*now.views_not_compared} & _NOT_KEPT - gap
        compared, lacking = {*now.views_compared} | views, {*now.views_not_compared} - views
        outcome, reason = now.outcome, now.reason
        if reason == NOT_COMPARED and not lacking - {"digests", "frames"}:
            outcome, reason = Outcome.NO_MATCH, None
        if matches:
            outcome = Outcome.MATCH
        return replace(
            now,
            outcome=outcome,
            reason=reason,
            matches=matches,
            n_matches=now.n_matches + len(matches) - len(now.matches),
            protection=before.protection,
            views_compared=tuple(kind for kind in VIEW_KINDS if kind in compared),
            views_not_compared=tuple(kind for kind in VIEW_KINDS if kind in lacking),
        )

    def _still_listed(self, item: Match) -> bool:
        reference = self._present.get(item.list_id)
        entry = None if reference is None else reference.get(item.entry_id)
        return entry is not None and any(value.algorithm == item.algorithm for value in entry.hashes)


def _is_of_picture(item: Match) -> bool:
    return item.evidence is not None or item.placement is not None


def _slot(item: Match) -> tuple[str, str, str]:
    return item.list_id, item.entry_id, item.algorithm


def _joined(
    blocks: Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Join blocks to arrays that are worth a scan."""
    owners: list[NDArray[np.int64]] = []
    codes: list[NDArray[np.uint8]] = []
    for some, data in blocks:
        owners.append(some)
        codes.append(data)
        if sum(map(len, owners)) >= _ROWS:
            yield np.concatenate(owners), np.concatenate(codes)
            owners, codes = [], []
    if owners:
        yield np.concatenate(owners), np.concatenate(codes)
