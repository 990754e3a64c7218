"""Scopes: how much of the web an entry means. The scope is part of what is hashed, so nobody can widen an entry.

Floor: urls.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from hashmatch.urls.canonical import Form
from hashmatch.urls.suffixes import host_suffixes

__all__ = ["DAYS", "MAX_FOLDERS", "SCOPES", "Scope", "candidates", "md5_candidates", "message", "text_at"]

Scope: TypeAlias = Literal["domain", "host", "prefix", "address", "query", "url-md5"]

SCOPES: Final[MappingProxyType[Scope, bytes]] = MappingProxyType(
    {"domain": b"D", "host": b"H", "prefix": b"P", "address": b"U", "query": b"Q", "url-md5": b"M"}
)
"""``domain`` is a name and all below it, ``host`` one name, ``prefix`` a folder of a host and all in it, ``address`` a
path with any query, ``query`` a path with this query or none; ``url-md5`` is another's digest of a whole address."""

DAYS: Final[MappingProxyType[Scope, int]] = MappingProxyType(
    {"domain": 90, "host": 90, "prefix": 30, "address": 30, "query": 30, "url-md5": 30}
)
"""Days that an entry counts unless it is verified again."""

MAX_FOLDERS: Final = 8
"""Most folders of a prefix; deeper ones are not looked up, so they are not listed."""

_WEB: Final = re.compile(r"(?:https?|ftp)://", re.IGNORECASE)


def message(scope: Scope, text: str) -> bytes:
    """Give what is hashed for an entry."""
    return SCOPES[scope] + b"\0" + text.encode()


def text_at(form: Form, scope: Scope) -> str:
    """Give what an entry of a scope means of a form."""
    if scope in ("domain", "host"):
        return form.host
    if scope == "query" and form.query is not None:
        return f"{form.host}{form.path}?{form.query}"
    return form.host + form.path


def candidates(form: Form, scopes: Container[Scope]) -> list[tuple[Scope, bytes]]:
    """Give everything that would list a form, of the scopes that are asked for: at most 16."""
    found: list[tuple[Scope, bytes]] = []
    host, path, query = form
    if "domain" in scopes and not form.is_ip:
        found += [("domain", message("domain", name)) for name in host_suffixes(host)]
    if "host" in scopes:
        found.append(("host", message("host", host)))
    if "prefix" in scopes:
        end = 0
        for _ in range(MAX_FOLDERS):
            end = path.find("/", end + 1)
            if end < 0:
                break
            found.append(("prefix", message("prefix", host + path[: end + 1])))
    if "address" in scopes:
        found.append(("address", message("address", host + path)))
    if "query" in scopes:
        found.append(("query", message("query", host + path if query is None else f"{host}{path}?{query}")))
    return found


def md5_candidates(text: str, forms: tuple[Form, ...]) -> list[tuple[Scope, bytes]]:
    """Give what would list an address by ThreatExchange's ``HASH_URL_MD5``: of its text and forms without a scheme.

    That digest is of the address in lower case. The text is a caller's, of any length that `read_address` takes.
    """
    texts = {_WEB.sub("", text.strip(), count=1).lower(), *(text_at(form, "query").lower() for form in forms)}
    return [
        ("url-md5", message("url-md5", hashlib.md5(one.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()))
        for one in texts
    ]
