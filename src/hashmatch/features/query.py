"""`Query`: all that is searched with for one picture; how it is read from a source, and kept in a `Fingerprint`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hashmatch.algorithms import COMPUTED, DIGESTS
from hashmatch.deadline import NO_DEADLINE, Deadline
from hashmatch.errors import BusyError, ImageError
from hashmatch.foreign_errors import is_foreign
from hashmatch.hashes import Fingerprint, Looked, ViewHash
from hashmatch.jail import Protection
from hashmatch.picture import count_source, format_of, read_whole, refusal_of
from hashmatch.view import PLAIN_VIEW, FrameCount, Turn, View

if TYPE_CHECKING:
    from hashmatch.features.extract import KeypointLook, Look, SmallLook
    from hashmatch.features.isolated import IsolatedReader
    from hashmatch.picture import DecodePolicy, ImageSource
    from hashmatch.policy import MatchPolicy

__all__ = [
    "Query",
    "kept_query",
    "open_source",
    "read_pixels",
    "read_records",
    "recalled_query",
]

_FEWEST_POINTS: Final = 2
_IN_MEMORY: Final = frozenset({"rotations", "crops", "keypoints"})  # views that no byte form carries
_OVER_LIMIT: Final = frozenset({"too-many-frames", "too-many-total-pixels"})


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
    failure : str or None
        Why the picture could not be read to its end.
    format : str or None
        Name of its file format where it could not, if the bytes tell.
    protection : Protection or None
        What held the worker process that looked at the picture; None where no other process did.
    views : frozenset of str
        What was done of what the policy asks for, names of `hashmatch.view.VIEW_KINDS`.
    frames : FrameCount or None
        Frames seen and unseen; None where no picture was decoded.
    by_policy : bool
        Whether a policy looked at a picture; False for hashes that somebody gave, which stand for themselves.
    """

    hashes: tuple[ViewHash, ...] = ()
    smalls: tuple[SmallLook, ...] = ()
    keypoints: tuple[KeypointLook, ...] = ()
    failure: str | None = None
    format: str | None = None
    protection: Protection | None = None
    views: frozenset[str] = frozenset()
    frames: FrameCount | None = None
    by_policy: bool = True

    def searched(self, good: tuple[ViewHash, ...]) -> set[str]:
        """Algorithms that are searched with, by what `searched_hashes` gives."""
        found = {item.value.algorithm for item in good}
        return found | {"keypoint"} if any(len(look.points) >= _FEWEST_POINTS for look in self.keypoints) else found

    def searched_hashes(self, policy: MatchPolicy) -> tuple[ViewHash, ...]:
        """Hashes that are good enough to be searched with."""
        least = {rule.algorithm: rule.min_quality for rule in policy.searches}
        return tuple(item for item in self.hashes if _is_good(item, least.get(item.value.algorithm)))

    def digests_alone(self, failure: str, source: ImageSource) -> Query:
        """Leave everything but the digests, for which no worker was asked, and say why."""
        kept = tuple(item for item in self.hashes if item.value.algorithm in DIGESTS)
        return replace(
            self,
            hashes=kept,
            smalls=(),
            keypoints=(),
            failure=failure,
            format=_format_of(source),
            views=self.views & {"digests"},
        )

    def compared_views(self, policy: MatchPolicy, good: tuple[ViewHash, ...], searched: Set[str]) -> frozenset[str]:
        """Give the views that were done and of which something was good enough to be searched with."""
        computed = COMPUTED & searched
        hashes = [item for item in good if item.value.algorithm in computed]
        rule = policy.rule_for("pdq")
        for_rotations = [item for item in self.smalls if rule is not None and item.quality >= rule.min_quality]
        for_crops = [item for item in self.smalls if policy.crops and item.quality >= policy.crops.min_quality]
        without: set[str] = set()
        if not any(_is_plain(item.view) for item in hashes):
            without.add("original")
        if not hashes:
            without |= {"turns", "trims", "shrinks", "negatives"}
        if not any(not item.view.trim for item in for_rotations):
            without.add("rotations")
        if not for_crops:
            without.add("crops")
        if "keypoint" not in searched:
            without.add("keypoints")
        return self.views - without


_UNDIGESTED: Final = Query()


def _is_plain(view: View) -> bool:
    return view is PLAIN_VIEW or view == View(frame=view.frame, background=view.background)


def _is_good(item: ViewHash, least: int | None) -> bool:
    return least is not None and (item.quality is None or item.quality >= least)


def open_source(
    source: ImageSource,
    held: Set[str],
    policy: MatchPolicy,
    decode: DecodePolicy,
    stopped: Callable[[], bool] | None = None,
    kept: Set[str] = frozenset(),
) -> tuple[ImageSource, Query]:
    """Read a source, and digest its bytes however many they are.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The picture.
    held : set of str
        Algorithms; of a policy's digests these are made.
    policy : MatchPolicy
        Says which digests are searched.
    decode : DecodePolicy
        How large a picture may be, and in which formats, where it will be decoded.
    stopped : callable, optional
        Asked again and again whether to give up.
    kept : set of str
        Digests that are made whatever is held.

    Returns
    -------
    (source, Query)
        Bytes where the source has any, else the source; and digests, and why it is not to be decoded.

    Raises
    ------
    concurrent.futures.CancelledError
        If it was to give up.
    """
    from hashmatch.hashers.digest import Digester  # who matches hashes loads no hasher

    wanted = [name for name in policy.digests if name in held]
    digester = Digester(wanted + sorted(kept - set(wanted)))

    def tap(part: bytes | bytearray | memoryview) -> None:
        if stopped is not None and stopped():
            raise CancelledError
        digester.update(part)

    try:
        # only for a digest is a file read on that is too large for a picture
        data, whole = read_whole(source, decode, tap if digester else None)
    except ImageError as error:
        return source, Query(failure=error.reason)
    if data is None:
        return source, Query()
    query = _UNDIGESTED
    if digester:
        digests = tuple(ViewHash(value=value) for value in digester.values())
        query = Query(hashes=digests, views=frozenset({"digests"}))
    if whole:
        return data, query
    return data, replace(query, failure=refusal_of(data, decode).reason, format=_format_of(data))


def read_pixels(
    source: ImageSource,
    digests: tuple[ViewHash, ...],
    held: frozenset[str],
    policy: MatchPolicy,
    reader: IsolatedReader | None = None,
    deadline: Deadline = NO_DEADLINE,
) -> Query:
    """Look at a picture in every way that the policy asks for and the lists can answer.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The picture.
    digests : tuple of ViewHash
        Its digests, which go first.
    held : frozenset of str
        Algorithms that the lists hold and the policy searches.
    policy : MatchPolicy
        Which views are tried.
    reader : IsolatedReader, optional
        Looks at file bytes in another process. PIL images and arrays are looked at here in any case: they were opened
        by the caller.
    deadline : Deadline
        When to give up: in a worker at once, in this process after the frame at hand.

    Raises
    ------
    BusyError
        If the time is over, or too many pictures wait for a worker.
    """
    from hashmatch.hashers.facade import PICTURE_HASHERS

    # a picture is decoded even where the lists hold no hash of pixels: an unreadable one is never "no match"
    names = tuple(rule.algorithm for rule in policy.searches if rule.algorithm in held & PICTURE_HASHERS.keys())
    looks, failure = [], None
    isolated = reader if isinstance(source, bytes) else None
    try:
        for look in _looks(source, names, policy, "keypoint" in held, isolated, deadline):
            looks.append(look)  # what came before an error must stay
            deadline.check()
    except BusyError:
        raise
    except ImageError as error:
        failure = error.reason  # frames before the broken one are searched all the same
    except MemoryError:
        failure = "out-of-memory"
    except Exception as error:
        if not isinstance(source, bytes) or is_foreign(error):
            raise  # the caller's own object is at fault, or his time limit: he should know
        failure = "internal-error"
    frames = _frames(source, looks, policy)
    if failure in _OVER_LIMIT and looks and frames is not None:
        frames, failure = replace(frames, at_least=frames.at_least or not frames.unseen), None
    views = policy.asked_views(held)
    if not digests:
        views -= {"digests"}
    if frames is None or not frames.is_whole:
        views -= {"frames"}
    return Query(
        hashes=digests + tuple(item for look in looks for item in look.hashes),
        smalls=tuple(item for look in looks for item in look.smalls),
        keypoints=tuple(look.keypoints for look in looks if look.keypoints is not None),
        failure=failure,
        format=_format_of(source) if failure is not None else None,
        protection=None if isolated is None else isolated.protection,
        views=views,
        frames=frames,
    )


def _format_of(source: ImageSource) -> str | None:
    return format_of(source) if isinstance(source, bytes) else None


def _looks(
    source: ImageSource,
    names: tuple[str, ...],
    policy: MatchPolicy,
    keypoints: bool,
    reader: IsolatedReader | None,
    deadline: Deadline,
) -> Iterator[Look]:
    if reader is not None and isinstance(source, bytes):
        return reader.iter_looks(source, names, keypoints=keypoints, until=deadline.until, wait=deadline.wait)
    from hashmatch.features.extract import iter_looks

    return iter_looks(source, names, policy, keypoints=keypoints)


def _frames(source: ImageSource, looks: list[Look], policy: MatchPolicy) -> FrameCount | None:
    """Count the frames that were looked at, and by the file's structure, which no worker tells, those that were not."""
    held = count_source(source, policy.decode)
    if held is None:
        return None
    seen = {look.frame for look in looks}
    in_full = {look.frame for look in looks if look.is_full}
    return FrameCount(seen=len(seen), in_full=len(in_full), unseen=max(0, held[0] - len(seen)), at_least=not held[1])


def kept_query(query: Query) -> Fingerprint:
    """Keep a query as a fingerprint: hashes and how the picture was looked at as its own, the rest in memory only."""
    looked = Looked(views=tuple(query.views), frames=query.frames, failure=query.failure, format=query.format)
    return Fingerprint.carrying(query.hashes, looked, query)


def recalled_query(fingerprint: Fingerprint, held: Set[str], policy: MatchPolicy) -> Query:
    """Take a fingerprint for a query.

    Parameters
    ----------
    fingerprint : Fingerprint
        Hashes of one picture.
    held : set of str
        Algorithms that can be searched: of one that a policy made, the others are left out, as if not computed.
    policy : MatchPolicy
        What is searched.

    Raises
    ------
    HashFormatError
        If it holds a keypoint record that is none.
    """
    records = tuple(item for item in fingerprint.view_hashes if item.value.algorithm == "keypoint")
    keypoints = read_records(records, policy)
    hashes, looked, memory = fingerprint.view_hashes, fingerprint.looked, fingerprint.memory
    if looked is None:
        hashes = tuple(item for item in hashes if policy.rule_for(item.value.algorithm))
        return Query(hashes=hashes, keypoints=keypoints, views=_given_views(hashes, keypoints), by_policy=False)
    views = frozenset(looked.views)
    algorithms = {item.value.algorithm for item in hashes}
    if any(policy.rule_for(name) and name not in algorithms for name in COMPUTED & held):
        views -= {"original", "turns", "trims", "shrinks", "negatives"}  # made for lists without this algorithm
    whole: dict[str, Any] = {"failure": looked.failure, "format": looked.format, "frames": looked.frames}
    if isinstance(memory, Query):
        whole |= {"smalls": memory.smalls, "protection": memory.protection}
        keypoints = memory.keypoints if "keypoint" in held else ()
    else:
        views -= _IN_MEMORY if not keypoints else _IN_MEMORY - {"keypoints"}
    return Query(hashes=_narrowed(hashes, held), keypoints=keypoints, views=views, **whole)


def _narrowed(hashes: tuple[ViewHash, ...], held: Set[str]) -> tuple[ViewHash, ...]:
    """Leave what `read_pixels` would have computed: where no hash of pixels is held, PDQ of the picture as it is."""
    if COMPUTED & held:
        return tuple(item for item in hashes if item.value.algorithm in held)
    return tuple(
        item
        for item in hashes
        if item.value.algorithm in held or (item.value.algorithm == "pdq" and _is_plain(item.view))
    )


def _given_views(hashes: tuple[ViewHash, ...], keypoints: tuple[KeypointLook, ...]) -> frozenset[str]:
    """Tell from hashes that somebody gave which views they are of."""
    computed = [item.view for item in hashes if item.value.algorithm in COMPUTED]
    found = {
        "digests": any(item.value.algorithm in DIGESTS for item in hashes),
        "original": any(_is_plain(view) for view in computed),
        "turns": any(view.turn is not Turn.NONE for view in computed),
        "trims": any(view.trim for view in computed),
        "keypoints": bool(keypoints),
    }
    return frozenset(name for name, there in found.items() if there)


def read_records(records: tuple[ViewHash, ...], policy: MatchPolicy) -> tuple[KeypointLook, ...]:
    """Take stored keypoint records for a query; those of another key than the policy's are left out.

    Raises
    ------
    HashFormatError
        If the bytes of one are no record.
    """
    if not records or policy.keypoints is None:
        return ()
    from hashmatch.features.extract import record_look

    looks = (record_look(item.value.data, policy.keypoints.key, item.view) for item in records)
    return tuple(look for look in looks if look is not None)
