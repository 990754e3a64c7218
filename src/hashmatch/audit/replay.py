"""`replay_log`: the same answers again, from kept hashes and the lists' versions; or what differs.

Floor: audit. A replay searches the hashes that a record kept, so that it needs no picture. What lives in memory only
(crops, small rotations, and keypoints that no list compared) cannot be searched again; such answers are told apart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from hashmatch._version import __version__
from hashmatch.audit.reader import LogReader, LogRecord
from hashmatch.audit.recording import fingerprint_of, report_of, report_text
from hashmatch.errors import MissingVersionError, PolicyError
from hashmatch.lists import ReferenceList
from hashmatch.matching import ComparedList, Matcher, MatchReport
from hashmatch.policy import MatchPolicy

__all__ = ["Replayed", "replay_log"]

SAME: Final = "same"
_SOFTWARE: Final = f"hashmatch {__version__}"
_MOST_OPEN: Final = 4


@dataclass(frozen=True, slots=True)
class Replayed:
    """One answer, given again.

    Parameters
    ----------
    place : int
        Place of its record in the log.
    result : str
        ``"same"``: the report is the same byte for byte. ``"list"``, ``"policy"``, ``"software"``: it cannot be given
        again, or differs, and that is what differs. ``"memory"``: views that no record keeps were compared.
        ``"no-hashes"``: the record kept no hashes. ``"answer"``: nothing that is recorded differs, and the report does.
    what : str
        What differs, in words; empty if nothing does.
    """

    place: int
    result: str
    what: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"record": self.place, "result": self.result, "what": self.what}


def replay_log(
    reader: LogReader, lists: Iterable[str | os.PathLike[str]], *, key: bytes | None = None
) -> Iterator[Replayed]:
    """Give all answers of a log again.

    Parameters
    ----------
    reader : LogReader
        The log; verify it first.
    lists : iterable of path
        Files of the lists, in any order. Of a list that keeps its history (`ReferenceList.at`) any version that it
        remembers is searched; of another only the version that it has.
    key : bytes, optional
        Secret key of keypoint records, which no log holds.

    Yields
    ------
    Replayed
        One for each answer that is not purged, in the order of the log.

    Raises
    ------
    AuditError
        If a record is damaged or not readable.
    ReferenceListError
        If a list cannot be opened.
    """
    with _Replay(reader, key) as replay:
        for path in lists:
            replay.add(path)
        for record in reader:
            if record.content is not None and record.content["kind"] == "answer":
                yield replay.answer(record, record.content)


class _Replay(ExitStack):
    def __init__(self, reader: LogReader, key: bytes | None) -> None:
        super().__init__()
        self._reader, self._key = reader, key
        self._lists: dict[str, ReferenceList] = {}
        self._paths: dict[str, str | os.PathLike[str]] = {}
        self._matchers: dict[str, tuple[Matcher | None, str, str]] = {}
        self._contexts: dict[str, tuple[dict[str, Any], MatchPolicy | None, str]] = {}

    def add(self, path: str | os.PathLike[str]) -> None:
        reference = self.enter_context(ReferenceList.open(path, check="none"))
        self._lists[reference.list_id] = reference
        self._paths[reference.list_id] = path

    def answer(self, record: LogRecord, content: Mapping[str, Any]) -> Replayed:
        fingerprint = fingerprint_of(content)
        context, policy, wrong = self._context(str(content.get("context")), record)
        before = report_of(content, context)
        if fingerprint is None:
            return Replayed(record.place, "no-hashes", "the record kept no hashes")
        if policy is None:
            return Replayed(record.place, "policy", wrong)
        matcher, result, why = self._matcher(str(content["context"]), before, policy)
        if matcher is None:
            return Replayed(record.place, result, why)
        again = matcher.match_fingerprint(fingerprint)
        again = replace(again, protection=before.protection)  # how it was read is not asked again
        if report_text(again) == report_text(before):
            return Replayed(record.place, SAME)
        return self._difference(record.place, before, again, policy)

    @staticmethod
    def _difference(place: int, before: MatchReport, again: MatchReport, policy: MatchPolicy) -> Replayed:
        lost = set(before.views_compared) - set(again.views_compared)
        if lost:
            names = ", ".join(sorted(lost))
            return Replayed(place, "memory", f"no record keeps what these are searched with: {names}")
        if before.software != _SOFTWARE:
            alike = report_text(replace(again, software=before.software)) == report_text(before)
            said = "the answer is the same" if alike else "the answer differs"
            return Replayed(place, "software", f"answered by {before.software}, this is {_SOFTWARE}: {said}")
        if policy.flood is not None:
            return Replayed(place, "policy", "which entries were in quarantine is not recorded")
        return Replayed(place, "answer", "the answer differs, and nothing that is recorded does")

    def _context(self, leaf: str, record: LogRecord) -> tuple[dict[str, Any], MatchPolicy | None, str]:
        found = self._contexts.get(leaf)
        if found is None:
            named = self._reader.referred(record, "context")
            context = named.content or {}
            text = (self._reader.referred(named, "policy").content or {}).get("policy")
            policy, wrong = None, ""
            try:
                policy = MatchPolicy.from_dict(json.loads(str(text)))
                if policy.keypoints is not None and self._key is not None:
                    policy = replace(policy, keypoints=replace(policy.keypoints, key=self._key))
            except (PolicyError, ValueError) as error:
                wrong = f"this version cannot follow the policy: {error}"
            found = self._contexts[leaf] = context, policy, wrong
        return found

    def _matcher(self, leaf: str, report: MatchReport, policy: MatchPolicy) -> tuple[Matcher | None, str, str]:
        """Open a matcher for a context, once."""
        if leaf not in self._matchers:
            if len(self._matchers) >= _MOST_OPEN:
                matcher, _, _ = self._matchers.pop(next(iter(self._matchers)))
                if matcher is not None:
                    matcher.close()
            self._matchers[leaf] = self._opened(report, replace(policy, max_false_reports=None))
        return self._matchers[leaf]

    def _opened(self, report: MatchReport, policy: MatchPolicy) -> tuple[Matcher | None, str, str]:
        found = []
        for item in report.lists:
            reference, why = self._version(item)
            if reference is None:
                return None, "list", why
            found.append(reference)
        return self.enter_context(Matcher(found, policy)), "", ""

    def _version(self, item: ComparedList) -> tuple[ReferenceList | None, str]:
        """Open a list in the version that was searched; None and what is lacking where it is not at hand."""
        known = self._lists.get(item.list_id)
        if known is None:
            return None, f"the list {item.name!r} ({item.list_id}) is not at hand"
        said = f"the list {item.name!r} was searched in version {item.version}"
        if known.version == item.version:
            reference = ReferenceList.open(self._paths[item.list_id], check="none")
        else:
            try:
                reference = known.at(item.version)
            except MissingVersionError as error:
                return None, f"{said}: {error}"
        if reference.digest != item.digest:
            reference.close()
            return None, f"{said}: this file's was changed apart, its content is another"
        return reference, ""
