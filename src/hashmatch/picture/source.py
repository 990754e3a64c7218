"""From what a caller has (bytes, path, file, picture, array) to the bytes of a file, read within bounds.

No Pillow here: a digest needs no decoder.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NoReturn, TypeAlias

import numpy as np

from hashmatch.errors import ImageTooLargeError, UnreadableImageError
from hashmatch.picture.policy import DecodePolicy

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

__all__ = ["ImageSource", "is_pil_image", "read_source"]

ImageSource: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | Image.Image | npt.NDArray[Any]"
)
"""What a picture can be given as."""

_CHUNK: Final = 2**20


def is_pil_image(source: object) -> bool:
    """Tell whether the object is a Pillow picture, without loading Pillow: if nobody has, it is not."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(source, module.Image)


def read_source(source: ImageSource, policy: DecodePolicy | None = None) -> bytes | None:
    """Read the bytes of the file behind a source.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or array
        A binary file is read from where it stands to its end, and left open. Only regular files are read from a path.
    policy : DecodePolicy, optional
        Its ``max_bytes`` bounds what is read.

    Returns
    -------
    bytes or None
        The file's bytes; None for PIL images and arrays, which have none.

    Raises
    ------
    UnreadableImageError
        With reason ``not-found``, ``is-a-directory``, ``not-a-file``, ``not-permitted`` or ``read-failed``.
    ImageTooLargeError
        With reason ``too-many-bytes``; at most ``max_bytes + 1`` bytes have been read.
    TypeError
        If the source is something else, or a file opened as text.
    """
    limit = (DecodePolicy() if policy is None else policy).max_bytes
    if isinstance(source, bytes | bytearray | memoryview):
        size = source.nbytes if isinstance(source, memoryview) else len(source)
        if size > limit:
            _refuse_size(limit)
        return bytes(source)
    if isinstance(source, np.ndarray) or is_pil_image(source):
        return None
    if isinstance(source, str | os.PathLike):
        return _read_path(source, limit)
    if callable(getattr(source, "read", None)):
        return _read_stream(source, limit)
    raise TypeError(
        "a picture is given as bytes, a path, a binary file, a PIL image or a NumPy array,"
        f" not as {type(source).__name__}"
    )


def _read_path(path: str | os.PathLike[str], limit: int) -> bytes:
    try:
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImageError("the path is a device, pipe or socket, not a file", reason="not-a-file")
            if status.st_size > limit:
                _refuse_size(limit)
            return _read_stream(file, limit)
    except OSError as error:
        failure = _path_error(error)
    except ValueError as error:
        if isinstance(error, UnreadableImageError | ImageTooLargeError):
            raise
        failure = UnreadableImageError("the path holds a character no path can hold", reason="not-found")
    raise failure from None  # the cause would carry the file's name into logs


def _open_without_waiting(path: str, flags: int) -> int:
    """Open at once: a pipe without a writer would block for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _path_error(error: OSError) -> UnreadableImageError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UnreadableImageError("there is no file at this path", reason="not-found")
    if isinstance(error, IsADirectoryError):
        return UnreadableImageError("the path is a directory; give the files in it", reason="is-a-directory")
    if isinstance(error, PermissionError):
        return UnreadableImageError("this process may not read the file; check its permissions", reason="not-permitted")
    return UnreadableImageError(
        f"the file cannot be read: {error.strerror or 'input/output error'}", reason="read-failed"
    )


def _read_stream(stream: Any, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit + 1
    while left > 0:
        try:
            part = stream.read(min(left, _CHUNK))
        except OSError:
            part = None
        if part is None:
            raise UnreadableImageError("reading from the file failed; try again", reason="read-failed") from None
        if not isinstance(part, bytes | bytearray | memoryview):
            raise TypeError('the file gives text, not bytes: open it with mode "rb"')
        if not part:
            break
        parts.append(bytes(part))
        left -= len(part)
    if left <= 0:
        _refuse_size(limit)
    return b"".join(parts)


def _refuse_size(limit: int) -> NoReturn:
    raise ImageTooLargeError(
        f"the file has more than {limit:,} bytes; a DecodePolicy with a larger max_bytes allows it",
        reason="too-many-bytes",
    )
