"""Commands for what a list keeps of its sources, and what terms do to an export."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import ReferenceList
from hashmatch.cli.app import app
from support.list_makers import made_up

RUNNER = CliRunner()


def run(*words: object) -> tuple[int, str, str]:
    """Run a command in this process."""
    result = RUNNER.invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Make a list of two sources."""
    with ReferenceList.create(tmp_path / "l.hashmatch", name="l") as ref:
        ref.add("a", hashes=[made_up(1)], source="hotline")
        ref.add("b", hashes=[made_up(2)], source="ours")
    return tmp_path / "l.hashmatch"


def test_role(listed: Path) -> None:
    """Changed once; a new version, because matchers answer otherwise."""
    assert run("list", "role", listed, "ours", "benign")[:2] == (0, "changed; version 3\n")
    assert json.loads(run("list", "role", listed, "ours", "benign", "--json")[1]) == {"changed": False, "version": 3}
    with ReferenceList.open(listed) as ref:
        assert [info.role for info in ref.sources()] == ["alarm", "benign"]
    assert run("list", "role", listed, "nobody", "benign")[0] == 2
    assert run("list", "role", listed, "ours", "good")[0] == 2


def test_terms_bind_exports(listed: Path, tmp_path: Path) -> None:
    """They are shown, set and taken away, are no content, and stop an export that does not name their source."""
    assert run("list", "terms", listed, "hotline")[:2] == (0, "no terms\n")
    assert run("list", "terms", listed, "hotline", "no onward sharing")[:2] == (0, "no onward sharing\n")
    found = json.loads(run("list", "terms", listed, "hotline", "--json")[1])
    assert found == {"source": "hotline", "terms": "no onward sharing"}
    assert run("list", "terms", listed, "nobody", "x")[0] == 2
    with ReferenceList.open(listed) as ref:
        assert (ref.version, len(ref.sources())) == (2, 2)
    code, out, err = run("list", "export", listed, "--output", tmp_path / "x")
    assert (code, out) == (2, "")
    assert "'hotline' has terms: 'no onward sharing'" in err
    assert not (tmp_path / "x").exists()
    assert run("list", "export", listed, "--source", "ours")[0] == 0
    assert len(run("list", "export", listed, "--despite-terms", "hotline")[1].splitlines()) == 2
    assert run("list", "terms", listed, "hotline", "")[:2] == (0, "no terms\n")
    assert run("list", "export", listed)[0] == 0


def test_what_is_kept_of_sources_is_shown(listed: Path, tmp_path: Path) -> None:
    """Roles, terms and the time of the last import, by info, show and diff."""
    new = tmp_path / "new.hashmatch"
    new.write_bytes(listed.read_bytes())
    (tmp_path / "text").write_text(f"{made_up(3)}\n")
    run("list", "import", new, tmp_path / "text", "--source", "fresh")
    run("list", "role", new, "ours", "benign")
    run("list", "terms", new, "hotline", "no onward sharing")
    found = json.loads(run("list", "info", new, "--json")[1])
    assert found["roles"] == {"hotline": "alarm", "ours": "benign", "fresh": "alarm"}
    assert found["terms"] == {"hotline": "no onward sharing"}
    assert list(found["imported"]) == ["fresh"]
    when = found["imported"]["fresh"]
    assert abs(datetime.fromisoformat(when).timestamp() - time.time()) < 600
    out = run("list", "info", new)[1]
    for said in ("ours: benign", "hotline: terms: no onward sharing", f"fresh: imported {when}"):
        assert said in out
    assert "from ours (benign): 1 pdq" in run("list", "show", new, "b")[1]
    assert json.loads(run("list", "show", new, "b", "--json")[1])["listings"][0]["role"] == "benign"
    code, out, _ = run("list", "diff", listed, new)
    assert code == 1
    lines = out.splitlines()
    assert lines[:2] == ["changed b: 0 hashes more, 0 fewer", "    ours: role: alarm -> benign"]
    assert "source hotline: terms: none -> no onward sharing" in lines
    assert f"source fresh: imported: none -> {when}" in lines
    records = [json.loads(line) for line in run("list", "diff", listed, new, "--json")[1].splitlines()]
    assert records[0]["roles"] == [{"source": "ours", "old": "alarm", "new": "benign"}]
    assert {"source": "ours", "role": {"old": "alarm", "new": "benign"}} in records


def test_terms_alone_are_no_difference(listed: Path, tmp_path: Path) -> None:
    """They are shown; the lists hold the same."""
    new = tmp_path / "new.hashmatch"
    new.write_bytes(listed.read_bytes())
    run("list", "terms", new, "hotline", "x")
    code, out, _ = run("list", "diff", listed, new)
    assert (code, out) == (0, "source hotline: terms: none -> x\n0 added, 0 withdrawn, 0 changed\n")


def test_a_list_on_a_terminal_is_warned_of(listed: Path) -> None:
    """It is written all the same, to whoever looks on."""
    pty = pytest.importorskip("pty", reason="terminals of Unix")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "hashmatch", "list", "export", str(listed), "--format", "text"]
    done = subprocess.run(command, stdout=slave, stderr=subprocess.PIPE, text=True, timeout=120, check=True)
    os.close(slave)
    shown = os.read(master, 4096).decode()
    os.close(master)
    assert shown.split() == [str(made_up(1)), str(made_up(2))]
    assert "is the list itself" in done.stderr
    assert "is the list itself" not in run("list", "export", listed, "--format", "text")[2]
