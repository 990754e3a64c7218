"""Reports of a matcher in a log: all of each comes back, and nothing that must not be there is."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import Fingerprint, Matcher, MatchReport, Outcome, ReferenceList, profiles, synthetic
from hashmatch.audit import (
    AuditLog,
    LogReader,
    Recorder,
    add_complaint,
    add_verdict,
    fingerprint_of,
    prove_alone,
    purge_log,
    report_of,
    report_text,
    verify_log,
    yearly_figures,
)
from hashmatch.errors import AuditError
from hashmatch.hashers.digest import digest
from support.audit_makers import KEY, made_log
from support.list_makers import made_up


def png(seed: int, size: int = 160) -> bytes:
    """Make a picture's file."""
    stream = BytesIO()
    Image.fromarray(synthetic.picture("photo", seed, (size, size))).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    """Files: two listed, one edited, one strange, one plain, one broken, one that is no picture."""
    listed, other, strange = png(1), png(2), png(3)
    edited, plain = BytesIO(), BytesIO()
    Image.open(BytesIO(listed)).transpose(Image.Transpose.ROTATE_90).save(edited, "PNG")
    Image.new("RGB", (90, 90), "white").save(plain, "PNG")
    return [listed, other, edited.getvalue(), strange, plain.getvalue(), strange[:700], b"text"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, files: list[bytes]) -> Path:
    """Make a list of two pictures, one of them by its digest."""
    made = tmp_path_factory.mktemp("lists") / "list"
    with ReferenceList.create(made, name="demo") as ref:
        from hashmatch import fingerprint

        ref.add("first", fingerprint=fingerprint(files[0], algorithms=("pdq",)), labels={"float": "0.5"})
        ref.add("second", hashes=[digest(files[1], "sha1")])
        ref.add("third", hashes=[made_up(3)])
    return made


class Kept:
    """Keeps what a recorder gets."""

    def __init__(self, recorder: Recorder) -> None:
        self.digests, self._recorder = recorder.digests, recorder
        self.reports: list[MatchReport] = []

    def __call__(self, report: MatchReport, fingerprint: Fingerprint, policy: Any) -> None:
        """Keep a report and hand it on."""
        self.reports.append(report)
        self._recorder(report, fingerprint, policy)


@pytest.mark.parametrize("policy", [profiles.FAST, profiles.STANDARD, profiles.THOROUGH], ids=lambda item: item.name)
def test_every_report_comes_back_whole(tmp_path: Path, path: Path, files: list[bytes], policy: Any) -> None:
    """From whatever source, and by whatever call; those of `warm` are none."""
    with AuditLog.create(tmp_path / "log", KEY) as log:
        kept = Kept(Recorder(log, actor="tests", keep_hashes=True))
        with Matcher.open(path, policy=policy, recorder=kept) as matcher:
            matcher.warm()
            answers = [matcher.match(data) for data in files]
            answers += matcher.match_many([BytesIO(data) for data in files], workers=2)
            answers.append(matcher.match(np.full((90, 90), 7, np.uint8)))
            answers.append(matcher.match_hash(made_up(3)))
            answers.append(matcher.match(tmp_path / "missing"))
            plain = Matcher.open(path, policy=policy)
            assert [plain.match(data) for data in files] == answers[: len(files)]  # a recorder changes no answer
            plain.close()
    assert {item.outcome for item in answers} == set(Outcome)
    with LogReader(tmp_path / "log") as reader:
        back = [
            report_of(record.content, reader.by_leaf(record.content["context"]).content or {})
            for record in reader
            if record.content and record.content["kind"] == "answer"
        ]
        kinds = [record.content and record.content["kind"] for record in reader]
        context = next(record.content for record in reader if record.content and record.content["kind"] == "context")
        policies = [json.loads(r.content["policy"]) for r in reader if r.content and r.content["kind"] == "policy"]
    assert len(kept.reports) == len(answers)
    assert sorted(map(report_text, back)) == sorted(map(report_text, answers))
    assert policies == [policy.to_dict()]
    assert kinds.count("context") < 8
    assert context is not None
    assert {"actor", "algorithms", "packages", "process", "software"} <= context.keys()
    assert context["algorithms"]["pdq"] == "1"
    assert verify_log(tmp_path / "log", KEY.verifiers).sound


@pytest.mark.parametrize("keep", [False, True])
def test_what_a_log_holds_of_a_picture(tmp_path: Path, path: Path, files: list[bytes], keep: bool) -> None:
    """SHA-256 of the file; its hashes only if asked; no file name; no hash of the list."""
    named = tmp_path / "a secret name.png"
    named.write_bytes(files[2])
    log = AuditLog.create(tmp_path / "log", KEY)
    with log, Matcher.open(path, recorder=Recorder(log, keep_hashes=keep)) as matcher:
        asked = matcher.match(named, return_fingerprint=True)
        matcher.match(files[0])
        matcher.match(files[1])
    with LogReader(tmp_path / "log") as reader:
        answers = [record.content for record in reader if record.content and record.content["kind"] == "answer"]
    assert [item["input"] for item in answers] == [{"sha256": digest(files[k], "sha256").hex()} for k in (2, 0, 1)]
    assert [fingerprint_of(item) is not None for item in answers] == [keep] * 3
    if keep:
        found = fingerprint_of(answers[0])
        assert found is not None
        assert asked.fingerprint is not None
        assert asked.fingerprint.hashes == found.hashes
    data = b"".join(item.read_bytes() for item in (tmp_path / "log").iterdir())
    assert b"secret" not in data
    with ReferenceList.open(path) as ref:
        hashes = [item.value for entry in ref for listing in entry.listings for item in listing.hashes]
    for value in hashes:
        assert value.data not in data
        assert keep or value.hex().encode() not in data


def test_digests_that_are_asked_for(tmp_path: Path, path: Path, files: list[bytes]) -> None:
    """None, or several; others than digests are refused."""
    with AuditLog.create(tmp_path / "log", KEY) as log:
        for digests in ((), ("md5", "sha1")):
            with Matcher.open(path, recorder=Recorder(log, digests=digests)) as matcher:
                matcher.match(files[3])
        with pytest.raises(ValueError, match="digests are of"):
            Recorder(log, digests=["pdq"])
    with LogReader(tmp_path / "log") as reader:
        answers = [record.content for record in reader if record.content and record.content["kind"] == "answer"]
    assert ["input" in item for item in answers] == [False, True]
    assert answers[1]["input"] == {name: digest(files[3], name).hex() for name in ("md5", "sha1")}


def test_what_cannot_be_recorded_is_not_answered(tmp_path: Path, path: Path, files: list[bytes]) -> None:
    """The error of the log in place of the report."""
    log = AuditLog.create(tmp_path / "log", KEY)
    with Matcher.open(path, recorder=Recorder(log)) as matcher:
        matcher.match(files[0])
        log.close()
        for call in (lambda: matcher.match(files[0]), lambda: matcher.match_hash(made_up(3))):
            with pytest.raises(AuditError, match="closed"):
                call()


def test_a_match_waits_for_the_disk(tmp_path: Path, path: Path, files: list[bytes]) -> None:
    """Its record is there before its answer; of others only with ``wait``."""
    log = AuditLog.create(tmp_path / "log", KEY)

    def records() -> int:
        with LogReader(tmp_path / "log") as reader:
            return sum(record.content is not None and record.content["kind"] == "answer" for record in reader)

    with Matcher.open(path, recorder=Recorder(log)) as matcher:
        matcher.match(files[3])
        assert records() == 0
        matcher.match(files[0])
        assert records() == 2
    with Matcher.open(path, recorder=Recorder(log, wait=True)) as matcher:
        matcher.match(files[3])
        assert records() == 3
    log.close()


def test_a_proof_brings_what_the_answer_rests_on(tmp_path: Path, path: Path, files: list[bytes]) -> None:
    """Context and policy, each bound by its leaf."""
    with AuditLog.create(tmp_path / "log", KEY) as log:
        with Matcher.open(path, recorder=Recorder(log)) as matcher:
            report = matcher.match(files[0])
        origin = log.origin
    with LogReader(tmp_path / "log") as reader:
        places = [record.place for record in reader if record.content and record.content["kind"] == "answer"]
        proof = reader.proof(places[0]).encode()
    found = prove_alone(proof, origin, KEY.verifiers)
    assert report_of(found.content, found.context) == report
    assert json.loads(found.policy["policy"]) == profiles.STANDARD.to_dict()
    lines = proof.split(b"\n")
    extra = lines[1]
    import base64

    parts = base64.b64decode(extra.removeprefix(b"extra ")).split(b"\n")
    lines[1] = b"extra " + base64.b64encode(b"\n".join([parts[0], parts[2], parts[1]]))
    with pytest.raises(AuditError):
        prove_alone(b"\n".join(lines), origin, KEY.verifiers)


def test_what_an_answer_rests_on_is_found_from_near(
    tmp_path: Path, path: Path, files: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late in a log only the records that it needs are read; a wrong hint costs time and no answer."""
    made_log(tmp_path / "log", 3000)
    with AuditLog.open(tmp_path / "log", KEY) as log, Matcher.open(path, recorder=Recorder(log)) as matcher:
        for data in (files[3], files[0], files[0]):
            matcher.match(data)
        contents = {"context": "none", "context_at": 7}
    seen: list[int] = []
    with LogReader(tmp_path / "log") as reader:
        last = len(reader) - 1
        whole = reader.frame
        monkeypatch.setattr(reader, "frame", lambda place: seen.append(place) or whole(place))
        proof = reader.proof(last)
        assert len(seen) < 12
        record = reader.record(last)
        assert record.content is not None
        assert record.content["context_at"] == last - 3
        wrong = record._replace(content=record.content | {"context_at": 7})
        assert reader.referred(wrong, "context") == reader.referred(record, "context")
        with pytest.raises(AuditError, match="not in the log"):
            reader.referred(record._replace(content=contents), "context")
        assert prove_alone(proof.encode(), reader.origin, KEY.verifiers).context["kind"] == "context"


def answered(folder: Path, path: Path, files: list[bytes]) -> list[int]:
    """Make a log of seven answers; gives the places of the matches."""
    with AuditLog.create(folder, KEY) as log:
        recorder = Recorder(log, retention=lambda report: "long" if report.matches else "short")
        with Matcher.open(path, recorder=recorder) as matcher:
            for data in files:
                matcher.match(data)
    with LogReader(folder) as reader:
        return [r.place for r in reader if r.content and r.content.get("outcome") == "match"]


def test_figures_of_a_year_survive_a_purge(tmp_path: Path, path: Path, files: list[bytes]) -> None:
    """Verdicts, complaints, and what was purged; a later verdict counts alone."""
    folder = tmp_path / "log"
    matches = answered(folder, path, files)
    assert len(matches) == 3
    with AuditLog.open(folder, KEY) as log:
        add_verdict(log, matches[0], True)
        add_verdict(log, matches[1], True)
        add_verdict(log, matches[1], False, why="another picture", actor="a person")
        add_complaint(log, matches[1])
        for wrong in (0, matches[0] - 1, 500):
            with pytest.raises(AuditError, match="record"):
                add_verdict(log, wrong, True)
    with LogReader(folder) as reader:
        before = yearly_figures(reader)
    ((year, figures),) = before.items()
    assert year >= 2024
    counted = {name: figures[name] for name in ("items", "matches", "confirmed", "errors", "complaints")}
    assert counted == {"items": 7, "matches": 3, "confirmed": 1, "errors": 1, "complaints": 1}
    with AuditLog.open(folder, KEY) as log:
        done = purge_log(log, why="not confirmed", retention="long", unconfirmed=True)
        assert (done.answers, done.records, done.finished) == (2, 5, 0)
        done = purge_log(log, why="asked", places=[matches[0]])
        assert (done.answers, done.records) == (1, 2)
        assert purge_log(log, why="old", before=1.0).answers == 0
        assert purge_log(log, why="nothing asked for").answers == 0
        assert purge_log(log, why="old", before=2**33, retention="short").answers == 4
        with pytest.raises(AuditError, match="no answer"):
            purge_log(log, why="x", places=[1])
        with pytest.raises(AuditError, match="purged"):
            add_verdict(log, matches[0], True)
    with LogReader(folder) as reader:
        assert yearly_figures(reader) == before
    assert verify_log(folder, KEY.verifiers).sound


def test_a_purge_that_was_interrupted_is_finished_by_the_next(
    tmp_path: Path, path: Path, files: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures are right before and after it."""
    folder = tmp_path / "log"
    matches = answered(folder, path, files)
    with LogReader(folder) as reader:
        before = yearly_figures(reader)
    log = AuditLog.open(folder, KEY)
    monkeypatch.setattr(log, "_overwrite", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        purge_log(log, why="asked", places=matches)
    log.close()
    with LogReader(folder) as reader:
        assert yearly_figures(reader) == before
    with AuditLog.open(folder, KEY) as log:
        assert purge_log(log, why="the rest").finished == 3
    with LogReader(folder) as reader:
        assert yearly_figures(reader) == before
    assert verify_log(folder, KEY.verifiers).sound


def test_policies_of_one_name_are_told_apart(tmp_path: Path, path: Path, files: list[bytes]) -> None:
    """Each is kept whole, once."""
    with AuditLog.create(tmp_path / "log", KEY) as log:
        recorder = Recorder(log)
        for limit in (5, 6, 5):
            with Matcher.open(path, policy=replace(profiles.FAST, max_matches=limit), recorder=recorder) as matcher:
                matcher.match(files[3])
    with LogReader(tmp_path / "log") as reader:
        kinds = [record.content["kind"] for record in reader if record.content]
    assert kinds == ["log", "policy", "context", "answer", "policy", "context", "answer", "answer"]
