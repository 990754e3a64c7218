"""``/metrics``: what the service did and how it stands, for Prometheus.

Floor: service. Names begin with ``hashmatch_``, units are seconds and bytes, and labels hold names of routes, lists and
measures and words of the library: never a hash, a name of a file, a caller, or anything else that a request brings.
"""

from __future__ import annotations

import asyncio
import platform
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from hashmatch._version import __version__
from hashmatch.errors import ReferenceListError
from hashmatch.jail.options import MEASURES
from hashmatch.kernels import compiled
from hashmatch.service.doorway import ScopedRoute, route
from hashmatch.service.service import Handled, Service

__all__ = ["BUCKETS", "DEATHS", "PATHS", "Metrics", "bounded", "routes"]

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

BUCKETS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds of the histograms, seconds."""

DEATHS: Final = re.compile(r"(crashed-.+|timeout|bad-answer|ended-idle|retried|abandoned)")
"""Names in ``Matcher.counts()["workers"]`` that are reasons why a worker was lost."""

_WORD: Final = re.compile(r"[a-z][a-z0-9-]{0,40}")
_NUMBERED: Final = re.compile(r"(crashed-(?:exit|signal))-\d+")
_MOST_WORDS: Final = 64

PATHS: Final[dict[str, Any]] = {
    "/metrics": {
        "get": {
            "summary": "What the service did and how it stands, for Prometheus.",
            "responses": {
                "200": {
                    "description": "Prometheus text format 0.0.4.",
                    "content": {"text/plain": {"schema": {"type": "string"}}},
                }
            },
        }
    }
}


def routes(service: Service) -> list[ScopedRoute]:
    """Make the route, and count from now on."""
    metrics = Metrics(service)
    service.observers.append(metrics.observe)

    async def show(_service: Service, _request: Request) -> Response:
        return Response(await metrics.text(), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    return [route(service, "/metrics", show, method="GET", scope="status")]


def bounded(counts: Mapping[str, int]) -> dict[str, int]:
    """Sum counts by a word so that there are few words: no number of a signal or an exit, and 64 at the most.

    What is none of these is ``other``.
    """
    found: Counter[str] = Counter()
    for name, count in counts.items():
        word = _NUMBERED.sub(r"\1", name)
        is_label = _WORD.fullmatch(word) and (word in found or len(found) < _MOST_WORDS)
        found[word if is_label else "other"] += count
    return dict(found)


class Metrics(Collector):
    """Counts requests, and tells them with what the matcher counts.

    Parameters
    ----------
    service : Service
        Whose requests are counted. Counting runs on its loop, and costs about two microseconds a request.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._requests: Counter[tuple[str, int]] = Counter()
        self._refused: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._seconds: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def observe(self, handled: Handled) -> None:
        """Count one request."""
        name = handled.route
        self._requests[name, handled.status] += 1
        if handled.code is not None:
            self._refused[handled.code] += 1
        if handled.outcome is not None:
            self._answers[handled.outcome] += 1
        if handled.reason is not None:
            self._reasons[handled.reason] += 1
        buckets = self._seconds.get(name)
        if buckets is None:
            buckets, self._sums[name] = [0] * (len(BUCKETS) + 1), 0.0
            self._seconds[name] = buckets
        buckets[bisect_left(BUCKETS, handled.seconds)] += 1
        self._sums[name] += handled.seconds

    async def text(self) -> bytes:
        """Write everything in the text format of Prometheus."""
        return await asyncio.to_thread(generate_latest, self._registry)

    def describe(self) -> Iterable[Family]:
        """Name nothing beforehand."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Give every metric as it is now."""
        kernels = compiled()
        native = "all" if all(kernels.values()) else "some" if any(kernels.values()) else "none"
        build = GaugeMetricFamily("hashmatch_build_info", "Always 1.", labels=["version", "native", "python"])
        build.add_metric([__version__, native, platform.python_version()], 1)
        yield build
        yield from self._of_requests()
        yield from self._of_lists()
        yield from self._of_the_matcher()

    def _of_requests(self) -> Iterator[Family]:
        """Tell of requests; copies are taken at one stroke, since the loop counts meanwhile."""
        requests, seconds, sums = dict(self._requests), dict(self._seconds), dict(self._sums)
        family = CounterMetricFamily(
            "hashmatch_requests", "Requests; status 0: the caller went away.", labels=["route", "status"]
        )
        for (name, status), count in sorted(requests.items()):
            family.add_metric([name, str(status)], count)
        yield family
        histogram = HistogramMetricFamily(
            "hashmatch_request_duration_seconds", "From a request's headers to the end of its answer.", labels=["route"]
        )
        for name, counts in sorted(seconds.items()):
            total, buckets = 0, []
            for bound, count in zip((*BUCKETS, float("inf")), list(counts), strict=True):
                total += count
                buckets.append(("+Inf" if bound == float("inf") else repr(bound), float(total)))
            histogram.add_metric([name], buckets, sums[name])
        yield histogram
        yield _counter("hashmatch_refused", "Requests that got an error, by its code.", "code", self._refused)
        yield _counter("hashmatch_answers", "Requests answered by a report, by outcome.", "outcome", self._answers)
        yield _counter("hashmatch_answer_reasons", "Reasons of these reports.", "reason", bounded(dict(self._reasons)))
        yield _gauge("hashmatch_requests_in_flight", "Requests with a body.", self._service.in_flight)

    def _of_lists(self) -> Iterator[Family]:
        service, statuses = self._service, {}
        try:
            statuses = service.ages()
            reasons = service.why_not_ready()
        except ReferenceListError:  # a list is gone or closed: what the matcher searches is known without it
            reasons = [{"reason": "list-unreadable"}]
        yield _gauge("hashmatch_ready", "Whether /readyz says yes.", not reasons)
        yield _labelled("hashmatch_not_ready", "Why it does not.", "reason", {item["reason"]: 1 for item in reasons})
        info = GaugeMetricFamily("hashmatch_list_info", "Always 1.", labels=["list", "version"])
        for name, version, _ in service.matcher.lists:
            info.add_metric([name, str(version)], 1)
        yield info
        lists = {name: (version, count) for name, version, count in service.matcher.lists}
        versions = {name: version for name, (version, _) in lists.items()}
        entries = {name: count for name, (_, count) in lists.items()}
        ages = {name: age for name, (_, age) in statuses.items() if age is not None}
        yield _labelled("hashmatch_list_version", "Version that is searched.", "list", versions)
        yield _labelled("hashmatch_list_entries", "Entries of that version.", "list", entries)
        yield _labelled("hashmatch_list_age_seconds", "Since any of its sources was imported.", "list", ages)

    def _of_the_matcher(self) -> Iterator[Family]:
        matcher = self._service.matcher
        counts, upkeep, protection = matcher.counts(), matcher.upkeep, matcher.protection
        workers, load = counts["workers"], counts["load"]
        pictures = counts["outcomes"]
        yield _counter("hashmatch_pictures", "Pictures looked up, by outcome.", "outcome", pictures)
        yield _counter("hashmatch_picture_reasons", "Their reasons.", "reason", bounded(counts["reasons"]))
        states = {name: load[name] for name in ("idle", "working") if load}
        yield _labelled("hashmatch_workers", "Decoding processes.", "state", states)
        lanes = {"cheap": load["waiting"], "dear": load["waiting-dear"]} if load else {}
        yield _labelled("hashmatch_queue", "Pictures that wait for a decoding process.", "lane", lanes)
        for name, text in (
            ("started", "Decoding processes started."),
            ("replaced", "Decoding processes replaced after their share."),
        ):
            yield _total(f"hashmatch_workers_{name}", text, workers.get(name, 0))
        deaths = bounded({name: count for name, count in workers.items() if DEATHS.fullmatch(name)})
        if unready := workers.get("lost", 0) - sum(deaths.values()):
            deaths["not-started"] = unready  # ended before they were ready
        yield _counter("hashmatch_worker_deaths", "Decoding processes lost, by reason.", "reason", deaths)
        yield _total("hashmatch_decodings", "Pictures given to a decoding process.", workers.get("tasks", 0))
        yield _total("hashmatch_decodings_busy", "Pictures that got none in time.", workers.get("busy", 0))
        held = {name: float(name in protection.measures) for name in MEASURES} if protection is not None else {}
        yield _labelled("hashmatch_worker_protection", "Measures that hold the decoders.", "measure", held)
        yield _gauge("hashmatch_lists_behind", "Whether the last reload failed.", upkeep.error is not None)
        yield _total("hashmatch_reloads", "Reloads in the background.", upkeep.reloads)
        yield _total("hashmatch_reload_failures", "Looks and reloads that failed.", upkeep.failures)
        yield _total("hashmatch_index_files_made", "Index files made in the background.", upkeep.compactions)
        yield _total("hashmatch_index_files_damaged", "Index files changed in place.", upkeep.damaged)
        quarantined = counts["quarantined"]
        yield _gauge("hashmatch_quarantined_entries", "Entries in quarantine.", quarantined.get("entries", 0))
        for name, text in (("flagged", "Matches with them."), ("held", "Matches held back.")):
            yield _total(f"hashmatch_quarantine_{name}", text, quarantined.get(name, 0))


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted(dict(counts).items()):
        family.add_metric([value], count)
    return family


def _total(name: str, text: str, count: int) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=count)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))
