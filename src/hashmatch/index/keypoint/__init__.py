"""The index of keypoint records: voting tables over codes of local points."""
