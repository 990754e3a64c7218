"""Public suffixes: the names under which others register, and which are therefore never blocked as a whole.

Floor: urls. The Public Suffix List comes with ``publicsuffixlist``, its private section included; nothing is fetched.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from hashmatch.urls.canonical import needed

__all__ = ["host_suffixes", "is_public_suffix", "list_version"]

_LONGER: Final = 3
"""Names longer than the registrable domain that are looked up too, as in version 5 of Safe Browsing."""


@cache
def _suffixes() -> Any:
    return needed("publicsuffixlist").PublicSuffixList()


@cache
def list_version() -> str:
    """Version of the Public Suffix List in use, or of its package where the list names none."""
    package = needed("publicsuffixlist")
    with open(package.PSLFILE, encoding="utf-8") as file:
        found = re.search(r"^// VERSION: (\S{1,64})", file.read(4_096), re.MULTILINE)
    return found[1] if found else str(package.__version__)


def is_public_suffix(host: str) -> bool:
    """Tell whether a name is a public suffix, or has none above it: ``co.uk``, ``github.io``, ``localhost``."""
    return _suffixes().privatesuffix(host) is None


def host_suffixes(host: str) -> tuple[str, ...]:
    """Give the names that a name is looked up by.

    Parameters
    ----------
    host : str
        Canonical; no IP address.

    Returns
    -------
    tuple of str
        The registrable domain, up to three names longer by a label each, and the name itself; of a public suffix the
        name itself. At most 5.

    Examples
    --------
    >>> host_suffixes("a.b.c.d.e.example.co.uk")[:3]
    ('example.co.uk', 'e.example.co.uk', 'd.e.example.co.uk')
    """
    registrable = _suffixes().privatesuffix(host)
    if registrable is None or registrable == host:
        return (host,)
    labels = host.split(".")
    first = len(labels) - registrable.count(".") - 1
    names = [".".join(labels[k:]) for k in range(first, max(first - _LONGER, 0) - 1, -1)]
    return (*names, host) if names[-1] != host else tuple(names)
