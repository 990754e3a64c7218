"""``hashmatch explain``: a report in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json
from hashmatch.cli.console import OUT, emit, fail, safe
from hashmatch.cli.policy_options import policy_named
from hashmatch.cli.sources import STDIN, standard_input
from hashmatch.errors import HashFormatError
from hashmatch.matching import MatchReport

__all__ = ["explain"]

_MOST_BYTES = 1 << 26


def explain(
    file: Annotated[
        str, typer.Argument(metavar="REPORT", help="File with one report in JSON, or -.", show_default=False)
    ],
    policy: Annotated[
        str | None, typer.Option("--policy", "-p", help="Policy file of the report; of presets the name is enough.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say in words what agreed, how often that happens by chance, and what was not compared.

    The report is a line of match --json or scan --json, or what audit show --json has of an answer.

    Exit code: 0, or 2 an error.

    Example: hashmatch explain report.json
    """
    from hashmatch.audit.explanation import NOT_PROVED
    from hashmatch.audit.explanation import explain as explained

    data = standard_input().read(_MOST_BYTES) if file == STDIN else Path(file).read_bytes()[:_MOST_BYTES]
    try:
        found = json.loads(data)
        if isinstance(found, dict) and isinstance(found.get("report"), dict):
            found = found["report"]
        if isinstance(found, dict):
            found.pop("source", None)
        report = MatchReport.from_dict(found)
        said = explained(report, policy_named(report.policy if policy is None else policy))
    except (HashFormatError, RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise fail(f"{file}: no report: {error}") from error
    except ValueError as error:
        raise fail(str(error)) from error
    if as_json:
        emit(said.to_dict())
        return
    lines = [said.answer]
    for item in said.matches:
        lines += [f"  {item.said}", f"    {item.chance_said}"]
    for head, parts in (
        ("compared", said.compared),
        ("not compared", said.not_compared or ("nothing was left out",)),
        ("no match proves", NOT_PROVED if said.matches else ()),
    ):
        lines += [f"{head}:", *(f"  {part}" for part in parts)] if parts else []
    for line in lines:
        OUT.print(Text(safe(line)), soft_wrap=True)
