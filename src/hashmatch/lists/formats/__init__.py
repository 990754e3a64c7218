"""Readers of hash lists as they are delivered, one file a format, and `import_into` that takes what they yield."""

from hashmatch.lists.formats.base import Flaw, ImportReport, Refused, Row, import_into
from hashmatch.lists.formats.cells import default_entry_id
from hashmatch.lists.formats.csv_table import ColumnMapping, read_table
from hashmatch.lists.formats.text import read_text

__all__ = [
    "ColumnMapping",
    "Flaw",
    "ImportReport",
    "Refused",
    "Row",
    "default_entry_id",
    "import_into",
    "read_table",
    "read_text",
]
