"""``hashmatch urls``: what the commands do and say, and that no address stands in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hashmatch.cli.app import app
from hashmatch.signing import SigningKey
from hashmatch.urls import UrlKey, self_test_address
from support.cli_makers import commands_of

pytest.importorskip("ada_url")

RUNNER = CliRunner()
CALLS = [
    "urls add WRONG a.example --key key",
    "urls import WRONG delivery --key key",
    "urls withdraw WRONG a.example --key key --by x --reason y",
    "urls info WRONG",
    "urls check WRONG a.example --key key",
    "urls check good a.example --key key --also WRONG",
    "urls scan WRONG delivery --key key",
    "urls squid WRONG --key key",
    "urls export WRONG --key key",
    "urls certify WRONG --key key --show-address",
]


def run(call: str, code: int = 0, given: str | None = None, **words: str) -> Result:
    """Run a command in this process and check how it ends."""
    found = [words.get(word, word) for word in call.split(" ")]
    result = RUNNER.invoke(app, found, input=given, env={"TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a list and a delivery."""
    monkeypatch.chdir(tmp_path)
    run("urls create good --key key --name known")
    Path("delivery").write_text("# made up\nhxxp://a[.]example[.]com/canary1\nco.uk\n\nb.example.com/canary2\n")
    return tmp_path


def test_a_delivery_is_imported_asked_scanned_and_withdrawn() -> None:
    """From text to answers; nothing shows an address."""
    said = run("urls import good delivery --key key --source hotline --class c --json")
    assert json.loads(said.stdout) == {
        **{"rows": 3, "added": 3, "again": 0, "withdrawn": 0, "kept_out": 0, "expired": 0, "version": 1},
        **{"refused": {}, "refusals": []},
    }
    outputs = [said.output]
    asked = "http://A.example.com/canary1?x\nhttp://c.example.com/\n"
    outputs.append(run("urls check good - --key key", given=asked).output)
    assert outputs[-1].splitlines()[0].startswith("1: listed: address of known, by hotline (c), entry ")
    entry = re.search("entry ([0-9a-f]{16})", outputs[-1])
    assert entry is not None
    run("urls check good http://c.example.com/ --key key", 1)
    run("urls check good http:// --key key", 3)
    Path("notes").write_text("see http://a.example.com/canary1.\n")
    outputs.append(run("urls scan good notes --key key").output)
    assert outputs[-1].splitlines()[-1] == "addresses 1, listed 1, undecided 0"
    run("urls scan good missing --key key", 3)
    outputs.append(run("urls squid good --key key", given="3 http://a.example.com/canary1\n\n").output)
    assert outputs[-1] == "3 OK message=listed\nBH message=unreadable\n"
    outputs.append(run("urls withdraw good ENTRY --key key --by Person --reason appeal", ENTRY=entry[1]).output)
    run("urls check good - --key key", 1, asked)
    outputs.append(run("urls info good").output)
    outputs.append(run("urls info good --json").output)
    outputs.append(run("urls export good --key key").output)
    assert len(outputs[-1].splitlines()) == 4
    assert "canary" not in "".join(outputs)
    assert "example.com" not in "".join(outputs)


def test_what_is_refused_is_told_by_record() -> None:
    """With its reason in words; a person's name overrules some."""
    said = run("urls import good delivery --key key --scope domain", 1)
    assert "refused 1 (public-suffix)" in said.stderr
    assert "refused 2 (wider-than-given)" in said.stderr
    assert "record 2, 5" in said.stderr
    Path("shared").write_text("host.example\n")
    Path("benign").write_text("large.example\n")
    Path("sample").write_text("http://own.example/\n")
    guards = "--shared-hosts shared --benign benign --sample sample"
    for address in ("host.example", "a.large.example", "own.example"):
        run(f"urls add good {address} --key key --scope host {guards}", 1)
        run(f"urls add good {address} --key key --scope host {guards} --approve Person --reason checked")


def test_a_zone_needs_the_names_in_clear() -> None:
    """And goes to a new file that its owner alone can read."""
    run("urls add good bad.example --key key --scope domain")
    Path("names").write_text("bad.example\nother.example\n")
    run("urls export good --key key --format rpz", 2)
    run("urls export good --key key --names names", 2)
    run("urls export good --key key --format xml", 2)
    run("urls export good --key key --to stop.example", 2)
    run("urls export good --key key --format rpz --names names --to stop.example --output zone")
    assert Path("zone").read_text().splitlines()[3:] == [
        "bad.example CNAME stop.example.",
        "*.bad.example CNAME stop.example.",
    ]
    assert Path("zone").stat().st_mode & 0o777 == 0o600
    run("urls export good --key key --output zone", 2)


def test_a_certificate_is_signed_and_read() -> None:
    """By keys of hashmatch.signing."""
    pytest.importorskip("cryptography")
    key = SigningKey.make("example.org/blocking")
    key.save("signer")
    Path("trusted").write_text(str(key.verifiers[0]))
    run("urls certify good --key key --signing-key signer --output certificate")
    said = json.loads(run("urls certify good --key key --verify certificate --trust trusted").stdout)
    assert said["doors"][0]["self_test"] == "listed"
    assert "certificate" in json.loads(run("urls certify good --key key --signing-key signer --json").stdout)
    run("urls create other --key key --json")
    run("urls certify other --key key --verify certificate --trust trusted", 2)
    run("urls certify good --key key --verify certificate", 2)
    run("urls certify good --key key", 2)
    run("urls certify good --key key --signing-key signer --proxy http://127.0.0.1:1", 2)
    address = run("urls certify good --key key --show-address").stdout.strip()
    assert address == self_test_address(UrlKey.load("key"))
    run(f"urls check good {address} --key key")


def test_a_list_without_its_key_says_which() -> None:
    """And a key that others can read is refused."""
    run("urls create other --key second")
    assert "needs the key" in run("urls check good a.example --key second", 2).stderr
    run("urls check good a.example --key key --key second --also other", 1)
    Path("key").chmod(0o644)
    assert "chmod 600" in run("urls check good a.example --key key", 2).stderr
    run("urls add good a.example --key second --scope all", 2)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "cut", "damaged", "folder", "pipe"])
def test_each_command_says_which_file_is_no_list(kind: str, folder: Path) -> None:
    """One line on standard error, exit code 2, nothing on standard output."""
    path = folder / "wrong one"
    whole = Path("good").read_bytes()
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        made = {
            "empty": b"",
            "text": b"not a list" * 99,
            "cut": whole[:-9],
            "damaged": whole[:99] + b"\xff" + whole[100:],
        }
        path.write_bytes(made.get(kind, b""))
    if kind == "pipe":
        path = Path("-")
    for call in CALLS:
        said = run(call, 2, WRONG=str(path))
        assert (said.stdout, len(said.stderr.splitlines())) == ("", 1), (call, said.stderr)
        assert said.stderr.startswith(f"error: {path}: ") or "--also" in call, (call, said.stderr)
        assert str(path) in said.stderr
        assert not re.search(r"Traceback|[A-Z]\w+Error", said.stderr)
    assert {" ".join(names) for names, _ in commands_of(app) if names[0] == "urls"} - {"urls create"} == {
        " ".join(call.split(" ")[:2]) for call in CALLS
    }
