"""Audit logs and proofs.

Law: a log of which one byte differs does not verify as sound, and no record is read from it that says something else
than was written at that place; a proof of which one byte differs proves nothing. Where the key's owner himself wrote
strange records, whatever reads them gives typed errors and nothing else.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fuzz.engine import Case, Wrong, check_message
from fuzz.mutate import INTERESTING, mutated
from fuzz.targets.indexes import QuickFolder
from hashmatch import Fingerprint, Matcher, ReferenceList, profiles
from hashmatch.audit import (
    AuditLog,
    LogReader,
    Recorder,
    add_verdict,
    fingerprint_of,
    prove_alone,
    purge_log,
    report_of,
    verify_log,
    yearly_figures,
)
from hashmatch.audit.export import case_graph, iter_exported
from hashmatch.audit.layout import LogFiles
from hashmatch.audit.replay import replay_log
from hashmatch.audit.words import parsed
from hashmatch.errors import AuditError
from hashmatch.hashes import ViewHash
from hashmatch.signing import SigningKey
from support.list_makers import made_up

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "audit logs -> verify, read, write; proofs; strange records -> report, replay, figures, exports"

_KEY: Final = SigningKey("example.org/fuzz", [(1, bytes(range(32)))])
_NAMES: Final = ("records", "tree", "checkpoint")
_ODD: Final = (None, True, -1, 0, 7, 2**63, "", "x" * 70, "\ud800", [], [[0, 3]], {}, {"a": 1}, "{}", "[]", "{", "AAAA")


def _made(folder: Path) -> list[dict[str, Any]]:
    """Make a list, and a log of a match, other answers, a verdict and a purge; gives what the records say."""
    with ReferenceList.create(folder / "list", name="fuzz") as ref:
        ref.add("entry", hashes=[made_up(1)], labels={"a": "b"})
    policy = replace(profiles.FAST, max_matches=3)
    with AuditLog.create(folder / "log", _KEY) as log:
        with Matcher.open(folder / "list", policy=policy, recorder=Recorder(log, keep_hashes=True)) as matcher:
            for number in (1, 2, 3):
                matcher.match_fingerprint(Fingerprint((ViewHash(value=made_up(number), quality=80),)))
        add_verdict(log, 3, True, why="seen")
        purge_log(log, why="asked", places=[5])
    with LogReader(folder / "log") as reader:
        return [record.content for record in reader if record.content is not None]


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Read one changed log, one changed proof, or some strange records."""
    holder = QuickFolder()
    folder = Path(holder.name)
    contents = _made(folder)
    files = LogFiles.of(folder / "log")
    right = {name: getattr(files, name).read_bytes() for name in _NAMES}
    with LogReader(folder / "log") as reader:
        origin, proofs = reader.origin, [reader.proof(place).encode() for place in (0, 3, 4)]
        said = {record.place: record.content for record in reader}

    def case(rng: random.Random, number: int) -> str:
        for name, data in right.items():
            getattr(files, name).write_bytes(data)
        if number % 4 == 0:
            return _strange(rng, contents)
        if number % 4 == 1:
            return _proof(rng, proofs, origin)
        if number % 16 == 2:
            return _strange_log(rng, folder, contents)
        name = rng.choice(_NAMES)
        data = mutated(right[name], rng, list(right.values()))
        getattr(files, name).write_bytes(data)
        return _changed(folder / "log", data == right[name], said, write=rng.random() < 0.2)

    case.holder = holder  # type: ignore[attr-defined]
    return case


def _changed(folder: Path, same: bool, said: dict[int, Any], *, write: bool) -> str:
    if verify_log(folder, _KEY.verifiers).sound != same:
        raise Wrong("a changed log is sound" if not same else "a log that is as it was is not sound")
    with contextlib.suppress(AuditError), LogReader(folder) as reader:
        for record in reader:
            if record.content not in (None, said.get(record.place)) and not same:
                raise Wrong("a record was read that was not written")
    if write:
        try:
            with AuditLog.open(folder, _KEY) as log:
                log.append({"kind": "note"})
        except AuditError as error:
            check_message(error)
            return "changed: not written to"
        return "changed: written to"
    return "the same" if same else "changed: found"


def _proof(rng: random.Random, proofs: list[bytes], origin: str) -> str:
    data = mutated(rng.choice(proofs), rng, proofs)
    try:
        prove_alone(data, origin, _KEY.verifiers)
    except AuditError as error:
        check_message(error)
        return "proof refused"
    if data not in proofs:
        raise Wrong("a changed proof proves something")
    return "proof as it was"


def _odd(rng: random.Random, value: Any) -> Any:
    """Change a JSON value somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        if rng.random() < 0.2:
            return {name: item for name, item in value.items() if name != key}
        return value | {key: _odd(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = rng.randrange(len(value))
        return [*value[:place], _odd(rng, value[place]), *value[place + 1 :]]
    if isinstance(value, str) and value[:1] in ("{", "[") and rng.random() < 0.8:
        return json.dumps(_odd(rng, json.loads(value)))
    if isinstance(value, str) and rng.random() < 0.3:
        return mutated(value.encode("utf-8", "replace"), rng, []).decode("latin-1")
    return rng.choice((*_ODD, rng.choice(INTERESTING)))


def _strange(rng: random.Random, contents: list[dict[str, Any]]) -> str:
    """Read records as mappings."""
    answers = [item for item in contents if item["kind"] == "answer"]
    context = next(item for item in contents if item["kind"] == "context")
    answer = _odd(rng, rng.choice(answers))
    context = _odd(rng, context) if rng.random() < 0.5 else context
    try:
        if not isinstance(answer, dict) or not isinstance(context, dict):
            parsed(json.dumps(answer).encode())
            return "strange: no mapping"
        fingerprint_of(answer)
        report_of(answer, context)
    except AuditError as error:
        check_message(error)
        return "strange: refused"
    return "strange: read"


def _strange_log(rng: random.Random, folder: Path, contents: list[dict[str, Any]]) -> str:
    """Have a log signed that holds strange records, and use it."""
    strange = folder / f"strange-{rng.randrange(2**60)}"
    with AuditLog.create(strange, _KEY) as log:
        renamed: dict[str, str] = {}
        for item in contents[1:]:
            odd = _odd(rng, item) if rng.random() < 0.4 else item
            record = odd if isinstance(odd, dict) else item
            record = {key: renamed.get(str(value), value) for key, value in record.items()}
            with contextlib.suppress(AuditError):
                queued = log.queue(record)
                named = {"policy": "context", "context": "answer"}.get(str(item["kind"]))
                for other in contents if named else ():
                    if other["kind"] == named and isinstance(other.get(item["kind"]), str):
                        renamed[other[item["kind"]]] = base64.b64encode(queued.leaf).decode()
        log.flush()
        uses = (
            lambda reader: list(replay_log(reader, [folder / "list"])),
            yearly_figures,
            lambda reader: json.dumps(list(iter_exported(reader, hashes=True))),
            lambda reader: json.dumps(case_graph(reader)),
            lambda reader: [reader.proof(place) for place in range(len(reader))],
        )
        done = 0
        for use in uses:
            try:
                with LogReader(strange) as reader:
                    use(reader)
                done += 1
            except AuditError as error:
                check_message(error)
        with contextlib.suppress(AuditError):
            purge_log(log, why="x", before=2**33)
    found = verify_log(strange, _KEY.verifiers)  # records that are not readable, purges that were none: told
    for path in LogFiles.of(strange):
        path.unlink(missing_ok=True)
    strange.rmdir()
    return f"strange log: {done} of {len(uses)} uses, {'sound' if found.sound else 'not sound'}"
