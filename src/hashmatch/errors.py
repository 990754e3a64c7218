"""Every exception of hashmatch; the lowest floor, imports nothing of ours.

The tree (the built-in parents stand in brackets)::

    HashmatchError (Exception)                  never raised itself
      ImageError                                about one picture; carries ``reason``
        UnreadableImageError (ValueError)       not decodable, truncated, missing, not allowed
        ImageTooLargeError (ValueError)         over a limit on bytes, pixels or frames
      HashFormatError (ValueError)              text or bytes are not a hash
      AlgorithmMismatchError (ValueError)       two hashes that cannot be compared
      ReferenceListError (ValueError)           bad list file or bad request to a list
        BundleError                             a signed list that is not taken, or cannot be made; ``reason``
        MissingVersionError                     a version of a list that is not at hand; ``at_hand``
      IndexFormatError (ValueError)             index file of wrong magic, version, length or checksum
      PolicyError (ValueError)                  a policy that contradicts itself or cannot be carried out
      IsolationError (RuntimeError)             no worker process, or one that is too weakly protected; ``reason``
      FeedError (RuntimeError)                  the service of a feed cannot be asked; ``reason``
      AuditError (ValueError)                   an audit log is not what it must be, or not writable; ``reason``
      SignatureError (ValueError)               a key, signature or sealed file is not what it must be; ``reason``
      LedgerError (RuntimeError)                the ledger of a scan cannot be used as asked; ``reason``
      BusyError (RuntimeError)                  no answer in the time given, or too many wait; ``reason``
      AddressError (ValueError)                 text is no address of the web, or is not listed so; ``reason``

No message ever holds a hash, pixel data, an address of the web or the name of an image file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

__all__ = [
    "AddressError",
    "AlgorithmMismatchError",
    "AuditError",
    "BundleError",
    "BusyError",
    "FeedError",
    "HashFormatError",
    "HashmatchError",
    "ImageError",
    "ImageTooLargeError",
    "IndexFormatError",
    "IsolationError",
    "LedgerError",
    "MissingVersionError",
    "PolicyError",
    "ReferenceListError",
    "SignatureError",
    "UnreadableImageError",
    "WeakIsolationWarning",
]


class HashmatchError(Exception):
    """Base of all errors of hashmatch; never raised itself."""


class ImageError(HashmatchError):
    """Something about one picture.

    Parameters
    ----------
    message : str
        What is wrong and what to do; without file names.
    reason : str
        Stable machine-readable word, for example ``"truncated"`` or ``"too-many-pixels"``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        # without it the error cannot come back from a worker process, and takes the pool of workers down
        return partial(type(self), reason=self.reason), self.args


class UnreadableImageError(ImageError, ValueError):
    """The source cannot be decoded: missing, a directory, empty, truncated, corrupt or of a format not allowed."""


class ImageTooLargeError(ImageError, ValueError):
    """The source is over a limit of the `DecodePolicy`; found before the codec runs where the header tells."""


class HashFormatError(HashmatchError, ValueError):
    """Text or bytes are not a hash of the stated algorithm, or a mapping is no report of a match."""


class AlgorithmMismatchError(HashmatchError, ValueError):
    """Two hashes, or a hash and an index, of different algorithms or lengths."""


class ReferenceListError(HashmatchError, ValueError):
    """A list file is corrupt, foreign, of another version, or was asked for something impossible."""


class BundleError(ReferenceListError):
    """A bundle is not taken, and the list stays as it was; or a bundle cannot be made. Signatures: `SignatureError`.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    reason : str
        Of the file: ``"no-bundle"``, ``"truncated"``, ``"damaged"``, ``"malformed"`` or ``"sealed"``. Of what it says:
        ``"expired"``, ``"old-version"``, ``"forked"``, ``"wrong-base"`` or ``"another-list"``. Of the list that should
        take it: ``"no-trust"``, ``"other-trust"`` or ``"changed-here"``. Of making one: ``"no-history"``,
        ``"nothing-new"``, ``"terms"`` or ``"too-large"``.
    """

    def __init__(self, message: str, *, reason: str = "no-bundle") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), self.args


class MissingVersionError(ReferenceListError):
    """A version of a list that is asked for and is not at hand.

    Parameters
    ----------
    message : str
        What is missing, and what is there.
    at_hand : iterable of int
        The versions that are at hand, ascending.
    """

    def __init__(self, message: str, *, at_hand: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.at_hand = tuple(at_hand)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), at_hand=self.at_hand), self.args


class IndexFormatError(HashmatchError, ValueError):
    """An index file has the wrong magic, version, length or checksum."""


class PolicyError(HashmatchError, ValueError):
    """A policy contradicts itself or asks for what this version cannot do."""


class IsolationError(HashmatchError, RuntimeError):
    """A worker process cannot be started or used.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    reason : str
        ``"no-worker"``, ``"protection-too-weak"`` or ``"closed"``.
    """

    def __init__(self, message: str, *, reason: str = "no-worker") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), self.args


class LedgerError(HashmatchError, RuntimeError):
    """The ledger of a scan cannot be used as it is asked to be; what it holds stays.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    reason : str
        ``"damaged"``, ``"foreign"``, ``"newer"``, ``"missing"``, ``"disk-full"``, ``"busy"``, ``"unusable"``,
        ``"other-policy"``, ``"other-lists"`` or ``"other-names"``.
    """

    def __init__(self, message: str, *, reason: str = "damaged") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), self.args


class BusyError(HashmatchError, RuntimeError):
    """No answer, because there was no time for one: nothing is known about the picture, so ask again later.

    Parameters
    ----------
    message : str
        What took too long.
    reason : str
        ``"timeout"``: the caller's time is over; ``"queue-full"``: the queue holds as many pictures as it may.
    """

    def __init__(self, message: str, *, reason: str = "timeout") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), self.args


class FeedError(HashmatchError, RuntimeError):
    """The service of a feed cannot be asked, or its answer is none. No message has a secret, an address or an answer.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    reason : str
        ``"refused-token"``, ``"bad-token"``, ``"bad-address"``, ``"unreachable"``, ``"busy"``, ``"too-large"``,
        ``"redirected"``, ``"no-page"`` or ``"no-httpx"``.
    """

    def __init__(self, message: str, *, reason: str = "no-page") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), self.args


class SignatureError(HashmatchError, ValueError):
    """A key, a signed statement or a sealed file is not what it must be. No message shows a secret.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    reason : str
        Of keys and their files: ``"bad-key"``, ``"exists"``, ``"no-file"``, ``"open-to-others"`` or
        ``"no-cryptography"``. Of what is signed: ``"bad-note"``, ``"bad-signature"``, ``"unknown-key"``,
        ``"missing-signature"`` or ``"bad-rotation"``. Of what is sealed: ``"bad-seal"`` or ``"not-for-this-key"``.
    """

    def __init__(self, message: str, *, reason: str = "bad-note") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), self.args


class AuditError(HashmatchError, ValueError):
    """An audit log is damaged, of other keys, cannot be read or written, or lacks what is asked for.

    Parameters
    ----------
    message : str
        What is wrong; never shows what a record says.
    reason : str
        ``"damaged"``, ``"bad-checkpoint"``, ``"bad-proof"``, ``"bad-record"``, ``"no-log"``, ``"no-record"``,
        ``"purged"``, ``"too-long"``, ``"wrong-key"``, ``"unreadable"``, ``"unwritable"`` or ``"closed"``.
    """

    def __init__(self, message: str, *, reason: str = "damaged") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), self.args


class AddressError(HashmatchError, ValueError):
    """Text is no address of the web, or a list does not take it so. No message shows the address.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    reason : str
        Of reading: ``"not-web"``, ``"no-host"`` or ``"too-long"``; ``"no-parser"`` where the extra is missing. Of
        listing: a word of `hashmatch.urls.REASONS`.
    """

    def __init__(self, message: str, *, reason: str = "no-host") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), self.args


class WeakIsolationWarning(RuntimeWarning):
    """Worker processes are in use that nothing keeps from reading or changing the memory of this process."""
