"""A small medium, its list, and what a ledger says of it, shared by the tests of scans."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from hashmatch import Matcher, ReferenceList, fingerprint
from hashmatch.picture.encode import encode
from hashmatch.scan import Ledger, iter_files, scan
from hashmatch.synthetic import picture


def make_medium(folder: Path, n: int = 8) -> tuple[Path, Path]:
    """Make a medium of a few dozen small files, and a list that holds some of its pictures; the two paths.

    Copies, copies of other names and sizes, plain pictures, texts, an empty file and a cut one are among them.
    """
    root, listed = folder / "medium", folder / "list.hashmatch"
    with ReferenceList.create(listed, name="demo") as ref:
        for number in range(n):
            pixels = picture("photo", number, size=(96, 112))
            below = root / f"f{number % 3}"
            below.mkdir(parents=True, exist_ok=True)
            data = encode(pixels, "PNG")
            (below / f"{number}.png").write_bytes(data)
            (below / f"{number}-copy.png").write_bytes(data)
            (below / f"{number}.jpg").write_bytes(encode(pixels[:, ::-1], "JPEG", quality=80))
            (below / f"{number}.txt").write_text(f"text {number % 2}")
            if number % 2:
                ref.add(f"entry-{number}", hashes=fingerprint(data, ["pdq", "sha256"]).hashes, labels={"class": "1"})
    (root / "plain.png").write_bytes(encode(np.full((40, 40, 3), 9, np.uint8), "PNG"))
    (root / "empty.jpg").write_bytes(b"")
    (root / "cut.png").write_bytes(data[: len(data) // 2])
    return root, listed


def said(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Give all that a ledger says of its items, but times and random numbers."""
    found = []
    for item in ledger:
        held = () if item.content is None else ledger.fingerprint(item.content).view_hashes
        found.append((item.name, item.report.to_dict(), item.outcome, item.withdrawn, held))
    return found


def columns(ledger: Ledger) -> list[tuple[str, int, bytes]]:
    """Give the codes of the blocks, with the contents they are of."""
    return sorted(
        (algorithm, int(owner), code.tobytes())
        for algorithm in ("md5", "sha1", "sha256", "pdq")
        for owners, codes in ledger.blocks(algorithm)
        for owner, code in zip(owners, codes, strict=True)
    )


def scanned(root: Path, listed: Path, ledger: Path) -> list[tuple[Any, ...]]:
    """Scan a medium into a ledger, without worker processes, and give what the ledger says."""
    with Matcher.open(listed) as matcher, Ledger.open(ledger, keep_names=True) as book:
        for _ in scan(matcher, iter_files([root]), ledger=book, workers=1, isolate=False):
            pass
        book.verify()
        return said(book)


if __name__ == "__main__":  # a scan that the tests kill; says each item, and when the ledger is there
    with Matcher.open(sys.argv[2]) as matcher, Ledger.open(sys.argv[3], keep_names=True) as book:
        for _ in scan(matcher, iter_files([sys.argv[1]]), ledger=book, workers=2, isolate=False):
            sys.stdout.write("item\n")
            sys.stdout.flush()
            if len(sys.argv) > 4:
                book.commit()
    sys.stdout.write("end\n")
