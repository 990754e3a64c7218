"""``hashmatch policy``: print a policy as a file that can be edited, and check one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from hashmatch.cli.budget import budget_record, show_budget, sizes_of
from hashmatch.cli.console import OUT, emit, safe, warn
from hashmatch.cli.policy_options import policy_named
from hashmatch.cli.sources import open_list
from hashmatch.policy import MatchPolicy, Rule
from hashmatch.profiles import policy_to_toml
from hashmatch.store.coverage import unused_names

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

    With lists it also says which names of its selections none of them has: a misspelt name selects nothing.

    Exit code: 0, or 2 an error, which names the key and what is allowed.

    Example: hashmatch policy check mine.toml --list mine.hashmatch
    """
    policy = policy_named(file)
    sizes = sizes_of(lists) if lists else None
    unused = _unused(policy, lists or ())
    if as_json:
        spent = None if sizes is None else budget_record(policy, sizes, volume)
        emit({"policy": policy.to_dict(), "means": list(_meaning(policy)), "unused": list(unused), "budget": spent})
        return
    for line in _meaning(policy):
        OUT.print(Text(safe(line)), soft_wrap=True)
    for line in unused:
        warn(safe(line))
    if sizes is not None:
        show_budget(policy, sizes, volume)


def _unused(policy: MatchPolicy, lists: Sequence[Path]) -> tuple[str, ...]:
    if not lists or not policy.selections:
        return ()
    with ExitStack() as stack:
        opened = [stack.enter_context(open_list(path)) for path in lists]
        return unused_names(policy, [stack.enter_context(item.pinned()) for item in opened])


def _said(rule: Rule) -> str:
    within = "equal" if rule.is_digest else f"within {rule.threshold}"
    views_within = "" if rule.view_threshold is None else f", other views within {rule.view_threshold}"
    confirmed = f", confirmed by {' or '.join(rule.confirm_by)}" if rule.confirm_by else ""
    return f"{rule.algorithm}: {within}{views_within}, quality {rule.min_quality} or more{confirmed}"


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
        yield _said(rule)
    for place, item in enumerate(policy.selections, 1):
        where = [
            f"{kind} {' or '.join(names)}"
            for kind, names in (
                ("list", item.where.lists),
                ("source", item.where.sources),
                ("class", item.where.classes),
            )
            if names
        ]
        action = "no action" if item.action is None else f"action {item.action}"
        yield f"selection {place}: {' and '.join(where) or 'all that is left'}: {action}"
        for rule in item.rules:
            yield f"    {_said(rule)}"
        evidence = {"crops": item.crop_evidence, "rotations": item.rotation_evidence}
        yield from (
            f"    {name}: evidence of {least:g} or more" for name, least in evidence.items() if least is not None
        )
        if item.keypoint_chance is not None:
            yield f"    keypoint: chance of 1e{item.keypoint_chance:g} or less"
        if item.without:
            yield f"    not compared: {', '.join(item.without)}"
    if policy.selections and not policy.selections[-1].where.is_everything:
        yield "listings of no selection are not compared"
    if policy.flood is not None:
        flood = policy.flood
        yield (
            f"quarantine: an entry that {flood.limit:,} of {flood.window:,} pictures match; its matches are "
            f"{'held back' if flood.hold else 'marked'}"
        )
    inside = ", ".join(decode.in_worker().allowed)
    yield f"decodes: {', '.join(decode.allowed)}; in a worker process: {inside}"
    yield f"frames: {decode.frames}, at most {decode.max_frames:,}"
    yield f"at most {decode.max_bytes:,} bytes a file, {decode.max_pixels:,} px a frame, {decode.max_side:,} px a side"
