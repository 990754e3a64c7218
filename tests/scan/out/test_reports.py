"""Laws of reports: every form says what the ledger says, and nothing that it must not."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hashmatch import Matcher, MatchReport, Outcome, ReferenceList, profiles
from hashmatch.errors import LedgerError
from hashmatch.scan import Ledger, iter_files, rescan, scan
from hashmatch.scan.out import REPORTS, write_report
from hashmatch.scan.out.rows import COLUMNS
from support.browser import Browser
from support.cli_makers import run
from support.scan_makers import make_medium

EVIL = "=cmd()|<script>alert(1)<!--&\"'-->\u2028\n.png"
FORMS = [*REPORTS, "parquet"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a ledger with names and one without, each of a scan and a rescan that takes a match back."""
    folder = tmp_path_factory.mktemp("kept")
    root, listed = make_medium(folder, n=6)
    shutil.copyfile(root / "f1" / "1.png", root / "f1" / EVIL)
    with ReferenceList.open(listed, writable=True) as ref:
        ref.relabel("entry-1", source="local", labels={"class": "</script><b>1", "vics-us": "2"})
    ledgers = folder / "names.ledger", folder / "plain.ledger"
    for keep, path in zip((True, False), ledgers, strict=True):
        with Matcher.open(listed) as matcher, Ledger.open(path, keep_names=keep) as book:
            for _ in scan(matcher, iter_files([root]), ledger=book, isolate=False):
                pass
    with ReferenceList.open(listed, writable=True) as ref:
        ref.withdraw("entry-3", source="local")
    for path in ledgers:
        with Ledger.open(path) as book:
            assert list(rescan(book, listed, policy=profiles.STANDARD))
    return ledgers


def made(path: Path, form: str, **options: Any) -> bytes:
    """Make a report."""
    file = io.BytesIO()
    with Ledger.open(path, writable=False) as book:
        write_report(book, file, form, **options)
    return file.getvalue()


def outcomes(path: Path) -> Counter[str]:
    """Count the items of a ledger by outcome."""
    with Ledger.open(path, writable=False) as book:
        return Counter(item.outcome.value for item in book)


@pytest.mark.parametrize("which", [0, 1])
def test_records_say_all_of_it(kept: tuple[Path, Path], which: int) -> None:
    """NDJSON has a record for each item, whose report reads back."""
    records = [json.loads(line) for line in made(kept[which], "ndjson").splitlines()]
    assert Counter(record["outcome"] for record in records) == outcomes(kept[which])
    with Ledger.open(kept[which], writable=False) as book:
        for record, item in zip(records, book, strict=True):
            assert MatchReport.from_dict(record["report"]) == item.report
            assert record["compared_with"][0]["list_version"] == 5 if item.basis else not record["compared_with"]
    assert sum(bool(record["withdrawn"]) for record in records) == 3
    assert all(("name" in record) is (which == 0) for record in records)
    assert not any({"md5", "sha1", "sha256"} & record.keys() for record in records)
    records = [json.loads(line) for line in made(kept[which], "ndjson", digests=True).splitlines()]
    assert all(len(record["sha256"]) == 64 for record in records)


def test_tables_say_the_same(kept: tuple[Path, Path]) -> None:
    """CSV and Parquet have the same rows; no cell of the CSV is a formula."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = list(csv.DictReader(io.StringIO(made(kept[0], "csv", digests=True).decode(), newline="")))
    table = parquet.read_table(io.BytesIO(made(kept[0], "parquet", digests=True))).to_pylist()
    assert [name for row in table[:1] for name in row] == list(COLUMNS)
    assert len(rows) == len(table)
    for row, other in zip(rows, table, strict=True):
        assert row["entry"] == (other["entry"] or "")
        assert row["distance"] == ("" if other["distance"] is None else str(other["distance"]))
    assert Counter(row["kind"] for row in rows)["withdrawn"] == 5
    assert not any(cell[:1] in "=+-@\t\r" for row in rows for cell in row.values() if cell)
    assert len({row["item"] for row in rows}) == sum(outcomes(kept[0]).values())
    names = [row["name"] for row in rows]
    assert not any(character in name for name in names for character in "\n\u2028")


def test_vics_names_what_matches(kept: tuple[Path, Path], tmp_path: Path) -> None:
    """Each content that matches is one record, whose list reads back."""
    data = made(kept[0], "vics", scheme="vics-us")
    records = json.loads(data)["value"]
    with Ledger.open(kept[0], writable=False) as book:
        contents = {item.content for item in book if item.outcome is Outcome.MATCH}
    assert len(records) == len(contents)
    assert Counter(record["Category"] for record in records) == {2: 2, None: 2}
    path = tmp_path / "delivery.json"
    path.write_bytes(data)
    assert run("list", "create", tmp_path / "back.hashmatch")[0] == 0
    assert (
        run("list", "import", tmp_path / "back.hashmatch", path, "--source", "lab", "--category-profile", "vics-us")[0]
        == 0
    )
    with ReferenceList.open(tmp_path / "back.hashmatch") as ref:
        assert len(ref) == len(contents)


def test_no_name_and_no_digest_where_none_is_kept(kept: tuple[Path, Path]) -> None:
    """Without names no form has one; without `digests` only VICS has digests."""
    with Ledger.open(kept[1], writable=False) as book:
        digests = [book.digests_of(item.content)["sha256"].hex() for item in book if item.content is not None]
    for form in FORMS:
        data = made(kept[1], form)
        assert b"1-copy" not in data
        if form != "vics":
            assert not any(digest.encode() in data for digest in digests)


def test_unknown_forms_and_missing_extras(kept: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are errors that say what to do."""
    with pytest.raises(ValueError, match="csv, html, ndjson, parquet, vics"):
        made(kept[0], "pdf")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(LedgerError, match=r"hashmatch\[arrow\]"):
        made(kept[0], "parquet")


def test_the_page_is_one_file_that_no_text_breaks(kept: tuple[Path, Path]) -> None:
    """It names no other place, and text of the medium and of lists opens and closes no tag."""
    page = made(kept[0], "html").decode()
    assert "<b>1" not in page
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|https?://", page)
    assert "default-src 'none'" in page
    assert "unsafe" not in page


def contrast(one: str, other: str) -> float:
    """Ratio of contrast of two colours, as WCAG 2 works it out."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_told_apart(kept: tuple[Path, Path]) -> None:
    """Text has a contrast of 7, borders and marks of 3, light and dark."""
    schemes = [dict(re.findall(r"--(\w+): (#\w+);", line)) for line in made(kept[0], "html").decode().splitlines()]
    schemes = [scheme for scheme in schemes if len(scheme) == 5]
    assert len(schemes) == 2
    for scheme in schemes:
        for ground in ("paper", "soft"):
            assert contrast(scheme["ink"], scheme[ground]) >= 7
            assert contrast(scheme["mark"], scheme[ground]) >= 3
        assert contrast(scheme["line"], scheme["paper"]) >= 3


@pytest.fixture
def page(kept: tuple[Path, Path], tmp_path: Path) -> Path:
    """Make a page of many rows: those of the ledger, many times."""
    text = made(kept[0], "html").decode()
    start = text.index('id="rows">[') + len('id="rows">[')
    end = text.index("]</script>", start)
    rows = text[start:end]
    times = 100_000 // (rows.count("\n") + 1) + 1
    (tmp_path / "report.html").write_text(text[:start] + ",\n".join([rows] * times) + text[end:], encoding="utf-8")
    return tmp_path / "report.html"


def test_the_page_in_a_browser(page: Path, tmp_path: Path) -> None:
    """100,000 rows sort, filter and scroll by keyboard; nothing is loaded, nothing is complained of, all has a name."""
    with Browser(page, tmp_path / "profile") as browser:
        browser.until("document.querySelectorAll('#matches tr.row').length > 5")
        total = int(browser.run("document.getElementById('matches').getAttribute('aria-rowcount')")) - 1
        assert total >= 100_000
        assert browser.run("document.querySelectorAll('#matches tr.row').length") < 200
        assert browser.requests == [page.as_uri()]
        assert browser.complaints == []
        assert browser.run("document.querySelectorAll('b, img, iframe, object, link').length") == 0
        assert browser.run(
            "JSON.parse(document.getElementById('rows').textContent).some((row) => row[3].includes('cmd()|<script>'))"
        )
        # sorted by keyboard, up and down
        column = "[...document.querySelectorAll('#matches tr.row')].map((row) => row.children[7].textContent)"
        browser.run("document.querySelectorAll('#head button')[7].focus()")
        browser.press("Enter", 13)
        assert browser.run("document.querySelectorAll('#head th')[7].getAttribute('aria-sort')") == "ascending"
        assert browser.run(f"{column}[0]") == "0"
        browser.press("Enter", 13)
        assert browser.run("document.querySelectorAll('#head th')[7].getAttribute('aria-sort')") == "descending"
        assert browser.run("document.querySelectorAll('[aria-sort=none]').length") == 9
        # filtered
        browser.run(
            "(() => { const s = document.getElementById('kind'); s.value = 'withdrawn';"
            " s.dispatchEvent(new Event('change')); })()"
        )
        few = int(browser.run("document.getElementById('matches').getAttribute('aria-rowcount')")) - 1
        assert 0 < few < total
        assert browser.run("document.getElementById('count').textContent") == f"{few:,} of {total:,} rows"
        browser.run("document.getElementById('text').focus()")
        browser.ask("Input.insertText", text="no such text")
        browser.until("document.getElementById('count').textContent.startsWith('0 of')")
        # scrolled to the end
        browser.run(
            "(() => { const t = document.getElementById('text'); t.value = '';"
            " document.getElementById('kind').value = ''; t.dispatchEvent(new Event('input')); })()"
        )
        browser.until(f"document.getElementById('count').textContent.startsWith('{total:,} of')")
        browser.run("(() => { const v = document.getElementById('view'); v.scrollTop = v.scrollHeight; })()")
        last = "[...document.querySelectorAll('#matches tr.row')].pop().getAttribute('aria-rowindex')"
        browser.until(f"{last} === '{total + 1}'")
        # everything that can be used has a name
        nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
        used = [
            node for node in nodes if node["role"]["value"] in ("button", "searchbox", "combobox", "region", "table")
        ]
        assert len(used) >= 14
        assert all(node["name"]["value"] for node in used if node["role"]["value"] != "table")
        assert browser.run("document.documentElement.lang") == "en"
        assert browser.complaints == []


def test_a_name_of_bytes_that_are_no_text(kept: tuple[Path, Path], tmp_path: Path) -> None:
    """Reports write it escaped."""
    del kept
    root, listed = make_medium(tmp_path, n=2)
    path = Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.png"))
    try:
        shutil.copyfile(root / "f1" / "1.png", path)
    except OSError:
        pytest.skip("this file system takes no such name")
    with Matcher.open(listed) as matcher, Ledger.open(tmp_path / "l", keep_names=True) as book:
        for _ in scan(matcher, [path], ledger=book, isolate=False):
            pass
    for form in FORMS:
        if form != "vics":
            assert b"caf\\\\xe9" in made(tmp_path / "l", form) or b"caf\\xe9" in made(tmp_path / "l", form)
