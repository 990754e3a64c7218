"""Formats that lists are written in: `export_to` a file, `export_into` a stream."""

from hashmatch.lists.formats.out.exporting import OUT_FORMATS, ExportReport, OutFormat, export_into, export_to

__all__ = ["OUT_FORMATS", "ExportReport", "OutFormat", "export_into", "export_to"]
