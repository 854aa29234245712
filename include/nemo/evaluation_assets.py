"""Evaluator: what jobs refer to or leave behind: stored targets, configurations and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.nemo import crud
from include.nemo.call import Call, Listing, path
from include.nemo.listing import listing
from include.nemo.models import EvaluationConfig, EvaluationResult, EvaluationTarget
from include.nemo.urls import Service

_EVALUATOR = Service.EVALUATOR
_TARGETS = "/v1/evaluation/targets"
_CONFIGS = "/v1/evaluation/configs"
_RESULTS = "/v1/evaluation/results"


def create_target(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[EvaluationTarget]:
    """POST /v1/evaluation/targets; `fields`: `type` and what that type asks for, such as `model`.

    A model target takes a name or `{"api_endpoint": {"url", "model_id", "api_key", "format"}}`.
    """
    body = {**fields, "name": name, "namespace": namespace}
    what = f"create evaluation target {namespace}/{name}"
    return crud.create(_EVALUATOR, EvaluationTarget, what, _TARGETS, body)


def get_target(namespace: str, name: str) -> Call[EvaluationTarget]:
    """GET /v1/evaluation/targets/{namespace}/{name}"""
    where = _TARGETS + path(namespace, name)
    return crud.read(_EVALUATOR, EvaluationTarget, f"get evaluation target {namespace}/{name}", where)


def update_target(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[EvaluationTarget]:
    """PATCH /v1/evaluation/targets/{namespace}/{name}; only the given `fields` change."""
    where = _TARGETS + path(namespace, name)
    what = f"update evaluation target {namespace}/{name}"
    return crud.change(_EVALUATOR, EvaluationTarget, what, where, fields)


def delete_target(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/evaluation/targets/{namespace}/{name}"""
    where = _TARGETS + path(namespace, name)
    return crud.remove(_EVALUATOR, f"delete evaluation target {namespace}/{name}", where)


def list_targets(*, namespace: str | None = None) -> Listing[EvaluationTarget]:
    """GET /v1/evaluation/targets"""
    filters = {"namespace": namespace}
    return listing(_EVALUATOR, "list evaluation targets", _TARGETS, EvaluationTarget, filters=filters)


def create_config(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[EvaluationConfig]:
    """POST /v1/evaluation/configs; `fields`: `type, tasks, params, project, ...`."""
    body = {**fields, "name": name, "namespace": namespace}
    what = f"create evaluation config {namespace}/{name}"
    return crud.create(_EVALUATOR, EvaluationConfig, what, _CONFIGS, body)


def get_config(namespace: str, name: str) -> Call[EvaluationConfig]:
    """GET /v1/evaluation/configs/{namespace}/{name}"""
    where = _CONFIGS + path(namespace, name)
    return crud.read(_EVALUATOR, EvaluationConfig, f"get evaluation config {namespace}/{name}", where)


def update_config(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[EvaluationConfig]:
    """PATCH /v1/evaluation/configs/{namespace}/{name}; only the given `fields` change."""
    where = _CONFIGS + path(namespace, name)
    what = f"update evaluation config {namespace}/{name}"
    return crud.change(_EVALUATOR, EvaluationConfig, what, where, fields)


def delete_config(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/evaluation/configs/{namespace}/{name}"""
    where = _CONFIGS + path(namespace, name)
    return crud.remove(_EVALUATOR, f"delete evaluation config {namespace}/{name}", where)


def list_configs(*, namespace: str | None = None) -> Listing[EvaluationConfig]:
    """GET /v1/evaluation/configs"""
    filters = {"namespace": namespace}
    return listing(_EVALUATOR, "list evaluation configs", _CONFIGS, EvaluationConfig, filters=filters)


def get_result(result_id: str) -> Call[EvaluationResult]:
    """GET /v1/evaluation/results/{id}; a job's own: `evaluator.get_results(job_id)`."""
    where = _RESULTS + path(result_id)
    return crud.read(_EVALUATOR, EvaluationResult, f"get evaluation result {result_id}", where)


def delete_result(result_id: str) -> Call[None]:
    """DELETE /v1/evaluation/results/{id}"""
    where = _RESULTS + path(result_id)
    return crud.remove(_EVALUATOR, f"delete evaluation result {result_id}", where)


def list_results(*, job_id: str | None = None) -> Listing[EvaluationResult]:
    """GET /v1/evaluation/results, of one job or of all."""
    filters = {"job_id": job_id}
    return listing(_EVALUATOR, "list evaluation results", _RESULTS, EvaluationResult, filters=filters)
