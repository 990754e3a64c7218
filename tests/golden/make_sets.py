"""Make the forensic sets in formats/: python tests/golden/make_sets.py FOLDER. All digests in them are made up."""

from __future__ import annotations

import sys
from pathlib import Path

from support.set_makers import encase_set, hashkeeper_set, kdb_set, nsrl2_set, nsrl3_set


def make(folder: Path) -> None:
    """Write one set a format, of the same three files."""
    (folder / "encase.hash").write_bytes(encase_set(range(3)))
    (folder / "hashkeeper.hsh").write_bytes(hashkeeper_set(range(3)))
    (folder / "NSRLFile.txt").write_bytes(nsrl2_set(range(3)))
    kdb_set(folder / "autopsy.kdb", range(3))
    nsrl3_set(folder / "nsrl3.db", range(3), times=2)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
