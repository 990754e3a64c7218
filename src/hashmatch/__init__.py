"""hashmatch."""
