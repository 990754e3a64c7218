"""What md5sum and its like write: names that are escaped, marked as binary, or look like something else."""

from __future__ import annotations

import io

import pytest

from hashmatch.lists.formats import Delivery, Upsert, format_named, reader_of
from support.set_makers import digest

MD5, SHA256 = digest(1).hex(), digest(1, "sha256").hex()


@pytest.mark.parametrize(
    "line",
    [
        f"{MD5}  photo.jpg",
        f"{MD5} *photo.jpg",
        f"\\{MD5}  two\\nlines.jpg",
        f"\\{MD5} *back\\\\slash.jpg",
        f"{MD5}  photo (1) = copy (2)",
        f"{MD5}  MD5 (photo) = {digest(2).hex()}",
        f"{MD5.upper()}  photo.jpg ",
        f"MD5 (photo.jpg) = {MD5}",
        f"MD5 (a = b (c).jpg) = {MD5}",
        f"\\MD5 (two\\nlines.jpg) = {MD5}",
        f"MD5(photo.jpg)= {MD5}",
        f"md5 ({digest(2).hex()}) = {MD5}",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_line_of_md5sum(line: str, end: str, encoding: str) -> None:
    """The name plays no part, however it is written."""
    data = (line + end + line + end).encode(encoding)
    found = list(reader_of(format_named("text"), io.BytesIO(data), Delivery(algorithm="md5")))
    assert [item.entry.hashes for item in found if isinstance(item, Upsert)] == [(digest(1),)] * 2


@pytest.mark.parametrize("line", [f"\\SHA256 (a\\nb) = {SHA256}", f"SHA2-256(a)= {SHA256}", f"SHA256 (a) = {SHA256}"])
def test_a_line_that_names_its_algorithm_needs_none(line: str) -> None:
    """64 digits alone are not guessed."""
    (found,) = reader_of(format_named("text"), io.BytesIO(line.encode()), Delivery())
    assert isinstance(found, Upsert)
    assert found.entry.hashes == (digest(1, "sha256"),)
