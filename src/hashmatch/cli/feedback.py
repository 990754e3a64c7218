"""``hashmatch list feedback``: verdicts on entries, kept beside the list, and as requests for its receivers."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.text import Text

from hashmatch.algorithms import algorithm_named
from hashmatch.cli.common_options import Json
from hashmatch.cli.console import OUT, Exit, emit, fail, safe, warn
from hashmatch.cli.sources import named, open_list
from hashmatch.errors import HashFormatError
from hashmatch.lists.feedback import Feedback, FeedbackLog, add_feedback, read_feedback
from hashmatch.lists.formats.out.feedback_requests import RECEIVERS, Unaddressed, requests_of

__all__ = ["feedback"]


def feedback(
    path: Annotated[Path, typer.Argument(metavar="LIST", help="List file.", show_default=False)],
    entry_id: Annotated[
        str | None, typer.Argument(metavar="ENTRY", help="Entry id. [default: all entries]", show_default=False)
    ] = None,
    verdict: Annotated[
        str | None,
        typer.Option("--verdict", help="true: it was what the entry says; false: it was not. [default: show]"),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; for NCMEC the guid of one of its reasons.", show_default=False)
    ] = "",
    who: Annotated[str, typer.Option("--who", help="Who says so.", show_default=False)] = "",
    algorithm: Annotated[
        str | None,
        typer.Option("--algorithm", "-a", help="The algorithm of the hash that matched. [default: the whole entry]"),
    ] = None,
    export: Annotated[
        str | None,
        typer.Option("--export", help=f"Write the latest verdicts as requests, one a line: {', '.join(RECEIVERS)}."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="New file, readable by its owner only. [default: standard output]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Keep, show or export what people say of entries: whether what they matched is what they say.

    Verdicts are kept in LIST.feedback beside the list and survive its replacement. --export writes method, path and
    body of the requests that tell them to a feed's owner; it sends nothing.

    Exit code: 0, or 1 where there is nothing to show or export, 2 an error.

    Example: hashmatch list feedback mine.hashmatch entry-1 --verdict false --reason "a cartoon" --who "desk 3"
    """
    if verdict is not None and export is not None:
        raise fail("--verdict and --export are two commands: give one of them")
    if verdict is None and (reason or who or algorithm):
        raise fail("--reason, --who and --algorithm go with --verdict")
    if output is not None and export is None:
        raise fail("--output goes with --export")
    if export is not None:
        if entry_id is not None:
            raise fail("--export writes the verdicts on all entries: name none")
        _export(path, export, output)
    elif verdict is None:
        _show(path, entry_id, as_json=as_json)
    else:
        _add(path, entry_id, verdict, reason, who, algorithm, as_json=as_json)


def _add(
    path: Path, entry_id: str | None, verdict: str, reason: str, who: str, algorithm: str | None, *, as_json: bool
) -> None:
    if entry_id is None:
        raise fail("--verdict needs the id of an entry")
    if verdict not in ("true", "false"):
        raise typer.BadParameter("write true or false", param_hint="--verdict")
    with open_list(path, check="none") as ref:
        entry = ref.get(entry_id)
    if entry is None:
        raise fail(f"the list has no entry {entry_id!r}")
    try:
        if algorithm is not None and algorithm_named(algorithm).name not in {item.algorithm for item in entry.hashes}:
            raise fail("the entry has no hash of this algorithm")
        with named(path):
            made = add_feedback(path, entry_id, verdict == "true", reason=reason, who=who, algorithm=algorithm)
    except HashFormatError as error:
        raise fail(str(error)) from error
    _print(made, as_json=as_json)


def _show(path: Path, entry_id: str | None, *, as_json: bool) -> None:
    log = _read(path)
    items = [item for item in log.items if entry_id in (None, item.entry_id)]
    for item in items:
        _print(item, as_json=as_json)
    if not items:
        raise typer.Exit(Exit.NONE)


def _export(path: Path, receiver: str, output: Path | None) -> None:
    log = _read(path)
    n_written = 0
    try:
        with open_list(path, check="none") as ref, _sink(output) as sink:
            for item in requests_of(ref, log, receiver):
                if isinstance(item, Unaddressed):
                    warn(f"entry {item.entry_id}: {item.reason}")
                    continue
                n_written += 1
                record = {"method": item.method, "path": item.path, "type": item.content_type, "body": item.body}
                if sink is None:
                    emit(record)
                else:
                    sink.write(json.dumps(record) + "\n")
    except HashFormatError as error:
        raise fail(str(error)) from error
    if not n_written:
        raise typer.Exit(Exit.NONE)


@contextlib.contextmanager
def _sink(output: Path | None) -> Iterator[TextIO | None]:
    if output is None:
        yield None
        return
    try:
        number = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise fail(f"{output}: a file is already there: name another one") from None
    with open(number, "w", encoding="utf-8") as stream:
        yield stream


def _read(path: Path) -> FeedbackLog:
    with open_list(path, check="none"), named(path):
        log = read_feedback(path)
    for number in log.damaged:
        warn(f"{path}.feedback: line {number} is {'cut short' if log.cut and number == log.damaged[-1] else 'damaged'}")
    return log


def _print(item: Feedback, *, as_json: bool) -> None:
    record: dict[str, Any] = {
        "entry_id": item.entry_id,
        "verdict": item.verdict,
        "reason": item.reason,
        "who": item.who,
        "when": item.at,
        "algorithm": item.algorithm,
    }
    if as_json:
        emit(record)
        return
    parts = [f"{item.at} {item.entry_id}: {'true' if item.verdict else 'false'}"]
    parts += [f"by {item.algorithm}"] if item.algorithm else []
    parts += [f"reason: {item.reason}"] if item.reason else []
    parts += [f"said by {item.who}"] if item.who else []
    OUT.print(Text(safe(", ".join(parts))), soft_wrap=True)
