"""`MultiIndex`: substring tables in memory, in a mapped file, and built out of core."""
