"""Sources of a scan: what is on a medium and inside its containers, one item after the other, in bounded memory."""

from hashmatch.scan.sources.expand import SourceCounts
from hashmatch.scan.sources.found import items, path_list
from hashmatch.scan.sources.limits import Limits
from hashmatch.scan.sources.tables import filesystem_items, table_items

__all__ = ["Limits", "SourceCounts", "filesystem_items", "items", "path_list", "table_items"]
