"""NeMo's sensors, as the flywheel uses them: waits from the run's profile, progress in the run's document.

They start on a worker, for the moment that it takes to defer, because Airflow names a mapped task after its
NIM only where a worker ran; they end in the triggerer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TaskFailedEvent

from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.sensors import (
    CustomizationSensor,
    DeploymentSensor,
    EvaluationSensor,
    NemoJobSensor,
)
from include.airflow_nemo.triggers import NemoJobTrigger
from include.flywheel.config.profile import Waiting
from include.flywheel.runs.documents import now
from include.flywheel.runs.leases.model import LeaseKind
from include.flywheel.runs.states import StageName, StageStatus
from include.nemo import customizer
from include.nemo.progress import JobProgress
from include.pipeline.leases import release
from include.pipeline.prepare import load_config
from include.pipeline.run import current_run, show
from include.pipeline.writing import until_written
from include.stores.runs import open_runs

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import TriggerEvent

_TRIGGER = "include.pipeline.sensors.StageTrigger"


class StageTrigger(NemoJobTrigger):
    """Writes what it sees of a stage into the run's document.

    `extra`: `job_id`, `slug`, `stage`, `pass_number`.
    """

    _end: JobProgress | None = None

    async def on_progress(self, progress: JobProgress) -> None:
        """Called at each change."""
        self._end = progress if progress.state.is_terminal else None
        await asyncio.to_thread(record_progress, self.extra, progress)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields the one event of the wait; what it says is written down first, whatever its cause."""
        async for event in super().run():
            if self._end is not None:
                # Once more: the store may have been away when the end was seen.
                await until_written(self.log, record_progress, self.extra, self._end)
            if isinstance(event, TaskFailedEvent):
                reason = str((event.xcoms or {}).get("error"))
                await until_written(self.log, record_failure, self.extra, reason)
                show(reason, self.log)
            yield event


def record_progress(extra: dict[str, Any], progress: JobProgress) -> None:
    """Status, percentage and the service's words, unless the stage is over."""
    runs = open_runs()
    job_id, slug, stage = extra["job_id"], extra["slug"], StageName(extra["stage"])
    fields: dict[str, Any] = {"detail": progress.reason, "progress_percent": progress.percentage}
    if not progress.state.is_terminal:
        waiting = progress.state in {"created", "pending"}
        fields["status"] = (StageStatus.PENDING if waiting else StageStatus.RUNNING).value
        if not waiting and runs.stage(job_id, slug, stage).started_at is None:
            fields["started_at"] = now()
    else:
        fields |= {"status": _end(progress).value, "finished_at": now()}
        if not progress.state.ok:
            fields["error"] = progress.reason or f"ended as {progress.state}"
    runs.set_live_stage(job_id, slug, stage, **fields)
    if stage is StageName.CUSTOMIZE and progress.state.is_terminal:
        # At once: the task that does it for certain starts seconds later.
        release(runs, job_id, slug, LeaseKind.TRAINING, extra["pass_number"])


def record_failure(extra: dict[str, Any], reason: str) -> None:
    """Why the wait failed: the reason with its remedy takes the place of the service's own words."""
    runs = open_runs()
    job_id, slug, stage = extra["job_id"], extra["slug"], StageName(extra["stage"])
    runs.set_live_stage(job_id, slug, stage, status=StageStatus.FAILED.value, finished_at=now())
    runs.set_stage(job_id, slug, stage, error=reason)
    runs.note(job_id, f"{slug} {stage.value}: {reason}")


def _end(progress: JobProgress) -> StageStatus:
    if progress.state.ok:
        return StageStatus.COMPLETED
    return StageStatus.CANCELLED if progress.state == "cancelled" else StageStatus.FAILED


class _StageSensor(NemoJobSensor):
    """Takes its pauses and deadline from the run's profile.

    :param stage: the stage that the awaited job is.
    :param slug: the NIM, `reference` for the production model. (templated, through `extra`)
    """

    timeout_setting: str
    trigger_cls = _TRIGGER

    def __init__(self, *, stage: str, slug: str, **kwargs: Any) -> None:
        # A retry only looks again: one is enough, against a worker that was killed before it deferred.
        kwargs.setdefault("retries", 1)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(extra={"slug": slug, "stage": stage}, start_from_trigger=False, **kwargs)

    def execute(self, context: Context) -> Any:
        """Defer with the profile's pauses; not in a run that was cancelled while this task was on its way."""
        run = current_run()
        run.refuse_if_closed(self.extra["slug"])
        waiting: Waiting = load_config(run).waiting
        self.extra |= {"job_id": run.job_id, "pass_number": run.pass_number}
        self.poll_seconds = waiting.poll_seconds
        self.max_poll_seconds = waiting.max_poll_seconds
        self.timeout_seconds = getattr(waiting, self.timeout_setting)
        return super().execute(context)


class StageDeploymentSensor(_StageSensor, DeploymentSensor):
    """Waits until a NIM is ready and served."""

    timeout_setting = "deploy_timeout_seconds"


class AdapterSensor(StageDeploymentSensor):
    """Waits until a deployed NIM serves the adapter that its customization made.

    :param customization: id of the customization job. (templated)
    """

    template_fields = (*StageDeploymentSensor.template_fields, "customization")

    def __init__(self, *, customization: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.customization = customization

    def execute(self, context: Context) -> Any:
        """Ask for the adapter's name, write it down, defer."""
        run = current_run()
        with NemoHook(self.nemo_conn_id).client() as nemo:
            self.served_model = nemo.send(customizer.get_job(self.customization)).output_model
        slug = self.extra["slug"]
        run.runs.update_nim(
            run.job_id,
            slug,
            customized_model=self.served_model,
            customized_model_uri=f"hf://models/{self.served_model}",
        )
        run.runs.set_live_stage(run.job_id, slug, StageName.ADAPTER, submitted_at=now())
        return super().execute(context)


class StageEvaluationSensor(_StageSensor, EvaluationSensor):
    """Waits for an evaluation."""

    timeout_setting = "evaluation_timeout_seconds"


class StageCustomizationSensor(_StageSensor, CustomizationSensor):
    """Waits for a customization; returns the customized model's name."""

    timeout_setting = "customization_timeout_seconds"
