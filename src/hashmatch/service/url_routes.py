"""``/v1/urls/check``: are addresses listed? Built so that the list cannot be read out by asking.

Floor: service. Each caller may ask for so many addresses a second. An answer says listed or not and no more; all
answers for as many addresses have one length, and they are given at steps of ten milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from hashmatch.errors import ReferenceListError
from hashmatch.service.config import UrlSettings
from hashmatch.service.doorway import Refused, ScopedRoute, answer, handled_by, read_body, route
from hashmatch.service.match_routes import json_from
from hashmatch.service.openapi import json_body, operation
from hashmatch.service.service import Service
from hashmatch.urls import UrlKey, UrlMatcher

__all__ = ["PATHS", "UrlDoor", "routes"]

_LOGGER: Final = logging.getLogger("hashmatch.service")
_OUTCOMES: Final = ("listed", "not-listed", "undecided")
_WIDEST: Final = max(map(len, _OUTCOMES))
_STEP: Final = 0.01

PATHS: Final[dict[str, Any]] = {
    "/v1/urls/check": {
        "post": operation(
            "Look addresses up.",
            json_body(
                {
                    "type": "object",
                    "required": ["outcomes"],
                    "properties": {"outcomes": {"type": "array", "items": {"enum": list(_OUTCOMES)}}},
                    "additionalProperties": False,
                }
            ),
            requestBody={
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["addresses"],
                            "properties": {"addresses": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
                            "additionalProperties": False,
                        }
                    }
                },
            },
        )
    }
}


class UrlDoor:
    """Lists of addresses of a service, and what each caller may still ask.

    Parameters
    ----------
    settings : UrlSettings
        Table ``[urls]``.
    reload_seconds : float
        Seconds between two looks whether a list was changed.

    Raises
    ------
    ReferenceListError, SignatureError
        If a list or a key cannot be read.
    """

    def __init__(self, settings: UrlSettings, reload_seconds: float) -> None:
        self._matcher = UrlMatcher(map(Path, settings.paths), map(UrlKey.load, settings.key_files))
        self._settings, self._reload_seconds = settings, reload_seconds
        self._looked = time.monotonic()
        self._left: dict[str, tuple[float, float]] = {}
        self.unreadable_since: float | None = None

    def take(self, caller: str, count: int) -> None:
        """Count addresses to a caller.

        Raises
        ------
        Refused
            429 if that is more than it may ask now.
        """
        most, rate, now = self._settings.burst, self._settings.per_second, time.monotonic()
        left, at = self._left.get(caller, (float(most), now))
        left = min(float(most), left + (now - at) * rate)
        if count > left:
            _LOGGER.warning("caller %s asks for more addresses than it may: %d at once", caller, count)
            later = {"Retry-After": str(math.ceil((count - left) / rate))}
            raise Refused(429, "too-many-addresses", f"a caller asks for {rate:g} addresses a second", later)
        self._left[caller] = (left - count, now)

    def check(self, addresses: list[str]) -> list[str]:
        """Answer for addresses; changed lists are taken up before, and one that is gone is asked as it was."""
        now = time.monotonic()
        if now - self._looked >= self._reload_seconds:
            self._looked = now
            try:
                self._matcher.refresh()
                self.unreadable_since = None
            except ReferenceListError as error:
                if self.unreadable_since is None:
                    _LOGGER.error("addresses: %s", error)
                self.unreadable_since = self.unreadable_since or now
        return [self._matcher.check(address).outcome for address in addresses]


def routes(service: Service) -> list[ScopedRoute]:
    """Make the route."""
    return [route(service, "/v1/urls/check", check, scope="match")]


async def check(service: Service, request: Request) -> Response:
    """Answer for the addresses that a request carries."""
    began, settings, door = time.perf_counter(), service.config.urls, service.urls
    if settings is None or door is None:
        raise Refused(404, "not-found", "this service has no lists of addresses")
    data = json_from(await read_body(service, request))
    addresses = data.get("addresses") if isinstance(data, dict) and set(data) == {"addresses"} else None
    if not isinstance(addresses, list) or not all(isinstance(item, str) for item in addresses):
        raise Refused(400, "bad-request", 'the body is {"addresses": ["http://...", ...]}')
    if not 1 <= len(addresses) <= settings.burst:
        raise Refused(400, "bad-request", f"a request has 1 to {settings.burst} addresses")
    handled = handled_by(request)
    door.take(handled.caller, len(addresses))
    outcomes = await asyncio.to_thread(door.check, addresses)
    told = answer({"outcomes": outcomes})
    padding = b" " * sum(_WIDEST - len(outcome) for outcome in outcomes)
    spent = time.perf_counter() - began
    await asyncio.sleep(math.ceil(spent / _STEP) * _STEP - spent)
    return Response(bytes(told.body) + padding, media_type="application/json")
