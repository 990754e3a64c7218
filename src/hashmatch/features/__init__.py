"""What is this picture? A source becomes a `Query`: hashes, views and keypoints, made here or in an isolated worker.

Floor: above `hashmatch.views` and `hashmatch.jail`, below `hashmatch.store`.
"""
