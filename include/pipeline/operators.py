"""The stages of a NIM as tasks: each submits its remote work once and waits for it in the triggerer.

One task and not several: a task that only waits costs a worker process, and with 20 NIMs side by side those
were half of a run's time. So a stage that needs GPUs waits for them itself. They end in the triggerer,
without a second worker. They begin on one also for their name: Airflow calls a mapped task after its NIM only
where a worker ran.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowFailException

from include.airflow_nemo.ending import look
from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.outcomes import given, result_of
from include.airflow_nemo.sensors import (
    CustomizationSensor,
    DeploymentSensor,
    EvaluationSensor,
    NemoJobSensor,
)
from include.airflow_nemo.triggers import GRACE_SECONDS
from include.flywheel.config.profile import Waiting
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.states import StageName, StageStatus
from include.nemo.errors import NemoError
from include.nemo.jobs import JobKind
from include.nemo.progress import JobProgress
from include.pipeline.embedding import output_model, served_name
from include.pipeline.leases import KINDS, ask, request_for
from include.pipeline.prepare import load_config
from include.pipeline.run import Run, current_run, show, telling, working_run
from include.pipeline.stage_records import give_up, record_progress
from include.pipeline.stage_trigger import StageTrigger
from include.pipeline.stages import EVALUATIONS, adapter_of, submit_stage
from include.pipeline.submit import submitted

if TYPE_CHECKING:
    from airflow.sdk import Context


class StageOperator(NemoJobSensor):
    """Submits the work of a stage, unless an earlier try did, and waits for it without a worker.

    What cannot be submitted yet is submitted by the trigger. Pauses and deadline are the profile's; what the
    service reports is written into the run's document.

    :param nim: name and slug of the NIM; not for the production model. (templated)
    """

    timeout_setting: str
    stage: StageName
    template_fields = ("nemo_conn_id", "nim")

    def __init__(self, *, nim: Any = None, **kwargs: Any) -> None:
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        if nim is not None:
            # Known before it runs: a task that defers does not get to say it.
            kwargs.setdefault("map_index_template", "{{ task.nim['name'] }}")
        super().__init__(job="", start_from_trigger=False, **kwargs)
        self.nim = nim
        self._turn: dict[str, Any] = {}
        self._turn_seconds = 0.0

    @property
    def _slug(self) -> str:
        return REFERENCE if self.nim is None else str(self.nim["slug"])

    def turn(self, run: Run, slug: str, waiting: Waiting) -> dict[str, Any]:  # noqa: ARG002
        """What the trigger is to wait for before it submits, as its arguments; empty: nothing.

        Sets `_turn_seconds` to how long that may take.
        """
        return {}

    def execute(self, context: Context) -> Any:
        """Submit and defer; not in a run that was cancelled while this task was on its way."""
        run = working_run()
        slug = self._slug
        if self.stage in KINDS:
            # What leases GPUs, and nothing else: the others of a neighbour may be cleared meanwhile.
            run.runs.begin_nim_pass(run.job_id, slug, run.pass_number)
        self._refuse_what_failed(run, slug)
        with self._ending_what_failed(run, slug):
            waiting: Waiting = load_config(run).waiting
            self._set_up(run, waiting)
            self.job = submitted(run.runs.stage(run.job_id, slug, self.stage)) or ""
            self._turn = {} if self.job else self.turn(run, slug, waiting)
            if not self._turn:
                self.job = submit_stage(run, slug, self.stage)
        if not self.job:
            self._defer()
        ended = self._seen_to_end()
        return super().execute(context) if ended is None else ended

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """End the task where the trigger could not (`dag.test`)."""
        run = current_run()
        document = run.runs.stage(run.job_id, self._slug, self.stage)
        self.job = document.remote_id or ""
        if event == "failed" and document.error:
            raise AirflowFailException(document.error)
        return super().execute_complete(context, event)

    def _set_up(self, run: Run, waiting: Waiting) -> None:
        self.extra = self._extra(run, self.stage)
        self.poll_seconds = waiting.poll_seconds
        self.max_poll_seconds = waiting.max_poll_seconds
        self.timeout_seconds = getattr(waiting, self.timeout_setting)

    def _extra(self, run: Run, stage: StageName) -> dict[str, Any]:
        return {
            "job_id": run.job_id,
            "slug": self._slug,
            "stage": stage.value,
            "pass_number": run.pass_number,
        }

    def _defer(self) -> NoReturn:
        arguments = self._trigger_arguments() | self._turn
        if self.job:
            arguments["deadline_at"] = time.time() + self.timeout_seconds
        self.defer(
            trigger=StageTrigger(**arguments),
            method_name="execute_complete",
            timeout=timedelta(seconds=self._turn_seconds + self.timeout_seconds + GRACE_SECONDS),
        )

    @contextmanager
    def _ending_what_failed(self, run: Run, slug: str) -> Iterator[None]:
        """`telling`; GPUs that were leased for what could not be submitted go to somebody else at once."""
        try:
            with telling(run, slug, self.stage):
                yield
        except AirflowFailException:
            give_up(run, slug, self.stage)
            raise

    def _seen_to_end(self) -> str | None:
        """What the task returns where its work has ended well already: in an earlier try, or while this task
        was on its way.
        """
        progress = _look(self, self.kind, self.job, self.served_model)
        if progress is None or not progress.state.is_terminal:
            return None
        record_progress(self.extra, progress)
        if not progress.state.ok:
            return None
        return result_of(self.kind, self.job, self.served_model, progress)

    def _refuse_what_failed(self, run: Run, slug: str) -> None:
        """Airflow tries a task again also where its remote work failed: that would be a second GPU job.

        What failed before a person asked to try again is due again, and not failed.
        """
        for stage in self._own_stages():
            document = run.runs.stage(run.job_id, slug, stage)
            if document.status in {StageStatus.FAILED, StageStatus.CANCELLED}:
                why = document.error or document.status.value
                reason = f"{why} (not tried again by itself: retry the NIM)"
                show(reason, self.log)
                raise AirflowFailException(reason)

    def _own_stages(self) -> tuple[StageName, ...]:
        return (self.stage,)


class _LeasedStage(StageOperator):
    """A stage that waits for GPUs before its work is submitted."""

    def turn(self, run: Run, slug: str, waiting: Waiting) -> dict[str, Any]:
        """Ask for the GPUs once; the trigger asks again."""
        request = request_for(run, slug, KINDS[self.stage])
        if request is None:
            return {}
        answer = ask(request)
        self.log.info("%s", answer.reason)
        if answer.granted:
            return {}
        self._turn_seconds = waiting.lease_timeout_seconds
        until = time.time() + self._turn_seconds
        return {"lease": request.model_dump(mode="json"), "lease_deadline_at": until}


class DeployStage(_LeasedStage, DeploymentSensor):
    """Waits for GPUs, deploys a NIM, and waits until it is ready and served."""

    timeout_setting = "deploy_timeout_seconds"
    stage = StageName.DEPLOY

    def _set_up(self, run: Run, waiting: Waiting) -> None:
        super()._set_up(run, waiting)
        self.served_model = self.nim["name"]


class CustomizeStage(_LeasedStage, CustomizationSensor):
    """Waits for GPUs and customizes a NIM; returns the customized model's name.

    Skipped without a customization target.
    """

    timeout_setting = "customization_timeout_seconds"
    stage = StageName.CUSTOMIZE


class EvaluateStage(StageOperator, EvaluationSensor):
    """Evaluates a NIM, or the production model, on the holdout.

    :param which: as it is, with examples, customized, or the production model.
    """

    timeout_setting = "evaluation_timeout_seconds"

    def __init__(self, *, which: Stage, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.which = which
        self.stage = EVALUATIONS[which]


class EvaluateCustomizedStage(EvaluateStage):
    """Waits until a deployed NIM serves the adapter that its customization made, and evaluates that.

    The adapter is served a while after the end of the customization.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(which=Stage.CUSTOMIZED, **kwargs)

    def turn(self, run: Run, slug: str, waiting: Waiting) -> dict[str, Any]:
        """Look once whether the adapter is served; the trigger looks again.

        An embedding model that was customized takes the place of its base, once that is evaluated.
        """
        if load_config(run).is_embedding:
            return self._in_place_of_base(run, slug, waiting)
        deployment, model = adapter_of(run, slug)
        extra = self._extra(run, StageName.ADAPTER)
        progress = _look(self, JobKind.DEPLOYMENT, deployment, model)
        if progress is not None and progress.state.ok:
            record_progress(extra, progress)
            return {}
        self._turn_seconds = waiting.deploy_timeout_seconds
        return {"first": self._served(deployment, model, waiting, extra).arguments()}

    def _in_place_of_base(self, run: Run, slug: str, waiting: Waiting) -> dict[str, Any]:
        with NemoHook(self.nemo_conn_id).client() as nemo:
            model = served_name(output_model(run, slug, nemo))
        run.refuse_if_closed(slug)
        self._turn_seconds = waiting.evaluation_timeout_seconds + waiting.deploy_timeout_seconds
        first = self._served("", model, waiting, self._extra(run, StageName.ADAPTER))
        first.after = StageName.BASE_EVAL.value
        return {"first": first.arguments()}

    def _served(self, deployment: str, model: str, waiting: Waiting, extra: dict[str, Any]) -> StageTrigger:
        """Waits until a deployment serves a model; makes the deployment where it is not named."""
        return StageTrigger(
            nemo_conn_id=self.nemo_conn_id,
            kind=JobKind.DEPLOYMENT.value,
            job=deployment,
            served_model=model,
            poll_seconds=waiting.poll_seconds,
            max_poll_seconds=waiting.max_poll_seconds,
            timeout_seconds=waiting.deploy_timeout_seconds,
            deadline_at=time.time() + self._turn_seconds,
            extra=extra,
        )

    def _own_stages(self) -> tuple[StageName, ...]:
        return StageName.ADAPTER, self.stage


def _look(task: StageOperator, kind: JobKind, job: str, served_model: str | None) -> JobProgress | None:
    try:
        return look(NemoHook(task.nemo_conn_id), kind, job, given(served_model))
    except NemoError as error:
        task.log.info("the wait begins without a first look: %s", error)
        return None
