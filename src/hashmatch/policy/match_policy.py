"""`MatchPolicy`: how a `Matcher` looks at a picture, and what it reports.

Floor: policy. Imports no image code: a service that only matches hashes never loads a decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import starmap
from types import MappingProxyType
from typing import Any

from hashmatch.algorithms import COMPUTED, DIGESTS
from hashmatch.errors import PolicyError
from hashmatch.forms import NONE, from_plain, to_plain
from hashmatch.picture.policy import DecodePolicy
from hashmatch.policy.rules import CropRule, FloodRule, KeypointRule, Rule, check_number
from hashmatch.policy.selections import Judging, Selection

__all__ = ["MatchPolicy"]


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
    selections : tuple of Selection
        What holds for the listings of some lists, sources and classes, and which action a match there has. The first
        selection that holds for a listing decides. With selections, listings that none holds for are not compared: a
        last ``Selection()`` holds for all that is left. Without selections the policy holds for everything.
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
    flood : FloodRule or None
        When an entry that matches far more pictures than its share is put in quarantine; None watches for none.
    max_matches : int
        Most matches in one report, 1 or more; the report keeps the nearest and says how many there were. The same holds
        for what was suppressed, compared only, or held back.
    max_false_reports : float or None
        Most false reports expected for one unrelated photograph against the lists that are opened; a policy that
        spends more is refused. None refuses nothing.
    decode : DecodePolicy
        Formats and limits for the picture's bytes.

    Raises
    ------
    PolicyError
        If there is no rule, two for one algorithm, a number is out of its range, or something is of another type; if a
        selection stands behind one that holds for everything, or changes what the policy does not look for.
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
    selections: tuple[Selection, ...] = ()
    flood: FloodRule | None = None
    max_matches: int = 100
    max_false_reports: float | None = None
    decode: DecodePolicy = field(default_factory=DecodePolicy)
    _by_algorithm: dict[str, Rule] = field(init=False, repr=False, compare=False)
    searches: tuple[Rule, ...] = field(init=False, repr=False, compare=False)
    judgings: tuple[Judging, ...] = field(init=False, repr=False, compare=False)
    judges_entries: bool = field(init=False, repr=False, compare=False)
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
        check_number("rotation_evidence", self.rotation_evidence, 0.0, 1000.0)
        if not isinstance(self.crops, CropRule | None):
            raise PolicyError("crops must be a CropRule or None")
        if not isinstance(self.keypoints, KeypointRule | None):
            raise PolicyError("keypoints must be a KeypointRule or None")
        if self.max_false_reports is not None:
            check_number("max_false_reports", self.max_false_reports, 0.0, 1.0)
        if not isinstance(self.decode, DecodePolicy):
            raise PolicyError("decode must be a DecodePolicy")
        rules = tuple(sorted(rules, key=lambda rule: not rule.is_digest))
        object.__setattr__(self, "rules", rules)
        if not isinstance(self.flood, FloodRule | None):
            raise PolicyError("flood must be a FloodRule or None")
        self._check_selections()
        judgings = tuple(starmap(self._judging, enumerate(self.selections or (Selection(),))))
        found: dict[str, list[Rule]] = {rule.algorithm: [] for rule in rules}
        for item in judgings:
            for algorithm, rule in item.rules.items():
                found.setdefault(algorithm, []).append(rule)
        searches = sorted(
            (Rule.widest(items) for items in found.values() if items), key=lambda rule: not rule.is_digest
        )
        confirms = any(rule.confirm_by for item in judgings for rule in item.rules.values())
        object.__setattr__(self, "judges_entries", bool(self.selections) or confirms)
        object.__setattr__(self, "judgings", judgings)
        object.__setattr__(self, "searches", tuple(searches) if self.selections else rules)
        object.__setattr__(self, "_by_algorithm", {rule.algorithm: rule for rule in self.searches})
        object.__setattr__(self, "digests", tuple(rule.algorithm for rule in self.searches if rule.is_digest))
        if not self.searches and self.keypoints is None:
            raise PolicyError("a policy needs at least one rule")
        of_pdq = self.rotations or self.shrinks or self.negatives or self.crops
        if of_pdq and not any(rule.algorithm == "pdq" for rule in (*rules, *self.searches)):
            raise PolicyError("rotations, shrinks, negatives and crops are of PDQ: the policy needs a rule for it")
        if len({rule.algorithm for rule in rules}) < len(rules):
            raise PolicyError("a policy takes one rule for each algorithm")
        if isinstance(self.max_matches, bool) or not isinstance(self.max_matches, int) or self.max_matches < 1:
            raise PolicyError("max_matches must be an integer of 1 or more")

    def _check_selections(self) -> None:
        selections = self.selections
        if not isinstance(selections, tuple) or not all(isinstance(item, Selection) for item in selections):
            raise PolicyError("selections must be a tuple of Selection")
        for place, item in enumerate(selections):
            what = f"selection {place + 1}"
            if item.where.is_everything and place + 1 < len(selections):
                raise PolicyError(f"{what} holds for everything, so that those behind it never do: put it last")
            for name, wanted, there in (
                ("crop_evidence", item.crop_evidence, self.crops is not None),
                ("rotation_evidence", item.rotation_evidence, self.rotations),
                ("keypoint_chance", item.keypoint_chance, self.keypoints is not None),
            ):
                if wanted is not None and not there:
                    raise PolicyError(f"{what} has {name}, for what the policy does not look for")

    def _judging(self, place: int, item: Selection) -> Judging:
        rules = {rule.algorithm: rule for rule in (*self.rules, *item.rules) if rule.algorithm not in item.without}
        of_pdq = "pdq" in rules
        crops, rotations, keypoints = item.crop_evidence, item.rotation_evidence, item.keypoint_chance
        if crops is None and self.crops is not None:
            crops = self.crops.min_evidence
        if keypoints is None and self.keypoints is not None:
            keypoints = self.keypoints.max_chance
        if rotations is None and self.rotations:
            rotations = self.rotation_evidence
        return Judging(
            place=place,
            where=item.where,
            action=item.action,
            rules=MappingProxyType(rules),
            crop_evidence=crops if of_pdq and "crops" not in item.without else None,
            rotation_evidence=rotations if of_pdq and "rotations" not in item.without else None,
            keypoint_chance=keypoints if "keypoint" not in item.without else None,
        )

    def judging_of(self, list_names: Iterable[str], source: str, classes: Set[str]) -> Judging | None:
        """Say how a listing is judged: by the first selection that holds for it; None where none does.

        Parameters
        ----------
        list_names : iterable of str
            Name and identifier of the list.
        source : str
            Who lists it.
        classes : set of str
            Classes that the source gives it, ``"scheme:value"``.
        """
        if not self.selections:
            return self.judgings[0]
        names = tuple(list_names)
        return next((item for item in self.judgings if item.where.holds(names, source, classes)), None)

    @property
    def crop_search(self) -> CropRule | None:
        """The rule by which every crop is found that a selection may count."""
        found = [item.crop_evidence for item in self.judgings if item.crop_evidence is not None]
        return None if self.crops is None or not found else replace(self.crops, min_evidence=min(found))

    @property
    def keypoint_search(self) -> KeypointRule | None:
        """The rule by which every keypoint record is found that a selection may count."""
        found = [item.keypoint_chance for item in self.judgings if item.keypoint_chance is not None]
        return None if self.keypoints is None or not found else replace(self.keypoints, max_chance=max(found))

    @property
    def rotation_search(self) -> float | None:
        """The evidence by which every rotation is found that a selection may count; None where none may."""
        return min(
            (item.rotation_evidence for item in self.judgings if item.rotation_evidence is not None), default=None
        )

    def rule_for(self, algorithm: str) -> Rule | None:
        """Rule by which an algorithm is searched, the widest of all selections; None where it is not searched."""
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
            asked |= {name for name in ("shrinks", "negatives") if getattr(self, name)}
            asked |= {"rotations"} if self.rotation_search is not None else set()
            asked |= {"crops"} if self.crop_search is not None else set()
        if "keypoint" in held and self.keypoint_search is not None:
            asked.add("keypoints")
        if self.decode.frames != "first" and asked - {"digests"}:
            asked.add("frames")
        return frozenset(asked)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of every field but the secret key; ``rules`` is a table by algorithm, in their order."""
        form: dict[str, Any] = to_plain(self)
        form["rules"] = {rule.pop("algorithm"): rule for rule in form["rules"]}
        form["selections"] = [item.to_dict() for item in self.selections]
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
        if isinstance(data, Mapping) and isinstance(data.get("selections"), list | tuple):
            rules = data.get("rules", () if base is None else base.rules)
            selections = enumerate(data["selections"], 1)
            data = {
                **data,
                "selections": [
                    item if isinstance(item, Selection) else Selection.from_dict(item, rules, f"selection {place}")
                    for place, item in selections
                ],
            }
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
