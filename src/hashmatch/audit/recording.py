"""From a report to the records of a log, and back.

Floor: audit. What stays the same from picture to picture is written once: the policy, and the *context*, which says
with which lists, versions, algorithms and software the answers that name it were given. A record names another by its
leaf, so that one record's proof covers all that it rests on.

A record holds no pixel, no file name and no hash of a list. Digests of the picture's file are kept as the recorder is
told; hashes of the picture only with ``keep_hashes``.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from hashmatch.algorithms import ALGORITHMS, DIGESTS
from hashmatch.errors import AuditError, HashFormatError
from hashmatch.hashes import Fingerprint
from hashmatch.matching import MatchReport

if TYPE_CHECKING:
    from hashmatch.audit.log import AuditLog, QueuedRecord
    from hashmatch.policy import MatchPolicy

__all__ = ["Recorder", "fingerprint_of", "report_of", "report_text"]

_OF_CONTEXT: Final = ("lists", "policy", "software", "decode", "views_compared", "views_not_compared", "protection")
_FOUND: Final = ("matches", "suppressed", "comparisons", "held", "n_suppressed", "n_comparisons", "n_held")
_PLAIN: Final = ("reason", "format", "quality")
_MOST_CONTEXTS: Final = 16
_PACKAGES: Final = ("numpy", "scipy", "pillow", "pillow-heif", "imagehash")


def report_text(report: MatchReport) -> str:
    """JSON of a report, of one spelling: equal reports have equal texts."""
    return _text(report.to_dict())


_text: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class Recorder:
    """Writes every report of a matcher to a log: give it to ``Matcher.open(..., recorder=...)``.

    Parameters
    ----------
    log : AuditLog
        Where.
    actor : str
        Who or which process asks, for people.
    keep_hashes : bool
        Whether the hashes of the picture are kept, which a replay needs. They tell what the picture looks like, and
        those of a listed picture are those of the list.
    digests : iterable of str
        Digests of the picture's file that are kept, so that a record can be tied to a file: ``"md5"``, ``"sha1"``,
        ``"sha256"``. Arrays and PIL images have none.
    retention : callable or None
        Gives the retention class of a report, by which `hashmatch.audit.purge` chooses. By default it is the outcome.
    wait : bool
        Whether an answer is given only after its record is on the disk. Without it only a match waits; other records
        follow within about a second of pictures, or with `AuditLog.flush`.
    """

    def __init__(
        self,
        log: AuditLog,
        *,
        actor: str = "",
        keep_hashes: bool = False,
        digests: Sequence[str] = ("sha256",),
        retention: Callable[[MatchReport], str] | None = None,
        wait: bool = False,
    ) -> None:
        self.digests = frozenset(digests)
        if not self.digests <= DIGESTS:
            raise ValueError(f"digests are of {', '.join(sorted(DIGESTS))}")
        self._log, self._actor, self._keep, self._wait = log, actor, keep_hashes, wait
        self._retention = retention
        self._versions = _versions()
        self._contexts: list[tuple[tuple[Any, ...], QueuedRecord]] = []
        self._policies: dict[str, QueuedRecord] = {}

    def __call__(self, report: MatchReport, fingerprint: Fingerprint, policy: MatchPolicy) -> None:
        """Record one answer; errors as `AuditLog.append`."""
        self.record(report, fingerprint, policy)

    def record(self, report: MatchReport, fingerprint: Fingerprint | None, policy: MatchPolicy) -> int | None:
        """Record one answer; returns its place in the log if it was waited for."""
        record: dict[str, Any] = {
            "kind": "answer",
            "time": time.time_ns() // 1000,
            **_named("context", self._context(report, policy)),
            "outcome": report.outcome.value,
        }
        if self._retention is not None:
            record["retention"] = self._retention(report)
        plain = {name: getattr(report, name) for name in _PLAIN}
        record |= {name: value for name, value in plain.items() if value is not None}
        if report.n_matches:
            record["n_matches"] = report.n_matches
        if report.frames is not None:
            record["frames"] = report.frames.to_dict()
        if any(getattr(report, name) for name in _FOUND):
            whole = report.to_dict()
            record["found"] = _text({name: whole[name] for name in _FOUND if whole[name]})
        if fingerprint is not None:
            values = fingerprint.view_hashes
            said = {item.value.algorithm: item.value.hex() for item in values if item.value.algorithm in self.digests}
            if said:
                record["input"] = said
            if self._keep:
                record["hashes"] = base64.b64encode(fingerprint.to_bytes()).decode()
        if self._wait or report.matches:
            return self._log.append(record)
        self._log.queue(record)
        return None

    def _context(self, report: MatchReport, policy: MatchPolicy) -> QueuedRecord:
        """Give the context of a report, which is written before its first answer."""
        key = (policy, os.getpid(), *(getattr(report, name) for name in _OF_CONTEXT))
        for known, record in self._contexts:
            if known == key:
                return record
        whole = report.to_dict()
        names = {name for item in report.lists for name in item.compared}
        written = self._log.queue(
            {
                "kind": "context",
                "time": time.time_ns() // 1000,
                **_named("policy", self._policy(policy)),
                "report": _text({name: whole[name] for name in _OF_CONTEXT}),
                "algorithms": {name: str(ALGORITHMS[name].version) for name in sorted(names)},
                "software": report.software,
                "packages": self._versions,
                "actor": self._actor,
                "process": os.getpid(),
            }
        )
        self._contexts = [*self._contexts[1 - _MOST_CONTEXTS :], (key, written)]
        return written

    def _policy(self, policy: MatchPolicy) -> QueuedRecord:
        text = _text(policy.to_dict())
        if text not in self._policies:
            self._policies[text] = self._log.queue({"kind": "policy", "policy": text})
        return self._policies[text]


def _named(name: str, record: QueuedRecord) -> dict[str, Any]:
    """Name a record by its leaf, and by its place as soon as it has one."""
    found: dict[str, Any] = {name: base64.b64encode(record.leaf).decode()}
    return found if record.index < 0 else found | {f"{name}_at": record.index}


def report_of(answer: Mapping[str, Any], context: Mapping[str, Any]) -> MatchReport:
    """Make the report again from a record and its context.

    Raises
    ------
    AuditError
        If they do not make one: they may be of a later version.
    """
    try:
        data: dict[str, Any] = {"matches": [], "n_matches": 0, "reason": None, "quality": None}
        data |= json.loads(context["report"])
        data |= {"outcome": answer["outcome"]} | {
            name: answer[name] for name in (*_PLAIN, "frames", "n_matches") if name in answer
        }
        data |= json.loads(answer.get("found", "{}"))
        return MatchReport.from_dict(data)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise AuditError(
            "the record is not readable; a later hashmatch may have written it", reason="bad-record"
        ) from None


def fingerprint_of(answer: Mapping[str, Any]) -> Fingerprint | None:
    """Hashes that a record kept; None where it kept none.

    Raises
    ------
    AuditError
        If they are not readable.
    """
    if "hashes" not in answer:
        return None
    try:
        return Fingerprint.from_bytes(base64.b64decode(answer["hashes"], validate=True))
    except (HashFormatError, TypeError, ValueError, binascii.Error):
        raise AuditError("the hashes of a record are not readable", reason="bad-record") from None
