"""Requests that are made from the OpenAPI document, good and bad: no answer is a fault, or other than it says.

All of schemathesis' checks and phases, in this process. The run in the suite makes a few requests of a kind beside the
systematic ones; that of ``-m long`` makes hundreds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hashmatch import Matcher
from hashmatch.service.app import create_app
from hashmatch.service.config import LimitSettings, ServerSettings, ServiceConfig
from hashmatch.service.service import Service
from hashmatch.service.tokens import Tokens
from support.service_makers import one_picture_list

schemathesis = pytest.importorskip("schemathesis")

HMA = ("/h/", "/m/", "/c/", "/status")
"""Routes that answer 400 where the original does, also to what its document and so ours allow."""

TOKEN = "a-token-of-a-test"  # noqa: S105 - made up
CONFIG = ServiceConfig(server=ServerSettings(hma=True), limits=LimitSettings(body_bytes=100_000))


@schemathesis.serializer("application/x-ndjson")
def as_lines(_: Any, value: Any) -> Any:
    """Write a body of lines; what is no text is one line of JSON."""
    return value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()


def as_meant(path: str, check: str) -> bool:
    """Whether a finding is as meant: HMA's refusals, and a batch, which answers a wrong line by a line."""
    if check == "positive_data_acceptance":
        return path.startswith(HMA)
    return check == "negative_data_rejection" and path == "/v1/match/batch"


def findings(path: Path, examples: int) -> tuple[set[str], int]:
    """Run it all: what failed, by operation and check, and how many requests were made."""
    settings: dict[str, Any] = {
        "headers": {"Authorization": f"Bearer {TOKEN}"},
        "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
        "continue-on-failure": True,
    }
    found, asked = set(), 0
    with Matcher.open(path) as matcher:
        service = Service(matcher, CONFIG, Tokens.parse(f"me match,status,admin {TOKEN}"))
        config = schemathesis.Config.from_dict(settings)
        head = {"Authorization": f"Bearer {TOKEN}"}
        schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(service), config=config, headers=head)
        for event in schemathesis.engine.from_schema(schema).execute():
            error = getattr(event, "value", None) or getattr(event, "exception", None)
            if isinstance(error, Exception):
                found.add(f"{getattr(event, 'label', '')}: {error!r}")
            recorder = getattr(event, "recorder", None)
            if recorder is None:
                continue
            asked += len(recorder.interactions)
            for case, checks in recorder.checks.items():
                for check in checks:
                    sent = recorder.interactions[case].request
                    if check.failure_info is not None and not as_meant(urlsplit(sent.uri).path, check.name):
                        failure = check.failure_info.failure
                        found.add(
                            f"{sent.method} {sent.uri[:200]}: {check.name}: {failure.title}: {failure.message[:300]}"
                        )
        service.checks.close()
    return found, asked


def test_answers_are_as_the_document_says(tmp_path: Path) -> None:
    """A few requests of each kind."""
    found, asked = findings(one_picture_list(tmp_path / "list.hashmatch"), 5)
    assert found == set()
    assert asked > 300


@pytest.mark.long
def test_many_answers_are_as_the_document_says(tmp_path: Path) -> None:
    """Hundreds of each."""
    found, asked = findings(one_picture_list(tmp_path / "list.hashmatch"), 300)
    assert found == set()
    assert asked > 3_000
