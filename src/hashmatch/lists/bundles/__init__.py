"""Signed lists in one file: a whole list, or the difference between two of its versions, for networks and air gaps.

Needs ``pip install 'hashmatch[evidence]'``. See ``docs/how-to/signed-lists.md``.
"""

from hashmatch.lists.bundles.archive import list_from_bundles
from hashmatch.lists.bundles.issuing import write_bundle
from hashmatch.lists.bundles.manifest import Manifest, VersionBase
from hashmatch.lists.bundles.taking import TakeReport, take_bundle
from hashmatch.lists.file.trust import Trust

__all__ = [
    "Manifest",
    "TakeReport",
    "Trust",
    "VersionBase",
    "list_from_bundles",
    "take_bundle",
    "write_bundle",
]
