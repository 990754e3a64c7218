"""Scanning: every file under some folders, matched and counted."""

from hashmatch.scan.scanner import ScanItem, ScanSummary, scan
from hashmatch.scan.walk import WalkCounts, iter_files

__all__ = ["ScanItem", "ScanSummary", "WalkCounts", "iter_files", "scan"]
