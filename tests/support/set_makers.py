"""Makers of forensic hash sets, with made-up digests, as the programs write them that such sets are from."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from hashmatch.hashes import HashValue

__all__ = ["digest", "encase_set", "hashkeeper_set", "kdb_set", "nsrl2_set", "nsrl3_set"]

FILE = """CREATE TABLE FILE (sha256 VARCHAR NOT NULL, sha1 VARCHAR NOT NULL, md5 VARCHAR NOT NULL,
  file_name VARCHAR NOT NULL, file_size INTEGER NOT NULL, package_id INTEGER NOT NULL,
  CONSTRAINT PK_FILE__FILE PRIMARY KEY (sha256, sha1, md5, file_name, file_size, package_id))"""


def digest(number: int, algorithm: str = "md5") -> HashValue:
    """Make the digest of a file that nobody has."""
    return HashValue(algorithm, hashlib.new(algorithm, f"made up {number}".encode()).digest())


def encase_set(numbers: Iterable[int], *, counted: bool = True) -> bytes:
    """Write a set of EnCase 6: header, name and category, records of 18 bytes."""
    records = b"".join(digest(number).data + b"\0\0" for number in numbers)
    header = b"HASH\r\n\xff\0" + (b"\2\0\0\0\1\0\0\0" if counted else bytes(8))
    header += (len(records) // 18).to_bytes(4, "little")
    header = header.ljust(0x408, b"\0") + "made-up set".encode("utf-16-le").ljust(80, b"\0")
    return header + "made-up class".encode("utf-16-le").ljust(40, b"\0") + records


def hashkeeper_set(numbers: Iterable[int]) -> bytes:
    """Write a set of HashKeeper; its names have commas, accents of ISO-8859-1 and line ends of DOS."""
    columns = "file_id hashset_id file_name directory hash file_size date_modified time_modified time_zone comments"
    lines = [",".join(f'"{name}"' for name in [*columns.split(), "date_accessed", "time_accessed"])]
    for number in numbers:
        value = digest(number).hex().upper()
        lines.append(f'{number},7,"caf\xe9, {number}.exe","C:\\WINDOWS","{value}",12,"1/2/2003",,"EST",,,')
    return "\r\n".join([*lines, ""]).encode("latin-1")


def nsrl2_set(numbers: Iterable[int], *, first: bool = False) -> bytes:
    """Write an NSRLFile.txt of version 2, or of version 1; its names have stray quotes and commas in them."""
    if first:
        names = ("SHA-1", "FileName", "FileSize", "ProductCode", "OpSystemCode", "MD4", "MD5", "CRC32", "SpecialCode")
    else:
        names = ("SHA-1", "MD5", "CRC32", "FileName", "FileSize", "ProductCode", "OpSystemCode", "SpecialCode")
    lines = [",".join(f'"{name}"' for name in names)]
    for number in numbers:
        sha1, md5 = digest(number, "sha1").hex().upper(), digest(number).hex().upper()
        name = f'"a "b", \xfc{number}.dll",99,7'
        if first:
            lines.append(f'"{sha1}",{name},"WIN","{"A" * 32}","{md5}","00000000",""')
        else:
            lines.append(f'"{sha1}","{md5}","00000000",{name},"WIN",""')
    return "\r\n".join([*lines, ""]).encode("latin-1")


def kdb_set(path: Path, numbers: Iterable[int], *more: str) -> Path:
    """Write a set of Autopsy, and run further statements on it."""
    return _database(
        path,
        [
            "PRAGMA page_size = 512",
            "CREATE TABLE db_properties (name TEXT NOT NULL, value TEXT)",
            "INSERT INTO db_properties VALUES ('Schema Version', '1')",
            "CREATE TABLE hashes (id INTEGER PRIMARY KEY AUTOINCREMENT, md5 BINARY(16) UNIQUE, sha1 BINARY(20),"
            " sha2_256 BINARY(32))",
            "CREATE TABLE file_names (name TEXT NOT NULL, hash_id INTEGER NOT NULL, PRIMARY KEY(name, hash_id))",
            "CREATE TABLE comments (comment TEXT NOT NULL, hash_id INTEGER NOT NULL, PRIMARY KEY(comment, hash_id))",
            "CREATE INDEX md5_index ON hashes(md5)",
            *(f"INSERT INTO hashes (md5) VALUES (x'{digest(number).hex()}')" for number in numbers),  # noqa: S608
            *more,
        ],
    )


def nsrl3_set(
    path: Path, numbers: Iterable[int], *more: str, full: bool = False, times: int = 1, first: str = "SELECT 1"
) -> Path:
    """Write a set of version 3, in which a file comes several times; a full one, in which FILE is a view."""
    table = FILE.replace("TABLE FILE", "TABLE METADATA").replace("PK_FILE__FILE", "PK_METADATA") if full else FILE
    rows = [
        f"INSERT INTO {'METADATA' if full else 'FILE'} VALUES ('{digest(number, 'sha256').hex().upper()}',"  # noqa: S608
        f"'{digest(number, 'sha1').hex()}','{digest(number).hex().upper()}','name {time}',{number},{time})"
        for number in numbers
        for time in range(times)
    ]
    view = ["CREATE VIEW FILE AS SELECT UPPER(sha1) AS sha1, 'lies' AS md5, package_id FROM METADATA"] if full else []
    return _database(path, [first, table, "CREATE TABLE VERSION (version VARCHAR)", *view, *rows, *more])


def _database(path: Path, statements: Iterable[str]) -> Path:
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path
