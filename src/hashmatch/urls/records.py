"""What goes into a list of addresses and what is told of it: `Item`, `UrlReport`, `UrlListInfo`.

Floor: urls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hashmatch.urls.scopes import Scope

__all__ = ["Item", "UrlListInfo", "UrlReport"]


class Item(NamedTuple):
    """One record of a delivery.

    Parameters
    ----------
    number : int
        Line or record, from 1.
    address : str
        The address; of the scope ``"url-md5"`` the digest in 32 hexadecimal digits.
    scope : str or None
        None for the scope of the delivery.
    gone : bool
        Whether the source takes it back.
    refused : str
        Why the record is not read; empty where it is.
    """

    number: int
    address: str = ""
    scope: Scope | None = None
    gone: bool = False
    refused: str = ""

    def __repr__(self) -> str:
        return f"<Item {self.number}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlReport:
    """What a change did; entries are counted by the forms of their addresses.

    Parameters
    ----------
    rows : int
        Records that were read.
    added, again, withdrawn, kept_out, expired : int
        Entries that are new; that were listed by the source already and are verified again; that are gone; that a
        person keeps out; and that had expired and were dropped.
    refused : mapping of str to int
        Records that are not listed, by reason.
    refusals : tuple of (int, str)
        Number and reason of the first 1,000 of them.
    version : int
        Of the list after it.
    """

    rows: int = 0
    added: int = 0
    again: int = 0
    withdrawn: int = 0
    kept_out: int = 0
    expired: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    refusals: tuple[tuple[int, str], ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlListInfo:
    """What a list is, which can be told without its key.

    Parameters
    ----------
    name, list_id, key_id, digest : str
        Of the list, of the key that it needs, and SHA-256 of the file.
    version, file_bytes : int
        Changes so far; length of the file.
    live, sources : mapping of str to int
        Entries that count, by scope and by source.
    expired, kept_out : int
        Entries that do not.
    verified : int or None
        When the entry that counts and was verified longest ago was verified, seconds since 1970.
    suffixes : str
        Version of the Public Suffix List at the last change.
    history : tuple of dict
        The last 10,000 changes, oldest first.
    """

    name: str
    list_id: str
    key_id: str
    digest: str
    version: int
    file_bytes: int
    live: Mapping[str, int]
    sources: Mapping[str, int]
    expired: int
    kept_out: int
    verified: int | None
    suffixes: str
    history: tuple[dict[str, Any], ...]
