"""What listings a part of a policy is for, and what it changes there: `Where` and `Selection`.

Floor: policy. A listing is what one source of a list says of one entry: it has a list, a source and classes. The
selections of a policy are asked in their order, and the first whose `Where` holds for a listing decides how the listing
is judged; one that none holds for is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final, cast

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import PolicyError
from hashmatch.forms import NONE, from_plain, to_plain
from hashmatch.policy.rules import MAX_CHANCE, Rule, check_number

__all__ = ["Judging", "Selection", "Where"]

_LONGEST_ACTION: Final = 32
_LONGEST_NAME: Final = 512
_MOST_NAMES: Final = 10_000
_LEFT_OUT: Final = frozenset(ALGORITHMS) | {"crops", "rotations"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which listings are meant: those that every field that is not empty names.

    Parameters
    ----------
    lists : tuple of str
        Names or identifiers of lists.
    sources : tuple of str
        Names of sources.
    classes : tuple of str
        Classes as ``"scheme:value"``; one of them is enough. A class is a label that the source gives the entry, the
        scheme its name; a label of several values, as ``"A1 | B2"``, is of each.

    Raises
    ------
    PolicyError
        If a field is no tuple of text, or a class has no colon.
    """

    lists: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("lists", "sources", "classes"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or len(value) > _MOST_NAMES or not all(map(_is_name, value)):
                raise PolicyError(
                    f"{name} of a where must be a tuple of names, each of 1 to {_LONGEST_NAME} characters"
                )
        if not all(text.partition(":")[0] and text.partition(":")[2] for text in self.classes):
            raise PolicyError('classes of a where are written "scheme:value"')

    @property
    def is_everything(self) -> bool:
        """Whether it holds for every listing."""
        return not (self.lists or self.sources or self.classes)

    def may_hold(self, list_names: Iterable[str], source: str) -> bool:
        """Whether it holds for listings of a list, by any of its names, and a source, if their classes fit."""
        return (not self.lists or any(name in self.lists for name in list_names)) and (
            not self.sources or source in self.sources
        )

    def holds(self, list_names: Iterable[str], source: str, classes: Set[str]) -> bool:
        """Whether it holds for a listing."""
        return self.may_hold(list_names, source) and (not self.classes or not classes.isdisjoint(self.classes))


def _is_action(text: object) -> bool:
    return isinstance(text, str) and _is_name(text) and len(text) <= _LONGEST_ACTION and text.strip() == text


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _LONGEST_NAME and text.isprintable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How some listings are judged; what it does not say is as the policy says.

    Parameters
    ----------
    where : Where
        The listings; all by default.
    action : str or None
        What is to be done with a match, in your own word, such as ``"block"``, ``"review"`` or ``"log"``: 1 to 32
        printable characters. hashmatch does nothing by it: it stands in `hashmatch.matching.Match.action`.
    rules : tuple of Rule
        Rules in place of the policy's of the same algorithms, or of algorithms for which the policy has none.
    without : tuple of str
        What is not compared here: names of algorithms, ``"crops"`` and ``"rotations"``. Without ``"pdq"`` there are no
        crops and rotations.
    crop_evidence, rotation_evidence : float or None
        Least evidence, nats, in place of the policy's ``crops.min_evidence`` and ``rotation_evidence``.
    keypoint_chance : float or None
        Largest chance, a decimal logarithm, in place of the policy's ``keypoints.max_chance``.

    Raises
    ------
    PolicyError
        If something is of another type, out of range or unknown, or there are two rules for one algorithm.
    """

    where: Where = field(default_factory=Where)
    action: str | None = None
    rules: tuple[Rule, ...] = ()
    without: tuple[str, ...] = ()
    crop_evidence: float | None = None
    rotation_evidence: float | None = None
    keypoint_chance: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.where, Where):
            raise PolicyError("where of a selection must be a Where")
        if self.action == NONE:  # as a policy file says it
            object.__setattr__(self, "action", None)
        if self.action is not None and not _is_action(self.action):
            raise PolicyError(f"action of a selection must be a word of 1 to {_LONGEST_ACTION} printable characters")
        if not isinstance(self.rules, tuple) or not all(isinstance(rule, Rule) for rule in self.rules):
            raise PolicyError("rules of a selection must be a tuple of Rule")
        if len({rule.algorithm for rule in self.rules}) < len(self.rules):
            raise PolicyError("a selection takes one rule for each algorithm")
        if not isinstance(self.without, tuple) or not _LEFT_OUT.issuperset(self.without):
            raise PolicyError(f"without of a selection must be of {', '.join(sorted(_LEFT_OUT))}")
        if not {rule.algorithm for rule in self.rules}.isdisjoint(self.without):
            raise PolicyError("a selection has a rule for an algorithm that it is without")
        for name in ("crop_evidence", "rotation_evidence"):
            if getattr(self, name) is not None:
                check_number(f"{name} of a selection", getattr(self, name), 0.0, 1000.0)
        if self.keypoint_chance is not None:
            check_number("keypoint_chance of a selection", self.keypoint_chance, -300.0, MAX_CHANCE)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of every field; ``rules`` is a table by algorithm."""
        form = cast("dict[str, Any]", to_plain(self))
        form["rules"] = {rule.pop("algorithm"): rule for rule in form["rules"]}
        return form

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], rules: Iterable[Rule] = (), what: str = "selection") -> Selection:
        """Read what `to_dict` gives; a rule's missing fields are those of the rule of ``rules`` for its algorithm.

        Raises
        ------
        PolicyError
            If a key is unknown, or a value is of a wrong type or out of range.
        """
        if isinstance(data, Mapping) and isinstance(data.get("rules"), Mapping):
            base = {rule.algorithm: rule for rule in rules}
            own = []
            for name, fields in data["rules"].items():
                place = f"{what}: rules.{str(name)[:40]}"
                if not isinstance(fields, Mapping):
                    raise PolicyError(f"{place} must be a table")
                own.append(from_plain(Rule, {**fields, "algorithm": name}, place, base.get(name)))
            data = {**data, "rules": own}
        return from_plain(cls, data, what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How the listings of one selection are judged: what it says, and what the policy says where it says nothing.

    Parameters
    ----------
    place : int
        Position of the selection in the policy; 0 in a policy without selections.
    where : Where
        The listings.
    action : str or None
        As of the selection.
    rules : mapping of str to Rule
        By algorithm; those that are not here are not compared.
    crop_evidence, rotation_evidence, keypoint_chance : float or None
        Least evidence and largest chance; None where such hits do not count.
    """

    place: int
    where: Where
    action: str | None
    rules: Mapping[str, Rule]
    crop_evidence: float | None
    rotation_evidence: float | None
    keypoint_chance: float | None

    def compares(self, algorithm: str) -> bool:
        """Whether hashes of an algorithm are compared at all."""
        return algorithm in self.rules or (algorithm == "keypoint" and self.keypoint_chance is not None)
