"""What the contenders of OpenCV share: a thousand features, ratio test, RANSAC over similarities, inliers counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from benchmarks.quality.keypoints import Paired

FEATURES, RATIO, REACH = 1000, 0.8, 5.0
AREA = 512 * 512


@dataclass(frozen=True)
class Features:
    """Places, px of the picture brought to the area of 512 x 512, and descriptors."""

    places: np.ndarray
    codes: np.ndarray


def version() -> str:
    """Version of OpenCV."""
    return str(cv2.__version__)


def paired(make: Callable[[], Any], norm: int) -> Paired:
    """Compare by one kind of feature."""
    cv2.setNumThreads(1)
    detector, matcher = make(), cv2.BFMatcher(norm)

    def describe(pixels: np.ndarray) -> Features:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        scale = float(np.sqrt(AREA / grey.size))
        filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=filter_)
        points, codes = detector.detectAndCompute(grey, None)
        if codes is None:
            return Features(np.empty((0, 2), np.float32), np.empty((0, 1), np.uint8))
        best = np.argsort([-point.response for point in points], kind="stable")[:FEATURES]
        return Features(np.array([points[i].pt for i in best], np.float32), codes[best])

    def inliers(query: Features, reference: Features) -> int:
        if min(len(query.codes), len(reference.codes)) < 2:
            return 0
        near = [two for two in matcher.knnMatch(query.codes, reference.codes, k=2) if len(two) == 2]
        good = [a for a, b in near if a.distance < RATIO * b.distance]
        if len(good) < 3:
            return 0
        source = query.places[[m.queryIdx for m in good]]
        target = reference.places[[m.trainIdx for m in good]]
        cv2.setRNGSeed(1)
        found, mask = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=REACH, maxIters=2000)
        if found is None:
            return 0
        scale = float(np.sqrt(abs(np.linalg.det(found[:, :2]))))
        # many features may fall on one: different ones on the other side are counted
        kept = mask.ravel().astype(bool)
        return len({m.trainIdx for m, keep in zip(good, kept, strict=True) if keep}) if 1 / 8 < scale < 8 else 0

    def best(query: Features, reference: Features) -> float:
        return float(inliers(query, reference))

    return Paired(
        describe=describe, strength=best, n_bytes=lambda item: int(item.codes.nbytes + item.places.nbytes), step=1.0
    )
