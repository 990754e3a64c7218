"""One file, and all that is inside it: items after everything that was found in them, and flaws.

Floor: scan. Nothing is written anywhere; names of members are shown and never used as paths.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from hashmatch.errors import ImageError
from hashmatch.foreign_errors import let_through
from hashmatch.packing import PACKINGS, Frames, packing_maker
from hashmatch.scan.items import Content, Flaw, Found, Item, shown_name, unread
from hashmatch.scan.sources.jailed import JailedReaders
from hashmatch.scan.sources.limits import Limits, Spending
from hashmatch.scan.sources.mail import mail_members
from hashmatch.scan.sources.members import Fault, Member
from hashmatch.scan.sources.sniffing import HEAD, READ, TAIL, content_of, form_of, has_zip_end
from hashmatch.scan.sources.streams import Medium, Reading, Some, read_fully
from hashmatch.scan.sources.tar import tar_members
from hashmatch.scan.sources.zip import zip_members
from hashmatch.scan.walk import WalkCounts

__all__ = ["Expander", "Named", "SourceCounts"]

_STREAMED: Final = frozenset({"tar", "mail", *PACKINGS})
_STEP: Final = 2**20
_AT_ONCE: Final = 2**20
"""Bytes of a file that are read in one go."""

_MAY_HIDE: Final = 32 * 2**20
"""Bytes of a member, which is no container by its beginning, that are held to see whether one is behind it."""

_LONGEST_KEY_NAME: Final = 1_000


@dataclass(slots=True)
class SourceCounts:
    """What a source met; it fills this as it goes on.

    Parameters
    ----------
    walk : WalkCounts
        Folders, links and files.
    contents : Counter of str
        Items by `hashmatch.scan.items.Content`: what is no picture is counted, and is no error.
    containers : Counter of str
        Containers that were followed, by form.
    flaws : Counter of str
        Flaws by reason.
    skipped : int
        Files that were done before, and were not opened.
    """

    walk: WalkCounts = field(default_factory=WalkCounts)
    contents: Counter[str] = field(default_factory=Counter)
    containers: Counter[str] = field(default_factory=Counter)
    flaws: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    @property
    def complete(self) -> bool:
        """Whether the source has ended, and everything that it met was an item."""
        return self.walk.complete and not self.flaws.total()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "complete": self.complete,
            **self.walk.to_dict(),
            "skipped": self.skipped,
            "contents": dict(sorted(self.contents.items())),
            "containers": dict(sorted(self.containers.items())),
            "flaws": dict(sorted(self.flaws.items())),
        }


@dataclass(frozen=True, slots=True)
class Named:
    """What stands for a file or member: see `hashmatch.scan.items.Item`."""

    name: str
    key: bytes
    inside: str

    def member(self, form: str, number: int, name: bytes) -> Named:
        """Name a member of this container."""
        return Named(
            f"{self.name}!{shown_name(name)}",
            b"%s\0%s:%d:%s" % (self.key, form.encode(), number, name[-_LONGEST_KEY_NAME:]),
            form,
        )


class Expander:
    """Follows containers, with one set of limits, counts and worker processes.

    Parameters
    ----------
    limits : Limits
        For each file.
    counts : SourceCounts
        Filled.
    jailed : JailedReaders
        For the forms that are read elsewhere.
    """

    def __init__(self, limits: Limits, counts: SourceCounts, jailed: JailedReaders) -> None:
        self._limits, self._counts, self._jailed = limits, counts, jailed

    def flaw(self, named: Named, reason: str) -> Flaw:
        """Make and count a flaw."""
        self._counts.flaws[reason] += 1
        return Flaw(named.name, named.key, reason, named.inside)

    def file(self, named: Named, file: Any, size: int) -> Iterator[Found]:
        """Give all that is in a file that can be sought in, and the file.

        Parameters
        ----------
        named : Named
            What stands for it.
        file : binary file
            Read from its beginning; left open.
        size : int
            Its length, bytes.
        """
        spending = Spending(self._limits, size)
        if size <= _AT_ONCE:
            try:
                data = Medium(file, size).whole(0, size)
            except ImageError as error:
                yield self.flaw(named, error.reason)
                return
            yield from self._medium(named, Medium(io.BytesIO(data), len(data)), spending, 0)
        else:
            yield from self._medium(named, Medium(file, size), spending, 0)

    def _medium(self, named: Named, medium: Medium, spending: Spending, depth: int) -> Iterator[Found]:
        try:
            head = medium.whole(0, HEAD)
            tail = medium.whole(max(0, medium.size - TAIL), TAIL)
        except ImageError as error:
            yield self.flaw(named, error.reason)
            return
        form = form_of(head)
        forms = [] if form is None else [form]
        if form != "zip" and has_zip_end(tail):
            forms.append("zip")
        for form in forms:
            medium.at = 0
            yield from self._followed(named, form, medium, spending, depth)
        medium.at = 0
        yield from self._item(named, Reading(medium), content_of(head, forms), medium.size)

    def _item(self, named: Named, reading: Reading, content: Content, size: int | None) -> Iterator[Found]:
        self._counts.contents[content] += 1
        yield Item(named.name, named.key, named.inside, content, size, reading.opener())
        reading.end()

    def _followed(self, named: Named, form: str, source: Some, spending: Spending, depth: int) -> Iterator[Found]:
        """Give what is in a container; what cannot be read of it is a flaw, and costs nothing else."""
        if form not in READ:
            yield self.flaw(named, "format-not-read")
            return
        if depth >= self._limits.depth:
            yield self.flaw(named, "too-deep")
            return
        self._counts.containers[form] += 1
        number = 0
        try:
            for found in self._members(form, source, spending):
                number += 1
                at = named if found.name is None else named.member(form, number, found.name)
                if isinstance(found, Fault):
                    yield self.flaw(at, found.reason)
                else:
                    spending.member()
                    yield from self._member(named, at, found, spending, depth + 1)
                spending.check()
        except ImageError as error:
            yield self.flaw(named, error.reason)
        except MemoryError:
            yield self.flaw(named, "out-of-memory")
        except Exception as error:  # nothing that a medium holds may end the scan of the rest
            let_through(error)
            yield self.flaw(named, "damaged")

    def _members(self, form: str, source: Some, spending: Spending) -> Iterator[Member | Fault]:
        if form == "tar":
            return tar_members(source)
        if form == "mail":
            return mail_members(source)
        if form in PACKINGS:
            return _unpacked(source, form, spending)
        if not isinstance(source, Medium):
            raise unread("too-large")
        return zip_members(source, spending) if form == "zip" else self._in_jail(form, source, spending)

    def _in_jail(self, form: str, medium: Medium, spending: Spending) -> Iterator[Member | Fault]:
        if medium.size > spending.room:
            raise unread("too-large")
        yield from self._jailed.members(form, medium.whole(0, medium.size), spending)

    def _member(self, parent: Named, named: Named, member: Member, spending: Spending, depth: int) -> Iterator[Found]:
        """Give a member, held in memory if it fits, so that it can be looked into; if not, as it streams."""
        try:
            head = read_fully(member.stream, HEAD)
            form = form_of(head)
            if named.inside in PACKINGS and form in _STREAMED:
                # a packed tar is one container: it is not held, and is no item of its own
                yield from self._followed(
                    parent, form, Reading(Medium(io.BytesIO(head), len(head)), member.stream), spending, depth
                )
                return
            content = content_of(head, [] if form is None else [form])
            held = io.BytesIO(head)
            held.seek(len(head))
            room = spending.room if form is not None else 0 if content == "video" else min(spending.room, _MAY_HIDE)
            is_whole = len(head) < HEAD
            while not is_whole and held.tell() <= room:
                data = member.stream.some(_STEP)
                held.write(data)
                is_whole = not data
        except ImageError as error:
            yield self.flaw(named, error.reason)
            return
        flaw = getattr(member.stream, "flaw", None)
        if flaw is not None:  # known before the item, where the member is held
            yield self.flaw(named, flaw)
        if is_whole and held.tell() <= max(room, HEAD):
            size = held.tell()
            spending.hold(size)
            try:
                yield from self._medium(named, Medium(held, size), spending, depth)
            finally:
                spending.hold(-size)
        else:
            yield from self._streamed(
                named, form, content, Reading(Medium(held, held.tell()), member.stream), member, spending, depth
            )
        later = getattr(member.stream, "flaw", None)
        if later is not None and later != flaw:
            yield self.flaw(named, later)

    def _streamed(
        self,
        named: Named,
        form: str | None,
        content: Content,
        reading: Reading,
        member: Member,
        spending: Spending,
        depth: int,
    ) -> Iterator[Found]:
        """Give a member that is too large to be held: what is in it, or its bytes."""
        if form in _STREAMED:
            yield from self._followed(named, form, reading, spending, depth)
            yield self.flaw(named, "too-large")  # its own bytes are gone by
            return
        if form is not None:
            yield self.flaw(named, "too-large" if form in READ else "format-not-read")
        yield from self._item(named, reading, content, member.size)
        if content != "container" and has_zip_end(reading.tail):
            yield self.flaw(named, "too-large")


def _unpacked(source: Some, form: str, spending: Spending) -> Iterator[Member | Fault]:
    """Give the one member of a packed stream."""
    make = packing_maker(form)
    if make is None:
        raise unread("no-module")
    yield Member(
        b"content",
        None,
        Frames(source.some, form, make, fail=unread, made=spending.made, ends_at_other=True),
    )
