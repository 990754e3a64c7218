"""OpenCV's AKAZE, a thousand features a picture: an oracle that keeps far more than a list may."""

from __future__ import annotations

import cv2

from benchmarks.contenders import _features

_MAKE = getattr(cv2, "AKAZE_create", None) or getattr(getattr(cv2, "xfeatures2d", None), "AKAZE_create", None)
if _MAKE is None:
    raise ImportError("this OpenCV has no AKAZE: since version 5 it is in opencv-contrib-python-headless alone")

NAME = "OpenCV AKAZE"
version = _features.version
PAIRED = _features.paired(_MAKE, cv2.NORM_HAMMING)
PICTURES: int | None = 24
STRANGERS = 30
