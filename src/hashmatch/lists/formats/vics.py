"""VICS 1.0 to 2.0: hash sets and cases in JSON.

Floor: lists. Of a media record its hashes, its category and its flags are read. Nothing of a case but its media is
kept, and no name, path, series, comment, date or size; what may hold content is not even decoded. What a category
means is told by a `CategoryProfile`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists.entry import Entry, ListedHash, Listing, Role, checked_labels
from hashmatch.lists.formats.category_profiles import CategoryProfile, profile_named
from hashmatch.lists.formats.cells import default_entry_id, flag_from, is_nothing, parse_cell
from hashmatch.lists.formats.json_records import json_records
from hashmatch.lists.formats.operations import Flaw, Refused, Upsert

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["FLAGS", "read", "read_as", "recognises"]

_HASHES: Final = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "PhotoDNA": "photodna"}
_OTHERS: Final = {
    **{"md5": "md5", "sha1": "sha1", "sha-1": "sha1", "sha256": "sha256", "sha-256": "sha256"},
    **{"photodna": "photodna", "pdna": "photodna", "pdq": "pdq"},
}
"""Algorithms of `AlternativeHashes` by name; those of other names are not read."""
FLAGS: Final = {
    "VictimIdentified": "victim-identified",
    "OffenderIdentified": "offender-identified",
    "IsDistributed": "distributed",
    "IsSuspected": "suspected",
    "SelfGenerated": "self-generated",
}
"""Label, of the value ``yes``, by the field of a record that is true."""
_UNREAD: Final = ("Miniature", "Thumbnail", "Value", "Evidence", "Content", "Data")
"""Keys under which content may stand."""
_MOST_OTHERS: Final = 64
"""Most `AlternativeHashes` of one record."""
_CONTEXT: Final = re.compile(
    r'"(?:odata\.metadata|@odata\.context)"\s*:\s*"[^"]{0,200}DataModels\\?/[0-9]+\.[0-9]+\.xml[^"]{0,100}#(?:Cases|Media)"'
)
_NUMBER: Final = re.compile("[0-9]{1,3}")


def read(stream: BinaryIO, delivery: Delivery) -> Iterator[Upsert | Refused]:
    """Read a delivery of VICS.

    Parameters
    ----------
    stream : binary file
        One JSON object: a hash set, or cases. Several files of one release are several deliveries of one import.
    delivery : Delivery
        Its ``category_profile`` says what entries are listed for. Its role can only be ``"comparison"``: then none of
        them raises an alarm. Known-good categories are listed under ``SOURCE/benign`` and the others that raise no
        alarm under ``SOURCE/comparison``.

    Yields
    ------
    Upsert or Refused
        One for each media record. An entry is named by `default_entry_id` of its first digest: of its MD5, which every
        record should have.

    Raises
    ------
    HashFormatError
        If the file is not VICS, is damaged or is cut short.
    ReferenceListError
        If the profile is unknown, or the role would turn what the profile says into its opposite.
    """
    if delivery.role == "benign":
        raise ReferenceListError("the category profile says which records are known to be good: the role cannot")
    return read_as(stream, delivery, profile_named(delivery.category_profile), delivery.role == "comparison")


def recognises(head: bytes) -> bool:
    """Whether the file names the data model of VICS."""
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return _CONTEXT.search(head.decode("utf-16" if wide else "utf-8", "replace")) is not None


def read_as(
    stream: BinaryIO, delivery: Delivery, profile: CategoryProfile, no_alarm: bool = False
) -> Iterator[Upsert | Refused]:
    """Read records whose categories are known; as `read`."""
    return _operations(json_records(stream, "value", "Media", unread=_UNREAD), _Media(delivery, profile, no_alarm))


def _operations(records: Iterator[dict[str, Any] | str], media: _Media) -> Iterator[Upsert | Refused]:
    for number, record in enumerate(records, 1):
        yield Refused(number, record) if isinstance(record, str) else media.operation(number, record)


class _Media:
    """Turns media records into operations."""

    def __init__(self, delivery: Delivery, profile: CategoryProfile, no_alarm: bool) -> None:
        self._labels, self._profile = delivery.labels, profile
        self._sources: dict[Role, tuple[str, Role]] = {
            "alarm": (delivery.source_for("comparison"), "comparison")
            if no_alarm
            else (delivery.source_for("alarm"), "alarm"),
            "comparison": (delivery.source_for("comparison"), "comparison"),
            "benign": (delivery.source_for("benign"), "benign"),
        }
        self._known: dict[tuple[int, tuple[str, ...]], tuple[str, Role, Mapping[str, str]]] = {}

    def operation(self, number: int, record: Mapping[str, Any]) -> Upsert | Refused:
        """Read one record."""
        flaws: list[Flaw] = []
        values: list[HashValue] = []
        for key, algorithm in _HASHES.items():
            said = record.get(key)
            if said is not None:
                _take(values, number, key, said, algorithm, flaws)
        others = record.get("AlternativeHashes")
        if others:
            _take_others(values, number, others, flaws)
        if not values:
            return Refused(number, "; ".join(f"{flaw.column}: {flaw.reason}" for flaw in flaws[:4]) or "it has no hash")
        category = _category(record.get("Category"))
        if category is None:
            flaws.append(Flaw(number, "Category", "left out", "it is no number from 0 to 999"))
        elif category >= 0 and category not in self._profile.roles:
            reason = f"the category profile {self._profile.scheme} does not say what this number means"
            flaws.append(Flaw(number, "Category", "left out", reason))
        flags = []
        for key, name in FLAGS.items():
            said = record.get(key)
            if said is not None and said is not False:
                try:
                    if flag_from(said):
                        flags.append(name)
                except ReferenceListError as error:
                    flaws.append(Flaw(number, key, "left out", str(error)))
        said_so = -1 if category is None else category, tuple(flags)
        known = self._known.get(said_so)
        if known is None:
            known = self._known[said_so] = self._listed(*said_so)
        source, role, labels = known
        listing = Listing.of_checked(source, tuple([ListedHash(value) for value in values]), labels, role)
        return Upsert(number, Entry(default_entry_id(values[0]), (listing,)), tuple(flaws))

    def _listed(self, category: int, flags: tuple[str, ...]) -> tuple[str, Role, Mapping[str, str]]:
        """Say under which source, for what and with which labels a record is listed."""
        labels = {**self._labels, **dict.fromkeys(flags, "yes")}
        if category >= 0:
            labels[self._profile.scheme] = str(category)
        return *self._sources[self._profile.roles.get(category, "comparison")], checked_labels(labels)


def _take(values: list[HashValue], number: int, key: str, said: object, algorithm: str, flaws: list[Flaw]) -> None:
    """Read a hash, unless there is none."""
    try:
        if not isinstance(said, str):
            raise HashFormatError("it is no text, or stands twice")
        value = parse_cell(said, algorithm)
    except HashFormatError as error:
        if not (isinstance(said, str) and is_nothing(said)):
            flaws.append(Flaw(number, key, "left out", str(error)))
        return
    if value not in values:
        values.append(value)


def _take_others(values: list[HashValue], number: int, others: object, flaws: list[Flaw]) -> None:
    key = "AlternativeHashes"
    if not isinstance(others, list):
        flaws.append(Flaw(number, key, "left out", "it is no array"))
        return
    if len(others) > _MOST_OTHERS:
        flaws.append(Flaw(number, key, "left out", f"it has more than {_MOST_OTHERS} hashes"))
    for item in others[:_MOST_OTHERS]:
        name = item.get("HashName") if isinstance(item, dict) else None
        if not isinstance(name, str):
            flaws.append(Flaw(number, key, "left out", "a hash in it has no name"))
            continue
        algorithm = _OTHERS.get(name.strip().lower())
        if algorithm is not None and item.get("HashValue") is not None:
            _take(values, number, key, item["HashValue"], algorithm, flaws)


def _category(said: object) -> int | None:
    """Read a category number; -1 where there is none, None where what there is is no number."""
    if type(said) is int and 0 <= said < 1_000:
        return said
    if said is None or (isinstance(said, str) and is_nothing(said)):
        return -1
    if isinstance(said, float) and said.is_integer() and 0 <= said < 1_000:
        return int(said)
    return int(said) if isinstance(said, str) and _NUMBER.fullmatch(said.strip()) else None
