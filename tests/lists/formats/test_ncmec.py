"""Pages of NCMEC's hash sharing: identity, replacement, tombstones, what is told and what is never kept."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import (
    Delete,
    Delivery,
    ImportReport,
    Operation,
    Refused,
    Upsert,
    format_named,
    import_into,
    reader_of,
    recognised,
)
from hashmatch.lists.formats.ncmec import Page, read

SAMPLE = Path(__file__).parents[2] / "golden/formats/ncmec-page.xml"
PDQ = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
MD5 = "00112233445566778899aabbccddeeff"


def image(
    prints: str = f"<md5>{MD5}</md5>", *, member: str = "42", entry: str = "e-1", kind: str = "image", more: str = ""
) -> str:
    """Make an entry of a page."""
    head = f'<{kind}><member id="{member}">Canary Name</member><id>{entry}</id>'
    return f"{head}<fingerprints>{prints}</fingerprints>{more}</{kind}>"


def gone(member: str = "42", entry: str = "e-1", kind: str = "Image") -> str:
    """Make a tombstone."""
    return f'<deleted{kind}><member id="{member}">Canary Name</member><id>{entry}</id></deleted{kind}>'


def page(*entries: str, videos: str = "", next_page: str = "") -> bytes:
    """Make a page."""
    paging = f"<paging><next>{next_page}</next></paging>" if next_page else ""
    return (
        '<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">'
        f"<images>{''.join(entries)}</images><videos>{videos}</videos>{paging}</queryResult>"
    ).encode()


def said(data: bytes, delivery: Delivery | None = None) -> list[Operation]:
    """Read a page."""
    return list(read(io.BytesIO(data), delivery or Delivery(source="ncmec")))


def one(prints: str, **more: str) -> Upsert:
    """Read the only entry of a page."""
    (found,) = said(page(image(prints, **more)))
    assert isinstance(found, Upsert)
    return found


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list."""
    with ReferenceList.create(tmp_path / "list", name="list") as made:
        yield made
        made.verify()


def take(ref: ReferenceList, *pages: bytes, delivery: Delivery | None = None) -> ImportReport:
    """Import pages, each in an import of its own or, joined, in one."""
    return import_into(ref, [operation for data in pages for operation in said(data, delivery)])


def test_the_sample(ref: ReferenceList) -> None:
    """Every part of a page lands where it belongs, and what is not kept is told."""
    with SAMPLE.open("rb") as stream:
        found = Page(stream, Delivery(source="ncmec", labels={"batch": "1"}))
        report = import_into(ref, found)
    assert found.next == "/v2/entries?from=2024-01-01T00:00:00Z&to=2024-01-03T00:00:00.000Z&start=5&size=4&max=9"
    assert (report.rows, report.accepted, report.duplicates, report.refused_count) == (4, 3, 1, 0)
    assert {entry.entry_id: entry.labels for entry in ref} == {
        "ncmec:42:entry-1:image": {
            "ncmec": {
                "batch": "1",
                "tech-coalition": "A1",
                "ncmec-affirmative-md5": "2",
                "ncmec-negative-sha1": "1",
            }
        },
        "ncmec:77:entry-2:image": {"ncmec/take-it-down": {"batch": "1", "take-it-down": "yes"}},
        "ncmec:42:entry-1:video": {"ncmec": {"batch": "1", "media": "video", "tech-coalition": "B2"}},
    }
    assert sorted(value.algorithm for value in ref.get("ncmec:42:entry-1:image").hashes) == ["md5", "pdq", "sha1"]  # type: ignore[union-attr]
    assert [(flaw.column, flaw.kind) for flaw in report.flaws] == [("tmk_pdqf", "left out")]
    with SAMPLE.open("rb") as stream:
        assert import_into(ref, read(stream, Delivery(source="ncmec", labels={"batch": "1"}))).accepted == 0


def test_recognised() -> None:
    """The root element with its namespace is certain, in any encoding that XML says; other XML is not."""
    head = SAMPLE.read_bytes()[:4096]
    for text in (head, head.decode().replace("UTF-8", "UTF-16").encode("utf-16")):
        found = recognised(text)
        assert found is not None
        assert found.name == "ncmec"
    assert recognised(b"<queryResult/>") is None
    assert not format_named("ncmec").is_snapshot


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding: str) -> None:
    """XML says its own encoding."""
    named = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{named}"?>{page(image(entry="é")).decode()}'
    (found,) = said(text.encode(encoding))
    assert isinstance(found, Upsert)
    assert found.entry.entry_id == "ncmec:42:é:image"


def test_a_prefix_instead_of_a_default_namespace() -> None:
    """Names are told by their local part."""
    text = page(image()).decode().replace("<queryResult xmlns=", "<a:queryResult xmlns:a=")
    (found,) = said(text.replace("</queryResult>", "</a:queryResult>").encode())
    assert isinstance(found, Upsert)


def test_the_same_hash_of_two_members_is_two_entries(ref: ReferenceList) -> None:
    """One of them may take it back without the other; an image and a video of one id are two."""
    take(ref, page(image(member="1"), image(member="2"), videos=image(member="1", kind="video")))
    assert len(ref) == 3
    take(ref, page(gone("1")))
    assert sorted(entry.entry_id for entry in ref) == ["ncmec:1:e-1:video", "ncmec:2:e-1:image"]
    take(ref, page(videos=gone("1", kind="Video")))
    assert [entry.entry_id for entry in ref] == ["ncmec:2:e-1:image"]


@pytest.mark.parametrize("in_one", [True, False])
def test_a_changed_entry_is_replaced(ref: ReferenceList, in_one: bool) -> None:
    """Whether the change comes in the same import or a later one, nothing of the old state stays."""
    old = page(image(f"<md5>{MD5}</md5><pdq>{PDQ}</pdq>", more="<classification>A1</classification>"))
    new = page(image(f"<md5>{MD5}</md5>", more="<classification>B1</classification>"))
    for pages in [(old, new)] if in_one else [(old,), (new,)]:
        take(ref, *pages)
    entry = ref.get("ncmec:42:e-1:image")
    assert entry is not None
    assert [value.algorithm for value in entry.hashes] == ["md5"]
    assert entry.labels == {"ncmec": {"tech-coalition": "B1"}}
    take(ref, new, page(gone()), old)
    assert len(ref.get("ncmec:42:e-1:image").hashes) == 2  # type: ignore[union-attr]


def test_take_it_down_by_member_id(ref: ReferenceList) -> None:
    """A member may be told by its id; when what is known of it changes, its entries move and nothing stays behind."""
    take(ref, page(image(member="9")))
    assert ref.get("ncmec:9:e-1:image").sources == ("ncmec",)  # type: ignore[union-attr]
    apart = Delivery(source="ncmec", members={"9": "take-it-down", "10": "minors"})
    report = take(ref, page(image(member="9"), image(member="10")), delivery=apart)
    assert report.accepted == 2
    assert ref.get("ncmec:9:e-1:image").labels == {"ncmec/take-it-down": {"take-it-down": "yes"}}  # type: ignore[union-attr]
    assert ref.get("ncmec:10:e-1:image").labels == {"ncmec/minors": {}}  # type: ignore[union-attr]
    assert {item.name: item.entries for item in ref.sources()} == {
        "ncmec": 0,
        "ncmec/take-it-down": 1,
        "ncmec/minors": 1,
    }
    assert take(ref, page(gone("9"), gone("10"))).deleted == 2  # a tombstone need not say who its member is
    assert len(ref) == 0
    with pytest.raises(ReferenceListError, match="the source must be"):
        Delivery(source="ncmec", members={"9": "x" * 70})
    with pytest.raises(ReferenceListError, match="text does not take --member"):
        reader_of(format_named("text"), io.BytesIO(), Delivery(members={"9": "x"}))


def test_names_of_members_are_never_kept(ref: ReferenceList, tmp_path: Path) -> None:
    """Neither in the list nor in a reason or a flaw."""
    data = page(image(), image("<md5>zz</md5>", entry="e-2"), image("<md5>1</md5><foo>1</foo>", entry="e-3"), gone())
    report = take(ref, data)
    assert report.refused_count == 2
    assert "Canary" not in repr(report)
    for file in tmp_path.iterdir():
        assert b"Canary" not in file.read_bytes()


PHOTODNA = bytes(range(144))


@pytest.mark.parametrize(
    ("prints", "algorithms", "columns"),
    [
        ("<pdq/><md5> </md5>" + f"<sha1>{'1f' * 20}</sha1>", ["sha1"], []),
        (f"<MD5>{MD5}</MD5>", ["md5"], []),
        (f"<pdna>{base64.b64encode(PHOTODNA).decode()}</pdna>", ["photodna"], []),
        (f"<pdna>{PHOTODNA.hex()}</pdna>", ["photodna"], []),
        (f"<pdna>{', '.join(map(str, PHOTODNA))}</pdna>", ["photodna"], []),
        (f"<pdna>\n{base64.encodebytes(PHOTODNA).decode()}</pdna>", ["photodna"], []),
        (f"<md5>{MD5}</md5><TMK_PDQF href='/x'/><tmk-safer-hash href='/y'/>", ["md5"], ["tmk_pdqf", "tmk_safer_hash"]),
        (f"<md5>{MD5}</md5><ssvh-safer-hash>abc</ssvh-safer-hash>", ["md5"], ["ssvh_safer_hash"]),
        (f"<md5>{MD5}</md5><new-kind>abc</new-kind>", ["md5"], ["fingerprint"]),
        (f"<md5>{MD5}</md5><pdq>{'0' * 64}</pdq>", ["md5"], ["pdq"]),
        (f"<md5>{MD5}</md5><pdq>{PDQ[:32]}</pdq>", ["md5"], ["pdq"]),
        (f"<md5>{MD5}</md5><sha1>da39a3ee5e6b4b0d3255bfef95601890afd80709</sha1>", ["md5"], ["sha1"]),
        (f"<md5>{MD5}</md5><pdna>{'A' * 5000}</pdna>", ["md5"], ["pdna"]),
        (f"<md5>{MD5}</md5><pdq><b>{PDQ}</b></pdq>", ["md5"], ["pdq"]),
        (f"<md5>{MD5}</md5><md5>{'2f' * 16}</md5>", ["md5", "md5"], []),
    ],
)  # fmt: skip
def test_fingerprints(prints: str, algorithms: list[str], columns: list[str]) -> None:
    """A bad fingerprint costs itself; a blank one is none; the set of kinds is open."""
    found = one(prints)
    assert [value.algorithm for value in found.entry.hashes] == algorithms
    assert [flaw.column for flaw in found.flaws] == columns
    assert "/x" not in repr(found.flaws)


@pytest.mark.parametrize("prints", ["", "<pdq/>", "<tmk-pdqf href='/v2/1'/>", "<md5>12</md5>"])
def test_an_entry_without_a_fingerprint_is_taken_back_and_told(ref: ReferenceList, prints: str) -> None:
    """What it said before is not its latest state any more."""
    take(ref, page(image()))
    report = take(ref, page(image(prints)))
    assert (report.refused_count, report.deleted, len(ref)) == (1, 1, 0)
    assert "/v2" not in report.refused[0].reason


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("<image><id>1</id></image>", "no member"),
        ("<image><member>Canary</member><id>1</id></image>", "no member"),
        ('<image><member id="1"/><member id="2"/><id>1</id></image>', "no member"),
        ('<image><member id="1 2"/><id>1</id></image>', "no member"),
        ('<image><member id="1"/></image>', "no id that"),
        ('<image><member id="1"/><id/></image>', "no id that"),
        ('<image><member id="1"/><id>1</id><id>2</id></image>', "no id that"),
        (f'<image><member id="1"/><id>{"x" * 300}</id></image>', "entry id must be"),
        (f'<deletedImage><member id="1"/><id>{"x" * 300}</id></deletedImage>', "entry id must be"),
        ('<audio><member id="1"/><id>1</id></audio>', "no image or video"),
        (f"<image>{'<x/>' * 30_000}</image>", "more than 20,000 elements"),
    ],
)
def test_a_bad_record_costs_itself(entry: str, reason: str) -> None:
    """It is refused with its number, and the others are read."""
    found = [item for item in said(page(image(), entry, image(entry="e-2"))) if not isinstance(item, Delete)]
    assert [type(item) for item in found] == [Upsert, Refused, Upsert]
    assert isinstance(found[1], Refused)
    assert found[1].line == 2
    assert reason in found[1].reason
    assert "Canary" not in found[1].reason


@pytest.mark.parametrize(
    ("text", "scheme", "flaws"),
    [
        ("<classification>a2</classification>", {"tech-coalition": "A2"}, 0),
        ("<classification/>", {}, 0),
        ("", {}, 0),
        ("<classification>other</classification>", {"ncmec-classification": "other"}, 0),
        ("<classification>A1</classification><classification>B1</classification>", {"tech-coalition": "A1"}, 1),
    ],
)
def test_classification(text: str, scheme: dict[str, str], flaws: int) -> None:
    """The four classes of the industry are a scheme; another word is kept under another name."""
    found = one(f"<md5>{MD5}</md5>", more=text)
    assert dict(found.entry.listings[0].labels) == scheme
    assert len(found.flaws) == flaws


def test_feedback_counts_members_once() -> None:
    """A member that gives several reasons counts once; the type is written in any case."""
    reasons = (
        '<reason guid="1" type="PDQ"/><members><member id="5"/><member id="6"/></members>'
        '<reason guid="2" type="PDQ"/><members><member id="5"/></members>'
    )
    text = (
        f'<feedback><negativeFeedback type="PDQ"><reasons>{reasons}</reasons></negativeFeedback>'
        '<affirmativeFeedback type="Tmk-Pdqf"><members><member id="5"/></members></affirmativeFeedback>'
        '<affirmativeFeedback type="zz"><members><member id="5"/></members></affirmativeFeedback>'
        '<affirmativeFeedback type="Md5"/></feedback>'
    )
    labels = dict(one(f"<md5>{MD5}</md5>", more=text).entry.listings[0].labels)
    assert labels == {"ncmec-negative-pdq": "2", "ncmec-affirmative-tmk_pdqf": "1", "ncmec-affirmative-other": "1"}


BOMB = (
    b'<!DOCTYPE q [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB + page(image("<md5>&c;</md5>")), "document type"),
        (b'<!DOCTYPE q SYSTEM "file:///etc/passwd">' + page(), "document type"),
        (page(image("<md5>&c;</md5>")), "damaged or cut short"),
        (page(image())[:-20], "damaged or cut short"),
        (page(image()) + b"<more/>", "damaged or cut short"),
        (b"", "damaged or cut short"),
        (b'<?xml version="1.0" encoding="no-such"?>' + page(), "damaged or cut short"),
        (b'<?xml version="1.0" encoding="shift_jis"?>' + page(), "damaged or cut short"),
        (b"<other/>", "no page of NCMEC"),
        (b"{}", "damaged or cut short"),
        (page(image("<a>" * 40 + "</a>" * 40)), "nested more than"),
        (page(image(f'<md5 x="{"x" * 3_000_000}"/>')), "a tag of this XML page"),
    ],
)
def test_what_is_no_page_fails_as_a_whole(ref: ReferenceList, data: bytes, message: str) -> None:
    """Nothing is imported of a page that is damaged, hostile or cut short."""
    with pytest.raises(HashFormatError, match=message):
        import_into(ref, read(io.BytesIO(data), Delivery(source="ncmec")))
    assert len(ref) == 0


def test_a_page_over_the_limit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read to its end."""
    monkeypatch.setattr("hashmatch.lists.formats.ncmec.MAX_PAGE", 100_000)
    data = io.BytesIO(page(*[image(entry=f"e{i}") for i in range(10_000)]))
    with pytest.raises(HashFormatError, match="at most 100,000 bytes"):
        list(read(data, Delivery(source="ncmec")))
    assert data.tell() < 200_000


@given(st.integers(0, 2_900))
def test_a_page_cut_anywhere_fails(size: int) -> None:
    """There is no place where a page that was cut short reads as a shorter page."""
    data = SAMPLE.read_bytes().rstrip()
    with pytest.raises(HashFormatError):
        said(data[: min(size, len(data) - 1)])
