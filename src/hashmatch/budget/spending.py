"""What a policy spends: false reports expected for one unrelated picture, view by view, and the check of a budget.

Each way of comparing spends by the tables of `hashmatch.budget.measured`. Views of one picture are not independent, so
each kind was measured by itself, as the least distance or most evidence over its views; their sum is an upper estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hashmatch.algorithms import Metric, algorithm_named
from hashmatch.budget.measured import measured
from hashmatch.budget.rates import (
    DistanceTail,
    FalseReports,
    Pictures,
    Views,
    evidence_false_reports,
    poisson_upper,
)
from hashmatch.errors import PolicyError
from hashmatch.policy import CropRule, MatchPolicy, Rule

__all__ = ["Budget", "Spending", "budget_of", "check_budget", "tail_of"]

_TURNS: Final = 8
_KEYPOINTS: Final = "keypoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What one way of comparing spends.

    Parameters
    ----------
    algorithm : str
        Whose hashes are compared.
    views : str
        ``"plain"``, ``"turns"``, ``"trims"``, ``"rotations"``, ``"shrinks"``, ``"negatives"``, ``"crops"`` or
        ``"keypoints"``.
    reports : FalseReports
        To be expected for one unrelated picture.
    """

    algorithm: str
    views: str
    reports: FalseReports


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a whole policy spends on one kind of picture.

    Parameters
    ----------
    pictures : str
        ``"photo"``, ``"low-texture"`` or ``"template"``.
    items : tuple of Spending
        In the order of the policy's rules; without those that spend nothing.
    unmeasured : tuple of str
        Algorithms the lists hold and the policy compares of which no tail is known at its threshold.
    """

    pictures: Pictures
    items: tuple[Spending, ...]
    unmeasured: tuple[str, ...]

    @property
    def total(self) -> FalseReports:
        """The sum; its bound is the sum of the bounds."""
        reports = [item.reports for item in self.items]
        return FalseReports(
            per_picture=sum(item.per_picture for item in reports),
            upper=sum(item.upper for item in reports),
            is_extrapolated=any(item.is_extrapolated for item in reports),
        )


def tail_of(algorithm: str, views: Views, pictures: Pictures) -> DistanceTail | None:
    """Measured tail of one comparison, or None where it was not measured."""
    wanted = (algorithm, views, pictures)
    return next((tail for tail in measured().tails if (tail.algorithm, tail.views, tail.pictures) == wanted), None)


def budget_of(policy: MatchPolicy, sizes: Mapping[str, int], pictures: Pictures = "photo") -> Budget:
    """Say what a policy spends.

    Parameters
    ----------
    policy : MatchPolicy
        What is compared, and which views are tried.
    sizes : mapping of str to int
        Hashes in all lists together, by algorithm.
    pictures : str
        Kind of the unrelated picture: ``"photo"``, ``"low-texture"`` (skies, walls, blurs) or ``"template"``
        (documents, screens, memes, comics, cards, each of a template of its own).

    Returns
    -------
    Budget
        For one picture.

    Raises
    ------
    ValueError
        If a size is negative.
    HashFormatError
        If an algorithm is unknown.
    """
    for size in sizes.values():
        if size < 0:
            raise ValueError(f"a list has 0 or more hashes, not {size}")
    held = {algorithm_named(name).name: size for name, size in sizes.items() if size}
    items: list[Spending] = []
    unmeasured: list[str] = []
    for rule in policy.searches:
        size = held.get(rule.algorithm, 0)
        if not size or rule.definition.metric is Metric.EXACT:
            continue
        try:
            items += _spent_by(rule, policy, size, pictures)
        except LookupError:
            unmeasured.append(rule.algorithm)
    crops = policy.crop_search
    if crops is not None and held.get("pdq"):
        spent = _crops(crops, held["pdq"], pictures, trims=policy.trims)
        if spent is None:
            unmeasured.append("crops")
        else:
            items.append(Spending(algorithm="pdq", views="crops", reports=spent))
    if policy.keypoint_search is not None and held.get(_KEYPOINTS):
        items.append(Spending(algorithm=_KEYPOINTS, views="keypoints", reports=_keypoints(held[_KEYPOINTS], pictures)))
    return Budget(pictures=pictures, items=tuple(items), unmeasured=tuple(unmeasured))


def check_budget(policy: MatchPolicy, sizes: Mapping[str, int], allowed: float, pictures: Pictures = "photo") -> Budget:
    """Refuse a policy that spends too much.

    Parameters
    ----------
    policy, sizes, pictures
        As for `budget_of`.
    allowed : float
        Most false reports expected for one unrelated picture.

    Raises
    ------
    PolicyError
        If more are expected, with the figure and what spends most; or if the lists hold hashes that the policy compares
        and whose tail was not measured, because nothing can be promised for those.
    """
    budget = budget_of(policy, sizes, pictures)
    if budget.unmeasured:
        raise PolicyError(
            f"policy {policy.name!r} has a budget, but what {', '.join(budget.unmeasured)} spends at its threshold was "
            "not measured; leave its rule out, or set max_false_reports to None"
        )
    spent = budget.total.per_picture
    if spent > allowed:
        most = max(budget.items, key=lambda item: item.reports.per_picture)
        raise PolicyError(
            f"policy {policy.name!r} spends {spent:.1e} false reports per picture, "
            f"{most.reports.per_picture:.1e} of them by {most.algorithm} ({most.views}); {allowed:.1e} are allowed"
        )
    return budget


def _spent_by(rule: Rule, policy: MatchPolicy, size: int, pictures: Pictures) -> Iterator[Spending]:
    """Every kind of view of one algorithm."""
    tightened = rule.threshold if rule.view_threshold is None else min(rule.threshold, rule.view_threshold)

    def spent(views: Views, threshold: int = tightened) -> FalseReports:
        tail = tail_of(rule.algorithm, views, pictures)
        if tail is None:
            raise LookupError(rule.algorithm)
        return tail.expected(threshold, size)

    def spending(views: str, reports: FalseReports) -> Spending:
        return Spending(algorithm=rule.algorithm, views=views, reports=reports)

    yield spending("plain", spent("plain", rule.threshold))
    plain = spent("plain")  # a view that is a picture of its own
    if policy.turns:
        yield spending("turns", spent("turns"))
    if policy.trims:
        yield spending("trims", _trims(replace(rule, threshold=tightened), policy, size, pictures, plain))
    if rule.algorithm != "pdq":
        return
    if policy.rotation_search is not None:
        evidence = measured().rotations[pictures]
        yield spending("rotations", evidence_false_reports(policy.rotation_search, size, evidence))
    if policy.shrinks:
        yield spending("shrinks", replace(_times(plain, measured().shrinks_add[pictures]), is_extrapolated=True))
    if policy.negatives:
        # of photographs they come near a third as often as the seven other turns, and are charged as those
        views: Views = "turns" if tail_of("pdq", "negatives", pictures) is None else "negatives"
        yield spending("negatives", replace(spent(views), is_extrapolated=True))


def _crops(rule: CropRule, size: int, pictures: Pictures, *, trims: bool) -> FalseReports | None:
    """Spent by the crop search of the picture, its turns and its first trim; None where it was not measured."""
    tail = measured().crops.get(pictures)
    if tail is None:
        return None
    trimmed = tail_of("pdq", "trims", pictures) if trims else None
    looks = 1.0 + (min(1.0, trimmed.n_views) if trimmed else 0.0)
    try:
        return _times(evidence_false_reports(rule.min_evidence, size, tail, turns=len(rule.turns)), looks)
    except ValueError:
        return None


def _keypoints(size: int, pictures: Pictures) -> FalseReports:
    """Spent by keypoint records, as counted at the judge's own level, whatever stricter one the rule asks for."""
    seen = measured().keypoints[pictures]
    # where none was seen, as much as if one had been
    each = max(1, seen.false) / seen.pairs
    upper = poisson_upper(seen.false) / seen.pairs
    return FalseReports(per_picture=each * size, upper=upper * size, is_extrapolated=size > seen.entries)


def _trims(rule: Rule, policy: MatchPolicy, size: int, pictures: Pictures, plain: FalseReports) -> FalseReports:
    """Spent by trims, each a picture of its own; a policy that turns the picture turns its trims too."""
    turns = _TURNS if policy.turns else 1
    tail, by_pdq = tail_of(rule.algorithm, "trims", pictures), tail_of("pdq", "trims", pictures)
    each = _times(plain, by_pdq.n_views if by_pdq else 1.0)
    if tail is not None:
        own = tail.expected(rule.threshold, size)
        # too few trims of photographs were near anything for their own tail to be continued
        unseen = math.isinf(tail.fall) and not tail.seen(rule.threshold)
        each = replace(own, per_picture=each.per_picture) if unseen else own
    return replace(_times(each, turns), is_extrapolated=True)


def _times(reports: FalseReports, factor: float) -> FalseReports:
    return replace(reports, per_picture=factor * reports.per_picture, upper=factor * reports.upper)
