"""Life: lists, indexes and the source as they grow and change."""
