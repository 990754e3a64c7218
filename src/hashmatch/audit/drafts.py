"""Drafts of reports to others, from a record of a log: nothing is sent.

Floor: audit. What a person has to say is left out of a draft and named in it: whether somebody looked at the file, what
it shows, whom it concerns, what is done. A draft holds no picture and no file name.

Sources: NCMEC's CyberTipline XSD (its elements are a sequence, another order is refused with 4100); xarf/xarf-spec v4
(content-csam); the DSA transparency database's statements of reasons; VICS data model 2.0.
"""

from __future__ import annotations

import html
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

from hashmatch.audit.explanation import NOT_PROVED, Explanation, explain
from hashmatch.audit.reader import LogReader
from hashmatch.audit.recording import report_of
from hashmatch.errors import AuditError, PolicyError
from hashmatch.matching import MatchReport, Outcome
from hashmatch.policy import MatchPolicy

__all__ = ["DRAFTS", "draft_of"]

_UUIDS: Final = uuid.UUID("b3f0a3de-6f7f-5a3c-8a43-6f1f0d1e5a77")
_MOST_INFO: Final = 3000
_HASH_TYPES: Final = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256"}


class _Facts:
    """What a record says, ready for a draft."""

    def __init__(self, reader: LogReader, place: int) -> None:
        record = reader.record(place)
        content = record.content
        if content is None:
            raise AuditError(f"record {place} is purged", reason="purged")
        if content["kind"] != "answer" or content["outcome"] != Outcome.MATCH.value:
            raise AuditError(f"record {place} is no match", reason="no-record")
        named = reader.referred(record, "context")
        context = named.content or {}
        self.report: MatchReport = report_of(content, context)
        self.digests: Mapping[str, str] = content.get("input", {})
        self.time = datetime.fromtimestamp(content["time"] // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.source = f"record {place} of the audit log {reader.origin}"
        self.uuid = str(uuid.uuid5(_UUIDS, f"{reader.origin} {place}"))
        self.explained = self._explained((reader.referred(named, "policy").content or {}).get("policy"))

    def _explained(self, policy: Any) -> Explanation:
        try:
            return explain(self.report, MatchPolicy.from_dict(json.loads(str(policy))))
        except (PolicyError, ValueError):
            raise AuditError("this version cannot follow the recorded policy", reason="bad-record") from None

    @property
    def basis(self) -> str:
        """Say by what the file matched; not by which entries, whose names may be of their hashes."""
        found = []
        for item in self.report.matches:
            near = "" if not item.threshold else f", distance {item.distance} of at most {item.threshold}"
            found.append(
                f"list {item.list_name} version {item.list_version} by {item.algorithm}{near}, view: {item.view}"
            )
        said = "; ".join(dict.fromkeys(found))
        text = f"{self.report.software}, policy {self.report.policy}, {self.source}. Matched: {said}"
        return "".join(c if c.isprintable() else " " for c in text)


def draft_of(reader: LogReader, place: int, form: str) -> str:
    """Write a draft.

    Parameters
    ----------
    reader : LogReader
        The log; verify it first.
    place : int
        Place of the record of a match.
    form : str
        One of `DRAFTS`.

    Returns
    -------
    str
        XML, JSON or HTML.

    Raises
    ------
    AuditError
        If the record is no match, is purged, or lacks what the form needs.
    ValueError
        If there is no such form.
    """
    if form not in DRAFTS:
        raise ValueError(f"form must be one of {', '.join(DRAFTS)}")
    return DRAFTS[form](_Facts(reader, place))


def _cybertip(facts: _Facts) -> str:
    """Write ``report`` and ``fileDetails`` in the order of the schema; comments say what a person fills in."""

    def asked(*names: str) -> str:
        return "".join(f"    <!-- a person fills in: {name} -->\n" for name in names)

    hashes = "".join(
        f'    <originalFileHash hashType="{_HASH_TYPES[name]}">{escape(value)}</originalFileHash>\n'
        for name, value in sorted(facts.digests.items())
        if name in _HASH_TYPES
    )
    info = escape(_shortened(facts.basis, _MOST_INFO))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<!-- DRAFT. Not sent. The two elements are two requests: submit, then fileinfo. -->\n"
        "<draft>\n"
        "  <report>\n"
        "    <incidentSummary>\n"
        f"{asked('incidentType', 'escalateToHighPriority (if so)')}"
        f"      <incidentDateTime>{facts.time}</incidentDateTime>\n"
        "    </incidentSummary>\n"
        f"{asked('internetDetails', 'reporter', 'personOrUserReported')}"
        f"    <additionalInfo>{info}</additionalInfo>\n"
        "  </report>\n"
        "  <fileDetails>\n"
        f"{asked('reportId and fileId (from the answers of the service)', 'originalFileName', 'locationOfFile')}"
        f"{asked('fileViewedByEsp (true only if a person looked at the file)', 'exifViewedByEsp')}"
        f"{asked('publiclyAvailable', 'fileRelevance', 'fileAnnotations', 'industryClassification')}"
        f"{hashes}"
        f"{asked('ipCaptureEvent')}"
        f"    <additionalInfo>{info}</additionalInfo>\n"
        "  </fileDetails>\n"
        "</draft>\n"
    )


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _json(report: dict[str, Any], *asked: str) -> str:
    return json.dumps({"draft": report, "a person fills in": list(asked)}, indent=2, ensure_ascii=True) + "\n"


def _xarf(facts: _Facts) -> str:
    report = {
        "xarf_version": "4.2.0",
        "report_id": facts.uuid,
        "timestamp": facts.time,
        "category": "content",
        "type": "csam",
        "detection_method": "hash_match",
        "hash_values": {name: value for name, value in sorted(facts.digests.items()) if name in _HASH_TYPES},
        "description": facts.basis,
    }
    return _json(
        report,
        "reporter",
        "sender",
        "source_identifier",
        "classification",
        "media_type",
        "content_removed",
        "ncmec_report_id",
    )


def _dsa(facts: _Facts) -> str:
    report = {
        "content_type": ["CONTENT_TYPE_IMAGE"],
        "decision_facts": facts.basis,
        "automated_detection": "Yes",
        "puid": facts.uuid,
    }
    return _json(
        report,
        "decision_visibility",
        "decision_ground",
        "category",
        "illegal_content_legal_ground",
        "illegal_content_explanation",
        "category_specification",
        "territorial_scope",
        "content_date",
        "application_date",
        "source_type",
        "automated_decision",
    )


def _vics(facts: _Facts) -> str:
    if "md5" not in facts.digests:
        raise AuditError('VICS names files by MD5: record it (digests=("md5", "sha1"))', reason="no-record")
    media: dict[str, Any] = {"MediaID": 1, "Category": None, "MD5": facts.digests["md5"].upper()}
    media |= {name.upper(): facts.digests[name].upper() for name in ("sha1", "sha256") if name in facts.digests}
    media["Comments"] = facts.basis
    name, _, version = facts.report.software.partition(" ")
    case = {
        "CaseID": facts.uuid,
        "TotalMediaFiles": 1,
        "SourceApplicationName": name,
        "SourceApplicationVersion": version,
        "Media": [media],
    }
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/Default/$metadata#Cases"
    return _json(
        {"@odata.context": context, "value": [case]}, "CaseNumber", "Category (of your region)", "MediaSize", "contact"
    )


def _page(facts: _Facts) -> str:
    """Write a page for people: no picture, no script, nothing that is fetched."""
    said = facts.explained

    def plain(text: str) -> str:
        return html.escape("".join(c if c.isprintable() else " " for c in text))

    def items(parts: tuple[str, ...]) -> str:
        return "<ul>" + "".join(f"<li>{plain(part)}</li>" for part in parts) + "</ul>"

    matches = "".join(f"<li>{plain(item.said)}<br><em>{plain(item.chance_said)}</em></li>" for item in said.matches)
    digests = tuple(f"{name}: {value}" for name, value in sorted(facts.digests.items()))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<title>Match report (draft)</title>"
        "<style>body{font-family:sans-serif;max-width:50em;margin:2em auto;line-height:1.4}</style></head><body>\n"
        f"<h1>Match report (draft)</h1>\n<p>{plain(facts.time)}. {plain(facts.source)}.</p>\n"
        f"<h2>The file</h2>{items(digests or ('no digest was kept',))}\n"
        f"<h2>What supports the match</h2><ul>{matches}</ul>\n"
        f"<h2>What was compared</h2>{items(said.compared)}\n"
        f"<h2>What was not compared</h2>{items(said.not_compared or ('nothing was left out',))}\n"
        f"<h2>What this does not prove</h2>{items(NOT_PROVED)}\n"
        "<h2>A person fills in</h2>"
        f"{items(('whether somebody looked at the file, who and when', 'what it shows', 'what was decided'))}\n"
        "</body></html>\n"
    )


DRAFTS: Final[Mapping[str, Callable[[_Facts], str]]] = {
    "cybertip": _cybertip,
    "xarf": _xarf,
    "dsa": _dsa,
    "vics": _vics,
    "html": _page,
}
"""Forms of drafts by name."""
