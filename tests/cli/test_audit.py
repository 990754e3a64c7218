"""``hashmatch audit`` and ``--audit``: a log from its first answer to its purge."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import ReferenceList, hash_image
from hashmatch.cli.app import app
from hashmatch.signing import SigningKey
from support.list_makers import made_up
from support.picture_makers import save, smooth

RUNNER = CliRunner()


def run(*words: object) -> tuple[int, str, str]:
    """Run a command in this process."""
    result = RUNNER.invoke(app, [str(word) for word in words], env={"TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a key, a log, a list, and pictures of which one is listed; work there."""
    monkeypatch.chdir(tmp_path)
    key = SigningKey.make("example.org/log", post_quantum=True)
    key.save("log.key")
    Path("log.pub").write_text("\n".join(map(str, key.verifiers)), encoding="utf-8")
    Path("listed.png").write_bytes(save(smooth(200, 150), "PNG"))
    Path("other.png").write_bytes(save(smooth(90, 150)[::-1, ::3], "PNG"))
    with ReferenceList.create("list", name="demo") as ref:
        ref.add("entry-1", hashes=[hash_image("listed.png"), hash_image("listed.png", "md5")])
        ref.add("entry-2", hashes=[made_up(2)])
    assert run("audit", "create", "log", "--key", "log.key", "--origin", "example.org/log/1")[0] == 0
    return tmp_path


AUDIT = ("--audit", "log", "--audit-key", "log.key", "--actor", "desk 1")


def test_from_the_first_answer_to_the_purge() -> None:
    """Match, scan, verify, show, prove, check, review, count, replay, export, purge."""
    assert run("match", "listed.png", "other.png", "-l", "list", *AUDIT, "--audit-hashes")[0] == 0
    assert run("scan", ".", "-l", "list", *AUDIT, "--audit-hashes", "--no-isolate")[0] == 0
    code, out, err = run("audit", "verify", "log", "--trust", "log.pub")
    assert (code, out.startswith("sound: "), err) == (0, True, "")

    code, out, _ = run("audit", "show", "log", "--outcome", "match", "--json")
    first, *_ = records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(records) == 2
    assert first["report"]["matches"][0]["entry_id"] == "entry-1"
    assert "hashes" not in first
    place = first["record"]
    shown = run("audit", "show", "log", place)[1]
    assert "entry entry-1 of list demo version 2: md5, equal" in shown
    assert "listed.png" not in run("audit", "show", "log")[1]
    assert run("audit", "show", "log", "--outcome", "nothing")[0] == 1
    of_file = hash_image("listed.png", "sha256").hex().upper()
    assert run("audit", "show", "log", "--input", of_file)[1].count("  match") == 2
    assert run("audit", "show", "log", "--input", "00")[0] == 1

    made = json.loads(run("audit", "prove", "log", place, "-o", "one.tlog-proof", "--json")[1])
    assert made == {"record": int(place), "bytes": Path("one.tlog-proof").stat().st_size}
    assert run("audit", "prove", "log", place, "-o", "one.tlog-proof")[0] == 2
    origin = ("--origin", "example.org/log/1")
    code, out, _ = run("audit", "check", "one.tlog-proof", *origin, "--trust", "log.pub", "--json")
    assert (code, json.loads(out)["report"]["outcome"]) == (0, "match")
    code, out, _ = run("audit", "check", "one.tlog-proof", *origin, "--trust", "log.pub")
    assert (code, out.startswith(f"proved: record {place} of the first ")) == (0, True)
    wrong = "example.org/log/2"
    assert run("audit", "check", "one.tlog-proof", "--origin", wrong, "--trust", "log.pub")[::2] == (
        2,
        "error: the checkpoint is damaged, or not of this log\n",
    )

    reviewed = [
        run("audit", "review", "log", place, "--verdict", verdict, "--key", "log.key", "--why", "seen")[0]
        for verdict in ("confirmed", "error", "complaint")
    ]
    assert reviewed == [0, 0, 0]
    assert run("audit", "review", "log", 1, "--verdict", "error", "--key", "log.key")[0] == 2
    (figures,) = json.loads(run("audit", "counters", "log", "--json")[1]).values()
    assert (figures["matches"], figures["confirmed"], figures["errors"], figures["complaints"]) == (2, 0, 1, 1)
    assert "complaints" in run("audit", "counters", "log")[1]
    assert run("audit", "counters", "log", "--year", 1999)[0] == 1

    code, out, _ = run("audit", "replay", "log", "-l", "list")
    assert (code, out.startswith("same: ")) == (0, True)
    with ReferenceList.open("list", writable=True) as ref:
        ref.withdraw("entry-2")
    code, out, _ = run("audit", "replay", "log", "-l", "list", "--json")
    assert code == 3
    assert json.loads(out.splitlines()[-1])["summary"].keys() == {"list"}

    exported = [json.loads(line) for line in run("audit", "export", "log")[1].splitlines()]
    assert [item["record"] for item in exported] == list(range(len(exported)))
    assert not any("hashes" in item for item in exported)
    assert any("hashes" in json.loads(line) for line in run("audit", "export", "log", "--hashes")[1].splitlines())
    assert run("audit", "export", "log", "--format", "case", "--hashes")[0] == 2

    code, out, _ = run("audit", "purge", "log", "--class", "match", "--why", "over", "--key", "log.key", "--json")
    assert (code, json.loads(out)) == (0, {"answers": 2, "records": 5, "finished": 0})
    assert run("audit", "purge", "log", "--before", "2020-01-01", "--why", "over", "--key", "log.key")[0] == 1
    assert run("audit", "purge", "log", "--why", " ", "--key", "log.key")[0] == 2
    assert "purged" in run("audit", "show", "log", place)[1]
    assert (figures,) == tuple(json.loads(run("audit", "counters", "log", "--json")[1]).values())
    assert json.loads(run("audit", "verify", "log", "--trust", "log.pub", "--json")[1])["purged"] == 5


def test_a_changed_and_an_unfinished_log() -> None:
    """Code 2 names the record; code 3 where what is signed is sound; a kept checkpoint finds an earlier state."""
    run("match", "listed.png", "-l", "list", *AUDIT)
    shutil.copy("log/checkpoint", "kept")
    shutil.copytree("log", "earlier")
    run("match", "other.png", "-l", "list", *AUDIT)
    trust = ("--trust", Path("log.pub").read_text(encoding="utf-8"))
    assert run("audit", "verify", "log", *trust, "--against", "kept")[0] == 0
    shutil.copy("log/checkpoint", "newer")
    code, _, err = run("audit", "verify", "earlier", *trust, "--against", "newer")
    assert code == 2
    assert "a checkpoint that was kept" in err
    shutil.copy("kept", "log/checkpoint")
    code, out, err = run("audit", "verify", "log", *trust)
    assert (code, out.startswith("not sound"), "are not signed" in err) == (3, True, True)
    data = bytearray(Path("earlier/records").read_bytes())
    data[-3] ^= 1
    Path("earlier/records").write_bytes(data)
    code, _, err = run("audit", "verify", "earlier", *trust)
    assert (code, err) == (2, "record 3: it is damaged or was changed\n")
    SigningKey.make("example.org/log").save("other.key")
    assert run("match", "listed.png", "-l", "list", "--audit", "log", "--audit-key", "other.key")[0] == 2


def test_options_of_a_log_that_do_not_fit() -> None:
    """Said before anything is searched."""
    for options in (["--audit", "log"], ["--audit-key", "log.key"], ["--audit-hashes"], ["--actor", "x"]):
        code, out, err = run("match", "listed.png", "-l", "list", *options)
        assert (code, out) == (2, "")
        assert "--audit" in err
    for missing in ("nowhere", "list"):
        assert run("match", "listed.png", "-l", "list", "--audit", missing, "--audit-key", "log.key")[0] == 2
        assert run("audit", "verify", missing, "--trust", "log.pub")[0] == 2
        assert run("audit", "show", missing)[0] == 2


def test_a_matcher_of_the_command_line_waits_for_the_log(folder: Path) -> None:
    """A scan in worker processes records every file."""
    shutil.copytree(folder, folder / "copies", ignore=shutil.ignore_patterns("*log*", "list*hashmatch"))
    code, _, err = run("scan", "copies", "-l", "list", *AUDIT, "--workers", 2)
    assert (code, err) == (0, "")
    out = run("audit", "show", "log", "--json")[1]
    answers = [record for record in map(json.loads, out.splitlines()) if record.get("kind") == "answer"]
    assert len(answers) == sum(path.is_file() for path in Path("copies").rglob("*"))
    assert {record["report"]["protection"] is not None for record in answers} >= {True}


def test_the_graph_conforms() -> None:
    """``case_validate`` of case-utils accepts it, and it is the same each time."""
    pytest.importorskip("case_utils")
    run("match", "listed.png", "-l", "list", *AUDIT)
    run("match", hash_image("listed.png"), "-l", "list", *AUDIT)
    graph = run("audit", "export", "log", "--format", "case")[1]
    assert graph == run("audit", "export", "log", "--format", "case")[1]
    Path("graph.jsonld").write_text(graph, encoding="utf-8")
    nodes = json.loads(graph)["@graph"]
    assert len({node["@id"] for node in nodes}) == len(nodes)
    call = [sys.executable, "-c", "from case_utils.case_validate import main; main()", "--built-version", "case-1.5.0"]
    found = subprocess.run([*call, "graph.jsonld"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    assert "Conforms: True" in found.stdout
