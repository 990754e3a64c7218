"""Settings as plain dictionaries and back: what stands in a policy file, and what a worker is told.

Driven by the types of the fields, so that a field that is added is written and read without more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hashmatch.errors import HashmatchError, PolicyError

__all__ = ["NONE", "from_plain", "to_plain"]

NONE: Final = "none"
"""How a file without a null says that something is left out."""

_SECRETS: Final = frozenset({"key"})

Kind = TypeVar("Kind")


def to_plain(value: Any) -> Any:
    """Turn settings into dictionaries, lists, texts, numbers, truth values and None; secret keys are left out."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {item.name: to_plain(getattr(value, item.name)) for item in _shown(value)}
    return [to_plain(item) for item in value] if isinstance(value, tuple) else value


def from_plain(kind: type[Kind], data: Any, what: str, base: Kind | None = None) -> Kind:
    """Make settings of a kind.

    Parameters
    ----------
    kind : type
        A dataclass.
    data : mapping
        Values by field, as `to_plain` gives them; fields that are left out are those of ``base``, else the default.
    what : str
        Where the data stands, for messages.
    base : object of that kind, optional
        Settings to begin with.

    Raises
    ------
    PolicyError
        If a key is unknown, a value is of a wrong type or out of range, or a field without default is missing; the
        message names the key and what is allowed.
    """
    if not isinstance(data, Mapping):
        raise PolicyError(f"{what} must be a table, not {_said(data)}")
    known = _shown(kind)
    names = [item.name for item in known]
    for key in data:
        if key in _SECRETS:
            raise PolicyError(f"{what} must not hold a secret key: it is given apart (--key-file)")
        if key not in names:
            raise PolicyError(f"unknown key {str(key)[:40]!r} in {what}; allowed: {', '.join(names)}")
    hints = get_type_hints(kind)
    values = {
        key: _read(hints[key], value, f"{what}: {key}", None if base is None else getattr(base, key))
        for key, value in data.items()
    }
    for item in known:
        if base is None and item.name not in values and item.default is MISSING and item.default_factory is MISSING:
            raise PolicyError(f"{what}: {item.name} is missing")
    try:
        return kind(**values) if base is None else replace(base, **values)  # type: ignore[type-var]
    except HashmatchError as error:
        raise PolicyError(f"{what}: {error}") from None


def _shown(kind: Any) -> list[Field[Any]]:
    return [item for item in fields(kind) if item.init and item.name not in _SECRETS]


def _read(hint: Any, value: Any, what: str, base: Any) -> Any:
    """Read a value of one type; ``base`` is what stands there now."""
    origin, choices = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if NoneType in choices and value in (None, NONE):
            return None
        failure = None
        for choice in sorted(choices, key=lambda choice: is_dataclass(choice) != isinstance(value, Mapping)):
            if choice is not NoneType:
                try:
                    return _read(choice, value, what, base)
                except PolicyError as error:
                    failure = failure or error
        raise failure or PolicyError(f"{what} cannot be {_said(value)}")
    if origin is Literal:
        if value in choices and isinstance(value, str):
            return value
        raise PolicyError(f"{what} must be one of {', '.join(map(str, choices))}, not {_said(value)}")
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise PolicyError(f"{what} must be a list, not {_said(value)}")
        return tuple(_read(choices[0], item, what, None) for item in value)
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise PolicyError(f"{what} must be a table, not {_said(value)}")
        return {key: _read(choices[1], item, f"{what}: {str(key)[:40]}", None) for key, item in value.items()}
    if is_dataclass(hint):
        if isinstance(value, hint):  # type: ignore[arg-type]
            return value
        return from_plain(hint, value, what, base if isinstance(base, hint) else None)  # type: ignore[arg-type]
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {member.value: member for member in hint}
        if not isinstance(value, str) or value not in members:
            raise PolicyError(f"{what} must be of {', '.join(members)}; not {_said(value)}")
        return members[value]
    accepted = (int, float) if hint is float else hint
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        word = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}.get(hint, str(hint))
        raise PolicyError(f"{what} must be {word}, not {_said(value)}")
    return value


def _said(value: Any) -> str:
    return repr(value)[:40]
