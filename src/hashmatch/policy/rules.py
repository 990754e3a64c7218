"""When a comparison counts as a match: `Rule` by distance, `CropRule` by evidence, `KeypointRule` by chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from hashmatch.algorithms import ALGORITHMS, DIGESTS, Algorithm, Metric, algorithm_named
from hashmatch.errors import PolicyError
from hashmatch.forms import from_plain, to_plain
from hashmatch.view import Turn, View

__all__ = ["MAX_CHANCE", "CropRule", "FloodRule", "KeypointRule", "Rule", "check_number"]

_KEY_BYTES: Final = 16
MAX_CHANCE: Final = -6.0
"""The judge of keypoints accepts nothing above it: a decimal logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a comparison by one algorithm counts as a match.

    Parameters
    ----------
    algorithm : str
        A name of `hashmatch.algorithms.ALGORITHMS`.
    threshold : int
        Largest distance that is a match, inclusive; 0 to the algorithm's largest distance. Digests take 0.
    min_quality : int
        Least quality of the query's hash and of the entry's, inclusive, 0 to 100. A query hash below it is not searched
        with, and a listed hash that states less is not compared, because plain pictures resemble each other. Hashes of
        unknown quality are searched with, and compared.
    view_threshold : int or None
        Largest distance of a view that was turned, trimmed, shrunk, read in another way or taken as a negative, if
        it is less than ``threshold``: every view adds false reports of its own. None asks no more of a view than
        of the picture as it is. ``docs/explanation/budget.md`` has its gains and losses. Evidence decides crops and
        small rotations instead.
    confirm_by : tuple of str
        Other algorithms, of which one must agree: a match by this rule then counts only if another hash of the same
        entry is near by the rule of its own algorithm. Empty asks for none. What it costs stands in
        ``docs/explanation/which-list-means-what.md``.
    keep_unconfirmed : bool
        Whether a match counts that cannot be confirmed, because the entry has no such hash, or the query has none that
        is good enough. One that counts says `unconfirmed`; one that does not makes the outcome undecidable.

    Raises
    ------
    PolicyError
        If a number is out of its range.
    HashFormatError
        If the algorithm is unknown.
    """

    algorithm: str
    threshold: int
    min_quality: int = 0
    view_threshold: int | None = None
    confirm_by: tuple[str, ...] = ()
    keep_unconfirmed: bool = True

    def __post_init__(self) -> None:
        algorithm = algorithm_named(self.algorithm)
        if algorithm.metric is Metric.ALIGNMENT:
            raise PolicyError(f"{algorithm.name} has no threshold: give the policy a KeypointRule as keypoints=")
        object.__setattr__(self, "algorithm", algorithm.name)
        largest = 0 if algorithm.metric is Metric.EXACT else algorithm.max_distance - 1
        of_views = self.threshold if self.view_threshold is None else self.view_threshold
        for name, value, limit in (
            ("threshold", self.threshold, largest),
            ("view_threshold", of_views, largest),
            ("min_quality", self.min_quality, 100),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
                raise PolicyError(f"{name} of the {algorithm.name} rule must be an integer from 0 to {limit}")
        others = ALGORITHMS.keys() - DIGESTS - {algorithm.name}
        if not isinstance(self.confirm_by, tuple) or not others.issuperset(self.confirm_by):
            raise PolicyError(f"confirm_by of the {algorithm.name} rule must be of {', '.join(sorted(others))}")
        if self.confirm_by and self.is_digest:
            raise PolicyError("a digest needs no other hash to confirm it")
        if not isinstance(self.keep_unconfirmed, bool):
            raise PolicyError("keep_unconfirmed must be True or False")

    def threshold_of(self, view: View) -> int:
        """Largest distance that is a match for a hash of this view."""
        if self.view_threshold is None or view == View(frame=view.frame, background=view.background):
            return self.threshold
        return min(self.threshold, self.view_threshold)

    @classmethod
    def widest(cls, rules: Iterable[Rule]) -> Rule:
        """Make the rule by which everything is found that one of several rules of one algorithm may count."""
        first, *more = found = tuple(dict.fromkeys(rules))
        if not more:
            return first
        threshold = max(rule.threshold for rule in found)
        of_views = max(
            rule.threshold if rule.view_threshold is None else min(rule.threshold, rule.view_threshold)
            for rule in found
        )
        return cls(
            algorithm=first.algorithm,
            threshold=threshold,
            min_quality=min(rule.min_quality for rule in found),
            view_threshold=None if of_views == threshold else of_views,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of every field."""
        return cast("dict[str, Any]", to_plain(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: Rule | None = None) -> Rule:
        """Read what `to_dict` gives; what is left out is taken from ``base``, else the default.

        Raises
        ------
        PolicyError
            If a key is unknown, or a value is of a wrong type or out of range.
        """
        return from_plain(cls, data, "rule", base)

    @property
    def definition(self) -> Algorithm:
        """What the algorithm's values look like."""
        return algorithm_named(self.algorithm)

    @property
    def is_digest(self) -> bool:
        """Whether this is a rule for digests of the file's bytes."""
        return self.definition.metric is Metric.EXACT


@dataclass(frozen=True, slots=True, kw_only=True)
class CropRule:
    """When a PDQ entry counts as the picture that the query was cut from; see ``docs/explanation/crops.md``.

    Parameters
    ----------
    min_evidence : float
        Least evidence, nats, inclusive. ``docs/explanation/budget.md`` has the false reports that it costs.
    turns : tuple of Turn
        Turns of the query in which crops are searched; each costs false reports and time of its own.
    min_quality : int
        Least quality of the query and of what the entry states, inclusive, 0 to 100; applies beside the PDQ rule's.

    Raises
    ------
    PolicyError
        If a number is out of its range.
    """

    min_evidence: float
    turns: tuple[Turn, ...] = (Turn.NONE, Turn.MIRROR)
    min_quality: int = 50

    def __post_init__(self) -> None:
        check_number("min_evidence of the crop rule", self.min_evidence, 0.0, 1000.0)
        _check_quality("crop", self.min_quality)
        turns = self.turns if isinstance(self.turns, tuple) else ()
        if not turns or not all(isinstance(turn, Turn) for turn in turns):
            raise PolicyError("turns of the crop rule must be a tuple of one or more of Turn")
        object.__setattr__(self, "turns", tuple(dict.fromkeys(turns)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of every field."""
        return cast("dict[str, Any]", to_plain(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: CropRule | None = None) -> CropRule:
        """Read what `to_dict` gives; what is left out is taken from ``base``, else the default.

        Raises
        ------
        PolicyError
            If a key is unknown, or a value is of a wrong type or out of range.
        """
        return from_plain(cls, data, "crops", base)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypointRule:
    """When a keypoint record counts as the picture that the query shows a part of; see ``docs/reference/keypoint.md``.

    Parameters
    ----------
    max_chance : float
        Largest chance that an unrelated pair agrees as well, as its decimal logarithm, -300 to -6: -8 is one in a
        hundred million pairs. Small shared parts, and queries that are themselves records, always need less.
    key : bytes or None
        Secret key with which the list's records were made, 16 bytes or more; ``repr`` does not show it.
    min_quality : int
        Least quality that a record may state to be compared, inclusive, 0 to 100. Records that state none are compared.

    Raises
    ------
    PolicyError
        If a value is out of its range.
    """

    max_chance: float
    key: bytes | None = field(default=None, repr=False)
    min_quality: int = 50

    def __post_init__(self) -> None:
        check_number("max_chance of the keypoint rule", self.max_chance, -300.0, MAX_CHANCE)
        _check_quality("keypoint", self.min_quality)
        if self.key is not None and (not isinstance(self.key, bytes) or len(self.key) < _KEY_BYTES):
            raise PolicyError(f"key of the keypoint rule must be {_KEY_BYTES} bytes or more")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of every field but the secret key."""
        return cast("dict[str, Any]", to_plain(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: KeypointRule | None = None) -> KeypointRule:
        """Read what `to_dict` gives; what is left out is taken from ``base``, else the default.

        Raises
        ------
        PolicyError
            If a key is unknown, or a value is of a wrong type or out of range.
        """
        return from_plain(cls, data, "keypoints", base)


def check_number(what: str, value: float, least: float, most: float) -> None:
    """Raise PolicyError if a value is no number within limits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise PolicyError(f"{what} must be a number from {least:g} to {most:g}")


def _check_quality(rule: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise PolicyError(f"min_quality of the {rule} rule must be an integer from 0 to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodRule:
    """When an entry matches far more pictures than its share, and is put in quarantine.

    Pictures are counted in windows of ``window``, one after the other. An entry is put in quarantine once it has
    matched `limit` pictures of one window.

    Parameters
    ----------
    share : float
        Share of all pictures that one entry may match, above 0, at most 0.5: 0.001 is one in a thousand.
    window : int
        Pictures in a window, 10 to 1,000,000.
    max_chance : float
        Largest chance that an entry whose pictures come at random, with a share of ``share`` or less, is put in
        quarantine within one window, as its decimal logarithm, -300 to -1. It is of one entry and one window: of a
        million entries that all had this share a million times as many are.
    hold : bool
        Whether matches of such an entry are held back: they are in ``held`` of the report, and without another match
        the outcome is undecidable. False only marks them.
    max_entries : int
        Entries that are counted at a time, and most in quarantine, 16 to 1,000,000: about 300 bytes each.

    Raises
    ------
    PolicyError
        If a value is out of its range, or so small a window cannot show what is asked.
    """

    share: float
    window: int = 10_000
    max_chance: float = -9.0
    hold: bool = False
    max_entries: int = 4_096
    limit: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        check_number("share of the flood rule", self.share, 1e-9, 0.5)
        check_number("max_chance of the flood rule", self.max_chance, -300.0, -1.0)
        for name, least, most in (("window", 10, 1_000_000), ("max_entries", 16, 1_000_000)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise PolicyError(f"{name} of the flood rule must be an integer from {least:,} to {most:,}")
        if not isinstance(self.hold, bool):
            raise PolicyError("hold of the flood rule must be True or False")
        limit = _least_count(self.window, self.share, self.max_chance)
        if limit > self.window:
            raise PolicyError("the window of the flood rule is too small to show what it asks for")
        object.__setattr__(self, "limit", limit)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of every field."""
        return cast("dict[str, Any]", to_plain(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: FloodRule | None = None) -> FloodRule:
        """Read what `to_dict` gives; what is left out is taken from ``base``, else the default.

        Raises
        ------
        PolicyError
            If a key is unknown, or a value is of a wrong type or out of range.
        """
        return from_plain(cls, data, "flood", base)


def _least_count(n: int, share: float, max_chance: float) -> int:
    """Smallest k of which the binomial tail P(X >= k) of n trials is at most 10**max_chance; n + 1 if there is none.

    The tail is added up from its small end, in logarithms, because a chance of 1e-300 has no room for rounding.
    """
    bound = max_chance * math.log(10) + 1e-9  # what equals the chance is within it, however it is rounded
    whole = math.lgamma(n + 1)
    tail, k = -math.inf, n
    while k >= 0:
        term = whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(share) + (n - k) * math.log1p(-share)
        more = max(tail, term) + math.log1p(math.exp(-abs(tail - term))) if tail > -math.inf else term
        if more > bound:
            break
        tail, k = more, k - 1
    return k + 1
