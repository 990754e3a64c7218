"""Lists of addresses: guards, life, files that are damaged or forged, and what they never show."""

from __future__ import annotations

import json
import logging
import secrets
import stat
from pathlib import Path

import numpy as np
import pytest

from hashmatch.errors import AddressError, PolicyError, ReferenceListError, SignatureError
from hashmatch.urls import (
    REASONS,
    SCOPES,
    Guards,
    Item,
    UrlKey,
    UrlList,
    UrlMatcher,
    info_of,
    read_address,
    self_test_address,
)
from hashmatch.urls.table import Table, read_table, write_table
from urls.test_canonical import LADDER, LISTED

psl = pytest.importorskip("publicsuffixlist")

KEY = UrlKey(b"tests of lists of known addresses"[:32])
DAY = 86_400
NOW = 1_900_000_000


@pytest.fixture
def made(tmp_path: Path) -> UrlList:
    """Make an empty list."""
    return UrlList.create(tmp_path / "list.urls", KEY, name="made up")


def outcome(made: UrlList, address: str, now: float = NOW) -> str:
    """Answer by the list as it is in its file."""
    return UrlMatcher.open(made.path, KEY).check(address, now=now).outcome


def refused(made: UrlList, address: str, scope: str = "address", **how: object) -> str:
    """Try to list one address; the reason why not."""
    report = made.add([address], scope=scope, now=NOW, **how)  # type: ignore[arg-type]
    assert report.rows == 1
    return next(iter(report.refused), "")


@pytest.mark.parametrize("scope", ["domain", "host", "prefix", "address", "query"])
def test_the_ladder_is_found_whole_at_every_scope(made: UrlList, scope: str) -> None:
    """Whatever a browser opens as the same address is listed; a neighbour is not."""
    prefix = LISTED.rpartition("/")[0] + "/"
    at = {"domain": "http://exämple.com", "host": "http://shop.exämple.com", "prefix": prefix}.get(scope, LISTED)
    assert refused(made, at, scope) == ""
    matcher = UrlMatcher.open(made.path, KEY)
    assert {name: matcher.check(text, now=NOW).outcome for name, text in LADDER.items()} == dict.fromkeys(
        LADDER, "listed"
    )
    neighbours = {
        "domain": ["http://exämple.org/", "http://notexämple.com/", "http://com/"],
        "host": ["http://exämple.com/", "http://a.shop.exämple.com/"],
        "prefix": ["http://shop.exämple.com/a/b%20cd/", "http://exämple.com/a/b%20c/d.html", LISTED[:-15]],
        "address": [LISTED.replace("d.html", "e.html"), LISTED.replace("d.html", "d.htm"), prefix],
        "query": [LISTED + "8", LISTED[:-5], LISTED + "&utm=x"],
    }[scope]
    assert [matcher.check(text, now=NOW).outcome for text in neighbours] == ["not-listed"] * len(neighbours)


def test_an_address_takes_any_query_and_one_with_a_query_only_that(made: UrlList) -> None:
    """Junk in the query is no way around an address."""
    refused(made, "http://a.example.com/x?y=1")
    refused(made, "http://b.example.com/x?y=1", "query")
    assert [outcome(made, f"http://{host}.example.com/x?y=1&junk") for host in "ab"] == ["listed", "not-listed"]


def test_no_public_suffix_is_listed_as_a_domain() -> None:
    """Every rule of the Public Suffix List, of both sections, wildcards and exceptions too."""
    import ada_url

    with open(psl.PSLFILE, encoding="utf-8") as file:
        rules = [line.strip() for line in file if line.strip() and not line.startswith("//")]
    assert len(rules) > 9_000
    guards = Guards()
    for rule in rules:
        name = rule.removeprefix("!").replace("*", "any")
        if rule.startswith("!"):
            assert guards.texts(name, "domain") == (name,)
            continue
        with pytest.raises(AddressError) as raised:
            guards.texts(name, "domain", approved=True)
        assert raised.value.reason == "public-suffix", rule
        assert guards.texts(f"x-{len(rule)}.{name}", "domain") == (
            f"x-{len(rule)}.{ada_url.idna_to_ascii(name).decode()}",
        )


GUARDED = [
    ("github.io", "domain", "public-suffix"),
    ("localhost", "domain", "public-suffix"),
    ("localhost", "host", "public-suffix"),
    ("10.1.2.3", "domain", "ip-address"),
    ("0x0a010203", "domain", "ip-address"),
    ("[2001:db8::1]", "domain", "ip-address"),
    ("a.b.c.d.example.com", "domain", "too-deep"),
    ("http://example.com/" + "a/" * 9, "prefix", "too-deep"),
    ("http://example.com/", "prefix", "whole-host"),
    ("http://example.com/a", "prefix", "no-folder"),
    ("http://example.com/a/?b", "prefix", "no-folder"),
    ("http://good.example.com\\@bad.example.com/", "address", "ambiguous-host"),
    ("http://example.com/" + "a" * 8_192, "address", "too-long"),
    ("ftp://example.com/a", "address", "not-web"),
    ("wss://example.com/a", "address", "not-web"),
    ("mailto:a@example.com", "address", "not-web"),
    ("http://", "address", "no-host"),
    ("http://a%20b.example.com/", "address", "no-host"),
    ("http://example.com/a", "domain", "wider-than-given"),
    ("http://example.com/?a", "host", "wider-than-given"),
    ("http://shared.example.com", "host", "shared-host"),
    ("SHARED.example.com.", "domain", "shared-host"),
    ("example.com", "domain", "shared-host"),
    ("http://large.example/a", "address", "benign-site"),
    ("http://en.large.example/a", "query", "benign-site"),
    ("sub.parent.example", "domain", "benign-site"),
    ("http://user@example.net/a", "address", "user-info"),
    ("http:\\\\user:x@example.net/a", "address", "user-info"),
]


@pytest.mark.parametrize(("address", "scope", "reason"), GUARDED)
def test_guards_refuse_by_a_word_and_a_person_overrules_some(
    made: UrlList, address: str, scope: str, reason: str
) -> None:
    """What would never be found or would block strangers is refused always."""
    from hashmatch.urls import APPROVABLE

    guards = Guards(shared_hosts=["shared.example.com"], benign=["large.example", "deep.sub.parent.example"])
    assert refused(made, address, scope, guards=guards) == reason
    assert refused(made, address, scope, guards=guards, approved_by="A. Person") == (
        "" if reason in APPROVABLE else reason
    )
    assert reason in REASONS


def test_tenants_of_a_shared_host_do_not_touch_each_other(made: UrlList) -> None:
    """One tenant's address or host is listed, the others' are not."""
    guards = Guards(shared_hosts=["pages.example.com"])
    assert refused(made, "http://pages.example.com/one/x", guards=guards) == ""
    assert refused(made, "tenant.pages.example.com", "host", guards=guards) == ""
    assert outcome(made, "http://pages.example.com/two/x") == "not-listed"
    assert outcome(made, "http://other.pages.example.com/") == "not-listed"


def test_a_trial_on_own_traffic_refuses_what_would_block_it(made: UrlList) -> None:
    """An entry over the share is refused, all of it where only together they are over it; a person may overrule."""
    sample = [f"http://h{k}.example.com/x" for k in range(1_990)] + ["http://busy.example.org/"] * 10
    guards = Guards(sample=sample)
    report = made.add(["busy.example.org", "quiet.example.org"], scope="domain", guards=guards, now=NOW)
    assert (report.added, report.refused, report.refusals) == (1, {"own-traffic": 1}, ((1, "own-traffic"),))
    with pytest.raises(ReferenceListError, match="3 addresses of the sample"):
        made.add([f"h{k}.example.com" for k in range(3)], scope="host", guards=guards, now=NOW)
    assert made.add(["busy.example.org"], scope="domain", guards=guards, approved_by="A. Person", now=NOW).added == 1
    with pytest.raises(PolicyError):
        Guards(max_share=2)


def test_unrelated_addresses_are_not_listed(made: UrlList) -> None:
    """A list of thousands answers no other address."""
    made.add([f"http://h{k}.example.com/p/{k}?q={k}" for k in range(3_000)], now=NOW)
    made.add([f"d{k}.example" for k in range(1_000)], scope="domain", now=NOW)
    matcher = UrlMatcher.open(made.path, KEY)
    others = [f"http://h{k}.example.com/p/{k + 1}?q={k}" for k in range(3_000)] + [
        f"e{k}.example" for k in range(2_000)
    ]
    assert {matcher.check(text, now=NOW).outcome for text in others} == {"not-listed"}


def test_entries_expire_at_the_second_and_count_on_when_verified_again(made: UrlList) -> None:
    """30 days for an address, 90 for a domain; who lists it again moves the end and not the beginning."""
    made.add(["http://a.example.com/"], now=NOW)
    made.add(["example.org"], scope="domain", now=NOW)
    for address, days in (("http://a.example.com/", 30), ("http://x.example.org/y", 90)):
        assert outcome(made, address, NOW + days * DAY - 1) == "listed"
        assert outcome(made, address, NOW + days * DAY) == "not-listed"
    report = made.add(["http://a.example.com/"], now=NOW + 20 * DAY)
    assert (report.added, report.again) == (0, 1)
    hit = UrlMatcher.open(made.path, KEY).check("http://a.example.com/", now=NOW + 45 * DAY).hits[0]
    assert (hit.added, hit.verified, hit.expires) == (NOW, NOW + 20 * DAY, NOW + 50 * DAY)
    assert made.add([], now=NOW + 100 * DAY).expired == 2
    assert made.info(NOW + 100 * DAY).live == {"host": 1}


def test_what_a_person_withdrew_stays_out(made: UrlList) -> None:
    """By the name that an answer tells or by its address; imports do not bring it back, a person's name does."""
    made.add(["http://a.example.com/", "http://b.example.com/"], now=NOW)
    (hit,) = UrlMatcher.open(made.path, KEY).check("http://a.example.com/", now=NOW).hits
    assert made.withdraw([hit.entry_id, "http://B.example.com/#x"], by="A. Person", reason="appeal").withdrawn == 2
    report = made.add(["http://a.example.com/", "http://b.example.com/"], source="other", now=NOW)
    assert (report.added, report.kept_out) == (0, 2)
    assert outcome(made, "http://a.example.com/") == outcome(made, "http://b.example.com/") == "not-listed"
    assert made.add(["http://a.example.com/"], approved_by="A. Person", now=NOW).added == 1
    assert outcome(made, "http://a.example.com/") == "listed"
    with pytest.raises(ReferenceListError, match="not listed"):
        made.withdraw(["http://b.example.com/"], by="A. Person", reason="again")
    with pytest.raises(ReferenceListError, match="not listed"):
        made.withdraw(["0123456789abcdef"], by="A. Person", reason="again")
    assert made.info(NOW).kept_out == 1
    made.withdraw(["http://a.example.com/"], by="A. Person", reason="error", keep_out=False)
    assert made.add(["http://a.example.com/"], now=NOW).added == 1
    assert [item["what"] for item in made.info().history].count("withdraw") == 2


def test_sources_stand_apart(made: UrlList) -> None:
    """What one takes back the other still lists, and a whole delivery takes back what it has not."""
    for source in ("one", "two"):
        made.add(["http://a.example.com/", "http://b.example.com/"], source=source, now=NOW)
    assert made.add([Item(1, "http://a.example.com/", gone=True)], source="one", now=NOW).withdrawn == 1
    (hit,) = UrlMatcher.open(made.path, KEY).check("http://a.example.com/", now=NOW).hits
    assert hit.source == "two"
    report = made.add(["http://c.example.com/"], source="two", whole=True, now=NOW)
    assert (report.added, report.withdrawn) == (1, 2)
    assert outcome(made, "http://a.example.com/") == "not-listed"
    assert outcome(made, "http://b.example.com/") == "listed"
    assert outcome(made, self_test_address(KEY)) == "listed"


def test_sudden_growth_and_loss_need_a_word(made: UrlList) -> None:
    """Nothing changes where a delivery is unlike what the source had."""
    first = [f"http://example.com/{k}" for k in range(1_000)]
    made.add(first, source="feed", now=NOW)
    version = made.head.version
    with pytest.raises(ReferenceListError, match="max_lost"):
        made.add(first[:800], source="feed", whole=True, now=NOW)
    with pytest.raises(ReferenceListError, match="max_growth"):
        made.add([f"http://example.org/{k}" for k in range(1_001)], source="feed", now=NOW)
    with pytest.raises(ReferenceListError, match="lists nothing"):
        made.add([], source="feed", whole=True, now=NOW)
    assert UrlList.open(made.path, KEY).head.version == version
    assert made.add(first[:800], source="feed", whole=True, max_lost=0.3, now=NOW).withdrawn == 200


def test_the_self_test_stays(made: UrlList) -> None:
    """Neither a delivery nor a person takes it out."""
    with pytest.raises(ReferenceListError, match="own"):
        made.add(["http://a.example.com/"], source="self-test", whole=True)
    (entry,) = made.entries()
    for name in (self_test_address(KEY), entry["entry_id"]):
        with pytest.raises(ReferenceListError, match="self-test"):
            made.withdraw([name], by="A. Person", reason="x")
    assert outcome(made, self_test_address(KEY)) == "listed"


def test_a_year_of_a_living_list(made: UrlList) -> None:
    """A thousand live, a tenth in and out each week: the file does not grow, and what went is not listed."""
    for week in range(52):
        live = [f"http://example.com/{k}" for k in range(week * 100, week * 100 + 1_000)]
        made.add(live, source="feed", whole=True, max_lost=0.1, now=NOW + week * 7 * DAY)
    end = NOW + 51 * 7 * DAY
    info = made.info(end)
    assert (info.live, info.expired) == ({"address": 1_000, "host": 1}, 0)
    assert info.file_bytes < 40_000
    matcher = UrlMatcher.open(made.path, KEY)
    found = [matcher.check(f"http://example.com/{k}", now=end).outcome == "listed" for k in range(6_200)]
    assert found == [5_100 <= k < 6_100 for k in range(6_200)]


def test_opaque_digests_of_addresses(made: UrlList) -> None:
    """ThreatExchange's digest is of the lower-case address without a scheme."""
    item = Item(1, "e359430911fe80c2dd526d3cca21da30", scope="url-md5")
    assert made.add([item], now=NOW).added == 1
    assert outcome(made, "https://www.Facebook.com/?user=123") == "listed"
    assert outcome(made, "https://www.facebook.com/?user=124") == "not-listed"
    assert made.add([Item(1, "e359", scope="url-md5")], now=NOW).refused == {"no-host": 1}


def test_two_keys_answer_side_by_side(made: UrlList, tmp_path: Path) -> None:
    """While a key is changed the old list and the new one are asked together."""
    other = UrlKey.make()
    new = UrlList.create(tmp_path / "new.urls", other, name="new")
    made.add(["http://a.example.com/"], now=NOW)
    new.add(["http://b.example.com/"], now=NOW)
    matcher = UrlMatcher([made.path, new.path], [other, KEY])
    assert {matcher.check(f"http://{host}.example.com/", now=NOW).outcome for host in "ab"} == {"listed"}
    with pytest.raises(ReferenceListError, match=f"needs the key {other.key_id}"):
        UrlMatcher.open(new.path, KEY)
    with pytest.raises(ReferenceListError, match="no list"):
        UrlMatcher([], [KEY])


def test_changes_are_taken_up_and_a_bad_file_is_not(made: UrlList) -> None:
    """What was open stays open where the new file cannot be read."""
    matcher = UrlMatcher.open(made.path, KEY)
    assert not matcher.refresh()
    made.add(["http://a.example.com/"])
    assert matcher.refresh()
    assert matcher.check("http://a.example.com/").outcome == "listed"
    made.path.rename(made.path.with_name("away"))
    with pytest.raises(ReferenceListError, match="not there any more"):
        matcher.refresh()
    made.path.write_bytes(b"junk")
    with pytest.raises(ReferenceListError, match="no list of addresses"):
        matcher.refresh()
    assert matcher.check("http://a.example.com/").outcome == "listed"
    assert matcher.check("").outcome == "undecided"


def test_two_writers_lose_nothing(made: UrlList) -> None:
    """A change takes up what another wrote meanwhile."""
    other = UrlList.open(made.path, KEY)
    made.add(["http://a.example.com/"], now=NOW)
    other.add(["http://b.example.com/"], now=NOW)
    assert outcome(made, "http://a.example.com/") == outcome(made, "http://b.example.com/") == "listed"
    assert other.head.version == 2


def test_every_flipped_byte_and_every_cut_is_found(made: UrlList) -> None:
    """A typed error, and never another answer."""
    made.add(["http://a.example.com/"], now=NOW)
    whole = made.path.read_bytes()
    for place in range(len(whole)):
        made.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ReferenceListError):
            UrlMatcher.open(made.path, KEY)
    for length in range(0, len(whole), 7):
        made.path.write_bytes(whole[:length])
        with pytest.raises(ReferenceListError):
            UrlMatcher.open(made.path, KEY)


def test_who_has_no_key_cannot_change_a_list(made: UrlList) -> None:
    """A file that is sound but written with another key of the same name is refused."""
    forger = UrlKey.make()
    forger.key_id = KEY.key_id
    head, table, _, _ = read_table(made.path, [KEY])
    write_table(made.path, forger, head, Table.of(bytes(12), np.zeros(1, np.uint32)))
    assert len(table) == 1
    with pytest.raises(ReferenceListError, match="has not its key"):
        UrlMatcher.open(made.path, KEY)


def test_rows_with_equal_beginnings_are_told_apart() -> None:
    """All twelve bytes are compared, and every row of one MAC is found."""
    first = b"\1" * 8
    macs = [first + b"aaaa", first + b"bbbb", first + b"aaaa", b"\2" * 12]
    table = Table.of(b"".join(macs), np.arange(4, dtype=np.uint32))
    found = table.find([first + b"aaaa" + bytes(20), first + b"cccc", b"\3" * 12])
    assert sorted(int(table.group[row]) for _, row in found) == [0, 2]
    assert Table.empty().find([bytes(12)]) == []


def test_arguments_are_checked(made: UrlList, tmp_path: Path) -> None:
    """Nothing is written for a wrong one."""
    for how in ({"scope": "all"}, {"source": ""}, {"classes": ["\0"]}, {"days": 0}, {"approved_by": "\0"}):
        with pytest.raises(ReferenceListError):
            made.add(["http://a.example.com/"], **how)  # type: ignore[arg-type]
    with pytest.raises(ReferenceListError, match="already there"):
        UrlList.create(made.path, KEY, name="x")
    with pytest.raises(ReferenceListError):
        UrlList.create(tmp_path / "nowhere" / "x", KEY, name="x")
    assert made.head.version == 0


def test_keys_stay_in_their_files(tmp_path: Path) -> None:
    """Readable by their owner alone, never written over, never shown."""
    import pickle

    path = tmp_path / "key"
    KEY.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert UrlKey.load(path).mac(b"x") == KEY.mac(b"x")
    with pytest.raises(SignatureError):
        KEY.save(path)
    text = path.read_text()
    path.write_text(text.replace("+", "-", 1))
    with pytest.raises(SignatureError):
        UrlKey.load(path)
    path.write_text(text)
    path.chmod(0o644)
    with pytest.raises(SignatureError):
        UrlKey.load(path)
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    with pytest.raises(SignatureError):
        UrlKey(b"short")
    assert repr(KEY) == f"<UrlKey {KEY.key_id}>"


def test_no_address_stands_anywhere(made: UrlList, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the file, nor in what the library shows; and the names of entries tell no MAC."""
    canary = secrets.token_hex(8)
    with caplog.at_level(logging.DEBUG):
        address = f"http://{canary}.example.com/{canary}?{canary}"
        made.add([address, Item(7, f"http://{canary}@example.org/")], source="s", classes=["c"], now=NOW)
        answer = UrlMatcher.open(made.path, KEY).check(address, now=NOW)
        shown = [repr(answer), repr(made), repr(made.info()), json.dumps(list(made.entries())), repr(made.table)]
        shown += [repr(read_address(address)), repr(Item(1, address)), repr(Guards(sample=[address])), caplog.text]
    assert canary.encode() not in made.path.read_bytes()
    assert canary not in "".join(shown)
    head, table, _, _ = read_table(made.path, [KEY])
    macs = {f"{key:016x}" for key in table.keys.tolist()}
    assert not any(mac in "".join(shown) for mac in macs)
    assert info_of(made.path).name == "made up"
    assert set(SCOPES) >= {group.scope for group in head.groups}
