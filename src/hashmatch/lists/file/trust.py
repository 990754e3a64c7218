"""Who is trusted to bring new versions of a list that is taken from bundles, and what was taken last: `Trust`.

Floor: lists. It stands in the list file itself, so that a version and the trust that it was taken by change in one
transaction. Lists of format 4 have none.
"""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import dataclass

from hashmatch.errors import SignatureError
from hashmatch.lists.file.checksums import seal
from hashmatch.lists.file.entries import State
from hashmatch.lists.file.schema import damaged
from hashmatch.lists.file.sql_tables import FORMAT_VERSION
from hashmatch.signing.keys import VerifierKey, parse_verifier_keys

__all__ = ["Trust", "load_trust", "store_trust"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a list remembers of the bundle that it was taken from last.

    Parameters
    ----------
    keys : tuple of VerifierKey
        Keys that must all sign the next bundle, or hand over to those that do.
    version, seal_sum : int
        The version that was taken, and the sum of the check values of its entries.
    issued, expires : int
        When that bundle was made, and until when its owner vouches that no later version need be known; seconds since
        1970.
    """

    keys: tuple[VerifierKey, ...]
    version: int
    seal_sum: int
    issued: int
    expires: int


def load_trust(connection: sqlite3.Connection, state: State) -> Trust | None:
    """Read it; None where the list was never taken from a bundle.

    Raises
    ------
    ReferenceListError
        If it is not what was written.
    """
    if state.format_version == FORMAT_VERSION:
        return None
    row = connection.execute("SELECT keys, version, seal_sum, issued, expires, seal FROM trust").fetchone()
    if row is None:
        return None
    try:
        if _seal(state, *row[:-1]) != row[-1]:
            raise damaged()
        keys = parse_verifier_keys(row[0])
    except (struct.error, TypeError, AttributeError, SignatureError):
        raise damaged() from None
    return Trust(keys=keys, version=row[1], seal_sum=row[2], issued=row[3], expires=row[4])


def store_trust(connection: sqlite3.Connection, state: State, trust: Trust) -> None:
    """Write it, within the caller's transaction."""
    row = ("\n".join(map(str, trust.keys)), trust.version, trust.seal_sum, trust.issued, trust.expires)
    connection.execute(
        "REPLACE INTO trust (id, keys, version, seal_sum, issued, expires, seal) VALUES (1, ?, ?, ?, ?, ?, ?)",
        (*row, _seal(state, *row)),
    )


def _seal(state: State, keys: str, *numbers: int) -> int:
    return seal(state.uuid, keys.encode() + struct.pack("<4q", *numbers))
