"""From a source (bytes, path, file, picture, array) to the bytes of a file, read within bounds.

This module does not import Pillow: a digest needs no decoder.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

import numpy as np

from hashmatch.errors import ImageError, ImageTooLargeError, UnreadableImageError
from hashmatch.foreign_errors import is_interruption
from hashmatch.picture.header import check_header
from hashmatch.picture.policy import DecodePolicy

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

__all__ = [
    "ImageSource",
    "is_pil_image",
    "open_without_waiting",
    "path_error",
    "read_source",
    "read_whole",
    "refusal_of",
]

ImageSource: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | Image.Image | npt.NDArray[Any]"
)
"""What a picture can be given as."""

Bytes: TypeAlias = bytes | bytearray | memoryview

_CHUNK: Final = 2**20
_HEAD: Final = 2**16
_OF_THE_REST: Final = frozenset({"truncated", "corrupt"})  # what a head alone looks like


def is_pil_image(source: object) -> bool:
    """Tell whether the object is a Pillow picture, without loading Pillow."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(source, module.Image)


def read_source(source: ImageSource, policy: DecodePolicy | None = None) -> bytes | None:
    """Read the bytes of the file behind a source.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        The source. A binary file is read from its current position to its end, and left open. Only regular files are
        read from a path.
    policy : DecodePolicy, optional
        ``max_bytes`` bounds the bytes that are read.

    Returns
    -------
    bytes or None
        The file's bytes; None for PIL images and arrays, which have none.

    Raises
    ------
    UnreadableImageError
        With reason ``not-found``, ``is-a-directory``, ``not-a-file``, ``not-permitted`` or ``read-failed``. The last
        one replaces every exception of a file object while it is read, except one that a signal handler raises and an
        `ImageError`, which has a reason of its own.
    ImageTooLargeError
        With reason ``too-many-bytes``; at most ``max_bytes + 1`` bytes have been read.
    TypeError
        If the source has another type, is a file opened as text, or is read with await.
    """
    policy = DecodePolicy() if policy is None else policy
    data, whole = read_whole(source, policy)
    if not whole:
        raise _too_large(policy)
    return data


def read_whole(
    source: ImageSource, policy: DecodePolicy, tap: Callable[[Bytes], object] | None = None
) -> tuple[bytes | None, bool]:
    """Read the file behind a source, or the first bytes of a file that is over the limit.

    Parameters
    ----------
    source, policy
        As for `read_source`.
    tap : callable, optional
        Called with every part of the file in order, for example for a digest. A file of any size is then read once to
        its end, and at most ``max_bytes`` of it are held; the caller must bound a stream that may never end.

    Returns
    -------
    (bytes or None, bool)
        The bytes of the file and True; for a file over ``max_bytes`` its first bytes and False (`refusal_of` makes the
        error); None and True for PIL images and arrays.

    Raises
    ------
    UnreadableImageError, TypeError
        As `read_source`; also with reason ``changed``, if a file over the limit was modified while it was read: its
        parts then belong to different contents.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _take_bytes(source, policy, tap)
    if isinstance(source, np.ndarray) or is_pil_image(source):
        return None, True
    if isinstance(source, str | os.PathLike):
        return _read_path(source, policy, tap)
    if callable(getattr(source, "read", None)):
        return _read_stream(source, policy, tap)
    raise TypeError(
        "a picture is given as bytes, a path, a binary file, a PIL image or a NumPy array,"
        f" not as {type(source).__name__}"
    )


def refusal_of(head: bytes, policy: DecodePolicy) -> ImageError:
    """Make the error for a file over the limit from its first bytes; an unread format comes before the size."""
    try:
        check_header(head, policy)
    except UnreadableImageError as error:
        if error.reason not in _OF_THE_REST:
            return error
    except ImageTooLargeError:
        pass
    return _too_large(policy)


def _take_bytes(
    source: bytes | bytearray | memoryview, policy: DecodePolicy, tap: Callable[[Bytes], object] | None
) -> tuple[bytes, bool]:
    view = memoryview(source)
    if not view.c_contiguous:
        view = memoryview(view.tobytes())
    if tap is not None and view.nbytes:
        flat = view.cast("B")
        for at in range(0, len(flat), _CHUNK):
            tap(flat[at : at + _CHUNK])
    whole = view.nbytes <= policy.max_bytes
    return bytes(source) if whole else bytes(view.cast("B")[:_HEAD]), whole


def _read_path(
    path: str | os.PathLike[str], policy: DecodePolicy, tap: Callable[[Bytes], object] | None
) -> tuple[bytes, bool]:
    try:
        with open(path, "rb", buffering=0, opener=open_without_waiting) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise UnreadableImageError("the path is a device, pipe or socket, not a file", reason="not-a-file")
            data, whole = _read_stream(file, policy, tap, before.st_size)
            if not whole and tap is not None:
                after = os.fstat(file.fileno())
                if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                    raise _changed()
            return data, whole
    except OSError as error:
        failure = path_error(error)
    except ValueError as error:
        if isinstance(error, ImageError):
            raise
        failure = UnreadableImageError("the path holds a character no path can hold", reason="not-found")
    raise failure from None  # the cause would carry the file's name into logs


def open_without_waiting(path: str, flags: int) -> int:
    """Open at once: a pipe without a writer would block for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def path_error(error: OSError) -> UnreadableImageError:
    """Make the error for a path that cannot be opened or read, without its name."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UnreadableImageError("there is no file at this path", reason="not-found")
    if isinstance(error, IsADirectoryError):
        return UnreadableImageError("the path is a directory; give the files in it", reason="is-a-directory")
    if isinstance(error, PermissionError):
        return UnreadableImageError("this process may not read the file; check its permissions", reason="not-permitted")
    return UnreadableImageError(
        f"the file cannot be read: {error.strerror or 'input/output error'}", reason="read-failed"
    )


def _read_stream(
    stream: Any, policy: DecodePolicy, tap: Callable[[Bytes], object] | None, stated: int | None = None
) -> tuple[bytes, bool]:
    """Read a stream; where the system has stated a size that is over the limit, only its head is held."""
    is_large = stated is not None and stated > policy.max_bytes
    bound = _HEAD if is_large else policy.max_bytes
    parts: list[bytes] = []
    size = 0
    while size <= bound and (part := _part(stream, min(bound + 1 - size, _CHUNK))):
        parts.append(bytes(part))
        size += len(part)
        if tap is not None:
            tap(part)
    if size <= bound and not is_large:
        return b"".join(parts), True
    head = _head(parts)
    parts.clear()
    if tap is not None:
        while part := _part(stream, _CHUNK):
            tap(part)
            size += len(part)
            if stated is not None and size > max(stated, policy.max_bytes):
                raise _changed()  # it may grow for ever
    return head, False


def _part(stream: Any, size: int) -> Bytes:
    try:
        part = stream.read(size)
    except ImageError:  # a member of a container says itself what is wrong with it
        raise
    except Exception as error:  # an archive, a download, a storage service: each has errors of its own
        if is_interruption(error):
            raise
        part = None
    if part is None:
        raise UnreadableImageError("reading from the file failed; try again", reason="read-failed") from None
    if not isinstance(part, bytes | bytearray | memoryview):
        if isawaitable(part):
            close = getattr(part, "close", None)
            if callable(close):
                close()  # or Python warns that it was never awaited
            raise TypeError("the file is read with await: await its bytes and give those")
        raise TypeError('the file gives text, not bytes: open it with mode "rb"')
    return part


def _head(parts: list[bytes]) -> bytes:
    head = b""
    for part in parts:
        head += part[: _HEAD - len(head)]
        if len(head) == _HEAD:
            break
    return head


def _changed() -> UnreadableImageError:
    return UnreadableImageError("the file was written to while it was read; try again", reason="changed")


def _too_large(policy: DecodePolicy) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"the file has more than {policy.max_bytes:,} bytes; a DecodePolicy with a larger max_bytes allows it",
        reason="too-many-bytes",
    )
