"""The second stage: the answer at once, a more thorough one later, by poll or posted."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hashmatch import Matcher, profiles
from hashmatch.errors import PolicyError
from hashmatch.jail import Isolation
from hashmatch.matching import MatchReport
from hashmatch.picture.encode import jpeg
from hashmatch.service.config import SecondStageSettings, ServiceConfig
from hashmatch.service.second import SecondStage
from hashmatch.service.service import Service
from support.service_makers import KNOWN, LISTED, UNKNOWN, one_picture_list, process, served

POSIX = pytest.mark.skipif(os.name != "posix", reason="worker processes are tested on POSIX")
CROP = jpeg(LISTED[:, 20:], quality=95)
SECRET = b"0123456789abcdef0123456789abcdef"
TOKENS = "me match 0123456789abcdef0\nother match 0123456789abcdef1"


def bearer(number: int) -> dict[str, str]:
    """Header of a caller."""
    return {"Authorization": f"Bearer 0123456789abcdef{number}"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of one picture."""
    return one_picture_list(tmp_path / "list.hashmatch")


def staged(path: Path, what: Any, **settings: Any) -> Any:
    """Serve with a second stage, in this process."""
    config = ServiceConfig(second_stage=SecondStageSettings(**settings))

    def prepare(service: Service) -> None:
        assert config.second_stage is not None
        other = Matcher.open(path, policy=config.second_policy)
        service.second = SecondStage(other, config.second_stage, SECRET)

    async def run() -> Any:
        async with served(path, config=config, tokens=TOKENS, prepare=prepare) as client:
            return await what(client)

    return asyncio.run(run())


async def done(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    """Ask until the answer is there."""
    async with asyncio.timeout(60):
        while True:
            told: dict[str, Any] = (await client.get(f"/v1/second/{name}", headers=bearer(0))).json()
            if told.get("state") != "waiting":
                return told
            await asyncio.sleep(0.02)


def test_what_the_first_look_misses_is_told_later(path: Path) -> None:
    """The first answer is by the first policy, the second by the other; both name it."""

    async def post(client: httpx.AsyncClient) -> Any:
        first = (await client.post("/v1/match?second=1", content=CROP, headers=bearer(0))).json()
        told = (await client.get("/openapi.json")).json()
        return first, await done(client, first["second"]), told["paths"]

    first, second, paths = staged(path, post)
    assert "/v1/second/{id}" in paths
    assert any(item["name"] == "second" for item in paths["/v1/match"]["post"]["parameters"])
    assert (first["outcome"], first["policy"]) == ("no match", "standard")
    assert (second["outcome"], second["policy"], second["state"]) == ("match", "thorough", "done")
    assert second["request_id"] == first["request_id"]
    report = {key: item for key, item in second.items() if key not in {"id", "state", "request_id", "retryable"}}
    del report["lists_left_out"]
    with Matcher.open(path, policy=profiles.THOROUGH) as matcher:
        assert MatchReport.from_dict(report) == matcher.match(CROP)


def test_only_who_sent_the_picture_sees_the_answer(path: Path) -> None:
    """Others, and unknown names, are told the same."""

    async def post(client: httpx.AsyncClient) -> list[int]:
        name = (await client.post("/v1/match?second=1", content=UNKNOWN, headers=bearer(0))).json()["second"]
        return [
            (await client.get(f"/v1/second/{item}", headers=bearer(number))).status_code
            for item, number in ((name, 0), (name, 1), ("0" * 32, 0))
        ]

    assert staged(path, post) == [200, 404, 404]


def test_answers_and_what_waits_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture more than may wait has no second look, and says so; an answer is forgotten after its time."""
    gate, look = threading.Event(), Matcher.match

    def match(matcher: Matcher, *args: Any, **words: Any) -> Any:
        assert matcher.policy.name != "thorough" or gate.wait(60)
        return look(matcher, *args, **words)

    monkeypatch.setattr(Matcher, "match", match)

    async def post(client: httpx.AsyncClient) -> list[Any]:
        names = []
        for _ in range(5):
            found = await client.post("/v1/match?second=1", content=UNKNOWN, headers=bearer(0))
            names.append(found.json()["second"])
            await asyncio.sleep(0.05)
        gate.set()
        assert [(await done(client, name))["state"] for name in names if name] == ["done"] * 3
        await asyncio.sleep(1.1)
        gone = [(await client.get(f"/v1/second/{name}", headers=bearer(0))).status_code for name in names if name]
        return [name is not None for name in names] + gone

    assert staged(path, post, waiting=2, keep_seconds=1) == [True, True, True, False, False, 404, 404, 404]
    gate.clear()
    room = {"waiting_bytes": max(1024, 3 * len(UNKNOWN)), "keep_seconds": 1}
    assert staged(path, post, **room) == [True, True, True, False, False, 404, 404, 404]


def test_without_a_second_stage_none_can_be_asked_for(path: Path) -> None:
    """Nothing is accepted and ignored."""

    async def post() -> list[httpx.Response]:
        async with served(path) as client:
            return [
                await client.post("/v1/match?second=1", content=UNKNOWN),
                await client.post("/v1/match?second=x", content=UNKNOWN),
                await client.get("/v1/second/x"),
            ]

    found = asyncio.run(post())
    assert [item.json()["error"]["code"] for item in found] == ["no-second-stage", "bad-request", "not-found"]


class Hook(http.server.ThreadingHTTPServer):
    """Takes what is posted; refuses the first."""

    def __init__(self) -> None:
        hook = self
        self.posts: list[tuple[dict[str, str], bytes]] = []

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Take a post."""
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.posts.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(503 if len(hook.posts) == 1 else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Answers)


@pytest.fixture
def hook() -> Iterator[Hook]:
    """Listen for posts."""
    with Hook() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()


@POSIX
def test_answers_are_posted_signed_by_a_service_of_one_pool(path: Path, hook: Hook) -> None:
    """Again where they are not taken; the look is in the decoding processes of the first stage."""
    folder = path.parent
    (folder / "secret").write_bytes(SECRET + b"\n")
    (folder / "secret").chmod(0o600)
    (folder / "serve.toml").write_text(
        f'paths = ["list.hashmatch"]\n[decoding]\nworkers = 1\nrequire = "none"\n[second_stage]\n'
        f'webhook = "http://127.0.0.1:{hook.server_port}/x"\nwebhook_secret_file = "secret"\n',
        encoding="utf-8",
    )
    with process("--config", str(folder / "serve.toml")) as running, httpx.Client(base_url=running.url) as client:
        first = client.post("/v1/match?second=1", content=CROP, timeout=60).json()
        until = time.monotonic() + 60
        while len(hook.posts) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
        polled = client.get(f"/v1/second/{first['second']}").json()
    (_, again), (headers, body) = hook.posts
    assert again == body
    assert json.loads(body) == polled
    assert (polled["outcome"], polled["protection"]["level"] != "none") == ("match", True)
    signed = headers["x-hashmatch-timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    assert headers["x-hashmatch-signature"] == f"sha256={expected}"
    assert len(children) == 1


@POSIX
def test_two_matchers_share_worker_processes(path: Path) -> None:
    """Each answers by its own policy; closing the second leaves the first its workers."""
    with Matcher.open(path) as first, Matcher.open(path, policy=profiles.THOROUGH) as second:
        with pytest.raises(PolicyError, match="isolate it first"):
            second.isolate_with(first)
        first.isolate(Isolation(workers=1), also=[profiles.THOROUGH])
        second.isolate_with(first)
        with Matcher.open(path, policy=profiles.FAST) as third, pytest.raises(PolicyError, match="without the policy"):
            third.isolate_with(first)
        for data in (KNOWN, UNKNOWN, CROP, b"x"):
            with Matcher.open(path, policy=profiles.THOROUGH) as alone:
                expected = alone.match(data)
            assert second.match(data).matches == expected.matches
            assert second.match(data).views_compared == expected.views_compared
            assert first.match(data).policy == "standard"
        assert first.counts()["workers"]["started"] == 1
        second.close()
        assert first.match(KNOWN).outcome.value == "match"


def test_wrong_settings_are_refused() -> None:
    """A webhook has an address and a secret, and none without the other."""
    for words in (
        {"policy": "x"},
        {"webhook": "ftp://x", "webhook_secret_file": "x"},
        {"webhook": "https://x"},
        {"webhook_secret_file": "x"},
        {"waiting": 0},
        {"keep_seconds": 0.5},
    ):
        with pytest.raises(PolicyError):
            SecondStageSettings(**words)  # type: ignore[arg-type]
