"""Feedback as the requests that its receivers take: NCMEC, StopNCII and ThreatExchange. Nothing is sent.

Floor: lists. The identity of an entry at its source comes from its id and labels, as the readers of these feeds made
them. A verdict that cannot be said to a receiver is left out with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from hashmatch.errors import HashFormatError
from hashmatch.lists.entry import Entry, Listing
from hashmatch.lists.feedback import Feedback, FeedbackLog
from hashmatch.lists.formats import stopncii, threatexchange
from hashmatch.lists.reader import ListReader

__all__ = ["RECEIVERS", "Unaddressed", "Request", "requests_of"]

_NCMEC: Final = "https://hashsharing.ncmec.org/hashsharing/v2"
_TYPES: Final[Mapping[str, str]] = MappingProxyType({"md5": "MD5", "sha1": "SHA1", "pdq": "PDQ", "photodna": "PDNA"})
_GUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_BLOCK: Final = 500  # hashes of one request to StopNCII


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, ready to be sent by whoever may.

    Parameters
    ----------
    method, path : str
        How and where to, below the address of the service.
    content_type : str
        Type of the body.
    body : str
        The body. For StopNCII it holds hashes of the list.
    """

    method: str
    path: str
    content_type: str
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unaddressed:
    """A verdict that the receiver is not told, and why."""

    entry_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Said:
    feedback: Feedback
    entry: Entry


def requests_of(ref: ListReader, log: FeedbackLog, receiver: str) -> Iterator[Request | Unaddressed]:
    """Make the requests that tell a receiver the latest verdicts on its entries.

    Parameters
    ----------
    ref : ReferenceList
        The list, open.
    log : FeedbackLog
        What `read_feedback` read.
    receiver : {"ncmec", "stopncii", "threatexchange"}
        Who is told. Verdicts on entries of others are passed over.

    Yields
    ------
    Request or Unaddressed
        In the order of the verdicts. Entries that the list has no more are left out.

    Raises
    ------
    HashFormatError
        If the receiver is unknown.
    """
    make = RECEIVERS.get(receiver)
    if make is None:
        raise HashFormatError(f"feedback is written for {', '.join(RECEIVERS)}")
    latest = log.latest().values()
    entries = ref.get_many(item.entry_id for item in latest)
    said = []
    for item in latest:
        entry = entries.get(item.entry_id)
        if entry is None:
            yield Unaddressed(item.entry_id, "the list does not have the entry any more")
        else:
            said.append(_Said(item, entry))
    yield from make(said)


def _to_ncmec(said: list[_Said]) -> Iterator[Request | Unaddressed]:
    for item in said:
        found = next(filter(None, (_ncmec_identity(item.entry, listing) for listing in item.entry.listings)), None)
        if found is None:
            continue
        member, entry, listing = found
        verdict = item.feedback
        body = "<affirmative/>"
        if not verdict.verdict:
            guids = dict.fromkeys(_GUID.findall(verdict.reason))
            if not guids:
                yield Unaddressed(
                    verdict.entry_id,
                    "a negative verdict needs as its reason the guid of one of NCMEC's (GET /v2/feedback/TYPE/reasons)",
                )
                continue
            inner = "".join(f"<guid>{escape(guid)}</guid>" for guid in guids)
            body = f"<negative><reasonIds>{inner}</reasonIds></negative>"
        kinds = dict.fromkeys(item.value.algorithm for item in listing.hashes)
        kinds = {name: None for name in kinds if verdict.algorithm in (None, name) and name in _TYPES}
        if not kinds:
            yield Unaddressed(verdict.entry_id, "NCMEC takes no verdict on a fingerprint of this kind")
        for name in kinds:
            yield Request(
                method="PUT",
                path=f"/v2/entries/{quote(member, safe='')}/{quote(entry, safe='')}/{_TYPES[name]}/feedback",
                content_type="application/xml",
                body=f'<feedbackSubmission xmlns="{_NCMEC}">{body}</feedbackSubmission>',
            )


def _ncmec_identity(entry: Entry, listing: Listing) -> tuple[str, str, Listing] | None:
    """Take an entry's id apart, which begins with its source, also where the listing's is named after it."""
    source = listing.source
    while source:
        if entry.entry_id.startswith(f"{source}:"):
            member, _, rest = entry.entry_id[len(source) + 1 :].partition(":")
            name, _, kind = rest.rpartition(":")
            return (member, name, listing) if member and name and kind in ("image", "video") else None
        source = source.rpartition("/")[0]
    return None


def _to_stopncii(said: list[_Said]) -> Iterator[Request | Unaddressed]:
    verdicts: dict[str, str] = {}
    for item in said:
        for listing in item.entry.listings:
            if stopncii.LABEL not in listing.labels:
                continue
            hashes = [held.value for held in listing.hashes if item.feedback.algorithm in (None, held.value.algorithm)]
            if not hashes:
                yield Unaddressed(item.feedback.entry_id, "StopNCII has no hash of this algorithm in the entry")
            for value in hashes:
                verdicts[value.hex()] = "Blocked" if item.feedback.verdict else "NotBlocked"
    given = [{"hashValue": value, "feedbackValue": verdict, "tags": []} for value, verdict in verdicts.items()]
    for start in range(0, len(given), _BLOCK):
        block = given[start : start + _BLOCK]
        body = json.dumps({"count": len(block), "hashFeedbacks": block}, separators=(",", ":"))
        yield Request(method="POST", path="/v1/SubmitFeedback", content_type="application/json", body=body)


def _to_threatexchange(said: list[_Said]) -> Iterator[Request | Unaddressed]:
    for item in said:
        if not item.entry.entry_id.startswith("threatexchange:"):
            continue
        ids = {
            name: None
            for listing in item.entry.listings
            for name in listing.labels.get(threatexchange.DESCRIPTORS, "").split()
        }
        if not ids:
            yield Unaddressed(item.feedback.entry_id, "reactions go to descriptors, and no id of one is known")
        reaction = "HELPFUL" if item.feedback.verdict else "DISAGREE_WITH_TAGS"
        for name in ids:
            yield Request(
                method="POST",
                path=f"/{quote(name, safe='')}",
                content_type="application/x-www-form-urlencoded",
                body=urlencode({"reactions": reaction}),
            )


RECEIVERS: Final[Mapping[str, Callable[[list[_Said]], Iterator[Request | Unaddressed]]]] = MappingProxyType(
    {"ncmec": _to_ncmec, "stopncii": _to_stopncii, "threatexchange": _to_threatexchange}
)
"""Who can be told, and what makes the requests."""
