"""The answer for one picture: outcome, explained matches, and what was compared.

Over 400 lines because most of it documents the fields of a report, one by one.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from hashmatch.algorithms import ALGORITHMS, Metric
from hashmatch.hashes import Fingerprint
from hashmatch.jail import Protection
from hashmatch.matching.restored import restored
from hashmatch.view import FrameCount, View

__all__ = ["ComparedList", "Match", "MatchReport", "OutcomeCounts", "Outcome", "Placement", "Suppressed"]


class Outcome(Enum):
    """The four answers.

    ``MATCH``: at least one entry is near enough by its rule. ``NO_MATCH``: everything that the lists allow was compared
    and nothing was near, or only what a benign entry explains (``suppressed``) or is listed for comparison
    (``comparisons``). ``UNDECIDABLE``: nothing was near, but the picture is too plain to hash, one of the lists
    holds nothing that this policy can compare it with, frames were not looked at, a fingerprint lacks views that the
    policy asks for, or what was near is held back (``held``) or could not be confirmed. ``UNREADABLE``: the source
    could not be decoded.
    """

    MATCH = "match"
    NO_MATCH = "no match"
    UNDECIDABLE = "undecidable"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How the query lies on the entry's picture, computed from keypoints.

    Parameters
    ----------
    crop : tuple of float
        Left, top, right and bottom of the upright box around what the query covers, as shares of the entry's picture,
        0 to 1. The empty corners of a turned query count as covered.
    overlap : float
        Share of the entry's picture that the query covers, 0 to 1.
    scale : float
        Size of the entry's picture in the query relative to its own, both pictures resampled to one area; below 1 the
        query shows it smaller.
    angle : float
        Degrees, -180 to 180, by which the entry's picture is turned anticlockwise to lie as the query does; if
        ``mirrored``, it is turned first and then mirrored.
    mirrored : bool
        Whether the query is mirrored left to right.
    inliers : int
        Number of points that lie where the placement puts them.
    agreement : float
        Share of the compared signs of the record's field that agree, 0 to 1.
    n_compared : int
        Signs compared.
    chance : float
        Decimal logarithm of the chance that an unrelated pair agrees as well.
    """

    crop: tuple[float, float, float, float]
    overlap: float
    scale: float
    angle: float
    mirrored: bool
    inliers: int
    agreement: float
    n_compared: int
    chance: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "crop": dict(zip(("left", "top", "right", "bottom"), self.crop, strict=True)),
            "overlap": self.overlap,
            "scale": self.scale,
            "angle": self.angle,
            "mirrored": self.mirrored,
            "inliers": self.inliers,
            "agreement": self.agreement,
            "n_compared": self.n_compared,
            "chance": self.chance,
        }

    def __str__(self) -> str:
        """Say it in words."""
        parts = [f"shows {self.overlap:.0%} of it", f"{self.inliers} points", f"{self.agreement:.0%} of signs agree"]
        if abs(self.angle) >= 1:
            parts.append(f"turned by {self.angle:.0f} degrees")
        if self.mirrored:
            parts.append("then mirrored" if abs(self.angle) >= 1 else "mirrored")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One entry of one list that the picture matches, with everything that explains the match.

    Parameters
    ----------
    list_name : str
        Name of the list.
    list_id : str
        Identifier of the list, the same in every copy.
    list_version : int
        Version of the list that was searched.
    list_digest : str
        Content digest of that version, see `hashmatch.lists.content_digest`: distinguishes two copies of a list that
        were changed separately.
    entry_id : str
        The entry's identifier in that list.
    sources : mapping of str to mapping of str to str
        Each source that lists the entry, with the labels that it gave.
    algorithm : str
        Algorithm of the two hashes.
    distance : int or None
        Distance between the two hashes in that view, in the algorithm's unit (bits for perceptual hashes); None for
        keypoint records, which have no distance.
    threshold : int or None
        Largest distance that counted, same unit; None if the evidence decided instead of the distance.
    quality : int or None
        Quality of the query's hash, 0 to 100; None if it is not measured.
    view : View
        View of the query that matched; ``str(match.view)`` says it in words.
    evidence : float or None
        For crops and small rotations: how much more likely the two hashes are if the query was made from the entry's
        picture in that way, nats.
    min_evidence : float or None
        Least evidence that counted.
    placement : Placement or None
        For keypoint records: how the query lies on the entry's picture.
    action : str or None
        What the policy says is to be done, in the word of its `hashmatch.policy.Selection`; None if it says nothing.
    classes : tuple of str
        Classes that the sources whose hash agreed give the entry, ``"scheme:value"``.
    confirmed_by : tuple of str
        Other algorithms of the entry that agree, if the rule asks for one.
    unconfirmed : bool
        Whether the rule asks for another algorithm and none could be compared.
    quarantined : bool
        Whether the entry is in quarantine, because it matches far more pictures than its share.
    """

    list_name: str
    list_id: str
    list_version: int
    list_digest: str
    entry_id: str
    sources: Mapping[str, Mapping[str, str]]
    algorithm: str
    distance: int | None
    threshold: int | None
    quality: int | None
    view: View
    evidence: float | None = None
    min_evidence: float | None = None
    placement: Placement | None = None
    action: str | None = None
    classes: tuple[str, ...] = ()
    confirmed_by: tuple[str, ...] = ()
    unconfirmed: bool = False
    quarantined: bool = False

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
            "list_digest": self.list_digest,
            "entry_id": self.entry_id,
            "labels": self.labels,
            "sources": {source: dict(labels) for source, labels in self.sources.items()},
            "algorithm": self.algorithm,
            "distance": self.distance,
            "threshold": self.threshold,
            "evidence": self.evidence,
            "min_evidence": self.min_evidence,
            "placement": None if self.placement is None else self.placement.to_dict(),
            "quality": self.quality,
            "view": self.view.to_dict(),
            "action": self.action,
            "classes": list(self.classes),
            "confirmed_by": list(self.confirmed_by),
            "unconfirmed": self.unconfirmed,
            "quarantined": self.quarantined,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A match that a benign entry explains at least as well, and which therefore counts for nothing.

    Parameters
    ----------
    match : Match
        What would have been reported.
    by : Match
        How the picture matches the benign entry.
    """

    match: Match
    by: Match

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; holds no hash."""
        return {"match": self.match.to_dict(), "by": self.by.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedList:
    """What was compared of one list.

    Parameters
    ----------
    name, list_id : str
        Name and identifier of the list.
    version : int
        Version that was searched.
    digest : str
        Content digest of that version, as `Match.list_digest`.
    n_entries : int
        Number of entries in that version.
    compared : mapping of str to int
        Number of hashes that the picture was compared with, by algorithm.
    not_compared : mapping of str to int
        Number of hashes left out, by algorithm: the policy has no rule or no selection for them, they cannot be
        computed from a picture (such as ``photodna``), the picture was too plain for them, or they are keypoint records
        without points or of another key.
    entries_not_compared : int
        Number of entries whose only hashes of pictures are of algorithms that hashmatch does not compute
        (``photodna``): an edited copy of these pictures is not found.
    """

    name: str
    list_id: str
    version: int
    digest: str
    n_entries: int
    compared: Mapping[str, int]
    not_compared: Mapping[str, int]
    entries_not_compared: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "list": self.name,
            "list_id": self.list_id,
            "list_version": self.version,
            "list_digest": self.digest,
            "entries": self.n_entries,
            "compared": dict(self.compared),
            "not_compared": dict(self.not_compared),
            "entries_not_compared": self.entries_not_compared,
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
        threshold, then crops and small rotations by their evidence, then keypoint records by their chance.
    n_matches : int
        Number of matches before the policy's ``max_matches`` cut them. In lists that hold very
        many copies of one picture not all are counted: for each frame and list at most 32 keypoint records are judged,
        and a few thousand crops.
    reason : str or None
        For undecidable and unreadable: a stable word such as ``"too-plain"``, ``"frames-unseen"`` or ``"truncated"``.
        Beside a match it says why the picture was not compared in full; ``"list-damaged"`` says that a list could
        not be read where something was found.
    format : str or None
        Beside a reason: the file format of the picture, if its bytes tell one, decoded here or not: ``"JXL"``,
        ``"BMP"``.
    lists : tuple of ComparedList
        What was compared of each list.
    quality : int or None
        Best quality among the picture's hashes, 0 to 100.
    policy : str
        Name of the policy.
    software : str
        ``"hashmatch <version>"``.
    decode : str
        Version of the pixel contract, and what the policy changes in it; ``docs/reference/pixel-contract.md``.
    protection : Protection or None
        Measures that restricted the worker process that decoded and hashed the picture; None if this process decoded
        it, or none did.
    views_compared, views_not_compared : tuple of str
        Views that the policy asks for and the lists can answer, names of `hashmatch.view.VIEW_KINDS`: those that were
        compared, and those that were not, because a given hash or fingerprint lacks them, the picture is too plain for
        them, the source has no bytes to digest, or frames are unseen.
    frames : FrameCount or None
        Numbers of frames of the file that were seen and unseen; None if no picture was decoded.
    suppressed : tuple of Suppressed
        Matches that count for nothing, because an entry of a benign source explains the picture at least as well.
    comparisons : tuple of Match
        Entries that only sources for comparison list: reported apart, never an alarm.
    held : tuple of Match
        Matches of entries in quarantine that the policy holds back.
    n_suppressed, n_comparisons, n_held : int
        Their numbers before ``max_matches`` cut them.
    fingerprint : Fingerprint or None
        Fingerprint that the picture was searched with, if `Matcher.match` was asked for it; not part of `to_dict`.
    """

    outcome: Outcome
    matches: tuple[Match, ...]
    n_matches: int
    reason: str | None
    lists: tuple[ComparedList, ...]
    quality: int | None
    policy: str
    software: str
    decode: str
    protection: Protection | None = None
    format: str | None = None
    views_compared: tuple[str, ...] = ()
    views_not_compared: tuple[str, ...] = ()
    frames: FrameCount | None = None
    suppressed: tuple[Suppressed, ...] = ()
    comparisons: tuple[Match, ...] = ()
    held: tuple[Match, ...] = ()
    n_suppressed: int = 0
    n_comparisons: int = 0
    n_held: int = 0
    fingerprint: Fingerprint | None = field(default=None, repr=False, compare=False)

    @property
    def frames_seen(self) -> int | None:
        """Number of frames that were looked at; None if no picture was decoded."""
        return None if self.frames is None else self.frames.seen

    @property
    def frames_unseen(self) -> int | None:
        """Number of frames that were not looked at, or a lower bound of it (``frames.at_least``)."""
        return None if self.frames is None else self.frames.unseen

    @property
    def partial(self) -> bool:
        """Whether the match was found in a part of what the file should hold; ``reason`` says why.

        A match by digest covers the whole file, whatever the reason beside it.
        """
        whole = any(ALGORITHMS[match.algorithm].metric is Metric.EXACT for match in self.matches)
        return self.outcome is Outcome.MATCH and self.reason is not None and not whole

    @property
    def advice(self) -> str | None:
        """Advice for a picture whose format is switched off or not read; None in all other cases."""
        if self.reason == "format-not-allowed":
            return f"allow it: a DecodePolicy with {self.format} among its formats, --formats on the command line"
        if self.reason != "format-not-read":
            return None
        return "pip install 'hashmatch[heif]'" if self.format == "HEIF" else "convert it, or look at it by other means"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MatchReport:
        """Read the output of `to_dict`, also from JSON: an equal report, without a ``fingerprint``.

        Parameters
        ----------
        data : mapping
            Keys that older versions did not write may be missing if the field has a default. Values that follow from
            other keys (``partial``, ``advice``, ``labels``) are computed anew. Any other key is refused, because it may
            say why an answer does not hold: remove added keys first, such as the ``source`` of the command line.

        Raises
        ------
        HashFormatError
            If a key is unknown or missing, or a value is of a wrong type or out of range. The message names the key.

        Examples
        --------
        >>> import json
        >>> report = MatchReport(
        ...     outcome=Outcome.NO_MATCH, matches=(), n_matches=0, reason=None, lists=(), quality=90, policy="fast",
        ...     software="hashmatch 0.1.0", decode="2",
        ... )
        >>> MatchReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
        True
        """
        return restored(cls, data, _KEYS)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; holds no hash, no pixel and no file name."""
        return {
            "outcome": self.outcome.value,
            "reason": self.reason,
            "format": self.format,
            "advice": self.advice,
            "matches": [match.to_dict() for match in self.matches],
            "n_matches": self.n_matches,
            "lists": [compared.to_dict() for compared in self.lists],
            "quality": self.quality,
            "policy": self.policy,
            "software": self.software,
            "decode": self.decode,
            "partial": self.partial,
            "views_compared": list(self.views_compared),
            "views_not_compared": list(self.views_not_compared),
            "frames": None if self.frames is None else self.frames.to_dict(),
            "suppressed": [item.to_dict() for item in self.suppressed],
            "comparisons": [match.to_dict() for match in self.comparisons],
            "held": [match.to_dict() for match in self.held],
            "n_suppressed": self.n_suppressed,
            "n_comparisons": self.n_comparisons,
            "n_held": self.n_held,
            "protection": None if self.protection is None else self.protection.to_dict(),
        }


_KEYS: Final = {
    Match: {"list": "list_name"},
    ComparedList: {"list": "name", "list_version": "version", "list_digest": "digest", "entries": "n_entries"},
}
"""Keys of the JSON-ready form that are not called as their field."""


class OutcomeCounts:
    """How many reports had which outcome and reason, counted by all threads."""

    __slots__ = ("_change", "_outcomes", "_reasons")

    def __init__(self) -> None:
        self._change = threading.Lock()
        self._outcomes: Counter[Outcome] = Counter()
        self._reasons: Counter[str] = Counter()

    def renew(self) -> None:
        """Take a fresh lock, in a forked child."""
        self._change = threading.Lock()

    def count(self, report: MatchReport) -> None:
        """Add one report."""
        with self._change:
            self._outcomes[report.outcome] += 1
            if report.reason is not None:
                self._reasons[report.reason] += 1

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Give the counts by outcome (all four, even where 0) and by reason."""
        with self._change:
            return {
                "outcomes": {outcome.value: self._outcomes[outcome] for outcome in Outcome},
                "reasons": dict(sorted(self._reasons.items())),
            }
