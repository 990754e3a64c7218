"""Make the sample of an ICSE export: made-up hashes, ``python tests/golden/formats/make_icse.py``."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

HEADER = (
    "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline"
)


def row(
    number: int, series: str = "", investigation: str = "", agency: str = "EX", end: str = "1;True;Image;No"
) -> str:
    """Make a row."""
    made = {
        name: hashlib.shake_256(f"made up {name} {number}".encode()).digest(size)
        for name, size in (("md5", 16), ("sha1", 20), ("zz40", 16), ("photodna", 144), ("lace", 129))
    }
    lace = base64.b64encode(made["lace"]).decode()
    hashes = [made["md5"].hex(), made["sha1"].hex(), made["zz40"].hex().upper(), made["photodna"].hex().upper(), lace]
    return ";".join([*hashes, str(number), "N", "Y", "N", series, investigation, agency, end])


def main() -> None:
    """Write rows with their fields, with too many and too few of them, and with quotes."""
    rows = [
        HEADER,
        row(1, end="3;True;Image;Yes"),
        row(2, series='"Canary series; quoted"'),
        row(3, series="Canary series; with a semicolon", investigation="Case; two"),
        row(4, end="1;True") ,
        row(5) + ";;",
        ";".join(row(6).split(";")[1:]),
        ";".join(row(7).split(";")[2:]),
        row(8, end="1;True;Video;perhaps"),
    ]  # fmt: skip
    (Path(__file__).parent / "icse.csv").write_bytes(("\ufeff" + "\r\n".join(rows) + "\r\n").encode())


if __name__ == "__main__":
    main()
