"""What a source of a scan gives: items, which have bytes, and flaws, which say what could not be looked at.

Floor: scan. A source is an iterator of `Found`. Everything that it meets is one of the two, so that nothing is passed
over in silence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Literal, TypeAlias

from hashmatch.errors import UnreadableImageError

__all__ = ["CONTENTS", "REASONS", "Content", "Flaw", "Found", "Item", "shown_name", "unread"]

Content: TypeAlias = Literal["picture", "video", "container", "other", "empty"]
"""What the bytes of an item are, by their content."""

CONTENTS: Final[tuple[Content, ...]] = ("picture", "video", "container", "other", "empty")
"""Every `Content`. A video is matched by digest only: its frames are not looked at."""

REASONS: Final = frozenset(
    {
        "changed",  # written to while it was read
        "cut-short",  # the container ends before its content does
        "damaged",  # the structure or a checksum is wrong
        "encrypted",
        "format-not-read",  # a container or a part of a form that is recognised and not read
        "is-a-directory",
        "no-module",  # the extra that reads it is not installed
        "not-a-file",  # a device, pipe or socket
        "not-found",
        "not-permitted",
        "out-of-memory",
        "overlapping",  # two members of one container claim the same bytes
        "read-failed",  # the system or the storage service gave an error
        "timeout",
        "too-deep",  # containers within containers beyond the limit
        "too-large",  # more bytes than may be held in memory at once
        "too-many-members",
        "too-much-unpacked",  # a bomb, or more unpacked bytes than the limits allow
        "worker-crashed",
    }
)
"""Every reason of a `Flaw`, and of the errors that reading an `Item` raises."""

_UNSHOWN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_NAME: Final = 4_096


@dataclass(frozen=True, slots=True)
class Item:
    """One file, or one member of a container.

    Parameters
    ----------
    name : str
        Printable name, such as ``disk/a.zip!b/c.jpg``, see `shown_name`. It is for people who ask for names; two items
        can have the same.
    key : bytes
        Identity of the item within its source, the same in every run over the same medium: the path's bytes, then a
        zero byte, the place and the name for every container that is entered. No two items have the same.
    inside : str
        What holds the item: ``"folder"`` or the form of a container, such as ``"zip"``.
    content : str
        One of `CONTENTS`, by the first bytes, never by the name.
    size : int or None
        Length, bytes, as stated; None where nothing states it.
    open : callable
        Gives a binary file at the first byte of the item. It is called at most once, and read before the source is
        asked for what comes next. Reading raises `UnreadableImageError` with one of `REASONS`.

    Notes
    -----
    A container is an item as well, and comes after everything that was found in it. Whoever writes down items in their
    order has therefore all members of a container that is written down.
    """

    name: str = field(repr=False)
    key: bytes = field(repr=False)
    inside: str
    content: Content
    size: int | None
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something of a medium that was not looked at.

    Parameters
    ----------
    name, key : str, bytes
        Of the folder, file, container or member, as in `Item`; a container that is read in part has members besides.
    reason : str
        One of `REASONS`.
    inside : str
        What holds it, as in `Item`.
    """

    name: str = field(repr=False)
    key: bytes = field(repr=False)
    reason: str
    inside: str


Found: TypeAlias = Item | Flaw
"""What a source yields."""


def shown_name(name: str | bytes | os.PathLike[Any]) -> str:
    r"""Write a name so that any terminal, log and file of UTF-8 can hold it.

    Parameters
    ----------
    name : str, bytes or path
        As the system or the container has it.

    Returns
    -------
    str
        At most 4,096 characters, the end of a longer name. Bytes that are no UTF-8, control characters and characters
        that turn the direction of a text are escaped.

    Examples
    --------
    >>> shown_name(b"caf\xe9/\n.jpg")
    'caf\\xe9/\\x0a.jpg'
    """
    text = name if isinstance(name, str) else os.fspath(name)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    return _UNSHOWN.sub(_escaped, text[-_LONGEST_NAME:])


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def unread(reason: str) -> UnreadableImageError:
    """Make the error of a stream that cannot be read on."""
    return UnreadableImageError(f"this part of the medium could not be read: {reason}", reason=reason)
