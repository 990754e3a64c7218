"""Errors: false reports, and what a keypoint record gives away."""
