"""Exact search of packed codes within a radius. Never imports image code; see ``docs/indexes.md``."""

from hashmatch.index.base import Explanation, Index, SearchStats
from hashmatch.index.costs import Costs
from hashmatch.index.linear import LinearIndex
from hashmatch.index.multi import MultiIndex

__all__ = ["Costs", "Explanation", "Index", "LinearIndex", "MultiIndex", "SearchStats"]
