"""``hashmatch keys make | rotate | show``: keys that sign lists and logs, and keys that open sealed files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from hashmatch.cli.common_options import Json
from hashmatch.cli.console import OUT, emit, fail
from hashmatch.cli.lazy import LazyGroup
from hashmatch.errors import SignatureError
from hashmatch.signing import SigningKey, VerifierKey, parse_verifier_keys, rotate
from hashmatch.signing.private_files import read_private_file, read_text_file
from hashmatch.signing.sealing import Identity, check_recipient

__all__ = ["identity_from", "keys_app", "recipients_from", "trusted_from"]

KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="Key file.", show_default=False)]
PostQuantum = Annotated[
    bool,
    typer.Option(
        "--post-quantum",
        help="Sign by ML-DSA-44 too, beside Ed25519; a signature is 2.4 KB longer.",
        show_default=False,
    ),
]


class _KeysGroup(LazyGroup):
    """Commands of keys."""

    places = MappingProxyType(
        {
            "make": "hashmatch.cli.keys:make",
            "rotate": "hashmatch.cli.keys:rotate_key",
            "show": "hashmatch.cli.keys:show",
        }
    )


keys_app = typer.Typer(
    cls=_KeysGroup,
    help="Make, replace and show keys: those that sign lists and logs, and those that open sealed lists.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def make(
    path: KeyFile,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Whose it is, such as example.org/lists.", show_default=False)
    ] = None,
    post_quantum: Annotated[
        bool,
        typer.Option("--post-quantum", help="Sign by ML-DSA-44 too, beside Ed25519: 2.4 KB more.", show_default=False),
    ] = False,
    witness: Annotated[
        bool, typer.Option("--witness", help="For confirming the logs of others.", show_default=False)
    ] = False,
    sealing: Annotated[
        bool, typer.Option("--sealing", help="A key that opens sealed lists, and signs nothing.", show_default=False)
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a key in a new file that only its owner can read, and show its public half, to be handed round.

    Exit code: 0, or 2 an error.

    Example: hashmatch keys make owner.key --name example.org/lists > owner.pub
    """
    if sealing:
        if name is not None or post_quantum or witness:
            raise typer.BadParameter("--sealing takes no other option")
        identity = Identity.make()
        identity.save(path)
        _emit([identity.recipient], 0, as_json=as_json)
        return
    if name is None:
        raise typer.BadParameter("say whose key it is with --name")
    key = SigningKey.make(name, post_quantum=post_quantum, witness=witness)
    key.save(path)
    _show_key(key, as_json=as_json)


def rotate_key(
    path: KeyFile,
    new: Annotated[Path, typer.Argument(metavar="NEW", help="New key file.", show_default=False)],
    post_quantum: Annotated[
        bool | None,
        typer.Option(
            "--post-quantum/--no-post-quantum", help="By ML-DSA-44 too. [default: as the old key]", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key that takes the place of another, and show its public half.

    The old key signs the hand-over, which everything that the new key signs carries: who trusts the old key follows by
    itself. Sign with NEW from now on, and keep the old file where nobody can use it. Exit code: 0, or 2 an error.

    Example: hashmatch keys rotate owner.key owner-2027.key > owner-2027.pub
    """
    made = rotate(SigningKey.load(path), post_quantum=post_quantum)
    made.save(new)
    _show_key(made, as_json=as_json)


def show(path: KeyFile, as_json: Json = False) -> None:
    """Show the public half of a key: verifier keys, one a line, or the recipient that lists are sealed for.

    Exit code: 0, or 2 an error, also where others can read the file.

    Example: hashmatch keys show owner.key
    """
    if "AGE-SECRET-KEY-" in read_private_file(path):
        _emit([Identity.load(path).recipient], 0, as_json=as_json)
    else:
        _show_key(SigningKey.load(path), as_json=as_json)


def _show_key(key: SigningKey, *, as_json: bool) -> None:
    _emit([str(one) for one in key.verifiers], len(key.rotations), as_json=as_json)


def _emit(public: list[str], n_rotations: int, *, as_json: bool) -> None:
    if as_json:
        emit({"public": public, "rotations": n_rotations})
    else:
        for line in public:
            OUT.print(line, soft_wrap=True, highlight=False, markup=False)


def trusted_from(texts: Iterable[str]) -> tuple[VerifierKey, ...]:
    """Read verifier keys, each a key itself or a file of them."""
    found: list[VerifierKey] = []
    for text in texts:
        try:
            found += parse_verifier_keys(read_text_file(text) if "+" not in text or os.path.lexists(text) else text)
        except SignatureError as error:
            raise fail(f"{text}: {error}") from error
    return tuple(dict.fromkeys(found))


def recipients_from(texts: Iterable[str]) -> tuple[str, ...]:
    """Read recipients, each ``age1...`` itself or a file of them."""
    found: list[str] = []
    for text in texts:
        lines = [text] if text.startswith("age1") else read_text_file(text).splitlines()
        found += [check_recipient(line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    return tuple(dict.fromkeys(found))


def identity_from(path: Path | None) -> Identity | None:
    """Read the key that opens a sealed bundle."""
    return None if path is None else Identity.load(path)
