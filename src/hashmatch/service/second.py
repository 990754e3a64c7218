"""``/v1/second/{id}``: a second, more thorough look at a picture that was answered, asked for later or posted.

Floor: service. One picture at a time is looked at, in the lane of dear ones of the decoding processes that there are.
Pictures wait in memory, bounded by number and bytes; answers are kept for a stated time, and no longer than there is
room. An answer is posted to the address of the configuration alone, signed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import httpx
from starlette.requests import Request
from starlette.responses import Response

from hashmatch.errors import BusyError, HashmatchError
from hashmatch.matching import Matcher, MatchReport
from hashmatch.service.config import SecondStageSettings
from hashmatch.service.doorway import Refused, ScopedRoute, handled_by, route
from hashmatch.service.openapi import error, json_body, named, operation
from hashmatch.service.service import Service, envelope

__all__ = ["PATHS", "SecondStage", "routes"]

_LOGGER: Final = logging.getLogger("hashmatch.service")
_AGAIN: Final = 0.2
_MOST_KEPT: Final = 64 * 2**20  # bytes of answers
_MOST_POSTS: Final = 1_000
_ATTEMPTS: Final = 5
_POST_SECONDS: Final = 10.0

PATHS: Final[dict[str, Any]] = {
    "/v1/second/{id}": {
        "get": operation(
            "The answer of a second look.",
            json_body({"anyOf": [named("Waiting"), named("Second")]}),
            parameters=[{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        )
        | {"responses": {"200": json_body({"anyOf": [named("Waiting"), named("Second")]}), "404": error("404")}}
    }
}


def routes(service: Service) -> list[ScopedRoute]:
    """Make the route."""
    return [route(service, "/v1/second/{id}", show, method="GET", scope="match")]


async def show(service: Service, request: Request) -> Response:
    """Give the answer to whoever sent the picture."""
    found = service.second and service.second.answer(request.path_params["id"], handled_by(request).caller)
    if not found:
        raise Refused(404, "not-found", "there is no such second look, or its answer is kept no longer")
    return Response(found, media_type="application/json")


@dataclass(slots=True, kw_only=True)
class _Look:
    """A second look: its picture while it waits, its answer once it is there."""

    caller: str
    request_id: str
    picture: bytes | None
    lists: tuple[str, ...] | None
    left_out: list[str]
    answer: bytes = b""
    until: float = float("inf")


class SecondStage:
    """Second looks, one at a time.

    Parameters
    ----------
    matcher : Matcher
        Of the same lists, by the policy of the second look; closed by `close`.
    settings : SecondStageSettings
        Bounds, and where answers are posted.
    secret : bytes
        Key that signs what is posted.
    """

    def __init__(self, matcher: Matcher, settings: SecondStageSettings, secret: bytes = b"") -> None:
        self._matcher, self._settings, self._secret = matcher, settings, secret
        self._looks: OrderedDict[str, _Look] = OrderedDict()
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._posts: asyncio.Queue[bytes] = asyncio.Queue(_MOST_POSTS)
        self._held = self._kept = 0
        self._tasks: list[asyncio.Task[None]] = []

    def take(
        self, picture: bytes, caller: str, request_id: str, lists: tuple[str, ...] | None, left_out: list[str]
    ) -> str | None:
        """Take a picture; None where as much waits as may. Gives the identifier by which the answer is asked for."""
        settings = self._settings
        if self._waiting.qsize() >= settings.waiting or self._held + len(picture) > settings.waiting_bytes:
            return None
        name = secrets.token_hex(16)
        look = _Look(caller=caller, request_id=request_id, picture=picture, lists=lists, left_out=left_out)
        look.answer = _written({"id": name, "state": "waiting"})
        self._looks[name] = look
        self._held += len(picture)
        self._waiting.put_nowait(name)
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._work()))
            if settings.webhook is not None:
                self._tasks.append(asyncio.create_task(self._post_all(settings.webhook)))
        return name

    def answer(self, name: str, caller: str) -> bytes | None:
        """Give the answer as it stands to who sent the picture; None for others, and when it is kept no longer."""
        self._forget_old()
        look = self._looks.get(name)
        return look.answer if look is not None and look.caller == caller else None

    async def close(self) -> None:
        """Stop; what waits is not answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._matcher.close)

    async def _work(self) -> None:
        while True:
            name = await self._waiting.get()
            look = self._looks[name]
            told: dict[str, Any] = {"id": name, "state": "done"}
            try:
                report = await self._looked(look)
                told |= envelope(report, look.request_id, look.left_out)
            except HashmatchError as failure:
                _LOGGER.warning("a second look has no answer: %s", failure)
                told["state"] = "failed"
            self._held -= len(look.picture or b"")
            look.picture, look.answer = None, _written(told)
            look.until = time.monotonic() + self._settings.keep_seconds
            self._kept += len(look.answer)
            self._looks.move_to_end(name)
            self._forget_old()
            if self._settings.webhook is not None:
                try:
                    self._posts.put_nowait(look.answer)
                except asyncio.QueueFull:
                    _LOGGER.warning("an answer of a second look is not posted: too many wait for it")

    async def _looked(self, look: _Look) -> MatchReport:
        while True:
            try:
                return await asyncio.to_thread(self._matcher.match, look.picture or b"", lists=look.lists)
            except BusyError:
                await asyncio.sleep(_AGAIN)  # what is asked now goes first

    def _forget_old(self) -> None:
        """Forget answers whose time is over, and the oldest where there is no room; those that wait are not touched."""
        now = time.monotonic()
        for name, look in list(self._looks.items()):
            if look.picture is None and (look.until <= now or self._kept > _MOST_KEPT):
                self._kept -= len(look.answer)
                del self._looks[name]
            elif look.picture is None:
                break

    async def _post_all(self, address: str) -> None:
        async with httpx.AsyncClient(timeout=_POST_SECONDS, follow_redirects=False, trust_env=False) as client:
            while True:
                await self._post(client, address, await self._posts.get())

    async def _post(self, client: httpx.AsyncClient, address: str, body: bytes) -> None:
        """Post an answer, again where it is not taken, up to five times within half a minute."""
        for attempt in range(_ATTEMPTS):
            at = str(int(time.time()))
            signature = hmac.new(self._secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers = {"X-Hashmatch-Timestamp": at, "X-Hashmatch-Signature": f"sha256={signature}"}
            try:
                response = await client.post(
                    address, content=body, headers=headers | {"Content-Type": "application/json"}
                )
                if response.is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(2**attempt if attempt + 1 < _ATTEMPTS else 0)
        _LOGGER.warning("an answer of a second look could not be posted")


def _written(told: dict[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode("ascii")
