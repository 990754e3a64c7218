"""The protocol of Squid's ``external_acl_type``: a request a line, and whether it is listed.

Floor: urls. ``OK`` means listed, so that the access rule reads ``http_access deny listed``; ``BH`` that the request
could not be read. Nothing else is written, and no address is logged.
"""

from __future__ import annotations

import logging
import re
import time
from typing import BinaryIO, Final
from urllib.parse import unquote

from hashmatch.errors import ReferenceListError
from hashmatch.urls.matcher import UrlMatcher

__all__ = ["answer_line", "serve_squid"]

_LOGGER: Final = logging.getLogger("hashmatch.urls")
_LINE: Final = re.compile(r"(?:(\d{1,10})[ ]+(?=\S))?(\S+)(?:\s.*)?", re.DOTALL)
_MAX_LINE: Final = 262_144


def answer_line(matcher: UrlMatcher, line: str) -> str:
    """Answer one request.

    Parameters
    ----------
    matcher : UrlMatcher
        The lists.
    line : str
        ``[CHANNEL] URI [MORE]``; the URI is escaped once, as Squid's protocol 3.0 does.

    Returns
    -------
    str
        ``OK``, ``ERR`` or ``BH``, after the channel where the line has one.
    """
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return "BH message=unreadable"
    channel = f"{found[1]} " if found[1] else ""
    answer = matcher.check(unquote(found[2], errors="surrogateescape"))
    if answer.outcome == "undecided":
        return f"{channel}BH message={answer.reason}"
    return channel + ("OK message=listed" if answer.outcome == "listed" else "ERR")


def serve_squid(matcher: UrlMatcher, requests: BinaryIO, answers: BinaryIO, *, refresh_seconds: float = 10.0) -> None:
    """Answer lines until there are no more; lists that were changed are taken up between two of them.

    Parameters
    ----------
    matcher : UrlMatcher
        The lists; one that cannot be read any more is asked as it was before.
    requests, answers : binary file
        Standard input and output of the helper.
    refresh_seconds : float
        Seconds between two looks whether a list was changed.
    """
    looked = time.monotonic()
    while line := requests.readline(_MAX_LINE):
        if time.monotonic() - looked >= refresh_seconds:
            looked = time.monotonic()
            try:
                matcher.refresh()
            except ReferenceListError as error:
                _LOGGER.warning("%s; answers are from what was read before", error)
        whole = line.endswith(b"\n")
        while not line.endswith(b"\n") and (rest := requests.readline(_MAX_LINE)):
            line = rest
        answer = answer_line(matcher, line.decode("utf-8", "surrogateescape")) if whole else "BH message=too-long"
        answers.write(answer.encode() + b"\n")
        answers.flush()
