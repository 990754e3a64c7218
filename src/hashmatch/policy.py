"""What counts as a match: a threshold and a least quality for each algorithm, and which views are tried.

Imports no image code: a service that only matches hashes never loads a decoder.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hashmatch.algorithms import Algorithm, Metric, algorithm_named
from hashmatch.errors import PolicyError
from hashmatch.picture.policy import DecodePolicy

__all__ = ["MatchPolicy", "Rule"]


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
        Least quality of the query's hash, inclusive, 0 to 100; a hash below it is not searched with, because
        plain pictures resemble each other. Hashes whose quality is unknown are searched with.

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

    def __post_init__(self) -> None:
        algorithm = algorithm_named(self.algorithm)
        object.__setattr__(self, "algorithm", algorithm.name)
        largest = 0 if algorithm.metric is Metric.EXACT else algorithm.max_distance - 1
        for name, value, limit in (("threshold", self.threshold, largest), ("min_quality", self.min_quality, 100)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
                raise PolicyError(f"{name} of the {algorithm.name} rule must be an integer from 0 to {limit}")

    @property
    def definition(self) -> Algorithm:
        """What the algorithm's values look like."""
        return algorithm_named(self.algorithm)

    @property
    def is_digest(self) -> bool:
        """Whether this is a rule for digests of the file's bytes."""
        return self.definition.metric is Metric.EXACT


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPolicy:
    """How a `Matcher` looks at a picture and what it reports.

    Change one with ``dataclasses.replace``; presets are in `hashmatch.profiles`.

    Parameters
    ----------
    name : str
        Stands in every report.
    rules : tuple of Rule
        One for each algorithm that is searched; digests are always tried first, whatever the order here.
    turns : bool
        Whether the query is also looked at in the seven other turns (quarter turns and mirror images).
    stop_at_digest : bool
        Whether a picture whose digest is on a list is reported without being decoded.
    max_matches : int
        Most matches in one report, 1 or more; the nearest are kept and the report says how many there were.
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
    stop_at_digest: bool = False
    max_matches: int = 100
    decode: DecodePolicy = field(default_factory=DecodePolicy)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise PolicyError("the name of a policy must be printable text")
        rules = tuple(self.rules)
        if not all(isinstance(rule, Rule) for rule in rules):
            raise PolicyError("rules must be a tuple of Rule")
        if not isinstance(self.turns, bool) or not isinstance(self.stop_at_digest, bool):
            raise PolicyError("turns and stop_at_digest must be True or False")
        if not isinstance(self.decode, DecodePolicy):
            raise PolicyError("decode must be a DecodePolicy")
        rules = tuple(sorted(rules, key=lambda rule: not rule.is_digest))
        object.__setattr__(self, "rules", rules)
        if not rules:
            raise PolicyError("a policy needs at least one rule")
        if len({rule.algorithm for rule in rules}) < len(rules):
            raise PolicyError("a policy takes one rule for each algorithm")
        if isinstance(self.max_matches, bool) or not isinstance(self.max_matches, int) or self.max_matches < 1:
            raise PolicyError("max_matches must be an integer of 1 or more")

    def rule_for(self, algorithm: str) -> Rule | None:
        """Rule of an algorithm, or None where the policy does not search it."""
        return next((rule for rule in self.rules if rule.algorithm == algorithm), None)
