"""OpenCV's ORB, a thousand features a picture: an oracle that keeps far more than a list may."""

from __future__ import annotations

import cv2

from benchmarks.contenders import _features

NAME = "OpenCV ORB"
version = _features.version
PAIRED = _features.paired(lambda: cv2.ORB_create(nfeatures=_features.FEATURES), cv2.NORM_HAMMING)
PICTURES: int | None = 24
STRANGERS = 30
