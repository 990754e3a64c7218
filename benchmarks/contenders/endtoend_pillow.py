"""Pillow: the decode alone, what every other time is measured against."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from benchmarks.contenders import hashing_pillow

NAME = "Pillow, decode alone"
version = hashing_pillow.version


class Checker:
    """Decodes and gives no verdict."""

    def __init__(self, folder: Path, count: int, records: int, seed: int) -> None:
        del folder, count, records, seed  # there is no list

    def check(self, data: bytes) -> bool:
        """Decode one file."""
        Image.open(io.BytesIO(data)).load()
        return False

    def check_many(self, files: list[bytes], threads: int) -> None:
        """Decode files in threads."""
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self.check, files))

    def check_folder(self, folder: Path) -> int:
        """Decode a folder with two threads; how many files."""
        files = sorted(folder.iterdir())
        with ThreadPoolExecutor(2) as pool:
            return len(list(pool.map(lambda path: self.check(path.read_bytes()), files)))
