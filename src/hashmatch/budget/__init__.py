"""How often is that wrong? Rates of false reports by policy and sizes, from measured tables.

Floor: above `hashmatch.policy`, below `hashmatch.matching`. Loads the standard library only.
"""
