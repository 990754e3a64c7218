"""What an argument names: a hash, a file, a pipe or standard input; and how errors and tables reach a program."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import hashmatch
from hashmatch import ReferenceList, hash_image
from hashmatch.cli.app import app
from hashmatch.cli.console import _Console, in_commands
from hashmatch.picture.encode import encode
from hashmatch.synthetic import picture

PHOTO = picture("photo", 31, size=(160, 200))
DATA = encode(PHOTO, "PNG")
RUNNER = CliRunner()
SOURCE = Path(hashmatch.__file__).parent


def run(*words: object, stdin: bytes = b"", **env: str) -> tuple[int, str, str]:
    """Run a command in this process."""
    result = RUNNER.invoke(app, [str(word) for word in words], input=stdin, env={"TERM": "dumb", **env})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Make a list that knows the picture."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        ref.add("entry-1", hashes=[hash_image(PHOTO)])
    return tmp_path / "list.hashmatch"


@pytest.mark.parametrize(
    "name",
    [
        "gone.jpg",
        "IMG 12:30:00.jpg",
        "C:\\Users\\x\\photo.jpg",
        "https://example.org/a.jpg",
        ":",
        "a:",
        "pqd:" + "0" * 64,
    ],
)
def test_a_missing_file_is_one_whatever_its_name(listed: Path, tmp_path: Path, name: str) -> None:
    """The others are looked at, before and after it, and a match counts."""
    (tmp_path / "photo.png").write_bytes(DATA)
    for sources in ([name, tmp_path / "photo.png"], [tmp_path / "photo.png", name]):
        code, out, _ = run("match", *sources, "--list", listed)
        assert (code, out.count("unreadable (not-found)"), out.count("match  ")) == (0, 1, 1)


@pytest.mark.parametrize("text", ["pdq:12", "PDQ:12", "md5:no hash", "sha256:"])
def test_a_spoilt_hash_is_told_before_anything_is_searched(listed: Path, tmp_path: Path, text: str) -> None:
    """It is an error of the call, not an answer in the middle of answers."""
    (tmp_path / "photo.png").write_bytes(DATA)
    code, out, err = run("match", tmp_path / "photo.png", text, "--list", listed)
    assert (code, out) == (2, "")
    assert "hexadecimal digit" in err


def test_a_file_named_like_a_hash_is_a_file(listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there goes before what it could mean."""
    monkeypatch.chdir(tmp_path)
    Path("pdq:photo.png").write_bytes(DATA)
    assert run("match", "pdq:photo.png", "--list", listed)[0] == 0


@pytest.mark.parametrize("text", ["0f" * 32, "pqd:" + "0f" * 32])
def test_what_looks_like_a_hash_is_explained(listed: Path, text: str) -> None:
    """Bare digits and a misspelt algorithm are missing files, with a word on how a hash is written."""
    code, _, err = run("match", text, "--list", listed)
    assert code == 2
    assert "ALGORITHM:HEX" in err


@pytest.mark.parametrize("isolate", [[], ["--isolate"]])
def test_standard_input_is_a_picture(listed: Path, isolate: list[str]) -> None:
    """The one dash stands for it, in match and in hash and in list add."""
    code, out, _ = run("match", "-", "--list", listed, "--json", *isolate, stdin=DATA)
    assert (code, json.loads(out)["source"], json.loads(out)["outcome"]) == (0, "-", "match")
    code, out, _ = run("hash", "-", "--algorithm", "pdq", stdin=DATA)
    assert (code, out.split()[0]) == (0, str(hash_image(PHOTO)))
    assert run("list", "add", listed, "-", "--id", "entry-1", stdin=DATA)[0] == 0


def test_standard_input_can_be_read_once(listed: Path) -> None:
    """A second dash would be an empty picture."""
    for command in (["match", "-", "-", "--list", listed], ["hash", "-", "-"], ["list", "add", listed, "-", "-"]):
        code, _, err = run(*command, stdin=DATA)
        assert code == 2
        assert "only once" in err


def test_no_standard_input_is_one_line(listed: Path) -> None:
    """A closed descriptor is an error, not a traceback."""
    command = [sys.executable, "-m", "hashmatch", "match", "-", "--list", str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=lambda: os.close(0))
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr


def test_a_pipe_is_a_picture(listed: Path, tmp_path: Path) -> None:
    """As a shell gives one for <(...)."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(DATA))
    writer.start()
    assert run("match", pipe, "--list", listed)[0] == 0
    writer.join()


def test_a_pipe_is_no_list(listed: Path, tmp_path: Path) -> None:
    """SQLite reads at any place; the message says what to do."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for where in (pipe, "-"):
        for command in (
            ["match", "pdq:" + "0f" * 32, "-l", where],
            ["list", "info", where],
            ["list", "add", where, "x"],
        ):
            code, _, err = run(*command, stdin=listed.read_bytes())
            assert code == 2
            assert "write it to a file" in err or "not-found" in err or "no file" in err


def test_a_delivery_comes_through_a_pipe(listed: Path, tmp_path: Path) -> None:
    """The dash and a pipe are files to import, as tables and as text."""
    table = b"id;hash\na;" + b"1e" * 32 + b"\nb;" + b"2d" * 32 + b"\n"
    code, out, _ = run("list", "import", listed, "-", "--hash", "hash=pdq", "--id", "id", stdin=table)
    assert (code, out.startswith("2 rows: 2 accepted")) == (0, True)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"3c" * 16 + b"\n"))
    writer.start()
    code, out, _ = run("list", "import", listed, pipe, "--algorithm", "md5")
    writer.join()
    assert (code, out.startswith("1 rows: 1 accepted")) == (0, True)


def test_a_scan_of_standard_input_says_what_to_call(listed: Path) -> None:
    """A scan walks folders."""
    code, _, err = run("scan", "-", "--list", listed, stdin=DATA)
    assert code == 2
    assert "hashmatch match -" in err


def test_an_error_names_the_list(listed: Path, tmp_path: Path) -> None:
    """Of several lists the message says which."""
    code, _, err = run("match", "pdq:" + "0f" * 32, "-l", listed, "-l", tmp_path / "gone.hashmatch")
    assert code == 2
    assert "gone.hashmatch" in err
    assert "hashmatch list create" in err


def _texts() -> list[str]:
    """All texts of the library below the command line that name a class or a keyword of Python."""
    found = []
    for path in SOURCE.rglob("*.py"):
        if "cli" in path.parts or "synthetic" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith(("Error", "_BUSY")):
                continue
            for text in node.args[:1]:
                said = ast.unparse(text)
                for value in ast.walk(text):
                    if isinstance(value, ast.JoinedStr):
                        said = "".join(str(p.value) if isinstance(p, ast.Constant) else "JPEG" for p in value.values)
                    elif isinstance(value, ast.Constant) and not isinstance(text, ast.JoinedStr):
                        said = str(value.value)
                found.append(said)
    return found


def test_errors_name_commands_and_options() -> None:
    """No error of a picture or a list that the command line can meet names a class or a method of Python."""
    texts = [text for text in _texts() if re.search(r"DecodePolicy with|ReferenceList\.create|raise timeout", text)]
    assert len(texts) > 4
    for text in texts:
        assert not re.search(r"DecodePolicy|ReferenceList|timeout=", in_commands(text)), text


@pytest.mark.parametrize("command", ["hash", "match", "add"])
def test_an_option_in_a_message_is_an_option(listed: Path, tmp_path: Path, command: str) -> None:
    """What the message names is accepted by the command that says it."""
    (tmp_path / "photo.png").write_bytes(DATA)
    words: dict[str, list[object]] = {
        "hash": ["hash", tmp_path / "photo.png"],
        "match": ["match", tmp_path / "photo.png", "--list", listed],
        "add": ["list", "add", listed, tmp_path / "photo.png", "--id", "new"],
    }
    code, out, err = run(*words[command], "--max-bytes", 10)
    assert code == 2
    assert "too-many-bytes" in out or "--max-bytes" in err
    assert run(*words[command], "--max-bytes", 10**6)[0] == 0


def test_nothing_is_cut_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines and tables have their length in a pipe, also where colours are forced and the screen is small."""
    from rich.table import Table

    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    console = _Console(file=file)
    table = Table()
    table.add_column("column")
    table.add_row("x" * 500)
    console.print(table)
    console.print("word " * 100)
    assert "x" * 500 in file.getvalue()
    assert "word " * 99 in file.getvalue()
    assert "…" not in file.getvalue()


def test_unreadable_pictures_can_be_left_out(listed: Path, tmp_path: Path) -> None:
    """They are named and counted, the others are added, and the exit code says that it was not all."""
    (tmp_path / "photo.png").write_bytes(DATA)
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "flat.png").write_bytes(encode(np.full((64, 90, 3), 200, np.uint8), "PNG"))
    bad = [tmp_path / "text.jpg", tmp_path / "flat.png", tmp_path / "gone.jpg"]
    before = listed.read_bytes()
    code, _, err = run("list", "add", listed, tmp_path / "photo.png", *bad)
    assert (code, "--skip-unreadable" in err, listed.read_bytes() == before) == (2, True, True)
    code, out, err = run("list", "add", listed, *bad[:2], tmp_path / "photo.png", bad[2], "--skip-unreadable", "--json")
    assert code == 3
    assert json.loads(out) == {"new_entries": 1, "changed": 0, "unchanged": 0, "left_out": 3, "version": 2}
    assert [name.name in err for name in bad] == [True] * 3
    assert run("list", "add", listed, *bad, "--skip-unreadable")[0] == 2
    assert run("list", "add", listed, tmp_path / "photo.png", "--skip-unreadable")[0] == 0
    with ReferenceList.open(listed, check="full") as ref:
        assert len(ref) == 2
