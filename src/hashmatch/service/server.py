"""`run`: a service on Uvicorn, with bounds on slow and endless headers, and a stop in two steps.

Floor: service. Uvicorn is what most Python services run on: it is released every few weeks, is one small package,
speaks HTTP/1.1 by ``httptools`` (C, as Node does) and turns the loop by ``uvloop`` where they are installed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from hashmatch.errors import PolicyError
from hashmatch.service.app import create_app
from hashmatch.service.config import ServiceConfig
from hashmatch.service.service import Service
from hashmatch.service.tokens import Tokens

if TYPE_CHECKING:
    Protocol = asyncio.Protocol
else:
    Protocol = AutoHTTPProtocol

__all__ = ["check_address", "listening", "run"]

_MOST_HEADER: Final = 64 * 1024
_KEEP_ALIVE: Final = 15
_BACKLOG: Final = 1_024


def check_address(config: ServiceConfig, tokens: Tokens) -> None:
    """Refuse to listen where others than this machine can ask, unless there are tokens.

    Raises
    ------
    PolicyError
        It says what to do.
    """
    host = config.server.host
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not tokens and not is_local:
        raise PolicyError(
            f"host {host}: without tokens the service listens on 127.0.0.1 alone, since whoever reaches it may ask "
            "everything: name a file of tokens, or set HASHMATCH_TOKENS"
        )


def listening(config: ServiceConfig) -> socket.socket:
    """Open the socket.

    Raises
    ------
    OSError
        If the address is taken or is not of this machine.
    """
    host, port = config.server.host, config.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def run(service: Service, opened: socket.socket, started: Callable[[], None]) -> None:
    """Serve until a SIGTERM or SIGINT, then end in two steps; a second signal ends at once.

    Parameters
    ----------
    service : Service
        Open; closed at the end.
    opened : socket
        What `listening` gives.
    started : callable
        Called when requests are answered.

    Notes
    -----
    From the signal on ``/readyz`` fails. After ``drain_seconds`` the socket is closed; requests in flight have
    ``stop_seconds`` to end.
    """
    settings, limits = service.config.server, service.config.limits
    config = uvicorn.Config(
        create_app(service),
        http=_bounded(limits.header_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
    )
    try:
        _Server(config, service, started).run(sockets=[opened])
    finally:
        opened.close()
        service.matcher.close()  # where a second signal left it open: ends what decodes at once


class _Server(uvicorn.Server):
    """Uvicorn's server, which fails ``/readyz`` before it stops, and does not end the process by the signal again."""

    def __init__(self, config: uvicorn.Config, service: Service, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._tell = service, started
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as Uvicorn calls it
        """Take a signal."""
        if self._service.is_stopping:
            self.force_exit = self.should_exit = True
            return
        self._service.is_stopping = True
        if self._loop is None:  # nothing is answered yet
            self.should_exit = True
            return
        self._loop.call_soon_threadsafe(self._loop.call_later, self._service.config.server.drain_seconds, self._end)

    def _end(self) -> None:
        self.should_exit = True


def _bounded(header_seconds: float) -> type[Protocol]:
    """Make Uvicorn's protocol with bounds on headers: it waits for them, and collects them, for ever else."""

    class Bounded(Protocol):
        """One connection."""

        cycle: Any
        transport: Any
        loop: Any

        def connection_made(self, transport: Any) -> None:
            """Begin."""
            super().connection_made(transport)
            self._timer: asyncio.TimerHandle | None = None
            self._header_bytes = 0
            self._wait()

        def data_received(self, data: bytes) -> None:
            """Take bytes; those of a header that has not ended are counted."""
            super().data_received(data)
            if not self._is_in_header:
                self._forget()
                return
            self._header_bytes += len(data)
            self._wait()
            if self._header_bytes > _MOST_HEADER:
                self._refuse(b"431 Request Header Fields Too Large")

        def connection_lost(self, exc: Exception | None) -> None:
            """End."""
            self._forget()
            super().connection_lost(exc)

        @property
        def _is_in_header(self) -> bool:
            return (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing()

        def _wait(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(header_seconds, self._too_slow)

        def _forget(self) -> None:
            self._header_bytes = 0
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _too_slow(self) -> None:
            self._timer = None
            if self._is_in_header:
                self._refuse(b"408 Request Timeout")

        def _refuse(self, status: bytes) -> None:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    return Bounded
