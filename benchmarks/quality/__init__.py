"""Quality: how many pictures are found, and how near their hashes stay."""
