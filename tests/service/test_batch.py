"""Batches: an answer for each line, in order, whatever the other lines are."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch import Matcher, hash_image
from hashmatch.errors import BusyError
from hashmatch.service.app import create_app
from hashmatch.service.config import LimitSettings, ServiceConfig
from hashmatch.service.service import Service
from support.service_makers import KNOWN, LISTED, STRANGER, UNKNOWN, ask, one_picture_list

KNOWN_HASH, STRANGE_HASH = str(hash_image(LISTED)), str(hash_image(STRANGER))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of one picture."""
    return one_picture_list(tmp_path / "list.hashmatch")


def lines(*questions: Any) -> bytes:
    """Write a batch."""
    return b"".join(item if isinstance(item, bytes) else json.dumps(item).encode() + b"\n" for item in questions)


def picture_of(data: bytes) -> str:
    """Write a picture as a batch has it."""
    return base64.b64encode(data).decode()


def answers(path: Path, body: Any, **limits: Any) -> list[dict[str, Any]]:
    """Send a batch; the answers, which are numbered from 1."""
    config = ServiceConfig(limits=LimitSettings(**limits))
    response = ask(path, what=lambda client: client.post("/v1/match/batch", content=body), config=config)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in response.text.splitlines()]


def said(item: dict[str, Any]) -> str:
    """Outcome of an answer, or the code of its error."""
    return str(item["error"]["code"] if "error" in item else item["outcome"])


def test_every_line_has_an_answer_in_order(path: Path) -> None:
    """Hashes and pictures, with and without a name; a bad line costs no other."""
    body = lines(
        {"id": "a", "hashes": [KNOWN_HASH]},
        {"hashes": [STRANGE_HASH]},
        {"id": "c", "picture": picture_of(KNOWN)},
        b"{\n",
        b"\n  \n",
        {"picture": picture_of(UNKNOWN)},
        {"picture": picture_of(b"no picture")},
        {"hashes": ["pdq:00"]},
        {"hashes": [KNOWN_HASH], "picture": picture_of(KNOWN)},
        {"id": 7, "hashes": [KNOWN_HASH]},
        {"picture": "***"},
        {"picture": 7},
        {"picture": ""},
        b'{"id": "last", "hashes": ["%s"]}' % KNOWN_HASH.encode(),
    )
    found = answers(path, body)
    assert [item["line"] for item in found] == list(range(1, 14))
    assert [item["id"] for item in found if item["id"]] == ["a", "c", "last"]
    assert [said(item) for item in found] == [
        "match",
        "no match",
        "match",
        "bad-json",
        "no match",
        "unreadable",
        "bad-hash",
        *["bad-request"] * 4,
        "too-large",
        "match",
    ]
    assert not any(KNOWN_HASH.partition(":")[2] in json.dumps(item) for item in found)


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_lines_come_in_parts_of_any_size(path: Path, size: int) -> None:
    """What a part ends within goes on in the next."""
    body = lines(*({"id": str(number), "hashes": [KNOWN_HASH]} for number in range(20)))

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    assert [(item["id"], said(item)) for item in answers(path, parts())] == [(str(n), "match") for n in range(20)]


def test_a_line_that_is_too_long_is_one_error(path: Path) -> None:
    """Whether it ends or not; a picture of the largest size is not."""
    largest = {"picture": picture_of(b"x" * 2_000)}
    body = lines(b"x" * 100_000 + b"\n", largest, {"picture": picture_of(b"x" * 2_001)}, b"y" * 100_000)
    found = answers(path, body, body_bytes=2_000)
    assert [said(item) for item in found] == ["too-large", "unreadable", "too-large", "too-large"]


def test_an_empty_batch_has_no_answer(path: Path) -> None:
    """It is answered all the same."""
    assert answers(path, b"") == []


def test_a_compressed_batch_is_refused(path: Path) -> None:
    """Before the answer begins."""
    headers = {"content-encoding": "gzip"}
    response = ask(path, what=lambda client: client.post("/v1/match/batch", content=b"x", headers=headers))
    assert (response.status_code, response.json()["error"]["code"]) == (415, "encoded-body")


def test_a_line_waits_where_a_request_would_be_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch asks no faster than it is answered; after the time for an answer the line says so."""
    busy, look = [3], Matcher.match

    def match(matcher: Matcher, *args: Any, **words: Any) -> Any:
        busy[0] -= 1
        if busy[0] >= 0:
            raise BusyError("too many wait", reason="queue-full")
        return look(matcher, *args, **words)

    monkeypatch.setattr(Matcher, "match", match)
    assert [said(item) for item in answers(path, lines({"picture": picture_of(KNOWN)}))] == ["match"]
    busy[0] = 1_000
    (found,) = answers(path, lines({"picture": picture_of(KNOWN)}), answer_seconds=0.2)
    assert (said(found), found["retryable"]) == ("queue-full", True)


class Pipe:
    """An ASGI connection whose body is sent and whose answer is read bit by bit."""

    def __init__(self, service: Service) -> None:
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.told: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/v1/match/batch", "query_string": b""}
        scope |= {"headers": [], "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}
        self.task = asyncio.create_task(create_app(service)(scope, self.receive, self.send))

    async def receive(self) -> Any:
        """Give a part; None is that the caller went away."""
        part = await self.parts.get()
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": part != b""}

    async def send(self, message: Any) -> None:
        """Take a part of the answer, once somebody reads."""
        await self.reads.wait()
        self.told += [json.loads(line) for line in message.get("body", b"").splitlines()]


def piped(path: Path, what: Any, **limits: Any) -> None:
    """Run something with a pipe."""

    async def run() -> None:
        with Matcher.open(path) as matcher:
            service = Service(matcher, ServiceConfig(limits=LimitSettings(**limits)))
            await what(service, Pipe(service))
            assert service.in_flight == 0
            await service.close()
            assert len(asyncio.all_tasks()) == 1, "no task stays"

    asyncio.run(run())


async def until(true: Any) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


def test_answers_come_while_questions_do(path: Path) -> None:
    """The first before the second is asked."""

    async def talk(_: Service, pipe: Pipe) -> None:
        for number in range(3):
            pipe.parts.put_nowait(lines({"hashes": [KNOWN_HASH]}))
            await until(lambda number=number: len(pipe.told) == number + 1)
        pipe.parts.put_nowait(b"")
        await pipe.task
        assert [said(item) for item in pipe.told] == ["match"] * 3

    piped(path, talk)


def test_no_more_lines_are_read_than_may_be_in_flight(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that does not read its answers is not read from either, by number and by bytes."""
    gate, look, begun = threading.Event(), Matcher.match, [0]

    def match(matcher: Matcher, *args: Any, **words: Any) -> Any:
        begun[0] += 1
        assert gate.wait(60)
        return look(matcher, *args, **words)

    monkeypatch.setattr(Matcher, "match", match)

    async def talk(service: Service, pipe: Pipe) -> None:
        for _ in range(10):
            pipe.parts.put_nowait(lines({"picture": picture_of(KNOWN)}))
        pipe.parts.put_nowait(b"")
        expected = 3 if service.config.limits.body_bytes > 1_000_000 else 1
        await until(lambda: begun[0] == expected)
        await asyncio.sleep(0.1)
        assert begun[0] == expected
        assert pipe.parts.qsize() >= 6
        gate.set()
        await pipe.task
        assert [said(item) for item in pipe.told] == ["match"] * 10

    piped(path, talk, batch_in_flight=3, body_seconds=60)
    gate.clear()
    begun[0] = 0
    piped(path, talk, batch_in_flight=9, body_seconds=60, body_bytes=len(KNOWN))


def test_a_caller_that_stops_or_goes_away_ends_its_batch(path: Path) -> None:
    """In every way in which it can: sends nothing more, reads nothing more, goes away in a line or between two."""

    async def stops(_: Service, pipe: Pipe) -> None:
        pipe.parts.put_nowait(lines({"hashes": [KNOWN_HASH]}, b'{"hashes": ['))
        await pipe.task
        assert [said(item) for item in pipe.told] == ["match", "too-slow"]

    async def does_not_read(_: Service, pipe: Pipe) -> None:
        await until(lambda: pipe.parts.empty())
        pipe.reads.clear()
        for _ in range(50):
            pipe.parts.put_nowait(lines({"hashes": [KNOWN_HASH]}))
        await pipe.task
        assert len(pipe.told) < 50

    async def goes(_: Service, pipe: Pipe) -> None:
        pipe.parts.put_nowait(lines({"hashes": [KNOWN_HASH]}, b"{"))
        await until(lambda: len(pipe.told) == 1)
        pipe.parts.put_nowait(None)
        await pipe.task

    for what in (stops, does_not_read, goes):
        piped(path, what, body_seconds=0.3)
