"""OpenCV's SIFT, a thousand features a picture: an oracle that keeps far more than a list may."""

from __future__ import annotations

import cv2

from benchmarks.contenders import _features

NAME = "OpenCV SIFT"
version = _features.version
PAIRED = _features.paired(lambda: cv2.SIFT_create(nfeatures=_features.FEATURES), cv2.NORM_L2)
PICTURES: int | None = 24
STRANGERS = 30
