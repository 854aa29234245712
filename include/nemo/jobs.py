"""What waits can be for: one way to read, cancel and name all three kinds of remote work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

from include.nemo import customizer, deployments, evaluator
from include.nemo.call import Call, split_name
from include.nemo.progress import JobProgress, of_customization, of_deployment, of_evaluation
from include.nemo.urls import NemoUrls

T = TypeVar("T")


class JobKind(StrEnum):
    """A deployment is identified by `namespace/name`, the jobs by their id."""

    DEPLOYMENT = "deployment"
    EVALUATION = "evaluation"
    CUSTOMIZATION = "customization"


def progress_call(kind: JobKind, job: str) -> Call[JobProgress]:
    """The call that reads how far the work is. Raises ValueError for a malformed `job`."""
    if kind is JobKind.DEPLOYMENT:
        return _then(deployments.get(*split_name(job)), of_deployment)
    if kind is JobKind.EVALUATION:
        return _then(evaluator.get_job(job), of_evaluation)
    return _then(customizer.get_job(job), of_customization)


def cancel_call(kind: JobKind, job: str) -> Call[None]:
    """The call that stops the work: a deployment is deleted, a job cancelled."""
    if kind is JobKind.DEPLOYMENT:
        return deployments.delete(*split_name(job))
    return evaluator.cancel_job(job) if kind is JobKind.EVALUATION else customizer.cancel_job(job)


def url_of(urls: NemoUrls, kind: JobKind, job: str) -> str:
    """Where a person finds the work: its address in the API."""
    call = progress_call(kind, job)
    return urls.of(call.service) + call.path


def _then(call: Call[T], further: Callable[[T], JobProgress]) -> Call[JobProgress]:
    parse = call.parse

    def parse_further(body: Any) -> JobProgress:
        return further(parse(body))

    return replace(call, parse=parse_further)  # type: ignore[arg-type, return-value]
