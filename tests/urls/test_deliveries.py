"""Deliveries of addresses: text as people write it, and the pages and tables of exchanges."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.urls import Item, read_addresses, refanged

DEFANGED = [
    "hxxps://shop[.]example[.]com/a",
    "hXXps[:]//shop.example.com/a",
    "hxxps[://]shop(.)example{.}com/a",
    "h**ps://shop[dot]example(dot)com/a",
    "[h]ttps://shop\\.example.com/a",
    "https[:]//shop [.] example[.]com/a",
    "https[:][/][/]shop.example.com[/]a",
    "  https://shop.example.com/a ",
]


@pytest.mark.parametrize("text", DEFANGED)
def test_defanged_addresses_are_read(text: str) -> None:
    """In the ways in which reports write them."""
    assert refanged(text) == "https://shop.example.com/a"


@pytest.mark.parametrize(
    "text",
    [
        "http://example.com/a_(b)",
        "http://example.com/a(.)b",
        "http://[2001:db8::1]:80/a",
        "example.com:80/a\\.b",
        "HTTP:/example.com",
    ],
)
def test_an_address_that_is_not_defanged_stays(text: str) -> None:
    """Brackets of paths and of IPv6 are its own."""
    assert refanged(text) == text


def test_text_is_read_line_by_line() -> None:
    """Comments, blank lines, wildcards and lines without end."""
    data = (
        b"\xef\xbb\xbf# made up\r\n\r\nhxxp://a[.]example/x # why\r\n*.b.example\n" + b"a" * 70_000 + b"\nhttp://c/#d"
    )
    expected = [
        Item(3, "http://a.example/x"),
        Item(4, "b.example", "domain"),
        Item(5, refused="too-long"),
        Item(6, "http://c/#d"),
    ]
    assert list(read_addresses(io.BytesIO(data))) == expected
    assert list(read_addresses(io.BytesIO(gzip.compress(data)))) == expected
    assert list(read_addresses(io.BytesIO("http://é.example/".encode("utf-16")))) == [Item(1, "http://é.example/")]


def test_pages_of_threatexchange() -> None:
    """Types of addresses, digests of them, what is taken back, and what nobody calls malicious."""

    def record(kind: str, indicator: str, status: str = "MALICIOUS", **more: object) -> dict[str, object]:
        return {"id": "1", "type": kind, "indicator": indicator, "descriptors": [{"id": "2", "status": status}], **more}

    page = {
        "data": [
            record("URI", "http://a.example/1"),
            record("RAW_URI", "http://a.example/2"),
            record("UNCLICKABLE_URL", "hxxp://a[.]example/3"),
            record("DOMAIN", "a.example"),
            record("HASH_URL_MD5", "0" * 32),
            record("URI", "http://a.example/4", should_delete=True),
            record("URI", "http://a.example/5") | {"descriptors": []},
            record("URI", "http://a.example/6", "NON_MALICIOUS"),
            record("HASH_MD5", "0" * 32),
            record("URI", ""),
            7,
        ]
    }
    assert list(read_addresses(io.BytesIO(json.dumps(page).encode()))) == [
        Item(1, "http://a.example/1"),
        Item(2, "http://a.example/2"),
        Item(3, "http://a.example/3"),
        Item(4, "a.example", "host"),
        Item(5, "0" * 32, "url-md5"),
        Item(6, "http://a.example/4", gone=True),
        Item(7, "http://a.example/5", gone=True),
        Item(8, refused="not-malicious"),
        Item(9, refused="another-type"),
        Item(10, refused="bad-record"),
        Item(11, refused="bad-record"),
    ]


def test_pages_of_stopncii() -> None:
    """Signals of the type URL; withdrawn ones are taken back."""
    records = [
        {"signalType": "Url", "hashValue": "http://a.example/1", "hashStatus": "Active"},
        {"signalType": "URI", "hashValue": "hxxp://a.example/2", "hashStatus": "Withdrawn"},
        {"signalType": "ImagePDQ", "hashValue": "0" * 64},
        {"signalType": "Url"},
    ]
    assert list(read_addresses(io.BytesIO(json.dumps({"hashRecords": records}).encode()))) == [
        Item(1, "http://a.example/1"),
        Item(2, "http://a.example/2", gone=True),
        Item(3, refused="another-type"),
        Item(4, refused="bad-record"),
    ]


def test_tables_of_threatexchange() -> None:
    """Signals of addresses that are for alarm."""
    data = (
        "signal_type,signal_str,collab,category,tags\r\n"
        'url,"http://a.example/1,2",c,POSITIVE_CLASS,x\r\n'
        f"url_md5,{'0' * 32},c,POSITIVE_CLASS,\r\n"
        "url,http://a.example/3,c,NEGATIVE_CLASS,\r\n"
        "pdq,0,c,POSITIVE_CLASS,\r\n"
        "url,http://a.example/4\r\n"
    )
    assert list(read_addresses(io.BytesIO(data.encode()))) == [
        Item(2, "http://a.example/1,2"),
        Item(3, "0" * 32, "url-md5"),
        Item(4, refused="not-malicious"),
        Item(5, refused="another-type"),
        Item(6, refused="bad-record"),
    ]


def test_what_is_no_delivery_is_one_error() -> None:
    """Damaged pages, other formats and names of none."""
    for name, data in (
        ("threatexchange", b"{"),
        ("stopncii", b"[]"),
        ("tx-csv", b"a,b\n"),
        (None, b"PK\3\4" + b"x" * 40),
    ):
        with pytest.raises((HashFormatError, ReferenceListError)):
            list(read_addresses(io.BytesIO(data), name))
    with pytest.raises(ReferenceListError, match="one of text"):
        list(read_addresses(io.BytesIO(b""), "xml"))
    assert repr(Item(3, "http://a.example/")) == "<Item 3>"
