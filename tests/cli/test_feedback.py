"""``hashmatch list feedback``: keep, show, export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import ReferenceList
from hashmatch.cli.app import app
from hashmatch.lists.feedback import feedback_path
from support.list_makers import made_up


def run(*words: object) -> tuple[int, str, str]:
    """Run ``hashmatch list feedback`` in this process."""
    result = CliRunner().invoke(app, ["list", "feedback", *map(str, words)], env={"TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Make a list."""
    with ReferenceList.create(tmp_path / "list", name="x") as ref:
        labels = {"threatexchange-descriptors": "2001"}
        ref.add("threatexchange:1", hashes=[made_up(1, "md5")], source="te", labels=labels)
    return tmp_path / "list"


def test_keep_show_and_export(listed: Path, tmp_path: Path) -> None:
    """What is said is shown, and written as requests to standard output or a new file of the owner's."""
    assert run(listed)[0] == 1
    code, out, _ = run(
        listed, "threatexchange:1", "--verdict", "false", "--reason", "a cartoon", "--who", "desk 3", "-a", "md5"
    )
    assert code == 0
    assert "threatexchange:1: false, by md5, reason: a cartoon, said by desk 3" in out
    code, out, _ = run(listed, "threatexchange:1", "--json")
    assert (code, json.loads(out)["verdict"]) == (0, False)
    assert run(listed, "other")[0] == 1
    code, out, _ = run(listed, "--export", "threatexchange")
    assert json.loads(out) == {
        "method": "POST",
        "path": "/2001",
        "type": "application/x-www-form-urlencoded",
        "body": "reactions=DISAGREE_WITH_TAGS",
    }
    target = tmp_path / "requests"
    assert run(listed, "--export", "threatexchange", "-o", target)[0] == 0
    assert json.loads(target.read_text()) == json.loads(out)
    assert target.stat().st_mode & 0o777 == 0o600
    assert run(listed, "--export", "threatexchange", "-o", target)[0] == 2
    assert run(listed, "--export", "ncmec")[0] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["none", "--verdict", "true"],
        ["threatexchange:1", "--verdict", "maybe"],
        ["--verdict", "true"],
        ["threatexchange:1", "--reason", "x"],
        ["threatexchange:1", "--verdict", "true", "-a", "pdq"],
        ["threatexchange:1", "--verdict", "true", "-a", "nothing"],
        ["threatexchange:1", "--verdict", "true", "--reason", "x" * 2000],
        ["threatexchange:1", "--verdict", "true", "--export", "ncmec"],
        ["threatexchange:1", "--export", "ncmec"],
        ["--export", "nobody"],
        ["-o", "x"],
    ],
)
def test_what_makes_no_sense_is_an_error(listed: Path, words: list[str]) -> None:
    """And nothing is kept of it."""
    code, _, err = run(listed, *words)
    assert code == 2
    assert err
    assert not feedback_path(listed).exists()


def test_damage_is_told(listed: Path) -> None:
    """A line cut short is named on standard error."""
    run(listed, "threatexchange:1", "--verdict", "true")
    file = feedback_path(listed)
    file.write_bytes(file.read_bytes() + b'{"entry":')
    code, out, err = run(listed)
    assert code == 0
    assert len(out.splitlines()) == 1
    assert "line 2 is cut short" in err
