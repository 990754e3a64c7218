"""What reports of a ledger say: a record for each item, and a row for each match or doubt.

Floor: scan. File names are there only if the ledger keeps them, digests only where they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from hashmatch.matching import Match, Outcome
from hashmatch.scan.items import shown_name
from hashmatch.scan.ledger import Ledger
from hashmatch.scan.ledger_rows import Stored

__all__ = ["COLUMNS", "digests_of", "folder_of", "name_of", "record_of", "rows_of"]

COLUMNS: Final = (
    "item",
    "key",
    "name",
    "done",
    "outcome",
    "reason",
    "kind",
    "list",
    "list_version",
    "entry",
    "algorithm",
    "distance",
    "threshold",
    "view",
    "classes",
    "action",
    "md5",
    "sha1",
    "sha256",
)
"""Columns of CSV and Parquet; the last three are empty unless digests are asked for."""


def name_of(item: Stored) -> str:
    """Give the printable name of an item; empty if the ledger keeps none."""
    if item.name is None:
        return ""
    path, *members = item.name.split(b"\0")
    inside = (member.partition(b":")[2].partition(b":")[2] for member in members)
    return "!".join(map(shown_name, [path, *(name for name in inside if name)]))


def folder_of(item: Stored) -> str:
    """Give the folder of an item; empty if the ledger keeps no names."""
    return "" if item.name is None else shown_name(os.path.dirname(item.name.partition(b"\0")[0]))


def digests_of(ledger: Ledger, item: Stored) -> dict[str, str]:
    """Give the digests of an item in hexadecimal digits."""
    if item.content is None:
        return {}
    return {name: data.hex() for name, data in ledger.digests_of(item.content).items()}


def record_of(ledger: Ledger, item: Stored, *, digests: bool) -> dict[str, Any]:
    """Give all that the ledger says of an item, JSON-ready: the report, and what has become of it since."""
    compared = () if item.basis is None else item.basis.lists
    return {
        "item": item.number,
        "key": item.key.hex(),
        **({} if item.name is None else {"name": name_of(item)}),
        "done": _time(item.at),
        **(digests_of(ledger, item) if digests else {}),
        "outcome": item.outcome.value,
        "reason": item.reason,
        "compared_with": [
            {"list": one.name, "list_id": one.mark.list_id, "list_version": one.mark.version} for one in compared
        ],
        "not_compared": [] if item.basis is None else list(item.basis.gap),
        "withdrawn": [dict(zip(("list_id", "entry_id", "algorithm"), hit, strict=True)) for hit in item.withdrawn],
        "report": item.report.to_dict(),
    }


def rows_of(ledger: Ledger, item: Stored, *, digests: bool) -> Iterator[dict[str, Any]]:
    """Give a row for each match of an item, also what counts for nothing or was taken back; one if there is none."""
    report = item.report
    head = {
        "item": item.number,
        "key": item.key.hex(),
        "name": name_of(item),
        "done": _time(item.at),
        "outcome": item.outcome.value,
        "reason": item.reason or "",
        **(digests_of(ledger, item) if digests else {}),
    }
    found = [("match", match) for match in report.matches]
    found += [("suppressed", pair.match) for pair in report.suppressed]
    found += [("comparison", match) for match in report.comparisons]
    found += [("held", match) for match in report.held]
    for kind, match in found:
        yield head | _of_match(kind, match)
    names = {} if item.basis is None else {one.mark.list_id: one.name for one in item.basis.lists}
    for list_id, entry_id, algorithm in item.withdrawn:
        told = {"list": names.get(list_id, list_id), "entry": entry_id, "algorithm": algorithm}
        yield head | {"kind": "withdrawn"} | told
    if not found and not item.withdrawn:
        yield head | {"kind": "" if item.outcome is Outcome.NO_MATCH else item.outcome.value}


def _of_match(kind: str, match: Match) -> dict[str, Any]:
    return {
        "kind": kind,
        "list": match.list_name,
        "list_version": match.list_version,
        "entry": match.entry_id,
        "algorithm": match.algorithm,
        "distance": match.distance,
        "threshold": match.threshold,
        "view": str(match.view),
        "classes": " | ".join(match.classes),
        "action": match.action or "",
    }


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
