"""``hashmatch audit``: what is done with a log later: reviews, figures, replay, export, purges."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from hashmatch.cli.audit import KeyOption, LogFolder
from hashmatch.cli.common_options import Json
from hashmatch.cli.console import OUT, Exit, emit, fail, safe
from hashmatch.cli.policy_options import key_from
from hashmatch.cli.sources import open_list

__all__ = ["counters", "draft", "export", "purge", "replay", "review"]


class _Verdict(StrEnum):
    CONFIRMED = "confirmed"
    ERROR = "error"
    COMPLAINT = "complaint"


class _Draft(StrEnum):
    CYBERTIP = "cybertip"
    XARF = "xarf"
    DSA = "dsa"
    VICS = "vics"
    HTML = "html"


class _Form(StrEnum):
    NDJSON = "ndjson"
    CASE = "case"


_Why = Annotated[str, typer.Option("--why", help="Reason; kept in the log.")]
_Actor = Annotated[str, typer.Option("--actor", help="Who says so; kept in the log.")]


def review(
    log: LogFolder,
    record: Annotated[int, typer.Argument(help="Place of an answer's record.", show_default=False)],
    verdict: Annotated[_Verdict, typer.Option("--verdict", help="What a person found, or that somebody complained.")],
    key: KeyOption,
    why: _Why = "",
    actor: _Actor = "",
    as_json: Json = False,
) -> None:
    """Record what a person found of a match, or a complaint; a later verdict supersedes an earlier one.

    Exit code: 0, or 2 an error.

    Example: hashmatch audit review log 3 --verdict confirmed --key log.key
    """
    from hashmatch.audit import AuditLog, add_complaint, add_verdict
    from hashmatch.signing import SigningKey

    with AuditLog.open(log, SigningKey.load(key)) as opened:
        if verdict is _Verdict.COMPLAINT:
            place = add_complaint(opened, record, why=why, actor=actor)
        else:
            place = add_verdict(opened, record, verdict is _Verdict.CONFIRMED, why=why, actor=actor)
    if as_json:
        emit({"record": place, "of": record, "verdict": verdict.value})
    else:
        OUT.print(f"record {place}: {verdict.value}", highlight=False)


def counters(
    log: LogFolder,
    year: Annotated[int | None, typer.Option("--year", help="Only this year.")] = None,
    as_json: Json = False,
) -> None:
    """Count by year: items, matches, confirmed, errors, complaints; also what was purged since.

    Exit code: 0, 1 the log has no answer of that year, 2 an error.

    Example: hashmatch audit counters log --year 2026
    """
    from hashmatch.audit import LogReader, yearly_figures

    with LogReader(log) as reader:
        figures = {name: counts for name, counts in yearly_figures(reader).items() if year in (None, name)}
    if as_json:
        emit({str(name): counts for name, counts in figures.items()})
    else:
        table = Table()
        table.add_column("figure")
        for name in figures:
            table.add_column(str(name), justify="right")
        for what in next(iter(figures.values()), {}):
            table.add_row(what, *(f"{counts[what]:,}" for counts in figures.values()))
        OUT.print(table)
    raise typer.Exit(Exit.FOUND if figures else Exit.NONE)


def replay(
    log: LogFolder,
    lists: Annotated[list[Path], typer.Option("--list", "-l", help="List file; may be given several times.")],
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File with the secret key that keypoint records were made with.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show every answer, not only those that differ.")] = False,
    as_json: Json = False,
) -> None:
    """Give recorded answers again from the hashes that were kept, and say what differs where one does.

    Exit code: 0 every answer is the same, 1 the log has no answer, 2 an error or an answer differs, 3 an answer could
    not be given again.

    Example: hashmatch audit replay log --list mine.hashmatch
    """
    from hashmatch.audit import LogReader, replay_log

    for path in lists:
        with open_list(path):  # an error names it
            pass
    results: Counter[str] = Counter()
    with LogReader(log) as reader:
        for item in replay_log(reader, lists, key=None if key_file is None else key_from(key_file)):
            results[item.result] += 1
            if as_json:
                emit(item.to_dict())
            elif show_all or item.result != "same":
                OUT.print(Text(safe(f"{item.place}  {item.result}  {item.what}".rstrip())), soft_wrap=True)
    if as_json:
        emit({"summary": dict(sorted(results.items()))})
    else:
        OUT.print(", ".join(f"{name}: {count:,}" for name, count in results.most_common()) or "no answer")
    if not results:
        raise typer.Exit(Exit.NONE)
    if results["answer"] or results["software"]:
        raise typer.Exit(Exit.ERROR)
    raise typer.Exit(Exit.FOUND if set(results) == {"same"} else Exit.UNDECIDED)


def export(
    log: LogFolder,
    form: Annotated[
        _Form, typer.Option("--format", help="ndjson: every record; case: matches as a CASE/UCO graph, JSON-LD.")
    ] = _Form.NDJSON,
    hashes: Annotated[bool, typer.Option("--hashes", help="Also the hashes that records kept.")] = False,
) -> None:
    """Write a log to standard output for other programs; verify it first.

    Exit code: 0, or 2 an error.

    Example: hashmatch audit export log --format case > matches.jsonld
    """
    from hashmatch.audit import LogReader
    from hashmatch.audit.export import case_graph, iter_exported

    if hashes and form is _Form.CASE:
        raise typer.BadParameter("the graph has digests of files alone: --hashes is for ndjson", param_hint="--hashes")
    with LogReader(log) as reader:
        if form is _Form.CASE:
            emit(case_graph(reader))
        else:
            for item in iter_exported(reader, hashes=hashes):
                emit(item)


def draft(
    log: LogFolder,
    record: Annotated[int, typer.Argument(help="Place of the record of a match.", show_default=False)],
    form: Annotated[
        _Draft,
        typer.Option(
            "--form",
            help="cybertip: XML for NCMEC; xarf: XARF v4; dsa: statement of reasons; vics: VICS 2.0; html: for people.",
            show_default=False,
        ),
    ],
) -> None:
    """Write the draft of a report to others to standard output; nothing is sent.

    What only a person can say is left out, and named in the draft.

    Exit code: 0, or 2 an error.

    Example: hashmatch audit draft log 3 --form html > report.html
    """
    from hashmatch.audit import LogReader
    from hashmatch.audit.drafts import draft_of

    with LogReader(log) as reader:
        OUT.file.write(draft_of(reader, record, form.value))


def purge(
    log: LogFolder,
    key: KeyOption,
    why: Annotated[str, typer.Option("--why", help="Reason; kept in the log.", show_default=False)],
    records: Annotated[
        list[int] | None, typer.Option("--record", help="Place of an answer's record; may be given several times.")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option("--before", help="Answers given before this day (UTC).", formats=["%Y-%m-%d"])
    ] = None,
    retention: Annotated[
        str | None, typer.Option("--class", help="Answers of this retention class; by default it is the outcome.")
    ] = None,
    unconfirmed: Annotated[bool, typer.Option("--unconfirmed", help="Answers that no verdict confirms.")] = False,
    actor: _Actor = "",
    as_json: Json = False,
) -> None:
    """Overwrite answers and what was said of them; where several options are given, all must hold.

    The log still verifies, and the yearly figures stay. A purge that was interrupted is finished first.

    Exit code: 0 something was purged, 1 nothing, 2 an error.

    Example: hashmatch audit purge log --before 2025-12-01 --class match --why "one year is over" --key log.key
    """
    from hashmatch.audit import AuditLog, purge_log
    from hashmatch.signing import SigningKey

    if not why.strip():
        raise fail("a purge says why: --why")
    with AuditLog.open(log, SigningKey.load(key)) as opened:
        done = purge_log(
            opened,
            why=why,
            actor=actor,
            before=None if before is None else before.replace(tzinfo=UTC).timestamp(),
            retention=retention,
            unconfirmed=unconfirmed,
            places=records or (),
        )
    finished = f", {done.finished:,} of a purge before" if done.finished else ""
    if as_json:
        emit({"answers": done.answers, "records": done.records, "finished": done.finished})
    else:
        OUT.print(f"purged {done.answers:,} answers, {done.records:,} records{finished}", highlight=False)
    raise typer.Exit(Exit.FOUND if done.records or done.finished else Exit.NONE)
