"""Addresses over HTTP: what is answered, that nothing more is told, and that the list cannot be read out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from hashmatch.errors import PolicyError, ReferenceListError
from hashmatch.service.config import ServiceConfig, UrlSettings, config_from_toml
from hashmatch.service.service import Service
from hashmatch.service.url_routes import UrlDoor
from hashmatch.urls import UrlKey, UrlList
from support.service_makers import ask, one_picture_list

pytest.importorskip("ada_url")

TOKENS = "one match token-of-a-caller-1\ntwo match token-of-a-caller-2\nthree status token-of-a-caller-3"
LISTED = "http://shop.example.com/canary"
OTHER = "http://shop.example.com/other1"


@pytest.fixture
def settings(tmp_path: Path) -> UrlSettings:
    """Make a list of one address."""
    key = UrlKey.make()
    key.save(tmp_path / "key")
    UrlList.create(tmp_path / "list.urls", key, name="made up").add([LISTED])
    return UrlSettings(
        paths=(str(tmp_path / "list.urls"),), key_files=(str(tmp_path / "key"),), per_second=0.5, burst=6
    )


def served(tmp_path: Path, settings: UrlSettings | None, what: Any, **options: Any) -> Any:
    """Serve a list of pictures and one of addresses, and ask."""
    config = ServiceConfig(urls=settings, **options)

    def prepare(service: Service) -> None:
        if settings is not None:
            service.urls = UrlDoor(settings, 0.0)

    path = tmp_path / "pictures"
    path = path if path.exists() else one_picture_list(path)
    return ask(path, what=what, config=config, tokens=TOKENS, prepare=prepare)


def post(client: httpx.AsyncClient, addresses: Any, caller: int = 1) -> Any:
    """Ask about addresses."""
    headers = {"Authorization": f"Bearer token-of-a-caller-{caller}"}
    return client.post("/v1/urls/check", json={"addresses": addresses}, headers=headers)


def test_answers_tell_the_outcome_and_have_one_length(tmp_path: Path, settings: UrlSettings) -> None:
    """Whatever they say; and the document describes them."""

    async def what(client: httpx.AsyncClient) -> Any:
        asked = [await post(client, given) for given in ([LISTED, "http://"], [OTHER, OTHER])]
        return [*asked, await client.get("/openapi.json")]

    first, second, document = served(tmp_path, settings, what)
    assert first.json() == {"outcomes": ["listed", "undecided"]}
    assert second.json() == {"outcomes": ["not-listed", "not-listed"]}
    assert len(first.content) == len(second.content)
    assert "/v1/urls/check" in document.json()["paths"]


def test_each_caller_has_a_limit_of_its_own(
    tmp_path: Path, settings: UrlSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """What is over it is refused with the time to wait; the log names who asked, and no address."""

    async def what(client: httpx.AsyncClient) -> Any:
        return [
            await post(client, [LISTED] * 6),
            await post(client, [LISTED]),
            await post(client, [LISTED] * 6, caller=2),
            await post(client, [LISTED] * 7, caller=2),
            await post(client, [LISTED], caller=3),
        ]

    with caplog.at_level(logging.DEBUG):
        answers = served(tmp_path, settings, what)
    assert [item.status_code for item in answers] == [200, 429, 200, 400, 403]
    assert answers[1].headers["retry-after"] == "2"
    assert "caller one asks" in caplog.text
    assert "canary" not in caplog.text + "".join(item.text for item in answers)


@pytest.mark.parametrize("given", [[], "x", [1], None, {"a": 1}])
def test_bodies_of_another_form_are_refused(tmp_path: Path, settings: UrlSettings, given: Any) -> None:
    """With 400."""

    async def what(client: httpx.AsyncClient) -> Any:
        return await post(client, given)

    assert served(tmp_path, settings, what).status_code == 400


def test_a_changed_list_is_taken_up_and_a_missing_one_told(tmp_path: Path, settings: UrlSettings) -> None:
    """It is asked as it was, and the service is not ready."""
    listed = UrlList.open(settings.paths[0], UrlKey.load(settings.key_files[0]))

    async def what(client: httpx.AsyncClient) -> Any:
        found = [(await post(client, [OTHER])).json()]
        listed.add([OTHER])
        found.append((await post(client, [OTHER])).json())
        Path(settings.paths[0]).unlink()
        found.append((await post(client, [OTHER])).json())
        return found, (await client.get("/readyz")).json()["reasons"]

    found, reasons = served(tmp_path, settings, what, unreadable_seconds=0.0)
    assert [item["outcomes"] for item in found] == [["not-listed"], ["listed"], ["listed"]]
    assert {"reason": "addresses-unreadable"} in reasons


def test_the_table_of_the_configuration(tmp_path: Path, settings: UrlSettings) -> None:
    """Paths are as of its folder; without it there is no route; a list that is none stops the start."""
    text = 'paths = ["p"]\n[urls]\npaths = ["a.urls"]\nkey_files = ["a.key"]\nburst = 7\n'
    found = config_from_toml(text).in_folder(tmp_path).urls
    assert found == UrlSettings(paths=(str(tmp_path / "a.urls"),), key_files=(str(tmp_path / "a.key"),), burst=7)
    with pytest.raises(PolicyError):
        config_from_toml("[urls]\npaths = []\nkey_files = []\nburst = 0\n")
    with pytest.raises(ReferenceListError):
        UrlDoor(UrlSettings(paths=(), key_files=settings.key_files), 1.0)

    async def what(client: httpx.AsyncClient) -> Any:
        return await post(client, [LISTED])

    assert served(tmp_path, None, what).status_code == 404
