"""Jobs that have no name of their own: found again by project and custom fields, made once."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from include.airflow_nemo.errors import JobFailed
from include.airflow_nemo.names import check_custom_fields, check_name
from include.airflow_nemo.operators.base import NemoJobOperator
from include.nemo import Call, Listing, NemoClient
from include.nemo.errors import NemoError, ServerError, UnexpectedAnswer, Unreachable
from include.nemo.jobs import cancel_call
from include.nemo.models import CustomizationJob, EvaluationJob

if TYPE_CHECKING:
    from airflow.sdk import Context

JobT = TypeVar("JobT", CustomizationJob, EvaluationJob)

ATTEMPT = "attempt"
RESERVED = frozenset({"dag_id", "task_id", "map_index", "request", ATTEMPT})


class NemoSubmitOperator(NemoJobOperator):
    """Base of the operators for jobs.

    A job is the task's own if it carries the project, the task's identity (`dag_id`, `task_id`,
    `map_index`), a digest of the request (`request`) and the given custom fields. So a retry and a
    cleared task find it; a task whose request was changed makes a new one. One that has failed or was
    cancelled is followed by another, with the next `attempt`.

    :param project: to which the job belongs; the id of the DAG run by default. (templated)
    :param custom_fields: further fields to put on the job; none by default. (templated)
    """

    template_fields = (*NemoJobOperator.template_fields, "project", "custom_fields")

    def __init__(
        self,
        *,
        project: str = "{{ run_id }}",
        custom_fields: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.custom_fields = dict(custom_fields or {})
        self._own: tuple[str, dict[str, str]] | None = None

    @abstractmethod
    def request(self) -> dict[str, Any]:
        """What is asked for. Raises BadParameter for what the service would refuse."""

    @abstractmethod
    def list_call(self, namespace: str, custom_fields: dict[str, str]) -> Listing[Any]:
        """The call that lists the project's jobs with these custom fields."""

    @abstractmethod
    def create_call(
        self, namespace: str, request: dict[str, Any], custom_fields: dict[str, str]
    ) -> Call[Any]:
        """The call that makes the job."""

    def submit(self, nemo: NemoClient, context: Context) -> str:
        """Id of the task's job, found or made."""
        request = self.request()
        namespace, own = self._own = self._identity(context, request)
        latest = _latest(nemo.collect(self.list_call(namespace, own)))
        if latest is not None and (latest.state.ok or not latest.state.is_terminal):
            self.log.info("Job %s exists already (%s)", latest.id, latest.state)
            return self._id_of(latest)
        attempt = attempt_of(latest) + 1 if latest is not None else 1
        if latest is not None:
            self.log.info("Job %s ended as %s: attempt %d", latest.id, latest.state, attempt)
        fields = own | {ATTEMPT: str(attempt)}
        try:
            return self._id_of(nemo.send(self.create_call(namespace, request, fields)))
        except NemoError as error:
            return self._id_of(self._made_after_all(nemo, namespace, fields, error))

    def find(self, nemo: NemoClient, context: Context) -> str:
        """Id of the task's latest job. Raises JobFailed where it has none."""
        latest = _latest(nemo.collect(self.list_call(*self._identity(context, self.request()))))
        if latest is None:
            raise JobFailed(f"The {self.kind.value} of this task is gone. Clear the task to make another.")
        return self._id_of(latest)

    def on_kill(self) -> None:
        """Cancel the job, also one that was made a moment ago and whose id did not come back."""
        if self.job is not None or self._own is None:
            super().on_kill()
            return
        try:
            with self.hook().client() as nemo:
                for job in nemo.collect(self.list_call(*self._own)):
                    if not job.state.is_terminal:
                        nemo.send(cancel_call(self.kind, job.id))
                        self.log.info("Cancelled %s, because its task was ended", job.id)
        except Exception as error:
            self.log.warning("Could not cancel what this task may have submitted: %s", error)

    def _identity(self, context: Context, request: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """The namespace, and the custom fields that only this task's jobs carry."""
        namespace = self.working_namespace()
        check_name("project", self.project)
        given_fields = check_custom_fields(self.custom_fields, RESERVED)
        ti = context["ti"]
        return namespace, given_fields | {
            "dag_id": ti.dag_id,
            "task_id": ti.task_id,
            "map_index": str(-1 if ti.map_index is None else ti.map_index),
            "request": digest_of(request),
        }

    def _made_after_all(
        self, nemo: NemoClient, namespace: str, fields: dict[str, str], error: NemoError
    ) -> Any:
        """The job whose creation was not answered. Raises `error` where there is none."""
        unanswered = isinstance(error, Unreachable | ServerError | UnexpectedAnswer)
        if unanswered and getattr(error, "sent", True):
            try:
                found = _latest(nemo.collect(self.list_call(namespace, fields)))
            except NemoError:
                found = None
            if found is not None:
                self.log.warning("Job %s was made, although its creation failed: %s", found.id, error)
                return found
        raise error

    def _id_of(self, job: CustomizationJob | EvaluationJob) -> str:
        if not job.id:
            raise JobFailed(f"The service answered a {self.kind.value} without an id. Look at its log.")
        return job.id


def digest_of(request: Mapping[str, Any]) -> str:
    """16 hexadecimal characters; equal for requests that say the same, whatever the order of their keys."""
    canonical = json.dumps(request, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def attempt_of(job: CustomizationJob | EvaluationJob) -> int:
    """The number of the job's attempt; 0 where it carries none."""
    text = str(job.custom_fields.get(ATTEMPT))
    return int(text) if text.isdecimal() else 0


def _latest(jobs: list[JobT]) -> JobT | None:
    return max(jobs, key=attempt_of, default=None)
