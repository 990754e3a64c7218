"""Readers of hash lists as they are delivered, one file a format, and `import_into` that takes what they yield."""

from hashmatch.lists.formats.cells import default_entry_id
from hashmatch.lists.formats.csv_table import read_table
from hashmatch.lists.formats.deliveries import read_deliveries
from hashmatch.lists.formats.importing import ImportReport, import_into
from hashmatch.lists.formats.mapping import ColumnMapping, HashColumn, mapping_from_toml
from hashmatch.lists.formats.operations import (
    Checkpoint,
    Delete,
    Flaw,
    LeftOut,
    Operation,
    Refused,
    Row,
    SnapshotEnd,
    Upsert,
)
from hashmatch.lists.formats.registry import FORMATS, Delivery, Format, format_named, reader_of, recognised
from hashmatch.lists.formats.text import read_text

__all__ = [
    "FORMATS",
    "Checkpoint",
    "ColumnMapping",
    "Delete",
    "Delivery",
    "Flaw",
    "Format",
    "HashColumn",
    "ImportReport",
    "LeftOut",
    "Operation",
    "Refused",
    "Row",
    "SnapshotEnd",
    "Upsert",
    "default_entry_id",
    "format_named",
    "import_into",
    "mapping_from_toml",
    "read_deliveries",
    "read_table",
    "read_text",
    "reader_of",
    "recognised",
]
