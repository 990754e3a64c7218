"""Guards at registration: what would block more than is meant is not listed. Over-blocking is the disaster here.

Floor: urls. Every refusal has a reason of `REASONS`; those of `APPROVABLE` a person can overrule, by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from hashmatch.errors import AddressError, PolicyError
from hashmatch.urls.canonical import Form, read_address
from hashmatch.urls.scopes import MAX_FOLDERS, Scope, text_at
from hashmatch.urls.suffixes import host_suffixes, is_public_suffix

__all__ = ["APPROVABLE", "MAX_LISTED", "REASONS", "Guards"]

MAX_LISTED: Final = 8_192
"""Longest address that is listed, characters."""

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "public-suffix": "others register names under it, and all would be blocked",
        "ip-address": "an IP address has no domain: list it as a host, or the address",
        "too-deep": "the scope reaches deeper than what is looked up: list it as a host or an address",
        "whole-host": "the prefix is the whole host: list it as a host, if that is meant",
        "no-folder": "a prefix ends in /, and has no query",
        "ambiguous-host": "browsers and other programs open different hosts for it",
        "too-long": f"it has more than {MAX_LISTED:,} characters",
        "not-web": "its scheme is none of the web's",
        "no-host": "it has no host that can be opened",
        "wider-than-given": "the scope blocks more than the address that is given",
        "shared-host": "its host is one that many share",
        "benign-site": "it is on a site of the operator's list of benign ones",
        "user-info": "it has a name or password before its host",
        "own-traffic": "it is in too much of the operator's own traffic",
        "kept-out": "a person withdrew it",
        "another-type": "the record is of no address",
        "not-malicious": "its source does not say that it is to be blocked",
        "bad-record": "the record cannot be read",
    }
)
"""Why an address is not listed, by word."""

APPROVABLE: Final = frozenset(
    {"wider-than-given", "shared-host", "benign-site", "user-info", "own-traffic", "kept-out"}
)
"""Reasons that a person can overrule; what the others refuse would never be found, or would block strangers."""


_AUTHORITY: Final = re.compile(r"[\s\x00-\x20]*(ftp:|wss?:|https?:)?[\s/\\]*([^/\\?#]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What is checked beside the rules that always hold.

    Parameters
    ----------
    shared_hosts : iterable of str
        Names at which many publish: not listed as a domain or host, nor any domain above them.
    benign : iterable of str
        Names of sites that a person must look at first: nothing on them is listed, at any scope.
    sample : iterable of str
        Addresses of the operator's own clean traffic, for a trial.
    max_share : float
        Largest share of the sample, from 0 to 1, that an entry, or all new ones together, may match.

    Raises
    ------
    AddressError
        If a name is none.
    PolicyError
        If the share is out of range.
    """

    shared_hosts: Iterable[str] = ()
    benign: Iterable[str] = ()
    sample: Iterable[str] = field(default=(), repr=False)
    max_share: float = 0.001

    def __post_init__(self) -> None:
        if not 0 <= self.max_share <= 1:
            raise PolicyError("max_share must be from 0 to 1")
        for name in ("shared_hosts", "benign"):
            hosts = {form.host for text in getattr(self, name) for _, form in read_address(text)}
            object.__setattr__(self, name, frozenset(hosts))
        object.__setattr__(self, "sample", tuple(self.sample))

    def texts(self, address: str, scope: Scope, *, approved: bool = False) -> tuple[str, ...]:
        """Give what is hashed to list an address at a scope.

        Raises
        ------
        AddressError
            If it is not listed so; ``reason`` is a word of `REASONS`.
        """
        if len(address) > MAX_LISTED:
            raise _refusal("too-long")
        forms = [form for _, form in read_address(address)]
        for form in forms:
            self._check(form, scope)
        if len({form.host for form in forms}) > 1:
            raise _refusal("ambiguous-host")
        found = _AUTHORITY.match(address)
        if found is not None and (found[1] or "http").lower().startswith(("ftp", "ws")):
            raise _refusal("not-web")
        if not approved:
            if found is not None and "@" in found[2]:
                raise _refusal("user-info")
            for form in forms:
                self._check_approvable(form, scope)
        return tuple(dict.fromkeys(text_at(form, scope) for form in forms))

    def _check(self, form: Form, scope: Scope) -> None:
        host, path, query = form
        if "%" in host:
            raise _refusal("no-host")
        if scope == "host" and "." not in host and not form.is_ip:
            raise _refusal("public-suffix")
        if scope == "domain":
            if form.is_ip:
                raise _refusal("ip-address")
            if is_public_suffix(host):
                raise _refusal("public-suffix")
            if host not in host_suffixes(f"a.b.c.d.e.{host}"):
                raise _refusal("too-deep")
        if scope == "prefix":
            if not path.endswith("/") or query is not None:
                raise _refusal("no-folder")
            if path == "/":
                raise _refusal("whole-host")
            if path.count("/") - 1 > MAX_FOLDERS:
                raise _refusal("too-deep")

    def _check_approvable(self, form: Form, scope: Scope) -> None:
        host, path, query = form
        above = {".".join(host.split(".")[k:]) for k in range(host.count(".") + 1)}
        if scope in ("domain", "host") and (path != "/" or query is not None):
            raise _refusal("wider-than-given")
        if not above.isdisjoint(self.benign) or (scope == "domain" and _below(host, self.benign)):
            raise _refusal("benign-site")
        if scope in ("domain", "host") and host in self.shared_hosts:
            raise _refusal("shared-host")
        if scope == "domain" and _below(host, self.shared_hosts):
            raise _refusal("shared-host")


def _below(host: str, names: Iterable[str]) -> bool:
    return any(name.endswith(f".{host}") for name in names)


def _refusal(reason: str) -> AddressError:
    return AddressError(f"the address is not listed: {REASONS[reason]}", reason=reason)
