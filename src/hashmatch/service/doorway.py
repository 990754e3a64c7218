"""What holds for every request: identifier, scope, limits on the body, errors in one form, and a record for observers.

Floor: service. A module of routes has a function ``routes(service)`` that makes them with `route`, and ``PATHS``, its
part of the OpenAPI document.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from hashmatch.errors import (
    BusyError,
    HashFormatError,
    HashmatchError,
    PolicyError,
)
from hashmatch.integrations.asgi import files_of
from hashmatch.service.service import Handled, Service
from hashmatch.service.tokens import Scope

__all__ = [
    "Door",
    "Handler",
    "Refused",
    "ScopedRoute",
    "answer",
    "check_encoding",
    "check_wait",
    "handled_by",
    "read_body",
    "read_file",
    "read_form",
    "refusal",
    "route",
]

Message = MutableMapping[str, Any]
ASGIScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[ASGIScope, Receive, Send], Awaitable[None]]
Handler: TypeAlias = Callable[[Service, Request], Awaitable[Response]]

_LOGGER: Final = logging.getLogger("hashmatch.service")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_KEY: Final = "hashmatch"
_LINGER_SECONDS: Final = 1.0
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class Refused(Exception):
    """A request that gets an error for its answer; no error of hashmatch, since only the door raises it.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str
        Stable word.
    message : str
        What is wrong and what to do, for people; without a hash and a name of a file.
    headers : dict of str to str, optional
        Further headers.
    body : object, optional
        What is answered, as JSON, where it is not the usual form of errors.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None, *, body: Any = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}
        self.body = {"error": {"code": code, "message": message}} if body is None else body


class ScopedRoute(Route):
    """A route that knows which scope it asks for.

    Parameters
    ----------
    path : str
        Its path.
    endpoint : callable
        What answers.
    method : str
        Its method.
    scope : str or None
        The scope; None lets everybody in.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Any], method: str, scope: Scope | None) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.scope = scope


def answer(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Make a JSON answer."""
    body = json.dumps(data, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return Response(body, status, headers, "application/json")


def refusal(error: Exception) -> Refused:
    """Say an error as the door says it; what nobody expected is ``internal-error`` and stands in the log, by its place.

    Notes
    -----
    A message of hashmatch never holds a hash; one of another library may, so it is neither shown nor logged.
    """
    if isinstance(error, Refused):
        return error
    if isinstance(error, BusyError):
        full = error.reason == "queue-full"
        return Refused(429 if full else 503, error.reason, str(error), {"Retry-After": "1"})
    if isinstance(error, HashFormatError | PolicyError):
        return Refused(400, "bad-hash" if isinstance(error, HashFormatError) else "no-rule", str(error))
    if isinstance(error, HashmatchError):
        _LOGGER.error("no answer: %s", error)
        return Refused(503, "unavailable", "the lists or the decoder cannot be used now", {"Retry-After": "1"})
    if isinstance(error, HTTPException):
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "bad-request")
        return Refused(error.status_code, code, str(error.detail), dict(error.headers or {}))
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = ", ".join(f"{item.name} in {item.filename}:{item.lineno}" for item in place)
    _LOGGER.error("a request failed: %s at %s", type(error).__name__, where)
    return Refused(500, "internal-error", "the service has a fault, which its log names")


def handled_by(request: Request) -> Handled:
    """Give the record of this request."""
    found: Handled = request.scope[_KEY]
    return found


def route(service: Service, path: str, handler: Handler, *, method: str = "POST", scope: Scope | None) -> ScopedRoute:
    """Make a route that asks for a scope first; None lets everybody in."""

    async def endpoint(request: Request) -> Response:
        handled = handled_by(request)
        handled.route = path
        if scope is not None:
            caller = service.tokens.caller(request.headers.get("authorization"))
            if caller is None:
                known = {"WWW-Authenticate": 'Bearer realm="hashmatch"'}
                raise Refused(401, "unauthorized", "a token is needed: Authorization: Bearer TOKEN", known)
            handled.caller = caller.name
            if scope not in caller.scopes:
                lacks = {"WWW-Authenticate": f'Bearer realm="hashmatch", error="insufficient_scope", scope="{scope}"'}
                raise Refused(403, "forbidden", f"the token has not the scope {scope}", lacks)
        try:
            return await handler(service, request)
        except ClientDisconnect:
            raise
        except Exception as error:
            raise refusal(error) from error

    return ScopedRoute(path, endpoint, method, scope)


async def read_body(service: Service, request: Request, most: int | None = None) -> bytes:
    """Read a whole body.

    Raises
    ------
    Refused
        413 where it is, or is said to be, over the limit, 408 where it comes too slowly, 415 where it is compressed.
    ClientDisconnect
        If the caller goes away.
    """
    body = bytearray()
    await _read(service, request, body.extend, most)
    return bytes(body)


async def read_file(service: Service, request: Request) -> bytes:
    """Read the one file that a request carries: of a form, or else the body itself. Nothing goes to disk.

    Raises
    ------
    Refused
        429 before anything is read, where it would wait too long for a decoding process; as `read_body`; 400 where a
        form is broken, or has no file or several.
    """
    check_wait(service)
    found = await read_form(service, request)
    if found is None:
        body = await read_body(service, request)
        if not body:
            raise Refused(400, "no-file", "the body is empty: send the bytes of a picture")
        return body
    errors = {error for _, _, error in found if error is not None}
    if len(found) > 1 or "too-many-files" in errors:
        raise Refused(400, "too-many-files", "a form carries one file: send a request for each, or a batch")
    if errors:
        raise Refused(400, "broken-form", "the form is cut off or broken")
    if not found or not found[0][1]:
        raise Refused(400, "no-file", "the form has no file, or an empty one")
    return found[0][1]


def check_wait(service: Service) -> None:
    """Refuse with 429 where a picture would wait for a decoding process for longer than is stated."""
    seconds = service.matcher.expected_wait()
    if seconds > service.config.limits.wait_seconds:
        later = {"Retry-After": str(math.ceil(seconds))}
        raise Refused(429, "queue-full", "the wait for a decoding process would be too long", later)


async def read_form(service: Service, request: Request) -> list[tuple[str, bytes, str | None]] | None:
    """Read a form: field, bytes and error of each file, as `hashmatch.integrations.asgi.files_of` gives them.

    A second file is an error and has no bytes. None, and nothing is read, where the body is no form.

    Raises
    ------
    Refused
        As `read_body`.
    """
    limit = service.config.limits.body_bytes
    files = files_of(request.headers.get("content-type", "").encode("latin-1"), max_bytes=limit, max_files=1)
    if files is None:
        return None
    await _read(service, request, files.feed, None)
    return files.take(ended=True)


def check_encoding(request: Request) -> None:
    """Refuse a compressed body: what it becomes is bounded by nothing, and as it is it would be no picture."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "encoded-body", "bodies are sent as they are, without a Content-Encoding")


async def _read(service: Service, request: Request, take: Callable[[bytes], Any], most: int | None) -> None:
    limits = service.config.limits
    most = limits.body_bytes if most is None else most
    check_encoding(request)
    too_large = Refused(413, "too-large", f"a body has at most {most} bytes")
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or len(stated) > 18 or int(stated) > most:
        raise too_large
    seen = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():  # a body in chunks states no length
                seen += len(part)
                if seen > most:
                    raise too_large
                take(part)
    except TimeoutError:
        raise Refused(408, "too-slow", f"a body arrives within {limits.body_seconds:g} seconds") from None


class Door:
    """ASGI middleware around the application: everything that goes in and out passes it.

    Parameters
    ----------
    app : ASGI application
        The routes.
    service : Service
        What they share.
    """

    def __init__(self, app: Application, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, service = time.perf_counter(), self._service
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        name = given.decode("ascii") if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        method = scope["method"] if scope["method"] in _METHODS else "-"
        handled = scope[_KEY] = Handled(request_id=name, method=method)
        ended = started = False

        async def receive_seen() -> Message:
            nonlocal ended
            message = await receive()
            ended = ended or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def send_named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                handled.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode()), *_HEADERS]
            await send(message)

        has_body = scope["method"] not in ("GET", "HEAD")
        is_held = has_body and service.in_flight < service.config.limits.in_flight
        service.in_flight += is_held
        try:
            if has_body and not is_held:
                raise Refused(
                    429, "too-many-requests", "as many requests are in flight as may be", {"Retry-After": "1"}
                )
            await self._app(scope, receive_seen, send_named)
        except ClientDisconnect:
            handled.code = "client-gone"
        except Exception as error:
            refused = refusal(error)
            handled.code = refused.code
            if started:
                raise ConnectionAbortedError("the answer was cut off") from None
            service.in_flight -= is_held  # what is refused keeps nobody out
            is_held = False
            await self._refuse(refused, receive_seen if has_body and not ended else None, send_named)
        finally:
            service.in_flight -= is_held
            handled.seconds = time.perf_counter() - began
            for observe in service.observers:
                observe(handled)

    async def _refuse(self, refused: Refused, receive: Receive | None, send: Send) -> None:
        """Answer with an error; where a body is still to come, end the connection once the caller has seen the answer.

        What a caller has sent when a connection is closed on it can cost it the answer, so a little is read first.
        """
        error = answer(refused.body, refused.status, refused.headers)
        if receive is None:
            await error({"type": "http"}, _nothing, send)
            return
        headers = [*error.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "http.response.body", "body": error.body, "more_body": True})
        left = self._service.config.limits.body_bytes
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        break
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
