"""Options of commands whose answers can be recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hashmatch.audit import Recorder

__all__ = ["Actor", "AuditHashes", "AuditKey", "AuditLogFolder", "recording"]

AuditLogFolder = Annotated[
    Path | None, typer.Option("--audit", help="Record every answer in this log: hashmatch audit create.")
]
AuditKey = Annotated[Path | None, typer.Option("--audit-key", help="Key file of the log.")]
AuditHashes = Annotated[
    bool, typer.Option("--audit-hashes", help="Keep the pictures' hashes in the log, which a replay needs.")
]
Actor = Annotated[str, typer.Option("--actor", help="Who asks; kept in the log.")]


@contextmanager
def recording(log: Path | None, key: Path | None, hashes: bool, actor: str) -> Iterator[Recorder | None]:
    """Give what records the answers, if a log is named; at the end the log is signed.

    Raises
    ------
    typer.BadParameter
        If options of a log are given without a log, or a log without its key.
    """
    if log is None:
        if key is not None or hashes or actor:
            raise typer.BadParameter("there is no log: name it by --audit", param_hint="--audit")
        yield None
        return
    if key is None:
        raise typer.BadParameter("a log is written with its key: --audit-key", param_hint="--audit-key")
    from hashmatch.audit import AuditLog, Recorder
    from hashmatch.signing import SigningKey

    with AuditLog.open(log, SigningKey.load(key)) as opened:
        yield Recorder(opened, actor=actor, keep_hashes=hashes)
