"""`fingerprint`: hashes of a picture for a list, or by a policy; `listed_fingerprint`: for a list, in a worker."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Final

from hashmatch.algorithms import ALGORITHMS, COMPUTED, DIGESTS
from hashmatch.deadline import NO_DEADLINE, Deadline
from hashmatch.errors import PolicyError
from hashmatch.features.query import Query, kept_query, open_source, read_pixels
from hashmatch.hashes import Fingerprint, ViewHash

if TYPE_CHECKING:
    from hashmatch.features.isolated import IsolatedReader
    from hashmatch.jail import Isolation
    from hashmatch.picture import DecodePolicy, ImageSource
    from hashmatch.policy import MatchPolicy

__all__ = ["fingerprint", "listed_fingerprint"]

_USUAL: Final = ("pdq",)


def fingerprint(
    source: ImageSource,
    algorithms: Iterable[str] = _USUAL,
    *,
    turns: bool = False,
    decode: DecodePolicy | None = None,
    keypoint_key: bytes | None = None,
    policy: MatchPolicy | None = None,
    isolation: Isolation | None = None,
) -> Fingerprint:
    """Compute several hashes of one picture: for a list, or with ``policy`` for a query.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The picture; digests need bytes, a path or a binary file.
    algorithms : iterable of str
        Names of algorithms that can be computed, each used once. ``keypoint`` has to be named: a record shows about as
        much as a small grey copy of the picture, see ``docs/explanation/privacy.md``.
    turns : bool
        Whether the seven other turns are hashed too. For queries only: a list takes upright pictures. Keypoint
        records need no turns.
    decode : DecodePolicy, optional
        Formats and limits, and whether every frame is hashed.
    keypoint_key : bytes, optional
        Secret key of ``keypoint`` records; see ``docs/explanation/privacy.md``.
    policy : MatchPolicy, optional
        Compute everything by which this policy compares a picture, in all its views, so that
        `Matcher.match_fingerprint` under the same policy answers as `Matcher.match` does for the picture. It replaces
        the arguments above. What crops, small rotations and keypoints are searched with stays in memory; see
        `Fingerprint`.
    isolation : Isolation, optional
        With ``policy``: decode and hash in a worker process that is started for this call, which takes about a second.
        For many pictures, `Matcher.match` with ``return_fingerprint=True`` uses the matcher's workers.

    Returns
    -------
    Fingerprint
        Digests first, then for each frame and background each algorithm. Transparent pictures have a second view on
        black where that differs. The quality of every perceptual hash is PDQ's measure, 0 to 100.

    Raises
    ------
    ImageError
        If the source cannot be read or is over a limit. With ``policy`` it is not raised: the fingerprint keeps what
        could be read, and ``looked.failure`` says why the rest is missing.
    HashFormatError
        If an algorithm is unknown or can only be stored.
    IsolationError
        If no worker process can be started, or a measure that the isolation requires does not hold.
    TypeError
        If ``policy`` is given with arguments that it replaces, or ``isolation`` without ``policy``.
    """
    if policy is None:
        if isolation is not None:
            raise TypeError("isolation is of fingerprints by a policy: give policy= too")
        from hashmatch.hashers import facade

        return facade.fingerprint(source, algorithms, turns=turns, decode=decode, keypoint_key=keypoint_key)
    if algorithms is not _USUAL or turns or decode is not None or keypoint_key is not None:
        raise TypeError("a policy says what is computed: give policy= alone, without algorithms, turns, decode or key")
    return kept_query(_query(source, policy, isolation))


def _query(source: ImageSource, policy: MatchPolicy, isolation: Isolation | None) -> Query:
    held = frozenset(name for name in ALGORITHMS if policy.rule_for(name) is not None and ALGORITHMS[name].version)
    held |= {"keypoint"} if policy.keypoints is not None else set()
    with ExitStack() as stack:
        reader = None
        if isolation is not None:
            from hashmatch.features.isolated import IsolatedReader

            reader = stack.enter_context(closing(IsolatedReader(policy, isolation)))
        opened, query = open_source(source, held, policy, policy.decode if reader is None else reader.decode)
        return query if query.failure is not None else read_pixels(opened, query.hashes, held, policy, reader)


def listed_fingerprint(
    source: ImageSource,
    algorithms: Iterable[str],
    policy: MatchPolicy,
    reader: IsolatedReader | None = None,
    deadline: Deadline = NO_DEADLINE,
) -> Fingerprint:
    """Compute the hashes that a list would hold of a picture's first frame, in a worker where there is one.

    Parameters
    ----------
    source : bytes, path or binary file
        The picture.
    algorithms : iterable of str
        Names of algorithms that can be computed.
    policy : MatchPolicy
        Formats and limits, and the key of keypoint records; the reader's.
    reader : IsolatedReader, optional
        Looks at the picture in another process.
    deadline : Deadline
        When to give up.

    Returns
    -------
    Fingerprint
        As ``fingerprint(source, algorithms)`` gives it.

    Raises
    ------
    ImageError
        If the source cannot be read in full, or is over a limit.
    BusyError
        If the time is over, or too many pictures wait for a worker.
    PolicyError
        If an algorithm cannot be computed, or the policy has no rule for keypoint records and they are asked for.
    """
    from hashmatch.features.extract import iter_looks
    from hashmatch.hashers.digest import Digester
    from hashmatch.picture import read_whole, refusal_of

    names = tuple(dict.fromkeys(algorithms))
    wants_records = "keypoint" in names
    if not set(names) <= COMPUTED | DIGESTS | {"keypoint"} or (wants_records and policy.keypoints is None):
        raise PolicyError(f"policy {policy.name!r} cannot make all of these hashes of a picture")
    digester = Digester(name for name in names if name in DIGESTS)
    decode = policy.decode if reader is None else reader.decode
    data, whole = read_whole(source, decode, digester.update if digester else None)
    found = [ViewHash(value=value) for value in digester.values()]
    if len(found) == len(names):
        return Fingerprint(tuple(found))
    if data is None:
        raise TypeError("give bytes, a path or a binary file")
    if not whole:
        raise refusal_of(data, decode)
    computed = tuple(name for name in names if name in COMPUTED) or ("pdq",)
    if reader is None:
        looks = iter_looks(data, computed, policy, keypoints=wants_records, listed=True)
    else:
        looks = reader.iter_looks(
            data, computed, keypoints=wants_records, listed=True, until=deadline.until, wait=deadline.wait
        )
    for look in looks:
        found += [item for item in look.hashes if item.value.algorithm in names]
        if look.keypoints is not None and look.keypoints.luma is not None and policy.keypoints is not None:
            from hashmatch.hashers.keypoint import KeypointHasher

            record = KeypointHasher(key=policy.keypoints.key).record_of(look.keypoints.luma)
            found.append(ViewHash(value=record, quality=look.hashes[0].quality, view=look.keypoints.view))
        deadline.check()
    return Fingerprint(tuple(found))
