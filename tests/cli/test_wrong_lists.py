"""Every command that takes a list, given a file that is none: it says which file, and what to do next."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hashmatch import HashValue, ReferenceList
from hashmatch.cli.app import app
from hashmatch.errors import ReferenceListError
from hashmatch.lists.bundles import write_bundle
from hashmatch.lists.file.sql_tables import FORMAT_VERSION
from hashmatch.scan import Ledger
from support.audit_makers import made_log
from support.bundle_makers import KEY
from support.cli_makers import commands_of
from support.list_makers import made_list, made_up

MD5 = "md5:" + "0" * 31 + "1"
CALLS = [
    "list info WRONG",
    "list verify WRONG",
    f"list add WRONG {MD5}",
    "list import WRONG delivery.txt --algorithm md5",
    "list fetch WRONG ncmec --token-file token --url http://127.0.0.1:9",
    "list feedback WRONG entry-1 --verdict true",
    "list show WRONG entry-1",
    f"list find WRONG {MD5}",
    f"list find WRONG {MD5} --radius 4",
    "list relabel WRONG entry-1 --clear",
    "list withdraw WRONG entry-1",
    "list export WRONG",
    "list role WRONG local benign",
    "list terms WRONG local",
    "list terms WRONG local none",
    "list diff WRONG good",
    "list diff good WRONG",
    "list compact WRONG",
    "list at WRONG 1 --output then",
    "list bundle WRONG --key owner.key --output a.bundle",
    "list take WRONG good.bundle",
    "list replace WRONG good",
    "list replace good WRONG",
    "list replace good WRONG --force",
    "list recover WRONG --with-log",
    "list recover WRONG --without-log",
    "match md5-file --list good --list WRONG",
    "match md5-file --list WRONG --index-folder indexes",
    "scan . --list WRONG",
    "rescan book.ledger --list WRONG",
    "serve --list WRONG",
    "serve --list good --list WRONG --index-folder indexes",
    "index build WRONG --folder indexes",
    "index verify file.index --list WRONG",
    "budget WRONG",
    "policy check fast --list WRONG",
    "audit replay log --list WRONG",
]
NEXT: dict[str, str] = {
    "missing": r"hashmatch list create '?\S*wrong one'?",
    "in a missing folder": r"hashmatch list create '?\S*wrong one'?",
    "empty": r"hashmatch list create '?\S*wrong one'?",
    "text": "hashmatch list import",
    "another database": "hashmatch list import",
    "too new": "update hashmatch",
    "damaged": "hashmatch list verify",
    "cut": "hashmatch list verify",
    "with a foreign log": r"hashmatch list recover '?\S*wrong one'? --without-log",
    "folder": "name the list file in it",
}
WRITING = {"add", "import", "fetch", "relabel", "withdraw", "compact", "take"}


def run(call: str, wrong: Path) -> tuple[int, str, str]:
    """Run a command in this process, in the folder of the test."""
    words = [str(wrong) if word == "WRONG" else word for word in call.split(" ")]
    result = RUNNER.invoke(app, words, env={"TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


RUNNER = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a good list, its index file and what else the commands read, and work there."""
    monkeypatch.chdir(tmp_path)
    with ReferenceList.create("good", name="good") as ref:
        ref.add("entry-1", hashes=[made_up(1)])
    Path("indexes").mkdir(mode=0o700)
    assert RUNNER.invoke(app, ["index", "build", "good", "--folder", "indexes", "--policy", "fast"]).exit_code == 0
    (file,) = Path("indexes").glob("*.index")
    shutil.copy(file, "file.index")
    Path("delivery.txt").write_text("0" * 31 + "1\n", encoding="ascii")
    Path("md5-file").write_bytes(b"text")
    made_log(Path("log"), 2)
    Ledger.open("book.ledger").close()
    Path("token").write_text("a:b", encoding="ascii")
    Path("token").chmod(0o600)
    KEY.save("owner.key")
    with ReferenceList.open("good") as ref:
        write_bundle(ref, "good.bundle", KEY)
    return tmp_path


def make(kind: str, path: Path) -> Path:
    """Make a file that is no list, or none that serves."""
    if kind == "in a missing folder":
        return path.parent / "nowhere" / path.name
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_bytes(b"not a list" * 900)
    elif kind == "another database":
        _execute(path, "CREATE TABLE a (b)")
    elif kind != "missing":
        made_list(path, 400)
        data = path.read_bytes()
        if kind == "too new":
            _execute(path, f"PRAGMA user_version = {FORMAT_VERSION + 96}")
        elif kind == "damaged":
            path.write_bytes(data[: len(data) // 2] + b"\xff" * (len(data) - len(data) // 2))
        elif kind == "cut":
            path.write_bytes(data[:5000])
        elif kind == "with a foreign log":
            path.with_name(f"{path.name}-wal").write_bytes(b"x" * 5000)
    return path


def _execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("kind", list(NEXT))
def test_each_command_says_which_file_and_what_next(folder: Path, kind: str) -> None:
    """One line on standard error, exit code 2, nothing on standard output, and the file is as it was."""
    path = make(kind, folder / "wrong one")
    before = path.read_bytes() if path.is_file() else b""
    for call in CALLS:
        if kind == "with a foreign log" and "recover" in call:
            continue  # that is what to do
        if "missing" in kind and "list take" in call:
            continue  # it makes one
        code, out, err = run(call, path)
        assert (code, out, len(err.splitlines())) == (2, "", 1), (call, err)
        assert err.startswith(f"error: {path}: "), (call, err)
        assert re.search(NEXT[kind], err), (call, err)
        assert not re.search(r"ReferenceList|Traceback|force=|timeout=|[A-Z]\w+Error", err), (call, err)
        assert before == (path.read_bytes() if path.is_file() else b""), call


def test_a_list_that_may_not_be_written(folder: Path) -> None:
    """Commands that write say that they may not; those that read do what they are for."""
    path = made_list(folder / "wrong one")
    path.chmod(0o400)
    if os.access(path, os.W_OK):
        pytest.skip("everything may be written to here")
    for call in CALLS:
        code, _, err = run(call, path)
        if call.split(" ")[1] in WRITING or call == "list replace WRONG good":
            assert code == 2, call
            assert f"{path}: the list file cannot be written: check its permissions" in err, (call, err)
        else:
            assert "cannot be written" not in err, (call, err)


def test_replace_says_what_force_would_do(folder: Path) -> None:
    """Where the old list cannot be opened, the new one is put there by force; where none is, it is copied."""
    for kind in ("text", "damaged", "too new"):
        path = make(kind, folder / f"wrong {kind}")
        assert "--force puts good there" in run("list replace WRONG good", path)[2]
        assert run("list replace WRONG good --force", path)[0] == 0
    assert f"cp good '{folder}/wrong one'" in run("list replace WRONG good", folder / "wrong one")[2]


def test_recover_asks_what_becomes_of_the_log(folder: Path) -> None:
    """Without the option it names both."""
    code, _, err = run("list recover WRONG", folder / "good")
    assert code == 2
    assert "--with-log" in err
    assert "--without-log" in err


def test_what_fails_while_a_list_is_used_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a list opens and is found damaged later; of two lists both are named."""
    with ReferenceList.create(folder / "sound", name="sound") as ref:
        ref.add("entry-1", hashes=[HashValue.parse(MD5)])

    def damaged(*_: object, **__: object) -> None:
        raise ReferenceListError("made up; open it with ReferenceList.open, or choose another")

    for name in (
        "info",
        "verify",
        "get",
        "get_many",
        "find",
        "relabel",
        "withdraw_many",
        "compact",
        "add_many",
        "set_role",
        "sources",
        "at",
    ):
        monkeypatch.setattr(ReferenceList, name, damaged)
    monkeypatch.setattr(ReferenceList, "__iter__", damaged)
    monkeypatch.setattr("hashmatch.cli.whole.differences", damaged)
    monkeypatch.setattr("hashmatch.cli.importing.import_into", damaged)
    monkeypatch.setattr("hashmatch.cli.fetching.fetch_into", damaged)
    monkeypatch.setattr("hashmatch.cli.bundling.write_bundle", damaged)
    monkeypatch.setattr("hashmatch.cli.bundling.take_bundle", damaged)
    for call in CALLS:
        if call.startswith("list ") and call.split(" ")[1] not in {"replace", "recover"} and "--radius" not in call:
            code, _, err = run(call, folder / "sound")
            assert (code, "made up" in err, str(folder / "sound") in err) == (2, True, True), (call, err)
            assert "ReferenceList" not in err


def test_no_command_that_takes_a_list_is_left_out() -> None:
    """The calls above are of every command that has a list among its arguments and options."""

    def takes_one(param: Any) -> bool:
        return param.metavar in {"LIST", "OLD"} or param.name in {"lists", "reference"}

    found = {" ".join(names) for names, command in commands_of(app) if any(map(takes_one, command.params))}
    called = {call for name in found for call in CALLS if f"{call} ".startswith(f"{name} ")}
    assert "list create" in found, "it makes one, and is tried elsewhere"
    assert {name for name in found if not any(call.startswith(f"{name} ") for call in CALLS)} == {"list create"}
    assert called == set(CALLS)
