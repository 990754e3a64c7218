"""``hashmatch demo``: the whole way from pictures to explained matches, on pictures made here."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.progress import track
from rich.table import Table
from rich.text import Text

from hashmatch import profiles
from hashmatch.cli.console import ERRORS, OUT, emit, fail, safe
from hashmatch.hashers.facade import fingerprint
from hashmatch.jail.cpus import usable_cpus
from hashmatch.lists import Entry, ReferenceList
from hashmatch.matching import Matcher, MatchReport
from hashmatch.picture.encode import encode
from hashmatch.scan import iter_files, scan
from hashmatch.synthetic import edits, picture

__all__ = ["demo"]

_SIZE: Final = (360, 480)
_KINDS: Final = ("photo", "portrait", "comic", "meme")
_MOST_WORKERS: Final = 4  # each takes about a second to start: more of them do not pay for so few pictures
_FORMATS: Final = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"))

Edit = Callable[[Any], Any]
_UNRELATED: Final = "unrelated pictures"
_POLICIES: Final = (profiles.STANDARD, profiles.THOROUGH)


@dataclass(slots=True)
class _Row:
    """Counts of one row of the table."""

    files: int = 0
    found: Counter[str] = field(default_factory=Counter)
    false: int = 0
    distances: list[int] = field(default_factory=list)

    def count(self, expected: str | None, report: MatchReport) -> None:
        """Add one report: found when its own entry matched, false for every other entry that did."""
        own = [match for match in report.matches if match.entry_id == expected]
        self.found[report.policy] += bool(own)
        self.false += len({match.entry_id for match in report.matches} - {expected})
        self.distances += [
            match.distance for match in own if match.threshold is not None and match.distance is not None
        ]


def _edits() -> tuple[tuple[str, Edit], ...]:
    """Give what is done to the pictures."""
    return (
        ("the same picture", lambda pixels: pixels),
        ("half size", lambda pixels: edits.resize(pixels, 0.5)),
        ("JPEG quality 30", lambda pixels: edits.jpeg(pixels, 30)),
        ("mirrored", edits.mirror),
        ("turned by 90 degrees", lambda pixels: np.ascontiguousarray(np.rot90(pixels))),
        ("1 % cut off one side", lambda pixels: edits.crop_sides(pixels, left=0.01)),
        ("5 % cut off one side", lambda pixels: edits.crop_sides(pixels, left=0.05)),
        ("in a black border", lambda pixels: edits.border(pixels, 0.15)),
        ("3/4 of the area cut away", lambda pixels: edits.crop_centre(pixels, 0.75)),
    )


def demo(
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Keep the pictures and the list in this new folder.")
    ] = None,
    pictures: Annotated[int, typer.Option("--pictures", min=1, max=1000, help="Originals to make.")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other seeds make other pictures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Make pictures, list their hashes, edit the pictures, and find them again.

    Nothing is downloaded and no real list is used: every picture is synthetic.

    Exit code: 0, or 2 an error.

    Example: hashmatch demo --pictures 4 --folder demo
    """
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise fail(f"{folder} is not empty: name a new folder")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hashmatch-demo-") as temporary:
        place = folder or Path(temporary)
        rows, n_entries = _run(place, pictures, seed)
    seconds = time.perf_counter() - started
    if as_json:
        for name, row in rows.items():
            median = statistics.median(row.distances) if row.distances else None
            found = {policy.name: row.found[policy.name] for policy in _POLICIES}
            emit({"edit": name, "files": row.files, "found": found, "median_distance": median, "false": row.false})
        return
    _show(rows, n_entries, seconds)
    if folder is None:
        OUT.print("hashmatch demo --folder demo keeps the pictures and the list, to try the other commands on.")
    else:
        OUT.print(Text(safe(f"kept in {folder}: originals/, uploads/ and list.hashmatch")), soft_wrap=True)


def _run(place: Path, n_pictures: int, seed: int) -> tuple[dict[str, _Row], int]:
    """Make everything on disk, scan it, and count by edit."""
    made = _edits()
    expected: dict[Path, tuple[str, str | None]] = {}
    list_path = place / "list.hashmatch"
    (place / "originals").mkdir(parents=True)
    with ReferenceList.create(list_path, name="demo") as ref:
        for number in _watched(range(n_pictures), "making pictures"):
            kind = _KINDS[number % len(_KINDS)]
            pixels = picture(kind, seed * 100_000 + number, size=_SIZE)
            stem = f"{kind}-{number:03}"
            _write(place / "originals" / stem, pixels, number)
            found = fingerprint(pixels, ("pdq", "keypoint"))
            if found.quality is not None and found.quality >= 50:
                ref.add_many([Entry.of(f"entry-{number:03}", fingerprint=found, source="demo", labels={"kind": kind})])
            for place_in_row, (edit, apply) in enumerate(made):
                target = place / "uploads" / f"edit-{place_in_row}"
                target.mkdir(parents=True, exist_ok=True)
                path = _write(target / stem, apply(pixels), number + place_in_row)
                expected[path] = (edit, f"entry-{number:03}")
            target = place / "uploads" / "unrelated"
            target.mkdir(parents=True, exist_ok=True)
            for extra in range(2):
                other = picture(kind, seed * 100_000 + 50_000 + 2 * number + extra, size=_SIZE)
                expected[_write(target / f"{stem}-{extra}", other, number)] = (_UNRELATED, None)
        n_entries = len(ref)
    rows = {edit: _Row() for edit, _ in made} | {_UNRELATED: _Row()}
    for edit, _ in expected.values():
        rows[edit].files += 1
    paths = list(iter_files([place / "uploads"]))
    workers = min(_MOST_WORKERS, usable_cpus())
    for policy in _POLICIES:
        with Matcher.open(list_path, policy=policy) as matcher:
            for item in _watched(scan(matcher, paths, workers=workers), f"scanning, {policy.name}", len(paths)):
                edit, entry = expected[item.path]
                rows[edit].count(entry, item.report)
    return rows, n_entries


def _write(stem: Path, pixels: Any, number: int) -> Path:
    """Write a picture as a real file, in one format after the other."""
    format_name, ending = _FORMATS[number % len(_FORMATS)]
    path = stem.with_name(f"{stem.name}.{ending}")
    path.write_bytes(encode(pixels, format_name))
    return path


def _watched(items: Any, what: str, total: int | None = None) -> Iterator[Any]:
    return iter(track(items, what, total=total, console=ERRORS, transient=True, disable=not ERRORS.is_terminal))


def _show(rows: dict[str, _Row], n_entries: int, seconds: float) -> None:
    table = Table(title=f"{n_entries} entries, hashes only", title_justify="left")
    table.add_column("edit", no_wrap=True)
    for heading in ("files", *(policy.name for policy in _POLICIES), "distance", "false"):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        shares = (f"{100 * row.found[policy.name] / row.files:.0f} %" for policy in _POLICIES)
        recall = ["-" for _ in _POLICIES] if name == _UNRELATED else list(shares)
        median = f"{statistics.median(row.distances):.0f}" if row.distances else "-"
        table.add_row(name, str(row.files), *recall, median, str(row.false))
    OUT.print(table)
    OUT.print(f"{sum(row.files for row in rows.values())} files made, hashed and matched twice in {seconds:.0f} s.")
    OUT.print(
        "A cut of 5 % loses a whole-picture hash; thorough finds it by uncropping and by keypoint records "
        "(docs/explanation/concepts.md)."
    )
