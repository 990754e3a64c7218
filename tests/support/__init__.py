"""What several test files share: makers of lists, pictures, indexes and hosts. No test stands here."""
