"""Text of addresses: `read_address`, beside an independent WHATWG parser where one is installed (``upa-url``).

Law: one or two forms, or an `AddressError` that shows nothing; a form is its own form; what a browser opens is what the
other parser opens; two texts that the other parser opens as one resource have a form in common, so one listed finds the
other.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import random
from typing import Any, Final

from fuzz.engine import Case, Wrong, check_message
from hashmatch.errors import AddressError
from hashmatch.urls import Form, canonical_url, read_address, refanged
from hashmatch.urls.canonical import _opened, _with_scheme, published_form

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "text of addresses -> read_address, canonical_url, refanged; beside upa-url"

_SCHEMES: Final = (
    "http://",
    "https://",
    "HTTP:\\\\",
    "http:/",
    "https:",
    "//",
    "",
    "ftp://",
    "ws://",
    "javascript:",
    "hxxp://",
)
_HOSTS: Final = (
    *("example.com", "shop.example.co.uk", "EXAMPLE.com.", "ex\xe4mple.com", "xn--exmple-cua.com", "fa\xdf.de"),
    *(
        "127.1",
        "0x7f.1",
        "2130706433",
        "0300.0250.0.1",
        "256.1.1.1",
        "1.2.3.4.5",
        "1.2.3.08",
        "[::1]",
        "[::ffff:1.2.3.4]",
    ),
    *(
        "\uff45xample.com",
        "a\u3002com",
        "a\u200bb.com",
        "a\xadb.com",
        "%65xample.com",
        "a%2Fb.com",
        "a b.com",
        "xn--a",
        "xn--",
    ),
    *("a..b", "..", "a_b.com", "-a.com", "0x.com", "a.0x1", "\u0663.com", "\U0001f600.com", "user:pw@example.com"),
)
_PIECES: Final = (
    *(
        "/",
        "//",
        "/./",
        "/../",
        "\\",
        "..",
        ".",
        "%2e",
        "%2E%2e",
        "%252e",
        "?",
        "#",
        "@",
        ":",
        ":80",
        ":8080",
        ":0",
        ":99999",
    ),
    *(
        "%",
        "%2",
        "%41",
        "%e4",
        "%C3%A4",
        "%25",
        "%2525",
        "%00",
        "%0a",
        "%20",
        "%23",
        "%3F",
        "%2F",
        "%5c",
        " ",
        "\t",
        "\n",
        "\r",
    ),
    *(
        "\0",
        "\x1f",
        "\x7f",
        "\x80",
        "\x85",
        "\xa0",
        "\xad",
        "\xe4",
        "\u2028",
        "\u3000",
        "\ufeff",
        "\ufffd",
        "\ud800",
        "\udc80",
    ),
    *(
        "\U0001f600",
        "a",
        "Z",
        "0",
        "~",
        "'",
        '"',
        "<",
        "|",
        "^",
        "`",
        "{",
        "[",
        "]",
        ";",
        "&x=1",
        "=",
        "+",
        "*",
        "%u0041",
        "&amp;",
    ),
)
_TRICKS: Final = (
    lambda text: text.replace("e", "%65"),
    lambda text: text.replace("/", "\\"),
    lambda text: text.replace("http", "hT\ttP", 1),
    lambda text: text.replace("example", "EXAMPLE"),
    lambda text: text.replace("://", ":/", 1),
    lambda text: f" {text}\n",
    lambda text: f"{text}#x",
    lambda text: text.replace("/a", "/./x/../a"),
    lambda text: text.replace("/a", "/%2e/a"),
)


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one text, and one address in two spellings."""
    other = importlib.import_module("upa_url").URL if importlib.util.find_spec("upa_url") else None

    def case(rng: random.Random, number: int) -> str:
        if number % 4 == 0:
            return _spellings(rng, other)
        text = rng.choice(_SCHEMES) + rng.choice(_HOSTS)
        text += "".join(rng.choice(_PIECES) for _ in range(rng.choice((0, 1, 2, 4, 8, 40))))
        for _ in range(rng.choice((0, 0, 1, 3))):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(_PIECES) + text[at + rng.choice((0, 0, 1)) :]
        refanged(text)
        forms = _forms(text)
        if forms is None:
            return "refused"
        for form in forms:
            _check(form)
        if other is not None:
            _compare(_with_scheme(text), forms, other)
        return f"{len(forms)} forms"

    return case


def _forms(text: str) -> set[Form] | None:
    try:
        return {form for _, form in read_address(text)}
    except AddressError as error:
        check_message(error)
        if error.reason not in ("no-host", "not-web", "too-long"):
            raise Wrong("a reason that is none") from None
        return None


def _check(form: Form) -> None:
    """See that a form is ASCII, has nothing to escape, and is its own form."""
    text = f"http://{form.host}{form.path}" + ("" if form.query is None else f"?{form.query}")
    if not text.isascii() or not text.isprintable() or " " in text or "#" in text:
        raise Wrong("a form has characters that are escaped")
    if "?" in form.path:  # an escaped mark of a query: the published rules do not escape it again
        return
    again = published_form(text)
    if again != form or canonical_url(text) != text:
        raise Wrong("a form is not its own form")


def _compare(whole: str, forms: set[Form], other: Any) -> None:
    """See that what a browser opens is what the other parser opens, and is among the forms."""
    ours, theirs = _opened(whole), _by(whole, other)
    if ours != theirs:
        raise Wrong("two parsers of WHATWG open different addresses")
    with contextlib.suppress(AddressError):  # a host of dots alone
        if theirs is not None and published_form(theirs) not in forms:
            raise Wrong("what a browser opens is not among the forms")


def _by(text: str, other: Any) -> str | None:
    try:
        return str(other(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")).href)
    except RuntimeError:
        return None


def _spellings(rng: random.Random, other: Any) -> str:
    """See that one resource in two spellings has a form in common."""
    host = rng.choice(_HOSTS[:10])
    one = f"http://{host}/a/e/{''.join(rng.choice(_PIECES) for _ in range(rng.choice((0, 1, 3))))}"
    two = one
    for _ in range(rng.choice((1, 2, 4))):
        two = rng.choice(_TRICKS)(two)
    if other is not None:
        opened = [_by(_with_scheme(text), other) for text in (one, two)]
        if None in opened or len({str(text).partition("#")[0] for text in opened}) != 1:
            return "other resources"
    elif two != one:
        return "not judged"
    found = [_forms(text) for text in (one, two)]
    if not found[0] or not found[1] or found[0].isdisjoint(found[1]):
        raise Wrong("one resource in two spellings has no form in common")
    return "one resource"
