"""`hashmatch scan` with a ledger, and with paths that another program hands over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.cli_makers import run
from support.scan_makers import make_medium


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a medium and its list, once."""
    return make_medium(tmp_path_factory.mktemp("medium"), n=4)


def test_a_scan_goes_on_by_the_same_command(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """The second run shows the same, and says that nothing was looked at."""
    words = ["scan", medium[0], "-l", medium[1], "--ledger", tmp_path / "l", "--no-isolate", "--json", "--all"]
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    *first, summary = map(json.loads, out.splitlines())
    assert summary["summary"]["known"] == {"content": 6, "new": 13}
    *second, summary = map(json.loads, run(*words)[1].splitlines())
    assert first == second
    assert summary["summary"]["known"] == {"before": 19}
    code, out, err = run(*words, "--policy", "fast")
    assert (code, "begun by the policy 'standard'" in err) == (2, True)


def test_answers_of_other_versions_of_a_list_are_not_none_found(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """What was not compared with the list as it is now is told by the exit code, until it is matched again."""
    listed = Path(shutil.copyfile(medium[1], tmp_path / "list.hashmatch"))
    (tmp_path / "m").mkdir()
    shutil.copyfile(medium[0] / "f0" / "0.png", tmp_path / "m" / "0.png")
    words = ["scan", tmp_path / "m", "-l", listed, "--ledger", tmp_path / "l", "--no-isolate"]
    assert run(*words)[0] == 1
    run("list", "withdraw", listed, "entry-1", "--source", "local")
    code, _, err = run(*words)
    assert (code, "run hashmatch rescan" in err) == (3, True)
    assert run("rescan", tmp_path / "l", "-l", listed)[0] == 1
    assert run(*words)[0] == 1


def test_options_that_do_not_go_together(medium: tuple[Path, Path]) -> None:
    """Each says what is wrong."""
    listed = medium[1]
    assert "name folders" in run("scan", "-l", listed)[2]
    assert "give no folders" in run("scan", medium[0], "-l", listed, "--stdin-json", stdin=b"")[2]
    assert "--ledger too" in run("scan", medium[0], "-l", listed, "--keep-names")[2]
    within = medium[0] / "f0" / "book.ledger"
    code, _, err = run("scan", medium[0], "-l", listed, "--ledger", within)
    assert (code, "scanned too" in err, within.exists()) == (2, True, False)
    code, _, err = run("scan", medium[0], "-l", listed, "--ledger", listed, "--no-isolate")
    assert (code, "not a ledger" in err) == (2, True)


def test_lines_are_answered_one_by_one(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """A program that waits for each answer before it asks again gets it; the ledger has it."""
    root, listed = medium
    words = ["scan", "-l", listed, "--stdin-json", "--ledger", tmp_path / "l", "--no-isolate"]
    command = [sys.executable, "-m", "hashmatch", *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def ask(line: str) -> dict[str, object]:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(line.encode() + b"\n")
            child.stdin.flush()
            found = json.loads(child.stdout.readline())
            assert isinstance(found, dict)
            return found

        first = ask(json.dumps(str(root / "f1" / "1.png")))
        assert (first["outcome"], first["known"], first["source"]) == ("match", "new", str(root / "f1" / "1.png"))
        more = ask(json.dumps({"path": str(root / "f1" / "1-copy.png"), "id": [7]}))
        assert (more["outcome"], more["known"], more["id"]) == ("match", "content", [7])
        for line in ("{", "7", '{"id": 1}', '""', '"a\\u0000b"', '"\\ud800"', '"' + "x" * 2**21 + '"'):
            assert list(ask(line)) == ["error"]
        assert ask(json.dumps(str(root / "nowhere")))["reason"] == "not-found"
        # surrogates stand for bytes that are no text
        assert ask(json.dumps(os.fsdecode(b"/nowhere/caf\xe9")))["reason"] == "not-found"
        child.stdin.close()
        summary = json.loads(child.stdout.read())["summary"]
    assert summary["files"] == 4
    assert child.returncode == 0


def test_many_lines_at_once_keep_their_order(medium: tuple[Path, Path]) -> None:
    """Answers and refusals come in the order of the lines; a refused line is an error of the command."""
    root, listed = medium
    paths = [str(path) for path in sorted(root.rglob("*.txt"))] * 30
    lines = [json.dumps(path) if n % 7 else "no json" for n, path in enumerate(paths)]
    code, out, _ = run("scan", "-l", listed, "--stdin-json", "--no-isolate", stdin="\n".join(lines).encode())
    *answers, summary = map(json.loads, out.splitlines())
    assert [answer.get("source") for answer in answers] == [path if n % 7 else None for n, path in enumerate(paths)]
    assert summary["summary"]["files"] == len([n for n in range(len(paths)) if n % 7])
    assert code == 2


def test_a_ledger_is_matched_again_and_reported(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """New matches and those that are taken back are shown; reports are whole files, and write over none by mistake."""
    listed, book = Path(shutil.copyfile(medium[1], tmp_path / "list.hashmatch")), tmp_path / "l"
    run("scan", medium[0], "-l", listed, "--ledger", book, "--keep-names", "--no-isolate")
    assert run("rescan", book, "-l", listed)[0] == 1
    run("list", "withdraw", listed, "entry-1", "--source", "local")
    code, out, _ = run("rescan", book, "-l", listed)
    assert (code, "match -> no match" in out, "taken back: entry entry-1 of list demo" in out) == (1, True, True)
    assert "2 answered anew, 0 new matches, 3 taken back" in out
    run("list", "add", listed, medium[0] / "f0" / "0.png", "--source", "lab", "--algorithm", "pdq")
    code, out, _ = run("rescan", book, "-l", listed, "--json")
    *answers, summary = map(json.loads, out.splitlines())
    assert code == 0
    assert summary["summary"]["gained"] == len(answers) == 2
    assert {answer["now"]["outcome"] for answer in answers} == {"match"}
    assert all(answer["items"][0].startswith(str(medium[0])) for answer in answers)
    for form in ("html", "csv", "ndjson", "vics"):
        path = tmp_path / f"report.{form}"
        assert run("report", book, "-o", path, "--format", form)[0] == 0
        before = path.read_bytes()
        code, _, err = run("report", book, "-o", path, "--format", form)
        assert (code, "--force" in err, path.read_bytes() == before) == (2, True, True)
        assert run("report", book, "-o", path, "--format", form, "--force")[0] == 0
    code, out, _ = run("report", book, "-o", "-", "--format", "ndjson")
    assert out.encode() == (tmp_path / "report.ndjson").read_bytes()
    assert "is the ledger" in run("report", book, "-o", book, "--force")[2]
    assert "there is no ledger" in run("report", tmp_path / "none", "-o", tmp_path / "r")[2]
    assert "there is no ledger" in run("rescan", tmp_path / "none", "-l", listed)[2]
    assert "not a ledger" in run("report", listed, "-o", tmp_path / "r")[2]
    assert "another form" in run("report", book, "-o", tmp_path / "r", "--digests")[2]
    assert "VICS alone" in run("report", book, "-o", tmp_path / "r", "--category-scheme", "x")[2]
    said = run("report", book, "-o", tmp_path / "none" / "r")[2]
    assert said.strip().endswith("none/r: cannot be written: No such file or directory")
    assert not (tmp_path / "r").exists()
    assert list(tmp_path.glob(".*")) == []


def test_containers_and_lists_of_paths(medium: tuple[Path, Path], tmp_path: Path) -> None:
    """Members are matched and named; a second run answers them from the ledger; what cannot be read is told."""
    root, listed = medium
    below = tmp_path / "disk"
    below.mkdir()
    with zipfile.ZipFile(below / "holiday.doc", "w") as archive:
        archive.write(root / "f1" / "1.png", "a/one.png")
        archive.write(root / "f0" / "0.png", "two.png")
    (below / "cut.zip").write_bytes((below / "holiday.doc").read_bytes()[:-40])
    words = ["scan", below, "-l", listed, "--containers", "--ledger", tmp_path / "l", "--keep-names", "--no-isolate"]
    code, out, _ = run(*words, "--json", "--all")
    assert code == 0
    *first, summary = map(json.loads, out.splitlines())
    by_name = {item["source"]: item["outcome"] for item in first}
    assert by_name[f"{below}/holiday.doc!a/one.png"] == "match"
    assert by_name[f"{below}/holiday.doc!two.png"] == "no match"
    counts = summary["summary"]
    assert counts["containers"]["zip"] >= 1
    assert (counts["complete"], sum(counts["flaws"].values()) > 0) == (False, True)
    assert counts["files"] == len(first)
    *second, summary = map(json.loads, run(*words, "--json", "--all")[1].splitlines())
    assert [(item["source"], item["outcome"]) for item in second] == [
        (item["source"], item["outcome"]) for item in first
    ]
    assert "new" not in summary["summary"]["known"] or summary["summary"]["known"]["new"] < len(first) // 2
    assert "containers: zip" in run(*words)[1]
    report = run("report", tmp_path / "l", "-o", "-", "--format", "csv")[1]
    assert f"{below}/holiday.doc!a/one.png" in report
    (tmp_path / "paths").write_bytes(b"%s\0%s\0" % (os.fsencode(root / "f1" / "1.png"), os.fsencode(root / "f0")))
    code, out, _ = run("scan", "-l", listed, "--paths-from", tmp_path / "paths", "--no-isolate", "--json")
    assert json.loads(out.splitlines()[-1])["summary"]["files"] == 1 + len(list((root / "f0").iterdir()))
    lines = (tmp_path / "paths").read_bytes().replace(b"\0", b"\n")
    assert run("scan", "-l", listed, "--paths-from", "-", "--no-isolate", "--json", stdin=lines)[1] == out
