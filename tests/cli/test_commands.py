"""Laws of the command line: exit codes, machine output, messages, and a clean stop."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hashmatch import ReferenceList, __version__, hash_image
from hashmatch.cli.app import app
from hashmatch.picture.encode import encode, to_pil
from hashmatch.synthetic import picture
from support.list_makers import made_up, made_up_record

PHOTO = picture("photo", 11, size=(160, 200))
OTHER = picture("photo", 12, size=(160, 200))
RUNNER = CliRunner()


def run(*words: object) -> tuple[int, str, str]:
    """Run a command in this process; errors that no command expects come out as they are."""
    result = RUNNER.invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def run_child(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, as a script does."""
    command = [sys.executable, "-m", "hashmatch", *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with pictures and a list that knows one of them."""
    (tmp_path / "photo.png").write_bytes(encode(PHOTO, "PNG"))
    (tmp_path / "other.jpg").write_bytes(encode(OTHER, "JPEG"))
    (tmp_path / "flat.png").write_bytes(encode(np.full((64, 90, 3), 200, np.uint8), "PNG"))
    (tmp_path / "text.jpg").write_text("no picture at all")
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        ref.add("entry-1", hashes=[hash_image(PHOTO)], source="ncmec", labels={"class": "A1"})
    return tmp_path


@pytest.mark.parametrize(
    ("name", "code", "outcome"),
    [
        ("photo.png", 0, "match"),
        ("other.jpg", 1, "no match"),
        ("flat.png", 3, "undecidable"),
        ("text.jpg", 2, "unreadable"),
        ("nowhere.jpg", 2, "unreadable"),
    ],
)
def test_exit_codes_of_match(folder: Path, name: str, code: int, outcome: str) -> None:
    """Each outcome has its exit code and says itself."""
    got, out, _ = run("match", folder / name, "--list", folder / "list.hashmatch")
    assert got == code
    assert out.startswith(outcome)


def test_match_explains_for_people_and_machines(folder: Path) -> None:
    """The text names what a person asks for; the JSON line holds the whole report."""
    _, out, _ = run("match", folder / "photo.png", "-l", folder / "list.hashmatch")
    for said in ("entry-1", "demo", "version 1", "pdq, distance 0 of at most 31", "original", "ncmec", "class=A1"):
        assert said in out
    _, out, err = run("match", folder / "photo.png", "-l", folder / "list.hashmatch", "--json")
    (line,) = out.splitlines()
    record = json.loads(line)
    assert (record["outcome"], record["matches"][0]["entry_id"]) == ("match", "entry-1")
    assert err == ""
    assert hash_image(PHOTO).hex() not in out


def test_match_takes_hashes(folder: Path) -> None:
    """A hash in text form is matched without a picture; a spoilt one is an error with a reason."""
    assert run("match", hash_image(PHOTO), "-l", folder / "list.hashmatch")[0] == 0
    for shape in ((), ("--json",)):
        code, out, err = run("match", "pdq:" + "0f" * 32, "-l", folder / "list.hashmatch", *shape)
        assert (code, "0f0f" in out + err, "pdq:... (argument 1)" in out) == (1, False, True)
    code, _, err = run("match", "pdq:12", "-l", folder / "list.hashmatch")
    assert code == 2
    assert "64 hexadecimal digits, not 2" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--policy", "best"], "choose one of: fast, standard"),
        (["--threshold", "pdq"], "NAME=VALUE"),
        (["--threshold", "pdq=256"], "0 to 255"),
        (["--threshold", "pdf=1"], "one of: md5"),
        (["--threshold", "pdq=-1"], "whole number"),
    ],
)
def test_wrong_options_say_what_is_right(folder: Path, options: list[str], says: str) -> None:
    """A wrong option is an error that names what would be accepted."""
    code, _, err = run("match", folder / "photo.png", "-l", folder / "list.hashmatch", *options)
    assert code == 2
    assert says in err


def test_threshold_and_policy_take_effect(folder: Path) -> None:
    """A changed threshold changes the answer, and the report's policy name says that it was changed."""
    query = hash_image(PHOTO)
    moved = "pdq:" + (query.data[0] ^ 0xFF).to_bytes(1).hex() + query.hex()[2:]
    listed = folder / "list.hashmatch"
    assert run("match", moved, "-l", listed)[0] == 0
    code, out, _ = run("match", moved, "-l", listed, "-t", "pdq=7", "-t", "md5=0", "--json")
    assert code == 1
    assert json.loads(out)["policy"] == "standard, pdq=7, md5=0"
    (folder / "mirrored.png").write_bytes(encode(PHOTO[:, ::-1], "PNG"))
    assert run("match", folder / "mirrored.png", "-l", listed)[0] == 0
    assert run("match", folder / "mirrored.png", "-l", listed, "-p", "fast")[0] == 1


def test_an_answer_says_what_it_is_not_about(folder: Path) -> None:
    """Hashes that nobody computes, frames not seen and views that a hash is not of are named, in both forms."""
    listed, opaque = folder / "list.hashmatch", folder / "opaque.hashmatch"
    with ReferenceList.create(opaque, name="lab") as ref:
        ref.add("a", hashes=[made_up(1, "photodna"), made_up(1, "md5")])
        ref.add("b", hashes=[made_up(2, "photodna"), hash_image(PHOTO)])
    code, out, _ = run("match", folder / "other.jpg", "-l", opaque)
    assert code == 1
    assert "2 photodna hashes of list lab were not compared: hashmatch does not compute photodna" in out
    assert "1 of 2 entries of list lab have no other hash of a picture" in out
    answer = json.loads(run("match", folder / "other.jpg", "-l", opaque, "--json")[1])
    assert answer["lists"][0]["not_compared"] == {"photodna": 2}
    assert answer["lists"][0]["entries_not_compared"] == 1
    with ReferenceList.open(opaque, writable=True) as ref:
        ref.withdraw("b", source="local")
    code, out, _ = run("match", folder / "other.jpg", "-l", opaque, "-l", listed)
    assert (code, "1 of 1 entries of list lab" in out) == (3, True)
    code, out, _ = run("scan", folder / "other.jpg", "-l", opaque, "-l", listed)
    assert (code, "1 photodna hashes of list lab were not compared" in out) == (3, True)
    moving = encode(OTHER, "GIF", save_all=True, append_images=[to_pil(PHOTO)])
    (folder / "moving.gif").write_bytes(moving)
    code, out, _ = run("match", folder / "moving.gif", "-l", listed, "-p", "fast")
    assert (code, "frames seen: 1, not seen: 1" in out) == (3, True)
    frames = json.loads(run("match", folder / "moving.gif", "-l", listed, "-p", "fast", "--json")[1])["frames"]
    assert frames == {"seen": 1, "in_full": 1, "unseen": 1, "at_least": False}
    assert run("match", folder / "moving.gif", "-l", listed)[0] == 0
    code, out, _ = run("match", hash_image(OTHER), "-l", listed)
    assert (code, "not compared: turns, trims, frames" in out) == (1, True)


def test_scan_counts_every_file(folder: Path) -> None:
    """A scan shows matches and doubts, then counts that add up; machine lines are JSON."""
    listed = folder / "list.hashmatch"
    code, out, _ = run("scan", folder, "-l", listed, "--json", "--workers", "2")
    assert code == 0
    *records, last = [json.loads(line) for line in out.splitlines()]
    assert last["summary"]["files"] == last["summary"]["found"] == 5
    assert sum(last["summary"]["outcomes"].values()) == 5
    assert {record["outcome"] for record in records} == {"match", "undecidable"}
    assert run("scan", folder, "-l", listed, "--json", "--all")[1].count("\n") == 6
    (folder / "photo.png").unlink()
    assert run("scan", folder, "-l", listed)[0] == 3
    (folder / "flat.png").unlink()
    assert run("scan", folder, "-l", listed)[0] == 1
    assert run("scan", folder, folder / "nowhere", "-l", listed)[0] == 2


def test_scan_shows_every_match(folder: Path) -> None:
    """A file that is no picture and matches by its digest is named, in text and in JSON; counts agree with lines."""
    listed = folder / "digests.hashmatch"
    with ReferenceList.create(listed, name="digests") as ref:
        for name in ("text.jpg", "photo.png"):
            ref.add(name[:4], hashes=[hash_image(folder / name, "md5")])
    (folder / "other.txt").write_text("no picture and not listed")
    for options in ([], ["--no-isolate"], ["-p", "fast"]):
        code, out, _ = run("scan", folder, "-l", listed, *options)
        assert (code, out.count("entry text of list"), out.count("entry phot of list")) == (0, 1, 1)
        assert "other.txt" not in out
        *records, last = map(json.loads, run("scan", folder, "-l", listed, "--json", *options)[1].splitlines())
        shown = [Path(record["source"]).name for record in records if record["outcome"] == "match"]
        assert shown == ["photo.png", "text.jpg"]
        assert last["summary"]["outcomes"]["match"] == 2
        assert sum(last["summary"]["reasons"].values()) == sum(
            last["summary"]["outcomes"][outcome] for outcome in ("unreadable", "undecidable")
        )
        assert not any(record["partial"] for record in records)


def test_a_list_without_comparable_hashes_is_told(folder: Path) -> None:
    """Against an empty list nothing is "none found", neither a picture nor a folder without one; a warning says it."""
    listed = folder / "empty.hashmatch"
    run("list", "create", listed)
    code, out, err = run("match", folder / "photo.png", "-l", listed)
    assert (code, out.startswith("undecidable (nothing-to-compare)"), err.count("warning")) == (3, True, 1)
    only_text = folder / "texts"
    only_text.mkdir()
    (only_text / "text.txt").write_text("no picture")
    code, _, err = run("scan", only_text, "-l", listed)
    assert (code, err.count("holds no hash")) == (3, 1)
    assert run("scan", only_text, "-l", folder / "list.hashmatch")[0] == 1
    assert run("match", "photodna:" + bytes(range(144)).hex(), "-l", listed)[::2] == (3, "")


def test_a_scan_that_saw_nothing_is_not_none_found(folder: Path) -> None:
    """Nothing but links, or nothing at all, ends with code 3; links are counted and can be followed."""
    listed, farm = folder / "list.hashmatch", folder / "farm"
    farm.mkdir()
    assert run("scan", farm, "-l", listed)[0] == 3
    (farm / "photo.png").symlink_to("../photo.png")
    (farm / "again.png").symlink_to("../photo.png")
    os.mkfifo(farm / "pipe")
    code, out, _ = run("scan", farm, "-l", listed)
    assert (code, "links passed over 2" in out, "devices passed over 1" in out) == (3, True, True)
    summary = json.loads(run("scan", farm, "-l", listed, "--json")[1])["summary"]
    assert (summary["files"], summary["links"], summary["special"], summary["complete"]) == (0, 2, 1, True)
    code, out, _ = run("scan", farm, "-l", listed, "--follow-links", "--json")
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert (code, summary["files"], summary["links_followed"], summary["links_outside"]) == (0, 1, 2, 2)


def test_a_scan_says_that_it_is_incomplete(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be entered, or a root that is not there, stands in the title, the JSON and the exit code."""
    listed, real = folder / "list.hashmatch", os.scandir
    (folder / "shut").mkdir()
    (folder / "photo.png").rename(folder / "photo.hidden")
    (folder / "flat.png").unlink()

    def refuse(path: str) -> object:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    assert "incomplete" not in run("scan", folder, "-l", listed)[1]
    monkeypatch.setattr(os, "scandir", refuse)
    (folder / "photo.hidden").unlink()
    code, out, err = run("scan", folder, "-l", listed)
    assert (code, "files, incomplete" in out, "not to be read 1" in out, "shut" in err) == (2, True, True, True)
    summary = json.loads(run("scan", folder, "-l", listed, "--json")[1].splitlines()[-1])["summary"]
    assert (summary["complete"], summary["folders_unreadable"]) == (False, 1)
    code, out, _ = run("scan", folder / "other.jpg", folder / "nowhere", "-l", listed, "--json")
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert (code, summary["complete"], summary["unreachable"], summary["files"]) == (2, False, 1, 1)


def test_hash_prints_text_forms_that_parse(folder: Path) -> None:
    """What `hash` prints is what a list takes; failures go to standard error and make the code 2."""
    code, out, _ = run("hash", folder / "photo.png", "-a", "pdq", "-a", "sha256", "-a", "phash-256")
    assert code == 0
    digest, pdq, phash = (line.split()[0] for line in out.splitlines())
    assert pdq == str(hash_image(PHOTO))
    assert digest == str(hash_image(folder / "photo.png", "sha256"))
    assert phash == str(hash_image(PHOTO, "phash-256"))
    code, out, err = run("hash", folder / "text.jpg", folder / "photo.png")
    assert (code, out.count("pdq:")) == (2, 1)
    assert "error" in err
    assert run("hash", folder / "photo.png", "-a", "photodna")[0] == 2
    assert run("hash", folder / "photo.png", "-a", "nothing")[0] == 2


def test_a_long_video_is_known_by_its_digest(folder: Path) -> None:
    """A file over the limit of pictures is hashed, listed, matched and scanned by its digest; another is no picture."""
    listed, videos = folder / "videos.hashmatch", folder / "videos"
    videos.mkdir()
    for name, last in (("known.mp4", b"1"), ("other.mp4", b"2")):
        with (videos / name).open("wb") as file:
            file.write(b"\0\0\0\x18ftypmp42")
            file.seek(129 * 2**20)
            file.write(last)
    code, out, _ = run("hash", videos / "known.mp4", "-a", "md5")
    assert (code, out.startswith("md5:")) == (0, True)
    run("list", "create", listed)
    assert run("list", "add", listed, videos / "known.mp4", "-a", "md5", "--id", "video")[0] == 0
    code, out, _ = run("scan", videos, "-l", listed)
    assert (code, "known.mp4" in out, "entry video" in out, "other.mp4" in out) == (0, True, True, False)
    code, out, _ = run("match", videos / "other.mp4", "-l", listed)
    assert (code, out.startswith("unreadable (not-an-image)")) == (2, True)


def test_list_life(tmp_path: Path, folder: Path) -> None:
    """Create, add pictures and hashes, look at it, verify it, withdraw."""
    path = tmp_path / "new.hashmatch"
    assert run("list", "create", path, "--name", "mine")[0] == 0
    assert run("list", "create", path)[0] == 2
    code, out, _ = run("list", "add", path, folder / "photo.png", "-a", "pdq", "-a", "md5", "--label", "class=A1")
    assert (code, "1 new" in out) == (0, True)
    assert run("list", "add", path, "pdq:" + "0f" * 32, "--id", "e-2", "--source", "iwf")[0] == 0
    code, out, _ = run("list", "info", path, "--json")
    found = json.loads(out)
    assert (found["list"], found["entries"], found["version"]) == ("mine", 2, 2)
    assert found["hashes"] == {"pdq": 2, "md5": 1}
    with ReferenceList.open(path) as ref:
        assert found["digest"] == ref.digest is not None
    code, out, _ = run("list", "verify", path)
    assert code == 0
    assert re.search(rf"content +{found['digest'][:16]}\s", out)
    assert run("list", "withdraw", path, "e-2")[0] == 1
    assert run("list", "withdraw", path, "e-2", "--source", "iwf")[0] == 0
    assert json.loads(run("list", "info", path, "--json")[1])["entries"] == 1
    assert "photo.png" not in path.read_bytes().decode("latin-1")


def test_keypoint_records_in_a_list(tmp_path: Path) -> None:
    """A record is added and imported as hex and counted; one that is malformed changes nothing and is not shown."""
    path, text = tmp_path / "new.hashmatch", tmp_path / "in.txt"
    run("list", "create", path)
    assert run("list", "add", path, made_up_record(1), "--id", "e-1")[0] == 0
    code, out, err = run("list", "add", path, "pdq:" + "0f" * 32, f"{made_up_record(2)}00")
    assert code == 2
    assert "no keypoint record" in err
    assert made_up_record(2).hex()[:16] not in out + err
    text.write_text(f"{made_up_record(2)}\n{made_up_record(3, 5)}\n{made_up_record(4)}ff\n")
    code, out, err = run("list", "import", path, text)
    assert "3 rows: 2 accepted (2 new entries), 0 duplicate, 1 refused" in out
    assert "line 3:" in err
    assert made_up_record(4).hex()[:16] not in out + err
    found = json.loads(run("list", "info", path, "--json")[1])
    assert (found["format_version"], found["entries"], found["hashes"]) == (4, 3, {"keypoint": 3})
    assert run("list", "verify", path)[0] == 0


def test_list_add_is_all_or_none(tmp_path: Path, folder: Path) -> None:
    """A picture that cannot be hashed, or is too plain, leaves the list as it was."""
    path = tmp_path / "new.hashmatch"
    run("list", "create", path)
    for bad, says in (("text.jpg", "nothing was added"), ("flat.png", "quality 0 is below 50"), ("no", "no file")):
        code, _, err = run("list", "add", path, folder / "photo.png", folder / bad)
        assert code == 2
        assert says in err
    assert json.loads(run("list", "info", path, "--json")[1])["entries"] == 0
    assert run("list", "add", path, folder / "flat.png", "--min-quality", "0")[0] == 0


def test_list_import_reports_every_row(tmp_path: Path) -> None:
    """Accepted, duplicate and refused rows are counted; refused ones are named by line, never by content."""
    path, table, log = tmp_path / "new.hashmatch", tmp_path / "in.csv", tmp_path / "refused.txt"
    run("list", "create", path)
    canary = "ab" * 32
    table.write_text(f"id;hash;kind\na;{'0f' * 32};x\nb;{canary}0;x\na;{'0F' * 32};x\nc;{'1e' * 32};\n;{canary};y\n")
    words = ["list", "import", path, table, "--hash", "hash=pdq", "--id", "id", "--label", "kind=class"]
    code, out, err = run(*words, "--refused", log)
    assert code == 0
    assert "5 rows: 2 accepted (2 new entries), 1 duplicate, 2 refused" in out
    assert "line 3:" in err
    assert [line.split("\t")[0] for line in log.read_text().splitlines()] == ["3", "6"]
    assert canary[:12] not in out + err + log.read_text()
    code, out, _ = run(*words, "--json")
    *refused, last = [json.loads(line) for line in out.splitlines()]
    assert [row["line"] for row in refused] == [3, 6]
    assert (last["accepted"], last["duplicates"]) == (0, 3)


def test_list_import_reports_every_cell(tmp_path: Path) -> None:
    """What was left out of a row is shown, counted by column and written; labels are shown without harm."""
    path, table, refused = tmp_path / "list.hashmatch", tmp_path / "table.csv", tmp_path / "refused.txt"
    pdq, md5 = made_up(1).hex(), made_up(1, "md5").hex()
    label = "\u0645\u06cc\u200c\u062e\xa0\x1b[31m\u202e"
    table.write_text(f"pdq,md5,kind\n{pdq},N/A,{label}\n{made_up(2).hex()},{md5}0,A1\n,{md5},A1\n", encoding="utf-8")
    ReferenceList.create(path, name="x").close()
    words = ["list", "import", path, table, "--hash", "pdq=pdq", "--hash", "md5=md5", "--label", "kind=class"]
    code, out, err = run(*words, "--refused", refused)
    assert (code, out) == (0, "3 rows: 3 accepted (3 new entries), 0 duplicate, 0 refused, 1 in part; version 1\n")
    assert "line 3: column md5 was left out: " in err
    assert "column md5: 1 left out" in err
    assert refused.read_text(encoding="utf-8").startswith("3\tcolumn md5 was left out: ")
    code, out, _ = run(*words, "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert found[0]["column"] == "md5"
    assert (found[1]["flawed"], found[1]["columns"]) == (1, {"md5": {"left out": 1}})
    code, out, _ = run("match", f"pdq:{pdq}", "--list", path)
    assert code == 0
    assert "\u0645\u06cc\u200c\u062e\xa0\\x1b[31m\\u202e" in out


def test_small_changes_do_not_read_the_whole_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What adds, withdraws, imports and counts does not check every page of a long list; `list verify` does."""
    path, text = tmp_path / "list.hashmatch", tmp_path / "hashes.txt"
    text.write_text(f"{made_up(2)}\n")
    ReferenceList.create(path, name="x").close()
    checked: list[bool] = []
    monkeypatch.setattr("hashmatch.lists.session.check_pages", lambda _, *, full: checked.append(full))
    threshold = gc.get_threshold()
    for words in (
        ["add", path, str(made_up(1)), "--id", "a"],
        ["import", path, text],
        ["withdraw", path, "a"],
        ["info", path],
    ):
        assert run("list", *words)[0] == 0
    assert checked == []
    assert gc.get_threshold() == threshold
    assert run("list", "verify", path)[0] == 0
    assert checked


def test_list_import_of_plain_text(tmp_path: Path) -> None:
    """A hash a line, bare where the algorithm is given; without it bare hashes are refused, not guessed."""
    path, text = tmp_path / "new.hashmatch", tmp_path / "in.txt"
    run("list", "create", path)
    text.write_text(f"# comment\npdq:{'0f' * 32}\n{'1e' * 32}\n")
    assert "1 accepted" in run("list", "import", path, text)[1]
    assert "1 accepted (1 new entries), 1 duplicate" in run("list", "import", path, text, "-a", "pdq")[1]
    for words, says in (
        ([text, "-a", "pdf"], "choose one of"),
        ([text, "--id", "x"], "--hash"),
        ([tmp_path / "no.csv"], "nothing was imported"),
        ([text, "--hash", "nothing=pdq"], "nothing"),
        ([text, "--encoding", "klingon"], "klingon"),
    ):
        code, _, err = run("list", "import", path, *words)
        assert code == 2
        assert says in err


def test_an_import_that_takes_too_little_is_no_success(tmp_path: Path) -> None:
    """Nothing taken, or more refused than is allowed, is code 2 and changes nothing; an empty file is code 1."""
    path, file = tmp_path / "new.hashmatch", tmp_path / "in.txt"
    run("list", "create", path)

    def imported(lines: list[str], *options: str) -> tuple[int, str, int]:
        file.write_text("".join(f"{line}\n" for line in lines))
        code, out, err = run("list", "import", path, file, *options)
        return code, out + err, int(json.loads(run("list", "info", path, "--json")[1])["entries"])

    good = [f"pdq:{digit:02x}{'1e' * 31}" for digit in range(10)]
    code, said, entries = imported(["bad"] * 5)
    assert (code, "5 of 5 rows were refused" in said, "line 5" in said, entries) == (2, True, True, 0)
    code, said, entries = imported(["bad"] * 5, "--max-refused", "1")
    assert (code, "every row was refused" in said, entries) == (2, True, 0)
    code, said, entries = imported([*good[:2], *["bad"] * 3])
    assert (code, "3 of 5" in said, "the list is as it was" in said, entries) == (2, True, True, 0)
    assert imported(["", "# nothing"])[::2] == (1, 0)
    assert "no rows" in imported([])[1]
    assert imported([*good[:2], "bad"], "--max-refused", "10%")[::2] == (2, 0)
    assert imported([*good[:9], "bad"], "--max-refused", "0.1")[::2] == (0, 9)
    assert imported([*good, *["bad"] * 3])[::2] == (0, 10)
    assert imported([*good], "--max-refused", "0")[::2] == (0, 10)
    for wrong in ("2", "101%", "-1", "ten", "nan", "10%%"):
        code, said, _ = imported(good, "--max-refused", wrong)
        assert (code, "write a share" in said) == (2, True)
    file.write_text("id;hash\n")
    assert run("list", "import", path, file, "--hash", "hash=pdq")[0] == 1
    file.write_text(json.dumps([{"pdq": good[0]}]))
    code, _, err = run("list", "import", path, file)
    assert (code, "this is a JSON delivery" in err) == (2, True)


def test_errors_of_whole_commands_are_one_line(folder: Path) -> None:
    """A missing or foreign list is one line on standard error with code 2, without a traceback."""
    foreign = folder / "text.jpg"
    for words in (
        ["match", folder / "photo.png", "--list", folder / "nowhere"],
        ["scan", folder, "--list", foreign],
        ["list", "info", foreign],
        ["list", "verify", folder],
    ):
        done = run_child(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


def test_version_and_help() -> None:
    """The version is the package's; every command has help."""
    assert run("--version")[1].strip() == f"hashmatch {__version__}"
    for words in ([], ["list"], ["match"], ["scan"], ["hash"], ["demo"], ["list", "import"]):
        code, out, _ = run(*words, "--help")
        assert code == 0
        assert "Usage" in out


def test_names_cannot_drive_the_terminal(folder: Path) -> None:
    """A file name with control characters is shown escaped."""
    name = folder / "evil\x1b[31m\n.png"
    name.write_bytes(encode(PHOTO, "PNG"))
    _, out, _ = run("match", name, "-l", folder / "list.hashmatch")
    assert "\x1b" not in out
    assert "evil\\x1b[31m\\n.png" in out


def test_interrupted_scan_prints_its_counts(folder: Path) -> None:
    """Ctrl-C ends a scan between files with code 130 and honest counts, and leaves the list sound."""
    many = folder / "many"
    many.mkdir()
    data = encode(picture("photo", 3, size=(500, 600)), "PNG")
    for number in range(400):
        (many / f"{number}.png").write_bytes(data)
    listed = folder / "list.hashmatch"
    command = [sys.executable, "-m", "hashmatch", "scan", str(many), "-l", str(listed), "--json", "--all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert child.stderr is not None
        child.send_signal(signal.SIGINT)
        # communicate() would lose the lines that readline() had already taken from the pipe.
        out, err = child.stdout.read(), child.stderr.read()
    assert child.returncode == 130
    assert "interrupted" in err
    lines = [json.loads(line) for line in [first, *out.splitlines()]]
    counted = lines[-1]["summary"]["files"]
    assert counted == len(lines) - 1
    assert counted < 400
    assert lines[-1]["summary"]["complete"] is False
    assert run("list", "verify", listed)[0] == 0


def test_interrupted_import_leaves_the_list_as_it_was(tmp_path: Path) -> None:
    """Ctrl-C in the middle of an import ends with code 130 and no row imported."""
    path, pipe = tmp_path / "new.hashmatch", tmp_path / "pipe"
    run("list", "create", path)
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "hashmatch", "list", "import", str(path), str(pipe)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with child, pipe.open("w") as stream:
        stream.write(f"pdq:{'0f' * 32}\n" * 20_000)
        stream.flush()
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert json.loads(run("list", "info", path, "--json")[1])["version"] == 0


def test_closed_pipe_is_quiet(folder: Path) -> None:
    """When the reader of the output goes away the command ends without a traceback."""
    command = f"{sys.executable} -m hashmatch scan {folder} -l {folder / 'list.hashmatch'} --json --all | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout.count("\n") == 1


def test_demo_finds_what_it_hides(tmp_path: Path) -> None:
    """The demo finds plain copies, edits and turns, no false match, and keeps its folder when asked."""
    kept = tmp_path / "demo"
    code, out, _ = run("demo", "--pictures", "4", "--folder", kept, "--json")
    assert code == 0
    rows = {row["edit"]: row for row in map(json.loads, out.splitlines())}
    assert rows["the same picture"]["files"] == 4
    assert rows["mirrored"]["found"] == {"standard": 4, "thorough": 4}
    assert rows["3/4 of the area cut away"]["found"]["standard"] == 0
    assert rows["3/4 of the area cut away"]["found"]["thorough"] >= 3
    assert all(row["false"] == 0 for row in rows.values())
    assert {path.suffix for path in (kept / "originals").iterdir()} == {".jpg", ".png", ".webp"}
    assert run("demo", "--folder", kept)[0] == 2
    code, out, _ = run("demo", "--pictures", "1")
    assert "thorough" in out


def test_a_hash_longer_than_a_file_name_is_a_hash(folder: Path) -> None:
    """A PhotoDNA hash is listed and matched, though no file could have so long a name; nor does one stop the rest."""
    listed, value = folder / "list.hashmatch", "photodna:" + bytes(range(144)).hex()
    assert run("list", "add", listed, value, "--id", "p-1")[0] == 0
    code, out, _ = run("match", value, "-l", listed)
    assert (code, "entry p-1" in out) == (0, True)
    code, out, _ = run("match", "x" * 300, folder / "photo.png", "-l", listed)
    assert (code, out.startswith("unreadable"), "entry-1" in out) == (0, True, True)


def test_names_outside_of_the_terminals_encoding_stop_nothing(folder: Path) -> None:
    """Where standard output is plain ASCII a name is shown escaped; a crash would look like "none found"."""
    (folder / "\u00e9\u65e5.png").write_bytes((folder / "photo.png").read_bytes())
    command = [sys.executable, "-m", "hashmatch", "scan", str(folder), "-l", str(folder / "list.hashmatch")]
    done = subprocess.run(
        command, capture_output=True, timeout=120, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0, done.stderr
    assert b"\\xe9\\u65e5.png" in done.stdout


@pytest.mark.parametrize(("error", "code"), [("RuntimeError", 2), ("MemoryError", 2), ("KeyboardInterrupt", 130)])
def test_no_accident_looks_like_an_answer(error: str, code: int) -> None:
    """What nobody expected, and Ctrl-C while the program still loads, never end with the code of "none found"."""
    script = f"""
import sys
class Accident:
    def find_spec(self, name, path=None, target=None):
        if name == "hashmatch.cli.app":
            raise {error}
sys.meta_path.insert(0, Accident())
from hashmatch.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code
    assert ("Traceback" in done.stderr) == (code == 2)


def test_options_given_twice_are_refused(folder: Path) -> None:
    """The second label of one name would silently undo the first."""
    code, _, err = run("list", "add", folder / "list.hashmatch", "pdq:" + "0f" * 32, "--label", "a=1", "--label", "a=2")
    assert (code, "twice" in err) == (2, True)


def test_refused_rows_never_overwrite_what_is_imported(tmp_path: Path) -> None:
    """`--refused` with the name of the list or of the delivery is an error, and both stay as they are."""
    path, text = tmp_path / "new.hashmatch", tmp_path / "in.txt"
    run("list", "create", path)
    text.write_text(f"pdq:{'0f' * 32}\n")
    before = path.read_bytes(), text.read_bytes()
    for victim in (path, text):
        code, _, err = run("list", "import", path, text, "--refused", victim)
        assert (code, "another file" in err) == (2, True)
    assert (path.read_bytes(), text.read_bytes()) == before


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_progress_and_answers_share_a_terminal(folder: Path, options: list[str]) -> None:
    """On a terminal the bar is cleared before an answer is written; JSON lines come without a bar."""
    ours, theirs = os.openpty()
    words = ["scan", str(folder), "-l", str(folder / "list.hashmatch"), *options]
    command = [sys.executable, "-m", "hashmatch", *words]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    ) as it:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how the end of a terminal shows
            while part := os.read(ours, 65_536):
                shown += part
        os.close(ours)
    assert it.returncode == 0
    if options:
        assert b"\x1b" not in shown
        assert all(json.loads(line) for line in shown.splitlines())
        return
    assert b"scanning" in shown
    at = shown.index(b"photo.png")
    assert shown.rindex(b"\x1b[2K", 0, at) > shown.rindex(b"scanning", 0, at)


def test_warnings_of_the_library_are_shown(folder: Path) -> None:
    """A person at the terminal sees them on standard error; what was done as it should be says nothing."""
    words = ("match", folder / "photo.png", "-l", folder / "list.hashmatch", "--index-folder", folder, "--json")
    first = run_child(*words)
    assert (first.returncode, first.stderr) == (0, "")
    (index,) = folder.glob("*.index")
    index.write_bytes(b"no index file" * 100)
    again = run_child(*words)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    (line,) = again.stderr.splitlines()
    assert "an index file of the list 'demo' (pdq) is not used" in line
