"""What of a list a policy's selections compare, and which selections hold for nothing.

Worked out once for each version of a list, and only for a policy with selections. Where lists and sources alone decide
that all is compared it costs nothing; else a pass over the rows, and where classes decide one over the labels of each
source too: about two seconds for a million entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from hashmatch.lists import PinnedVersion
    from hashmatch.policy import MatchPolicy
    from hashmatch.policy.selections import Judging

__all__ = ["uncovered_rows", "unused_names"]

_NONE: Final[Mapping[str, int]] = MappingProxyType({})


def uncovered_rows(pinned: PinnedVersion, policy: MatchPolicy) -> Mapping[str, int]:
    """Count the hashes that no selection compares, by algorithm; of those that the policy searches.

    Raises
    ------
    ReferenceListError
        If the list cannot be read.
    """
    if not policy.selections:
        return _NONE
    ways = {number: _ways(pinned, policy, source) for source, number in pinned.source_numbers.items()}
    left: Counter[str] = Counter()
    for algorithm in pinned.contents:
        searched = algorithm == "keypoint" if policy.rule_for(algorithm) is None else True
        if not searched or all(_compared(found, algorithm) for found in ways.values()):
            continue
        keys, owners = pinned.owners(algorithm)
        for number, found in ways.items():
            rows = keys[owners == number]
            for judging in found:
                is_here = np.ones(len(rows), np.bool_)
                if judging.where.classes:
                    is_here = np.isin(rows, pinned.labelled(number, judging.where.classes))
                if not judging.compares(algorithm):
                    left[algorithm] += int(np.count_nonzero(is_here))
                rows = rows[~is_here]
            left[algorithm] += len(rows)
    return MappingProxyType({name: n for name, n in left.items() if n})


def _ways(pinned: PinnedVersion, policy: MatchPolicy, source: str) -> list[Judging]:
    """Give the selections that may hold for listings of a source, in order, to the first that holds for all of them."""
    found = []
    for item in policy.judgings:
        if item.where.may_hold((pinned.name, pinned.list_id), source):
            found.append(item)
            if not item.where.classes:
                break
    return found


def _compared(ways: list[Judging], algorithm: str) -> bool:
    return bool(ways) and not ways[-1].where.classes and all(item.compares(algorithm) for item in ways)


def unused_names(policy: MatchPolicy, versions: Iterable[PinnedVersion]) -> tuple[str, ...]:
    """Say of each selection which of its lists, sources and classes none of these lists has: they may be misspelt.

    Parameters
    ----------
    policy : MatchPolicy
        The selections.
    versions : iterable of PinnedVersion
        The lists, each read while it is held still.

    Returns
    -------
    tuple of str
        A sentence each; empty where every name is there.

    Raises
    ------
    ReferenceListError
        If a list cannot be read.
    """
    lists: set[str] = set()
    sources: set[str] = set()
    classes: set[str] = set()
    wanted = frozenset(name for item in policy.selections for name in item.where.classes)
    for pinned in versions:
        lists |= {pinned.name, pinned.list_id}
        sources |= pinned.source_numbers.keys()
        classes |= {name for name in wanted - classes if any(_has(pinned, name))}
    return tuple(
        f"selection {place}: no list has the {kind} {name!r}"
        for place, item in enumerate(policy.selections, 1)
        for kind, names, there in (
            ("name or identifier", item.where.lists, lists),
            ("source", item.where.sources, sources),
            ("class", item.where.classes, classes),
        )
        for name in names
        if name not in there
    )


def _has(pinned: PinnedVersion, name: str) -> Iterable[bool]:
    return (len(pinned.labelled(number, (name,))) > 0 for number in pinned.source_numbers.values())
