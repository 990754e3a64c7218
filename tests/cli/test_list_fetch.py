"""``hashmatch list fetch``: the token comes from a file or the environment and is never shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import ReferenceList
from hashmatch.cli.app import app
from support.feed_server import Asked, Given, served

CANARY = "canarysecret"
PAGE = (Path(__file__).parents[1] / "golden/formats/stopncii-page.json").read_bytes()


def run(*words: object, **env: str) -> tuple[int, str, str]:
    """Run ``hashmatch list fetch`` in this process."""
    result = CliRunner().invoke(app, ["list", "fetch", *map(str, words)], env={"TERM": "dumb", **env})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert CANARY not in result.stdout + result.stderr
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Make an empty list."""
    ReferenceList.create(tmp_path / "list", name="x").close()
    return tmp_path / "list"


def answer(asked: Asked) -> Given:
    """Give the sample page to whoever has the token."""
    right = asked.headers.get("x-functions-key") == CANARY
    return Given(PAGE) if right else Given(status=401)


def test_fetch(listed: Path, tmp_path: Path) -> None:
    """By a file or by the environment; what was refused is shown."""
    token = tmp_path / "token"
    token.write_text(f"{CANARY}\n{CANARY}2\n")
    token.chmod(0o600)
    with served(answer) as server:
        code, out, err = run(listed, "stopncii", "--url", server.url, "--token-file", token, "--source", "ncii")
        assert code == 0
        assert "1 pages, 4 records: 2 accepted (2 new entries, 0 taken back), 1 known, 1 refused" in out
        assert "record 4 of its page" in err
        code, out, _ = run(listed, "stopncii", "--url", server.url, "--json", HASHMATCH_TOKEN=f"{CANARY}:x")
        assert json.loads(out)["new_entries"] == 0
        token.chmod(0o644)
        code, _, err = run(listed, "stopncii", "--url", server.url, "--token-file", token)
        assert code == 0
        assert "chmod 600" in err
        code, _, err = run(listed, "stopncii", "--url", server.url, HASHMATCH_TOKEN=f"no{CANARY}:x")
        assert code == 2
        assert "refuses the token (401)" in err


def test_what_makes_no_sense_is_an_error(listed: Path, tmp_path: Path) -> None:
    """No token, no such feed, no address."""
    big = tmp_path / "big"
    big.write_bytes(b"a" * 20_000)
    if "HASHMATCH_TOKEN" in os.environ:
        pytest.skip("the environment has a token")
    for words in (
        [listed, "stopncii"],
        [listed, "stopncii", "--token-file", tmp_path / "none"],
        [listed, "stopncii", "--token-file", big],
    ):
        code, _, err = run(*words)
        assert code == 2
        assert "token" in err or "No such file" in err
    for words in (
        [listed, "nothing"],
        [listed, "threatexchange"],
        [listed, "stopncii", "--url", "http://elsewhere.example"],
        [listed, "stopncii", "--member", "1=x"],
        [tmp_path / "no-list", "stopncii"],
    ):
        code, _, err = run(*words, HASHMATCH_TOKEN=f"{CANARY}:x")
        assert code == 2
        assert err
