"""The routes of Hasher-Matcher-Actioner 1.1.7 by which its clients hash and match, answered as it answers them.

Floor: service. They are served where ``[server]`` says ``hma = true``. A bank is a list. ``docs/how-to/hma.md`` says
what is as there, and what is not: nothing is fetched, and every answer for a picture says in a header what it is worth.

Over 400 lines because a route, what it asks for and what it is answered stand beside each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from hashmatch.algorithms import COMPUTED, DIGESTS
from hashmatch.errors import HashFormatError, ImageError
from hashmatch.hashes import HashValue, distance
from hashmatch.matching import Match, MatchReport, Outcome
from hashmatch.service.doorway import (
    Refused,
    ScopedRoute,
    answer,
    check_wait,
    handled_by,
    read_body,
    read_form,
    refusal,
    route,
)
from hashmatch.service.hma_document import PATHS
from hashmatch.service.match_routes import json_from
from hashmatch.service.service import RETRYABLE, Handled, Service

__all__ = ["EVIDENCE", "KEYPOINTS", "PATHS", "bank_content_id", "banks_of", "routes"]

KEYPOINTS: Final = "hashmatch_keypoint"
"""Signal type of keypoint records; their distance is the logarithm of a chance, -6 or less."""

EVIDENCE: Final = "hashmatch_evidence"
"""Key in answers for pictures of crops and small rotations, where evidence decided and not the distance of PDQ."""

_PHOTO: Final = "photo"
_LEAST_QUALITY: Final = 50  # of a hash that the original tells
_ID_BITS: Final = 53  # what a number in JavaScript holds
_NOT_READY: Final = "index not yet ready"
_TEXTS: Final = {"too-large": "Content too large", "unavailable": _NOT_READY}
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off", ""})

Handler = Callable[[Service, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """A list by the name that clients know.

    Parameters
    ----------
    name : str
        Capitals, digits and underscores.
    list_id : str
        Identifier of the list.
    share : float
        Share of the requests that are compared with it, 0 to 1.
    """

    name: str
    list_id: str
    share: float


def routes(service: Service) -> list[ScopedRoute]:
    """Make the routes, which `hashmatch.service.app.served` asks for where they are switched on."""

    def made(path: str, handler: Handler, *, method: str = "GET", scope: Any = "match") -> ScopedRoute:
        asked = None if service.config.server.hma_without_token else scope
        return route(service, path, _in_form(handler), method=method, scope=asked)

    return [
        made("/h/hash", hash_upload, method="POST"),
        made("/h/hash", hash_address),
        made("/m/lookup", look_up),
        made("/m/lookup", look_up_upload, method="POST"),
        made("/m/raw_lookup", look_up_raw),
        made("/m/compare", compare, method="POST"),
        made("/m/index/status", index_status, scope="status"),
        made("/c/banks", banks, scope="status"),
        made("/c/signal_type", signal_types, scope="status"),
        made("/c/content_type", content_types, scope="status"),
        made("/status", status, scope=None),
        made("/status/live", live, scope=None),
    ]


def bank_content_id(list_name: str, entry_id: str) -> int:
    """Give the number of an entry: 53 bits of SHA-256 of the list's name and the entry's identifier.

    It is the same in every copy and version of a list of that name, also in one that was imported anew, whatever else
    the list holds. Two of 1,000,000 entries have one number with a chance of 6e-5.

    Examples
    --------
    >>> bank_content_id("example", "entry-1")
    564501006972700
    """
    text = f"{list_name}\0{entry_id}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) >> (64 - _ID_BITS)


def banks_of(lists: Iterable[tuple[str, str, float]]) -> list[Bank]:
    """Name the banks.

    Parameters
    ----------
    lists : iterable of (str, str, float)
        Name, identifier and share of each list, in the order in which they are given to the service.

    Returns
    -------
    list of Bank
        The name is the list's in capitals, with an underscore for each other character. Where an earlier list has that
        name, six digits of SHA-256 of the list's identifier follow, so that a list added at the end changes no name.
    """
    found: dict[str, Bank] = {}
    for name, list_id, share in lists:
        bank = re.sub(r"[^A-Z0-9_]", "_", name.upper()) or "_"
        if bank in found:
            bank += "_" + hashlib.sha256(list_id.encode()).hexdigest()[:6].upper()
        found[bank] = Bank(name=bank, list_id=list_id, share=share)
    return list(found.values())


# Handlers


async def hash_upload(service: Service, request: Request) -> Response:
    """Hash the picture in a form; a type for which it has no hash gets an empty text."""
    data, types = await _upload(service, request)
    names, handled = _types(service), handled_by(request)
    try:
        made = await service.checks.listed_fingerprint(
            data, [names[name] for name in types], timeout=service.config.limits.answer_seconds
        )
    except ImageError as error:
        handled.outcome, handled.reason = Outcome.UNREADABLE.value, error.reason
        raise _unreadable(error.reason, {}) from None
    told = dict.fromkeys(types, "")
    for item in reversed(made.view_hashes):  # the first is of the picture as it is
        if item.quality is None or item.quality >= _LEAST_QUALITY:
            told[KEYPOINTS if item.value.algorithm == "keypoint" else item.value.algorithm] = item.value.hex()
    return answer(told, headers={} if all(told.values()) else {"X-Hashmatch-Outcome": "too-plain"})


async def hash_address(_service: Service, request: Request) -> Response:
    """Refuse to fetch."""
    if "url" not in request.query_params:
        raise _missing("url")
    raise _not_fetched()


async def look_up(service: Service, request: Request) -> Response:
    """Look a hash up, bank by bank."""
    asked = request.query_params
    if asked.get("url"):
        raise _not_fetched()
    if not asked.get("signal") or not asked.get("signal_type"):
        raise _bad("Either url or both signal and signal_type are required")
    value = _signal(service, asked["signal"], asked["signal_type"])
    chosen, left_out = _drawn(service, request)
    report = await service.checks.match_hash(
        value, timeout=service.config.limits.answer_seconds, lists=_lists(service, chosen)
    )
    headers = _headers(report, handled_by(request), left_out)
    return answer(_by_bank(service, report, asked["signal_type"]), headers=headers)


async def look_up_upload(service: Service, request: Request) -> Response:
    """Look the picture in a form up: by type, and bank by bank."""
    data, types = await _upload(service, request)
    chosen, left_out = _drawn(service, request)
    report = await service.checks.match(
        data, timeout=service.config.limits.answer_seconds, lists=_lists(service, chosen)
    )
    headers = _headers(report, handled_by(request), left_out)
    told = {name: _by_bank(service, report, name) for name in types}
    if "types" not in request.query_params and (evident := _by_bank(service, report, EVIDENCE)):
        told[EVIDENCE] = evident
    return answer(told, headers=headers)


async def look_up_raw(service: Service, request: Request) -> Response:
    """Look a hash up in all banks, whatever their share, or in those that are named."""
    asked = request.query_params
    for name in ("signal", "signal_type"):
        if name not in asked:
            raise _missing(name)
    with_distance = _truth(asked.get("include_distance", "false"), "include_distance")
    value = _signal(service, asked["signal"], asked["signal_type"])
    named = _named(asked.get("banks"))
    chosen = [bank for bank in _banks(service) if named is None or bank.name in named]
    report = await service.checks.match_hash(
        value, timeout=service.config.limits.answer_seconds, lists=_lists(service, chosen)
    )
    headers = _headers(report, handled_by(request), [])
    found = [_told(item) for item in report.matches if _type_of(item) == asked["signal_type"]]
    return answer({"matches": found if with_distance else [item["bank_content_id"] for item in found]}, headers=headers)


async def compare(service: Service, request: Request) -> Response:
    """Compare pairs of hashes."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        text = "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."
        raise Refused(415, "bad-request", text)
    try:
        given = json_from(await read_body(service, request))
    except Refused as error:
        if error.code != "bad-json":
            raise
        raise _bad("The browser (or proxy) sent a request that this server could not understand.") from None
    if not isinstance(given, dict):
        raise _bad("Request input was not a dict")
    if len(given) > service.config.limits.hashes:
        raise _bad("Too many comparisons in one request")
    return answer({name: _compared(service, name, pair) for name, pair in given.items()})


async def index_status(service: Service, request: Request) -> Response:
    """Say what can be searched, by type."""
    types, wanted = _types(service), request.query_params.get("signal_type")
    if wanted is not None and wanted not in types:
        raise _bad(f"No such signal type '{_shown(wanted)}'")
    held = service.matcher.searched_hashes
    ages = await asyncio.to_thread(service.matcher.list_statuses)
    built = max((int(item.changed) for item in ages if item.changed is not None), default=-1)
    told = {}
    for name in types if wanted is None else [wanted]:
        size = held.get(types[name], 0)
        told[name] = {"present": size > 0, "built_to": built if size else -1, "size": size}
    return answer(told)


async def banks(service: Service, _request: Request) -> Response:
    """Name the banks."""
    return answer([{"name": bank.name, "matching_enabled_ratio": bank.share} for bank in _banks(service)])


async def signal_types(service: Service, _request: Request) -> Response:
    """Name the types that can be looked up."""
    return answer([{"name": name, "enabled_ratio": 1.0} for name in _types(service)])


async def content_types(_service: Service, _request: Request) -> Response:
    """Name what can be uploaded."""
    return answer([{"name": _PHOTO, "enabled": True}])


async def status(service: Service, _request: Request) -> Response:
    """Say in a word whether the lists can be searched and are as young as they have to be."""
    reasons = {item["reason"] for item in await asyncio.to_thread(service.why_not_ready)}
    if reasons & {"list-too-old", "source-too-old", "list-unreadable"}:
        return PlainTextResponse("INDEX-STALE", 503)
    return PlainTextResponse("INDEX-NOT-LOADED", 503) if reasons else PlainTextResponse("I-AM-ALIVE")


async def live(_service: Service, _request: Request) -> Response:
    """Say that the loop turns."""
    return PlainTextResponse("I-AM-ALIVE")


# What requests ask for


def _types(service: Service) -> dict[str, str]:
    """Signal types and their algorithms: those the lists hold and the policy searches, and PDQ."""
    policy, held = service.matcher.policy, service.matcher.searched_hashes
    found = {"pdq": "pdq"} if policy.rule_for("pdq") is not None else {}
    found |= {name: name for name in sorted(held) if name != "keypoint"}
    return found | ({KEYPOINTS: "keypoint"} if "keypoint" in held else {})


def _banks(service: Service) -> list[Bank]:
    settings, matcher = service.config.lists, service.matcher
    names = [name for name, _, _ in matcher.lists]
    shares = [settings[name].share if name in settings else 1.0 for name in names]
    return banks_of(zip(names, matcher.list_ids, shares, strict=True))


def _drawn(service: Service, request: Request) -> tuple[list[Bank], list[str]]:
    """Draw by the shares, and take those that are named: the banks to search, and those that the draw left out."""
    asked = request.query_params
    coin = 0.0
    if asked.get("bypass_coinflip", "false") != "true":
        coin = random.Random(asked.get("seed")).random()  # noqa: S311 - the draw of the original, for the same seed
    drawn = [bank for bank in _banks(service) if bank.share >= coin]
    named = _named(asked.get("banks"))
    left_out = [bank.name for bank in _banks(service) if bank.share < coin and (named is None or bank.name in named)]
    return [bank for bank in drawn if named is None or bank.name in named], left_out


def _lists(service: Service, chosen: list[Bank]) -> list[str] | None:
    """Give the identifiers of the lists of some banks; None for all of them."""
    return None if len(chosen) == len(service.matcher.lists) else [bank.list_id for bank in chosen]


def _named(banks: str | None) -> set[str] | None:
    return set(banks.split(",")) if banks else None


def _signal(service: Service, text: str, name: str) -> HashValue:
    algorithm = _types(service).get(name)
    if algorithm is None:
        raise _bad(f"No such SignalType '{_shown(name)}'")
    try:
        return _parsed(text, algorithm)
    except HashFormatError as error:
        raise _bad(f"invalid signal: {error}") from None


def _parsed(text: Any, algorithm: str) -> HashValue:
    """Read bare digits; `HashFormatError` says it as the original says it of PDQ, and never repeats the text."""
    try:
        value = HashValue.parse(text, algorithm=algorithm)
        if algorithm == "keypoint":
            from hashmatch.keypoints.record import Record

            Record.from_bytes(value.data)
    except HashFormatError as error:
        raise HashFormatError("invalid PDQ hash") if algorithm == "pdq" else error from None
    return value


async def _upload(service: Service, request: Request) -> tuple[bytes, list[str]]:
    """Read the one file of a form, whose field is the type of its content, and the signal types that are asked for."""
    check_wait(service)
    files = await read_form(service, request)
    if not files:
        raise _bad("Missing multipart/form-data file upload")
    if len(files) > 1:
        raise _bad("Only one file allowed per request")
    field, data, error = files[0]
    if error is not None:
        raise _bad("the form is cut off or broken")
    if field != _PHOTO:
        raise _bad(f"no such content_type: '{_shown(field)}'")
    types = [name for name, algorithm in _types(service).items() if algorithm in COMPUTED | DIGESTS | {"keypoint"}]
    given = request.query_params.get("types")
    if given is None:
        return data, types
    asked = [name for name in (part.strip() for part in given.split(",")) if name]
    for name in asked:
        if name not in types:
            raise _bad(f"signal type '{_shown(name)}' doesn't exist or is disabled")
    if not asked:
        raise _bad("empty signal type selection")
    return data, list(dict.fromkeys(asked))


def _truth(text: str, name: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    said = {"type": "bool_parsing", "loc": [name], "msg": "Input should be a valid boolean, unable to interpret input"}
    raise Refused(422, "bad-request", said["msg"], body=[said])  # type: ignore[arg-type]


# What they are answered


def _by_bank(service: Service, report: MatchReport, name: str) -> dict[str, list[dict[str, Any]]]:
    names = {bank.list_id: bank.name for bank in _banks(service)}
    told: dict[str, list[dict[str, Any]]] = {}
    for item in report.matches:
        if _type_of(item) == name and item.list_id in names:
            told.setdefault(names[item.list_id], []).append(_told(item))
    return told


def _type_of(match: Match) -> str:
    if match.evidence is not None:
        return EVIDENCE
    return KEYPOINTS if match.algorithm == "keypoint" else match.algorithm


def _told(match: Match) -> dict[str, Any]:
    far = "-" if match.distance is None or match.algorithm in DIGESTS else str(match.distance)
    if match.placement is not None:
        far = f"{match.placement.chance:.1f}"
    return {"bank_content_id": bank_content_id(match.list_name, match.entry_id), "distance": far}


def _headers(report: MatchReport, handled: Handled, left_out: list[str]) -> dict[str, str]:
    """Say what an answer is worth.

    Raises
    ------
    Refused
        400 where the picture cannot be read, 503 where the fault is the service's and nothing was found: an answer
        without matches would be taken for a picture that is on no list.
    """
    handled.outcome, handled.reason = report.outcome.value, report.reason
    is_clear = report.outcome in (Outcome.MATCH, Outcome.NO_MATCH)
    said = report.outcome.value.replace(" ", "-") if is_clear or report.reason is None else report.reason
    headers = {"X-Hashmatch-Outcome": said}
    if left_out:
        headers["X-Hashmatch-Left-Out"] = ",".join(left_out)
    if report.n_matches > len(report.matches):
        headers["X-Hashmatch-Matches"] = str(report.n_matches)
    if report.outcome is Outcome.UNREADABLE or (report.outcome is not Outcome.MATCH and report.reason in RETRYABLE):
        raise _unreadable(str(report.reason), headers)
    return headers


def _unreadable(reason: str, headers: dict[str, str]) -> Refused:
    headers = headers | {"X-Hashmatch-Outcome": reason}
    if reason in RETRYABLE:
        return Refused(503, "unavailable", _NOT_READY, headers)
    return Refused(400, "unreadable", f"the picture cannot be read: {reason}", headers)


def _compared(service: Service, name: str, pair: Any) -> list[Any]:
    if not isinstance(pair, list):
        raise _bad(f"Comparison hashes for {_shown(name)} was not a list")
    if len(pair) != 2:
        raise _bad("Comparison hash list length must be exactly 2")
    algorithm = _types(service).get(name)
    if algorithm is None:
        raise _bad(f"No such SignalType '{_shown(name)}'")
    if algorithm == "keypoint":
        raise _bad(f"{name} does not support hash comparison")
    try:
        first, second = (_parsed(text, algorithm) for text in pair)
    except HashFormatError as error:
        raise _bad(f"Invalid {name} hash: {error}") from None
    rule = service.matcher.policy.rule_for(algorithm)
    if algorithm in DIGESTS or rule is None:
        return [first == second, {}]
    far = distance(first, second)
    return [far <= rule.threshold, {"distance": far}]


def _in_form(handler: Handler) -> Handler:
    """Answer errors as ``{"message": ...}``."""

    async def handled(service: Service, request: Request) -> Response:
        try:
            return await handler(service, request)
        except ClientDisconnect:
            raise
        except Exception as error:
            found = refusal(error)
            message = _TEXTS.get(found.code, found.message)
            body = found.body if isinstance(found.body, list) else {"message": message}
            raise Refused(found.status, found.code, message, found.headers, body=body) from error

    return handled


def _bad(message: str) -> Refused:
    return Refused(400, "bad-request", message)


def _not_fetched() -> Refused:
    return _bad("fetching is not offered")


def _missing(name: str) -> Refused:
    said = {"type": "missing", "loc": [name], "msg": "Field required"}
    return Refused(422, "bad-request", f"{name}: Field required", body=[said])


def _shown(text: str) -> str:
    """Repeat a word of the request, but nothing that may be a hash."""
    return text if len(text) <= 30 and text.isprintable() else "..."
