"""Matching: hashes of a picture against reference lists, answered with an explained report."""

from hashmatch.matching.asynchronous import AsyncMatcher
from hashmatch.matching.matcher import Matcher
from hashmatch.matching.report import ComparedList, Match, MatchReport, Outcome
from hashmatch.store.upkeep import Upkeep, Watch

__all__ = ["AsyncMatcher", "ComparedList", "Match", "MatchReport", "Matcher", "Outcome", "Upkeep", "Watch"]
