"""What a configuration file says of a service: `ServiceConfig` and its tables, every key checked.

Floor: service. Tokens and secrets stand in files of their own, which are named here.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from hashmatch.errors import PolicyError
from hashmatch.forms import from_plain
from hashmatch.policy import MatchPolicy, Selection
from hashmatch.policy.selections import Where
from hashmatch.profiles import PRESETS, STANDARD, policy_from_dict

__all__ = [
    "HMA_MATCHES",
    "AuditSettings",
    "DecodingSettings",
    "LimitSettings",
    "ListSettings",
    "SecondStageSettings",
    "ServerSettings",
    "ServiceConfig",
    "UrlSettings",
    "config_from_toml",
]

HMA_MATCHES: Final = 10_000
"""Least of the matches that an answer holds where the routes of Hasher-Matcher-Actioner are served."""

_OF_SELECTION: Final = tuple(item.name for item in fields(Selection) if item.name != "where")


def _check(what: str, settings: Any, **bounds: tuple[float, float]) -> None:
    for name, (least, most) in bounds.items():
        value = getattr(settings, name)
        if value is not None and not (least <= value <= most and math.isfinite(value)):
            raise PolicyError(f"{name} of {what} must be from {least:g} to {most:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the service listens and how it stops; table ``[server]``.

    Parameters
    ----------
    host : str
        Address; other than loopback only with tokens.
    port : int
        TCP port, 0 to 65535; 0 takes a free one.
    token_file : str or None
        File of tokens, see `hashmatch.service.tokens.Tokens.parse`.
    log_requests : bool
        Whether each request has a line in the log.
    hma : bool
        Whether the routes of Hasher-Matcher-Actioner are served too, see `hashmatch.service.hma`.
    hma_without_token : bool
        Whether those routes ask for no token, because their clients send none.
    stop_seconds : float
        Most seconds that requests in flight get to end after a SIGTERM.
    drain_seconds : float
        Seconds between a SIGTERM, when ``/readyz`` begins to fail, and the end of listening.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: str | None = None
    log_requests: bool = True
    hma: bool = False
    hma_without_token: bool = False
    stop_seconds: float = 20.0
    drain_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.hma_without_token and not self.hma:
            raise PolicyError("hma_without_token of [server] goes with hma = true")
        _check("[server]", self, port=(0, 65535), stop_seconds=(0.1, 3600), drain_seconds=(0, 600))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds on what a request may cost; table ``[limits]``. Memory for uploads is ``in_flight`` times ``body_bytes``.

    Parameters
    ----------
    body_bytes : int
        Largest body, bytes; also the largest line of a batch.
    header_seconds, body_seconds : float
        Most seconds in which a request's headers, and its body, arrive.
    in_flight : int
        Most requests with a body that are held at once.
    wait_seconds : float
        Longest wait for a decoding process that a picture is taken in for: where the wait is predicted to be longer,
        the answer is 429 at once.
    answer_seconds : float
        Most seconds for waiting, decoding and searching together.
    hashes : int
        Most hashes of one request.
    connections : int
        Most connections at once, also those on which nothing is asked.
    batch_in_flight : int
        Most lines of one batch that are read ahead of the answers.
    """

    body_bytes: int = 32 * 2**20
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    in_flight: int = 64
    wait_seconds: float = 1.0
    answer_seconds: float = 10.0
    hashes: int = 1_000
    connections: int = 1_000
    batch_in_flight: int = 16

    def __post_init__(self) -> None:
        _check("[limits]", self, body_bytes=(1_024, 2**31), in_flight=(1, 10_000), hashes=(1, 100_000))
        _check("[limits]", self, header_seconds=(0.1, 600), body_seconds=(0.1, 3600), wait_seconds=(0, 3600))
        _check("[limits]", self, answer_seconds=(0.1, 3600), connections=(1, 100_000), batch_in_flight=(1, 1_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingSettings:
    """The decoder pool; table ``[decoding]``.

    Parameters
    ----------
    workers : int or None
        Decoding processes; None is one for each processor that the service may use.
    seconds : float
        Longest time for one picture.
    recycle : int
        Pictures after which a process is replaced.
    require : {"strong", "weak", "none"}
        How far the processes must be shut in, or the service does not start.
    """

    workers: int | None = None
    seconds: float = 10.0
    recycle: int = 1_000
    require: Literal["strong", "weak", "none"] = "strong"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSettings:
    """One list; table ``[lists.NAME]``, where NAME is the list's name.

    The table may also hold what a `hashmatch.policy.Selection` has: ``action``, ``rules``, ``without``,
    ``crop_evidence``, ``rotation_evidence`` and ``keypoint_chance`` hold for the matches of this list.

    Parameters
    ----------
    path : str
        The list's file.
    share : float
        Share of the requests, 0 to 1, that are compared with this list; the others name it as left out.
    max_age : float or None
        Seconds since any of its sources was imported (or, if none ever was, since the file was changed) after which
        the service is not ready.
    sources : mapping of str to float
        The same for single sources.
    """

    path: str
    share: float = 1.0
    max_age: float | None = None
    sources: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check("a list", self, share=(0, 1), max_age=(1, 1e9))
        if not all(1 <= seconds <= 1e9 for seconds in self.sources.values()):
            raise PolicyError("sources of a list are given in seconds, from 1 to 1e9")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondStageSettings:
    """A second, more thorough look, after the answer; table ``[second_stage]``.

    Parameters
    ----------
    policy : str
        Name of its preset.
    keep_seconds : float
        How long its answer can be asked for.
    waiting, waiting_bytes : int
        Most pictures that wait for it, and their bytes together.
    webhook : str or None
        Address to which each answer is posted.
    webhook_secret_file : str or None
        File with the key that signs what is posted (HMAC-SHA-256); needed with a webhook.
    """

    policy: str = "thorough"
    keep_seconds: float = 600.0
    waiting: int = 32
    waiting_bytes: int = 256 * 2**20
    webhook: str | None = None
    webhook_secret_file: str | None = None

    def __post_init__(self) -> None:
        _check("[second_stage]", self, keep_seconds=(1, 86_400), waiting=(1, 10_000), waiting_bytes=(1_024, 2**40))
        if self.policy not in PRESETS:
            raise PolicyError(f"policy must be one of {', '.join(PRESETS)}")
        if self.webhook is not None and not self.webhook.startswith(("https://", "http://")):
            raise PolicyError("webhook must be an address that begins with https:// or http://")
        if (self.webhook is None) != (self.webhook_secret_file is None):
            raise PolicyError("webhook and webhook_secret_file go together")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Table ``[audit]``: every answer is recorded in a log, see ``docs/how-to/audit-log.md``.

    Parameters
    ----------
    log : str
        Folder of the log, which is there: ``hashmatch audit create``.
    key_file : str
        Key file of the log.
    keep_hashes : bool
        Whether hashes of pictures are kept, which a replay needs.
    actor : str
        Who asks, as the records name it.
    """

    log: str
    key_file: str
    keep_hashes: bool = False
    actor: str = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSettings:
    """Lists of known addresses; table ``[urls]``.

    Parameters
    ----------
    paths, key_files : tuple of str
        The lists, and the files of their keys.
    per_second, burst : float, int
        Addresses that one caller may ask for, a second and at once: it must not be possible to try many.
    """

    paths: tuple[str, ...]
    key_files: tuple[str, ...]
    per_second: float = 20.0
    burst: int = 100

    def __post_init__(self) -> None:
        _check("[urls]", self, per_second=(0.001, 100_000), burst=(1, 10_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """Everything that a service is told; the file's top level.

    Parameters
    ----------
    lists : mapping of str to ListSettings
        By the list's name.
    paths : tuple of str
        Further lists, without settings.
    policy : MatchPolicy
        What counts as a match; what the tables of the lists say stands in front of its selections.
    index_folder : str or None
        Folder of index files.
    reload_seconds : float
        Seconds between two looks whether the lists have changed.
    unreadable_seconds : float
        Seconds for which a list may be unreadable, and answers are from what was read before, until the service is not
        ready.
    server, limits, decoding, second_stage, audit, urls
        The tables; no second stage, no audit log and no lists of addresses by default.
    """

    lists: Mapping[str, ListSettings] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    policy: MatchPolicy = STANDARD
    index_folder: str | None = None
    reload_seconds: float = 1.0
    unreadable_seconds: float = 60.0
    server: ServerSettings = field(default_factory=ServerSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    decoding: DecodingSettings = field(default_factory=DecodingSettings)
    second_stage: SecondStageSettings | None = None
    audit: AuditSettings | None = None
    urls: UrlSettings | None = None

    @property
    def second_policy(self) -> MatchPolicy:
        """The policy of the second stage: its preset, with the selections and the decoding of the first."""
        stage = PRESETS["thorough" if self.second_stage is None else self.second_stage.policy]
        by_list = f"{stage.name}, by list" if self.policy.selections else stage.name
        return replace(stage, name=by_list, selections=self.policy.selections, decode=self.policy.decode)

    @property
    def searched(self) -> MatchPolicy:
        """The policy by which is searched: clients of Hasher-Matcher-Actioner expect all matches and not the best."""
        most = max(self.policy.max_matches, HMA_MATCHES)
        return replace(self.policy, max_matches=most) if self.server.hma else self.policy

    def __post_init__(self) -> None:
        _check("the configuration", self, reload_seconds=(0.01, 3600), unreadable_seconds=(0, 1e6))

    def in_folder(self, folder: Path) -> ServiceConfig:
        """Take the paths that are relative as of this folder, where the configuration file is."""

        def placed(path: str | None) -> str | None:
            return None if path is None else str(folder / path)

        stage, audit, urls = self.second_stage, self.audit, self.urls
        return replace(
            self,
            lists={name: replace(item, path=str(folder / item.path)) for name, item in self.lists.items()},
            paths=tuple(str(folder / path) for path in self.paths),
            index_folder=placed(self.index_folder),
            server=replace(self.server, token_file=placed(self.server.token_file)),
            second_stage=stage and replace(stage, webhook_secret_file=placed(stage.webhook_secret_file)),
            audit=audit and replace(audit, log=str(folder / audit.log), key_file=str(folder / audit.key_file)),
            urls=urls
            and replace(
                urls,
                paths=tuple(str(folder / path) for path in urls.paths),
                key_files=tuple(str(folder / path) for path in urls.key_files),
            ),
        )


def config_from_toml(text: str, policy: MatchPolicy | None = None) -> ServiceConfig:
    """Read a configuration file.

    Parameters
    ----------
    text : str
        TOML. ``policy`` is the name of a preset or a table as of a policy file.
    policy : MatchPolicy, optional
        Used in place of the file's.

    Raises
    ------
    PolicyError
        If the text is no TOML, a key is unknown, or a value is of a wrong type or out of range; the message names the
        key and what is allowed.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError(f"the configuration file is no TOML: {str(error)[:200]}") from None
    base = _policy(data.pop("policy", "standard")) if policy is None else policy
    data.pop("policy", None)
    tables = data.get("lists", {})
    selections: list[Selection] = []
    if isinstance(tables, Mapping):
        data["lists"] = {name: _list_table(name, table, base, selections) for name, table in tables.items()}
    if selections:
        rest = base.selections or (Selection(),)
        base = replace(base, name=f"{base.name}, by list", selections=(*selections, *rest))
    return replace(from_plain(ServiceConfig, data, "the configuration"), policy=base)


def _policy(given: Any) -> MatchPolicy:
    if isinstance(given, str) and given in PRESETS:
        return PRESETS[given]
    if not isinstance(given, Mapping):
        raise PolicyError(f"the configuration: policy must be one of {', '.join(PRESETS)}, or a table")
    return policy_from_dict(given)


def _list_table(name: str, table: Any, base: MatchPolicy, selections: list[Selection]) -> Any:
    """Take apart what is a selection's and what the list's own."""
    what = f"lists.{name[:40]}"
    if not isinstance(table, Mapping):
        raise PolicyError(f"{what} must be a table")
    known = [item.name for item in fields(ListSettings)]
    for key in table:
        if key not in known and key not in _OF_SELECTION:
            allowed = ", ".join((*known, *_OF_SELECTION))
            raise PolicyError(f"unknown key {str(key)[:40]!r} in {what}; allowed: {allowed}")
    own = {key: value for key, value in table.items() if key in _OF_SELECTION}
    if own:
        made = Selection.from_dict(own, base.rules, what)
        selections.append(replace(made, where=Where(lists=(name,))))
    return {key: value for key, value in table.items() if key in known}
