"""Sensors that wait for a deployment, an evaluation or a customization in the triggerer, and end there."""

from __future__ import annotations

import pkgutil
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout
from airflow.triggers.base import StartTriggerArgs

from include.airflow_nemo.ending import after_trigger, cancel, look
from include.airflow_nemo.errors import JobFailed
from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.links import RemoteJobLink
from include.airflow_nemo.outcomes import failure, given, result_of
from include.airflow_nemo.polling import Polling, check_pauses
from include.airflow_nemo.triggers import GRACE_SECONDS
from include.airflow_nemo.watching import Watch
from include.nemo.errors import NemoError, NotFound
from include.nemo.jobs import JobKind
from include.nemo.progress import JobProgress

if TYPE_CHECKING:
    from airflow.sdk import Context

MISSING_SECONDS = 5.0
"""The longest pause between two looks of one poke at work that is not found."""


class NemoJobSensor(BaseSensorOperator):
    """Base of the sensors: waits until remote work has ended well; fails with the reason otherwise.

    The wait takes no worker slot, and the trigger ends the task. A retry only looks again: it never
    submits. Returns a plain string: the output model of a customization, the served model (or
    `namespace/name`) of a deployment, the id of an evaluation job.

    :param job: id of the job, `namespace/name` of a deployment. (templated)
    :param served_model: also wait until the NIM proxy lists this model; not by default. (templated)
    :param nemo_conn_id: the connection; "nemo" by default. (templated)
    :param instance_name: the name of a mapped instance in the grid, unless `map_index_template` is
        given. Only a worker can write it, so it needs start_from_trigger=False. (templated)
    :param extra: passed to the trigger, for subclasses of it. (templated)
    :param poll_seconds: seconds between polls at first and after each change; 10 by default.
    :param max_poll_seconds: the longest wait between polls, in seconds; 60 by default.
    :param timeout_seconds: seconds until the task fails; 6 hours by default.
    :param deferrable: wait in the triggerer; True by default. False pokes in the worker.
    :param start_from_trigger: start in the triggerer, with no worker at all; True by default.
    :param trigger_cls: import path of the trigger, a subclass of NemoJobTrigger; the class's own by default.
    """

    kind: ClassVar[JobKind]
    trigger_cls: str = "include.airflow_nemo.triggers.NemoJobTrigger"

    template_fields: Sequence[str] = ("nemo_conn_id", "job", "served_model", "instance_name", "extra")
    operator_extra_links = (RemoteJobLink(),)
    ui_color = "#e4f0d0"

    def __init__(
        self,
        *,
        job: str,
        served_model: str | None = None,
        nemo_conn_id: str = NemoHook.default_conn_name,
        instance_name: str | None = None,
        extra: Mapping[str, Any] | None = None,
        poll_seconds: float = 10.0,
        max_poll_seconds: float = 60.0,
        timeout_seconds: float = 6 * 3600.0,
        deferrable: bool = True,
        start_from_trigger: bool = True,
        trigger_cls: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_pauses(poll_seconds, max_poll_seconds)
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds is {timeout_seconds}; it must be above 0")
        if instance_name is not None:
            kwargs.setdefault("map_index_template", "{{ task.instance_name }}")
        super().__init__(
            poke_interval=poll_seconds,
            exponential_backoff=True,
            max_wait=max_poll_seconds,
            timeout=timeout_seconds,
            **kwargs,
        )
        self.job = job
        self.served_model = served_model
        self.nemo_conn_id = nemo_conn_id
        self.instance_name = instance_name
        self.extra = dict(extra or {})
        self.poll_seconds = poll_seconds
        self.max_poll_seconds = max_poll_seconds
        self.timeout_seconds = timeout_seconds
        self.deferrable = deferrable
        self._watching: Watch | None = None
        self.trigger_cls = trigger_cls or type(self).trigger_cls
        self.start_from_trigger = deferrable and start_from_trigger
        if self.start_from_trigger:
            self.start_trigger_args = StartTriggerArgs(
                trigger_cls=self.trigger_cls,
                trigger_kwargs=self._trigger_arguments(),
                next_method="execute_complete",
                timeout=timedelta(seconds=timeout_seconds + GRACE_SECONDS),
            )

    def execute(self, context: Context) -> Any:
        """Defer; or poke until the end where `deferrable` is False.

        It defers even for work that has ended already: the trigger is what reports progress.
        """
        if self.deferrable:
            self._defer()
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            raise self._watch().overdue() from None

    def execute_complete(self, context: Context, event: Any = None) -> str:  # noqa: ARG002
        """End the task where the trigger could not (`dag.test`): `event` is "success" or "failed"."""
        return after_trigger(self._hook(), self.kind, self.job, self.served_model, event)

    def on_kill(self) -> None:
        """Cancel the work, where the worker is what waits; else the trigger does."""
        if not self.deferrable:
            cancel(self._hook(), self.kind, self.job, self.log)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """One look. Raises JobFailed for work that ended badly, NemoError where waiting cannot help."""
        progress = self._look()
        if progress is None or not progress.state.is_terminal:
            return PokeReturnValue(is_done=False)
        if not progress.state.ok:
            raise JobFailed(failure(self.kind, self.job, progress))
        returned = result_of(self.kind, self.job, given(self.served_model), progress)
        return PokeReturnValue(is_done=True, xcom_value=returned)

    def _look(self) -> JobProgress | None:
        """What one look saw; None for an error that may pass.

        With mode="reschedule" the next poke is another process, which knows nothing of this one: so a job
        that is not found is looked for again at once, until it is found or believed to be gone.
        """
        while True:
            try:
                progress = look(self._hook(), self.kind, self.job, self.served_model)
            except NemoError as error:
                self._watch().bear(error)
                if not (self.reschedule and isinstance(error, NotFound)):
                    return None
                time.sleep(min(self.poll_seconds, MISSING_SECONDS))
            else:
                self._watch().see(progress)
                return progress

    def _defer(self) -> NoReturn:
        if not given(self.job):
            raise JobFailed(f"`job` of {self.task_id} is empty. Look at the log of the submit task.")
        arguments = self._trigger_arguments() | {"deadline_at": time.time() + self.timeout_seconds}
        self.defer(
            trigger=pkgutil.resolve_name(self.trigger_cls)(**arguments),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout_seconds + GRACE_SECONDS),
        )

    def _trigger_arguments(self) -> dict[str, Any]:
        return {
            "nemo_conn_id": self.nemo_conn_id,
            "kind": self.kind.value,
            "job": self.job,
            "served_model": self.served_model,
            "poll_seconds": self.poll_seconds,
            "max_poll_seconds": self.max_poll_seconds,
            "timeout_seconds": self.timeout_seconds,
            "extra": self.extra,
        }

    def _watch(self) -> Watch:
        """What the pokes of this process have seen."""
        if self._watching is None:
            deadline_at = time.time() + self.timeout_seconds
            polling = Polling(first=self.poll_seconds, longest=self.max_poll_seconds, deadline_at=deadline_at)
            self._watching = Watch(self.kind, self.job, self.timeout_seconds, polling, self.log)
        return self._watching

    def _hook(self) -> NemoHook:
        return NemoHook(self.nemo_conn_id)


class DeploymentSensor(NemoJobSensor):
    """Waits until a deployment is ready and, with `served_model`, until the NIM proxy lists that model.

    The model may be an adapter that the deployed NIM is to load. See NemoJobSensor for the parameters.
    """

    kind = JobKind.DEPLOYMENT


class EvaluationSensor(NemoJobSensor):
    """Waits until an evaluation job has completed. See NemoJobSensor for the parameters."""

    kind = JobKind.EVALUATION


class CustomizationSensor(NemoJobSensor):
    """Waits until a customization job has completed; returns its output model, `namespace/name@<job id>`.

    See NemoJobSensor for the parameters.
    """

    kind = JobKind.CUSTOMIZATION
