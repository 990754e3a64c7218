"""Search of packed codes and of local descriptors, without image code; see ``docs/explanation/indexes.md``."""

from hashmatch.index.base import Explanation, Index, SearchStats
from hashmatch.index.bktree import BKTree
from hashmatch.index.costs import Costs
from hashmatch.index.exact import ExactIndex
from hashmatch.index.keypoint.candidate import Candidate, KeypointSearch
from hashmatch.index.keypoint.index import KeypointIndex
from hashmatch.index.keypoint.votes import pack_geometry
from hashmatch.index.linear import LinearIndex
from hashmatch.index.loading import load_index
from hashmatch.index.multi.index import MultiIndex
from hashmatch.index.planner import Plan, build_index, plan_index

__all__ = [
    "BKTree",
    "Candidate",
    "Costs",
    "ExactIndex",
    "Explanation",
    "Index",
    "KeypointIndex",
    "KeypointSearch",
    "LinearIndex",
    "MultiIndex",
    "Plan",
    "SearchStats",
    "build_index",
    "load_index",
    "pack_geometry",
    "plan_index",
]
