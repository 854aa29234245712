"""NemoUndeployOperator: takes a deployment down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include.airflow_nemo.ending import wait
from include.airflow_nemo.names import check_name
from include.airflow_nemo.operators.base import NemoJobOperator
from include.airflow_nemo.polling import Polling
from include.airflow_nemo.triggers import removal_progress
from include.airflow_nemo.watching import Watch
from include.nemo import JobProgress, JobState, NemoClient, deployments
from include.nemo.call import split_name
from include.nemo.errors import Conflict, NotFound
from include.nemo.jobs import JobKind, progress_call

if TYPE_CHECKING:
    from airflow.sdk import Context


class NemoUndeployOperator(NemoJobOperator):
    """Takes a deployment down and waits until it is gone; returns `namespace/name`.

    Right whether or not it exists. Killing the task does not keep the deployment. See NemoJobOperator
    for the other parameters.

    :param deployment: name of the deployment in the namespace. (templated)
    """

    kind = JobKind.DEPLOYMENT
    trigger_cls = "include.airflow_nemo.triggers.NemoRemovalTrigger"
    template_fields: Sequence[str] = (*NemoJobOperator.template_fields, "deployment")

    def __init__(self, *, deployment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployment = deployment

    def submit(self, nemo: NemoClient, context: Context) -> str:
        """Tell it to go; returns `namespace/name`."""
        job = self.find(nemo, context)
        tell_to_go(nemo, job)
        return job

    def find(self, nemo: NemoClient, context: Context) -> str:  # noqa: ARG002
        """`namespace/name`"""
        return f"{self.working_namespace()}/{check_name('deployment', self.deployment)}"

    def execute_complete(self, context: Context, event: Any = None) -> str:  # noqa: ARG002
        """End the task where the trigger could not (`dag.test`)."""
        with self.hook().client() as nemo:
            self.job = self.find(nemo, context)
            return self.conclude(look_for(nemo, self.job))

    def on_kill(self) -> None:
        """Nothing to do: what was told to go still goes."""

    def look(self) -> JobProgress:
        """`deleted` once it is gone."""
        with self.hook().client() as nemo:
            return look_for(nemo, str(self.job))

    def conclude(self, progress: JobProgress) -> str:
        """`namespace/name` of what is gone. Raises JobFailed for a removal that failed."""
        return str(self.job) if progress.state == "deleted" else super().conclude(progress)


def tell_to_go(nemo: NemoClient, job: str) -> None:
    """Delete a deployment (`namespace/name`), unless it is gone or going."""
    try:
        nemo.send(deployments.delete(*split_name(job)))
    except (NotFound, Conflict):
        return


def look_for(nemo: NemoClient, job: str) -> JobProgress:
    """`deleting` while the deployment is there, `deleted` afterwards."""
    try:
        return removal_progress(nemo.send(progress_call(JobKind.DEPLOYMENT, job)))
    except NotFound:
        return JobProgress(state=JobState("deleted"))


def remove(nemo: NemoClient, job: str, polling: Polling, timeout_seconds: float, log: Any) -> JobProgress:
    """Take a deployment down and wait here until it is gone. Raises JobFailed at the deadline."""
    tell_to_go(nemo, job)
    watch = Watch(JobKind.DEPLOYMENT, job, timeout_seconds, polling, log)
    return wait(watch, lambda: look_for(nemo, job))
