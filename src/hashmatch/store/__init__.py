"""What do the lists hold? A list's version becomes searchable state, with index files and their upkeep.

Floor: above `hashmatch.lists` and `hashmatch.index`, below `hashmatch.matching`.
"""
