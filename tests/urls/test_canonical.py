"""Canonical forms: the published vectors, the ladder of evasions, and what holds for every text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hashmatch.errors import AddressError
from hashmatch.urls import canonical_url, read_address
from hashmatch.urls.canonical import MAX_ADDRESS, _plain, _with_scheme, browser_form, published_form
from hashmatch.urls.suffixes import host_suffixes

pytest.importorskip("ada_url")

PUBLISHED = [
    ("http://host/%25%32%35", "http://host/%25"),
    ("http://host/%25%32%35%25%32%35", "http://host/%25%25"),
    ("http://host/%2525252525252525", "http://host/%25"),
    ("http://host/asdf%25%32%35asd", "http://host/asdf%25asd"),
    ("http://host/%%%25%32%35asd%%", "http://host/%25%25%25asd%25%25"),
    ("http://www.google.com/", "http://www.google.com/"),
    (
        "http://%31%36%38%2e%31%38%38%2e%39%39%2e%32%36/%2E%73%65%63%75%72%65/%77%77%77%2E%65%62%61%79%2E%63%6F%6D/",
        "http://168.188.99.26/.secure/www.ebay.com/",
    ),
    (
        "http://195.127.0.11/uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx"
        "=hgplmcx/",
        "http://195.127.0.11/uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx"
        "=hgplmcx/",
    ),
    (
        "http://host%23.com/%257Ea%2521b%2540c%2523d%2524e%25f%255E00%252611%252A22%252833%252944_55%252B",
        "http://host%23.com/~a!b@c%23d$e%25f^00&11*22(33)44_55+",
    ),
    ("http://3279880203/blah", "http://195.127.0.11/blah"),
    ("http://www.google.com/blah/..", "http://www.google.com/"),
    ("www.google.com/", "http://www.google.com/"),
    ("www.google.com", "http://www.google.com/"),
    ("http://www.evil.com/blah#frag", "http://www.evil.com/blah"),
    ("http://www.GOOgle.com/", "http://www.google.com/"),
    ("http://www.google.com.../", "http://www.google.com/"),
    ("http://www.google.com/foo\tbar\rbaz\n2", "http://www.google.com/foobarbaz2"),
    ("http://www.google.com/q?", "http://www.google.com/q?"),
    ("http://www.google.com/q?r?", "http://www.google.com/q?r?"),
    ("http://www.google.com/q?r?s", "http://www.google.com/q?r?s"),
    ("http://evil.com/foo#bar#baz", "http://evil.com/foo"),
    ("http://evil.com/foo;", "http://evil.com/foo;"),
    ("http://evil.com/foo?bar;", "http://evil.com/foo?bar;"),
    ("http://\x01\x80.com/", "http://%01%80.com/"),
    ("http://notrailingslash.com", "http://notrailingslash.com/"),
    ("http://www.gotaport.com:1234/", "http://www.gotaport.com/"),
    ("  http://www.google.com/  ", "http://www.google.com/"),
    ("http:// leadingspace.com/", "http://%20leadingspace.com/"),
    ("http://%20leadingspace.com/", "http://%20leadingspace.com/"),
    ("%20leadingspace.com/", "http://%20leadingspace.com/"),
    ("https://www.securesite.com/", "https://www.securesite.com/"),
    ("http://host.com/ab%23cd", "http://host.com/ab%23cd"),
    ("http://host.com//twoslashes?more//slashes", "http://host.com/twoslashes?more//slashes"),
]
NUMBERS = [
    ("12.0x12.01234", "12.18.2.156"),
    ("276.2.3", "20.2.0.3"),
    ("012.034.01.055", "10.28.1.45"),
    ("167838211", "10.1.2.3"),
    ("4294967295", "255.255.255.255"),
    ("123.123.0.0.1", "123.123.0.0.1"),
    ("[::FFFF:10.1.2.3]", "10.1.2.3"),
    ("[64:ff9b::0a01:0203]:80", "10.1.2.3"),
    ("[2001:DB8:0:0:0:0:0:1]", "[2001:db8::1]"),
]


@pytest.mark.parametrize(("given_text", "expected"), PUBLISHED)
def test_the_published_vectors(given_text: str, expected: str) -> None:
    """All 33, to the letter, and each is its own canonical form."""
    assert canonical_url(given_text) == expected
    assert canonical_url(expected) == expected
    assert canonical_url(given_text.encode("latin-1")) == expected


def test_there_are_33() -> None:
    """None was lost."""
    assert len(dict(PUBLISHED)) == 33


@pytest.mark.parametrize(("host", "expected"), NUMBERS)
def test_ip_addresses_in_any_notation(host: str, expected: str) -> None:
    """IPv4 in one to four numbers of any base; IPv6 in its canonical text, or as the IPv4 it holds."""
    form = published_form(f"http://{host}/")
    assert form.host == expected
    assert form.is_ip == (host != "123.123.0.0.1")


def test_suffixes_of_a_host() -> None:
    """The registrable domain and three longer names, as in version 5, and the exact host."""
    assert host_suffixes("a.b.c.d.e.example.co.uk") == (
        "example.co.uk",
        "e.example.co.uk",
        "d.e.example.co.uk",
        "c.d.e.example.co.uk",
        "a.b.c.d.e.example.co.uk",
    )
    assert host_suffixes("b.a.github.io") == ("a.github.io", "b.a.github.io")
    assert host_suffixes("example.com") == ("example.com",)
    assert host_suffixes("co.uk") == ("co.uk",)


LISTED = "http://shop.exämple.com/a/b%20c/d.html?id=7"
LADDER = {
    "case": "HTTP://SHOP.EXÄMPLE.COM/a/b%20c/d.html?id=7",
    "https": "https://shop.exämple.com/a/b%20c/d.html?id=7",
    "no scheme": "shop.exämple.com/a/b%20c/d.html?id=7",
    "no scheme, slashes": "//shop.exämple.com/a/b%20c/d.html?id=7",
    "punycode": "http://shop.xn--exmple-cua.com/a/b%20c/d.html?id=7",
    "decomposed": "http://shop.exa\N{COMBINING DIAERESIS}mple.com/a/b%20c/d.html?id=7",
    "escaped host": "http://shop.ex%C3%A4mple.com/a/b%20c/d.html?id=7",
    "full-width": "http://\uff53hop.exämple.com/a/b%20c/d.html?id=7",
    "ideographic dot": "http://shop\u3002exämple\uff0ecom/a/b%20c/d.html?id=7",
    "soft hyphen": "http://sh\xadop.exämple.com/a/b%20c/d.html?id=7",
    "zero width": "http://sh\u200bop.exämple.com/a/b%20c/d.html?id=7",
    "escaped": "http://shop.exämple.com/%61/b%20c/%64.html?id=%37",
    "escaped twice": "http://shop.exämple.com/%2561/b%2520c/d.html?id=7",
    "lower-case escape": "http://shop.exämple.com/a%2fb%20c/d.html?id=7",
    "raw space": "http://shop.exämple.com/a/b c/d.html?id=7",
    "port": "http://shop.exämple.com:8080/a/b%20c/d.html?id=7",
    "default port": "http://shop.exämple.com:80/a/b%20c/d.html?id=7",
    "user": "http://example.org:x@shop.exämple.com/a/b%20c/d.html?id=7",
    "final dot": "http://shop.exämple.com./a/b%20c/d.html?id=7",
    "slashes": "http://shop.exämple.com//a///b%20c/d.html?id=7",
    "dots": "http://shop.exämple.com/./a/x/../b%20c/d.html?id=7",
    "escaped dots": "http://shop.exämple.com/a/x/%2e%2E/b%20c/d.html?id=7",
    "fragment": "http://shop.exämple.com/a/b%20c/d.html?id=7#x",
    "tab inside": "ht\ttp://sh\nop.exämple.com/a/b%20c/d.h\rtml?id=7",
    "spaces outside": " \x00http://shop.exämple.com/a/b%20c/d.html?id=7\x1f ",
    "backslashes": "http:\\\\shop.exämple.com\\a\\b%20c\\d.html?id=7",
    "one slash": "http:/shop.exämple.com/a/b%20c/d.html?id=7",
    "no slash": "https:shop.exämple.com/a/b%20c/d.html?id=7",
    "three slashes": "http:///shop.exämple.com/a/b%20c/d.html?id=7",
    "all at once": "hTtp:\\\\u:p@SHOP.ex%C3%A4mple.com.:81\\.\\%61//b%2520c\\x\\..\\d.html?id=%37#y",
}


@pytest.mark.parametrize("name", LADDER)
def test_the_ladder_has_a_form_in_common(name: str) -> None:
    """Every spelling of one address shares a form with it."""
    listed, asked = ({form for _, form in read_address(text)} for text in (LISTED, LADDER[name]))
    assert listed & asked


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no-host"),
        ("http://", "no-host"),
        ("http://.../", "no-host"),
        ("http://[::1", "no-host"),
        ("javascript:1", "not-web"),
        ("mailto:a@example.com", "not-web"),
        ("file:///etc/passwd", "not-web"),
        ("data:,x", "not-web"),
        ("a" * (MAX_ADDRESS + 1), "too-long"),
    ],
)
def test_what_is_no_address_is_refused_by_a_word(text: str, reason: str) -> None:
    """The message shows nothing of it."""
    with pytest.raises(AddressError) as raised:
        read_address(text)
    assert raised.value.reason == reason
    assert not text or text not in str(raised.value)


def test_a_nested_escape_costs_linear_time() -> None:
    """Sixty thousand characters of it fold to one, and are read at once."""
    assert published_form("http://example.com/%" + "25" * 30_000).path == "/%25"


TRICKY = st.lists(
    st.sampled_from(
        [*"aZ09./:@?#%\\[]-_ \t\x00\x80é\u3002\uff0e\xad\ud800", "%2e", "%25", "%2F", "%C3%A4", "0x", "xn--"]
    ),
    max_size=30,
).map("".join)
ADDRESSES = st.one_of(st.text(max_size=40), st.builds("{}{}".format, st.sampled_from(["http://", "", "//"]), TRICKY))


UNHURRIED = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNHURRIED
@given(ADDRESSES)
@example("http://a%2Fb.com/")
@example("http://a%3A80.com%40x/")
@example("http://\N{FULLWIDTH PERCENT SIGN}41.com/")
@example("http://x/a%3F//b")
def test_every_text_has_stable_forms_or_is_refused(text: str) -> None:
    """A form is its own form, and nothing but the typed error is raised."""
    try:
        found = read_address(text)
    except AddressError:
        return
    with contextlib.suppress(AddressError):
        assert browser_form(_with_scheme(text)) in [form for _, form in found]
    for _, form in found:
        again = f"http://{form.host}{form.path}" + ("" if form.query is None else f"?{form.query}")
        assert "?" in form.path or published_form(again) == form
        assert published_form(again).host == form.host


@UNHURRIED
@given(
    st.from_regex(
        r"https?://([a-z0-9_-]{1,5}\.){1,3}[a-z0-9]{1,4}(/[a-zA-Z0-9_~.%' ()+-]{0,6}){0,3}(\?[a-z0-9%'./?]{0,6})?",
        fullmatch=True,
    )
)
def test_the_short_way_gives_what_both_parsers_give(text: str) -> None:
    """Where the expression tells the form, the rules and the browser give it too."""
    with contextlib.suppress(AddressError):
        assert browser_form(text) in [form for _, form in read_address(text)]
    form = _plain(text)
    if form is not None:
        assert form == published_form(text) == browser_form(_with_scheme(text))
        assert read_address(text) == (("published", form),)
