"""`UploadCheck`: ASGI middleware that checks uploads while they stream in, and lets the application decide.

Floor: integrations. Needs ``python-multipart``, which ``pip install 'hashmatch[server]'`` brings. Nothing is written to
disk. The application gets every byte of the request as it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hashmatch.errors import HashmatchError

try:
    from python_multipart.exceptions import MultipartParseError
    from python_multipart.multipart import MultipartParser, parse_options_header
except ImportError:  # pragma: no cover - the tests have it
    raise ImportError("uploads in forms are read with python-multipart: pip install 'hashmatch[server]'") from None

if TYPE_CHECKING:
    from hashmatch.matching.asynchronous import AsyncMatcher
    from hashmatch.matching.report import MatchReport

__all__ = ["CheckedUpload", "UploadCheck"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BYTES: Final = 32 * 2**20
MAX_FILES: Final = 16
_MAX_HEADER: Final = 16_384
_MAX_FIELD: Final = 256
_RAW: Final = (b"image/", b"application/octet-stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedUpload:
    """What is known of one file of a request.

    Parameters
    ----------
    field : str
        Name of the form's field; empty where the body is the file itself.
    report : MatchReport or None
        The answer; None where there is none.
    error : str or None
        Why there is no answer: ``"too-large"``, ``"too-many-files"``, ``"incomplete"``, ``"timeout"``,
        ``"queue-full"``, or the name of an error of hashmatch. Nothing is known of such a file: keep it back.
    """

    field: str
    report: MatchReport | None
    error: str | None = None


class UploadCheck:
    """ASGI middleware.

    The application finds a list of `CheckedUpload` in ``request.state.uploads`` once it has read the request's body:
    the end of the body is passed on when every answer is there. Requests that carry no file have an empty list.

    Parameters
    ----------
    app : ASGI application
        Application that is wrapped.
    matcher : AsyncMatcher
        Matcher that answers; the application opens and closes it.
    timeout : float
        Most seconds to the answer for one file, above 0.
    max_bytes : int
        Largest file that is held in memory and checked, bytes. The application gets larger ones all the same.
    max_files : int
        Most files of one request that are checked.

    Examples
    --------
    >>> from starlette.applications import Starlette                        # doctest: +SKIP
    >>> app = Starlette(routes=[...])                                       # doctest: +SKIP
    >>> app.add_middleware(UploadCheck, matcher=AsyncMatcher(matcher))      # doctest: +SKIP
    """

    def __init__(
        self,
        app: Application,
        *,
        matcher: AsyncMatcher,
        timeout: float = 10.0,
        max_bytes: int = MAX_BYTES,
        max_files: int = MAX_FILES,
    ) -> None:
        if not timeout > 0 or max_bytes < 1 or max_files < 1:
            raise ValueError("timeout must be above 0, max_bytes and max_files 1 or more")
        self.app = app
        self._matcher, self._timeout = matcher, timeout
        self._max_bytes, self._max_files = max_bytes, max_files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        uploads: list[CheckedUpload] = []
        scope.setdefault("state", {})["uploads"] = uploads
        kind = dict(scope.get("headers", ())).get(b"content-type", b"")
        files: _Files | None = files_of(kind, max_bytes=self._max_bytes, max_files=self._max_files)
        if files is None and kind.partition(b";")[0].strip().lower().startswith(_RAW):
            files = _Files(self._max_bytes)
        if files is None:
            await self.app(scope, receive, send)
            return
        checks: list[asyncio.Task[CheckedUpload]] = []

        async def receive_checked() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                files.feed(message.get("body", b""))
                ended = not message.get("more_body", False)
                for field, data, error in files.take(ended=ended):
                    checks.append(asyncio.create_task(self._check(field, data, error)))
                if ended:
                    uploads.extend(await asyncio.gather(*checks))
                    checks.clear()
            return message

        try:
            await self.app(scope, receive_checked, send)
        finally:
            for check in checks:
                check.cancel()

    async def _check(self, field: str, data: bytes, error: str | None) -> CheckedUpload:
        report = None
        if error is None:
            try:
                report = await self._matcher.match(data, timeout=self._timeout)
            except HashmatchError as found:
                error = str(getattr(found, "reason", type(found).__name__))
        return CheckedUpload(field=field, report=report, error=error)


def files_of(content_type: bytes, *, max_bytes: int, max_files: int) -> _FormFiles | None:
    """Make the reader of a form's files; None where the content type is not of a form."""
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data" and options.get(b"boundary"):
        return _FormFiles(options[b"boundary"], max_bytes, max_files)
    return None


class _Files:
    """The one file that a body is, as far as it has come: field, bytes, and why they are not to be checked."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._field = ""
        self._data = bytearray()
        self._error: str | None = None
        self._done: list[tuple[str, bytes, str | None]] = []

    def feed(self, body: bytes) -> None:
        """Take a part of the body, which is the file."""
        self._add(body)

    def take(self, *, ended: bool) -> list[tuple[str, bytes, str | None]]:
        """Give the files that have come whole since the last call; at the end of the body also what is left."""
        if ended and (self._data or self._error):
            self._end()
        done, self._done = self._done, []
        return done

    def _add(self, data: bytes) -> None:
        if self._error is None and len(self._data) + len(data) > self._max_bytes:
            self._error = "too-large"
            self._data.clear()
        if self._error is None:
            self._data += data

    def _end(self) -> None:
        self._done.append((self._field, bytes(self._data), self._error))
        self._data.clear()
        self._error = None


class _FormFiles(_Files):
    """A form: each part whose header names a file is one."""

    def __init__(self, boundary: bytes, max_bytes: int, max_files: int) -> None:
        super().__init__(max_bytes)
        self._left = max_files
        self._name, self._value = bytearray(), bytearray()
        self._in_file = self._broken = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": lambda data, start, end: self._take_header(self._name, data[start:end]),
                "on_header_value": lambda data, start, end: self._take_header(self._value, data[start:end]),
                "on_header_end": self._header_end,
                "on_part_data": lambda data, start, end: self._add(data[start:end]) if self._in_file else None,
                "on_part_end": self._part_end,
            },
        )

    def feed(self, body: bytes) -> None:
        """Take a part of the form; nothing after a broken part is read."""
        if body and not self._broken:
            try:
                self._parser.write(body)
            except MultipartParseError:
                self._broken = True

    def take(self, *, ended: bool) -> list[tuple[str, bytes, str | None]]:
        """Give the files; one that the body ended within is incomplete, and so is what comes after a broken part."""
        if ended and (self._in_file or self._broken):
            self._field, self._error = self._field if self._in_file else "", "incomplete"
            self._end()
            self._in_file = self._broken = False
        return super().take(ended=ended)

    def _take_header(self, to: bytearray, data: bytes) -> None:
        if len(to) + len(data) <= _MAX_HEADER:
            to += data

    def _header_end(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._in_file = b"filename" in options or b"filename*" in options
            self._field = options.get(b"name", b"").decode("utf-8", "replace")[:_MAX_FIELD]
        self._name.clear()
        self._value.clear()

    def _part_end(self) -> None:
        if self._in_file:
            if not self._left:
                self._error = "too-many-files"
            self._left = max(0, self._left - 1)
            self._end()
        self._in_file = False
