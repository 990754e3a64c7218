"""``hashmatch index``: what it says of sound and damaged files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hashmatch.cli import indexes as module
from hashmatch.cli.app import app
from hashmatch.index import MultiIndex
from hashmatch.index.costs import MEASURED
from hashmatch.index.verification import Verification
from hashmatch.lists import Entry, ReferenceList
from support.list_makers import made_up, made_up_record


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
    file.chmod(0o600)
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
    file.chmod(0o600)
    file.write_bytes(b"no index")
    assert run("explain", file)[0] == 2


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Write a list of 3,000 entries and make an index folder beside it."""
    with ReferenceList.create(tmp_path / "list", name="mine") as ref:
        ref.add_many(Entry.of(f"e{i}", hashes=[made_up(i), made_up(i, "md5")]) for i in range(3_000))
    (tmp_path / "folder").mkdir()
    return tmp_path / "list"


def test_build_and_verify(listed: Path) -> None:
    """Files are made once, made again when asked or when the list has changed, and verified against the list."""
    folder = listed.parent / "folder"
    code, out = run("build", listed, "--folder", folder)
    assert (code, out.count("made in"), "mine, pdq: 3,000 hashes" in out) == (0, 2, True)
    code, out = run("build", listed, "--folder", folder)
    assert (code, out.count("up to date")) == (0, 2)
    code, out = run("build", listed, "--folder", folder, "--again", "--memory", 1, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, [line["made"] for line in lines], [line["entries"] for line in lines]) == (0, [True] * 2, [3_000] * 2)
    (file,) = folder.glob("*.pdq.index")
    code, out = run("verify", file, "--sample", 4, "--list", listed)
    assert (code, "its 3,000 rows are those" in out, "what the list does now" in out) == (0, True, True)
    with ReferenceList.open(listed, writable=True) as ref:
        ref.withdraw("e3")
    code, out = run("verify", file, "--sample", 4, "--list", listed)
    assert (code, "at version 2" in out) == (0, True)
    found = json.loads(run("verify", file, "--sample", 4, "--list", listed, "--json")[1])
    assert (found["rows"], found["up_to_date"]) == (3_000, False)
    code, out = run("build", listed, "--folder", folder)
    assert (code, out.count("2,999 hashes"), out.count("made in")) == (0, 2, 2)
    with ReferenceList.create(listed.parent / "other", name="other"):
        pass
    assert run("verify", file, "--list", listed.parent / "other")[0] == 2


def test_build_and_verify_of_records(tmp_path: Path) -> None:
    """The files of a policy with keypoints are made at once, and that of records is verified against the list, too."""
    path, folder = tmp_path / "list", tmp_path / "folder"
    folder.mkdir()
    with ReferenceList.create(path, name="mine") as ref:
        ref.add_many(Entry.of(f"e{i}", hashes=[made_up(i), made_up_record(i, 20)], quality=80) for i in range(40))
    code, out = run("build", path, "--folder", folder, "--policy", "thorough")
    assert (code, out.count("made in"), "mine, keypoint: 40 hashes" in out) == (0, 2, True)
    code, out = run("build", path, "--folder", folder, "--policy", "thorough", "--clean")
    assert (code, out.count("up to date"), "removed" in out) == (0, 2, False)
    (file,) = folder.glob("*.keypoint.index")
    code, out = run("verify", file, "--list", path)
    assert (code, "sound: 40 entries" in out, "its 40 rows are those" in out, "does now" in out) == (
        0,
        True,
        True,
        True,
    )
    with ReferenceList.open(path, writable=True) as ref:
        ref.withdraw("e3")
    found = json.loads(run("verify", file, "--list", path, "--json")[1])
    assert (found["kind"], found["rows"], found["searches"], found["up_to_date"]) == ("keypoint", 40, 0, False)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)
    assert run("verify", file)[0] == 2


def test_build_says_what_is_wrong(listed: Path) -> None:
    """A folder that is not there, a list that is none and a wrong option are errors."""
    assert run("build", listed, "--folder", listed.parent / "nowhere")[0] == 2
    assert run("build", listed.parent / "nothing", "--folder", listed.parent / "folder")[0] == 2
    assert run("build", listed, "--folder", listed.parent / "folder", "--policy", "none")[0] == 2
    assert not list((listed.parent / "folder").iterdir())


def test_build_of_an_empty_list(tmp_path: Path) -> None:
    """A list without hashes has no file, and the command says so; a folder that is not there is an error."""
    with ReferenceList.create(tmp_path / "list", name="mine"):
        pass
    assert run("build", tmp_path / "list", "--folder", tmp_path / "nowhere")[0] == 2
    (tmp_path / "folder").mkdir()
    code, out = run("build", tmp_path / "list", "--folder", tmp_path / "folder")
    assert (code, "mine: no hashes, so no file" in out) == (0, True)
    assert not list((tmp_path / "folder").iterdir())


def test_calibrate_and_explain(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured costs are kept in the folder, and explain says which it used, also where they are of no use."""
    folder = listed.parent / "folder"
    run("build", listed, "--folder", folder)
    (file,) = folder.glob("*.pdq.index")
    assert "costs: built in; hashmatch index calibrate" in run("explain", file)[1]
    monkeypatch.setattr(module, "calibrate", lambda *, scale: replace(MEASURED, probe=scale))
    code, out = run("calibrate", "--folder", folder, "--scale", 0.5)
    assert (code, "probe" in out, "0.50 ns" in out) == (0, True, True)
    assert json.loads(run("calibrate", "--folder", folder, "--json")[1])["costs"]["probe"] == 0.25
    assert "costs: measured on this machine" in run("explain", file)[1].replace("\n", " ")
    found = json.loads(run("explain", file, "--json")[1])
    assert found["costs"]["probe"] == 0.25
    (folder / "costs.json").write_text("junk")
    assert "costs: built in, because" in run("explain", file)[1]
    assert "costs: built in; " in run("explain", file, "--folder", listed.parent)[1]
    assert run("calibrate", "--folder", listed.parent / "nowhere")[0] == 2
