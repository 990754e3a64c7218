"""Hash-only lists: `ReferenceList` and what it holds. Importing it loads no image code."""

from hashmatch.lists.content import Content, content_of
from hashmatch.lists.differences import Difference, differences
from hashmatch.lists.digest import content_digest
from hashmatch.lists.editor import AddCounts
from hashmatch.lists.entry import LOCAL, Entry, ListedHash, Listing
from hashmatch.lists.pinned import PinnedVersion
from hashmatch.lists.records import VersionMark
from hashmatch.lists.reference import ListInfo, ReferenceList
from hashmatch.lists.snapshot import Changes, HashRows, Snapshot
from hashmatch.lists.streams import RecordRows, RecordStream

__all__ = [
    "LOCAL",
    "AddCounts",
    "Changes",
    "Content",
    "Difference",
    "Entry",
    "HashRows",
    "ListInfo",
    "ListedHash",
    "Listing",
    "PinnedVersion",
    "RecordRows",
    "RecordStream",
    "ReferenceList",
    "Snapshot",
    "VersionMark",
    "content_digest",
    "content_of",
    "differences",
]
