"""``hashmatch index``: make index files, see whether they are sound, and why they answer as fast as they do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.text import Text

from hashmatch.cli.console import OUT, emit, fail, safe
from hashmatch.cli.interrupts import ended_by_sigterm
from hashmatch.cli.policy_options import policy_from
from hashmatch.cli.sources import hash_from, named, open_list
from hashmatch.errors import IndexFormatError
from hashmatch.index import Costs, KeypointIndex, load_index, plan_index
from hashmatch.index.calibration import COSTS_FILE, calibrate, load_costs, save_costs
from hashmatch.index.costs import MEASURED
from hashmatch.index.multi.out_of_core import DEFAULT_MEMORY
from hashmatch.index.planner import sample_of
from hashmatch.index.storage import read_index_file
from hashmatch.index.verification import verify_index
from hashmatch.lists import Content
from hashmatch.store.folder import build_files, remove_others
from hashmatch.store.index_file import verify_index_file

__all__ = ["index_app"]

index_app = typer.Typer(help="Make index files and look into them.", no_args_is_help=True, rich_markup_mode=None)

_File = Annotated[Path, typer.Argument(help="Index file.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


_MEGABYTE: Final = 1 << 20


@index_app.command("build")
def build(
    lists: Annotated[list[Path], typer.Argument(help="List files.", show_default=False)],
    folder: Annotated[
        Path, typer.Option("--folder", "-f", help="Existing folder; the --index-folder of match and scan.")
    ],
    policy: Annotated[
        str,
        typer.Option("--policy", "-p", help="fast, standard, thorough or FILE.toml: what is searched, and how far."),
    ] = "standard",
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", "-t", help="ALGORITHM=DISTANCE, inclusive; may be given several times."),
    ] = None,
    memory: Annotated[
        int, typer.Option("--memory", min=1, help="Megabytes for working arrays; lists may be larger.")
    ] = DEFAULT_MEMORY // _MEGABYTE,
    again: Annotated[bool, typer.Option("--again", help="Make files even where they are up to date.")] = False,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean", help="Then remove files of the lists that the policy does not need and nobody has open."
        ),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Make the index files of lists, each beside the old one, while matchers go on answering from that.

    Exit code: 0, or 2 an error.

    Example: hashmatch index build mine.hashmatch --folder indexes
    """
    rules = policy_from(policy, threshold or ())
    if not folder.is_dir():
        raise fail("the index folder cannot be used: name an existing folder that can be written")
    for path in lists:
        with ended_by_sigterm(), open_list(path) as reference, named(path, folder):
            if not reference.contents and not as_json:
                OUT.print(Text(f"{safe(reference.name)}: no hashes, so no file"), soft_wrap=True)
            for built in build_files(reference, rules, folder.absolute(), memory=memory * _MEGABYTE, again=again):
                size = built.path.stat().st_size
                if as_json:
                    emit(
                        {
                            "list": reference.name,
                            "algorithm": built.algorithm,
                            "file": str(built.path),
                            "entries": built.n_rows,
                            "bytes": size,
                            "made": built.made,
                            "seconds": round(built.seconds, 3),
                        }
                    )
                    continue
                done = f"made in {built.seconds:,.1f} s" if built.made else "up to date"
                OUT.print(
                    Text(
                        f"{safe(reference.name)}, {built.algorithm}: {built.n_rows:,} hashes, {size:,} bytes, "
                        f"{size / built.n_rows:,.0f} each; {done}"
                    ),
                    soft_wrap=True,
                )
            for removed in remove_others(reference, rules, folder.absolute()) if clean else ():
                if as_json:
                    emit({"list": reference.name, "removed": str(removed)})
                else:
                    OUT.print(Text(f"removed {safe(removed.name)}"), soft_wrap=True)


@index_app.command("calibrate")
def measure(
    folder: Annotated[Path, typer.Option("--folder", "-f", help="Index folder; the costs are kept there.")],
    scale: Annotated[
        float, typer.Option("--scale", min=0.01, max=1, help="Size of the lists measured; 1 takes half a minute.")
    ] = 0.25,
    as_json: _Json = False,
) -> None:
    """Measure what the steps of a search cost on this machine, for the planner; best while nothing else runs.

    Exit code: 0, or 2 an error.

    Example: hashmatch index calibrate --folder indexes
    """
    costs = calibrate(scale=scale)
    path = save_costs(folder, costs)
    if as_json:
        emit({"file": str(path), "costs": asdict(costs)})
        return
    for name, value in asdict(costs).items():
        OUT.print(f"{name:<12} {value:>12,.2f} ns", highlight=False)
    OUT.print(Text(f"kept in {safe(str(path))}"), soft_wrap=True)


@index_app.command("verify")
def verify(
    file: _File,
    sample: Annotated[int, typer.Option("--sample", min=1, max=100_000, help="Queries to try.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the queries.")] = 0,
    reference: Annotated[
        Path | None, typer.Option("--list", "-l", help="Say too whether it holds what this list does now.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check every checksum, table and row of an index file, and compare its answers with brute force.

    Those of keypoint records are not compared: their search is not exact.

    Exit code: 0 sound, 2 damaged, or an answer differs, or it is of another list than the one given.

    Example: hashmatch index verify indexes/FILE --list mine.hashmatch
    """
    is_of_points = read_index_file(file, verify="header").kind == KeypointIndex.kind
    index = KeypointIndex.load(file) if is_of_points else load_index(file)
    content = verify_index_file(file)
    behind = None if reference is None else _behind(index.tag, content, reference)
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
                "rows": None if content is None else content.n_rows,
                "up_to_date": None if behind is None else not behind,
            }
        )
    elif not found.n_wrong:
        radii = ", ".join(map(str, found.radii))
        searched = (
            "the search for keypoints is not exact, so none was compared with brute force"
            if is_of_points
            else f"{found.n_searches:,} searches at radius {radii} gave what brute force gives, {found.n_hits:,} hits"
        )
        OUT.print(f"sound: {found.n_entries:,} entries; {searched}", soft_wrap=True)
        if content is not None:
            OUT.print(f"its {content.n_rows:,} rows are those it was made from, version {index.tag['version']}")
        if behind is not None:
            OUT.print(behind or "it holds what the list does now")
    if found.n_wrong:
        raise fail(f"{found.n_wrong:,} of {found.n_searches:,} searches differ from brute force: rebuild the index")


def _behind(tag: Mapping[str, str], content: Content | None, path: Path) -> str:
    """Say in which way an index file does not hold what a list does now; nothing where it does."""
    with open_list(path, check="none") as reference, reference.pinned() as pinned:
        if content is None or tag.get("list") != pinned.list_id:
            raise fail("the index file is of another list")
        if pinned.contents.get(tag["algorithm"]) == content:
            return ""
        return f"the list is at version {pinned.version}: a matcher adds what changed since, when it opens the file"


@index_app.command("explain")
def explain(
    file: _File,
    radius: Annotated[int, typer.Option("--radius", "-r", min=0, help="Radius of the searches.")] = 31,
    wanted: Annotated[
        str | None, typer.Option("--hash", help='Search this hash too, "pdq:<64 hex>", and count what it costs.')
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", "-f", help="Folder with measured costs (index calibrate); that of the file without."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Say what an index holds, which kind the planner would take for a radius and why, and what a search costs.

    Exit code: 0, or 2 an error.

    Example: hashmatch index explain indexes/FILE --radius 31
    """
    costs, source = _costs_for(file.absolute().parent if folder is None else folder)
    index = load_index(file, verify="header", costs=costs)
    bound = min(radius, index.max_distance)
    plan = plan_index(
        len(index),
        index.n_bits,
        metric=index.metric,
        radius=bound,
        sample=sample_of(index.all_codes()),
        costs=costs,
    )
    facts: dict[str, Any] = {
        "kind": index.kind,
        "metric": index.metric.value,
        "bits": index.n_bits,
        "entries": len(index),
        "bytes": file.stat().st_size,
        "radius": bound,
        "plan": {"kind": plan.kind, "why": plan.why, "expected_us": dict(plan.expected_us)},
        "costs": {"from": source, **asdict(costs)},
    }
    if wanted is not None:
        facts["search"] = _searched(index, wanted, bound)
    if as_json:
        emit(facts)
        return
    for line in _lines(facts):
        OUT.print(Text(line), soft_wrap=True)


def _costs_for(folder: Path) -> tuple[Costs, str]:
    """Costs for the planner, and where they come from."""
    try:
        return load_costs(folder), f"measured on this machine, {safe(str(folder / COSTS_FILE))}"
    except FileNotFoundError:
        return MEASURED, "built in; hashmatch index calibrate measures those of this machine"
    except IndexFormatError as error:
        return MEASURED, f"built in, because {error}"


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
        f"costs: {facts['costs']['from']}",
    ]
    if "search" in facts:
        found = facts["search"]
        lines.append(
            f"this search: {found['hits']:,} hits in {found['us']:,.0f} µs; {found['probes']:,} probes, "
            f"{found['compared']:,} codes compared, {found['scanned']:,} of them in a scan"
        )
    return lines
