"""Signals of threatexchange: its CSV and its local file, read value for value as it reads them."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.lists import ReferenceList
from hashmatch.lists.formats import (
    ColumnMapping,
    Delivery,
    Refused,
    Row,
    default_entry_id,
    format_named,
    import_into,
    read_table,
    reader_of,
    recognised,
)
from hashmatch.lists.formats.out import export_into
from hashmatch.lists.formats.tx_local import OTHER_TYPES
from support.list_makers import made_up

GOLDEN = Path(__file__).parents[2] / "golden/formats"
HEADER = "signal_type,signal_str,collab,category,tags\r\n"
PDQ = [made_up(i) for i in range(5)]


def read(kind: str, data: str | bytes, **said: Any) -> list[Any]:
    """Read a delivery."""
    stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return list(reader_of(format_named(kind), stream, Delivery(**said)))


def rows_of(*rows: tuple[str, ...]) -> str:
    """Write the table."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    return HEADER + stream.getvalue()


def test_the_samples_are_recognised_and_read() -> None:
    """Collaborations are sources, categories say what for; what is no hash of a list is refused by its type."""
    for name, file in (("tx-csv", "tx.csv"), ("tx-local", "tx-local.txt")):
        found = recognised((GOLDEN / file).read_bytes())
        assert found is not None
        assert found.name == name
    rows = read("tx-csv", (GOLDEN / "tx.csv").read_bytes())
    assert [(row.line, row.entry.listings[0].source, row.entry.role) for row in rows if isinstance(row, Row)] == [
        (2, "Example Collab", "alarm"),
        (3, "Example Collab/benign", "benign"),
        (4, "Other Collab/comparison", "comparison"),
    ]
    assert rows[0].entry.labels["Example Collab"] == {"tags": "example_tag", "uk": "A"}
    assert rows[1].entry.hashes[0].algorithm == "md5"
    assert [row.line for row in rows if isinstance(row, Refused)] == [5, 7]
    assert rows[3].reason == "a signal of the type raw_text is no hash that a list holds"
    local = read("tx-local", (GOLDEN / "tx-local.txt").read_bytes())
    assert [row.line for row in local] == [1, 2, 4, 5]
    assert [row.entry.entry_id for row in local[:2]] == [row.entry.entry_id for row in rows[:2]]
    assert [row.reason for row in local[2:]] == [
        f"a signal of the type {name} is no hash that a list holds" for name in ("url", "raw_text")
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("vpdq", '["x,100,0.0"]', "c", "POSITIVE_CLASS", ""), "of the type vpdq"),
        (("0f1e2d3c", "x", "c", "POSITIVE_CLASS", ""), "of a type that is not known"),
        (("pdq", "0f1e", "c", "POSITIVE_CLASS", ""), "64 hexadecimal digits, not 4"),
        (("pdq", "0" * 64, "c", "POSITIVE_CLASS", ""), "no picture worth matching"),
        (("video_md5", "d41d8cd98f00b204e9800998ecf8427e", "c", "POSITIVE_CLASS", ""), "empty file"),
        (("pdq", PDQ[1].hex(), "c", "MAYBE", ""), "column category"),
        (("pdq", PDQ[1].hex(), "c", "", ""), "column category"),
        (("pdq", PDQ[1].hex(), "c" * 65, "POSITIVE_CLASS", ""), "the source must be"),
        (("pdq", PDQ[1].hex()), "the record has 2 fields, not 5"),
    ],
)
def test_a_bad_row_costs_itself(row: tuple[str, ...], reason: str) -> None:
    """Its reason shows its type where that is one of threatexchange's, and nothing of the signal."""
    good = ("pdq", PDQ[0].hex().upper(), "c", "POSITIVE_CLASS", "")
    first, bad, last = read("tx-csv", rows_of(good, row, good))
    assert isinstance(bad, Refused)
    assert reason in bad.reason
    assert (first.entry.hashes, last.line) == ((PDQ[0],), 4)
    assert "0f1e" not in bad.reason
    assert PDQ[1].hex()[:8] not in bad.reason


def test_what_a_delivery_says_counts_more() -> None:
    """A source for all, a role, labels; a role beside the source where it differs."""
    data = rows_of(
        ("pdq", PDQ[0].hex(), "c", "POSITIVE_CLASS", ""),
        ("pdq", PDQ[1].hex(), "", "NEGATIVE_CLASS", ""),
        ("pdq", PDQ[2].hex(), "c/benign", "NEGATIVE_CLASS", ""),
    )

    def said(**told: Any) -> list[tuple[str, str]]:
        return [(row.entry.sources[0], row.entry.role) for row in read("tx-csv", data, **told)]

    assert said() == [("c", "alarm"), ("local/benign", "benign"), ("c/benign", "benign")]
    assert said(source="s") == [("s", "alarm"), ("s/benign", "benign"), ("s/benign", "benign")]
    assert said(role="comparison") == [("c", "comparison"), ("local", "comparison"), ("c/benign", "comparison")]
    assert read("tx-csv", data, labels={"a": "b"})[0].entry.labels == {"c": {"a": "b"}}
    (row,) = read("tx-local", f"pdq {PDQ[0].hex()}\n", source="s", role="benign", labels={"a": "b"})
    assert (row.entry.sources, row.entry.role, row.entry.labels) == (("s",), "benign", {"s": {"a": "b"}})


def test_a_local_file_without_types() -> None:
    """Bare signals where the algorithm is told; they are never guessed."""
    data = f"\ufeff{PDQ[0].hex()}\r\n  \r\npdq {PDQ[1].hex()} \r\n"
    bare, typed = read("tx-local", data)
    assert isinstance(bare, Refused)
    assert typed.entry.hashes == (PDQ[1],)
    assert [row.entry.hashes for row in read("tx-local", data, algorithm="pdq")] == [(PDQ[0],), (PDQ[1],)]


def test_a_quote_that_is_not_closed_swallows_nothing() -> None:
    """The rows after it are read one by one."""
    rows = [("pdq", value.hex(), "c", "POSITIVE_CLASS", "") for value in PDQ]
    text = rows_of(*rows).replace(",c,", ',"c,', 1)
    assert [row.line for row in read("tx-csv", text) if isinstance(row, Row)] == [3, 4, 5, 6]
    cut = read("tx-csv", rows_of(*rows)[:-30])
    assert [type(row) for row in cut] == [Row] * 4 + [Refused]


def test_what_is_no_table_of_signals_is_one_error() -> None:
    """Not thousands of refused rows; and it is not recognised."""
    for data in ("", "pdq,md5\n", "signal_type,signal_str\n", "\n" + HEADER):
        with pytest.raises(HashFormatError, match="no table of threatexchange"):
            read("tx-csv", data)
        assert recognised(data.encode()) is None
    for data in ("hello world\n", f"pdq{PDQ[0].hex()}\n", "pdq x", "\xff pdq\n", f"{PDQ[0].hex()}\nvideo_md5 x\n"):
        assert recognised(data.encode("latin-1")) is None


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8, unique=True), st.data())
@settings(max_examples=25, deadline=None)
def test_what_we_write_comes_back(numbers: list[int], data: st.DataObject) -> None:
    """Hashes, sources, roles and labels by the CSV; hashes by the local file."""
    sources = {"a": "alarm", "a/benign": "benign", "b/comparison": "comparison"}
    with tempfile.TemporaryDirectory() as folder, ReferenceList.create(f"{folder}/one", name="one") as ref:
        for number in numbers:
            value = made_up(number, data.draw(st.sampled_from(["pdq", "md5", "sha256"])))
            source = data.draw(st.sampled_from(list(sources)))
            labels = data.draw(st.dictionaries(st.sampled_from(["uk", "x"]), st.sampled_from(["A", "b:c"])))
            role: Any = sources[source]
            ref.add(default_entry_id(value), hashes=[value], source=source, role=role, labels=labels)
        out, local = io.BytesIO(), io.BytesIO()
        algorithms = ["pdq", "md5", "sha256"]
        export_into(ref, out, "tx-csv", algorithms=algorithms)
        with ReferenceList.create(f"{folder}/two", name="two") as two:
            report = import_into(two, iter(read("tx-csv", out.getvalue())))
            assert (report.refused_count, report.flawed, two.digest) == (0, 0, ref.digest)
        alarms = {value for entry in ref if entry.role == "alarm" for value in entry.hashes}
        if alarms:
            export_into(ref, local, "tx-local", algorithms=algorithms)
        assert {row.entry.hashes[0] for row in read("tx-local", local.getvalue())} == alarms


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pdq", "video_md5", "video_sha256", "raw_text", "url"]),
            st.integers(0, 9),
            st.sampled_from(["c", "d e"]),
            st.sampled_from(["POSITIVE_CLASS", "NEGATIVE_CLASS", "INVESTIGATION_SEED", "DISPUTED"]),
            st.sets(st.sampled_from(["a", "b:c", "uk:A"])),
        ),
        max_size=12,
    )
)
@settings(max_examples=25, deadline=None)
def test_we_read_what_threatexchange_writes(signals: list[tuple[str, int, str, str, set[str]]]) -> None:
    """Value for value: its ``dataset --csv``, and its local file by its own reader."""
    pytest.importorskip("threatexchange", reason="the oracle is an extra")
    from threatexchange.cli.dataset_cmd import DatasetCommand
    from threatexchange.exchanges import fetch_state
    from threatexchange.exchanges.impl import file_api
    from threatexchange.signal_type.md5 import VideoMD5Signal
    from threatexchange.signal_type.pdq.signal import PdqSignal
    from threatexchange.signal_type.raw_text import RawTextSignal
    from threatexchange.signal_type.sha256 import VideoSHA256Signal
    from threatexchange.signal_type.url import URLSignal

    types: dict[str, Any] = {
        item.get_name(): item for item in (PdqSignal, VideoMD5Signal, VideoSHA256Signal, RawTextSignal, URLSignal)
    }
    algorithms = {"pdq": "pdq", "video_md5": "md5", "video_sha256": "sha256"}

    class Signal(fetch_state.FetchedSignalMetadata):
        def __init__(self, category: str, tags: set[str]) -> None:
            names = ["POSITIVE_CLASS", "NEGATIVE_CLASS"] if category == "DISPUTED" else [category]
            kinds = [fetch_state.SignalOpinionCategory[name] for name in names]
            self.opinions = [fetch_state.SignalOpinion(False, kind, tags) for kind in kinds]

        def get_as_opinions(self) -> Any:
            return self.opinions

    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, ["signal_type", "signal_str", "collab", "category", "tags"])
    writer.writeheader()
    wanted: list[tuple[HashValue | None, str]] = []
    local = ""
    for name, number, collab, category, tags in signals:
        value = made_up(number, algorithms[name]) if name in algorithms else None
        text = f'made up {number}\nof lines, "quoted"' if value is None else value.hex()
        if value is not None:
            types[name].validate_signal_str(text)
        DatasetCommand()._print_csv(writer, collab, types[name], text, Signal(category, tags))
        wanted.append((value, category))
        local += f"{name} {text.splitlines()[0]}\n"
    rows = read("tx-csv", stream.getvalue())
    categories = {"POSITIVE_CLASS": "alarm", "NEGATIVE_CLASS": "benign"}
    assert [(row.entry.hashes[0], row.entry.role) if isinstance(row, Row) else None for row in rows] == [
        None if value is None else (value, categories.get(category, "comparison")) for value, category in wanted
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signals.txt"
        path.write_text(local)
        collab_config = file_api.FileCollaborationConfig(name="c", filename=str(path))
        (delta,) = file_api.LocalFileSignalExchangeAPI.for_collab(collab_config).fetch_iter([], None)
    theirs = {HashValue(algorithms[name], bytes.fromhex(text)) for name, text in delta.updates if name in algorithms}
    ours = read("tx-local", local)
    assert {row.entry.hashes[0] for row in ours if isinstance(row, Row)} == theirs
    assert len({name for name, _ in delta.updates} - algorithms.keys() - OTHER_TYPES) == 0


def test_its_old_store_is_a_table_without_a_header() -> None:
    """``simple.<TYPE>.te``: indicator, id of the first descriptor, when it was added, labels."""
    data = f"{PDQ[0].hex()},123,2020-07-31T18:47:45+0000,tag_a tag_b\n".encode()
    mapping = ColumnMapping(hashes={"1": "pdq"}, entry_id="2", labels={"4": "tags"}, header=False)
    (row,) = read_table(io.BytesIO(data), mapping)
    assert isinstance(row, Row)
    assert (row.entry.entry_id, row.entry.labels) == ("123", {"local": {"tags": "tag_a tag_b"}})
