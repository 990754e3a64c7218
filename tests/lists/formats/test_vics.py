"""VICS: what its records become, what its categories mean, and what of it is never kept."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ReferenceList
from hashmatch.lists.formats import (
    Delivery,
    Operation,
    Refused,
    Upsert,
    default_entry_id,
    format_named,
    import_into,
    reader_of,
    recognised,
)
from hashmatch.lists.formats.category_profiles import PROFILES, profile_named
from hashmatch.lists.formats.out import export_into
from support.list_makers import made_up

SAMPLES = Path(__file__).parents[2] / "golden" / "formats"
MD5 = "00112233445566778899AABBCCDDEEFF"
PDNA = bytes(range(1, 145))


def sample(name: str) -> io.BytesIO:
    """Open a made-up sample."""
    return io.BytesIO((SAMPLES / name).read_bytes())


def read(stream: io.BytesIO, profile: str | None = "vics-us", name: str = "vics", **more: Any) -> list[Operation]:
    """Read a delivery."""
    told = (
        Delivery(source="police", **more)
        if profile is None
        else Delivery(source="police", category_profile=profile, **more)
    )
    return list(reader_of(format_named(name), stream, told))


def said(**record: Any) -> Operation:
    """Read one record."""
    return read(io.BytesIO(json.dumps({"value": [record]}).encode()))[0]


def listed(operation: Operation) -> tuple[str, str, dict[str, str]]:
    """Source, role and labels of what was listed."""
    assert isinstance(operation, Upsert)
    (listing,) = operation.entry.listings
    return listing.source, listing.role, dict(listing.labels)


def entry(ref: ReferenceList, number: int) -> Entry:
    """Find an entry of a sample."""
    value = HashValue("md5", hashlib.shake_256(f"made up md5 {number}".encode()).digest(16))
    found = ref.get(default_entry_id(value))
    assert found is not None
    return found


def test_a_hash_set(tmp_path: Path) -> None:
    """Records of one MD5 are one entry with the labels of all; what raises no alarm has a source of its own."""
    with ReferenceList.create(tmp_path / "list", name="list") as ref:
        report = import_into(ref, read(sample("vics-2.0-media.json")))
        assert (report.rows, report.accepted, report.new_entries, report.refused_count) == (9, 8, 7, 1)
        assert report.refused[0] == Refused(9, "MD5: this is the md5 digest of an empty file")
        assert {name: dict(kinds) for name, kinds in report.columns.items()} == {"Category": {"left out": 1}}
        first = entry(ref, 1)
        assert {value.algorithm for value in first.hashes} == {"md5", "sha1", "photodna"}
        assert first.labels == {"police": {"vics-us": "1 | 2"}}
        assert first.role == "alarm"
        assert entry(ref, 2).labels == {"police/benign": {"vics-us": "0"}}
        assert entry(ref, 2).role == "benign"
        assert entry(ref, 3).labels == {"police/comparison": {"vics-us": "4"}}
        assert entry(ref, 4).labels == {"police/comparison": {}}
        assert entry(ref, 5).labels == {"police": {"vics-us": "2", "victim-identified": "yes", "distributed": "yes"}}
        assert entry(ref, 6).labels == {"police/comparison": {"vics-us": "77"}}
        assert entry(ref, 7).role == "comparison"
        digest = ref.digest
        again = import_into(ref, read(sample("vics-2.0-media.json")), replace=True)
        assert (again.new_entries, again.lost, ref.digest) == (0, 0, digest)


def test_a_case() -> None:
    """The media of each case, with the hashes that 1.3 keeps apart; the case says nothing of them."""
    operations = read(sample("vics-1.3-cases.json"))
    assert [type(item) for item in operations] == [Upsert, Upsert]
    assert isinstance(operations[0], Upsert)
    assert [value.algorithm for value in operations[0].entry.hashes] == ["md5", "photodna", "pdq"]
    assert listed(operations[0]) == ("police", "alarm", {"vics-us": "1"})
    assert not operations[0].flaws


def test_several_files_are_one_release(tmp_path: Path) -> None:
    """A release replaces the last one as a whole; where one file of it is cut short nothing changes."""

    def release(*numbers: int, end: int | None = None) -> Any:
        for number in numbers:
            record = {"MD5": f"{number:032x}", "Category": 1}
            yield from read(io.BytesIO(json.dumps({"value": [record]}).encode()[:end]))

    with ReferenceList.create(tmp_path / "list", name="list") as ref:
        import_into(ref, release(1, 2, 3), replace=True)
        with pytest.raises(HashFormatError):
            import_into(ref, release(2, 3, 4, end=-1), replace=True)
        assert (len(ref), ref.version) == (3, 1)
        report = import_into(ref, release(2, 3, 4), replace=True, max_lost=0.5)
        assert (report.new_entries, report.lost, len(ref)) == (1, 1, 3)


def test_nothing_else_is_kept(tmp_path: Path) -> None:
    """No file name, path, contact, series, comment or content gets into the file of the list or a message."""
    secrets = ["x.jpg", "p1", "Canary Contact", "EX-0001", "Canary series", "quoted", "AAAA", "one, two", "c-1"]
    with ReferenceList.create(tmp_path / "list", name="list") as ref:
        for name in ("vics-2.0-media.json", "vics-1.3-cases.json"):
            report = import_into(ref, read(sample(name)))
            assert not any(secret in repr(report) for secret in [*secrets, MD5])
    with sqlite3.connect(tmp_path / "list") as connection:
        kept = "\n".join(connection.iterdump())
    connection.close()
    assert "vics-us" in kept
    assert not any(secret in kept for secret in secrets)


@pytest.mark.parametrize(
    ("profile", "category", "role"),
    [
        *(("vics-us", number, role) for number, role in enumerate(["benign", *["alarm"] * 3, *["comparison"] * 2])),
        *(
            ("vics-us-old", number, role)
            for number, role in enumerate(["comparison", *["alarm"] * 3, "comparison", "benign"])
        ),
        *(("vics-us", said, "comparison") for said in (None, "", "null", 8, -1, 6, 1.5, True, "x", 10**9, [1], {})),
        *(("vics-us", said, "alarm") for said in ("1", " 2 ", 3.0)),
        *(("vics-us", said, "comparison") for said in ("\uff11", "1\n1", "+1", "0x1", float("nan"))),
    ],
)
def test_only_a_category_that_the_profile_knows_raises_an_alarm(profile: str, category: object, role: str) -> None:
    """0 is no absence, no absence is 0, and a number of another kind of digit is none."""
    (found,) = read(io.BytesIO(json.dumps({"value": [{"MD5": MD5, "Category": category}]}).encode()), profile)
    assert listed(found)[1] == role


def test_unknown_numbers_are_told() -> None:
    """No category is no flaw; one that the profile does not explain is, and its number is kept."""
    for found in (said(MD5=MD5), said(MD5=MD5, Category=None)):
        assert isinstance(found, Upsert)
        assert not found.flaws
        assert listed(found) == ("police/comparison", "comparison", {})
    found = said(MD5=MD5, Category=9)
    assert isinstance(found, Upsert)
    assert [str(flaw) for flaw in found.flaws] == [
        "column Category was left out: the category profile vics-us does not say what this number means"
    ]
    assert listed(found) == ("police/comparison", "comparison", {"vics-us": "9"})
    twice = read(io.BytesIO(b'{"value":[{"MD5":"' + MD5.encode() + b'","Category":0,"Category":1}]}'))[0]
    assert isinstance(twice, Upsert)
    assert (listed(twice)[1], len(twice.flaws)) == ("comparison", 1)


@pytest.mark.parametrize("value", ["true", "True", True, "Y", "yes", 1, "1"])
def test_flags_that_say_yes(value: object) -> None:
    """In each spelling."""
    assert listed(said(MD5=MD5, Category=1, VictimIdentified=value))[2] == {"vics-us": "1", "victim-identified": "yes"}


@pytest.mark.parametrize("value", ["false", "False", False, "N", "no", 0, None, "", "null"])
def test_flags_that_do_not(value: object) -> None:
    """The text "false" is no yes."""
    found = said(MD5=MD5, Category=1, VictimIdentified=value)
    assert listed(found)[2] == {"vics-us": "1"}
    assert isinstance(found, Upsert)
    assert not found.flaws


@pytest.mark.parametrize("value", ["perhaps", 2, [], {}, "x" * 99, 1.5, 10**400])
def test_flags_that_say_nothing(value: object) -> None:
    """They cost themselves."""
    found = said(MD5=MD5, Category=1, VictimIdentified=value)
    assert isinstance(found, Upsert)
    assert [flaw.column for flaw in found.flaws] == ["VictimIdentified"]


@pytest.mark.parametrize(
    "record",
    [
        {"PhotoDNA": PDNA.hex().upper()},
        {"PhotoDNA": base64.b64encode(PDNA).decode()},
        {"AlternativeHashes": [{"HashName": "PhotoDNA", "HashValue": PDNA.hex()}]},
        {"AlternativeHashes": [{"HashName": " photodna ", "HashValue": PDNA.hex()}], "PhotoDNA": PDNA.hex()},
    ],
)
def test_photodna_in_each_place_and_form(record: dict[str, Any]) -> None:
    """All are the same 144 bytes, once."""
    found = said(MD5=MD5, **record)
    assert isinstance(found, Upsert)
    assert found.entry.hashes == (HashValue.parse(MD5, algorithm="md5"), HashValue("photodna", PDNA))


@pytest.mark.parametrize(
    ("record", "column"),
    [
        ({"SHA1": "12"}, "SHA1"),
        ({"SHA1": 12}, "SHA1"),
        ({"SHA1": [MD5]}, "SHA1"),
        ({"PhotoDNA": "00" * 144}, "PhotoDNA"),
        ({"PhotoDNA": "A" * 191 + "="}, "PhotoDNA"),
        ({"SHA256": "g" * 64}, "SHA256"),
        ({"AlternativeHashes": 5}, "AlternativeHashes"),
        ({"AlternativeHashes": [5]}, "AlternativeHashes"),
        ({"AlternativeHashes": [{"HashName": "PDQ", "HashValue": "1"}]}, "AlternativeHashes"),
        ({"AlternativeHashes": [{"HashName": "PDQ"}] * 65}, "AlternativeHashes"),
    ],
)
def test_a_bad_field_costs_itself(record: dict[str, Any], column: str) -> None:
    """The other hashes of its record are taken."""
    found = said(MD5=MD5, Category=1, **record)
    assert isinstance(found, Upsert)
    assert [flaw.column for flaw in found.flaws] == [column]
    assert found.entry.hashes == (HashValue.parse(MD5, algorithm="md5"),)


def test_hashes_may_be_missing() -> None:
    """A record is named after what it has; one that has none is refused."""
    found = said(SHA1="0" * 39 + "1", MD5="", SHA256=None, PhotoDNA="")
    assert isinstance(found, Upsert)
    assert (found.entry.entry_id[:5], found.flaws) == ("sha1-", ())
    assert said(Category=1, MediaID=1) == Refused(1, "it has no hash")
    assert said(MD5=MD5 + "\n").__class__ is Upsert
    assert isinstance(said(MD5=MD5[:-1]), Refused)


@pytest.mark.parametrize("field", ["MediaSize", "DateUpdated", "MediaID", "Series", "MediaFiles", "Exifs", "Segments"])
@pytest.mark.parametrize("value", [1, "488", "2024-01-02T03:04:05.6700Z", "/Date(1)/", "+05:00Z", None, [], {"a": [1]}])
def test_what_is_not_kept_may_be_anything(field: str, value: object) -> None:
    """No form of a size or a date costs a record."""
    found = said(MD5=MD5, Category=1, **{field: value})
    assert isinstance(found, Upsert)
    assert (listed(found), found.flaws) == (("police", "alarm", {"vics-us": "1"}), ())


def test_the_set_of_nist() -> None:
    """It suppresses and never raises an alarm; what is not known to be good is for comparison."""
    operations = read(sample("nist-caid.json"), None, "nist-caid")
    assert [listed(item) for item in operations] == [
        ("police", "benign", {"nist": "8"}),
        ("police", "benign", {"nist": "8"}),
        ("police/comparison", "comparison", {"nist": "1"}),
    ]
    for role in ("alarm", "comparison"):
        with pytest.raises(ReferenceListError):
            read(sample("nist-caid.json"), None, "nist-caid", role=role)
    assert {listed(item)[1] for item in read(sample("nist-caid.json"), "vics-us")} == {"comparison", "alarm"}


def test_roles() -> None:
    """A person may say that nothing of a delivery raises an alarm, but not that all of it is known to be good."""
    operations = [item for item in read(sample("vics-2.0-media.json"), role="comparison") if isinstance(item, Upsert)]
    assert {listed(item)[:2] for item in operations} == {("police", "comparison"), ("police/benign", "benign")}
    with pytest.raises(ReferenceListError, match="profile"):
        read(sample("vics-2.0-media.json"), role="benign")


def test_the_profile_is_mandatory() -> None:
    """There is no default, and what does not take one refuses it."""
    with pytest.raises(ReferenceListError, match="needs --category-profile"):
        read(sample("vics-2.0-media.json"), None)
    for name in ("", "uk", "VICS-US", "1"):
        with pytest.raises(ReferenceListError):
            profile_named(name)


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    """A file says what each number means; the label is named as the file says."""
    path = tmp_path / "mine.toml"
    path.write_text('scheme = "vics-xx"\n[roles]\n0 = "benign"\n7 = "alarm"\n1 = "comparison"\n')
    (found, *_) = read(io.BytesIO(json.dumps({"value": [{"MD5": MD5, "Category": 7}]}).encode()), str(path))
    assert listed(found) == ("police", "alarm", {"vics-xx": "7"})
    for text in (
        *("", "x", 'scheme = "a"', '[roles]\n1 = "alarm"', 'scheme = "a"\nroles = 1', 'scheme = "a"\n[roles]'),
        *('scheme = "a"\n[roles]\n1 = "block"', 'scheme = "a"\n[roles]\n1 = 5', 'scheme = "a"\n[roles]\n01 = "alarm"'),
        *('scheme = "a"\n[roles]\nx = "alarm"', 'scheme = "a"\nmore = 1\n[roles]\n1 = "alarm"'),
        *('scheme = " "\n[roles]\n1 = "alarm"', 'scheme = "vics-us"\n[roles]\n1 = "alarm"', "#" * 70_000),
        *("a = " + "[" * 20_000, 'scheme = "a"\n[roles]\n"\uff11" = "alarm"'),
    ):
        path.write_text(text)
        with pytest.raises(ReferenceListError):
            profile_named(str(path))
    with pytest.raises(ReferenceListError, match="cannot be read"):
        profile_named(str(tmp_path / "none.toml"))
    assert set(PROFILES) == {"vics-us", "vics-us-old", "nist"}


def test_recognition() -> None:
    """By the name of the data model, in either key, with or without a mark."""
    for name in ("vics-2.0-media.json", "nist-caid.json"):
        head = sample(name).read(4_096)
        found = recognised(head)
        assert found is not None
        assert found.name == "vics"
    text = '{"@odata.context":"http:\\/\\/x\\/DataModels\\/2.1.xml\\/UK\\/$metadata#Cases","value":[]}'
    for encoding in ("utf-8", "utf-16"):
        assert recognised(text.encode(encoding)) is not None
    for other in ('{"value":[]}', '{"@odata.context":"http://x/$metadata#Media"}', '{"a":"DataModels/2.0.xml#Media"}'):
        assert recognised(other.encode()) is None


@settings(max_examples=25, deadline=None)
@given(
    said=st.lists(
        st.tuples(st.sampled_from("0123459"), st.sets(st.sampled_from(["sha1", "sha256", "photodna", "pdq"]))),
        max_size=9,
    )
)
def test_what_is_exported_reads_back_the_same(
    said: list[tuple[str, set[str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Hashes, categories, sources and roles."""
    folder = tmp_path_factory.mktemp("vics")
    with (
        ReferenceList.create(folder / "one", name="list") as one,
        ReferenceList.create(folder / "two", name="list") as two,
    ):
        for number, (category, names) in enumerate(said):
            role = PROFILES["vics-us"].roles.get(int(category), "comparison")
            hashes = [made_up(number, name) for name in ("md5", *sorted(names))]
            source = "police" if role == "alarm" else f"police/{role}"
            one.add(default_entry_id(hashes[0]), hashes=hashes, source=source, role=role, labels={"vics-us": category})
        stream = io.BytesIO()
        export_into(
            one,
            stream,
            "vics",
            category_scheme="vics-us",
            roles=["alarm", "benign", "comparison"],
            algorithms=["md5", "sha1", "sha256", "photodna", "pdq"],
        )
        report = import_into(two, read(io.BytesIO(stream.getvalue())))
        assert (report.rows, report.accepted) == (len(said), len(said))
        assert one.digest == two.digest
