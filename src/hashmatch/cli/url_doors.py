"""``hashmatch urls check | scan | squid | export | certify``: what asks a list of addresses."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json
from hashmatch.cli.console import OUT, Exit, emit, fail, safe, stopped_reading, warn
from hashmatch.cli.sources import STDIN, check_list, named, standard_input
from hashmatch.cli.urls import Addresses, Key, UrlFile, given, opened_list
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.signing import SigningKey, parse_verifier_keys
from hashmatch.signing.private_files import read_text_file
from hashmatch.urls import (
    UrlAnswer,
    UrlKey,
    UrlMatcher,
    UrlScan,
    certify,
    info_of,
    read_addresses,
    read_certificate,
    self_test_address,
    serve_squid,
    try_proxy,
    zone_of,
)

__all__ = ["certify_list", "check", "export", "scan", "squid"]

Keys = Annotated[
    list[Path], typer.Option("--key", "-k", help="Key file; may be given several times.", show_default=False)
]
Also = Annotated[list[Path] | None, typer.Option("--also", help="Further list; may be given several times.")]


def check(path: UrlFile, addresses: Addresses, key: Keys, also: Also = None, as_json: Json = False) -> None:
    """Tell of each address whether it is listed, by which entry, at which scope. No address is shown.

    Exit code: 0 one is listed, 1 none, 2 an error, 3 none, but one could not be read.

    Example: hashmatch urls check known.urls - --key known.key
    """
    outcomes = set()
    with _matcher(path, key, also) as matcher:
        for number, address in enumerate(given(addresses), 1):
            answer = matcher.check(address)
            outcomes.add(answer.outcome)
            _tell(str(number), answer, as_json=as_json)
    _end("listed" in outcomes, undecided="undecided" in outcomes)


def scan(
    path: UrlFile,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Text or SQLite database; - for standard input.")
    ],
    key: Keys,
    also: Also = None,
    as_json: Json = False,
) -> None:
    """Look for listed addresses in texts, and in all columns of SQLite databases, such as a browser's history.

    Shown is where an address stands, not the address. What was not looked at is told on standard error.

    Exit code: 0 one is listed, 1 none, 2 an error, 3 none, but something was not looked at.

    Example: hashmatch urls scan known.urls history.sqlite notes.txt --key known.key
    """
    bad = False
    with _matcher(path, key, also) as matcher:
        found = UrlScan(matcher)
        for file in files:
            try:
                for place, answer in found.file(standard_input() if file == STDIN else file):
                    _tell(f"{file}: {place}", answer, as_json=as_json)
            except (HashFormatError, ReferenceListError) as error:
                bad = True
                warn(f"{file}: {error}")
            for what in found.left_out:
                warn(f"{file}: not looked at: {what}")
            bad |= bool(found.left_out)
            found.left_out.clear()
    counts = {"addresses": found.addresses, "listed": found.listed, "undecided": found.undecided}
    if as_json:
        emit(counts)
    else:
        OUT.print(", ".join(f"{name} {count:,}" for name, count in counts.items()), highlight=False)
    _end(found.listed > 0, undecided=bad or found.undecided > 0)


def squid(path: UrlFile, key: Keys, also: Also = None) -> None:
    """Answer Squid's external_acl_type until its input ends: OK for what is listed, ERR for what is not.

    BH is the answer where a request cannot be read. Lists that are changed are taken up by themselves.

    Exit code: 0, or 2 an error.

    Example: hashmatch urls squid known.urls --key known.key
    """
    with _matcher(path, key, also) as matcher:
        try:
            serve_squid(matcher, standard_input(), sys.stdout.buffer)
        except BrokenPipeError:
            raise stopped_reading() from None


def export(
    path: UrlFile,
    key: Key,
    kind: Annotated[str, typer.Option("--format", "-f", help="ndjson: what is said of the entries; rpz: a zone.")] = (
        "ndjson"
    ),
    names: Annotated[
        Path | None, typer.Option("--names", help="For rpz: file of the names that you hold in clear.")
    ] = None,
    to: Annotated[str, typer.Option("--to", help="For rpz: name that they are sent to. [default: none]")] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="New file, readable by its owner only. [default: standard output]"),
    ] = None,
) -> None:
    """Write what a list says of its entries, without addresses and MACs, or a zone for resolvers.

    A zone has its names in clear, so it is made of --names: those of them that the list has now.

    Exit code: 0, or 2 an error.

    Example: hashmatch urls export known.urls --key known.key --format rpz --names names.txt --output block.zone
    """
    if kind not in ("ndjson", "rpz"):
        raise fail("--format is ndjson or rpz")
    if (kind == "rpz") != (names is not None):
        raise fail("--format rpz and --names go together: a keyed list has no name in clear")
    if to and kind != "rpz":
        raise fail("--to goes with --format rpz")
    with opened_list(path, key) as listed:
        if names is None:
            lines: Iterator[Any] = listed.entries()
        else:
            held = [item.address for item in read_addresses(names, "text") if item.address]
            lines = zone_of(listed, held, to=to)
        _write(lines, output)


def certify_list(
    path: UrlFile,
    key: Key,
    signing_key: Annotated[
        Path | None, typer.Option("--signing-key", help="Key file that signs the certificate.", show_default=False)
    ] = None,
    proxy: Annotated[str | None, typer.Option("--proxy", help="http://HOST:PORT of a proxy that is tried too.")] = None,
    blocked: Annotated[
        list[int] | None, typer.Option("--blocked", help="HTTP status that means blocked. [default: 451, 403]")
    ] = None,
    verify: Annotated[Path | None, typer.Option("--verify", help="Read this certificate, and sign none.")] = None,
    trust: Annotated[Path | None, typer.Option("--trust", help="With --verify: file of the verifier keys.")] = None,
    show_address: Annotated[
        bool, typer.Option("--show-address", help="Show the self-test address, to try a door by hand.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="New file. [default: standard output]")] = None,
    as_json: Json = False,
) -> None:
    """Prove that blocking works here, and sign a certificate of it: versions, counts, changes of the last quarter.

    Every list blocks an address made of its key, which nobody can register: a door is tried with that, and with a
    neighbour that it must let through.

    Exit code: 0, or 2 an error, also where a door fails.

    Example: hashmatch urls certify known.urls --key known.key --signing-key ours.key --proxy http://127.0.0.1:3128
    """
    if sum((signing_key is not None, verify is not None, show_address)) != 1:
        raise fail("give one of --signing-key, --verify and --show-address")
    if (verify is None) != (trust is None):
        raise fail("--verify and --trust go together")
    with opened_list(path, key) as listed:
        if show_address and as_json:
            emit({"address": self_test_address(listed.key)})
        elif show_address:
            OUT.print(self_test_address(listed.key), highlight=False, soft_wrap=True)
        elif verify is not None and trust is not None:
            said = read_certificate(read_text_file(verify).encode(), parse_verifier_keys(read_text_file(trust)))
            if said["list_id"] != listed.head.list_id:
                raise ReferenceListError("the certificate is of another list")
            emit(said)
        elif signing_key is not None:
            doors = [try_proxy(listed, proxy, blocked or (451, 403))] if proxy else []
            note = certify(listed, SigningKey.load(signing_key), doors).decode()
            _write(iter([{"certificate": note}] if as_json else note.splitlines()), output)


@contextmanager
def _matcher(path: Path, keys: list[Path], also: list[Path] | None) -> Iterator[UrlMatcher]:
    paths = [path, *(also or ())]
    for one in paths:
        check_list(one)
        with named(one):
            info_of(one)
    with named(*paths):
        yield UrlMatcher(paths, map(UrlKey.load, keys))


def _tell(place: str, answer: UrlAnswer, *, as_json: bool) -> None:
    hits = [hit._asdict() | {"classes": list(hit.classes)} for hit in answer.hits]
    if as_json:
        emit({"place": place, "outcome": answer.outcome, "reason": answer.reason, "hits": hits})
        return
    said = [
        f"{hit.scope} of {hit.list_name}, by {hit.source}"
        + (f" ({', '.join(hit.classes)})" if hit.classes else "")
        + f", entry {hit.entry_id}"
        for hit in answer.hits
    ]
    words = "; ".join(said) or answer.reason
    OUT.print(Text(safe(f"{place}: {answer.outcome}" + (f": {words}" if words else ""))), soft_wrap=True)


def _end(listed: bool, *, undecided: bool) -> None:
    if not listed:
        raise typer.Exit(Exit.UNDECIDED if undecided else Exit.NONE)


def _write(lines: Iterator[Any], output: Path | None) -> None:
    """Write texts and records, one a line."""
    if output is None:
        for line in lines:
            if isinstance(line, dict):
                emit(line)
            else:
                OUT.file.write(f"{line}\n")
        return
    try:
        number = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise fail(f"{output}: a file is already there: name another one") from None
    with open(number, "w", encoding="utf-8") as stream:
        for line in lines:
            stream.write((json.dumps(line) if isinstance(line, dict) else line) + "\n")
