"""The lines of the service: one JSON object each, and what never stands in one."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from hashmatch import hash_image
from hashmatch.service.logs import ACCESS, AccessLog, JsonFormatter, LineWriter
from hashmatch.service.service import Handled
from support.service_makers import KNOWN, LISTED, ask, one_picture_list

TOKEN = "a-token-that-nobody-logs"  # noqa: S105 - made up


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of one picture."""
    return one_picture_list(tmp_path / "list.hashmatch")


def lines_of(caplog: pytest.LogCaptureFixture, name: str = ACCESS) -> list[dict[str, Any]]:
    """Write the records of a logger as the service does."""
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records if record.name == name]


def test_every_request_is_a_line(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With identifier, route, status, outcome and time, and without what was sent."""
    caplog.set_level(logging.INFO, "hashmatch")
    head = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "mine-1"}
    known = str(hash_image(LISTED))

    async def run(client: httpx.AsyncClient) -> None:
        await client.post("/v1/match?seed=secret-seed", files={"photo": ("secret.jpg", KNOWN)}, headers=head)
        await client.post("/v1/match/hashes", json={"hashes": [known]}, headers=head)
        await client.post("/v1/match", content=b"no picture", headers=head)
        await client.post("/secret/place", content=b"{", headers=head)
        await client.post("/v1/match", content=KNOWN, headers={"Authorization": "Bearer wrong-secret-token"})

    ask(path, what=run, tokens=f"portal match {TOKEN}", prepare=lambda service: service.observers.append(AccessLog()))
    lines = lines_of(caplog)
    told = [
        {name: item.get(name) for name in ("route", "caller", "status", "outcome", "code", "reason")} for item in lines
    ]
    empty = {"outcome": None, "code": None, "reason": None}
    match = {"route": "/v1/match", "caller": "portal", "status": 200}
    assert told == [
        empty | match | {"outcome": "match"},
        empty | match | {"route": "/v1/match/hashes", "outcome": "match"},
        empty | match | {"outcome": "unreadable", "reason": "not-an-image"},
        empty | {"route": "-", "caller": "-", "status": 404, "code": "not-found"},
        empty | {"route": "/v1/match", "caller": "-", "status": 401, "code": "unauthorized"},
    ]
    assert {item["request_id"] for item in lines[:4]} == {"mine-1"}
    assert all(item["ms"] > 0 and item["method"] == "POST" and item["level"] == "info" for item in lines)
    everything = "".join(JsonFormatter().format(record) for record in caplog.records)
    for word in ("secret", TOKEN, known.partition(":")[2], "127.0.0.1"):
        assert word not in everything


def test_a_failure_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Who looks for warnings finds the requests that the service failed at."""
    with caplog.at_level(logging.WARNING, ACCESS):
        for status in (200, 404, 429, 503):
            AccessLog()(Handled(request_id="a", method="GET", status=status, code="x"))
    assert [line["status"] for line in lines_of(caplog)] == [503]


def test_a_line_is_one_line_of_ascii() -> None:
    """Whatever stands in a record; an error is named by its type, since its text may quote what it was about."""
    try:
        raise ValueError("the secret 0123456789abcdef")
    except ValueError as error:
        found = (type(error), error, error.__traceback__)
    record = logging.LogRecord("hashmatch.x", logging.ERROR, "", 0, "two\nlines and %s", ("\u2028é\x00",), found)
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert "\n" not in line
    assert "secret" not in line
    told = json.loads(line)
    assert (told["level"], told["logger"], told["error"]) == ("error", "hashmatch.x", "ValueError")
    assert told["message"] == "two\nlines and \u2028é\x00"
    assert told["time"].endswith("Z")


def test_lines_are_written_by_a_thread_and_a_reader_that_stops_stops_nothing() -> None:
    """Records are lost where nobody reads, and their number is told when somebody does again."""
    read, write = os.pipe()
    with open(write, "w", encoding="ascii") as stream, open(read, encoding="ascii") as reader:
        writer = LineWriter(stream, most=5)
        writer.setFormatter(JsonFormatter())
        for number in range(500):
            writer.handle(logging.LogRecord("hashmatch.x", logging.INFO, "", 0, "%s", (f"{number:01000d}",), None))
            if number == 100:
                time.sleep(0.5)  # the pipe is full
        began = time.monotonic()
        writer.handle(logging.LogRecord("hashmatch.x", logging.INFO, "", 0, "late", (), None))
        assert time.monotonic() - began < 5
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.extend(json.loads(line) for line in reader))
        thread.start()
        time.sleep(0.5)
        writer.handle(logging.LogRecord("hashmatch.x", logging.INFO, "", 0, "last", (), None))
        writer.close()
        stream.close()
        thread.join(60)
    messages = [item["message"] for item in found]
    told = [int(text.split()[0]) for text in messages if "lines were lost" in text]
    assert messages[-1] == "last"
    assert len(messages) - len(told) + sum(told) == 502
    assert sum(told) > 300
