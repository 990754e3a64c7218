"""Callers that mean harm, and accidents: a clear status, a bounded cost, and the service stays up."""

from __future__ import annotations

import os
import random
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.service_makers import KNOWN, UNKNOWN, Running, ask, one_picture_list, process

POSIX = pytest.mark.skipif(os.name != "posix", reason="worker processes are tested on POSIX")
LINUX = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read as Linux tells it")
TOKEN = "0123456789-of-tests"  # noqa: S105 - made up
LIMITS = """
[limits]
body_bytes = 200_000
header_seconds = 1
body_seconds = 1
in_flight = 16
[decoding]
workers = 1
require = "none"
"""
BOUNDARY = b"made-up"
FORM = (
    b'--made-up\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n" + UNKNOWN[:300] + b"\r\n--made-up--\r\n"
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a list of one picture."""
    return one_picture_list(tmp_path_factory.mktemp("hostile") / "list.hashmatch")


def configured(folder: Path, path: Path) -> str:
    """Write a configuration."""
    (folder / "serve.toml").write_text(f'paths = ["{path}"]\n{LIMITS}', encoding="utf-8")
    return str(folder / "serve.toml")


def memory_of(running: Running) -> int:
    """Memory of the process that answers, bytes."""
    text = Path(f"/proc/{running.process.pid}/smaps_rollup").read_text(encoding="ascii")
    return 1024 * int(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:")))


def is_well(client: httpx.Client) -> bool:
    """Whether it answers as it should."""
    return bool(client.post("/v1/match", content=KNOWN).json()["outcome"] == "match")


WRONG = [
    "",
    "Bearer",
    "Bearer ",
    f"Basic {TOKEN}",
    f"Bearer {TOKEN[:-1]}",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN.upper()}",
    f"Bearer x{TOKEN}",
    f"Bearer {TOKEN} {TOKEN}",
    f"Bearer {TOKEN},{TOKEN}",
    f"{TOKEN}",
    "Bearer \u00e9\u00ff".encode("latin-1"),
    "Bearer " + "0" * 20_000,
    b"Bearer \xff\xfe\x00"[:-1],
]


def test_wrong_tokens_are_refused_alike(path: Path) -> None:
    """Every one by the same 401 that says what is wanted; two headers are as the first; the right one is let in."""

    async def run(client: httpx.AsyncClient) -> list[httpx.Response]:
        found = [await client.post("/v1/match", content=KNOWN, headers={"Authorization": item}) for item in WRONG]
        found.append(await client.post("/v1/match", content=KNOWN))
        return [*found, await client.post("/v1/match", content=KNOWN, headers={"Authorization": f"Bearer {TOKEN}"})]

    *refused, let_in = ask(path, what=run, tokens=f"portal match {TOKEN}")
    assert let_in.status_code == 200
    assert {item.status_code for item in refused} == {401}
    assert {item.headers["www-authenticate"] for item in refused} == {'Bearer realm="hashmatch"'}
    assert len({item.json()["error"]["message"] for item in refused}) == 1
    assert not any(TOKEN in item.text for item in refused)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_broken_forms_are_an_error_of_the_caller(path: Path, data: st.DataObject) -> None:
    """Cut, changed, repeated, with other boundaries: 200 or 4xx, never a fault of the service, and nothing on disk."""
    form = bytearray(FORM)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(form)))
        match data.draw(st.sampled_from(["cut", "change", "insert", "repeat"])):
            case "cut":
                del form[place : place + data.draw(st.integers(1, 60))]
            case "change":
                form[place : place + 1] = bytes([data.draw(st.integers(0, 255))])
            case "insert":
                form[place:place] = data.draw(
                    st.sampled_from([b"\r\n", b"--made-up", b"--made-up--", b"\x00", b"; x="])
                )
            case _:
                form[place:place] = form[: data.draw(st.integers(0, 200))]
    kind = data.draw(st.sampled_from(["made-up", "made", "", "x" * 80, '"made-up"', "made-up; boundary=other"]))

    async def run(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"Content-Type": f"multipart/form-data; boundary={kind}"}
        return await client.post("/v1/match", content=bytes(form), headers=headers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", _no_disk)
        patch.setattr(tempfile, "SpooledTemporaryFile", _no_disk)
        response = ask(path, what=run)
    assert response.status_code in (200, 400, 413, 415), response.text
    assert "a.jpg" not in response.text


def _no_disk(*_: Any, **__: Any) -> None:
    raise AssertionError("an upload goes to disk")


@POSIX
def test_bytes_that_are_no_request_end_their_connection(path: Path, tmp_path: Path) -> None:
    """Whatever comes; others are answered."""
    rng = random.Random(7)
    garbage = [
        b"",
        b"\r\n\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/match HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/match HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST /v1/match HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v1/match HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\nGET /",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        *(rng.randbytes(rng.randrange(1, 3_000)) for _ in range(30)),
    ]
    with (
        process("--config", configured(tmp_path, path)) as running,
        httpx.Client(base_url=running.url, timeout=30) as client,
    ):
        for data in garbage:
            with socket.create_connection((client.base_url.host, client.base_url.port), timeout=20) as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                answer = b""
                try:
                    while more := connection.recv(65_536):
                        answer += more
                except ConnectionResetError:
                    pass
                assert not answer.startswith(b"HTTP/1.1 5"), data
        assert is_well(client)
        assert running.end(signal.SIGTERM) == 0


@LINUX
def test_many_slow_callers_keep_nobody_waiting(path: Path, tmp_path: Path) -> None:
    """Hundreds of connections that say a byte now and then: each ends in its time, others are answered meanwhile."""
    head = b"POST /v1/match HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
    with (
        process("--config", configured(tmp_path, path)) as running,
        httpx.Client(base_url=running.url, timeout=30) as client,
    ):
        assert is_well(client)
        before, address = memory_of(running), (client.base_url.host, client.base_url.port)
        slow = [socket.create_connection(address, timeout=30) for _ in range(200)]
        statuses = []
        try:
            for number, connection in enumerate(slow):
                connection.sendall(head if number % 2 else head[:14])
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                statuses.append(client.get("/livez").status_code)
                for connection in slow:
                    try:
                        connection.send(b"x")
                    except OSError:
                        continue
            answers = [_all_of(connection) for connection in slow]
        finally:
            for connection in slow:
                connection.close()
        assert set(statuses) == {200}
        assert {answer[9:12] for answer in answers if answer} <= {b"408", b"429", b"431"}
        assert sum(bool(answer) for answer in answers) >= 100
        assert is_well(client)
        assert memory_of(running) < before + 64 * 2**20


def _all_of(connection: socket.socket) -> bytes:
    found = b""
    try:
        while more := connection.recv(65_536):
            found += more
    except ConnectionError:
        pass
    return found


@LINUX
def test_huge_bodies_take_no_memory(path: Path, tmp_path: Path) -> None:
    """A gigabyte in chunks, from several at once, is refused at its limit."""
    with (
        process("--config", configured(tmp_path, path)) as running,
        httpx.Client(base_url=running.url, timeout=30) as client,
    ):
        assert is_well(client)
        before, found = memory_of(running), []

        def send() -> None:
            with socket.create_connection((client.base_url.host, client.base_url.port), timeout=30) as connection:
                connection.sendall(b"POST /v1/match HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
                try:
                    for _ in range(1_000):
                        connection.sendall(b"100000\r\n" + bytes(2**20) + b"\r\n")
                except OSError:
                    pass
                found.append(_all_of(connection))

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        peak = before
        while any(thread.is_alive() for thread in threads):
            peak = max(peak, memory_of(running))
            time.sleep(0.01)
        assert all(not answer or answer.startswith(b"HTTP/1.1 413") for answer in found)
        assert peak < before + 64 * 2**20
        assert is_well(client)


@POSIX
def test_a_worker_killed_every_second_under_load(path: Path, tmp_path: Path) -> None:
    """No answer is lost, none is wrong, and the deaths are counted."""
    found: list[tuple[int, str]] = []
    over = threading.Event()
    with process("--config", configured(tmp_path, path)) as running:

        def load() -> None:
            with httpx.Client(base_url=running.url, timeout=30) as own:
                while not over.is_set():
                    response = own.post("/v1/match", content=KNOWN)
                    found.append((response.status_code, response.json().get("outcome", "")))

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(6):
            time.sleep(1)
            threads_of = Path(f"/proc/{running.process.pid}/task").glob("*/children")  # each thread has its own
            workers = sorted(int(child) for item in threads_of for child in item.read_text(encoding="ascii").split())
            if workers:
                os.kill(workers[number % len(workers)], signal.SIGKILL)
        time.sleep(0.5)
        over.set()
        for thread in threads:
            thread.join(60)
        with httpx.Client(base_url=running.url, timeout=30) as client:
            metrics = client.get("/metrics").text
            assert client.get("/readyz").status_code == 200
        assert running.end(signal.SIGTERM) == 0
    assert set(found) <= {(200, "match"), (429, "")}, "where a wait is predicted to be long the caller is told"
    assert found.count((200, "match")) > len(found) // 2
    deaths = [line for line in metrics.splitlines() if line.startswith("hashmatch_worker_deaths_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in deaths) >= 3
