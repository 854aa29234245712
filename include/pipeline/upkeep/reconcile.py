"""Take down what is left of runs that are over; what a live run owns is never touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial

from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.upkeep_reports import Action, Row
from include.pipeline.run import Run
from include.pipeline.shared_nims import leave_shared, take_down_shared
from include.pipeline.upkeep import remote, survey
from include.pipeline.upkeep.airflow_runs import IsLive
from include.pipeline.upkeep.ending import finish
from include.pipeline.upkeep.journal import Journal
from include.pipeline.upkeep.things import Kind, Thing, by_run
from include.stores import staging
from include.stores.leases import open_leases
from include.stores.removal import remove_dataset
from include.stores.runs import open_runs
from include.stores.shared import open_shared
from include.stores.upkeep import open_archive


class Life(StrEnum):
    """How a run is, by its document and by Airflow."""

    LIVE = "it is live"
    OVER = "the run is over"
    NOT_DOWN = "the run is over, and nobody saw everything of it down"
    BROKEN = "the run says that it goes on, and its DAG run is over or gone"
    UNWRITTEN = "its run is not written down"


def life_of(document: RunDocument | None, *, live_in_airflow: bool) -> Life:
    """How the run is. A run that Airflow works on is live, whatever its document says."""
    if document is None:
        return Life.UNWRITTEN
    if live_in_airflow:
        return Life.LIVE
    if not document.status.is_over:
        return Life.BROKEN
    return Life.OVER if document.everything_down_at else Life.NOT_DOWN


@dataclass(frozen=True)
class Reconciler:
    """One pass over all that carries a run."""

    journal: Journal
    is_live: IsLive
    grace: timedelta

    def run(self) -> None:
        """Find everything, and take down what has to go; what fails is in the report."""
        things, problems = survey.everything()
        for kind, error in problems.items():
            self._failed(kind.value, "all", "they could not be listed", error)
        for job_id, own in by_run(things).items():
            try:
                self._one_run(job_id, own)
            except survey.PROBLEMS as error:
                self._failed(Kind.RUN.value, job_id, "it could not be looked at", str(error), job_id)
        try:
            self._unused()
        except survey.PROBLEMS as error:
            self._failed(Kind.SHARED.value, "all", "they could not be listed", str(error))

    def _unused(self) -> None:
        """NIMs that nobody shares any more, and that whoever left last did not take down to the end."""
        for nim in open_shared().all():
            if nim.closing:
                thing = Thing(Kind.SHARED, nim.deployment, "", None)
                self.journal.act([thing], "no run uses it", partial(take_down_shared, nim))

    def _one_run(self, job_id: str, things: list[Thing]) -> None:
        runs = open_runs()
        document = runs.find(job_id)
        if document is not None and all(thing.kind is Kind.DATASET for thing in things):
            # Of every run that is kept: Airflow need not be asked about each.
            return
        live = document is not None and self.is_live(document.dag_id, document.run_id)
        life = life_of(document, live_in_airflow=live)
        due = self._due(life, things)
        if not due or self._has_doubts(life, due):
            return
        run = Run(
            job_id=job_id,
            dag_id=document.dag_id if document else "",
            run_id=document.run_id if document else "",
            runs=runs,
            pass_number=document.pass_number if document else 0,
        )
        self._take_down(run, life, due)

    def _due(self, life: Life, things: list[Thing]) -> list[Thing]:
        """What has to go. Data sets, and staging files of a run that ended as it should, grow old first."""
        if life is Life.LIVE:
            return []
        if life is Life.UNWRITTEN:
            ages = [thing.age_seconds(self.journal.at) for thing in things]
            young = any(age is not None and age < self.grace.total_seconds() for age in ages)
            return [] if young else things
        passive = {Kind.DATASET} if life is Life.BROKEN else {Kind.DATASET, Kind.STAGING}
        return [thing for thing in things if thing.kind not in passive]

    def _has_doubts(self, life: Life, due: list[Thing]) -> bool:
        """Whether it is not sure that nobody needs them; says so in the report."""
        if life is not Life.UNWRITTEN:
            return False
        doubt = None
        if open_archive().is_empty():
            doubt = "no run at all is written down: check the database in connection `flywheel_runs`"
        elif any(thing.born is None for thing in due):
            doubt = "one of the run's things does not say when it was made: remove them by hand"
        for thing in due if doubt else []:
            self.journal.write(thing, life.value, Action.FAILED, doubt)
        return doubt is not None

    def _take_down(self, run: Run, life: Life, due: list[Thing]) -> None:
        """What holds GPUs first, then the run's end, which is true only once nothing runs."""
        costly = [thing for thing in due if thing.kind.costs]
        documents = [thing for thing in due if thing.kind is Kind.RUN]
        if costly and not self.journal.act(costly, life.value, lambda: _free(run)):
            for thing in documents:
                self.journal.write(
                    thing, life.value, Action.FAILED, "something of it could not be taken down"
                )
            return
        if documents:
            self.journal.act(documents, life.value, lambda: _repair(run, life), repair=True)
        for thing in due:
            if thing.kind is Kind.STAGING:
                self.journal.act([thing], life.value, lambda: staging.remove(run.job_id))
            elif thing.kind is Kind.DATASET:
                self.journal.act([thing], life.value, lambda: remove_dataset(run.job_id))

    def _failed(self, kind: str, name: str, reason: str, error: str, job_id: str | None = None) -> None:
        self.journal.add(
            Row(kind=kind, name=name, run=job_id, reason=reason, action=Action.FAILED, error=error)
        )


def _free(run: Run) -> None:
    remote.end_run(run)
    leave_shared(run)
    leases = open_leases()
    leases.forget(run.job_id)
    for nim in run.runs.nims(run.job_id):
        # A wait that comes back with a restarted triggerer takes nothing any more.
        leases.close(run.job_id, nim.slug, run.pass_number + 1)


def _repair(run: Run, life: Life) -> None:
    _free(run)
    down_at = now()
    finish(run, life.value)
    # Last: a repair that was cut short is found again.
    run.runs.update(run.job_id, everything_down_at=down_at)
