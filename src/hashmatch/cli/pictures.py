"""``hashmatch hash``: print the hashes of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashmatch.algorithms import algorithm_named
from hashmatch.cli.console import OUT, Exit, emit, fail, in_commands, safe
from hashmatch.cli.policy_options import Formats, MaxBytes, MaxPixels, decode_from, key_from
from hashmatch.cli.sources import check_once, opened
from hashmatch.errors import HashFormatError, ImageError
from hashmatch.hashers.facade import fingerprint
from hashmatch.picture import DecodePolicy

__all__ = ["hash_pictures"]


def hash_pictures(
    pictures: Annotated[
        list[str], typer.Argument(help="Picture files, or - for one on standard input.", show_default=False)
    ],
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", "-a", help="Algorithm; may be given several times. [default: pdq]"),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File with a secret key for keypoint records.")
    ] = None,
    formats: Formats = None,
    max_bytes: MaxBytes = None,
    max_pixels: MaxPixels = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the hashes of pictures, with their quality from 0 to 100.

    Exit code: 0 when every picture was hashed, 2 when one could not be.

    Example: hashmatch hash photo.jpg --algorithm pdq --algorithm sha256
    """
    names, key = algorithm or ["pdq"], key_from(key_file)
    try:
        for name in names:
            algorithm_named(name)
    except HashFormatError as error:
        raise typer.BadParameter(str(error)) from error
    check_once(pictures)
    decode = decode_from(DecodePolicy(), formats, max_bytes=max_bytes, max_pixels=max_pixels)
    failed = False
    for path in pictures:
        try:
            with opened(path) as picture:
                found = fingerprint(picture, names, decode=decode, keypoint_key=key)
        except ImageError as error:
            failed = True
            if as_json:
                emit({"path": path, "error": in_commands(str(error)), "reason": error.reason})
            else:
                fail(f"{path}: {error}")
            continue
        for item in found.view_hashes:
            if as_json:
                emit(
                    {
                        "path": path,
                        "algorithm": item.value.algorithm,
                        "hash": item.value.hex(),
                        "quality": item.quality,
                        "view": str(item.view),
                    }
                )
            else:
                quality = "-" if item.quality is None else str(item.quality)
                view = "" if str(item.view) == "original" else f"  ({item.view})"
                line = f"{item.value}  {quality:>3}  {safe(path)}{view}"
                OUT.print(line, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(Exit.ERROR)
