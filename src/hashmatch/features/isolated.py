"""`IsolatedReader`: looks at pictures in worker processes; what comes back is checked before it is used."""

from __future__ import annotations

import copy
import json
import struct
import warnings
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Final

from hashmatch.errors import ImageTooLargeError, PolicyError, UnreadableImageError, WeakIsolationWarning
from hashmatch.features.extract import Look
from hashmatch.features.policy_json import policy_to_json
from hashmatch.features.wire import LookBounds, unpack_look
from hashmatch.jail import Isolation, Protection
from hashmatch.jail.pool import Pool
from hashmatch.jail.worker import WorkerPlan, bad_answer
from hashmatch.picture import count_source
from hashmatch.picture.header import read_header
from hashmatch.picture.jpeg import count_scans
from hashmatch.picture.policy import DecodePolicy
from hashmatch.picture.sniff import Header, sniff
from hashmatch.policy import MatchPolicy, Rule

__all__ = ["REASONS", "IsolatedReader", "protection"]

REASONS: Final = frozenset(
    {
        "corrupt",
        "empty",
        "format-not-allowed",
        "format-not-read",
        "internal-error",
        "no-codec",
        "no-rule",
        "not-an-image",
        "out-of-memory",
        "too-long-side",
        "too-many-bytes",
        "too-many-frames",
        "too-many-pixels",
        "too-many-scans",
        "too-many-total-pixels",
        "truncated",
    }
)
"""Why a worker may say that a picture could not be read; more than this the host does not believe."""

_WORKER: Final = "hashmatch.features.in_worker"
_PER_PIXEL: Final = 28
_BESIDES: Final = 2**30
_LARGEST_ANSWER: Final = 512 * 2**20
_QUESTION: Final = struct.Struct("<H")
_DEAR: Final = 200_000_000  # pixels that are gone over: a second or two
_OF_FRAME_0: Final = 16  # rasters: on white and black, colours as shown, and as other clients read it
_OF_A_FRAME: Final = 4


class IsolatedReader:
    """Looks at pictures in worker processes, by one policy; shared between threads.

    Parameters
    ----------
    policy : MatchPolicy
        How pictures are looked at.
    isolation : Isolation
        How the workers are shut in.
    also : iterable of MatchPolicy
        Further policies by which the same workers look at pictures, for `by`.

    Raises
    ------
    IsolationError
        If no worker can be started, or a measure that is required does not hold.
    """

    def __init__(self, policy: MatchPolicy, isolation: Isolation, also: Iterable[MatchPolicy] = ()) -> None:
        self._policies = tuple(replace(item, decode=item.decode.in_worker()) for item in (policy, *also))
        self._is_second = False
        self._use(0)
        plan = WorkerPlan(
            module=_WORKER,
            hello=_LARGEST_ANSWER.to_bytes(8, "little") + b"\n".join(map(policy_to_json, self._policies)),
            memory=max(map(memory_for, self._policies)) if isolation.memory is None else isolation.memory,
            seconds=isolation.seconds,
            largest_part=max(_bounds_of(item).most_bytes for item in self._policies),
            python=isolation.python,
            environment=tuple(dict(isolation.environment).items()),
        )
        self._pool = Pool(isolation, plan, largest_answer=_LARGEST_ANSWER)
        try:
            self._pool.start()
            _warn_of(self.protection)
        except BaseException:
            self._pool.close()
            raise

    def _use(self, number: int) -> None:
        self._number, self._policy = number, self._policies[number]
        self._bounds = _bounds_of(self._policy)

    def by(self, policy: MatchPolicy) -> IsolatedReader:
        """Give a reader by another of the policies: the same workers, of which all it asks is a dear task.

        Raises
        ------
        PolicyError
            If the workers were not started with this policy.
        """
        wanted = replace(policy, decode=policy.decode.in_worker())
        if wanted not in self._policies:
            raise PolicyError(f"the worker processes were started without the policy {policy.name!r}")
        other = copy.copy(self)
        other._is_second = True
        other._use(self._policies.index(wanted))
        return other

    def __repr__(self) -> str:
        return f"<IsolatedReader {self._pool!r}>"

    @property
    def protection(self) -> Protection:
        """What holds the workers."""
        return self._pool.protection or Protection()

    @property
    def seconds(self) -> float:
        """Longest time for one picture, s."""
        return self._pool.seconds

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt to get a worker ready failed."""
        return self._pool.is_failing

    def expected_wait(self) -> float:
        """Predict for how many seconds one more picture of the usual kind waits for a worker."""
        return self._pool.expected_wait()

    @property
    def decode(self) -> DecodePolicy:
        """What the workers decode."""
        return self._policy.decode

    def counts(self) -> dict[str, int]:
        """Count workers and tasks; see `hashmatch.jail.pool.Pool.counts`."""
        return self._pool.counts()

    def load(self) -> dict[str, int]:
        """Count idle and working workers, and the tasks that wait; see `hashmatch.jail.pool.Pool.load`."""
        return self._pool.load()

    def close(self) -> None:
        """End the workers, unless another reader started them; pictures they are at are answered as unreadable."""
        if not self._is_second:
            self._pool.close()

    def warm(self) -> None:
        """Start all workers and wait until they are ready.

        Raises
        ------
        IsolationError
            If one cannot be started.
        """
        self._pool.warm()

    def iter_looks(
        self,
        data: bytes,
        algorithms: tuple[str, ...],
        *,
        keypoints: bool,
        listed: bool = False,
        until: float | None = None,
        wait: bool = True,
    ) -> Iterator[Look]:
        """Look at a picture, as `hashmatch.features.extract.iter_looks` does, elsewhere.

        Parameters
        ----------
        data : bytes
            The file.
        algorithms : tuple of str
            Names of `hashmatch.hashers.facade.PICTURE_HASHERS`; if there is none the picture is decoded all the same.
        keypoints : bool
            Whether keypoint records are searched.
        listed : bool
            Whether the hashes are those that a list would hold.
        until : float, optional
            Reading of `time.monotonic` by which it must be done.
        wait : bool
            Whether to wait for a worker however many do so already; else the isolation's ``queue`` holds.

        Yields
        ------
        Look
            One for each raster.

        Raises
        ------
        ImageError
            If the picture cannot be read, with a reason of `REASONS`, or the worker was lost over it: ``timeout``,
            ``crashed-...``, ``bad-answer``, ``no-worker``, ``protection-too-weak``, ``closed``.
        BusyError
            If the time is over, or too many wait.

        Notes
        -----
        A worker that a picture has taken over can answer wrongly for it and for those it is given after it. It cannot
        name a digest: those are made by the host.
        """
        keypoints = keypoints and self._bounds.keypoints
        bounds = LookBounds(
            algorithms=algorithms or ("pdq",),
            smalls=self._bounds.smalls,
            keypoints=keypoints,
            max_frames=self._bounds.max_frames,
            max_side=self._bounds.max_side,
        )
        header = read_header(data, self.decode)  # what the first bytes give away needs no worker
        asked = {"algorithms": algorithms, "keypoints": keypoints, "listed": listed, "policy": self._number}
        question = json.dumps(asked).encode()
        answer = self._pool.run(
            _QUESTION.pack(len(question)) + question,
            data,
            words=REASONS,
            until=until,
            wait=wait,
            is_dear=self._is_second or is_dear(data, self.decode, header),
        )
        try:
            reason = yield from _looks(answer, bounds, LookCounter(data, self._policy))
        finally:
            answer.close()
        if reason:
            kind = (
                ImageTooLargeError if reason.startswith("too-") or reason == "out-of-memory" else UnreadableImageError
            )
            raise kind(f"the picture cannot be read: {reason}", reason=reason)


def _bounds_of(policy: MatchPolicy) -> LookBounds:
    """Say what may stand in the answers of a worker that looks by a policy."""
    return LookBounds(
        algorithms=(),
        smalls=policy.crops is not None or policy.rotations,
        keypoints=policy.keypoints is not None,
        max_frames=policy.decode.max_frames,  # also for one frame: the first that a HEIF file shows can be any
        max_side=policy.decode.max_side,
    )


class LookCounter:
    """Counts the looks of an answer: an honest one has few for each frame, and a forged one must not cost the search.

    Parameters
    ----------
    data : bytes
        The file, whose structure says how many frames it has.
    policy : MatchPolicy
        How many of them are looked at, and how many in full.
    """

    def __init__(self, data: bytes, policy: MatchPolicy) -> None:
        self._data, self._decode = data, policy.decode
        self._looks, self._dear = _OF_FRAME_0, 2 * _OF_A_FRAME  # of one frame
        self._is_counted = policy.decode.frames == "first"

    def take(self, look: Look) -> None:
        """Count a look.

        Raises
        ------
        ValueError
            If it is one too many.
        """
        self._looks -= 1
        self._dear -= bool(look.smalls) or look.keypoints is not None
        if min(self._looks, self._dear) < 0 and not self._is_counted:
            self._count_frames()
        if min(self._looks, self._dear) < 0:
            raise ValueError("more looks than the picture has frames and views")

    def _count_frames(self) -> None:
        """Allow for the further frames; nearly all files have none, and are not searched for them."""
        self._is_counted, decode = True, self._decode
        held = count_source(self._data, decode)
        frames = decode.max_frames if held is None or not held[1] else max(1, held[0])
        if decode.frames == "spread":
            frames = full = min(frames, decode.n_spread)
        else:
            full = min(frames, 2 * decode.n_spread)
        self._looks += _OF_A_FRAME * (frames - 1)
        self._dear += _OF_A_FRAME * (full - 1)


def _looks(
    answer: Generator[bytearray, None, str], bounds: LookBounds, counter: LookCounter
) -> Generator[Look, None, str]:
    while True:
        try:
            part = next(answer)
        except StopIteration as end:
            return str(end.value)
        try:
            look = unpack_look(part, bounds)
            counter.take(look)
        except (ValueError, OverflowError):
            answer.throw(bad_answer())
        else:
            yield look


def is_dear(data: bytes, decode: DecodePolicy, header: Header | None = None) -> bool:
    """Whether a picture takes seconds rather than tenths of one, by its header: pixels, frames and scans.

    Parameters
    ----------
    data : bytes
        The file.
    decode : DecodePolicy
        Which frames are decoded.
    header : Header, optional
        The file's, where it has been read.
    """
    header = header or sniff(data)
    if header is None or header.size is None:
        return False
    pixels = header.size[0] * header.size[1]
    if header.container == "JPEG":
        return pixels * max(1, count_scans(data, header.segments)) > _DEAR
    frames = None if decode.frames == "first" else count_source(data, decode)
    return pixels * (1 if frames is None else min(frames[0], decode.max_frames)) > _DEAR


def _warn_of(protection: Protection) -> None:
    """Say once in a process that its own memory is not out of a worker's reach."""
    if not protection.keeps_host_memory:
        warnings.warn(
            "neither Landlock nor seccomp holds on this machine: a worker process that a picture has taken over can"
            ' read and change the memory of this one; Isolation(require="strong") refuses to work so',
            WeakIsolationWarning,
            stacklevel=2,
        )


def memory_for(policy: MatchPolicy) -> int:
    """Address space that the largest picture a policy allows may take, bytes: 1 GiB for the programs and 28 a pixel."""
    return _BESIDES + _PER_PIXEL * policy.decode.max_pixels + 2 * policy.decode.max_bytes


def protection(isolation: Isolation | None = None) -> Protection:
    """Say what holds worker processes back on this machine: one is started and asked.

    Parameters
    ----------
    isolation : Isolation, optional
        How it is to be shut in.

    Raises
    ------
    IsolationError
        If no worker can be started, or a measure that is required does not hold.

    Notes
    -----
    Cost: a second.
    """
    policy = MatchPolicy(name="protection", rules=(Rule(algorithm="pdq", threshold=0),))
    reader = IsolatedReader(policy, Isolation() if isolation is None else isolation)
    try:
        return reader.protection
    finally:
        reader.close()
