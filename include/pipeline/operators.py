"""The stages of a NIM as tasks: each submits its remote work once and waits for it in the triggerer.

One task and not two: a task that only defers costs a worker process, and with 20 NIMs side by side those were
a third of a run's time. They end in the triggerer, without a second worker. They begin on one also for their
name: Airflow calls a mapped task after its NIM only where a worker ran.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from include.airflow_nemo.ending import look
from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.outcomes import result_of
from include.airflow_nemo.sensors import (
    CustomizationSensor,
    DeploymentSensor,
    EvaluationSensor,
    NemoJobSensor,
)
from include.flywheel.config.profile import Waiting
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.documents import Stage as StageDocument
from include.flywheel.runs.documents import now
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.states import StageName, StageStatus
from include.nemo import customizer
from include.nemo.errors import NemoError
from include.pipeline.prepare import load_config
from include.pipeline.run import Run, current_run, show, telling, working_run
from include.pipeline.stage_trigger import record_progress
from include.pipeline.stages import EVALUATIONS, customize, deploy, evaluate, evaluate_reference

if TYPE_CHECKING:
    from airflow.sdk import Context

_TRIGGER = "include.pipeline.stage_trigger.StageTrigger"


class StageOperator(NemoJobSensor):
    """Submits the work of a stage, unless an earlier try did, and waits for it without a worker.

    Pauses and deadline are the profile's; what the service reports is written into the run's document.

    :param nim: name and slug of the NIM; not for the production model. (templated)
    """

    timeout_setting: str
    stage: StageName
    trigger_cls = _TRIGGER
    template_fields = ("nemo_conn_id", "nim")

    def __init__(self, *, nim: Any = None, **kwargs: Any) -> None:
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        if nim is not None:
            kwargs.setdefault("map_index_template", "{{ task.nim['name'] }}")
        super().__init__(job="", start_from_trigger=False, **kwargs)
        self.nim = nim

    @property
    def _slug(self) -> str:
        return REFERENCE if self.nim is None else str(self.nim["slug"])

    def submit(self, run: Run, slug: str) -> str:
        """Submit; returns the id of the job, or `namespace/name` of the deployment."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Submit and defer; not in a run that was cancelled while this task was on its way."""
        run = working_run()
        slug = self._slug
        self._refuse_what_failed(run.runs.stage(run.job_id, slug, self.stage))
        with telling(run, slug, self.stage):
            self.job = self.submit(run, slug)
            waiting: Waiting = load_config(run).waiting
        self.extra = {
            "job_id": run.job_id,
            "slug": slug,
            "stage": self.stage.value,
            "pass_number": run.pass_number,
        }
        self.poll_seconds = waiting.poll_seconds
        self.max_poll_seconds = waiting.max_poll_seconds
        self.timeout_seconds = getattr(waiting, self.timeout_setting)
        ended = self._seen_to_end()
        return super().execute(context) if ended is None else ended

    def _seen_to_end(self) -> str | None:
        """What the task returns where its work has ended well already: in an earlier try, or while this task
        was on its way. The GPUs of a training that has ended are given back at once, whatever became of it.
        """
        try:
            progress = look(NemoHook(self.nemo_conn_id), self.kind, self.job, self.served_model)
        except NemoError as error:
            self.log.info("the wait begins without a first look: %s", error)
            return None
        if not progress.state.is_terminal:
            return None
        record_progress(self.extra, progress)
        if not progress.state.ok:
            return None
        return result_of(self.kind, self.job, self.served_model, progress)

    def _refuse_what_failed(self, document: StageDocument) -> None:
        """Airflow tries a task again also where its remote work failed: that would be a second GPU job.

        What was submitted in an earlier pass, before a person asked to try again, has no `submitted_at`.
        """
        if document.submitted_at and document.status in {StageStatus.FAILED, StageStatus.CANCELLED}:
            reason = f"{document.error or document.status.value} (not tried again by itself: retry the NIM)"
            show(reason, self.log)
            raise AirflowFailException(reason)

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """End the task where the trigger could not (`dag.test`)."""
        run = current_run()
        self.job = run.runs.stage(run.job_id, self._slug, self.stage).remote_id or ""
        return super().execute_complete(context, event)


class DeployStage(StageOperator, DeploymentSensor):
    """Deploys a NIM and waits until it is ready and served."""

    timeout_setting = "deploy_timeout_seconds"
    stage = StageName.DEPLOY

    def submit(self, run: Run, slug: str) -> str:
        """Deploy it, unless it is."""
        self.served_model = self.nim["name"]
        return deploy(run, slug)


class AdapterStage(StageOperator, DeploymentSensor):
    """Waits until a deployed NIM serves the adapter that its customization made: a while after its end."""

    timeout_setting = "deploy_timeout_seconds"
    stage = StageName.ADAPTER

    def submit(self, run: Run, slug: str) -> str:
        """Ask for the adapter's name and write it down; nothing is started."""
        run.refuse_if_closed(slug)
        stages = run.runs.nim(run.job_id, slug).stages
        with NemoHook(self.nemo_conn_id).client() as nemo:
            job = nemo.send(customizer.get_job(stages[StageName.CUSTOMIZE].remote_id or ""))
        self.served_model = job.output_model
        run.runs.update_nim(
            run.job_id,
            slug,
            customized_model=self.served_model,
            customized_model_uri=f"hf://models/{self.served_model}",
        )
        run.runs.set_live_stage(run.job_id, slug, self.stage, submitted_at=now())
        return stages[StageName.DEPLOY].remote_id or ""


class CustomizeStage(StageOperator, CustomizationSensor):
    """Customizes a NIM; returns the customized model's name. Skipped without a customization target."""

    timeout_setting = "customization_timeout_seconds"
    stage = StageName.CUSTOMIZE

    def submit(self, run: Run, slug: str) -> str:
        """Start the training."""
        return customize(run, slug)


class EvaluateStage(StageOperator, EvaluationSensor):
    """Evaluates a NIM, or the production model, on the holdout.

    :param which: as it is, with examples, customized, or the production model.
    """

    timeout_setting = "evaluation_timeout_seconds"

    def __init__(self, *, which: Stage, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.which = which
        self.stage = EVALUATIONS[which]

    def submit(self, run: Run, slug: str) -> str:
        """Start the evaluation."""
        if self.nim is None:
            return evaluate_reference(run)
        return evaluate(run, slug, self.nim["name"], self.which)
