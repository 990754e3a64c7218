"""Lists as lines: what is written reads back as far as the format holds it."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ListedHash, Listing, ReferenceList, content_digest
from hashmatch.lists.formats import Delivery, default_entry_id, format_named, import_into, reader_of
from hashmatch.lists.formats.decoding import MAX_LINE
from hashmatch.lists.formats.out import export_into
from hashmatch.lists.formats.own_csv import escaped, unescaped
from support.list_makers import made_up
from support.strategies import listed_entries

ROUNDS = settings(max_examples=25, deadline=None)


def exported(entries: list[Entry], kind: str, **asked: Any) -> bytes:
    """Write entries, by a list."""
    with tempfile.TemporaryDirectory() as folder, ReferenceList.create(f"{folder}/list", name="list") as ref:
        ref.add_many(entries)
        stream = io.BytesIO()
        export_into(ref, stream, kind, **asked)
        return stream.getvalue()


def imported(data: bytes, kind: str, **said: Any) -> list[Entry]:
    """Read a delivery into a list, and give its entries."""
    with tempfile.TemporaryDirectory() as folder, ReferenceList.create(f"{folder}/list", name="list") as ref:
        report = import_into(ref, reader_of(format_named(kind), io.BytesIO(data), Delivery(**said)))
        assert (report.refused_count, report.flawed) == (0, 0)
        return list(ref)


@given(listed_entries())
@ROUNDS
def test_ndjson_holds_everything(entries: list[Entry]) -> None:
    """A list made anew from the lines, by a parser of their own or by our reader, has the same content digest."""
    data = exported(entries, "ndjson")
    found = []
    for line in data.splitlines():
        record = json.loads(line.decode("ascii"))
        assert record["hashmatch"] == 1
        said = [
            Listing(
                item["source"],
                tuple(
                    ListedHash(HashValue(h["algorithm"], bytes.fromhex(h["hash"])), h["quality"])
                    for h in item["hashes"]
                ),
                item["labels"],
                item["role"],
            )
            for item in record["listings"]
        ]
        found.append(Entry(record["id"], tuple(said)))
    assert content_digest(found) == content_digest(entries)
    assert content_digest(imported(data, "ndjson")) == content_digest(entries)


@given(listed_entries())
@ROUNDS
def test_csv_reads_back_as_it_was(entries: list[Entry]) -> None:
    """By our own reader everything; and by no spreadsheet is any part of a cell a formula."""
    data = exported(entries, "csv")
    assert content_digest(imported(data, "hashmatch-csv")) == content_digest(entries)
    for row in csv.reader(io.StringIO(data.decode(), newline="")):
        for cell in row:
            assert not any(re.match(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]", part) for part in re.split("[;\t|]", cell))


@given(st.text(st.sampled_from("=+-@';|\t\r\n a\uff1d\"")))
def test_the_escape_of_formulas_is_undone_in_every_case(text: str) -> None:
    """Whatever stands in a cell, also what looks as if it was escaped."""
    assert unescaped(escaped(text)) == text
    assert not re.match(r"\s*[=+\-@]", escaped(text))


@given(listed_entries(), st.sampled_from([(), ("pdq",), ("pdq", "md5"), ("photodna",)]))
@ROUNDS
def test_text_reads_back_its_hashes(entries: list[Entry], algorithms: tuple[str, ...]) -> None:
    """Bare where one algorithm was asked for; entries are named by their hash."""
    data = exported(entries, "text", algorithms=algorithms)
    wanted = {
        value
        for entry in entries
        for listing in entry.listings
        for value in (item.value for item in listing.hashes)
        if listing.role == "alarm" and (not algorithms or value.algorithm in algorithms)
    }
    said = {"algorithm": algorithms[0]} if len(algorithms) == 1 else {}
    found = imported(data, "text", **said)
    assert content_digest(found) == content_digest([Entry.of(default_entry_id(v), hashes=[v]) for v in wanted])
    assert (b":" in data) == (bool(wanted) and len(algorithms) != 1)


def test_the_labels_of_a_row_that_no_reader_takes_are_counted(tmp_path: Path) -> None:
    """A line that is too long would cost the hash."""
    with ReferenceList.create(tmp_path / "list", name="list") as ref:
        labels = {f"{'n' * 60}{k}": "\x01" * 256 for k in range(64)}
        ref.add("a", hashes=[made_up(1), made_up(2)], labels=labels)
        stream = io.BytesIO()
        report = export_into(ref, stream, "csv")
    assert report.left_out == {"labels": 128}
    assert max(map(len, stream.getvalue().splitlines())) < MAX_LINE
    (entry,) = imported(stream.getvalue(), "hashmatch-csv")
    assert len(entry.hashes) == 2


def test_a_record_is_written_too() -> None:
    """Hashes that vary in length are hashes as others are."""
    entries = [Entry.of("a", hashes=[made_up(1, "keypoint"), made_up(1)], quality=3)]
    assert content_digest(imported(exported(entries, "csv"), "hashmatch-csv")) == content_digest(entries)
    (found,) = imported(exported(entries, "text", algorithms=["keypoint"]), "text", algorithm="keypoint")
    assert found.hashes == (made_up(1, "keypoint"),)


@given(listed_entries(), st.sampled_from([(), ("pdq", "md5")]))
@settings(max_examples=15, deadline=None)
def test_threatexchange_reads_our_local_file(entries: list[Entry], algorithms: tuple[str, ...]) -> None:
    """Value for value, by its own reader, and each is a valid signal."""
    pytest.importorskip("threatexchange", reason="the oracle is an extra")
    from threatexchange.exchanges.impl import file_api
    from threatexchange.signal_type.md5 import VideoMD5Signal
    from threatexchange.signal_type.pdq.signal import PdqSignal

    types = {"pdq": PdqSignal, "md5": VideoMD5Signal}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signals.txt"
        path.write_bytes(exported(entries, "tx-local", algorithms=algorithms))
        config = file_api.FileCollaborationConfig(name="ours", filename=str(path))
        (delta,) = file_api.LocalFileSignalExchangeAPI.for_collab(config).fetch_iter([], None)
    wanted = {
        (types[value.algorithm].get_name(), types[value.algorithm].validate_signal_str(value.hex()))
        for entry in entries
        for listing in entry.listings
        for value in (item.value for item in listing.hashes)
        if listing.role == "alarm" and value.algorithm in (algorithms or ("pdq",))
    }
    assert set(delta.updates) == wanted


@given(listed_entries())
@settings(max_examples=15, deadline=None)
def test_our_csv_of_signals_is_that_of_threatexchange(entries: list[Entry]) -> None:
    """Byte for byte what its ``dataset --csv`` writes of the same signals."""
    pytest.importorskip("threatexchange", reason="the oracle is an extra")
    from threatexchange.cli.dataset_cmd import DatasetCommand
    from threatexchange.exchanges import fetch_state
    from threatexchange.signal_type.pdq.signal import PdqSignal

    class Signal(fetch_state.FetchedSignalMetadata):
        def __init__(self, listing: Listing) -> None:
            self.listing = listing

        def get_as_opinions(self) -> Any:
            categories = fetch_state.SignalOpinionCategory
            category = {"alarm": categories.POSITIVE_CLASS, "benign": categories.NEGATIVE_CLASS}.get(
                self.listing.role, categories.INVESTIGATION_SEED
            )
            return [fetch_state.SignalOpinion(False, category, set())]

    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, ["signal_type", "signal_str", "collab", "category", "tags"])
    writer.writeheader()
    plain = [Entry(e.entry_id, tuple(Listing(x.source, x.hashes, {}, x.role) for x in e.listings)) for e in entries]
    for entry in plain:
        for listing in entry.listings:
            for item in listing.hashes:
                if item.value.algorithm == "pdq":
                    signal = PdqSignal.validate_signal_str(item.value.hex())
                    DatasetCommand()._print_csv(writer, listing.source, PdqSignal, signal, Signal(listing))
    assert exported(plain, "tx-csv").decode() == stream.getvalue()


def test_labels_become_tags() -> None:
    """Those with blanks, which part tags, or with a colon in the name are left out and counted."""
    labels = {"class": "A1", "note": "two words", "a:b": "c", "link": "x:y"}
    with tempfile.TemporaryDirectory() as folder, ReferenceList.create(f"{folder}/list", name="list") as ref:
        ref.add("a", hashes=[made_up(1)], labels=labels, quality=3)
        stream = io.BytesIO()
        report = export_into(ref, stream, "tx-csv")
    assert (
        stream.getvalue().decode().splitlines()[1] == f"pdq,{made_up(1).hex()},local,POSITIVE_CLASS,class:A1 link:x:y"
    )
    assert report.left_out == {"entry ids": 1, "labels": 2, "qualities": 1}
