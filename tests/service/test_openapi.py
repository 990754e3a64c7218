"""The OpenAPI document: every route stands in it, and every answer is as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from hashmatch import Matcher, hash_image
from hashmatch.profiles import PRESETS
from hashmatch.service.app import create_app
from hashmatch.service.config import ServerSettings, ServiceConfig
from hashmatch.service.doorway import ScopedRoute
from hashmatch.service.openapi import CODES
from hashmatch.service.service import Service
from hashmatch.service.tokens import Tokens
from support.service_makers import KNOWN, LISTED, UNKNOWN, ask, one_picture_list

TOKEN = "a-token-of-a-test"  # noqa: S105 - made up


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of one picture."""
    return one_picture_list(tmp_path / "list.hashmatch")


def document(path: Path, **options: Any) -> dict[str, Any]:
    """Ask for the document."""
    found: dict[str, Any] = ask(path, what=lambda client: client.get("/openapi.json"), **options).json()
    return found


@pytest.mark.parametrize("hma", [False, True])
def test_every_route_stands_in_it_and_no_other(path: Path, hma: bool) -> None:
    """With its method and, where there are tokens, its scope; none where everybody may ask."""
    config = ServiceConfig(server=ServerSettings(hma=hma))
    with Matcher.open(path) as matcher:
        app = create_app(Service(matcher, config, Tokens.parse(f"me match {TOKEN}")))
        routes = {
            (route.path, method): route.scope
            for route in app.routes
            if isinstance(route, ScopedRoute)
            for method in (route.methods or set()) - {"HEAD"}
        }
        assert len(app.routes) == len(routes)
    told = document(path, config=config, tokens=f"me match {TOKEN}")
    named = {(path, method.upper()): item for path, part in told["paths"].items() for method, item in part.items()}
    assert named.keys() == routes.keys()
    for key, item in named.items():
        assert ("security" in item, "401" in item["responses"]) == (routes[key] is not None,) * 2, key
        assert item["summary"]
    assert all("security" not in item for part in document(path)["paths"].values() for item in part.values())


def test_answers_are_as_it_says(path: Path) -> None:
    """Good ones, errors, reports with and without matches, by every policy."""
    known = str(hash_image(LISTED))

    async def run(client: httpx.AsyncClient) -> dict[str, Any]:
        told = (await client.get("/openapi.json")).json()
        found = [
            await client.post("/v1/match?hashes=1", content=KNOWN),
            await client.post("/v1/match", content=UNKNOWN),
            await client.post("/v1/match", content=b"x"),
            await client.post("/v1/match", content=b""),
            await client.post("/v1/match/hashes", json={"hashes": [known]}),
            await client.post("/v1/match/hashes", json={"hashes": ["pdq:00"]}),
            await client.get("/v1/lists"),
            await client.get("/v1/status"),
            await client.post("/v1/reload"),
            await client.get("/livez"),
            await client.get("/readyz"),
            await client.get("/openapi.json"),
        ]
        for response in found:
            request = response.request
            answer = told["paths"][request.url.path][request.method.lower()]["responses"][str(response.status_code)]
            schema = answer["content"]["application/json"]["schema"] | {"components": told["components"]}
            jsonschema_rs.validator_for(schema).validate(response.json())
        return told  # type: ignore[no-any-return]

    for policy in PRESETS.values():
        ask(path, what=run, config=ServiceConfig(policy=policy))


def test_hashes_without_a_rule_are_not_in_its_pattern(path: Path) -> None:
    """Keypoint records only where the policy compares them."""
    patterns = [
        document(path, config=ServiceConfig(policy=PRESETS[name]))["components"]["schemas"]["Hashes"]
        for name in ("standard", "thorough")
    ]
    assert ["keypoint" in str(item) for item in patterns] == [False, True]
    assert all("pdq:[0-9a-fA-F]{64}" in str(item) for item in patterns)


def test_errors_of_the_door_are_explained() -> None:
    """Each code that a route names has a sentence."""
    assert all(text.endswith(".") for text in CODES.values())
