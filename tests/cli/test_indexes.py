"""``hashmatch index``: what it says of sound and damaged files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hashmatch.cli import indexes as module
from hashmatch.cli.app import app
from hashmatch.index import MultiIndex
from hashmatch.index.verification import Verification


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a small index."""
    rng = np.random.default_rng(5)
    MultiIndex.build(rng.integers(0, 256, (2_000, 32), dtype=np.uint8)).save(tmp_path / "index")
    return tmp_path / "index"


def run(*arguments: object) -> tuple[int, str]:
    """Run the command; exit code and all that it prints."""
    done = CliRunner().invoke(app, ["index", *map(str, arguments)])
    return done.exit_code, done.output


def test_verify(file: Path) -> None:
    """A sound file is called sound, in words and in JSON; one with a changed byte is an error."""
    code, out = run("verify", file, "--sample", 8)
    assert (code, "sound: 2,000 entries" in out) == (0, True)
    code, out = run("verify", file, "--sample", 8, "--json")
    found: dict[str, Any] = json.loads(out)
    assert (code, found["kind"], found["wrong"], found["searches"]) == (0, "multi", 0, 32)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert run("verify", file)[0] == 2


def test_verify_reports_wrong_answers(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that differs from brute force is an error, in JSON too."""
    wrong = Verification(n_entries=1, n_searches=4, n_hits=3, n_wrong=2, radii=(0,))
    monkeypatch.setattr(module, "verify_index", lambda *_, **__: wrong)
    code, out = run("verify", file)
    assert (code, "2 of 4 searches differ" in out) == (2, True)
    assert run("verify", file, "--json")[0] == 2


def test_explain(file: Path) -> None:
    """What it holds, the plan, and a search's cost; no hash is shown."""
    wanted = "pdq:" + "0f" * 32
    code, out = run("explain", file, "--hash", wanted)
    assert code == 0
    assert "multi: 2,000 codes of 256 bits, hamming" in out
    assert "this search: 0 hits" in out
    assert "0f0f" not in out
    code, out = run("explain", file, "--radius", 8, "--json")
    found = json.loads(out)
    assert (code, found["radius"], found["entries"]) == (0, 8, 2_000)
    assert found["plan"]["expected_us"]["linear"] > 0
    assert "search" not in found


def test_explain_refuses_what_is_no_hash(file: Path) -> None:
    """A text that is no hash, a hash of another length, and a file that is no index are errors."""
    assert run("explain", file, "--hash", "photo.jpg")[0] == 2
    assert run("explain", file, "--hash", "phash:" + "0f" * 8)[0] == 2
    file.write_bytes(b"no index")
    assert run("explain", file)[0] == 2
