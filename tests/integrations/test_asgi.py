"""`UploadCheck`: what the application is told of the files of a request, and that it gets the request as it came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hashmatch import Matcher, ReferenceList, fingerprint
from hashmatch.integrations.asgi import UploadCheck
from hashmatch.matching import AsyncMatcher
from hashmatch.picture.encode import jpeg
from hashmatch.synthetic import picture

LISTED, STRANGER = (picture("photo", seed, size=(160, 200)) for seed in (1, 2))
KNOWN, UNKNOWN = jpeg(LISTED, quality=90), jpeg(STRANGER, quality=90)


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    """Open a list of one picture."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="list") as ref:
        ref.add("one", fingerprint=fingerprint(LISTED, algorithms=("pdq",)))
    with Matcher.open(path) as made:
        yield made


async def upload(request: Request) -> JSONResponse:
    """Say what the application sees of a request."""
    body = await request.body()
    found = [
        [item.field, None if item.report is None else item.report.outcome.value, item.error]
        for item in request.state.uploads
    ]
    return JSONResponse({"bytes": len(body), "uploads": found})


@asynccontextmanager
async def client(matcher: Matcher, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application in this process."""
    async with AsyncMatcher(matcher, in_flight=options.pop("in_flight", 32)) as checks:
        app = Starlette(routes=[Route("/", upload, methods=["GET", "POST"])])
        app.add_middleware(UploadCheck, matcher=checks, **options)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as made:
            yield made


def asked(matcher: Matcher, options: dict[str, Any] | None = None, **words: Any) -> Any:
    """Send one request; what the application saw."""

    async def ask() -> Any:
        async with client(matcher, **(options or {})) as http:
            return (await http.post("/", **words)).json()

    return asyncio.run(ask())


def test_files_of_a_form_are_checked(matcher: Matcher) -> None:
    """Each file has an answer under its field; other fields have none; every byte is passed on."""
    files = [("photo", ("a.jpg", KNOWN)), ("photo", ("b.jpg", UNKNOWN)), ("text", ("c.txt", b"no picture"))]
    seen = asked(matcher, files=files, data={"title": "x"})
    assert seen["uploads"] == [
        ["photo", "match", None],
        ["photo", "no match", None],
        ["text", "unreadable", None],
    ]
    assert seen["bytes"] > len(KNOWN) + len(UNKNOWN)


def test_a_body_that_is_the_file_is_checked(matcher: Matcher) -> None:
    """By its content type; other bodies are left alone."""
    for kind, uploads in (
        ("image/jpeg", [["", "match", None]]),
        ("application/octet-stream", [["", "match", None]]),
        ("application/json", []),
    ):
        assert asked(matcher, content=KNOWN, headers={"content-type": kind}) == {
            "bytes": len(KNOWN),
            "uploads": uploads,
        }
    assert asked(matcher)["uploads"] == []


def test_a_body_in_small_parts_is_the_same(matcher: Matcher) -> None:
    """Whatever the sizes in which it comes."""
    request = httpx.Request("POST", "http://test/", files={"photo": ("a.jpg", KNOWN)}, data={"x": "y" * 100})
    body = request.read()
    for size in (1, 7, 4_096):

        async def parts(size: int = size) -> AsyncIterator[bytes]:
            for start in range(0, len(body), size):
                yield body[start : start + size]

        seen = asked(matcher, content=parts(), headers={"content-type": request.headers["content-type"]})
        assert seen == {"bytes": len(body), "uploads": [["photo", "match", None]]}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_bytes": 100}, [["a", None, "too-large"], ["b", None, "too-large"]]),
        ({"max_files": 1}, [["a", "match", None], ["b", None, "too-many-files"]]),
    ],
)
def test_what_is_over_a_limit_is_told(matcher: Matcher, options: dict[str, Any], says: list[Any]) -> None:
    """It has no answer, and is passed on."""
    assert asked(matcher, options, files={"a": ("a", KNOWN), "b": ("b", KNOWN)})["uploads"] == says


def test_a_form_that_is_cut_or_broken_is_told(matcher: Matcher) -> None:
    """A file that did not come whole has no answer."""
    request = httpx.Request("POST", "http://test/", files={"photo": ("a.jpg", KNOWN)})
    body, kind = request.read(), {"content-type": request.headers["content-type"]}
    assert asked(matcher, content=body[:-100], headers=kind)["uploads"] == [["photo", None, "incomplete"]]
    assert asked(matcher, content=b"no form at all", headers=kind)["uploads"] == [["", None, "incomplete"]]
    mark = body.split(b"\r\n")[0]
    bad = b"\r\n" + mark + b"\r\nno header\r\n\r\n" + KNOWN + b"\r\n" + mark + b"--\r\n"
    seen = asked(matcher, content=body[: -len(mark) - 6] + bad, headers=kind)["uploads"]
    assert seen == [
        ["photo", "match", None],
        ["", None, "incomplete"],
    ]


def test_a_busy_matcher_is_told(matcher: Matcher) -> None:
    """The application decides what to do with a file without an answer."""
    files = [("a", ("a", KNOWN)) for _ in range(5)]
    seen = asked(matcher, {"in_flight": 1}, files=files)["uploads"]
    assert ["a", "match", None] in seen
    assert ["a", None, "queue-full"] in seen


def test_an_application_that_reads_nothing_is_left_alone(matcher: Matcher) -> None:
    """Nothing is read for it, and no task stays."""

    async def ask() -> None:
        async with client(matcher) as http:
            assert (await http.get("/")).json() == {"bytes": 0, "uploads": []}
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(ask())


def test_wrong_limits_are_refused(matcher: Matcher) -> None:
    """Nothing is accepted and ignored."""

    async def nothing(*_: Any) -> None:
        """Serve nothing."""

    for words in ({"timeout": 0}, {"max_bytes": 0}, {"max_files": 0}):
        with pytest.raises(ValueError, match="must be above 0"):
            UploadCheck(nothing, matcher=AsyncMatcher(matcher), **words)  # type: ignore[arg-type]
