"""What counts as a match: a threshold and a least quality for each algorithm, and which views are tried.

Imports no image code: a service that only matches hashes never loads a decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from hashmatch.algorithms import COMPUTED, DIGESTS, Algorithm, Metric, algorithm_named
from hashmatch.errors import PolicyError
from hashmatch.forms import NONE, from_plain, to_plain
from hashmatch.picture.policy import DecodePolicy
from hashmatch.view import Turn, View

__all__ = ["CropRule", "KeypointRule", "MatchPolicy", "Rule"]


_KEY_BYTES: Final = 16
_MAX_CHANCE: Final = -6.0  # the judge of keypoints accepts nothing above it


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

    def threshold_of(self, view: View) -> int:
        """Largest distance that is a match for a hash of this view."""
        if self.view_threshold is None or view == View(frame=view.frame, background=view.background):
            return self.threshold
        return min(self.threshold, self.view_threshold)

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
        _check_number("min_evidence of the crop rule", self.min_evidence, 0.0, 1000.0)
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
        _check_number("max_chance of the keypoint rule", self.max_chance, -300.0, _MAX_CHANCE)
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


def _check_number(what: str, value: float, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise PolicyError(f"{what} must be a number from {least:g} to {most:g}")


def _check_quality(rule: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise PolicyError(f"min_quality of the {rule} rule must be an integer from 0 to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPolicy:
    """How a `Matcher` looks at a picture and what it reports.

    Change one with ``dataclasses.replace``; presets are in `hashmatch.profiles`.

    Parameters
    ----------
    name : str
        Name that every report shows.
    rules : tuple of Rule
        One rule for each algorithm that is searched; digests are always tried first, whatever the order here.
    turns : bool
        Whether the query is also searched in its seven other turns (quarter turns and mirror images).
    trims : bool
        Whether the query is also searched without borders, letterboxes, caption bands and the bars of a phone's screen.
    rotations : bool
        Whether the query is also searched turned back by a few degrees; PDQ only.
    rotation_evidence : float
        Least evidence, nats, inclusive, 0 to 1000, for an entry to count as the picture that was rotated by a few
        degrees. ``docs/explanation/budget.md`` has the false reports that it costs.
    shrinks : bool
        Whether the query is also shrunk first as other producers of lists do; PDQ only.
    negatives : bool
        Whether the negative of the picture is also searched, in each turn that is searched; PDQ only.
    crops : CropRule or None
        When a PDQ entry counts as the picture from which the query was cut; None searches no crops.
    keypoints : KeypointRule or None
        When a keypoint record counts as a match; None compares no records.
    stop_at_digest : bool
        Whether a picture whose digest is on a list is reported without being decoded.
    max_matches : int
        Most matches in one report, 1 or more; the report keeps the nearest and says how many there were.
    max_false_reports : float or None
        Most false reports expected for one unrelated photograph against the lists that are opened; a policy that
        spends more is refused. None refuses nothing.
    decode : DecodePolicy
        Formats and limits for the picture's bytes.

    Raises
    ------
    PolicyError
        If there is no rule, two for one algorithm, a number is out of its range, or something is of another type.
    """

    name: str
    rules: tuple[Rule, ...]
    turns: bool = False
    trims: bool = False
    rotations: bool = False
    rotation_evidence: float = 40.0
    shrinks: bool = False
    negatives: bool = False
    crops: CropRule | None = None
    keypoints: KeypointRule | None = None
    stop_at_digest: bool = False
    max_matches: int = 100
    max_false_reports: float | None = None
    decode: DecodePolicy = field(default_factory=DecodePolicy)
    _by_algorithm: dict[str, Rule] = field(init=False, repr=False, compare=False)
    digests: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _asked: dict[frozenset[str], frozenset[str]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise PolicyError("the name of a policy must be printable text")
        rules = tuple(self.rules)
        if not all(isinstance(rule, Rule) for rule in rules):
            raise PolicyError("rules must be a tuple of Rule")
        for name in ("turns", "trims", "rotations", "shrinks", "negatives", "stop_at_digest"):
            if not isinstance(getattr(self, name), bool):
                raise PolicyError(f"{name} must be True or False")
        _check_number("rotation_evidence", self.rotation_evidence, 0.0, 1000.0)
        if not isinstance(self.crops, CropRule | None):
            raise PolicyError("crops must be a CropRule or None")
        if not isinstance(self.keypoints, KeypointRule | None):
            raise PolicyError("keypoints must be a KeypointRule or None")
        if self.max_false_reports is not None:
            _check_number("max_false_reports", self.max_false_reports, 0.0, 1.0)
        if not isinstance(self.decode, DecodePolicy):
            raise PolicyError("decode must be a DecodePolicy")
        rules = tuple(sorted(rules, key=lambda rule: not rule.is_digest))
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "_by_algorithm", {rule.algorithm: rule for rule in rules})
        object.__setattr__(self, "digests", tuple(rule.algorithm for rule in rules if rule.is_digest))
        if not rules and self.keypoints is None:
            raise PolicyError("a policy needs at least one rule")
        of_pdq = self.rotations or self.shrinks or self.negatives or self.crops
        if self.rule_for("pdq") is None and of_pdq:
            raise PolicyError("rotations, shrinks, negatives and crops are of PDQ: the policy needs a rule for it")
        if len({rule.algorithm for rule in rules}) < len(rules):
            raise PolicyError("a policy takes one rule for each algorithm")
        if isinstance(self.max_matches, bool) or not isinstance(self.max_matches, int) or self.max_matches < 1:
            raise PolicyError("max_matches must be an integer of 1 or more")

    def rule_for(self, algorithm: str) -> Rule | None:
        """Rule of an algorithm, or None where the policy does not search it."""
        return self._by_algorithm.get(algorithm)

    def asked_views(self, held: frozenset[str]) -> frozenset[str]:
        """Name the views that the policy asks for and lists can answer; worked out once for each set of algorithms.

        Parameters
        ----------
        held : frozenset of str
            Algorithms that can be searched.

        Returns
        -------
        frozenset of str
            Names of `hashmatch.view.VIEW_KINDS`.
        """
        asked = self._asked.get(held)
        if asked is None:
            asked = self._asked[held] = self._views_asked(held)
        return asked

    def _views_asked(self, held: frozenset[str]) -> frozenset[str]:
        ruled = held & self._by_algorithm.keys()
        asked = {"digests"} if DIGESTS & ruled else set()
        if COMPUTED & ruled:
            asked |= {"original"} | {name for name in ("turns", "trims") if getattr(self, name)}
        if "pdq" in ruled:
            asked |= {name for name in ("shrinks", "rotations", "negatives") if getattr(self, name)}
            asked |= {"crops"} if self.crops is not None else set()
        if "keypoint" in held and self.keypoints is not None:
            asked.add("keypoints")
        if self.decode.frames != "first" and asked - {"digests"}:
            asked.add("frames")
        return frozenset(asked)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of every field but the secret key; ``rules`` is a table by algorithm, in their order."""
        form: dict[str, Any] = to_plain(self)
        form["rules"] = {rule.pop("algorithm"): rule for rule in form["rules"]}
        return form

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: MatchPolicy | None = None) -> MatchPolicy:
        """Read what `to_dict` gives, or a part of it.

        Parameters
        ----------
        data : mapping
            Fields by name. ``"none"`` stands for None where the form has no null; a rule that is ``"none"`` is removed.
        base : MatchPolicy, optional
            Policy that gives the fields that ``data`` lacks, tables field by field; without it they have defaults.

        Raises
        ------
        PolicyError
            If a key is unknown, a value is of a wrong type or out of range, or what has no default is missing;
            the message names the key and what is allowed. Presets by name: `hashmatch.profiles.policy_from_dict`.
        """
        if isinstance(data, Mapping) and "rules" in data:
            data = {**data, "rules": _rules_from(data["rules"], () if base is None else base.rules)}
        return from_plain(cls, data, "policy", base)


def _rules_from(table: Any, base: tuple[Rule, ...]) -> tuple[Rule, ...]:
    if not isinstance(table, Mapping):
        raise PolicyError("rules must be a table by algorithm, as [rules.pdq]")
    rules = {rule.algorithm: rule for rule in base}
    for name, fields in table.items():
        if (fields is None or fields == NONE) and name in rules:
            del rules[name]
            continue
        if not isinstance(fields, Mapping):
            raise PolicyError(f"rules.{str(name)[:40]} must be a table")
        rules[name] = from_plain(Rule, {**fields, "algorithm": name}, f"rules.{str(name)[:40]}", rules.get(name))
    return tuple(rules.values())
