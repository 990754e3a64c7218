"""``hashmatch index``: is an index file sound, and why does it answer as fast as it does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.text import Text

from hashmatch.cli.console import OUT, emit, fail, hash_from
from hashmatch.index import load_index, plan_index
from hashmatch.index.verification import verify_index

__all__ = ["index_app"]

index_app = typer.Typer(help="Look into index files.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(help="Index file.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@index_app.command("verify")
def verify(
    file: _File,
    sample: Annotated[int, typer.Option("--sample", min=1, max=100_000, help="Queries to try.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the queries.")] = 0,
    as_json: _Json = False,
) -> None:
    """Check every checksum and table of an index file, and compare its answers with brute force.

    Exit code: 0 sound, 2 damaged, or an answer differs.
    """
    index = load_index(file)
    found = verify_index(index, sample=sample, seed=seed)
    if as_json:
        emit(
            {
                "kind": index.kind,
                "entries": found.n_entries,
                "searches": found.n_searches,
                "hits": found.n_hits,
                "wrong": found.n_wrong,
                "radii": list(found.radii),
            }
        )
    elif not found.n_wrong:
        radii = ", ".join(map(str, found.radii))
        OUT.print(
            f"sound: {found.n_entries:,} entries; {found.n_searches:,} searches at radius {radii} gave what brute force"
            f" gives, {found.n_hits:,} hits",
            soft_wrap=True,
        )
    if found.n_wrong:
        raise fail(f"{found.n_wrong:,} of {found.n_searches:,} searches differ from brute force: rebuild the index")


@index_app.command("explain")
def explain(
    file: _File,
    radius: Annotated[int, typer.Option("--radius", "-r", min=0, help="Radius of the searches.")] = 31,
    wanted: Annotated[
        str | None, typer.Option("--hash", help='Search this hash too, "pdq:<64 hex>", and count what it costs.')
    ] = None,
    as_json: _Json = False,
) -> None:
    """Say what an index holds, which kind the planner would take for a radius and why, and what a search costs.

    Exit code: 0, or 2 an error.
    """
    index = load_index(file, verify="header")
    bound = min(radius, index.max_distance)
    plan = plan_index(len(index), index.n_bits, metric=index.metric, radius=bound)
    facts: dict[str, Any] = {
        "kind": index.kind,
        "metric": index.metric.value,
        "bits": index.n_bits,
        "entries": len(index),
        "bytes": file.stat().st_size,
        "radius": bound,
        "plan": {"kind": plan.kind, "why": plan.why, "expected_us": dict(plan.expected_us)},
    }
    if wanted is not None:
        facts["search"] = _searched(index, wanted, bound)
    if as_json:
        emit(facts)
        return
    for line in _lines(facts):
        OUT.print(Text(line), soft_wrap=True)


def _searched(index: Any, text: str, radius: int) -> dict[str, Any]:
    """Search once to warm up and once to measure."""
    value = hash_from(text)
    if value is None:
        raise fail('--hash takes a hash such as "pdq:<64 hex>"')
    code = np.frombuffer(value.data, np.uint8)
    index.explain(code, radius)
    began = time.perf_counter()
    found = index.explain(code, radius)
    spent = time.perf_counter() - began
    return {
        "hits": len(found.positions),
        "probes": found.stats.probes,
        "compared": found.stats.compared,
        "scanned": found.stats.scanned,
        "us": round(spent * 1e6, 1),
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    size, n = facts["bytes"], facts["entries"]
    each = f", {size / n:,.0f} bytes an entry" if n else ""
    lines = [
        f"{facts['kind']}: {n:,} codes of {facts['bits']} bits, {facts['metric']}; {size:,} bytes{each}",
        facts["plan"]["why"],
    ]
    if "search" in facts:
        found = facts["search"]
        lines.append(
            f"this search: {found['hits']:,} hits in {found['us']:,.0f} µs; {found['probes']:,} probes, "
            f"{found['compared']:,} codes compared, {found['scanned']:,} of them in a scan"
        )
    return lines
