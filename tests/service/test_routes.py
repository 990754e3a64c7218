"""The routes: what each answers, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from hashmatch import HashValue, Matcher, hash_image
from hashmatch.matching import MatchReport
from hashmatch.service.config import ServerSettings, ServiceConfig
from support.service_makers import KNOWN, LISTED, STRANGER, UNKNOWN, ask, one_picture_list

ENVELOPE = {"request_id", "retryable", "lists_left_out", "hashes"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of one picture."""
    return one_picture_list(tmp_path / "list.hashmatch")


def report_of(told: dict[str, Any]) -> MatchReport:
    """Read the report of an answer."""
    return MatchReport.from_dict({key: value for key, value in told.items() if key not in ENVELOPE})


def test_a_picture_is_answered_as_the_matcher_does(path: Path) -> None:
    """As the body, and as the one file of a form; what is no picture is an answer too."""

    async def post(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.post("/v1/match", content=KNOWN),
            await client.post("/v1/match", files={"photo": ("secret name.jpg", KNOWN)}),
            await client.post("/v1/match", content=UNKNOWN),
            await client.post("/v1/match", content=b"no picture"),
        ]

    with Matcher.open(path) as matcher:
        expected = [matcher.match(data) for data in (KNOWN, KNOWN, UNKNOWN, b"no picture")]
    for response, report in zip(ask(path, what=post), expected, strict=True):
        assert response.status_code == 200
        assert report_of(response.json()) == report
        assert response.headers["x-request-id"] == response.json()["request_id"]
        assert response.json()["retryable"] is False
        assert "secret" not in response.text


def test_hashes_of_the_file_are_told_only_if_asked_for(path: Path) -> None:
    """They are those of the upload, as it is."""

    async def post(client: httpx.AsyncClient) -> list[Any]:
        asked = [await client.post(f"/v1/match{words}", content=UNKNOWN) for words in ("", "?hashes=1", "?hashes=yes")]
        return [item.json() for item in asked]

    without, given, wrong = ask(path, what=post)
    assert "hashes" not in without
    assert {item["hash"] for item in given["hashes"]} == {str(hash_image(UNKNOWN))}
    assert wrong["error"]["code"] == "bad-request"


def test_hashes_are_answered_as_the_matcher_does(path: Path) -> None:
    """One or several of one picture, with or without a quality."""
    known, strange = hash_image(LISTED), hash_image(STRANGER)

    async def post(client: httpx.AsyncClient) -> list[Any]:
        bodies = ([str(known)], [{"hash": str(known), "quality": 100}, str(strange)], [str(strange)])
        return [(await client.post("/v1/match/hashes", json={"hashes": body})).json() for body in bodies]

    one, two, other = ask(path, what=post)
    with Matcher.open(path) as matcher:
        assert report_of(one) == matcher.match_hash(known)
        assert report_of(other) == matcher.match_hash(strange)
    assert two["outcome"] == "match"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad-json"),
        (b"[" * 100_000, "bad-json"),
        (b"[]", "bad-request"),
        (b'{"hashes": []}', "bad-request"),
        (b'{"hashes": "pdq:00"}', "bad-request"),
        (b'{"hashes": [1]}', "bad-request"),
        (b'{"hashes": ["pdq:00"]}', "bad-hash"),
        (b'{"hashes": [{"hash": "md5:00", "colour": 1}]}', "bad-request"),
        (b'{"hashes": [{"hash": "md5:00", "quality": true}]}', "bad-request"),
        (b'{"hashes": [{"hash": "md5:00", "quality": 101}]}', "bad-request"),
        (b'{"hashes": [{"hash": "md5:00", "quality": 0.5}]}', "bad-request"),
        (b'{"hashes": [{"hash": "md5:00", "quality": 50.0}]}', "bad-hash"),
        (b'{"hashes": ["md5:00"], "list": "x"}', "bad-request"),
    ],
)
def test_a_wrong_body_is_an_error(path: Path, body: bytes, code: str) -> None:
    """In one form; the answer says what is allowed."""
    response = ask(path, what=lambda client: client.post("/v1/match/hashes", content=body))
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


def test_lists_are_told_without_a_hash(path: Path) -> None:
    """Name, version, age, entries."""
    (told,) = ask(path, what=lambda client: client.get("/v1/lists")).json()["lists"]
    assert (told["list"], told["list_version"], told["entries"], told["sources"]) == ("list", 1, 1, {})
    assert told["age_seconds"] < 600


def test_an_unknown_path_or_method_has_the_form_of_errors(path: Path) -> None:
    """Also with a slash too many."""

    async def get(client: httpx.AsyncClient) -> list[tuple[int, str]]:
        found = [await client.get("/v2"), await client.get("/v1/match"), await client.get("/livez/")]
        return [(item.status_code, item.json()["error"]["code"]) for item in found]

    assert ask(path, what=get) == [(404, "not-found"), (405, "method-not-allowed"), (404, "not-found")]


def test_an_empty_list_is_not_ready(path: Path, tmp_path: Path) -> None:
    """No picture can be cleared by it; a list of which pictures can be is ready."""
    from hashmatch import ReferenceList

    with ReferenceList.create(tmp_path / "empty", name="empty"):
        pass
    response = ask(tmp_path / "empty", what=lambda client: client.get("/readyz"))
    assert (response.status_code, response.json()["reasons"]) == (
        503,
        [{"reason": "nothing-to-compare", "list": "empty"}],
    )
    assert ask(path, what=lambda client: client.get("/readyz")).status_code == 200


def test_a_change_is_taken_up_by_a_reload(path: Path) -> None:
    """The answer names the version that it is of."""
    from hashmatch import ReferenceList

    value = HashValue("pdq", bytes(range(32)))

    async def change(client: httpx.AsyncClient) -> list[Any]:
        before = (await client.post("/v1/match/hashes", json={"hashes": [str(value)]})).json()
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("two", hashes=[value])
        changed = (await client.post("/v1/reload")).json()
        return [before, changed, (await client.post("/v1/match/hashes", json={"hashes": [str(value)]})).json()]

    before, changed, after = ask(path, what=change)
    assert changed == {"changed": True}
    assert (before["outcome"], before["lists"][0]["list_version"]) == ("no match", 1)
    assert (after["outcome"], after["lists"][0]["list_version"]) == ("match", 2)


def test_a_wrong_method_is_told_all_that_are_right(path: Path) -> None:
    """Of a path with a route for each method too."""
    config = ServiceConfig(server=ServerSettings(hma=True))

    async def put(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.put(target) for target in ("/m/lookup", "/v1/match", "/livez")]

    refused = ask(path, what=put, config=config)
    assert [item.status_code for item in refused] == [405] * 3
    assert [item.headers["allow"] for item in refused] == ["GET, HEAD, POST", "POST", "GET, HEAD"]
