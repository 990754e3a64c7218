"""How a feed gets into a list: page by page, each with its checkpoint in one transaction, so that it can stop anywhere.

Floor: lists.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from hashmatch.errors import FeedError, HashFormatError
from hashmatch.lists.feeds.client import Client
from hashmatch.lists.feeds.mark import Mark
from hashmatch.lists.feeds.services import NCMEC, TAT, Service, StopNCII, ThreatExchange
from hashmatch.lists.formats.importing import MAX_LOST, ImportReport, import_into
from hashmatch.lists.formats.operations import Checkpoint, Flaw, Operation, Refused, SnapshotEnd
from hashmatch.lists.formats.registry import Delivery
from hashmatch.lists.reference import ReferenceList

__all__ = ["FEEDS", "FeedKind", "FetchReport", "fetch_into"]

_RESTARTS: Final = 3
_TRIES: Final = 3
_EXPIRED: Final = frozenset({400, 404, 409, 410, 422})
_CONTROLS: Final = re.compile(
    r"[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
    r"|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|[xX]0*(?:[0-8]|[bcefBCEF]|1[0-9a-fA-F]));"
)
"""What neither XML nor JSON may have in it."""
_STRANGE: Final = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedKind:
    """One feed that can be fetched.

    Parameters
    ----------
    name : str
        Name on the command line.
    url : str
        Address of the service; empty where there is none for all.
    summary : str
        One line for people: what the token is.
    make : callable
        Makes the service of a token.
    """

    name: str
    url: str
    summary: str
    make: Callable[[str], Service] = field(repr=False)


FEEDS: Final[Mapping[str, FeedKind]] = MappingProxyType(
    {
        item.name: item
        for item in (
            FeedKind(
                name="ncmec",
                url="https://report.cybertip.org/hashsharing",
                summary="NCMEC's hash sharing service; the token is USER:PASSWORD",
                make=NCMEC,
            ),
            FeedKind(
                name="stopncii",
                url="https://api.stopncii.org/v1",
                summary="StopNCII.org; the token is FUNCTION-KEY:SUBSCRIPTION-KEY",
                make=StopNCII,
            ),
            FeedKind(
                name="threatexchange",
                url="",
                summary="ThreatExchange at https://graph.facebook.com/v21.0/PRIVACY-GROUP; the token is APP|SECRET",
                make=ThreatExchange,
            ),
            FeedKind(
                name="tat",
                url="https://beta.terrorismanalytics.org",
                summary="Tech Against Terrorism; the token is USER:PASSWORD",
                make=TAT,
            ),
        )
    }
)
"""Every feed that can be fetched, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport:
    """What became of a fetch: the sums of the imports of its pages.

    Parameters
    ----------
    pages : int
        Number of pages.
    rows, accepted, new_entries, duplicates, refused_count, flawed, deleted, lost : int
        As in `ImportReport`.
    anew : bool
        Whether all was fetched anew, because what the list had was too old.
    version : int
        The list's version afterwards.
    """

    pages: int
    rows: int
    accepted: int
    new_entries: int
    duplicates: int
    refused_count: int
    flawed: int
    deleted: int
    lost: int
    anew: bool
    version: int


def fetch_into(
    ref: ReferenceList,
    feed: str,
    token: str,
    *,
    delivery: Delivery | None = None,
    url: str | None = None,
    anew: bool = False,
    max_lost: float = MAX_LOST,
    on_refused: Callable[[Refused], None] | None = None,
    on_flaw: Callable[[Flaw], None] | None = None,
    progress: Callable[[int], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> FetchReport:
    """Fetch what is new in a feed into a list.

    Parameters
    ----------
    ref : ReferenceList
        List that is open for writing. Where the feed stands is kept in it, as the checkpoint of the source.
    feed : str
        One of `FEEDS`.
    token : str
        The secret of the service. It is sent there and goes nowhere else.
    delivery : Delivery, optional
        Source, labels, role and members apart; by default the source is named after the feed.
    url : str, optional
        Address of the service, if it is another than usual.
    anew : bool
        Whether to fetch all, whatever the list has of it, and take back what is not there any more. ThreatExchange is
        fetched so by itself after 85 days.
    max_lost : float
        Largest share of the source's entries that may vanish where all is fetched anew, 0 to 1.
    on_refused, on_flaw : callable, optional
        Called with every refused record and every flaw.
    progress : callable, optional
        Called with the number of records so far, after each page.
    sleep, now : callable
        The clock.

    Raises
    ------
    FeedError
        If the service cannot be asked; ``reason`` says why. What was imported before stays, and the next fetch goes
        on from there.
    HashFormatError
        If there is no such feed.
    ReferenceListError
        If the list cannot be written, or fetching anew would lose more than ``max_lost``.

    Notes
    -----
    Each page is imported in one transaction with the checkpoint after it. A page that was imported twice changes
    nothing. Where all is fetched anew, all pages are one transaction: the list is as it was until the last.
    """
    kind = FEEDS.get(feed)
    if kind is None:
        raise HashFormatError(f"no feed has this name: there are {', '.join(FEEDS)}")
    where = url or kind.url
    if not where:
        raise FeedError("this feed has no usual address: give it", reason="bad-address")
    service = kind.make(token)
    said = delivery or Delivery(source=feed)
    source = said.source
    text = next((info.checkpoint for info in ref.sources() if info.name == source), "")
    mark = Mark.parsed(text, int(now()))
    anew = anew or service.is_stale(mark, int(now()))
    sums = _Sums(progress)

    def take(operations: Iterable[Operation]) -> None:
        report = import_into(ref, operations, max_lost=max_lost, on_refused=on_refused, on_flaw=on_flaw, max_refused=0)
        sums.add(report)

    with Client(where, service.headers(), sleep=sleep) as client:
        service.enter(client)
        pages = _Pages(client, service, said, now)
        if anew:
            take(_snapshot(pages, source, sums))
        else:
            for operations, after in pages.after(mark):
                sums.pages += 1
                take([*operations, Checkpoint(source, after.text())])
    return FetchReport(**sums.counts, pages=sums.pages, anew=anew, version=ref.version)


class _Sums:
    """Sums over the imports of a fetch."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        names = ("rows", "accepted", "new_entries", "duplicates", "refused_count", "flawed", "deleted", "lost")
        self.counts = dict.fromkeys(names, 0)
        self.pages = 0
        self._progress = progress

    def add(self, report: ImportReport) -> None:
        for name in self.counts:
            self.counts[name] += getattr(report, name)
        if self._progress is not None:
            self._progress(self.counts["rows"])


def _snapshot(pages: _Pages, source: str, sums: _Sums) -> Iterator[Operation]:
    """Give all that a feed lists, and the end of it."""
    mark = Mark()
    for operations, after in pages.after(mark):
        sums.pages += 1
        mark = after
        yield from operations
    yield SnapshotEnd(source)
    yield Checkpoint(source, mark.text())


class _Pages:
    """The pages of a service, from a mark to the end of its range."""

    def __init__(self, client: Client, service: Service, delivery: Delivery, now: Callable[[], float]) -> None:
        self._client, self._service, self._delivery, self._now = client, service, delivery, now

    def after(self, mark: Mark) -> Iterator[tuple[list[Operation], Mark]]:
        """Yield the operations of each page and the mark after it; a position that expired begins its range anew."""
        mark = self._service.begun(mark, int(self._now()))
        restarts = 0
        seen: set[str] = set()
        while True:
            path, params = self._service.request(mark)
            answer = self._client.get(path, params)
            if answer.status >= 400:
                if not (mark.after and answer.status in _EXPIRED and restarts < _RESTARTS):
                    raise FeedError(f"the service answers with {answer.status}", reason="no-page")
                restarts += 1
                mark = Mark(done=mark.done, until=mark.until)
                seen.clear()
                continue
            operations, mark, is_last = self._read(answer.body, path, params, mark)
            yield operations, mark
            if is_last:
                return
            if mark.after:
                if mark.after in seen:
                    raise FeedError("the service leads from page to page in a circle", reason="no-page")
                seen.add(mark.after)

    def _read(
        self, body: bytes, path: str, params: Mapping[str, str], mark: Mark
    ) -> tuple[list[Operation], Mark, bool]:
        """Read a page; one that is damaged is asked for again, and then read without what no text has in it."""
        problem = HashFormatError("")
        for attempt in range(_TRIES):
            for data in (body, _mended(body)) if attempt == _TRIES - 1 else (body,):
                try:
                    operations, after, is_last = self._service.read(data, mark, self._delivery)
                    return operations, replace(after, at=int(self._now()) if after.after else 0), is_last
                except HashFormatError as error:
                    problem = error
            if attempt < _TRIES - 1:
                body = self._client.get(path, params).body
        raise FeedError(f"the answer is no page that can be read: {problem}", reason="no-page")


def _mended(body: bytes) -> bytes:
    """Replace what makes a whole page unreadable because of one record; that record is refused for it."""
    return _CONTROLS.sub(_STRANGE, body.decode("utf-8", "replace")).encode()
