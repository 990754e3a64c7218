"""An upload check to deploy: copy this file, and change `Settings` and `create_app` to what your site needs.

The service takes one picture as the body of ``POST /match`` and answers with the report. It stores nothing, and it
logs no file name, hash or pixel. Run it behind the servers that take the uploads, not on the open internet::

    HASHMATCH_LISTS=/srv/hashmatch/list.hashmatch HASHMATCH_INDEXES=/srv/hashmatch/indexes \
        uvicorn --factory upload_service:create_app --workers 2 --no-access-log

It needs ``pip install hashmatch fastapi uvicorn``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from hashmatch import Matcher, profiles
from hashmatch.errors import BusyError, HashmatchError
from hashmatch.jail import Isolation

log = logging.getLogger("upload_service")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits of one service process; sizes in bytes, times in seconds."""

    lists: tuple[str, ...]
    index_folder: str
    max_bytes: int = 32 * 2**20  # of one upload; a larger one is answered 413
    body_seconds: float = 20.0  # from the first byte of a body to the last; a slower one is answered 408
    answer_seconds: float = 10.0  # for waiting, decoding and searching; a longer one is answered 503
    in_flight: int = 32  # uploads held in memory at once; one more is answered 503 before its body is read
    workers: int = 1  # decoding processes of each service process
    queue: int = 16  # pictures that wait for a decoding process; one more is answered 503
    require: str = "strong"  # how far decoding processes must be shut in, or the service does not start
    reload_seconds: float = 1.0  # between two looks whether the lists have changed
    stale_seconds: float = 3600.0  # how long the lists may be unreadable before the process is no longer ready

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the paths that differ between installations."""
        lists = tuple(os.environ["HASHMATCH_LISTS"].split(os.pathsep))
        require = os.environ.get("HASHMATCH_REQUIRE", cls.require)
        return cls(lists=lists, index_folder=os.environ["HASHMATCH_INDEXES"], require=require)


class TooLargeError(Exception):
    """The body of a request is over the limit."""


async def read_body(request: Request, settings: Settings) -> bytes:
    """Read the body of a request; never hold more of it than is allowed."""
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or len(stated) > 18 or int(stated) > settings.max_bytes:
        raise TooLargeError
    parts, length = [], 0
    async with asyncio.timeout(settings.body_seconds):
        async for part in request.stream():  # a body sent in chunks states no length, so it is counted
            length += len(part)
            if length > settings.max_bytes:
                raise TooLargeError
            parts.append(part)
    return b"".join(parts)


def refused(status: int, error: str) -> JSONResponse:
    """Say that there is no answer. Nothing is known of the picture, so the caller keeps it back."""
    headers = {"Retry-After": "1"} if status == 503 else {}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application of one process; uvicorn calls this in each of its processes."""
    chosen = Settings.from_environment() if settings is None else settings
    slots = asyncio.Semaphore(chosen.in_flight)
    stale_since: float | None = None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        isolation = Isolation(
            workers=chosen.workers, queue=chosen.queue, seconds=chosen.answer_seconds, require=chosen.require
        )
        with Matcher.open(
            *chosen.lists,
            policy=profiles.STANDARD,
            index_folder=chosen.index_folder,
            isolation=isolation,
            reload_every=chosen.reload_seconds,
        ) as matcher:
            matcher.warm()
            app.state.matcher = matcher
            app.state.threads = CapacityLimiter(chosen.in_flight)
            yield

    # no pages that describe the service, which its callers know
    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/match")
    async def match(request: Request) -> JSONResponse:
        """Answer for the picture in the body."""
        if slots.locked():
            return refused(503, "busy")
        async with slots:
            try:
                body = await read_body(request, chosen)
                look = partial(app.state.matcher.match, body, timeout=chosen.answer_seconds)
                report = await to_thread.run_sync(look, limiter=app.state.threads)
            except TooLargeError:
                return refused(413, "too-large")
            except TimeoutError:
                return refused(408, "too-slow")
            except ClientDisconnect:
                return refused(400, "incomplete")
            except BusyError as error:
                return refused(503, error.reason)
            except HashmatchError as error:
                log.error("no answer: %s", error)  # no message of hashmatch holds a hash or a name
                return refused(503, type(error).__name__)
        return JSONResponse(report.to_dict(), headers={"Cache-Control": "no-store"})

    @app.get("/live")
    async def live() -> JSONResponse:
        """Say that the process runs: whoever watches it restarts it where this fails."""
        return JSONResponse({"live": True})

    @app.get("/ready")
    async def ready() -> JSONResponse:
        """Say whether to send pictures here: 200 or 503, with the state of the lists in both."""
        nonlocal stale_since
        matcher: Matcher = app.state.matcher
        upkeep = matcher.upkeep
        now = time.monotonic()
        stale_since = None if upkeep.error is None else (stale_since or now)
        is_stale = stale_since is not None and now - stale_since >= chosen.stale_seconds
        state = {
            "lists": [
                {"name": name, "version": version, "entries": entries, "digest": digest}
                for (name, version, entries), digest in zip(matcher.lists, matcher.digests, strict=True)
            ],
            "idle_lists": list(matcher.idle_lists),  # no picture can be cleared while one of them is empty
            "list_error": None if upkeep.error is None else type(upkeep.error).__name__,
            "index_error": None if upkeep.compaction_error is None else type(upkeep.compaction_error).__name__,
            "damaged_index_files": upkeep.damaged,  # found changed in place and made anew: find out by whom
            "protection": None if matcher.protection is None else matcher.protection.level,
            "counts": matcher.counts(),
        }
        is_ready = not is_stale and not matcher.idle_lists
        return JSONResponse({"ready": is_ready} | state, status_code=200 if is_ready else 503)

    return app
