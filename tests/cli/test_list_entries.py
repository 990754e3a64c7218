"""Commands that look into lists and change single entries: what they show, their exit codes, and no hash unasked."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import ReferenceList, hash_image
from hashmatch.cli.app import app
from hashmatch.hashes import HashValue
from hashmatch.picture.encode import encode
from hashmatch.synthetic import picture
from support.cli_makers import commands_of
from support.list_makers import made_up

PHOTO = picture("photo", 41, size=(160, 200))
RUNNER = CliRunner()


def run(*words: object, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run a command in this process."""
    result = RUNNER.invoke(app, [str(word) for word in words], input=stdin, env={"TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def moved(value: HashValue, bits: int) -> HashValue:
    """Change the first bits of a hash."""
    number = int.from_bytes(value.data, "big") ^ (((1 << bits) - 1) << 100)
    return HashValue(value.algorithm, number.to_bytes(len(value.data), "big"))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Make a list of three entries."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        ref.add("photo", hashes=[hash_image(PHOTO), made_up(1, "md5")], source="me", labels={"class": "A1"}, quality=90)
        ref.add("near", hashes=[moved(hash_image(PHOTO), 6)], source="you")
        ref.add("far", hashes=[made_up(3)])
    return tmp_path / "list.hashmatch"


def test_show(listed: Path) -> None:
    """Sources, labels and numbers; hashes where they are asked for."""
    code, out, _ = run("list", "show", listed, "photo", "far")
    assert code == 0
    assert out.splitlines() == [
        "entry photo",
        "    from me: 1 pdq, 1 md5, class=A1",
        "entry far",
        "    from local: 1 pdq",
    ]
    code, out, _ = run("list", "show", listed, "photo", "--json")
    (listing,) = json.loads(out)["listings"]
    assert listing == {"source": "me", "role": "alarm", "labels": {"class": "A1"}, "hashes": {"pdq": 1, "md5": 1}}
    for options in (["--hashes"], ["--hashes", "--json"]):
        assert hash_image(PHOTO).hex() in run("list", "show", listed, "photo", *options)[1]
    code, out, err = run("list", "show", listed, "gone", "far")
    assert (code, out.splitlines()[0], "'gone'" in err) == (1, "entry far", True)


def test_find(listed: Path, tmp_path: Path) -> None:
    """By a hash and by a picture, exactly and near; nothing to compare is not "none"."""
    (tmp_path / "photo.png").write_bytes(encode(PHOTO, "PNG"))
    for wanted, stdin in ((hash_image(PHOTO), b""), (tmp_path / "photo.png", b""), ("-", encode(PHOTO, "PNG"))):
        code, out, _ = run("list", "find", listed, wanted, stdin=stdin)
        assert (code, out) == (0, "entry photo: pdq, equal, from me\n")
        code, out, _ = run("list", "find", listed, wanted, "--radius", 31, "--json", stdin=stdin)
        found = [json.loads(line) for line in out.splitlines()]
        assert [(item["entry_id"], item["distance"]) for item in found] == [("photo", 0), ("near", 6)]
        assert hash_image(PHOTO).hex() not in out
    assert len(run("list", "find", listed, hash_image(PHOTO), "--radius", 5)[1].splitlines()) == 1
    assert run("list", "find", listed, made_up(1, "md5"), "--radius", 9)[1].startswith("entry photo: md5, equal")
    assert run("list", "find", listed, made_up(9))[0] == 1
    assert run("list", "find", listed, made_up(9), "--radius", 999)[0] == 0
    assert run("list", "find", listed, made_up(9, "sha1"))[0] == 3
    assert run("list", "find", listed, tmp_path / "gone.png")[0] == 2


def test_find_near_agrees_with_distances(tmp_path: Path) -> None:
    """Over more rows than one block holds, also of the algorithm that is compared otherwise."""
    from hashmatch.hashes import distance

    values = [made_up(number, "photodna") for number in range(40)]
    with ReferenceList.create(tmp_path / "l.hashmatch", name="l") as ref:
        for number, value in enumerate(values):
            ref.add(f"e{number}", hashes=[value])
    radius = sorted(distance(values[0], other) for other in values)[12]
    _, out, _ = run("list", "find", tmp_path / "l.hashmatch", values[0], "--radius", radius, "--json")
    got = {json.loads(line)["entry_id"]: json.loads(line)["distance"] for line in out.splitlines()}
    expected = {f"e{n}": distance(values[0], v) for n, v in enumerate(values) if distance(values[0], v) <= radius}
    assert got == expected


def test_relabel(listed: Path) -> None:
    """Labels are replaced as a whole; taking all away is said."""
    assert run("list", "relabel", listed, "photo", "-s", "me", "--label", "kind=b")[1] == "changed; version 4\n"
    assert run("list", "relabel", listed, "photo", "-s", "me", "--label", "kind=b")[1] == "unchanged; version 4\n"
    assert run("list", "relabel", listed, "photo", "-s", "me")[0] == 2
    _, out, _ = run("list", "relabel", listed, "photo", "-s", "me", "--clear", "--json")
    assert json.loads(out) == {"changed": True, "version": 5}
    code, _, err = run("list", "relabel", listed, "photo", "--label", "kind=b")
    assert (code, "no entry of that id listed by that source" in err) == (2, True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_withdraw_takes_ids_from_a_file(listed: Path, tmp_path: Path, encoding: str, end: str) -> None:
    """One a line, or from standard input, in one transaction."""
    data = end.join(["far", "", " gone ", "far"]).encode(encoding)
    (tmp_path / "ids.txt").write_bytes(data)
    code, out, _ = run("list", "withdraw", listed, "--ids", tmp_path / "ids.txt")
    assert (code, out) == (1, "1 withdrawn, 1 not listed by local; version 4\n")
    code, out, _ = run("list", "withdraw", listed, "near", "--ids", "-", "-s", "you", "--json", stdin=b"")
    assert (code, json.loads(out)) == (0, {"withdrawn": 1, "not_listed": 0, "version": 5})
    assert run("list", "withdraw", listed)[0] == 2


@pytest.mark.parametrize("line", [b"bad\xff", b"x" * 300, b"y" * 100_000, b"a\x07b"])
def test_a_bad_line_of_ids_withdraws_nothing(listed: Path, line: bytes) -> None:
    """What is no id may be one that was misread."""
    code, _, err = run("list", "withdraw", listed, "--ids", "-", stdin=b"far\n" + line + b"\n")
    assert (code, err.startswith("error: ")) == (2, True)
    with ReferenceList.open(listed) as ref:
        assert (ref.version, len(ref)) == (3, 3)


def test_export(listed: Path, tmp_path: Path) -> None:
    """To standard output as NDJSON, or to a new file; what a format does not hold is told."""
    code, out, err = run("list", "export", listed)
    assert (code, err) == (0, "")
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["photo", "near", "far"]
    target = tmp_path / "out.ndjson"
    assert run("list", "export", listed, "--output", target)[0] == 0
    assert target.read_text() == out
    assert target.stat().st_mode & 0o777 == 0o600
    assert run("list", "export", listed, "--output", target)[0] == 2
    assert target.read_text() == out
    code, out, err = run("list", "export", listed, "--format", "text", "--algorithm", "md5")
    assert (code, out) == (0, f"{made_up(1, 'md5').hex()}\n")
    assert "1 labels" in err
    assert made_up(1, "md5").hex() not in err
    assert run("list", "export", listed, "--format", "xml")[0] == 2
    assert run("list", "export", listed, "--format", "text", "--source", "nobody")[0] == 2


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "'", "\uff1d", "\uff20"])
def test_no_cell_of_an_export_is_a_formula(tmp_path: Path, start: str) -> None:
    """Whatever ids, sources and labels are called."""
    evil = start + "HYPERLINK(1)"
    with ReferenceList.create(tmp_path / "l.hashmatch", name="l") as ref:
        ref.add(evil, hashes=[made_up(1)], source=evil, labels={evil: evil + '",' + evil})
    _, out, _ = run("list", "export", tmp_path / "l.hashmatch", "--format", "csv")
    _, row = csv.reader(io.StringIO(out))
    assert row[0] == "'" + evil
    assert row[3] == str(made_up(1))
    assert json.loads(row[5]) == {evil: evil + '",' + evil}
    assert all(cell[0] not in "=+-@\t\r\uff1d\uff0b\uff0d\uff20" for cell in row if cell)


def test_diff(listed: Path, tmp_path: Path) -> None:
    """What came, went and changed; the exit code of diff; hashes only where they are asked for."""
    new = tmp_path / "new.hashmatch"
    new.write_bytes(listed.read_bytes())
    code, out, _ = run("list", "diff", listed, new)
    assert (code, out) == (0, "0 added, 0 withdrawn, 0 changed\n")
    with ReferenceList.open(new, writable=True) as ref:
        ref.withdraw("far")
        ref.add("more", hashes=[made_up(5)])
        ref.relabel("photo", source="me", labels={"class": "A2"})
    code, out, _ = run("list", "diff", listed, new)
    assert code == 1
    assert out.splitlines() == [
        "changed photo: 0 hashes more, 0 fewer",
        "    me: class: 'A1' -> 'A2'",
        "withdrawn far: 0 hashes more, 1 fewer",
        "added more: 1 hashes more, 0 fewer",
        "1 added, 1 withdrawn, 1 changed",
    ]
    _, out, _ = run("list", "diff", listed, new, "--json")
    assert made_up(5).hex() not in out
    assert json.loads(out.splitlines()[-1]) == {"summary": {"added": 1, "withdrawn": 1, "changed": 1}}
    for options in (["--hashes"], ["--hashes", "--json"]):
        assert made_up(5).hex() in run("list", "diff", listed, new, *options)[1]


def test_compact(tmp_path: Path) -> None:
    """The room of withdrawn rows is given back; the version stays."""
    path = tmp_path / "l.hashmatch"
    with ReferenceList.create(path, name="l") as ref:
        ref.add("kept", hashes=[made_up(0)])
        ref.add("gone", hashes=[made_up(number) for number in range(1, 3000)])
        ref.withdraw("gone")
    code, out, _ = run("list", "compact", path, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["version"], found["bytes"]) == (3, path.stat().st_size)
    assert found["bytes"] < found["bytes_before"]
    assert run("list", "verify", path)[0] == 0


COMMANDS = {
    "info": [],
    "verify": [],
    "show": ["x"],
    "find": ["md5:" + "0" * 31 + "1"],
    "relabel": ["x", "--clear"],
    "withdraw": ["x"],
    "export": [],
    "diff": ["OTHER"],
    "compact": [],
    "add": ["md5:" + "0" * 31 + "1"],
}


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"add", "diff"}))
def test_an_empty_list_is_served(tmp_path: Path, command: str) -> None:
    """It lacks every entry, and that is an answer."""
    path = tmp_path / "empty.hashmatch"
    ReferenceList.create(path, name="empty").close()
    code, _, err = run("list", command, path, *COMMANDS[command])
    expected = {"show": 1, "find": 3, "withdraw": 1, "relabel": 2}
    assert code == expected.get(command, 0)
    assert "Traceback" not in err


def test_every_command_has_an_example() -> None:
    """Help says how it is called and with which codes it ends, and each has answers for programs."""
    found = list(commands_of(app))
    assert len(found) > 20
    for names, command in found:
        said = command.help or ""
        assert "xit code" in said, names
        assert f"Example: hashmatch {' '.join(names)} " in said, names
        for_programs = {"as_json", "form"} & {param.name for param in command.params}
        assert for_programs or names[-1] in {"export", "serve", "squid"}, names


def test_a_misspelt_command_is_guessed() -> None:
    """Also where no command of the group was loaded yet."""
    assert "'withdraw'" in run("list", "withdrew", "x")[2]
