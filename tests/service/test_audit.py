"""A service that records its answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from hashmatch import hash_image
from hashmatch.audit import AuditLog, LogReader, verify_log
from hashmatch.errors import AuditError
from hashmatch.service.app import create_app
from hashmatch.service.config import config_from_toml
from hashmatch.service.service import Service
from support.audit_makers import KEY
from support.service_makers import KNOWN, LISTED, UNKNOWN, one_picture_list

TOML = """
paths = ["list"]
[decoding]
workers = 1
require = "none"
[audit]
log = "log"
key_file = "key"
actor = "door 1"
keep_hashes = true
"""


def test_every_answer_is_recorded_and_signed_at_the_end(tmp_path: Path) -> None:
    """Pictures and hashes; what cannot be recorded is not answered."""
    one_picture_list(tmp_path / "list")
    KEY.save(tmp_path / "key")
    AuditLog.create(tmp_path / "log", KEY).close()
    config = config_from_toml(TOML).in_folder(tmp_path)

    async def asked() -> list[int]:
        service = Service.open(config)
        transport = httpx.ASGITransport(app=create_app(service), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            codes = [(await client.post("/v1/match", content=data)).status_code for data in (KNOWN, UNKNOWN)]
            body = {"hashes": [str(hash_image(LISTED))]}
            codes.append((await client.post("/v1/match/hashes", json=body)).status_code)
            if service.log is not None:
                service.log.close()
            codes.append((await client.post("/v1/match", content=KNOWN)).status_code)
            await service.close()
        return codes

    assert asyncio.run(asked()) == [200, 200, 200, 503]
    with LogReader(tmp_path / "log") as reader:
        contents = [record.content or {} for record in reader]
    assert [item["outcome"] for item in contents if item["kind"] == "answer"] == ["match", "no match", "match"]
    assert {item["actor"] for item in contents if item["kind"] == "context"} == {"door 1"}
    assert verify_log(tmp_path / "log", KEY.verifiers).sound


def test_a_log_that_is_not_there_opens_no_service(tmp_path: Path) -> None:
    """The error is that of the log, and nothing stays open."""
    one_picture_list(tmp_path / "list")
    KEY.save(tmp_path / "key")
    with pytest.raises(AuditError, match="cannot be opened"):
        Service.open(config_from_toml(TOML).in_folder(tmp_path))
