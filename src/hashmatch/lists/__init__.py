"""Hash-only lists: `ReferenceList` and what it holds. Importing it loads no image code."""

from hashmatch.lists.content_digest import content_digest
from hashmatch.lists.differences import Difference, differences
from hashmatch.lists.entry import LOCAL, Entry, ListedHash, Listing
from hashmatch.lists.file.editor import AddCounts
from hashmatch.lists.file.entries import VersionMark
from hashmatch.lists.read.content import Content, content_of
from hashmatch.lists.read.pinned import PinnedVersion
from hashmatch.lists.read.record_stream import RecordRows, RecordStream
from hashmatch.lists.read.rows import Changes, HashRows, Snapshot
from hashmatch.lists.reference import ListInfo, ReferenceList

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
