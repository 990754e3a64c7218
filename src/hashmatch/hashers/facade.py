"""From a source to its hashes: `hash_image` and `fingerprint`.

The only module that uses both pictures and hashers; all rooms above work on the `Fingerprint` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from hashmatch.algorithms import Metric, algorithm_named
from hashmatch.errors import ImageTooLargeError, UnreadableImageError
from hashmatch.hashers.base import Hasher, refuse_opaque
from hashmatch.hashers.classic import ClassicHasher
from hashmatch.hashers.digest import Digester
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.picture import DecodePolicy, iter_rasters, read_whole, refusal_of
from hashmatch.view import Turn, View

if TYPE_CHECKING:
    from hashmatch.picture import ImageSource

__all__ = ["PICTURE_HASHERS", "fingerprint", "hash_image", "hash_view", "iter_view_hashes"]

_PDQ: Final[Hasher] = PDQHasher()
_SEARCHING: Final[Hasher] = PDQHasher(searching=True)
_GUESSING: Final[Hasher] = PDQHasher(exact=False, searching=True)
_USUAL: Final = DecodePolicy()

PICTURE_HASHERS: Final[Mapping[str, Hasher]] = MappingProxyType(
    {
        "pdq": _PDQ,
        **{
            name + suffix: ClassicHasher(name + suffix)
            for name in ("ahash", "dhash", "phash", "whash")
            for suffix in ("", "-256")
        },
    }
)
"""The hasher of every algorithm that is computed from pixels."""


def hash_image(
    source: ImageSource,
    algorithm: str = "pdq",
    *,
    decode: DecodePolicy | None = None,
    keypoint_key: bytes | None = None,
) -> HashValue:
    """Hash one picture by one algorithm.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The picture. Arrays are (H, W, 3) or (H, W), uint8 or float from 0 to 255.
    algorithm : str
        Name of an algorithm that can be computed: ``pdq``, a classic hash, ``keypoint``, or a digest of the file's
        bytes.
    decode : DecodePolicy, optional
        Formats and limits.
    keypoint_key : bytes, optional
        Secret key of ``keypoint`` records that stay within one organisation; see ``docs/explanation/privacy.md``.

    Returns
    -------
    HashValue
        Hash of the first frame, with transparency on white. The hash of a plain picture distinguishes little:
        `fingerprint` returns the quality too.

    Raises
    ------
    ImageError
        If the source or its first frame cannot be read or is over a limit.
    HashFormatError
        If the algorithm is unknown or can only be stored (``photodna``).

    Notes
    -----
    Cost: the decode, and one pass of the hasher over the pixels.
    """
    first = _first_frame(_USUAL if decode is None else decode)
    return fingerprint(source, (algorithm,), decode=first, keypoint_key=keypoint_key).view_hashes[0].value


@lru_cache(maxsize=64)
def _first_frame(policy: DecodePolicy) -> DecodePolicy:
    return replace(policy, frames="first")


def fingerprint(
    source: ImageSource,
    algorithms: Iterable[str] = ("pdq",),
    *,
    turns: bool = False,
    decode: DecodePolicy | None = None,
    keypoint_key: bytes | None = None,
) -> Fingerprint:
    """Compute several hashes of one picture.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The picture; digests need bytes, a path or a binary file, of any size.
    algorithms : iterable of str
        Algorithms that can be computed; repeated names count once. ``keypoint`` must be named: a record shows about as
        much as a small grey copy of the picture, see ``docs/explanation/privacy.md``.
    turns : bool
        Whether the seven other turns are hashed too. Queries may have turns; lists take upright pictures only. Keypoint
        records need no turns.
    decode : DecodePolicy, optional
        Formats and limits, and whether every frame is hashed.
    keypoint_key : bytes, optional
        Secret key of ``keypoint`` records; see ``docs/explanation/privacy.md``.

    Returns
    -------
    Fingerprint
        Digests first, then each algorithm for each frame and background. Transparent pictures have a second view on
        black if it differs. Pictures that a colour profile or gamma changes have a further view with their colours as
        they are shown. Views as other clients read a file exist only if ``decode`` requests them; they are for
        searches. The quality of every perceptual hash is that of PDQ, 0 to 100.

    Raises
    ------
    ImageError
        If the source cannot be read or is over a limit.
    HashFormatError
        If an algorithm is unknown or can only be stored.
    """
    if isinstance(algorithms, str):
        raise TypeError('algorithms is a sequence of names: write ("pdq",), not "pdq"')
    names = tuple(dict.fromkeys(algorithm_named(name).name for name in algorithms))
    digest_names = tuple(name for name in names if algorithm_named(name).metric is Metric.EXACT)
    picture_names = tuple(name for name in names if name not in digest_names)
    _check_computable(names, picture_names)
    policy = _USUAL if decode is None else decode
    view_hashes: list[ViewHash] = []
    opened: Any = source
    if digest_names:
        digester = Digester(digest_names)
        data, whole = read_whole(source, policy, digester.update)
        if data is None:
            raise UnreadableImageError(
                "a digest is of a file's bytes: give bytes, a path or a binary file", reason="no-bytes"
            )
        if picture_names and not whole:
            raise refusal_of(data, policy)
        view_hashes += [ViewHash(value=value) for value in digester.values()]
        opened = data
    if picture_names:
        view_hashes += iter_view_hashes(opened, picture_names, turns=turns, decode=policy, keypoint_key=keypoint_key)
    return Fingerprint(tuple(view_hashes))


def iter_view_hashes(
    source: ImageSource,
    algorithms: tuple[str, ...],
    *,
    turns: bool,
    decode: DecodePolicy,
    keypoint_key: bytes | None = None,
) -> Iterator[ViewHash]:
    """Hash one view after the other, so that the views before a broken frame are not lost.

    Parameters
    ----------
    source, turns, decode, keypoint_key
        As for `fingerprint`.
    algorithms : tuple of str
        Names of `PICTURE_HASHERS`, and ``keypoint``.

    Yields
    ------
    ViewHash
        Hashes in the order of `fingerprint`. The errors are the same; each is raised at its frame.
    """
    try:
        for raster in iter_rasters(source, decode):
            yield from hash_view(raster.pixels, raster.view, algorithms, turns=turns, keypoint_key=keypoint_key)
    except MemoryError:
        failure = ImageTooLargeError(
            "there is not enough memory to hash the picture; a DecodePolicy with a smaller max_pixels refuses it",
            reason="out-of-memory",
        )
    else:
        return
    raise failure


def _check_computable(names: tuple[str, ...], picture_names: tuple[str, ...]) -> None:
    if not names:
        raise ValueError("name at least one algorithm")
    for name in picture_names:
        refuse_opaque(algorithm_named(name))


def hash_view(
    pixels: Any,
    view: View,
    names: tuple[str, ...],
    *,
    turns: bool,
    keypoint_key: bytes | None = None,
    exact: bool = True,
    searching: bool = False,
) -> list[ViewHash]:
    """Hash pixels by every algorithm, each with the quality of PDQ, since the others measure none.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        Pixels to hash.
    view : View
        View that the pixels are of.
    names : tuple of str
        Names of `PICTURE_HASHERS`, and ``keypoint``.
    turns : bool
        Whether the seven other turns are hashed too.
    keypoint_key : bytes, optional
        Secret key of ``keypoint`` records.
    exact, searching : bool
        ``exact``: whether PDQ equals the reference to the bit; hashes that do not are for searches only. ``searching``:
        whether the quality is that of what is compared, see `PDQHasher`.

    Returns
    -------
    list of ViewHash
        For each algorithm the upright hash, then the turns.
    """

    def hashed_by(hasher: Hasher) -> Mapping[Turn, tuple[HashValue, int | None]]:
        return hasher.hash_turns(pixels) if turns else {Turn.NONE: hasher.hash_pixels(pixels)}

    views = _in_turns(view) if turns else {Turn.NONE: view}
    by_pdq = hashed_by(_GUESSING if not exact else _SEARCHING if searching else _PDQ)
    found = []
    for name in names:
        if name == "keypoint":
            record = _keypoint_record(pixels, keypoint_key)
            found.append(ViewHash(value=record, quality=by_pdq[Turn.NONE][1], view=view))
            continue
        hashed = by_pdq if name == "pdq" else hashed_by(PICTURE_HASHERS[name])
        found += [
            ViewHash(value=value, quality=by_pdq[turn][1], view=views[turn]) for turn, (value, _) in hashed.items()
        ]
    return found


@lru_cache(maxsize=64)
def _in_turns(view: View) -> Mapping[Turn, View]:
    """Give a view in all turns; looked up at once, for to find one costs as much as to make it."""
    return MappingProxyType({turn: replace(view, turn=turn) for turn in Turn})


def _keypoint_record(pixels: Any, key: bytes | None) -> HashValue:
    # it needs SciPy, which nobody pays for who does not ask for it
    from hashmatch.hashers.keypoint import KeypointHasher

    return KeypointHasher(key=key).hash_pixels(pixels)[0]
