"""The service that the tutorial gives away: answers, limits, hostile uploads, changing lists, and a real run."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from hashmatch import Matcher, ReferenceList, fingerprint, hash_image
from hashmatch.errors import BusyError, ReferenceListError
from hashmatch.picture.encode import jpeg
from hashmatch.synthetic import edits, picture
from support.jail_makers import LINUX, has_gone
from support.soak import png_bomb, webp_header

pytestmark = LINUX
FILE = Path(__file__).parent.parent / "docs" / "tutorials" / "upload_service.py"
LISTED, STRANGER, LATE = (picture("photo", seed, size=(180, 240)) for seed in (1, 2, 3))
SECONDS = 120.0


def load() -> ModuleType:
    """Import the file that is copied."""
    spec = importlib.util.spec_from_file_location("upload_service", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


service = load()


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Any:
    with ReferenceList.create(tmp_path / "list.hashmatch", name="known") as ref:
        ref.add("entry-1", hashes=fingerprint(LISTED).hashes, source="me", labels={"class": "A1"})
    (tmp_path / "indexes").mkdir(mode=0o700)
    return service.Settings(
        lists=(str(tmp_path / "list.hashmatch"),),
        index_folder=str(tmp_path / "indexes"),
        require="weak",
        reload_seconds=0.05,
    )


def changed(settings: Any, **fields: Any) -> Any:
    """Make other settings of the same paths."""
    return service.Settings(**{name: getattr(settings, name) for name in settings.__dataclass_fields__} | fields)


@asynccontextmanager
async def client_of(settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application within this process."""
    app = service.create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
    ):
        client.app = app  # type: ignore[attr-defined]
        yield client


def run(settings: Any, test: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run a test of the application."""

    async def whole() -> None:
        async with client_of(settings) as client:
            await test(client)

    asyncio.run(whole())


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; an error where it never does."""
    give_up = time.monotonic() + SECONDS
    while not await holds():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


async def outcome(client: httpx.AsyncClient, data: bytes) -> str:
    """Upload a picture; its outcome."""
    answer = await client.post("/match", content=data)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["outcome"])


def test_uploads_are_answered_with_reports(settings: Any) -> None:
    """A listed picture, an edited copy and a stranger; the report explains, and shows no hash."""

    async def test(client: httpx.AsyncClient) -> None:
        found = await client.post("/match", content=jpeg(edits.mirror(LISTED), 60))
        report = found.json()
        assert (report["outcome"], report["matches"][0]["entry_id"]) == ("match", "entry-1")
        assert report["protection"]["level"] in ("weak", "strong")
        assert hash_image(LISTED).data.hex() not in found.text.lower()
        assert found.headers["cache-control"] == "no-store"
        assert await outcome(client, jpeg(STRANGER)) == "no match"

    run(settings, test)


def test_hostile_uploads_cost_their_own_answer_alone(settings: Any) -> None:
    """Bombs, parts, noise and nothing are answered, never with "no match"; the next picture is found."""
    whole = jpeg(STRANGER)
    uploads = [
        b"",
        b"\0" * 50_000,
        whole[: len(whole) // 2],
        png_bomb(9000),
        png_bomb(60_000),
        webp_header(16383, 16383),
    ]

    async def test(client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(outcome(client, data) for data in uploads))
        assert set(answers) == {"unreadable"}
        assert await outcome(client, jpeg(LISTED)) == "match"

    run(settings, test)


async def parts_of(data: bytes, seen: list[int], pause: float = 0.0) -> AsyncIterator[bytes]:
    """Send a body in parts that state no length; note which were asked for."""
    for start in range(0, len(data), 1024):
        seen.append(start)
        yield data[start : start + 1024]
        await asyncio.sleep(pause)


def test_a_body_over_the_limit_is_refused_unread(settings: Any) -> None:
    """By the length that it states, before a byte is read, and by its length where it states none or nonsense."""

    async def test(client: httpx.AsyncClient) -> None:
        for headers in ({"content-length": "4097"}, {"content-length": "-1"}, {"content-length": "9" * 5000}):
            seen: list[int] = []
            answer = await client.post("/match", content=parts_of(bytes(4097), seen), headers=headers)
            assert (answer.status_code, answer.json(), seen) == (413, {"error": "too-large"}, [])
        seen = []
        answer = await client.post("/match", content=parts_of(bytes(100_000), seen))
        assert (answer.status_code, seen[-1]) == (413, 4096)
        assert (await client.post("/match", content=bytes(4096))).status_code == 200

    run(changed(settings, max_bytes=4096), test)


def test_a_slow_body_does_not_hold_a_place_for_ever(settings: Any) -> None:
    """It is answered 408, and the place is free again."""

    async def test(client: httpx.AsyncClient) -> None:
        answer = await client.post("/match", content=parts_of(bytes(2048), [], pause=SECONDS))
        assert (answer.status_code, answer.json()) == (408, {"error": "too-slow"})
        assert await outcome(client, jpeg(LISTED)) == "match"

    run(changed(settings, body_seconds=0.2, in_flight=1), test)


def test_one_upload_too_many_is_answered_503_before_its_body_is_read(settings: Any) -> None:
    """With a time to come again; the upload that has the place is answered."""

    async def test(client: httpx.AsyncClient) -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            data = jpeg(LISTED)
            yield data[:10]
            begun.set()
            await go_on.wait()
            yield data[10:]

        first = asyncio.create_task(client.post("/match", content=slow()))
        await begun.wait()
        seen: list[int] = []
        second = await client.post("/match", content=parts_of(bytes(10), seen))
        assert (second.status_code, second.headers["retry-after"], seen) == (503, "1", [])
        go_on.set()
        assert (await first).json()["outcome"] == "match"

    run(changed(settings, in_flight=1), test)


def test_a_client_that_leaves_gives_its_place_back(settings: Any) -> None:
    """An upload that ends before its body does is no error of the service."""

    async def test(client: httpx.AsyncClient) -> None:
        sent: list[Any] = []

        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/match", "query_string": b"", "headers": []}
        await client.app(scope, receive, send)  # type: ignore[attr-defined]
        assert sent[0]["status"] == 400
        assert await outcome(client, jpeg(LISTED)) == "match"

    run(changed(settings, in_flight=1), test)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BusyError("many wait", reason="queue-full"), "queue-full"),
        (BusyError("no time"), "timeout"),
        (ReferenceListError("the list is damaged"), "ReferenceListError"),
    ],
)
def test_no_answer_is_never_no_match(
    settings: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    """Whatever the matcher raises becomes 503, so that the caller keeps the picture back."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    async def test(client: httpx.AsyncClient) -> None:
        monkeypatch.setattr(Matcher, "match", fail)
        answer = await client.post("/match", content=b"x")
        assert (answer.status_code, answer.json()) == (503, {"error": said})
        assert answer.headers["retry-after"] == "1"

    run(settings, test)


def test_an_importer_changes_the_list_under_the_running_service(settings: Any, tmp_path: Path) -> None:
    """Another process adds and withdraws; the service follows without a restart or a failed answer."""
    (tmp_path / "late.jpg").write_bytes(jpeg(LATE))
    command = [sys.executable, "-m", "hashmatch", "list"]

    async def test(client: httpx.AsyncClient) -> None:
        assert await outcome(client, jpeg(LATE)) == "no match"
        added = [*command, "add", settings.lists[0], str(tmp_path / "late.jpg"), "--id", "late"]
        subprocess.run(added, check=True, capture_output=True)
        await until(lambda: _is(client, LATE, "match"))
        subprocess.run([*command, "withdraw", settings.lists[0], "late"], check=True, capture_output=True)
        await until(lambda: _is(client, LATE, "no match"))
        ready = (await client.get("/ready")).json()
        assert (ready["ready"], ready["lists"][0]["version"], ready["damaged_index_files"]) == (True, 3, 0)

    run(settings, test)


async def _is(client: httpx.AsyncClient, pixels: Any, wanted: str) -> bool:
    return await outcome(client, jpeg(pixels)) == wanted


def test_readiness_says_what_keeps_answers_from_being_whole(settings: Any, tmp_path: Path) -> None:
    """An empty list clears no picture. A list that is gone is told at once, and counts when the time for it is over."""
    ReferenceList.create(tmp_path / "empty.hashmatch", name="empty").close()

    async def idle(client: httpx.AsyncClient) -> None:
        answer = await client.get("/ready")
        assert (answer.status_code, answer.json()["idle_lists"]) == (503, ["empty"])
        assert (await client.get("/live")).status_code == 200

    run(changed(settings, lists=(*settings.lists, str(tmp_path / "empty.hashmatch"))), idle)

    async def gone(client: httpx.AsyncClient, status: int) -> None:
        path, away = Path(settings.lists[0]), tmp_path / "away"
        assert (await client.get("/ready")).status_code == 200
        path.rename(away)
        await until(lambda: _says_an_error(client))
        assert (await client.get("/ready")).status_code == status
        assert await outcome(client, jpeg(LISTED)) == "match"  # from what it had
        away.rename(path)

    run(settings, lambda client: gone(client, 200))
    run(changed(settings, stale_seconds=0.0), lambda client: gone(client, 503))


async def _says_an_error(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).json()["list_error"] == "ReferenceListError"


def test_the_page_explains_every_limit_and_every_error() -> None:
    """Fields of `Settings`, answers and errors of the file stand in the tutorial."""
    page = FILE.with_name("upload-service.md").read_text(encoding="utf-8")
    errors = set(re.findall(r'refused\(\d+, "([\w-]+)"\)', FILE.read_text(encoding="utf-8")))
    assert len(errors) >= 4
    limits = set(service.Settings.__dataclass_fields__) - {"lists", "index_folder"}
    assert [word for word in sorted(errors | limits) if not re.search(rf"`{word}\b", page)] == []


def test_it_asks_for_strong_isolation_unless_told_otherwise(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the paths."""
    monkeypatch.setenv("HASHMATCH_LISTS", os.pathsep.join(["a", "b"]))
    monkeypatch.setenv("HASHMATCH_INDEXES", settings.index_folder)
    made = service.Settings.from_environment()
    assert (made.lists, made.index_folder, made.require) == (("a", "b"), settings.index_folder, "strong")


def test_two_processes_as_the_page_starts_them(settings: Any, tmp_path: Path) -> None:
    """Uvicorn answers from two processes, logs no name and no hash, and ends at SIGTERM without leaving a process."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "upload_service:create_app", "--workers", "2"]
    environment = os.environ | {
        "HASHMATCH_LISTS": settings.lists[0],
        "HASHMATCH_INDEXES": settings.index_folder,
        "HASHMATCH_REQUIRE": "weak",
        "PYTHONPATH": os.pathsep.join([str(FILE.parent), *sys.path]),
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        host = subprocess.Popen(
            [*command, "--no-access-log", "--port", str(port)],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client:
            _wait_for(client)
            for _ in range(10):
                answer = client.post(
                    "/match?name=secret-name.jpg", content=jpeg(LISTED), headers={"X-File": "secret-name"}
                )
                assert answer.json()["outcome"] == "match"
            assert client.post("/match?name=secret-name.jpg", content=bytes(32 * 2**20 + 1)).status_code == 413
        host.send_signal(signal.SIGTERM)
        assert host.wait(SECONDS) == 0
    finally:
        _end(host)
    said = log.read_text()
    assert "secret-name" not in said
    assert hash_image(LISTED).data.hex() not in said.lower()
    assert all(has_gone(process) for process in _of_session(host.pid))


def _wait_for(client: httpx.Client) -> None:
    give_up = time.monotonic() + SECONDS
    while True:
        try:
            assert client.get("/ready").status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < give_up
            time.sleep(0.1)
        else:
            return


def _of_session(session: int) -> list[int]:
    """List the processes of a session, zombies too."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((path / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                found.append(int(path.name))
    return found


def _end(host: subprocess.Popen[bytes]) -> None:
    if host.poll() is None:
        os.killpg(host.pid, signal.SIGKILL)
        host.wait()
