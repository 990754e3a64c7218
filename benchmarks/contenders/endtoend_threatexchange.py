"""threatexchange: its hasher and its index, as its own matcher uses them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from threatexchange.signal_type.pdq.pdq_hasher import pdq_from_bytes

from benchmarks.contenders import threatexchange_index

NAME = "threatexchange"
version = threatexchange_index.version


class Checker:
    """One PDQ hash a file, looked up at radius 31."""

    def __init__(self, folder: Path, count: int, records: int, seed: int) -> None:
        del folder, records  # it keeps neither files nor records
        codes = np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)
        self._lookup = threatexchange_index.Lookup(codes, 31)

    def check(self, data: bytes) -> bool:
        """Whether the list has the picture."""
        value, quality = pdq_from_bytes(data)
        return quality >= 50 and bool(self._lookup.search(np.frombuffer(bytes.fromhex(value), np.uint8)))

    def check_many(self, files: list[bytes], threads: int) -> None:
        """Check files in threads."""
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self.check, files))

    def check_folder(self, folder: Path) -> int:
        """Check a folder with two threads; how many files."""
        with ThreadPoolExecutor(2) as pool:
            return len(list(pool.map(lambda path: self.check(path.read_bytes()), sorted(folder.iterdir()))))
