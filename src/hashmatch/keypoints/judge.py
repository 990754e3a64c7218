"""Verification: whether a query and a reference are one picture, and the chance of that by accident.

Geometry alone is no proof: templates, captions, logos and calibration strips agree in many points. The field of the
reference must agree over the area that both pictures share. The tail of the agreement was measured on unrelated pairs;
the noise of the score is measured on the pair itself, by shifting one picture against the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.errors import HashFormatError
from hashmatch.kernels.laying import MAX_RATIO
from hashmatch.keypoints.field import ENOUGH, HOPELESS, Canvas, Field, FieldAgreement
from hashmatch.keypoints.geometry import Pairs, Transform, fit, propose
from hashmatch.keypoints.points import Keypoints

__all__ = ["ACCEPTED_CHANCE", "Alignment", "Judge"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
ACCEPTED_CHANCE: Final = -6.0
"""Largest log10 of the chance at which an alignment is accepted."""

_LEAST_VOTES: Final = 3  # one in twelve unrelated candidates has two
_GEOMETRY: Final = (0.0, 0.0, -1.1, -1.9, -2.6, -3.4)
"""log10 of the share of unrelated pairs with at least so many votes, measured; further votes count half a power."""
_VOTE: Final = -0.5  # log10 for each further vote
_GEOMETRY_FLOOR: Final = -6.0  # log10, least of the votes
_MEAN, _SPREAD = 1.75, 1.1  # of the score of unrelated pairs after the climb, measured
_SHARE_MEAN, _SHARE_VARIANCE = 3.0, 2.3  # of twice the agreement less 1, times the root of the bits, likewise
_SHARE_ALIKE: Final = 0.06  # what more bits do not make smaller: pictures of one kind are lit and laid out alike
_TRIMMED: Final = 0.91  # least agreement without the worst zones
_FOUND: Final = (0.0, 0.2, 0.25, 0.5, 0.75)  # shares of the points that were found
_AGREEMENT: Final = (0.95, 0.93, 0.93, 0.93, 0.80)
"""Agreement to reach, by the share of the points that were found. A cover hides field and points in one place; where
the field disagrees and most points are missing as well, it is another filling of one layout."""
_SURE: Final = (0.893, 0.893, 0.893, 0.82, 0.70)
"""Likewise for the agreement less `_ERRORS` of its standard errors: few bits have to agree better."""
_ERRORS: Final = 5.0  # standard errors
_MOST_FOUND: Final = 96  # pairs of a candidate that the index gives
_LEAST_BITS: Final = 40.0  # compared
_CLIMBS: Final = 12  # that one query may take
_COVER: Final = 0.4  # least share of either picture that the other covers
_STRETCH: Final = 2.0  # largest of one side over the other
_VOTES_OF_RECORD: Final = 8  # least where the query is a record
_CHANCE_OF_RECORD: Final = -8.0  # log10, likewise the largest chance


@dataclass(frozen=True, slots=True)
class Alignment:
    """Alignment of a query with a reference, and the evidence for it.

    Parameters
    ----------
    transform : Transform
        From the query's normal frame to the reference's, px.
    crop_box : (float, float, float, float)
        Left, top, right and bottom of the part that the query shows, shares of the reference's sides, 0 to 1.
    votes : int
        Different points whose pairs agree roughly on the transform, 3 or more.
    inliers : int
        Pairs of these that the fitted transform explains, one to one.
    found : float
        Inliers as a share of the reference's points under the query, or of 96 where there are more, 0 to 1.
    overlap : float
        Share of the reference's area that the query shows, 0 to 1.
    part : float
        Share of the query's area that shows the reference, 0 to 1.
    bits : float
        Effective number of compared bits of the field.
    agreement : float
        Weighted share of them that agree, 0 to 1.
    trimmed : float
        Agreement without the worst quarter of the zones.
    geometry_chance, field_chance : float
        log10 of the chance that an unrelated pair has so many votes, and that its field agrees so well, 0 or less.
    accepted : bool
        Whether it is reported.
    """

    transform: Transform
    crop_box: tuple[float, float, float, float]
    votes: int
    inliers: int
    found: float
    overlap: float
    part: float
    bits: float
    agreement: float
    trimmed: float
    geometry_chance: float
    field_chance: float
    accepted: bool

    @property
    def chance(self) -> float:
        """log10 of the chance that an unrelated pair reaches this, 0 or less: the sum of the two."""
        return self.geometry_chance + self.field_chance


class Judge:
    """One query, with which candidates are compared.

    Parameters
    ----------
    points : Keypoints
        Points of the query.
    luma : (h, w) float32 array or None
        Normal frame of the query; None if the query is itself only a record.
    field : bytes
        Field of the query if there is no luma; ignored otherwise.

    Notes
    -----
    An alignment is accepted if it has 3 votes, two fifths of the reference or of the query are shared, its field has 40
    bits, 91 % of them agree without the worst quarter, as many as the points ask for agree in all, and the chance is
    10**-6 or less. If under half of the reference's points under the query are found, 93 % have to agree, and up to 95
    % if hardly any is found; from three quarters on 80 % are enough. Few bits have to agree better. A query without
    luma needs 8 votes and 10**-8; a query without luma and field is never accepted, nor is a reference without a
    readable field.
    """

    __slots__ = ("_canvas", "_points", "_record")

    def __init__(self, points: Keypoints, luma: npt.NDArray[np.float32] | None, *, field: bytes = b"") -> None:
        self._points, self._record = points, luma is None
        own = luma
        if own is None and (read := _read(field)) is not None:
            own = read.surface()
        self._canvas = None if own is None else Canvas(own)

    def __repr__(self) -> str:
        return f"<Judge of a query of {len(self._points)} points{', a record' if self._record else ''}>"

    def verify(self, reference: Keypoints, field: bytes, pairs: Pairs) -> Alignment | None:
        """Judge one candidate; see `verify_many`."""
        return self.verify_many([(reference, field, pairs)])[0]

    def verify_many(self, candidates: Sequence[tuple[Keypoints, bytes, Pairs]]) -> list[Alignment | None]:
        """Judge candidates.

        Parameters
        ----------
        candidates : sequence of (Keypoints, bytes, Pairs)
            Points and field of a reference, and its pairs with the query.

        Returns
        -------
        list of (Alignment or None)
            One result a candidate: the likeliest alignment, an accepted one before others. None if no three pairs
            agree, if there is nothing to compare, or if under 70 % of the compared bits agree at the alignment of the
            points.

        Raises
        ------
        IndexError
            If a pair names a point that does not exist.

        Notes
        -----
        Candidates with most votes come first. Of those whose field does not agree at once, only the first 12 are
        examined further. Cost: milliseconds for each candidate with three agreeing pairs or more.
        """
        if self._canvas is None or not len(self._points):
            return [None] * len(candidates)
        found: list[Alignment | None] = [None] * len(candidates)
        fields: dict[int, Field | None] = {}
        proposals = propose(self._points, [(points, pairs) for points, _, pairs in candidates], least=_LEAST_VOTES)
        climbs = _CLIMBS
        for proposal in sorted(proposals, key=lambda item: -item.votes):
            number = proposal.candidate
            before = found[number]
            if before is not None and before.accepted:
                continue
            if number not in fields:
                fields[number] = _read(candidates[number][1])
            read = fields[number]
            if read is None:
                continue
            reference = candidates[number][0]
            transform, inliers = fit(self._points, reference, proposal.pairs)
            if not _sane(transform):
                continue
            share = self._canvas.share(read, reference.width, transform)
            if share < HOPELESS:
                continue
            if share < ENOUGH:
                if not climbs:
                    continue
                climbs -= 1
            seen = self._canvas.compare(read, reference.width, transform)
            now = self._weigh(reference, proposal.votes, len(inliers), seen)
            if before is None or now.accepted or now.chance < before.chance:
                found[number] = now
        return found

    def _weigh(self, reference: Keypoints, votes: int, inliers: int, seen: FieldAgreement) -> Alignment:
        """Estimate the chance of what was found, and decide."""
        count = min(votes, inliers)
        known = min(count, len(_GEOMETRY) - 1)
        geometry = max(_GEOMETRY_FLOOR, _GEOMETRY[known] + _VOTE * (count - known))
        field = _field_chance(seen)
        part = _part(self._points, reference, seen.transform)
        found = inliers / max(1, min(_MOST_FOUND, _under(self._points, reference, seen.transform)))
        error = math.sqrt(seen.agreement * (1.0 - seen.agreement) / max(seen.bits, 1.0))
        accepted = (
            geometry + field <= (_CHANCE_OF_RECORD if self._record else ACCEPTED_CHANCE)
            and max(part, seen.overlap) >= _COVER
            and count >= _LEAST_VOTES
            and seen.bits >= _LEAST_BITS
            and seen.agreement >= np.interp(found, _FOUND, _AGREEMENT)
            and seen.agreement - _ERRORS * error >= np.interp(found, _FOUND, _SURE)
            and seen.trimmed >= _TRIMMED
            and (not self._record or count >= _VOTES_OF_RECORD)
            and _sane(seen.transform)
        )
        return Alignment(
            transform=seen.transform,
            crop_box=seen.transform.crop_box(self._points, reference),
            votes=votes,
            inliers=inliers,
            found=min(1.0, found),
            overlap=seen.overlap,
            part=part,
            bits=seen.bits,
            agreement=seen.agreement,
            trimmed=seen.trimmed,
            geometry_chance=geometry,
            field_chance=field,
            accepted=bool(accepted),
        )


def _field_chance(seen: FieldAgreement) -> float:
    """Estimate log10 of the chance that the field of an unrelated pair agrees so well: two views, the weaker rules."""
    by_score = _tail((seen.score - _MEAN) / _SPREAD)
    bits = max(seen.bits, 1.0)
    above = 2.0 * seen.agreement - 1.0 - _SHARE_MEAN / math.sqrt(bits)
    by_share = _tail(above / math.sqrt(_SHARE_VARIANCE / bits + _SHARE_ALIKE**2))
    return max(by_share, (by_score + by_share) / 2.0)


def _tail(deviations: float) -> float:
    """Give log10 of the upper tail of the normal law; its far end, which no sample reaches, is cut at 36."""
    return math.log10(math.erfc(min(deviations, 36.0) / math.sqrt(2.0)) / 2.0)


def _read(field: bytes) -> Field | None:
    try:
        return Field.from_bytes(field)
    except HashFormatError:
        return None


def _sane(transform: Transform) -> bool:
    """Say whether a picture is likely to be scaled and stretched so."""
    if not (np.isfinite(transform.matrix).all() and np.isfinite(transform.shift).all()):
        return False
    return 1.0 / MAX_RATIO <= transform.scale <= MAX_RATIO and transform.stretch <= _STRETCH


def _part(points: Keypoints, reference: Keypoints, transform: Transform) -> float:
    """Share of the query's area that lies on the reference, by 24 x 24 places."""
    share = (np.arange(24) + 0.5) / 24
    x, y = np.meshgrid(share * points.width, share * points.height)
    place = transform.apply(np.stack([x.ravel(), y.ravel()], axis=1))
    return float(np.mean((place >= 0.0).all(axis=1) & (place <= (reference.width, reference.height)).all(axis=1)))


def _under(points: Keypoints, reference: Keypoints, transform: Transform) -> int:
    """Count the reference's points that lie under the query."""
    place = transform.inverse().apply(np.stack([reference.x, reference.y], axis=1))
    return int(np.count_nonzero((place >= 0.0).all(axis=1) & (place <= (points.width, points.height)).all(axis=1)))
