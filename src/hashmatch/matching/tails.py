"""The old place of `hashmatch.budget.spending`, kept for one minor version."""

from hashmatch.budget.spending import Budget, budget_of, check_budget

__all__ = ["Budget", "budget_of", "check_budget"]
