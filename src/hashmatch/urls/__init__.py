"""Lists of known addresses, for blocking: keyed, so that the list alone tells no address.

Needs ``pip install 'hashmatch[urls]'``, which brings ``ada-url`` and ``publicsuffixlist``. Who holds a list and its key
can try addresses on it, so both are confidential, and they are kept apart.
"""

from hashmatch.urls.canonical import Form, canonical_url, read_address
from hashmatch.urls.guards import APPROVABLE, REASONS, Guards
from hashmatch.urls.keys import UrlKey
from hashmatch.urls.lists import Item, UrlList, UrlListInfo, UrlReport, info_of, self_test_address
from hashmatch.urls.matcher import UrlAnswer, UrlHit, UrlMatcher
from hashmatch.urls.scopes import SCOPES

__all__ = [
    "APPROVABLE",
    "REASONS",
    "SCOPES",
    "Form",
    "Guards",
    "Item",
    "UrlAnswer",
    "UrlHit",
    "UrlKey",
    "UrlList",
    "UrlListInfo",
    "UrlMatcher",
    "UrlReport",
    "canonical_url",
    "info_of",
    "read_address",
    "self_test_address",
]
