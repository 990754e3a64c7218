"""`Answering`: how one source, or one fingerprint, becomes a report that is counted, watched and recorded.

Floor: matching. The public face is `hashmatch.matching.matcher.Matcher`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from hashmatch.algorithms import DIGESTS
from hashmatch.deadline import NO_DEADLINE, Deadline
from hashmatch.errors import BusyError, PolicyError
from hashmatch.features.query import Query, kept_query, open_source, read_pixels, recalled_query
from hashmatch.hashes import Fingerprint, ViewHash
from hashmatch.matching.answer import answer
from hashmatch.matching.flood import FloodWatch
from hashmatch.matching.kept_lists import KeptLists
from hashmatch.matching.report import MatchReport, Outcome, OutcomeCounts
from hashmatch.policy import MatchPolicy
from hashmatch.store.state import ListState

if TYPE_CHECKING:
    from hashmatch.features.isolated import IsolatedReader
    from hashmatch.picture import ImageSource

__all__ = ["Answering", "ReadSource", "ReportRecorder", "chosen_lists", "names_of", "searchable"]

_SEARCH_SECONDS: Final = 5.0  # given to a search where a worker looked, or its own time if that is longer


class ReportRecorder(Protocol):
    """Gets every report before whoever asked does; `hashmatch.audit.Recorder` is one."""

    @property
    def digests(self) -> frozenset[str]:
        """Digests that it wants of every source that has bytes, whether a list holds some or not."""

    def __call__(self, report: MatchReport, fingerprint: Fingerprint, policy: MatchPolicy) -> None:
        """Record one report; an error is raised to whoever asked, in place of the answer."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReadSource:
    """A source whose bytes were read and digested; made by `Matcher.read`.

    Parameters
    ----------
    source : bytes, PIL image, array or path
        What is to be decoded.
    query : Query
        Digests, and why nothing is to be decoded.
    algorithms : frozenset of str
        Algorithms of the hashes that are made.
    """

    source: ImageSource = field(repr=False)
    query: Query = field(repr=False)
    algorithms: frozenset[str]

    @property
    def digests(self) -> Mapping[str, bytes]:
        """Digests of the whole file, by algorithm; empty where it could not be read to its end."""
        return {item.value.algorithm: item.value.data for item in self.query.hashes}


class Answering(KeptLists):
    """Lists that are kept up to date, and what an answer from them takes."""

    _counts: OutcomeCounts
    _flood: FloodWatch | None
    _reader: IsolatedReader | None
    _recorder: ReportRecorder | None

    def _counted(
        self,
        source: ImageSource,
        deadline: Deadline,
        stopped: Callable[[], bool] | None = None,
        lists: frozenset[str] | None = None,
    ) -> tuple[MatchReport, Query]:
        report, query = self._match(source, deadline, deadline.check if stopped is None else stopped, lists)
        self._counts.count(report)
        self._watch_flood(report)
        if self._recorder is not None:
            self._recorder(report, kept_query(query), self._policy)
        return report, query

    def _match(
        self,
        source: ImageSource,
        deadline: Deadline,
        stopped: Callable[[], bool],
        lists: frozenset[str] | None = None,
    ) -> tuple[MatchReport, Query]:
        decode = self._policy.decode if self._reader is None else self._reader.decode
        held = searchable(chosen_lists(self._open_snapshots(), lists))
        kept = frozenset[str]() if self._recorder is None else self._recorder.digests
        opened, digested = open_source(source, held, self._policy, decode, stopped, kept)
        return self._answered(
            lambda snapshots: self._match_in(chosen_lists(snapshots, lists), opened, digested, deadline)
        )

    def _match_in(
        self, snapshots: Sequence[ListState], source: ImageSource, digested: Query, deadline: Deadline
    ) -> tuple[MatchReport, Query]:
        held, digests = searchable(snapshots), digested.hashes
        if isinstance(source, bytes) and digested.failure is None:
            digests += self._further_digests(source, held - {item.value.algorithm for item in digests})
        known = self._by_digest(snapshots, digests)
        if known is not None:
            return known
        query = digested
        if digested.failure is None:
            query = read_pixels(source, digests, held, self._policy, self._reader, deadline)
        return self._searched(snapshots, query, deadline, source)

    def _searched(
        self, snapshots: Sequence[ListState], query: Query, deadline: Deadline, source: ImageSource
    ) -> tuple[MatchReport, Query]:
        """Answer; in a given time where a worker looked: what one that was taken over says may be dear to search."""
        if self._reader is None or query.protection is None:
            return self._answer(snapshots, query, deadline), query
        try:
            search = deadline.sooner(max(self._reader.seconds, _SEARCH_SECONDS))
            return self._answer(snapshots, query, search), query
        except BusyError:
            deadline.check()
            query = query.digests_alone("timeout", source)
            return self._answer(snapshots, query), query

    def _by_digest(
        self, snapshots: Sequence[ListState], digests: tuple[ViewHash, ...]
    ) -> tuple[MatchReport, Query] | None:
        """Answer by digests alone, where the policy stops at them and one is on a list."""
        if not digests or not self._policy.stop_at_digest:
            return None
        query = Query(hashes=digests, views=frozenset({"digests"}))
        report = self._answer(snapshots, query)
        return (report, query) if report.outcome is Outcome.MATCH else None

    def _is_by_digest(self, query: Query) -> bool:
        """Whether the digests decide, so that nothing is decoded."""
        if not self._policy.stop_at_digest or not query.hashes:
            return False
        return self._answered(lambda snapshots: (self._answer(snapshots, query), query))[0].outcome is Outcome.MATCH

    def _further_digests(self, data: bytes, wanted: frozenset[str]) -> tuple[ViewHash, ...]:
        """Digest a file by what was taken up after it was read."""
        from hashmatch.hashers.digest import digest  # who matches hashes loads no hasher

        return tuple(ViewHash(value=digest(data, name)) for name in self._policy.digests if name in wanted)

    def _recalled(self, fingerprint: Fingerprint, lists: Iterable[str] | None, *, waits: bool = True) -> MatchReport:
        if not isinstance(fingerprint, Fingerprint):
            raise TypeError(f"match_fingerprint takes a Fingerprint, not {type(fingerprint).__name__}")
        is_known = any(
            self._policy.rule_for(item.value.algorithm)
            or (item.value.algorithm == "keypoint" and self._policy.keypoints is not None)
            for item in fingerprint.view_hashes
        )
        if fingerprint.looked is None and not is_known:
            raise PolicyError(f"policy {self._policy.name!r} has no rule for any hash of this fingerprint")
        chosen = None if lists is None else names_of(lists)
        report = self._answered(
            lambda snapshots: self._recalled_in(chosen_lists(snapshots, chosen), fingerprint), waits=waits
        )[0]
        self._watch_flood(report)
        return report

    def _recalled_in(self, snapshots: Sequence[ListState], fingerprint: Fingerprint) -> tuple[MatchReport, Query]:
        query = recalled_query(fingerprint, searchable(snapshots), self._policy)
        digests = tuple(item for item in query.hashes if item.value.algorithm in DIGESTS)
        known = self._by_digest(snapshots, digests) if query.by_policy else None
        return known or self._searched(snapshots, query, NO_DEADLINE, b"")

    def _answer(self, snapshots: Sequence[ListState], query: Query, deadline: Deadline = NO_DEADLINE) -> MatchReport:
        quarantined = None if self._flood is None else self._flood.has
        return answer(snapshots, query, self._policy, deadline, quarantined)

    def _watch_flood(self, report: MatchReport) -> None:
        if self._flood is not None:
            self._flood.count((item.list_name, item.list_id, item.entry_id) for item in (*report.matches, *report.held))


def searchable(snapshots: Sequence[ListState]) -> frozenset[str]:
    """Algorithms that can be searched."""
    return frozenset(name for item in snapshots for name in item.sizes)


def names_of(lists: Iterable[str]) -> frozenset[str]:
    """Take the names of lists; one text would be taken apart into letters."""
    if isinstance(lists, str):
        raise ValueError("lists must be several names, as a tuple or a set, not one text")
    return frozenset(lists)


def chosen_lists(snapshots: Sequence[ListState], names: frozenset[str] | None) -> Sequence[ListState]:
    """Leave the lists of these names or identifiers."""
    if names is None:
        return snapshots
    found = tuple(item for item in snapshots if item.name in names or item.mark.list_id in names)
    if names - {item.name for item in found} - {item.mark.list_id for item in found}:
        raise ValueError(f"no list of such a name; there are: {', '.join(item.name for item in snapshots)}")
    return found
