"""Scanning: every file under some folders, matched and counted, and written down in a ledger."""

from hashmatch.scan.items import CONTENTS, REASONS, Content, Flaw, Found, Item, shown_name
from hashmatch.scan.ledger import Ledger
from hashmatch.scan.rescan import Rescan, rescan
from hashmatch.scan.scanner import ScanItem, ScanSummary, scan
from hashmatch.scan.walk import WalkCounts, iter_files

__all__ = [
    "CONTENTS",
    "REASONS",
    "Content",
    "Flaw",
    "Found",
    "Item",
    "Ledger",
    "Rescan",
    "ScanItem",
    "ScanSummary",
    "WalkCounts",
    "iter_files",
    "rescan",
    "scan",
    "shown_name",
]
