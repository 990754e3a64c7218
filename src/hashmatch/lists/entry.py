"""What a reference list holds: `Entry`, `Listing`, `ListedHash`; and what text it accepts.

Floor: lists. Nothing here touches a file. None of these types can hold a pixel, a path or a byte string other than a
`HashValue`'s own, and none shows a hash in its ``repr``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import ReferenceListError
from hashmatch.hashes import Fingerprint, HashValue
from hashmatch.view import View

__all__ = ["LOCAL", "ROLES", "Entry", "ListedHash", "Listing", "Role"]

LOCAL: Final = "local"
"""Source of an entry for which none is given."""

Role = Literal["alarm", "benign", "comparison"]
"""What a source lists its entries for: to be reported, to be told apart from what is reported, or to be shown apart."""

ROLES: Final[tuple[Role, ...]] = ("alarm", "benign", "comparison")
"""The roles, in the order of their numbers in the list file, from 0."""

JOIN: Final = " | "
"""What stands between the values of one label that a source gives an entry."""

MAX_ENTRY_ID: Final = 256
MAX_SOURCE: Final = 64
MAX_TERMS: Final = 1_024
MAX_LIST_NAME: Final = 256
MAX_LABEL_NAME: Final = 64
MAX_LABEL_VALUE: Final = 256
MAX_LABELS: Final = 64
MAX_HASHES: Final = 65_536
MAX_RECORDS: Final = 4_096

_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


NOT_IN_LABELS: Final = re.compile("[\0\ud800-\udfff]")
"""What the value of a label cannot have in it: what no text column of SQLite holds."""
_NOT_IN_NAMES: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_name(text: str, limit: int) -> bool:
    """Whether a list may hold the text as an id or a name: of any script, but no control character or line break."""
    if not 0 < len(text) <= limit or text[0] == " " or text[-1] == " ":
        return False
    return text.isprintable() or _NOT_IN_NAMES.search(text) is None


def checked_text(text: str, what: str, limit: int) -> str:
    """Return ``text`` if a list may hold it as ``what``, an id or a name. It is kept as it is: it is a key.

    Raises
    ------
    TypeError
        If it is not str.
    ReferenceListError
        If it is empty, longer than ``limit`` characters, begins or ends with a space, or has a control character, a
        line break or an unpaired surrogate in it.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be str, not {type(text).__name__}")
    if not is_name(text, limit):
        raise ReferenceListError(
            f"{what} must be 1 to {limit} characters of text without control characters, line breaks or a space at "
            "either end"
        )
    return text


def is_value(text: object) -> bool:
    """Whether a list may hold the value of a label: any text, lines and tabs included."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_LABEL_VALUE or text[0] == " " or text[-1] == " ":
        return False
    return text.isprintable() or NOT_IN_LABELS.search(text) is None


def checked_value(text: str) -> str:
    """Return ``text`` if a list may hold it as the value of a label: any text, lines and tabs included.

    Raises
    ------
    TypeError
        If it is not str.
    ReferenceListError
        If it is empty, too long, begins or ends with a space, or has U+0000 or an unpaired surrogate in it.
    """
    if not isinstance(text, str):
        raise TypeError(f"the value of a label must be str, not {type(text).__name__}")
    if not is_value(text):
        raise ReferenceListError(
            f"the value of a label must be 1 to {MAX_LABEL_VALUE} characters of text without U+0000, unpaired "
            "surrogates or a space at either end"
        )
    return text


def checked_role(role: Role) -> Role:
    """Return ``role`` if it is one of `ROLES`; ReferenceListError if not."""
    if role not in ROLES:
        raise ReferenceListError(f"a role is one of {', '.join(ROLES)}")
    return role


def checked_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Return a read-only copy of ``labels``, checked; the same errors as `checked_text`."""
    if not isinstance(labels, Mapping):
        raise TypeError(f"labels must be a mapping of str to str, not {type(labels).__name__}")
    if not labels:
        return _NO_LABELS
    if len(labels) > MAX_LABELS:
        raise ReferenceListError(f"a source gives an entry at most {MAX_LABELS} labels")
    return MappingProxyType(
        {
            checked_text(name, "the name of a label", MAX_LABEL_NAME): checked_value(value)
            for name, value in labels.items()
        }
    )


def is_record(value: HashValue) -> bool:
    """Whether the hash is of an algorithm whose hashes vary in length."""
    return ALGORITHMS[value.algorithm].n_bits == 0


def check_counts(n_hashes: int, n_records: int, n_labels: int = 0) -> None:
    """Check how much one source says of one entry.

    Parameters
    ----------
    n_hashes, n_records, n_labels : int
        All its hashes, those of them that `is_record` is true for, its labels.

    Raises
    ------
    ReferenceListError
        If it is nothing, or more than a list holds.
    """
    if not 1 <= n_hashes <= MAX_HASHES:
        raise ReferenceListError(f"a source lists an entry with 1 to {MAX_HASHES} hashes, not {n_hashes}")
    if n_records > MAX_RECORDS:
        raise ReferenceListError(f"a source lists an entry with at most {MAX_RECORDS} keypoint records")
    if n_labels > MAX_LABELS:
        raise ReferenceListError(f"a source gives an entry at most {MAX_LABELS} labels")


@dataclass(frozen=True, slots=True)
class ListedHash:
    """One hash of an entry.

    Parameters
    ----------
    value : HashValue
        The hash.
    quality : int, optional
        Detail that the hash rests on, 0 to 100; None if it was not measured or is unknown.
    """

    value: HashValue
    quality: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.value, HashValue):
            raise TypeError(f"a list holds HashValue, not {type(self.value).__name__}")
        if self.quality is not None and (not isinstance(self.quality, int) or not 0 <= self.quality <= 100):
            raise ReferenceListError("quality must be a whole number from 0 to 100, or None")


@dataclass(frozen=True, slots=True, repr=False)
class Listing:
    """What one source says of one entry.

    Parameters
    ----------
    source : str
        Name of who lists the entry, 1 to 64 characters.
    hashes : tuple of ListedHash
        1 to 65,536 hashes, at most 4,096 of them of an algorithm whose hashes vary in length (``keypoint``).
    labels : mapping of str to str
        The source's own labels, at most 64; names up to 64 and values up to 256 characters. A class is a label whose
        name is the scheme: ``{"tech-coalition": "A1"}``.
    role : {"alarm", "benign", "comparison"}
        What the source lists its entries for; the same for all entries of a source in a list.
    """

    source: str
    hashes: tuple[ListedHash, ...]
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS, hash=False)
    role: Role = "alarm"

    def __post_init__(self) -> None:
        checked_text(self.source, "the source", MAX_SOURCE)
        if self.role != "alarm":
            checked_role(self.role)
        hashes = tuple(self.hashes)
        for item in hashes:
            if not isinstance(item, ListedHash):
                raise TypeError(f"a listing holds ListedHash, not {type(item).__name__}")
        if not 0 < len(hashes) <= MAX_RECORDS:
            check_counts(len(hashes), sum(is_record(item.value) for item in hashes))
        object.__setattr__(self, "hashes", hashes)
        if self.labels is not _NO_LABELS:
            object.__setattr__(self, "labels", checked_labels(self.labels))

    @classmethod
    def of_checked(cls, source: str, hashes: tuple[ListedHash, ...], labels: Mapping[str, str], role: Role) -> Listing:
        """Make one of what a reader has checked already, labels by `checked_labels`; 1 to 4,096 hashes."""
        made = object.__new__(cls)
        for name, value in (("source", source), ("hashes", hashes), ("labels", labels), ("role", role)):
            object.__setattr__(made, name, value)
        return made

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels as ``"scheme:value"``, each value of a label of several for itself."""
        return tuple(f"{name}:{value}" for name, said in self.labels.items() for value in said.split(JOIN))

    def __repr__(self) -> str:
        return f"<Listing by {self.source!r}, hashes: {len(self.hashes)}, labels: {len(self.labels)}>"


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """One item of a reference list: everything that all sources say of it.

    Parameters
    ----------
    entry_id : str
        Name of the entry within its list, 1 to 256 characters. Never the name of an image file.
    listings : tuple of Listing
        One or more listings, each of another source.
    key : int, optional
        Number of the entry in the file from which it was read; no other entry of that file gets it. Not compared.
    """

    entry_id: str
    listings: tuple[Listing, ...]
    key: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        checked_text(self.entry_id, "the entry id", MAX_ENTRY_ID)
        listings = tuple(self.listings)
        for item in listings:
            if not isinstance(item, Listing):
                raise TypeError(f"an entry is made of Listing, not {type(item).__name__}")
        if len(listings) != 1 and (not listings or len({item.source for item in listings}) != len(listings)):
            raise ReferenceListError("an entry needs at least one listing, each of another source")
        object.__setattr__(self, "listings", listings)

    @classmethod
    def of(
        cls,
        entry_id: str,
        *,
        hashes: Iterable[HashValue] = (),
        fingerprint: Fingerprint | None = None,
        source: str = LOCAL,
        labels: Mapping[str, str] | None = None,
        quality: int | None = None,
        role: Role = "alarm",
    ) -> Entry:
        """Make the entry that one source lists.

        Parameters
        ----------
        entry_id : str
            Name of the entry.
        hashes : iterable of HashValue
            Hashes of the picture, of one or several algorithms; ``quality`` is that of all of them.
        fingerprint : Fingerprint, optional
            Further hashes, each with its own quality. Every view must be upright.
        source, labels, role
            As in `Listing`.
        quality : int, optional
            Quality of ``hashes``, 0 to 100.

        Raises
        ------
        ReferenceListError
            If there is no hash, a view of the fingerprint is turned, trimmed or shrunk, or a text is not acceptable.
        TypeError
            If something is not of the stated type: a list takes hashes, never pictures.
        """
        if isinstance(hashes, (str, bytes, HashValue)):
            raise TypeError(f"hashes must be an iterable of HashValue, not {type(hashes).__name__}")
        listed = [ListedHash(value, quality) for value in hashes]
        if fingerprint is not None:
            if not isinstance(fingerprint, Fingerprint):
                raise TypeError(f"fingerprint must be a Fingerprint, not {type(fingerprint).__name__}")
            if any(
                item.view != View(frame=item.view.frame, background=item.view.background)
                for item in fingerprint.view_hashes
            ):
                raise ReferenceListError(
                    "the fingerprint has views that are turned, trimmed or shrunk; a list holds whole upright pictures,"
                    " and matching looks at the query in every view"
                )
            listed += [ListedHash(item.value, item.quality) for item in fingerprint.view_hashes]
        return cls(entry_id, (Listing(source, tuple(listed), labels or _NO_LABELS, role),))

    @property
    def hashes(self) -> tuple[HashValue, ...]:
        """The hashes of all sources, each once, in the order they were listed."""
        return tuple(dict.fromkeys(item.value for listing in self.listings for item in listing.hashes))

    @property
    def role(self) -> Role:
        """``"alarm"`` if a source lists the entry for that, else ``"comparison"`` if one does, else ``"benign"``."""
        roles = {listing.role for listing in self.listings}
        return next(role for role in ("alarm", "comparison", "benign") if role in roles)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that list this entry."""
        return tuple(listing.source for listing in self.listings)

    @property
    def labels(self) -> dict[str, dict[str, str]]:
        """The labels by source, with every source; a new dict at each call."""
        return {listing.source: dict(listing.labels) for listing in self.listings}

    def __repr__(self) -> str:
        return f"<Entry {self.entry_id!r}, hashes: {len(self.hashes)}, sources: {len(self.listings)}>"
