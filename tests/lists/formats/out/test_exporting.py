"""What of a list is written out: by source, role and algorithm, within terms, to a file of its own or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats.out import OUT_FORMATS, ExportReport, export_into, export_to
from support.list_makers import made_up


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of three sources of two roles."""
    with ReferenceList.create(tmp_path / "list", name="list") as ref:
        ref.add("a", hashes=[made_up(1), made_up(1, "md5")], source="ours", labels={"class": "A1"}, quality=80)
        ref.add("a", hashes=[made_up(1)], source="theirs")
        ref.add("b", hashes=[made_up(2, "md5"), made_up(2, "sha1")], source="theirs", labels={"vics-us": "1"})
        ref.add("c", hashes=[made_up(3), made_up(3, "md5")], source="theirs/benign", role="benign")
    return tmp_path / "list"


def written(path: Path, kind: str, **asked: Any) -> tuple[list[str], ExportReport]:
    """Export, and give the lines."""
    stream = io.BytesIO()
    with ReferenceList.open(path) as ref:
        report = export_into(ref, stream, kind, **asked)
    return stream.getvalue().decode().splitlines(), report


def test_benign_entries_leave_as_such_or_not_at_all(path: Path) -> None:
    """A format that does not say what an entry is listed for holds entries of one role, and the others are counted."""
    benign = made_up(3).hex()
    for kind in OUT_FORMATS:
        lines, report = written(path, kind)
        holds = benign in "".join(lines)
        assert holds == OUT_FORMATS[kind].holds_roles
        assert report.left_out.get("entries of sources of the role benign", 0) == (not holds)
    assert next(line for line in written(path, "tx-csv")[0] if benign in line).split(",")[3] == "NEGATIVE_CLASS"
    lines, report = written(path, "text", roles=["benign"])
    assert len(lines) == 2
    assert "entries of sources of the role benign" not in report.left_out
    for kind in ("text", "tx-local", "vics"):
        with pytest.raises(ReferenceListError, match="each role by themselves"):
            written(path, kind, roles=["alarm", "benign"])


def test_a_part_of_a_list(path: Path) -> None:
    """By source, with those named after it; by algorithm; what was not asked for is not counted as left out."""
    assert written(path, "text", sources=["ours"])[0] == [str(made_up(1)), str(made_up(1, "md5"))]
    assert len(written(path, "ndjson", sources=["theirs"])[0]) == 3
    assert len(written(path, "ndjson", sources=["theirs"], roles=["benign"])[0]) == 1
    lines, report = written(path, "text", algorithms=["md5"])
    assert lines == [made_up(1, "md5").hex(), made_up(2, "md5").hex()]
    assert report.entries == 2
    assert dict(report.left_out) == {
        "entry ids": 2,
        "labels": 2,
        "qualities": 1,
        "entries of sources of the role benign": 1,
    }
    _, report = written(path, "tx-local")
    assert (report.left_out["md5 hashes"], report.left_out["sha1 hashes"]) == (2, 1)
    assert report.left_out["entries without a hash of a written algorithm"] == 1


@pytest.mark.parametrize("kind", OUT_FORMATS)
def test_terms_bind_what_is_named_after_a_source(path: Path, kind: str) -> None:
    """Nothing is written of a source with terms unless it is named; the error says whose terms they are and which."""
    with ReferenceList.open(path, writable=True) as ref:
        ref.set_terms("theirs", "no onward sharing")
    for asked in ({}, {"sources": ["theirs/benign"], "roles": ["benign"]}, {"despite_terms": ["ours"]}):
        stream = io.BytesIO()
        with (
            ReferenceList.open(path) as ref,
            pytest.raises(ReferenceListError, match=r"'theirs.*' has terms: 'no onward sharing'") as error,
        ):
            export_into(ref, stream, kind, **asked)
        assert "--despite-terms" in str(error.value)
        assert stream.getvalue() == b""
    assert written(path, kind, sources=["ours"])[1].entries == 1
    assert written(path, kind, despite_terms=["theirs"])[1].entries >= 1
    assert written(path, kind, sources=["theirs/benign"], roles=["benign"], despite_terms=["theirs/benign"])[1].entries


def test_terms_of_a_part_are_not_lifted_with_those_of_the_whole(path: Path) -> None:
    """A source that has terms of its own is named itself."""
    with ReferenceList.open(path, writable=True) as ref:
        ref.set_terms("theirs/benign", "for us alone")
    with pytest.raises(ReferenceListError, match="for us alone"):
        written(path, "ndjson", despite_terms=["theirs"])
    assert written(path, "ndjson", despite_terms=["theirs/benign"])[1].entries == 3
    assert written(path, "text")[1].entries == 2  # only what would leave is bound


@pytest.mark.parametrize(
    ("kind", "asked", "said"),
    [
        ("xml", {}, "not written in this format"),
        ("text", {"sources": ["nobody"]}, "no source 'nobody'"),
        ("text", {"despite_terms": ["nobody"]}, "no source 'nobody'"),
        ("text", {"roles": ["good"]}, "a role is one of"),
        ("text", {"algorithms": ["crc32"]}, "not a known algorithm"),
        ("tx-csv", {"algorithms": ["photodna"]}, "holds no photodna hashes"),
        ("csv", {"category_scheme": "vics-us"}, "has no category numbers"),
    ],
)
def test_what_cannot_be_asked_for(path: Path, kind: str, asked: dict[str, Any], said: str) -> None:
    """No request is passed over."""
    with pytest.raises((HashFormatError, ReferenceListError), match=said):
        written(path, kind, **asked)


def test_a_file_is_there_when_it_is_whole(path: Path, tmp_path: Path) -> None:
    """Its owner alone can read it; another file is never written over; an error leaves nothing behind."""
    folder = tmp_path / "out"
    folder.mkdir()
    with ReferenceList.open(path, writable=True) as ref:
        report = export_to(ref, folder / "list.txt", "text")
        assert (folder / "list.txt").read_bytes() == "".join(f"{line}\n" for line in written(path, "text")[0]).encode()
        assert (folder / "list.txt").stat().st_mode & 0o777 == 0o600
        assert (report.entries, report.version) == (2, 4)
        with pytest.raises(ReferenceListError, match="already"):
            export_to(ref, folder / "list.txt", "ndjson")
        with pytest.raises(ReferenceListError, match="folder exists"):
            export_to(ref, folder / "gone" / "list.txt", "text")
        ref.set_terms("ours", "none")
        with pytest.raises(ReferenceListError, match="has terms"):
            export_to(ref, folder / "other.txt", "text")
    assert [item.name for item in folder.iterdir()] == ["list.txt"]


def test_a_list_that_changes_is_no_export(path: Path) -> None:
    """Parts of two versions are not one list."""

    class Writing(io.BytesIO):
        def write(self, data: Any) -> int:
            if not self.tell():
                ref.withdraw("a", source="ours")
            return super().write(data)

    with ReferenceList.open(path, writable=True) as ref, pytest.raises(ReferenceListError, match="two versions"):
        export_into(ref, Writing(), "ndjson")


def test_an_empty_list_is_written(tmp_path: Path) -> None:
    """As an empty file of the format."""
    ReferenceList.create(tmp_path / "empty", name="empty").close()
    for kind in OUT_FORMATS:
        lines, report = written(tmp_path / "empty", kind)
        assert (report.entries, dict(report.left_out)) == (0, {})
        assert len(lines) == {"csv": 1, "tx-csv": 1, "vics": 2}.get(kind, 0)
