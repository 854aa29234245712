"""`GET /api/metrics`: figures for Prometheus, read from the store at each scrape, and of our requests."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from include.flywheel.config.workload import Workload, load_workloads
from include.flywheel.errors import ConfigError
from include.flywheel.runs.figures import RunFigures
from include.flywheel.runs.leases.model import LeaseKind
from include.flywheel.runs.leases.repository import LeaseRepository
from include.stores.leases import open_leases
from include.stores.mongo import open_database
from include.web.access import MetricsReader, permitted
from include.web.dispatch import Asgi, Receive, Scope, Send
from include.web.responses import refusals

router = APIRouter(tags=["health"])

_BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class RequestFigures:
    """Counts and durations of our requests in this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # An API server may have several processes behind one port: each tells of itself.
        labels = ("method", "path", "status", "worker")
        self._count = Counter(
            "flywheel_http_requests", "Requests that were answered.", labels, registry=self.registry
        )
        self._seconds = Histogram(
            "flywheel_http_request_duration_seconds",
            "Time from a request to the end of its answer.",
            ("method", "path", "worker"),
            registry=self.registry,
            buckets=_BUCKETS_SECONDS,
        )
        self._worker = str(os.getpid())

    def record(self, method: str, path: str, status: int, seconds: float) -> None:
        """One answered request; `path` is the route's, with `{…}` for what differs."""
        self._count.labels(method, path, str(status), self._worker).inc()
        self._seconds.labels(method, path, self._worker).observe(seconds)


class Measured:
    """Middleware that records every request of our application."""

    def __init__(self, app: Asgi, figures: RequestFigures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def sending(message: Scope) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            # What no route knows has no name of its own: a scanner would make one series for each guess.
            route = scope.get("route")
            path = route.path if isinstance(route, APIRoute) else "other"
            self._figures.record(scope["method"], path, status, time.perf_counter() - began)


class StoreFigures(Collector):
    """What the store says at this moment."""

    def __init__(self, runs: RunFigures, leases: LeaseRepository, workloads: Iterable[Workload]) -> None:
        self._runs, self._leases, self._workloads = runs, leases, list(workloads)

    def collect(self) -> Iterator[Metric]:
        """Every figure, with what was read just now."""
        counted = GaugeMetricFamily("flywheel_runs", "Runs by status.", labels=["status"])
        for status, count in self._runs.by_status().items():
            counted.add_metric([status.value], count)
        yield counted
        yield GaugeMetricFamily(
            "flywheel_oldest_live_run_age_seconds",
            "Age of the oldest run that is not over; 0 without one.",
            value=_age_seconds(self._runs.oldest_live()),
        )
        yield from self._gpus()
        yield from self._verdicts()

    def _gpus(self) -> Iterator[Metric]:
        for state, words, leases in (
            ("held", "GPUs that runs hold.", self._leases.held()),
            ("waiting", "GPUs that runs wait for.", self._leases.waiting()),
        ):
            family = GaugeMetricFamily(f"flywheel_gpus_{state}", words, labels=["kind"])
            for kind in LeaseKind:
                family.add_metric([kind.value], sum(one.gpus for one in leases if one.kind is kind))
            yield family

    def _verdicts(self) -> Iterator[Metric]:
        labels = ["client_id", "workload_id", "verdict"]
        verdicts = GaugeMetricFamily(
            "flywheel_last_verdict",
            "1 for the verdict of the newest completed run of each configured workload.",
            labels=labels,
        )
        ages = GaugeMetricFamily(
            "flywheel_last_verdict_age_seconds", "Age of the run that it is from.", labels=labels[:2]
        )
        for workload in self._workloads:
            last = self._runs.last_verdict(workload.client_id, workload.workload_id)
            if last is not None:
                verdicts.add_metric([last.client_id, last.workload_id, last.verdict], 1)
                ages.add_metric([last.client_id, last.workload_id], _age_seconds(last.created_at))
        yield verdicts
        yield ages


def _age_seconds(moment: str | None) -> float:
    if moment is None:
        return 0.0
    return max((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds(), 0.0)


@router.get(
    "/api/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses=refusals(403)
    | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."}},
)
def read_metrics(request: Request, reader: MetricsReader) -> Response:
    """Runs by status, age of the oldest live run, GPUs held and waited for, last verdicts, our requests.

    For operators, and for the scrape token that FLYWHEEL_METRICS_TOKEN names in the API server's environment.
    """
    store = CollectorRegistry(auto_describe=False)
    store.register(StoreFigures(RunFigures(open_database()), open_leases(), _workloads_for(reader)))
    figures: RequestFigures = request.app.state.figures
    text = generate_latest(store) + generate_latest(figures.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _workloads_for(reader: MetricsReader) -> list[Workload]:
    """The configured workloads whose runs the reader may see; the scrape token sees all."""
    try:
        workloads = load_workloads()
    except ConfigError:
        return []
    if reader is None:
        return workloads
    seen = permitted(reader, [one.dag_id for one in workloads])
    return [one for one in workloads if one.dag_id in seen]
