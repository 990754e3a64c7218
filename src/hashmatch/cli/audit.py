"""``hashmatch audit``: make, verify, show and prove a log of answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json
from hashmatch.cli.console import ERRORS, OUT, Exit, emit, fail, safe
from hashmatch.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from hashmatch.audit import LogReader, LogRecord
    from hashmatch.signing import VerifierKey

__all__ = ["KeyOption", "LogFolder", "Trust", "audit_app", "said_of", "trusted"]


class _AuditGroup(LazyGroup):
    """Commands of logs, each with what it needs alone."""

    places = MappingProxyType(
        {
            "create": "hashmatch.cli.audit:create",
            "verify": "hashmatch.cli.audit:verify",
            "show": "hashmatch.cli.audit:show",
            "prove": "hashmatch.cli.audit:prove",
            "check": "hashmatch.cli.audit:check",
            "cosign": "hashmatch.cli.audit:cosign",
            "review": "hashmatch.cli.audit_upkeep:review",
            "counters": "hashmatch.cli.audit_upkeep:counters",
            "replay": "hashmatch.cli.audit_upkeep:replay",
            "export": "hashmatch.cli.audit_upkeep:export",
            "draft": "hashmatch.cli.audit_upkeep:draft",
            "purge": "hashmatch.cli.audit_upkeep:purge",
        }
    )


audit_app = typer.Typer(
    cls=_AuditGroup,
    help="Make, verify, show, prove, replay, export and purge a log of answers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

LogFolder = Annotated[Path, typer.Argument(metavar="LOG", help="Folder of the log.", show_default=False)]
KeyOption = Annotated[Path, typer.Option("--key", help="Key file of the log.", show_default=False)]
Trust = Annotated[
    list[str],
    typer.Option("--trust", help="Verifier key, or a file of them; may be given several times.", show_default=False),
]


def trusted(texts: Iterable[str]) -> tuple[VerifierKey, ...]:
    """Read verifier keys, each given itself or as a file."""
    from hashmatch.signing import parse_verifier_keys

    found: list[VerifierKey] = []
    for text in texts:
        path = Path(text)
        is_file = len(text) < 4096 and path.is_file()
        found += parse_verifier_keys(path.read_text(encoding="utf-8") if is_file else text)
    return tuple(found)


def create(
    log: LogFolder,
    key: KeyOption,
    origin: Annotated[str | None, typer.Option("--origin", help="Name of the log; by default the key's.")] = None,
    as_json: Json = False,
) -> None:
    """Make a log, which is signed by this key for good.

    Exit code: 0, or 2 an error.

    Example: hashmatch audit create log --key log.key
    """
    from hashmatch.audit import AuditLog
    from hashmatch.signing import SigningKey

    with AuditLog.create(log, SigningKey.load(key), origin=origin) as made:
        if as_json:
            emit({"log": made.origin})
        else:
            OUT.print(Text(safe(f"made log {made.origin}")), soft_wrap=True)


def verify(
    log: LogFolder,
    trust: Trust,
    witness: Annotated[
        list[str] | None, typer.Option("--witness", help="Verifier key of a witness, or a file; several times.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="Checkpoint of this log that was kept; several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify every byte of a log, and name the first record that is not as it was signed.

    Exit code: 0 sound, 2 an error or something was changed, 3 what is signed is sound, and behind it is more: the log
    is being written, or a crash left it so, or somebody added it.

    Example: hashmatch audit verify log --trust log.pub
    """
    from hashmatch.audit import verify_log

    kept = [path.read_bytes() for path in against or ()]
    found = verify_log(log, trusted(trust), witnesses=trusted(witness or ()), against=kept)
    if as_json:
        emit(found.to_dict())
    else:
        counts = f"{found.records:,} records, {found.signed:,} signed, {found.purged:,} purged"
        OUT.print(Text(f"{'sound' if found.sound else 'not sound'}: {counts}"), soft_wrap=True)
        for name in found.witnesses:
            OUT.print(Text(safe(f"witness: {name}")), soft_wrap=True)
        for problem in (found.problem, found.unfinished):
            if problem is not None:
                ERRORS.print(Text(safe(str(problem))), soft_wrap=True)
    if not found.sound:
        raise typer.Exit(Exit.ERROR if found.problem is not None else Exit.UNDECIDED)


def show(
    log: LogFolder,
    records: Annotated[list[int] | None, typer.Argument(help="Places of records; all by default.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="Only answers of this outcome.")] = None,
    of_input: Annotated[
        str | None, typer.Option("--input", help="Only answers for the file with this digest, as hexadecimal digits.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a log says; verify it first.

    Exit code: 0 something was shown, 1 nothing, 2 an error.

    Example: hashmatch audit show log --outcome match
    """
    from hashmatch.audit import LogReader

    shown = False
    with LogReader(log) as reader:
        for record in reader if not records else map(reader.record, records):
            said = record.content or {}
            if outcome is not None and said.get("outcome") != outcome:
                continue
            if of_input is not None and of_input.strip().lower() not in said.get("input", {}).values():
                continue
            shown = True
            if as_json:
                emit({"record": record.place, "purged": record.content is None} | _whole(reader, record))
            else:
                for line in said_of(reader, record):
                    OUT.print(Text(safe(line)), soft_wrap=True)
    raise typer.Exit(Exit.FOUND if shown else Exit.NONE)


def _whole(reader: LogReader, record: LogRecord) -> dict[str, Any]:
    from hashmatch.audit import report_of

    content = dict(record.content or {})
    content.pop("hashes", None)
    if content.get("kind") == "answer":
        content["report"] = report_of(content, reader.referred(record, "context").content or {}).to_dict()
        content.pop("found", None)
    return content


def said_of(reader: LogReader, record: LogRecord) -> Iterable[str]:
    """Say a record in lines of text."""
    from hashmatch.audit import report_of

    content = record.content
    if content is None:
        yield f"{record.place}  purged"
        return
    time = content.get("time")
    when = f"{datetime.fromtimestamp(time // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}Z  " if type(time) is int else ""
    kind = content["kind"]
    if kind != "answer":
        left_out = {"kind", "time", "report", "policy", "keys", "packages", "counts"}
        rest = {key: value for key, value in content.items() if key not in left_out and value not in ("", [], {})}
        yield f"{record.place}  {when}{kind}  {json.dumps(rest, sort_keys=True)}"
        return
    context = reader.referred(record, "context").content or {}
    report = report_of(content, context)
    reason = "" if report.reason is None else f" ({report.reason})"
    digests = "".join(f"  {name}:{value}" for name, value in content.get("input", {}).items())
    yield f"{record.place}  {when}{report.outcome.value}{reason}  policy {report.policy}{digests}"
    for item in report.matches:
        near = "equal" if not item.threshold else f"distance {item.distance} of at most {item.threshold}"
        where = f"entry {item.entry_id} of list {item.list_name} version {item.list_version}"
        yield f"    {where}: {item.algorithm}, {near}, view: {item.view}"


def prove(
    log: LogFolder,
    record: Annotated[int, typer.Argument(help="Place of the record.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, best as NAME.tlog-proof.")],
    as_json: Json = False,
) -> None:
    """Write the proof of one record, which is checked without the log: hashmatch audit check.

    The file holds the record with all it rests on, and shows nothing of other records.

    Exit code: 0, or 2 an error.

    Example: hashmatch audit prove log 3 --output match.tlog-proof
    """
    from hashmatch.audit import LogReader

    with LogReader(log) as reader:
        proof = reader.proof(record)
    try:
        with output.open("xb") as stream:
            stream.write(proof.encode())
    except FileExistsError:
        raise fail(f"{output}: there is a file already") from None
    if as_json:
        emit({"record": record, "bytes": output.stat().st_size})
    else:
        OUT.print(Text(safe(f"wrote the proof of record {record} to {output}")), soft_wrap=True)


def check(
    proof: Annotated[Path, typer.Argument(help="Proof of a record.", show_default=False)],
    origin: Annotated[str, typer.Option("--origin", help="Name of the log.", show_default=False)],
    trust: Trust,
    witness: Annotated[
        list[str] | None, typer.Option("--witness", help="Verifier key of a witness, or a file; several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the proof of one record, and show what it says. All keys of the log are needed.

    Exit code: 0 proved, 2 not.

    Example: hashmatch audit check match.tlog-proof --origin example.org/log/1 --trust log.pub
    """
    from hashmatch.audit import prove_alone, report_of

    keys, witnesses = trusted(trust), trusted(witness or ())
    found = prove_alone(proof.read_bytes(), origin, keys, witnesses)
    said = [key.name for key in found.checkpoint.signers if key in witnesses]
    report = report_of(found.content, found.context).to_dict() if found.content["kind"] == "answer" else None
    if as_json:
        content = {key: value for key, value in found.content.items() if key not in ("hashes", "found")}
        emit({"record": found.place, "of": found.checkpoint.size, "witnesses": said, **content, "report": report})
        return
    OUT.print(Text(f"proved: record {found.place} of the first {found.checkpoint.size:,}"), soft_wrap=True)
    for name in said:
        OUT.print(Text(safe(f"witness: {name}")), soft_wrap=True)
    OUT.print(Text(safe(json.dumps(report or found.content, sort_keys=True))), soft_wrap=True)


def cosign(
    log: LogFolder,
    trust: Trust,
    key: Annotated[Path, typer.Option("--key", help="Key file of the witness.", show_default=False)],
    state: Annotated[Path, typer.Option("--state", help="File in which the witness keeps what he signed last.")],
    as_json: Json = False,
) -> None:
    """Sign a log as a witness, if it is sound and still begins with what this witness signed before.

    Exit code: 0 signed, 2 not.

    Example: hashmatch audit cosign log --trust log.pub --key witness.key --state witness.state
    """
    from hashmatch.audit import cosign_log
    from hashmatch.signing import SigningKey

    signed = cosign_log(log, trusted(trust), SigningKey.load(key), state)
    if as_json:
        emit({"records": signed.size})
    else:
        OUT.print(f"signed the first {signed.size:,} records", highlight=False)
