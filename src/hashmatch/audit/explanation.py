"""`explain`: a report in words: what agreed, how often that happens by chance, what was not compared.

Floor: audit. The chance is that of the budget for a rule that is just as strict as the match was: how many unrelated
photographs would match some entry of these lists as near, in views of that kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from hashmatch.algorithms import DIGESTS, algorithm_named
from hashmatch.budget.rates import FalseReports
from hashmatch.budget.spending import budget_of
from hashmatch.errors import PolicyError
from hashmatch.matching import Match, MatchReport, Outcome
from hashmatch.policy import MatchPolicy
from hashmatch.view import Turn

__all__ = ["NOT_PROVED", "ExplainedMatch", "Explanation", "explain"]

_MOST_EVIDENCE: Final = 1000.0
_LEAST_CHANCE: Final = -300.0
_BROKEN: Final = {
    "md5": "two files of equal MD5 can be made on purpose",
    "sha1": "two files of equal SHA-1 can be made",
}

NOT_PROVED: Final = (
    "what the picture shows: the list's source said it of another file",
    "who made the file, had it or looked at it",
    "that the entry is right: lists hold errors",
)
"""What no match proves."""


@dataclass(frozen=True, slots=True)
class ExplainedMatch:
    """One match in words.

    Parameters
    ----------
    said : str
        Entry, list, algorithm, distance, view and labels.
    chance : FalseReports or None
        For one unrelated photograph; None for digests, and where it was not measured.
    chance_said : str
        The chance in words.
    """

    said: str
    chance: FalseReports | None
    chance_said: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A report in words.

    Parameters
    ----------
    answer : str
        Outcome and reason.
    matches : tuple of ExplainedMatch
        Every match that the report holds.
    compared, not_compared : tuple of str
        What was, and what was not.
    """

    answer: str
    matches: tuple[ExplainedMatch, ...]
    compared: tuple[str, ...]
    not_compared: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "answer": self.answer,
            "matches": [
                {
                    "said": item.said,
                    "chance": None if item.chance is None else item.chance.per_picture,
                    "upper": None if item.chance is None else item.chance.upper,
                    "chance_said": item.chance_said,
                }
                for item in self.matches
            ],
            "compared": list(self.compared),
            "not_compared": list(self.not_compared),
            "not_proved": list(NOT_PROVED),
        }


def explain(report: MatchReport, policy: MatchPolicy) -> Explanation:
    """Say a report in words.

    Parameters
    ----------
    report : MatchReport
        The report.
    policy : MatchPolicy
        The policy by which it was given; an audit log keeps it.

    Raises
    ------
    ValueError
        If the report is of a policy of another name.
    """
    if policy.name != report.policy:
        raise ValueError(f"the report is of the policy {report.policy!r}, not {policy.name!r}")
    reason = "" if report.reason is None else f": {report.reason}"
    sizes = Counter[str]()
    for item in report.lists:
        sizes.update(item.compared)
    return Explanation(
        answer=f"{report.outcome.value}{reason}",
        matches=tuple(_explained(item, policy, sizes) for item in report.matches),
        compared=tuple(_compared(report)),
        not_compared=tuple(_not_compared(report)),
    )


def _explained(item: Match, policy: MatchPolicy, sizes: Counter[str]) -> ExplainedMatch:
    near = "equal" if item.algorithm in DIGESTS else f"distance {item.distance} of at most {item.threshold}"
    if item.evidence is not None:
        near = f"evidence {item.evidence:.1f} of at least {item.min_evidence:.1f}, distance {item.distance}"
    if item.placement is not None:
        near = f"{item.placement}, by chance 1 in 10^{-item.placement.chance:.0f} pairs"
    labels = "".join(f", {name}={value}" for name, value in item.labels.items())
    said = (
        f"entry {item.entry_id} of list {item.list_name} version {item.list_version}: {item.algorithm}, {near}; "
        f"view: {item.view}; listed by {', '.join(item.sources)}{labels}"
    )
    if item.algorithm in DIGESTS:
        but = f", but two files of equal {_BROKEN[item.algorithm]} can be made" if item.algorithm in _BROKEN else ""
        return ExplainedMatch(said, None, f"equal digests mean the same file, byte for byte{but}")
    kind = _kind_of(item)
    found = _chance(item, policy, sizes, kind)
    if found is None:
        return ExplainedMatch(said, None, "how often unrelated pictures come as near was not measured")
    how = "extrapolated" if found.is_extrapolated else "measured"
    said_so = (
        f"of unrelated photographs about {_one_in(found.per_picture)} would match some entry as near in views of this "
        f"kind ({kind}; {how} on synthetic photographs; {_one_in(found.upper)} is not excluded with 95 %)"
    )
    return ExplainedMatch(said, found, said_so)


def _one_in(rate: float) -> str:
    return "none" if rate <= 0 else "every one" if rate >= 1 else f"1 in {float(f'{1 / rate:.2g}'):,.0f}"


def _kind_of(item: Match) -> str:
    """Kind of views by which a match was found, as `hashmatch.budget.spending.Spending` names it."""
    view = item.view
    if item.placement is not None:
        return "keypoints"
    if view.negative:
        return "negatives"
    if view.cut:
        return "crops"
    if view.tilt:
        return "rotations"
    if view.shrink.value != "none":
        return "shrinks"
    if view.trim:
        return "trims"
    return "plain" if view.turn is Turn.NONE else "turns"


def _chance(item: Match, policy: MatchPolicy, sizes: Counter[str], kind: str) -> FalseReports | None:
    """Say what a policy would spend that is just as strict as the match was near."""
    rules = tuple(
        replace(rule, threshold=min(rule.threshold, item.distance or 0), view_threshold=None)
        if rule.algorithm == item.algorithm and item.evidence is None
        else rule
        for rule in policy.searches
    )
    crops, rotations, keypoints = policy.crop_search, policy.rotation_search, policy.keypoint_search
    evidence = min(item.evidence or 0.0, _MOST_EVIDENCE)
    try:
        strict = replace(
            policy,
            rules=rules,
            selections=(),
            max_false_reports=None,
            crops=replace(crops, min_evidence=evidence) if crops is not None and kind == "crops" else crops,
            rotations=rotations is not None,
            rotation_evidence=evidence if kind == "rotations" else policy.rotation_evidence,
            keypoints=replace(keypoints, max_chance=max(item.placement.chance, _LEAST_CHANCE))
            if keypoints is not None and item.placement is not None
            else keypoints,
        )
        spent = budget_of(strict, {item.algorithm: sizes[item.algorithm]}).items
    except PolicyError:
        return None
    return next((each.reports for each in spent if each.views == kind), None)


def _compared(report: MatchReport) -> Iterator[str]:
    yield f"policy {report.policy}, {report.software}, pixel contract {report.decode}"
    if report.views_compared:
        yield f"views: {', '.join(report.views_compared)}"
    if report.frames is not None:
        yield f"frames: {report.frames.seen}"
    for item in report.lists:
        hashes = ", ".join(f"{count:,} {name}" for name, count in sorted(item.compared.items())) or "nothing"
        yield f"list {item.name} version {item.version}, {item.n_entries:,} entries: {hashes}"


def _not_compared(report: MatchReport) -> Iterator[str]:
    if report.outcome in (Outcome.UNDECIDABLE, Outcome.UNREADABLE):
        yield f"the picture, or a part of it: {report.reason}"
    if report.views_not_compared:
        yield f"views: {', '.join(report.views_not_compared)}"
    if report.frames is not None and not report.frames.is_whole:
        yield f"frames: {'at least ' if report.frames.at_least else ''}{report.frames.unseen}"
    for item in report.lists:
        for name, count in sorted(item.not_compared.items()):
            why = "" if algorithm_named(name).version else ", which hashmatch does not compute"
            yield f"{count:,} {name} hashes of list {item.name}{why}"
    more = report.n_matches - len(report.matches)
    if more > 0:
        yield f"{more:,} further matches are not in the report"
    for name, count in (("suppressed", report.n_suppressed), ("held back", report.n_held)):
        if count:
            yield f"{count:,} matches were {name}"
