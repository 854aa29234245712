"""Evaluator: configurations, targets, jobs and their results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from starlette.datastructures import QueryParams

from include.nemo_local import clock
from include.nemo_local.errors import Invalid, JobFailed, NotFound
from include.nemo_local.jobs import JobThreads
from include.nemo_local.listing import page_of
from include.nemo_local.services.entities import EntityKind, deleted
from include.nemo_local.services.evaluation_run import EVALUATION, RESULT, TERMINAL, EvaluationRun
from include.nemo_local.services.evaluator_wire import ConfigIn, JobIn, TargetIn, masked, split_reference
from include.nemo_local.services.list_fields import LIST_FIELDS
from include.nemo_local.store import Record, Store

TARGETS = EntityKind(
    "evaluation_target", "/v1/evaluation/targets", "eval-target", "evaluation target", TargetIn, shown=masked
)
CONFIGS = EntityKind(
    "evaluation_config", "/v1/evaluation/configs", "eval-config", "evaluation config", ConfigIn, shown=masked
)
_JOIN_SECONDS = 5.0
_LIVE_TARGETS = ("rows", "dataset")
_EMBEDDED = ("config", "target")


class Evaluator:
    """Creates, shows, cancels and deletes evaluation jobs; `EvaluationRun` does their work."""

    def __init__(self, store: Store, threads: JobThreads, run: EvaluationRun) -> None:
        self._store, self._threads, self._run = store, threads, run

    def resume(self) -> None:
        """Goes on with the jobs that a former server left, from their inputs."""
        for record in self._store.select(EVALUATION):
            if record.body["status"] == "cancelling":
                self._run.end(record.id, "cancelled", "The job was cancelled")
            elif record.body["status"] not in TERMINAL:
                self._begin(record.id)

    def create(self, given: JobIn) -> dict[str, Any]:
        """Raises NotFound for a stored config or target that is not there, Invalid for an unknown metric."""
        config, target = self._config(given.config), self._target(given.target)
        config.check_with(target)
        job_id, moment = clock.new_id("eval"), clock.stamp()
        body = given.model_dump(exclude={"config", "target"}) | {
            "id": job_id,
            "created_at": moment,
            "updated_at": moment,
            "config": _embedded(config, given.namespace, "eval-config", moment),
            "target": _embedded(target, given.namespace, "eval-target", moment),
            "status": "created",
            "status_details": {
                "message": None,
                "task_status": dict.fromkeys(config.tasks, "created"),
                "progress": None,
                "samples_processed": None,
            },
            "output_files_url": None,
            "result": None,
        }
        hidden = {
            "config": config.model_dump(exclude_unset=True),
            "target": target.model_dump(exclude_unset=True),
        }
        self._store.insert(Record(EVALUATION, job_id, given.namespace, job_id, body, hidden))
        self._begin(job_id)
        return body

    def live(self, given: JobIn) -> dict[str, Any]:
        """Evaluates rows or a data set at once; nothing is stored. Raises as `create` does."""
        config, target = self._config(given.config), self._target(given.target)
        if target.type not in _LIVE_TARGETS:
            raise Invalid(
                f"a live evaluation takes a target of type rows or dataset, not {target.type}: "
                "create a job for it",
                field="target.type",
            )
        config.check_with(target)
        try:
            found, lines = self._run.live(config, target)
        except JobFailed as error:
            return _live_answer("failed", str(error), dict.fromkeys(config.tasks, "failed"))
        answer = _live_answer("completed", "", dict.fromkeys(config.tasks, "completed"))
        result = {"id": clock.new_id(RESULT), "job": clock.new_id("eval"), "namespace": given.namespace}
        return answer | {"result": result | found, "logs": {"evaluation": lines}}

    def record(self, job_id: str) -> Record:
        found = self._store.by_id(EVALUATION, job_id)
        if found is None:
            raise NotFound(f"evaluation job {job_id} not found")
        return found

    def listed(self) -> list[dict[str, Any]]:
        return [record.body for record in self._store.select(EVALUATION)]

    def page(self, query: QueryParams) -> dict[str, Any]:
        """The answer to a list call. `filter[config]` and `filter[target]` take a name or an id."""
        named = {key: query[f"filter[{key}]"] for key in _EMBEDDED if f"filter[{key}]" in query}
        found = [body for body in self.listed() if all(_refers(body[key], ref) for key, ref in named.items())]
        rest = [(key, value) for key, value in query.multi_items() if key[7:-1] not in named]
        return page_of(found, QueryParams(rest), fields=LIST_FIELDS["/v1/evaluation/jobs"])

    def running(self) -> list[dict[str, Any]]:
        """One line a job that has not ended, for the state page."""
        return [
            {key: body[key] for key in ("id", "status", "project", "custom_fields")}
            for body in self.listed()
            if body["status"] not in TERMINAL
        ]

    def results(self, job_id: str) -> dict[str, Any]:
        """Raises NotFound until the job is complete."""
        found = self._store.by_id(RESULT, str(self.record(job_id).body["result"]))
        if found is None:
            raise NotFound(self._no_results(job_id))
        return found.body

    def log_archive(self, job_id: str) -> bytes:
        """A zip with the job's log so far."""
        self.record(job_id)
        return self._run.log_archive(job_id)

    def archive(self, job_id: str) -> Path:
        """The zip with the rows' results. Raises NotFound until the job is complete."""
        if self.record(job_id).body["status"] != "completed":
            raise NotFound(self._no_results(job_id))
        return self._run.archive(job_id)

    def cancel(self, job_id: str) -> dict[str, Any]:
        """A running job ends after the rows in work; one that has ended stays as it is."""

        def mutate(record: Record) -> None:
            if record.body["status"] not in TERMINAL:
                record.body |= {"status": "cancelling", "updated_at": clock.stamp()}

        self.record(job_id)
        self._store.change(EVALUATION, job_id, mutate)
        if not self._threads.cancel(job_id):
            self._run.end(job_id, "cancelled", "The job was cancelled")
        return self.record(job_id).body

    def delete(self, job_id: str) -> dict[str, Any]:
        """Forgets the job and its results; one that runs is cancelled first."""
        result_id = self.record(job_id).body["result"]
        self._threads.cancel(job_id)
        self._threads.join(job_id, _JOIN_SECONDS)
        self._store.delete(EVALUATION, job_id)
        self._store.delete(RESULT, str(result_id))
        self._run.forget(job_id)
        return deleted(job_id)

    def _begin(self, job_id: str) -> None:
        self._threads.start(job_id, lambda control: self._run.run(job_id, control))

    def _no_results(self, job_id: str) -> str:
        status = self.record(job_id).body["status"]
        return f"evaluation job {job_id} has no results: it is {status}; they exist once it is completed"

    def _config(self, given: ConfigIn | str) -> ConfigIn:
        config = (
            given if isinstance(given, ConfigIn) else ConfigIn.model_validate(self._stored("config", given))
        )
        config.check()
        return config

    def _target(self, given: TargetIn | str) -> TargetIn:
        return (
            given if isinstance(given, TargetIn) else TargetIn.model_validate(self._stored("target", given))
        )

    def _stored(self, what: str, reference: str) -> dict[str, Any]:
        found = self._store.get(f"evaluation_{what}", *split_reference(reference, what))
        if found is None:
            raise NotFound(f"evaluation {what} {reference} not found")
        return found.body


def _live_answer(status: str, message: str, task_status: dict[str, str]) -> dict[str, Any]:
    details = {"message": message, "task_status": task_status, "progress": None}
    return {"status": status, "status_details": details, "result": None, "logs": {}}


def _refers(entity: dict[str, Any], reference: str) -> bool:
    """Is that the embedded entity of this name (``namespace/name`` or the name alone) or id?"""
    return reference in (f"{entity['namespace']}/{entity['name']}", entity["name"], entity["id"])


def _embedded(entity: ConfigIn | TargetIn, namespace: str, prefix: str, moment: str) -> dict[str, Any]:
    """The entity as a job shows it: with nulls, an id of its own, and no secrets."""
    body = entity.model_dump()
    own = {"id": body.get("id") or clock.new_id(prefix), "created_at": moment, "updated_at": moment}
    if "namespace" not in entity.model_fields_set:
        own["namespace"] = namespace
    body |= own
    body["name"] = body["name"] or body["id"]
    shown: dict[str, Any] = masked(body)
    return shown


def job_router(evaluator: Evaluator) -> APIRouter:
    """The calls on jobs, and the live evaluation."""
    routes = APIRouter(prefix="/v1/evaluation")
    routes.include_router(_output_router(evaluator))

    @routes.post("/jobs")
    def create(body: JobIn) -> dict[str, Any]:
        return evaluator.create(body)

    @routes.get("/jobs")
    def find(request: Request) -> dict[str, Any]:
        return evaluator.page(request.query_params)

    @routes.get("/jobs/{job_id}")
    def retrieve(job_id: str) -> dict[str, Any]:
        return evaluator.record(job_id).body

    @routes.get("/jobs/{job_id}/status")
    def status(job_id: str) -> dict[str, Any]:
        details: dict[str, Any] = evaluator.record(job_id).body["status_details"]
        return details

    @routes.post("/live")
    def live(body: JobIn) -> dict[str, Any]:
        return evaluator.live(body)

    @routes.post("/jobs/{job_id}/cancel")
    def cancel(job_id: str) -> dict[str, Any]:
        return evaluator.cancel(job_id)

    @routes.delete("/jobs/{job_id}")
    def delete(job_id: str) -> dict[str, Any]:
        return evaluator.delete(job_id)

    return routes


def _output_router(evaluator: Evaluator) -> APIRouter:
    """What a job has made: results, rows, log."""
    routes = APIRouter()

    @routes.get("/jobs/{job_id}/results")
    def results(job_id: str) -> dict[str, Any]:
        return evaluator.results(job_id)

    @routes.get("/jobs/{job_id}/download-results")
    def download(job_id: str) -> FileResponse:
        return FileResponse(evaluator.archive(job_id), media_type="application/zip", filename=f"{job_id}.zip")

    @routes.get("/jobs/{job_id}/logs")
    def logs(job_id: str) -> Response:
        named = {"Content-Disposition": f'attachment; filename="{job_id}-logs.zip"'}
        return Response(evaluator.log_archive(job_id), media_type="application/zip", headers=named)

    return routes


def result_router(store: Store) -> APIRouter:
    """The results of all jobs."""
    routes = APIRouter(prefix="/v1/evaluation")

    @routes.get("/results")
    def find_results(request: Request) -> dict[str, Any]:
        bodies = [record.body for record in store.select(RESULT)]
        fields = LIST_FIELDS["/v1/evaluation/results"]
        return page_of(bodies, request.query_params, fields=fields, aliases={"job_id": "job"})

    @routes.get("/results/{result_id}")
    def one_result(result_id: str) -> dict[str, Any]:
        found = store.by_id(RESULT, result_id)
        if found is None:
            raise NotFound(f"evaluation result {result_id} not found")
        return found.body

    return routes
