"""The formats that deliveries come in: one module each, found by name or by what a delivery begins with.

Floor: lists. The module of a format is loaded when a delivery of it is read. It has two functions:
``read(stream, delivery)`` yields operations from a binary file that stands at its beginning, and
``recognises(head)`` says whether the first 4,096 bytes can be of no other format. Both see what is packed, `unpacked`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import BinaryIO, Final, Protocol, cast

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import LOCAL, MAX_SOURCE, Role, checked_labels, checked_role, checked_text
from hashmatch.lists.formats.decoding import checked_encoding
from hashmatch.lists.formats.operations import Operation
from hashmatch.lists.formats.unpacking import unpacked

__all__ = ["FORMATS", "Delivery", "Format", "flag_of", "format_named", "reader_of", "recognised"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the person who imports says of a delivery. A format takes the fields that its `Format.takes` names.

    Parameters
    ----------
    source : str
        Name of who lists what is delivered, 1 to 64 characters. A format that delivers entries of several roles lists
        those of another role under ``SOURCE/ROLE``.
    role : {"alarm", "benign", "comparison"}, optional
        What the entries are listed for; by default what the format says, else ``"alarm"``.
    labels : mapping of str to str
        Labels that every entry gets.
    encoding : str, optional
        Encoding of text; by default UTF-8, or UTF-16 by its byte order mark.
    algorithm : str, optional
        Algorithm of bare hashes.
    mapping : object, optional
        What the columns or fields of a generic table mean: a `ColumnMapping`.
    delimiter : str, optional
        One character between the fields of a table; found out by default.
    category_profile : str, optional
        Name of what the category numbers of VICS mean, or the path of a TOML file, ``*.toml``, that says it.
    where : mapping of str to str
        Only rows with these values in these columns are taken.
    source_column : str, optional
        Column that names each row's source.
    members : mapping of str to str
        Suffix by id of a member of an exchange: what the member lists is listed under ``SOURCE/SUFFIX``.

    Raises
    ------
    ReferenceListError
        If a text or the role is not acceptable.
    LookupError
        If the encoding is unknown.
    """

    source: str = LOCAL
    role: Role | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    encoding: str | None = None
    algorithm: str | None = None
    mapping: object | None = field(default=None, hash=False)
    delimiter: str | None = None
    category_profile: str | None = None
    where: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    source_column: str | None = None
    members: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def __post_init__(self) -> None:
        checked_text(self.source, "the source", MAX_SOURCE)
        if self.role is not None:
            checked_role(self.role)
        object.__setattr__(self, "labels", checked_labels(self.labels))
        object.__setattr__(self, "members", MappingProxyType(dict(self.members)))
        for suffix in self.members.values():
            checked_text(f"{self.source}/{suffix}", "the source", MAX_SOURCE)
        object.__setattr__(self, "encoding", checked_encoding(self.encoding))

    def source_for(self, role: Role) -> str:
        """Name the source of entries of a role, where a delivery has entries of several."""
        main = self.role or "alarm"
        return self.source if role == main else checked_text(f"{self.source}/{role}", "the source", MAX_SOURCE)


class FormatModule(Protocol):
    """The module of a format."""

    def read(self, stream: BinaryIO, delivery: Delivery) -> Iterator[Operation]:
        """Read a delivery."""

    def recognises(self, head: bytes) -> bool:
        """Whether a delivery that begins so can be of no other format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format.

    Parameters
    ----------
    name : str
        Name on the command line.
    summary : str
        One line for people.
    module : str
        Module that reads it.
    takes, needs : frozenset of str
        Fields of `Delivery`, beside ``source``, ``role`` and ``labels``, that it understands, and those it demands.
    is_snapshot : bool
        Whether a delivery is all that its source lists, so that it can replace what the list has of the source. A feed
        says what changed.
    """

    name: str
    summary: str
    module: str
    takes: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    is_snapshot: bool = True

    def load(self) -> FormatModule:
        """Load the module."""
        return cast("FormatModule", importlib.import_module(f"hashmatch.lists.formats.{self.module}"))


_DEFAULTS: Final = Delivery()
_OF_ALL: Final = frozenset({"source", "role", "labels"})
_TEXT: Final = frozenset({"encoding", "algorithm"})
_TABLE: Final = frozenset({"encoding", "mapping", "delimiter", "where", "source_column"})

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        item.name: item
        for item in (
            Format(name="text", summary="one hash a line, md5sum, BSD md5", module="text", takes=_TEXT),
            Format(
                name="csv",
                summary="a table with a header: CSV, TSV; what its columns mean is told by a mapping",
                module="csv_table",
                takes=_TABLE,
                needs=frozenset({"mapping"}),
            ),
            Format(
                name="ndjson",
                summary="one JSON object a line: what hashmatch list export writes, or any fields by a mapping",
                module="ndjson",
                takes=_TABLE - {"delimiter"},
            ),
            Format(
                name="tx-csv",
                summary="the CSV of threatexchange dataset",
                module="tx_csv",
                takes=frozenset({"encoding"}),
            ),
            Format(
                name="tx-local",
                summary="one type and signal a line: the local_file of threatexchange",
                module="tx_local",
                takes=_TEXT,
            ),
            Format(
                name="hashmatch-csv",
                summary="the table that hashmatch list export --format csv writes",
                module="own_csv",
                takes=frozenset({"encoding"}),
            ),
            Format(name="encase", summary="a hash set of EnCase up to version 6: .hash", module="encase"),
            Format(
                name="hashkeeper",
                summary="a hash set of HashKeeper: .hsh",
                module="hashkeeper",
                takes=frozenset({"encoding"}),
            ),
            Format(name="kdb", summary="a hash set of Autopsy: .kdb", module="kdb"),
            Format(
                name="nsrl2",
                summary="NIST's known software, version 2: NSRLFile.txt; benign",
                module="nsrl2",
                takes=frozenset({"encoding"}),
            ),
            Format(
                name="nsrl3", summary="NIST's known software, version 3: an SQLite database; benign", module="nsrl3"
            ),
            Format(
                name="ncmec",
                summary="a page of NCMEC's hash sharing service, version 2: XML",
                module="ncmec",
                takes=frozenset({"members"}),
                is_snapshot=False,
            ),
            Format(name="stopncii", summary="pages of StopNCII.org: JSON", module="stopncii", is_snapshot=False),
            Format(
                name="threatexchange",
                summary="pages of ThreatExchange's threat_updates: JSON",
                module="threatexchange",
                is_snapshot=False,
            ),
            Format(
                name="tat",
                summary="pages of the hash list of Tech Against Terrorism: JSON",
                module="tat",
                is_snapshot=False,
            ),
            Format(
                name="vics",
                summary="VICS 1.0 to 2.0 JSON: hash sets and cases; what its categories mean is told by a profile",
                module="vics",
                takes=frozenset({"category_profile"}),
                needs=frozenset({"category_profile"}),
            ),
            Format(
                name="nist-caid",
                summary="NIST's set of known software media, in VICS: known to be good",
                module="nist_caid",
            ),
            Format(
                name="icse",
                summary="INTERPOL's ICSE export: a table with semicolons",
                module="icse",
                takes=frozenset({"encoding"}),
            ),
        )
    }
)
"""Every format, by name."""


def format_named(name: str) -> Format:
    """Find a format by its name, in any case; HashFormatError with what there is if there is none."""
    found = FORMATS.get(name.strip().lower())
    if found is None:
        raise HashFormatError(f"no format has this name: hashmatch list formats shows all ({', '.join(FORMATS)})")
    return found


def recognised(head: bytes) -> Format | None:
    """Find the format that a delivery begins like, if it is certain.

    Parameters
    ----------
    head : bytes
        The first 4,096 bytes, unpacked.
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # as PowerShell redirects what a program prints
        head = head[: len(head) // 2 * 2].decode("utf-16", "ignore").encode()
    found = [item for item in FORMATS.values() if item.load().recognises(head)]
    return found[0] if len(found) == 1 else None


def reader_of(kind: Format, stream: BinaryIO, delivery: Delivery) -> Iterator[Operation]:
    """Read a delivery by its format, through what packs it.

    Raises
    ------
    HashFormatError
        If what packs it is damaged or not read through; the format raises what it finds later.
    ReferenceListError
        If the delivery is told something that the format does not take, or not told what it needs.
    """
    told = {name for name in Delivery.__slots__ if getattr(delivery, name) != getattr(_DEFAULTS, name)}
    for name in sorted(told - _OF_ALL - kind.takes):
        raise ReferenceListError(f"the format {kind.name} does not take {flag_of(name)}")
    for name in sorted(kind.needs - told):
        raise ReferenceListError(f"the format {kind.name} needs {flag_of(name)}")
    return kind.load().read(unpacked(stream), delivery)


def flag_of(name: str) -> str:
    """Option of the command line that sets a field of `Delivery`."""
    return "--" + {"members": "member", "labels": "label"}.get(name, name).replace("_", "-")
