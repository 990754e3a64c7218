"""`Query`: all that is searched with for one picture; and how it is read from a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hashmatch.errors import ImageError
from hashmatch.hashes import ViewHash
from hashmatch.jail import Protection

if TYPE_CHECKING:
    from hashmatch.picture import ImageSource
    from hashmatch.policy import MatchPolicy
    from hashmatch.views.looks import KeypointLook, Look, SmallLook
    from hashmatch.workers.reader import IsolatedReader

__all__ = ["Query", "read_pixels", "read_records"]

_FEWEST_POINTS: Final = 2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Query:
    """What one picture is searched with; never kept.

    Parameters
    ----------
    hashes : tuple of ViewHash
        Digests and hashes of views, the plainest first.
    smalls : tuple of SmallLook
        What crops and small rotations are searched with.
    keypoints : tuple of KeypointLook
        What keypoint records are searched with.
    seen : bool
        Whether the hashes are of pixels that were looked at, not given.
    failure : str or None
        Why the picture could not be read to its end.
    format : str or None
        Name of its file format where it could not, if the bytes tell.
    protection : Protection or None
        What held the worker process that looked at the picture; None where no other process did.
    """

    hashes: tuple[ViewHash, ...] = ()
    smalls: tuple[SmallLook, ...] = ()
    keypoints: tuple[KeypointLook, ...] = ()
    seen: bool = False
    failure: str | None = None
    format: str | None = None
    protection: Protection | None = None

    def searched(self, policy: MatchPolicy) -> set[str]:
        """Algorithms that are searched with."""
        found = {item.value.algorithm for item in self.searched_hashes(policy)}
        return found | {"keypoint"} if any(len(look.points) >= _FEWEST_POINTS for look in self.keypoints) else found

    def searched_hashes(self, policy: MatchPolicy) -> tuple[ViewHash, ...]:
        """Hashes that are good enough to be searched with."""
        return tuple(item for item in self.hashes if _good_enough(item, policy))


def _good_enough(item: ViewHash, policy: MatchPolicy) -> bool:
    rule = policy.rule_for(item.value.algorithm)
    return rule is not None and (item.quality is None or item.quality >= rule.min_quality)


def read_pixels(
    source: ImageSource,
    digests: tuple[ViewHash, ...],
    held: set[str],
    policy: MatchPolicy,
    reader: IsolatedReader | None = None,
) -> Query:
    """Look at a picture in every way that the policy asks for and the lists can answer.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The picture.
    digests : tuple of ViewHash
        Its digests, which go first.
    held : set of str
        Algorithms that the lists hold and the policy searches.
    policy : MatchPolicy
        Which views are tried.
    reader : IsolatedReader, optional
        Looks at file bytes in another process. PIL images and arrays are looked at here in any case: they were opened
        by the caller.
    """
    from hashmatch.hashers.facade import PICTURE_HASHERS

    # a picture is decoded even where the lists hold no hash of pixels: an unreadable one is never "no match"
    names = tuple(rule.algorithm for rule in policy.rules if rule.algorithm in held & PICTURE_HASHERS.keys())
    looks, failure = [], None
    isolated = reader if isinstance(source, bytes) else None
    try:
        for look in _looks(source, names, policy, "keypoint" in held, isolated):
            looks.append(look)  # noqa: PERF402 - what came before an error must stay
    except ImageError as error:
        failure = error.reason  # frames before the broken one are searched all the same
    except MemoryError:
        failure = "out-of-memory"
    except Exception:
        if not isinstance(source, bytes):
            raise  # the caller's own object is at fault, and he should know
        failure = "internal-error"
    return Query(
        hashes=digests + tuple(item for look in looks for item in look.hashes),
        smalls=tuple(item for look in looks for item in look.smalls),
        keypoints=tuple(look.keypoints for look in looks if look.keypoints is not None),
        seen=True,
        failure=failure,
        format=_format_of(source) if failure is not None else None,
        protection=None if isolated is None else isolated.protection,
    )


def _format_of(source: ImageSource) -> str | None:
    from hashmatch.picture import format_of

    return format_of(source) if isinstance(source, bytes) else None


def _looks(
    source: ImageSource, names: tuple[str, ...], policy: MatchPolicy, keypoints: bool, reader: IsolatedReader | None
) -> Iterator[Look]:
    if reader is not None and isinstance(source, bytes):
        from hashmatch.picture import check_header

        check_header(source, reader.decode)  # what the first bytes give away needs no worker
        return reader.iter_looks(source, names, keypoints=keypoints)
    from hashmatch.views.looks import iter_looks
    from hashmatch.workers.policies import only_decoding

    return iter_looks(source, names or ("pdq",), policy if names else only_decoding(policy), keypoints=keypoints)


def read_records(records: tuple[ViewHash, ...], policy: MatchPolicy) -> tuple[KeypointLook, ...]:
    """Take stored keypoint records for a query; those of another key than the policy's are left out.

    Raises
    ------
    HashFormatError
        If the bytes of one are no record.
    """
    if not records or policy.keypoints is None:
        return ()
    from hashmatch.views.looks import record_look

    looks = (record_look(item.value.data, policy.keypoints.key, item.view) for item in records)
    return tuple(look for look in looks if look is not None)
