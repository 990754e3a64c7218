"""``hashmatch policy``: print a policy as a file that can be edited, and check one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from hashmatch.cli.budget import budget_record, show_budget, sizes_of
from hashmatch.cli.console import OUT, emit, safe
from hashmatch.cli.policy_options import policy_named
from hashmatch.policy import MatchPolicy
from hashmatch.profiles import policy_to_toml

__all__ = ["policy_app"]

policy_app = typer.Typer(
    help="Print policies as files, and check policy files.", no_args_is_help=True, rich_markup_mode=None
)

_Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@policy_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="fast, standard, thorough, or a policy file.")] = "standard",
    as_json: _Json = False,
) -> None:
    """Print every field of a policy as TOML: keep it in a file, change it, and give it as --policy FILE.toml.

    Exit code: 0, or 2 an error.

    Example: hashmatch policy show standard > mine.toml
    """
    policy = policy_named(name)
    if as_json:
        emit(policy.to_dict())
    else:
        OUT.print(Text(policy_to_toml(policy)), end="", soft_wrap=True)


@policy_app.command("check")
def check(
    file: Annotated[str, typer.Argument(help="Policy file.", show_default=False)],
    lists: Annotated[
        list[Path] | None, typer.Option("--list", "-l", help="Say what it spends against this list; several times.")
    ] = None,
    volume: Annotated[float, typer.Option("--volume", min=0, help="Unrelated pictures looked up a day.")] = 1e6,
    as_json: _Json = False,
) -> None:
    """Check a policy file and say what it means.

    Exit code: 0, or 2 an error, which names the key and what is allowed.

    Example: hashmatch policy check mine.toml --list mine.hashmatch
    """
    policy = policy_named(file)
    sizes = sizes_of(lists) if lists else None
    if as_json:
        spent = None if sizes is None else budget_record(policy, sizes, volume)
        emit({"policy": policy.to_dict(), "means": list(_meaning(policy)), "budget": spent})
        return
    for line in _meaning(policy):
        OUT.print(Text(safe(line)), soft_wrap=True)
    if sizes is not None:
        show_budget(policy, sizes, volume)


def _meaning(policy: MatchPolicy) -> Iterator[str]:
    """Say it in sentences."""
    decode = policy.decode
    yield f"policy {policy.name}"
    views = {
        "its seven other turns": policy.turns,
        "without borders, bars and bands": policy.trims,
        "turned back by a few degrees": policy.rotations,
        "shrunk as other producers do": policy.shrinks,
        "as negatives": policy.negatives,
        "as if cut from an entry's picture": policy.crops is not None,
        "by keypoint records": policy.keypoints is not None,
    }
    yield "looks at: the picture as it is" + "".join(f", {name}" for name, wanted in views.items() if wanted)
    for rule in policy.rules:
        within = "equal" if rule.is_digest else f"within {rule.threshold}"
        views_within = "" if rule.view_threshold is None else f", other views within {rule.view_threshold}"
        yield f"{rule.algorithm}: {within}{views_within}, quality {rule.min_quality} or more"
    inside = ", ".join(decode.in_worker().allowed)
    yield f"decodes: {', '.join(decode.allowed)}; in a worker process: {inside}"
    yield f"frames: {decode.frames}, at most {decode.max_frames:,}"
    yield f"at most {decode.max_bytes:,} bytes a file, {decode.max_pixels:,} px a frame, {decode.max_side:,} px a side"
