"""Tables of docs/explanation/budget.md, crops.md and docs/how-to/choosing-a-radius.md, for `performance`.

What a policy spends is computed by the library from its own tables, which ``python -m benchmarks budget`` makes.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

from benchmarks.errors.strangers import upper_bound
from benchmarks.frame.goals import Results
from benchmarks.frame.runner import markdown_table
from hashmatch import profiles
from hashmatch.budget.measured import measured
from hashmatch.budget.rates import FalseReports, Views, evidence_false_reports
from hashmatch.budget.spending import budget_of, tail_of

__all__ = ["algorithm_rates", "crop_levels", "pdq_rates", "pdq_tails", "policy_rates", "strangers"]

_LISTED = 1_000_000
_THRESHOLDS = {rule.algorithm: rule.threshold for rule in profiles.RULES}
_PICTURES = ("photo", "low-texture", "template")
_WIDTHS = {"pHash": "phash", "dHash": "dhash", "wHash": "whash", "aHash": "ahash"}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(value: float) -> str:
    """Write two digits and a power of ten; from 1 on the number itself."""
    if value >= 1:
        return f"{value:.1f}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits} · 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def strangers(results: Results) -> str:
    """Unrelated photo-like pictures at the thresholds of the presets."""
    found = results["strangers"]["photo-like"]

    def row(name: str, algorithms: list[str]) -> list[str]:
        cells: list[list[str]] = [[], [], [], []]
        for algorithm in algorithms:
            threshold, pairs = _THRESHOLDS[algorithm], found[algorithm]["pairs"]
            near, total = sum(pairs[: threshold + 1]), sum(pairs)
            first = next(distance for distance, count in enumerate(pairs) if count)
            parts = (str(threshold), str(near), power(upper_bound(near, total)), str(first - 1) if first else "none")
            for cell, text in zip(cells, parts, strict=True):
                cell.append(text)
        return [name, *(" / ".join(cell) for cell in cells)]

    rows = [row("PDQ", ["pdq"])]
    rows += [row(f"{name}, 64 / 256 bits", [short, f"{short}-256"]) for name, short in _WIDTHS.items()]
    return markdown_table(["hash", "threshold", "pairs within", "95 % upper bound", "largest radius with none"], rows)


def pdq_tails(_: Results) -> str:
    """Pairs of unrelated pictures by distance, as the library has them."""
    at = (20, 28, 31, 38, 42, 46, 50, 54, 58, 62, 66)
    views: tuple[Views, ...] = ("plain", "turns", "trims")
    rows = []
    for kind, view in product(_PICTURES, views):
        tail = tail_of("pdq", view, kind)  # type: ignore[arg-type]
        if tail is not None:
            counts = dict(tail.within)
            cells = [f"{counts[distance]:,}" if distance in counts else "" for distance in at]
            rows.append([f"{kind}, {view}", f"{tail.queries:,}", f"{tail.n_views:g}", *cells])
    return markdown_table(["pairs within, of queries x 100,000", "queries", "views", *map(str, at)], rows)


def _rate(name: str, spent: FalseReports, fall: str, *, is_seen: bool = False) -> list[str]:
    beyond = ("list size only" if is_seen else "yes") if spent.is_extrapolated else "no"
    return [name, power(spent.per_picture), power(spent.upper), beyond, fall]


def pdq_rates(_: Results) -> str:
    """Say what PDQ at 31 spends on one picture, by kind of view."""
    views: tuple[Views, ...] = ("plain", "turns", "trims")
    rows = []
    for kind in _PICTURES:
        for view in views:
            tail = tail_of("pdq", view, kind)  # type: ignore[arg-type]
            if tail is not None:
                is_seen = tail.seen(31) > 0
                fall = "" if math.isinf(tail.fall) else f"{tail.fall:.1f} bits"
                row = _rate(f"{kind}, {view}", tail.expected(31, _LISTED), fall, is_seen=is_seen)
                if not is_seen and not fall:  # too few to be drawn out
                    row[1] = "as plain, for each trim"
                rows.append(row)
        evidence = measured().rotations[kind]  # type: ignore[index]
        level = profiles.THOROUGH.rotation_evidence
        spent = evidence_false_reports(level, _LISTED, evidence)
        rows.append(_rate(f"{kind}, rotations, {level:g} nats", spent, f"{evidence.fall:g} nats"))
    return markdown_table(["queries, views", "a picture", "95 % bound", "extrapolated", "slowest fall"], rows)


def policy_rates(_: Results) -> str:
    """Say what whole policies spend on one picture, and in a day of a million."""
    rows = []
    for policy, kind in product((profiles.FAST, profiles.STANDARD, profiles.THOROUGH), _PICTURES):
        budget = budget_of(policy, {"pdq": _LISTED}, kind)  # type: ignore[arg-type]
        if not budget.unmeasured:
            spent = budget.total
            day = f"{spent.per_day(1_000_000):,.0f}"
            rows.append([f"{policy.name}, {kind}", power(spent.per_picture), power(spent.upper), day])
    return markdown_table(["policy, queries", "a picture", "95 % bound", "a day"], rows)


def algorithm_rates(_: Results) -> str:
    """Pairs of the other algorithms within their thresholds, and what a turned photograph spends."""
    rows = []
    for algorithm in (*_WIDTHS.values(), *(f"{name}-256" for name in _WIDTHS.values())):
        threshold = _THRESHOLDS[algorithm]
        cells, spent = [], 0.0
        for kind in _PICTURES:
            tails = [tail_of(algorithm, view, kind) for view in ("plain", "turns")]  # type: ignore[arg-type]
            cells.append(" / ".join(f"{tail.seen(threshold):,}" for tail in tails if tail is not None))
            if kind == "photo":
                spent = sum(tail.expected(threshold, _LISTED).per_picture for tail in tails if tail is not None)
        rows.append([algorithm, str(threshold), *cells, power(spent)])
    header = ["hash", "threshold", "photo: as it is / turned", "low-texture", "template"]
    return markdown_table([*header, "a photo, 8 turns, 1,000,000 hashes"], rows)


def crop_levels(results: Results) -> str:
    """Recall and false reports of the crop search by the evidence that is asked for."""
    recall, photo = results["crops"]["recall"]["rows"], results["crops"]["unrelated"]["photo"]
    least = profiles.THOROUGH.crops.min_evidence if profiles.THOROUGH.crops is not None else math.inf
    groups = (
        [f"{share} % off one side" for share in ("5", "10", "20")],
        [f"{share} % off every side" for share in ("2.5", "5", "10")],
        ["each side its own share up to 10 %"],
    )
    rows = []
    for level in sorted(photo["rates"].keys() & recall[groups[0][0]]["recall"].keys(), key=float):
        if float(level) < 10:
            continue
        one, worst = photo["rates"][level], max(rates[level] for rates in photo["thinned"].values())
        found: list[Any] = [" / ".join(f"{recall[name]['recall'][level]:.1f}" for name in names) for names in groups]
        name = f"**{float(level):g}** (default)" if float(level) == least else f"{float(level):g}"
        rows.append([name, *found, *map(power, (one, 2 * one, max(one, worst)))])
    header = ["least evidence", "5 / 10 / 20 % off one side", "2.5 / 5 / 10 % off every side", "own shares up to 10 %"]
    return markdown_table([*header, "one turn", "two", "worst length, one turn"], rows)
