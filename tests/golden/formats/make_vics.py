"""Make the samples of VICS: made-up hashes, ``python tests/golden/formats/make_vics.py``."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def made_up(name: str, number: int, size: int) -> bytes:
    """Make the hash of nothing."""
    return hashlib.shake_256(f"made up {name} {number}".encode()).digest(size)


def media(number: int, **more: Any) -> dict[str, Any]:
    """Make a media record."""
    return {"MediaID": number, "MD5": made_up("md5", number, 16).hex().upper(), **more}


def main() -> None:
    """Write a hash set of 2.0, a case of 1.3 and a set as NIST makes it."""
    photodna = base64.b64encode(made_up("photodna", 1, 144)).decode()
    sha1 = made_up("sha1", 1, 20).hex().upper()
    hash_set = [
        media(1, Category=1, SHA1=sha1, PhotoDNA=photodna, MediaSize=2048, DateUpdated="2024-01-02T03:04:05.6700Z"),
        media(2, Category=0, MediaSize="77", IsPrecategorized="false", VictimIdentified="false"),
        media(3, Category=4, DateUpdated="/Date(1700000000000)/", Comments="A comparison picture; \"quoted\"\n"),
        media(4, Category=None, Series="Canary series, B series", Miniature="AAAA"),
        media(5, Category=2, VictimIdentified="true", IsDistributed=True, OffenderIdentified=None),
        media(6, Category=77),
        media(1, Category=2),
        media(7),
        {"MediaID": 8, "Category": 1, "MD5": "D41D8CD98F00B204E9800998ECF8427E"},
    ]  # fmt: skip
    url = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/Default/$metadata#Media"
    _write("vics-2.0-media.json", {"@odata.context": url, "value": hash_set}, "utf-8-sig")
    case_media = [
        {
            "odata.id": f'Media("{made_up("md5", 11, 16).hex()}")',
            **media(11, Category=1, MediaSize="488", RelativeFilePath="\\p1\\x.jpg", Tags="one, two"),
            "AlternativeHashes": [
                {"MD5": "", "HashName": "PhotoDNA", "HashValue": made_up("photodna", 11, 144).hex().upper()},
                {"MD5": "", "HashName": "PDQ", "HashValue": made_up("pdq", 11, 32).hex()},
                {"MD5": "", "HashName": "Another", "HashValue": "?"},
            ],
            "MediaFiles": [{"MD5": "", "FileName": "x.jpg", "FilePath": "\\p1\\x.jpg", "Unallocated": "false"}],
        },
        media(12, Category=3),
    ]
    case = {
        "CaseID": "c-1",
        "CaseNumber": "EX-0001",
        "ContactName": "Canary Contact",
        "TotalMediaFiles": 9,
        "Media": case_media,
    }
    url = "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Cases"
    _write("vics-1.3-cases.json", {"value": [case, {"Media": [], "CaseID": "c-2"}], "odata.metadata": url})
    known = [media(21, Category=8, MediaSize="5"), media(22, Category=8), media(23, Category=1)]
    url = "http://github.com/ICMEC/ProjectVic/DataModels/1.2.xml#Media"
    _write("nist-caid.json", {"odata.metadata": url, "value": known})


def _write(name: str, said: dict[str, Any], encoding: str = "utf-8") -> None:
    (HERE / name).write_bytes((json.dumps(said, indent=1) + "\n").encode(encoding))


if __name__ == "__main__":
    main()
