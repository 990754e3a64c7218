"""Signal types for ``threatexchange``: PDQ and keypoint records of the right pixels, with indexes that miss nothing.

Floor: integrations. Needs ``threatexchange``, which ``pip install 'hashmatch[threatexchange]'`` brings. The command
line takes both by ``tx config extensions add hashmatch.integrations.threatexchange``, or ``…threatexchange_isolated``
with a decoder that is shut in. ``docs/how-to/threatexchange.md`` also has the configuration of Hasher-Matcher-Actioner.
"""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import ClassVar, Final

from hashmatch.errors import HashmatchError, ImageError
from hashmatch.features.fingerprints import listed_fingerprint
from hashmatch.features.isolated import IsolatedReader
from hashmatch.foreign_errors import is_foreign
from hashmatch.integrations.tx_index import RADIUS, HashmatchKeypointIndex, HashmatchPdqIndex, parsed
from hashmatch.jail import Isolation
from hashmatch.keypoints.record import Record
from hashmatch.picture import DecodePolicy
from hashmatch.policy import KeypointRule, MatchPolicy, Rule

try:
    from threatexchange.content_type.content_base import ContentType
    from threatexchange.content_type.photo import PhotoContent
    from threatexchange.exchanges.impl.fb_threatexchange_signal import HasFbThreatExchangeIndicatorType
    from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest
    from threatexchange.signal_type.signal_base import (
        BytesHasher,
        CanGenerateRandomSignal,
        SignalComparisonResult,
        SignalType,
    )
except ImportError:  # pragma: no cover - the tests have it
    raise ImportError("this is a part of threatexchange: pip install 'hashmatch[threatexchange]'") from None

__all__ = ["TX_MANIFEST", "HashmatchKeypointSignal", "HashmatchPdqSignal", "NoSignalWarning"]

_EXAMPLES: Final = 4
_FEWEST_POINTS: Final = 2  # with fewer nothing is searched


class NoSignalWarning(UserWarning):
    """A picture has no signal, because it cannot be read or is too plain: nothing is known of it."""


class _PictureSignal(SignalType, BytesHasher):
    """What both signal types share; a subclass may set another name, isolation, decode policy or least quality."""

    NAME: ClassVar[str]
    ISOLATION: ClassVar[Isolation | None] = None
    DECODE: ClassVar[DecodePolicy] = DecodePolicy(frames="first")
    QUALITY_THRESHOLD: ClassVar[int] = 50
    ALGORITHM: ClassVar[str]
    _asked: ClassVar[Iterator[int]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._asked = count(1)

    @classmethod
    def get_name(cls) -> str:
        """Name of the signal type."""
        return cls.NAME

    @classmethod
    def get_content_types(cls) -> list[type[ContentType]]:
        """Photos."""
        return [PhotoContent]

    @classmethod
    def validate_signal_str(cls, signal_str: str) -> str:
        """Give a signal in lower case, without surrounding space; `HashFormatError` where it is none."""
        return parsed(signal_str, cls.ALGORITHM).hex()

    @classmethod
    def hash_from_bytes(cls, bytes_: bytes) -> str:
        """Hash a picture.

        Returns
        -------
        str
            The signal; empty, with a `NoSignalWarning`, where the picture cannot be read or its quality is under
            ``QUALITY_THRESHOLD``. Of an animation the first frame is hashed.

        Raises
        ------
        BusyError, IsolationError
            If no decoder is to be had.
        """
        return cls._hashed(bytes_)

    @classmethod
    def hash_from_file(cls, file: Path) -> str:
        """Hash the picture in a file, as `hash_from_bytes`; of a file over the limit only the first bytes are read."""
        return cls._hashed(file)

    @classmethod
    def _hashed(cls, source: Path | bytes) -> str:
        number = next(cls._asked)
        try:
            signal, problem = cls._signal_of(source)
        except ImageError as error:
            signal, problem = "", error.reason
        except Exception as error:
            if isinstance(error, HashmatchError) or is_foreign(error):
                raise  # no worker, or the caller's own time limit
            signal, problem = "", "internal-error"
        if problem:
            said = f"picture {number} has no signal of {cls.NAME}: {problem}; it is not compared"
            # without a registry every picture is told, and nothing is kept in a process that never ends
            warnings.warn_explicit(said, NoSignalWarning, __name__, 1)
        return signal

    @classmethod
    def _signal_of(cls, source: Path | bytes) -> tuple[str, str]:
        """Give the signal of a picture, and why it has none."""
        reader = None if cls.ISOLATION is None else _reader(cls.ISOLATION, cls.DECODE)
        made = listed_fingerprint(source, (cls.ALGORITHM,), _policy(cls.DECODE), reader).view_hashes[0]
        if (made.quality or 0) < cls.QUALITY_THRESHOLD:
            return "", "too-plain"
        if cls.ALGORITHM == "keypoint" and len(Record.from_bytes(made.value.data).points) < _FEWEST_POINTS:
            return "", "no-keypoints"
        return made.value.hex(), ""


class HashmatchPdqSignal(_PictureSignal, HasFbThreatExchangeIndicatorType, CanGenerateRandomSignal):
    """PDQ of what a browser shows, bit for bit that of the reference for the same pixels.

    A subclass with ``NAME = "pdq"`` takes the place of the type of ``threatexchange`` where types are listed by hand,
    as in the configuration of Hasher-Matcher-Actioner.
    """

    NAME = "hashmatch_pdq"
    ALGORITHM = "pdq"
    INDICATOR_TYPE = "HASH_PDQ"

    @classmethod
    def get_index_cls(cls) -> type[HashmatchPdqIndex]:  # type: ignore[type-arg]
        """Give the exact index."""
        return HashmatchPdqIndex

    @classmethod
    def compare_hash(cls, hash1: str, hash2: str, pdq_dist_threshold: int = RADIUS) -> SignalComparisonResult:
        """Compare two signals by the number of differing bits."""
        bits = (int.from_bytes(parsed(hash1, "pdq")) ^ int.from_bytes(parsed(hash2, "pdq"))).bit_count()
        return SignalComparisonResult.from_simple_dist(bits, pdq_dist_threshold)

    @classmethod
    def get_random_signal(cls) -> str:
        """Make up a signal, for tests of load."""
        return random.randbytes(32).hex()  # noqa: S311 - no secret

    @staticmethod
    def get_examples() -> list[str]:
        """Signals of drawn pictures."""
        return _examples("pdq")


class HashmatchKeypointSignal(_PictureSignal):
    """Keypoint records: pictures are found again that show a part of what is listed, or have it inside them.

    A record shows about as much as a small grey copy of the picture; see ``docs/explanation/privacy.md``.
    """

    NAME = "hashmatch_keypoint"
    ALGORITHM = "keypoint"

    @classmethod
    def get_index_cls(cls) -> type[HashmatchKeypointIndex]:  # type: ignore[type-arg]
        """Give the index of keypoints."""
        return HashmatchKeypointIndex

    @classmethod
    def compare_hash(cls, hash1: str, hash2: str) -> SignalComparisonResult:
        """Lay the first record over the second; the distance is the logarithm of the chance, where they agree."""
        found = HashmatchKeypointIndex([(hash2, None)]).query(hash1)
        if not found:
            return SignalComparisonResult.from_no_match_only()
        return SignalComparisonResult(True, found[0].similarity_info)

    @staticmethod
    def get_examples() -> list[str]:
        """Signals of drawn pictures."""
        return _examples("keypoint")


def _policy(decode: DecodePolicy) -> MatchPolicy:
    rules = (Rule(algorithm="pdq", threshold=RADIUS),)
    return MatchPolicy(name="threatexchange", rules=rules, keypoints=KeypointRule(max_chance=-6.0), decode=decode)


_starting: Final = threading.Lock()


def _reader(isolation: Isolation, decode: DecodePolicy) -> IsolatedReader:
    with _starting:  # or two threads that come first would start workers each
        return _kept_reader(isolation, decode)


@lru_cache(maxsize=8)
def _kept_reader(isolation: Isolation, decode: DecodePolicy) -> IsolatedReader:
    return IsolatedReader(_policy(decode), isolation)


@lru_cache(maxsize=2)
def _drawn(algorithm: str) -> tuple[str, ...]:
    from hashmatch.hashers.facade import hash_image
    from hashmatch.synthetic import picture

    return tuple(hash_image(picture("photo", seed), algorithm).hex() for seed in range(_EXAMPLES))


def _examples(algorithm: str) -> list[str]:
    return list(_drawn(algorithm))


TX_MANIFEST: Final = ThreatExchangeExtensionManifest(signal_types=(HashmatchPdqSignal, HashmatchKeypointSignal))
"""What ``tx config extensions add`` reads."""
