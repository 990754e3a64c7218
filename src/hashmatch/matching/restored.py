"""Reports read back from their JSON-ready form: `MatchReport.from_dict`.

Driven by the types of the fields, as `hashmatch.forms` is; a report differs from settings in that its keys are not all
fields, and in that nothing may be left unread: a key that is not understood may say why "no match" is not the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hashmatch.errors import HashFormatError
from hashmatch.view import Margins

__all__ = ["restored"]

Kind = TypeVar("Kind")

_SIDES = ("left", "top", "right", "bottom")


def restored(kind: type[Kind], data: Any, names: Mapping[type, Mapping[str, str]], where: str = "report") -> Kind:
    """Make an object of what its ``to_dict`` gave.

    Parameters
    ----------
    kind : type
        A dataclass with ``to_dict``.
    data : mapping
        What it gave, or what JSON made of that.
    names : mapping
        By class, keys of the form that are not called as their field.
    where : str
        Where the data stands, for messages.

    Raises
    ------
    HashFormatError
        If a key is unknown or missing, or a value is of a wrong type or out of range. The message names the key.
    """
    if not isinstance(data, Mapping):
        raise HashFormatError(f"{where} must be a mapping")
    keys = {field: key for key, field in names.get(kind, {}).items()}
    hints = get_type_hints(kind)
    values = {}
    for item in fields(kind):  # type: ignore[arg-type]
        key = keys.get(item.name, item.name)
        if not item.compare:
            continue
        if key in data:
            values[item.name] = _read(hints[item.name], data[key], names, f"{where}: {key}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise HashFormatError(f"{where}: {key} is missing")
    try:
        made = kind(**values)
    except ValueError as error:
        raise HashFormatError(f"{where}: {error}") from None
    for key in data.keys() - made.to_dict().keys():  # type: ignore[attr-defined]
        raise HashFormatError(f"{where}: the key {str(key)[:40]!r} is unknown; a newer hashmatch may have written it")
    return made


def _read(hint: Any, value: Any, names: Mapping[type, Mapping[str, str]], where: str) -> Any:
    """Read a value of one type."""
    origin, choices = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (hint,) = (choice for choice in choices if choice is not NoneType)
        return None if value is None else _read(hint, value, names, where)
    if hint is Margins:
        return _margins(value, where)
    if is_dataclass(hint):
        return restored(hint, value, names, where)  # type: ignore[arg-type]
    if origin is tuple:
        return _tuple(choices, value, names, where)
    if origin is Mapping:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise HashFormatError(f"{where} must be a mapping of text")
        return {key: _read(choices[1], item, names, where) for key, item in value.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {member.value: member for member in hint}
        if not isinstance(value, str) or value not in members:
            raise HashFormatError(f"{where} must be one of: {', '.join(members)}")
        return members[value]
    if not isinstance(value, (int, float) if hint is float else hint) or (isinstance(value, bool) != (hint is bool)):
        raise HashFormatError(f"{where} must be {hint.__name__}, not {type(value).__name__}")
    return value


def _tuple(choices: tuple[Any, ...], value: Any, names: Mapping[type, Mapping[str, str]], where: str) -> Any:
    if choices[-1] is not Ellipsis:  # a box
        if not isinstance(value, Mapping) or value.keys() != set(_SIDES):
            raise HashFormatError(f"{where} must have {', '.join(_SIDES)}")
        return tuple(_read(hint, value[side], names, where) for hint, side in zip(choices, _SIDES, strict=True))
    if not isinstance(value, list | tuple):
        raise HashFormatError(f"{where} must be a list")
    return tuple(_read(choices[0], item, names, f"{where} {place}") for place, item in enumerate(value))


def _margins(value: Any, where: str) -> Margins:
    """Read shares of 1 as thousandths."""
    if not isinstance(value, Mapping) or not value.keys() <= set(_SIDES):
        raise HashFormatError(f"{where} must have no other keys than {', '.join(_SIDES)}")
    shares = {side: _read(float, share, {}, where) for side, share in value.items()}
    try:
        made = Margins(**{side: round(share * 1000) for side, share in shares.items()})
    except (ValueError, OverflowError) as error:
        raise HashFormatError(f"{where}: {error}") from None
    if made.to_dict() != {side: share for side, share in shares.items() if share}:
        raise HashFormatError(f"{where} must be whole thousandths")
    return made
