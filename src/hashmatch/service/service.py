"""`Service`: what all routes share: the open lists, the settings, the tokens, who watches, and whether it is ready.

Floor: service. Everything in here runs on one loop; what blocks runs in threads of the `AsyncMatcher`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hashmatch.errors import HashmatchError, PolicyError, ReferenceListError
from hashmatch.jail import Isolation
from hashmatch.matching import AsyncMatcher, ListStatus, Matcher, MatchReport
from hashmatch.policy import MatchPolicy
from hashmatch.service.config import AuditSettings, ServiceConfig
from hashmatch.service.tokens import Tokens

if TYPE_CHECKING:
    from hashmatch.audit import AuditLog, Recorder
    from hashmatch.service.second import SecondStage
    from hashmatch.service.url_routes import UrlDoor

__all__ = ["RETRYABLE", "Handled", "Service", "envelope"]

_AT_ONCE: Final = 4  # hashes of a look-up: below a millisecond of the loop's time
_LOGGER: Final = logging.getLogger("hashmatch.service")
RETRYABLE: Final = frozenset({"closed", "list-damaged", "no-worker", "protection-too-weak"})
"""Reasons that lie with the service and not with the picture."""


@dataclass(slots=True, kw_only=True)
class Handled:
    """One request, for logs and metrics; holds no hash, no pixel and no name of a file.

    Parameters
    ----------
    request_id : str
        Identifier, of the caller or made.
    method, route : str
        Method, and the path as the route writes it (``/v1/second/{id}``); an unknown one is ``"-"``.
    caller : str
        Name of the token; ``"-"`` for nobody.
    status : int
        Code of the answer; 0 where the caller went away before it.
    seconds : float
        From the request's headers to the end of the answer.
    code : str or None
        Code of the error, if the answer is one.
    outcome, reason : str or None
        Of the report, if the answer is one.
    """

    request_id: str
    method: str
    route: str = "-"
    caller: str = "-"
    status: int = 0
    seconds: float = 0.0
    code: str | None = None
    outcome: str | None = None
    reason: str | None = None


class Service:
    """Open lists behind HTTP.

    Parameters
    ----------
    matcher : Matcher
        Open; closed by `close`.
    config : ServiceConfig
        Settings.
    tokens : Tokens
        Who may ask what.

    Attributes
    ----------
    checks : AsyncMatcher
        Answers without blocking the loop.
    observers : list of callable
        Each is called with a `Handled` after every request; for logs and metrics.
    in_flight : int
        Requests with a body that are held now.
    log : AuditLog or None
        Where answers are recorded; closed by `close`.
    second : SecondStage or None
        Second looks, if the configuration asks for them.
    urls : UrlDoor or None
        Lists of addresses.
    is_stopping : bool
        Whether a stop has begun: the service answers, and is not ready.
    """

    def __init__(self, matcher: Matcher, config: ServiceConfig | None = None, tokens: Tokens | None = None) -> None:
        self.matcher = matcher
        self.config = ServiceConfig() if config is None else config
        self.tokens = Tokens() if tokens is None else tokens
        limits = self.config.limits
        # a thread for each picture, since those that wait in the lane for dear ones must not keep the others waiting
        self.checks = AsyncMatcher(matcher, in_flight=2 * limits.in_flight, threads=limits.in_flight, at_once=_AT_ONCE)
        self.observers: list[Callable[[Handled], None]] = []
        self.second: SecondStage | None = None
        self.in_flight = 0
        self.is_stopping = False
        self.log: AuditLog | None = None
        self.urls: UrlDoor | None = None
        self._unreadable_since: float | None = None
        self._is_reviving = False
        unknown = set(self.config.lists) - {name for name, _, _ in matcher.lists}
        if unknown:
            there = ", ".join(name for name, _, _ in matcher.lists)
            raise PolicyError(f"[lists.{min(unknown)}]: no list has this name; the lists are called: {there}")

    @classmethod
    def open(
        cls, config: ServiceConfig, tokens: Tokens | None = None, secret: bytes = b"", **isolation: Any
    ) -> Service:
        """Open the lists and start the decoding processes; blocks for seconds.

        Parameters
        ----------
        config : ServiceConfig
            Settings.
        tokens : Tokens, optional
            Who may ask what.
        secret : bytes
            Key that signs what a second stage posts.
        **isolation
            Further parameters of `hashmatch.jail.Isolation`, such as ``environment``.

        Raises
        ------
        ReferenceListError, PolicyError, IsolationError, AuditError, SignatureError
            As `Matcher.open` and `AuditLog.open`; or if a list has another name than its table.
        """
        decoding = config.decoding
        shut_in = Isolation(
            workers=decoding.workers,
            seconds=decoding.seconds,
            recycle=decoding.recycle,
            require=() if decoding.require == "none" else decoding.require,
            max_wait=config.limits.wait_seconds,
            **isolation,
        )
        paths = (*(item.path for item in config.lists.values()), *config.paths)
        stage = config.second_stage
        with ExitStack() as undo:
            log = recorder = None
            if config.audit is not None:
                log, recorder = _recording(config.audit)
                undo.enter_context(log)

            def opened(policy: MatchPolicy) -> Matcher:
                folder, every = config.index_folder, config.reload_seconds
                made = Matcher.open(*paths, policy=policy, index_folder=folder, reload_every=every, recorder=recorder)
                return undo.enter_context(made)

            matcher = opened(config.searched)
            matcher.isolate(shut_in, also=() if stage is None else (config.second_policy,))
            matcher.warm()
            service = cls(matcher, config, tokens)
            service.log = log
            if stage is not None:
                from hashmatch.service.second import SecondStage

                other = opened(config.second_policy)
                other.isolate_with(matcher)
                service.second = SecondStage(other, stage, secret)
            if config.urls is not None:
                from hashmatch.service.url_routes import UrlDoor  # needs packages that lists of pictures do not

                service.urls = UrlDoor(config.urls, config.reload_seconds)
            undo.pop_all()
        return service

    async def close(self) -> None:
        """End the threads and the decoding processes, and close the lists."""
        if self.second is not None:
            await self.second.close()
        await asyncio.to_thread(self.matcher.close)
        await asyncio.to_thread(self.checks.close)
        if self.log is not None:
            await asyncio.to_thread(self.log.close)

    def choose(self, seed: str) -> tuple[tuple[str, ...] | None, list[str]]:
        """Draw by the shares of the lists which are searched; the same seed draws the same.

        Returns
        -------
        chosen : tuple of str or None
            Names, as `Matcher.match` takes them; None for all.
        left_out : list of str
            Names of the others.
        """
        left_out = [name for name, item in self.config.lists.items() if _draw(name, seed) >= item.share]
        if not left_out:
            return None, []
        return tuple(name for name, _, _ in self.matcher.lists if name not in left_out), left_out

    def report(self, report: MatchReport, handled: Handled, left_out: list[str]) -> dict[str, Any]:
        """Write a report as every route answers it: `MatchReport.to_dict` and what belongs to the request."""
        handled.outcome, handled.reason = report.outcome.value, report.reason
        return envelope(report, handled.request_id, left_out)

    def ages(self) -> dict[str, tuple[ListStatus, float | None]]:
        """Tell the age of each list, seconds, by its name: since any of its sources was imported.

        Where none ever was, since the file was changed; None where the file is gone.
        """
        now, found = time.time(), {}
        for item in self.matcher.list_statuses():
            last = max(item.heard.values(), default=item.changed)
            found[item.name] = (item, None if last is None else max(0.0, now - last))
        return found

    def why_not_ready(self) -> list[dict[str, Any]]:
        """Say why no picture should be sent here; empty where one may.

        Returns
        -------
        list of dict
            ``reason`` is a stable word; ``list`` and ``seconds`` where they are of a list.
        """
        reasons: list[dict[str, Any]] = [{"reason": "stopping"}] if self.is_stopping else []
        reasons += [{"reason": "nothing-to-compare", "list": name} for name in self.matcher.idle_lists]
        failed = self.matcher.upkeep.error is not None
        try:
            ages = self.ages()
        except ReferenceListError:
            ages, failed = {}, True
        now = time.monotonic()
        self._unreadable_since = (self._unreadable_since or now) if failed else None
        if self._unreadable_since is not None and now - self._unreadable_since >= self.config.unreadable_seconds:
            reasons.append({"reason": "list-unreadable"})
        since = None if self.urls is None else self.urls.unreadable_since
        if since is not None and now - since >= self.config.unreadable_seconds:
            reasons.append({"reason": "addresses-unreadable"})
        if self.matcher.workers_fail:
            reasons.append({"reason": "no-worker"})
        for name, (item, age) in ages.items():
            settings = self.config.lists.get(name)
            if settings is None:
                continue
            if settings.max_age is not None and (age is None or age > settings.max_age):
                reasons.append({"reason": "list-too-old", "list": name, "seconds": age})
            for source, most in settings.sources.items():
                heard = item.heard.get(source)
                if heard is None or time.time() - heard > most:
                    reasons.append({"reason": "source-too-old", "list": name, "source": source})
        return reasons

    async def revive(self) -> None:
        """Try again to start decoding processes, where none could be at the last attempt."""
        if self.matcher.workers_fail and not self._is_reviving:
            self._is_reviving = True
            try:
                await asyncio.to_thread(self.matcher.warm)
            except HashmatchError as error:
                _LOGGER.error("no decoding process could be started: %s", error)
            finally:
                self._is_reviving = False

    async def reload(self) -> bool:
        """Take up changes of the lists now; see `Matcher.reload`."""
        return await asyncio.to_thread(self.matcher.reload)


def envelope(report: MatchReport, request_id: str, left_out: list[str]) -> dict[str, Any]:
    """Write a report with what belongs to its request."""
    told = {"request_id": request_id, "retryable": report.reason in RETRYABLE, "lists_left_out": left_out}
    return told | report.to_dict()


def _draw(name: str, seed: str) -> float:
    """Draw a number from 0 to below 1."""
    digest = hashlib.sha256(f"{name}\0{seed}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _recording(settings: AuditSettings) -> tuple[AuditLog, Recorder]:
    from hashmatch.audit import AuditLog, Recorder  # who records nothing needs no cryptography
    from hashmatch.signing import SigningKey

    log = AuditLog.open(settings.log, SigningKey.load(settings.key_file))
    return log, Recorder(log, actor=settings.actor, keep_hashes=settings.keep_hashes)
