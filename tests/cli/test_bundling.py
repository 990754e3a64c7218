"""Signed lists and keys on the command line: from the owner's key to a taker that follows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch.cli.app import app
from hashmatch.signing import SigningKey
from support.bundle_makers import KEY, NOW, key_of
from support.list_makers import made_list, made_up

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(call: str, code: int = 0) -> str:
    """Run a command; what it printed, or its error."""
    result = RUNNER.invoke(app, call.split(" "), env={"TERM": "dumb"})
    assert result.exit_code == code, (call, result.stdout, result.stderr)
    return result.stderr if code else result.stdout


def test_the_way_of_a_list(folder: Path) -> None:
    """Made, bundled, taken, changed, sealed, followed over a new key; each answer as JSON too."""
    Path("owner.pub").write_text(run("keys make owner.key --name example.org/lists --post-quantum"), encoding="ascii")
    Path("taker.pub").write_text(run("keys make taker.key --sealing"), encoding="ascii")
    made_list(folder / "owned")
    made = json.loads(run("list bundle owned --key owner.key --output one --json"))
    assert (made["version"], made["since"], made["bytes"]) == (1, None, (folder / "one").stat().st_size)
    taken = json.loads(run("list take taken one --trust owner.pub --keep-history --json"))
    assert (taken["changed"], taken["rotated"], taken["digest"], taken["entries"]) == (True, False, made["digest"], 5)
    said = json.loads(run("keys rotate owner.key next.key --json"))
    assert (len(said["public"]), said["rotations"]) == (2, 1)
    assert json.loads(run("keys show next.key --json")) == said
    run(f"list add owned {made_up(9)}")
    run("list bundle owned --key next.key --output two --since 1 --recipient taker.pub --days 3")
    assert "its owner has a new key" in run("list take taken two --identity taker.key")
    assert "unchanged" in run("list take taken two --identity taker.key")
    info = json.loads(run("list info taken --json"))
    assert info["taken"]["keys"] == said["public"]
    assert info["taken"]["expires"] - info["taken"]["issued"] == 3 * 86_400
    assert info["versions_at_hand"] == 3
    assert "valid until" in run("list info taken")
    assert json.loads(run("list info owned --json"))["taken"] is None
    assert run("keys show taker.key") == Path("taker.pub").read_text(encoding="ascii")


def test_trust_is_a_key_or_a_file_of_keys(folder: Path) -> None:
    """Both keys of a pair may be named one by one."""
    KEY.save("owner.key")
    made_list(folder / "owned")
    run("list bundle owned --key owner.key --output one")
    keys = " ".join(f"--trust {key}" for key in KEY.verifiers)
    assert "taken: version 1" in run(f"list take taken one {keys}")
    assert "is of a type that" in run("list take other one --trust example.org+00000000+AAAA", 2)
    assert "this is no key" in run(f"list take other one --trust {'A+' * 3000}", 2)
    assert "not all keys" in run(f"list take other one --trust {KEY.verifiers[0]} --trust {key_of(3).verifiers[0]}", 2)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("list take new one", "name it with --trust"),
        ("list take new one --trust stranger.pub", "no key that is trusted here signed this"),
        ("list take new owned --trust owner.pub", "this is no bundle of a list"),
        ("list take new nothing --trust owner.pub", "cannot be read"),
        ("list take owned one", "was not taken from bundles"),
        ("list take new sealed --trust owner.pub", "open it with --identity"),
        ("list take new one --trust nothing", "nothing: the key file cannot be read"),
        ("list bundle owned --key open.key --output b", "others can read or change the key file"),
        ("list bundle owned --key owned --output b", "no signing key|others can read|holds no keys"),
        ("list bundle owned --key owner.key --output one", "already at the path"),
        ("list bundle owned --key owner.key --output b --since 7", "does not remember what changed after version 7"),
        ("list bundle owned --key owner.key --output b --recipient age1x", "this is no key of sealed files"),
        ("keys make owner.key --name x", "never written over"),
        ("keys make new.key", "--name"),
        ("keys make new.key --sealing --post-quantum", "--sealing takes no other option"),
        ("keys make no/folder/key --name x", "check its folder"),
        ("keys rotate nothing new.key", "cannot be read"),
        ("keys show open.key", "others can read"),
    ],
)
def test_what_is_refused(folder: Path, call: str, said: str) -> None:
    """One line says why, without a word of the library, and no file is made."""
    key_of(1).save("owner.key")
    key_of(1).save("open.key")
    Path("open.key").chmod(0o644)
    for name, key in (("owner", key_of(1)), ("stranger", key_of(2))):
        Path(f"{name}.pub").write_text(f"{key.verifiers[0]}\n", encoding="ascii")
    made_list(folder / "owned")
    run("keys make taker.key --sealing")
    recipient = run("keys show taker.key").strip()
    run("list bundle owned --key owner.key --output one")
    run(f"list bundle owned --key owner.key --output sealed --recipient {recipient}")
    before = sorted(os.listdir(folder))
    error = run(call, 2)
    assert any(part in error for part in said.split("|")), error
    assert "Error" not in error.replace("Error:", "")
    assert sorted(os.listdir(folder)) == before


def test_a_list_whose_bundle_ran_out_says_so(folder: Path) -> None:
    """Nothing newer came for longer than its owner vouched for."""
    from hashmatch import ReferenceList
    from hashmatch.lists.bundles import take_bundle, write_bundle

    made_list(folder / "owned")
    with ReferenceList.open("owned") as ref:
        write_bundle(ref, "one", KEY, now=NOW - 10**9)
    take_bundle("taken", "one", trust=KEY.verifiers, now=NOW - 10**9)
    assert "expired on 1995" in run("list info taken")
    assert "expired" in run("list take taken one", 2)


def test_a_key_that_is_saved_is_the_key_that_signs(folder: Path) -> None:
    """A witness's key, too, is made here."""
    line = run("keys make witness.key --name example.org/witness --witness").strip()
    assert [str(key) for key in SigningKey.load("witness.key").verifiers] == [line]
    assert SigningKey.load("witness.key").verifiers[0].kind == 4
    assert folder.joinpath("witness.key").stat().st_mode & 0o777 == 0o600
