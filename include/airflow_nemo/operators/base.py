"""What all operators share: submit, link, wait in the triggerer or in the worker, cancel when killed."""

from __future__ import annotations

import pkgutil
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator

from include.airflow_nemo.ending import after_trigger, cancel, look, wait
from include.airflow_nemo.errors import JobFailed
from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.links import RemoteJobLink
from include.airflow_nemo.names import check_name
from include.airflow_nemo.outcomes import failure, given, result_of
from include.airflow_nemo.polling import Polling, check_pauses
from include.airflow_nemo.triggers import GRACE_SECONDS
from include.airflow_nemo.watching import Watch
from include.nemo import JobProgress, NemoClient
from include.nemo.errors import NemoError
from include.nemo.jobs import JobKind, url_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class NemoJobOperator(BaseOperator):
    """Base of the operators: submits remote work once, however often the task runs, and sees it end.

    A retry or a cleared task finds the work that an earlier try made. Work that has failed or was
    cancelled is made anew. Killing the task cancels the work.

    :param nemo_conn_id: the connection; "nemo" by default. (templated)
    :param namespace: the namespace to work in; the connection's by default. (templated)
    :param deferrable: wait in the triggerer; True by default. False waits in the worker.
    :param poll_seconds: seconds between polls at first and after each change; 10 by default.
    :param max_poll_seconds: the longest wait between polls, in seconds; 60 by default.
    :param timeout_seconds: seconds until the task fails; the work goes on then; 6 hours by default.
    :param trigger_cls: import path of the trigger, a subclass of the class's own.
    """

    kind: ClassVar[JobKind]
    trigger_cls: str = "include.airflow_nemo.triggers.NemoJobTrigger"

    template_fields: Sequence[str] = ("nemo_conn_id", "namespace")
    operator_extra_links = (RemoteJobLink(),)
    ui_color = "#d5e8c0"

    def __init__(
        self,
        *,
        nemo_conn_id: str = NemoHook.default_conn_name,
        namespace: str | None = None,
        deferrable: bool = True,
        poll_seconds: float = 10.0,
        max_poll_seconds: float = 60.0,
        timeout_seconds: float = 6 * 3600.0,
        trigger_cls: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_pauses(poll_seconds, max_poll_seconds)
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds is {timeout_seconds}; it must be above 0")
        super().__init__(**kwargs)
        self.nemo_conn_id = nemo_conn_id
        self.namespace = namespace
        self.deferrable = deferrable
        self.poll_seconds = poll_seconds
        self.max_poll_seconds = max_poll_seconds
        self.timeout_seconds = timeout_seconds
        self.trigger_cls = trigger_cls or type(self).trigger_cls
        self.served_model: str | None = None
        self.job: str | None = None

    def submit(self, nemo: NemoClient, context: Context) -> str:
        """Find the work or make it; returns its id, or `namespace/name` of a deployment."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it submits: define submit")

    def find(self, nemo: NemoClient, context: Context) -> str:
        """What `submit` returned in an earlier process, without making anything."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it submitted: define find")

    def execute(self, context: Context) -> str:
        """Submit, push the link, and wait: in the triggerer, unless it has ended already."""
        deadline_at = time.time() + self.timeout_seconds
        with self.hook().client() as nemo:
            self.job = job = self.submit(nemo, context)
            link = url_of(nemo.urls, self.kind, job)
        self.log.info("%s %s", self.kind.value, link)
        context["ti"].xcom_push(key=RemoteJobLink.key, value=link)
        if not self.deferrable:
            return self.conclude(self._wait(deadline_at))
        try:
            progress = self.look()
        except NemoError as error:
            self.log.warning("It could not be looked at; the trigger will: %s", error)
        else:
            if progress.state.is_terminal:
                return self.conclude(progress)
        return self._defer(job, deadline_at)

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """End the task where the trigger could not (`dag.test`): `event` is "success" or "failed"."""
        with self.hook().client() as nemo:
            self.job = self.find(nemo, context)
        return after_trigger(self.hook(), self.kind, self.job, self.served_model, event)

    def on_kill(self) -> None:
        """Cancel the work. Best effort: never raises."""
        cancel(self.hook(), self.kind, self.job, self.log)

    def hook(self) -> NemoHook:
        """The hook of the operator's connection."""
        return NemoHook(self.nemo_conn_id)

    def working_namespace(self) -> str:
        """The namespace given, else the connection's. Raises BadParameter for what is no name."""
        return check_name("namespace", given(self.namespace) or self.hook().namespace)

    def look(self) -> JobProgress:
        """One look at the submitted work."""
        return look(self.hook(), self.kind, str(self.job), self.served_model)

    def conclude(self, progress: JobProgress) -> str:
        """What the task returns. Raises JobFailed for work that ended badly."""
        if not progress.state.ok:
            raise JobFailed(failure(self.kind, str(self.job), progress))
        return result_of(self.kind, str(self.job), given(self.served_model), progress)

    def _wait(self, deadline_at: float) -> JobProgress:
        polling = Polling(first=self.poll_seconds, longest=self.max_poll_seconds, deadline_at=deadline_at)
        watch = Watch(self.kind, str(self.job), self.timeout_seconds, polling, self.log)
        return wait(watch, self.look)

    def _defer(self, job: str, deadline_at: float) -> NoReturn:
        trigger = pkgutil.resolve_name(self.trigger_cls)(
            nemo_conn_id=self.nemo_conn_id,
            kind=self.kind.value,
            job=job,
            served_model=given(self.served_model),
            poll_seconds=self.poll_seconds,
            max_poll_seconds=self.max_poll_seconds,
            timeout_seconds=self.timeout_seconds,
            deadline_at=deadline_at,
        )
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, deadline_at - time.time()) + GRACE_SECONDS),
        )
