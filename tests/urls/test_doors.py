"""Doors: scans, Squid's protocol, zones for resolvers and certificates."""

from __future__ import annotations

import io
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from hashmatch.errors import HashFormatError, ReferenceListError, SignatureError
from hashmatch.signing import SigningKey
from hashmatch.urls import (
    UrlKey,
    UrlList,
    UrlMatcher,
    UrlScan,
    certify,
    read_certificate,
    self_test_address,
    serve_squid,
    try_proxy,
    zone_of,
)
from hashmatch.urls.squid import answer_line

pytest.importorskip("ada_url")

KEY = UrlKey(b"tests of doors to known addresses"[:32])


@pytest.fixture
def listed(tmp_path: Path) -> UrlList:
    """Make a list of an address, a host and a domain."""
    made = UrlList.create(tmp_path / "list.urls", KEY, name="made up")
    made.add(["http://shop.example.com/a/b?x=1"], source="desk", classes=["c"])
    made.add(["host.example.org"], scope="host")
    made.add(["bad.example", "xn--exmple-cua.example"], scope="domain")
    return made


@pytest.fixture
def matcher(listed: UrlList) -> UrlMatcher:
    """Open it."""
    return UrlMatcher.open(listed.path, KEY)


@pytest.mark.parametrize(
    "text",
    [
        "http://shop.example.com/a/b",
        "see (http://shop.example.com/a/b), and",
        "<a href='http://shop.example.com/a/b'>",
        "[x](http://shop.example.com/a/b).",
        '{"u":"http:\\/\\/shop.example.com\\/a\\/b"}',
        "http://other.example.net/?u=http://shop.example.com/a/b",
        "http://other.example.net/,http://shop.example.com/a/b",
        "shop.example.com/a/b#c",
        "shop.example.com:8080/a/b?junk",
        "http://www.bad.example",
        "www.bad.example/x",
        "bad.example",
        "é bad.example.",
        "http://exämple.example/",
        "exämple.example",
    ],
)
def test_an_address_in_a_text_is_found_once(matcher: UrlMatcher, text: str) -> None:
    """However it stands there."""
    scan = UrlScan(matcher)
    found = list(scan.file(io.BytesIO(f"first\n{text}\n".encode())))
    assert [item.place for item in found] == ["line 2"]
    assert scan.listed == 1
    assert scan.left_out == []


def test_other_addresses_in_a_text_are_counted(matcher: UrlMatcher) -> None:
    """What is not listed, what cannot be read, and what is longer than is looked at."""
    scan = UrlScan(matcher)
    text = (
        f"a@bad.example notbad.example2 http://x.example/ http://[::1 http://y.example/{'a' * 9_000}\n{'b' * 70_000}\n"
    )
    assert list(scan.file(io.BytesIO(text.encode()))) == []
    assert (scan.listed, scan.undecided) == (0, 2)
    assert scan.left_out == ["line 2 is too long"]


def test_columns_of_a_database_are_looked_through(matcher: UrlMatcher, tmp_path: Path) -> None:
    """Every column of every table; binary values and computed tables are told."""
    path = tmp_path / "history.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE visits (id INTEGER, url TEXT, title TEXT, icon BLOB);"
        "INSERT INTO visits VALUES (1, 'http://x.example/', 'x', NULL), (2, 'http://shop.example.com/a/b', 'y', x'00'),"
        " (3, 'y', 'on bad.example', NULL);"
        "CREATE TABLE made (a TEXT, b TEXT AS (a));"
        "CREATE VIEW v AS SELECT 'http://bad.example/' AS url;"
    )
    connection.commit()
    connection.close()
    scan = UrlScan(matcher)
    places = [item.place for item in scan.file(path)]
    assert places == ["visits.url, row 2", "visits.title, row 3"]
    assert scan.left_out == ["table made", "binary values of visits.icon"]
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(HashFormatError):
        list(scan.file(path))


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("http://shop.example.com/a/b?y", "OK message=listed"),
        ("7 http%3A%2F%2Fshop.example.com%2Fa%2Fb - GET 10.0.0.1", "7 OK message=listed"),
        ("http://shop.example.com/a/c 10.0.0.1 -", "ERR"),
        ("12 host.example.org:443", "12 OK message=listed"),
        ("12 example.org:443", "12 ERR"),
        ("0 http://shop.example.com/a%252Fb", "0 OK message=listed"),
        ("5 mailto:a@b.example", "5 BH message=not-web"),
        ("", "BH message=unreadable"),
        ("1 http://", "1 BH message=no-host"),
        ("\udcff\udcfe", "ERR"),
    ],
)
def test_the_lines_of_squid(matcher: UrlMatcher, line: str, answer: str) -> None:
    """With and without channels, escaped once, of methods that name a host alone; what is odd is an answer too."""
    assert answer_line(matcher, line) == answer


def test_the_helper_answers_every_line_and_takes_up_changes(
    listed: UrlList, matcher: UrlMatcher, caplog: pytest.LogCaptureFixture
) -> None:
    """A line too long gets one answer; a list that goes away is told, and asked as it was."""
    listed.add(["http://new.example/"])
    answers = io.BytesIO()
    lines = [b"http://new.example/\n", b"a" * 600_000 + b"\n", b"\xff\n", b"host.example.org:443\n"]
    serve_squid(matcher, io.BytesIO(b"".join(lines)), answers, refresh_seconds=0.0)
    assert answers.getvalue().split(b"\n") == [
        b"OK message=listed",
        b"BH message=too-long",
        b"ERR",
        b"OK message=listed",
        b"",
    ]
    listed.path.unlink()
    answers = io.BytesIO()
    serve_squid(matcher, io.BytesIO(b"http://new.example/\n"), answers, refresh_seconds=0.0)
    assert answers.getvalue() == b"OK message=listed\n"
    assert "not there any more" in caplog.text


def test_a_zone_has_the_operators_names_that_are_listed_now(listed: UrlList) -> None:
    """Domains with all below, hosts alone; nothing that is not listed, withdrawn or no name."""
    names = ["BAD.example.", "host.example.org", "exämple.example", "good.example", "10.1.2.3", "x y", "bad.example"]
    zone = list(zone_of(listed, names))
    assert zone[0] == "$TTL 300"
    assert zone[3:] == [
        "bad.example CNAME .",
        "*.bad.example CNAME .",
        "host.example.org CNAME .",
        "xn--exmple-cua.example CNAME .",
        "*.xn--exmple-cua.example CNAME .",
    ]
    assert list(zone_of(listed, ["host.example.org"], to="stop.example.net"))[3:] == [
        "host.example.org CNAME stop.example.net."
    ]
    listed.withdraw(["bad.example"], by="A. Person", reason="appeal")
    assert not any("bad" in line for line in zone_of(listed, names))
    with pytest.raises(ReferenceListError):
        list(zone_of(listed, names, to="a\nb c"))


class _Proxy(BaseHTTPRequestHandler):
    """A proxy that blocks some hosts."""

    blocks: ClassVar[tuple[str, ...]] = ()

    def do_GET(self) -> None:
        self.send_response(451 if any(self.path.startswith(start) for start in self.blocks) else 502)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[str]:
    """Run one."""
    with HTTPServer(("127.0.0.1", 0), _Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
    _Proxy.blocks = ()


def test_a_certificate_says_what_was_found_and_who_says_so(listed: UrlList, proxy: str) -> None:
    """Signed, with the doors; a door that lets the self-test through or blocks all gives none."""
    pytest.importorskip("cryptography")
    key = SigningKey.make("example.org/blocking")
    with pytest.raises(ReferenceListError, match="does not block"):
        try_proxy(listed, proxy)
    _Proxy.blocks = ("http://",)
    with pytest.raises(ReferenceListError, match="proves nothing"):
        try_proxy(listed, proxy)
    _Proxy.blocks = (self_test_address(KEY),)
    data = certify(listed, key, [try_proxy(listed, proxy)])
    said = read_certificate(data, key.verifiers)
    assert said["doors"] == [
        {"door": "library", "self_test": "listed", "neighbour": "not-listed"},
        {"door": "proxy", "self_test": 451, "neighbour": 502},
    ]
    assert (said["version"], said["live"], said["added"]) == (3, {"address": 1, "domain": 2, "host": 2}, 4)
    assert self_test_address(KEY)[7:39] not in data.decode()
    with pytest.raises(SignatureError):
        read_certificate(data.replace(b'"added": 4', b'"added": 5'), key.verifiers)
    with pytest.raises(SignatureError):
        read_certificate(data, SigningKey.make("example.org/other").verifiers)
    for wrong in ("ftp://x", "nonsense", "http://127.0.0.1:1"):
        with pytest.raises(ReferenceListError):
            try_proxy(listed, wrong)
