"""``/v1/match/batch``: many questions in one request, a line of JSON each; a line of JSON for each answer, in order.

Floor: service. Lines are read no faster than they are answered: a few are in flight, and no more bytes of them than a
body may have. Answers go out while questions still come in.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from hashmatch.errors import BusyError
from hashmatch.hashes import Fingerprint
from hashmatch.service.doorway import Refused, ScopedRoute, check_encoding, handled_by, refusal, route
from hashmatch.service.match_routes import hashes_from
from hashmatch.service.openapi import operation
from hashmatch.service.service import Service

__all__ = ["PATHS", "routes"]

_KEYS: Final = frozenset({"id", "hashes", "picture", "seed"})
_LONGEST_NAME: Final = 256
_BESIDES: Final = 4_096  # bytes of a line beside its picture
_IN_THREAD: Final = 65_536  # bytes of a line from which on it is parsed by a thread
_SHORT: Final = 1_024  # bytes of a line that may share a task with others: some hashes, which are answered at once
_GROUP: Final = 16  # such lines in a task: one or two milliseconds of the loop's time
_AGAIN: Final = 0.05
_GONE: Final = (ClientDisconnect, OSError)

_NDJSON: Final = {"application/x-ndjson": {"schema": {"type": "string"}}}

PATHS: Final[dict[str, Any]] = {
    "/v1/match/batch": {
        "post": operation(
            "Look many pictures up, a line of JSON each.",
            {"description": "A line for each line, in order.", "content": _NDJSON},
            requestBody={"required": False, "content": _NDJSON},
        )
    }
}


def routes(service: Service) -> list[ScopedRoute]:
    """Make the route."""
    return [route(service, "/v1/match/batch", match_batch, scope="match")]


async def match_batch(service: Service, request: Request) -> Response:
    """Answer line by line."""
    check_encoding(request)
    return _Batch(service, request)


class _Batch(Response):
    """One batch: a task reads lines, tasks answer them, and they are sent in their order.

    A picture has a task of its own; hashes that came together share one, which costs half as much as one for each.
    """

    media_type = "application/x-ndjson"

    def __init__(self, service: Service, request: Request) -> None:
        super().__init__()
        self._service, self._request, self._handled = service, request, handled_by(request)
        limits = service.config.limits
        self._most = 4 * (limits.body_bytes + 2) // 3 + _BESIDES
        self._free = asyncio.Semaphore(limits.batch_in_flight)
        self._held = 0
        self._less = asyncio.Condition()
        self._answers: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the request has them
        """Answer."""
        headers = [(b"content-type", self.media_type.encode()), (b"connection", b"close")]
        patience = self._service.config.limits.body_seconds

        async def tell(message: Message) -> None:
            async with asyncio.timeout(patience):  # a caller that does not read holds up its own batch alone
                await send(message)

        reader = asyncio.create_task(self._read())
        try:
            await tell({"type": "http.response.start", "status": 200, "headers": headers})
            while (task := await self._answers.get()) is not None:
                await tell({"type": "http.response.body", "body": await task, "more_body": True})
                self._free.release()
            await tell({"type": "http.response.body", "body": b""})
        except TimeoutError:
            raise ClientDisconnect from None
        finally:
            reader.cancel()
            while not self._answers.empty():
                if (left := self._answers.get_nowait()) is not None:
                    left.cancel()
            with suppress(asyncio.CancelledError, *_GONE):
                await reader

    async def _read(self) -> None:
        """Give the lines to tasks."""
        number = 0
        try:
            async for lines in self._lines():
                for group in _grouped(lines):
                    size = sum(map(len, group))
                    await self._free.acquire()
                    async with self._less:
                        while self._held and self._held + size > self._most:
                            await self._less.wait()
                        self._held += size
                    self._answers.put_nowait(asyncio.create_task(self._answer_all(number + 1, group, size)))
                    number += len(group)
        except TimeoutError:
            late = Refused(
                408, "too-slow", f"a line arrives within {self._service.config.limits.body_seconds:g} seconds"
            )
            self._answers.put_nowait(asyncio.create_task(self._failed(number + 1, None, late)))
        finally:
            self._answers.put_nowait(None)

    async def _lines(self) -> AsyncIterator[list[bytes]]:
        """Split the body into lines without empty ones, those that came together; of one too long its first bytes."""
        limits = self._service.config.limits
        parts, held = self._request.stream().__aiter__(), bytearray()
        until = time.monotonic() + limits.body_seconds
        while True:
            async with asyncio.timeout(max(0.001, until - time.monotonic())):
                part = await anext(parts, None)
            *ended, rest = [b"", b""] if part is None else part.split(b"\n")  # the last line needs no end
            lines = []
            for line in ended:
                held += line[: self._most + 1 - len(held)]
                if held.strip():
                    lines.append(bytes(held))
                held.clear()
            if lines:
                yield lines
            if ended:
                until = time.monotonic() + limits.body_seconds
            held += rest[: self._most + 1 - len(held)]
            if part is None:
                return

    async def _answer_all(self, number: int, lines: list[bytes], size: int) -> bytes:
        """Answer lines; ``number`` is that of the first, ``size`` their bytes, which are held no longer then."""
        try:
            return b"".join([await self._answer(number + place, line) for place, line in enumerate(lines)])
        finally:
            async with self._less:
                self._held -= size
                self._less.notify_all()

    async def _answer(self, number: int, line: bytes) -> bytes:
        """Answer one line; whatever is wrong with it is its answer."""
        name: str | None = None
        try:
            if len(line) > self._most:
                raise Refused(413, "too-large", f"a picture has at most {self._service.config.limits.body_bytes} bytes")
            parse = asyncio.to_thread(_parsed, line) if len(line) > _IN_THREAD else None
            name, seed, picture, hashes = await parse if parse is not None else _parsed(line)
            limits, service = self._service.config.limits, self._service
            if picture is None:
                question: bytes | Fingerprint = hashes_from(hashes, limits.hashes)
            elif len(picture) > limits.body_bytes or not picture:
                raise Refused(413, "too-large", f"a picture has 1 to {limits.body_bytes} bytes")
            else:
                question = picture
            chosen, left_out = service.choose(f"{self._handled.request_id}-{number}" if seed is None else seed)
            report = await self._looked_up(question, chosen)
            told = {"line": number, "id": name} | service.report(report, self._handled, left_out)
            return _line(told)
        except Exception as error:
            return await self._failed(number, name, refusal(error))

    async def _failed(self, number: int, name: str | None, refused: Refused) -> bytes:
        told: dict[str, Any] = {"line": number, "id": name, "error": {"code": refused.code, "message": refused.message}}
        return _line(told | {"retryable": refused.status in (429, 503)})

    async def _looked_up(self, question: bytes | Fingerprint, chosen: tuple[str, ...] | None) -> Any:
        """Look up; a line waits where a request alone would be refused, as long as an answer may take."""
        seconds = self._service.config.limits.answer_seconds
        if isinstance(question, Fingerprint):
            return await self._service.checks.match_fingerprint(question, timeout=seconds, lists=chosen)
        until = time.monotonic() + seconds
        while True:
            try:
                return await self._service.checks.match(question, timeout=seconds, lists=chosen)
            except BusyError as error:
                if error.reason != "queue-full" or time.monotonic() > until:
                    raise
            await asyncio.sleep(_AGAIN)


def _grouped(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Put short lines without a picture together, a few at a time, and leave the others alone; the order stays."""
    group: list[bytes] = []
    for line in lines:
        is_short = len(line) <= _SHORT and b'"picture"' not in line
        if group and (not is_short or len(group) == _GROUP):
            yield group
            group = []
        if is_short:
            group.append(line)
        else:
            yield [line]
    if group:
        yield group


def _parsed(line: bytes) -> tuple[str | None, str | None, bytes | None, Any]:
    """Read a line: its name, its seed, its picture, its hashes.

    Raises
    ------
    Refused
        If it is of another form.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused(400, "bad-json", "the line is no JSON") from None
    if not isinstance(data, dict) or not set(data) <= _KEYS or ("hashes" in data) == ("picture" in data):
        raise Refused(400, "bad-request", 'a line is {"hashes": [...]} or {"picture": BASE64}, with "id", "seed"')
    name, seed, picture = data.get("id"), data.get("seed"), data.get("picture")
    for text in (name, seed):
        if text is not None and (not isinstance(text, str) or len(text) > _LONGEST_NAME):
            raise Refused(400, "bad-request", f"id and seed are texts of at most {_LONGEST_NAME} characters")
    if "hashes" in data:
        return name, seed, None, data["hashes"]
    try:
        return name, seed, binascii.a2b_base64(picture if isinstance(picture, str) else "-", strict_mode=True), None
    except ValueError:
        raise Refused(400, "bad-request", "picture is base64") from None


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode("ascii") + b"\n"
