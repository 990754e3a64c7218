"""What the category numbers of VICS mean: three tables that are known, and those that a person writes in a TOML file.

Floor: lists. The numbers mean other things in other regions, and 0 and 5 have changed places. So a profile is always
named by who imports, and a number that it does not explain never raises an alarm.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists.entry import MAX_LABEL_NAME, Role, checked_role, checked_text

__all__ = ["PROFILES", "CategoryProfile", "profile_named"]

_NUMBER: Final = re.compile("0|[1-9][0-9]{0,2}")
_MAX_FILE: Final = 65_536
_KEYS: Final = frozenset({"scheme", "roles"})


@dataclass(frozen=True, slots=True)
class CategoryProfile:
    """What the numbers of one region mean.

    Parameters
    ----------
    scheme : str
        Name of the label that holds the number, 1 to 64 characters.
    roles : mapping of int to str
        What entries of a category are listed for, by its number, 0 to 999. A number without a role, and no number,
        is for comparison.
    """

    scheme: str
    roles: Mapping[int, Role] = field(hash=False)

    def __post_init__(self) -> None:
        checked_text(self.scheme, "the scheme of a category profile", MAX_LABEL_NAME)
        if not self.roles:
            raise ReferenceListError("a category profile gives at least one category its role")
        object.__setattr__(
            self, "roles", MappingProxyType({number: checked_role(role) for number, role in self.roles.items()})
        )


def _profile(scheme: str, *roles: Role) -> CategoryProfile:
    return CategoryProfile(scheme, dict(enumerate(roles)))


PROFILES: Final[Mapping[str, CategoryProfile]] = MappingProxyType(
    {
        profile.scheme: profile
        for profile in (
            _profile("vics-us", "benign", "alarm", "alarm", "alarm", "comparison", "comparison"),
            _profile("vics-us-old", "comparison", "alarm", "alarm", "alarm", "comparison", "benign"),
            CategoryProfile("nist", {8: "benign"}),
        )
    }
)
"""The profiles that are known, by name."""


def profile_named(name: str | None) -> CategoryProfile:
    """Find a profile.

    Parameters
    ----------
    name : str or None
        A name of `PROFILES`, or the path of a TOML file, which ends with ``.toml``::

            scheme = "vics-xx"
            [roles]
            1 = "alarm"
            4 = "comparison"
            9 = "benign"

    Raises
    ------
    ReferenceListError
        If there is no such profile, or the file cannot be read or says something else.
    """
    if name is not None and name.lower().endswith(".toml"):
        return _read(name)
    found = PROFILES.get(name or "")
    if found is None:
        raise ReferenceListError(
            "what the category numbers mean must be told, because it differs by region: a category profile is one of "
            f"{', '.join(PROFILES)}, or the path of a TOML file that says it"
        )
    return found


def _read(path: str) -> CategoryProfile:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except (OSError, ValueError):
        raise ReferenceListError("the category profile cannot be read: check its path and permissions") from None
    try:
        said = tomllib.loads(data[: _MAX_FILE + 1].decode("utf-8-sig")) if len(data) <= _MAX_FILE else {}
    except (ValueError, RecursionError):
        raise ReferenceListError("the category profile is no TOML") from None
    roles = said.get("roles")
    scheme = said.get("scheme")
    if said.keys() != _KEYS or not isinstance(scheme, str) or not isinstance(roles, dict):
        raise ReferenceListError("a category profile has a text `scheme` and a table `roles`, and nothing else")
    if not all(_NUMBER.fullmatch(number) and isinstance(role, str) for number, role in roles.items()):
        raise ReferenceListError('the table `roles` of a category profile has lines such as 1 = "alarm"')
    if scheme in PROFILES:
        raise ReferenceListError("the scheme of a category profile of your own needs another name than those known")
    return CategoryProfile(scheme, {int(number): role for number, role in roles.items()})
