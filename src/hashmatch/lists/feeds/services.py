"""The services of the feeds: how each is asked for its pages and what of a page says where it goes on.

Floor: lists. A service reads a page into operations and the mark after it. Nothing here knows a list.
"""

from __future__ import annotations

import base64
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from hashmatch.errors import FeedError, HashFormatError
from hashmatch.lists.feeds.client import Client, checked_secret
from hashmatch.lists.feeds.mark import Mark
from hashmatch.lists.formats import stopncii, tat, threatexchange
from hashmatch.lists.formats.ncmec import Page
from hashmatch.lists.formats.operations import Operation
from hashmatch.lists.formats.pages import Pages, text_of
from hashmatch.lists.formats.registry import Delivery

__all__ = ["NCMEC", "OVERLAP", "STALE", "TAT", "Service", "StopNCII", "ThreatExchange"]

OVERLAP: Final = 300
"""Seconds that a range begins before the end of the last one: clocks differ, and entries become visible late."""

STALE: Final = 85 * 86_400
"""Age in seconds at which a copy of ThreatExchange, which tells of deletions for 90 days, has to be made anew."""

_DATE: Final = "%Y-%m-%dT%H:%M:%SZ"
_SECRET_FIELDS: Final = frozenset({"access_token", "appsecret_proof", "input_token", "client_secret"})


class Service(ABC):
    """One service.

    Parameters
    ----------
    token : str
        Its secret; two that belong together are separated by a colon or a line end.
    """

    needs_pair: ClassVar[bool] = False

    def __init__(self, token: str) -> None:
        parts = token.strip().replace("\r", "").split("\n", 1)
        if self.needs_pair and len(parts) == 1:
            parts = parts[0].split(":", 1)
        if len(parts) != 1 + self.needs_pair:
            raise FeedError(
                "this feed takes two secrets, separated by a colon or a line end"
                if self.needs_pair
                else "this feed takes one secret, on one line",
                reason="bad-token",
            )
        self._secrets = tuple(checked_secret(part.strip()) for part in parts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Headers of every request."""

    def enter(self, client: Client) -> None:  # noqa: B027 - most do nothing
        """Do what comes before the first page."""

    def begun(self, mark: Mark, now: int) -> Mark:  # noqa: ARG002 - as others take it
        """Begin a range if none is being read."""
        return mark

    def is_stale(self, mark: Mark, now: int) -> bool:  # noqa: ARG002 - as others take it
        """Whether what the list has is so old that all has to be fetched anew."""
        return False

    @abstractmethod
    def request(self, mark: Mark) -> tuple[str, Mapping[str, str]]:
        """Path and parameters of the next page."""

    @abstractmethod
    def read(self, body: bytes, mark: Mark, delivery: Delivery) -> tuple[list[Operation], Mark, bool]:
        """Read a page: its operations, the mark after it, and whether it was the last.

        Raises
        ------
        HashFormatError
            If it is no page.
        """


class _Ranged(Service):
    """A service that is asked for what changed from one time to another."""

    def begun(self, mark: Mark, now: int) -> Mark:
        """Begin a range that ends now."""
        return mark if mark.until else Mark(done=mark.done, until=now)

    def _range(self, mark: Mark) -> tuple[int, int]:
        """Give both ends of the range: the same for all its pages, however often it is begun."""
        return max(0, mark.seconds - OVERLAP), mark.until


class NCMEC(_Ranged):
    """NCMEC's hash sharing service; the token is ``user:password``.

    Pages come in no order of time, so only the last page of a range moves what is done.
    """

    needs_pair = True

    def headers(self) -> Mapping[str, str]:
        """Give basic authentication."""
        return {"Authorization": "Basic " + base64.b64encode(":".join(self._secrets).encode()).decode()}

    def request(self, mark: Mark) -> tuple[str, Mapping[str, str]]:
        """Ask for the beginning of the range, or follow the address that the page before gave."""
        start, end = self._range(mark)
        if mark.after:
            return "/v2/entries", dict(parse_qsl(mark.after, keep_blank_values=True))
        return "/v2/entries", {"from": _date(start), "to": _date(end)}

    def read(self, body: bytes, mark: Mark, delivery: Delivery) -> tuple[list[Operation], Mark, bool]:
        """Read a page and where the next one is."""
        page = Page(io.BytesIO(body), delivery)
        operations: list[Operation] = list(page)
        if not page.next:
            return operations, Mark(done=str(mark.until)), True
        parts = urlsplit(page.next)
        if not parts.path.endswith("/v2/entries") or not parts.query:
            raise FeedError("the address of the next page is none of this service", reason="no-page")
        said = parse_qs(parts.query)
        for name, wanted in zip(("from", "to"), self._range(mark), strict=True):
            if name in said and _seconds(said[name][0]) not in (None, wanted):
                raise FeedError("the next page is of another range of time", reason="no-page")
        return operations, replace(mark, after=parts.query), False


class ThreatExchange(_Ranged):
    """ThreatExchange's ``threat_updates``; the token is ``APP|SECRET``, the address ends with the privacy group."""

    def headers(self) -> Mapping[str, str]:
        """Give the token as a header: in an address it would stand in logs."""
        return {"Authorization": f"Bearer {self._secrets[0]}"}

    def is_stale(self, mark: Mark, now: int) -> bool:
        """Tell by age: deletions older than 90 days are not told any more."""
        last = mark.seconds or mark.until
        return last > 0 and now - last > STALE

    def request(self, mark: Mark) -> tuple[str, Mapping[str, str]]:
        """Ask for a page of the range."""
        if mark.after:
            return "/threat_updates/", dict(parse_qsl(mark.after, keep_blank_values=True))
        start, end = self._range(mark)
        fields = (
            "id,indicator,type,creation_time,last_updated,should_delete,tags,status,"
            "descriptors{id,status,tags,added_on}"
        )
        types = ",".join(threatexchange.TYPES)
        return "/threat_updates/", {
            "start_time": str(start),
            "stop_time": str(end),
            "limit": "500",
            "types": types,
            "fields": fields,
        }

    def read(self, body: bytes, mark: Mark, delivery: Delivery) -> tuple[list[Operation], Mark, bool]:
        """Read a page and where the next one is; the token that the service repeats in its address is dropped."""
        page = _page(body, threatexchange.WHAT)
        operations = list(threatexchange.operations_of(page, delivery))
        paging = page.get("paging")
        following = paging.get("next") if isinstance(paging, dict) else None
        if not following:
            return operations, Mark(done=str(mark.until)), True
        if not isinstance(following, str):
            raise HashFormatError("the page does not say where the next one is")
        query = [item for item in parse_qsl(urlsplit(following).query) if item[0] not in _SECRET_FIELDS]
        if any(secret in value for secret in self._secrets for _, value in query):
            raise FeedError("the address of the next page repeats the token in a field of its own", reason="no-page")
        return operations, replace(mark, after=urlencode(query)), False


class StopNCII(Service):
    """StopNCII.org; the token is ``FUNCTION-KEY:SUBSCRIPTION-KEY``."""

    needs_pair = True

    def headers(self) -> Mapping[str, str]:
        """Give both keys."""
        return {"x-functions-key": self._secrets[0], "Ocp-Apim-Subscription-Key": self._secrets[1]}

    def request(self, mark: Mark) -> tuple[str, Mapping[str, str]]:
        """Ask for what changed since the last time."""
        params = {"startTimestamp": str(mark.seconds or 10), "pageSize": "800"}
        return "/FetchHashes", params | ({"nextPageToken": mark.after} if mark.after else {})

    def read(self, body: bytes, mark: Mark, delivery: Delivery) -> tuple[list[Operation], Mark, bool]:
        """Read a page; the last one says from when to ask the next time."""
        page = _page(body, stopncii.WHAT)
        operations = list(stopncii.operations_of(page, delivery))
        if page.get("hasMoreRecords"):
            after = page.get("nextPageToken")
            if not isinstance(after, str) or not after:
                raise HashFormatError("the page does not say where the next one is")
            return operations, replace(mark, after=after), False
        upto = page.get("nextSetTimestamp")
        done = str(upto) if type(upto) is int and upto > mark.seconds else mark.done
        return operations, Mark(done=done), True


class TAT(Service):
    """Tech Against Terrorism; the token is ``user:password``, which buys a token of the session."""

    needs_pair = True

    def headers(self) -> Mapping[str, str]:
        """Give none: the token of the session comes later."""
        return {}

    def enter(self, client: Client) -> None:
        """Log in."""
        user, password = self._secrets
        answer = client.post("/token-auth/tcap/", {"username": user, "password": password, "resend": "False"})
        if answer.status >= 400:
            raise FeedError(f"the service refuses the name or password ({answer.status})", reason="refused-token")
        found: object = None
        try:
            found = json.loads(answer.body).get("token")
        except (ValueError, AttributeError, RecursionError):
            found = None
        if not isinstance(found, str):
            raise FeedError("the service gave no token of a session", reason="no-page")
        client.authorize({"Authorization": f"Bearer {checked_secret(found)}"})

    def request(self, mark: Mark) -> tuple[str, Mapping[str, str]]:
        """Ask for what comes after the last record."""
        return "/api/hash-list/v2/all", {"order": "asc"} | ({"after": mark.done} if mark.done else {})

    def read(self, body: bytes, mark: Mark, delivery: Delivery) -> tuple[list[Operation], Mark, bool]:
        """Read a page; each one can be gone on from at any time."""
        page = _page(body, tat.WHAT)
        operations = list(tat.operations_of(page, delivery))
        done = text_of(page, "checkpoint")
        if page.get("next") and (not done or done == mark.done):
            raise HashFormatError("the page does not say where the next one is")
        return operations, Mark(done=done or mark.done), not page.get("next")


def _page(body: bytes, what: str) -> dict[str, Any]:
    pages = list(Pages(io.BytesIO(body), what))
    if len(pages) != 1:
        raise HashFormatError(f"the answer is more than one {what}")
    return pages[0]


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_DATE)


def _seconds(text: str) -> int | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
