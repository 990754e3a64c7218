"""``hashmatch list replace`` and ``recover``: what they say, and that nothing happens where they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch.cli.app import app
from hashmatch.lists import ReferenceList
from support.list_makers import ids_of, made_list, made_up, side_files, written_and_killed


def run(*words: object) -> tuple[int, str]:
    """Run a command of lists; its exit code and all it says."""
    done = CliRunner().invoke(app, ["list", *map(str, words)])
    return done.exit_code, done.output


def test_replace(tmp_path: Path) -> None:
    """A later version replaces, another list and an earlier version only by force; JSON says what is there now."""
    path = made_list(tmp_path / "list.hashmatch")
    new = Path(shutil.copyfile(path, tmp_path / "new.hashmatch"))
    old = Path(shutil.copyfile(path, tmp_path / "old.hashmatch"))
    other = made_list(tmp_path / "other.hashmatch", 2)
    with ReferenceList.open(new, writable=True) as ref:
        ref.add("entry-9", hashes=[made_up(9)])
    assert run("replace", path, new) == (0, "replaced: version 2, 6 entries\n")
    for file in (old, other, tmp_path / "missing", tmp_path):
        code, said = run("replace", path, file)
        assert code == 2
        assert len(said) > 20
        assert ids_of(path) == ids_of(new)
    assert "--force" in run("replace", path, other)[1]
    code, said = run("replace", path, other, "--force", "--json")
    assert code == 0
    with ReferenceList.open(path) as ref:
        expected = {"list_id": ref.list_id, "version": 1, "digest": ref.digest, "entries": 2}
    assert json.loads(said).items() >= expected.items()


def test_a_foreign_log_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Every command refuses such a list, for reading too, and says the command that helps."""
    path, other = made_list(tmp_path / "list.hashmatch"), made_list(tmp_path / "other.hashmatch", 9)
    written_and_killed(other)
    shutil.copyfile(f"{other}-wal", f"{path}-wal")
    for words in (("info", path), ("verify", path), ("withdraw", path, "entry-1"), ("replace", path, other)):
        code, said = run(*words)
        assert code == 2
        assert "list recover" in " ".join(said.split())
    assert run("recover", path)[0] == 2
    assert run("recover", path, "--with-log")[0] == 2
    assert run("recover", path, "--without-log") == (0, "recovered: version 1, 5 entries\n")
    assert side_files(path) == []


@pytest.mark.parametrize("form", ["copied", "sound"])
def test_recover_with_the_log(tmp_path: Path, form: str) -> None:
    """What a killed writer had committed is there; a list beside which nothing stands stays as it is."""
    path, copy = made_list(tmp_path / "list.hashmatch"), tmp_path / "copy.hashmatch"
    if form == "copied":
        written_and_killed(path)
        shutil.copyfile(f"{path}-wal", f"{copy}-wal")
    shutil.copyfile(path, copy)
    code, said = run("recover", copy, "--with-log", "--json")
    assert code == 0
    assert json.loads(said)["entries"] == (8 if form == "copied" else 5)
    assert len(ids_of(copy)) == (8 if form == "copied" else 5)
