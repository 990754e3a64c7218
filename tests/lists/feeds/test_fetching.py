"""Feeds against a server that plays their services: resumed anywhere, faults survived, no secret anywhere."""

from __future__ import annotations

import gzip
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hashmatch.errors import FeedError, HashFormatError, ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.feeds import FetchReport, fetch_into
from hashmatch.lists.feeds.mark import Mark
from hashmatch.lists.feeds.services import NCMEC, STALE, TAT, StopNCII, ThreatExchange
from hashmatch.lists.formats import Delivery
from support.feed_server import Asked, Given, Server, served

CANARY = "canarysecret"
TOKENS = {
    "ncmec": f"user:{CANARY}",
    "stopncii": f"{CANARY}:{CANARY}2",
    "threatexchange": f"1|{CANARY}",
    "tat": f"user:{CANARY}",
}
NOW = 1_700_000_000


def md5(number: int) -> str:
    """Make the text of a hash that no file has."""
    return f"{number + 1:032x}"


@pytest.fixture
def ref(tmp_path: Path) -> Iterator[ReferenceList]:
    """Make an empty list; at the end it is sound and has no secret in it."""
    with ReferenceList.create(tmp_path / "list", name="x") as made:
        yield made
        made.verify()
        for file in tmp_path.iterdir():
            assert CANARY.encode() not in file.read_bytes()


@pytest.fixture(autouse=True)
def _no_secret_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever is logged by anyone at any level has no secret in it."""
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.records:
        assert CANARY not in record.getMessage()


def fetch(
    ref: ReferenceList, feed: str, url: str, *, now: float = NOW, waits: list[float] | None = None, **more: Any
) -> FetchReport:
    """Fetch; waiting takes no time."""
    slept = waits if waits is not None else []
    return fetch_into(ref, feed, TOKENS[feed], url=url, sleep=slept.append, now=lambda: now, **more)


def fails(ref: ReferenceList, feed: str, url: str, **more: Any) -> FeedError:
    """Fetch, and give the error; nothing of it, or of what led to it, has a secret in it."""
    with pytest.raises(FeedError) as caught:
        fetch(ref, feed, url, **more)
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in repr(error) + str(error) + repr(vars(error))
        assert isinstance(error, FeedError | HashFormatError | ReferenceListError | ImportError)
        error = error.__cause__ or error.__context__
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    return caught.value


def checkpoint(ref: ReferenceList, source: str) -> Mark:
    """Where a feed stands."""
    text = next((info.checkpoint for info in ref.sources() if info.name == source), "")
    return Mark.parsed(text, NOW)


class Service:
    """What the four services have in common: records in pages of two, and faults for the next answers."""

    def __init__(self, n_records: int = 5) -> None:
        self.records = list(range(n_records))
        self.gone: set[int] = set()
        self.faults: list[Callable[[Asked], Given] | Given | None] = []
        self.corrupt: set[int] = set()

    def __call__(self, asked: Asked) -> Given:
        """Answer by the next fault, or the page."""
        if "token-auth" in asked.path:
            return Given(json.dumps({"token": f"{CANARY}-session"}).encode())
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Given):
            return fault
        if fault is not None:
            return fault(asked)
        return Given(self.page(asked))

    def cut(self, start: int) -> tuple[list[int], bool]:
        """Give the records of a page and whether there are more."""
        return self.records[start : start + 2], start + 2 < len(self.records)

    def page(self, asked: Asked) -> bytes:
        """Give a page."""
        raise NotImplementedError


class NCMECService(Service):
    """Plays NCMEC."""

    def page(self, asked: Asked) -> bytes:
        """Give a page."""
        assert asked.path == "/v2/entries"
        assert asked.headers["authorization"].startswith("Basic ")
        start = int(asked.query.get("start", "1")) - 1
        records, more = self.cut(start)
        entries = "".join(
            f'<deletedImage><member id="4">x</member><id>e{i}</id></deletedImage>'
            if i in self.gone
            else f'<image><member id="4">x</member><id>e{i}</id><fingerprints><md5>'
            f"{chr(11) if i in self.corrupt else ''}{md5(i)}</md5></fingerprints></image>"
            for i in records
        )
        following = (
            f"/v2/entries?from={asked.query['from']}&amp;to={asked.query['to']}&amp;start={start + 3}&amp;size=2"
        )
        paging = f"<paging><next>{following}</next></paging>" if more else ""
        return (
            '<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">'
            f"<images>{entries}</images><videos/>{paging}</queryResult>"
        ).encode()


class StopNCIIService(Service):
    """Plays StopNCII."""

    def page(self, asked: Asked) -> bytes:
        """Give a page."""
        assert asked.path == "/FetchHashes"
        assert asked.headers["x-functions-key"] == CANARY
        assert asked.headers["ocp-apim-subscription-key"] == f"{CANARY}2"
        start = int(asked.query.get("nextPageToken", "0"))
        records, more = self.cut(start)
        made = [
            {
                "signalType": "VideoMD5",
                "hashValue": ("\x0b" if i in self.corrupt else "") + md5(i),
                "hashStatus": "Withdrawn" if i in self.gone else "Active",
                "caseNumbers": {},
            }
            for i in records
        ]
        token = str(start + 2) if more else ""
        page = {"hashRecords": made, "hasMoreRecords": more, "nextPageToken": token, "nextSetTimestamp": NOW + 5}
        return json.dumps(page).replace("\\u000b", "\x0b").encode()


class ThreatExchangeService(Service):
    """Plays ThreatExchange."""

    def page(self, asked: Asked) -> bytes:
        """Give a page."""
        assert asked.path == "/threat_updates/"
        assert asked.headers["authorization"] == f"Bearer 1|{CANARY}"
        start = int(asked.query.get("after", "0"))
        records, more = self.cut(start)
        made = [
            {
                "id": str(i),
                "type": "HASH_MD5",
                "indicator": ("\x0b" if i in self.corrupt else "") + md5(i),
                "should_delete": i in self.gone,
                "descriptors": [{"id": "1", "status": "MALICIOUS"}],
            }
            for i in records
        ]
        query = "&".join(f"{name}={value}" for name, value in asked.query.items() if name != "after")
        following = f"https://graph.example/v21.0/1/threat_updates/?access_token=1%7C{CANARY}&{query}&after={start + 2}"
        page = {"data": made, "paging": {"next": following} if more else {}}
        return json.dumps(page).replace("\\u000b", "\x0b").encode()


class TATService(Service):
    """Plays TAT."""

    def page(self, asked: Asked) -> bytes:
        """Give a page."""
        assert asked.path == "/api/hash-list/v2/all"
        assert asked.headers["authorization"] == f"Bearer {CANARY}-session"
        start = int(asked.query.get("after", "0,0").split(",")[1])
        records, more = self.cut(start)
        made = [
            {
                "id": i,
                "algorithm": "MD5",
                "hash_digest": ("\x0b" if i in self.corrupt else "") + md5(i),
                "deleted": i in self.gone,
            }
            for i in records
        ]
        upto = f"{NOW},{start + len(records)}"
        page = {"results": made, "next": "more" if more else None, "checkpoint": upto}
        return json.dumps(page).replace("\\u000b", "\x0b").encode()


SERVICES = {
    "ncmec": NCMECService,
    "stopncii": StopNCIIService,
    "threatexchange": ThreatExchangeService,
    "tat": TATService,
}
every_feed = pytest.mark.parametrize("feed", SERVICES)


@every_feed
def test_a_feed_is_fetched_and_followed(ref: ReferenceList, feed: str) -> None:
    """All pages the first time; later what changed; what was there twice changes nothing."""
    service = SERVICES[feed]()
    with served(service) as server:
        report = fetch(ref, feed, server.url)
        assert (report.pages, report.rows, report.accepted, report.new_entries) == (3, 5, 5, 5)
        assert len(ref) == 5
        service.records.append(5)
        service.gone = {1, 5}
        report = fetch(ref, feed, server.url, now=NOW + 3600)
    assert len(ref) == (5 if feed == "tat" else 4)
    assert report.deleted == (0 if feed == "tat" else 1)
    assert report.refused_count == 0


@every_feed
def test_stopped_anywhere_it_goes_on_there(ref: ReferenceList, feed: str) -> None:
    """What was read is kept with where to go on; the first page is not asked for again."""
    service = SERVICES[feed]()
    service.faults = [None, Given(status=418)]
    with served(service) as server:
        assert fails(ref, feed, server.url).reason == "no-page"
        assert len(ref) == 2
        server.asked.clear()
        report = fetch(ref, feed, server.url, now=NOW + 60)
    assert (report.pages, report.new_entries, len(ref)) == (2, 3, 5)


@every_feed
@pytest.mark.parametrize(
    ("faults", "waits"),
    [
        ([Given(status=429, headers={"Retry-After": "7"})], [7.0]),
        ([Given(status=503), Given(status=500), Given(status=502)], [1.0, 2.0, 4.0]),
        ([Given(b"x" * 1000, cut=10), Given(cut=0, body=b"x")], [1.0, 2.0]),
    ],
)
def test_passing_faults_are_survived(ref: ReferenceList, feed: str, faults: list[Given], waits: list[float]) -> None:
    """A busy service and a connection that is cut; Retry-After is honoured."""
    service = SERVICES[feed]()
    service.faults = [None, *faults]
    slept: list[float] = []
    with served(service) as server:
        fetch(ref, feed, server.url, waits=slept)
    assert slept == waits
    assert len(ref) == 5


@every_feed
def test_one_corrupt_record_for_ever_does_not_stop_the_feed(ref: ReferenceList, feed: str) -> None:
    """Also one that makes its whole page unreadable: it is refused and counted, each time."""
    service = SERVICES[feed]()
    service.corrupt = {2}
    seen: list[int] = []
    with served(service) as server:
        report = fetch(ref, feed, server.url, on_refused=lambda row: seen.append(row.line))
        assert (report.refused_count, len(ref)) == (1, 4)
        assert seen == [1]
        if feed != "tat":
            assert fetch(ref, feed, server.url, now=NOW + 900).refused_count == 1


@every_feed
@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_is_a_clear_error(ref: ReferenceList, feed: str, status: int) -> None:
    """It is not tried again, and nothing shows the token."""
    with served(lambda _: Given(CANARY.encode(), status)) as server:
        error = fails(ref, feed, server.url)
        assert error.reason == "refused-token"
        assert str(status) in str(error)
        assert len(server.asked) == 1


@every_feed
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (Given(status=503), "busy"),
        (Given(status=429, headers={"Retry-After": "7200"}), "busy"),
        (Given(status=429, headers={"Retry-After": "Wed, 01 Jan 2098 00:00:00 GMT"}), "busy"),
        (Given(b"x" * 99, cut=5), "unreachable"),
        (Given(status=302, headers={"Location": "https://elsewhere.example/"}), "redirected"),
        (Given(status=302, headers={"Location": "http://localhost:1/"}), "redirected"),
        (Given(status=302, headers={"Location": "/"}), "redirected"),
        (Given(status=304), "no-page"),
        (Given(b"<html>canarysecret</html>"), "no-page"),
        (Given(b'{"error":"canarysecret"}'), "no-page"),
        (Given(b"abc", headers={"Content-Encoding": "br"}), "no-page"),
        (Given(b"abc", headers={"Content-Encoding": "gzip"}), "unreachable"),
        (Given(status=404), "no-page"),
    ],
)
def test_lasting_faults_end_with_a_reason(ref: ReferenceList, feed: str, given: Given, reason: str) -> None:
    """And with the list as it was."""
    service = SERVICES[feed]()
    service.faults = [given] * 20
    with served(service) as server:
        assert fails(ref, feed, server.url).reason == reason
    assert len(ref) == 0
    assert not any(info.checkpoint for info in ref.sources())


def test_a_redirect_on_the_same_host_is_followed(ref: ReferenceList) -> None:
    """The token stays where it belongs."""
    service = TATService()
    service.faults = [Given(status=307, headers={"Location": "/api/hash-list/v2/all?order=asc"})]
    with served(service) as server:
        assert fetch(ref, "tat", server.url).new_entries == 5


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end_is_refused(ref: ReferenceList, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    """Also one that unpacks to too much."""
    monkeypatch.setattr("hashmatch.lists.feeds.client.MAX_BODY", 500_000)
    body = b" " * 1_000_000
    given = Given(gzip.compress(body), headers={"Content-Encoding": "gzip"}) if packed else Given(body)
    with served(lambda _: given) as server:
        assert fails(ref, "ncmec", server.url).reason == "too-large"


def test_nobody_answers(ref: ReferenceList, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that nothing listens on, and a service that says nothing."""
    with served(lambda _: Given()) as server:
        url = server.url
    assert fails(ref, "ncmec", url).reason == "unreachable"
    monkeypatch.setattr("hashmatch.lists.feeds.client._TIMEOUT", 0.05)
    import threading

    stop = threading.Event()

    def mute(_: Asked) -> Given:
        stop.wait(5)
        return Given()

    with served(mute) as server:
        error = fails(ref, "ncmec", server.url)
        stop.set()
    assert (error.reason, "in time" in str(error)) == ("unreachable", True)


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.example/x",
        "ftp://127.0.0.1/",
        f"https://user:{CANARY}@service.example/",
        f"https://service.example/?token={CANARY}",
        "https://",
        "nonsense",
        "https://service.example:port/",
        "https://sérvice.example/",
    ],
)
def test_addresses_that_no_secret_is_sent_to(ref: ReferenceList, url: str) -> None:
    """They are refused before anything is sent, and not shown."""
    assert fails(ref, "ncmec", url).reason == "bad-address"


@pytest.mark.parametrize("token", ["", "user", f"user:{CANARY}\nmore\nx", f"user:{CANARY}\x00", f"user:{CANARY}é"])
def test_tokens_that_are_none(ref: ReferenceList, token: str) -> None:
    """They are not shown either."""
    with pytest.raises(FeedError) as caught:
        fetch_into(ref, "ncmec", token, url="https://service.example")
    assert caught.value.reason == "bad-token"
    assert CANARY not in str(caught.value)


def test_a_feed_without_an_address_or_name(ref: ReferenceList) -> None:
    """ThreatExchange has an address for each group."""
    with pytest.raises(FeedError, match="no usual address"):
        fetch_into(ref, "threatexchange", TOKENS["threatexchange"])
    with pytest.raises(HashFormatError, match="ncmec, stopncii, threatexchange, tat"):
        fetch_into(ref, "other", "x")


def test_without_httpx_the_extra_is_named(ref: ReferenceList, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of the lists needs it."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    error = fails(ref, "ncmec", "https://service.example")
    assert (error.reason, "hashmatch[feeds]" in str(error)) == ("no-httpx", True)


def test_no_service_shows_its_secrets() -> None:
    """Not by repr, not by str."""
    for name, made in {"ncmec": NCMEC, "stopncii": StopNCII, "threatexchange": ThreatExchange, "tat": TAT}.items():
        assert CANARY not in repr(made(TOKENS[name])) + str(made(TOKENS[name]))


def queries(server: Server) -> list[tuple[str | None, str | None, str | None]]:
    """Give what NCMEC was asked for: from, to, start."""
    return [(asked.query.get("from"), asked.query.get("to"), asked.query.get("start")) for asked in server.asked]


def utc(seconds: int) -> str:
    """Write a time as NCMEC does."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_ncmec_moves_only_after_the_last_page_of_a_range(ref: ReferenceList, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pages have the same range, in UTC; the next one overlaps it."""
    import time

    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        service = NCMECService()
        service.faults = [None, None, Given(status=418)]
        with served(service) as server:
            fails(ref, "ncmec", server.url)
            assert checkpoint(ref, "ncmec").done == ""
            fetch(ref, "ncmec", server.url, now=NOW + 50)
            assert checkpoint(ref, "ncmec") == Mark(done=str(NOW))
            fetch(ref, "ncmec", server.url, now=NOW + 1000)
        whole = (utc(0), utc(NOW))
        later = (utc(NOW - 300), utc(NOW + 1000))
        assert queries(server) == [
            (*whole, None),
            (*whole, "3"),
            (*whole, "5"),
            (*whole, "5"),
            (*later, None),
            (*later, "3"),
            (*later, "5"),
        ]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("status", [400, 404, 410])
def test_ncmec_begins_a_range_anew_where_next_has_expired(ref: ReferenceList, status: int) -> None:
    """With the same from and to; at most three times."""
    service = NCMECService()
    service.faults = [None, Given(status=status)]
    with served(service) as server:
        fetch(ref, "ncmec", server.url)
        assert [start for _, _, start in queries(server)] == [None, "3", None, "3", "5"]
        assert len({(first, last) for first, last, _ in queries(server)}) == 1
        assert len(ref) == 5
        service.faults = [None, Given(status=status)] * 4
        assert fails(ref, "ncmec", server.url, now=NOW + 600).reason == "no-page"


def test_ncmec_does_not_use_an_address_of_yesterday(ref: ReferenceList) -> None:
    """After twelve hours the range begins anew by itself."""
    service = NCMECService()
    service.faults = [None, Given(status=418)]
    with served(service) as server:
        fails(ref, "ncmec", server.url)
        server.asked.clear()
        fetch(ref, "ncmec", server.url, now=NOW + 13 * 3600)
        assert queries(server)[0] == (utc(0), utc(NOW), None)
    assert checkpoint(ref, "ncmec").done == str(NOW)


@pytest.mark.parametrize(
    "following",
    [
        "/v2/entries?from=2020-01-01T00:00:00Z&amp;to=2021-01-01T00:00:00Z&amp;start=3",
        "/v2/members?x=1",
        "https://elsewhere.example/",
    ],
)
def test_ncmec_leads_to_no_other_range_or_place(ref: ReferenceList, following: str) -> None:
    """Such a page is not followed."""
    body = NCMECService(2).page(Asked("GET", "/v2/entries", {"from": "", "to": ""}, {"authorization": "Basic "}, b""))
    paging = f"<paging><next>{following}</next></paging></queryResult>".encode()
    with served(lambda _: Given(body.replace(b"</queryResult>", paging))) as server:
        assert fails(ref, "ncmec", server.url).reason == "no-page"
        assert len(server.asked) == 1


@every_feed
def test_pages_in_a_circle_end(ref: ReferenceList, feed: str) -> None:
    """A service that leads back is left."""
    service = SERVICES[feed](3)

    def answer(asked: Asked) -> Given:
        return Given(service.page(asked)) if "token-auth" not in asked.path else service(asked)

    def circle(asked: Asked) -> Given:
        service.cut = lambda _: ([0], True)  # type: ignore[method-assign]
        if feed == "tat":
            return answer(Asked(asked.method, asked.path, {}, asked.headers, asked.body))
        query = {key: value for key, value in asked.query.items() if key not in ("start", "after", "nextPageToken")}
        return answer(Asked(asked.method, asked.path, query, asked.headers, asked.body))

    with served(circle) as server:
        assert fails(ref, feed, server.url).reason == "no-page"
        assert len(server.asked) < 12


def test_threatexchange_asks_for_no_type_that_no_list_holds(ref: ReferenceList) -> None:
    """And puts its token into no address."""
    with served(ThreatExchangeService()) as server:
        fetch(ref, "threatexchange", server.url)
        assert "HASH_URL_MD5" not in server.asked[0].query["types"]
        for asked in server.asked:
            assert CANARY not in repr(asked.query)
        assert {(asked.query["start_time"], asked.query["stop_time"]) for asked in server.asked} == {("0", str(NOW))}


@every_feed
def test_all_is_fetched_anew_if_asked(ref: ReferenceList, feed: str) -> None:
    """Entries that vanished without a word go, and the feed goes on from there."""
    service = SERVICES[feed](10)
    with served(service) as server:
        fetch(ref, feed, server.url)
        service.records = service.records[:9]
        report = fetch(ref, feed, server.url, now=NOW + 60, anew=True)
        assert (report.anew, report.lost, report.rows, len(ref)) == (True, 1, 9, 9)
        service.records.append(20)
        assert fetch(ref, feed, server.url, now=NOW + 120).new_entries == 1


def test_threatexchange_is_fetched_anew_after_85_days(ref: ReferenceList) -> None:
    """What vanished meanwhile goes, in one step; entries of others stay; a copy that lost too much is refused."""
    service = ThreatExchangeService(20)
    late = NOW + STALE + 1
    with served(service) as server:
        fetch(ref, "threatexchange", server.url)
        ref.add("mine", hashes=[next(iter(ref)).hashes[0]], source="other")
        service.records = list(range(19))
        assert fetch(ref, "threatexchange", server.url, now=NOW + STALE - 10).lost == 0
        service.records = list(range(5))
        before = (ref.version, ref.digest)
        later = late + STALE
        with pytest.raises(ReferenceListError, match="take back 15 of the 20 entries"):
            fetch(ref, "threatexchange", server.url, now=later)
        assert (ref.version, ref.digest) == before
        service.faults = [None, Given(status=418)]
        fails(ref, "threatexchange", server.url, now=later, max_lost=1)
        assert (ref.version, ref.digest) == before
        report = fetch(ref, "threatexchange", server.url, now=later, max_lost=1)
        assert (report.anew, report.lost, len(ref)) == (True, 15, 6)
        assert not fetch(ref, "threatexchange", server.url, now=later + 60).anew


def test_stopncii_asks_from_where_it_was_told(ref: ReferenceList) -> None:
    """The first time from 10, then from nextSetTimestamp."""
    with served(StopNCIIService()) as server:
        fetch(ref, "stopncii", server.url)
        fetch(ref, "stopncii", server.url)
        starts = [asked.query["startTimestamp"] for asked in server.asked]
    assert starts == ["10"] * 3 + [str(NOW + 5)] * 3


def test_tat_goes_on_after_the_last_record(ref: ReferenceList) -> None:
    """The checkpoint moves with each page."""
    with served(TATService()) as server:
        fetch(ref, "tat", server.url)
        fetch(ref, "tat", server.url)
        after = [asked.query.get("after") for asked in server.asked if asked.method == "GET"]
    assert after == [None, f"{NOW},2", f"{NOW},4", f"{NOW},5"]


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"done":1}', '{"done":"1","until":-1}', '{"x":1}', "[" * 4_000])
def test_a_foreign_checkpoint_begins_anew(text: str) -> None:
    """It stops nothing."""
    assert Mark.parsed(text, NOW) == Mark()
    assert Mark(done=text).seconds == 0
    assert Mark.parsed(Mark(done="5", until=9, after="x" * 9_000, at=NOW).text(), NOW) == Mark(done="5", until=9)


def test_what_is_said_of_a_feed_holds_for_its_entries(ref: ReferenceList) -> None:
    """Source, labels and members apart."""
    with served(NCMECService()) as server:
        said = Delivery(source="npo", labels={"batch": "1"}, members={"4": "apart"})
        fetch(ref, "ncmec", server.url, delivery=said)
    assert ref.get("npo:4:e0:image").labels == {"npo/apart": {"batch": "1"}}  # type: ignore[union-attr]
    assert checkpoint(ref, "npo").done == str(NOW)
