"""What a reader of one form of container gives: members and faults; `expand` makes items and flaws of them."""

from __future__ import annotations

from dataclasses import dataclass

from hashmatch.packing import Filling

__all__ = ["Fault", "Member"]


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a container.

    Parameters
    ----------
    name : bytes
        As the container has it, of any length.
    size : int or None
        As stated.
    stream : Filling
        Its bytes, read before the reader is asked for more. An attribute ``flaw`` may name what was wrong with bytes
        that were given to the end.
    """

    name: bytes
    size: int | None
    stream: Filling


@dataclass(frozen=True, slots=True)
class Fault:
    """A member that cannot be read, or a part of the container.

    Parameters
    ----------
    reason : str
        One of `hashmatch.scan.items.REASONS`.
    name : bytes or None
        Of the member; None for the container.
    """

    reason: str
    name: bytes | None = None
