"""``hashmatch list import``: a file of hashes into a list."""
