"""Lists as lines: NDJSON, CSV for people, one hash a line, and what threatexchange reads.

Floor: lists.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hashmatch.hashes import HashValue
from hashmatch.lists.entry import Entry, Listing, Role
from hashmatch.lists.formats.decoding import MAX_LINE
from hashmatch.lists.formats.ndjson import NDJSON_HASHES, NDJSON_VERSION
from hashmatch.lists.formats.own_csv import COLUMNS, escaped

__all__ = ["Order", "csv_lines", "ndjson_lines", "text_lines", "tx_csv_lines", "tx_local_lines"]

TX_COLUMNS: Final = ("signal_type", "signal_str", "collab", "category", "tags")
TX_TYPES: Final = {"pdq": "pdq", "md5": "video_md5", "sha256": "video_sha256"}
"""Name of the signal type by algorithm; threatexchange has digests of videos alone."""
TX_CATEGORIES: Final[dict[Role, str]] = {
    "alarm": "POSITIVE_CLASS",
    "benign": "NEGATIVE_CLASS",
    "comparison": "INVESTIGATION_SEED",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for, and what of it a format cannot hold.

    Parameters
    ----------
    algorithms : tuple of str
        Algorithms that were asked for; empty if none was named.
    scheme : str, optional
        Label whose values are category numbers.
    left_out : Counter of str
        How many of what could not be written.
    """

    algorithms: tuple[str, ...]
    scheme: str | None
    left_out: Counter[str]

    def count_lost(self, listing: Listing, *, labels: bool = True) -> None:
        """Count the labels and qualities of a listing as left out."""
        if labels:
            self.left_out["labels"] += len(listing.labels)
        self.left_out["qualities"] += sum(item.quality is not None for item in listing.hashes)


def ndjson_lines(entries: Iterable[Entry], order: Order) -> Iterator[str]:  # noqa: ARG001
    """Write one JSON object an entry, with everything that it holds; several where it has very many hashes."""
    for entry in entries:
        parts = [
            (listing, listing.hashes[start : start + NDJSON_HASHES])
            for listing in entry.listings
            for start in range(0, len(listing.hashes), NDJSON_HASHES)
        ]
        few = sum(len(listing.hashes) for listing in entry.listings) <= NDJSON_HASHES
        for of_line in [parts] if few else [[part] for part in parts]:
            listings = [
                {
                    "source": listing.source,
                    "role": listing.role,
                    "labels": dict(listing.labels),
                    "hashes": [
                        {"algorithm": item.value.algorithm, "hash": item.value.hex(), "quality": item.quality}
                        for item in hashes
                    ],
                }
                for listing, hashes in of_line
            ]
            record = {"hashmatch": NDJSON_VERSION, "id": entry.entry_id, "listings": listings}
            yield json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n"


class _Line:
    """Takes what a writer of CSV writes, one row at a time."""

    text = ""

    def write(self, text: str) -> None:
        """Keep the row."""
        self.text = text


def csv_lines(entries: Iterable[Entry], order: Order) -> Iterator[str]:
    """Write the table that `own_csv` reads: a row for each hash."""
    line = _Line()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield line.text
    for entry in entries:
        for listing in entry.listings:
            labels = json.dumps(dict(listing.labels), ensure_ascii=False) if listing.labels else ""
            for item in listing.hashes:
                quality = "" if item.quality is None else str(item.quality)
                # with its algorithm before it, no row of digits is taken for a number
                row = [entry.entry_id, listing.source, listing.role, str(item.value), quality, labels]
                writer.writerow([escaped(cell) for cell in row])
                if len(line.text) > MAX_LINE:
                    order.left_out["labels"] += len(listing.labels)
                    writer.writerow([escaped(cell) for cell in row[:-1]] + [""])
                yield line.text


def text_lines(entries: Iterable[Entry], order: Order) -> Iterator[str]:
    """Write a hash a line: bare digits if one algorithm was asked for, else ``<algorithm>:<hex>``."""
    bare = len(order.algorithms) == 1
    for entry in entries:
        _count_all(entry, order)
        for value in entry.hashes:
            yield f"{value.hex() if bare else value}\n"


def tx_local_lines(entries: Iterable[Entry], order: Order) -> Iterator[str]:
    """Write the type and digits of a signal a line."""
    for entry in entries:
        _count_all(entry, order)
        for value in entry.hashes:
            yield f"{TX_TYPES[value.algorithm]} {value.hex()}\n"


def tx_csv_lines(entries: Iterable[Entry], order: Order) -> Iterator[str]:
    """Write a row for each hash of each source; labels are tags ``<name>:<value>``, those with blanks are left out."""
    line = _Line()
    writer = csv.writer(line, lineterminator="\r\n")
    writer.writerow(TX_COLUMNS)
    yield line.text
    for entry in entries:
        order.left_out["entry ids"] += 1
        for listing in entry.listings:
            tags = [
                f"{name}:{value}"
                for name, value in listing.labels.items()
                if ":" not in name and not any(map(str.isspace, name + value))
            ]
            order.left_out["labels"] += len(listing.labels) - len(tags)
            order.count_lost(listing, labels=False)
            for item in listing.hashes:
                writer.writerow(_signal(item.value, listing, " ".join(tags)))
                yield line.text


def _signal(value: HashValue, listing: Listing, tags: str) -> tuple[str, ...]:
    return TX_TYPES[value.algorithm], value.hex(), listing.source, TX_CATEGORIES[listing.role], tags


def _count_all(entry: Entry, order: Order) -> None:
    """Count what no line of hashes alone holds."""
    order.left_out["entry ids"] += 1
    for listing in entry.listings:
        order.count_lost(listing)
