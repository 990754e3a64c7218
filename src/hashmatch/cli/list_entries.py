"""``hashmatch list show | find | relabel | withdraw``: single entries of a list, by id, hash or picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.text import Text

from hashmatch.algorithms import ALGORITHMS, Metric
from hashmatch.cli.common_options import Json, Labels, ListFile, Source
from hashmatch.cli.console import OUT, Exit, emit, fail, labels_from, safe
from hashmatch.cli.sources import STDIN, hash_from, open_list, opened, standard_input, warn_of_hashlike
from hashmatch.errors import ImageError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.index.linear import LinearIndex
from hashmatch.lists import LOCAL, Entry, ReferenceList
from hashmatch.lists.formats.decoding import decoded_lines

__all__ = ["entry_record", "find", "relabel", "show", "withdraw"]

Hashes = Annotated[bool, typer.Option("--hashes", help="Show the hashes too: they are the list.")]

_SHOWN: Final = 20


def show(
    path: ListFile,
    entry_ids: Annotated[list[str], typer.Argument(metavar="ENTRY...", help="Entry ids.", show_default=False)],
    hashes: Hashes = False,
    as_json: Json = False,
) -> None:
    """Show what a list holds of entries: sources, labels, and how many hashes of which algorithm.

    Exit code: 0 when the list has every one of them, 1 when not, 2 an error.

    Example: hashmatch list show mine.hashmatch entry-1 --hashes
    """
    with open_list(path) as ref:
        found = ref.get_many(entry_ids)
    for name in dict.fromkeys(entry_ids):
        entry = found.get(name)
        if entry is None:
            fail(f"the list has no entry {name!r}")
        elif as_json:
            emit(entry_record(entry, hashes=hashes))
        else:
            _print_entry(entry, hashes=hashes)
    if len(found) < len(set(entry_ids)):
        raise typer.Exit(Exit.NONE)


def entry_record(entry: Entry, *, hashes: bool) -> dict[str, Any]:
    """Say what a list holds of an entry, JSON-ready; the hashes themselves only where they are asked for."""
    return {
        "entry_id": entry.entry_id,
        "listings": [
            {
                "source": listing.source,
                "role": listing.role,
                "labels": dict(listing.labels),
                "hashes": [
                    {"algorithm": item.value.algorithm, "hash": item.value.hex(), "quality": item.quality}
                    for item in listing.hashes
                ]
                if hashes
                else dict(Counter(item.value.algorithm for item in listing.hashes)),
            }
            for listing in entry.listings
        ],
    }


def _print_entry(entry: Entry, *, hashes: bool) -> None:
    _line(f"entry {entry.entry_id}")
    for listing in entry.listings:
        counts = Counter(item.value.algorithm for item in listing.hashes)
        held = ", ".join(f"{count} {name}" for name, count in counts.items())
        labels = "".join(f", {name}={value}" for name, value in listing.labels.items())
        role = "" if listing.role == "alarm" else f" ({listing.role})"
        _line(f"    from {listing.source}{role}: {held}{labels}")
        for item in listing.hashes if hashes else ():
            _line(f"        {item.value}" + ("" if item.quality is None else f"  quality {item.quality}"))


def _line(text: str) -> None:
    OUT.print(Text(safe(text)), soft_wrap=True)


def find(
    path: ListFile,
    wanted: Annotated[
        str,
        typer.Argument(metavar="HASH|PICTURE", help='"pdq:<64 hex>", a picture file, or - for standard input.'),
    ],
    radius: Annotated[
        int, typer.Option("--radius", "-r", min=0, help="Largest distance of perceptual hashes; 0: equal ones only.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Find the entries that hold a hash, or one of the hashes of a picture as it is.

    Shows entry, distance and sources, never the list's hash. It looks at no other view of a picture: "hashmatch match"
    does. Exit code: 0 found, 1 none, 2 an error, 3 the list holds no hash that can be compared with what was given.

    Example: hashmatch list find mine.hashmatch photo.jpg --radius 31
    """
    value = hash_from(wanted)
    with open_list(path) as ref:
        values = (value,) if value is not None else _hashes_of(wanted, ref)
        values = tuple(item for item in values if item.algorithm in ref.contents)
        if not values:
            fail("the list holds no hash that can be compared with this")
            raise typer.Exit(Exit.UNDECIDED)
        n_found = 0
        for item in values:
            near = radius > 0 and ALGORITHMS[item.algorithm].metric is not Metric.EXACT and item.algorithm != "keypoint"
            for entry, distance in _near(ref, item, radius) if near else ((entry, 0) for entry in ref.find(item)):
                n_found += 1
                if as_json:
                    record = {"entry_id": entry.entry_id, "algorithm": item.algorithm, "distance": distance}
                    emit(record | {"sources": entry.labels})
                else:
                    said = f"distance {distance}" if near else "equal"
                    _line(f"entry {entry.entry_id}: {item.algorithm}, {said}, from {', '.join(entry.sources)}")
    if not n_found:
        if not as_json:
            _line(f"none, by {', '.join(dict.fromkeys(item.algorithm for item in values))}")
        raise typer.Exit(Exit.NONE)


def _hashes_of(text: str, ref: ReferenceList) -> tuple[HashValue, ...]:
    """Hash a picture by every algorithm of the list that is computed here; records need a key and a search."""
    from hashmatch.hashers.facade import fingerprint

    names = [name for name in ref.contents if ALGORITHMS[name].version and name != "keypoint"]
    if not names:
        return ()
    try:
        with opened(text) as picture:
            return fingerprint(picture, names).hashes
    except ImageError as error:
        warn_of_hashlike(text)
        raise fail(f"{text}: {error}") from error


def _near(ref: ReferenceList, value: HashValue, radius: int) -> Iterator[tuple[Entry, int]]:
    """Search all rows of one version, block by block; entries by their nearest hash, the nearest first."""
    best: dict[int, int] = {}
    algorithm = ALGORITHMS[value.algorithm]
    code = np.frombuffer(value.data, np.uint8)
    with ref.pinned() as version:
        for rows in version.blocks(value.algorithm):
            index = LinearIndex.build(rows.codes, metric=algorithm.metric)
            positions, distances = index.search(code, min(radius, index.max_distance))
            for key, distance in zip(rows.entry_keys[positions].tolist(), distances.tolist(), strict=True):
                best[key] = min(distance, best.get(key, distance))
    for key, distance in sorted(best.items(), key=lambda item: (item[1], item[0])):
        entry = ref.entry_by_key(key)
        if entry is None:
            raise ReferenceListError("the list changed while it was searched: search again")
        yield entry, distance


def relabel(
    path: ListFile,
    entry_id: Annotated[str, typer.Argument(metavar="ENTRY", help="Entry id.", show_default=False)],
    label: Labels = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take all labels of the source away.")] = False,
    source: Source = LOCAL,
    as_json: Json = False,
) -> None:
    """Replace all labels that a source gives an entry.

    Exit code: 0 also where they were these already, 2 an error, such as an entry that the source does not list.

    Example: hashmatch list relabel mine.hashmatch entry-1 --label class=A2 --source me
    """
    if bool(label) == clear:
        raise typer.BadParameter("give the labels as --label NAME=VALUE, or --clear to take all away")
    with open_list(path, writable=True, check="none") as ref:
        changed = ref.relabel(entry_id, source=source, labels=labels_from(label or ()))
        version = ref.version
    if as_json:
        emit({"changed": changed, "version": version})
    else:
        OUT.print(f"{'changed' if changed else 'unchanged'}; version {version}", highlight=False)


def withdraw(
    path: ListFile,
    entry_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ENTRY...", help="Entry ids.", show_default=False)
    ] = None,
    ids: Annotated[
        Path | None, typer.Option("--ids", help="File with one entry id a line; - for standard input.")
    ] = None,
    source: Source = LOCAL,
    as_json: Json = False,
) -> None:
    """Take back what a source says of entries, in one transaction; an entry goes when its last source does.

    Exit code: 0 when the source listed every one of them, 1 when not, 2 an error; then nothing is withdrawn.

    Example: hashmatch list withdraw mine.hashmatch --ids gone.txt --source me
    """
    if not entry_ids and ids is None:
        raise typer.BadParameter("name entries, or a file of their ids with --ids")
    with open_list(path, writable=True, check="none") as ref:
        wanted = dict.fromkeys([*(entry_ids or ()), *(() if ids is None else _ids_from(ids))])
        n_gone = ref.withdraw_many(wanted, source=source)
        version = ref.version
    if as_json:
        emit({"withdrawn": n_gone, "not_listed": len(wanted) - n_gone, "version": version})
    else:
        left = f", {len(wanted) - n_gone} not listed by {source}" if n_gone < len(wanted) else ""
        _line(f"{n_gone} withdrawn{left}; version {version}")
    if n_gone < len(wanted):
        raise typer.Exit(Exit.NONE)


def _ids_from(file: Path) -> Iterable[str]:
    """Read one id a line; spaces at the ends and blank lines are no part of one."""
    for number, text in decoded_lines(standard_input() if str(file) == STDIN else file, None):
        name = None if text is None else text.strip(" \t\r")
        if name is None or "\ufffd" in name:
            raise fail(f"{file}: line {number} is no entry id; nothing was withdrawn")
        if name:
            yield name
