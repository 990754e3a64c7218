"""What of a list is written out, and where to: by source, role and algorithm, and within the terms of its owners.

Floor: lists. A format is a function that makes text of entries and counts what it cannot hold.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists.entry import ROLES, Entry, Listing, Role, checked_role
from hashmatch.lists.formats.out.lines import Order, csv_lines, ndjson_lines, text_lines, tx_csv_lines, tx_local_lines
from hashmatch.lists.formats.out.vics import vics_lines
from hashmatch.lists.reader import ListReader, SourceInfo

__all__ = ["OUT_FORMATS", "ExportReport", "OutFormat", "export_into", "export_to"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutFormat:
    """One format that lists are written in.

    Parameters
    ----------
    name : str
        Name on the command line.
    summary : str
        One line for people.
    lines : callable
        Makes the text of entries and counts what it leaves out.
    algorithms : tuple of str
        Algorithms that it can hold; empty for all.
    usual : tuple of str
        Algorithms that are written unless others are asked for; empty for all that it can hold.
    holds_roles : bool
        Whether it says what an entry is listed for. If not, only entries of the role ``"alarm"`` are written unless
        another role is asked for.
    takes_scheme : bool
        Whether it has category numbers, whose scheme must be named.
    key : str
        Algorithm that is always written, because records are known by it; empty if there is none.
    """

    name: str
    summary: str
    lines: Callable[[Iterable[Entry], Order], Iterator[str]] = field(repr=False)
    algorithms: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    holds_roles: bool = False
    takes_scheme: bool = False
    key: str = ""


_TX: Final = ("pdq", "md5", "sha256")

OUT_FORMATS: Final[Mapping[str, OutFormat]] = MappingProxyType(
    {
        item.name: item
        for item in (
            OutFormat(
                name="ndjson",
                summary="one JSON object an entry, with everything that the entry holds",
                lines=ndjson_lines,
                holds_roles=True,
            ),
            OutFormat(
                name="csv",
                summary="a table for people, one row a hash, safe from formulas",
                lines=csv_lines,
                holds_roles=True,
            ),
            OutFormat(name="text", summary="one hash a line", lines=text_lines),
            OutFormat(
                name="tx-csv",
                summary="the CSV of threatexchange dataset",
                lines=tx_csv_lines,
                algorithms=_TX,
                usual=("pdq",),
                holds_roles=True,
            ),
            OutFormat(
                name="tx-local",
                summary="one type and signal a line: the local_file of threatexchange and HMA",
                lines=tx_local_lines,
                algorithms=_TX,
                usual=("pdq",),
            ),
            OutFormat(
                name="vics",
                summary="VICS 2.0 JSON, a hash set; each entry needs an MD5",
                lines=vics_lines,
                algorithms=("md5", "sha1", "sha256", "photodna", "pdq"),
                usual=("md5", "sha1", "photodna"),
                takes_scheme=True,
                key="md5",
            ),
        )
    }
)
"""Every format that lists are written in, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written of a list.

    Parameters
    ----------
    entries : int
        Number of entries of which something was asked for.
    left_out : mapping of str to int
        What could not be written, in words, and how many of it; empty if the format holds all that was asked for.
    version : int
        Version of the list.
    """

    entries: int
    left_out: Mapping[str, int] = field(hash=False)
    version: int


def export_into(
    ref: ListReader,
    stream: BinaryIO,
    kind: str,
    *,
    sources: Iterable[str] = (),
    roles: Iterable[Role] = (),
    algorithms: Iterable[str] = (),
    category_scheme: str | None = None,
    despite_terms: Iterable[str] = (),
) -> ExportReport:
    """Write a list, or a part of it, as UTF-8.

    Parameters
    ----------
    ref : ReferenceList
        Open; it must not change meanwhile.
    stream : binary file
        Where to.
    kind : str
        One of `OUT_FORMATS`.
    sources : iterable of str
        Only what these sources, and those named after them as ``SOURCE/benign``, list; by default all.
    roles : iterable of {"alarm", "benign", "comparison"}
        Only what is listed for this; by default all where the format says which, else ``"alarm"``.
    algorithms : iterable of str
        Only hashes of these; by default those that are usual in the format.
    category_scheme : str, optional
        Name of the label whose values are the category numbers of VICS; without it no category is written.
    despite_terms : iterable of str
        Sources that are written although they have terms. Terms of a source are also those of sources named after it.

    Raises
    ------
    HashFormatError
        If the format or an algorithm is unknown, or the format cannot hold it.
    ReferenceListError
        If a source has terms, is unknown, or is damaged; if the format does not take what is asked for; or at the end,
        if the list changed meanwhile: what was written is then of no use.

    Notes
    -----
    Cost: 30 to 55 microseconds an entry of two hashes; memory does not grow with the list.
    """
    form = OUT_FORMATS.get(kind)
    if form is None:
        raise HashFormatError(f"lists are not written in this format, but as {', '.join(OUT_FORMATS)}")
    named = tuple(dict.fromkeys(algorithm_named(name).name for name in algorithms))
    for name in named:
        if form.algorithms and name not in form.algorithms:
            raise HashFormatError(f"the format {kind} holds no {name} hashes, but {', '.join(form.algorithms)}")
    if category_scheme is not None and not form.takes_scheme:
        raise ReferenceListError(f"the format {kind} has no category numbers: name no scheme of them")
    asked = tuple(dict.fromkeys(checked_role(role) for role in roles))
    if len(asked) > 1 and not (form.holds_roles or category_scheme):
        raise ReferenceListError(
            f"the format {kind} does not say what an entry is listed for: export the entries of each role by themselves"
        )
    if named and form.key and form.key not in named:
        named = (form.key, *named)
    order = Order(named, category_scheme, Counter())
    version = ref.version
    written = asked or (ROLES if form.holds_roles else ("alarm",))
    chosen = {info.name for info in _chosen(ref, sources, written, set(despite_terms), order, count=not asked)}
    selected = _Selected(ref, chosen, named or form.usual or form.algorithms, order, count=not named)
    for line in form.lines(selected, order):
        stream.write(line.encode())
    if ref.version != version:
        raise ReferenceListError(
            "the list changed while it was exported, and parts may be of two versions: export again"
        )
    left_out = {reason: count for reason, count in sorted(order.left_out.items()) if count}
    return ExportReport(entries=selected.count, left_out=MappingProxyType(left_out), version=version)


def export_to(
    ref: ListReader,
    path: str | os.PathLike[str],
    kind: str,
    **asked: Any,
) -> ExportReport:
    """Write a list, or a part of it, to a new file that only its owner can read.

    Parameters
    ----------
    ref, kind, **asked
        As in `export_into`.
    path : path
        Where no file may be. The file gets its name when it is complete; until then it is ``.NAME.….part`` beside it.

    Raises
    ------
    ReferenceListError
        If a file is there, or the folder cannot be written; and as `export_into`. Nothing is left behind then.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        if os.path.lexists(target):
            raise FileExistsError
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ReferenceListError("a file is already at the path of the export: name another one") from None
    except (OSError, ValueError):
        raise ReferenceListError("the export cannot be written: check that its folder exists and is writable") from None
    try:
        with open(number, "wb") as stream:
            report = export_into(ref, stream, kind, **asked)
            stream.flush()
            os.fsync(number)
        _put_in_place(part, target)
    except OSError:
        raise ReferenceListError("writing the export failed: check the space on its disk") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)
    return report


def _put_in_place(part: Path, target: Path) -> None:
    """Give the finished file its name, but not that of a file that came there meanwhile."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise ReferenceListError("a file came to the path of the export meanwhile: name another one") from None
    except OSError:  # a file system without hard links
        os.rename(part, target)


class _Selected:
    """The entries of a list with what is asked for of each; counts them."""

    def __init__(
        self, ref: ListReader, sources: set[str], algorithms: tuple[str, ...], order: Order, *, count: bool
    ) -> None:
        self._ref, self._sources, self._algorithms, self._order = ref, sources, frozenset(algorithms), order
        self._counts = count
        self.count = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._ref:
            asked = [item for item in entry.listings if item.source in self._sources]
            listings = tuple(item for item in map(self._part, asked) if item is not None)
            if listings:
                self.count += 1
                yield entry if listings == entry.listings else replace(entry, listings=listings)
            elif asked and self._counts:
                self._order.left_out["entries without a hash of a written algorithm"] += 1

    def _part(self, listing: Listing) -> Listing | None:
        if not self._algorithms:
            return listing
        kept = tuple(item for item in listing.hashes if item.value.algorithm in self._algorithms)
        if self._counts:
            for item in listing.hashes:
                if item.value.algorithm not in self._algorithms:
                    self._order.left_out[f"{item.value.algorithm} hashes"] += 1
        if len(kept) == len(listing.hashes):
            return listing
        return replace(listing, hashes=kept) if kept else None


def _chosen(
    ref: ListReader, names: Iterable[str], roles: tuple[Role, ...], despite: set[str], order: Order, *, count: bool
) -> Iterator[SourceInfo]:
    """Find the sources that are asked for, and check that their terms allow it."""
    known = {info.name: info for info in ref.sources()}
    wanted = tuple(names)
    for name in (*wanted, *despite):
        if name not in known:
            raise ReferenceListError(f"the list has no source {name!r}")
    for info in known.values():
        if not info.entries or (wanted and not any(_is_under(info.name, top) for top in wanted)):
            continue
        if info.role not in roles:
            if count:
                order.left_out[f"entries of sources of the role {info.role}"] += info.entries
            continue
        for owner in known.values():
            bound = owner.terms and _is_under(info.name, owner.name)
            if bound and not any(_is_under(info.name, top) and _is_under(top, owner.name) for top in despite):
                raise ReferenceListError(
                    f"nothing was exported, because the source {info.name!r} has terms: {owner.terms!r}; leave it out, "
                    "or name it with --despite-terms if they allow this export"
                )
        yield info


def _is_under(name: str, top: str) -> bool:
    """Whether a source is another, or is named after it."""
    return name == top or name.startswith(f"{top}/")
