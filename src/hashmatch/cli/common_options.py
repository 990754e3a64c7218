"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Json", "Labels", "ListFile", "Source"]

ListFile = Annotated[Path, typer.Argument(metavar="LIST", help="List file.", show_default=False)]
Source = Annotated[str, typer.Option("--source", "-s", help="Who lists the entry.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="NAME=VALUE; may be given several times.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
