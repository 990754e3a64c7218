"""`read_address`: the text of an address in the one or two forms that are compared.

Floor: urls. **Two forms**, because each folds what the other keeps: ``published``, by the rules that Safe Browsing
publishes (versions 4 and 5), and ``browser``, by the same rules from what a browser opens (WHATWG, by ``ada-url``). So
whatever a browser opens as the same address has a form in common. For most addresses both are one, and plain ones are
told by an expression, without either parser. Raising `FORM_VERSION` makes lists of earlier versions unreadable.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
from contextlib import suppress
from functools import cache
from typing import Any, Final, NamedTuple

from hashmatch.errors import AddressError

__all__ = [
    "FORM_VERSION",
    "MAX_ADDRESS",
    "Form",
    "browser_form",
    "canonical_url",
    "needed",
    "published_form",
    "read_address",
]

FORM_VERSION: Final = 1
MAX_ADDRESS: Final = 65_536
"""Longest text that is read, characters."""

_ESCAPES: Final = r"%(?:[01][0-9A-F]|20|23|7F|[89A-F][0-9A-F])"
"""Escapes that stay, whatever follows them."""
_SEGMENT: Final = rf"(?!\.)(?:[\w~!$&'()*+,;=:@.\-]++|{_ESCAPES})++"
_PLAIN: Final = re.compile(
    r"https?://((?:(?!xn--)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.){1,40}(?!xn--)[a-z][a-z0-9-]{0,30}[a-z0-9])(?::[0-9]{0,5})?"
    rf"(?:(/(?:{_SEGMENT}(?:/{_SEGMENT})*+/?)?)?(?:\?((?:[\w~!$&'()*+,;=:@./?\-]++|{_ESCAPES})*+))?)?(?:#(?s:.*))?",
    re.ASCII,
)
_ALIKE: Final = re.compile(
    r"(?:https?|ftp|wss?)://(?:(?!xn--)[a-z0-9_-]+\.)*(?!xn--)[a-z][a-z0-9-]*\.?(?::[0-9]{0,5})?"
    r"(?:/(?:[\w~!$&'()*+,;=:@./-]++|%(?!2[ef5])[0-9a-f]{2})*+)?(?:\?[!\"$-~]*+)?(?:#(?s:.*))?",
    re.ASCII | re.IGNORECASE,
)
"""Addresses whose two forms are one: what a browser does to them, the published rules do or undo as well."""
_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]*")
_END: Final = re.compile("[/?]")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_WEB: Final = frozenset({"http", "https", "ftp", "ws", "wss"})
_OTHERS: Final = frozenset(
    {
        *("about", "blob", "callto", "chrome", "data", "file", "geo", "irc", "javascript", "magnet", "mailto", "news"),
        *("sip", "sms", "tel", "urn", "view-source"),
    }
)
"""Schemes that are never the name of a host with a port."""
_PORT: Final = re.compile(r"\d{1,5}(?:[/?#\\]|$)", re.ASCII)
_PORT_END: Final = re.compile(r":\d*$", re.ASCII)
_DOTS: Final = re.compile(rb"\.{2,}")
_SLASHES: Final = re.compile(b"/{2,}")
_HEX: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_ESCAPED: Final = re.compile(rb"[\x00-\x20\x7f-\xff#%]")
_ESCAPED_HOST: Final = re.compile(rb"[\x00-\x20\x7f-\xff#%/?@:\\\[\]]")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|0[0-7]*|[1-9][0-9]*")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_BYTES: Final = {code: 0xDC00 + code for code in range(0x80, 0xA0)}
"""What is no character of an address stands for a byte, as in the published vectors."""
_UNPAIRED: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_DROPPED: Final = {9: None, 10: None, 13: None}
_EDGES: Final = "".join(map(chr, range(0x21)))


class Form(NamedTuple):
    """An address as it is compared; its text is not shown by ``repr`` or ``str``.

    Parameters
    ----------
    host : str
        Name in lower case and ASCII, or an IP address in its canonical text.
    path : str
        Begins with ``/``; ASCII.
    query : str or None
        What follows the first ``?``; None where there is none.
    """

    host: str
    path: str
    query: str | None

    @property
    def is_ip(self) -> bool:
        """Whether the host is an IP address."""
        return self.host.startswith("[") or (self.host[-1:].isdigit() and _ipv4(self.host) is not None)

    def __repr__(self) -> str:
        return "<Form of an address>"


@cache
def needed(module: str) -> Any:
    """Import a package of the extra.

    Raises
    ------
    AddressError
        If it is missing; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise AddressError("addresses need: pip install 'hashmatch[urls]'", reason="no-parser") from None


def read_address(text: str | bytes) -> tuple[tuple[str, Form], ...]:
    """Read the text of an address.

    Parameters
    ----------
    text : str or bytes
        An address as it stands in a link, a log or an address bar; without a scheme it is one of http.

    Returns
    -------
    tuple of (name, Form)
        One or two different forms, ``"published"`` first; their union is compared.

    Raises
    ------
    AddressError
        ``"too-long"`` over 65,536 characters, ``"not-web"`` for another scheme, ``"no-host"`` if neither form has a
        host.

    Examples
    --------
    >>> (name, form), = read_address("HTTP://Example.com:80/a/../b?c#d")
    >>> form.host, form.path, form.query
    ('example.com', '/b', 'c')
    """
    text = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
    plain = _plain(text) if len(text) <= MAX_ADDRESS else None
    if plain is not None:
        return (("published", plain),)
    whole = _with_scheme(text)
    if _ALIKE.fullmatch(whole) is not None:
        return (("published", published_form(whole)),)
    found: list[tuple[str, Form]] = []
    with suppress(AddressError):
        found.append(("published", published_form(whole)))
    opened = _opened(whole)
    if opened is not None and not (found and opened == whole):
        with suppress(AddressError):
            form = _plain(opened) or published_form(opened)
            if found and "%" in found[0][1].host:  # no name of a host: what a browser opens counts alone
                found.clear()
            if form not in [other for _, other in found]:
                found.append(("browser", form))
    if not found:
        raise AddressError("the text has no host that an address has", reason="no-host")
    return tuple(found)


def canonical_url(text: str | bytes) -> str:
    """Give the text that Safe Browsing's published rules make of an address, scheme included.

    Raises
    ------
    AddressError
        As `published_form`.

    Examples
    --------
    >>> canonical_url("www.GOOgle.com.../blah/..#frag")
    'http://www.google.com/'
    """
    form = published_form(text)
    text = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
    scheme, mark, _ = text.strip(" ").partition("://")
    query = "" if form.query is None else f"?{form.query}"
    return f"{scheme.lower() if mark and _NAME.fullmatch(scheme) else 'http'}://{form.host}{form.path}{query}"


def _plain(text: str) -> Form | None:
    """Give the form of an address that no rule changes, or None."""
    found = _PLAIN.fullmatch(text)
    return None if found is None else Form(found[1], found[2] or "/", found[3])


def _with_scheme(text: str) -> str:
    if len(text) > MAX_ADDRESS:
        raise AddressError(f"an address has at most {MAX_ADDRESS:,} characters", reason="too-long")
    text = text.strip(_EDGES).translate(_DROPPED)
    found = _SCHEME.match(text)
    if found is None:
        return f"http:{text}" if re.match(r"[/\\]{2}", text) else f"http://{text}"
    scheme, rest = found[1].lower(), found[2]
    if scheme in _WEB:
        return text
    if not rest.startswith("//") and scheme not in _OTHERS and ("." in scheme or _PORT.match(rest)):
        return f"http://{text}"
    raise AddressError("the scheme is none of the web's: http, https, ws, wss or ftp", reason="not-web")


def browser_form(text: str) -> Form:
    """Give the form of what a browser opens: the published one of the WHATWG parser's result.

    Raises
    ------
    AddressError
        If a browser opens nothing.
    """
    opened = _opened(text)
    if opened is None:
        raise AddressError("a browser opens no such address", reason="no-host")
    return _plain(opened) or published_form(opened)


def _opened(text: str) -> str | None:
    """Give what a browser opens, as its address bar shows it; None if nothing."""
    text = text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    try:
        return str(needed("ada_url").normalize_url(text))
    except AddressError:
        raise
    except ValueError:
        return None


def published_form(text: str | bytes) -> Form:
    """Give the form that the rules of Safe Browsing make of an address with a scheme.

    Parameters
    ----------
    text : str or bytes
        As it stands; a text without a scheme is one of http. Bytes that are not UTF-8 stay what they are.

    Raises
    ------
    AddressError
        If it has no host.
    """
    text = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
    text = text if text.isascii() else _UNPAIRED.sub("\ufffd", text)
    text = text.strip(" ").translate(_DROPPED).partition("#")[0]
    scheme, mark, rest = text.partition("://")
    if not mark or not _NAME.fullmatch(scheme):
        if text.partition(":")[0].lower() in _WEB:
            raise AddressError("the address has no //", reason="no-host")
        rest = text
    place = _END.search(rest)
    authority, rest = (rest, "") if place is None else (rest[: place.start()], rest[place.start() :])
    path, has_query, query = rest.partition("?")
    host = _host(authority.rpartition("@")[2])
    return Form(host, _path(path), _escape(_unescape(query)) if has_query else None)


def _unescape(text: str) -> bytes:
    """Take ``%XX`` away until none is left, in linear time: no two of them overlap, so their order does not matter."""
    data = text.encode() if text.isascii() else text.translate(_BYTES).encode("utf-8", "surrogateescape")
    if b"%" not in data:
        return data
    data = _HEX.sub(lambda found: bytes([int(found[1], 16)]), data)
    if _HEX.search(data) is None:
        return data
    done = bytearray()
    for byte in data:
        done.append(byte)
        while len(done) > 2 and done[-3] == 0x25 and _HEX.fullmatch(done, len(done) - 3):
            done[-3:] = [int(done[-2:], 16)]
    return bytes(done)


def _escape(data: bytes, which: re.Pattern[bytes] = _ESCAPED) -> str:
    return which.sub(lambda found: b"%%%02X" % ord(found[0]), data).decode("ascii")


def _host(authority: str) -> str:
    if authority.startswith("["):
        return _ipv6(authority)
    data = _unescape(_PORT_END.sub("", authority) if ":" in authority else authority)
    if not data.isascii():
        try:
            name = bytes(needed("ada_url").idna_to_ascii(data.decode("utf-8")))
        except ValueError:
            name = b""
        data = name if name and _ESCAPED_HOST.search(name) is None else data
    data = _DOTS.sub(b".", data.strip(b".")).lower()
    if not data:
        raise AddressError("the address has no host", reason="no-host")
    host = _escape(data, _ESCAPED_HOST)
    return (host.rpartition(".")[2][:1].isdigit() and _ipv4(host)) or host


def _ipv4(host: str) -> str | None:
    """Read every form of an IPv4 address: one to four numbers, the last of which fills what is left."""
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    if max(map(len, parts)) > 40:
        return None
    numbers = [_number(part) for part in parts]
    left = 5 - len(parts)
    if numbers[-1] >= 256**left:
        numbers[-1] %= 256**left
    value = sum(number % 256 << 8 * (3 - k) for k, number in enumerate(numbers[:-1])) + numbers[-1]
    return str(ipaddress.IPv4Address(value))


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def _ipv6(authority: str) -> str:
    text, bracket, port = authority[1:].partition("]")
    try:
        if not bracket or not re.fullmatch(r"(?::\d*)?", port, re.ASCII):
            raise ValueError
        found = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        raise AddressError("the address has no host", reason="no-host") from None
    inner = found.ipv4_mapped
    if inner is None and found in _NAT64:
        inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return str(inner) if inner is not None else f"[{found.compressed}]"


def _path(path: str) -> str:
    data = _unescape(path)
    if b"//" not in data and b"/." not in data:
        return _escape(data or b"/")
    parts: list[bytes] = []
    pieces = data.split(b"/")[1:]
    for piece in pieces:
        if piece == b"..":
            del parts[-1:]
        elif piece != b".":
            parts.append(piece)
    if pieces and pieces[-1] in (b".", b".."):
        parts.append(b"")
    return _escape(_SLASHES.sub(b"/", b"/" + b"/".join(parts)))
