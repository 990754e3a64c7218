"""What counts as a match: thresholds and least qualities by algorithm, where they hold, and which views are tried.

Imports no image code: a service that only matches hashes never loads a decoder.
"""

from hashmatch.policy.match_policy import MatchPolicy
from hashmatch.policy.rules import CropRule, FloodRule, KeypointRule, Rule
from hashmatch.policy.selections import Selection, Where

__all__ = ["CropRule", "FloodRule", "KeypointRule", "MatchPolicy", "Rule", "Selection", "Where"]
