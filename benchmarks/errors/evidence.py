"""How much evidence unrelated pictures reach by chance, in a list of any size: counts, and what lies beyond them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hashmatch.views.evidence.cohort import RivalRule

__all__ = ["LOWEST", "Look", "counted", "joined", "kept", "rates"]

LOWEST = -60.0
LEVELS = (-60.0, -50.0, -40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 24.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
SHARES = (0.5, 0.25, 0.16, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
EXCESSES = (10, 20, 30, 60)
FEWEST, DRAWS, ENOUGH = 1_000, 8, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the best entries of some unrelated queries say, a row each.

    Parameters
    ----------
    queries : int
        How many were looked up, those included that led to nothing.
    of : (c,) int64 array
        Which query each row is of.
    support, rivals, kin : (c,) float64 array
        Of `hashmatch.views.evidence.cohort`.
    """

    queries: int
    of: npt.NDArray[np.int64]
    support: npt.NDArray[np.float64]
    rivals: npt.NDArray[np.float64]
    kin: npt.NDArray[np.float64]

    @classmethod
    def of_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Look:
        """Make one of what `dataclasses.asdict` gave and a file kept."""
        return cls(**{**arrays, "queries": int(arrays["queries"])})

    def most(
        self, rule: RivalRule, listed: int, share: float = 1.0, rng: np.random.Generator | None = None
    ) -> npt.NDArray[np.float64]:
        """Most evidence of each query that led to anything, in the list or a share of it drawn at random."""
        rivals, kin, kept = self.rivals, self.kin, np.ones(len(self.of), np.bool_)
        if rng is not None:
            kept = rng.random(len(self.of)) < share
            rivals, kin = (rng.binomial(count.astype(np.int64), share).astype(float) for count in (rivals, kin))
        taken = np.array([rule.taken(n, round(listed * share)) for n in (rivals + kin).tolist()])
        best = np.full(self.queries, -np.inf)
        np.maximum.at(best, self.of[kept], (self.support - taken)[kept])
        return best[np.isfinite(best)]


def joined(looks: Sequence[Look]) -> Look:
    """Put samples together."""
    starts = np.cumsum([0, *(look.queries for look in looks)])
    return Look(
        queries=int(starts[-1]),
        of=np.concatenate([look.of + start for look, start in zip(looks, starts[:-1].tolist(), strict=True)]),
        support=np.concatenate([look.support for look in looks]),
        rivals=np.concatenate([look.rivals for look in looks]),
        kin=np.concatenate([look.kin for look in looks]),
    )


def kept(folder: Path | None, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Make arrays, or take them from the cache."""
    path = None if folder is None else folder / f"{name}.npz"
    if path is None or not path.exists():
        made = make()
        if path is None:
            return made
        np.savez(path, **made)
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def counted(look: Look, listed: int, rule: RivalRule) -> dict[str, Any]:
    """Count queries by level, in the whole list and in lists thinned out; a rate beyond what was seen is drawn out."""
    ranked = np.sort(look.most(rule, listed))[::-1]
    rng = np.random.default_rng(7)
    thinned = {}
    for share in SHARES:
        if share * listed < FEWEST:
            continue
        draws = [look.most(rule, listed, share, rng) for _ in range(DRAWS)]
        thinned[round(share * listed)] = rates(np.concatenate(draws), look.queries, DRAWS)
    return {
        "queries": look.queries,
        "entries": listed,
        "over": {level: int(np.count_nonzero(ranked >= level)) for level in LEVELS},
        "most": float(ranked[0]) if len(ranked) else None,
        "mean_excess": {n: _mean_excess(ranked, n) for n in EXCESSES if n < len(ranked)},
        "rates": rates(ranked, look.queries),
        "thinned": thinned,
    }


def rates(most: npt.NDArray[np.float64], queries: int, draws: int = 1) -> dict[float, float]:
    """Share of queries that reach each level: counted where ten do, beyond drawn out by the mean excess of the largest.

    ``most`` has every query once a draw; ``queries`` are those of one draw.
    """
    ranked = np.sort(most)[::-1]
    found = {}
    for level in LEVELS:
        seen = int(np.count_nonzero(ranked >= level))
        drawn = [
            n
            / draws
            / queries
            * math.exp(-max(0.0, level - ranked[n]) / max(1e-9, float(np.mean(ranked[:n] - ranked[n]))))
            for n in (draws * count for count in EXCESSES)
            if n < len(ranked)
        ]
        is_seen = seen >= ENOUGH * draws or not drawn
        found[level] = seen / draws / queries if is_seen else float(np.exp(np.mean(np.log(drawn))))
    return found


def _mean_excess(ranked: npt.NDArray[np.float64], n: int) -> float:
    return float(np.mean(ranked[:n] - ranked[n]))
