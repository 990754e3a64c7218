"""What the columns or fields of a delivery mean, told by the person who imports it, and rows made by that.

Floor: lists. Tables and JSON share it. Only what is mapped is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError, PolicyError, ReferenceListError
from hashmatch.forms import from_plain
from hashmatch.lists.entry import (
    LOCAL,
    MAX_LABEL_NAME,
    MAX_SOURCE,
    ROLES,
    Entry,
    ListedHash,
    Listing,
    Role,
    checked_labels,
    checked_role,
    checked_text,
)
from hashmatch.lists.formats.cells import (
    HashEncoding,
    default_entry_id,
    id_from,
    is_nothing,
    label_from,
    parse_cell,
    quality_from,
    visible,
)
from hashmatch.lists.formats.decoding import checked_encoding
from hashmatch.lists.formats.operations import Flaw, LeftOut, Refused, Row

if TYPE_CHECKING:
    from hashmatch.lists.formats.registry import Delivery

__all__ = ["ColumnMapping", "HashColumn", "RowMaker", "checked_delimiter", "folded", "mapping_from_toml", "mapping_of"]

MAX_MAPPING: Final = 2**20
"""Most characters of a mapping file."""

_PLACE: Final = re.compile(r"\(at [a-z0-9, ]{1,60}\)")
_DIGITS: Final = re.compile("[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HashColumn:
    """A column of hashes.

    Parameters
    ----------
    algorithm : str
        Algorithm of the hashes.
    encoding : {"hex", "base64", "base32"}
        How they are written. PhotoDNA may be in base64, or in decimal numbers between commas, where ``"hex"`` is told.

    Raises
    ------
    HashFormatError
        If the algorithm is unknown.
    """

    algorithm: str
    encoding: HashEncoding = "hex"

    def __post_init__(self) -> None:
        object.__setattr__(self, "algorithm", algorithm_named(self.algorithm).name)
        if self.encoding not in ("hex", "base64", "base32"):
            raise ReferenceListError("hashes are written in one of hex, base64, base32")


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """What the columns of a table, or the fields of JSON, mean. Those that are not named here are not read.

    Columns are named as in the header, of any case and with any white space between words; in a table without a header
    by their number from 1: ``"1"``. Fields of objects within objects are named by their path: ``"hashes.md5"``.

    Parameters
    ----------
    hashes : mapping of str to str or HashColumn
        Algorithm by column, at least one. A cell may be empty, but not all of a row.
    entry_id : str, optional
        Column of the entry's id; no cell of it may be empty. By default an entry is named after its first hash, see
        `default_entry_id`.
    labels : mapping of str to str
        Name of the label by column. An empty cell gives no label.
    classes : mapping of str to str
        Name of the scheme by column: a label of which a mark of a missing value is no value.
    fixed : mapping of str to str
        Labels and classes that every entry gets; those of the row count more.
    quality : str, optional
        Column of the quality of the row's hashes, 0 to 100. An empty cell means that the quality is unknown.
    source : str
        Name of who lists these rows, 1 to 64 characters.
    source_column : str, optional
        Column that names who lists each row; no cell of it may be empty.
    role : {"alarm", "benign", "comparison"}
        What the rows are listed for.
    role_column : str, optional
        Column that tells what each row is listed for. Rows of another role than ``role`` are listed under
        ``SOURCE/ROLE``, because a source has one role in a list.
    roles : mapping of str to str
        Role by cell of that column, of any case; by default the cells are the names of the roles.
    where : mapping of str to str
        Only rows with these values in these columns are taken, but for blanks at their ends; the others are `LeftOut`.
    header : bool
        Whether the first line names the columns.
    comments : tuple of str, optional
        What lines that are no rows begin with, wherever they stand. By default ``#`` and ``%``, only above the first
        row.
    delimiter : str, optional
        One character between fields; found out by default.
    encoding : str, optional
        Encoding of the text; by default UTF-8, or UTF-16 by its byte order mark.

    Raises
    ------
    HashFormatError
        If an algorithm is unknown.
    ReferenceListError
        If no hash column is given, the entry id is a hash column (reports show entry ids), or a text is not
        acceptable.
    ValueError
        If the delimiter is not one character.
    LookupError
        If the encoding is unknown.
    """

    hashes: Mapping[str, str | HashColumn]
    entry_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=_nothing)
    classes: Mapping[str, str] = field(default_factory=_nothing)
    fixed: Mapping[str, str] = field(default_factory=_nothing)
    quality: str | None = None
    source: str = LOCAL
    source_column: str | None = None
    role: Role = "alarm"
    role_column: str | None = None
    roles: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    where: Mapping[str, str] = field(default_factory=_nothing)
    header: bool = True
    comments: tuple[str, ...] | None = None
    delimiter: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        if not self.hashes:
            raise ReferenceListError("the mapping names no column of hashes")
        hashes = {
            folded(column): said if isinstance(said, HashColumn) else HashColumn(algorithm=said)
            for column, said in self.hashes.items()
        }
        names = {
            column: checked_text(name, "the name of a label", MAX_LABEL_NAME)
            for column, name in [*self.labels.items(), *self.classes.items()]
        }
        labels = {folded(column): names[column] for column in self.labels}
        classes = {folded(column): names[column] for column in self.classes}
        where = {folded(column): visible(value) for column, value in self.where.items()}
        for mine, given in ((hashes, self.hashes), (labels, self.labels), (classes, self.classes), (where, self.where)):
            if len(mine) != len(given):
                raise ReferenceListError("the mapping names a column twice")
        if len(set(names.values())) != len(self.labels) + len(self.classes):
            raise ReferenceListError("the mapping gives two columns the same label name")
        if self.entry_id is not None and folded(self.entry_id) in hashes:
            raise ReferenceListError("a column of hashes cannot be the entry id, because reports show entry ids")
        if self.source_column is not None and folded(self.source_column) in hashes:
            raise ReferenceListError("a column of hashes cannot be the source, because reports show sources")
        checked_text(self.source, "the source", MAX_SOURCE)
        checked_role(self.role)
        roles = {visible(cell).casefold(): checked_role(role) for cell, role in self.roles.items()}
        if self.roles and self.role_column is None:
            raise ReferenceListError("roles are given, and no role_column that tells them")
        if not self.header and not all(_is_number(column) for column in self.columns()):
            raise ReferenceListError('without a header, columns are named by their number: "1", "2", ...')
        if self.comments is not None and not all(self.comments):
            raise ReferenceListError("what a comment begins with cannot be empty")
        checked_delimiter(self.delimiter)
        set_ = object.__setattr__
        set_(self, "encoding", checked_encoding(self.encoding))
        set_(self, "comments", None if self.comments is None else tuple(self.comments))
        set_(self, "hashes", MappingProxyType(hashes))
        set_(self, "labels", MappingProxyType(labels))
        set_(self, "classes", MappingProxyType(classes))
        set_(self, "fixed", checked_labels(self.fixed))
        set_(self, "roles", MappingProxyType(roles))
        set_(self, "where", MappingProxyType(where))

    def columns(self) -> list[str]:
        """Every column that is read, in lower case, each once."""
        others = [self.entry_id, self.quality, self.source_column, self.role_column]
        named = [*self.hashes, *self.labels, *self.classes, *(name for name in others if name is not None), *self.where]
        return list(dict.fromkeys(map(folded, named)))


def mapping_from_toml(text: str) -> ColumnMapping:
    """Read a mapping file, of which the keys are the parameters of `ColumnMapping`.

    Parameters
    ----------
    text : str
        TOML. A column of ``hashes`` is an algorithm, or a table of the parameters of `HashColumn`.

    Raises
    ------
    ReferenceListError
        If it is no TOML, has a key that is not known, or a value that is not acceptable; the message names the key and
        what is allowed.

    Examples
    --------
    >>> mapping = mapping_from_toml('''
    ... source = "made-up"
    ... classes = {Grade = "uk"}
    ... [hashes]
    ... MD5 = "md5"
    ... SHA1 = {algorithm = "sha1", encoding = "base32"}
    ... ''')
    >>> mapping.columns()
    ['md5', 'sha1', 'grade']
    """
    if len(text) > MAX_MAPPING:
        raise ReferenceListError(f"a mapping file has at most {MAX_MAPPING:,} characters")
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = _PLACE.search(str(error))
        raise ReferenceListError(f"the mapping file is no TOML{f' {place[0]}' if place else ''}") from None
    try:
        return from_plain(ColumnMapping, data, "the mapping file")
    except (PolicyError, LookupError, ValueError) as error:
        raise ReferenceListError(str(error)) from None


def mapping_of(delivery: Delivery) -> ColumnMapping:
    """Give the mapping of a delivery with what the delivery says beside it, which counts more; ReferenceListError."""
    mapping = delivery.mapping
    if not isinstance(mapping, ColumnMapping):
        raise ReferenceListError("a table needs a mapping that says what its columns mean")
    return replace(
        mapping,
        source=mapping.source if delivery.source == LOCAL else delivery.source,
        role=delivery.role or mapping.role,
        fixed={**mapping.fixed, **delivery.labels},
        where={**mapping.where, **{folded(column): value for column, value in delivery.where.items()}},
        source_column=delivery.source_column or mapping.source_column,
        delimiter=delivery.delimiter or mapping.delimiter,
        encoding=delivery.encoding or mapping.encoding,
    )


def folded(column: str) -> str:
    """Name of a column without regard to case and white space; TypeError if it is not str."""
    if not isinstance(column, str):
        raise TypeError(f"a column is named by str, not {type(column).__name__}")
    return " ".join(visible(column).strip("'").split()).casefold()


def checked_delimiter(delimiter: str | None) -> str | None:
    """Return the delimiter if it can be one; ValueError if not."""
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\n\r'):
        raise ValueError("delimiter must be one character and no quote or line end")
    return delimiter


def _is_number(column: str) -> bool:
    return _DIGITS.fullmatch(column) is not None and 1 <= int(column) <= 10_000


class RowMaker:
    """Makes rows by a mapping.

    Parameters
    ----------
    mapping : ColumnMapping
        What the cells mean.
    names : sequence of str
        Names of the cells of every row, as `folded`; each mapped column is there once.
    """

    def __init__(self, mapping: ColumnMapping, names: Sequence[str]) -> None:
        at = {name: position for position, name in enumerate(names)}

        def place(column: str | None) -> tuple[int, str] | None:
            return None if column is None else (at[folded(column)], folded(column))

        self._hashes = [
            (at[column], column, said.algorithm, said.encoding)
            for column, said in mapping.hashes.items()
            if isinstance(said, HashColumn)
        ]
        self._labels = [(at[column], column, name, False) for column, name in mapping.labels.items()]
        self._labels += [(at[column], column, name, True) for column, name in mapping.classes.items()]
        self._entry_id = place(mapping.entry_id)
        self._quality = place(mapping.quality)
        self._source_column = place(mapping.source_column)
        self._role_column = place(mapping.role_column)
        self._roles = mapping.roles or {role: role for role in ROLES}
        self._where = [(at[column], value) for column, value in mapping.where.items()]
        self._source, self._role, self._fixed = mapping.source, mapping.role, mapping.fixed

    def row(self, number: int, cells: Sequence[str], misquoted: str = "") -> Row | Refused | LeftOut:
        """Make a row of its cells; a cell that cannot be taken costs itself, a key and the last hash cost the row."""
        for at, value in self._where:
            if visible(cells[at]) != value:
                return LeftOut(number)
        flaws = [Flaw(number, "", "misquoted", misquoted)] if misquoted else []
        quality = None
        if self._quality is not None:
            try:
                quality = quality_from(cells[self._quality[0]])
            except ReferenceListError as error:
                flaws.append(Flaw(number, self._quality[1], "left out", str(error)))
        hashes = []
        bad = []
        for at, column, algorithm, encoding in self._hashes:
            cell = cells[at]
            if cell:
                try:
                    hashes.append(ListedHash(parse_cell(cell, algorithm, encoding), quality))
                except HashFormatError as error:
                    if not is_nothing(cell):
                        bad.append(Flaw(number, column, "left out", str(error)))
        if not hashes:
            reasons = [f"column {flaw.column}: {flaw.reason}" for flaw in bad]
            return Refused(number, "; ".join(reasons or [misquoted or "the record has no hash"]))
        flaws += bad
        labels = dict(self._fixed)
        for at, column, name, is_class in self._labels:
            cell = cells[at]
            if cell and not (is_class and is_nothing(cell)):
                label, kind, reason = label_from(cell)
                if misquoted and '"' in cell:
                    label, kind, reason = None, "left out", "it has a misplaced quote"
                if label is not None:
                    labels[name] = label
                if kind is not None:
                    flaws.append(Flaw(number, column, kind, reason))
        try:
            source, role = self._who(cells)
            if self._entry_id is None:
                entry_id = default_entry_id(hashes[0].value)
            else:
                entry_id = id_from(cells[self._entry_id[0]])
                if misquoted and '"' in entry_id:
                    return Refused(number, misquoted)
            return Row(number, Entry(entry_id, (Listing(source, tuple(hashes), labels, role),)), tuple(flaws))
        except ReferenceListError as error:
            return Refused(number, str(error))

    def _who(self, cells: Sequence[str]) -> tuple[str, Role]:
        """Who lists a row, and what for."""
        source, role = self._source, self._role
        if self._source_column is not None:
            at, column = self._source_column
            try:
                source = id_from(cells[at], "the source")
            except ReferenceListError as error:
                raise ReferenceListError(f"column {column}: {error}") from None
        if self._role_column is not None:
            at, column = self._role_column
            said = self._roles.get(visible(cells[at]).casefold())
            if said is None:
                raise ReferenceListError(f"column {column}: it tells no role that the mapping names")
            if said != role:
                source, role = f"{source}/{said}", said
        return source, role
