"""How far containers are followed, and what one file at the top has used up of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from hashmatch.scan.items import unread

__all__ = ["Limits", "Spending"]

_RATIO_FREE: Final = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what one file of a medium may become; beyond them the rest of the container is a `Flaw`.

    Parameters
    ----------
    depth : int
        Containers within one another, 1 or more.
    members : int
        Members of a file and of all containers in it.
    unpacked : int
        Bytes that decompression makes of a file, all in all.
    ratio : int
        Bytes that decompression makes of each byte of the file, once 256 MiB came. Deflate alone reaches 1,032.
    held : int
        Bytes that containers within containers have in memory at a time, as have 7z archives and PDF files.
    seconds : float
        Longest time for one 7z archive or PDF file, s; then its worker process is ended.

    Raises
    ------
    ValueError
        If one is not above 0.
    """

    depth: int = 8
    members: int = 1_000_000
    unpacked: int = 64 * 2**30
    ratio: int = 1_100
    held: int = 128 * 2**20
    seconds: float = 120.0

    def __post_init__(self) -> None:
        for item in fields(self):
            if not getattr(self, item.name) > 0:
                raise ValueError(f"the limit {item.name} must be above 0")


class Spending:
    """What one file at the top has used up; every container inside shares it.

    Parameters
    ----------
    limits : Limits
        The bounds.
    size : int or None
        Length of the file, bytes; None if it is not known, so that the ratio cannot be.
    """

    def __init__(self, limits: Limits, size: int | None) -> None:
        self.limits = limits
        self._most = limits.unpacked
        if size is not None:
            self._most = min(self._most, max(_RATIO_FREE, limits.ratio * size))
        self._made = self._members = self._held = 0
        self._over: str | None = None

    def made(self, size: int) -> None:
        """Count bytes that were unpacked; raises ``too-much-unpacked`` from the first that is too many on."""
        self._made += size
        if self._made > self._most:
            self._over = self._over or "too-much-unpacked"
        self.check()

    def member(self) -> None:
        """Count a member; raises ``too-many-members`` from the first that is too many on."""
        self._members += 1
        if self._members > self.limits.members:
            self._over = self._over or "too-many-members"
        self.check()

    def check(self) -> None:
        """Raise what was raised before: nothing of this file is followed any more."""
        if self._over is not None:
            raise unread(self._over)

    @property
    def room(self) -> int:
        """Bytes that may still be held in memory."""
        return max(0, self.limits.held - self._held)

    def hold(self, size: int) -> None:
        """Count bytes that are held from now on; negative where they are let go."""
        self._held += size
