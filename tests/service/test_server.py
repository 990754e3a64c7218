"""`hashmatch serve` as a process of its own: starts, hostile connections, stops."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from PIL import Image
from typer.testing import CliRunner

from hashmatch import HashValue, Matcher, ReferenceList
from hashmatch.cli.app import app
from hashmatch.service.app import create_app
from hashmatch.service.server import _Server
from hashmatch.service.service import Service
from support.service_makers import KNOWN, UNKNOWN, Running, one_picture_list, process

pytestmark = pytest.mark.skipif(os.name != "posix", reason="worker processes are tested on POSIX")

LIMITS = """
[limits]
body_bytes = 100_000
header_seconds = 0.5
body_seconds = 0.5
[decoding]
workers = 1
require = "none"
[server]
drain_seconds = 0.5
stop_seconds = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a list and a configuration."""
    one_picture_list(tmp_path / "list.hashmatch")
    (tmp_path / "serve.toml").write_text(LIMITS + '[lists.list]\npath = "list.hashmatch"\n', encoding="utf-8")
    return tmp_path


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[tuple[Running, httpx.Client]]:
    """Run the service of the folder, and a client."""
    with (
        process("--config", str(folder / "serve.toml"), **options) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield running, client


def said(address: httpx.URL, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send bytes as they are; everything that comes back until the connection ends."""
    with socket.create_connection((address.host, address.port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        found = b""
        while more := connection.recv(65_536):
            found += more
        return found


def test_it_answers_and_ends_by_a_signal(folder: Path) -> None:
    """Not ready first, then gone; the code is 0, and standard error has JSON lines and nothing else."""
    with serving(folder) as (running, client):
        assert client.post("/v1/match", content=KNOWN).json()["outcome"] == "match"
        assert client.post("/v1/match", content=UNKNOWN).json()["outcome"] == "no match"
        assert client.get("/readyz").status_code == 200
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        last = client.get("/readyz")
        assert (last.status_code, last.json()["reasons"]) == (503, [{"reason": "stopping"}])
        assert client.post("/v1/match", content=KNOWN).status_code == 200, "who asks is answered"
        assert running.end() == 0
    lines = [json.loads(line) for line in running.lines]
    routes = [line["route"] for line in lines if line["logger"] == "hashmatch.access"]
    assert routes == ["/v1/match", "/v1/match", "/readyz", "/readyz", "/v1/match"]


def test_requests_in_flight_end_before_the_service_does(folder: Path) -> None:
    """A SIGTERM under load costs no answer of a request that was taken in."""
    found: list[int] = []
    with serving(folder) as (running, client):

        def load() -> None:
            with httpx.Client(base_url=client.base_url, timeout=60) as own:
                for _ in range(10_000):
                    try:
                        found.append(own.post("/v1/match", content=UNKNOWN).status_code)
                    except httpx.ConnectError:
                        return  # not taken in

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        running.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        assert running.end() == 0
    assert set(found) == {200}


def test_a_signal_before_it_answers_ends_it(folder: Path) -> None:
    """Nothing is waited for."""
    with Matcher.open(folder / "list.hashmatch") as matcher:
        service = Service(matcher)
        server = _Server(uvicorn.Config(create_app(service)), service, lambda: None)
        server.handle_exit(signal.SIGTERM, None)
        assert server.should_exit
        assert not server.force_exit
        server.handle_exit(signal.SIGTERM, None)
        assert server.force_exit
        service.checks.close()


def test_a_second_signal_ends_it_at_once(folder: Path) -> None:
    """Whatever is in flight."""
    (folder / "serve.toml").write_text(
        (folder / "serve.toml").read_text().replace("drain_seconds = 0.5", "drain_seconds = 300"), encoding="utf-8"
    )
    with serving(folder) as (running, client):
        assert client.get("/livez").status_code == 200
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0


def test_slow_and_endless_requests_are_ended(folder: Path) -> None:
    """Headers and bodies that do not come, and headers without an end; others are answered meanwhile."""
    with serving(folder) as (_, client):
        url = client.base_url
        assert said(url, b"POST /v1/match HTTP/1.1\r\nhost: x\r\n").startswith(b"HTTP/1.1 408 ")
        assert said(url).startswith(b"HTTP/1.1 408 ")
        endless = said(url, b"GET / HTTP/1.1\r\n", b"x: " + b"y" * 65_600)
        assert endless.startswith(b"HTTP/1.1 431 ")
        slow = said(url, b"POST /v1/match HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", b"x")
        assert slow.startswith(b"HTTP/1.1 408 ")
        assert b'"too-slow"' in slow
        assert client.post("/v1/match", content=KNOWN).json()["outcome"] == "match"


def test_huge_bodies_are_refused_before_they_are_read(folder: Path) -> None:
    """By what the header says, and by what comes; the caller sees the answer, then the connection ends."""
    with serving(folder) as (_, client):
        for body in (b"x" * 5_000_000, iter([b"x" * 70_000] * 50)):
            response = client.post("/v1/match", content=body)
            assert (response.status_code, response.json()["error"]["code"]) == (413, "too-large")
            assert response.headers["connection"] == "close"
        before = time.monotonic()
        only_said = said(client.base_url, b"POST /v1/match HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999999\r\n\r\n")
        assert only_said.startswith(b"HTTP/1.1 413 ")
        assert time.monotonic() - before < 15


def test_a_worker_that_is_killed_costs_no_answer(folder: Path) -> None:
    """Again and again; the picture is given to another."""
    with serving(folder) as (running, client):
        for _ in range(5):
            for child in Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            response = client.post("/v1/match", content=KNOWN)
            assert (response.status_code, response.json()["outcome"]) == (200, "match")
        assert client.get("/readyz").status_code == 200
        assert client.get("/v1/status").json()["counts"]["workers"]["lost"] >= 1


def test_a_list_that_is_deleted_is_answered_from_until_it_is_missed(folder: Path) -> None:
    """The state is not ready after the time that is stated, and ready when the list is back."""
    (folder / "serve.toml").write_text(
        "reload_seconds = 0.1\nunreadable_seconds = 0.5\n" + (folder / "serve.toml").read_text(), encoding="utf-8"
    )
    with serving(folder) as (_, client):
        (folder / "list.hashmatch").rename(folder / "aside")
        until = time.monotonic() + 30
        while client.get("/readyz").status_code == 200 and time.monotonic() < until:
            time.sleep(0.1)
        assert {item["reason"] for item in client.get("/readyz").json()["reasons"]} == {"list-unreadable"}
        assert client.post("/v1/match", content=KNOWN).json()["outcome"] == "match"
        (folder / "aside").rename(folder / "list.hashmatch")
        until = time.monotonic() + 30
        while client.get("/readyz").status_code == 503 and time.monotonic() < until:
            time.sleep(0.1)
        assert client.get("/readyz").status_code == 200


def test_changes_under_load_give_each_answer_of_one_version(folder: Path) -> None:
    """An entry is listed in every even version alone: each answer is right for the version that it names."""
    value = HashValue("pdq", bytes(range(32)))
    answers: list[tuple[int, str]] = []
    (folder / "serve.toml").write_text("reload_seconds = 0.01\n" + (folder / "serve.toml").read_text())
    with serving(folder) as (_, client):
        done = threading.Event()

        def load() -> None:
            with httpx.Client(base_url=client.base_url, timeout=60) as own:
                while not done.is_set():
                    told = own.post("/v1/match/hashes", json={"hashes": [str(value)]}).json()
                    answers.append((told["lists"][0]["list_version"], told["outcome"]))

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        with ReferenceList.open(folder / "list.hashmatch", writable=True) as ref:
            for _ in range(40):
                ref.add("two", hashes=[value])
                time.sleep(0.01)
                ref.withdraw("two")
                time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join(60)
    assert {outcome for version, outcome in answers if version % 2} == {"no match"}
    assert {outcome for version, outcome in answers if not version % 2} <= {"match"}
    assert len({version for version, _ in answers}) > 5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--host", "0.0.0.0"], "name a file of tokens"),  # noqa: S104 - refused
        (["--host", "example.org"], "name a file of tokens"),
        (["--policy", "nothing"], "choose one of"),
        (["--token-file", "tokens"], "line 1 of the tokens"),
        (["--config", "wrong.toml"], "unknown key 'colour'"),
        (["--config", "name.toml"], "no list has this name; the lists are called: list"),
    ],
)
def test_wrong_settings_are_one_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    """It says what to do, before a list is opened where that can be."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("HASHMATCH_TOKENS", raising=False)
    Path("tokens").write_text("me match secret\n", encoding="ascii")
    Path("tokens").chmod(0o600)
    Path("wrong.toml").write_text("[limits]\ncolour = 1\n", encoding="utf-8")
    Path("name.toml").write_text('[decoding]\nrequire = "none"\n[lists.other]\npath = "list.hashmatch"\n')
    lists = [] if "name.toml" in words else ["--list", "list.hashmatch"]
    result = CliRunner().invoke(app, ["serve", *lists, *words], env={"TERM": "dumb"})
    assert result.exit_code == 2
    assert says in result.stderr
    assert "secret" not in result.stderr


def test_without_a_list_it_says_how_to_name_one() -> None:
    """As an option, or in the file."""
    result = CliRunner().invoke(app, ["serve"], env={"TERM": "dumb"})
    assert (result.exit_code, "name a list" in result.stderr) == (2, True)


def test_an_address_that_is_taken_is_an_error(folder: Path) -> None:
    """It names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["serve", "--config", str(folder / "serve.toml"), "--port", port]
        result = CliRunner().invoke(app, words, env={"TERM": "dumb"})
    assert (result.exit_code, f"127.0.0.1:{port}" in result.stderr) == (2, True)


def test_dear_pictures_hold_up_no_others(folder: Path) -> None:
    """Cheap pictures are answered while dear ones are at work and wait; those have a lane, and all get an answer."""
    frames = [Image.new("L", (2_400, 2_400), number) for number in range(40)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    settings = (folder / "serve.toml").read_text().replace("workers = 1", "workers = 2")
    settings = settings.replace("body_bytes = 100_000", "wait_seconds = 300\nanswer_seconds = 300")
    (folder / "serve.toml").write_text(settings, encoding="utf-8")
    order: list[str] = []
    with serving(folder, wait=300) as (_, client):

        def dear() -> None:
            with httpx.Client(base_url=client.base_url, timeout=300) as own:
                response = own.post("/v1/match", content=file.getvalue())
                assert response.status_code == 200, response.text
                order.append("dear")

        threads = [threading.Thread(target=dear) for _ in range(3)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 60
        while client.get("/v1/status").json()["counts"]["load"]["waiting-dear"] < 2 and time.monotonic() < until:
            time.sleep(0.02)
        for _ in range(5):
            assert client.post("/v1/match", content=KNOWN).json()["outcome"] == "match"
            order.append("cheap")
        for thread in threads:
            thread.join(300)
    assert order.count("dear") == 3
    assert order[-1] == "dear"
    assert order.index("cheap") < 2


def test_workers_are_replaced_without_a_wait(folder: Path) -> None:
    """After its share each is replaced by one that is ready; no picture is lost."""
    settings = (folder / "serve.toml").read_text().replace("workers = 1", "workers = 1\nrecycle = 5")
    (folder / "serve.toml").write_text(settings, encoding="utf-8")
    with serving(folder) as (_, client):
        assert {client.post("/v1/match", content=KNOWN).json()["outcome"] for _ in range(22)} == {"match"}
        workers = client.get("/v1/status").json()["counts"]["workers"]
    assert (workers["replaced"], workers["tasks"], workers.get("lost", 0)) == (4, 22, 0)
