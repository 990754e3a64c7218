"""Reports in words, and drafts of reports to others."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from hashmatch import Fingerprint, HashValue, Matcher, MatchReport, ReferenceList, fingerprint, profiles
from hashmatch.audit import AuditLog, LogReader, Recorder
from hashmatch.audit.drafts import DRAFTS, draft_of
from hashmatch.audit.explanation import NOT_PROVED, explain
from hashmatch.cli.app import app
from hashmatch.errors import AuditError
from hashmatch.hashes import ViewHash
from hashmatch.synthetic import edits, picture
from hashmatch.view import PLAIN_VIEW, Turn, View
from support.audit_makers import KEY
from support.picture_makers import save

# the order in which the schema of CyberTipline has them
REPORT_ORDER = ["incidentSummary", "internetDetails", "reporter", "personOrUserReported", "additionalInfo"]
FILE_ORDER = [
    "reportId",
    "fileId",
    "originalFileName",
    "locationOfFile",
    "fileViewedByEsp",
    "exifViewedByEsp",
    "publiclyAvailable",
    "fileRelevance",
    "fileAnnotations",
    "industryClassification",
    "originalFileHash",
    "ipCaptureEvent",
    "additionalInfo",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Make a log of matches of several kinds; gives the places by kind."""
    folder = tmp_path_factory.mktemp("explained")
    shown = picture("photo", 5, (400, 300))
    data = save(shown, "PNG")
    with ReferenceList.create(folder / "list", name="a <list>") as ref:
        ref.add("pdq-0011", fingerprint=fingerprint(data, algorithms=("pdq", "md5")), labels={"class": "<A1> & more"})
        ref.add("old", hashes=[HashValue("photodna", bytes(range(144)))])
    sources: dict[str, Any] = {
        "digest": data,
        "turned": save(shown[::-1], "PNG"),
        "cut": save(shown[:, 40:], "PNG"),
        "strange": save(picture("photo", 77, (400, 300)), "PNG"),
    }
    policy = replace(profiles.THOROUGH, keypoints=None)
    with AuditLog.create(folder / "log", KEY) as log:
        recorder = Recorder(log, digests=("md5", "sha256"), wait=True)
        with Matcher.open(folder / "list", policy=policy, recorder=recorder) as matcher:
            for source in sources.values():
                matcher.match(source)
    with LogReader(folder / "log") as reader:
        places = [record.place for record in reader if record.content and record.content["kind"] == "answer"]
    return folder, dict(zip(sources, places, strict=True))


def report_with(distance: int, view: View, sizes: int) -> MatchReport:
    """Make a report of one match."""
    with_one = MatchReport.from_dict(
        {
            "outcome": "match",
            "matches": [],
            "n_matches": 1,
            "reason": None,
            "lists": [],
            "quality": 90,
            "policy": "standard",
            "software": "hashmatch 0.1.0",
            "decode": "2",
        }
    )
    from hashmatch.matching import ComparedList, Match

    match = Match(
        list_name="a",
        list_id="0" * 32,
        list_version=1,
        list_digest="0" * 64,
        entry_id="e",
        sources={"s": {}},
        algorithm="pdq",
        distance=distance,
        threshold=31,
        quality=90,
        view=view,
    )
    compared = ComparedList(
        name="a",
        list_id="0" * 32,
        version=1,
        digest="0" * 64,
        n_entries=sizes,
        compared={"pdq": sizes},
        not_compared={},
    )
    return replace(with_one, matches=(match,), lists=(compared,))


def test_the_chance_grows_with_distance_and_list() -> None:
    """A nearer match is rarer by chance, a longer list has more; it is that of the budget for such a rule."""

    def chance(distance: int, sizes: int, view: View = PLAIN_VIEW) -> float:
        (item,) = explain(report_with(distance, view, sizes), profiles.STANDARD).matches
        assert item.chance is not None
        return item.chance.per_picture

    assert chance(10, 1_000_000) < chance(31, 1_000_000)
    assert chance(31, 1_000) < chance(31, 1_000_000)
    from hashmatch.budget.spending import budget_of

    for view, kind in ((View(), "plain"), (View(turn=Turn.MIRROR), "turns")):
        items = budget_of(profiles.STANDARD, {"pdq": 1_000_000}).items
        (expected,) = (item.reports.per_picture for item in items if item.views == kind)
        assert chance(31, 1_000_000, view) == expected


def test_each_kind_of_match_is_said(made: tuple[Path, dict[str, int]]) -> None:
    """Digest, turn and crop; what was not compared is named."""
    folder, places = made
    with LogReader(folder / "log") as reader:
        pages = {name: draft_of(reader, place, "html") for name, place in places.items() if name != "strange"}
    assert "equal digests mean the same file" in pages["digest"]
    assert "two files of equal MD5 can be made" in pages["digest"]
    assert "(turns; " in pages["turned"]
    assert "(crops; " in pages["cut"] or "(plain; " in pages["cut"]
    for page in pages.values():
        assert "photodna hashes of list a &lt;list&gt;, which hashmatch does not compute" in page
        assert all(part.replace("'", "&#x27;") in page for part in NOT_PROVED)
        assert not re.search(r"<(img|script|link|iframe|object)|src=|href=|url\(", page)
        assert "<A1>" not in page


def test_a_policy_of_another_name_explains_nothing() -> None:
    """The chance would be another."""
    with pytest.raises(ValueError, match="of the policy 'standard'"):
        explain(report_with(3, View(), 10), profiles.FAST)


def test_the_draft_for_cybertip_is_in_the_order_of_the_schema(made: tuple[Path, dict[str, int]]) -> None:
    """Elements and what a person fills in, each at its place; what only a person knows is not there."""
    folder, places = made
    with LogReader(folder / "log") as reader:
        draft = draft_of(reader, places["turned"], "cybertip")
    tree = ElementTree.fromstring(draft)  # noqa: S314 - made one line before
    for name, order in (("report", REPORT_ORDER), ("fileDetails", FILE_ORDER)):
        part = draft[draft.index(f"<{name}>") : draft.index(f"</{name}>")]
        part = re.sub(r"<incidentSummary>.*</incidentSummary>", "<incidentSummary>", part, flags=re.DOTALL)
        found = re.findall(r"^    <(?:!-- a person fills in: )?(\w+)", part, flags=re.MULTILINE)
        assert [item for item in dict.fromkeys(found) if item in order] == [item for item in order if item in found]
        assert set(found) <= set(order)
        assert len(tree.findtext(f"{name}/additionalInfo") or "") <= 3000
    said = {element.tag for element in tree.iter()}
    assert not said & {
        "fileViewedByEsp",
        "publiclyAvailable",
        "industryClassification",
        "incidentType",
        "fileAnnotations",
    }
    assert [item.get("hashType") for item in tree.iter("originalFileHash")] == ["MD5", "SHA256"]
    assert "pdq-0011" not in draft


def test_drafts_in_json_leave_decisions_to_people(made: tuple[Path, dict[str, int]]) -> None:
    """XARF, DSA, VICS: what is left out is named; the same draft each time."""
    folder, places = made
    with LogReader(folder / "log") as reader:
        found = {form: draft_of(reader, places["digest"], form) for form in ("xarf", "dsa", "vics")}
        assert found == {form: draft_of(reader, places["digest"], form) for form in found}
    for text in found.values():
        whole = json.loads(text)
        assert whole.keys() == {"draft", "a person fills in"}
        assert not whole["draft"].keys() & set(whole["a person fills in"])
        assert "pdq-0011" not in text
    xarf = json.loads(found["xarf"])["draft"]
    assert (xarf["type"], xarf["detection_method"], "evidence" in xarf) == ("csam", "hash_match", False)
    assert "classification" in json.loads(found["xarf"])["a person fills in"]
    assert json.loads(found["dsa"])["draft"]["automated_detection"] == "Yes"
    assert {"decision_ground", "category", "automated_decision"} <= set(json.loads(found["dsa"])["a person fills in"])
    (case,) = json.loads(found["vics"])["draft"]["value"]
    assert case["Media"][0]["Category"] is None
    assert case["Media"][0]["MD5"] == case["Media"][0]["MD5"].upper()


def test_what_no_draft_is_made_of(made: tuple[Path, dict[str, int]], tmp_path: Path) -> None:
    """No match, no answer, no such form, no MD5 for VICS."""
    folder, places = made
    with LogReader(folder / "log") as reader:
        for place in (places["strange"], 0):
            with pytest.raises(AuditError, match="is no match"):
                draft_of(reader, place, "html")
        with pytest.raises(ValueError, match="form must be"):
            draft_of(reader, places["digest"], "fax")
    with (
        AuditLog.create(tmp_path / "log", KEY) as log,
        Matcher.open(folder / "list", recorder=Recorder(log)) as matcher,
    ):
        shown = fingerprint(picture("photo", 5, (400, 300)), algorithms=("pdq",)).view_hashes[0].value
        matcher.match_fingerprint(Fingerprint((ViewHash(value=shown, quality=90),)))
    with LogReader(tmp_path / "log") as reader:
        with pytest.raises(AuditError, match="names files by MD5"):
            draft_of(reader, 3, "vics")
        assert all(draft_of(reader, 3, form) for form in DRAFTS if form != "vics")


def test_the_commands(made: tuple[Path, dict[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``audit draft`` and ``explain``, of a line of match and of one of audit show; other files are no reports."""
    folder, places = made
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, [str(word) for word in words], env={"TERM": "dumb"})
        return result.exit_code, result.stdout, result.stderr

    code, out, _ = run("audit", "draft", folder / "log", places["digest"], "--form", "html")
    assert (code, out.startswith("<!DOCTYPE html>")) == (0, True)
    assert run("audit", "draft", folder / "log", 0, "--form", "html")[0] == 2
    Path("picture.png").write_bytes(save(edits.mirror(picture("photo", 5, (400, 300))), "PNG"))
    Path("report.json").write_text(run("match", "picture.png", "-l", folder / "list", "--json")[1])
    code, out, _ = run("explain", "report.json")
    assert (code, out.startswith("match\n"), "(turns; " in out) == (0, True, True)
    said = json.loads(run("explain", "report.json", "--json")[1])
    assert said["matches"][0]["chance"] < 1e-6
    with AuditLog.create("log", KEY) as log, Matcher.open(folder / "list", recorder=Recorder(log)) as matcher:
        matcher.match("picture.png")
    Path("shown.json").write_text(run("audit", "show", "log", 3, "--json")[1])
    assert run("explain", "shown.json")[1] == out
    assert run("explain", "report.json", "--policy", "fast")[0] == 2
    for wrong in ("", "[]", "{}", "\ud800", '{"outcome": "match"}', "[" * 100_000):
        Path("wrong.json").write_bytes(wrong.encode("utf-8", "surrogatepass"))
        code, _, err = run("explain", "wrong.json")
        assert (code, err.startswith("error: wrong.json: no report: "), len(err.splitlines())) == (2, True, 1)
