"""What all commands share: exit codes, consoles, error messages, and reading options into values."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Final
from unicodedata import category

import typer
from rich.console import Console, ConsoleDimensions
from rich.text import Text

from hashmatch import profiles
from hashmatch.errors import HashmatchError, PolicyError
from hashmatch.keypoints.record import checked_key
from hashmatch.matching import MatchReport, Outcome
from hashmatch.picture.policy import KNOWN_FORMATS, DecodePolicy
from hashmatch.policy import MatchPolicy, Rule
from hashmatch.scan import ScanSummary

__all__ = [
    "ERRORS",
    "OUT",
    "Exit",
    "decode_from",
    "emit",
    "exit_for",
    "fail",
    "in_commands",
    "labels_from",
    "outcome_text",
    "key_from",
    "policy_from",
    "policy_named",
    "safe",
    "stopped_reading",
    "warn",
]


class Exit(IntEnum):
    """Exit codes, for scripts: like grep's, with one more for pictures that allow no answer."""

    FOUND = 0
    NONE = 1
    ERROR = 2
    UNDECIDED = 3
    INTERRUPTED = 130


class _Console(Console):
    """A console for people and programs: nothing is wrapped or cut but on a terminal.

    A reader that goes away is an error; Rich's own exit code would mean "none found".
    """

    @property
    def size(self) -> ConsoleDimensions:
        """Size of the terminal; where there is none, so wide that every line and table fits."""
        # not is_terminal: that may be forced, for colours in a pipe
        return super().size if self.file.isatty() else ConsoleDimensions(_WIDEST, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def on_broken_pipe(self) -> None:
        """End quietly."""
        _drop_output()
        raise SystemExit(Exit.ERROR)


def _drop_output() -> None:
    # without this the interpreter complains once more when it flushes on its way out
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


OUT: Final = _Console()
"""Standard output: answers."""

ERRORS: Final = _Console(stderr=True)
"""Standard error: messages and progress."""

_WIDEST: Final = 2**20  # columns
_LONGEST_POLICY: Final = 2**20  # bytes of a policy file
_MARKS: Final = "\xad\u061c\u200c\u200d\u200e\u200f"  # soft hyphen, joiners and their like, marks of direction
_IN_COMMANDS: Final = (
    (r"a DecodePolicy with a (larger|smaller) max_(bytes|pixels)\b", r"a \1 --max-\2, or max_\2 in a policy file,"),
    (r"a DecodePolicy with a (larger|smaller) (max_\w+)", r"a policy file (--policy FILE.toml) with a \1 \2"),
    (r"a DecodePolicy with '?(\w+)'? among its formats", r"--formats with \1, or formats in a policy file,"),
    (r"open it with ReferenceList\.open, or choose", "use it as it is, or choose"),
    (r"ReferenceList\.create\b", "hashmatch list create LIST"),
    (r"force=True, --force,", "--force"),
    (r", or raise timeout=", ""),
)
"""What messages of the library say, as a pattern, and how the command line says it."""

_STYLES: Final = {
    Outcome.MATCH: "bold red",
    Outcome.NO_MATCH: "green",
    Outcome.UNDECIDABLE: "yellow",
    Outcome.UNREADABLE: "magenta",
}


def stopped_reading() -> typer.Exit:
    """End quietly, with the error code, after whoever read the output has gone away."""
    _drop_output()
    return typer.Exit(Exit.ERROR)


def emit(record: dict[str, Any]) -> None:
    """Write one JSON line to standard output.

    Raises
    ------
    typer.Exit
        With the error code, when whoever read the output has gone away.
    """
    try:
        OUT.file.write(json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n")
        OUT.file.flush()
    except BrokenPipeError:
        raise stopped_reading() from None


def safe(text: str) -> str:
    """Make text from outside fit for a terminal.

    Control characters, overrides of the direction, line ends, unpaired surrogates and what shows nothing become
    escapes; spaces of every script and the marks by which scripts join and order their letters stay.
    """
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or c in _MARKS or category(c) == "Zs"
        else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in text
    )


def in_commands(message: str, path: Path | None = None) -> str:
    """Say a message of the library, which names its classes and parameters, in commands and options.

    Commands that are named are of the list at the path, so that they can be copied.
    """
    for pattern, words in _IN_COMMANDS:
        message = re.sub(pattern, words, message)
    return message if path is None else message.replace(" LIST", f" {shlex.quote(str(path))}")


def fail(message: str) -> typer.Exit:
    """Print an error for people and return the exception that ends the command."""
    ERRORS.print(Text.assemble(("error: ", "bold red"), safe(in_commands(message))), soft_wrap=True)
    return typer.Exit(Exit.ERROR)


def warn(message: str) -> None:
    """Print a warning for people."""
    ERRORS.print(Text.assemble(("warning: ", "bold yellow"), safe(message)), soft_wrap=True)


def exit_for(summary: ScanSummary, *, folders: bool = False) -> Exit:
    """Exit code of a search: a match outweighs all; what could not be decided is never "none".

    Nor is a search that looked at no file. In folders, files that are no pictures at all are not errors: folders are
    full of them.
    """
    if summary.outcomes[Outcome.MATCH]:
        return Exit.FOUND
    if summary.outcomes[Outcome.UNREADABLE] > (summary.reasons["not-an-image"] if folders else 0):
        return Exit.ERROR
    return Exit.UNDECIDED if summary.outcomes[Outcome.UNDECIDABLE] or not summary.n_files else Exit.NONE


def outcome_text(report: MatchReport) -> Text:
    """Outcome in its colour, with the reason if there is one."""
    text = Text(report.outcome.value, style=_STYLES[report.outcome])
    if report.reason is None:
        return text
    named = "" if report.format is None else f": {report.format}"
    return text.append(f" ({report.reason}{named})", style="dim")


def labels_from(pairs: Iterable[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` options.

    Raises
    ------
    typer.BadParameter
        If one has no name or no ``=``, or a name comes twice.
    """
    labels = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"write NAME=VALUE, not {safe(pair[:40])!r}")
        if name in labels:
            raise typer.BadParameter(f"{safe(name[:40])!r} is given twice")
        labels[name] = value
    return labels


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
