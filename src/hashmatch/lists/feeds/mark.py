"""Where a feed stands: what its checkpoint in the list says.

Floor: lists. A mark never holds a secret, a hash or anything but positions that the service gave or times.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from hashmatch.lists.formats.operations import MAX_CHECKPOINT

__all__ = ["CURSOR_LIFE", "Mark"]

CURSOR_LIFE: Final = 12 * 3600
"""Seconds after which the address of a next page counts as dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a feed goes on.

    Parameters
    ----------
    done : str
        Up to where everything has been read, in the feed's own form; empty before the first time.
    until : int
        Where the range that is being read ends, seconds since 1970; 0 if none is.
    after : str
        Where in that range the next page begins; empty for its beginning.
    at : int
        When ``after`` was given, seconds since 1970.
    """

    done: str = ""
    until: int = 0
    after: str = ""
    at: int = 0

    @property
    def seconds(self) -> int:
        """Give ``done`` where it is a time; 0 where it is none."""
        return int(self.done) if self.done.isascii() and self.done.isdigit() and len(self.done) < 13 else 0

    def text(self) -> str:
        """Write it as a checkpoint; a position too long for one is left out, so that the range begins anew."""
        text = json.dumps(asdict(self), separators=(",", ":"))
        return text if len(text) <= MAX_CHECKPOINT else Mark(done=self.done, until=self.until).text()

    @classmethod
    def parsed(cls, text: str, now: int) -> Mark:
        """Read a checkpoint; what is none begins anew, and so does a range whose position is dead."""
        try:
            said = json.loads(text)
            made = cls(**said)
            fits = isinstance(made.done, str) and isinstance(made.after, str)
            fits = fits and all(type(value) is int and value >= 0 for value in (made.until, made.at))
        except (ValueError, TypeError, RecursionError):
            return cls()
        if not fits:
            return cls()
        if made.after and not 0 <= now - made.at < CURSOR_LIFE:
            return cls(done=made.done, until=made.until)
        return made
