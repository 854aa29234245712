"""Evaluator: jobs and their results, and evaluations that are answered at once."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel

from include.nemo import crud
from include.nemo.call import Call, Download, Listing, path
from include.nemo.listing import listing, of_project
from include.nemo.models import EvaluationJob, EvaluationResult, EvaluationStatus, LiveEvaluation
from include.nemo.urls import Service

ModelT = TypeVar("ModelT", bound=BaseModel)

_EVALUATOR = Service.EVALUATOR
_COLLECTION = "/v1/evaluation/jobs"


def create_job(
    *,
    namespace: str,
    config: str | Mapping[str, Any],
    target: str | Mapping[str, Any],
    project: str | None = None,
    description: str | None = None,
    custom_fields: Mapping[str, str] | None = None,
) -> Call[EvaluationJob]:
    """POST /v1/evaluation/jobs

    `config` and `target` are `namespace/name` of stored ones, or the objects themselves. Jobs have no
    name: find one again by `project` and `custom_fields`. Not safe to repeat.
    """
    fields = {
        "namespace": namespace,
        "config": config,
        "target": target,
        "project": project,
        "description": description,
        "custom_fields": custom_fields,
    }
    return crud.create(_EVALUATOR, EvaluationJob, "create evaluation job", _COLLECTION, fields)


def live(
    *,
    config: Mapping[str, Any],
    target: Mapping[str, Any],
    namespace: str | None = None,
    timeout_seconds: float = 300.0,
) -> Call[LiveEvaluation]:
    """POST /v1/evaluation/live: evaluates and answers; nothing is stored, so it is safe to repeat.

    `config` has tasks of type `data` only; `target` is `{"type": "rows", "rows": [...]}` or
    `{"type": "dataset", "dataset": {"files_url": ...}}`.
    """
    fields = {"config": config, "target": target, "namespace": namespace}
    call = crud.create(_EVALUATOR, LiveEvaluation, "evaluate live", "/v1/evaluation/live", fields)
    return replace(call, safe_to_repeat=True, timeout_seconds=timeout_seconds)


def get_job(job_id: str) -> Call[EvaluationJob]:
    """GET /v1/evaluation/jobs/{id}"""
    return _get(EvaluationJob, f"get evaluation job {job_id}", path(job_id))


def get_status(job_id: str) -> Call[EvaluationStatus]:
    """GET /v1/evaluation/jobs/{id}/status: progress only; the state is in the job."""
    return _get(EvaluationStatus, f"get status of evaluation job {job_id}", path(job_id, "status"))


def get_results(job_id: str) -> Call[EvaluationResult]:
    """GET /v1/evaluation/jobs/{id}/results: the aggregate scores."""
    return _get(EvaluationResult, f"get results of evaluation job {job_id}", path(job_id, "results"))


def download_results(job_id: str) -> Download:
    """GET /v1/evaluation/jobs/{id}/download-results: a zip whose `results.json` has a row per item."""
    return Download(
        service=_EVALUATOR,
        name=f"download results of evaluation job {job_id}",
        path=_COLLECTION + path(job_id, "download-results"),
        is_whole=zipfile.is_zipfile,
    )


def download_logs(job_id: str) -> Download:
    """GET /v1/evaluation/jobs/{id}/logs: a zip with what the job's containers wrote."""
    return Download(
        service=_EVALUATOR,
        name=f"download logs of evaluation job {job_id}",
        path=_COLLECTION + path(job_id, "logs"),
        is_whole=zipfile.is_zipfile,
    )


def list_jobs(
    *, namespace: str, project: str, custom_fields: Mapping[str, str] | None = None
) -> Listing[EvaluationJob]:
    """GET /v1/evaluation/jobs of a project whose custom fields hold all of `custom_fields`."""
    return listing(
        _EVALUATOR,
        f"list evaluation jobs of {project}",
        _COLLECTION,
        EvaluationJob,
        filters={"namespace": namespace, "project": project},
        keep=of_project(project, custom_fields or {}),
    )


def cancel_job(job_id: str) -> Call[None]:
    """POST /v1/evaluation/jobs/{id}/cancel. A job that has ended may answer Conflict or Invalid."""
    return crud.act(_EVALUATOR, f"cancel evaluation job {job_id}", _COLLECTION + path(job_id, "cancel"))


def delete_job(job_id: str) -> Call[None]:
    """DELETE /v1/evaluation/jobs/{id}"""
    return crud.remove(_EVALUATOR, f"delete evaluation job {job_id}", _COLLECTION + path(job_id))


def _get(model: type[ModelT], name: str, below: str) -> Call[ModelT]:
    return crud.read(_EVALUATOR, model, name, _COLLECTION + below)
