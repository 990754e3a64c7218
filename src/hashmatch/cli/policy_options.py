"""Options of decoding and matching, and the policies that they make."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hashmatch import profiles
from hashmatch.cli.console import labels_from, safe
from hashmatch.errors import HashmatchError, PolicyError
from hashmatch.keypoints.record import checked_key
from hashmatch.picture.policy import KNOWN_FORMATS, DecodePolicy
from hashmatch.policy import MatchPolicy, Rule

__all__ = [
    "Formats",
    "MaxBytes",
    "MaxPixels",
    "decode_from",
    "key_from",
    "policy_from",
    "policy_named",
]

_LONGEST_POLICY: Final = 2**20  # bytes of a policy file

Formats = Annotated[
    str | None,
    typer.Option(
        "--formats", help=f"Formats that are decoded, with commas between, or all: {', '.join(KNOWN_FORMATS)}."
    ),
]
MaxBytes = Annotated[int | None, typer.Option("--max-bytes", min=1, help="Largest picture file, bytes.")]
MaxPixels = Annotated[int | None, typer.Option("--max-pixels", min=1, help="Largest frame, pixels.")]


def key_from(path: Path | None) -> bytes | None:
    """Read the secret key of keypoint records from its file; None where no file is named.

    Raises
    ------
    typer.BadParameter
        If the file holds no key.
    """
    if path is None:
        return None
    key = path.read_bytes()
    try:
        return checked_key(key)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def policy_named(name: str) -> MatchPolicy:
    """Give a preset, or read a policy file.

    Raises
    ------
    typer.BadParameter
        If it is neither, or the file holds no policy.
    """
    if name in profiles.PRESETS:
        return profiles.PRESETS[name]
    if not name.endswith(".toml") and not os.path.isfile(name):
        raise typer.BadParameter(f"choose one of: {', '.join(profiles.PRESETS)}; or name a policy file, FILE.toml")
    with open(name, "rb") as file:
        data = file.read(_LONGEST_POLICY + 1)
    try:
        if len(data) > _LONGEST_POLICY:
            raise PolicyError("the policy file has more than a megabyte")
        return profiles.policy_from_toml(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{safe(name)}: the policy file is no text in UTF-8") from None
    except PolicyError as error:
        raise typer.BadParameter(f"{safe(name)}: {safe(str(error))}") from error


def policy_from(
    name: str,
    thresholds: Iterable[str],
    key_file: Path | None = None,
    *,
    formats: str | None = None,
    frames: str | None = None,
    max_bytes: int | None = None,
    max_pixels: int | None = None,
) -> MatchPolicy:
    """Make the policy that the options describe.

    Parameters
    ----------
    name : str
        Name of a preset, or of a policy file.
    thresholds : iterable of str
        ``ALGORITHM=DISTANCE`` for each threshold that differs from the preset.
    key_file : Path, optional
        File with the secret key of keypoint records.
    formats, frames, max_bytes, max_pixels
        Of the policy's `DecodePolicy`, where they differ; formats are names with commas between, or ``all``.

    Raises
    ------
    typer.BadParameter
        If a name or a number is not acceptable; the message says which are.
    """
    policy = policy_named(name)
    for algorithm, text in labels_from(thresholds).items():
        old = policy.rule_for(algorithm)
        if old is None or not text.isascii() or not text.isdigit():
            known = ", ".join(rule.algorithm for rule in policy.rules)
            raise typer.BadParameter(f"write ALGORITHM=DISTANCE with a whole number and one of: {known}")
        try:
            new: Rule = replace(old, threshold=int(text))
        except (HashmatchError, ValueError) as error:
            raise typer.BadParameter(str(error)) from error
        rules = tuple(new if rule is old else rule for rule in policy.rules)
        # the name stands in every report, so it says what was changed
        policy = replace(policy, name=f"{policy.name}, {new.algorithm}={new.threshold}", rules=rules)
    policy = _decoding(policy, {"frames": frames, "max_bytes": max_bytes, "max_pixels": max_pixels}, formats)
    if key_file is not None:
        if policy.keypoints is None:
            raise typer.BadParameter(f"--key-file is for keypoint records, which {name} does not compare; try thorough")
        policy = replace(policy, keypoints=replace(policy.keypoints, key=key_from(key_file)))
    return policy


def decode_from(base: DecodePolicy, formats: str | None, **wanted: Any) -> DecodePolicy:
    """Change a policy of decoding by options; options that are None change nothing.

    Raises
    ------
    typer.BadParameter
        If a value is not acceptable.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    if formats is not None:
        names = [name.strip().upper() for name in formats.split(",")]
        given["formats"] = list(KNOWN_FORMATS) if names == ["ALL"] else names
    try:
        return DecodePolicy.from_dict(given, base) if given else base
    except PolicyError as error:
        raise typer.BadParameter(safe(str(error))) from error


def _decoding(policy: MatchPolicy, options: dict[str, Any], formats: str | None) -> MatchPolicy:
    """Take over what options say of decoding; the policy's name says it too."""
    wanted: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    decode = decode_from(policy.decode, formats, **wanted)
    if decode is policy.decode:
        return policy
    said = ({"formats": formats.lower().replace(",", "+")} if formats is not None else {}) | {
        name: value for name, value in wanted.items() if name != "formats"
    }
    changes = ", ".join(f"{name}={value}" for name, value in said.items())
    return replace(policy, name=f"{policy.name}, {changes}", decode=decode)
