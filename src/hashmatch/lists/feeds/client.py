"""Requests to the service of a feed: tried again where that helps, bounded in size and time, never redirected away.

Floor: lists. Secrets are sent in headers alone, so that no address, which others log, has one. No error has a secret,
an address or an answer in it, nor the exception of the library beneath, which has them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit

from hashmatch.errors import FeedError

__all__ = ["Answer", "Client", "checked_secret"]

MAX_BODY: Final = 64 * 2**20
"""Largest answer, bytes, unpacked."""

MAX_WAIT: Final = 600.0
"""Longest time that a service may ask to wait, seconds."""

_TRIES: Final = 5
_TIMEOUT: Final = 60.0  # seconds to connect, and between two pieces of an answer
_LONGEST: Final = 900.0  # seconds of one answer
_REDIRECTS: Final = 3
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_KEPT: Final = "what was read before is kept"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def checked_secret(text: str) -> str:
    """Return a secret if a header can hold it; FeedError, which does not show it, if not."""
    if not (text and text.isascii() and text.isprintable()):
        raise FeedError("the token is empty or has characters that no token has", reason="bad-token")
    return text


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered: the status, and the body, which is never shown."""

    status: int
    body: bytes = field(repr=False)


class Client:
    """Requests below one address.

    Parameters
    ----------
    url : str
        Address of the service; https, but for this machine itself.
    headers : mapping of str to str
        Headers of every request, with the secrets.
    sleep : callable
        Waits for so many seconds.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            self._httpx: Any = importlib.import_module("httpx")
        except ImportError:
            raise FeedError("fetching needs: pip install 'hashmatch[feeds]'", reason="no-httpx") from None
        self._url = _checked_url(url)
        self._sleep = sleep
        self._http = self._httpx.Client(
            headers={"Accept-Encoding": "gzip", "User-Agent": "hashmatch", **headers},
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def __repr__(self) -> str:
        return "<Client>"

    def authorize(self, headers: Mapping[str, str]) -> None:
        """Send these headers with every further request."""
        self._http.headers.update(headers)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask for a page, again where the service is busy or the connection was cut.

        Raises
        ------
        FeedError
            If there is no answer: ``reason`` says why. Answers of the class 4xx are returned, but for those that
            refuse the token: whoever asks knows whether a position has expired.
        """
        return self._tried("GET", path, params=params)

    def post(self, path: str, form: Mapping[str, str]) -> Answer:
        """Send a form; as `get`."""
        return self._tried("POST", path, data=form)

    def _tried(self, method: str, path: str, **what: Any) -> Answer:
        problem = FeedError("", reason="unreachable")
        wait = 0.0
        for attempt in range(_TRIES):
            if attempt:
                self._sleep(wait)
            wait = float(2**attempt)
            outcome = self._once(method, path, what)
            if isinstance(outcome, Answer):
                return outcome
            problem, asked = outcome
            if asked is not None:
                if asked > MAX_WAIT:
                    raise FeedError(
                        f"the service asks to wait {asked:,.0f} seconds: fetch again later; {_KEPT}",
                        reason="busy",
                    )
                wait = max(wait, asked)
        raise problem

    def _once(self, method: str, path: str, what: dict[str, Any]) -> Answer | tuple[FeedError, float | None]:
        """Ask once: the answer, or what is wrong and the time that the service asks to wait."""
        url = self._httpx.URL(self._url + path)
        failed = ""
        for _ in range(_REDIRECTS + 1):
            try:
                with self._http.stream(method, url, **what) as response:
                    status = response.status_code
                    target = response.headers.get("location") if status in (301, 302, 303, 307, 308) else None
                    if target is None:
                        return self._judged(response)
                    there = url.join(target)
            except self._httpx.TimeoutException:
                failed = "the service does not answer in time"
            except self._httpx.TransportError:
                failed = "the service cannot be reached, or cut the connection"
            except (self._httpx.InvalidURL, self._httpx.DecodingError, ValueError):
                failed = "the answer of the service is damaged"
            if failed:
                return FeedError(f"{failed}; {_KEPT}", reason="unreachable"), None
            if _origin(there) != _origin(url):
                raise FeedError(
                    "the service redirects to another host, which is not followed, because it would get the token",
                    reason="redirected",
                )
            url, what = there, {key: value for key, value in what.items() if key != "params"}
        raise FeedError("the service redirects without end", reason="redirected")

    def _judged(self, response: Any) -> Answer | tuple[FeedError, float | None]:
        status = response.status_code
        if status in (401, 403):
            raise FeedError(
                f"the service refuses the token ({status}): check it and its rights", reason="refused-token"
            )
        if status in _BUSY:
            problem = FeedError(f"the service is busy ({status}): fetch again later; {_KEPT}", reason="busy")
            return problem, _asked(response.headers.get("retry-after"))
        if not (200 <= status < 300 or 400 <= status < 500):
            return FeedError(f"the service answers with {status}", reason="no-page"), None
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity", "gzip"):
            raise FeedError("the answer is packed as was not asked for", reason="no-page")
        body = bytearray()
        end = time.monotonic() + _LONGEST
        for piece in response.iter_bytes(65_536):
            body += piece
            if len(body) > MAX_BODY:
                raise FeedError(f"an answer has at most {MAX_BODY:,} bytes", reason="too-large")
            if time.monotonic() > end:
                return FeedError(
                    "the service answers too slowly; what was read before is kept", reason="unreachable"
                ), None
        return Answer(status, bytes(body))


def _checked_url(url: str) -> str:
    """Return the address of a service without its last slash if requests with a secret may go there."""
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
        _ = parts.port
    except ValueError:
        host = user = None
    if not host or not (url.isascii() and url.isprintable()):
        raise FeedError("the address of the service is no address", reason="bad-address")
    if user is not None or parts.query or parts.fragment:
        raise FeedError(
            "the address of the service has a name, token or query in it: leave it out", reason="bad-address"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise FeedError("the address of a service begins with https://", reason="bad-address")
    return url.rstrip("/")


def _origin(url: Any) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _asked(text: str | None) -> float | None:
    """Read Retry-After, which is a number of seconds or a date."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
