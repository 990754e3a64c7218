"""One page of HTML that holds everything: counts, charts and a table; no picture, and nothing from another place.

Floor: scan. The page's policy allows its own script and style, by their SHA-256, and nothing else. Text from the medium
and from lists stands in a block of JSON, in which no tag can begin, and is put into the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from hashmatch.matching import Outcome
from hashmatch.scan.out.rows import folder_of, rows_of

if TYPE_CHECKING:
    from hashmatch.scan.ledger import Ledger

__all__ = ["page"]

_SHOWN: Final = ("kind", "outcome", "reason", "name", "list", "entry", "algorithm", "distance", "view", "classes")
_MOST_BARS: Final = 50
_MOST_FOLDERS: Final = 100_000


def page(ledger: Ledger) -> Iterator[str]:
    """Make the page, in parts.

    Notes
    -----
    Items that match nothing, and files that are no pictures, are counted and not listed. Memory: the counts.
    """
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'"
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>Scan report</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    charts = {name: Counter[str]() for name in ("outcome", "reason", "list", "class", "distance", "folder")}
    yield '<script type="application/json" id="rows">['
    first = True
    for item in ledger:
        charts["outcome"][item.outcome.value] += 1
        if item.reason is not None and item.outcome is not Outcome.MATCH:
            charts["reason"][item.reason] += 1
        if item.outcome is Outcome.MATCH:
            _count(charts, item.report.matches)
            folder = folder_of(item)
            if folder and (folder in charts["folder"] or len(charts["folder"]) < _MOST_FOLDERS):
                charts["folder"][folder] += 1
        for row in rows_of(ledger, item, digests=False):
            if row["kind"] and row["reason"] != "not-an-image":
                row["name"] = row["name"] or f"item {row['item']}"
                yield ("" if first else ",\n") + _json([row.get(name, "") for name in _SHOWN])
                first = False
    yield "]</script>\n"
    counts, bases = ledger.counts(), ledger.bases
    lists = {(one.name, one.mark.version, one.mark.digest[:16]) for basis in bases for one in basis.lists}
    facts = {
        "items": f"{counts.items:,}",
        "different contents": f"{counts.contents:,}",
        "policy": ", ".join(dict.fromkeys(basis.policy_name for basis in bases)) or "none",
        "software": ", ".join(dict.fromkeys(basis.software for basis in bases)) or "none",
        "lists": "; ".join(f"{name} version {version} ({digest})" for name, version, digest in sorted(lists)) or "none",
        "ledger": ledger.identifier,
        "file names": "kept" if ledger.keeps_names else "not kept: items are named by their number in the ledger",
    }
    if counts.behind:
        facts["behind"] = (
            f"{counts.behind:,} contents were compared with other versions of the lists: run hashmatch rescan"
        )
    yield "<main>\n<h1>Scan report</h1>\n<dl>\n"
    for name, value in facts.items():
        yield f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>\n"
    yield '</dl>\n<section aria-labelledby="charts-title">\n<h2 id="charts-title">Counts</h2>\n<div class="charts">\n'
    for name, counter in charts.items():
        yield from _chart(name, counter)
    yield f"</div>\n</section>\n{_asset('page.html')}</main>\n<script>{script}</script>\n</body>\n</html>\n"


def _count(charts: dict[str, Counter[str]], matches: Any) -> None:
    """Count an item once for each list and class that it matches, and by its nearest distance."""
    for name in {match.list_name for match in matches}:
        charts["list"][name] += 1
    for name in {name for match in matches for name in match.classes}:
        charts["class"][name] += 1
    near = [match for match in matches if match.distance is not None and match.threshold]
    exact = any(match.threshold == 0 for match in matches)
    if exact or near:
        best = min((match.distance for match in near), default=0)
        charts["distance"]["equal file" if exact else f"{best // 4 * 4} to {best // 4 * 4 + 3}"] += 1


def _chart(name: str, counter: Counter[str]) -> Iterator[str]:
    """Make a table of counts; the script draws a bar into each row."""
    if not counter:
        return
    title = {"outcome": "Items by outcome", "reason": "Items by reason"}.get(name, f"Matching items by {name}")
    yield f'<table class="chart"><caption>{title}</caption><thead><tr><th scope="col">{name}</th>'
    yield '<th scope="col">items</th><td></td></tr></thead><tbody>\n'
    rows = counter.most_common(_MOST_BARS)
    if name == "distance":
        rows.sort(key=lambda row: -1 if row[0] == "equal file" else int(row[0].split()[0]))
    most = max(counter.values())
    for label, n in rows:
        yield (
            f'<tr><th scope="row">{html.escape(label)}</th><td class="n">{n:,}</td>'
            f'<td><meter min="0" max="{most}" value="{n}" aria-hidden="true"></meter></td></tr>\n'
        )
    if len(counter) > len(rows):
        rest = sum(counter.values()) - sum(n for _, n in rows)
        yield f'<tr><th scope="row">{len(counter) - len(rows):,} more</th><td class="n">{rest:,}</td><td></td></tr>\n'
    yield "</tbody></table>\n"


def _json(value: Any) -> str:
    """Write JSON in which no tag, comment or script of HTML can begin or end."""
    return (
        json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )


def _asset(name: str) -> str:
    return resources.files("hashmatch.scan.out").joinpath(name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
