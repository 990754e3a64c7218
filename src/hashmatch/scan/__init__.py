"""Scanning: every file under some folders, matched and counted."""

from hashmatch.scan.scanner import ScanItem, ScanSummary, iter_files, scan

__all__ = ["ScanItem", "ScanSummary", "iter_files", "scan"]
