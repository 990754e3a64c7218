"""What a list file holds: schema, entries, checksums, history, and what stands beside it."""
