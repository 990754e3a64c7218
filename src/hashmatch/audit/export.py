"""A log for other programs: NDJSON, and matches as a CASE/UCO graph in JSON-LD.

Floor: audit. Identifiers in a graph follow from the log and the record, so that an export that is made again is the
same.

Source: CASE 1.5.0 and UCO 1.5.0 (caseontology.org); ``case_validate --built-version case-1.5.0`` finds the graph
conforming. ``hashMethod`` is a plain text since 1.4.0, and a hash's value is ``xsd:hexBinary``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from hashmatch.audit.reader import LogReader, LogRecord
from hashmatch.audit.recording import report_of
from hashmatch.matching import Match, MatchReport

__all__ = ["case_graph", "iter_exported"]

_UUIDS: Final = uuid.UUID("6f1b0c5e-6c0f-5d0a-9d0e-3a5a9f0c7f21")
_ONTOLOGY: Final = "https://ontology.unifiedcyberontology.org/uco/"
_PREFIXES: Final = ("action", "analysis", "configuration", "core", "observable", "tool", "types")
_METHODS: Final = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256"}


def iter_exported(reader: LogReader, *, hashes: bool = False) -> Iterator[dict[str, Any]]:
    """Give each record as one JSON-ready mapping.

    Parameters
    ----------
    reader : LogReader
        The log.
    hashes : bool
        Whether the hashes that records kept are given too.

    Yields
    ------
    dict
        ``record`` (its place), ``leaf`` (hexadecimal) and what the record says; ``purged`` (true) where it says nothing
        any more. Of an answer also the whole ``report``, and ``actor`` and ``list`` versions within it.

    Raises
    ------
    AuditError
        If a record is damaged or not readable.
    """
    for record in reader:
        head = {"record": record.place, "leaf": record.leaf.hex()}
        if record.content is None:
            yield head | {"purged": True}
            continue
        said = dict(record.content)
        if not hashes:
            said.pop("hashes", None)
        if said["kind"] == "answer":
            context = reader.referred(record, "context").content or {}
            said["report"] = report_of(said, context).to_dict()
            said["actor"] = context.get("actor", "")
            said.pop("found", None)
        yield head | said


def case_graph(reader: LogReader) -> dict[str, Any]:
    """Give all matches of a log as a CASE/UCO graph.

    An entry's classes and labels are those of the list. A distance and a threshold stand beside them as they are: no
    confidence is made of them.

    Returns
    -------
    dict
        JSON-LD. Each answer is an analysis of one file; records that are purged are left out.

    Raises
    ------
    AuditError
        If a record is damaged or not readable.
    """
    graph: list[dict[str, Any]] = []
    tools: set[str] = set()
    for record in reader:
        if record.content is not None and record.content["kind"] == "answer":
            context = reader.referred(record, "context").content or {}
            report = report_of(record.content, context)
            if report.matches:
                graph += _Case(reader, record, report, str(record.content["context"])).nodes(tools)
    context = {name: f"{_ONTOLOGY}{name[4:]}/" for name in (f"uco-{item}" for item in _PREFIXES)}
    context |= {"kb": "http://example.org/kb/", "xsd": "http://www.w3.org/2001/XMLSchema#"}
    return {"@context": context, "@graph": graph}


class _Case:
    def __init__(self, reader: LogReader, record: LogRecord, report: MatchReport, context: str) -> None:
        self._origin, self._record, self._report, self._context = reader.origin, record, report, context
        self._said = record.content or {}

    def _id(self, kind: str, what: object = "") -> dict[str, str]:
        name = f"{self._origin}\n{self._record.place}\n{kind}\n{what}"
        return {"@id": f"kb:{kind}-{uuid.uuid5(_UUIDS, name)}"}

    def _id_of_tool(self, kind: str, what: object = "") -> dict[str, str]:
        return {"@id": f"kb:{kind}-{uuid.uuid5(_UUIDS, f'{self._origin} {self._context} {kind} {what}')}"}

    def nodes(self, tools: set[str]) -> Iterator[dict[str, Any]]:
        file, result, analysis = self._id("file"), self._id("analytic-result"), self._id("analysis")
        tool = self._id_of_tool("tool")
        if tool["@id"] not in tools:
            tools.add(tool["@id"])
            yield from self._tool(tool)
        yield file | {"@type": "uco-observable:File", **self._content()}
        when = {"@type": "xsd:dateTime", "@value": _iso(self._said["time"])}
        yield analysis | {
            "@type": "uco-analysis:Analysis",
            "uco-core:name": "hash match",
            "uco-core:description": f"record {self._record.place} of the audit log {self._origin}",
            "uco-action:endTime": when,
            "uco-action:instrument": tool,
            "uco-action:object": file,
            "uco-action:result": result,
        }
        yield result | {
            "@type": "uco-analysis:AnalyticResult",
            "uco-analysis:originatingAnalysis": analysis,
            "uco-core:hasFacet": self._id("artifact-classification-result-facet")
            | {
                "@type": "uco-analysis:ArtifactClassificationResultFacet",
                "uco-analysis:classification": [
                    self._classification(place, item) for place, item in enumerate(self._report.matches)
                ],
            },
        }
        yield self._id("relationship") | {
            "@type": "uco-core:Relationship",
            "uco-core:source": file,
            "uco-core:target": result,
            "uco-core:kindOfRelationship": "Matched_By",
            "uco-core:isDirectional": True,
        }

    def _classification(self, place: int, item: Match) -> dict[str, Any]:
        near = "equal" if not item.threshold else f"distance {item.distance} of at most {item.threshold}"
        classes = ", ".join(item.classes) or "no class"
        return self._id("artifact-classification", place) | {
            "@type": "uco-analysis:ArtifactClassification",
            "uco-analysis:class": f"list:{item.list_id}/{classes}",
            "uco-core:description": f"entry {item.entry_id} of {item.list_name} version {item.list_version}, "
            f"{item.algorithm}, {near}, view: {item.view}",
        }

    def _content(self) -> dict[str, Any]:
        found = self._said.get("input", {})
        if not found:
            return {}
        hashes = [
            self._id("hash", name)
            | {
                "@type": "uco-types:Hash",
                "uco-types:hashMethod": _METHODS[name],
                "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": value.upper()},
            }
            for name, value in sorted(found.items())
            if name in _METHODS
        ]
        facet = {"@type": "uco-observable:ContentDataFacet", "uco-observable:hash": hashes}
        return {"uco-core:hasFacet": self._id("content-data-facet") | facet}

    def _tool(self, tool: dict[str, str]) -> Iterator[dict[str, Any]]:
        name, _, version = self._report.software.partition(" ")
        configuration = self._id_of_tool("configuration")
        yield tool | {
            "@type": ["uco-tool:AnalyticTool", "uco-tool:ConfiguredTool"],
            "uco-core:name": name,
            "uco-tool:version": version,
            "uco-configuration:usesConfiguration": configuration,
        }
        entries = {"policy": self._report.policy, "pixel contract": self._report.decode}
        for item in self._report.lists:
            entries[f"list {item.name}"] = f"{item.list_id} version {item.version} digest {item.digest}"
        yield configuration | {
            "@type": "uco-configuration:Configuration",
            "uco-configuration:configurationEntry": [
                self._id_of_tool("configuration-entry", key)
                | {
                    "@type": "uco-configuration:ConfigurationEntry",
                    "uco-configuration:itemName": key,
                    "uco-configuration:itemValue": value,
                }
                for key, value in entries.items()
            ],
        }


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
