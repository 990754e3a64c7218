"""`Tokens`: who may ask what. Only digests of tokens are kept, and all are compared, in constant time.

Floor: service.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast

from hashmatch.errors import PolicyError

__all__ = ["SCOPES", "Caller", "Scope", "Tokens"]

Scope: TypeAlias = Literal["match", "status", "admin"]

SCOPES: Final[tuple[Scope, ...]] = ("match", "status", "admin")
"""``match`` asks for answers, ``status`` sees lists and counts, ``admin`` reloads; none includes another."""

_LEAST: Final = 16
_MOST: Final = 512
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a token stands for.

    Parameters
    ----------
    name : str
        Name for logs.
    scopes : frozenset of str
        What it may ask.
    """

    name: str
    scopes: frozenset[str]


ANYBODY: Final = Caller(name="-", scopes=frozenset(SCOPES))


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a service; without any, everybody may ask everything.

    Parameters
    ----------
    digests : tuple of (bytes, Caller)
        SHA-256 of each token, and who it stands for.
    """

    digests: tuple[tuple[bytes, Caller], ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.digests)

    @classmethod
    def parse(cls, text: str) -> Tokens:
        """Read tokens.

        Parameters
        ----------
        text : str
            A line ``NAME SCOPE[,SCOPE] TOKEN`` for each: the name for logs, scopes of `SCOPES`, and 16 to 512
            printable ASCII characters without blanks. Empty lines and those that begin with ``#`` are passed over.

        Raises
        ------
        PolicyError
            If a line is another, or a name or a token comes twice. The message says which line, and shows no token.
        """
        found: dict[bytes, Caller] = {}
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            what = f"line {number} of the tokens"
            if len(words) != 3:
                raise PolicyError(f"{what} is not written NAME SCOPE[,SCOPE] TOKEN")
            name, scopes, token = words[0], words[1].split(","), words[2]
            if not _NAME.fullmatch(name) or name in {caller.name for caller in found.values()}:
                raise PolicyError(f"{what}: a name has 1 to 64 letters, digits and . _ -, and comes once")
            if not set(scopes) <= set(SCOPES):
                raise PolicyError(f"{what}: scopes are {', '.join(SCOPES)}, with commas between")
            if not token.isascii() or not _LEAST <= len(token) <= _MOST:
                raise PolicyError(f"{what}: a token has {_LEAST} to {_MOST} ASCII characters")
            digest = hashlib.sha256(token.encode()).digest()
            if digest in found:
                raise PolicyError(f"{what}: the token stands there twice")
            found[digest] = Caller(name=name, scopes=frozenset(cast("Iterable[str]", scopes)))
        return cls(tuple(found.items()))

    def caller(self, authorization: str | None) -> Caller | None:
        """Tell who asks, by the header ``Authorization: Bearer TOKEN``; None for nobody that is known."""
        if not self.digests:
            return ANYBODY
        kind, _, token = (authorization or "").partition(" ")
        given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for digest, caller in self.digests:
            if hmac.compare_digest(digest, given):
                found = caller
        return found if kind.lower() == "bearer" else None
