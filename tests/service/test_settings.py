"""Tokens, the configuration file, and what they change in an answer."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from hashmatch import HashValue, Matcher, ReferenceList, hash_image, profiles
from hashmatch.errors import PolicyError
from hashmatch.service.config import LimitSettings, ListSettings, ServiceConfig, config_from_toml
from hashmatch.service.service import Service
from hashmatch.service.tokens import SCOPES, Tokens
from support.service_makers import KNOWN, LISTED, UNKNOWN, ask, one_picture_list, served

SECRETS = {scope: f"token-of-{scope}-0123456789" for scope in SCOPES}
TOKENS = "# who may what\n\n" + "\n".join(f"{scope} {scope} {secret}" for scope, secret in SECRETS.items())
CALLS = {
    "match": [("POST", "/v1/match"), ("POST", "/v1/match/hashes"), ("POST", "/v1/match/batch")],
    "status": [("GET", "/v1/lists"), ("GET", "/v1/status"), ("GET", "/metrics")],
    "admin": [("POST", "/v1/reload")],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of one picture."""
    return one_picture_list(tmp_path / "list.hashmatch")


def test_each_route_asks_for_its_scope(path: Path) -> None:
    """No scope includes another; whoever has none is told which is needed, and nothing else is done."""
    wrong = ["", "Bearer", "Bearer wrong-token-0123456789", "Basic " + SECRETS["match"], SECRETS["match"]]

    async def run(client: httpx.AsyncClient) -> None:
        for scope, calls in CALLS.items():
            for method, url in calls:
                for header in wrong:
                    response = await client.request(method, url, headers={"Authorization": header}, content=b"x")
                    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
                    assert response.headers["www-authenticate"] == 'Bearer realm="hashmatch"'
                for other, secret in SECRETS.items():
                    headers = {"Authorization": f"bearer {secret}"}
                    response = await client.request(method, url, headers=headers, content=b"x")
                    assert (response.status_code == 403) == (other != scope), (url, other)
                    if other != scope:
                        assert f'scope="{scope}"' in response.headers["www-authenticate"]
        for url in ("/livez", "/readyz", "/openapi.json"):
            assert (await client.get(url)).status_code == 200

    ask(path, what=run, tokens=TOKENS)


def test_tokens_are_kept_as_digests_and_never_shown() -> None:
    """In no representation and no error."""
    tokens = Tokens.parse(TOKENS)
    assert all(secret not in repr(tokens) for secret in SECRETS.values())
    caller = tokens.caller(f"Bearer {SECRETS['admin']}")
    assert caller is not None
    assert (caller.name, caller.scopes) == ("admin", {"admin"})
    assert tokens.caller(None) is None
    nobody = Tokens().caller(None)
    assert nobody is not None
    assert nobody.scopes == set(SCOPES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("me match", "is not written"),
        ("me match short", "16 to 512"),
        ("me everything 0123456789abcdef", "scopes are"),
        ("me match, 0123456789abcdef", "scopes are"),
        ("m/e match 0123456789abcdef", "a name has"),
        ("me match 0123456789abcdef\nme match 0123456789abcdeg", "comes once"),
        ("a match 0123456789abcdef\nb match 0123456789abcdef", "stands there twice"),
        ("me match 0123456789abcd\u00e9f", "ASCII"),
    ],
)
def test_a_wrong_line_of_tokens_is_an_error(text: str, says: str) -> None:
    """It says which line, and shows no token."""
    with pytest.raises(PolicyError, match=says) as caught:
        Tokens.parse("\n" + text)
    assert "0123456789" not in str(caught.value)


FILE = """
paths = ["other.hashmatch"]
policy = "fast"
index_folder = "indexes"
reload_seconds = 0.5
[server]
token_file = "tokens"
[limits]
in_flight = 5
[decoding]
workers = 2
[lists.hotline]
path = "lists/hotline.hashmatch"
share = 0.5
max_age = 86_400
action = "block"
sources = {ncmec = 3_600}
[lists.hotline.rules.pdq]
threshold = 20
[lists.plain]
path = "/srv/plain.hashmatch"
"""


def test_a_file_says_everything() -> None:
    """What a list's table says of its matches is a selection of the policy, before what holds for all others."""
    config = config_from_toml(FILE).in_folder(Path("/etc/hm"))
    assert (config.paths, config.index_folder) == (("/etc/hm/other.hashmatch",), "/etc/hm/indexes")
    assert config.server.token_file == "/etc/hm/tokens"  # noqa: S105 - a path
    assert [item.path for item in config.lists.values()] == ["/etc/hm/lists/hotline.hashmatch", "/srv/plain.hashmatch"]
    assert config.limits == LimitSettings(in_flight=5)
    first, rest = config.policy.selections
    assert (first.where.lists, first.action, first.rules[0].threshold) == (("hotline",), "block", 20)
    assert rest.where.is_everything
    assert config.policy.name == "fast, by list"
    assert config_from_toml("", profiles.THOROUGH).policy == profiles.THOROUGH
    assert config_from_toml('[policy]\nbase = "fast"\nturns = true').policy.turns


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "is no TOML"),
        ("colour = 1", "unknown key 'colour'.*allowed: lists, paths"),
        ("lists = 1", "lists must be a table"),
        ("[lists]\na = 1", "lists.a must be a table"),
        ("[lists.a]\nshare = 1.0", "path is missing"),
        ('[lists.a]\npath = "x"\nshare = 2.0', "share of a list must be from 0 to 1"),
        ('[lists.a]\npath = "x"\nshare = true', "must be a number"),
        ('[lists.a]\npath = "x"\ncolour = 1', "unknown key 'colour' in lists.a; allowed: path, share.*action"),
        ('[lists.a]\npath = "x"\nmax_age = nan', "max_age"),
        ('[lists.a]\npath = "x"\nsources = {a = 0}', "given in seconds"),
        ('[lists.a]\npath = "x"\naction = ""', "action"),
        ('[lists.a]\npath = "x"\n[lists.a.rules.x]\nthreshold = 1', "rules"),
        ("[limits]\nbody_bytes = 1", "body_bytes of .limits. must be from"),
        ('[limits]\nin_flight = "5"', "in_flight must be a whole number"),
        ("[server]\nport = 99999", "port"),
        ('[decoding]\nrequire = "much"', "must be one of strong, weak, none"),
        ("[second_stage]\ncolour = 1", "unknown key"),
        ("policy = 1", "must be one of fast"),
        ('policy = "x"', "must be one of fast"),
        ("reload_seconds = 0", "reload_seconds"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_key(text: str, says: str) -> None:
    """And what is allowed."""
    with pytest.raises(PolicyError, match=says):
        config_from_toml(text)


def test_thresholds_and_actions_are_of_a_list(path: Path, tmp_path: Path) -> None:
    """The same hash matches in one list and not in the other."""
    other = tmp_path / "other.hashmatch"
    near = HashValue("pdq", bytes([*hash_image(LISTED).data[:-1], hash_image(LISTED).data[-1] ^ 255]))
    for file, name in ((path, "strict"), (other, "plain")):
        file.unlink(missing_ok=True)
        with ReferenceList.create(file, name=name) as ref:
            ref.add("one", hashes=[near])
    text = f'[lists.strict]\npath = "{path}"\n[lists.strict.rules.pdq]\nthreshold = 4\n'
    text += f'[lists.plain]\npath = "{other}"\naction = "block"\n'
    told = ask(path, other, what=lambda client: client.post("/v1/match", content=KNOWN), config=config_from_toml(text))
    assert [(item["list"], item["action"]) for item in told.json()["matches"]] == [("plain", "block")]


def test_a_share_of_the_requests_is_compared_with_a_list(path: Path, tmp_path: Path) -> None:
    """By the request's identifier or a seed, the same for the same; the answer names what was left out."""
    other = one_picture_list(tmp_path / "other.hashmatch", name="other")
    lists = {"list": ListSettings(path=str(path), share=0.3), "other": ListSettings(path=str(other))}
    config, value = ServiceConfig(lists=lists), str(hash_image(LISTED))

    async def run(client: httpx.AsyncClient) -> list[Any]:
        found = []
        for number in range(200):
            seeded = await client.post("/v1/match/hashes", json={"hashes": [value], "seed": str(number)})
            by_name = await client.post(
                "/v1/match/hashes", json={"hashes": [value]}, headers={"X-Request-ID": str(number)}
            )
            assert seeded.json()["lists_left_out"] == by_name.json()["lists_left_out"]
            assert by_name.headers["x-request-id"] == str(number)
            found.append(seeded.json())
        return found

    told = ask(path, other, what=run, config=config)
    with_both = [item for item in told if not item["lists_left_out"]]
    assert 30 < len(with_both) < 90
    for item in told:
        compared = [part["list"] for part in item["lists"]]
        assert compared == (["list", "other"] if not item["lists_left_out"] else ["other"])
        assert {match["list"] for match in item["matches"]} == set(compared)
    none = ServiceConfig(lists={"list": ListSettings(path=str(path), share=0)})
    told = ask(path, what=lambda client: client.post("/v1/match", content=UNKNOWN), config=none).json()
    assert (told["outcome"], told["reason"], told["lists_left_out"]) == ("undecidable", "nothing-to-compare", ["list"])


def test_a_list_or_a_source_that_is_too_old_is_not_ready(path: Path) -> None:
    """With its age to who may see it; without a name to others."""
    settings = ListSettings(path=str(path), max_age=3_600, sources={"ncmec": 60})
    config = ServiceConfig(lists={"list": settings})

    async def run(client: httpx.AsyncClient) -> list[Any]:
        found = [(await client.get("/readyz")).json()["reasons"]]
        os.utime(path, (1_000_000, 1_000_000))
        headers = {"Authorization": f"Bearer {SECRETS['status']}"}
        found.append((await client.get("/readyz", headers=headers)).json()["reasons"])
        return found

    first, later = ask(path, what=run, config=config, tokens=TOKENS)
    assert first == [{"reason": "source-too-old"}]
    assert [item["reason"] for item in later] == ["list-too-old", "source-too-old"]
    assert later[0]["seconds"] > 1e8
    assert later[1]["source"] == "ncmec"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "\u00e9".encode().decode("latin-1"), "a/b"])
def test_a_request_identifier_of_another_form_is_replaced(path: Path, given: str) -> None:
    """It stands in the answer, in its header and in the log."""
    headers = {"X-Request-ID": given.encode("latin-1")}
    response = ask(path, what=lambda client: client.get("/livez", headers=headers))
    assert len(response.headers["x-request-id"]) == 16


def test_as_many_requests_as_may_be_are_held(path: Path) -> None:
    """One more is refused before its body is read, and those that are refused keep nobody out."""
    config = ServiceConfig(limits=LimitSettings(in_flight=2))

    async def run() -> None:
        kept: list[Service] = []
        async with served(path, config=config, prepare=kept.append) as client:
            gate = asyncio.Event()

            async def slow() -> Any:
                yield KNOWN[:10]
                await gate.wait()
                yield KNOWN[10:]

            held = [asyncio.create_task(client.post("/v1/match", content=slow())) for _ in range(2)]
            while kept[0].in_flight < 2:
                await asyncio.sleep(0.01)
            for _ in range(3):
                refused = await client.post("/v1/match", content=KNOWN)
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert (await client.get("/livez")).status_code == 200
            gate.set()
            assert [(await task).json()["outcome"] for task in held] == ["match"] * 2
            assert (await client.post("/v1/match", content=KNOWN)).status_code == 200

    asyncio.run(run())


def test_a_picture_that_would_wait_too_long_is_refused_before_it_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the time after which to ask again; hashes are answered all the same."""
    monkeypatch.setattr(Matcher, "expected_wait", lambda _: 2.4)

    async def run(client: httpx.AsyncClient) -> None:
        refused = await client.post("/v1/match", content=KNOWN)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
        assert refused.json()["error"]["code"] == "queue-full"
        found = await client.post("/v1/match/hashes", json={"hashes": [str(hash_image(LISTED))]})
        assert found.status_code == 200

    ask(path, what=run)
    ask(path, what=lambda client: client.post("/v1/match", content=KNOWN), config=_patient()).raise_for_status()


def _patient() -> ServiceConfig:
    return ServiceConfig(limits=LimitSettings(wait_seconds=3))
