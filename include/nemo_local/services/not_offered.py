"""What NeMo has and this server has not: refused in words that say so, and what there is instead."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import APIRouter

from include.nemo_local.errors import ApiError

T = TypeVar("T")

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_PATHS = {
    "/v2": "the API v2 (a preview): use the v1 calls of the same services",
    "/v1beta1": "Auditor and Safe Synthesizer",
    "/v1/guardrail": "Guardrails",
    "/v1/data-designer": "Data Designer",
    "/v1/intake": "Intake",
    "/v1/jobs": "the jobs of all services in one place: ask the Customizer and the Evaluator for theirs",
    "/v1/classify": "classification heads: ask a model for the label at /nim/v1/chat/completions",
    "/nim/v1/classify": "classification heads: ask a model for the label at /nim/v1/chat/completions",
}
_TARGETS = {
    "cached_outputs": "answers from a cache: give the rows with their answers as a target of type `rows` or "
    "`dataset`, and a task of type `data`",
    "rag": "RAG pipelines: evaluate the `retriever` and the `model` apart",
}
_CONFIGS = ("custom", "retriever")


def router() -> APIRouter:
    """501 for every call of the services that are not here; not worth a retry."""
    routes = APIRouter()
    for path, what in _PATHS.items():
        detail = f"the stand-in does not have {what}"
        routes.add_api_route(path, _refusing(detail), methods=_METHODS, include_in_schema=False)
        routes.add_api_route(
            f"{path}/{{rest:path}}", _refusing(detail), methods=_METHODS, include_in_schema=False
        )
    return routes


def offered_target(kind: T) -> T:
    """The type of a target. Raises ValueError for one that NeMo has and this server has not."""
    if isinstance(kind, str) and kind in _TARGETS:
        raise ValueError(f"the stand-in does not have {_TARGETS[kind]}")
    return kind


def offered_config(kind: T) -> T:
    """The type of an evaluation; NeMo has one for each benchmark. Raises ValueError for one not here."""
    if isinstance(kind, str) and kind not in _CONFIGS:
        raise ValueError(
            f"the stand-in does not have evaluations of type {kind!r} (benchmarks, RAG, agents), but "
            f"{' and '.join(_CONFIGS)}: evaluate your own rows as `custom`"
        )
    return kind


def _refusing(detail: str) -> Any:
    def refuse() -> None:
        raise ApiError(501, detail, {"x-should-retry": "false"})

    return refuse
