"""Records of one long JSON array: the same as of a parser of the whole, bounded, and never an end in silence."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError
from hashmatch.lists.formats import json_records as module
from hashmatch.lists.formats.json_records import TWICE, json_records

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(['"', "\\", '{"[', "]}", "Media"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.sampled_from(["MD5", "a", 'q"', "Category", "b\\"]), VALUES, max_size=4)
ELEMENTS = st.one_of(RECORDS, RECORDS, RECORDS, SCALARS, st.lists(SCALARS, max_size=2))


def read(data: bytes, **more: Any) -> list[Any]:
    """Read a hash set or cases."""
    return list(json_records(io.BytesIO(data), "value", "Media", **more))


def expected(element: Any) -> list[Any]:
    """Say what an element of the outer array gives."""
    if not isinstance(element, dict):
        return ["the record is no JSON object"]
    return [item for part in element["Media"] for item in expected(part)] if "Media" in element else [element]


@settings(max_examples=300, deadline=None)
@given(
    value=st.lists(
        st.one_of(ELEMENTS, st.fixed_dictionaries({"x": VALUES, "Media": st.lists(ELEMENTS, max_size=4), "y": VALUES})),
        max_size=5,
    ),
    before=VALUES,
    behind=VALUES,
    chunk=st.integers(4, 40),
    indent=st.sampled_from([None, 1]),
    is_ascii=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_records_are_those_of_a_whole_parser(
    value: list[Any], before: Any, behind: Any, chunk: int, indent: int | None, is_ascii: bool, encoding: str
) -> None:
    """Wherever the file is cut into chunks, in any layout and encoding."""
    said = {"before": before, "value": value, "behind": behind}
    text = json.dumps(said, indent=indent, ensure_ascii=is_ascii or encoding == "utf-16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        assert read(text.encode(encoding, "surrogatepass" if encoding != "utf-16" else "strict")) == [
            record for element in value for record in expected(element)
        ]


SET = b'{"c":"x","value":[{"MD5":"1","F":[{"MD5":"1"}]}, {"MD5":"2"}],"z":[1,{}]}'
CASES = b'{"value":[{"n":"x","Media":[{"MD5":"1"},{"MD5":"2"}],"m":[{}]},{"Media":[]}]}'


@pytest.mark.parametrize("data", [SET, CASES])
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_a_file_cut_short_fails(data: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every byte."""
    monkeypatch.setattr(module, "_CHUNK", chunk)
    assert [record["MD5"] for record in read(data)] == ["1", "2"]
    for end in range(len(data)):
        with pytest.raises(HashFormatError):
            read(data[:end])


@pytest.mark.parametrize(
    "data",
    [
        *(SET + more for more in (b"x", b"\0", b"{}", SET, b"]", b"}", b'"', b",", b"\f", b"\xa0")),
        *(b"x" + SET, b"[]", b"[" + SET + b"]", b"null", b"  ", b"<html>", b'{"value":{}}', b'{"values":[]}', b"{}"),
        *(b'{"value":[{"a":1}{"a":2}]}', b'{"value":[{"a":1},]}', b'{"value":[,{"a":1}]}', b'{"value":[{"a":1},,{}]}'),
        *(b'{"value":[{"a":1}}}', b'{"value" [{"a":1}]}', b'{"value":[{"a":1}],}', b'{"value":[{"a":1}] "b":2}'),
        *(
            b'{"value":[{"Media":[{}] 1}]}',
            b'{"value":[{"a" "Media":[{}]}]}',
            b'{"value":[{}.5]}',
            b'{"value":[{}5,{}]}',
        ),
    ],
)
def test_damage_between_records_fails(data: bytes) -> None:
    """What stands around the records is JSON, and there is one array that is named."""
    with pytest.raises(HashFormatError) as caught:
        read(data)
    assert "MD5" not in str(caught.value)


def test_a_bad_record_costs_itself() -> None:
    """What is no JSON, no object, too deep or has a number without end is refused alone, in order."""
    deep = b'{"a":' * 40 + b"1" + b"}" * 40
    records = [b'{"k":1}', b'{"k":}', b"7", b'{"k":2}', deep, b"[1]", b'{"k":' + b"9" * 5_000 + b"}", b'{"k":"\xff\n"}']
    found = read(b'{"value":[' + b",".join(records) + b"]}")
    assert [item["k"] if isinstance(item, dict) else item for item in found] == [
        1,
        "the record is no valid JSON",
        "the record is no JSON object",
        2,
        "the record has more than 32 levels",
        "the record is no JSON object",
        "the record is no valid JSON",
        "\ufffd\n",
    ]


@pytest.mark.parametrize("chunk", [16, 1 << 20])
def test_a_record_without_end_costs_itself(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record beyond the cap is refused and not held; a case may be far longer than the cap."""
    monkeypatch.setattr(module, "_CHUNK", chunk)
    monkeypatch.setattr(module, "MAX_RECORD", 100)
    long = b'{"k":"' + b"x" * 500 + b'"}'
    case = b'{"Media":[' + b",".join([b'{"k":1}'] * 50 + [long] + [b'{"k":2}'] * 50) + b"]}"
    found = read(b'{"value":[{"k":0},' + long + b"," + case + b"]}")
    assert [item["k"] if isinstance(item, dict) else item[:15] for item in found] == [
        *(0, "the record has "),
        *([1] * 50),
        "the record has ",
        *([2] * 50),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b'{"value":[' + b" " * 500 + b"{}]}",
        b'{"c":"' + b"x" * 500 + b'","value":[]}',
        b'{"value":[{"c":"' + b"x" * 500 + b'","Media":[{}]}]}',
        b'{"value":[{"Media":[{}],"c":"' + b"x" * 500 + b'"}]}',
        b'{"value":[],"c":' + b"[" * 50 + b"]" * 50 + b"}",
    ],
)
def test_what_stands_around_records_is_bounded(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also there nothing endless is held."""
    monkeypatch.setattr(module, "_CHUNK", 16)
    monkeypatch.setattr(module, "MAX_RECORD", 100)
    with pytest.raises(HashFormatError):
        read(data)


def test_the_values_of_a_record_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty arrays take far more memory than text: a record of too many costs itself, others are read."""
    monkeypatch.setattr(module, "MAX_VALUES", 50)
    many = b'{"k":[' + b"[]," * 50 + b"[]]}"
    good = b",".join([b'{"k":1}'] * 60)
    found = read(b'{"value":[' + good + b"," + many + b"," + good + b"]}")
    assert found == [*[{"k": 1}] * 60, "the record has more than 1,000,000 values", *[{"k": 1}] * 60]
    with pytest.raises(HashFormatError):
        read(b'{"value":[' + b"1," * 60 + b"1]}")


def test_a_quote_too_many_hides_no_record() -> None:
    """Two stray quotes would make one bad record of all between them."""
    good = b'{"id":1,"c":"x"},' * 3
    with pytest.raises(HashFormatError, match="damaged"):
        read(b'{"value":[{"id":1,"c":"x"y"},' + good + b'{"id":2,"c":"x"y"}]}')
    assert read(b'{"value":[{"id":1,"c":"x"y" "},{"id":2}]}') == ["the record is no valid JSON", {"id": 2}]


def test_content_is_neither_decoded_nor_kept() -> None:
    """A string under an unread key may be anything: wrong escapes, wrong UTF-8, brackets, escaped quotes."""
    content = rb'"\q\/9j\"],{}[' + b"\xff" * 9 + b'\\\\"'
    data = b'{"value":[{"k":1,"Miniature" : ' + content + b',"s":"Miniature"},{"Miniature":null,"k":2}]}'
    assert read(data, unread=["Miniature"]) == [
        {"k": 1, "Miniature": None, "s": "Miniature"},
        {"k": 2, "Miniature": None},
    ]
    assert read(data) == ["the record is no valid JSON", {"k": 2, "Miniature": None}]


def test_a_key_that_stands_twice_tells_nothing() -> None:
    """Unless both say the same; a second array of the same name is read too."""
    assert read(b'{"value":[{"a":1,"a":2,"b":3,"b":3,"a":1}],"value":[{"c":{"d":1,"d":[]}}]}') == [
        {"a": TWICE, "b": 3},
        {"c": {"d": TWICE}},
    ]


def test_a_key_in_a_string_is_no_key() -> None:
    """An escaped quote before the name, and a key that only ends like it."""
    assert read(b'{"x\\"value":[{"a":1}],"value":[{"x\\"Media":[{"a":2}],"m":"\\"Media\\":["}]}') == [
        {'x"Media': [{"a": 2}], "m": '"Media":['}
    ]
