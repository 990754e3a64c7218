"""A small load generator for HTTP/1.1 with kept connections: as many requests as go, or so many a second.

It is a process of its own, ``run(plan)`` starts it: the plan goes in as JSON, the times and answers come back. Requests
are prepared bytes, and an answer is searched for its length alone, so that it takes little of the processors that it
shares with the service; what it took is in its result. At a rate, a request's time counts from when it was due, so that
a service that stalls is charged with all who would have come meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.frame.runner import ROOT

PATIENCE = 30.0


def request(method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    """Write a request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {len(body)}\r\ncontent-type: {kind}\r\n\r\n"
    return head.encode() + body


def run(address: str, requests: Iterable[bytes], **plan: Any) -> dict[str, Any]:
    """Send requests in turn from a process of its own.

    Parameters
    ----------
    address : str
        ``HOST:PORT``.
    requests : iterable of bytes
        Sent one after the other, again and again.
    **plan
        ``seconds``, ``connections``, and perhaps ``rate`` (a second).

    Returns
    -------
    dict
        ``statuses``, ``rate`` of answers of 200, and ``ms``: percentiles of each status.
    """
    sent = [base64.b64encode(item).decode() for item in requests]
    done = subprocess.run(
        [sys.executable, "-c", "from benchmarks.speed.http_load import child; child()"],
        input=json.dumps({"address": address, "requests": sent, **plan}),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Give the median, the 99th percentile and the longest, ms."""
    ranked = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    return {name: 1000 * ranked[min(len(ranked) - 1, int(share * len(ranked)))] for name, share in at.items()}


class Connection(asyncio.Protocol):
    """One connection: a request, then its answer."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._data = bytearray()
        self._since = 0.0
        self._waits = False

    def connection_made(self, transport: Any) -> None:
        """Be ready."""
        self._transport = transport
        self._load.free(self)

    def send(self, data: bytes, since: float) -> None:
        """Send one request."""
        self._since, self._waits = since, True
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Take bytes of an answer, and count it when it is whole."""
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._data[:end]).lower()
        place = head.find(b"content-length:")
        if place >= 0:
            whole = len(self._data) >= end + 4 + int(head[place + 15 :].split(b"\r\n", 1)[0])
        else:
            whole = self._data.endswith(b"0\r\n\r\n")
        if whole:
            self._data.clear()
            self._waits = False
            self._load.count(int(head[9:12]), time.perf_counter() - self._since)
            if b"connection: close" in head:
                self._transport.close()
            else:
                self._load.free(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """End; where an answer was due it counts as the status 0."""
        if self._waits:
            self._load.count(0, time.perf_counter() - self._since)
        self._load.lost()


class Load:
    """Sends by a plan until its time is over."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._requests = [base64.b64decode(item) for item in plan["requests"]]
        self._plan = plan
        self._turn = 0
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._times: dict[int, list[float]] = {}
        self._pending = self._opening = 0
        self._is_over = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def free(self, connection: Connection) -> None:
        """Take a connection that waits for a request."""
        self._idle.append(connection)
        self._go_on()

    def count(self, status: int, seconds: float) -> None:
        """Take an answer."""
        self._pending -= 1
        self._times.setdefault(status, []).append(seconds)

    def lost(self) -> None:
        """Open another connection in place of one that ended."""
        if not self._is_over:
            self._open()

    def _open(self) -> None:
        host, _, port = self._plan["address"].rpartition(":")
        opening = asyncio.get_running_loop().create_connection(lambda: Connection(self), host, int(port))
        task = asyncio.ensure_future(opening)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _go_on(self) -> None:
        paced = "rate" in self._plan
        while self._idle and not self._is_over and (self._due or not paced):
            since = self._due.popleft() if paced else time.perf_counter()
            self._pending += 1
            self._idle.popleft().send(self._requests[self._turn % len(self._requests)], since)
            self._turn += 1

    async def work(self) -> dict[str, Any]:
        """Do it all."""
        for _ in range(self._plan["connections"]):
            self._open()
        cpu, began = time.process_time(), time.perf_counter()
        end, given = began + self._plan["seconds"], 0
        while (now := time.perf_counter()) < end:
            if "rate" in self._plan:
                while given < (now - began) * self._plan["rate"]:
                    self._due.append(began + given / self._plan["rate"])
                    given += 1
                self._go_on()
            await asyncio.sleep(0.001 if "rate" in self._plan else 0.05)
        seconds = time.perf_counter() - began
        done = {status: len(times) for status, times in self._times.items()}
        self._is_over = True
        give_up = time.perf_counter() + PATIENCE
        while self._pending and time.perf_counter() < give_up:
            await asyncio.sleep(0.01)
        return {
            "statuses": dict(Counter({status: len(times) for status, times in self._times.items()})),
            "rate": done.get(200, 0) / seconds,
            "unanswered": self._pending + len(self._due),
            "seconds": seconds,
            "ms": {status: percentiles(times) for status, times in self._times.items()},
            "own_cpu": (time.process_time() - cpu) / seconds,
        }


def child() -> None:
    """Be the process that sends."""
    plan = json.load(sys.stdin)
    print(json.dumps(asyncio.run(Load(plan).work())))
