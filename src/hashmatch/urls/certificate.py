"""Certificates: a signed statement that blocking works here, as owners of lists ask for every quarter.

Floor: urls. Every list has an address made of its key, under a name that nobody can register. A door is tried with it,
and with a neighbour of it that is not listed, since a door that blocks everything proves nothing.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from hashmatch._version import __version__
from hashmatch.errors import ReferenceListError
from hashmatch.signing import SigningKey, VerifierKey, read_statement, sign_statement, verify_note
from hashmatch.signing.note import read_note
from hashmatch.urls.canonical import FORM_VERSION
from hashmatch.urls.lists import UrlList, self_test_address
from hashmatch.urls.matcher import UrlMatcher

__all__ = ["certify", "read_certificate", "try_proxy"]

_ORIGIN: Final = "hashmatch/url-certificate"
_QUARTER: Final = 92 * 86_400
_SECONDS: Final = 20.0
_MAX_BYTES: Final = 1_000_000


def try_proxy(listed: UrlList, proxy: str, blocked: Iterable[int] = (451, 403)) -> dict[str, Any]:
    """Ask a proxy for the self-test address and for its neighbour.

    Parameters
    ----------
    listed : UrlList
        The list, whose key makes the address.
    proxy : str
        ``http://HOST:PORT``.
    blocked : iterable of int
        HTTP statuses by which the proxy says that an address is blocked.

    Returns
    -------
    dict
        What a certificate says of the door.

    Raises
    ------
    ReferenceListError
        If the proxy does not answer, lets the self-test address through, or blocks its neighbour too.
    """
    statuses = tuple(blocked)
    found, neighbour = (_status(proxy, address) for address in _pair(listed))
    if found not in statuses:
        raise ReferenceListError(f"the proxy does not block the self-test address: it answers {found}")
    if neighbour in statuses:
        raise ReferenceListError("the proxy blocks an address that is not listed: that proves nothing")
    return {"door": "proxy", "self_test": found, "neighbour": neighbour}


def certify(listed: UrlList, key: SigningKey, doors: Iterable[dict[str, Any]] = ()) -> bytes:
    """Try the library itself, and sign what was found.

    Parameters
    ----------
    listed : UrlList
        The list, open with its key.
    key : SigningKey
        Who certifies.
    doors : iterable of dict
        What other doors gave, as of `try_proxy`.

    Returns
    -------
    bytes
        A signed note, see `hashmatch.signing`: list, versions, counts by scope, changes of the last quarter, doors.

    Raises
    ------
    ReferenceListError
        If the library does not find the self-test address, or finds its neighbour.
    """
    matcher = UrlMatcher.open(listed.path, listed.key)
    outcomes = tuple(matcher.check(address).outcome for address in _pair(listed))
    if outcomes != ("listed", "not-listed"):
        raise ReferenceListError("the list does not answer its self-test: import it anew")
    info, now = listed.info(), int(time.time())
    recent = [item for item in info.history if item["when"] >= now - _QUARTER]
    body = {
        "list": info.name,
        "list_id": info.list_id,
        "version": info.version,
        "digest": info.digest,
        "key_id": info.key_id,
        "when": now,
        "live": dict(info.live),
        "expired": info.expired,
        "kept_out": info.kept_out,
        "verified": info.verified,
        "changes": len(recent),
        "added": sum(item.get("added", 0) for item in recent),
        "withdrawn": sum(item.get("withdrawn", 0) for item in recent),
        "suffixes": info.suffixes,
        "forms": FORM_VERSION,
        "hashmatch": __version__,
        "doors": [{"door": "library", "self_test": outcomes[0], "neighbour": outcomes[1]}, *doors],
    }
    return sign_statement(_ORIGIN, json.dumps(body, sort_keys=True), key).encode()


def read_certificate(data: bytes, keys: Iterable[VerifierKey]) -> dict[str, Any]:
    """Give what a certificate says, once a known key is found to have signed it.

    Raises
    ------
    SignatureError
        If it is no certificate, or no known key signed it.
    """
    note = read_note(data[:_MAX_BYTES])
    verify_note(note, keys)
    said: dict[str, Any] = json.loads(read_statement(note, _ORIGIN))
    return said


def _pair(listed: UrlList) -> tuple[str, str]:
    address = self_test_address(listed.key)
    return address, address.replace("http://", "http://neighbour-of-", 1)


def _status(proxy: str, address: str) -> int:
    try:
        parts = urlsplit(proxy)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_SECONDS)
    except ValueError:
        raise ReferenceListError("a proxy is written http://HOST:PORT") from None
    try:
        connection.request("GET", address, headers={"Host": urlsplit(address).netloc})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        raise ReferenceListError("the proxy does not answer") from None
    finally:
        connection.close()
