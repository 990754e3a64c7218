"""`write_report`: a ledger as NDJSON, CSV, Parquet, VICS 2.0 or a page; everything is streamed.

Floor: scan. CSV is safe from formulas: names of files come from whoever filled the medium.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hashmatch.errors import LedgerError
from hashmatch.lists import Entry, ListedHash, Listing
from hashmatch.lists.formats.out.lines import Order
from hashmatch.lists.formats.out.vics import vics_lines
from hashmatch.lists.formats.own_csv import escaped
from hashmatch.matching import Outcome
from hashmatch.scan.out.page import page
from hashmatch.scan.out.rows import COLUMNS, record_of, rows_of
from hashmatch.view import PLAIN_VIEW

if TYPE_CHECKING:
    from hashmatch.scan.ledger import Ledger

__all__ = ["REPORTS", "write_report"]

_ROWS_A_GROUP: Final = 10_000
_NUMBERS: Final = ("item", "list_version", "distance", "threshold")


def _ndjson(ledger: Ledger, *, digests: bool, scheme: str | None) -> Iterator[str]:  # noqa: ARG001
    for item in ledger:
        yield json.dumps(record_of(ledger, item, digests=digests), separators=(",", ":")) + "\n"


def _csv(ledger: Ledger, *, digests: bool, scheme: str | None) -> Iterator[str]:  # noqa: ARG001
    line = io.StringIO()
    writer = csv.DictWriter(line, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for item in ledger:
        for row in rows_of(ledger, item, digests=digests):
            writer.writerow({name: escaped(value) if isinstance(value, str) else value for name, value in row.items()})
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()


def _vics(ledger: Ledger, *, digests: bool, scheme: str | None) -> Iterator[str]:  # noqa: ARG001
    return vics_lines(_matched(ledger), Order(algorithms=(), scheme=scheme, left_out=Counter()))


def _matched(ledger: Ledger) -> Iterator[Entry]:
    """Give each content that matches once, as an entry of its own hashes with the labels of what it matches."""
    seen: set[int] = set()
    for item in ledger:
        if item.outcome is not Outcome.MATCH or item.content is None or item.content in seen:
            continue
        seen.add(item.content)
        plain = {
            held.value: ListedHash(value=held.value, quality=held.quality)
            for held in ledger.fingerprint(item.content).view_hashes
            if held.view == PLAIN_VIEW
        }
        labels: dict[str, str] = {}
        for match in item.report.matches:
            labels = match.labels | labels
        listing = Listing(source="scan", hashes=tuple(plain.values()), labels=labels)
        yield Entry(entry_id=f"content-{item.content}", listings=(listing,))


def _page(ledger: Ledger, *, digests: bool, scheme: str | None) -> Iterator[str]:  # noqa: ARG001
    return page(ledger)


REPORTS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "html": _page,
    "csv": _csv,
    "ndjson": _ndjson,
    "vics": _vics,
}
"""What makes the text of each form; ``parquet`` is no text."""


def write_report(
    ledger: Ledger, file: BinaryIO, form: str, *, digests: bool = False, scheme: str | None = None
) -> None:
    """Write what a ledger holds.

    Parameters
    ----------
    ledger : Ledger
        Open.
    file : binary file
        Written to in order.
    form : str
        ``"html"``, ``"csv"``, ``"ndjson"``, ``"parquet"`` (needs ``hashmatch[arrow]``) or ``"vics"``.
    digests : bool
        Whether CSV, NDJSON and Parquet name MD5, SHA-1 and SHA-256 of each item. VICS always does: it is what readers
        find a file by.
    scheme : str, optional
        For VICS: the label whose value is the category.

    Raises
    ------
    ValueError
        If there is no such form.
    LedgerError
        If the ledger is damaged, or ``unusable`` if Parquet is asked for and its extra is not installed.
    """
    if form == "parquet":
        _write_parquet(ledger, file, digests=digests)
        return
    if form not in REPORTS:
        raise ValueError(f"a report is one of {', '.join(sorted([*REPORTS, 'parquet']))}")
    for text in REPORTS[form](ledger, digests=digests, scheme=scheme):
        file.write(text.encode("utf-8"))


def _write_parquet(ledger: Ledger, file: BinaryIO, *, digests: bool) -> None:
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise LedgerError("Parquet needs pyarrow: pip install 'hashmatch[arrow]'", reason="unusable") from None
    schema = pa.schema([(name, pa.int64() if name in _NUMBERS else pa.string()) for name in COLUMNS])
    rows = (row for item in ledger for row in rows_of(ledger, item, digests=digests))
    with pq.ParquetWriter(file, schema) as writer:
        while group := list(islice(rows, _ROWS_A_GROUP)):
            filled: list[dict[str, Any]] = [{name: row.get(name) for name in COLUMNS} for row in group]
            writer.write_table(pa.Table.from_pylist(filled, schema=schema))
