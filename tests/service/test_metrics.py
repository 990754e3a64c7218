"""``/metrics``: what is counted, and that no label says more than a word of ours, a route or the name of a list."""

from __future__ import annotations

import ast
import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import hashmatch
from hashmatch import Matcher, Outcome
from hashmatch.jail import Isolation
from hashmatch.jail.options import MEASURES
from hashmatch.service.app import create_app
from hashmatch.service.metrics import BUCKETS, DEATHS, Metrics, bounded
from hashmatch.service.service import Handled, Service
from support.service_makers import KNOWN, UNKNOWN, ask, one_picture_list, served

Samples = dict[tuple[str, tuple[str, ...]], float]
ROOT = Path(hashmatch.__file__).parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of one picture."""
    return one_picture_list(tmp_path / "list.hashmatch")


def read(text: str) -> Samples:
    """Read samples: by name and values of labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            found[sample.name, tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


async def scraped(client: httpx.AsyncClient) -> Samples:
    """Scrape."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return read(response.text)


def test_requests_and_answers_are_counted(path: Path) -> None:
    """By route, status, outcome and reason; the times are in the buckets."""

    async def run(client: httpx.AsyncClient) -> Samples:
        for data in (KNOWN, KNOWN, UNKNOWN, b"no picture"):
            await client.post("/v1/match", content=data)
        await client.post("/v1/match/hashes", content=b"{")
        await client.get("/nowhere")
        return await scraped(client)

    found = ask(path, what=run)
    assert found["hashmatch_requests_total", ("/v1/match", "200")] == 4
    assert found["hashmatch_requests_total", ("/v1/match/hashes", "400")] == 1
    assert found["hashmatch_requests_total", ("-", "404")] == 1
    assert found["hashmatch_refused_total", ("bad-json",)] == 1
    outcomes = {Outcome.MATCH.value: 2, Outcome.NO_MATCH.value: 1, Outcome.UNDECIDABLE.value: 0, "unreadable": 1}
    for outcome, count in outcomes.items():
        assert found["hashmatch_pictures_total", (outcome,)] == count
        assert found.get(("hashmatch_answers_total", (outcome,)), 0) == count
    assert found["hashmatch_picture_reasons_total", ("not-an-image",)] == 1
    name = "hashmatch_request_duration_seconds"
    assert found[f"{name}_count", ("/v1/match",)] == found[f"{name}_bucket", ("+Inf", "/v1/match")] == 4
    steps = [found[f"{name}_bucket", (repr(bound), "/v1/match")] for bound in BUCKETS]
    assert steps == sorted(steps)
    assert 0 < found[f"{name}_sum", ("/v1/match",)] < 600


def test_lists_and_build_are_told(path: Path) -> None:
    """Version, entries and age of each list, and whether the service is ready."""
    found = ask(path, what=scraped)
    assert [key[1][-1] for key in found if key[0] == "hashmatch_build_info"] == [hashmatch.__version__]
    assert found["hashmatch_list_info", ("list", "1")] == 1
    assert found["hashmatch_list_entries", ("list",)] == found["hashmatch_list_version", ("list",)] == 1
    assert 0 <= found["hashmatch_list_age_seconds", ("list",)] < 600
    assert found["hashmatch_ready", ()] == 1
    assert found["process_resident_memory_bytes", ()] > 0
    assert not [name for name, _ in found if not name.startswith(("hashmatch_", "process_"))]


def test_a_list_that_is_gone_is_told(path: Path) -> None:
    """The scrape goes on, and says that the lists are behind."""

    async def run(client: httpx.AsyncClient) -> Samples:
        path.unlink()
        await client.post("/v1/reload")
        return await scraped(client)

    found = ask(path, what=run)
    assert found["hashmatch_list_info", ("list", "1")] == 1


def test_who_may_not_see_it_does_not(path: Path) -> None:
    """It asks for the scope status."""
    tokens = "a match 0123456789abcdef\nb status fedcba9876543210"

    async def run(client: httpx.AsyncClient) -> list[int]:
        heads: list[dict[str, str]] = [{}]
        heads += [{"Authorization": f"Bearer {token}"} for token in ("0123456789abcdef", "fedcba9876543210")]
        return [(await client.get("/metrics", headers=head)).status_code for head in heads]

    assert ask(path, what=run, tokens=tokens) == [401, 403, 200]


def literals() -> set[str]:
    """Every text that stands in the source of the package, and the names of signals."""
    found = {f"crashed-{item.name.lower()}" for item in signal.Signals}
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def hostile() -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Make requests that try to get something of theirs into a label."""
    word = "cafe" * 16
    yield "GET", f"/{word}", {}, b""
    yield "GET", f"/v1/match/{word}", {}, b""
    yield "POST", f"/v1/match?seed={word}&{word}={word}", {"X-Request-ID": word}, KNOWN
    yield "POST", "/v1/match", {"Content-Type": f"multipart/form-data; boundary={word}"}, word.encode()
    yield word, "/v1/match", {}, b""
    yield "POST", "/v1/match/hashes", {}, f'{{"hashes": ["{word}:{word}"]}}'.encode()
    yield "POST", "/v1/match/hashes", {}, f'{{"hashes": ["pdq:{word}"], "seed": "{word}"}}'.encode()
    yield "POST", "/v1/match", {"Content-Encoding": word}, b"x"
    yield "POST", "/v1/match", {"Content-Length": "9" * 30}, b"x"
    yield "GET", "/metrics", {"Accept": f"application/openmetrics-text; version={word}; escaping={word}"}, b""
    yield "GET", "/livez", {"Authorization": f"Bearer {word}"}, b""


def test_every_label_is_from_a_closed_set(path: Path) -> None:
    """After a hostile run each value is a text of our source, a number, or the name of a list."""
    known = literals() | {"list", hashmatch.__version__, "+Inf"}

    async def run(client: httpx.AsyncClient) -> list[str]:
        for method, target, headers, body in hostile():
            await client.request(method, target, headers=headers, content=body)
        response = await client.get("/metrics")
        assert "cafe" not in response.text
        families = list(text_string_to_metric_families(response.text))
        return [
            value
            for family in families
            for sample in family.samples
            for name, value in sample.labels.items()
            if name != "python"
        ]

    values = ask(path, what=run)
    strange = {value for value in values if value not in known and not value.replace(".", "", 1).isdecimal()}
    assert strange == set()


def test_words_are_bounded() -> None:
    """Numbers of signals and exits are one word each, and what is no word of ours, or one too many, is another."""
    counts = {f"crashed-exit-{number}": 1 for number in range(200)} | {"crashed-signal-41": 2, "timeout": 3, "No!": 4}
    assert bounded(counts) == {"crashed-exit": 200, "crashed-signal": 2, "timeout": 3, "other": 4}
    many = bounded({f"word-{'x' * number}": 1 for number in range(100)})
    assert len(many) <= 65
    assert sum(many.values()) == 100


def test_decoding_processes_are_told(path: Path) -> None:
    """How many there are, what holds them, and why one was lost."""

    async def run() -> Samples:
        with Matcher.open(path, isolation=Isolation(workers=1)) as matcher:
            service = Service(matcher)
            metrics = Metrics(service)
            matcher.warm()
            try:
                (worker,) = matcher._reader._pool._all  # type: ignore[union-attr]
                worker.kill()
                end = time.monotonic() + 30
                while worker.is_alive and time.monotonic() < end:
                    await asyncio.sleep(0.01)
                await service.checks.match(KNOWN)
                return read((await metrics.text()).decode())
            finally:
                await service.close()

    found = asyncio.run(run())
    assert found["hashmatch_worker_deaths_total", ("ended-idle",)] == 1
    assert found["hashmatch_workers_started_total", ()] == 2
    assert found["hashmatch_workers", ("idle",)] == 1
    assert found["hashmatch_workers", ("working",)] == 0
    assert found["hashmatch_queue", ("cheap",)] == found["hashmatch_queue", ("dear",)] == 0
    assert found["hashmatch_decodings_total", ()] == 1
    assert {key[1][0] for key in found if key[0] == "hashmatch_worker_protection"} == set(MEASURES)


def test_every_name_of_a_lost_worker_is_a_reason() -> None:
    """And the other counts of workers are none."""
    for name in ("crashed-sigkill", "crashed-exit-3", "timeout", "bad-answer", "ended-idle", "retried", "abandoned"):
        assert DEATHS.fullmatch(name)
    for name in ("started", "replaced", "lost", "tasks", "busy", "no-worker", "closed"):
        assert not DEATHS.fullmatch(name)


def test_a_caller_that_goes_away_is_counted(path: Path) -> None:
    """As the status 0."""

    async def run() -> Samples:
        with Matcher.open(path) as matcher:
            service = Service(matcher)
            create_app(service)
            (observe,) = service.observers
            observe(Handled(request_id="x", method="POST", route="/v1/match", code="client-gone", seconds=0.1))
            transport = httpx.ASGITransport(app=create_app(Service(matcher)))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as other:
                assert ("hashmatch_refused_total", ("client-gone",)) not in await scraped(other)
            return read((await observe.__self__.text()).decode())  # type: ignore[attr-defined]

    found = asyncio.run(run())
    assert found["hashmatch_requests_total", ("/v1/match", "0")] == 1
    assert found["hashmatch_refused_total", ("client-gone",)] == 1


def test_scrapes_while_requests_are_counted(path: Path) -> None:
    """Both at once, again and again, and nothing is lost."""

    async def run() -> Samples:
        async with served(path) as client:

            async def many() -> None:
                for number in range(50):
                    await client.get("/livez" if number % 2 else f"/{number}")

            scrapes = [scraped(client) for _ in range(20)]
            await asyncio.gather(*(many() for _ in range(4)), *scrapes)
            return await scraped(client)

    found = asyncio.run(run())
    assert (
        found["hashmatch_requests_total", ("/livez", "200")] == found["hashmatch_requests_total", ("-", "404")] == 100
    )


def test_a_worker_that_never_was_ready_is_a_death(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are lost have a reason each, also where the pool names none."""
    with Matcher.open(path) as matcher:
        counts = matcher.counts() | {"workers": {"started": 9, "lost": 5, "retried": 1, "crashed-exit-3": 2}}
        monkeypatch.setattr(Matcher, "counts", lambda _: counts)
        found = read(asyncio.run(Metrics(Service(matcher)).text()).decode())
    deaths = {key[1][0]: value for key, value in found.items() if key[0] == "hashmatch_worker_deaths_total"}
    assert deaths == {"retried": 1, "crashed-exit": 2, "not-started": 2}
