"""``hashmatch list import`` of whole deliveries, and ``list formats``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch.cli.app import app
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import FORMATS


def run(*words: object) -> tuple[int, str, str]:
    """Run a command; exit code, standard output, standard error."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make an empty list."""
    ReferenceList.create(tmp_path / "list.hashmatch", name="list").close()
    return tmp_path / "list.hashmatch"


def sums(file: Path, numbers: range) -> Path:
    """Write what md5sum writes."""
    file.write_text("".join(f"{number:032x}  name {number}\n" for number in numbers))
    return file


def entries(path: Path) -> int:
    """Count the entries."""
    with ReferenceList.open(path) as ref:
        return len(ref)


def test_several_files_are_one_delivery(path: Path, tmp_path: Path) -> None:
    """They come in one transaction, and what is said of a row names its file."""
    one, two = sums(tmp_path / "one.md5", range(1, 5)), sums(tmp_path / "two.md5", range(4, 8))
    two.write_text(two.read_text() + "bad\n")
    code, out, err = run("list", "import", path, one, two, "-a", "md5", "--refused", tmp_path / "log")
    assert (code, out) == (
        0,
        "9 rows: 7 accepted (7 new entries), 1 duplicate, 1 refused; version 1\n",
    )
    assert f"{two}, line 5: " in err.replace("\n", "")
    assert (tmp_path / "log").read_text().startswith(f"{two}\t5\t")
    code, out, _ = run("list", "import", path, one, two, "-a", "md5", "--json")
    first, last = (json.loads(line) for line in out.splitlines())
    assert (first["file"], first["line"]) == (str(two), 5)
    assert (last["formats"], last["rows"], last["version"]) == (["text"], 9, 1)
    code, _, err = run("list", "import", path, one, tmp_path / "none", "-a", "md5")
    assert (code, entries(path)) == (2, 7)
    assert str(tmp_path / "none") in err.replace("\n", "")


def test_a_replaced_set_is_a_difference(path: Path, tmp_path: Path) -> None:
    """What the files no longer have is taken back, unless that were too much of the source."""
    file = tmp_path / "in.md5"
    words = ["list", "import", path, file, "-a", "md5", "--source", "lab", "--replace"]
    sums(file, range(1, 21))
    assert run(*words)[0] == 0
    sums(file, range(2, 22))
    code, out, _ = run(*words)
    assert code == 0
    assert "1 entries that are no longer listed were taken back; version 2" in out
    sums(file, range(2, 12))
    code, _, err = run(*words)
    assert (code, entries(path)) == (2, 20)
    assert "would take back 10 of the 20 entries" in err.replace("\n", " ")
    assert json.loads(run(*words, "--max-lost", "50%", "--json")[1])["lost"] == 10
    file.write_text("# nothing\n")
    assert run(*words)[0] == 2
    assert entries(path) == 10
    assert run(*words, "--max-lost", "101%")[0] == 2


def test_roles_are_given_and_kept(path: Path, tmp_path: Path) -> None:
    """A source has one role in a list; an unknown one is refused."""
    file = sums(tmp_path / "in.md5", range(1, 3))
    words = ["list", "import", path, file, "-a", "md5", "--source", "known"]
    assert run(*words, "--role", "benign")[0] == 0
    with ReferenceList.open(path) as ref:
        assert [(item.name, item.role) for item in ref.sources()] == [("known", "benign")]
    code, _, err = run(*words)
    assert (code, "benign" in err) == (2, True)
    code, _, err = run(*words, "--role", "good")
    assert (code, "alarm, benign, comparison" in err) == (2, True)


def test_labels_of_a_text_go_to_every_entry(path: Path, tmp_path: Path) -> None:
    """Without a table a label is a name and a value."""
    file = sums(tmp_path / "in.md5", range(1, 3))
    assert run("list", "import", path, file, "-a", "md5", "--label", "uk=B")[0] == 0
    with ReferenceList.open(path) as ref:
        assert {entry.labels["local"]["uk"] for entry in ref} == {"B"}


def test_formats_are_listed() -> None:
    """Each has one line, with what it needs; JSON has what it takes."""
    code, out, _ = run("list", "formats")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(FORMATS)
    assert "needs --mapping" in out
    rows = [json.loads(line) for line in run("list", "formats", "--json")[1].splitlines()]
    assert [row["format"] for row in rows] == list(FORMATS)
    assert all(set(row["needs"]) <= set(row["takes"]) for row in rows)


def test_a_format_refuses_what_it_does_not_take(path: Path, tmp_path: Path) -> None:
    """No option is accepted and ignored."""
    file = sums(tmp_path / "in.md5", range(1, 3))
    code, _, err = run("list", "import", path, file, "-a", "md5", "--category-profile", "vics-us")
    assert (code, "text does not take --category-profile" in err.replace("\n", " ")) == (2, True)
    code, _, err = run("list", "import", path, file, "--format", "nothing")
    assert (code, "no format has this name" in err) == (2, True)


def test_a_mapping_file_says_what_columns_mean(path: Path, tmp_path: Path) -> None:
    """With --where and --source-column beside it; an unknown key is named."""
    table, mapping = tmp_path / "in.csv", tmp_path / "mapping.toml"
    table.write_text(f"who;kind;md5;grade\na;x;{1:032x};A\nb;x;{2:032x};B\nb;y;{3:032x};B\n")
    mapping.write_text('classes = {grade = "uk"}\n[hashes]\nmd5 = "md5"\n')
    words = ["list", "import", path, table, "--mapping", mapping]
    code, out, _ = run(*words, "--where", "kind=x", "--source-column", "who")
    assert code == 0
    assert "2 accepted (2 new entries), 0 duplicate, 0 refused, 1 not asked for" in out
    with ReferenceList.open(path) as ref:
        assert sorted((entry.sources, entry.labels[entry.sources[0]]["uk"]) for entry in ref) == [
            (("a",), "A"),
            (("b",), "B"),
        ]
    assert run(*words, "--hash", "md5=md5")[0] == 2
    mapping.write_text('klasses = {grade = "uk"}\n[hashes]\nmd5 = "md5"\n')
    code, _, err = run(*words)
    assert (code, "klasses" in err) == (2, True)
    code, _, err = run("list", "import", path, table, "--mapping", tmp_path / "none")
    assert (code, "none" in err) == (2, True)


def test_a_member_of_ncmec_has_a_source_of_its_own(path: Path) -> None:
    """The page is recognised; --member names where a member's entries go, and goes with no other format."""
    page = Path(__file__).parent.parent / "golden" / "formats" / "ncmec-page.xml"
    member = re.findall(r'<member id="(\d+)"', page.read_text(encoding="utf-8"))[0]
    code, out, err = run("list", "import", path, page, "--source", "ncmec", "--member", f"{member}=pilot", "--json")
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["formats"] == ["ncmec"]
    with ReferenceList.open(path) as ref:
        assert "ncmec/pilot" in {item.name for item in ref.sources() if item.entries}
    code, _, err = run("list", "import", path, page, "--format", "text", "--member", "1=x")
    assert (code, "does not take --members" in err, "does not take --member" in err.replace("\n", " ")) == (
        2,
        False,
        True,
    )
