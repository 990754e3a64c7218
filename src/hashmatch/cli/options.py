"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashmatch.picture.policy import KNOWN_FORMATS

__all__ = ["Formats", "Json", "Labels", "ListFile", "MaxBytes", "MaxPixels", "Source"]

Formats = Annotated[
    str | None,
    typer.Option(
        "--formats", help=f"Formats that are decoded, with commas between, or all: {', '.join(KNOWN_FORMATS)}."
    ),
]
MaxBytes = Annotated[int | None, typer.Option("--max-bytes", min=1, help="Largest picture file, bytes.")]
MaxPixels = Annotated[int | None, typer.Option("--max-pixels", min=1, help="Largest frame, pixels.")]

ListFile = Annotated[Path, typer.Argument(metavar="LIST", help="List file.", show_default=False)]
Source = Annotated[str, typer.Option("--source", "-s", help="Who lists the entry.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="NAME=VALUE; may be given several times.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
