"""``hashmatch list bundle | take``: signed lists, for networks and air gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json, ListFile
from hashmatch.cli.console import OUT, emit, fail, safe
from hashmatch.cli.keys import identity_from, recipients_from, trusted_from
from hashmatch.cli.sources import check_list, named, open_list
from hashmatch.errors import SignatureError
from hashmatch.lists.bundles import take_bundle, write_bundle
from hashmatch.signing import SigningKey

__all__ = ["bundle", "take"]


def bundle(
    path: ListFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="New file, readable by its owner only.", show_default=False)
    ],
    key: Annotated[
        Path, typer.Option("--key", help="Key file that signs, of 'hashmatch keys make'.", show_default=False)
    ],
    since: Annotated[
        int | None, typer.Option("--since", help="Only what changed after this version. [default: the whole list]")
    ] = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            "--recipient", help="age1..., or a file of them: only they can read it. May be given several times."
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long the bundle may be taken.")] = 30,
    despite_terms: Annotated[
        list[str] | None,
        typer.Option("--despite-terms", help="Source that goes along although it has terms, if they allow this."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a list, or what changed since a version of it, as one signed file for "hashmatch list take".

    It is the list: guard it, or seal it with --recipient. Exit code: 0, or 2 an error; no file is left then.

    Example: hashmatch list bundle mine.hashmatch --key owner.key --output mine-42.bundle --since 41
    """
    signer = SigningKey.load(key)
    recipients = recipients_from(recipient or ())
    with open_list(path, check="none") as ref:
        made = write_bundle(
            ref, output, signer, since=since, recipients=recipients, days=days, despite_terms=despite_terms or ()
        )
    size = output.stat().st_size
    if as_json:
        base = None if made.previous is None else made.previous.version
        emit({"version": made.version, "since": base, "digest": made.digest, "expires": made.expires, "bytes": size})
    else:
        what = f"version {made.version}" + ("" if made.previous is None else f" since {made.previous.version}")
        OUT.print(f"{what}: {made.entries} entries, {size:,} bytes, may be taken for {days} days", highlight=False)


def take(
    path: ListFile,
    file: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle of the list.", show_default=False)],
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust",
            help="Verifier key of the owner, or a file of them: all must sign. Needed the first time; may be given "
            "several times.",
        ),
    ] = None,
    identity: Annotated[
        Path | None, typer.Option("--identity", help="Key file that opens a sealed bundle.", show_default=False)
    ] = None,
    keep_history: Annotated[
        bool,
        typer.Option("--keep-history", help="Of a list that is made: as of 'list create'.", show_default=False),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring a list to the version of a signed bundle, in one transaction; the first time it makes the list.

    The list then has the id, version and digest of its owner's. Matchers that run take it up. Exit code: 0 also where
    the list had the version already, 2 when the list was left as it was.

    Example: hashmatch list take theirs.hashmatch theirs-42.bundle --trust owner.pub
    """
    check_list(path)
    keys, opener = trusted_from(trust or ()), identity_from(identity)
    try:
        with named(path):
            report = take_bundle(path, file, trust=keys, identity=opener, keep_history=keep_history)
    except SignatureError as error:
        raise fail(f"{file}: {error}") from error
    found = report.info
    if as_json:
        said = {"changed": report.changed, "rotated": report.rotated, "list_id": found.list_id}
        emit(said | {"version": found.version, "digest": found.digest, "entries": found.entries})
        return
    done = "taken" if report.changed else "unchanged"
    more = "; its owner has a new key" if report.rotated else ""
    OUT.print(Text(safe(f"{done}: version {found.version}, {found.entries} entries{more}")), soft_wrap=True)
