"""What a list means, on the command line: roles, selections, quarantine and confirmation are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import HashValue, ReferenceList, hash_image
from hashmatch.cli.app import app
from hashmatch.lists import Entry
from hashmatch.synthetic import picture
from support.picture_makers import save

PHOTO = picture("photo", 11, size=(160, 200))
POLICY = """
base = "standard"
name = "mine"
[rules.pdq]
confirm_by = ["phash"]
[flood]
share = 0.01
window = 1000
hold = true
[[selections]]
action = "block"
where = {classes = ["uk:A", "uk:B"], lists = ["demo"], sources = ["hotlin"]}
[[selections]]
where = {sources = ["hotline"]}
action = "review"
without = ["ahash"]
[selections.rules.pdq]
threshold = 20
[[selections]]
where = {sources = ["known"]}
"""


def run(*words: object) -> tuple[int, str, str]:
    """Run a command in this process."""
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "250", "TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a picture, a list that knows it, and a policy."""
    pixels = hash_image(PHOTO)
    near = HashValue("pdq", bytes([pixels.data[0] ^ 3, *pixels.data[1:]]))
    with ReferenceList.create(tmp_path / "list", name="demo") as ref:
        ref.add("bad", hashes=[near], source="hotline", labels={"uk": "A"})
    (tmp_path / "uploads.png").write_bytes(save(PHOTO, "PNG"))
    (tmp_path / "mine.toml").write_text(POLICY)
    return tmp_path


def listed(folder: Path, role: str, name: str) -> None:
    """List the picture itself too."""
    with ReferenceList.open(folder / "list", writable=True) as ref:
        ref.add_many([Entry.of(name, hashes=[hash_image(PHOTO)], source="known", role=role)])  # type: ignore[arg-type]


def test_suppressed_and_compared(folder: Path) -> None:
    """Who reads the answer sees what was suppressed by what, and exit codes do not alarm."""
    listed(folder, "benign", "wallpaper")
    code, out, _ = run("match", folder / "uploads.png", "-l", folder / "list")
    assert (code, out.splitlines()[0].split()[:2]) == (1, ["no", "match"])
    assert "suppressed: entry bad of list demo" in out
    assert "by benign entry wallpaper of list demo" in out
    code, out, _ = run("match", folder / "uploads.png", "-l", folder / "list", "--json")
    (pair,) = json.loads(out)["suppressed"]
    assert (pair["match"]["entry_id"], pair["by"]["entry_id"], pair["by"]["distance"]) == ("bad", "wallpaper", 0)
    code, out, _ = run("scan", folder, "-l", folder / "list", "--no-isolate")
    assert code == 1
    assert "by benign entry wallpaper" in out


def test_comparison(folder: Path) -> None:
    """It is shown apart, and the exit code is that of no match."""
    with ReferenceList.open(folder / "list", writable=True) as ref:
        ref.withdraw("bad", source="hotline")
    listed(folder, "comparison", "room")
    code, out, _ = run("match", folder / "uploads.png", "-l", folder / "list")
    assert code == 1
    assert "for comparison: entry room of list demo" in out


def test_actions(folder: Path) -> None:
    """A match says its action, and whether another hash confirmed it."""
    code, out, _ = run("match", folder / "uploads.png", "-l", folder / "list", "--policy", folder / "mine.toml")
    assert code == 0
    assert "unconfirmed, action: review" in out


def test_check_says_selections_and_names_what_no_list_has(folder: Path) -> None:
    """A misspelt name selects nothing, and nobody would see it."""
    code, out, err = run("policy", "check", folder / "mine.toml", "-l", folder / "list")
    assert code == 0
    for said in (
        "pdq: within 31, quality 50 or more, confirmed by phash",
        "selection 1: list demo and source hotlin and class uk:A or uk:B: action block",
        "selection 2: source hotline: action review",
        "    pdq: within 20, quality 50 or more, confirmed by phash",
        "    not compared: ahash",
        "selection 3: source known: no action",
        "listings of no selection are not compared",
        "quarantine: an entry that",
    ):
        assert said in out, said
    warned = [line for line in err.splitlines() if "no list has" in line]
    assert len(warned) == 3
    for name in ("'hotlin'", "'uk:B'", "'known'"):
        assert any(name in line for line in warned), name
    record = json.loads(run("policy", "check", folder / "mine.toml", "-l", folder / "list", "--json")[1])
    assert len(record["unused"]) == 3
