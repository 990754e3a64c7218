"""Reports of a ledger: NDJSON, CSV, Parquet, VICS 2.0, and a page for people."""

from hashmatch.scan.out.writing import REPORTS, write_report

__all__ = ["REPORTS", "write_report"]
