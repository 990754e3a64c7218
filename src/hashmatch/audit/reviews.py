"""What is said of an answer later, the figures of a year, and what is purged.

Floor: audit. A verdict and a complaint are records of their own. The figures come from the log alone: what a purge
takes from them stands in the record of the purge.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hashmatch.audit.layout import UnfitFrame
from hashmatch.audit.log import AuditLog
from hashmatch.audit.reader import LogReader
from hashmatch.audit.words import parsed, unrolled
from hashmatch.errors import AuditError
from hashmatch.matching import Outcome

__all__ = ["Purged", "add_complaint", "add_verdict", "purge_log", "yearly_figures"]

_OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
_NAMES: Final = ("items", "matches", "confirmed", "errors", "complaints", *(f"outcome: {name}" for name in _OUTCOMES))
_MICROSECONDS: Final = 1_000_000
_LAST_YEAR: Final = 9999
_ABOUT: Final = ("verdict", "complaint")


def add_verdict(log: AuditLog, place: int, confirmed: bool, *, why: str = "", actor: str = "") -> int:
    """Record what a person found of a match: a later verdict on the same answer supersedes an earlier one.

    Parameters
    ----------
    log : AuditLog
        The log.
    place : int
        Place of the answer's record.
    confirmed : bool
        True: it is what the list says. False: it is not, the match was an error.
    why, actor : str
        Reason, and who says so.

    Returns
    -------
    int
        Place of the new record.

    Raises
    ------
    AuditError
        If that record is no match, or is purged.
    """
    return _add(log, place, {"kind": "verdict", "confirmed": bool(confirmed)}, why, actor, only_match=True)


def add_complaint(log: AuditLog, place: int, *, why: str = "", actor: str = "") -> int:
    """Record that somebody complained of an answer; parameters, result and errors as `add_verdict`."""
    return _add(log, place, {"kind": "complaint"}, why, actor, only_match=False)


def _add(log: AuditLog, place: int, record: dict[str, Any], why: str, actor: str, *, only_match: bool) -> int:
    log.flush()
    with LogReader(log.folder) as reader:
        content = reader.record(place).content
    if content is None:
        raise AuditError(f"record {place} is purged", reason="purged")
    if content["kind"] != "answer" or (only_match and content.get("outcome") != Outcome.MATCH.value):
        raise AuditError(f"record {place} is no {'match' if only_match else 'answer'}", reason="no-record")
    return log.append(record | {"of": place, "time": time.time_ns() // 1000, "why": why, "actor": actor})


def _year(content: Mapping[str, Any]) -> int:
    return min(time.gmtime(content["time"] // _MICROSECONDS).tm_year, _LAST_YEAR)


@dataclass(slots=True)
class _Tally:
    """Counts answers and what was said of them; of each answer two bytes are kept."""

    answers: array[int] = field(default_factory=lambda: array("H"))
    verdicts: dict[int, bool] = field(default_factory=dict)
    complaints: Counter[int] = field(default_factory=Counter)
    purged: dict[int, Counter[str]] = field(default_factory=dict)

    def add(self, place: int, content: Mapping[str, Any]) -> None:
        self.answers.extend([0] * (place + 1 - len(self.answers)))
        kind = content["kind"]
        if kind == "answer" and content["outcome"] in _OUTCOMES:
            self.answers[place] = (_year(content) - 1900) * 8 + _OUTCOMES.index(content["outcome"])
        elif kind == "verdict":
            self.verdicts[content["of"]] = content["confirmed"]
        elif kind == "complaint":
            self.complaints[content["of"]] += 1
        elif kind == "purge":
            for told in unrolled(content["records"], len(self.answers)):
                self.answers[told] = 0
            self._add_purged(content.get("counts"))

    def _add_purged(self, counts: Any) -> None:
        for year, figures in counts.items() if isinstance(counts, dict) else ():
            if year.isascii() and year.isdigit() and isinstance(figures, dict):
                kept = {name: n for name, n in figures.items() if name in _NAMES and type(n) is int}
                self.purged.setdefault(int(year[:4]), Counter()).update(kept)

    def figures(self) -> dict[int, dict[str, int]]:
        found = {year: Counter(counts) for year, counts in self.purged.items()}
        for packed, count in Counter(self.answers).items():
            if packed:
                of_year = found.setdefault(packed // 8 + 1900, Counter())
                outcome = _OUTCOMES[packed % 8]
                of_year.update({"items": count, f"outcome: {outcome}": count})
                of_year["matches"] += count if outcome == Outcome.MATCH.value else 0
        for about, confirmed in self.verdicts.items():
            if 0 <= about < len(self.answers) and self.answers[about]:
                found[self.answers[about] // 8 + 1900]["confirmed" if confirmed else "errors"] += 1
        for about, count in self.complaints.items():
            if 0 <= about < len(self.answers) and self.answers[about]:
                found[self.answers[about] // 8 + 1900]["complaints"] += count
        return {year: {name: counts[name] for name in _NAMES} for year, counts in sorted(found.items())}


def yearly_figures(reader: LogReader) -> dict[int, dict[str, int]]:
    """Count by year of the answer (UTC): items, matches, confirmed, errors, complaints, and items by outcome.

    A match is confirmed or an error by its last verdict. What was purged still counts.

    Raises
    ------
    AuditError
        If a record is damaged.

    Notes
    -----
    Cost: about 15 microseconds and 2 bytes a record.
    """
    tally = _Tally()
    for record in reader:
        if record.content is not None:
            tally.add(record.place, record.content)
    return tally.figures()


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge did.

    Parameters
    ----------
    answers : int
        Number of answers that were purged now.
    records : int
        Number of all records, with what was said of these answers.
    finished : int
        Number of records that an earlier purge, which was interrupted, had left.
    """

    answers: int
    records: int
    finished: int


def purge_log(
    log: AuditLog,
    *,
    why: str,
    actor: str = "",
    before: float | None = None,
    retention: str | None = None,
    unconfirmed: bool = False,
    places: Iterable[int] = (),
) -> Purged:
    """Overwrite answers, and the verdicts and complaints about them; figures and tree stay.

    Parameters
    ----------
    log : AuditLog
        The log.
    why, actor : str
        Reason, and who asks; kept in the log.
    before : float, optional
        Seconds since 1970: only answers that were given earlier.
    retention : str, optional
        Only answers of this retention class.
    unconfirmed : bool
        Only answers that no verdict confirms.
    places : iterable of int
        Only these records. Without any of the four nothing is purged but what an interrupted purge left.

    Raises
    ------
    AuditError
        As `AuditLog.purge`; or if a record is damaged, or one that is named is no answer.
    """
    log.flush()
    wanted = frozenset(places)
    answers: dict[int, Mapping[str, Any]] = {}
    later: list[tuple[int, Mapping[str, Any]]] = []
    told: set[int] = set()
    gone: set[int] = set()
    chosen = bool(wanted) or before is not None or retention is not None or unconfirmed
    with LogReader(log.folder) as reader:
        try:
            for frame in reader.frames():
                content = parsed(frame.record) if frame.whole and frame.fits else None
                if content is None:
                    gone.update([frame.place] if frame.purged and frame.fits else ())
                elif content["kind"] == "purge":
                    told.update(unrolled(content["records"], frame.place))
                elif content["kind"] in _ABOUT:
                    later.append((frame.place, content))
                elif content["kind"] == "answer" and chosen and (not wanted or frame.place in wanted):
                    young = before is not None and content["time"] >= before * _MICROSECONDS
                    if not young and retention in (None, content.get("retention", content["outcome"])):
                        answers[frame.place] = content
        except UnfitFrame:
            pass
    missing = wanted - answers.keys() - told
    if missing and before is None and retention is None:
        raise AuditError(f"record {min(missing)} is no answer", reason="no-record")
    if unconfirmed:
        final = {
            content["of"]: content.get("confirmed") is True for _, content in later if content["kind"] == "verdict"
        }
        answers = {place: content for place, content in answers.items() if not final.get(place)}
    answers = {place: content for place, content in answers.items() if place not in told}
    about = {place: content for place, content in later if content["of"] in answers}
    tally = _Tally()
    for place, said in sorted((answers | about).items()):
        tally.add(place, said)
    figures = {str(year): counts for year, counts in tally.figures().items()}
    left = log.finish_purge(sorted(told - gone))
    log.purge(answers.keys() | about.keys(), why=why, actor=actor, counts=figures)
    return Purged(len(answers), len(answers) + len(about), left)
