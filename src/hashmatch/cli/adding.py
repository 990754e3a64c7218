"""``hashmatch list add``: the hashes of pictures, or hashes themselves, into a list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashmatch.cli.common_options import Json, Labels, ListFile, Source
from hashmatch.cli.console import OUT, Exit, emit, fail, in_commands, labels_from, warn
from hashmatch.cli.policy_options import Formats, MaxBytes, MaxPixels, decode_from, key_from
from hashmatch.cli.sources import check_list, check_once, hash_from, open_list, opened
from hashmatch.errors import HashFormatError, ImageError
from hashmatch.hashers.facade import fingerprint
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.lists import LOCAL, Entry
from hashmatch.lists.formats import default_entry_id
from hashmatch.picture import DecodePolicy

__all__ = ["add"]


class _Unfit(Exception):
    """A picture that cannot be hashed, or is too plain; the message says which and why."""


def add(
    path: ListFile,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE|HASH...",
            help='Picture files, hashes written "pdq:<64 hex>", or - for a picture on standard input.',
        ),
    ],
    entry_id: Annotated[
        str | None,
        typer.Option("--id", help="Entry id for all that is given. [default: one entry each, named after its hash]"),
    ] = None,
    source: Source = LOCAL,
    label: Labels = None,
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", "-a", help="For pictures; may be given several times. [default: pdq]"),
    ] = None,
    min_quality: Annotated[
        int, typer.Option("--min-quality", min=0, max=100, help="Refuse plainer pictures: they match each other.")
    ] = 50,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="Leave out, and count, pictures that cannot be hashed or are too plain."
        ),
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File with a secret key for keypoint records.")
    ] = None,
    formats: Formats = None,
    max_bytes: MaxBytes = None,
    max_pixels: MaxPixels = None,
    as_json: Json = False,
) -> None:
    """Add the hashes of pictures, or hashes themselves. All or none: a picture that cannot be hashed stops it.

    With --skip-unreadable such a picture is named, counted and left out. Pictures are hashed and forgotten; neither
    pixels nor file names are kept.

    Exit code: 0 when all was added or known, 3 when pictures were left out, 2 when nothing could be added.

    Example: hashmatch list add mine.hashmatch photos/*.jpg --source me --skip-unreadable
    """
    labels = labels_from(label or ())
    names, key = tuple(algorithm or ("pdq",)), key_from(key_file)
    decode = decode_from(DecodePolicy(), formats, max_bytes=max_bytes, max_pixels=max_pixels)
    check_once(sources)
    check_list(path)
    values = [hash_from(text) for text in sources]
    entries: list[Entry] = []
    skipped = 0
    for text, value in zip(sources, values, strict=True):
        try:
            item = _hashed(text, value, names, min_quality, key, decode)
        except _Unfit as error:
            if not skip_unreadable:
                raise fail(f"{error}; nothing was added (--skip-unreadable leaves such pictures out)") from error
            skipped += 1
            warn(f"left out: {in_commands(str(error))}")
            continue
        name = entry_id or default_entry_id(item.hashes[0])
        entries.append(Entry.of(name, fingerprint=item, source=source, labels=labels))
    if not entries:
        raise fail("no picture could be hashed; nothing was added")
    with open_list(path, writable=True, check="none") as ref:
        counts = ref.add_many(entries)
        version = ref.version
    if as_json:
        emit(
            {
                "new_entries": counts.added,
                "changed": counts.merged,
                "unchanged": counts.unchanged,
                "left_out": skipped,
                "version": version,
            }
        )
    else:
        left = f", {skipped} left out" if skipped else ""
        line = f"{counts.added} new, {counts.merged} changed, {counts.unchanged} unchanged{left}; version {version}"
        OUT.print(line, highlight=False)
    if skipped:
        raise typer.Exit(Exit.UNDECIDED)


def _hashed(
    text: str,
    value: HashValue | None,
    names: tuple[str, ...],
    min_quality: int,
    key: bytes | None,
    decode: DecodePolicy,
) -> Fingerprint:
    if value is not None:
        return Fingerprint((ViewHash(value=value),))
    try:
        with opened(text) as picture:
            found = fingerprint(picture, names, decode=decode, keypoint_key=key)
    except ImageError as error:
        raise _Unfit(f"{text}: {error}") from error
    except HashFormatError as error:
        raise typer.BadParameter(str(error)) from error
    if found.quality is not None and found.quality < min_quality:
        raise _Unfit(
            f"{text}: quality {found.quality} is below {min_quality}, so it would match other plain pictures "
            "(--min-quality 0 adds it all the same)"
        )
    return found
