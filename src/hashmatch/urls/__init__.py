"""Lists of known addresses, for blocking: keyed, so that the list alone tells no address.

Needs ``pip install 'hashmatch[urls]'``, which brings ``ada-url`` and ``publicsuffixlist``. Who holds a list and its key
can try addresses on it, so both are confidential, and they are kept apart.
"""

from hashmatch.urls.canonical import Form, canonical_url, read_address
from hashmatch.urls.certificate import certify, read_certificate, try_proxy
from hashmatch.urls.deliveries import FORMATS, read_addresses, refanged
from hashmatch.urls.guards import APPROVABLE, REASONS, Guards
from hashmatch.urls.keys import UrlKey
from hashmatch.urls.lists import UrlList, info_of, self_test_address
from hashmatch.urls.matcher import UrlAnswer, UrlHit, UrlMatcher
from hashmatch.urls.records import Item, UrlListInfo, UrlReport
from hashmatch.urls.scanning import UrlFinding, UrlScan
from hashmatch.urls.scopes import SCOPES
from hashmatch.urls.squid import serve_squid
from hashmatch.urls.zone import zone_of

__all__ = [
    "APPROVABLE",
    "FORMATS",
    "REASONS",
    "SCOPES",
    "Form",
    "Guards",
    "Item",
    "UrlAnswer",
    "UrlFinding",
    "UrlHit",
    "UrlKey",
    "UrlList",
    "UrlListInfo",
    "UrlMatcher",
    "UrlReport",
    "UrlScan",
    "canonical_url",
    "certify",
    "info_of",
    "read_address",
    "read_addresses",
    "read_certificate",
    "refanged",
    "self_test_address",
    "serve_squid",
    "try_proxy",
    "zone_of",
]
