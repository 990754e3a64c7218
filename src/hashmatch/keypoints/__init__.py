"""Keypoint fingerprints: local points of a picture as bit codes, found again when most of the picture is cut away."""
