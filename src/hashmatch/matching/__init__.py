"""Matching: hashes of a picture against reference lists, answered with an explained report."""

from hashmatch.matching.asynchronous import AsyncMatcher
from hashmatch.matching.flood import Quarantined
from hashmatch.matching.kept_lists import ListStatus
from hashmatch.matching.matcher import Matcher, ReportRecorder
from hashmatch.matching.report import ComparedList, Match, MatchReport, Outcome, Suppressed
from hashmatch.store.upkeep import Upkeep, Watch

__all__ = [
    "AsyncMatcher",
    "ComparedList",
    "ListStatus",
    "Match",
    "MatchReport",
    "Matcher",
    "Outcome",
    "Quarantined",
    "ReportRecorder",
    "Suppressed",
    "Upkeep",
    "Watch",
]
