"""A response policy zone for resolvers, of names that the operator holds in clear and that the list has.

Floor: urls. A zone has its names in clear, so none can be made of a keyed list alone. The list decides which of the
operator's own names are blocked now: what was withdrawn or expired is not.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from hashmatch.errors import AddressError, ReferenceListError
from hashmatch.urls.canonical import read_address
from hashmatch.urls.lists import UrlList
from hashmatch.urls.scopes import Scope, message

__all__ = ["zone_of"]


def zone_of(listed: UrlList, names: Iterable[str], *, to: str = "", now: float | None = None) -> Iterator[str]:
    """Write a zone as RPZ has it.

    Parameters
    ----------
    listed : UrlList
        The list, open with its key.
    names : iterable of str
        Names that the operator holds in clear; those that the list has at scope domain or host get a line.
    to : str
        Name that they are sent to, as of a page that explains; by default they do not exist (NXDOMAIN).
    now : float, optional
        Seconds since 1970, for tests.

    Yields
    ------
    str
        Lines without their ends.

    Raises
    ------
    ReferenceListError
        If ``to`` is no name.
    """
    moment = time.time() if now is None else now
    sent = _name(to) if to else ""
    if sent is None:
        raise ReferenceListError("the name to send to is none")
    target = f"{sent}."
    yield "$TTL 300"
    yield f"@ SOA localhost. hostmaster.localhost. {listed.head.version} 300 60 86400 300"
    yield "@ NS localhost."
    done = set()
    for text in names:
        host = _name(text)
        if host is None or host in done:
            continue
        done.add(host)
        scopes: tuple[Scope, Scope] = ("domain", "host")
        found = listed.table.find([listed.key.mac(message(scope, host)) for scope in scopes])
        at = {
            scopes[number]
            for number, row in found
            if listed.head.groups[int(listed.table.group[row])].counts_at(moment)
        }
        if at:
            yield f"{host} CNAME {target}"
        if "domain" in at:
            yield f"*.{host} CNAME {target}"


def _name(text: str) -> str | None:
    """Give the name of a host, or None for an IP address and for what a zone cannot hold."""
    try:
        form = read_address(text)[0][1]
    except AddressError:
        return None
    held = set(form.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.") and len(form.host) <= 200
    return form.host if held and not form.is_ip and form.path == "/" else None
