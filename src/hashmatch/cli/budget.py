"""``hashmatch budget``: how many false reports a policy is expected to make, before anything is matched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from hashmatch.budget.rates import FalseReports, Pictures
from hashmatch.budget.spending import Budget, budget_of
from hashmatch.cli.console import OUT, emit
from hashmatch.cli.policy_options import policy_from
from hashmatch.cli.sources import open_list
from hashmatch.policy import MatchPolicy

__all__ = ["budget", "budget_record", "show_budget", "sizes_of"]

_KINDS: Final[dict[Pictures, str]] = {
    "photo": "photographs",
    "low-texture": "pictures of low texture (sky, walls, blurs)",
    "template": "documents, screens, memes, comics, cards",
}
_WORDS: Final = {
    "plain": "the picture as it is",
    "turns": "its seven other turns",
    "trims": "without borders, bars and bands",
    "rotations": "turned back by a few degrees",
    "shrinks": "shrunk as other producers do",
    "negatives": "its negative, in eight turns",
    "crops": "as if cut from an entry's picture",
    "keypoints": "parts of it in an entry's picture",
}


def budget(
    lists: Annotated[
        list[Path] | None, typer.Argument(help="List files whose sizes are taken.", show_default=False)
    ] = None,
    policy: Annotated[str, typer.Option("--policy", "-p", help="Name of a policy, or a policy file.")] = "standard",
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", "-t", help="ALGORITHM=DISTANCE, inclusive; may be given several times."),
    ] = None,
    entries: Annotated[
        int, typer.Option("--entries", min=0, help="PDQ hashes in the list, without LISTS.")
    ] = 1_000_000,
    volume: Annotated[float, typer.Option("--volume", min=0, help="Unrelated pictures looked up a day.")] = 1e6,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say how many false reports to expect from unrelated pictures: for one picture and for a day.

    Figures rest on synthetic pictures, photographs apart from others; docs/explanation/budget.md says how they were
    measured.

    Exit code: 0, or 2 an error.

    Example: hashmatch budget mine.hashmatch --policy thorough --volume 100000
    """
    chosen = policy_from(policy, threshold or ())
    sizes = sizes_of(lists) if lists else Counter({"pdq": entries})
    if as_json:
        emit(budget_record(chosen, sizes, volume))
        return
    show_budget(chosen, sizes, volume)


def budget_record(policy: MatchPolicy, sizes: Counter[str], volume: float) -> dict[str, object]:
    """Say what a policy spends against lists of these sizes, JSON-ready."""
    return {
        "policy": policy.name,
        "hashes": dict(sizes),
        "pictures_a_day": volume,
        "budgets": [_record(budget_of(policy, sizes, pictures), volume) for pictures in _KINDS],
    }


def show_budget(policy: MatchPolicy, sizes: Counter[str], volume: float) -> None:
    """Print what a policy spends, for people."""
    held = ", ".join(f"{size:,} {name}" for name, size in sizes.items() if size) or "no hashes"
    OUT.print(
        Text(f"policy {policy.name}; in the lists: {held}; {volume:,.0f} unrelated pictures a day"), soft_wrap=True
    )
    for found in (budget_of(policy, sizes, pictures) for pictures in _KINDS):
        OUT.print(_table(found, volume))
        if found.unmeasured:
            OUT.print(Text(f"not measured, so not counted: {', '.join(found.unmeasured)}"), soft_wrap=True)
    OUT.print(
        Text(
            "Expected numbers of false reports. The bound holds with 95 % confidence as far as it was measured. "
            "* goes beyond what was measured: nearer distances, or a larger list."
        ),
        soft_wrap=True,
    )


def sizes_of(paths: list[Path]) -> Counter[str]:
    """Count the hashes of lists, by algorithm."""
    sizes: Counter[str] = Counter()
    for path in paths:
        with open_list(path) as reference:
            sizes.update(reference.info().hashes)
    return sizes


def _table(found: Budget, volume: float) -> Table:
    table = Table(title=_KINDS[found.pictures], title_justify="left")
    table.add_column("what is compared")
    for heading in ("a picture", "bound", "a day"):
        table.add_column(heading, justify="right")
    for item in found.items:
        table.add_row(f"{item.algorithm}: {_WORDS[item.views]}", *_cells(item.reports, volume))
    table.add_section()
    table.add_row("all together", *_cells(found.total, volume))
    return table


def _cells(reports: FalseReports, volume: float) -> tuple[str, str, str]:
    star = "*" if reports.is_extrapolated else " "
    return f"{reports.per_picture:.1e}{star}", f"{reports.upper:.1e} ", f"{reports.per_day(volume):,.3g}{star}"


def _record(found: Budget, volume: float) -> dict[str, object]:
    items = [
        {"algorithm": item.algorithm, "views": item.views} | _figures(item.reports, volume) for item in found.items
    ]
    return {
        "pictures": found.pictures,
        "items": items,
        "total": _figures(found.total, volume),
        "unmeasured": list(found.unmeasured),
    }


def _figures(reports: FalseReports, volume: float) -> dict[str, float | bool]:
    return {
        "per_picture": reports.per_picture,
        "upper_95": reports.upper,
        "per_day": reports.per_day(volume),
        "is_extrapolated": reports.is_extrapolated,
    }
