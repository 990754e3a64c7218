"""Forensic hash sets: every format's sample is recognised and read; roles; what is bad, foreign or cut short."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import (
    FORMATS,
    Delivery,
    Refused,
    Upsert,
    default_entry_id,
    format_named,
    import_into,
    reader_of,
    recognised,
)
from support.set_makers import digest, encase_set, hashkeeper_set, kdb_set, nsrl2_set

SAMPLES = Path(__file__).parent.parent.parent / "golden" / "formats"
SETS = {
    "encase.hash": ("encase", "alarm", ("md5",)),
    "hashkeeper.hsh": ("hashkeeper", "alarm", ("md5",)),
    "autopsy.kdb": ("kdb", "alarm", ("md5",)),
    "NSRLFile.txt": ("nsrl2", "benign", ("sha1", "md5")),
    "nsrl3.db": ("nsrl3", "benign", ("sha1", "md5", "sha256")),
}


def read(kind: str, data: bytes, **said: str) -> list[Upsert | Refused]:
    """Read a delivery from memory."""
    return list(reader_of(format_named(kind), io.BytesIO(data), Delivery(**said)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SETS)
def test_a_sample_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    """Into a list, with its labels; an entry is named after the first digest; nothing of the names in it is kept."""
    kind, role, algorithms = SETS[name]
    path = SAMPLES / name
    found = recognised(path.read_bytes()[:4096])
    assert found is not None
    assert found.name == kind
    with ReferenceList.create(tmp_path / "list", name="list") as ref, path.open("rb") as stream:
        delivery = Delivery(source="lab", labels={"batch": "7"})
        report = import_into(ref, reader_of(FORMATS[kind], stream, delivery), replace=True)
        assert (report.new_entries, report.refused_count, report.flawed) == (3, 0, 0)
        entries = list(ref)
    for number, entry in enumerate(
        sorted(entries, key=lambda item: [digest(n) for n in range(3)].index(item_md5(item)))
    ):
        values = tuple(digest(number, algorithm) for algorithm in algorithms)
        assert set(entry.hashes) == set(values)
        assert entry.entry_id == default_entry_id(values[0])
        (listing,) = entry.listings
        assert (listing.source, listing.role) == ("lab" if role == "alarm" else "lab/benign", role)
        assert listing.labels == {"batch": "7"}
    data = (tmp_path / "list").read_bytes()
    for text in (b"WINDOWS", b".dll", b"name 1", b"made-up"):
        assert text not in data


def item_md5(entry: object) -> HashValue:
    """MD5 of an entry."""
    return next(value for value in entry.hashes if value.algorithm == "md5")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["NSRLFile.txt", "nsrl3.db"])
def test_known_software_is_no_alarm_unless_somebody_says_so(name: str) -> None:
    """Not by any source; a role that is told is taken."""
    kind = SETS[name][0]

    def roles(**said: str) -> set[tuple[str, str]]:
        with (SAMPLES / name).open("rb") as stream:
            items = list(reader_of(FORMATS[kind], stream, Delivery(**said)))  # type: ignore[arg-type]
        return {(i.entry.listings[0].source, i.entry.listings[0].role) for i in items if isinstance(i, Upsert)}

    assert roles() == {("local/benign", "benign")}
    assert roles(source="nsrl", role="benign") == {("nsrl", "benign")}
    assert roles(source="x", role="comparison") == {("x", "comparison")}
    assert roles(source="x", role="alarm") == {("x", "alarm")}


def test_an_encase_set_that_is_cut_short_fails() -> None:
    """Within a record, within the header, and between records where the header says how many there are."""
    whole = encase_set(range(5000))
    assert len(read("encase", whole)) == 5000
    for cut in (len(whole) - 1, len(whole) - 17, len(whole) - 18, len(whole) - 18 * 4000, 0x480, 0x47F, 8):
        with pytest.raises(HashFormatError, match="cut short"):
            read("encase", whole[:cut])
    older = encase_set(range(5), counted=False)
    assert len(read("encase", older[:-18])) == 4  # nobody knows what its header says
    with pytest.raises(HashFormatError, match="no EnCase hash set"):
        read("encase", b"HASH\n")


def test_an_encase_set_of_another_spacing_is_not_misread() -> None:
    """Records of 16 bytes would be other digests from the second on."""
    head = encase_set([])[:0x480].replace(b"\2\0\0\0\1\0\0\0", bytes(8))
    packed = head + b"".join(digest(number).data for number in range(9))
    found = read("encase", packed)
    assert all(isinstance(item, Refused) for item in found)
    assert [item.line for item in found] == list(range(1, 9))


def test_digests_of_the_empty_file_are_refused() -> None:
    """Known software has it, and it would match every empty file."""
    empty = nsrl2_set([1]).replace(digest(1).hex().upper().encode(), b"D41D8CD98F00B204E9800998ECF8427E")
    (found,) = read("nsrl2", empty)
    assert isinstance(found, Upsert)
    assert [value.algorithm for value in found.entry.hashes] == ["sha1"]
    assert found.flaws[0].reason == "this is the md5 digest of an empty file"
    (none,) = read("nsrl2", empty.replace(digest(1, "sha1").hex().upper().encode(), b""))
    assert isinstance(none, Refused)
    assert "D41D" not in none.reason


@pytest.mark.parametrize("first", [False, True])
def test_names_with_quotes_and_commas_cost_nothing(first: bool) -> None:
    """In either version of NSRLFile.txt, whose names are as files are called."""
    found = read("nsrl2", nsrl2_set(range(4), first=first))
    assert [set(item.entry.hashes) for item in found if isinstance(item, Upsert)] == [
        {digest(number, "sha1"), digest(number)} for number in range(4)
    ]


def test_a_bad_line_costs_itself_and_a_cut_one_all() -> None:
    """What is no line of digests is refused by number; the last line ends as all do."""
    lines = nsrl2_set(range(3)).split(b"\r\n")
    lines[2:2] = [b"not a line", b'"' + b"x" * 70_000 + b'"', b""]
    found = read("nsrl2", b"\r\n".join(lines))
    assert [item.line for item in found if isinstance(item, Refused)] == [3, 4]
    assert len(found) == 5
    with pytest.raises(HashFormatError, match="cut short"):
        read("nsrl2", nsrl2_set(range(3))[:-12])
    with pytest.raises(HashFormatError, match="first line"):
        read("nsrl2", b'"SHA-1","SHA-256"\n')


def test_a_hashkeeper_set_of_few_columns() -> None:
    """Cells that follow the digest may be missing; a row without one is refused."""
    data = hashkeeper_set([1, 2]) + b'3,7,"x","y","12",1\r\n4,7,"x","y",,1\r\n'
    found = read("hashkeeper", data)
    assert [type(item).__name__ for item in found] == ["Upsert", "Upsert", "Refused", "Refused"]


def test_a_set_of_all_digests(tmp_path: Path) -> None:
    """Autopsy has columns for SHA-1 and SHA-256; a value of another length or type costs itself."""
    sha1, sha256 = digest(1, "sha1"), digest(1, "sha256")
    path = kdb_set(
        tmp_path / "set.kdb",
        [2],
        f"INSERT INTO hashes VALUES (7, '{digest(1).hex()}', x'{sha1.hex()}', x'{sha256.hex()}')",  # noqa: S608
        f"INSERT INTO hashes VALUES (8, x'{digest(3).hex()}', x'00ff', 12)",  # noqa: S608
        "INSERT INTO hashes VALUES (9, NULL, NULL, '')",
        "INSERT INTO hashes VALUES (10, 'deadbeefdeadbeef', NULL, NULL)",
    )
    with path.open("rb") as stream:
        found = list(reader_of(FORMATS["kdb"], stream, Delivery()))
    assert [set(item.entry.hashes) if isinstance(item, Upsert) else item.reason.split(":")[0] for item in found] == [
        {digest(2)},
        {digest(1), sha1, sha256},
        {digest(3)},
        "it has no digest",
        "md5",  # sixteen letters are no sixteen bytes
    ]
    assert [flaw.column for item in found if isinstance(item, Upsert) for flaw in item.flaws] == ["sha1", "sha2_256"]


def test_what_they_do_not_take_is_refused() -> None:
    """No option is passed over."""
    for kind in ("encase", "kdb", "nsrl3"):
        with pytest.raises(ReferenceListError, match="does not take --encoding"):
            read(kind, b"", encoding="utf-8")
