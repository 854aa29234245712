"""Remove what has grown old. Nothing of a live run is old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from include.flywheel.config.workload import load_workloads
from include.flywheel.logs.store import LogQuery
from include.flywheel.logs.timestamps import DAY_MS
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.retention import Retention
from include.flywheel.runs.upkeep_reports import Action, Row
from include.pipeline.upkeep import remote, survey
from include.pipeline.upkeep.airflow_runs import IsLive
from include.pipeline.upkeep.deletions import remove_whole
from include.pipeline.upkeep.journal import Journal
from include.pipeline.upkeep.things import Kind, Thing, moment
from include.stores import staging
from include.stores.jobs import open_idempotency_keys
from include.stores.logs import open_logs
from include.stores.removal import remove_dataset
from include.stores.runs import open_runs
from include.stores.upkeep import open_archive, open_reports

T = TypeVar("T")

_DEFAULT_LOGS = "flywheel_logs"


@dataclass(frozen=True)
class Retainer:
    """One pass over all that has an age."""

    journal: Journal
    is_live: IsLive
    retention: Retention

    def run(self) -> None:
        """Remove what is older than its kind is kept; what fails is in the report."""
        for kind, part in (
            (Kind.STAGING, self._staging),
            (Kind.DATASET, self._datasets),
            (Kind.RUN, self._runs),
            (Kind.LOGS, self._logs),
            (Kind.REPORT, self._reports),
            (Kind.IDEMPOTENCY_KEY, self._idempotency_keys),
        ):
            self._attempt(kind, "all", part)

    def _staging(self) -> None:
        if (days := self.retention.staging_days) is None:
            return
        for folder in survey.staging_folders():
            if (document := self._old_run(Kind.STAGING, folder.job_id, days)) is not None:
                thing = self._aged(Kind.STAGING, folder.name, document)
                self._remove(thing, days, partial(staging.remove, folder.job_id))

    def _datasets(self) -> None:
        if (days := self.retention.datasets_days) is None:
            return
        old = set(open_archive().over_since(self._before(days)))
        for found in remote.of_kind(Kind.DATASET):
            if found.job_id not in old:
                continue
            if (document := self._old_run(Kind.DATASET, found.job_id, days)) is not None:
                thing = self._aged(Kind.DATASET, found.name, document)
                self._remove(thing, days, partial(_forget, found.job_id))

    def _runs(self) -> None:
        if (days := self.retention.runs_days) is None:
            return
        archive = open_archive()
        for job_id in archive.over_since(self._before(days)):
            document = self._old_run(Kind.RUN, job_id, days)
            if document is not None and not archive.must_stay(document):
                thing = self._aged(Kind.RUN, f"{document.dag_id}/{document.run_id}", document)
                self._remove(thing, days, partial(remove_whole, job_id))

    def _logs(self) -> None:
        logs = self.retention.logs
        conns = {one.key: _DEFAULT_LOGS for one in logs.workloads}
        conns |= {(one.client_id, one.workload_id): one.logs_conn_id for one in load_workloads()}
        for (client_id, workload_id), conn_id in conns.items():
            days = logs.days_of(client_id, workload_id)
            if days is not None:
                query = self._old_records(client_id, workload_id, days)
                part = partial(self._logs_of, conn_id, query, days)
                self._attempt(Kind.LOGS, f"{client_id}/{workload_id}", part)

    def _logs_of(self, conn_id: str, query: LogQuery, days: int) -> None:
        store, name = open_logs(conn_id), f"{query.client_id}/{query.workload_id}"
        if records := store.count(query):
            thing = Thing(Kind.LOGS, name, "", None)
            self.journal.act(
                [thing], f"{records} records are older than {days} days", lambda: store.delete(query)
            )

    def _reports(self) -> None:
        if (days := self.retention.reports_days) is None:
            return
        before = self._before(days)
        if number := open_reports().count_before(before):
            thing = Thing(Kind.REPORT, f"{number} reports", "", None)
            self._remove(thing, days, lambda: open_reports().remove_before(before))

    def _idempotency_keys(self) -> None:
        if (days := self.retention.idempotency_keys_days) is None:
            return
        keys, before = open_idempotency_keys(), self._before(days)
        if number := keys.count_before(before):
            thing = Thing(Kind.IDEMPOTENCY_KEY, f"{number} keys", "", None)
            self._remove(thing, days, lambda: keys.forget_before(before))

    def _old_records(self, client_id: str, workload_id: str, days: int) -> LogQuery:
        """Whole days (UTC) only, so that the files of a day go as they are."""
        until_ms = int(self.journal.at.timestamp() * 1000) // DAY_MS * DAY_MS - days * DAY_MS
        return LogQuery(client_id=client_id, workload_id=workload_id, until_ms=until_ms)

    def _before(self, days: int) -> str:
        return (self.journal.at - timedelta(days=days)).isoformat(timespec="milliseconds")

    def _old_run(self, kind: Kind, job_id: str, days: int) -> RunDocument | None:
        """The run if it has been over, and down, for so long. A document that cannot be read is reported."""

        def look() -> RunDocument | None:
            document = open_runs().find(job_id)
            return document if document is not None and self._is_old(document, days) else None

        return self._attempt(kind, job_id, look)

    def _is_old(self, document: RunDocument, days: int) -> bool:
        """A run whose tasks were cleared is live in Airflow before its document says so."""
        over = document.status.is_over and document.everything_down_at is not None
        old = over and (document.finished_at or "9") < self._before(days)
        return old and not self.is_live(document.dag_id, document.run_id)

    def _aged(self, kind: Kind, name: str, document: RunDocument) -> Thing:
        return Thing(kind, name, document.job_id, moment(document.finished_at))

    def _remove(self, thing: Thing, days: int, how: Callable[[], object]) -> None:
        self.journal.act([thing], f"older than {days} days", how)

    def _attempt(self, kind: Kind, name: str, part: Callable[[], T]) -> T | None:
        try:
            return part()
        except survey.PROBLEMS as error:
            reason = "its age could not be looked at"
            self.journal.add(
                Row(kind=kind.value, name=name, reason=reason, action=Action.FAILED, error=str(error))
            )
            return None


def _forget(job_id: str) -> None:
    """Remove the data set. Its URI stays: a retry that built another one would mix scores of both."""
    remove_dataset(job_id)
    open_runs().note(job_id, "upkeep removed the data set from NeMo: it has grown old")
